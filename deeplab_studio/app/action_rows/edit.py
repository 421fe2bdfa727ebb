"""Undoing and what else changes the whole class map."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
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
        "label_set",
        QT_TRANSLATE_NOOP("Actions", "&Label set…"),
        "&Edit",
        ("Ctrl+L",),
        "label-set",
        QT_TRANSLATE_NOOP("Actions", "Add, rename, recolour, reorder, merge and delete classes; the class maps follow"),
        "items",
        gap=True,
    ),
    ActionSpec(
        "history",
        QT_TRANSLATE_NOOP("Actions", "&History"),
        "&Edit",
        ("Ctrl+H",),
        "history",
        QT_TRANSLATE_NOOP("Actions", "Show the steps of this image, and go to any of them"),
        checkable=True,
    ),
)
