from __future__ import annotations

import numpy as np
import pytest

from deeplab_studio.checkpoints import Preprocessing, SizeRule
from deeplab_studio.engine.preprocess import ENLARGED_PIXELS, input_size, normalise, photo_place, resize, shown_size

MMSEG = SizeRule("shorter", 512, longest=2048, filter="linear", rounding="nearest")


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
        (MMSEG, (375, 500), (512, 683)),
        (MMSEG, (500, 375), (683, 512)),
        (MMSEG, (100, 1000), (205, 2048)),
        (MMSEG, (1024, 2048), (512, 1024)),
        (SizeRule("longer", 512, rounding="float"), (241, 321), (384, 512)),
        (SizeRule("longer", 512, rounding="float"), (375, 49), (512, 66)),
        (SizeRule("longer", 49, rounding="float"), (49, 98), (24, 49)),
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


def test_sides_become_multiples() -> None:
    assert input_size(375, 500, at_least=0, remainder=0, multiple_of=16) == (384, 512)
    assert input_size(384, 1, at_least=20, remainder=0, multiple_of=16) == (384, 32)


def test_a_photo_lies_at_the_beginning_or_in_the_middle() -> None:
    end = Preprocessing(divisor=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    around = Preprocessing(divisor=1.0, mean=(0, 0, 0), std=(1, 1, 1), pad_place="around")
    assert photo_place((384, 512), (512, 512), end) == (0, 0)
    assert photo_place((384, 511), (512, 512), around) == (64, 0)


def test_bars_have_their_grey_and_the_photo_its_place() -> None:
    rule = Preprocessing(divisor=255.0, mean=(0, 0, 0.5), std=(1, 1, 0.5), pad_level=128, pad_place="around")
    pixels = np.full((2, 3, 3), 255, np.uint8)
    result = normalise(pixels, rule, 6, 5, top=2, left=1)
    np.testing.assert_allclose(result[2:4, 1:4], np.broadcast_to([1, 1, 1], (2, 3, 3)), atol=1e-6)
    outside = np.ones((6, 5), bool)
    outside[2:4, 1:4] = False
    grey = 128 / 255
    np.testing.assert_allclose(result[outside], np.broadcast_to([grey, grey, 2 * grey - 1], (24, 3)), atol=1e-6)


@pytest.mark.parametrize("top", [-3, 0, 2, 9])
@pytest.mark.parametrize("left", [-8, -1, 4])
def test_pieces_are_cut_from_the_whole_input(top: int, left: int) -> None:
    rule = Preprocessing(divisor=1.0, mean=(7, 7, 7), std=(2, 2, 2), pad_level=100)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    whole = normalise(pixels, rule, 40, 40, top=20, left=20)
    piece = normalise(pixels, rule, 4, 7, top=top, left=left)
    np.testing.assert_array_equal(piece, whole[20 - top : 24 - top, 20 - left : 27 - left])


def test_opencvs_filter_does_not_smooth() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[::4] = 200
    assert resize(pixels, 2, 2, SizeRule(filter="linear")).max() == 0
    assert resize(pixels, 2, 2, SizeRule(filter="bilinear")).min() > 0


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
