"""The numbers of the fully connected CRF, and named sets of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

Normalization = Literal["symmetric", "after"]

SIGMA_MIN = 0.5
"""Smallest sigma any kernel takes: below it a Gaussian on the pixel grid is the identity (pydensecrf crashes at 0)."""


@dataclass(frozen=True, slots=True)
class CrfParams:
    """Parameters of a fully connected CRF with Potts compatibility (Krähenbühl and Koltun, NIPS 2011).

    Parameters
    ----------
    appearance_weight : float
        w1, weight of the appearance kernel, >= 0.
    appearance_position_sigma : float
        sigma_alpha, reach of the appearance kernel in pixels, >= 0.5.
    appearance_colour_sigma : float
        sigma_beta, tolerance of the appearance kernel in 8-bit colour levels, >= 0.5.
    smoothness_weight : float
        w2, weight of the smoothness kernel, >= 0.
    smoothness_sigma : float
        sigma_gamma, reach of the smoothness kernel in pixels, >= 0.5.
    iterations : int
        Mean-field iterations, 0..100; 0 gives the normalised unaries back.
    normalization : {"symmetric", "after"}
        "symmetric" divides by the square root of the kernel sums before and after filtering (pydensecrf's default, what
        the PyTorch ports published with); "after" divides once after it (the DeepLab authors' own library).

    Raises
    ------
    ValueError
        If a value is outside its range or not finite.
    """

    appearance_weight: float = 4.0
    appearance_position_sigma: float = 67.0
    appearance_colour_sigma: float = 3.0
    smoothness_weight: float = 3.0
    smoothness_sigma: float = 1.0
    iterations: int = 10
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(f"{name} is {value}, it must be between {low:g} and {high:g}")
        if self.iterations != int(self.iterations):
            raise ValueError(f"iterations is {self.iterations}, it must be a whole number")
        if self.normalization not in get_args(Normalization):
            raise ValueError(f"normalization is {self.normalization!r}, it must be 'symmetric' or 'after'")

    def to_dict(self) -> dict[str, float | int | str]:
        """Plain values by field name, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> CrfParams:
        """The parameters from `to_dict`'s output; missing fields take their default, unknown ones raise ValueError."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown CRF parameter {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**values)  # type: ignore[arg-type]


_RANGES = (
    ("appearance_weight", 0.0, 1e4),
    ("appearance_position_sigma", SIGMA_MIN, 1e5),
    ("appearance_colour_sigma", SIGMA_MIN, 1e4),
    ("smoothness_weight", 0.0, 1e4),
    ("smoothness_sigma", SIGMA_MIN, 1e5),
    ("iterations", 0, 100),
)
