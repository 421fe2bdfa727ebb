"""The CRF in plain torch operations: where the compiled kernel is missing, and on CUDA and MPS.

High-dimensional Gaussian filtering on a permutohedral lattice (Adams, Baek, Davis, Eurographics 2010) inside the mean
field of Krähenbühl and Koltun (NIPS 2011). Every float operation that decides which lattice vertex a pixel touches is
done in the order of pydensecrf, in float32 and without fused multiply-adds: a pixel that rounds to another simplex
would create other vertices, and results would differ by far more than rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.crf.evidence import CLIP

if TYPE_CHECKING:
    from torch import Tensor

    from deeplab_studio.crf.evidence import Evidence
    from deeplab_studio.crf.params import CrfParams, Normalization

_STRIP = 1 << 18  # pixels embedded at a time: bounds the temporaries of a build, about 300 bytes a pixel
_MARGIN = 4  # lattice cells around the picture's: simplex corners and blur neighbours lie outside it

OnIteration = Callable[[int, "npt.NDArray[np.float32]"], None]


class TorchCore:
    """Mean field for one picture; lattices are kept until their sigmas change.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray
        RGB, C-contiguous.
    device : str
        A torch device.
    """

    def __init__(self, image: npt.NDArray[np.uint8], device: str = "cpu") -> None:
        self._image = image
        self._device = torch.device(device)
        self._kernels: dict[str, tuple[tuple[float, ...], _Kernel]] = {}

    def run(
        self,
        evidence: Evidence,
        params: CrfParams,
        cancel: CancelToken | None,
        on_iteration: OnIteration | None,
    ) -> npt.NDArray[np.float32]:
        """Marginals `(C, H, W)` float32 of at least two label groups."""
        return self._spread_out(self._marginals(evidence, params, cancel, on_iteration), evidence)

    def labels(self, evidence: Evidence, params: CrfParams, cancel: CancelToken | None) -> npt.NDArray[np.uint8]:
        """The likeliest label of every pixel `(H, W)`; only they leave the device."""
        q = self._marginals(evidence, params, cancel, None)
        first = evidence.active.tolist()
        if len(evidence.rest):
            q[-1] /= len(evidence.rest)
            first.append(int(evidence.rest[0]))
        # In the order of the labels: of equal marginals the first label is the likeliest.
        order = sorted(range(len(first)), key=first.__getitem__)
        label_of = torch.tensor([first[group] for group in order], dtype=torch.uint8, device=self._device)
        labels: npt.NDArray[np.uint8] = label_of[q[order].argmax(dim=0)].cpu().numpy()
        return labels.reshape(evidence.values.shape[1:])

    def _marginals(
        self, evidence: Evidence, params: CrfParams, cancel: CancelToken | None, on_iteration: OnIteration | None
    ) -> Tensor:
        """Marginals by group `(groups, pixels)`."""
        kernels = self.prepare(params, cancel)
        unary = self._unary(evidence)
        groups = len(unary)
        pins = self._pins(evidence, groups)
        spread = torch.ones((groups, 1), device=self._device)
        if len(evidence.rest):
            spread[-1] = len(evidence.rest)
            unary[-1] += math.log(len(evidence.rest))

        q = _fixed(torch.softmax(unary, dim=0), pins)
        for iteration in range(1, int(params.iterations) + 1):
            if cancel is not None:
                cancel.raise_if_cancelled()
            field = unary.clone()
            if kernels:
                # Only how a group's field differs from that of group 0 matters to the softmax, and the filters are
                # linear, so what goes through them are differences of marginals: one channel less, and small numbers
                # where two labels are even, where rounding would grow from iteration to iteration.
                ahead = (q[1:] / spread[1:] - q[0]).t().contiguous()
                for weight, kernel in kernels:
                    field[1:] += weight * kernel.filter(ahead).t()
            q = _fixed(torch.softmax(field, dim=0), pins)
            if on_iteration is not None:
                on_iteration(iteration, self._spread_out(q, evidence))
        return q

    def prepare(self, params: CrfParams, cancel: CancelToken | None) -> list[tuple[float, _Kernel]]:
        """The kernels with a weight above 0 and their weights; builds what is not there for these sigmas."""
        wanted: list[tuple[str, float, tuple[float, ...]]] = []
        if params.appearance_weight > 0:
            sigmas: tuple[float, ...] = (params.appearance_position_sigma, params.appearance_colour_sigma)
            wanted.append(("appearance", params.appearance_weight, sigmas))
        if params.smoothness_weight > 0:
            wanted.append(("smoothness", params.smoothness_weight, (params.smoothness_sigma,)))
        found = []
        for name, weight, sigmas in wanted:
            known = self._kernels.get(name)
            if known is None or known[0] != sigmas:
                self._kernels.pop(name, None)  # before the new one is built: two lattices of a large picture are a lot
                known = (sigmas, _Kernel(build_lattice(self._image, sigmas, self._device, cancel)))
                self._kernels[name] = known
            known[1].normalise(params.normalization)
            found.append((weight, known[1]))
        return found

    def _unary(self, evidence: Evidence) -> Tensor:
        """Log of the clipped probabilities by group, `(groups, pixels)`."""
        flat = evidence.values.reshape(len(evidence.values), -1)
        unary = torch.full((evidence.groups, flat.shape[1]), math.log(CLIP), device=self._device)
        for group, label in enumerate(evidence.active.tolist()):
            plane = torch.tensor(flat[label], device=self._device)
            unary[group] = plane if evidence.logs else plane.clamp(CLIP, 1).log_()
        return unary

    def _pins(self, evidence: Evidence, groups: int) -> tuple[Tensor, Tensor] | None:
        """Where pixels are decided `(pixels,)` bool, and their one-hot marginals `(groups, pixels)`."""
        if evidence.pinned is None:
            return None
        group = torch.from_numpy(evidence.pinned.reshape(-1).astype(np.int64)).to(self._device)
        one_hot = torch.nn.functional.one_hot(group.clamp(min=0), groups).t().to(torch.float32)
        return group >= 0, one_hot

    def _spread_out(self, q: Tensor, evidence: Evidence) -> npt.NDArray[np.float32]:
        """Marginals by label `(C, H, W)` from those by group."""
        out = np.empty(evidence.values.shape, np.float32)
        flat = out.reshape(len(out), -1)
        by_group = q.cpu().numpy()
        flat[evidence.active] = by_group[: len(evidence.active)]
        if len(evidence.rest):
            flat[evidence.rest] = by_group[-1] / np.float32(len(evidence.rest))
        return out


def _fixed(q: Tensor, pins: tuple[Tensor, Tensor] | None) -> Tensor:
    return q if pins is None else torch.where(pins[0], pins[1], q)


@dataclass(frozen=True, slots=True)
class Lattice:
    """A permutohedral lattice with the pixels embedded in it; `M` vertices, `d` dimensions.

    The vertex with number `M` stands for every missing neighbour and is always 0.
    """

    vertices: int
    slice_index: Tensor  # (N, d + 1) the corners of each pixel's simplex
    barycentric: Tensor  # (N, d + 1)
    splat_pixel: Tensor  # (N (d + 1),) pixels ordered by the vertex they touch
    splat_weight: Tensor
    splat_start: Tensor  # (M + 1,)
    neighbours: list[Tensor]  # per axis (M + 1, 3): itself, next, previous
    blur_weight: Tensor  # (M + 1, 3)

    def double(self) -> Lattice:
        """The same lattice for values in double precision."""
        return replace(
            self,
            barycentric=self.barycentric.double(),
            splat_weight=self.splat_weight.double(),
            blur_weight=self.blur_weight.double(),
        )

    def compute(self, values: Tensor) -> Tensor:
        """Filter `(N, C)` pixel values."""
        table = _bags(self.splat_pixel, values, self.splat_weight, self.splat_start)
        for neighbours in self.neighbours:
            table = _bags(neighbours, table, self.blur_weight)
        # What the blur adds to a constant on a full lattice.
        return _bags(self.slice_index, table, self.barycentric) / (1 + 2.0 ** -len(self.neighbours[1:]))


class _Kernel:
    """A lattice with its normalisation."""

    def __init__(self, lattice: Lattice) -> None:
        self._lattice = lattice
        self._norm: tuple[Normalization, Tensor] | None = None

    def normalise(self, normalization: Normalization) -> None:
        """Prepare the factors of this normalisation."""
        if self._norm is None or self._norm[0] != normalization:
            sums = self._lattice.compute(torch.ones_like(self._lattice.barycentric[:, :1])) + 1e-20
            self._norm = normalization, 1 / (sums.sqrt() if normalization == "symmetric" else sums)

    def filter(self, values: Tensor) -> Tensor:
        """Normalised filter of `(N, C)` values."""
        if self._norm is None:
            raise RuntimeError("filter before normalise")
        normalization, norm = self._norm
        before = values * norm if normalization == "symmetric" else values
        return self._lattice.compute(before) * norm


def _bags(index: Tensor, table: Tensor, weight: Tensor, start: Tensor | None = None) -> Tensor:
    """Weighted sums of rows of `table`: one per row of `index`, or one per run that `start` marks."""
    if table.device.type in ("cpu", "cuda"):
        # No atomics, so the same result every time.
        return torch.nn.functional.embedding_bag(index, table, start, mode="sum", per_sample_weights=weight)
    if start is None:
        return (table[index] * weight.unsqueeze(2)).sum(dim=1)
    lengths = torch.diff(start, append=start.new_tensor([len(index)]))
    bag = torch.repeat_interleave(torch.arange(len(start), device=start.device), lengths)
    sums = table.new_zeros((len(start), table.shape[1]))
    return sums.index_add_(0, bag, table[index] * weight.unsqueeze(1))


def build_lattice(
    image: npt.NDArray[np.uint8],
    sigmas: tuple[float, ...],
    device: torch.device | None = None,
    cancel: CancelToken | None = None,
) -> Lattice:
    """The lattice of position (one sigma) or position and colour (two sigmas), on the CPU by default."""
    device = device or torch.device("cpu")
    embedding = _Embedding(image, sigmas, device)
    pixels, corners = embedding.pixels, embedding.dimensions + 1

    found = []
    for start in range(0, pixels, _STRIP):
        if cancel is not None:
            cancel.raise_if_cancelled()
        found.append(torch.unique(embedding.corners(start, min(start + _STRIP, pixels))[0]))
    if pixels % 4:
        # pydensecrf embeds four pixels at a time and fills up the last four with zero features, which leaves the
        # vertices around the origin behind.
        found.append(embedding.corners_of_origin())
    keys = torch.unique(torch.cat(found))
    vertices = len(keys)

    index = torch.empty((pixels, corners), dtype=torch.int32, device=device)
    barycentric = torch.empty((pixels, corners), dtype=torch.float32, device=device)
    for start in range(0, pixels, _STRIP):
        if cancel is not None:
            cancel.raise_if_cancelled()
        stop = min(start + _STRIP, pixels)
        key, barycentric[start:stop] = embedding.corners(start, stop)
        index[start:stop] = torch.searchsorted(keys, key, out_int32=True)

    if cancel is not None:
        cancel.raise_if_cancelled()
    ordered, order = torch.sort(index.reshape(-1), stable=True)
    splat_start = torch.searchsorted(ordered, torch.arange(vertices + 1, device=device, dtype=torch.int32))
    del ordered
    splat_weight = barycentric.reshape(-1)[order]
    splat_pixel = (order // corners).to(torch.int32)
    del order

    itself = torch.arange(vertices + 1, device=device, dtype=torch.int32)
    neighbours = []
    for axis in range(corners):
        if cancel is not None:
            cancel.raise_if_cancelled()
        wanted = embedding.neighbour(keys, axis)
        at = torch.searchsorted(keys, wanted).clamp_(max=vertices - 1)
        there = keys[at] == wanted
        following = torch.full_like(itself, vertices)
        following[:-1] = torch.where(there, at, vertices).to(torch.int32)
        previous = torch.full_like(itself, vertices)
        previous[at[there]] = itself[:-1][there]
        neighbours.append(torch.stack((itself, following, previous), dim=1))
    blur_weight = torch.tensor([1.0, 0.5, 0.5], device=device).repeat(vertices + 1, 1)
    return Lattice(
        vertices,
        index,
        barycentric,
        splat_pixel,
        splat_weight,
        splat_start.to(torch.int32),
        neighbours,
        blur_weight,
    )


class _Embedding:
    """Where pixels lie in the lattice.

    A vertex has d + 1 integer coordinates that sum to 0 and are all congruent modulo d + 1. So the quotients of d of
    them and the common remainder name it; they are packed into one integer, digit by digit, each digit as wide as the
    picture needs.
    """

    def __init__(self, image: npt.NDArray[np.uint8], sigmas: tuple[float, ...], device: torch.device) -> None:
        height, width = image.shape[:2]
        self.pixels = height * width
        self._width = width
        self._colours = torch.from_numpy(image.reshape(-1, 3)).to(device) if len(sigmas) == 2 else None
        self.dimensions = d = 5 if len(sigmas) == 2 else 2

        # Scaled features by position and by colour level: float32 division and product, as pydensecrf does them.
        # Tables from numpy, because CUDA divides by a number through its reciprocal.
        spread = np.float32(math.sqrt(2.0 / 3.0) * (d + 1))
        scale = [np.float32(1.0 / math.sqrt((i + 2) * (i + 1)) * float(spread)) for i in range(d)]
        lengths = [width, height, 256, 256, 256][:d]
        by_sigma = [sigmas[0], sigmas[0], sigmas[-1], sigmas[-1], sigmas[-1]]
        tables = [
            np.arange(length, dtype=np.float32) / np.float32(sigma) * factor
            for length, sigma, factor in zip(lengths, by_sigma, scale, strict=False)
        ]
        self._tables = [torch.from_numpy(table).to(device) for table in tables]

        # Coordinate 0 is minus the sum of the others and needs no digit.
        largest = [float(table[-1]) for table in tables]
        self._lowest = [0] * (d + 1)
        self._strides = [0] * (d + 1)
        stride = d + 1
        for axis in range(1, d + 1):
            low = math.floor(-axis * largest[axis - 1] / (d + 1)) - _MARGIN
            high = math.ceil(sum(largest[axis:]) / (d + 1)) + _MARGIN
            self._lowest[axis], self._strides[axis] = low, stride
            stride *= high - low + 1
        if stride >= 2**63:
            raise ValueError(f"a sigma is too small for a picture of {width} x {height} pixels")
        self._stride_table = torch.tensor(self._strides, dtype=torch.int64, device=device)

    def corners(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Keys `(n, d + 1)` int64 and barycentric weights of the simplex around the pixels from `start` to `stop`."""
        position = torch.arange(start, stop, device=self._tables[0].device)
        features = [self._tables[0][position % self._width], self._tables[1][position // self._width]]
        if self._colours is not None:
            colours = self._colours[start:stop].to(torch.int64)
            features += [self._tables[2 + channel][colours[:, channel]] for channel in range(3)]
        return self._enclose(features)

    def corners_of_origin(self) -> Tensor:
        """Keys of the simplex around zero features."""
        return self._enclose([table[:1] for table in self._tables])[0].reshape(-1)

    def neighbour(self, keys: Tensor, axis: int) -> Tensor:
        """Keys of the next vertex along an axis: every coordinate 1 less, that of the axis d more."""
        d = self.dimensions
        wrapped = torch.where(keys % (d + 1) > 0, -1, d - sum(self._strides))
        return keys + wrapped + self._strides[axis]

    def _enclose(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        d = self.dimensions
        down = float(np.float32(1.0) / np.float32(d + 1))

        elevated: list[Any] = [None] * (d + 1)
        total = torch.zeros_like(features[0])
        for axis in range(d, 0, -1):
            elevated[axis] = total - features[axis - 1] * axis
            total = total + features[axis - 1]
        elevated[0] = total

        quotient = [torch.round(value * down) for value in elevated]
        remaining = [value - whole * (d + 1) for value, whole in zip(elevated, quotient, strict=True)]
        excess = torch.stack(quotient).sum(dim=0).to(torch.int64)

        rank = [excess.clone() for _ in range(d + 1)]
        for i in range(d):
            for j in range(i + 1, d + 1):
                behind = (remaining[i] < remaining[j]).to(torch.int64)
                rank[i] += behind
                rank[j] += 1 - behind

        # A point off the plane through the origin is brought back by one step along the coordinates out of range.
        shift = [(r < 0).to(torch.int64) - (r > d).to(torch.int64) for r in rank]
        ranks = torch.stack([r + s * (d + 1) for r, s in zip(rank, shift, strict=True)], dim=1)
        whole = [(q.to(torch.int64) + s) for q, s in zip(quotient, shift, strict=True)]
        offset = torch.stack(
            [(e - (w * (d + 1)).to(torch.float32)) * down for e, w in zip(elevated, whole, strict=True)], dim=1
        )

        gain = offset.new_zeros((len(offset), d + 2)).scatter_(1, d - ranks, offset)
        loss = offset.new_zeros((len(offset), d + 2)).scatter_(1, d + 1 - ranks, offset)
        barycentric = (gain - loss)[:, : d + 1]
        barycentric[:, 0] = gain[:, 0] + (1 - loss[:, d + 1])

        key = torch.zeros_like(excess)
        for axis in range(1, d + 1):
            key += (whole[axis] - self._lowest[axis]) * self._strides[axis]
        # From corner k - 1 to corner k the remainder grows by 1, and the coordinate of rank d - k + 1 drops by d + 1.
        stride_by_rank = torch.zeros_like(ranks).scatter_(1, ranks, self._stride_table.expand_as(ranks))
        steps = torch.cat((key.unsqueeze(1), 1 - stride_by_rank.flip(1)[:, :d]), dim=1)
        return steps.cumsum(dim=1), barycentric
