"""Opening, exporting, leaving."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "open_images",
        QT_TRANSLATE_NOOP("Actions", "Open &images…"),
        "&File",
        ("Ctrl+O",),
        "open-image",
        QT_TRANSLATE_NOOP("Actions", "Open one or more photos"),
        toolbar=True,
    ),
    ActionSpec(
        "open_folder",
        QT_TRANSLATE_NOOP("Actions", "Open &folder…"),
        "&File",
        ("Ctrl+Shift+O",),
        "open-folder",
        QT_TRANSLATE_NOOP("Actions", "Open a folder of photos or a Pascal VOC data set"),
        toolbar=True,
    ),
    ActionSpec(
        "paste_image",
        QT_TRANSLATE_NOOP("Actions", "&Paste image"),
        "&File",
        ("Ctrl+V",),
        "paste",
        QT_TRANSLATE_NOOP("Actions", "Add the picture on the clipboard"),
    ),
    ActionSpec(
        "export",
        QT_TRANSLATE_NOOP("Actions", "&Export…"),
        "&File",
        ("Ctrl+E",),
        "export",
        QT_TRANSLATE_NOOP("Actions", "Write masks as a Pascal VOC data set"),
        "items",
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "import_labels",
        QT_TRANSLATE_NOOP("Actions", "I&mport labels…"),
        "&File",
        ("Ctrl+Shift+I",),
        "import",
        QT_TRANSLATE_NOOP("Actions", "Take over masks, labelme or COCO files of the photos in the list"),
        "items",
        gap=True,
    ),
    ActionSpec("quit", QT_TRANSLATE_NOOP("Actions", "&Quit"), "&File", ("Ctrl+Q",), gap=True),
)
