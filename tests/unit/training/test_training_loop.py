from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.checkpoints.native import save_native
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.engine import Predictor, segment_image
from deeplab_studio.training.config import TeacherConfig, TrainingConfig, read_config
from deeplab_studio.training.loop import CHECKPOINT, Material, Trainer
from deeplab_studio.training.prepare import prepare
from deeplab_studio.training.records import CURVES, EVALUATIONS, STATUS, STEPS, read_rows
from tests.fixture_checkpoints import write_zoo
from tests.training_sets import CLASSES, write_config, write_set


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return write_set(folder / "train", 8), write_set(folder / "val", 2, seed=9)


@pytest.fixture
def config(tmp_path: Path, sets: tuple[Path, Path]) -> TrainingConfig:
    return read_config(write_config(tmp_path, *sets))


def material(config: TrainingConfig) -> Material:
    return prepare(config, "cpu", on_problem=_not_expected, on_notice=_ignored)


def _not_expected(error: StudioError) -> None:
    raise AssertionError(error)


def _ignored(_text: str) -> None:
    pass


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.mean.state.items()}


def test_a_run_learns_and_leaves_models_log_and_curves(config: TrainingConfig) -> None:
    schedule = replace(config.schedule, crops=400, batch=8, warmup=40, average=0.9)
    config = replace(config, schedule=schedule, evaluation=replace(config.evaluation, every=200))
    data = material(config)
    told: list[str] = []
    trainer = Trainer(config, data, on_notice=told.append)
    assert trainer.run()
    rows = read_rows(config.output / STEPS)
    scores = [float(row["score"]) for row in read_rows(config.output / EVALUATIONS)]
    assert [int(row["crops"]) for row in rows] == [80, 160, 240, 320, 400]
    assert len(scores) == 2
    assert scores[-1] > 0.5
    assert trainer.best["v3"] == pytest.approx(max(scores), abs=1e-5)
    assert "400 of 400 crops" in (config.output / STATUS).read_text(encoding="utf-8")
    assert told[-1].startswith("After 400 crops: v3 0.")
    assert Image.open(config.output / CURVES).size[0] == 1200
    # The saved model, through the door every other model comes in by.
    model = load_checkpoint(trainer.model_path("v3"))
    assert model.classes.names == CLASSES.names
    predictor, matrix = Predictor(model, "cpu"), ConfusionMatrix(3)
    for i in range(2):
        matrix.add(data.val.mask(i), segment_image(predictor, data.val.photo(i), None))
    assert matrix.miou() == pytest.approx(scores[-1], abs=0.05)


def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(config: TrainingConfig) -> None:
    data = material(config)
    straight = Trainer(config, data)
    assert straight.run()
    halted = replace(config, output=config.output.with_name("halted"))
    first = Trainer(halted, data, on_progress=lambda crops, *_: first.stop() if crops >= 12 else None)
    assert not first.run()
    assert first.crops == 12
    second = Trainer(halted, data)
    second.resume()
    assert second.run()
    for name, tensor in weights(straight).items():
        assert torch.equal(tensor, second.mean.state[name]), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(config: TrainingConfig) -> None:
    data = material(config)
    config = replace(config, schedule=replace(config.schedule, crops=8))
    runs = []
    for i, seed in enumerate((3, 3, 4)):
        trainer = Trainer(replace(config, seed=seed, output=config.output.with_name(f"run{i}")), data)
        trainer.run()
        runs.append(weights(trainer)["backbone.stem.conv.weight"])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint(config: TrainingConfig) -> None:
    data = material(config)
    good = Trainer(config, data, on_progress=lambda crops, *_: good.stop() if crops >= 8 else None)
    good.run()
    kept = (config.output / CHECKPOINT).read_bytes()
    wild = replace(config, schedule=replace(config.schedule, learning_rate=1e30, clip=1e30))
    trainer = Trainer(wild, data)
    trainer.resume()
    with pytest.raises(StudioError, match="not a number any more") as caught:
        trainer.run()
    assert "learning_rate" in str(caught.value.hint)
    assert (config.output / CHECKPOINT).read_bytes() == kept


def test_a_shorter_end_is_reached_with_a_rate_of_zero(config: TrainingConfig) -> None:
    data = material(config)
    config = replace(config, schedule=replace(config.schedule, crops=4000))
    first = Trainer(config, data, on_progress=lambda crops, *_: first.stop() if crops >= 8 else None)
    first.run()
    second = Trainer(config, data)
    second.resume(crops=16)
    assert second.plan.rate(8) == pytest.approx(first.plan.rate(8))
    assert second.run()
    assert second.crops == 16
    assert second.plan.rate(16) == 0


def test_lines_of_steps_that_are_done_again_are_taken_off(config: TrainingConfig) -> None:
    trainer = Trainer(config, material(config))
    trainer.records.step(4, 1.0, 0.1, {"loss": 2.0})
    trainer.records.step(8, 1.0, 0.1, {"loss": 1.0, "late": 3.0})
    trainer.records.truncate(4)
    (row,) = read_rows(config.output / STEPS)
    assert row["crops"] == "4"
    assert row["late"] == ""


def test_a_checkpoint_of_other_versions_or_classes_is_refused(config: TrainingConfig) -> None:
    data = material(config)
    first = Trainer(config, data)
    first.save()
    with pytest.raises(StudioError, match="v3") as caught:
        Trainer(replace(config, versions=("v1",)), data).resume()
    assert caught.value.hint


def test_a_damaged_checkpoint_is_named(config: TrainingConfig) -> None:
    trainer = Trainer(config, material(config))
    (config.output / CHECKPOINT).write_bytes(b"PK no checkpoint")
    with pytest.raises(StudioError, match=r"checkpoint\.pt"):
        trainer.resume()


def test_when_memory_runs_out_it_goes_on_with_smaller_batches(config: TrainingConfig) -> None:
    def scarce(crops: int, *_: object) -> None:
        if not told and crops >= 8:
            raise torch.OutOfMemoryError("no more")

    told: list[str] = []
    trainer = Trainer(config, material(config), on_notice=told.append, on_progress=scarce)
    assert trainer.run()
    assert trainer.batch == 2
    assert told[0] == "Memory ran out: going on with 2 crops a step instead of 4."
    assert trainer.crops == 24


def test_with_too_little_memory_for_two_crops_it_says_what_to_do(config: TrainingConfig) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    trainer = Trainer(config, material(config), on_progress=none_left)
    with pytest.raises(StudioError, match="not enough memory to train") as caught:
        trainer.run()
    assert "smaller crops" in str(caught.value.hint)


@pytest.mark.parametrize("heads_from", [0.0, 0.5])
def test_a_teacher_is_learnt_from(config: TrainingConfig, tmp_path: Path, heads_from: float) -> None:
    zoo = load_checkpoint(write_zoo(tmp_path / "zoo.npz", classes=3)).with_class_names(CLASSES.names)
    save_native(zoo, tmp_path / "teacher.safetensors")
    config = replace(
        config,
        teacher=TeacherConfig(model=tmp_path / "teacher.safetensors"),
        schedule=replace(config.schedule, crops=80, batch=4, heads_from=heads_from),
        versions=("v1", "v3+"),
    )
    data = material(config)
    assert data.teacher is not None
    assert data.teacher.has_labels
    trainer = Trainer(config, data)
    trainer.run()
    rows = read_rows(config.output / STEPS)
    assert float(rows[-1]["features"]) < float(rows[0]["features"])
    assert bool(rows[0].get("mask encoder")) == (heads_from > 0)
    assert rows[-1]["mask v1"]
    assert rows[-1]["mask v3+"]
    assert trainer.model_path("v1").exists()
    assert trainer.model_path("v3+").name == "tiny-v3plus.safetensors"


# --- What there is to learn from ------------------------------------------------------------------------------------


def refused(config: TrainingConfig) -> str:
    with pytest.raises(StudioError) as caught:
        prepare(config, "cpu", on_problem=_ignored_error, on_notice=_ignored)
    return str(caught.value)


def _ignored_error(_error: StudioError) -> None:
    pass


def with_masks(root: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    for path in (root / "SegmentationClass").iterdir():
        mask = np.asarray(Image.open(path))
        Image.fromarray(change(mask)).save(path)
    return root


def test_one_class_alone_is_nothing_to_learn(config: TrainingConfig, tmp_path: Path) -> None:
    train = with_masks(write_set(tmp_path / "one", 2), lambda mask: mask * 0 + 1)
    text = refused(replace(config, data=replace(config.data, train=train)))
    assert "one class alone (sky)" in text
    assert "Label the background, or another class" in text


def test_photos_without_masks_are_named_and_the_rest_is_learnt(config: TrainingConfig, tmp_path: Path) -> None:
    train = write_set(tmp_path / "holes", 4)
    (train / "SegmentationClass" / "holes001.png").unlink()
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(train / "SegmentationClass" / "holes002.png")
    problems: list[StudioError] = []
    data = prepare(
        replace(config, data=replace(config.data, train=train)),
        "cpu",
        on_problem=problems.append,
        on_notice=_ignored,
    )
    assert data.train.names == ("holes000", "holes003")
    assert [error.path.stem for error in problems if error.path] == ["holes001", "holes002"]
    assert "7" in problems[1].reason


def test_no_mask_at_all_is_an_error(config: TrainingConfig, tmp_path: Path) -> None:
    train = write_set(tmp_path / "bare", 2)
    for path in (train / "SegmentationClass").iterdir():
        path.unlink()
    assert "no photo has a mask" in refused(replace(config, data=replace(config.data, train=train)))
    val = write_set(tmp_path / "bare val", 1)
    for path in (val / "SegmentationClass").iterdir():
        path.unlink()
    assert "no photo that could be scored" in refused(replace(config, data=replace(config.data, val=val)))


def test_classes_that_differ_are_an_error(config: TrainingConfig, tmp_path: Path) -> None:
    val = write_set(tmp_path / "other", 1)
    (val / "class_names.txt").write_text("background\nroad\ncar\n", encoding="utf-8")
    assert "not those that are taught" in refused(replace(config, data=replace(config.data, val=val)))


def test_an_unknown_focus_is_an_error(config: TrainingConfig) -> None:
    assert "'moon', which is no class" in refused(replace(config, data=replace(config.data, focus=("moon",))))


def test_photos_that_are_both_taught_and_scored_are_told(config: TrainingConfig) -> None:
    told: list[str] = []
    data = replace(config.data, val=config.data.train)
    prepare(replace(config, data=data), "cpu", on_problem=_not_expected, on_notice=told.append)
    assert "8 photos are both taught and scored" in told[0]


def test_a_teacher_of_other_classes_is_told(config: TrainingConfig, tmp_path: Path) -> None:
    teacher = TeacherConfig(model=write_zoo(tmp_path / "zoo.npz", classes=5))
    told: list[str] = []
    data = prepare(replace(config, teacher=teacher), "cpu", on_problem=_not_expected, on_notice=told.append)
    assert "The teacher knows other classes (5, the data set has 3)" in told[0]
    assert data.teacher is not None
    assert Trainer(replace(config, teacher=teacher), data).run()


def test_curves_of_a_single_line_can_be_drawn() -> None:
    from deeplab_studio.training.curves import draw_curves

    row = {"crops": "50", "learning_rate": "0.1", "loss": "1", "mask v3": "2.0"}
    picture = Image.open(io.BytesIO(draw_curves([row], [])))
    assert picture.size == (1200, 680)


def test_a_loss_that_was_not_taken_for_a_while_has_a_gap() -> None:
    from deeplab_studio.training.curves import draw_curves

    def picture(gap: range) -> np.ndarray:
        rows = [
            {
                "crops": f"{i}",
                "learning_rate": "0.1",
                "loss": "1",
                "mask v1": "" if i in gap else "2.0",
                "mask v3": "1.0",
            }
            for i in range(1, 100)
        ]
        return np.asarray(Image.open(io.BytesIO(draw_curves(rows, []))))

    whole, broken = picture(range(0)), picture(range(30, 70))
    colour = (0, 114, 178)  # of the first curve, and of its name's line at the right
    columns = (broken[:340, :1000] == colour).all(axis=2).any(axis=0)
    assert (whole[:340, :1000] == colour).all(axis=2).any(axis=0).sum() > columns.sum() > 300
