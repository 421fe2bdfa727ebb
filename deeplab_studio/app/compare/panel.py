"""The panel beside the panes: how far they agree, where they differ, and how good they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.compare.choice import LETTERS
from deeplab_studio.app.panels.controls import GAP, ElidedLabel, SwatchIcon, icon_button

if TYPE_CHECKING:
    from deeplab_studio.app.compare.findings import Findings, Score
    from deeplab_studio.core.labels import LabelSet

_ROW = 22

_CROWDED = 4
"""Tables with more columns than this scroll."""


class FindingsPanel(QWidget):
    """Tables of what came of the comparison.

    Attributes
    ----------
    differenceChosen : Signal(int)
        Place in the list of the difference the person wants to see.
    previousRequested, nextRequested : Signal()
    chartsRequested : Signal()
        The person wants to see confusion matrices and the scores along boundaries.
    """

    differenceChosen = Signal(int)
    previousRequested = Signal()
    nextRequested = Signal()
    chartsRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.note = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.note.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        self.note.hide()
        self.agreement_table = _table(self.tr("Agreement of the panes"))
        self.agreement_table.setToolTip(
            self.tr("Intersection over union of every class between two panes, in per cent")
        )
        self.difference_table = _table(self.tr("Differences"))
        self.difference_table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.difference_table.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.difference_table.currentCellChanged.connect(lambda row, *_: self._row_chosen(row))
        self.count_label = ElidedLabel()
        font = self.count_label.font()
        font.setWeight(QFont.Weight.DemiBold)
        self.count_label.setFont(font)
        self.previous_button = icon_button("previous", self.tr("Previous difference"))
        self.previous_button.clicked.connect(self.previousRequested)
        self.next_button = icon_button("next", self.tr("Next difference"))
        self.next_button.clicked.connect(self.nextRequested)
        self.score_table = _table(self.tr("Against the ground truth"))
        self.charts_button = QPushButton(self.tr("Charts…"))
        self.charts_button.setToolTip(
            self.tr("Confusion matrix of every pane, and mean IoU by distance from a boundary")
        )
        self.charts_button.clicked.connect(self.chartsRequested)
        self._lay_out()
        self.show_findings(None, None)

    def show_findings(self, findings: Findings | None, label_set: LabelSet | None) -> None:
        """Show what was found; nothing with None."""
        self._show_note(findings)
        self._show_agreement(findings, label_set)
        self._show_differences(findings, label_set)
        self._show_scores(findings, label_set)

    def select(self, row: int) -> None:
        """Mark a difference, without a signal; -1 for none."""
        with QSignalBlocker(self.difference_table):
            self.difference_table.setCurrentCell(row, 0 if row >= 0 else -1)
            if row >= 0:
                self.difference_table.selectRow(row)
            else:
                self.difference_table.clearSelection()
        self._show_count(row)

    def minimumSizeHint(self) -> QSize:
        """Narrow enough for a side of the window."""
        return QSize(220, 200)

    def _row_chosen(self, row: int) -> None:
        self._show_count(row)
        if row >= 0:
            self.differenceChosen.emit(row)

    def _show_note(self, findings: Findings | None) -> None:
        text = ""
        if findings is not None and findings.left_out:
            names = ", ".join(findings.left_out[:6]) + ("…" if len(findings.left_out) > 6 else "")
            text = self.tr("Compared on the {0} classes that all of them know; not all know {1}.").format(
                len(findings.shared), names
            )
        if findings is not None and len(findings.voices) > 1 and len(findings.shared) < 2:
            text = self.tr(
                "These have fewer than two classes in common. Use models of one label set, or map their classes "
                "(Model, Map classes)."
            )
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _show_agreement(self, findings: Findings | None, label_set: LabelSet | None) -> None:
        table = self.agreement_table
        pairs = findings.pairs if findings is not None else ()
        table.clear()
        if findings is None or label_set is None or not pairs:
            table.setRowCount(0)
            table.setColumnCount(0)
            return
        table.setColumnCount(1 + len(pairs))
        table.setHorizontalHeaderLabels(
            [self.tr("Class"), *(f"{LETTERS[pair.first]}–{LETTERS[pair.second]}" for pair in pairs)]
        )
        table.setRowCount(1 + len(findings.present))
        table.setItem(0, 0, _bold(QTableWidgetItem(self.tr("Agreement"))))
        for column, pair in enumerate(pairs, 1):
            cell = _bold(_number(_percent(pair.agreement)))
            cell.setToolTip(self.tr("Share of the pixels on which both say the same, in per cent"))
            table.setItem(0, column, cell)
        for row, class_id in enumerate(findings.present, 1):
            table.setItem(row, 0, _class_cell(class_id, label_set))
            for column, pair in enumerate(pairs, 1):
                table.setItem(row, column, _number(_percent(float(pair.iou[class_id]))))
        _fit(table)

    def _show_differences(self, findings: Findings | None, label_set: LabelSet | None) -> None:
        table = self.difference_table
        found = findings.differences if findings is not None else ()
        with QSignalBlocker(table):
            table.clear()
            letters = [LETTERS[voice.pane] for voice in findings.voices] if findings is not None else []
            two = len(letters) == 2
            table.setColumnCount((3 if two else 2) if found else 0)
            table.setRowCount(len(found))
            if found:
                table.setHorizontalHeaderLabels([self.tr("Pixels"), *(letters if two else [self.tr("Answers")])])
            for row, difference in enumerate(found):
                table.setItem(row, 0, _number(QLocale().toString(difference.region.pixels)))
                if label_set is None:
                    continue
                if two:
                    for column, answer in enumerate(difference.answers, 1):
                        table.setItem(row, column, _class_cell(answer, label_set))
                    continue
                text = _together(difference.answers, letters, label_set)
                cell = QTableWidgetItem(text)
                cell.setToolTip(text)
                table.setItem(row, 1, cell)
            table.setCurrentCell(-1, -1)
        _fit(table, stretch=None)
        self.previous_button.setEnabled(bool(found))
        self.next_button.setEnabled(bool(found))
        self._found = len(found)
        self._share = findings.disagreement if findings is not None and found else 0.0
        self._show_count(-1)

    def _show_count(self, row: int) -> None:
        if not self._found:
            self.count_label.setText("")
        elif row >= 0:
            self.count_label.setText(self.tr("{0} of {1}").format(row + 1, self._found))
        else:
            one = self._found == 1
            text = self.tr("1 place, {1} % of the pixels") if one else self.tr("{0} places, {1} % of the pixels")
            self.count_label.setText(text.format(self._found, _percent(self._share, 1)))

    def _show_scores(self, findings: Findings | None, label_set: LabelSet | None) -> None:
        table = self.score_table
        scores = findings.scores if findings is not None else ()
        table.clear()
        self.tabs.setTabVisible(1, bool(scores))
        if findings is None or label_set is None or not scores:
            table.setRowCount(0)
            table.setColumnCount(0)
            return
        shared = findings.shared
        held = [i for i in shared if any(not math.isnan(_iou(score, shared, i)) for score in scores)]
        table.setColumnCount(1 + len(scores))
        table.setHorizontalHeaderLabels([self.tr("In per cent"), *(LETTERS[score.pane] for score in scores)])
        rows: list[tuple[QTableWidgetItem, list[float], bool]] = [
            (QTableWidgetItem(self.tr("Mean IoU")), [score.matrix.miou() for score in scores], True),
            (QTableWidgetItem(self.tr("Pixel accuracy")), [score.matrix.pixel_accuracy() for score in scores], True),
            (QTableWidgetItem(self.tr("Boundary F-score")), [score.mean_boundary for score in scores], True),
        ]
        rows[2][0].setToolTip(
            self.tr("Mean over the classes; outlines may be off by 0.75 % of the photo's diagonal (Csurka et al. 2013)")
        )
        rows += [(_class_cell(i, label_set), [_iou(score, shared, i) for score in scores], False) for i in held]
        table.setRowCount(len(rows))
        for row, (name, values, bold) in enumerate(rows):
            table.setItem(row, 0, _bold(name) if bold else name)
            finite = [value for value in values if not math.isnan(value)]
            best = max(finite, default=math.nan)
            for column, value in enumerate(values, 1):
                cell = _number(_percent(value, 1))
                if len(values) > 1 and value == best and min(finite) < best:
                    _bold(cell)
                    cell.setForeground(self.palette().accent())
                table.setItem(row, column, cell)
        _fit(table)

    def _lay_out(self) -> None:
        walk = QHBoxLayout()
        walk.setContentsMargins(GAP, 0, GAP, 0)
        walk.setSpacing(2)
        walk.addWidget(self.count_label, 1)
        walk.addWidget(self.previous_button)
        walk.addWidget(self.next_button)
        differences = QWidget()
        column = QVBoxLayout(differences)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP // 2)
        column.addWidget(self.agreement_table, 1)
        column.addLayout(walk)
        column.addWidget(self.difference_table, 1)
        truth = QWidget()
        column = QVBoxLayout(truth)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP // 2)
        column.addWidget(self.score_table, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(GAP, 0, GAP, GAP // 2)
        foot.addStretch(1)
        foot.addWidget(self.charts_button)
        column.addLayout(foot)
        self.tabs.addTab(differences, self.tr("Differences"))
        self.tabs.addTab(truth, self.tr("Ground truth"))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GAP // 2)
        self.note.setContentsMargins(GAP, GAP // 2, GAP, 0)
        whole.addWidget(self.note)
        whole.addWidget(self.tabs, 1)


def _together(answers: Sequence[int], letters: Sequence[str], label_set: LabelSet) -> str:
    """``"AC dog · B cat"``."""
    by_class: dict[int, str] = {}
    for letter, class_id in zip(letters, answers, strict=True):
        by_class[class_id] = by_class.get(class_id, "") + letter
    return " · ".join(f"{names} {label_set.name_of(class_id)}" for class_id, names in by_class.items())


def _iou(score: Score, shared: Sequence[int], class_id: int) -> float:
    return float(score.matrix.iou()[shared.index(class_id)])


def _table(name: str) -> QTableWidget:
    table = QTableWidget()
    table.setAccessibleName(name)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(_ROW)
    table.horizontalHeader().setHighlightSections(False)
    table.setShowGrid(False)
    table.setIconSize(QSize(12, 12))
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setTabKeyNavigation(False)
    return table


def _fit(table: QTableWidget, stretch: int | None = 0) -> None:
    header = table.horizontalHeader()
    for column in range(table.columnCount()):
        mode = QHeaderView.ResizeMode.ResizeToContents
        crowded = stretch == 0 and table.columnCount() > _CROWDED  # the names would be squeezed to nothing
        if (not crowded and column == stretch) or (stretch is None and column > 0):
            mode = QHeaderView.ResizeMode.Stretch
        header.setSectionResizeMode(column, mode)
        item = table.horizontalHeaderItem(column)
        left = column == 0 if stretch is not None else column > 0
        if item is not None:
            side = Qt.AlignmentFlag.AlignLeft if left else Qt.AlignmentFlag.AlignRight
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)


def _class_cell(class_id: int, label_set: LabelSet) -> QTableWidgetItem:
    name = label_set.name_of(class_id)
    red, green, blue = label_set.palette()[class_id].tolist()
    cell = QTableWidgetItem(QIcon(SwatchIcon(QColor(red, green, blue))), name)
    cell.setToolTip(name)
    return cell


def _number(text: str) -> QTableWidgetItem:
    cell = QTableWidgetItem(text)
    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return cell


def _bold(cell: QTableWidgetItem) -> QTableWidgetItem:
    font = QFont(cell.font())
    font.setWeight(QFont.Weight.DemiBold)
    cell.setFont(font)
    return cell


def _percent(share: float, digits: int = 1) -> str:
    return "–" if math.isnan(share) else QLocale().toString(100 * share, "f", digits)
