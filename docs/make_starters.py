"""Writes the tables of docs/starters.md from the cards in models/.

python docs/make_starters.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from deeplab_studio.checkpoints.starters import StarterCard, list_starters  # noqa: E402

PAGE = REPOSITORY / "docs" / "starters.md"
BEGIN, END = "<!-- from the cards: python docs/make_starters.py -->", "<!-- end -->"


def page(text: str, cards: Sequence[StarterCard]) -> str:
    """The page with the tables of these cards in the place of those it has."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables(cards)}\n{END}{after}"


def tables(cards: Sequence[StarterCard]) -> str:
    """What the models are and what they scored."""
    if not cards:
        return "No starter model is in this copy of the program."
    models = [
        "| model | parameters | file | mIoU, classes it knows | with the CRF | mIoU, all classes | with the CRF |",
        "|---|---|---|---|---|---|---|",
    ]
    for card in cards:
        result = card.result
        figures = (result.miou_known, result.miou_known_crf, result.miou, result.miou_crf)
        cells = [card.title, f"{card.parameters:,}", f"{card.bytes / 1e6:.1f} MB, {card.stored_as}"]
        models.append(f"| {' | '.join([*cells, *map(_percent, figures)])} |")
    first = cards[0]
    classes = [
        f"| class | {' | '.join(card.title for card in cards)} |",
        f"|---|{'---|' * len(cards)}",
        *(
            f"| {name if name in first.known else f'*{name}*'} | "
            f"{' | '.join(_percent(card.result.iou.get(name)) for card in cards)} |"
            for name in (*first.known, *first.hardly_known)
        ),
    ]
    note = (
        f"Measured on {first.result.measured_on}, never trained on; CRF preset `{first.result.crf}`. Percent; – for a "
        "class no photo shows; hardly known classes in italics."
    )
    training = (
        f"Trained with `{first.command.partition(' (')[0]}` on {first.data}. Licence of the weights: {first.licence}."
    )
    return "\n".join([*models, "", *classes, "", note, "", training])


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8"), list_starters(REPOSITORY / "models")), encoding="utf-8")
