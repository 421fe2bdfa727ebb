"""How photo and class map look."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "zoom_fit",
        QT_TRANSLATE_NOOP("Actions", "&Fit in window"),
        "&View",
        ("Ctrl+0", "Shift+F"),
        "zoom-fit",
        needs="image",
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "zoom_actual",
        QT_TRANSLATE_NOOP("Actions", "&Actual size"),
        "&View",
        ("Ctrl+1",),
        "zoom-actual",
        needs="image",
        toolbar=True,
    ),
    ActionSpec(
        "zoom_in", QT_TRANSLATE_NOOP("Actions", "Zoom &in"), "&View", ("Ctrl++", "Ctrl+="), "zoom-in", needs="image"
    ),
    ActionSpec("zoom_out", QT_TRANSLATE_NOOP("Actions", "Zoom &out"), "&View", ("Ctrl+-",), "zoom-out", needs="image"),
    ActionSpec(
        "outlines",
        QT_TRANSLATE_NOOP("Actions", "Out&lines only"),
        "&View",
        ("O",),
        "outlines",
        checkable=True,
        gap=True,
    ),
    ActionSpec(
        "show_pins", QT_TRANSLATE_NOOP("Actions", "Show pi&nned pixels"), "&View", ("K",), "pin", checkable=True
    ),
    ActionSpec(
        "peek", QT_TRANSLATE_NOOP("Actions", "Bare photo while held"), "&View", ("H",), hold=True, needs="image"
    ),
    ActionSpec(
        "focus_next",
        QT_TRANSLATE_NOOP("Actions", "Ne&xt panel"),
        "&View",
        ("F6",),
        tip=QT_TRANSLATE_NOOP("Actions", "Give the keys to the next panel: canvas, images, view, classes, CRF, stages"),
        gap=True,
    ),
    ActionSpec("focus_previous", QT_TRANSLATE_NOOP("Actions", "Pre&vious panel"), "&View", ("Shift+F6",)),
    ActionSpec(
        "theme_system",
        QT_TRANSLATE_NOOP("Actions", "Colours of the &system"),
        "&View",
        (),
        checkable=True,
        group="theme",
        gap=True,
    ),
    ActionSpec("theme_light", QT_TRANSLATE_NOOP("Actions", "Li&ght"), "&View", (), checkable=True, group="theme"),
    ActionSpec("theme_dark", QT_TRANSLATE_NOOP("Actions", "Dar&k"), "&View", (), checkable=True, group="theme"),
)
