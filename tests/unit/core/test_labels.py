from __future__ import annotations

import numpy as np
import pytest

from deeplab_studio.core.labels import VOC_LABELS, ClassMapping, LabelClass, LabelSet, is_background, voc_palette


def test_the_palette_is_vocs() -> None:
    palette = voc_palette()
    assert palette[[0, 1, 2, 3, 4, 8, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [64, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    assert not palette.flags.writeable


def test_voc_has_its_classes_in_order() -> None:
    assert len(VOC_LABELS) == 21
    assert VOC_LABELS.names[0] == "background"
    assert VOC_LABELS.names[15] == "person"
    assert VOC_LABELS[20].colour == (0, 64, 128)


def test_a_sets_own_colours_win_over_vocs() -> None:
    labels = LabelSet((LabelClass("ground", (1, 2, 3)), LabelClass("sky", (4, 5, 6))))
    palette = labels.palette()
    assert palette[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.array_equal(palette[2:], voc_palette()[2:])


def test_every_value_has_a_name_to_read() -> None:
    assert VOC_LABELS.name_of(12) == "dog"
    assert VOC_LABELS.name_of(255) == "void"
    assert VOC_LABELS.name_of(77) == "class 77"


@pytest.mark.parametrize("names", [[], ["a", "b", "a"], [" "], [f"c{i}" for i in range(256)]])
def test_sets_that_cannot_be_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="class"):
        LabelSet.from_names(names)


def test_colours_are_checked() -> None:
    with pytest.raises(ValueError, match="colour"):
        LabelClass("a", (0, 0, 256))


def test_classes_of_a_model_become_the_projects_by_name() -> None:
    model = LabelSet.from_names(["background", "TV monitor", "dog", "unicorn"])
    project = LabelSet.from_names(["background", "dog", "tv_monitor", "road"])
    mapping = ClassMapping.between(model, project)
    assert mapping.to_target[[0, 1, 2, 3, 255]].tolist() == [0, 2, 1, 0, 255]
    assert mapping.to_source[[0, 1, 2, 3, 255]].tolist() == [0, 2, 1, -1, -1]
    assert mapping.unmatched == ("unicorn",)


def test_the_same_set_maps_onto_itself() -> None:
    mapping = ClassMapping.between(VOC_LABELS, VOC_LABELS)
    assert mapping.to_target[:21].tolist() == list(range(21))
    assert mapping.to_source[:21].tolist() == list(range(21))
    assert mapping.unmatched == ()


@pytest.mark.parametrize(
    ("name", "expected"), [("background", True), ("_background_", True), ("Unlabelled", True), ("road", False)]
)
def test_the_background_is_known_by_its_name(name: str, expected: bool) -> None:
    assert is_background(name) is expected
