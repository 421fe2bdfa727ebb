"""From a file on disk to a network with weights, preprocessing and classes."""
