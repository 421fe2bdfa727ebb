"""The DeepLab networks as published: torch modules of v1, v2, v3, v3+ and their backbones. No file formats, no Qt."""
