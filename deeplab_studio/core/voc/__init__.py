"""Pascal VOC data sets on disk."""

from deeplab_studio.core.voc.layout import NESTED, find_voc, safe_id

__all__ = ["NESTED", "find_voc", "safe_id"]
