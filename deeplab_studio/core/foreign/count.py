"""How often every class of a source occurs, for the person who decides what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.source import LabelSource
from deeplab_studio.core.images import examine_size
from deeplab_studio.core.voc.masks import count_ids


@dataclass
class SourceCounts:
    """What `count_source` found.

    Attributes
    ----------
    pixels, images : (256,) int64 array
        By source id; 255 is void.
    usable : list of Path
        The photos whose labels can be read and fit.
    problems : list of StudioError
        One for each of the others.
    notes : list of str
        What a person should know about those that can be read.
    """

    pixels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    images: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    usable: list[Path] = field(default_factory=list)
    problems: list[StudioError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def count_source(
    source: LabelSource[object],
    progress: Callable[[float], object] | None = None,
    cancel: CancelToken | None = None,
) -> SourceCounts:
    """Read all labels of a source once.

    Parameters
    ----------
    source : LabelSource
    progress : callable, optional
        Called with 0..1.
    cancel : CancelToken, optional

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    counts = SourceCounts()
    photos = source.photos
    for done, photo in enumerate(photos):
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            read = source.read(photo, examine_size(photo))
        except StudioError as error:
            counts.problems.append(error)
            continue
        found = count_ids(read.labels)
        counts.pixels += found
        counts.images += found > 0
        counts.usable.append(photo)
        counts.notes += read.notes
        if progress is not None:
            progress((done + 1) / len(photos))
    return counts
