"""Photo -> scores -> CRF -> class map, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.crf.params import CrfParams

if TYPE_CHECKING:
    from deeplab_studio.crf.backends import Engine
    from deeplab_studio.engine.predictor import Predictor


def segment_image(
    predictor: Predictor,
    image: npt.NDArray[np.uint8],
    params: CrfParams | None = None,
    *,
    crf_engine: Engine = "auto",
    cancel: CancelToken | None = None,
    progress: Callable[[float], None] | None = None,
) -> npt.NDArray[np.uint8]:
    """The class map of one photo.

    Parameters
    ----------
    predictor : Predictor
    image : (H, W, 3) uint8 array
        RGB, upright.
    params : CrfParams, optional
        Sharpen the scores with the CRF; without, the class of highest score is taken.
    crf_engine : {"auto", "kernel", "torch", "reference"}
        What computes the CRF, see `DenseCRF`; torch on the predictor's device.
    cancel : CancelToken, optional
    progress : callable, optional
        Called with the fraction of the prediction done, 0..1.

    Returns
    -------
    (H, W) uint8 array
        The model's class ids.

    Raises
    ------
    StudioError
        If the prediction is impossible, see `Predictor.predict`, or the engine, see `DenseCRF`.
    Cancelled
        If `cancel` was set.
    """
    scores = predictor.predict(image, cancel=cancel, progress=progress)
    if params is None:
        return scores.class_map()
    from deeplab_studio.engine.refiner import Refiner

    return Refiner(image, scores, engine=crf_engine, device=predictor.device).refine(params, cancel=cancel)
