"""From the classes of a source to those of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplab_studio.core.classmap import Labels, Mask
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.source import LabelSource, SourceClass
from deeplab_studio.core.images import examine_size
from deeplab_studio.core.labels import VOID, ClassMapping, LabelSet, is_background
from deeplab_studio.core.voc.masks import count_ids

NowMap = tuple[Labels, Mask] | None


def map_reader(
    source: LabelSource[Any], targets: Mapping[int, int | None]
) -> Callable[[Path, NowMap], tuple[Labels, Mask]]:
    """What `IncomingMaps` needs to bring a source into a project.

    Parameters
    ----------
    source : LabelSource
    targets : mapping of int to (int or None)
        What every source id becomes: a class id of the data set, 255 for void, None where the photo's own class map
        stays as it is. Void stays void.

    Returns
    -------
    callable
        Takes a photo and its class map of now, labels and pins, or None; gives labels (H, W) uint8 and pins (H, W)
        bool. Everything is pinned but void and what is left out. A StudioError says what cannot be read or does not
        fit.
    """
    table = np.zeros(256, np.uint8)
    known = np.zeros(256, np.bool_)
    kept = np.zeros(256, np.bool_)
    for source_id, target in {**targets, VOID: VOID}.items():
        known[source_id] = True
        kept[source_id] = target is None
        table[source_id] = 0 if target is None else target

    def read(photo: Path, now: NowMap) -> tuple[Labels, Mask]:
        found = source.read(photo, examine_size(photo)).labels
        unknown = np.flatnonzero((count_ids(found) > 0) & ~known)
        if unknown.size:
            raise StudioError(
                f"its labels were changed since they were counted: they hold {source.name_of(int(unknown[0]))} now",
                path=photo,
                hint="Import again.",
            )
        labels = table[found]
        pinned = labels != VOID
        own = kept[found]
        if own.any():
            fits = now is not None and now[0].shape == labels.shape
            labels[own] = now[0][own] if now is not None and fits else 0
            pinned[own] = now[1][own] if now is not None and fits else False
        return labels, pinned

    return read


def match_classes(
    classes: Sequence[SourceClass], label_set: LabelSet, choices: Mapping[str, str | None]
) -> dict[int, int]:
    """What classes of a source become without asking.

    Parameters
    ----------
    classes : sequence of SourceClass
    label_set : LabelSet
        The data set's.
    choices : mapping of str to (str or None)
        What was decided before: by name in the source the name in the data set, None for void.

    Returns
    -------
    dict of int to int
        Class id or 255, by source id, for those decided before or of equal name (ignoring case and the sign between
        words), and for what stands for "nothing else" on both sides.
    """
    found: dict[int, int] = {}
    for each in classes:
        mapping = ClassMapping.between(LabelSet.from_names([each.name]), label_set, choices)
        if not mapping.unmatched:
            found[each.id] = int(mapping.to_target[0])
        elif is_background(each.name):
            rest = [class_id for class_id, name in enumerate(label_set.names) if is_background(name)]
            if rest:
                found[each.id] = rest[0]
    return found
