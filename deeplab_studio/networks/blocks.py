"""The few layers every network of the family is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.profile import Padding


class SameConv2d(nn.Conv2d):
    """A convolution padded by TensorFlow's 'SAME' rule.

    The output has ``ceil(size / stride)`` cells; of an odd number of padding pixels the last goes to the bottom
    and right.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) float."""
        top, bottom = self._padding(x.shape[2], 0)
        left, right = self._padding(x.shape[3], 1)
        if top == bottom and left == right:
            padding = (top, left)
        else:
            x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _padding(self, size: int, axis: int) -> tuple[int, int]:
        stride, reach = self.stride[axis], (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        return total // 2, total - total // 2


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, activation.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Side of the square kernel, odd.
    stride, dilation, groups : int
        As in `torch.nn.Conv2d`.
    norm_eps : float or None
        Epsilon of the normalisation; None makes it a convolution with bias and no normalisation.
    activation : torch.nn.Module, optional
        Applied last.
    padding : {"symmetric", "same"}
        See `BackboneProfile`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm_eps: float | None = 1e-5,
        activation: nn.Module | None = None,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        self.conv = (SameConv2d if padding == "same" else nn.Conv2d)(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=(kernel - 1) // 2 * dilation,
            dilation=dilation,
            groups=groups,
            bias=norm_eps is None,
        )
        self.norm: nn.Module = nn.Identity() if norm_eps is None else nn.BatchNorm2d(outputs, eps=norm_eps)
        self.activation = activation if activation is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        result: Tensor = self.activation(self.norm(self.conv(x)))
        return result

    @torch.no_grad()
    def fold(self) -> None:
        """Take the normalisation into the convolution's weight and bias; same function in eval mode, one pass less."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            return
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("only a normalisation with running statistics can be folded")
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = norm.bias - norm.running_mean * gain
        if self.conv.bias is not None:
            bias = bias + self.conv.bias * gain
        self.conv.weight = nn.Parameter(self.conv.weight * gain[:, None, None, None], requires_grad=False)
        self.conv.bias = nn.Parameter(bias, requires_grad=False)
        self.norm = nn.Identity()


class SqueezeExcite(nn.Module):
    """Channel weights from the global mean (Hu et al. 2018), with the hard sigmoid of MobileNetV3 (section 5.3)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of (N, C, H, W)."""
        weights = functional.relu(self.reduce(functional.adaptive_avg_pool2d(x, 1)))
        return x * functional.hardsigmoid(self.expand(weights))
