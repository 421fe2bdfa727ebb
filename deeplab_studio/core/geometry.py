"""Pixel boxes."""

from __future__ import annotations

from typing import NamedTuple


class Rect(NamedTuple):
    """A half-open box of pixels: rows ``top..bottom-1``, columns ``left..right-1``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.bottom <= self.top or self.right <= self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an ``(H, W)`` array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def union(self, other: Rect | None) -> Rect:
        """The smallest box around both."""
        if other is None:
            return self
        return Rect(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def intersection(self, other: Rect) -> Rect:
        """The part inside both; may be empty."""
        return Rect(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def clipped(self, height: int, width: int) -> Rect:
        """The part inside an image of `height` by `width` pixels; may be empty."""
        return Rect(max(self.top, 0), max(self.left, 0), min(self.bottom, height), min(self.right, width))
