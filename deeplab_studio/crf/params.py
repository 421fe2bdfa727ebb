"""The numbers of the fully connected CRF, and named sets of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
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
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name} is {value!r}, it must be a number")
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(f"{name} is {value}, it must be between {low:g} and {high:g}")
        if self.iterations != int(self.iterations):
            raise ValueError(f"iterations is {self.iterations}, it must be a whole number")
        if self.normalization not in get_args(Normalization):
            raise ValueError(f"normalization is {self.normalization!r}, it must be 'symmetric' or 'after'")

    def scaled(self, factor: float) -> CrfParams:
        """The same CRF for the picture at another size.

        Sigmas in pixels mean something only together with the size of the picture: a preview at a quarter of the width
        behaves like the whole one when sigma_alpha and sigma_gamma are a quarter too. Colours do not shrink.

        Parameters
        ----------
        factor : float
            Width of the other picture divided by the width of this one, > 0. Sigmas stay inside their ranges, so a
            sigma_gamma that would fall below half a pixel is held there.

        Raises
        ------
        ValueError
            If `factor` is not a positive finite number.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"the factor is {factor}, it must be above 0")

        def held(name: str) -> float:
            low, high = next((low, high) for known, low, high in _RANGES if known == name)
            return float(min(max(getattr(self, name) * factor, low), high))

        return replace(
            self,
            appearance_position_sigma=held("appearance_position_sigma"),
            smoothness_sigma=held("smoothness_sigma"),
        )

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

_SHORT = {
    "w1": "appearance_weight",
    "sa": "appearance_position_sigma",
    "sb": "appearance_colour_sigma",
    "w2": "smoothness_weight",
    "sg": "smoothness_sigma",
    "it": "iterations",
    "norm": "normalization",
}


def parse_params(text: str, base: CrfParams | None = None) -> CrfParams:
    """Parameters written as on a command line: ``"w1=4,sa=67,sb=3,w2=3,sg=1,it=10,norm=symmetric"``.

    Parameters
    ----------
    text : str
        ``name=value`` pairs between commas. Names are the short ones above or the fields of `CrfParams`; each at most
        once.
    base : CrfParams, optional
        What is not named; the defaults of `CrfParams` if omitted.

    Raises
    ------
    ValueError
        Naming the pair that is malformed, unknown, given twice or out of range.
    """
    values: dict[str, float | int | str] = {}
    for pair in text.split(","):
        name, equals, value = (part.strip() for part in pair.partition("="))
        field = _SHORT.get(name, name)
        if not equals or not value:
            raise ValueError(f"{pair.strip()!r} is not of the form name=value")
        if field not in _SHORT.values():
            raise ValueError(f"unknown CRF parameter {name!r}; known are {', '.join(_SHORT)}")
        if field in values:
            raise ValueError(f"{name} is given twice")
        try:
            values[field] = {"iterations": int, "normalization": str}.get(field, float)(value)
        except ValueError:
            kind = "a whole number" if field == "iterations" else "a number"
            raise ValueError(f"{name} is {value!r}, it must be {kind}") from None
    return replace(base or CrfParams(), **values)  # type: ignore[arg-type]
