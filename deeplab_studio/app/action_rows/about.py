"""Help."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "command_palette",
        QT_TRANSLATE_NOOP("Actions", "&Find a command…"),
        "&Help",
        ("Ctrl+Shift+P", "Ctrl+P"),
        "search",
        QT_TRANSLATE_NOOP("Actions", "Type what should be done; @ finds images, # finds classes"),
    ),
    ActionSpec(
        "shortcuts",
        QT_TRANSLATE_NOOP("Actions", "&Keyboard shortcuts…"),
        "&Help",
        ("F1",),
        "keyboard",
        QT_TRANSLATE_NOOP("Actions", "See all keys and change them"),
    ),
    ActionSpec("about", QT_TRANSLATE_NOOP("Actions", "&About DeepLab Studio"), "&Help"),
)
