"""Making a network fast without changing what it computes."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch
from torch import nn

from deeplab_studio.networks.blocks import ConvNorm

Network = TypeVar("Network", bound=nn.Module)


def for_inference(network: Network, device: str | torch.device = "cpu") -> Network:
    """A frozen copy with batch normalisation folded into the convolutions and channels-last weights.

    Parameters
    ----------
    network : torch.nn.Module
        Left as it is; tensors that need no change are shared with the copy while it stays on the CPU.
    device : str or torch.device
        Where the copy goes.

    Returns
    -------
    torch.nn.Module
        In eval mode. Scores differ from the original's by rounding only.
    """
    shared: dict[int, object] = {
        id(tensor): nn.Parameter(tensor.detach(), requires_grad=False) if isinstance(tensor, nn.Parameter) else tensor
        for tensor in chain(network.parameters(), network.buffers())
    }
    frozen: Network = copy.deepcopy(network, shared).eval()
    for module in frozen.modules():
        if isinstance(module, ConvNorm):
            module.fold()
    frozen.to(device).to(memory_format=torch.channels_last)
    return frozen
