"""The label set editor: classes to add, rename, recolour, reorder, merge and delete, with a preview of what changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QColor
from PySide6.QtWidgets import (
    QColorDialog,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.label_texts import change_lines, effect_text, step_name
from deeplab_studio.app.mapping_dialogs import BecomesDialog, MappingDialog
from deeplab_studio.app.panels.controls import GAP, Muted, text_button
from deeplab_studio.app.panels.label_table import LabelTable
from deeplab_studio.app.panels.mapping_table import SourceRow
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.label_sets import (
    BUILT_IN,
    builtin_label_set,
    distinct_colours,
    load_label_set,
    save_label_set,
)
from deeplab_studio.core.labels import VOID, ClassMapping, Colour, LabelSet
from deeplab_studio.core.relabel import LabelDraft, changed_by

if TYPE_CHECKING:
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.project import Project

Counts = Mapping[int, Mapping[int, int]]


class LabelSetEditor(QDialog):
    """Edits the label set of the open data set; nothing changes before Apply.

    Parameters
    ----------
    session : Session
    folder : Path
        Where files of label sets are looked for first.
    parent : QWidget, optional
    """

    def __init__(self, session: Session, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Label set"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.resize(680, 620)
        self._session = session
        self._folder = folder
        self._counts: Counts | None = None
        self._uncounted = 0
        self._lane = Lane("label counts", self)
        self.draft = LabelDraft(session.label_set)

        self.name_edit = QLineEdit(self.draft.name)
        self.name_edit.setPlaceholderText(self.tr("What the label set is called"))
        self.name_edit.setAccessibleName(self.tr("Name of the label set"))
        self.name_edit.textEdited.connect(self._rename_set)
        self.table = LabelTable()
        self.table.selectionChangedByHand.connect(self._update_buttons)
        self.table.colourClicked.connect(lambda key: self.recolour([key]))
        self.table.deleteAsked.connect(self.delete_selected)
        self.table.labels.renamed.connect(self._rename)
        self.table.labels.moved.connect(self._drop)
        self._make_buttons()
        self.preview = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.preview.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.preview.setMinimumHeight(4 * self.fontMetrics().height())
        self.counting = Muted()
        self.problem = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.problem.hide()
        self.progress_bar = QProgressBar(textVisible=False)
        self.progress_bar.setAccessibleName(self.tr("Progress"))
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.hide()
        self._lay_out()
        changes = session.edits.label_changes
        changes.progressed.connect(self._on_progress)
        changes.ended.connect(self._on_ended)
        self._refresh()
        self._count()

    # What is counted

    @property
    def counts(self) -> Counts | None:
        """Pixels of every id by image; None while they are being counted."""
        return self._counts

    def _count(self) -> None:
        """Count the class maps nobody has counted yet, beside what is saved meanwhile."""
        session, project = self._session, self._session.project
        if project is None:
            self._counted({})
            return
        self.counting.setText(self.tr("Counting pixels…"))
        session.save()
        masks = dict(session.masks)

        def work(job: Job) -> Counts:
            return count_all(project, masks, job)

        # Behind what is being saved: the last stroke counts too.
        def start() -> None:
            self._lane.submit("count", work, self._counted, self._count_failed)

        session.autosave.when_tried(start)

    def _counted(self, counts: Counts) -> None:
        self._counts = counts
        self.counting.setText("")
        self.draft.set_strangers({class_id for pixels in counts.values() for class_id in pixels})
        self._refresh()

    def _count_failed(self, error: StudioError) -> None:
        self.counting.setText(str(error))

    # What the person does

    def add(self) -> None:
        """Append a class and let its name be typed."""
        colours = [row.colour for row in self.draft.rows]
        self._try(lambda: self.draft.add(self.draft.free_name(self.tr("new class")), distinct_colours(1, colours)[0]))
        known = [row for row in self.draft.rows if row.known]
        self._refresh([known[-1].key])
        self.table.edit_name(known[-1].key)

    def rename_selected(self) -> None:
        """Let the name of the selected class be typed."""
        keys = self.table.selected_keys()
        if keys:
            self.table.edit_name(keys[0])

    def recolour(self, keys: list[int]) -> None:
        """Ask for a colour for classes."""
        if not keys:
            return
        row = self.draft.row(keys[0])
        title = self.tr("Colour of {0}").format(row.name)
        colour = QColorDialog.getColor(QColor(*row.colour), self, title)
        if colour.isValid():
            rgb: Colour = (colour.red(), colour.green(), colour.blue())
            self.draft.recolour(dict.fromkeys(keys, rgb))
            self._refresh(keys)

    def make_distinct(self) -> None:
        """Give the selected classes, or all, colours that are told apart easily; the first class keeps its own."""
        chosen = self.table.selected_keys()
        known = [row for row in self.draft.rows if row.known]
        keys = chosen if len(chosen) > 1 else [row.key for row in known[1:]]
        taken = [row.colour for row in known if row.key not in keys]
        self.draft.recolour(dict(zip(keys, distinct_colours(len(keys), taken), strict=True)))
        self._refresh(chosen)

    def move_selected(self, offset: int) -> None:
        """Move the selected classes up (-1) or down (+1)."""
        keys = [key for key in self.table.selected_keys() if self.draft.row(key).known]
        last = sum(row.known for row in self.draft.rows) - 1
        places = {key: self.table.labels.row_of(key) for key in keys}
        if not keys or min(places.values()) + offset < 0 or max(places.values()) + offset > last:
            return
        for key in keys if offset < 0 else reversed(keys):
            self.draft.move(key, places[key] + offset)
        self._refresh(keys)

    def merge_selected(self) -> None:
        """Ask which class the selected ones become part of."""
        keys = self.table.selected_keys()
        if keys:
            self._remove(keys, self.tr("Merge"), void=False)

    def delete_selected(self) -> None:
        """Ask what the pixels of the selected classes become."""
        keys = self.table.selected_keys()
        if keys:
            self._remove(keys, self.tr("Delete"), void=True)

    def _remove(self, keys: list[int], verb: str, *, void: bool) -> None:
        rows = [self.draft.row(key) for key in keys]
        others = [row for row in self.draft.rows if row.known and row.key not in keys]
        counts = [self.table.labels.count(key) for key in keys]
        targets = [(row.key, row.name, row.colour) for row in others]
        dialog = BecomesDialog(
            verb, [row.name for row in rows], sum(pixels for _, pixels in counts), targets, void=void, parent=self
        )
        if dialog.exec():
            for key in keys:
                self._try(partial(self.draft.delete, key, dialog.target()))
            target = dialog.target()
            self._refresh([target] if target is not None else [])
        dialog.deleteLater()

    def replace_with(self, label_set: LabelSet) -> None:
        """Go over to another label set; where names do not say what becomes of a class, ask."""
        source = LabelSet(tuple(self.draft.label_set().classes))
        rows = self.draft.rows
        known = [row for row in rows if row.known]
        mapping = ClassMapping.between(source, label_set)
        used = {row.key for row in rows if self.table.labels.count(row.key)[1]} if self._counts is not None else None
        targets = {
            row.key: int(mapping.to_target[i]) for i, row in enumerate(known) if row.name not in mapping.unmatched
        }
        open_rows = [row for row in rows if row.key not in targets and (used is None or row.key in used)]
        if open_rows:
            sources = [SourceRow(row.key, row.name, row.colour, *self.table.labels.count(row.key)) for row in open_rows]
            dialog = MappingDialog(
                self.tr("Classes that {0} does not have").format(label_set.name or self.tr("the other label set")),
                self.tr("Say what becomes of the pixels of these classes."),
                parent=self,
            )
            dialog.table.set_rows(sources, label_set, {}, allow_new=False)
            accepted = dialog.exec()
            dialog.deleteLater()
            if not accepted:
                return
            targets |= dialog.table.targets()
        self.draft.replace_with(label_set, targets)
        self.name_edit.setText(self.draft.name)
        self._refresh()

    def load(self) -> None:
        """Ask for a file to replace the label set with."""
        filters = f"{self.tr('Label sets')} (*.json *.txt);;{self.tr('All files')} (*)"
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Load label set"), str(self._folder), filters)
        if name:
            self._folder = Path(name).parent
            try:
                self.replace_with(load_label_set(Path(name)))
            except StudioError as error:
                self._say(str(error))

    def save(self) -> None:
        """Ask for a file and write the label set as it is in the table."""
        filters = (
            f"JSON (*.json);;{self.tr('Text, a name and a colour a line')} (*.txt);;"
            f"{self.tr('CVAT labelmap')} (labelmap.txt)"
        )
        start = self._folder / f"{self.draft.name or 'label set'}.json"
        name, chosen = QFileDialog.getSaveFileName(self, self.tr("Save label set"), str(start), filters)
        if name:
            path = Path(name)
            if not path.suffix:
                path = path.with_suffix(".json" if "json" in chosen else ".txt")
            self._folder = path.parent
            try:
                save_label_set(path, self.draft.label_set())
            except StudioError as error:
                self._say(str(error))

    def apply(self) -> None:
        """Change the label set and all class maps."""
        edits = self._session.edits
        if edits.frozen or not self._has_changes():
            return
        self.problem.hide()
        edits.relabel(self.draft.relabelling(step_name(self.draft)))
        self._set_busy(edits.frozen)

    def reject(self) -> None:
        """Stop what is being applied, else close."""
        changes = self._session.edits.label_changes
        if changes.busy:
            changes.cancel()
            return
        self._lane.close()
        super().reject()

    def accept(self) -> None:
        """Close after the change."""
        self._lane.close()
        super().accept()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Cancel."""
        if self._session.edits.frozen:
            event.ignore()
        else:
            self._lane.close()
            super().closeEvent(event)

    # What comes back

    def _on_progress(self, share: float) -> None:
        self.progress_bar.setValue(round(1000 * share))

    def _on_ended(self, _step: object, _back: bool, problem: object) -> None:
        if not self.isVisible():
            return
        self._set_busy(False)
        if problem is None:
            self.accept()
        elif isinstance(problem, StudioError):
            self._say(str(problem))
        else:
            self._say(self.tr("Stopped: nothing was changed."))

    # Inside

    def _rename_set(self, name: str) -> None:
        self.draft.name = name.strip()
        self._update_preview()

    def _rename(self, key: int, name: str) -> None:
        self._try(lambda: self.draft.rename(key, name))
        self._refresh([key])

    def _drop(self, keys: list[int], place: int) -> None:
        # Each row that leaves a place above the drop shifts it up by one.
        before = sum(self.table.labels.row_of(key) < place for key in keys)
        for number, key in enumerate(keys):
            self.draft.move(key, place - before + number)
        self._refresh(keys)

    def _try(self, action: Callable[[], object]) -> None:
        self.problem.hide()
        try:
            action()
        except ValueError as error:
            text = str(error)
            self._say(f"{text[:1].upper()}{text[1:]}.")

    def _say(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.show()

    def _has_changes(self) -> bool:
        return bool(self.draft.changes().kinds) or self.draft.relabelling().moves_ids or self._strangers_changed()

    def _strangers_changed(self) -> bool:
        """Whether an id that was no class becomes another."""
        if self._counts is None:
            return False
        return changed_by(self.draft.relabelling().table, self._counts)[1] > 0

    def _refresh(self, select: list[int] | None = None) -> None:
        self.table.labels.fill(self.draft, self._counts)
        self.table.select_keys(select or [])
        self._update_preview()
        self._update_buttons()

    def _update_preview(self) -> None:
        lines = change_lines(self.draft.changes())
        if not self._has_changes():
            lines = [self.tr("Nothing is changed yet.")]
        elif self._counts is None:
            lines.append(self.tr("Counting what changes…"))
        else:
            change = self.draft.relabelling()
            lines.append(effect_text(self.draft, *changed_by(change.table, self._counts), len(self._counts)))
        if self._session.read_only:
            lines = [self.tr("The data set is open for reading only: the label set cannot be changed.")]
        self.preview.setText("\n".join(lines))
        self._update_buttons()

    def _update_buttons(self) -> None:
        busy = self._session.edits.frozen
        keys = self.table.selected_keys()
        rows = [self.draft.row(key) for key in keys if self.table.labels.row_of(key) >= 0]
        known = [row for row in rows if row.known]
        places = [self.table.labels.row_of(row.key) for row in known]
        last = sum(row.known for row in self.draft.rows) - 1
        self.rename_button.setEnabled(len(rows) == 1)
        self.colour_button.setEnabled(bool(known))
        self.merge_button.setEnabled(bool(rows) and len(known) <= last)
        self.delete_button.setEnabled(bool(rows) and len(known) <= last)
        self.up_button.setEnabled(bool(places) and min(places) > 0)
        self.down_button.setEnabled(bool(places) and max(places) < last)
        self.apply_button.setEnabled(not busy and self._has_changes() and not self._session.read_only)

    def _set_busy(self, busy: bool) -> None:
        for part in (self.name_edit, self.table, self._side, self.replace_button):
            part.setEnabled(not busy)
        self.progress_bar.setValue(0)
        self.progress_bar.setVisible(busy)
        self._update_buttons()

    def _make_buttons(self) -> None:
        self.add_button = text_button("add", self.tr("&Add"))
        self.rename_button = text_button("rename", self.tr("&Rename"))
        self.colour_button = text_button("colour", self.tr("C&olour…"))
        self.distinct_button = text_button("distinct-colours", self.tr("&Distinct colours"))
        self.up_button = text_button("up", self.tr("Move &up"))
        self.down_button = text_button("down", self.tr("Move do&wn"))
        self.merge_button = text_button("merge", self.tr("&Merge into…"))
        self.delete_button = text_button("remove", self.tr("D&elete…"))
        self.distinct_button.setToolTip(
            self.tr("Colours far from one another, for the selected classes, or for all but the first")
        )
        tip = self.tr("Gives the classes other ids; the pixels of every image follow")
        self.up_button.setToolTip(tip)
        self.down_button.setToolTip(tip)
        self.merge_button.setToolTip(self.tr("The pixels of the selected classes become another class"))
        actions: tuple[tuple[QPushButton, Callable[[], None]], ...] = (
            (self.add_button, lambda: self.add()),
            (self.rename_button, lambda: self.rename_selected()),
            (self.colour_button, lambda: self.recolour(self.table.selected_keys())),
            (self.distinct_button, lambda: self.make_distinct()),
            (self.up_button, lambda: self.move_selected(-1)),
            (self.down_button, lambda: self.move_selected(1)),
            (self.merge_button, lambda: self.merge_selected()),
            (self.delete_button, lambda: self.delete_selected()),
        )
        for button, action in actions:
            button.setAutoDefault(False)
            button.setStyleSheet("text-align: left")
            button.clicked.connect(action)
        self.replace_button = QPushButton(self.tr("Re&place with"))
        self.replace_button.setAutoDefault(False)
        menu = QMenu(self.replace_button)
        for set_id in BUILT_IN:
            self._offer(menu, builtin_label_set(set_id))
        menu.addSeparator()
        menu.addAction(self.tr("From a &file…"), self.load)
        self.replace_button.setMenu(menu)
        self.save_button = QPushButton(self.tr("&Save to file…"))
        self.save_button.setAutoDefault(False)
        self.save_button.clicked.connect(lambda: self.save())
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.apply_button = self.buttons.addButton(self.tr("Apply"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.apply_button.setDefault(True)
        self.apply_button.clicked.connect(lambda: self.apply())
        self.buttons.rejected.connect(self.reject)

    def _offer(self, menu: QMenu, label_set: LabelSet) -> None:
        text = self.tr("{0} ({1} classes)").format(label_set.name, len(label_set))
        menu.addAction(text, lambda: self.replace_with(label_set))

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(GAP)
        head.addWidget(self.name_edit, 1)
        head.addWidget(self.replace_button)
        head.addWidget(self.save_button)
        self._side = QWidget()
        side = QVBoxLayout(self._side)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(GAP // 2)
        for group in (
            (self.add_button, self.rename_button),
            (self.colour_button, self.distinct_button),
            (self.up_button, self.down_button),
            (self.merge_button, self.delete_button),
        ):
            for button in group:
                side.addWidget(button)
            side.addSpacing(GAP)
        side.addStretch(1)
        middle = QHBoxLayout()
        middle.setSpacing(GAP)
        middle.addWidget(self.table, 1)
        middle.addWidget(self._side)
        foot = QHBoxLayout()
        foot.addWidget(self.counting, 1)
        foot.addWidget(self.buttons)
        whole = QVBoxLayout(self)
        whole.setSpacing(GAP)
        whole.addLayout(head)
        whole.addLayout(middle, 1)
        whole.addWidget(self.preview)
        whole.addWidget(self.problem)
        whole.addWidget(self.progress_bar)
        whole.addLayout(foot)


def count_all(project: Project, masks: Mapping[int, Path], job: Job) -> Counts:
    """Pixels of every id in every image of a data set, counting those nobody has counted. For a worker thread.

    Parameters
    ----------
    project : Project
    masks : mapping of int to Path
        Mask files that came with the data set.
    job : Job

    Raises
    ------
    StudioError
        If the project cannot be read.
    Cancelled
    """
    from deeplab_studio.app.opening import read_own_mask
    from deeplab_studio.core.voc.masks import count_ids

    counts = {item_id: dict(figures.pixels) for item_id, figures in project.figures.all().items() if figures.pixels}
    missing = [*project.figures.uncounted(), *masks]
    for item_id in dict.fromkeys(missing):
        job.token.raise_if_cancelled()
        if item_id in counts:
            continue
        try:
            saved = project.load_map(item_id)
            labels = saved[0] if saved is not None else read_own_mask(project, masks[item_id])
        except (StudioError, KeyError):
            continue  # whoever opens the image is told
        found = count_ids(labels)
        counts[item_id] = {class_id: int(found[class_id]) for class_id in range(VOID + 1) if found[class_id]}
    return counts
