"""What the mouse does on the canvas, and with which class."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
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
        "find_class",
        QT_TRANSLATE_NOOP("Actions", "C&hoose a class…"),
        "&Tools",
        ("#",),
        "labels",
        QT_TRANSLATE_NOOP("Actions", "Type a part of the name, or the number, of the class to paint with"),
        "image",
    ),
    *(
        ActionSpec(
            f"class_{digit}", QT_TRANSLATE_NOOP("Actions", "Class by its number"), "", (str(digit),), needs="image"
        )
        for digit in range(10)
    ),
)
