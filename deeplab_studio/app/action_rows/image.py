"""Going through the images of a data set, and how far each of them is."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
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
)
