"""The dialog that brings labels of other programs in: where they are, what their classes become, how it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QCloseEvent, QFontMetrics
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.mapping_dialogs import MappingDialog
from deeplab_studio.app.panels.controls import GAP
from deeplab_studio.app.panels.mapping_table import NEW, SKIP, SourceRow
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import MAX_CLASSES, VOID, LabelClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deeplab_studio.app.label_changes import LabelStep
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.foreign import LabelSource, SourceClass, SourceCounts
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.core.project import Item
    from deeplab_studio.core.relabel import Relabelling

_LOW, _TALL = 220, 640
"""Height of the dialog before and after there is something to decide, in logical pixels."""

LEFT_OUT = ""
"""What is remembered for a class that is not taken over; no class of a data set has this name."""


@dataclass(frozen=True)
class Found:
    """What was found and counted.

    Parameters
    ----------
    source : LabelSource
    counts : SourceCounts
    labelled : frozenset of int
        Items of the data set that a person has labelled already, as far as the project knows.
    """

    source: LabelSource[Any]
    counts: SourceCounts
    labelled: frozenset[int]


class LabelImportDialog(MappingDialog):
    """Asks where labels are, counts what is there, asks what the classes become and brings them in.

    Parameters
    ----------
    session : Session
        Of the open data set.
    folder : Path
        Where to begin to look.
    parent : QWidget, optional
    """

    def __init__(self, session: Session, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent=parent)
        self.setWindowTitle(self.tr("Import labels"))
        self._session = session
        self._folder = folder
        self._lane = Lane("import", self)
        self._items: dict[Path, Item] = {}
        self._labelled: frozenset[int] = frozenset()
        self._classes: dict[int, SourceClass] = {}
        self._decided: dict[str, str | None] = {}
        self._unnamed = False
        self._step: LabelStep | None = None
        self._starting = False
        self.found: Found | None = None
        """What is being decided about; None before and while it is looked for."""
        self.path: Path | None = None
        """Where the labels are."""
        self._make_widgets()
        self._insert_widgets()
        changes = session.edits.label_changes
        changes.started.connect(self._on_change_started)
        changes.progressed.connect(self._on_progress)
        changes.ended.connect(self._on_change_ended)
        session.projectChanged.connect(self._leave)
        session.itemsChanged.connect(self._look_again)
        self._show_state()

    # What a person asks for

    def look(self, path: Path) -> None:
        """Find and count the labels in a file or folder."""
        session, project = self._session, self._session.project
        if project is None or self._step is not None:
            return
        self.path, self.found = path, None
        self.path_edit.setText(str(path))
        self.problem.hide()
        self._items = {item.path: item for item in session.items}
        photos = list(self._items)
        session.save()
        saved = session.autosave.when_tried()

        def work(job: Job) -> Found:
            from deeplab_studio.core.foreign import count_source, find_labels

            saved()
            source = find_labels(path, photos, cancel=job.token)
            counts = count_source(source, job.report, job.token)
            return Found(source, counts, frozenset(project.labels.labelled_items()))

        self._lane.submit("look", work, self._on_found, self._on_failed, on_progress=self._on_progress)
        self._busy(self.tr("Reading the labels…"))

    def stop(self) -> None:
        """Stop what is under way: looking, or bringing in."""
        if self._step is not None:
            self._session.edits.label_changes.cancel()
        elif self._lane.busy:
            self._lane.cancel("look")
            self._show_state()

    def add_missing(self) -> None:
        """Choose a class of its own for everything undecided."""
        self.table.choose([row.id for row in self.table.undecided()], NEW)

    def match_ids(self) -> None:
        """Let every class whose id the data set has become the class of that id."""
        for row in self.table.undecided():
            if row.id < len(self._session.label_set):
                self.table.choose([row.id], row.id)

    def bring_in(self) -> None:
        """Put the labels into the project."""
        from deeplab_studio.core.foreign import map_reader
        from deeplab_studio.core.project_imports import IncomingMaps

        session, found = self._session, self.found
        photos = self._photos()
        if found is None or not photos or session.edits.frozen:
            return
        change, targets = self._change(found, len(photos))
        incoming = IncomingMaps(photos, map_reader(found.source, targets))
        self._decided = self._choices(change.new, targets)
        self.problem.hide()
        self._busy(self.tr("Bringing the labels in…"))
        self._starting = True  # any other change ends this dialog
        self._step = session.edits.import_labels(change, incoming)
        self._starting = False
        if not session.edits.frozen:  # refused at once
            self._step = None
            self._show_state()

    def accept(self) -> None:
        """Return in the path looks there; otherwise bring the labels in."""
        text = self.path_edit.text().strip()
        if self.path_edit.hasFocus() and text and (self.path is None or text != str(self.path)):
            self.look(Path(text).expanduser())
        elif self.buttons.button(QDialogButtonBox.StandardButton.Ok).isEnabled():
            self.bring_in()

    def reject(self) -> None:
        """Stop what is being brought in, else close."""
        if self._step is not None:
            self.stop()
            return
        self._lane.close()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Cancel."""
        if self._step is not None:
            event.ignore()
            self.stop()
        else:
            self._lane.close()
            super().closeEvent(event)

    # What comes back

    def _on_found(self, found: Found) -> None:
        self.found = found
        session = self._session
        edited = {
            item.id
            for item in self._items.values()
            if item.state != "new" and (document := session.document(item.id)) is not None and document.edited
        }
        empty = {item.id for item in self._items.values() if item.state == "empty"}
        self._labelled = found.labelled | edited | empty | session.masks.keys()
        from deeplab_studio.core.foreign import SourceClass, match_classes

        counts = found.counts
        named = {each.id: each for each in found.source.classes}
        classes = [named.get(i) or SourceClass(i, found.source.name_of(i)) for i in range(VOID) if counts.pixels[i] > 0]
        rows = [
            SourceRow(each.id, each.name, each.colour, int(counts.images[each.id]), int(counts.pixels[each.id]))
            for each in classes
        ]
        choices = session.mappings.of_imports()
        targets = match_classes(classes, session.label_set, choices)
        targets |= {each.id: SKIP for each in classes if choices.get(each.name) == LEFT_OUT}
        self.table.set_rows(rows, session.label_set, targets, allow_skip=True)
        self._classes = {each.id: each for each in classes}
        self._unnamed = any(each.id not in named for each in classes)
        self.keep_button.setChecked(True)
        self._show_state()

    def _on_failed(self, error: StudioError) -> None:
        self._show_state()
        self._say(str(error))

    def _on_progress(self, share: float) -> None:
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setValue(round(1000 * share))

    def _on_change_started(self, _step: LabelStep) -> None:
        if not self._starting:
            self._leave()

    def _on_change_ended(self, step: LabelStep, _back: bool, problem: object) -> None:
        if step is not self._step:
            return
        self._step = None
        if problem is not None:
            self._show_state()
            if isinstance(problem, StudioError):
                self._say(str(problem))
            return
        self._remember()
        changes = self._session.edits.label_changes
        number = QLocale().toString
        text = self.tr("Labels of {0} photos imported. Undo takes it back.").format(number(changes.images))
        self._session.noticed.emit("success", text)
        if changes.problems:
            text = self.tr("{0} photos got none after all. {1}").format(len(changes.problems), changes.problems[0])
            self._session.noticed.emit("warning", text)
        self._lane.close()
        super().accept()

    def _remember(self) -> None:
        from deeplab_studio.core.project_labels import MAPPINGS

        session = self._session
        session.mappings.decide_imports(self._decided)
        if session.project is not None:
            session.autosave.save_setting(session.project, MAPPINGS, session.mappings.saved())

    def _look_again(self) -> None:
        """Other photos are open now."""
        if self.path is not None and self._step is None:
            self.look(self.path)

    def _leave(self) -> None:
        """Class ids are about to mean something else, or another data set is open."""
        self._lane.close()
        super().reject()

    # What it comes to

    def _photos(self) -> dict[int, Path]:
        """The photos that get labels, by item."""
        if self.found is None:
            return {}
        items = [self._items[photo] for photo in self.found.counts.usable]
        replace = self.replace_button.isChecked()
        return {item.id: item.path for item in items if replace or item.id not in self._labelled}

    def _change(self, found: Found, images: int) -> tuple[Relabelling, dict[int, int | None]]:
        """The classes to add, and what every class found becomes; None for those left out."""
        from deeplab_studio.core.relabel import Relabelling, with_classes

        label_set = self._session.label_set
        chosen = self.table.targets()
        fresh = self._new_rows()
        wanted = [LabelClass(self._classes[i].name, self._classes[i].colour or label_set[0].colour) for i in fresh]
        change, ids = with_classes(label_set, wanted)
        places = dict(zip(fresh, ids, strict=True))
        targets = {i: None if t == SKIP else places[i] if t == NEW else t for i, t in chosen.items()}
        words = self.tr("Import labels of 1 photo") if images == 1 else self.tr("Import labels of {0} photos")
        name = words.format(QLocale().toString(images))
        return Relabelling(change.old, change.new, change.table, name), targets

    def _choices(self, label_set: LabelSet, targets: Mapping[int, int | None]) -> dict[str, str | None]:
        """What to remember, by name."""

        def name(target: int | None) -> str | None:
            if target is None:
                return LEFT_OUT
            return None if target == VOID else label_set[target].name

        return {self._classes[i].name: name(target) for i, target in targets.items()}

    def _new_rows(self) -> list[int]:
        return sorted(source for source, target in self.table.targets().items() if target == NEW)

    # What is shown

    def _update(self) -> None:
        """Something else is chosen."""
        super()._update()
        if not hasattr(self, "add_button"):
            return  # still being built
        room = MAX_CLASSES - len(self._session.label_set) - len(self._new_rows())
        undecided = len(self.table.undecided())
        ready = self.found is not None and not undecided and room >= 0 and bool(self._photos())
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(ready and self._step is None)
        self.add_button.setEnabled(0 < undecided <= room)
        self.ids_button.setEnabled(undecided > 0)
        self._show_summary()

    def _show_summary(self) -> None:
        found = self.found
        if found is None:
            return
        usable = [self._items[photo].id for photo in found.counts.usable]
        kept = sum(item_id in self._labelled for item_id in usable)
        problems = [*found.source.problems, *found.counts.problems]
        without = len(self._items) - len(found.source.photos)
        lines = [_several(len(self._photos()), self.tr("1 photo gets labels."), self.tr("{0} photos get labels."))]
        if problems:
            lines.append(_several(len(problems), self.tr("1 cannot be used."), self.tr("{0} cannot be used.")))
        if without > 0:
            lines.append(_several(without, self.tr("There are none for 1."), self.tr("There are none for {0}.")))
        self.summary.setText(" ".join(lines))
        self._choice.setVisible(kept > 0)
        self.kept_label.setText(
            _several(kept, self.tr("1 has a class map already:"), self.tr("{0} have a class map already:"))
        )
        notes = found.counts.notes
        text = _paragraphs(
            (self.tr("Cannot be used"), [str(problem) for problem in problems]), (self.tr("Good to know"), notes)
        )
        if text != self.details.toPlainText():
            self.details.setPlainText(text)
            self.details_button.setChecked(bool(problems))
        self.details_button.setVisible(bool(text))
        self._show_details()

    def _show_details(self) -> None:
        self.details.setVisible(self.found is not None and self.details_button.isChecked())

    def _busy(self, text: str) -> None:
        self.progress_label.setText(text)
        self.progress_bar.setRange(0, 0)
        self._show_state(busy=True)

    def _show_state(self, *, busy: bool = False) -> None:
        """Bring every part in line with how far it is."""
        found = self.found
        if found is None:
            from deeplab_studio.core.foreign.find import KNOWN

            text = self.tr("Choose the file or folder with the labels of the open photos: {0}.").format(KNOWN)
        else:
            text = self.tr(
                "{0}: say what every class becomes. Equal names are matched, and what was chosen once is remembered."
            ).format(_capital(found.source.format))
        self.note.setText(text)
        progress: tuple[QWidget, ...] = (self.progress_bar, self.progress_label, self.stop_button)
        inputs: tuple[QWidget, ...] = (self.path_edit, self.folder_button, self.file_button, self.table)
        results: tuple[QWidget, ...] = (self.summary, self.details_button, self.add_button)
        for part in progress:
            part.setVisible(busy)
        for part in inputs:
            part.setEnabled(not busy)
        self.table.setVisible(found is not None)
        for part in results:
            part.setVisible(found is not None and not busy)
        self._choice.setVisible(False)
        self.ids_button.setVisible(self._unnamed and found is not None and not busy)
        self.details.setVisible(False)
        self._filler.setVisible(found is None)
        self.resize(self.width(), _TALL if found is not None else _LOW)
        self.buttons.setEnabled(not busy or self._step is None)
        if busy:
            self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(False)
        else:
            self._update()

    def _say(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.show()

    # How it is made

    def _make_widgets(self) -> None:
        self.path_edit = QLineEdit()
        self.path_edit.setPlaceholderText(self.tr("File or folder"))
        self.path_edit.setAccessibleName(self.tr("File or folder with the labels"))
        self.folder_button = self._button(self.tr("&Folder…"), self._choose_folder)
        self.file_button = self._button(self.tr("F&ile…"), self._choose_file)
        self.problem = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.problem.hide()
        self.progress_label = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.progress_bar = QProgressBar(textVisible=False)
        self.progress_bar.setAccessibleName(self.tr("Progress"))
        self.stop_button = self._button(self.tr("Stop"), self.stop)
        self.summary = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.kept_label = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.keep_button = QRadioButton(self.tr("&keep it"))
        self.replace_button = QRadioButton(self.tr("&replace it"))
        self.keep_button.setChecked(True)
        group = QButtonGroup(self)
        group.addButton(self.keep_button)
        group.addButton(self.replace_button)
        self.replace_button.toggled.connect(lambda _on: self._update())
        self.details_button = self._button(self.tr("&Details"), self._show_details)
        self.details_button.setCheckable(True)
        self.details = QPlainTextEdit(readOnly=True)
        self.details.setAccessibleName(self.tr("Details"))
        self.details.setFixedHeight(7 * QFontMetrics(self.details.font()).lineSpacing())
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        ok.setText(self.tr("Import"))
        ok.setDefault(True)
        self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.ids_button = QPushButton(self.tr("Match by i&d"))
        self.ids_button.setToolTip(self.tr("Class 0 becomes the first class of the data set, class 1 the second, …"))
        self.ids_button.clicked.connect(self.match_ids)
        add_button = QPushButton(self.tr("&Add missing classes"))
        add_button.setToolTip(self.tr("Every class that is undecided becomes a class of the data set"))
        add_button.clicked.connect(self.add_missing)
        self.add_tool(self.ids_button)
        self.add_tool(add_button)
        self.add_button = add_button

    def _button(self, text: str, act: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.clicked.connect(lambda _checked: act())
        return button

    def _insert_widgets(self) -> None:
        whole = self.layout()
        assert isinstance(whole, QVBoxLayout)
        where = QHBoxLayout()
        where.setSpacing(GAP)
        where.addWidget(self.path_edit, 1)
        where.addWidget(self.folder_button)
        where.addWidget(self.file_button)
        doing = QHBoxLayout()
        doing.setSpacing(GAP)
        doing.addWidget(self.progress_label)
        doing.addWidget(self.progress_bar, 1)
        doing.addWidget(self.stop_button)
        self._choice = QWidget()
        choice = QHBoxLayout(self._choice)
        choice.setContentsMargins(0, 0, 0, 0)
        choice.setSpacing(2 * GAP)
        choice.addWidget(self.kept_label)
        choice.addWidget(self.keep_button)
        choice.addWidget(self.replace_button)
        choice.addStretch(1)
        result = QHBoxLayout()
        result.setSpacing(GAP)
        result.addWidget(self.summary, 1)
        result.addWidget(self.details_button, 0, Qt.AlignmentFlag.AlignTop)
        self._filler = QWidget()
        whole.insertLayout(0, where)
        whole.insertWidget(1, self.problem)
        last = whole.count() - 1
        whole.insertWidget(last, self._filler, 1)
        whole.insertLayout(last + 1, doing)
        whole.insertLayout(last + 2, result)
        whole.insertWidget(last + 3, self._choice)
        whole.insertWidget(last + 4, self.details)

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Folder with labels"), str(self._start()))
        if name:
            self.look(Path(name))

    def _choose_file(self) -> None:
        filters = f"{self.tr('Labels')} (*.json *.png);;{self.tr('All files')} (*)"
        name, _ = QFileDialog.getOpenFileName(self, self.tr("File with labels"), str(self._start()), filters)
        if name:
            self.look(Path(name))

    def _start(self) -> Path:
        if self.path is None:
            return self._folder
        return self.path if self.path.is_dir() else self.path.parent


def _several(count: int, one: str, many: str) -> str:
    return one if count == 1 else many.format(QLocale().toString(count))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _paragraphs(*groups: tuple[str, Sequence[str]]) -> str:
    """Lines under headings, those without any left out."""
    return "\n\n".join("\n".join([f"{title} ({len(lines)})", *lines]) for title, lines in groups if lines)
