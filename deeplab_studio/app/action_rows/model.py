"""Choosing, running and looking into models."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "predict",
        QT_TRANSLATE_NOOP("Actions", "&Predict"),
        "&Model",
        ("R",),
        "predict",
        QT_TRANSLATE_NOOP("Actions", "Run the model on this image again; pinned pixels stay"),
        "model+image",
        gap=True,
    ),
    ActionSpec(
        "auto_predict", QT_TRANSLATE_NOOP("Actions", "Predict new images by &itself"), "&Model", (), checkable=True
    ),
    ActionSpec(
        "cancel", QT_TRANSLATE_NOOP("Actions", "&Stop the current work"), "&Model", ("Ctrl+.",), "stop", needs="busy"
    ),
    ActionSpec(
        "open_model",
        QT_TRANSLATE_NOOP("Actions", "&Open model file…"),
        "&Model",
        ("Ctrl+M",),
        "open-model",
        gap=True,
        tip=QT_TRANSLATE_NOOP("Actions", "Use a DeepLab checkpoint you already have"),
    ),
    ActionSpec(
        "get_models",
        QT_TRANSLATE_NOOP("Actions", "&Get models…"),
        "&Model",
        (),
        "get-models",
        QT_TRANSLATE_NOOP("Actions", "See which models can be downloaded"),
    ),
    ActionSpec(
        "map_classes",
        QT_TRANSLATE_NOOP("Actions", "&Map classes…"),
        "&Model",
        (),
        "map-classes",
        QT_TRANSLATE_NOOP("Actions", "Say what the model's classes become where the data set calls them otherwise"),
        "model+items",
    ),
    ActionSpec(
        "inspect_model",
        QT_TRANSLATE_NOOP("Actions", "&Inspector…"),
        "&Model",
        ("Ctrl+I",),
        "inspect-model",
        QT_TRANSLATE_NOOP("Actions", "Take the model apart: rates, receptive field, multiply-adds, class names"),
        "model",
        gap=True,
    ),
    ActionSpec(
        "fast_precision",
        QT_TRANSLATE_NOOP("Actions", "Fas&t precision"),
        "&Model",
        (),
        "",
        QT_TRANSLATE_NOOP("Actions", "Compute in bfloat16 or float16: faster, and some labels change"),
        checkable=True,
    ),
)
