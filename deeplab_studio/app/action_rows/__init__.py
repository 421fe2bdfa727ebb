"""Every user action, one row each: menus, toolbar, shortcuts and the documentation are made from this table."""

from __future__ import annotations

from deeplab_studio.app.action_rows import about, compare, crf, edit, file, image, model, regions, tools, view
from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

__all__ = ["ACTIONS", "MENUS", "ActionSpec"]

MENUS = (
    QT_TRANSLATE_NOOP("Actions", "&File"),
    QT_TRANSLATE_NOOP("Actions", "&Edit"),
    QT_TRANSLATE_NOOP("Actions", "&Image"),
    QT_TRANSLATE_NOOP("Actions", "&Tools"),
    QT_TRANSLATE_NOOP("Actions", "&Model"),
    QT_TRANSLATE_NOOP("Actions", "&CRF"),
    QT_TRANSLATE_NOOP("Actions", "C&ompare"),
    QT_TRANSLATE_NOOP("Actions", "&View"),
    QT_TRANSLATE_NOOP("Actions", "&Help"),
)

ACTIONS: tuple[ActionSpec, ...] = (
    *file.ROWS,
    *edit.ROWS,
    *regions.EDIT_ROWS,
    *image.ROWS,
    *tools.ROWS,
    *model.ROWS,
    *crf.ROWS,
    *compare.ROWS,
    *view.ROWS,
    *about.ROWS,
)
