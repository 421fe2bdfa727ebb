"""What a person decided about the classes of models that the data set calls otherwise, or does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deeplab_studio.core.labels import ClassMapping

if TYPE_CHECKING:
    from deeplab_studio.app.predictions import ModelInfo
    from deeplab_studio.core.labels import LabelSet

Choices = Mapping[str, str | None]
"""Name of the data set's class by name of the model's; None for void. Names left out are matched by themselves."""

IMPORTS = "imported labels"
"""Stands for a model where labels from elsewhere are meant, whatever file they were in."""


class ClassMappings:
    """The decisions of the data set that is open, by model. They are kept in its project."""

    def __init__(self) -> None:
        self._by_model: dict[str, dict[str, str | None]] = {}

    def load(self, mappings: Mapping[str, Choices]) -> None:
        """Take over what a project remembers."""
        self._by_model = {model: dict(choices) for model, choices in mappings.items()}

    def saved(self) -> dict[str, dict[str, str | None]]:
        """What the project is to remember."""
        return {model: dict(choices) for model, choices in self._by_model.items()}

    def choices(self, model: ModelInfo) -> Choices:
        """What was decided about a model."""
        return self._by_model.get(_key(model), {})

    def decide(self, model: ModelInfo, choices: Choices) -> None:
        """Remember what becomes of a model's classes."""
        self._by_model[_key(model)] = dict(choices)

    def of_imports(self) -> Choices:
        """What was decided about classes of labels from elsewhere; "" for one that is left out."""
        return self._by_model.get(IMPORTS, {})

    def decide_imports(self, choices: Choices) -> None:
        """Remember more about classes of labels from elsewhere."""
        self._by_model[IMPORTS] = {**self.of_imports(), **choices}

    def between(self, model: ModelInfo | None, label_set: LabelSet) -> ClassMapping:
        """How a model's classes become those of the data set; without a model every class stays."""
        if model is None:
            return ClassMapping.between(label_set, label_set)
        return ClassMapping.between(model.classes, label_set, self.choices(model))


def _key(model: ModelInfo) -> str:
    return model.sha256 or model.model_id
