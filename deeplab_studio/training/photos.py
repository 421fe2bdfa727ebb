"""Photos and their masks, decoded once and kept as raw bytes on disk, so that crops cost next to nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.image_pixels import Pixels
from deeplab_studio.core.images import load_image
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.voc import VocItem, read_mask

_CHUNK = 64
"""Photos decoded at a time: bounds the memory while the cache is written."""


@dataclass(frozen=True, eq=False)
class Photos:
    """Labelled photos in memory-mapped files.

    Parameters
    ----------
    names : tuple of str
        Ids of the photos.
    sizes : (N, 2) int64 array
        Height and width of each.
    starts : (N,) int64 array
        First pixel of each in `pixels` and `labels`.
    pixels : (P, 3) uint8 array
        RGB of all photos, one after the other.
    labels : (P,) uint8 array
        Class ids, 255 void.
    key : str
        Changes with the files and the size they are kept at.
    """

    names: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    pixels: Pixels
    labels: Labels
    key: str

    def __len__(self) -> int:
        return len(self.names)

    def photo(self, index: int) -> Pixels:
        """One photo, (H, W, 3) uint8 RGB."""
        height, width = self.sizes[index]
        start = self.starts[index]
        return np.asarray(self.pixels[start : start + height * width]).reshape(height, width, 3)

    def mask(self, index: int) -> Labels:
        """Its class map, (H, W) uint8."""
        height, width = self.sizes[index]
        start = self.starts[index]
        return np.asarray(self.labels[start : start + height * width]).reshape(height, width)

    def class_pixels(self, classes: int) -> npt.NDArray[np.int64]:
        """Pixels of every class in every photo, (N, `classes`) int64."""
        return np.stack([np.bincount(self.mask(i).ravel(), minlength=256)[:classes] for i in range(len(self))])


def open_photos(
    items: Sequence[VocItem],
    labels: LabelSet,
    folder: Path,
    *,
    side: int,
    on_problem: Callable[[StudioError], None],
    progress: Callable[[int, int], None] | None = None,
) -> Photos:
    """Decode photos and masks, or take them from the cache of an earlier run.

    Parameters
    ----------
    items : sequence of VocItem
    labels : LabelSet
        Classes the masks may hold.
    folder : Path
        Where caches lie; made if it is not there.
    side : int
        Longest side, in pixels, that photos are kept at; larger ones are made smaller.
    on_problem : callable
        Told about every photo that is left out: no mask, a mask with unknown ids or of another size, a damaged file.
    progress : callable, optional
        Called with the photos done and their number.

    Raises
    ------
    StudioError
        If the cache cannot be written.
    """
    key = _key(items, labels, side)
    base = folder / f"photos-{key}"
    index = base.with_suffix(".json")
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(items, labels, base, side, progress)
    stored = json.loads(index.read_text(encoding="utf-8"))
    for path, reason, hint in stored["problems"]:
        on_problem(StudioError(reason, path=path, hint=hint))
    sizes = np.asarray(stored["sizes"], np.int64).reshape(-1, 2)
    areas = sizes.prod(axis=1)
    total = int(areas.sum())
    return Photos(
        names=tuple(stored["names"]),
        sizes=sizes,
        starts=np.cumsum(areas) - areas,
        pixels=_mapped(base.with_suffix(".rgb"), (total, 3)),
        labels=_mapped(base.with_suffix(".ids"), (total,)),
        key=key,
    )


def _mapped(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    if not shape[0]:
        return np.zeros(shape, np.uint8)
    return np.memmap(path, np.uint8, "r", shape=shape)


def _key(items: Sequence[VocItem], labels: LabelSet, side: int) -> str:
    """A hash of everything the cache depends on: files by name, size and time, classes, side."""
    digest = hashlib.sha256(json.dumps([side, labels.names]).encode())
    for item in items:
        for path in (item.image, item.mask):
            state = path.stat() if path is not None and path.exists() else None
            digest.update(f"{path}\0{state and (state.st_size, state.st_mtime_ns)}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]


def _write(
    items: Sequence[VocItem], labels: LabelSet, base: Path, side: int, progress: Callable[[int, int], None] | None
) -> None:
    """Write the three files of a cache; the index comes last and makes it valid."""

    def decode(item: VocItem) -> tuple[Pixels, Labels] | StudioError:
        try:
            return _decode(item, labels, side)
        except StudioError as error:
            return error

    names, sizes, problems = [], [], []
    with (
        atomic_write(base.with_suffix(".rgb")) as rgb,
        atomic_write(base.with_suffix(".ids")) as ids,
        rgb.open("wb") as rgb_file,
        ids.open("wb") as ids_file,
        ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="decode") as pool,
    ):
        for first in range(0, len(items), _CHUNK):
            some = items[first : first + _CHUNK]
            for item, decoded in zip(some, pool.map(decode, some), strict=True):
                if isinstance(decoded, StudioError):
                    problems.append((str(decoded.path), decoded.reason, decoded.hint))
                    continue
                pixels, mask = decoded
                rgb_file.write(pixels.tobytes())
                ids_file.write(mask.tobytes())
                names.append(item.name)
                sizes.append(mask.shape)
            if progress is not None:
                progress(min(first + _CHUNK, len(items)), len(items))
    index = {"names": names, "sizes": sizes, "problems": problems}
    with atomic_write(base.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(index), encoding="utf-8")


def _decode(item: VocItem, labels: LabelSet, side: int) -> tuple[Pixels, Labels]:
    import cv2

    if item.mask is None:
        raise StudioError("it has no mask", path=item.image, hint="Label it or take it off the list.")
    photo = load_image(item.image)
    mask = read_mask(item.mask, image_size=(photo.width, photo.height), label_set=labels)
    pixels = photo.pixels
    longest = max(mask.shape)
    if longest > side:
        size = tuple(max(1, round(length * side / longest)) for length in mask.shape[::-1])
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    return pixels, mask
