"""What a network is made of and what it costs at one image size: counted on the meta device, without weights or pixels.

Every convolution that runs is recorded as torch dispatches it, so branches, scales and shared layers count as often as
they are computed. Receptive field and stride travel with the tensors from layer to layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle

from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import Profile

Pair = tuple[int, int]
_NO_ZEROS = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution as it was computed. Pairs are (vertical, horizontal).

    Parameters
    ----------
    name : str
        Path of the layer in the network: ``"aspp.branches.1"``.
    inputs, outputs, groups : int
        Channels, and groups of them that are convolved apart.
    kernel, stride, rate : tuple of int
        Side of the kernel, step, and distance of neighbouring taps (the atrous rate; 1 is an ordinary convolution).
    map_size, output_size : tuple of int
        Height and width of the feature map it reads and of the one it writes.
    parameters : int
        Weights and biases.
    multiply_adds : int
        Products summed, ``outputs * height * width * kernel area * inputs / groups``; a bias is not counted.
    valid_taps : float
        Share of the kernel's taps, over all output cells, that fall on the feature map and not on the zeros around it
        (DeepLabv3, section 3.3 and figure 4).
    """

    name: str
    inputs: int
    outputs: int
    groups: int
    kernel: Pair
    stride: Pair
    rate: Pair
    map_size: Pair
    output_size: Pair
    parameters: int
    multiply_adds: int
    valid_taps: float

    @property
    def is_atrous(self) -> bool:
        """Whether there are holes between its taps."""
        return any(rate > 1 and side > 1 for rate, side in zip(self.rate, self.kernel, strict=True))

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel is filtered on its own."""
        return self.groups == self.inputs == self.outputs > 1 and self.kernel != (1, 1)

    @property
    def effective_kernel(self) -> Pair:
        """Cells the kernel spans: ``k + (k - 1)(r - 1)`` (DeepLabv2, section 3.1)."""
        down, across = ((side - 1) * rate + 1 for side, rate in zip(self.kernel, self.rate, strict=True))
        return down, across

    @property
    def working_kernel(self) -> Pair:
        """What is left of the kernel when the rate exceeds the feature map: 3x3 becomes 1x1 (DeepLabv3, section 3.3).

        A tap whose distance from the middle is not smaller than the map reads zeros at every position.
        """
        down, across = (
            min(side, 2 * ((length - 1) // rate) + 1)
            for side, rate, length in zip(self.kernel, self.rate, self.map_size, strict=True)
        )
        return down, across

    @property
    def degenerates(self) -> bool:
        """Whether outer taps read nothing but zeros at this image size."""
        return self.is_atrous and self.working_kernel != self.kernel


@dataclass(frozen=True, slots=True)
class Separable:
    """A depthwise convolution and the pointwise one after it: together a separable one (DeepLabv3+, section 3.1)."""

    depthwise: Convolution
    pointwise: Convolution

    @property
    def multiply_adds(self) -> int:
        """Of both."""
        return self.depthwise.multiply_adds + self.pointwise.multiply_adds

    @property
    def dense_multiply_adds(self) -> int:
        """Of the one dense convolution with the same kernel, inputs and outputs."""
        return self.pointwise.multiply_adds * self.depthwise.kernel[0] * self.depthwise.kernel[1]


@dataclass(frozen=True, slots=True)
class Trace:
    """What a network computed for one image.

    Parameters
    ----------
    convolutions : tuple of Convolution
        In the order they ran.
    separables : tuple of Separable
        The pairs among them.
    receptive_field : int
        Side, in image pixels, of the square that one score cell sees through convolutions and local pooling.
    image_level : bool
        Whether a global pooling lets every score depend on the whole image besides.
    score_size : tuple of int
        Height and width of the scores.
    parameters : int
        Trainable numbers of the network.
    """

    convolutions: tuple[Convolution, ...]
    separables: tuple[Separable, ...]
    receptive_field: int
    image_level: bool
    score_size: Pair
    parameters: int

    @property
    def multiply_adds(self) -> int:
        """Of all convolutions."""
        return sum(layer.multiply_adds for layer in self.convolutions)


@dataclass(frozen=True, slots=True)
class Inspection:
    """A network's anatomy at one image size.

    Parameters
    ----------
    profile : Profile
        The network.
    input_size : tuple of int
        Height and width it was given.
    trace : Trace
    """

    profile: Profile
    input_size: Pair
    trace: Trace

    @property
    def groups(self) -> list[tuple[Convolution, int]]:
        """All convolutions, those of a part that are alike together: the first, and how many they are."""
        return grouped(self.trace.convolutions)

    @property
    def atrous(self) -> list[tuple[Convolution, int]]:
        """The atrous ones among them."""
        return grouped(layer for layer in self.trace.convolutions if layer.is_atrous)

    @property
    def separable(self) -> list[tuple[str, list[Separable]]]:
        """Separable convolutions by part of the network."""
        parts: dict[str, list[Separable]] = {}
        for pair in self.trace.separables:
            parts.setdefault(pair.depthwise.name.partition(".")[0], []).append(pair)
        return list(parts.items())

    @property
    def degenerate(self) -> list[tuple[Convolution, int]]:
        """The atrous convolutions whose rate exceeds the feature map."""
        return [(layer, count) for layer, count in self.atrous if layer.degenerates]


def inspect_profile(profile: Profile, height: int, width: int) -> Inspection:
    """Take the network of a profile apart for an input of `height` by `width` pixels.

    Raises
    ------
    ValueError
        If the network cannot take an input this small.
    """
    with torch.device("meta"):
        network = DeepLab(profile).eval()
    return Inspection(profile, (height, width), trace(network, height, width))


def trace(network: nn.Module, height: int, width: int) -> Trace:
    """Record what a network on the meta device computes for one image.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (1, 3, height, width) to (1, classes, h, w), or to a mapping with that under ``"out"``. In eval mode.
    height, width : int
        Input pixels.

    Raises
    ------
    ValueError
        If it cannot take an input of this size.
    """
    recorder = _Recorder(network)
    image = torch.empty(1, 3, height, width, device="meta")
    recorder.start(image)
    try:
        with torch.no_grad(), recorder:
            result = network(image)
    except RuntimeError as error:
        raise ValueError(f"the network cannot take an input of {width} x {height} pixels ({error})") from error
    finally:
        recorder.detach()
    scores: Tensor = result if isinstance(result, Tensor) else result["out"]
    seen = recorder.state_of(scores)
    return Trace(
        tuple(recorder.convolutions),
        tuple(recorder.separables),
        round(seen.field) if seen else 0,
        seen.image_level if seen else False,
        (scores.shape[-2], scores.shape[-1]),
        sum(parameter.numel() for parameter in network.parameters()),
    )


def grouped(layers: Iterable[Convolution]) -> list[tuple[Convolution, int]]:
    """Put layers of one part together that differ in nothing but channels: a layer named after all, and their number.

    The numbers of parameters and multiply-adds are those of the whole group.
    """
    groups: dict[tuple[object, ...], list[Convolution]] = {}
    for layer in layers:
        part = layer.name.partition(".")[0]
        alike = (part, layer.kernel, layer.rate, layer.stride, layer.is_depthwise, layer.map_size)
        groups.setdefault(alike, []).append(layer)
    return [
        (
            replace(
                group[0],
                name=common_name([layer.name for layer in group]),
                parameters=sum(layer.parameters for layer in group),
                multiply_adds=sum(layer.multiply_adds for layer in group),
            ),
            len(group),
        )
        for group in groups.values()
    ]


def common_name(names: Sequence[str]) -> str:
    """The deepest module that holds all of `names`."""
    levels = zip(*(name.split(".") for name in names), strict=False)
    return ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)) or names[0]


def valid_share(length: int, cells: int, kernel: int, rate: int, stride: int, padding: int) -> float:
    """Share of a kernel's taps along one axis that fall on the map, over all output cells.

    Parameters
    ----------
    length, cells : int
        Size of the map along this axis before zeros are added, and output cells.
    kernel, rate, stride : int
        Taps, their distance, and the step from one output cell to the next.
    padding : int
        Zeros before the first cell of the map.
    """
    valid = 0
    for tap in range(kernel):
        offset = tap * rate - padding
        first = max(0, -(offset // stride))
        last = min(cells - 1, (length - 1 - offset) // stride)
        valid += max(0, last - first + 1)
    return valid / (kernel * cells)


@dataclass(frozen=True, slots=True)
class _State:
    """What travels with a tensor.

    Parameters
    ----------
    field : float
        Image pixels one cell sees, along a side; 0 if it comes from global pooling alone.
    step : float
        Image pixels from one cell to the next.
    image_level : bool
        Whether a global pooling took part.
    depthwise : Convolution, optional
        The depthwise convolution its channels come from, if nothing has mixed them since.
    zeros : tuple of int
        Rows and columns of zeros that were put around it just before: top, bottom, left, right.
    """

    field: float
    step: float
    image_level: bool = False
    depthwise: Convolution | None = None
    zeros: tuple[int, int, int, int] = _NO_ZEROS


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Sees every operation of a forward pass."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.convolutions: list[Convolution] = []
        self.separables: list[Separable] = []
        self._states: dict[int, _State] = {}
        self._alive: list[Tensor] = []  # an id must not be given out again while it is in the table
        self._path: list[str] = []
        self._hooks: list[RemovableHandle] = []
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                self._hooks.append(module.register_forward_pre_hook(self._entering(name)))
                self._hooks.append(module.register_forward_hook(self._leaving))

    def detach(self) -> None:
        """Leave the network alone."""
        for hook in self._hooks:
            hook.remove()

    def start(self, image: Tensor) -> None:
        """Take `image` for the network's input."""
        self._note(image, _State(1.0, 1.0))

    def state_of(self, tensor: object) -> _State | None:
        """What is known of a tensor."""
        return self._states.get(id(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = list(result) if isinstance(result, tuple | list) else [result]
        state = self._after(func.overloadpacket.__name__, args, outputs[0])
        if state is not None:
            for output in outputs:
                if isinstance(output, Tensor):
                    self._note(output, state)
        return result

    def _entering(self, name: str) -> Callable[[nn.Module, Any], None]:
        plain = name.removesuffix(".conv") or name

        def enter(_module: nn.Module, _inputs: Any) -> None:
            self._path.append(plain)

        return enter

    def _leaving(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._path.pop()

    def _note(self, tensor: Tensor, state: _State) -> None:
        if id(tensor) not in self._states:
            self._alive.append(tensor)
        self._states[id(tensor)] = state

    def _after(self, operation: str, args: tuple[Any, ...], output: Any) -> _State | None:
        """The state of what an operation gives."""
        known = self._merge(args)
        if known is None or not isinstance(output, Tensor):
            return None
        source = args[0]
        if operation == "convolution":
            return self._convolve(known, args, output)
        if operation in ("max_pool2d_with_indices", "avg_pool2d"):
            side = args[1][0] if isinstance(args[1], list | tuple) else args[1]
            given = args[2] if len(args) > 2 and args[2] else args[1]
            stride = given[0] if isinstance(given, list | tuple) else given
            return replace(
                known, field=known.field + (side - 1) * known.step, step=known.step * stride, zeros=_NO_ZEROS
            )
        if operation in ("mean", "_adaptive_avg_pool2d") and source.dim() == 4:
            if output.numel() == source.shape[0] * source.shape[1]:
                return replace(known, field=0.0, image_level=True, zeros=_NO_ZEROS)
            return known
        if operation.startswith("upsample") and known.field > 0:
            # A cell between two others sees what both see.
            step = known.step * source.shape[2] / output.shape[2]
            return replace(known, field=known.field + known.step, step=step, depthwise=None, zeros=_NO_ZEROS)
        if operation == "constant_pad_nd":
            left, right, top, bottom = (*args[1], 0, 0, 0, 0)[:4]
            return replace(known, zeros=(top, bottom, left, right))
        return replace(known, zeros=_NO_ZEROS) if any(known.zeros) else known

    def _merge(self, args: Iterable[Any]) -> _State | None:
        """What is known of several tensors together."""
        flat = (each for arg in args for each in (arg if isinstance(arg, list | tuple) else (arg,)))
        found = (self.state_of(each) for each in flat if isinstance(each, Tensor))
        states = [state for state in found if state is not None]
        if len(states) < 2:
            return states[0] if states else None
        local = [state for state in states if state.field > 0] or states
        return _State(
            max(state.field for state in states),
            min(state.step for state in local),
            any(state.image_level for state in states),
            # Two tensors of one depthwise convolution: its output and the weights squeeze-and-excite gives it.
            next((state.depthwise for state in states if state.depthwise is not None), None),
        )

    def _convolve(self, known: _State, args: tuple[Any, ...], output: Tensor) -> _State:
        source, weight, bias, stride, padding, rate = args[:6]
        kernel = (weight.shape[2], weight.shape[3])
        before = (known.zeros[0] + padding[0], known.zeros[2] + padding[-1])
        map_size = (
            source.shape[2] - known.zeros[0] - known.zeros[1],
            source.shape[3] - known.zeros[2] - known.zeros[3],
        )
        output_size = (output.shape[2], output.shape[3])
        down, across = (
            valid_share(map_size[axis], output_size[axis], kernel[axis], rate[axis], stride[axis], before[axis])
            for axis in (0, 1)
        )
        layer = Convolution(
            name=self._path[-1] if self._path else "",
            inputs=source.shape[1],
            outputs=output.shape[1],
            groups=source.shape[1] // weight.shape[1],
            kernel=kernel,
            stride=(stride[0], stride[-1]),
            rate=(rate[0], rate[-1]),
            map_size=map_size,
            output_size=output_size,
            parameters=weight.numel() + (bias.numel() if bias is not None else 0),
            multiply_adds=output[0].numel() * weight[0].numel(),
            valid_taps=down * across,
        )
        self.convolutions.append(layer)
        if known.depthwise is not None and kernel == (1, 1) and layer.groups == 1 and known.field > 0:
            self.separables.append(Separable(known.depthwise, layer))
        return _State(
            known.field + (kernel[0] - 1) * rate[0] * known.step if known.field > 0 else 0.0,
            known.step * stride[0],
            known.image_level,
            layer if layer.is_depthwise else None,
        )
