"""What a comparison found, as files: ``report.html`` that needs no other, ``report.csv``, ``report.json``, charts."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from deeplab_studio.core.charts import Axes, Series, bar_chart, line_chart, matrix_chart
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.engine.comparison import Outcome
from deeplab_studio.engine.html_report import Page, percent, png, write_file

_OTHER = "anything else"


def write_report(
    folder: Path,
    title: str,
    outcomes: Sequence[Outcome],
    label_set: LabelSet,
    notes: Sequence[str] = (),
    problems: Sequence[StudioError] = (),
) -> None:
    """Write everything a comparison found.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of an earlier report in it are replaced.
    title : str
    outcomes : sequence of Outcome
        One or more.
    label_set : LabelSet
        The classes they were compared on.
    notes : sequence of str
        What the reader should know.
    problems : sequence of StudioError
        Items that were left out.

    Raises
    ------
    StudioError
        If the folder cannot be made or written.
    """
    charts = {name: png(chart) for name, chart in _charts(outcomes, label_set).items()}
    for name, data in charts.items():
        write_file(folder / f"{name}.png", data)
    content = report_json(outcomes, label_set, notes, problems)
    write_file(folder / "report.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    write_file(folder / "report.csv", _csv(outcomes, label_set).encode())
    write_file(folder / "report.html", _html(title, outcomes, label_set, notes, problems, charts))


def report_json(
    outcomes: Sequence[Outcome],
    label_set: LabelSet,
    notes: Sequence[str] = (),
    problems: Sequence[StudioError] = (),
) -> dict[str, object]:
    """The content of ``report.json``; shares are 0..1, null where a class never occurs."""
    return {
        "models": [
            {
                "model": outcome.model,
                "model_id": outcome.model_id,
                "version": outcome.version,
                "crf": outcome.params.to_dict() if outcome.params else None,
                "crf_name": outcome.crf if outcome.params else None,
                "miou": _or_none(outcome.matrix.miou()),
                "pixel_accuracy": _or_none(outcome.matrix.pixel_accuracy()),
                "iou": dict(zip(label_set.names, map(_or_none, outcome.matrix.iou().tolist()), strict=False)),
                "trimap": [[width, _or_none(miou)] for width, miou in outcome.trimap.miou()],
                "seconds_per_image": _or_none(_seconds(outcome)),
                "images": outcome.images,
                "confusion": outcome.matrix.counts.tolist(),
            }
            for outcome in outcomes
        ],
        "classes": list(label_set.names),
        "notes": list(notes),
        "left_out": [{"path": str(each.path) if each.path else None, "reason": each.reason} for each in problems],
    }


def _charts(outcomes: Sequence[Outcome], label_set: LabelSet) -> dict[str, PilImage.Image]:
    models = list(dict.fromkeys(outcome.model for outcome in outcomes))
    crfs = list(dict.fromkeys(outcome.crf for outcome in outcomes))
    by_version = [
        Series(
            "without CRF" if crf == "none" else f"CRF {crf}",
            [(models.index(each.model), each.matrix.miou()) for each in outcomes if each.crf == crf],
        )
        for crf in crfs
    ]
    per_class = [Series(each.name, list(enumerate(each.matrix.iou().tolist()[: len(label_set)]))) for each in outcomes]
    trimap = [Series(each.name, each.trimap.miou(), dashed=each.params is not None) for each in outcomes]
    timing = [Series(each.name, [(_seconds(each), each.matrix.miou())]) for each in outcomes]
    wide = max(640, 28 * len(label_set) + 80)
    square = max(640, 28 * len(label_set) + 220)
    charts = {
        "miou": bar_chart(models, by_version, Axes("Mean IoU", percent=True)),
        "iou-per-class": bar_chart(label_set.names, per_class, Axes("IoU per class", percent=True, width=wide)),
        "trimap": line_chart(
            trimap,
            Axes(
                "Mean IoU within a band along the boundaries",
                "furthest from a boundary (px)",
                "mean IoU",
                percent=True,
            ),
        ),
        "time": line_chart(
            timing, Axes("Time and quality", "seconds per image", "mean IoU", percent=True), marks="points"
        ),
    }
    names = label_set.names
    for number, each in enumerate(outcomes, 1):
        counts = each.matrix.counts
        shown: Sequence[str] = names
        if counts[:, len(names)].any():
            shown = (*names, _OTHER)
        charts[f"confusion-{number}"] = matrix_chart(
            shown,
            _row_shares(counts[: len(shown), : len(shown)]),
            Axes(each.name, "predicted class, in % of the pixels of the true class at the left", width=square),
        )
    return charts


def _row_shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    totals = counts.sum(axis=1, keepdims=True)
    result = np.full(counts.shape, np.nan)
    np.divide(counts, totals, out=result, where=totals > 0)
    return result


def _csv(outcomes: Sequence[Outcome], label_set: LabelSet) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    widths = outcomes[0].trimap.widths
    writer.writerow(
        [
            *("model", "model_id", "version", "crf", "miou", "pixel_accuracy", "seconds_per_image", "images"),
            *(f"iou {name}" for name in label_set.names),
            *(f"miou within {width} px" for width in widths),
        ]
    )
    for each in outcomes:
        iou = each.matrix.iou().tolist()[: len(label_set)]
        values = [each.matrix.miou(), each.matrix.pixel_accuracy(), _seconds(each)]
        bands = [miou for _, miou in each.trimap.miou()]
        writer.writerow(
            [
                *(each.model, each.model_id, each.version, each.crf),
                *map(_cell, values),
                each.images,
                *map(_cell, iou),
                *map(_cell, bands),
            ]
        )
    return text.getvalue()


def _html(
    title: str,
    outcomes: Sequence[Outcome],
    label_set: LabelSet,
    notes: Sequence[str],
    problems: Sequence[StudioError],
    charts: dict[str, bytes],
) -> bytes:
    best = max((each.matrix.miou() for each in outcomes if math.isfinite(each.matrix.miou())), default=math.nan)
    rows = "".join(
        f"<tr><td>{html.escape(each.model)}</td><td>{html.escape(each.version)}</td>"
        f"<td>{'' if each.params is None else html.escape(each.crf)}</td>"
        f"<td{_mark(each.matrix.miou(), best)}>{percent(each.matrix.miou())}</td>"
        f"<td>{percent(each.matrix.pixel_accuracy())}</td><td>{_seconds(each):.3f}</td><td>{each.images}</td></tr>"
        for each in outcomes
    )
    page = Page(title)
    for note in notes:
        page.note(note)
    page.add(
        "<table><tr><th>model</th><th>version</th><th>CRF</th><th>mIoU in %</th><th>pixel accuracy in %</th>"
        f"<th>s / image</th><th>images</th></tr>{rows}</table>"
    )
    page.picture(charts["miou"], "mean IoU of every model")
    page.heading("Classes")
    page.picture(charts["iou-per-class"], "IoU per class")
    page.add(_class_table(outcomes, label_set))
    page.heading("Along the boundaries")
    page.note(
        "Only pixels close to the void border of an object count, as in figure 6 of the DeepLab v1 paper; the closer, "
        "the more the CRF and the decoder of v3+ matter."
    )
    page.picture(charts["trimap"], "mean IoU by distance from a boundary")
    page.heading("Time")
    page.picture(charts["time"], "mean IoU by seconds per image")
    page.heading("What is taken for what")
    for number, each in enumerate(outcomes, 1):
        page.picture(charts[f"confusion-{number}"], f"confusion matrix of {each.name}")
    if problems:
        page.heading("Left out")
        page.add("<ul>" + "".join(f"<li>{html.escape(str(problem))}</li>" for problem in problems) + "</ul>")
    return page.finish()


def _class_table(outcomes: Sequence[Outcome], label_set: LabelSet) -> str:
    head = "".join(f"<th>{html.escape(each.name)}</th>" for each in outcomes)
    rows = ""
    for place, name in enumerate(label_set.names):
        values = [float(each.matrix.iou()[place]) for each in outcomes]
        top = max((value for value in values if math.isfinite(value)), default=math.nan)
        cells = "".join(f"<td{_mark(value, top)}>{percent(value)}</td>" for value in values)
        rows += f"<tr><td>{html.escape(name)}</td>{cells}</tr>"
    return f'<div class="scroll"><table><tr><th>IoU in %</th>{head}</tr>{rows}</table></div>'


def _mark(value: float, best: float) -> str:
    return " class=best" if value == best else ""


def _seconds(outcome: Outcome) -> float:
    return outcome.seconds / outcome.images if outcome.images else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
