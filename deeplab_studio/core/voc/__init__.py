"""Pascal VOC data sets on disk: reading, writing, checking.

``torchvision.datasets.VOCSegmentation(out, year="2012")`` loads what ``write_voc(..., out, nested=True)`` wrote.
"""

from deeplab_studio.core.voc.labelmap import read_class_names, read_labelmap, write_class_names, write_labelmap
from deeplab_studio.core.voc.layout import NESTED, find_voc, safe_id
from deeplab_studio.core.voc.masks import read_mask, write_mask
from deeplab_studio.core.voc.reader import VocDataset, VocItem, read_voc
from deeplab_studio.core.voc.validate import Violation, validate_voc
from deeplab_studio.core.voc.writer import ExportedItem, ExportItem, ExportReport, split_of, write_voc

__all__ = [
    "NESTED",
    "ExportItem",
    "ExportReport",
    "ExportedItem",
    "Violation",
    "VocDataset",
    "VocItem",
    "find_voc",
    "read_class_names",
    "read_labelmap",
    "read_mask",
    "read_voc",
    "safe_id",
    "split_of",
    "validate_voc",
    "write_class_names",
    "write_labelmap",
    "write_mask",
    "write_voc",
]
