"""The cards of the starter models: what ships with the program.

A starter is a file of the program's own format with a card beside it, ``starter-v1.safetensors`` and
``starter-v1.json``. The card says how it was trained, what it scored, and which classes it hardly knows. Reading cards
touches neither torch nor the weights.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeplab_studio.checkpoints.digest import sha256_of
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.files import explain_os_error
from deeplab_studio.core.resources import shipped_models

log = logging.getLogger(__name__)

FORMAT = 1
_INSTALL_AGAIN = "Install the program again."


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterResult:
    """What a starter scored. Figures are fractions, 0..1.

    Parameters
    ----------
    measured_on : str
        The photos, which it was not trained on.
    images : int
        How many.
    iou : mapping of str to float or None
        Intersection over union of every class; None where no photo shows the class.
    miou, miou_known : float
        Mean over the classes the photos show, and over those of them it was taught well.
    pixel_accuracy : float
    crf : str
        Preset of the dense CRF with which it was measured as well; empty if it was not.
    miou_crf, miou_known_crf : float or None
        The means with that CRF.
    """

    measured_on: str
    images: int
    iou: Mapping[str, float | None]
    miou: float
    miou_known: float
    pixel_accuracy: float
    crf: str = ""
    miou_crf: float | None = None
    miou_known_crf: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterCard:
    """What is known of one starter model.

    Parameters
    ----------
    id, title, version : str
        ``"starter-v3plus"``, ``"Starter v3+"``, ``"v3+"``.
    description : str
        What it is and what it is not, as full sentences.
    path : Path
        The weights.
    bytes : int
    sha256 : str
        Of that file.
    licence : str
        Of the weights, an SPDX identifier.
    parameters : int
    stored_as : {"float16", "float32"}
        The convolutions' weights in the file.
    agreement : float
        Share of pixels, 0..1, that get the same label from the file as from the float32 weights.
    command : str
        With which it was trained.
    data : str
        On what.
    known, hardly_known : tuple of str
        Its classes: taught with many photos, or with few or none.
    result : StarterResult
    """

    id: str
    title: str
    version: str
    description: str
    path: Path
    bytes: int
    sha256: str
    licence: str
    parameters: int
    stored_as: str
    agreement: float
    command: str
    data: str
    known: tuple[str, ...]
    hardly_known: tuple[str, ...]
    result: StarterResult

    def dump(self) -> str:
        """The card as JSON; the weights by the name they have beside it."""
        values = {"format": FORMAT} | dataclasses.asdict(self)
        values["file"] = values.pop("path").name
        return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def starter_id(version: str) -> str:
    """Id of the starter of a version: ``"starter-v3plus"`` for ``"v3+"``."""
    return f"starter-{version.replace('+', 'plus')}"


def read_card(path: Path) -> StarterCard:
    """Read a card.

    Raises
    ------
    CheckpointError
        If it cannot be read or is none.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("of another format")
        name = values.pop("file")
        if Path(name).name != name:
            raise ValueError(f"{name!r} is not beside it")
        result = StarterResult(**values.pop("result"))
        for field in ("known", "hardly_known"):
            values[field] = tuple(values[field])
        card = StarterCard(path=path.with_name(name), result=result, **values)
        _check(card)
    except OSError as error:
        reason, _ = explain_os_error(error)
        raise CheckpointError(f"it could not be read because {reason}", path=path, hint=_INSTALL_AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"it is no card of a starter model ({error})", path=path, hint=_INSTALL_AGAIN) from error
    return card


def _check(card: StarterCard) -> None:
    texts: list[Any] = [card.id, card.title, card.version, card.sha256, *card.known, *card.hardly_known]
    if not all(isinstance(text, str) for text in texts) or not isinstance(card.bytes, int):
        raise TypeError("a field has another type")
    figures = [card.result.miou, card.result.miou_known, *card.result.iou.values()]
    if not all(figure is None or 0 <= figure <= 1 for figure in figures):
        raise ValueError("a figure is not between 0 and 1")


def list_starters(folder: Path | None = None) -> list[StarterCard]:
    """The starter models of a folder, in the order of the versions.

    Parameters
    ----------
    folder : Path, optional
        By default the one that comes with the program, which may be empty.

    Returns
    -------
    list of StarterCard
        Those whose weights are there. A card that cannot be understood is left out and logged.
    """
    folder = folder if folder is not None else shipped_models()
    found = []
    for path in sorted(folder.glob("starter-*.json")) if folder is not None else []:
        try:
            card = read_card(path)
        except CheckpointError as error:
            log.warning("%s", error)
            continue
        if card.path.is_file():
            found.append(card)
    return sorted(found, key=lambda card: card.version)


def best_starter(cards: Iterable[StarterCard]) -> StarterCard | None:
    """The one to begin with: the best on the classes it knows, of equals the latest version; None if there is none."""
    return max(cards, key=lambda card: (card.result.miou_known, card.version), default=None)


def is_intact(card: StarterCard, cancel: CancelToken | None = None) -> bool:
    """Whether the weights are the ones the card describes.

    Raises
    ------
    StudioError
        If the file cannot be read.
    """
    return card.path.is_file() and sha256_of(card.path, cancel) == card.sha256
