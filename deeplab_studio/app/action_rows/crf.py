"""The dense CRF, its stages and its parameters."""

from __future__ import annotations

from deeplab_studio.app.action_rows.spec import ActionSpec
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

ROWS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "crf",
        QT_TRANSLATE_NOOP("Actions", "Refine with the &CRF"),
        "&CRF",
        ("C",),
        "crf",
        QT_TRANSLATE_NOOP("Actions", "Sharpen the prediction along the edges of the photo"),
        checkable=True,
    ),
    ActionSpec(
        "stages",
        QT_TRANSLATE_NOOP("Actions", "Show the &stages"),
        "&CRF",
        ("G",),
        "stages",
        QT_TRANSLATE_NOOP("Actions", "Show how the class map comes about, step by step, in a strip under the picture"),
        checkable=True,
        toolbar=True,
        gap=True,
    ),
    ActionSpec(
        "stage_previous", QT_TRANSLATE_NOOP("Actions", "&Previous stage"), "&CRF", (",",), "previous", needs="stages"
    ),
    ActionSpec("stage_next", QT_TRANSLATE_NOOP("Actions", "&Next stage"), "&CRF", (".",), "next", needs="stages"),
    *(
        ActionSpec(
            f"stage_{view}",
            text,
            "&CRF",
            (),
            icon,
            needs="stages",
            checkable=True,
            group="stage",
            gap=view == "classes",
        )
        for view, text, icon in (
            ("classes", QT_TRANSLATE_NOOP("Actions", "C&lasses of the stage"), "labels"),
            ("probability", QT_TRANSLATE_NOOP("Actions", "Pro&bability of one class"), "probability"),
            ("entropy", QT_TRANSLATE_NOOP("Actions", "&Uncertainty"), "uncertainty"),
            ("changes", QT_TRANSLATE_NOOP("Actions", "C&hanges by the CRF"), "changes"),
        )
    ),
    ActionSpec(
        "kernel",
        QT_TRANSLATE_NOOP("Actions", "&Kernel at the cursor"),
        "&CRF",
        ("W",),
        "kernel",
        QT_TRANSLATE_NOOP(
            "Actions", "Show how much all other pixels pull the one under the cursor towards their class"
        ),
        "image",
        checkable=True,
    ),
    *(
        ActionSpec(
            f"crf_engine_{engine}",
            text,
            "&CRF",
            (),
            "",
            tip,
            f"crf engine {engine}",
            checkable=True,
            group="crf engine",
            gap=engine == "kernel",
        )
        for engine, text, tip in (
            (
                "kernel",
                QT_TRANSLATE_NOOP("Actions", "Engine: compiled kernel"),
                QT_TRANSLATE_NOOP("Actions", "Compute the CRF in the program's own compiled kernel, on the processor"),
            ),
            (
                "torch",
                QT_TRANSLATE_NOOP("Actions", "Engine: torch"),
                QT_TRANSLATE_NOOP("Actions", "Compute the CRF in torch, where the model runs; results are the same"),
            ),
            (
                "reference",
                QT_TRANSLATE_NOOP("Actions", "Engine: pydensecrf (reference, slow)"),
                QT_TRANSLATE_NOOP(
                    "Actions",
                    "Compute the CRF in pydensecrf, to compare with; "
                    "it has to be installed: pip install 'deeplab-studio[reference]'",
                ),
            ),
        )
    ),
    ActionSpec(
        "preset_save",
        QT_TRANSLATE_NOOP("Actions", "Save as preset…"),
        "&CRF",
        (),
        "save",
        QT_TRANSLATE_NOOP("Actions", "Keep these parameters under a name"),
        gap=True,
    ),
    ActionSpec("preset_rename", QT_TRANSLATE_NOOP("Actions", "Rename preset…"), "&CRF", needs="own preset"),
    ActionSpec(
        "preset_delete", QT_TRANSLATE_NOOP("Actions", "Delete preset"), "&CRF", (), "remove", needs="own preset"
    ),
    ActionSpec("preset_import", QT_TRANSLATE_NOOP("Actions", "Import presets…"), "&CRF", (), "import"),
    ActionSpec(
        "preset_export",
        QT_TRANSLATE_NOOP("Actions", "Export presets…"),
        "&CRF",
        (),
        "export",
        QT_TRANSLATE_NOOP("Actions", "Write your own presets to a file"),
        "own presets",
    ),
    ActionSpec(
        "crf_all",
        QT_TRANSLATE_NOOP("Actions", "Apply to &all images…"),
        "&CRF",
        (),
        "automatic",
        QT_TRANSLATE_NOOP("Actions", "Refine all images with these parameters, in the background"),
        "model+image",
        gap=True,
    ),
    ActionSpec(
        "crf_search",
        QT_TRANSLATE_NOOP("Actions", "S&earch parameters…"),
        "&CRF",
        (),
        "search-parameters",
        QT_TRANSLATE_NOOP("Actions", "Find good parameters where there is ground truth"),
        "model+image",
    ),
)
