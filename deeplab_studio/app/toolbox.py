"""The tools of the canvas, the bars that show them, and what they are set to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtWidgets import QToolBar

from deeplab_studio.app.action_rows import ACTIONS
from deeplab_studio.app.canvas import BrushTool, CanvasView, EraserTool, PanTool, PickerTool, Tool
from deeplab_studio.app.canvas.brush import BRUSH_SHAPE, BRUSH_SIZE
from deeplab_studio.app.canvas.fill_tools import SOURCE, FillTool, WandTool
from deeplab_studio.app.canvas.polygon_tool import PolygonTool
from deeplab_studio.app.canvas.shape_tools import EllipseTool, LassoTool, RectangleTool
from deeplab_studio.app.canvas.superpixel_tool import SuperpixelTool
from deeplab_studio.app.jobs import Lane
from deeplab_studio.app.tool_options import ToolOptionsBar

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.painting import Painting
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.core.labels import LabelSet

_ICONS = {spec.id: spec.icon for spec in ACTIONS}


class Toolbox(QObject):
    """Holds the tools, says which is in use, and keeps their options in the settings.

    Parameters
    ----------
    canvas : CanvasView
    painting : Painting
        What the tools paint on.
    settings : Settings
    parent : QObject, optional

    Attributes
    ----------
    bar : QToolBar
        The tools in a column.
    options_bar : ToolOptionsBar
    hintChanged : Signal(str)
        What mouse and keys do with the tool in use, for the status bar.
    """

    hintChanged = Signal(str)

    def __init__(
        self, canvas: CanvasView, painting: Painting, settings: Settings, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._painting = painting
        self._settings = settings
        self._actions: Actions | None = None
        self._tools: dict[str, Tool] = {}
        self._used = ""
        self._label_set: LabelSet | None = None
        self.bar = QToolBar(self.tr("Tools"))
        self.bar.setObjectName("tool_column")
        self.bar.setMovable(False)
        self.bar.setOrientation(Qt.Orientation.Vertical)
        self.bar.setIconSize(QSize(20, 20))
        self.options_bar = ToolOptionsBar()
        self.options_bar.changed.connect(self.set_option)
        self.brush = BrushTool(painting, self)
        self.eraser = EraserTool(painting, self)
        self.add("tool_pan", PanTool(self))
        self.add("tool_brush", self.brush)
        self.add("tool_eraser", self.eraser)
        self.add("tool_picker", PickerTool(painting, self))
        self.add("tool_polygon", PolygonTool(painting, self))
        self.add("tool_lasso", LassoTool(painting, self))
        self.add("tool_rectangle", RectangleTool(painting, self))
        self.add("tool_ellipse", EllipseTool(painting, self))
        self._lane = Lane("regions", self)
        self.add("tool_fill", FillTool(painting, self._lane, self))
        self.add("tool_wand", WandTool(painting, self._lane, self))
        settings.changed.connect(self._apply)
        painting.activeClassChanged.connect(lambda _class_id: self._show_class())
        painting.activeClassChanged.connect(lambda _class_id: canvas.tool.target_changed())
        painting.rulesChanged.connect(self._on_rules)

    def add(self, action_id: str, tool: Tool) -> None:
        """Take in a tool. Its action is a row of the table in the group "tool"; its options are settings."""
        self._tools[action_id] = tool
        tool.optionChanged.connect(self.set_option)
        tool.hintChanged.connect(lambda: self._tell_hint(tool))

    def tool(self, action_id: str) -> Tool:
        """The tool of an action."""
        return self._tools[action_id]

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions of the tools call."""
        return {
            **{action_id: partial(self._action_used, action_id) for action_id in self._tools},
            "brush_smaller": partial(self.change_size, -1),
            "brush_larger": partial(self.change_size, 1),
            "brush_square": self.set_square,
        }

    def attach(self, actions: Actions) -> None:
        """Set everything as it was in the last run; the actions show it from now on."""
        self._actions = actions
        actions.fill_toolbar(self.bar, tools=True)
        for key in {option.key for tool in self._tools.values() for option in tool.options}:
            self._apply(key)
        self.options_bar.set_rule_action(actions["paint_unlabelled"])
        self.use("tool_pan")

    def close(self) -> None:
        """End all background work."""
        self._lane.close()

    def use(self, action_id: str) -> None:
        """Take up the tool of an action."""
        assert self._actions is not None
        tool = self._tools[action_id]
        self._used = action_id
        self._canvas.set_tool(tool)
        self._actions.set_checked(action_id, True)
        self.options_bar.show_tool(self._actions[action_id], _ICONS[action_id], tool, self._settings.get)
        self._tell_hint(tool)

    def set_option(self, key: str, value: Any) -> None:
        """Set an option of all the tools that have it, and keep it."""
        self._settings.set(key, value)

    def change_size(self, steps: float) -> None:
        """Grow or shrink the brush by so many steps."""
        tool = self._canvas.tool
        (tool if isinstance(tool, BrushTool | SuperpixelTool) else self.brush).change_size(steps)

    def set_size(self, size: int) -> None:
        """Set the width of the brushes in image pixels."""
        self.set_option(BRUSH_SIZE.key, size)

    def set_square(self, square: bool) -> None:
        """Paint with squares or discs."""
        self.set_option(BRUSH_SHAPE.key, "square" if square else "round")

    def set_label_set(self, label_set: LabelSet) -> None:
        """Name the class that is painted from this label set."""
        self._label_set = label_set
        self._show_class()

    def set_scored(self, scored: bool) -> None:
        """Say whether there are scores for the image on screen."""
        reason = self.tr("There are no scores: choose a model and wait for its prediction")
        self.options_bar.set_option_enabled(SOURCE.key, scored, reason)

    def _apply(self, key: str) -> None:
        value = None
        for tool in self._tools.values():
            if any(option.key == key for option in tool.options):
                value = self._settings.get(key)
                tool.set_option(key, value)
        if value is None:
            return
        self.options_bar.set_value(key, value)
        if key == BRUSH_SHAPE.key and self._actions is not None:
            self._actions.set_checked("brush_square", value == "square")

    def _show_class(self) -> None:
        if self._label_set is None:
            return
        from deeplab_studio.core.labels import VOID

        class_id = self._painting.active_class
        red, green, blue = self._label_set.palette()[class_id].tolist()
        self.options_bar.class_chip.set_class(
            self._label_set.name_of(class_id), (red, green, blue), void=class_id == VOID
        )

    def _on_rules(self) -> None:
        self._canvas.tool.target_changed()
        if self._actions is not None:
            self._actions.set_checked("paint_unlabelled", self._painting.rules.only_over == frozenset({0}))

    def _action_used(self, action_id: str, _on: bool) -> None:
        self.use(action_id)

    def _tell_hint(self, tool: Tool) -> None:
        if self._tools.get(self._used) is tool:
            self.hintChanged.emit(tool.hint())
