"""How fast training goes: learning rate over crops, and what is shown when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Plan:
    """The learning rate's way to zero, which can be laid anew from wherever training is.

    Parameters
    ----------
    total : int
        Crops after which training ends.
    warmup : int
        Crops over which the learning rate rises at first.
    power : float
        Of the "poly" schedule (DeepLabv2, section 4.1.1, from ParseNet): (1 - done / total) ** power.
    begin : int
        Crops at which this plan was made.
    factor : float
        The learning rate's factor then, without the warm-up.
    """

    total: int
    warmup: int = 0
    power: float = 0.9
    begin: int = 0
    factor: float = 1.0

    def decay(self, crops: int) -> float:
        """The factor without the warm-up, 0..1."""
        left = (self.total - crops) / max(1, self.total - self.begin)
        return float(self.factor * min(1.0, max(0.0, left)) ** self.power)

    def rate(self, crops: int) -> float:
        """What the learning rate is multiplied by after this many crops, 0..1."""
        rise = min(1.0, (crops + 1) / self.warmup) if self.warmup else 1.0
        return rise * self.decay(crops)

    def share(self, crops: int) -> float:
        """How much of training is done, 0..1."""
        return min(1.0, crops / max(1, self.total))

    def replanned(self, crops: int, total: int) -> Plan:
        """A plan from here on that ends after another number of crops.

        The learning rate goes on from where it is; from the end of a finished plan, where it is zero, it goes on from
        where it would be if `total` had been planned from the start.
        """
        factor = self.decay(crops) or max(0.0, 1 - crops / max(1, total)) ** self.power
        return replace(self, total=max(total, crops), begin=crops, factor=factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What is shown during a part of training.

    Small crops first teach more per second; the last ones prepare for photos as they are shown afterwards (Tan & Le,
    "EfficientNetV2", ICML 2021, section 4.2, "progressive learning").

    Parameters
    ----------
    until : float
        Share of training at which it ends, 0..1.
    crop : int
        Pixels of the crops' sides, a multiple of 16 and one more: the encoder's cells then lie on the border pixels.
    scale : (float, float)
        Smallest and largest factor on the kept photo.
    """

    until: float
    crop: int
    scale: tuple[float, float]


def phase_at(phases: Sequence[Phase], share: float) -> Phase:
    """The phase in which a share of training, 0..1, falls."""
    return next((phase for phase in phases if share < phase.until), phases[-1])
