"""Output stride and scales, where a file leaves them open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.checkpoints import CheckpointError, LoadedModel, load_checkpoint
from deeplab_studio.checkpoints.model import Geometry
from deeplab_studio.checkpoints.native import Provenance, read_header, save_native
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine import Predictor
from deeplab_studio.networks.starter import starter_profile
from tests.dialect_files import write_variant
from tests.starter_kit import drawn_model


def logits_of(model: LoadedModel) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (65, 97, 3), np.uint8)
    return Predictor(model, "cpu").native_logits(image)


@pytest.fixture(scope="module")
def open_stride(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_variant("VainF v3 MobileNetV2", tmp_path_factory.mktemp("stride") / "mine.pth")


@pytest.fixture(scope="module")
def three_scales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_variant("kazuto1011", tmp_path_factory.mktemp("scales") / "msc.pth")


def test_a_file_tells_every_output_stride_it_fits_the_published_one_first(open_stride: Path) -> None:
    model = load_checkpoint(open_stride)
    assert model.geometry == Geometry(16, "single")
    assert model.geometries == (Geometry(16, "single"), Geometry(8, "single"))
    assert load_checkpoint(open_stride, output_stride=8).geometries == model.geometries


def test_another_output_stride_gives_the_scores_of_the_file_loaded_with_it(open_stride: Path) -> None:
    model = load_checkpoint(open_stride)
    fine = model.at(Geometry(8))
    assert logits_of(fine).shape == (21, 8, 12)
    np.testing.assert_array_equal(logits_of(fine), logits_of(load_checkpoint(open_stride, output_stride=8)))
    assert all(a is b for a, b in zip(model.network.parameters(), fine.network.parameters(), strict=True))
    np.testing.assert_array_equal(logits_of(fine.at(Geometry())), logits_of(model))


def test_the_scales_can_be_taken_away_and_come_back(three_scales: Path) -> None:
    model = load_checkpoint(three_scales)
    assert model.geometries == (Geometry(8, "multi"), Geometry(8, "single"))
    single = model.at(Geometry(scales="single"))
    assert (single.profile.multi_scale, single.geometry.scales) == (None, "single")
    assert single.at(Geometry(scales="multi")).profile == model.profile
    assert single.network.backbone is model.network.backbone


def test_what_is_not_as_published_shows_in_the_name_of_the_model(open_stride: Path, three_scales: Path) -> None:
    model = load_checkpoint(open_stride)
    assert model.at(Geometry(8)).model_id == f"{model.model_id}-os8"
    assert model.at(Geometry(16, "single")).model_id == model.model_id
    model = load_checkpoint(three_scales)
    assert model.at(Geometry(scales="single")).model_id == f"{model.model_id}-one-scale"


def test_what_a_file_does_not_leave_open_is_refused_in_one_sentence(open_stride: Path, three_scales: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(three_scales).at(Geometry(16))
    assert str(refused.value) == "msc.pth: this network has no output stride 16. Possible: 8."
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(open_stride).at(Geometry(scales="multi"))
    assert str(refused.value) == "mine.pth: this network looks at one scale alone. Leave the choice of scales out."


def test_a_converted_file_leaves_open_what_its_source_did(
    open_stride: Path, three_scales: Path, tmp_path: Path
) -> None:
    for path in (open_stride, three_scales):
        model = load_checkpoint(path)
        save_native(model, tmp_path / "converted.safetensors")
        converted = load_checkpoint(tmp_path / "converted.safetensors")
        assert converted.profiles == model.profiles
        for geometry in model.geometries:
            assert converted.at(geometry).profile == model.at(geometry).profile


def test_a_model_saved_with_another_choice_has_it_as_its_published_one(open_stride: Path, tmp_path: Path) -> None:
    save_native(load_checkpoint(open_stride, output_stride=8), tmp_path / "fine.safetensors")
    assert load_checkpoint(tmp_path / "fine.safetensors").geometries == (Geometry(8, "single"), Geometry(16, "single"))


def test_the_stride_of_a_starter_is_open_though_its_file_lists_none(tmp_path: Path) -> None:
    save_native(drawn_model("v3"), tmp_path / "starter.safetensors", provenance=Provenance())
    header = read_header(tmp_path / "starter.safetensors")
    assert header is not None
    assert header.variants == ()
    loaded = load_checkpoint(tmp_path / "starter.safetensors")
    assert loaded.geometries == (Geometry(16, "single"), Geometry(8, "single"))
    assert loaded.at(Geometry(8)).profile == starter_profile("v3", len(VOC_LABELS), 8)
