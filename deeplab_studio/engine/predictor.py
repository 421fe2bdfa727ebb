"""Running a network on photos: in one pass, in tiles where memory asks for it, on the CPU if nothing else works.

Importing this module does not load torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from deeplab_studio.checkpoints.model import LoadedModel, SizeRule
from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.engine.device import device_label, resolve_device
from deeplab_studio.engine.preprocess import Pixels, input_size, normalise, resize, shown_size
from deeplab_studio.engine.scores import AxisMap, Scores
from deeplab_studio.engine.tiles import spans

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.hooks import RemovableHandle

PASS_PIXELS = 2_000_000
"""The largest input, in pixels, that goes through the network in one pass."""

TILE_SIDES = (1024, 512, 256)
"""Sides of the tiles tried in turn when memory runs out; the first is used for inputs above `PASS_PIXELS`."""

_NATIVE = SizeRule("native")


class Predictor:
    """A model on a device, ready to predict.

    Calls wait for each other; use one predictor per device.

    Parameters
    ----------
    model : LoadedModel
        Not changed and, but for its description, not kept.
    device : str
        See `resolve_device`.
    on_notice : callable, optional
        Called with a sentence whenever something happens that a person should know: memory ran out and smaller tiles
        or the CPU are used from now on.
    size : {"model", "native"}
        "model" shows the network a photo at the size its authors do (`Preprocessing.size`); "native" at its own,
        which finds smaller things and takes longer. Inputs above 2 megapixels go through overlapping tiles whose
        logits are blended; image-level features then see one tile, so the scores are not exactly those of one pass.

    Raises
    ------
    DeviceError
        If this machine does not have the device.
    """

    def __init__(
        self,
        model: LoadedModel,
        device: str = "auto",
        on_notice: Callable[[str], None] | None = None,
        *,
        size: Literal["model", "native"] = "model",
    ) -> None:
        self.model_id = model.model_id
        self.title = model.title
        self.classes = model.classes
        self.preprocessing = model.preprocessing
        self.profile = model.profile
        self._size_rule = model.preprocessing.size if size == "model" else _NATIVE
        self._pad_to = model.preprocessing.pad_to if size == "model" else 0
        self._on_notice = on_notice or (lambda _: None)
        self._lock = threading.Lock()
        self._tile_side: int | None = None
        self._watch = _Watch()
        self._use(model.network, resolve_device(device))

    @property
    def device(self) -> str:
        """Where it runs now; the CPU if the memory of a GPU did not suffice."""
        return self._device

    def predict(
        self,
        image: Pixels,
        cancel: CancelToken | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Scores:
        """Scores of one photo.

        Parameters
        ----------
        image : (H, W, 3) uint8 array
            RGB, upright.
        cancel : CancelToken, optional
            Polled before every layer.
        progress : callable, optional
            Called with the fraction done, 0..1.

        Raises
        ------
        ValueError
            If `image` is no such array.
        StudioError
            If memory does not suffice even in small tiles on the CPU, or the scores are not numbers.
        Cancelled
            If `cancel` was set.
        """
        _check(image)
        height, width = image.shape[:2]
        shown = shown_size(self._size_rule, height, width)
        pixels = resize(image, *shown, self._size_rule)
        padded = input_size(*shown, at_least=self._pad_to, remainder=self.profile.input_remainder)
        logits = self._logits(pixels, padded, cancel, progress)
        rows, columns = (
            AxisMap.of_network(
                pixels=(height, width)[axis],
                shown=shown[axis],
                padded=padded[axis],
                cells=logits.shape[1 + axis],
                align_corners=self.profile.align_corners,
            )
            for axis in (0, 1)
        )
        return Scores(logits, rows, columns, (height, width), self.classes, self.model_id)

    def native_logits(self, image: Pixels, cancel: CancelToken | None = None) -> npt.NDArray[np.float32]:
        """The network's output for a photo at its own size, in one pass.

        Parameters
        ----------
        image : (H, W, 3) uint8 array
            RGB, upright. Normalised as the model wants, not resized, and padded only if the network cannot take it
            otherwise.
        cancel : CancelToken, optional

        Returns
        -------
        (C, h, w) float32 array

        Raises
        ------
        StudioError
            If memory does not suffice.
        Cancelled
            If `cancel` was set.
        """
        _check(image)
        height, width = image.shape[:2]
        padded = input_size(height, width, at_least=0, remainder=self.profile.input_remainder)
        with self._lock:
            try:
                return self._attempt(image, padded, None, cancel, None)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                raise StudioError(
                    f"there is not enough memory for {width} x {height} pixels in one pass", hint="Use a smaller image."
                ) from error

    def _use(self, network: nn.Module, device: str) -> None:
        from deeplab_studio.networks.inference import for_inference

        if device.startswith("cuda"):
            import torch

            # Torch lets convolutions round to 10 bits by default; scores are to be the same on every device.
            torch.backends.cudnn.allow_tf32 = False
        self._watch.detach()  # copying a network copies its hooks
        self._device = device
        self._network = for_inference(network, device)
        self._watch.attach(self._network)

    def _logits(
        self,
        pixels: Pixels,
        padded: tuple[int, int],
        cancel: CancelToken | None,
        progress: Callable[[float], None] | None,
    ) -> npt.NDArray[np.float32]:
        with self._lock:
            side = TILE_SIDES[0] if padded[0] * padded[1] > PASS_PIXELS else None
            if self._tile_side is not None and max(padded) > self._tile_side:
                side = self._tile_side
            while True:
                try:
                    logits = self._attempt(pixels, padded, side, cancel, progress)
                    break
                except (RuntimeError, MemoryError) as error:
                    if not _is_out_of_memory(error):
                        raise
                # Here, not in the handler: the exception's frames hold the tensors that did not fit.
                side = self._step_down(padded, side)
        if not np.isfinite(logits).all():
            raise StudioError(f"the scores of {self.title} are not numbers", hint="Load the model again.")
        return logits

    def _step_down(self, padded: tuple[int, int], side: int | None) -> int | None:
        """The next smaller tile after memory ran out, or the CPU; says so."""
        _give_back_memory(self._device)
        where = device_label(self._device)
        smaller = [s for s in TILE_SIDES if s < min(max(padded), side or max(padded))]
        if smaller:
            self._tile_side = smaller[0]
            self._on_notice(f"{where}: memory ran out, going on in tiles of {smaller[0]} pixels.")
            return self._tile_side
        if self._device == "cpu":
            raise StudioError(
                "there is not enough memory for this model, even in small tiles",
                hint="Close other programs or choose a smaller model.",
            )
        self._on_notice(f"{where}: memory does not suffice even for small tiles, going on on the CPU.")
        self._tile_side = None
        self._use(self._network, "cpu")
        return TILE_SIDES[0] if padded[0] * padded[1] > PASS_PIXELS else None

    def _attempt(
        self,
        pixels: Pixels,
        padded: tuple[int, int],
        side: int | None,
        cancel: CancelToken | None,
        progress: Callable[[float], None] | None,
    ) -> npt.NDArray[np.float32]:
        if side is None:
            self._watch.start(1, cancel, progress)
            return self._forward(normalise(pixels, self.preprocessing, *padded))
        stride, remainder = self.profile.output_stride, self.profile.input_remainder
        rows, columns = (spans(length, side, stride, remainder) for length in padded)
        self._watch.start(len(rows) * len(columns), cancel, progress)
        cells = (-(-padded[0] // stride), -(-padded[1] // stride))
        blended = np.zeros((self.profile.num_classes, *cells), np.float32)
        for row in rows:
            for column in columns:
                piece = pixels[row.start : row.stop, column.start : column.stop]
                tile = normalise(piece, self.preprocessing, row.stop - row.start, column.stop - column.start)
                logits = self._forward(tile)
                logits *= row.weights[:, None] * column.weights
                _, height, width = logits.shape
                top, left = row.first_cell, column.first_cell
                blended[:, top : top + height, left : left + width] += logits
        return blended

    def _forward(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(tile).permute(2, 0, 1)[None]  # channels last, as the weights are
            logits: npt.NDArray[np.float32] = self._network(batch.to(self._device))[0].cpu().contiguous().numpy()
        self._watch.passed()
        return logits


class _Watch:
    """Polls the cancel token and reports progress from inside a forward pass, layer by layer."""

    def __init__(self) -> None:
        self._hooks: list[RemovableHandle] = []
        self._layers = 1
        self.start(1, None, None)

    def attach(self, network: nn.Module) -> None:
        """Be called before every layer of `network`."""
        layers = [module for module in network.modules() if not any(True for _ in module.children())]
        self._hooks = [layer.register_forward_pre_hook(self._before_layer) for layer in layers]
        self._layers = max(1, len(layers))

    def detach(self) -> None:
        """Leave the network alone."""
        for hook in self._hooks:
            hook.remove()

    def start(self, passes: int, cancel: CancelToken | None, progress: Callable[[float], None] | None) -> None:
        """Begin an image of this many passes."""
        self._passes, self._cancel, self._progress = passes, cancel, progress
        self._done = self._layer = self._reported = 0
        if cancel is not None:
            cancel.raise_if_cancelled()

    def passed(self) -> None:
        """Count one pass as done."""
        self._done += 1
        self._layer = 0
        self._report()

    def _before_layer(self, _module: nn.Module, _inputs: object) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()
        self._layer = min(self._layer + 1, self._layers)
        self._report()

    def _report(self) -> None:
        if self._progress is None:
            return
        percent = int(100 * (self._done + self._layer / self._layers) / self._passes)
        if percent > self._reported:
            self._reported = percent
            self._progress(percent / 100)


def _check(image: Pixels) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"the image is {image.dtype} {image.shape}, it must be uint8 (height, width, 3)")


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has an exception of its own for it; Metal and the CPU say it in words."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error).lower()
    return any(words in message for words in ("out of memory", "not enough memory", "can't allocate memory"))


def _give_back_memory(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
