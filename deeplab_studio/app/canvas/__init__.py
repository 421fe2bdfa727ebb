"""The canvas: a photo with its class map, and the tools that work on it."""

from deeplab_studio.app.canvas.mips import PhotoMips, build_mips
from deeplab_studio.app.canvas.tools import BrushTool, EraserTool, PaintTarget, PanTool, PickerTool, Pointer, Tool
from deeplab_studio.app.canvas.view import CanvasView

__all__ = [
    "BrushTool",
    "CanvasView",
    "EraserTool",
    "PaintTarget",
    "PanTool",
    "PhotoMips",
    "PickerTool",
    "Pointer",
    "Tool",
    "build_mips",
]
