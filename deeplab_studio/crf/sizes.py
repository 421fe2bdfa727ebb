"""CRF parameters that mean the same on photos of every size.

A sigma in pixels means something only together with the size of the picture. The published parameters were found on
photos of Pascal VOC, whose longer side is 500 pixels; on a photo of 4000 pixels the same figures would reach an eighth
as far. The program therefore keeps sigma_alpha and sigma_gamma in pixels of a photo whose longer side is
`REFERENCE_SIDE`, in presets as with every image, and stretches them to the photo at hand. On a photo of 500 pixels the
figures are pixels of that photo. The command line takes figures as they are, in pixels of each photo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplab_studio.crf.params import CrfParams

REFERENCE_SIDE = 500
"""Longer side, in pixels, of the photo that relative sigmas refer to."""


def size_factor(height: int, width: int) -> float:
    """How many pixels of a photo of this size one pixel of the reference photo is."""
    return max(height, width) / REFERENCE_SIDE


def on_photo(params: CrfParams, height: int, width: int) -> CrfParams:
    """Relative parameters as `DenseCRF` takes them for a photo of this size.

    Parameters
    ----------
    params : CrfParams
        Spatial sigmas in pixels of a photo whose longer side is `REFERENCE_SIDE`.
    height, width : int
        Of the photo, at least 1.

    Returns
    -------
    CrfParams
        Spatial sigmas in pixels of the photo; weights, the colour sigma and the iterations do not depend on its size.
        On very small photos a sigma is held at half a pixel.
    """
    factor = size_factor(height, width)
    return params if factor == 1 else params.scaled(factor)
