from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.crf import PRESETS, CrfParams, find_preset, parse_params


def test_text_names_every_parameter_by_its_short_name():
    params = parse_params("w1=5, sa=140, sb=5.5, w2=2, sg=1.5, it=7, norm=after")
    assert params == CrfParams(5, 140, 5.5, 2, 1.5, 7, "after")


def test_what_the_text_does_not_name_comes_from_the_base():
    base = CrfParams(9, 80, 13, 2, 3, 5, "after")
    assert parse_params("sa=40", base) == CrfParams(9, 40, 13, 2, 3, 5, "after")
    assert parse_params("smoothness_weight=0") == CrfParams(smoothness_weight=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is not of the form name=value"),
        ("w1", "'w1' is not of the form name=value"),
        ("w1=4,,sa=3", "'' is not of the form name=value"),
        ("w9=4", "unknown CRF parameter 'w9'"),
        ("w1=4,appearance_weight=5", "given twice"),
        ("sa=wide", "sa is 'wide', it must be a number"),
        ("it=2.5", "it is '2.5', it must be a whole number"),
        ("sa=0", "appearance_position_sigma is 0.0, it must be between 0.5 and 100000"),
        ("sb=nan", "appearance_colour_sigma is nan"),
        ("norm=before", "normalization is 'before'"),
    ],
)
def test_text_that_means_nothing_is_refused_with_the_pair_in_question(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_params(text)


@given(factor=st.floats(1e-3, 1e3))
def test_scaling_changes_sigmas_in_pixels_only_and_keeps_them_in_range(factor):
    params = CrfParams(4, 67, 3, 3, 2, 10)
    scaled = params.scaled(factor)
    assert scaled.appearance_position_sigma == pytest.approx(min(max(67 * factor, 0.5), 1e5))
    assert scaled.smoothness_sigma == pytest.approx(max(2 * factor, 0.5))
    assert (scaled.appearance_weight, scaled.appearance_colour_sigma, scaled.smoothness_weight) == (4, 3, 3)


@pytest.mark.parametrize("factor", [0, -1, math.nan, math.inf])
def test_a_factor_that_is_no_size_is_refused(factor):
    with pytest.raises(ValueError, match="must be above 0"):
        CrfParams().scaled(factor)


def test_parameters_survive_json():
    params = CrfParams(1, 2, 3, 4, 5, 6, "after")
    assert CrfParams.from_dict(params.to_dict()) == params
    with pytest.raises(ValueError, match="unknown CRF parameter sigma"):
        CrfParams.from_dict({"sigma": 3})
    with pytest.raises(ValueError, match="must be a number"):
        CrfParams.from_dict({"appearance_weight": "4"})


def test_presets_are_told_apart_and_say_where_they_come_from():
    assert len({preset.id for preset in PRESETS}) == len({preset.name for preset in PRESETS}) == len(PRESETS)
    assert all(re.fullmatch(r"[a-z0-9-]+", preset.id) and preset.source.endswith(".") for preset in PRESETS)
    assert PRESETS[0].params == CrfParams()


def test_presets_carry_the_published_figures():
    largefov = find_preset("v1-largefov")
    assert largefov is not None
    assert largefov.params == CrfParams(4, 121, 5, 3, 3, 10, "after")
    resnet = find_preset("v2-resnet101")
    assert resnet is not None
    assert resnet.params == CrfParams(4, 67, 3, 3, 1, 10, "symmetric")


def test_a_preset_is_found_by_id_or_by_name_in_any_case():
    assert find_preset(" V1-LargeFOV ") is find_preset("v1 largefov") is not None
    assert find_preset("v9") is None
