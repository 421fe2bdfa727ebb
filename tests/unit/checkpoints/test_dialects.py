"""Dialects for which there is no fixture, and what holds for all of them."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.checkpoints import CheckpointError, LoadedModel, load_checkpoint
from deeplab_studio.checkpoints.dialects import DIALECTS
from deeplab_studio.checkpoints.dialects.kazuto1011 import COCO_STUFF
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine import Predictor
from deeplab_studio.networks.deeplab import DeepLab
from tests.dialect_files import VARIANTS, layout, random_state, write_variant

IMAGE = np.random.default_rng(0).integers(0, 256, (65, 97, 3), np.uint8)


def saved(state: dict[str, Tensor], path: Path) -> LoadedModel:
    torch.save(state, path)
    return load_checkpoint(path)


def scores(model: LoadedModel, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.network.one_scale(x)


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours / theirs.std(), theirs / theirs.std(), atol=1e-5, rtol=0)


# --- What holds for all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_a_file_is_recognised_by_its_own_dialect_alone_even_if_any_one_key_is_lost(name: str) -> None:
    keys = set(layout(name).shapes)
    wanted = [VARIANTS[name].dialect]
    assert [dialect.name for dialect in DIALECTS if dialect.recognises(keys)] == wanted
    own = next(dialect for dialect in DIALECTS if [dialect.name] == wanted)
    assert [key for key in keys if not own.recognises(keys - {key})] == []


def possible_strides(name: str) -> list[int]:
    """Output strides a variant can be loaded at; the refusal of another one lists them."""
    with pytest.raises(CheckpointError, match="no output stride 4") as refused:
        layout(name, 4)
    return [int(stride) for stride in re.findall(r"\d+", refused.value.hint)]


@pytest.mark.parametrize(
    ("name", "output_stride"), [(name, stride) for name in VARIANTS for stride in possible_strides(name)]
)
def test_the_network_has_the_strides_its_profile_says(name: str, output_stride: int) -> None:
    profile = layout(name, output_stride).blueprint.profile
    with torch.device("meta"):
        network = DeepLab(profile).eval()
        features, _ = network.backbone(torch.empty(1, 3, 129, 193))
        logits = network(torch.empty(1, 3, 129, 193))
    cells = [-(-side // output_stride) for side in (129, 193)]
    unpadded = profile.backbone.stem_padding == "none"
    assert list(features.shape[2:]) == [cell - unpadded for cell in cells]
    assert profile.score_stride == (4 if profile.version == "v3+" else output_stride)
    assert list(logits.shape[2:]) == [-(-side // profile.score_stride) - unpadded for side in (129, 193)]


@pytest.mark.parametrize("name", ["bubbliiiing MobileNetV2", "VainF v3+ separable", "jfzhang95 MobileNetV2"])
def test_missing_and_foreign_tensors_are_named(tmp_path: Path, name: str) -> None:
    state = random_state(layout(name).shapes)
    lost = list(state)[len(state) // 2]
    with pytest.raises(CheckpointError, match=re.escape(repr(lost))):
        saved({key: value for key, value in state.items() if key != lost}, tmp_path / "partial.pth")
    with pytest.raises(CheckpointError, match=r"'psp\.weight'"):
        saved({**state, "psp.weight": torch.zeros(1)}, tmp_path / "more.pth")


@pytest.mark.parametrize("name", ["SegmenTron MobileNetV2", "mmseg v3 MobileNetV2", "SMP v3+ MobileNetV2"])
def test_fine_tunes_with_other_class_counts_load(tmp_path: Path, name: str) -> None:
    found = layout(name)
    classifier = [key for key, path in found.names.items() if path.startswith("classifier.")]
    state = random_state(found.shapes)
    model = saved({key: value[:3] if key in classifier else value for key, value in state.items()}, tmp_path / "m.pth")
    assert model.classes.names == ("class 0", "class 1", "class 2")
    assert Predictor(model, "cpu").predict(IMAGE).logits.shape[0] == 3


# --- v1 and v2 --------------------------------------------------------------------------------------------------------


def test_coincheungs_network_is_wangleihitcs_with_other_preprocessing(tmp_path: Path) -> None:
    state = random_state(layout("wangleihitcs").shapes)
    known = saved({f"module.{key}": value for key, value in state.items()}, tmp_path / "known.pth")
    for old, new in (("features.32", "classifier.1"), ("features.35", "classifier.3"), ("features.38", "classifier.6")):
        state = {key.replace(old, new): value for key, value in state.items()}
    model = saved(state, tmp_path / "model_final.pkl")
    assert (model.dialect, model.version, len(state)) == ("coincheung", "v1", 32)
    x = torch.randn(1, 3, 64, 97)
    torch.testing.assert_close(scores(model, x), scores(known, x), atol=0, rtol=0)
    assert model.preprocessing.colour_order == "RGB"
    assert known.preprocessing.colour_order == "BGR"


ISHT7 = (
    (r"^layer1\.conv1\.conv", "conv1"),
    (r"^layer1\.conv1\.bn", "bn1"),
    (r"\.shortcut\.conv", ".downsample.0"),
    (r"\.shortcut\.bn", ".downsample.1"),
    (r"\.reduce\.conv", ".conv1"),
    (r"\.reduce\.bn", ".bn1"),
    (r"\.conv3x3\.conv", ".conv2"),
    (r"\.conv3x3\.bn", ".bn2"),
    (r"\.increase\.conv", ".conv3"),
    (r"\.increase\.bn", ".bn3"),
    (r"^aspp\.c", "layer5.conv2d_list."),
)
"""From kazuto1011's names to isht7's, block numbers aside."""


def isht7_name(key: str) -> str:
    for pattern, name in ISHT7:
        key = re.sub(pattern, name, key)
    return re.sub(r"^layer(\d)\.block(\d+)", lambda found: f"layer{int(found[1]) - 1}.{int(found[2]) - 1}", key)


def test_isht7s_network_is_kazutos_under_other_names(tmp_path: Path) -> None:
    state = random_state(layout("kazuto1011, inner network").shapes)
    known = saved({f"base.{key}": value for key, value in state.items()}, tmp_path / "known.pth")
    model = saved({f"Scale.{isht7_name(key)}": value for key, value in state.items()}, tmp_path / "isht7.pth")
    assert (model.dialect, known.dialect, model.version) == ("isht7", "kazuto1011", "v2")
    x = torch.randn(1, 3, 64, 97)
    torch.testing.assert_close(scores(model, x), scores(known, x), atol=0, rtol=0)
    assert model.profile.align_corners
    assert not known.profile.align_corners

    def small(scale: float) -> Tensor:
        size = [int(side * scale) + 1 for side in x.shape[2:]]
        return scores(model, functional.interpolate(x, size, mode="bilinear", align_corners=True))

    whole = scores(model, x)
    branches = [
        functional.interpolate(small(s), whole.shape[2:], mode="bilinear", align_corners=True) for s in (0.75, 0.5)
    ]
    with torch.inference_mode():
        torch.testing.assert_close(model.network(x), torch.stack([whole, *branches]).amax(0))


def test_scales_are_a_choice(tmp_path: Path) -> None:
    path = write_variant("kazuto1011", tmp_path / "msc.pth")
    found = {
        choice: load_checkpoint(path, multi_scale=choice).profile.multi_scale  # type: ignore[arg-type]
        for choice in ("published", "off", "scale-factor", "floor", "floor-plus-one")
    }
    assert found.pop("off") is None
    assert {choice: scales.size for choice, scales in found.items() if scales} == {
        "published": "floor",
        "scale-factor": "scale-factor",
        "floor": "floor",
        "floor-plus-one": "floor-plus-one",
    }


def test_a_network_of_one_scale_has_no_choice_of_scales(tmp_path: Path) -> None:
    path = write_variant("bubbliiiing MobileNetV2", tmp_path / "single.pth")
    assert load_checkpoint(path, multi_scale="off").profile.multi_scale is None
    with pytest.raises(CheckpointError, match="one scale"):
        load_checkpoint(path, multi_scale="floor")


def test_coco_stuff_models_have_named_classes(tmp_path: Path) -> None:
    state = random_state(layout("kazuto1011, inner network").shapes)
    state |= {key: torch.randn(182, *value.shape[1:]) for key, value in state.items() if key.startswith("aspp.")}
    model = saved({f"base.{key}": value for key, value in state.items()}, tmp_path / "stuff.pth")
    assert model.classes is COCO_STUFF
    assert (len(COCO_STUFF), COCO_STUFF[0].name, COCO_STUFF[91].name, COCO_STUFF[181].name) == (
        182,
        "person",
        "banner",
        "wood",
    )


# --- MobileNetV2 with other people's dilations ------------------------------------------------------------------------


def dilated_torchvision(dilations: dict[int, int], strides: dict[int, int]) -> nn.Module:
    """torchvision's MobileNetV2, whose block i (0..16) has these dilations and strides, with random statistics."""
    from torchvision.models import mobilenet_v2

    features = mobilenet_v2(weights=None).features.eval()
    for i in range(17):
        depthwise = next(m for m in features[i + 1].modules() if isinstance(m, nn.Conv2d) and m.groups > 1)
        rate, stride = dilations.get(i, 1), strides.get(i, depthwise.stride[0])
        depthwise.dilation, depthwise.padding, depthwise.stride = (rate, rate), (rate, rate), (stride, stride)
    return features


def torchvision_state(model: LoadedModel) -> dict[str, Tensor]:
    """Our backbone's tensors in torchvision's order: both networks have the same layers one after the other."""
    return dict(model.network.backbone.state_dict())


@pytest.mark.parametrize(
    ("name", "dilations", "strides"),
    [
        ("mmseg v3 MobileNetV2", {6: 2, 10: 2, 13: 4, 16: 4}, {6: 1, 13: 1}),
        ("SMP v3+ MobileNetV2", {13: 2, 14: 2, 15: 2, 16: 2}, {13: 1}),
        ("SegmenTron MobileNetV2", {}, {}),
        ("bubbliiiing MobileNetV2", {14: 2, 15: 2, 16: 2}, {13: 1}),
    ],
)
def test_mobilenets_are_dilated_as_in_the_port(
    tmp_path: Path, name: str, dilations: dict[int, int], strides: dict[int, int]
) -> None:
    model = load_checkpoint(write_variant(name, tmp_path / "model.pth"))
    peer = dilated_torchvision(dilations, strides)
    if not model.profile.backbone.last_channels:
        peer = peer[:18]
    ours, theirs = torchvision_state(model), peer.state_dict()
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]
    peer.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))
    x = torch.randn(1, 3, 64, 97)
    with torch.inference_mode():
        features, low_level = model.network.backbone(x)
        assert_same(features, peer(x))
        if low_level is not None:
            assert_same(low_level, peer[:4](x))


# --- v3 and v3+ -------------------------------------------------------------------------------------------------------


def test_group_normalisation_with_standardised_weights_is_that_of_a_torchvision_resnet(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    model = load_checkpoint(write_variant("chenxi116 GN", tmp_path / "gn.pth"))
    assert model.dialect == "chenxi116-gn-ws"
    peer = resnet50(
        norm_layer=lambda channels: nn.GroupNorm(32, channels), replace_stride_with_dilation=[False, False, True]
    ).eval()
    backbone = copy.deepcopy(model.network.backbone).double()  # group normalisation makes rounding grow in depth
    ours = backbone.state_dict()
    theirs = {key: value for key, value in peer.state_dict().items() if not key.startswith("fc.")}
    renamed = {}
    for key in theirs:
        name = re.sub(r"^layer(\d)\.", lambda found: f"stages.{int(found[1]) - 1}.", key)
        name = re.sub(r"^(conv|bn)1\.", r"stem.\1.", name).replace("downsample.0", "shortcut.conv")
        name = re.sub(r"\.(conv|bn)(\d)\.", r".conv\2.\1.", name.replace("downsample.1", "shortcut.norm"))
        value = ours[name.replace(".bn.", ".norm.")]
        if value.dim() == 4:
            rows = value.flatten(1)
            value = ((rows - rows.mean(1, keepdim=True)) / (rows.std(1, keepdim=True) + 1e-5)).view_as(value)
        renamed[key] = value
    peer.double().load_state_dict(renamed, strict=False)
    x = torch.randn(1, 3, 64, 97, dtype=torch.float64)
    with torch.inference_mode():
        y = peer.maxpool(peer.relu(peer.bn1(peer.conv1(x))))
        expected = peer.layer4(peer.layer3(peer.layer2(peer.layer1(y))))
        assert_same(backbone(x)[0], expected)
    native = Predictor(model, "cpu").native_logits(IMAGE)
    plain = model.network(torch.from_numpy(_fed(model, IMAGE)))[0].detach().numpy()
    np.testing.assert_allclose(native / plain.std(), plain / plain.std(), atol=2e-3)


def _fed(model: LoadedModel, image: np.ndarray) -> np.ndarray:
    from deeplab_studio.engine.preprocess import normalise

    return normalise(image, model.preprocessing, *image.shape[:2]).transpose(2, 0, 1)[None]


def test_mmsegmentation_names_its_classes_and_colours(tmp_path: Path) -> None:
    state = random_state(layout("mmseg v3 MobileNetV2").shapes)
    names = [f"thing {i}" for i in range(21)]
    colours = [[i, 2 * i, 3 * i] for i in range(21)]
    for i, meta in enumerate(
        ({"CLASSES": tuple(names), "PALETTE": colours}, {"dataset_meta": {"classes": names, "palette": colours}})
    ):
        model = saved({"meta": meta, "state_dict": state}, tmp_path / f"named{i}.pth")  # type: ignore[dict-item]
        assert model.classes.names == tuple(names)
        assert model.classes[5].colour == (5, 10, 15)
    for i, meta in enumerate(({"CLASSES": ["a", "b"]}, {"CLASSES": ["a"] * 21}, {"CLASSES": 3}, {"epoch": 2}, None)):
        model = saved({"meta": meta, "state_dict": state}, tmp_path / f"unnamed{i}.pth")  # type: ignore[dict-item]
        assert model.classes is VOC_LABELS


def test_auxiliary_heads_are_left_out(tmp_path: Path) -> None:
    state = random_state(layout("mmseg v3 MobileNetV2").shapes)
    extra = {"auxiliary_head.convs.0.conv.weight": torch.zeros(256, 96, 3, 3)}
    assert saved({**state, **extra}, tmp_path / "aux.pth").dialect == "mmseg"
    state = random_state(layout("SegmenTron MobileNetV2").shapes)
    assert saved({**state, "auxlayer.block.0.weight": torch.zeros(1)}, tmp_path / "aux2.pth").dialect == "segmentron"


def test_both_ages_of_smp_v3_are_one_network(tmp_path: Path) -> None:
    state = random_state(layout("SMP v3").shapes)
    new = saved(state, tmp_path / "new.pth")
    for late, early in (
        ("decoder.aspp.", "decoder.0."),
        ("decoder.conv.", "decoder.1."),
        ("decoder.bn.", "decoder.2."),
    ):
        state = {key.replace(late, early): value for key, value in state.items()}
    old = saved({f"model.{key}": value for key, value in state.items()}, tmp_path / "old.ckpt")
    x = torch.randn(1, 3, 32, 48)
    torch.testing.assert_close(scores(new, x), scores(old, x), atol=0, rtol=0)
    assert new.profile.aspp.rates == (12, 24, 36)


def test_smp_is_shown_sides_of_multiples_of_16(tmp_path: Path) -> None:
    model = load_checkpoint(write_variant("SMP v3+ MobileNetV2", tmp_path / "smp.pth"))
    assert Predictor(model, "cpu").predict(IMAGE).logits.shape[1:] == (20, 28)


def test_jfzhang95s_doubled_keys_count_once(tmp_path: Path) -> None:
    state = random_state(layout("jfzhang95 MobileNetV2").shapes)
    doubled = {}
    for key, value in state.items():
        doubled[key] = value
        if found := re.match(r"backbone\.features\.(\d+)\.", key):
            part = "low" if int(found[1]) < 4 else "high"
            doubled[key.replace("features", f"{part}_level_features", 1)] = value
    assert len(doubled) == 2 * len(state) - sum(not key.startswith("backbone.") for key in state)
    x = torch.randn(1, 3, 64, 64)
    single, double = saved(state, tmp_path / "single.pth"), saved(doubled, tmp_path / "double.pth")
    torch.testing.assert_close(scores(single, x), scores(double, x), atol=0, rtol=0)


@pytest.mark.parametrize("middle", [("xception41", 8), ("xception71", 16)])
def test_the_other_xceptions_can_be_built(middle: tuple[str, int]) -> None:
    name, units = middle
    profile = layout("SegmenTron Xception").blueprint.profile
    with torch.device("meta"):
        network = DeepLab(replace(profile, backbone=replace(profile.backbone, name=name))).eval()
        assert network(torch.empty(1, 3, 129, 129)).shape == (1, 21, 33, 33)
    identity = [block for block in network.backbone.blocks if isinstance(block.shortcut, nn.Identity)]
    assert len(identity) == units
