"""All actions with their keys, to look up and to change."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QIcon, QKeySequence, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.action_rows import ACTIONS, MENUS, ActionSpec
from deeplab_studio.app.actions import translated
from deeplab_studio.app.icons import icon
from deeplab_studio.app.key_recorder import KeyRecorder
from deeplab_studio.app.keymap import Keymap, action_name, shown
from deeplab_studio.app.panels.controls import GAP, ElidedLabel, IconLabel, Muted, text_button
from deeplab_studio.core.errors import StudioError

_ID = Qt.ItemDataRole.UserRole

_SPECS = {spec.id: spec for spec in ACTIONS}


class ShortcutsDialog(QDialog):
    """Shows every action and gives it other keys; what is changed holds at once and in the next run.

    Parameters
    ----------
    keymap : Keymap
    parent : QWidget, optional
    """

    def __init__(self, keymap: Keymap, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        self.resize(620, 680)
        self._keymap = keymap
        self._waiting: str | None = None
        """A key that the chosen action would take from another one."""
        self.filter_edit = QLineEdit(placeholderText=self.tr("Search actions and keys"), clearButtonEnabled=True)
        self.filter_edit.addAction(icon("search", tone="muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.filter_edit.setAccessibleName(self.tr("Search actions and keys"))
        self.filter_edit.textChanged.connect(self._filter)
        self.tree = QTreeWidget()
        self.tree.setAccessibleName(self.tr("Actions"))
        self.tree.setUniformRowHeights(True)
        self.tree.setIconSize(QSize(16, 16))
        self.tree.setStyleSheet("QTreeView::item { min-height: 24px; }")
        self.tree.setHeaderLabels([self.tr("Action"), self.tr("Keys")])
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setStretchLastSection(False)
        self.tree.setHeaderHidden(True)
        self._rows: dict[str, QTreeWidgetItem] = {}
        blank = QPixmap(self.tree.iconSize())
        blank.fill(Qt.GlobalColor.transparent)
        self._no_icon = QIcon(blank)
        """Keeps the names in line."""
        self._groups: list[tuple[QTreeWidgetItem, list[QTreeWidgetItem]]] = []
        self._fill()

        self.name_label = ElidedLabel()
        font = self.name_label.font()
        font.setWeight(QFont.Weight.DemiBold)
        self.name_label.setFont(font)
        self.tip_label = Muted()
        self._keys = QHBoxLayout()
        self._keys.setSpacing(GAP // 2)
        self.key_buttons: list[QToolButton] = []
        self.recorder = KeyRecorder()
        self.recorder.recorded.connect(self._on_key)
        self.reset_button = text_button("reset", self.tr("Reset"))
        self.reset_button.setToolTip(self.tr("Give this action the keys it came with"))
        self.reset_button.clicked.connect(self._reset)
        self.message_icon = IconLabel()
        self.message_label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.take_button = QPushButton(self.tr("Take it"))
        self.take_button.clicked.connect(self._take)

        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        role = QDialogButtonBox.ButtonRole.ActionRole
        self.import_button = self.buttons.addButton(self.tr("Import…"), role)
        self.export_button = self.buttons.addButton(self.tr("Export…"), role)
        self.reset_all_button = self.buttons.addButton(self.tr("Reset all"), role)
        self.import_button.clicked.connect(self._import)
        self.export_button.clicked.connect(self._export)
        self.reset_all_button.clicked.connect(self._reset_all)
        for button in self.buttons.buttons():
            if isinstance(button, QPushButton):
                button.setAutoDefault(False)  # Enter in the search field is not Close
        self._lay_out()
        self.tree.currentItemChanged.connect(lambda *_: self._choose())
        keymap.changed.connect(self._show_keys)
        self._show_keys()
        self.choose(ACTIONS[0].id)
        self.filter_edit.setFocus()

    @property
    def chosen(self) -> ActionSpec | None:
        """The action whose keys are shown below."""
        item = self.tree.currentItem()
        action_id = item.data(0, _ID) if item is not None else None
        return None if action_id is None else _SPECS[action_id]

    def choose(self, action_id: str) -> None:
        """Show an action's keys below."""
        self.tree.setCurrentItem(self._rows[action_id])

    # Showing

    def _fill(self) -> None:
        for title in (*MENUS, ""):
            specs = [spec for spec in ACTIONS if spec.menu == title]
            if specs:
                group = self._group(translated(title).replace("&", "") if title else self.tr("Classes"))
                for spec in specs:
                    row = self._row(group, action_name(spec), "")
                    row.setData(0, _ID, spec.id)
                    row.setToolTip(0, translated(spec.tip))
                    if spec.icon:
                        row.setIcon(0, icon(spec.icon))
                    self._rows[spec.id] = row
        group = self._group(self.tr("On the canvas"))
        for what, how in canvas_rows():
            row = self._row(group, what, how)
            row.setForeground(1, self.palette().placeholderText())
            row.setToolTip(1, self.tr("This one stays as it is"))
        for group, _rows in self._groups:  # not expandAll: it draws the icons of leaves as if they were switched on
            group.setExpanded(True)

    def _group(self, name: str) -> QTreeWidgetItem:
        group = QTreeWidgetItem(self.tree, [name])
        group.setFlags(Qt.ItemFlag.ItemIsEnabled)
        font = self.tree.font()
        font.setWeight(QFont.Weight.DemiBold)
        group.setFont(0, font)
        group.setFirstColumnSpanned(True)
        self._groups.append((group, []))
        return group

    def _row(self, group: QTreeWidgetItem, name: str, keys: str) -> QTreeWidgetItem:
        row = QTreeWidgetItem(group, [name, keys])
        row.setIcon(0, self._no_icon)
        self._groups[-1][1].append(row)
        return row

    def _show_keys(self) -> None:
        plain, bold = self.tree.font(), QFont(self.tree.font())
        bold.setWeight(QFont.Weight.DemiBold)
        for action_id, row in self._rows.items():
            own = self._keymap.is_own(action_id)
            row.setText(1, shown(self._keymap.keys(action_id)))
            row.setFont(1, bold if own else plain)
            row.setToolTip(1, self.tr("Your own") if own else "")
        self.reset_all_button.setEnabled(bool(self._keymap.own()))
        self._filter(self.filter_edit.text())
        self._show_chosen()

    def _choose(self) -> None:
        self._say("")
        self._show_chosen()

    def _show_chosen(self) -> None:
        spec = self.chosen
        self.editor.setEnabled(spec is not None)
        self.name_label.setText(action_name(spec) if spec is not None else self.tr("Choose an action"))
        tip = translated(spec.tip) if spec is not None and spec.tip else ""
        if spec is not None and spec.hold:
            tip = self.tr("Works while the key is held down")
        self.tip_label.setText(tip)
        for button in self.key_buttons:
            button.hide()
            self._keys.removeWidget(button)
            button.deleteLater()
        self.key_buttons = []
        for key in self._keymap.keys(spec.id) if spec is not None else ():
            button = QToolButton()
            button.setText(shown([key]))
            button.setIcon(icon("close", tone="muted"))
            button.setIconSize(QSize(12, 12))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the cross behind the key
            button.setStyleSheet("QToolButton { border: 1px solid palette(mid); padding: 2px 6px; }")
            button.setToolTip(self.tr("Take this key away"))
            button.setAccessibleName(self.tr("Take away {0}").format(shown([key])))
            button.clicked.connect(partial(self._remove, key))
            self._keys.addWidget(button)
            self.key_buttons.append(button)
        self.reset_button.setEnabled(spec is not None and self._keymap.is_own(spec.id))

    def _filter(self, text: str) -> None:
        needle = text.strip().casefold()
        for group, rows in self._groups:
            whole = bool(needle) and needle in group.text(0).casefold()
            for row in rows:
                row.setHidden(not whole and needle not in f"{row.text(0)}\n{row.text(1)}".casefold())
            group.setHidden(all(row.isHidden() for row in rows))

    def _say(self, text: str, name: str = "warning", *, offer: bool = False) -> None:
        self._waiting = self._waiting if offer else None
        self.message_icon.show_icon(name if text else "", "warning" if name == "warning" else "success")
        self.message_label.setText(text)
        self.take_button.setVisible(offer)

    # What the person does

    def _on_key(self, key: str) -> None:
        spec = self.chosen
        if spec is None:
            return
        if key == "Esc":
            self.tree.setFocus()
        reason = self._keymap.refusal(key, spec.id)
        owner = self._keymap.owner(key)
        if reason:
            self._say(self.tr("{0} cannot be used. {1}.").format(shown([key]) or key, reason))
        elif owner == spec.id:
            self._say(self.tr("{0} is its key already.").format(shown([key])), "success")
        elif owner is not None:
            self._waiting = key
            text = self.tr("{0} belongs to “{1}”, which would lose it.")
            self._say(text.format(shown([key]), action_name(_SPECS[owner])), offer=True)
        else:
            self._keymap.add(spec.id, key)
            self._say(self.tr("{0} does it now.").format(shown([key])), "success")

    def _take(self) -> None:
        spec, key = self.chosen, self._waiting
        if spec is not None and key is not None:
            self._keymap.add(spec.id, key)
            self._say(self.tr("{0} does it now.").format(shown([key])), "success")
            self.recorder.setFocus()

    def _remove(self, key: str) -> None:
        spec = self.chosen
        if spec is not None:
            self._keymap.remove(spec.id, key)
            self._say("")

    def _reset(self) -> None:
        spec = self.chosen
        if spec is not None:
            self._keymap.reset(spec.id)
            self._say("")

    def _reset_all(self) -> None:
        self._keymap.reset_all()
        self._say(self.tr("All actions have the keys they came with."), "success")

    def _import(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Import keys"), "", self.tr("Keys (*.json)"))
        if name:
            self.import_from(Path(name))

    def _export(self) -> None:
        start = str(Path.home() / "deeplab-studio-keys.json")
        name, _ = QFileDialog.getSaveFileName(self, self.tr("Export keys"), start, self.tr("Keys (*.json)"))
        if name:
            self.export_to(Path(name))

    def import_from(self, path: Path) -> None:
        """Take over the keys of a file in place of one's own."""
        try:
            problems = self._keymap.read(path)
        except StudioError as error:
            self._say(str(error))
            return
        self._say(*(("\n".join(problems), "warning") if problems else (self.tr("Imported."), "success")))

    def export_to(self, path: Path) -> None:
        """Write one's own keys to a file."""
        try:
            self._keymap.write(path)
        except StudioError as error:
            self._say(str(error))
            return
        self._say(self.tr("Exported to {0}.").format(path.name), "success")

    def _lay_out(self) -> None:
        self.editor = QFrame()
        keys = QHBoxLayout()
        keys.setSpacing(GAP // 2)
        keys.addLayout(self._keys)
        keys.addWidget(self.recorder, 1)
        keys.addWidget(self.reset_button)
        message = QHBoxLayout()
        message.addWidget(self.message_icon, 0, Qt.AlignmentFlag.AlignTop)
        message.addWidget(self.message_label, 1)
        message.addWidget(self.take_button)
        below = QVBoxLayout(self.editor)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(GAP // 2)
        below.addWidget(self.name_label)
        below.addWidget(self.tip_label)
        below.addLayout(keys)
        layout = QVBoxLayout(self)
        layout.setSpacing(GAP)
        layout.addWidget(self.filter_edit)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.editor)
        layout.addLayout(message)
        layout.addWidget(self.buttons)
        self._say("")


def canvas_rows() -> list[tuple[str, str]]:
    """What the canvas itself does with keys and the mouse."""
    space = QKeySequence(Qt.Key.Key_Space).toString(QKeySequence.SequenceFormat.NativeText)
    return [
        (translated("Move the picture while held"), space),
        (translated("Zoom at the cursor"), translated("Wheel")),
        (translated("Size of the brush"), translated("Ctrl+Wheel")),
        (translated("Straight stroke from the last point"), translated("Shift+Click")),
        (translated("Erase with the brush"), translated("Right button")),
        (translated("Take the stroke back"), "Esc"),
        (translated("Fill the polygon"), translated("Return")),
        (translated("Take the polygon's last corner back"), translated("Backspace")),
    ]
