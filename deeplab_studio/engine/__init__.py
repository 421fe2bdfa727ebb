"""Device, precision, tiling, prediction and caching: the pipeline from image to class map. No Qt."""
