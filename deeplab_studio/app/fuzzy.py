"""How well a few typed letters match a name."""

from __future__ import annotations

from typing import NamedTuple

_START, _WORD, _NEXT, _GAP = 10, 8, 10, 0.2
"""Worth of a letter that begins the name, begins a word, or follows the letter matched before; cost of one passed."""


class Match(NamedTuple):
    """How well, and which letters of the name were meant.

    Attributes
    ----------
    score : float
        Higher is better; comparable between names for the same letters.
    places : tuple of int
        Positions in the name, ascending.
    """

    score: float
    places: tuple[int, ...]


def match(typed: str, name: str) -> Match | None:
    """Find the letters typed, in their order, in a name.

    Parameters
    ----------
    typed : str
        Case and spaces do not count.
    name : str

    Returns
    -------
    Match or None
        The best of all ways to place the letters: beginnings of words and letters in a row are worth most, and a short
        name more than a long one. None if they are not in it.
    """
    wanted = [letter for letter in typed.casefold() if not letter.isspace()]
    # Letter by letter, so that places stay those of the name: "ß" folds into two.
    letters = [letter.casefold()[:1] for letter in name]
    if not wanted:
        return Match(0.0, ())
    if len(wanted) > len(letters):
        return None
    none = float("-inf")
    best = [none] * len(letters)
    steps: list[list[int]] = []
    for number, letter in enumerate(wanted):
        row, came = [none] * len(letters), [-1] * len(letters)
        reach, reach_at = none, -1  # best score of the letter before at any place so far, gaps paid
        for at, here in enumerate(letters):
            if number and at:
                reach -= _GAP
                if best[at - 1] >= reach:
                    reach, reach_at = best[at - 1], at - 1
            if here != letter:
                continue
            worth = 1.0 + (_START if at == 0 else _WORD if not letters[at - 1].isalnum() else 0)
            if number == 0:
                row[at] = worth - _GAP * at
            elif at:
                follows = best[at - 1] + worth + _NEXT
                jumps = reach + worth
                row[at], came[at] = (follows, at - 1) if follows >= jumps else (jumps, reach_at)
        steps.append(came)
        best = row
    score = max(best)
    if score == none:
        return None
    at = best.index(score)
    places = []
    for came in reversed(steps):
        places.append(at)
        at = came[at]
    return Match(score - 0.05 * len(letters), tuple(reversed(places)))
