"""Running a network on photos: in one pass, in tiles where memory asks for it, on the CPU if nothing else works.

Importing this module does not load torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from deeplab_studio.checkpoints.model import LoadedModel, SizeRule
from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.engine.device import device_label, resolve_device
from deeplab_studio.engine.precision import Arithmetic, Precision
from deeplab_studio.engine.preprocess import Pixels, input_size, normalise, photo_place, resize, shown_size
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

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "status_alloc_failed")
"""How torch's backends say it; the last are cuDNN and cuBLAS."""


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
        "model" shows the network a photo at the size its authors do (`Preprocessing.size`) and padded as they do;
        "native" at its own, which finds smaller things and takes longer. Inputs above 2 megapixels go through
        overlapping tiles whose logits are blended; image-level features then see one tile, so the scores are not
        exactly those of one pass.
    precision : {"exact", "fast"}
        "exact" computes in float32. "fast" computes in half as wide numbers, see `Arithmetic`; on the first photo it
        compares the two and tells through `on_notice` how many labels that changes.

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
        precision: Precision = "exact",
    ) -> None:
        self.title = model.title
        self.classes = model.classes
        self.preprocessing = model.preprocessing
        self.profile = model.profile
        self._size_rule = model.preprocessing.size if size == "model" else _NATIVE
        self._padded_like_authors = size == "model"
        self._on_notice = on_notice or (lambda _: None)
        self._lock = threading.Lock()
        self._tile_side: int | None = None
        self._watch = _Watch()
        self._arithmetic = Arithmetic(precision)
        self._use(model.network, resolve_device(device))
        self.model_id = model.model_id  # last: the file's hash may still be on its way

    @property
    def device(self) -> str:
        """Where it runs now; the CPU if the memory of a GPU did not suffice."""
        return self._device

    @property
    def arithmetic(self) -> str:
        """The numbers it computes with now: ``"float32"``, ``"bfloat16"`` or ``"float16"``."""
        return self._arithmetic.name(self._device)

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
        padded = self._input_size(*shown, like_authors=self._padded_like_authors)
        place = photo_place(shown, padded, self.preprocessing)
        logits = self._logits(pixels, place, padded, cancel, progress)

        def scores(pixels: tuple[int, int], seen: Scores | None = None) -> Scores:
            rows, columns = (
                AxisMap.of_network(
                    pixels=pixels[axis],
                    shown=shown[axis],
                    padded=padded[axis],
                    cells=logits.shape[1 + axis],
                    align_corners=self.profile.align_corners,
                    before=place[axis],
                )
                for axis in (0, 1)
            )
            return Scores(logits, rows, columns, pixels, self.classes, self.model_id, seen)

        on_input = self.preprocessing.softmax_on == "input" and shown != (height, width)
        return scores((height, width), scores(shown) if on_input else None)

    def native_logits(
        self, image: Pixels, cancel: CancelToken | None = None, *, several_scales: bool = False
    ) -> npt.NDArray[np.float32]:
        """The network's output for a photo at its own size, in one pass and at one scale.

        Parameters
        ----------
        image : (H, W, 3) uint8 array
            RGB, upright. Normalised as the model wants, not resized, and padded only if the network cannot take it
            otherwise.
        cancel : CancelToken, optional
        several_scales : bool
            Fuse the model's scales, if it has several.

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
        padded = self._input_size(height, width, like_authors=False)
        with self._lock:
            try:
                return self._attempt(image, (0, 0), padded, None, cancel, None, one_scale=not several_scales)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                raise StudioError(
                    f"there is not enough memory for {width} x {height} pixels in one pass", hint="Use a smaller image."
                ) from error

    def _input_size(self, height: int, width: int, *, like_authors: bool) -> tuple[int, int]:
        rule, profile = self.preprocessing, self.profile
        return input_size(
            height,
            width,
            at_least=max(rule.pad_to if like_authors else 0, profile.smallest_input),
            remainder=profile.input_remainder,
            multiple_of=rule.multiple_of if like_authors else 1,
        )

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
        place: tuple[int, int],
        padded: tuple[int, int],
        cancel: CancelToken | None,
        progress: Callable[[float], None] | None,
    ) -> npt.NDArray[np.float32]:
        def run(report: Callable[[float], None] | None) -> npt.NDArray[np.float32]:
            return self._run(pixels, place, padded, cancel, report)

        with self._lock:
            if self._arithmetic.unproven:
                logits = self._arithmetic.prove(run, self._device, progress, self._on_notice)
            else:
                logits = run(progress)
                if self._arithmetic.fast and not np.isfinite(logits).all():
                    narrow, self._arithmetic = self.arithmetic, Arithmetic()
                    self._on_notice(f"{narrow} is not wide enough for the scores of this photo; going on in float32.")
                    logits = run(progress)
        if not np.isfinite(logits).all():
            raise StudioError(f"the scores of {self.title} are not numbers", hint="Load the model again.")
        return logits

    def _run(
        self,
        pixels: Pixels,
        place: tuple[int, int],
        padded: tuple[int, int],
        cancel: CancelToken | None,
        progress: Callable[[float], None] | None,
    ) -> npt.NDArray[np.float32]:
        side = TILE_SIDES[0] if padded[0] * padded[1] > PASS_PIXELS else None
        if self._tile_side is not None and max(padded) > self._tile_side:
            side = self._tile_side
        while True:
            try:
                return self._attempt(pixels, place, padded, side, cancel, progress)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Here, not in the handler: the exception's frames hold the tensors that did not fit.
            side = self._step_down(padded, side)

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
        place: tuple[int, int],
        padded: tuple[int, int],
        side: int | None,
        cancel: CancelToken | None,
        progress: Callable[[float], None] | None,
        *,
        one_scale: bool = False,
    ) -> npt.NDArray[np.float32]:
        scales = self.profile.multi_scale
        several = 1 if scales is None or one_scale else 1 + len(scales.scales)
        if side is None:
            self._watch.start(1, cancel, progress, several)
            return self._forward(normalise(pixels, self.preprocessing, *padded, top=place[0], left=place[1]), several)
        stride, remainder = self.profile.score_stride, self.profile.input_remainder
        rows, columns = (spans(length, side, stride, remainder) for length in padded)
        self._watch.start(len(rows) * len(columns), cancel, progress, several)
        # Unpadded stems give a cell less, pooling of cut-off windows one more than the stride lets expect.
        cells = [length // stride + 2 for length in padded]
        blended = np.zeros((self.profile.num_classes, *cells), np.float32)
        for row in rows:
            for column in columns:
                tile = normalise(
                    pixels,
                    self.preprocessing,
                    row.stop - row.start,
                    column.stop - column.start,
                    top=place[0] - row.start,
                    left=place[1] - column.start,
                )
                logits = self._forward(tile, several)
                _, height, width = logits.shape
                logits *= _fitted(row.weights, height)[:, None] * _fitted(column.weights, width)
                top, left = row.first_cell, column.first_cell
                blended[:, top : top + height, left : left + width] += logits
        return np.ascontiguousarray(blended[:, : top + height, : left + width])

    def _forward(self, tile: npt.NDArray[np.float32], scales: int) -> npt.NDArray[np.float32]:
        import torch

        from deeplab_studio.networks.deeplab import DeepLab

        network = self._network
        forward = network.one_scale if scales == 1 and isinstance(network, DeepLab) else network
        on_gpu = self._device.startswith("cuda")
        # Without it pinned memory would belong to the first GPU, whichever computes.
        where = torch.cuda.device(self._device) if on_gpu else nullcontext()
        with where, torch.inference_mode(), self._arithmetic.on(self._device):
            pixels = torch.from_numpy(tile)
            if on_gpu:
                pixels = pixels.pin_memory()  # copied by the GPU itself, while this thread starts the first layers
            batch = pixels.permute(2, 0, 1)[None]  # channels last, as the weights are
            result = forward(batch.to(self._device, non_blocking=True))[0]
            logits: npt.NDArray[np.float32] = result.float().cpu().contiguous().numpy()
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

    def start(
        self, passes: int, cancel: CancelToken | None, progress: Callable[[float], None] | None, scales: int = 1
    ) -> None:
        """Begin an image of this many passes, each at this many scales."""
        self._passes, self._scales, self._cancel, self._progress = passes, scales, cancel, progress
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
        self._layer = min(self._layer + 1, self._layers * self._scales)
        self._report()

    def _report(self) -> None:
        if self._progress is None:
            return
        percent = int(100 * (self._done + self._layer / (self._layers * self._scales)) / self._passes)
        if percent > self._reported:
            self._reported = percent
            self._progress(percent / 100)


def _fitted(weights: npt.NDArray[np.float32], cells: int) -> npt.NDArray[np.float32]:
    """A tile's weights for the number of cells it really has."""
    return np.pad(weights, (0, max(0, cells - len(weights))), "edge")[:cells]


def _check(image: Pixels) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"the image is {image.dtype} {image.shape}, it must be uint8 (height, width, 3)")


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has an exception of its own for it; Metal and the CPU say it in words."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error).lower()
    return any(words in message for words in _NO_MEMORY)


def _give_back_memory(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
