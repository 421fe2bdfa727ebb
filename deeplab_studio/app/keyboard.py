"""Working without the mouse: own keys, the command palette, the focus from panel to panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QTabBar, QWidget

from deeplab_studio.app.keymap import Keymap, shown

if TYPE_CHECKING:
    from deeplab_studio.app.command_palette import CommandPalette
    from deeplab_studio.app.palette_entries import Entry
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings

RECENT_MAX = 12


class Keyboard(QObject):
    """The keys of one window.

    Parameters
    ----------
    window : QMainWindow
    session : Session
    settings : Settings
    """

    def __init__(self, window: QMainWindow, session: Session, settings: Settings) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._settings = settings
        self.keymap = Keymap(settings, self)
        self.palette: CommandPalette | None = None
        """None until it is opened for the first time."""
        self._actions: list[Entry] = []
        self._images: list[Entry] | None = None
        self._classes: list[Entry] | None = None
        self._recent = [str(each) for each in settings.get("palette/recent").get("ids", [])][:RECENT_MAX]
        self._panels: list[QWidget] = []
        self._last: dict[QWidget, QWidget] = {}

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {
            "command_palette": self.open_palette,
            "find_class": partial(self.open_palette, "#"),
            "focus_next": partial(self.move_focus, 1),
            "focus_previous": partial(self.move_focus, -1),
            "shortcuts": self.show_shortcuts,
        }

    def attach(self, panels: Sequence[QWidget]) -> None:
        """Say between which widgets and docks the focus goes, in this order."""
        self._panels = list(panels)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._on_focus)

    # Own keys

    def show_shortcuts(self) -> None:
        """Show all keys, to look up and to change."""
        from deeplab_studio.app.shortcuts_dialog import ShortcutsDialog

        dialog = ShortcutsDialog(self.keymap, self._window)
        dialog.exec()
        dialog.deleteLater()

    # The palette

    def open_palette(self, text: str = "") -> None:
        """Show the command palette."""
        if self.palette is None:
            from deeplab_studio.app.command_palette import CommandPalette

            self.palette = CommandPalette(self._window, self._find)
            self.palette.chosen.connect(self._run)
        from deeplab_studio.app.palette_entries import menu_entries

        self._actions = menu_entries(self._window.menuBar())
        self._images = self._classes = None
        self.palette.open(text)

    def _find(self, typed: str) -> list[Entry]:
        from deeplab_studio.app.palette_entries import class_entries, find, image_entries

        session = self._session
        # Ten thousand images are listed once somebody types, not each time the palette opens.
        if typed and self._images is None:
            self._images = image_entries(session.items, session.select)
        if typed.startswith("#") and self._classes is None:
            self._classes = class_entries(session.label_set, session.painting.set_active_class, self._class_keys)
        return find(typed, self._actions, self._images or [], self._classes or [], self._recent)

    def _class_keys(self, class_id: int) -> str:
        return shown(self.keymap.keys(f"class_{class_id}")) if class_id < 10 else ""

    def _run(self, entry: Entry) -> None:
        if entry.id[0] not in "@#":
            self._recent = [entry.id, *(each for each in self._recent if each != entry.id)][:RECENT_MAX]
            self._settings.set("palette/recent", {"ids": self._recent})
        entry.run()

    # The focus

    def move_focus(self, by: int) -> None:
        """Give the focus to the next panel that is shown, to where it was there last."""
        shown_panels = [panel for panel in self._panels if panel.isVisibleTo(self._window)]
        if not shown_panels:
            return
        now = self._panel_of(QApplication.focusWidget())
        at = shown_panels.index(now) + by if now in shown_panels else 0
        for step in range(len(shown_panels)):
            panel = shown_panels[(at + step * (1 if by > 0 else -1)) % len(shown_panels)]
            target = self._target(panel)
            if target is not None:
                if isinstance(panel, QDockWidget):
                    panel.raise_()
                target.setFocus(Qt.FocusReason.TabFocusReason)
                return

    def _target(self, panel: QWidget) -> QWidget | None:
        """What takes the focus in a panel: what had it last, else the first that can."""
        last = self._last.get(panel)
        if last is not None and _takes_focus(last, panel):
            return last
        content = panel.widget() if isinstance(panel, QDockWidget) else panel
        if _takes_focus(content, panel):
            return content
        return next((each for each in _in_tab_order(content) if _takes_focus(each, panel)), None)

    def _panel_of(self, widget: QWidget | None) -> QWidget | None:
        if widget is None:
            return None
        return next((panel for panel in self._panels if widget is panel or panel.isAncestorOf(widget)), None)

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        panel = self._panel_of(new)
        if panel is not None and new is not None:
            self._last[panel] = new


def _takes_focus(widget: QWidget, panel: QWidget) -> bool:
    keys = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return keys and widget.isEnabled() and widget.isVisibleTo(panel) and not isinstance(widget, QTabBar)


def _in_tab_order(content: QWidget) -> list[QWidget]:
    """The widgets in `content`, in the order of the Tab key."""
    found: list[QWidget] = []
    widget = content.nextInFocusChain()
    while widget is not None and widget is not content:
        if content.isAncestorOf(widget):
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found
