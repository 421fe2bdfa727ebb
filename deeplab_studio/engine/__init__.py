"""From a photo to scores to a class map: devices, prediction in one pass or in tiles, caching, the CRF. No Qt.

Importing this package is cheap: torch is loaded with the first predictor.
"""

from __future__ import annotations

from deeplab_studio.engine.cache import ByteCache
from deeplab_studio.engine.device import DeviceError, available_devices, device_label, device_memory, resolve_device
from deeplab_studio.engine.pipeline import segment_image
from deeplab_studio.engine.predictor import Predictor
from deeplab_studio.engine.scores import Scores

__all__ = [
    "ByteCache",
    "DeviceError",
    "Predictor",
    "Scores",
    "available_devices",
    "device_label",
    "device_memory",
    "resolve_device",
    "segment_image",
]
