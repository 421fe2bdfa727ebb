"""Tools that work on regions rather than on pixels, and what moves regions or tidies them up."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

TOOL_ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "tool_superpixels",
        QT_TRANSLATE_NOOP("Actions", "S&uperpixels"),
        "&Tools",
        ("S",),
        "superpixels",
        QT_TRANSLATE_NOOP("Actions", "Paint pieces of the photo that keep to its edges"),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
    ),
    ActionSpec(
        "tool_grow",
        QT_TRANSLATE_NOOP("Actions", "&Grow from strokes"),
        "&Tools",
        ("T",),
        "grow",
        QT_TRANSLATE_NOOP("Actions", "Scribble on each class; the strokes grow along the edges until they meet"),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
    ),
    ActionSpec(
        "tool_crf_brush",
        QT_TRANSLATE_NOOP("Actions", "&CRF brush"),
        "&Tools",
        ("Shift+C",),
        "crf-brush",
        QT_TRANSLATE_NOOP("Actions", "Scribble a class; the CRF decides around the scribble where it ends"),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
    ),
    ActionSpec(
        "tool_region",
        QT_TRANSLATE_NOOP("Actions", "Select region"),
        "&Tools",
        ("Shift+S",),
        "region",
        QT_TRANSLATE_NOOP("Actions", "Select a region or a rectangle, to copy it to another image"),
        "image",
        checkable=True,
        group="tool",
        toolbar=True,
        gap=True,
    ),
)

EDIT_ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "copy_region",
        QT_TRANSLATE_NOOP("Actions", "C&opy region"),
        "&Edit",
        ("Ctrl+C",),
        "copy",
        QT_TRANSLATE_NOOP("Actions", "Copy the classes of the selected region, for this or another image"),
        "image",
        gap=True,
    ),
    ActionSpec(
        "paste_region",
        QT_TRANSLATE_NOOP("Actions", "&Paste region"),
        "&Edit",
        ("Ctrl+Shift+V",),
        "paste",
        QT_TRANSLATE_NOOP("Actions", "Show the copied region at its place, to be moved and put down with Enter"),
        "image+copied region",
    ),
    ActionSpec(
        "copy_previous",
        QT_TRANSLATE_NOOP("Actions", "Copy class map from the pre&vious image"),
        "&Edit",
        ("Ctrl+Shift+C",),
        tip=QT_TRANSLATE_NOOP(
            "Actions", "Replace every pixel that is not pinned by the class it has in the image before this one"
        ),
        needs="image",
    ),
    ActionSpec(
        "clean_up",
        QT_TRANSLATE_NOOP("Actions", "Clean &up…"),
        "&Edit",
        ("Ctrl+Shift+L",),
        "clean-up",
        QT_TRANSLATE_NOOP("Actions", "Fill holes, remove islands, smooth, grow or shrink, add a ring of void"),
        "image",
    ),
)
