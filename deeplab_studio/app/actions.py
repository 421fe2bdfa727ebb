"""Every user action, one row each: menus, toolbar, shortcuts and the documentation are made from this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolBar, QWidget

from deeplab_studio.app import icons

CONTEXT = "Actions"


def translated(text: str) -> str:
    """A text of the table in the language of the window."""
    return QCoreApplication.translate(CONTEXT, text)


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One user action.

    Parameters
    ----------
    id : str
        Stable name; settings and tests refer to it.
    text : str
        What the menu says; "&" marks the mnemonic.
    menu : str
        Which menu it stands in; "" for a key without a menu entry.
    shortcuts : tuple of str
        Keys, the first one is shown.
    icon : str
        A meaning of `deeplab_studio.app.icons`; "" for none.
    tip : str
        What it does, for tooltip and status bar; the text if empty.
    needs : str
        Name of the condition that enables it; "" for always.
    checkable : bool
    group : str
        Checkable actions of one group exclude each other.
    toolbar : bool
        Whether it has a button.
    gap : bool
        Whether a separator comes before it.
    hold : bool
        Works while the key is held: the callback gets True on press and False on release.
    """

    id: str
    text: str
    menu: str = ""
    shortcuts: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    needs: str = ""
    checkable: bool = False
    group: str = ""
    toolbar: bool = False
    gap: bool = False
    hold: bool = False


_T = QT_TRANSLATE_NOOP

MENUS = (
    _T(CONTEXT, "&File"),
    _T(CONTEXT, "&Edit"),
    _T(CONTEXT, "&Image"),
    _T(CONTEXT, "&Tools"),
    _T(CONTEXT, "&Model"),
    _T(CONTEXT, "&View"),
    _T(CONTEXT, "&Help"),
)

ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("open_images", _T(CONTEXT, "Open &images…"), "&File", ("Ctrl+O",), "open-image",
               _T(CONTEXT, "Open one or more photos"), toolbar=True),
    ActionSpec("open_folder", _T(CONTEXT, "Open &folder…"), "&File", ("Ctrl+Shift+O",), "open-folder",
               _T(CONTEXT, "Open a folder of photos or a Pascal VOC data set"), toolbar=True),
    ActionSpec("paste_image", _T(CONTEXT, "&Paste image"), "&File", ("Ctrl+V",), "paste",
               _T(CONTEXT, "Add the picture on the clipboard")),
    ActionSpec("export", _T(CONTEXT, "&Export…"), "&File", ("Ctrl+E",), "export",
               _T(CONTEXT, "Write masks as a Pascal VOC data set"), "items", toolbar=True, gap=True),
    ActionSpec("quit", _T(CONTEXT, "&Quit"), "&File", ("Ctrl+Q",), gap=True),
    ActionSpec("undo", _T(CONTEXT, "&Undo"), "&Edit", ("Ctrl+Z",), "undo", needs="undo", toolbar=True, gap=True),
    ActionSpec("redo", _T(CONTEXT, "&Redo"), "&Edit", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo", needs="redo", toolbar=True),
    ActionSpec("unpin", _T(CONTEXT, "Un&pin everything"), "&Edit", ("Ctrl+U",), "unpin",
               _T(CONTEXT, "Let predictions and the CRF change the pixels painted by hand again"), "pins", gap=True),
    ActionSpec("clear", _T(CONTEXT, "&Clear the class map"), "&Edit", ("Ctrl+Shift+Delete",), "clear",
               _T(CONTEXT, "Set every pixel that is not pinned to class 0"), "image"),
    ActionSpec("previous", _T(CONTEXT, "&Previous image"), "&Image", ("A", "PgUp"), "previous", needs="items",
               toolbar=True, gap=True),
    ActionSpec("next", _T(CONTEXT, "&Next image"), "&Image", ("D", "PgDown"), "next", needs="items", toolbar=True),
    ActionSpec("done_next", _T(CONTEXT, "&Done, next open image"), "&Image", ("Ctrl+Return",), "done",
               _T(CONTEXT, "Mark this image as done and go to the next one that is not"), "image", toolbar=True,
               gap=True),
    ActionSpec("state_new", _T(CONTEXT, "Mark as ne&w"), "&Image", (), "state-new", needs="image"),
    ActionSpec("state_progress", _T(CONTEXT, "Mark as &in progress"), "&Image", (), "state-progress", needs="image"),
    ActionSpec("state_done", _T(CONTEXT, "Mark as d&one"), "&Image", ("Shift+D",), "state-done", needs="image"),
    ActionSpec("tool_pan", _T(CONTEXT, "&Pan"), "&Tools", ("Z",), "pan",
               _T(CONTEXT, "Drag to move the picture; Space does the same with any tool"), checkable=True,
               group="tool", toolbar=True, gap=True),
    ActionSpec("tool_brush", _T(CONTEXT, "&Brush"), "&Tools", ("P", "B"), "brush",
               _T(CONTEXT, "Paint the active class; Shift+click draws a straight line, Ctrl+wheel sets the size"),
               "image", checkable=True, group="tool", toolbar=True),
    ActionSpec("tool_eraser", _T(CONTEXT, "&Eraser"), "&Tools", ("E",), "eraser",
               _T(CONTEXT, "Paint class 0"), "image", checkable=True, group="tool", toolbar=True),
    ActionSpec("tool_picker", _T(CONTEXT, "Pic&ker"), "&Tools", ("L",), "picker",
               _T(CONTEXT, "Click a pixel to make its class the active one"), "image", checkable=True, group="tool",
               toolbar=True),
    ActionSpec("brush_smaller", _T(CONTEXT, "&Smaller brush"), "&Tools", ("[",), gap=True),
    ActionSpec("brush_larger", _T(CONTEXT, "&Larger brush"), "&Tools", ("]",)),
    ActionSpec("brush_square", _T(CONTEXT, "S&quare brush"), "&Tools", (), checkable=True),
    ActionSpec("swap_class", _T(CONTEXT, "S&wap with class 0"), "&Tools", ("X",), needs="image",
               tip=_T(CONTEXT, "Switch the active class between class 0 and the one used before")),
    ActionSpec("predict", _T(CONTEXT, "&Predict"), "&Model", ("R",), "predict",
               _T(CONTEXT, "Run the model on this image again; pinned pixels stay"), "model+image", toolbar=True,
               gap=True),
    ActionSpec("auto_predict", _T(CONTEXT, "Predict new images by &itself"), "&Model", (), checkable=True),
    ActionSpec("crf", _T(CONTEXT, "Refine with the &CRF"), "&Model", ("C",), "crf",
               _T(CONTEXT, "Sharpen the prediction along the edges of the photo"), checkable=True),
    ActionSpec("cancel", _T(CONTEXT, "&Stop the current work"), "&Model", ("Ctrl+.",), "stop", needs="busy"),
    ActionSpec("open_model", _T(CONTEXT, "&Open model file…"), "&Model", ("Ctrl+M",), "open-model", gap=True,
               tip=_T(CONTEXT, "Use a DeepLab checkpoint you already have")),
    ActionSpec("get_models", _T(CONTEXT, "&Get models…"), "&Model", (), "get-models",
               _T(CONTEXT, "See which models can be downloaded")),
    ActionSpec("zoom_fit", _T(CONTEXT, "&Fit in window"), "&View", ("Ctrl+0", "F"), "zoom-fit", needs="image",
               toolbar=True, gap=True),
    ActionSpec("zoom_actual", _T(CONTEXT, "&Actual size"), "&View", ("Ctrl+1",), "zoom-actual", needs="image",
               toolbar=True),
    ActionSpec("zoom_in", _T(CONTEXT, "Zoom &in"), "&View", ("Ctrl++", "Ctrl+="), "zoom-in", needs="image"),
    ActionSpec("zoom_out", _T(CONTEXT, "Zoom &out"), "&View", ("Ctrl+-",), "zoom-out", needs="image"),
    ActionSpec("outlines", _T(CONTEXT, "Out&lines only"), "&View", ("O",), "outlines", checkable=True, gap=True),
    ActionSpec("show_pins", _T(CONTEXT, "Show pi&nned pixels"), "&View", ("K",), "pin", checkable=True),
    ActionSpec("peek", _T(CONTEXT, "Bare photo while held"), "&View", ("H",), hold=True, needs="image"),
    ActionSpec("theme_system", _T(CONTEXT, "Colours of the &system"), "&View", (), checkable=True, group="theme",
               gap=True),
    ActionSpec("theme_light", _T(CONTEXT, "Li&ght"), "&View", (), checkable=True, group="theme"),
    ActionSpec("theme_dark", _T(CONTEXT, "Dar&k"), "&View", (), checkable=True, group="theme"),
    ActionSpec("shortcuts", _T(CONTEXT, "&Keyboard shortcuts"), "&Help", ("F1",), "keyboard"),
    ActionSpec("about", _T(CONTEXT, "&About DeepLab Studio"), "&Help"),
    *(ActionSpec(f"class_{digit}", _T(CONTEXT, "Class by its number"), "", (str(digit),), needs="image")
      for digit in range(10)),
)  # fmt: skip


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
                key = QKeySequence(spec.shortcuts[0])[0].key()
                self._held[key] = (action, callbacks[spec.id])
                action.setText(f"{action.text()}\t{shown}")
            else:
                action.setShortcuts([QKeySequence(key) for key in spec.shortcuts])
                # `triggered`, not `toggled`: only a person's click calls back, showing a state does not.
                callback = callbacks[spec.id]
                action.triggered.connect(callback if spec.checkable else _without_argument(callback))
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

    def fill_toolbar(self, bar: QToolBar) -> None:
        """Add the actions that have a button."""
        gap = False
        for spec in ACTIONS:
            gap = gap or spec.gap
            if spec.toolbar:
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


def _without_argument(callback: Callable[..., None]) -> Callable[..., None]:
    # `triggered` hands over the checked state, which means nothing for an action that cannot be checked.
    return lambda *_: callback()
