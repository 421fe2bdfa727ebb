from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage
from sklearn.metrics import confusion_matrix
from torch import nn

from deeplab_studio.checkpoints.model import FileHash, LoadedModel, Preprocessing
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.voc import VocItem, write_mask
from deeplab_studio.crf import CrfParams
from deeplab_studio.engine import Predictor, segment_image
from deeplab_studio.engine.comparison import Comparison, Contestant, SharedClasses, union_of
from deeplab_studio.engine.comparison_report import report_json, write_report
from tests.fixture_checkpoints import TinyNetwork, tiny_profile

ANIMALS = LabelSet.from_names(["background", "cat", "dog"])


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")


def contestant(name: str, labels: LabelSet = ANIMALS, *, seed: int = 0, crfs=(("none", None),)) -> Contestant:
    model = LoadedModel(
        network=TinyNetwork(len(labels), seed),
        profile=tiny_profile(len(labels)),
        preprocessing=Preprocessing(divisor=255.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        classes=labels,
        dialect="test",
        title=name,
        path=Path("tiny.pth"),
        file_hash=FileHash("0" * 64),
    )
    return Contestant(name, "v3", Predictor(model, "cpu"), crfs)


@pytest.fixture
def items(tmp_path: Path) -> list[VocItem]:
    made = []
    for number in range(4):
        rng = np.random.default_rng(number)
        photo, mask = tmp_path / f"{number}.png", tmp_path / "masks" / f"{number}.png"
        mask.parent.mkdir(exist_ok=True)
        PilImage.fromarray(rng.integers(0, 256, (40, 56, 3)).astype(np.uint8)).save(photo)
        truth = rng.integers(0, 3, (40, 56)).astype(np.uint8)
        truth[:3] = 255
        write_mask(mask, truth, ANIMALS)
        made.append(VocItem(str(number), photo, mask))
    return made


def run(contestants: list[Contestant], items: list[VocItem], dataset: LabelSet = ANIMALS, **options):
    failures: list[StudioError] = []
    comparison = Comparison(contestants, SharedClasses.of(dataset, [each.predictor.classes for each in contestants]))
    comparison.run(items, on_failure=failures.append, **options)
    return comparison, failures


def test_counts_are_those_of_scikit_learn_for_every_model_and_crf(items):
    params = CrfParams(iterations=2)
    contestants = [
        contestant("one", crfs=(("none", None), ("short", params))),
        contestant("two", seed=1, crfs=(("none", None), ("short", params))),
    ]
    done: list[int] = []
    comparison, failures = run(contestants, items, on_done=lambda: done.append(1))
    assert (failures, len(done)) == ([], 4)
    assert [each.name for each in comparison.outcomes] == ["one", "one + CRF short", "two", "two + CRF short"]
    for outcome, (who, crf) in zip(comparison.outcomes, [(0, None), (0, params), (1, None), (1, params)], strict=True):
        truth, predicted = [], []
        for item in items:
            pixels = np.asarray(PilImage.open(item.image))
            labels = np.asarray(PilImage.open(item.mask))
            scored = labels != 255
            truth.append(labels[scored])
            predicted.append(segment_image(contestants[who].predictor, pixels, crf)[scored])
        wanted = confusion_matrix(np.concatenate(truth), np.concatenate(predicted), labels=range(3))
        assert np.array_equal(outcome.matrix.counts[:3, :3], wanted)
        assert outcome.images == 4
        assert outcome.seconds > 0
        # The widest band holds every pixel of such small photos.
        assert outcome.trimap.miou()[-1][1] == pytest.approx(outcome.matrix.miou())


def test_an_item_without_truth_or_with_a_broken_photo_is_named_and_left_out(items):
    items[1].image.write_bytes(b"nothing")
    items[2] = VocItem("2", items[2].image, None)
    comparison, failures = run([contestant("one")], items)
    assert comparison.outcomes[0].images == 2
    assert [failure.path for failure in failures] == [items[1].image, items[2].image]
    assert "no mask" in failures[1].reason


def test_models_are_compared_on_the_classes_that_all_of_them_know(items):
    pets = LabelSet.from_names(["background", "dog", "parrot"])
    comparison, _ = run([contestant("one"), contestant("two", pets)], items)
    assert comparison.shared.label_set.names == ("background", "dog")
    assert comparison.shared.left_out == ("cat",)
    truth = np.concatenate([np.asarray(PilImage.open(item.mask)).reshape(-1) for item in items])
    for outcome in comparison.outcomes:
        assert outcome.matrix.pixels == np.isin(truth, (0, 2)).sum()
    first, second = comparison.shared.from_models
    assert first[:3].tolist() == [0, 0, 1]
    assert second[:3].tolist() == [0, 1, 0]


def test_what_is_called_otherwise_is_no_class_where_there_is_no_background():
    streets = LabelSet.from_names(["road", "car", "sky"])
    shared = SharedClasses.of(streets, [LabelSet.from_names(["car", "boat", "road"])])
    assert shared.label_set.names == ("road", "car")
    assert shared.from_models[0][:3].tolist() == [1, 2, 0]
    assert shared.from_truth[:3].tolist() == [0, 1, 255]
    with pytest.raises(StudioError, match="fewer than two classes"):
        SharedClasses.of(streets, [LabelSet.from_names(["cat", "dog"])])


def test_a_union_holds_every_class_once():
    union = union_of([ANIMALS, LabelSet.from_names(["Background", "tree", "DOG"])])
    assert union.names == ("background", "cat", "dog", "tree")
    with pytest.raises(StudioError, match="together"):
        union_of([LabelSet.from_names(f"{name}{i}" for i in range(200)) for name in "ab"])


def test_cancelling_ends_between_photos_and_leaves_no_thread(items):
    token = CancelToken()
    with pytest.raises(Cancelled):
        run([contestant("one")], items, on_done=token.cancel, cancel=token)


def test_the_report_says_the_same_in_all_its_files(items, tmp_path):
    comparison, failures = run(
        [contestant("one", crfs=(("none", None), ("<b>", CrfParams(iterations=1))))],
        [*items, VocItem("9", tmp_path / "9.png", None)],
    )
    out = tmp_path / "a" / "report"
    label_set = comparison.shared.label_set
    write_report(out, "Title & more", comparison.outcomes, label_set, ["a note"], failures)
    content = json.loads((out / "report.json").read_text())
    assert content == json.loads(json.dumps(report_json(comparison.outcomes, label_set, ["a note"], failures)))
    assert [model["crf_name"] for model in content["models"]] == [None, "<b>"]
    assert content["models"][1]["crf"]["iterations"] == 1
    assert [width for width, _ in content["models"][0]["trimap"]][:2] == [2, 4]
    with (out / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["miou"]) == pytest.approx(content["models"][0]["miou"], abs=1e-6)
    assert float(rows[1]["iou dog"]) == pytest.approx(content["models"][1]["iou"]["dog"], abs=1e-6)
    page = (out / "report.html").read_text()
    assert "Title &amp; more" in page
    assert "&lt;b&gt;" in page
    assert "9.png" in page
    assert 'src="http' not in page
    assert {each.name for each in out.glob("*.png")} >= {"miou.png", "trimap.png", "time.png", "confusion-2.png"}
    write_report(out, "again", comparison.outcomes, label_set)
    assert "again" in (out / "report.html").read_text()
