"""Steps, and the running mean of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deeplab_studio.training.config import ScheduleConfig


class Muon(torch.optim.Optimizer):
    """Momentum whose step on every weight matrix is made orthogonal.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; a convolution is taken as a matrix
    of its filters. The step's size does not depend on the matrix's shape (Liu et al., "Muon is Scalable for LLM
    Training", 2025, section 2.2: 0.2 times the root of the longer side, which makes it as large as AdamW's).

    Parameters
    ----------
    params : iterable
        Weights of convolutions.
    lr, momentum, weight_decay : float
    """

    def __init__(self, params: Iterable[Any], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002 - torch's signature
        """Take one step; `closure` is not used."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                step = weight.grad.lerp(momentum, group["momentum"])
                matrix = orthogonal(step.reshape(len(step), -1))
                size = 0.2 * max(matrix.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(matrix.reshape(weight.shape), alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix of orthonormal rows or columns, roughly: singular values come out between 0.7 and 1.2.

    A Newton-Schulz iteration of degree five with Jordan's coefficients (2024), in bfloat16.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).float()


def make_optimizers(parts: Sequence[tuple[nn.Module, float]], schedule: ScheduleConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of a network.

    Biases and normalisation are not decayed (He et al., "Bag of Tricks", CVPR 2019, section 3.1).

    Parameters
    ----------
    parts : sequence of (Module, float)
        Parts of the network and by what their learning rate is multiplied; every group of an optimizer has this as
        ``"scale"``.
    schedule : ScheduleConfig

    Returns
    -------
    list of Optimizer
        Several where matrices are treated differently from the rest.
    """
    rate, decay = schedule.learning_rate, schedule.weight_decay
    groups: list[dict[str, Any]] = []
    matrices: list[dict[str, Any]] = []
    for part, scale in parts:
        dense, other, plain = _sorted(part)
        if schedule.optimizer == "muon":
            matrices.append({"params": dense, "weight_decay": decay, "scale": scale})
        else:
            other = dense + other
        groups.append({"params": other, "weight_decay": decay, "scale": scale})
        groups.append({"params": plain, "weight_decay": 0.0, "scale": scale})
    groups = [group for group in groups if group["params"]]
    if schedule.optimizer == "sgd":
        return [torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)]
    others = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
    return [others] if schedule.optimizer == "adamw" else [Muon(matrices, lr=rate), others]


def _sorted(part: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Weights of convolutions that are large matrices, of the other convolutions, and everything else."""
    dense, other, plain = [], [], []
    for module in part.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not isinstance(module, nn.Conv2d) or name != "weight":
                plain.append(parameter)
            elif module.groups == 1 and min(module.weight.shape[:2]) >= 16:
                dense.append(parameter)
            else:
                other.append(parameter)
    return dense, other, plain


class RunningMean:
    """An exponential moving average of a network's weights and statistics (Polyak & Juditsky 1992).

    Parameters
    ----------
    network : torch.nn.Module
    decay : float
        Share kept per step; less during the first steps, so that the random beginning is soon forgotten.

    Attributes
    ----------
    began : int
        Step counted as the first.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self.began = 0
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, steps: int) -> None:
        """Take in the weights after so many steps."""
        counted = steps - self.began
        keep = min(self._decay, (1 + counted) / (10 + counted))
        own, new = [], []
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                own.append(self.state[name])
                new.append(tensor.detach())
            else:
                self.state[name].copy_(tensor)
        torch._foreach_lerp_(own, new, 1 - keep)
