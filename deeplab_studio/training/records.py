"""What a run leaves to read: a log of its steps and of its evaluations, and where it stands."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.networks.profile import Version
from deeplab_studio.training.curves import draw_curves

STEPS, EVALUATIONS, CURVES, STATUS = "steps.csv", "evaluations.csv", "curves.png", "STATUS.txt"


class Records:
    """The files of a run's folder that people and plots read.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._last: list[str] = []

    def step(self, crops: int, speed: float, rate: float, losses: Mapping[str, float]) -> None:
        """Add a line of losses, means over the steps since the last."""
        row = {"crops": crops, "crops_per_second": f"{speed:.2f}", "learning_rate": f"{rate:.6g}"}
        self._add(STEPS, row | {name: f"{value:.5f}" for name, value in losses.items()})

    def evaluation(
        self,
        crops: int,
        scores: Mapping[Version, float],
        matrices: Mapping[Version, ConfusionMatrix],
        labels: LabelSet,
    ) -> None:
        """Add a line per version: the score that counts, mean IoU, pixel accuracy, IoU of every class."""
        self._last = [f"evaluation after {crops} crops ({time.strftime('%H:%M:%S')}):"]
        for version, matrix in matrices.items():
            row: dict[str, object] = {
                "crops": crops,
                "version": version,
                "score": f"{scores[version]:.5f}",
                "miou": f"{matrix.miou():.5f}",
                "pixel_accuracy": f"{matrix.pixel_accuracy():.5f}",
            }
            iou = matrix.iou()
            row |= {name: f"{value:.4f}" for name, value in zip(labels.names, iou, strict=True)}
            self._add(EVALUATIONS, row)
            known = ", ".join(f"{name} {value:.2f}" for name, value in zip(labels.names, iou, strict=True) if value > 0)
            self._last.append(f"  {version}: score {scores[version]:.4f}, mIoU {matrix.miou():.4f}; {known}")

    def last_evaluation(self) -> Sequence[str]:
        """Lines that say what the last evaluation gave."""
        return self._last

    def draw(self) -> None:
        """Draw the curves of both logs."""
        steps, evaluations = (read_rows(self._folder / name) for name in (STEPS, EVALUATIONS))
        if steps:
            with atomic_write(self._folder / CURVES) as temporary:
                temporary.write_bytes(draw_curves(steps, evaluations))

    def status(self, lines: Sequence[str]) -> None:
        """Replace the file that says where the run stands."""
        text = "\n".join([time.strftime("%Y-%m-%d %H:%M:%S"), *filter(None, lines)])
        with atomic_write(self._folder / STATUS) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")

    def truncate(self, crops: int) -> None:
        """Take off lines of steps after `crops`: what a killed run did after its last checkpoint is done again."""
        for name in (STEPS, EVALUATIONS):
            rows = read_rows(self._folder / name)
            kept = [row for row in rows if int(row["crops"]) <= crops]
            if len(kept) < len(rows):
                self._write(name, kept, _columns(self._folder / name))

    def _add(self, name: str, row: Mapping[str, object]) -> None:
        path = self._folder / name
        columns = _columns(path)
        if new := [column for column in row if column not in columns]:
            columns += new
            self._write(name, read_rows(path), columns)
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns, restval="").writerow(row)

    def _write(self, name: str, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
        with atomic_write(self._folder / name) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)


def _columns(path: Path) -> list[str]:
    """The names in a log's first line; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Lines of a log by column; none if there is no such file, and without a last line that was cut off."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if None not in row and None not in row.values()]
