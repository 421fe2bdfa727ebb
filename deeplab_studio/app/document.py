"""One open image with everything that belongs to it, and how many of them stay in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from deeplab_studio.core.classmap import ClassMap
from deeplab_studio.core.history import History
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.sizes import on_photo

if TYPE_CHECKING:
    from deeplab_studio.app.canvas.mips import PhotoMips
    from deeplab_studio.core.images import Image
    from deeplab_studio.core.project import Item
    from deeplab_studio.engine.scores import Scores


@dataclass(frozen=True, slots=True)
class CrfSettings:
    """Whether the CRF is on, and its parameters, relative to the photo's size as `deeplab_studio.crf.sizes` says."""

    on: bool = False
    params: CrfParams = field(default_factory=CrfParams)

    def on_photo(self, height: int, width: int) -> CrfParams:
        """The parameters in pixels of a photo of this size; no iterations if the CRF is off."""
        params = self.params if self.on else replace(self.params, iterations=0)
        return on_photo(params, height, width)

    def with_params(self, params: CrfParams) -> CrfSettings:
        """The same switch with other parameters."""
        return replace(self, params=params)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"on": self.on, **self.params.to_dict()}

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any] | None) -> CrfSettings | None:
        """The settings from `to_dict`'s output; None without any, or if they are of another release."""
        try:
            values = dict(saved or {})
            return cls(bool(values.pop("on")), CrfParams.from_dict(values))
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(eq=False)
class Document:
    """One open image.

    Attributes
    ----------
    item : Item
        Its row in the project.
    image : Image
    mips : PhotoMips
        The photo as the canvas draws it.
    class_map : ClassMap
    history : History
    crf : CrfSettings
        What the CRF of this image is set to.
    labelled : bool
        Whether the class map holds something decided (loaded, predicted, painted) rather than the empty start.
    scores : Scores, optional
        What the current model says about this image, once it is known.
    edited : bool
        Whether anything was changed since it was opened.
    revision, submitted, saved : int
        Counts its changes; as of when it was last given to the disk; as of when that was last done.
    stamp : hashable
        What told the saved class map from any other when it was read; None if none was.
    """

    item: Item
    image: Image
    mips: PhotoMips
    class_map: ClassMap
    history: History
    crf: CrfSettings
    labelled: bool
    scores: Scores | None = None
    edited: bool = False
    revision: int = 0
    submitted: int = 0
    saved: int = 0
    stamp: Hashable = None

    @property
    def unsaved(self) -> bool:
        """Whether something of it is not on disk yet."""
        return self.saved != self.revision

    @property
    def nbytes(self) -> int:
        """Bytes of the photo, the pictures made of it and the class map; the history has a bound of its own."""
        maps = self.class_map.labels.nbytes + self.class_map.pinned.nbytes
        return int(self.image.pixels.nbytes + self.mips.nbytes + maps)


class DocumentShelf:
    """The documents kept in memory: those used last, up to a number of bytes.

    Parameters
    ----------
    max_bytes : int
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._documents: OrderedDict[int, Document] = OrderedDict()

    def get(self, item_id: int) -> Document | None:
        """The document of an item, which counts as used now."""
        document = self._documents.get(item_id)
        if document is not None:
            self._documents.move_to_end(item_id)
        return document

    def put(self, document: Document, keep: Collection[int]) -> None:
        """Add a document and let go of the ones used longest ago, but never of those in `keep` or with unsaved work."""
        self._documents[document.item.id] = document
        self._documents.move_to_end(document.item.id)
        excess = sum(each.nbytes for each in self._documents.values()) - self._max_bytes
        for item_id, each in list(self._documents.items()):
            if excess <= 0:
                break
            if item_id not in keep and not each.unsaved:
                excess -= each.nbytes
                self.drop(item_id)

    def documents(self) -> list[Document]:
        """All of them, the one used longest ago first."""
        return list(self._documents.values())

    def drop(self, item_id: int) -> None:
        """Let go of one of them; its history stays with whoever keeps it."""
        self._documents.pop(item_id).history.detach()

    def clear(self) -> None:
        """Let go of all of them."""
        for item_id in list(self._documents):
            self.drop(item_id)
