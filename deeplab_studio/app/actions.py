"""The table of user actions as Qt actions, menus and toolbar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolBar, QWidget

from deeplab_studio.app import icons
from deeplab_studio.app.action_rows import ACTIONS, MENUS

TOOL_GROUP = "tool"
"""The tools of the canvas: one of them is in use."""


def translated(text: str) -> str:
    """A text of the table in the language of the window."""
    return QCoreApplication.translate("Actions", text)


class Actions(QObject):
    """The table as Qt actions.

    Parameters
    ----------
    window : QWidget
        Owner of the actions; their shortcuts work wherever the window has the focus.
    callbacks : mapping of str to callable
        By action id; checkable and held ones are called with a bool. Exactly the ids of the table.

    Raises
    ------
    KeyError
        If an action has no callback or a callback no action.
    """

    def __init__(self, window: QWidget, callbacks: Mapping[str, Callable[..., None]]) -> None:
        super().__init__(window)
        unknown = {spec.id for spec in ACTIONS} ^ set(callbacks)
        if unknown:
            raise KeyError(f"actions and callbacks differ in {', '.join(sorted(unknown))}")
        self._actions: dict[str, QAction] = {}
        self._held: dict[Qt.Key, tuple[QAction, Callable[..., None]]] = {}
        groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(translated(spec.text), window)
            action.setObjectName(spec.id)
            tip = translated(spec.tip) if spec.tip else action.text().replace("&", "").rstrip("…")
            shown = ", ".join(
                QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in spec.shortcuts
            )
            action.setToolTip(f"{tip} ({shown})" if shown else tip)
            action.setStatusTip(tip)
            action.setCheckable(spec.checkable)
            if spec.hold:
                key = QKeySequence(spec.shortcuts[0])[0].key()  # type: ignore[index]  # it is, the stubs do not say so
                self._held[key] = (action, callbacks[spec.id])
                action.setText(f"{action.text()}\t{shown}")
            else:
                action.setShortcuts([QKeySequence(key) for key in spec.shortcuts])
                # `triggered`, not `toggled`: only a person's click calls back, showing a state does not.
                callback = callbacks[spec.id]
                action.triggered.connect(_with_argument(callback) if spec.checkable else _without_argument(callback))
            if spec.group:
                if spec.group not in groups:
                    groups[spec.group] = QActionGroup(self)
                groups[spec.group].addAction(action)
            window.addAction(action)
            self._actions[spec.id] = action

    def __getitem__(self, action_id: str) -> QAction:
        return self._actions[action_id]

    def set_checked(self, action_id: str, checked: bool) -> None:
        """Show a state without calling the action."""
        self._actions[action_id].setChecked(checked)

    def update_enabled(self, conditions: Mapping[str, bool]) -> None:
        """Enable what the conditions allow; "a+b" needs both."""
        for spec in ACTIONS:
            enabled = all(conditions[name] for name in spec.needs.split("+")) if spec.needs else True
            self._actions[spec.id].setEnabled(enabled)

    def load_icons(self) -> None:
        """Draw the icons in the colours of the current palette; again after the palette changed."""
        for spec in ACTIONS:
            if spec.icon:
                self._actions[spec.id].setIcon(icons.icon(spec.icon))

    def fill_menu_bar(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Add all menus; the menus by their untranslated title."""
        menus = {title: bar.addMenu(translated(title)) for title in MENUS}
        for menu in menus.values():
            menu.setToolTipsVisible(True)
        for spec in ACTIONS:
            if spec.menu:
                menu = menus[spec.menu]
                if spec.gap and not menu.isEmpty():
                    menu.addSeparator()
                menu.addAction(self._actions[spec.id])
        return menus

    def fill_toolbar(self, bar: QToolBar, *, tools: bool = False) -> None:
        """Add the actions that have a button: the tools of the canvas, or all others."""
        gap = False
        for spec in ACTIONS:
            gap = gap or spec.gap
            if spec.toolbar and (spec.group == TOOL_GROUP) == tools:
                if gap and bar.actions():
                    bar.addSeparator()
                gap = False
                bar.addAction(self._actions[spec.id])

    def key_held(self, key: Qt.Key, pressed: bool) -> bool:
        """Tell the action that works while `key` is held; False if there is none."""
        if key not in self._held:
            return False
        action, callback = self._held[key]
        if action.isEnabled() or not pressed:
            callback(pressed)
        return True


def _with_argument(callback: Callable[..., None]) -> Callable[[bool], None]:
    # PySide counts the arguments of what it calls, and miscounts those of a functools.partial.
    return lambda checked: callback(checked)


def _without_argument(callback: Callable[..., None]) -> Callable[..., None]:
    # `triggered` hands over the checked state, which means nothing for an action that cannot be checked.
    return lambda *_: callback()
