"""Marking texts for translation."""

from __future__ import annotations


def QT_TRANSLATE_NOOP(context: str, text: str) -> str:  # noqa: ARG001
    """Mark a text that is translated where it is shown; Qt's own has no types, and its tools look for this name."""
    return text
