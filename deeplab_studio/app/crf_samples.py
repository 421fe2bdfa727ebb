"""Photos with ground truth to search CRF parameters on: which there are, a seeded choice, and reading them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.predictions import Scorer
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.cancel import CancelToken
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.core.project import Project
    from deeplab_studio.engine.crf_search import Sample

TRUSTED = frozenset({"done", "reviewed"})


@dataclass(frozen=True)
class Candidate:
    """A photo with ground truth: a finished class map of the project, or a mask that came with the data set."""

    item_id: int
    path: Path
    mask: Path | None


def candidates(session: Session) -> list[Candidate]:
    """The images in the list that have ground truth."""
    own = session.project.items_with_maps() if session.project is not None else set()
    found = []
    for item in session.items:
        if item.id in own and item.state in TRUSTED:
            found.append(Candidate(item.id, item.path, None))
        elif item.id in session.masks and item.id not in own:
            found.append(Candidate(item.id, item.path, session.masks[item.id]))
    return found


def choose(found: Sequence[Candidate], count: int, seed: int) -> list[Candidate]:
    """A sample: the same for the same photos, count and seed."""
    ordered = sorted(found, key=lambda candidate: candidate.path.as_posix())
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


def read_samples(
    project: Project,
    chosen: Sequence[Candidate],
    scorer: Scorer,
    mapping: ClassMapping,
    cancel: CancelToken,
    progress: Callable[[int], None],
) -> tuple[list[Sample], list[StudioError]]:
    """Read and predict the photos of a sample. For a worker thread.

    Parameters
    ----------
    project : Project
    chosen : sequence of Candidate
    scorer : callable
        See `Predictions.scorer`.
    mapping : ClassMapping
        From the model's classes to the project's.
    cancel : CancelToken
    progress : callable
        Called with the number of photos done.

    Returns
    -------
    list of Sample
    list of StudioError
        What could not be read.

    Raises
    ------
    StudioError
        If none could be read.
    Cancelled
    """
    from deeplab_studio.app.opening import read_own_mask
    from deeplab_studio.core.images import load_image
    from deeplab_studio.engine.crf_search import Sample

    samples: list[Sample] = []
    problems: list[StudioError] = []
    for number, candidate in enumerate(chosen):
        progress(number)
        cancel.raise_if_cancelled()
        try:
            pixels = load_image(candidate.path).pixels
            height, width = pixels.shape[:2]
            if candidate.mask is not None:
                truth = read_own_mask(project, candidate.mask, (height, width), strict=True)
            else:
                saved = project.load_map(candidate.item_id)
                if saved is None or saved[0].shape != (height, width):
                    raise StudioError(
                        _tr("its class map does not fit the photo"), path=candidate.path, hint=_tr("Label it again.")
                    )
                truth = saved[0]
            scores = scorer(candidate.path, pixels, cancel)
            samples.append(Sample(candidate.path.name, pixels, scores, truth, mapping))
        except StudioError as error:
            problems.append(error)
    if not samples:
        raise problems[0] if problems else StudioError(_tr("there is no photo with ground truth"))
    return samples, problems


def _tr(text: str) -> str:
    return QCoreApplication.translate("Samples", text)
