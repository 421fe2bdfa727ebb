"""The canvas: a photo with its class map, and the tools that work on it."""

from deeplab_studio.app.canvas.brush import BrushTool, EraserTool
from deeplab_studio.app.canvas.mips import PhotoMips, build_mips
from deeplab_studio.app.canvas.options import Choice, ToolOption
from deeplab_studio.app.canvas.tools import PaintTarget, PanTool, PickerTool, Pointer, Tool
from deeplab_studio.app.canvas.view import CanvasView

__all__ = [
    "BrushTool",
    "CanvasView",
    "Choice",
    "EraserTool",
    "PaintTarget",
    "PanTool",
    "PhotoMips",
    "PickerTool",
    "Pointer",
    "Tool",
    "ToolOption",
    "build_mips",
]
