"""What the library of models keeps about its files, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplab_studio.checkpoints.model import LoadedModel


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a file turned out to hold when it was loaded.

    Parameters
    ----------
    name : str
        What it is for people: ``"DeepLabv3 ResNet-50 (torchvision)"``.
    version : str
        Which DeepLab.
    classes : int
        Number of its outputs.
    class_set : str
        What these are called together; empty if they have no such name.
    """

    name: str = ""
    version: str = ""
    classes: int = 0
    class_set: str = ""

    @classmethod
    def of(cls, model: LoadedModel) -> ModelFacts:
        """Those of a loaded model."""
        return cls(model.title, model.version, len(model.classes), model.classes.name)


UNKNOWN = ModelFacts()
"""Nobody has looked inside yet."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the index keeps of a file: enough to see without reading it that it was touched.

    `found` is the hash it had at the last look, if that was not the known one.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    card: str | None = None
    found: str = ""
    name: str = ""
    source: str = ""
    source_sha256: str = ""
    version: str = ""
    classes: int = 0
    class_set: str = ""

    @property
    def facts(self) -> ModelFacts:
        """What it holds."""
        return ModelFacts(self.name, self.version, self.classes, self.class_set)


@dataclass(slots=True)
class Index:
    """Everything known of files, by path, and the class names a person gave, by hash."""

    files: dict[str, Record] = field(default_factory=dict)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Index:
        """Read the JSON of an index; ValueError, KeyError or TypeError if it is none."""
        document = json.loads(text)
        if document["format"] != 1:
            raise ValueError(f"format {document['format']!r} is not known")
        records = [Record(**entry) for entry in document["files"]]
        for record in records:
            if not (isinstance(record.path, str) and isinstance(record.sha256, str)):
                raise TypeError("a path or hash is no text")
        classes = {str(sha256): tuple(map(str, names)) for sha256, names in document["classes"].items()}
        return cls({record.path: record for record in records}, classes)

    def dump(self) -> str:
        """The index as JSON."""
        files = [
            {name: getattr(record, name) for name in Record.__dataclass_fields__} for record in self.files.values()
        ]
        return json.dumps({"format": 1, "files": files, "classes": self.classes}, indent=1, ensure_ascii=False)
