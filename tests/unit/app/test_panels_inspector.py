from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.panels.inspector import InspectorPanel
from deeplab_studio.checkpoints import Preprocessing, SizeRule
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.engine.anatomy import Anatomy, backbone_title, examine
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile
from tests.starter_kit import card_of

LABELS = LabelSet.from_names(["class 0", "class 1", "class 2"])


def anatomy(height: int = 375, width: int = 500, backbone: str = "resnet50") -> Anatomy:
    profile = Profile(
        version="v3",
        backbone=BackboneProfile(name=backbone, output_stride=8),
        aspp=AsppProfile(rates=(12, 24, 36)),
        num_classes=3,
        head_conv=True,
    )
    how = Preprocessing(divisor=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), size=SizeRule("native"))
    return examine(profile, how, height, width)


@pytest.fixture
def panel(qtbot: QtBot) -> InspectorPanel:
    panel = InspectorPanel()
    qtbot.addWidget(panel)
    panel.resize(800, 600)
    panel.show()
    panel.show_model("DeepLabv3 ResNet-50", "v3", "/models/mine.pth", LABELS)
    return panel


def cells(panel: InspectorPanel, row: int) -> list[str]:
    items = [panel.atrous.item(row, column) for column in range(panel.atrous.columnCount())]
    return [item.text() if item is not None else "" for item in items]


def test_it_shows_a_sentence_until_there_is_a_model(qtbot: QtBot) -> None:
    panel = InspectorPanel()
    qtbot.addWidget(panel)
    panel.show()
    assert panel.message.isVisible()
    assert not panel.title.isVisible()


def test_facts_of_a_model(panel: InspectorPanel) -> None:
    panel.show_anatomy(anatomy(), "ResNet-50", renamed=False)
    texts = {key: label.text() for key, label in panel.facts.items()}
    assert panel.title.text() == "DeepLabv3 ResNet-50"
    assert texts["backbone"] == "ResNet-50"
    assert texts["stride"] == "8"
    assert texts["photo"] == "500 × 375, seen at 500 × 375"
    assert texts["scores"] == "63 × 47, stride 8"
    assert texts["receptive_field"] == "1,019 px, and the whole image through pooling"
    assert texts["multiply_adds"].endswith("billion")
    assert panel.facts["multiply_adds"].toolTip().count(",") == 3


def test_rates_and_what_they_become_at_this_size(panel: InspectorPanel) -> None:
    panel.show_anatomy(anatomy(200, 200), "ResNet-50", renamed=False)
    last = cells(panel, panel.atrous.rowCount() - 1)
    assert last == ["aspp.branches.3", "1", "3×3", "36", "73×73", "25 × 25", "11 %", "1×1"]
    (warning,) = panel.warning_texts()
    assert warning.startswith("aspp.branches.3: rate 36 exceeds the feature map of 25 × 25.")
    assert warning.endswith("The 3×3 kernel works as 1×1; 11 % of its taps are valid.")
    panel.show_anatomy(anatomy(500, 500), "ResNet-50", renamed=False)
    assert panel.warning_texts() == []


def test_tables_without_rows_cannot_be_chosen(panel: InspectorPanel) -> None:
    panel.show_anatomy(anatomy(), "ResNet-50", renamed=False)
    assert not panel.tabs.isTabEnabled(1)
    panel.show_anatomy(anatomy(backbone="mobilenet_v2"), "MobileNetV2", renamed=False)
    assert panel.tabs.isTabEnabled(1)
    part, saved = panel.separable.item(0, 0), panel.separable.item(0, 4)
    assert part is not None
    assert saved is not None
    assert (part.text(), saved.text()[-2:]) == ("backbone", " %")


def test_large_photos_are_said_to_go_in_tiles(panel: InspectorPanel) -> None:
    panel.show_anatomy(anatomy(3000, 4000), "ResNet-50", renamed=False)
    assert panel.facts["photo"].text() == "4000 × 3000, in tiles of 1024 × 1024"
    assert panel.facts["multiply_adds"].text().endswith("billion per tile")


def test_names_can_be_typed_and_used(qtbot: QtBot, panel: InspectorPanel) -> None:
    assert not panel.apply_button.isEnabled()
    for row, name in enumerate(("background", " cat ", "개")):
        item = panel.classes.item(row, 1)
        assert item is not None
        item.setText(name)
    assert panel.apply_button.isEnabled()
    with qtbot.waitSignal(panel.classNamesChosen) as chosen:
        panel.apply_button.click()
    assert chosen.args == [("background", "cat", "개")]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("a", "", "c"), "Every class needs a name."),
        (("a", "a", "c"), "Two classes are called “a”."),
        (("a", "b"), "2 names were read, the model has 3 outputs."),
        (("a", "b", "c", "d"), "4 names were read, the model has 3 outputs."),
    ],
)
def test_names_that_do_not_fit_are_told(panel: InspectorPanel, names: tuple[str, ...], problem: str) -> None:
    panel.set_names(names)
    assert panel.names_problem.text() == problem
    assert not panel.apply_button.isEnabled()


def test_names_of_the_file_can_be_had_again(qtbot: QtBot, panel: InspectorPanel) -> None:
    panel.show_anatomy(anatomy(), "ResNet-50", renamed=True)
    with qtbot.waitSignal(panel.classNamesReset):
        panel.reset_button.click()
    panel.show_anatomy(anatomy(), "ResNet-50", renamed=False)
    assert not panel.reset_button.isEnabled()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("resnet101", "ResNet-101"),
        ("xception65", "Xception-65"),
        ("vgg16", "VGG-16"),
        ("mobilenet_v3_large", "MobileNetV3-Large"),
        ("drn_d_54", "DRN-D-54"),
        ("something_else", "something_else"),
    ],
)
def test_backbones_are_called_what_people_call_them(name: str, title: str) -> None:
    assert backbone_title(name) == title


def test_of_a_starter_it_says_which_classes_it_hardly_knows(panel: InspectorPanel, tmp_path: Path) -> None:
    assert not panel.about.isVisible()
    (tmp_path / "starter-v3.safetensors").write_bytes(b"weights")
    panel.show_anatomy(anatomy(), "ResNet-50", False, card_of(tmp_path / "starter-v3.safetensors", "v3"))
    assert panel.about.isVisible()
    description, knows, hardly = panel.about.text().splitlines()
    assert description == "The v3 head on a compact encoder."
    assert knows == "Knows background 60.0 %, cat 60.0 %, dog 60.0 %, person 60.0 %."
    assert hardly.startswith("Hardly knows aeroplane, bicycle, bird,")
    panel.show_anatomy(anatomy(), "ResNet-50", renamed=False)
    assert not panel.about.isVisible()
