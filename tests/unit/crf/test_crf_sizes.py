"""Parameters that mean the same on photos of every size."""

from __future__ import annotations

import pytest

from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.presets import PRESETS
from deeplab_studio.crf.sizes import on_photo, size_factor


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_on_photos_like_those_of_pascal_voc_published_figures_stay_as_they_are(preset) -> None:
    assert on_photo(preset.params, 375, 500) == preset.params
    assert on_photo(preset.params, 500, 333) == preset.params


def test_spatial_sigmas_grow_with_the_photo_and_nothing_else_does() -> None:
    params = CrfParams(5, 50, 10, 3, 2, 7, "after")
    assert on_photo(params, 3000, 4000) == CrfParams(5, 400, 10, 3, 16, 7, "after")
    assert size_factor(3000, 4000) == size_factor(4000, 3000) == 8


def test_a_thumbnail_and_its_photo_see_the_same_crf() -> None:
    params = CrfParams(4, 67, 3, 3, 3)
    large, small = on_photo(params, 2000, 3000), on_photo(params, 1000, 1500)
    assert large.scaled(0.5) == small


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (20_000, 1)])
def test_odd_sizes_give_parameters_in_range(size) -> None:
    params = on_photo(CrfParams(), *size)
    assert params.smoothness_sigma >= 0.5
    assert params.appearance_position_sigma >= 0.5
