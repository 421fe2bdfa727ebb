"""What is said of one user action."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One user action.

    Parameters
    ----------
    id : str
        Stable name; settings and tests refer to it.
    text : str
        What the menu says; "&" marks the mnemonic.
    menu : str
        Which menu it stands in; "" for a key without a menu entry.
    shortcuts : tuple of str
        Keys, the first one is shown.
    icon : str
        A meaning of `deeplab_studio.app.icons`; "" for none.
    tip : str
        What it does, for tooltip and status bar; the text if empty.
    needs : str
        Name of the condition that enables it; "" for always.
    checkable : bool
    group : str
        Checkable actions of one group exclude each other.
    toolbar : bool
        Whether it has a button.
    gap : bool
        Whether a separator comes before it.
    hold : bool
        Works while the key is held: the callback gets True on press and False on release.
    """

    id: str
    text: str
    menu: str = ""
    shortcuts: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    needs: str = ""
    checkable: bool = False
    group: str = ""
    toolbar: bool = False
    gap: bool = False
    hold: bool = False
