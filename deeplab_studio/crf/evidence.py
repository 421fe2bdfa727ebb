"""What the mean field starts from: probabilities checked, labels grouped, decided pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CLIP = 1e-5
"""Probabilities are held at or above this before the logarithm, as pydensecrf's `unary_from_softmax` does."""

MAX_LABELS = 255

Floats = npt.NDArray[np.float32]

_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Unaries:
    """Probabilities of one picture, checked and turned into unary terms once, for many runs.

    Attributes
    ----------
    logs : (C, H, W) float32 ndarray
        Logarithms of the probabilities, clipped to `CLIP`..1; C-contiguous.
    used : (C,) bool ndarray
        Labels whose probability is above `CLIP` somewhere.
    cover : (C,) float64 ndarray
        About how much of the picture each label covers, for comparison with each other.
    """

    logs: Floats
    used: npt.NDArray[np.bool_]
    cover: npt.NDArray[np.float64]

    @classmethod
    def of(cls, probabilities: npt.NDArray[Any], *, in_place: bool = False) -> Unaries:
        """The unary terms of probabilities `(C, H, W)`, as `DenseCRF.infer` takes them.

        Parameters
        ----------
        probabilities : (C, H, W) float ndarray
        in_place : bool
            Give up the probabilities' own memory, which must be writable, for the result.

        Raises
        ------
        ValueError
            Naming what does not fit: a shape, a type, a value outside [0, 1].
        """
        checked, used, cover = _check(probabilities)
        own = in_place or checked is not probabilities
        logs = np.clip(checked, np.float32(CLIP), np.float32(1), out=checked if own else None)
        return cls(np.log(logs, out=logs), used, cover)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Checked input of the mean field, its labels grouped.

    Labels whose probability is nowhere above `CLIP` all have the same unary everywhere, so by symmetry they keep the
    same marginal through every iteration: they are carried as one group, the last, with a multiplicity. That makes 21
    labels cost what the few that occur in the picture cost, and changes nothing in the result.

    Attributes
    ----------
    values : (C, H, W) float32 ndarray
        Probabilities, or logarithms of clipped ones; C-contiguous, finite.
    logs : bool
        Which of both.
    active : (A,) int32 ndarray
        Channels that are a group of their own; first the one that covers most, then ascending.
    rest : (C - A,) int32 ndarray
        Channels that share the last group; may be empty.
    pinned : (H, W) int16 ndarray or None
        Index into `active` where a pixel is decided, -1 elsewhere.
    """

    values: Floats
    logs: bool
    active: npt.NDArray[np.int32]
    rest: npt.NDArray[np.int32]
    pinned: npt.NDArray[np.int16] | None

    @property
    def groups(self) -> int:
        """Number of groups: the active labels, and one more if there is a rest."""
        return len(self.active) + (1 if len(self.rest) else 0)


def gather_evidence(
    probabilities: npt.NDArray[Any] | Unaries, pinned: npt.NDArray[Any] | None, height: int, width: int
) -> Evidence:
    """Check probabilities and pinned pixels against a picture's size and against each other.

    Parameters
    ----------
    probabilities : (C, H, W) float ndarray or Unaries
        1 <= C <= 255. NaN counts as 0. They need not sum to 1: a factor common to a pixel's labels has no effect.
    pinned : (H, W) integer ndarray, optional
        Channel index of decided pixels, -1 elsewhere.
    height, width : int
        Size of the picture.

    Raises
    ------
    ValueError
        Naming what does not fit: a shape, a type, a value outside [0, 1], a channel that does not exist.
    """
    shape = probabilities.logs.shape if isinstance(probabilities, Unaries) else np.shape(probabilities)
    if len(shape) != 3 or shape[1:] != (height, width):
        raise ValueError(f"probabilities have shape {shape}, the picture needs (labels, {height}, {width})")
    if isinstance(probabilities, Unaries):
        values, used, cover = probabilities.logs, probabilities.used.copy(), probabilities.cover
    else:
        values, used, cover = _check(probabilities)
    labels = len(values)
    pinned = None if pinned is None else np.asarray(pinned)
    decided = _decided_labels(pinned, labels, height, width)
    used |= decided
    active = np.flatnonzero(used)
    if len(active):
        largest = int(cover[active].argmax())
        active = np.concatenate((active[largest : largest + 1], np.delete(active, largest)))
    pins = None
    if pinned is not None and decided.any():
        group_of = np.full(labels + 1, -1, np.int16)
        group_of[active] = np.arange(len(active))
        pins = group_of[pinned]  # -1 reads the entry after the last label, which is -1
    logs = isinstance(probabilities, Unaries)
    return Evidence(values, logs, active.astype(np.int32), np.flatnonzero(~used).astype(np.int32), pins)


def _check(probabilities: npt.NDArray[Any]) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """The probabilities as contiguous float32 without NaN, where labels are used, and what they cover."""
    given = np.asarray(probabilities)
    if given.ndim != 3 or 0 in given.shape[1:]:
        raise ValueError(f"probabilities have shape {given.shape}, it must be (labels, height, width)")
    labels = len(given)
    if not 1 <= labels <= MAX_LABELS:
        raise ValueError(f"probabilities have {labels} labels, there must be between 1 and {MAX_LABELS}")
    if not np.issubdtype(given.dtype, np.floating):
        raise ValueError(f"probabilities are {given.dtype}, they must be floating point")
    checked = np.ascontiguousarray(given, dtype=np.float32)

    flat = checked.reshape(labels, -1)
    high = flat.max(axis=1)
    if np.isnan(high).any():
        checked = np.where(np.isnan(checked), np.float32(0), checked)
        flat = checked.reshape(labels, -1)
        high = flat.max(axis=1)
    low = float(flat.min())
    if low < -_TOLERANCE or float(high.max()) > 1 + _TOLERANCE:
        raise ValueError(
            f"probabilities lie between {low:g} and {float(high.max()):g}, they must lie between 0 and 1: "
            "apply softmax to scores first"
        )
    # Every 16th pixel will do to find a label that covers much.
    return checked, high > np.float32(CLIP), flat[:, ::16].sum(axis=1, dtype=np.float64)


def _decided_labels(pinned: npt.NDArray[Any] | None, labels: int, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Which labels some pixel is decided for."""
    if pinned is None:
        return np.zeros(labels, bool)
    if pinned.shape != (height, width):
        raise ValueError(f"pinned has shape {pinned.shape}, the picture needs ({height}, {width})")
    if not np.issubdtype(pinned.dtype, np.signedinteger):
        raise ValueError(f"pinned is {pinned.dtype}, it must be a signed integer type with -1 where a pixel is free")
    low, high = int(pinned.min()), int(pinned.max())
    if low < -1 or high >= labels:
        raise ValueError(f"pinned holds channels {low} to {high}, they must lie between -1 (free) and {labels - 1}")
    return np.bincount((pinned.ravel() + 1).astype(np.intp), minlength=labels + 1)[1:] > 0
