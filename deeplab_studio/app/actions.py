"""The table of user actions as Qt actions, menus and toolbar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolBar, QWidget

from deeplab_studio.app import icons
from deeplab_studio.app.action_rows import ACTIONS, MENUS, ActionSpec
from deeplab_studio.app.keymap import Keymap, shown

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
    keymap : Keymap, optional
        The keys; those of the table by default.

    Raises
    ------
    KeyError
        If an action has no callback or a callback no action.
    """

    def __init__(
        self, window: QWidget, callbacks: Mapping[str, Callable[..., None]], keymap: Keymap | None = None
    ) -> None:
        super().__init__(window)
        self._keymap = keymap
        unknown = {spec.id for spec in ACTIONS} ^ set(callbacks)
        if unknown:
            raise KeyError(f"actions and callbacks differ in {', '.join(sorted(unknown))}")
        self._actions: dict[str, QAction] = {}
        self._held: dict[Qt.Key, tuple[QAction, Callable[..., None]]] = {}
        groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(translated(spec.text), window)
            action.setObjectName(spec.id)
            action.setStatusTip(_tip(spec))
            action.setCheckable(spec.checkable)
            if not spec.hold:
                # `triggered`, not `toggled`: only a person's click calls back, showing a state does not.
                callback = callbacks[spec.id]
                action.triggered.connect(_with_argument(callback) if spec.checkable else _without_argument(callback))
            if spec.group:
                if spec.group not in groups:
                    groups[spec.group] = QActionGroup(self)
                groups[spec.group].addAction(action)
            window.addAction(action)
            self._actions[spec.id] = action
        self._callbacks = dict(callbacks)
        self._load_keys()
        if keymap is not None:
            keymap.changed.connect(self._load_keys)

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

    def keys(self, action_id: str) -> tuple[str, ...]:
        """The keys an action has now, the one that is shown first."""
        return _SPECS[action_id].shortcuts if self._keymap is None else self._keymap.keys(action_id)

    def _load_keys(self) -> None:
        """Give every action its keys, in its menu entry and its tooltip too."""
        self._held.clear()
        for spec in ACTIONS:
            action, keys = self._actions[spec.id], self.keys(spec.id)
            names = shown(keys)
            action.setToolTip(f"{_tip(spec)} ({names})" if names else _tip(spec))
            if spec.hold:
                # Not a shortcut of Qt's, which does not tell when a key is let go.
                if keys:
                    key = QKeySequence(keys[0])[0].key()  # type: ignore[index]  # it is, the stubs do not say so
                    self._held[key] = (action, self._callbacks[spec.id])
                action.setText(f"{translated(spec.text)}\t{names}" if names else translated(spec.text))
            else:
                action.setShortcuts([QKeySequence(key) for key in keys])

    def key_held(self, key: Qt.Key, pressed: bool) -> bool:
        """Tell the action that works while `key` is held; False if there is none."""
        if key not in self._held:
            return False
        action, callback = self._held[key]
        if action.isEnabled() or not pressed:
            callback(pressed)
        return True


_SPECS = {spec.id: spec for spec in ACTIONS}


def _tip(spec: ActionSpec) -> str:
    return translated(spec.tip) if spec.tip else translated(spec.text).replace("&", "").rstrip("…")


def _with_argument(callback: Callable[..., None]) -> Callable[[bool], None]:
    # PySide counts the arguments of what it calls, and miscounts those of a functools.partial.
    return lambda checked: callback(checked)


def _without_argument(callback: Callable[..., None]) -> Callable[..., None]:
    # `triggered` hands over the checked state, which means nothing for an action that cannot be checked.
    return lambda *_: callback()
