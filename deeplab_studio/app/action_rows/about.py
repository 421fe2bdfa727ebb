"""Help."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
    ActionSpec("shortcuts", QT_TRANSLATE_NOOP("Actions", "&Keyboard shortcuts"), "&Help", ("F1",), "keyboard"),
    ActionSpec("about", QT_TRANSLATE_NOOP("Actions", "&About DeepLab Studio"), "&Help"),
)
