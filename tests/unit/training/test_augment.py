from __future__ import annotations

import numpy as np
import pytest

from deeplab_studio.training.augment import FILL, View, cut_mask, cut_photo, jitter_colours, random_view


def view(**changes: int | bool) -> View:
    values = {"side": 33, "height": 60, "width": 80, "top": 10, "left": 20, "mirrored": False}
    return View(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("factor", [0.4, 0.8, 1.0, 1.7])
def test_mask_and_photo_show_the_same_places(factor: float, mirrored: bool) -> None:
    ramp = np.zeros((60, 80, 3), np.uint8)
    ramp[..., 0] = 2 * np.arange(60)[:, None]
    ramp[..., 1] = 2 * np.arange(80)
    place = view(height=round(60 * factor), width=round(80 * factor), top=-6, left=5, mirrored=mirrored)
    crop, rows = cut_photo(ramp, place), cut_mask(ramp[..., 0], place)
    columns = cut_mask(ramp[..., 1], place)
    inside = rows != 255
    seen = crop[::4, ::4].astype(int)
    assert inside.any()
    assert np.abs(seen[..., 0] - rows)[inside].max() <= 5
    assert np.abs(seen[..., 1] - columns)[inside].max() <= 5


def test_mirroring_mirrors() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    np.testing.assert_array_equal(cut_photo(photo, view(mirrored=True)), cut_photo(photo, view())[:, ::-1])


def test_around_a_photo_there_is_void_and_the_mean_colour() -> None:
    photo, mask = np.full((20, 20, 3), 200, np.uint8), np.ones((20, 20), np.uint8)
    place = view(height=20, width=20, top=-8, left=-4)
    crop, target = cut_photo(photo, place), cut_mask(mask, place)
    assert tuple(crop[0, 0]) == FILL
    assert (crop[8:28, 4:24] == 200).all()
    assert (crop[28:] == FILL).all()
    np.testing.assert_array_equal(target == 1, np.pad(np.ones((5, 5), bool), ((2, 2), (1, 3))))
    assert (target[target != 1] == 255).all()


def test_a_view_holds_as_much_of_the_photo_as_there_is_room_for() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        drawn = random_view(rng, (48, 64), 33, (0.3, 2.0))
        for begin, length in ((drawn.top, drawn.height), (drawn.left, drawn.width)):
            visible = min(begin + 33, length) - max(begin, 0)
            assert visible == min(33, length)


def test_scales_stay_within_their_bounds() -> None:
    rng = np.random.default_rng(2)
    factors = [random_view(rng, (100, 100), 33, (0.5, 0.8), stretch=0).height / 100 for _ in range(300)]
    assert min(factors) >= 0.49
    assert max(factors) <= 0.81
    assert np.median(factors) == pytest.approx(np.sqrt(0.4), abs=0.03)


def test_a_tiny_photo_can_be_cut() -> None:
    place = random_view(np.random.default_rng(0), (1, 1), 33, (0.1, 0.2))
    assert cut_photo(np.zeros((1, 1, 3), np.uint8), place).shape == (33, 33, 3)
    assert cut_mask(np.zeros((1, 1), np.uint8), place).shape == (9, 9)


def test_no_jitter_changes_nothing_and_grey_stays_grey() -> None:
    rng = np.random.default_rng(3)
    photo = rng.integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(jitter_colours(rng, photo, 0), photo)
    grey = np.repeat(photo[..., :1], 3, axis=2)
    changed = jitter_colours(rng, grey, 0.4).astype(int)
    assert np.ptp(changed, axis=2).max() <= 1
    assert np.abs(changed - grey).max() > 5
