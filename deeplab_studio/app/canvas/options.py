"""What a tool can be set to, said once: the bar over the canvas, the settings and the tools follow it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values.

    Parameters
    ----------
    value : str
        As the setting keeps it.
    text : str
        What a person reads, marked for translation in the context "ToolOptions"; "" where the icon says it all.
    icon : str
        A meaning of `deeplab_studio.app.icons`; "" for none.
    tip : str
        What it does, marked likewise.
    """

    value: str
    text: str = ""
    icon: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class ToolOption:
    """One thing to set. Tools that name the same key share its value.

    With `choices` it is one of them, with a `slider` it is a number, otherwise it is on or off.

    Parameters
    ----------
    key : str
        The setting that keeps it, ``"tools/brush_size"``.
    text : str
        Its name, marked for translation in the context "ToolOptions".
    tip : str
        What it does, marked likewise.
    choices : tuple of Choice
    slider : (float, float), optional
        Ends of the slider; what may be typed is the setting's range.
    log : bool
        Whether the slider moves by factors.
    suffix : str
        Unit of the number.
    """

    key: str
    text: str
    tip: str = ""
    choices: tuple[Choice, ...] = ()
    slider: tuple[float, float] | None = None
    log: bool = False
    suffix: str = ""
