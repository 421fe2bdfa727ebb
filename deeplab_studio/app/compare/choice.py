"""What a pane shows: a model with or without the CRF, the person's class map, or the ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deeplab_studio.app.document import CrfSettings

Kind = Literal["model", "mine", "truth"]
Layout = Literal["grid", "row", "split"]
Mode = Literal["classes", "differences", "differing classes", "uncertainty", "coarse", "errors"]

MAX_PANES = 4
LETTERS = "ABCD"
"""What panes are called."""


@dataclass(frozen=True, slots=True)
class PaneChoice:
    """What a pane is to show.

    Parameters
    ----------
    kind : {"model", "mine", "truth"}
    path : Path, optional
        The model's file; None for a pane whose model is still to be chosen.
    crf : CrfSettings
        Of this pane alone.
    version : str
        Which version belongs here, for a pane of the story that has no model.
    """

    kind: Kind = "model"
    path: Path | None = None
    crf: CrfSettings = field(default_factory=CrfSettings)
    version: str = ""

    def with_crf(self, crf: CrfSettings) -> PaneChoice:
        """The same with other CRF settings."""
        return replace(self, crf=crf)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        path = "" if self.path is None else str(self.path)
        return {"kind": self.kind, "path": path, "crf": self.crf.to_dict()}

    @classmethod
    def from_saved(cls, saved: Any) -> PaneChoice | None:
        """The choice from `to_dict`'s output; None if it is of another release, or its model is gone."""
        if not isinstance(saved, Mapping) or saved.get("kind") not in ("model", "mine", "truth"):
            return None
        path = Path(str(saved["path"])) if saved.get("path") else None
        if saved["kind"] == "model" and (path is None or not path.is_file()):
            return None
        return cls(saved["kind"], path, CrfSettings.from_saved(saved.get("crf")) or CrfSettings())
