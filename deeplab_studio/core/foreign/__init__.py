"""Label data of other programs, read onto class maps without loss.

A `LabelSource` is what was found in a file or folder: its classes, and for every photo a map of source ids. Which
class of the open data set a source id becomes is decided afterwards, by a `ClassMapping` or by a person.
"""

from deeplab_studio.core.foreign.bring import map_reader, match_classes
from deeplab_studio.core.foreign.count import SourceCounts, count_source
from deeplab_studio.core.foreign.find import find_labels
from deeplab_studio.core.foreign.source import LabelSource, PhotoLabels, SourceClass

__all__ = [
    "LabelSource",
    "PhotoLabels",
    "SourceClass",
    "SourceCounts",
    "count_source",
    "find_labels",
    "map_reader",
    "match_classes",
]
