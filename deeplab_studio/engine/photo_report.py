"""What several models say about one photo, as files: ``report.html`` that needs nothing else, and ``report.json``."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from deeplab_studio.core.agreement import distinct_answers, pair_counts, pair_iou, pixel_agreement
from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.voc.masks import count_ids
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.engine.html_report import Page, percent, png, write_file

_LONGEST = 1200
"""Pictures in the report are reduced to this side; the masks beside it are not."""

_DIFFERENCE = np.array([(0, 0, 0), (255, 255, 255), (250, 190, 60), (225, 90, 40), (150, 20, 60)], np.uint8)
"""Colour of 1, 2, 3 and 4 or more different answers; 0 does not occur."""


@dataclass(frozen=True, eq=False)
class PhotoAnswer:
    """What one model says.

    Parameters
    ----------
    name, model_id, version : str
    params : CrfParams or None
        The CRF that was run on its scores.
    labels : (H, W) uint8 array
        In the label set all answers share.
    seconds : float
        Prediction and CRF.
    """

    name: str
    model_id: str
    version: str
    params: CrfParams | None
    labels: Labels
    seconds: float


def photo_json(photo: str, answers: Sequence[PhotoAnswer], label_set: LabelSet) -> dict[str, object]:
    """The content of ``report.json``."""
    pairs = []
    for first, one in enumerate(answers):
        for two in answers[first + 1 :]:
            counts = pair_counts(one.labels, two.labels)
            iou = pair_iou(counts)
            pairs.append(
                {
                    "models": [one.name, two.name],
                    "pixel_agreement": pixel_agreement(counts),
                    "iou": {label_set.name_of(int(i)): float(iou[i]) for i in np.flatnonzero(~np.isnan(iou))},
                }
            )
    return {
        "photo": photo,
        "models": [
            {
                "model": each.name,
                "model_id": each.model_id,
                "version": each.version,
                "crf": each.params.to_dict() if each.params else None,
                "pixels": {
                    label_set.name_of(int(i)): int(count_ids(each.labels)[i])
                    for i in np.flatnonzero(count_ids(each.labels))
                },
                "seconds": each.seconds,
            }
            for each in answers
        ],
        "pairs": pairs,
    }


def write_photo_report(
    folder: Path, photo: str, pixels: npt.NDArray[np.uint8], answers: Sequence[PhotoAnswer], label_set: LabelSet
) -> None:
    """Write the report of one photo.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    photo : str
        Its name.
    pixels : (H, W, 3) uint8 array
    answers : sequence of PhotoAnswer
    label_set : LabelSet

    Raises
    ------
    StudioError
        If the folder cannot be made or written.
    """
    content = photo_json(photo, answers, label_set)
    page = Page(f"{len(answers)} answers for {photo}")
    page.add(f"<p>{_key(answers, label_set)}</p>")
    for each in answers:
        page.heading(each.name)
        page.note(f"{each.version}, {each.seconds:.3f} s")
        page.picture(png(_reduced(_over(pixels, each.labels, label_set))), each.name)
    if len(answers) > 1:
        differing = distinct_answers([each.labels for each in answers])
        share = float((differing > 1).mean())
        page.heading("Where they differ")
        page.note(f"{percent(share)} % of the pixels; the darker, the more answers.")
        page.picture(
            png(_reduced(_DIFFERENCE[np.minimum(differing, len(_DIFFERENCE) - 1)])), "where the answers differ"
        )
        page.add(_pair_table(content))
    write_file(folder / "report.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    write_file(folder / "report.html", page.finish())


def _over(pixels: npt.NDArray[np.uint8], labels: Labels, label_set: LabelSet) -> npt.NDArray[np.uint8]:
    """The class colours at half strength over the photo; the first class is left clear."""
    mixed = (pixels.astype(np.uint16) + label_set.palette()[labels]) // 2
    return np.where((labels == 0)[..., np.newaxis], pixels, mixed.astype(np.uint8))


def _reduced(pixels: npt.NDArray[np.uint8]) -> PilImage.Image:
    picture = PilImage.fromarray(pixels)
    picture.thumbnail((_LONGEST, _LONGEST))
    return picture


def _key(answers: Sequence[PhotoAnswer], label_set: LabelSet) -> str:
    present = np.zeros(256, np.bool_)
    for each in answers:
        present |= count_ids(each.labels) > 0
    palette = label_set.palette()
    entries = []
    for class_id in np.flatnonzero(present).tolist():
        red, green, blue = palette[class_id].tolist()
        swatch = f'<span style="background: rgb({red}, {green}, {blue}); padding: 0 8px">&nbsp;</span>'
        entries.append(f"{swatch} {html.escape(label_set.name_of(class_id))}")
    return " &nbsp; ".join(entries)


def _pair_table(content: dict[str, object]) -> str:
    pairs = content["pairs"]
    assert isinstance(pairs, list)
    names = list(dict.fromkeys(name for pair in pairs for name in pair["iou"]))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["agreement", *names])
    rows = "".join(
        f"<tr><td>{html.escape(' and '.join(pair['models']))}</td><td>{percent(pair['pixel_agreement'])}</td>"
        + "".join(f"<td>{percent(pair['iou'].get(name))}</td>" for name in names)
        + "</tr>"
        for pair in pairs
    )
    return f'<div class="scroll"><table><tr><th>IoU in %</th>{head}</tr>{rows}</table></div>'
