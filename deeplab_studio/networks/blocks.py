"""The few layers every network of the family is made of; separable convolutions as in DeepLabv3+, section 3.1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.profile import Normalisation, Separable, StemPadding

BATCH_NORM = Normalisation()


class Conv2d(nn.Conv2d):
    """A convolution that draws no weights where there is no memory for them: a network to be filled from a file."""

    def reset_parameters(self) -> None:
        """Draw the weights as torch does."""
        if not self.weight.is_meta:
            super().reset_parameters()


class BatchNorm2d(nn.BatchNorm2d):
    """The same for batch normalisation."""

    def reset_parameters(self) -> None:
        """Set statistics and gains as torch does."""
        if not self.weight.is_meta:
            super().reset_parameters()


class SameConv2d(Conv2d):
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


class StandardisedConv2d(Conv2d):
    """A convolution with standardised weights (Qiao et al. 2019, "Weight Standardization", section 3).

    Every filter is used with its mean taken off and divided by its deviation plus 1e-5.
    """

    def standardised(self) -> Tensor:
        """The weights as they are used, (outputs, inputs / groups, k, k)."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        return (self.weight - mean) / (deviation + 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) float."""
        return functional.conv2d(
            x, self.standardised(), self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class ConvNorm(nn.Module):
    """Convolution, normalisation, activation.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Side of the square kernel, odd.
    stride, dilation, groups : int
        As in `torch.nn.Conv2d`.
    norm : Normalisation or None
        None makes it a convolution with bias and no normalisation.
    bias : bool, optional
        Whether the convolution has a bias, where that does not follow from `norm`.
    activation : torch.nn.Module, optional
        Applied last.
    padding : {"symmetric", "same", "none"}
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
        norm: Normalisation | None = BATCH_NORM,
        bias: bool | None = None,
        activation: nn.Module | None = None,
        padding: StemPadding = "symmetric",
    ) -> None:
        super().__init__()
        kind: type[Conv2d] = SameConv2d if padding == "same" else Conv2d
        if norm is not None and norm.standardised_weights:
            kind = StandardisedConv2d
        self.conv = kind(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=0 if padding == "none" else (kernel - 1) // 2 * dilation,
            dilation=dilation,
            groups=groups,
            bias=(norm is None or norm.conv_bias) if bias is None else bias,
        )
        self.norm: nn.Module = nn.Identity()
        if norm is not None and norm.groups:
            self.norm = nn.GroupNorm(norm.groups, outputs, eps=norm.eps)
        elif norm is not None:
            self.norm = BatchNorm2d(outputs, eps=norm.eps)
        self.activation = activation if activation is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        result: Tensor = self.activation(self.norm(self.conv(x)))
        return result

    @torch.no_grad()
    def fold(self) -> None:
        """Take into the convolution's weight and bias what is the same for every image; same function in eval mode.

        That is the standardisation of the weights and batch normalisation; group normalisation has to stay.
        """
        if isinstance(self.conv, StandardisedConv2d):
            self._replace_conv(self.conv.standardised(), self.conv.bias)
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

    def _replace_conv(self, weight: Tensor, bias: Tensor | None) -> None:
        old = self.conv
        with torch.device("meta"):
            self.conv = Conv2d(
                old.in_channels,
                old.out_channels,
                (old.kernel_size[0], old.kernel_size[1]),
                stride=(old.stride[0], old.stride[1]),
                padding=old.padding if isinstance(old.padding, str) else (old.padding[0], old.padding[1]),
                dilation=(old.dilation[0], old.dilation[1]),
                groups=old.groups,
                bias=bias is not None,
            )
        self.conv.weight = nn.Parameter(weight, requires_grad=False)
        self.conv.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)


class SeparableConv(nn.Module):
    """A depthwise and a pointwise convolution (DeepLabv3+, section 3.1, "Atrous separable convolution").

    Parameters
    ----------
    inputs, outputs, kernel, stride, dilation, norm
        As in `ConvNorm`; the depthwise convolution has kernel, stride and dilation.
    between : {"nothing", "norm", "norm-relu"}
        What stands between the two.
    activation : torch.nn.Module, optional
        Applied last.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: Normalisation | None = BATCH_NORM,
        between: str = "norm-relu",
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            inputs,
            inputs,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=inputs,
            norm=None if between == "nothing" else norm,
            bias=False if between == "nothing" else None,
            activation=nn.ReLU(inplace=True) if between == "norm-relu" else None,
        )
        self.pointwise = ConvNorm(inputs, outputs, norm=norm, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        result: Tensor = self.pointwise(self.depthwise(x))
        return result


def rectified_conv(
    inputs: int, outputs: int, *, dilation: int = 1, norm: Normalisation | None, separable: Separable = "no"
) -> ConvNorm | SeparableConv:
    """A 3x3 convolution with normalisation and ReLU, dense or separable."""
    relu = nn.ReLU(inplace=True)
    if separable == "no":
        return ConvNorm(inputs, outputs, 3, dilation=dilation, norm=norm, activation=relu)
    between = "nothing" if separable == "plain" else "norm-relu"
    return SeparableConv(inputs, outputs, dilation=dilation, norm=norm, between=between, activation=relu)


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
