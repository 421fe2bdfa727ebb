"""Every user action, one row each: menus, toolbar, shortcuts and the documentation are made from this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolBar, QWidget

from deeplab_studio.app import icons
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP


def translated(text: str) -> str:
    """A text of the table in the language of the window."""
    return QCoreApplication.translate("Actions", text)


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


MENUS = (
    QT_TRANSLATE_NOOP("Actions", "&File"),
    QT_TRANSLATE_NOOP("Actions", "&Edit"),
    QT_TRANSLATE_NOOP("Actions", "&Image"),
    QT_TRANSLATE_NOOP("Actions", "&Tools"),
    QT_TRANSLATE_NOOP("Actions", "&Model"),
    QT_TRANSLATE_NOOP("Actions", "&CRF"),
    QT_TRANSLATE_NOOP("Actions", "&View"),
    QT_TRANSLATE_NOOP("Actions", "&Help"),
)

ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "open_images",
        QT_TRANSLATE_NOOP("Actions", "Open &images…"),
        "&File",
        ("Ctrl+O",),
        "open-image",
        QT_TRANSLATE_NOOP("Actions", "Open one or more photos"),
        toolbar=True,
    ),
    ActionSpec(
        "open_folder",
        QT_TRANSLATE_NOOP("Actions", "Open &folder…"),
        "&File",
        ("Ctrl+Shift+O",),
        "open-folder",
        QT_TRANSLATE_NOOP("Actions", "Open a folder of photos or a Pascal VOC data set"),
        toolbar=True,
    ),
    ActionSpec(
        "paste_image",
        QT_TRANSLATE_NOOP("Actions", "&Paste image"),
        "&File",
        ("Ctrl+V",),
        "paste",
        QT_TRANSLATE_NOOP("Actions", "Add the picture on the clipboard"),
    ),
    ActionSpec(
        "export",
        QT_TRANSLATE_NOOP("Actions", "&Export…"),
        "&File",
        ("Ctrl+E",),
        "export",
        QT_TRANSLATE_NOOP("Actions", "Write masks as a Pascal VOC data set"),
        "items",
        toolbar=True,
        gap=True,
    ),
    ActionSpec("quit", QT_TRANSLATE_NOOP("Actions", "&Quit"), "&File", ("Ctrl+Q",), gap=True),
    ActionSpec(
        "undo",
        QT_TRANSLATE_NOOP("Actions", "&Undo"),
        "&Edit",
        ("Ctrl+Z",),
        "undo",
        needs="undo",
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "redo",
        QT_TRANSLATE_NOOP("Actions", "&Redo"),
        "&Edit",
        ("Ctrl+Shift+Z", "Ctrl+Y"),
        "redo",
        needs="redo",
        toolbar=True,
    ),
    ActionSpec(
        "unpin",
        QT_TRANSLATE_NOOP("Actions", "Un&pin everything"),
        "&Edit",
        ("Ctrl+U",),
        "unpin",
        QT_TRANSLATE_NOOP("Actions", "Let predictions and the CRF change the pixels painted by hand again"),
        "pins",
        gap=True,
    ),
    ActionSpec(
        "clear",
        QT_TRANSLATE_NOOP("Actions", "&Clear the class map"),
        "&Edit",
        ("Ctrl+Shift+Delete",),
        "clear",
        QT_TRANSLATE_NOOP("Actions", "Set every pixel that is not pinned to class 0"),
        "image",
    ),
    ActionSpec(
        "previous",
        QT_TRANSLATE_NOOP("Actions", "&Previous image"),
        "&Image",
        ("A", "PgUp"),
        "previous",
        needs="items",
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "next",
        QT_TRANSLATE_NOOP("Actions", "&Next image"),
        "&Image",
        ("D", "PgDown"),
        "next",
        needs="items",
        toolbar=True,
    ),
    ActionSpec(
        "done_next",
        QT_TRANSLATE_NOOP("Actions", "&Done, next open image"),
        "&Image",
        ("Ctrl+Return",),
        "done",
        QT_TRANSLATE_NOOP("Actions", "Mark this image as done and go to the next one that is not"),
        "image",
        toolbar=True,
        gap=True,
    ),
    ActionSpec("state_new", QT_TRANSLATE_NOOP("Actions", "Mark as ne&w"), "&Image", (), "state-new", needs="image"),
    ActionSpec(
        "state_progress",
        QT_TRANSLATE_NOOP("Actions", "Mark as &in progress"),
        "&Image",
        (),
        "state-progress",
        needs="image",
    ),
    ActionSpec(
        "state_done", QT_TRANSLATE_NOOP("Actions", "Mark as d&one"), "&Image", ("Shift+D",), "state-done", needs="image"
    ),
    ActionSpec(
        "tool_pan",
        QT_TRANSLATE_NOOP("Actions", "&Pan"),
        "&Tools",
        ("Z",),
        "pan",
        QT_TRANSLATE_NOOP("Actions", "Drag to move the picture; Space does the same with any tool"),
        checkable=True,
        group="tool",
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "tool_brush",
        QT_TRANSLATE_NOOP("Actions", "&Brush"),
        "&Tools",
        ("P", "B"),
        "brush",
        QT_TRANSLATE_NOOP(
            "Actions", "Paint the active class; Shift+click draws a straight line, Ctrl+wheel sets the size"
        ),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
    ),
    ActionSpec(
        "tool_eraser",
        QT_TRANSLATE_NOOP("Actions", "&Eraser"),
        "&Tools",
        ("E",),
        "eraser",
        QT_TRANSLATE_NOOP("Actions", "Paint class 0"),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
    ),
    ActionSpec(
        "tool_picker",
        QT_TRANSLATE_NOOP("Actions", "Pic&ker"),
        "&Tools",
        ("L",),
        "picker",
        QT_TRANSLATE_NOOP("Actions", "Click a pixel to make its class the active one"),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
    ),
    ActionSpec("brush_smaller", QT_TRANSLATE_NOOP("Actions", "&Smaller brush"), "&Tools", ("[",), gap=True),
    ActionSpec("brush_larger", QT_TRANSLATE_NOOP("Actions", "&Larger brush"), "&Tools", ("]",)),
    ActionSpec("brush_square", QT_TRANSLATE_NOOP("Actions", "S&quare brush"), "&Tools", (), checkable=True),
    ActionSpec(
        "swap_class",
        QT_TRANSLATE_NOOP("Actions", "S&wap with class 0"),
        "&Tools",
        ("X",),
        needs="image",
        tip=QT_TRANSLATE_NOOP("Actions", "Switch the active class between class 0 and the one used before"),
    ),
    ActionSpec(
        "predict",
        QT_TRANSLATE_NOOP("Actions", "&Predict"),
        "&Model",
        ("R",),
        "predict",
        QT_TRANSLATE_NOOP("Actions", "Run the model on this image again; pinned pixels stay"),
        "model+image",
        gap=True,
    ),
    ActionSpec(
        "auto_predict", QT_TRANSLATE_NOOP("Actions", "Predict new images by &itself"), "&Model", (), checkable=True
    ),
    ActionSpec(
        "cancel", QT_TRANSLATE_NOOP("Actions", "&Stop the current work"), "&Model", ("Ctrl+.",), "stop", needs="busy"
    ),
    ActionSpec(
        "open_model",
        QT_TRANSLATE_NOOP("Actions", "&Open model file…"),
        "&Model",
        ("Ctrl+M",),
        "open-model",
        gap=True,
        tip=QT_TRANSLATE_NOOP("Actions", "Use a DeepLab checkpoint you already have"),
    ),
    ActionSpec(
        "get_models",
        QT_TRANSLATE_NOOP("Actions", "&Get models…"),
        "&Model",
        (),
        "get-models",
        QT_TRANSLATE_NOOP("Actions", "See which models can be downloaded"),
    ),
    ActionSpec(
        "inspect_model",
        QT_TRANSLATE_NOOP("Actions", "&Inspector…"),
        "&Model",
        ("Ctrl+I",),
        "inspect-model",
        QT_TRANSLATE_NOOP("Actions", "Take the model apart: rates, receptive field, multiply-adds, class names"),
        "model",
        gap=True,
    ),
    ActionSpec(
        "fast_precision",
        QT_TRANSLATE_NOOP("Actions", "Fas&t precision"),
        "&Model",
        (),
        "",
        QT_TRANSLATE_NOOP("Actions", "Compute in bfloat16 or float16: faster, and some labels change"),
        checkable=True,
    ),
    ActionSpec(
        "crf",
        QT_TRANSLATE_NOOP("Actions", "Refine with the &CRF"),
        "&CRF",
        ("C",),
        "crf",
        QT_TRANSLATE_NOOP("Actions", "Sharpen the prediction along the edges of the photo"),
        checkable=True,
    ),
    ActionSpec(
        "stages",
        QT_TRANSLATE_NOOP("Actions", "Show the &stages"),
        "&CRF",
        ("G",),
        "stages",
        QT_TRANSLATE_NOOP("Actions", "Show how the class map comes about, step by step, in a strip under the picture"),
        checkable=True,
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "stage_previous", QT_TRANSLATE_NOOP("Actions", "&Previous stage"), "&CRF", (",",), "previous", needs="stages"
    ),
    ActionSpec("stage_next", QT_TRANSLATE_NOOP("Actions", "&Next stage"), "&CRF", (".",), "next", needs="stages"),
    *(
        ActionSpec(
            f"stage_{view}",
            text,
            "&CRF",
            (),
            icon,
            needs="stages",
            checkable=True,
            group="stage",
            gap=view == "classes",
        )
        for view, text, icon in (
            ("classes", QT_TRANSLATE_NOOP("Actions", "C&lasses of the stage"), "labels"),
            ("probability", QT_TRANSLATE_NOOP("Actions", "Pro&bability of one class"), "probability"),
            ("entropy", QT_TRANSLATE_NOOP("Actions", "&Uncertainty"), "uncertainty"),
            ("changes", QT_TRANSLATE_NOOP("Actions", "C&hanges by the CRF"), "changes"),
        )
    ),
    ActionSpec(
        "kernel",
        QT_TRANSLATE_NOOP("Actions", "&Kernel at the cursor"),
        "&CRF",
        ("W",),
        "kernel",
        QT_TRANSLATE_NOOP(
            "Actions", "Show how much all other pixels pull the one under the cursor towards their class"
        ),
        "image",
        checkable=True,
    ),
    ActionSpec(
        "preset_save",
        QT_TRANSLATE_NOOP("Actions", "Save as preset…"),
        "&CRF",
        (),
        "save",
        QT_TRANSLATE_NOOP("Actions", "Keep these parameters under a name"),
        gap=True,
    ),
    ActionSpec("preset_rename", QT_TRANSLATE_NOOP("Actions", "Rename preset…"), "&CRF", needs="own preset"),
    ActionSpec(
        "preset_delete", QT_TRANSLATE_NOOP("Actions", "Delete preset"), "&CRF", (), "remove", needs="own preset"
    ),
    ActionSpec("preset_import", QT_TRANSLATE_NOOP("Actions", "Import presets…"), "&CRF", (), "import"),
    ActionSpec(
        "preset_export",
        QT_TRANSLATE_NOOP("Actions", "Export presets…"),
        "&CRF",
        (),
        "export",
        QT_TRANSLATE_NOOP("Actions", "Write your own presets to a file"),
        "own presets",
    ),
    ActionSpec(
        "crf_all",
        QT_TRANSLATE_NOOP("Actions", "Apply to &all images…"),
        "&CRF",
        (),
        "automatic",
        QT_TRANSLATE_NOOP("Actions", "Refine all images with these parameters, in the background"),
        "model+image",
        gap=True,
    ),
    ActionSpec(
        "crf_search",
        QT_TRANSLATE_NOOP("Actions", "S&earch parameters…"),
        "&CRF",
        (),
        "search-parameters",
        QT_TRANSLATE_NOOP("Actions", "Find good parameters where there is ground truth"),
        "model+image",
    ),
    ActionSpec(
        "zoom_fit",
        QT_TRANSLATE_NOOP("Actions", "&Fit in window"),
        "&View",
        ("Ctrl+0", "F"),
        "zoom-fit",
        needs="image",
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "zoom_actual",
        QT_TRANSLATE_NOOP("Actions", "&Actual size"),
        "&View",
        ("Ctrl+1",),
        "zoom-actual",
        needs="image",
        toolbar=True,
    ),
    ActionSpec(
        "zoom_in", QT_TRANSLATE_NOOP("Actions", "Zoom &in"), "&View", ("Ctrl++", "Ctrl+="), "zoom-in", needs="image"
    ),
    ActionSpec("zoom_out", QT_TRANSLATE_NOOP("Actions", "Zoom &out"), "&View", ("Ctrl+-",), "zoom-out", needs="image"),
    ActionSpec(
        "outlines",
        QT_TRANSLATE_NOOP("Actions", "Out&lines only"),
        "&View",
        ("O",),
        "outlines",
        checkable=True,
        gap=True,
    ),
    ActionSpec(
        "show_pins", QT_TRANSLATE_NOOP("Actions", "Show pi&nned pixels"), "&View", ("K",), "pin", checkable=True
    ),
    ActionSpec(
        "peek", QT_TRANSLATE_NOOP("Actions", "Bare photo while held"), "&View", ("H",), hold=True, needs="image"
    ),
    ActionSpec(
        "theme_system",
        QT_TRANSLATE_NOOP("Actions", "Colours of the &system"),
        "&View",
        (),
        checkable=True,
        group="theme",
        gap=True,
    ),
    ActionSpec("theme_light", QT_TRANSLATE_NOOP("Actions", "Li&ght"), "&View", (), checkable=True, group="theme"),
    ActionSpec("theme_dark", QT_TRANSLATE_NOOP("Actions", "Dar&k"), "&View", (), checkable=True, group="theme"),
    ActionSpec("shortcuts", QT_TRANSLATE_NOOP("Actions", "&Keyboard shortcuts"), "&Help", ("F1",), "keyboard"),
    ActionSpec("about", QT_TRANSLATE_NOOP("Actions", "&About DeepLab Studio"), "&Help"),
    *(
        ActionSpec(
            f"class_{digit}", QT_TRANSLATE_NOOP("Actions", "Class by its number"), "", (str(digit),), needs="image"
        )
        for digit in range(10)
    ),
)


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


def _with_argument(callback: Callable[..., None]) -> Callable[[bool], None]:
    # PySide counts the arguments of what it calls, and miscounts those of a functools.partial.
    return lambda checked: callback(checked)


def _without_argument(callback: Callable[..., None]) -> Callable[..., None]:
    # `triggered` hands over the checked state, which means nothing for an action that cannot be checked.
    return lambda *_: callback()
