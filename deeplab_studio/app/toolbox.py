"""The tools of the canvas and what they are set to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from deeplab_studio.app.canvas import BrushTool, CanvasView, EraserTool, PanTool, PickerTool, Tool

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.canvas import PaintTarget
    from deeplab_studio.app.settings import Settings


class Toolbox(QObject):
    """Holds the tools and keeps brush and eraser alike.

    Parameters
    ----------
    canvas : CanvasView
    target : PaintTarget
        What the tools paint on.
    settings : Settings
    parent : QObject, optional
    """

    def __init__(
        self, canvas: CanvasView, target: PaintTarget, settings: Settings, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._settings = settings
        self._actions: Actions | None = None
        self.brush = BrushTool(target, self)
        self.eraser = EraserTool(target, self)
        self._tools: dict[str, Tool] = {
            "tool_pan": PanTool(self),
            "tool_brush": self.brush,
            "tool_eraser": self.eraser,
            "tool_picker": PickerTool(target, self),
        }
        for tool in (self.brush, self.eraser):
            tool.sizeChanged.connect(self.set_size)

    def restore(self, actions: Actions) -> None:
        """Set everything as it was in the last run; the actions show it from now on."""
        self._actions = actions
        self.set_size(self._settings.get("tools/brush_size"))
        self.set_square(self._settings.get("tools/brush_shape") == "square")
        self.use("tool_pan")

    def use(self, action_id: str) -> None:
        """Take up the tool of an action."""
        self._canvas.set_tool(self._tools[action_id])
        if self._actions is not None:
            self._actions.set_checked(action_id, True)

    def change_size(self, steps: float) -> None:
        """Grow or shrink the brush by so many steps."""
        tool = self._canvas.tool
        (tool if isinstance(tool, BrushTool) else self.brush).change_size(steps)

    def set_size(self, size: int) -> None:
        """Set the width of brush and eraser in image pixels."""
        self.brush.set_size(size)
        self.eraser.set_size(size)
        self._settings.set("tools/brush_size", size)

    def set_square(self, square: bool) -> None:
        """Paint with squares or discs."""
        self.brush.set_shape("square" if square else "round")
        self.eraser.set_shape(self.brush.shape)
        self._settings.set("tools/brush_shape", self.brush.shape)
        if self._actions is not None:
            self._actions.set_checked("brush_square", square)
