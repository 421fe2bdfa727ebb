from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deeplab_studio.checkpoints import LoadedModel, load_checkpoint
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.voc import read_voc
from deeplab_studio.engine import Predictor
from deeplab_studio.training.augment import View
from deeplab_studio.training.config import AugmentConfig
from deeplab_studio.training.loader import CropMaker
from deeplab_studio.training.photos import Photos, open_photos
from deeplab_studio.training.schedule import Phase
from deeplab_studio.training.teacher import CELL, TeacherFeatures, open_teacher
from tests.fixture_checkpoints import write_zoo
from tests.training_sets import CLASSES, write_set


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = write_zoo(tmp_path_factory.mktemp("teacher") / "zoo.npz", classes=3)
    return load_checkpoint(path, output_stride=16).with_class_names(CLASSES.names)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    folder = tmp_path_factory.mktemp("photos")
    items = read_voc(write_set(folder / "set", 3)).items
    return open_photos(items, CLASSES, folder / "cache", side=64, on_problem=pytest.fail)


@pytest.fixture(scope="module")
def teacher(model: LoadedModel, photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> TeacherFeatures:
    return open_teacher(model, photos, CLASSES, tmp_path_factory.mktemp("cache"))


def test_logits_of_kept_features_are_the_teachers(model: LoadedModel, photos: Photos, teacher: TeacherFeatures) -> None:
    scores = Predictor(model, "cpu").predict(_enlarged(photos.photo(0)))
    cells = torch.from_numpy(np.asarray(teacher.features[0, :4, :6], np.float32)).permute(2, 0, 1)[None]
    own = teacher.logits(cells)[0].numpy()
    # The same network on the same photo: what is left is bfloat16, and that a kept cell stands for its surroundings.
    nearest = np.rint(((np.arange(6) + 0.5) * CELL * 513 / 64 - 0.5) / 16).astype(int)
    theirs = scores.logits[:, nearest[:4]][:, :, nearest]
    assert np.corrcoef(own.ravel(), theirs.ravel())[0, 1] > 0.9


def _enlarged(photo: np.ndarray) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(photo).resize((513, 384), Image.Resampling.BICUBIC))


def test_a_second_run_reads_the_same_features(
    model: LoadedModel, photos: Photos, teacher: TeacherFeatures, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    first = open_teacher(model, photos, CLASSES, tmp_path, progress=lambda *at: told.append(at))
    assert told[-1] == (3, 3)
    told.clear()
    again = open_teacher(model, photos, CLASSES, tmp_path, progress=lambda *at: told.append(at))
    assert not told
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_allclose(np.asarray(first.features, np.float32), np.asarray(teacher.features, np.float32))


def test_standardised_features_have_mean_0_and_deviation_1(teacher: TeacherFeatures) -> None:
    cells = np.asarray(teacher.features[:, :5, :7], np.float32).reshape(-1, teacher.channels)
    standardised = teacher.standardised(torch.from_numpy(cells).T[None, :, :, None])
    assert standardised.mean().abs() < 0.01
    assert standardised.std(dim=2).median() == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(
        teacher.restored(standardised)[0, :, :, 0].T, torch.from_numpy(cells), atol=1e-2, rtol=1e-3
    )


def test_logits_come_in_the_order_of_the_students_classes(model: LoadedModel, photos: Photos, tmp_path: Path) -> None:
    student = LabelSet.from_names(["grass", "background", "sky"])
    ordered = open_teacher(model, photos, student, tmp_path)
    plain = open_teacher(model, photos, CLASSES, tmp_path)
    torch.testing.assert_close(ordered.weight, plain.weight[[2, 0, 1]])
    assert ordered.has_labels


@pytest.mark.parametrize("names", [["background", "sky"], ["background", "sky", "road"]])
def test_a_teacher_of_other_classes_gives_features_alone(
    model: LoadedModel, photos: Photos, tmp_path: Path, names: list[str]
) -> None:
    other = open_teacher(model, photos, LabelSet.from_names(names), tmp_path)
    assert not other.has_labels
    assert other.features.shape[0] == 3


def test_a_crop_of_the_whole_photo_sees_the_kept_cells(photos: Photos, teacher: TeacherFeatures) -> None:
    maker = CropMaker(photos, np.ones(3), teacher, AugmentConfig(stretch=0, colour=0), 0)
    batch = maker.batch(0, 3, Phase(until=1, crop=65, scale=(1.0, 1.0)))
    seen = batch.teacher("cpu")
    assert seen is not None
    assert seen.shape == (3, 256, 9, 9)
    inside = batch.inside.bool()
    assert inside.any()
    assert seen.permute(0, 2, 3, 1)[inside].std() > 0


def test_mirrored_views_see_mirrored_columns() -> None:
    plain = View(side=33, height=48, width=64, top=3, left=7, mirrored=False)
    mirrored = View(side=33, height=48, width=64, top=3, left=7, mirrored=True)
    np.testing.assert_allclose(plain.photo_columns(64, 8)[::-1], mirrored.photo_columns(64, 8))
    np.testing.assert_allclose(plain.photo_rows(48, 8), mirrored.photo_rows(48, 8))
