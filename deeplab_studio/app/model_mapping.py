"""The mapping screen: what the classes of a model become in the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QPushButton, QWidget

from deeplab_studio.app.class_mappings import Choices
from deeplab_studio.app.label_texts import added_name
from deeplab_studio.app.mapping_dialogs import MappingDialog
from deeplab_studio.app.panels.mapping_table import NEW, SourceRow
from deeplab_studio.core.labels import MAX_CLASSES, VOID, ClassMapping, LabelSet
from deeplab_studio.core.relabel import Relabelling, with_classes

if TYPE_CHECKING:
    from deeplab_studio.app.predictions import ModelInfo


class ModelMappingDialog(MappingDialog):
    """Model's classes on the left, the data set's on the right, matched by name where they can be.

    Parameters
    ----------
    model : ModelInfo
    label_set : LabelSet
        The data set's.
    choices : mapping of str to str or None
        What was decided before.
    parent : QWidget, optional
    """

    def __init__(self, model: ModelInfo, label_set: LabelSet, choices: Choices, parent: QWidget | None = None) -> None:
        super().__init__("", "", complete=False, parent=parent)
        self.setWindowTitle(self.tr("Classes of {0}").format(model.title))
        self.model = model
        self._label_set = label_set
        text = self.tr(
            "Say which class of the data set each class of the model becomes. Equal names are matched. "
            "Pixels of classes left undecided become {0}; those of void are left out."
        )
        self.note.setText(text.format(label_set[0].name))
        self.match_button = QPushButton(self.tr("&Match by name"))
        self.match_button.setToolTip(self.tr("Forget what was chosen here and match equal names"))
        self.match_button.clicked.connect(lambda: self._fill({}))
        self.add_button = QPushButton(self.tr("&Add missing classes"))
        self.add_button.setToolTip(self.tr("Every class that is undecided becomes a class of the data set"))
        self.add_button.clicked.connect(lambda: self.add_missing())
        self.add_tool(self.match_button)
        self.add_tool(self.add_button)
        self._fill(choices)

    def add_missing(self) -> None:
        """Choose a class of its own for everything undecided."""
        self.table.choose([row.id for row in self.table.undecided()], NEW)

    def additions(self) -> Relabelling | None:
        """The change of the label set this needs; None if no class is to be added."""
        rows = self._new_rows()
        if not rows:
            return None
        classes = self.model.classes
        change, _ = with_classes(self._label_set, [classes[row] for row in rows])
        return Relabelling(change.old, change.new, change.table, added_name([classes[row].name for row in rows]))

    def choices(self, label_set: LabelSet) -> dict[str, str | None]:
        """What was decided other than by equal names.

        Parameters
        ----------
        label_set : LabelSet
            The data set's, with the classes of `additions`.
        """
        by_name = self._by_name(label_set)
        fresh = dict(zip(self._new_rows(), range(len(self._label_set), len(label_set)), strict=False))
        chosen: dict[str, str | None] = {}
        for source, target in self.table.targets().items():
            target = fresh.get(source, target)
            if target != by_name.get(source):
                chosen[self.model.classes[source].name] = None if target == VOID else label_set[target].name
        return chosen

    def _new_rows(self) -> list[int]:
        return sorted(source for source, target in self.table.targets().items() if target == NEW)

    def _by_name(self, label_set: LabelSet) -> dict[int, int]:
        mapping = ClassMapping.between(self.model.classes, label_set)
        names = self.model.classes.names
        return {i: int(mapping.to_target[i]) for i, name in enumerate(names) if name not in mapping.unmatched}

    def _fill(self, choices: Choices) -> None:
        label_set, classes = self._label_set, self.model.classes
        mapping = ClassMapping.between(classes, label_set, choices)
        targets = {
            i: int(mapping.to_target[i]) for i, name in enumerate(classes.names) if name not in mapping.unmatched
        }
        rows = [SourceRow(i, label.name, label.colour) for i, label in enumerate(classes)]
        self.table.set_rows(rows, label_set, targets)

    def _update(self) -> None:
        super()._update()
        if hasattr(self, "add_button"):
            room = MAX_CLASSES - len(self._label_set) - len(self._new_rows())
            open_rows = len(self.table.undecided())
            self.add_button.setEnabled(0 < open_rows <= room)
