"""DeepLab Studio: semantic-segmentation labelling with DeepLab, a live dense CRF and exact Pascal VOC export."""

import os

__version__ = "0.1.0"

# libgomp reads this once, when torch is loaded, and every module of the package that loads torch runs after this line.
# By default its threads spin while they wait, which on a busy machine makes a step of a network up to 90 times slower.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
