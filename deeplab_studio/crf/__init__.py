"""The fully connected CRF of Krähenbühl and Koltun (NIPS 2011). No Qt."""

from deeplab_studio.crf.backends import Backend, Engine, crf_backend, reference_available, require_engine
from deeplab_studio.crf.dense import DenseCRF
from deeplab_studio.crf.evidence import Unaries
from deeplab_studio.crf.params import CrfParams, parse_params
from deeplab_studio.crf.presets import PRESETS, Preset, find_preset

__all__ = [
    "PRESETS",
    "Backend",
    "CrfParams",
    "DenseCRF",
    "Engine",
    "Preset",
    "Unaries",
    "crf_backend",
    "find_preset",
    "parse_params",
    "reference_available",
    "require_engine",
]
