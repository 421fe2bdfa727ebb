"""How the picture is shown: one state behind the view panel, the menu and the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.panels.view import ViewPanel
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.app.theme import Theme


class ViewState(QObject):
    """Applies and remembers opacity, outlines, pins, tone and theme.

    Parameters
    ----------
    canvas : CanvasView
    panel : ViewPanel
    settings : Settings
    theme : Theme
    parent : QObject, optional
    """

    def __init__(
        self,
        canvas: CanvasView,
        panel: ViewPanel,
        settings: Settings,
        theme: Theme,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._canvases = [canvas]
        self._panel = panel
        self._settings = settings
        self._theme = theme
        self._actions: Actions | None = None
        self._document: Document | None = None
        panel.opacityChanged.connect(self.set_opacity)
        panel.outlinesChanged.connect(self.set_outlines)
        panel.labelsVisibleChanged.connect(self._set_labels_visible)
        panel.pinsChanged.connect(self.set_pins)
        panel.toneChanged.connect(self._set_tone)

    def add(self, canvas: CanvasView) -> None:
        """Show another canvas in the same way, but for pins; the zoom is that of the first one that is seen."""
        canvas.set_opacity(self._settings.get("view/opacity"))
        canvas.set_outlines(self._settings.get("view/outlines"))
        canvas.set_labels_visible(self._panel.labels_box.isChecked())
        self._canvases.append(canvas)

    def remove(self, canvas: CanvasView) -> None:
        """Care no longer for a canvas that was added."""
        self._canvases.remove(canvas)

    @property
    def shown_canvas(self) -> CanvasView:
        """What the keys for zooming mean: the canvas with the focus, else the first one that is seen."""
        shown = [canvas for canvas in self._canvases if canvas.isVisible()]
        return next((canvas for canvas in shown if canvas.hasFocus()), shown[0] if shown else self._canvas)

    def restore(self, actions: Actions) -> None:
        """Set everything as it was in the last run; the actions show it from now on."""
        self._actions = actions
        opacity = self._settings.get("view/opacity")
        self._panel.set_opacity(opacity)
        self.set_opacity(opacity)
        self.set_outlines(self._settings.get("view/outlines"))
        self.set_pins(self._settings.get("view/pins"))
        actions.set_checked(f"theme_{self._theme.preference}", True)

    def show_pins_of(self, document: Document | None) -> None:
        """Show the pins of this document, if pins are shown; again whenever they changed."""
        self._document = document
        shown = document is not None and self._settings.get("view/pins")
        self._canvas.set_pins(document.class_map.pinned if document is not None and shown else None)

    def set_opacity(self, opacity: float) -> None:
        """Draw the classes with this opacity, 0..1."""
        for canvas in self._canvases:
            canvas.set_opacity(opacity)
        self._settings.set("view/opacity", opacity)

    def set_outlines(self, outlines: bool) -> None:
        """Draw outlines or fill."""
        for canvas in self._canvases:
            canvas.set_outlines(outlines)
        self._panel.set_outlines(outlines)
        self._settings.set("view/outlines", outlines)
        if self._actions is not None:
            self._actions.set_checked("outlines", outlines)

    def set_pins(self, shown: bool) -> None:
        """Mark pinned pixels or not."""
        self._panel.set_pins(shown)
        self._settings.set("view/pins", shown)
        if self._actions is not None:
            self._actions.set_checked("show_pins", shown)
        self.show_pins_of(self._document)

    def peek(self, held: bool) -> None:
        """Show the bare photo while a key is held."""
        self._set_labels_visible(not held and self._panel.labels_box.isChecked())

    def set_zoom(self, scale: float) -> None:
        """Show so many screen pixels per image pixel; 0 fits the window."""
        if scale:
            self.shown_canvas.set_scale(scale)
        else:
            self.shown_canvas.zoom_fit()

    def _set_labels_visible(self, visible: bool) -> None:
        for canvas in self._canvases:
            canvas.set_labels_visible(visible)

    def _set_tone(self, brightness: float, contrast: float, gamma: float) -> None:
        for canvas in self._canvases:
            canvas.set_tone(brightness, contrast, gamma)

    def set_theme(self, preference: str) -> None:
        """Use the colours of the system, light or dark ones."""
        self._theme.set_preference(preference)
        self._settings.set("look/theme", preference)
