"""DeepLab Studio: semantic-segmentation labelling with DeepLab, a live dense CRF and exact Pascal VOC export."""

__version__ = "0.1.0"
