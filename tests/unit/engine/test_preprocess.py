from __future__ import annotations

import numpy as np
import pytest

from deeplab_studio.checkpoints import Preprocessing, SizeRule
from deeplab_studio.engine.preprocess import ENLARGED_PIXELS, input_size, normalise, resize, shown_size


@pytest.mark.parametrize(
    ("rule", "size", "shown"),
    [
        (SizeRule(), (375, 500), (375, 500)),
        (SizeRule("shorter", 520), (375, 500), (520, 693)),
        (SizeRule("shorter", 520), (241, 321), (520, 692)),
        (SizeRule("shorter", 520), (4000, 6000), (520, 780)),
        (SizeRule("longer", 513, enlarge=False), (375, 500), (375, 500)),
        (SizeRule("longer", 513, enlarge=False), (4000, 6000), (342, 513)),
        (SizeRule("longer", 513), (100, 50), (513, 256)),
        (SizeRule("longer", 8), (1000, 1), (8, 1)),
    ],
)
def test_size_rules(rule: SizeRule, size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert shown_size(rule, *size) == shown


def test_very_long_photos_are_not_enlarged_without_bound() -> None:
    height, width = shown_size(SizeRule("shorter", 520), 1, 100_000)
    assert height * width <= ENLARGED_PIXELS
    assert height >= 1


@pytest.mark.parametrize(("side", "padded"), [(1, 1), (2, 33), (33, 33), (34, 65), (500, 513), (514, 545)])
def test_networks_with_same_padding_get_sides_of_32k_plus_1(side: int, padded: int) -> None:
    assert input_size(side, side, at_least=0, remainder=1) == (padded, padded)


def test_padding_is_a_minimum() -> None:
    assert input_size(375, 600, at_least=513, remainder=0) == (513, 600)


def test_normalising_pads_with_zeros_and_can_swap_colours() -> None:
    pixels = np.array([[[255, 0, 51]]], np.uint8)
    rule = Preprocessing(colour_order="BGR", divisor=255.0, mean=(0.2, 0.0, 0.0), std=(1.0, 1.0, 0.5))
    result = normalise(pixels, rule, 2, 3)
    np.testing.assert_allclose(result[0, 0], [0, 0, 2], atol=1e-6)
    assert result.shape == (2, 3, 3)
    assert not result[1].any()
    assert not result[0, 1:].any()


def test_a_photo_of_the_wanted_size_is_not_resampled() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    assert resize(pixels, 4, 5, SizeRule()) is pixels
