from __future__ import annotations

import numpy as np
import pytest
import torch

from deeplab_studio.core.voc import read_voc
from deeplab_studio.training.augment import random_box
from deeplab_studio.training.config import AugmentConfig
from deeplab_studio.training.loader import Batch, CropMaker, Prefetcher
from deeplab_studio.training.photos import Photos, open_photos
from deeplab_studio.training.schedule import Phase
from deeplab_studio.training.teacher import TeacherFeatures
from tests.training_sets import CLASSES, write_set

PHASE = Phase(until=1, crop=65, scale=(0.7, 1.3))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    folder = tmp_path_factory.mktemp("photos")
    items = read_voc(write_set(folder / "set", 5)).items
    return open_photos(items, CLASSES, folder / "cache", side=64, on_problem=pytest.fail)


@pytest.fixture(scope="module")
def teacher(photos: Photos) -> TeacherFeatures:
    """Features that are the number of the photo, and where a cell lies in it."""
    features = np.zeros((5, 7, 7, 3), np.float16)
    features[..., 0] = np.arange(5)[:, None, None]
    features[..., 1] = np.arange(7)[:, None]
    features[..., 2] = np.arange(7)
    return TeacherFeatures(features, torch.eye(3), torch.zeros(3), torch.zeros(3), torch.ones(3))


def maker(photos: Photos, teacher: TeacherFeatures | None = None, seed: int = 0, **settings: float) -> CropMaker:
    return CropMaker(photos, np.ones(5), teacher, AugmentConfig(**settings), seed)


def same(first: Batch, second: Batch) -> bool:
    return torch.equal(first.pixels, second.pixels) and torch.equal(first.target, second.target)


def test_a_crop_depends_on_seed_and_number_alone(photos: Photos) -> None:
    whole = maker(photos).batch(0, 12, PHASE)
    later = maker(photos).batch(7, 5, PHASE)
    assert torch.equal(whole.pixels[7:], later.pixels)
    assert torch.equal(whole.target[7:], later.target)
    assert not same(whole, maker(photos, seed=1).batch(0, 12, PHASE))


def test_sizes_fit_the_strides(photos: Photos, teacher: TeacherFeatures) -> None:
    batch = maker(photos, teacher).batch(0, 3, PHASE)
    assert batch.pixels.shape == (3, 65, 65, 3)
    assert batch.target.shape == (3, 17, 17)
    assert batch.inside.shape == (3, 9, 9)
    seen = batch.teacher("cpu")
    assert seen is not None
    assert seen.shape == (3, 3, 9, 9)


def test_outside_the_photo_is_void_and_does_not_count(photos: Photos) -> None:
    batch = maker(photos).batch(0, 8, Phase(until=1, crop=65, scale=(0.4, 0.5)))
    void = batch.target[:, ::2, ::2] == 255
    assert void.any()
    assert torch.equal(void, batch.inside == 0)


def test_the_teacher_is_asked_where_the_crop_looks(photos: Photos, teacher: TeacherFeatures) -> None:
    batch = maker(photos, teacher, stretch=0).batch(0, 5, Phase(until=1, crop=65, scale=(1.0, 1.0)))
    seen = batch.teacher("cpu")
    assert seen is not None
    inside = batch.inside.bool()
    for crop, within in zip(seen, inside, strict=True):
        assert np.ptp(crop[0][within].numpy()) == pytest.approx(0, abs=1e-5)
    assert sorted(round(float(crop[0][within][0])) for crop, within in zip(seen, inside, strict=True)) == [
        0,
        1,
        2,
        3,
        4,
    ]
    # A photo of 64 x 48 pixels lies at the top of its crop or below: rows of cells follow each other ten pixels apart.
    rows = seen[0, 1][inside[0].any(1)][:, 4]
    assert (rows.diff() >= 0).all()
    assert rows.diff().median() == pytest.approx(0.8, abs=0.01)


def test_a_mixed_crop_is_partly_the_next_one(photos: Photos, teacher: TeacherFeatures) -> None:
    plain = maker(photos, teacher).batch(0, 4, PHASE)
    mixed = maker(photos, teacher, mix=1.0).batch(0, 4, PHASE)
    assert mixed.mixed is not None
    assert mixed.mixed.any()
    assert not mixed.mixed.all()
    for at, stride in (("pixels", 1), ("target", 4), ("inside", 8)):
        before, after = getattr(plain, at), getattr(mixed, at)
        where = mixed.mixed.repeat_interleave(8 // stride, 1).repeat_interleave(8 // stride, 2)
        where = where[:, : before.shape[1], : before.shape[2]]
        for i in range(4):
            assert torch.equal(after[i][where[i]], before[(i + 1) % 4][where[i]])
            assert torch.equal(after[i][~where[i]], before[i][~where[i]])
    seen, other = mixed.teacher("cpu"), plain.teacher("cpu")
    assert seen is not None
    assert other is not None
    assert torch.equal(seen[3][:, mixed.mixed[3]], other[0][:, mixed.mixed[3]])


def test_boxes_stay_inside_and_leave_something() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows, columns = random_box(rng, 97)
        assert 0 <= rows.start < rows.stop <= 7
        assert 0 <= columns.start < columns.stop <= 7
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= 35


def test_what_fails_beside_the_loop_is_raised_in_it() -> None:
    def make() -> object:
        yield 1
        raise MemoryError("no more")

    prefetcher = Prefetcher(make)  # type: ignore[arg-type]
    assert prefetcher.next() == 1
    with pytest.raises(MemoryError, match="no more"):
        prefetcher.next()
    prefetcher.close()


def test_closing_does_not_wait_for_what_nobody_takes() -> None:
    prefetcher = Prefetcher(lambda: iter(range(1000)))
    prefetcher.close()
    assert not prefetcher._thread.is_alive()
