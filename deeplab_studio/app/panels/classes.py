"""The panel of classes: which one is painted, which are shown, and which must not change."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, QRect, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QHelpEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.class_rows import VOID, ClassDelegate, ClassModel, ClassState, Part, share_text
from deeplab_studio.app.panels.controls import GAP, icon_button

if TYPE_CHECKING:
    from deeplab_studio.core.labels import LabelSet

EVERYTHING, UNLABELLED, CHOSEN = range(3)
"""Rows of the rule chooser."""

LONG = 24
"""From this many classes on there is a filter."""

_ALL = frozenset(range(256))


class ClassList(QListView):
    """The list itself: every part of a row answers to its own click.

    Attributes
    ----------
    partClicked : Signal(int, Part, bool)
        Class id, part, and whether Alt was held. A press on an eye, lock or check mark that is dragged over other rows
        gives them the same.
    """

    partClicked = Signal(int, object, bool)
    swept = Signal(int, object)
    menuAsked = Signal(int, QPoint)

    def __init__(self, model: ClassModel, state: ClassState, parent: QWidget) -> None:
        super().__init__(parent)
        self._state, self._classes = state, model
        self._rows = ClassDelegate(state, model, self)
        self._sweep: Part | None = None
        self._swept: set[int] = set()
        self.setModel(model)
        self.setItemDelegate(self._rows)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAcceptDrops(False)

    def row_height(self) -> int:
        """Height of a row in logical pixels."""
        return self._rows.row_height()

    def part_rect(self, class_id: int, part: Part) -> QRect:
        """Where on the viewport a part of a row is."""
        row = self.visualRect(self._classes.index(self._classes.row_of(class_id)))
        return self._rows.areas(row)[part]

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Clicks beside the name act on the class without making it the active one."""
        hit = self._hit(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and hit is not None and hit[1] is not Part.NAME:
            class_id, part = hit
            alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
            self._sweep = part if part is not Part.SOLO and not alt else None
            self._swept = {class_id}
            self.partClicked.emit(class_id, part, alt)
            event.accept()
            return
        self._sweep = None
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Carry the first click's effect along."""
        if self._sweep is not None and event.buttons() & Qt.MouseButton.LeftButton:
            hit = self._hit(event.position().toPoint())
            if hit is not None and hit[0] not in self._swept:
                self._swept.add(hit[0])
                self.swept.emit(hit[0], self._sweep)
            return
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End of a sweep."""
        if self._sweep is not None:
            self._sweep = None
            return
        super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A fast second click on an eye is a second click."""
        self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space shows and hides the row."""
        index = self.currentIndex()
        if event.key() == Qt.Key.Key_Space and index.isValid():
            self.partClicked.emit(self._classes.ids[index.row()], Part.EYE, False)
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of the row under the pointer, or of the current row."""
        index = self.indexAt(event.pos())
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
        if index.isValid():
            self.menuAsked.emit(self._classes.ids[index.row()], event.globalPos())

    def viewportEvent(self, event: QEvent) -> bool:
        """Tooltips by part of the row."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            hit = self._hit(event.pos())
            QToolTip.showText(event.globalPos(), self._tip(*hit) if hit is not None else "", self.viewport())
            return True
        return super().viewportEvent(event)

    def _hit(self, pos: QPoint) -> tuple[int, Part] | None:
        index = self.indexAt(pos)
        if not index.isValid():
            return None
        return self._classes.ids[index.row()], self._rows.part_at(self.visualRect(index), pos.x())

    def _tip(self, class_id: int, part: Part) -> str:
        state, name = self._state, self._classes.name(class_id)
        if part is Part.EYE:
            text = self.tr("Show {0}") if class_id in state.hidden else self.tr("Hide {0}")
            return "\n".join((text.format(name), self.tr("Drag over the eyes for several; Alt+click: this one alone")))
        if part is Part.SOLO:
            alone = state.soloed() == class_id
            return (self.tr("Show the others again") if alone else self.tr("Show {0} alone")).format(name)
        if part is Part.LOCK:
            locked = class_id in state.protected
            return (self.tr("Let tools change {0} again") if locked else self.tr("Protect {0} from the tools")).format(
                name
            )
        if part is Part.CHOSEN:
            return self.tr("Whether tools may paint over {0}").format(name)
        lines = [f"{class_id}  {name}"]
        if class_id == VOID:
            lines.append(self.tr("255: pixels nobody has to decide, such as the seam around an object."))
            lines.append(self.tr("They are hatched, and left out of training and scoring."))
        elif state.is_stranger(class_id):
            lines.append(self.tr("In this image, but not in the label set"))
        if class_id in state.keys:
            lines.append(self.tr("Key {0}").format(state.keys[class_id]))
        if share := share_text(state.present.get(class_id, 0)):
            lines.append(self.tr("{0} of the image").format(share))
        return "\n".join(lines)


class ClassesPanel(QWidget):
    """The classes of the label set, and void.

    Attributes
    ----------
    activeChanged : Signal(int)
        The person chose a class to paint.
    hiddenChanged : Signal(frozenset)
        Ids not to be shown. For one class alone these are all the other ids there can be.
    protectedChanged : Signal(frozenset)
        Ids the tools must not change.
    onlyOverChanged : Signal(object)
        Ids the tools may change, as a frozenset; None for all.
    editRequested : Signal()
        The person wants to edit the label set.
    """

    activeChanged = Signal(int)
    hiddenChanged = Signal(object)
    protectedChanged = Signal(object)
    onlyOverChanged = Signal(object)
    editRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = ClassState()
        self._model = ClassModel(self._state, self)
        self._hidden_before_solo: frozenset[int] = frozenset()
        self._chosen: frozenset[int] = frozenset({0})
        self._sweep_to = False
        self._quiet = False

        self.filter_edit = QLineEdit()
        self.filter_edit.setPlaceholderText(self.tr("Filter classes"))
        self.filter_edit.setAccessibleName(self.tr("Filter classes"))
        self.filter_edit.setClearButtonEnabled(True)
        self.filter_edit.addAction(icon("search", tone="muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.filter_edit.textChanged.connect(self._refill)
        self.filter_edit.returnPressed.connect(self._take_first)
        self.present_button = icon_button("picture", self.tr("Only classes in this image"), checkable=True)
        self.present_button.toggled.connect(self._refill)

        self.list = ClassList(self._model, self._state, self)
        self.list.setAccessibleName(self.tr("Classes"))
        self.list.partClicked.connect(self._part_clicked)
        self.list.swept.connect(self._swept)
        self.list.menuAsked.connect(self._open_menu)
        self.list.selectionModel().currentChanged.connect(self._current_changed)

        self.rule_box = QComboBox()
        self.rule_box.setAccessibleName(self.tr("What the tools may paint over"))
        self.rule_box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.rule_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.rule_box.setMinimumContentsLength(8)
        self.rule_box.addItems([self.tr("Everything"), "", self.tr("Chosen classes")])
        self.rule_box.activated.connect(self._rule_chosen)
        self.edit_button = icon_button("label-set", self.tr("Edit the label set"))
        self.edit_button.clicked.connect(self.editRequested)
        self.show_all_button = icon_button("shown", self.tr("Show all classes"))
        self.show_all_button.clicked.connect(lambda: self._change_hidden(frozenset()))
        self.unprotect_button = icon_button("unprotected", self.tr("Protect no class"))
        self.unprotect_button.clicked.connect(lambda: self._change_protected(frozenset()))
        self._lay_out()
        self._refresh()

    # Setters: none of them emits a signal

    def set_label_set(self, label_set: LabelSet) -> None:
        """List the classes of `label_set`."""
        self._state.label_set = label_set
        self.filter_edit.clear()
        self._filter_bar.setVisible(len(label_set) >= LONG)
        self.rule_box.setItemText(UNLABELLED, self.tr("Only {0}").format(label_set[0].name))
        self.rule_box.setItemData(
            UNLABELLED, self.tr("Only pixels that are class 0 so far"), Qt.ItemDataRole.ToolTipRole
        )
        self._refill()

    def set_active(self, class_id: int) -> None:
        """Mark the class that is painted."""
        self._state.active = class_id
        self._show_active()

    def set_present(self, shares: Mapping[int, float]) -> None:
        """Say how much of the image each class covers: share 0..1 by id; classes left out cover nothing."""
        self._state.present = {class_id: share for class_id, share in shares.items() if share > 0}
        self._refill()

    def set_hidden(self, hidden: Iterable[int]) -> None:
        """Show which classes are hidden."""
        self._state.hidden = frozenset(hidden)
        self._refresh()

    def set_protected(self, protected: Iterable[int]) -> None:
        """Show which classes are protected."""
        self._state.protected = frozenset(protected)
        self._refresh()

    def set_only_over(self, only_over: Iterable[int] | None) -> None:
        """Show what may be painted over; None for everything."""
        state = self._state
        state.only_over = None if only_over is None else frozenset(only_over)
        if state.only_over is None:
            rule = EVERYTHING
        elif state.only_over == {0} and not state.choosing:
            rule = UNLABELLED
        else:
            rule, self._chosen = CHOSEN, state.only_over
        state.choosing = rule == CHOSEN
        with QSignalBlocker(self.rule_box):
            self.rule_box.setCurrentIndex(rule)
        self._refresh()

    def set_keys(self, keys: Mapping[int, str]) -> None:
        """Show which key chooses which class; by default the digit that is the class's id."""
        self._state.keys = dict(keys)
        self._refresh()

    # Getters

    @property
    def active(self) -> int:
        """The class that is painted."""
        return self._state.active

    @property
    def hidden(self) -> frozenset[int]:
        """Ids not shown."""
        return self._state.hidden

    @property
    def protected(self) -> frozenset[int]:
        """Ids the tools must not change."""
        return self._state.protected

    @property
    def only_over(self) -> frozenset[int] | None:
        """Ids the tools may change; None for all."""
        return self._state.only_over

    def solo(self, class_id: int) -> None:
        """Show one class alone, or all as before if it is alone already; emits `hiddenChanged`."""
        if self._state.soloed() == class_id:
            self._change_hidden(self._hidden_before_solo)
            return
        if self._state.soloed() is None:
            self._hidden_before_solo = self._state.hidden - {class_id}
        self._change_hidden(_ALL - {class_id})

    # What the person does

    def _part_clicked(self, class_id: int, part: Part, alt: bool) -> None:
        state = self._state
        if part is Part.SOLO or (part is Part.EYE and alt):
            self.solo(class_id)
        elif part is Part.EYE:
            self._change_hidden(state.hidden ^ {class_id})
        elif part is Part.LOCK:
            self._change_protected(state.protected ^ {class_id})
        elif part is Part.CHOSEN:
            self._change_chosen((state.only_over or frozenset()) ^ {class_id})
        self._sweep_to = {
            Part.EYE: class_id in state.hidden,
            Part.LOCK: class_id in state.protected,
            Part.CHOSEN: class_id in (state.only_over or ()),
        }.get(part, False)

    def _swept(self, class_id: int, part: Part) -> None:
        state = self._state

        def given(ids: frozenset[int]) -> frozenset[int]:
            return ids | {class_id} if self._sweep_to else ids - {class_id}

        if part is Part.EYE:
            self._change_hidden(given(state.hidden))
        elif part is Part.LOCK:
            self._change_protected(given(state.protected))
        elif part is Part.CHOSEN:
            self._change_chosen(given(state.only_over or frozenset()))

    def _change_hidden(self, hidden: frozenset[int]) -> None:
        if hidden != self._state.hidden:
            self.set_hidden(hidden)
            self.hiddenChanged.emit(hidden)

    def _change_protected(self, protected: frozenset[int]) -> None:
        if protected != self._state.protected:
            self.set_protected(protected)
            self.protectedChanged.emit(protected)

    def _change_chosen(self, chosen: frozenset[int]) -> None:
        self._chosen = chosen
        self._state.only_over = chosen
        self._refresh()
        self.onlyOverChanged.emit(chosen)

    def _rule_chosen(self, rule: int) -> None:
        before = self._state.only_over
        self._state.choosing = rule == CHOSEN
        self._state.only_over = {EVERYTHING: None, UNLABELLED: frozenset({0}), CHOSEN: self._chosen}[rule]
        self._refresh()
        if self._state.only_over != before:
            self.onlyOverChanged.emit(self._state.only_over)

    def choose_unlabelled(self, on: bool) -> None:
        """Let tools paint over class 0 alone, or over everything; emits `onlyOverChanged`."""
        rule = UNLABELLED if on else EVERYTHING
        with QSignalBlocker(self.rule_box):
            self.rule_box.setCurrentIndex(rule)
        self._rule_chosen(rule)

    def _current_changed(self, current: QModelIndex) -> None:
        if self._quiet or not current.isValid():
            return
        class_id = self._model.ids[current.row()]
        if class_id != self._state.active:
            self._state.active = class_id
            self._model.repaint()
            self.activeChanged.emit(class_id)

    def _take_first(self) -> None:
        if self._model.ids:
            self.list.setCurrentIndex(self._model.index(0))
            self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _open_menu(self, class_id: int, pos: QPoint) -> None:
        menu = self.row_menu(class_id)
        menu.exec(pos)
        menu.deleteLater()

    def row_menu(self, class_id: int) -> QMenu:
        """The context menu of a row."""
        state, name = self._state, self._model.name(class_id)
        menu = QMenu(self)
        hidden, locked = class_id in state.hidden, class_id in state.protected
        menu.addAction(
            icon("shown" if hidden else "hidden"),
            (self.tr("Show {0}") if hidden else self.tr("Hide {0}")).format(name),
            lambda: self._change_hidden(state.hidden ^ {class_id}),
        )
        alone = state.soloed() == class_id
        menu.addAction(
            icon("solo"),
            (self.tr("Show the others again") if alone else self.tr("Show {0} alone")).format(name),
            lambda: self.solo(class_id),
        )
        menu.addAction(self.tr("Show all classes"), lambda: self._change_hidden(frozenset())).setEnabled(
            bool(state.hidden)
        )
        menu.addSeparator()
        menu.addAction(
            icon("unprotected" if locked else "protected"),
            (self.tr("Let tools change {0} again") if locked else self.tr("Protect {0} from the tools")).format(name),
            lambda: self._change_protected(state.protected ^ {class_id}),
        )
        menu.addAction(
            self.tr("Protect all but {0}").format(name),
            lambda: self._change_protected(frozenset(state.all_ids()) - {class_id}),
        )
        menu.addAction(self.tr("Protect no class"), lambda: self._change_protected(frozenset())).setEnabled(
            bool(state.protected)
        )
        menu.addSeparator()
        menu.addAction(self.tr("Paint only over {0}").format(name), lambda: self._only_over_one(class_id))
        return menu

    def _only_over_one(self, class_id: int) -> None:
        self._chosen = frozenset({class_id})
        self._rule_chosen(UNLABELLED if class_id == 0 else CHOSEN)
        with QSignalBlocker(self.rule_box):
            self.rule_box.setCurrentIndex(UNLABELLED if class_id == 0 else CHOSEN)

    # Showing

    def _refill(self) -> None:
        needle = _plain(self.filter_edit.text())
        only_present = self.present_button.isChecked()

        def keep(class_id: int) -> bool:
            if only_present and class_id not in self._state.present:
                return False
            return not needle or needle in _plain(self._model.name(class_id)) or needle == str(class_id)

        self._model.refill(keep)
        self._show_active()

    def _show_active(self) -> None:
        row = self._model.row_of(self._state.active)
        selection = self.list.selectionModel()
        self._quiet = True
        if row < 0:
            selection.clear()
        else:
            selection.setCurrentIndex(self._model.index(row), QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._quiet = False
        self._refresh()

    def _refresh(self) -> None:
        self._model.repaint()
        self.list.viewport().update()
        self.show_all_button.setEnabled(bool(self._state.hidden))
        self.unprotect_button.setEnabled(bool(self._state.protected))
        self.rule_box.setToolTip(
            self.rule_box.itemData(self.rule_box.currentIndex(), Qt.ItemDataRole.ToolTipRole)
            or self.tr("What the tools may paint over. Protected classes never change.")
        )

    def _lay_out(self) -> None:
        self._filter_bar = QWidget()
        bar = QHBoxLayout(self._filter_bar)
        bar.setContentsMargins(GAP, GAP, GAP, 0)
        bar.setSpacing(GAP // 2)
        bar.addWidget(self.filter_edit, 1)
        bar.addWidget(self.present_button)
        self._filter_bar.hide()

        label = QLabel(self.tr("Paint over"))
        label.setBuddy(self.rule_box)
        foot = QHBoxLayout()
        foot.setContentsMargins(GAP, 0, GAP // 2, GAP)
        foot.setSpacing(GAP // 2)
        foot.addWidget(label)
        foot.addSpacing(GAP // 2)
        foot.addWidget(self.rule_box, 1)
        foot.addWidget(self.show_all_button)
        foot.addWidget(self.unprotect_button)
        foot.addWidget(self.edit_button)

        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GAP)
        whole.addWidget(self._filter_bar)
        whole.addWidget(self.list, 1)
        whole.addLayout(foot)


def _plain(text: str) -> str:
    # Composed and decomposed Hangul are the same text to who types it.
    return unicodedata.normalize("NFC", text).casefold().strip()
