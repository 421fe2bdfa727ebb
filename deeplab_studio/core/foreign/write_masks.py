"""Writing masks as other programs expect them: gray ids, CVAT's colours, Cityscapes' label ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.foreign.writer import LabelledPhoto, LabelWriter, make_folder, void_note, write_text
from deeplab_studio.core.label_sets import builtin_label_set
from deeplab_studio.core.labels import VOID, VOID_COLOUR, ClassMapping, LabelSet
from deeplab_studio.core.voc.labelmap import write_class_names, write_labelmap
from deeplab_studio.core.voc.layout import CLASS_NAMES, LABELMAP, LISTS, MASKS

_CITYSCAPES_PHOTO = "_leftImg8bit"
_CITYSCAPES_MASK = "_gtFine_labelIds"


class IndexWriter(LabelWriter):
    """Gray PNG files, 8 bits per pixel, whose values are class ids, with ``class_names.txt``. Nothing is lost."""

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        super().__init__(out, label_set)
        make_folder(out)

    def _add(self, photo: LabelledPhoto) -> None:
        save_png(self.out / f"{photo.name}.png", photo.labels)

    def _finish(self) -> list[str]:
        write_class_names(self.out / CLASS_NAMES, self.label_set)
        return []


class CvatWriter(LabelWriter):
    """What CVAT exports as "Segmentation mask 1.1": RGB masks and a ``labelmap.txt`` that says which colour is what.

    Colours take the place of ids, so every class needs one of its own. Void gets Pascal VOC's colour of void and, if
    there is any, the entry "ignored" in ``labelmap.txt``, as in Datumaro's list of Pascal VOC's classes.
    """

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        super().__init__(out, label_set)
        owners: dict[tuple[int, int, int], str] = {VOID_COLOUR: "void"}
        for label in label_set:
            other = owners.setdefault(label.colour, label.name)
            if other != label.name:
                raise StudioError(
                    f"CVAT tells classes apart by colour, and {label.name} has the same as {other}: {label.colour}",
                    path=out,
                    hint="Give it another colour in the label set editor, or in labelmap.txt.",
                )
        make_folder(out / MASKS)
        make_folder(out / LISTS)
        self._palette = label_set.palette()
        self._palette[VOID] = VOID_COLOUR
        self._names: list[str] = []
        write_labelmap(out / LABELMAP, label_set)

    def _add(self, photo: LabelledPhoto) -> None:
        save_png(self.out / MASKS / f"{photo.name}.png", self._palette[photo.labels])
        self._names.append(photo.name)

    def _finish(self) -> list[str]:
        write_text(self.out / LISTS / "default.txt", "".join(f"{name}\n" for name in self._names))
        write_labelmap(self.out / LABELMAP, self.label_set, void=self.void > 0)
        return []


class CityscapesWriter(LabelWriter):
    """Cityscapes' ``*_gtFine_labelIds.png`` (Cordts et al. 2016), for classes that Cityscapes has."""

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        super().__init__(out, label_set)
        mapping = ClassMapping.between(label_set, builtin_label_set("cityscapes-ids"))
        if mapping.unmatched:
            names = ", ".join(mapping.unmatched[:5]) + (" and others" if len(mapping.unmatched) > 5 else "")
            raise StudioError(
                f"Cityscapes has no class called {names}",
                path=out,
                hint="Give the classes the names of Cityscapes in the label set editor first.",
            )
        make_folder(out)
        self._table = mapping.to_target.copy()
        self._table[VOID] = 0  # "unlabeled"

    def _add(self, photo: LabelledPhoto) -> None:
        name = photo.name.removesuffix(_CITYSCAPES_PHOTO)
        save_png(self.out / f"{name}{_CITYSCAPES_MASK}.png", self._table[photo.labels])

    def _finish(self) -> list[str]:
        return void_note(self.void, "became unlabeled (0), for Cityscapes has no void")


def save_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write gray (H, W) or RGB (H, W, 3) pixels, read them again and compare.

    Raises
    ------
    StudioError
        If that cannot be written, or does not read back as it was.
    """
    with atomic_write(path) as temporary:
        PilImage.fromarray(pixels).save(temporary, format="PNG")
        with PilImage.open(temporary, formats=("PNG",)) as picture:
            same = np.array_equal(np.asarray(picture), pixels)
        if not same:
            raise StudioError("what was written does not read back as it was", path=path, hint="Check the disk.")
