"""The table of the model library: one row per published model, and one per model of the person's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from deeplab_studio.app.icons import Tone, icon
from deeplab_studio.app.panels.controls import GAP, small_font
from deeplab_studio.app.starters import about_text
from deeplab_studio.app.starters import result_text as starter_result_text
from deeplab_studio.app.theme import mix
from deeplab_studio.checkpoints.catalogue import VOC_VAL, ModelCard, PublishedResult
from deeplab_studio.checkpoints.library import InstalledModel
from deeplab_studio.checkpoints.library_index import ModelFacts
from deeplab_studio.checkpoints.progress import Progress
from deeplab_studio.checkpoints.starters import StarterCard
from deeplab_studio.core.errors import StudioError

Index = QModelIndex | QPersistentModelIndex
Transfer = Literal["", "waiting", "running", "paused"]

VERSION, MODEL, CLASSES, SIZE, ON_VOC, ELSEWHERE, LICENCE, STATE = range(8)
SORT_ROLE = Qt.ItemDataRole.UserRole
SECOND_LINE_ROLE = Qt.ItemDataRole.UserRole + 1
FILTER_ROLE = Qt.ItemDataRole.UserRole + 2
BADGE_ROLE = Qt.ItemDataRole.UserRole + 3
_INDENT = 4
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(slots=True)
class Row:
    """A model a person can have or has.

    Parameters
    ----------
    card : ModelCard or None
        What is published about it.
    model : InstalledModel or None
        The file on this machine.
    transfer : {"", "waiting", "running", "paused"}
        Whether it is being downloaded.
    progress : Progress or None
        How far that is.
    error : StudioError or None
        Why the last thing that was tried with it failed.
    """

    card: ModelCard | None = None
    model: InstalledModel | None = None
    transfer: Transfer = ""
    progress: Progress | None = None
    error: StudioError | None = None

    @property
    def title(self) -> str:
        """What to call it."""
        card = self.card or self.starter
        if card is not None:
            return card.title
        return (self.model.facts.name or self.model.path.name) if self.model is not None else ""

    @property
    def starter(self) -> StarterCard | None:
        """What is known of it, if it is a starter model."""
        return self.model.starter if self.model is not None else None

    @property
    def usable(self) -> bool:
        """Whether there is a file to load."""
        return self.model is not None and self.model.usable

    @property
    def key(self) -> str:
        """Stable name of the row."""
        if self.card is not None:
            return self.card.id
        return str(self.model.path) if self.model is not None else ""


def size_text(count: int) -> str:
    """A number of bytes for people."""
    return QLocale().formattedDataSize(count, 1, QLocale.DataSizeFormat.DataSizeSIFormat)


def miou_text(result: PublishedResult) -> str:
    """A figure as published: without, and where there is one with, the CRF."""
    plain = QLocale().toString(result.miou, "f", 1)
    if result.miou_crf is None:
        return plain
    return f"{plain} → {QLocale().toString(result.miou_crf, 'f', 1)}"


class ModelTable(QAbstractTableModel):
    """Rows of the library for a view."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        """The rows; call `changed` after touching one."""
        return self._rows

    def set_rows(self, rows: Iterable[Row]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._rows = list(rows)
        self.endResetModel()

    def changed(self, row: Row) -> None:
        """Show again what has changed in a row."""
        number = next(i for i, other in enumerate(self._rows) if other is row)
        self.dataChanged.emit(self.index(number, 0), self.index(number, STATE))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        """How many models."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        """How many columns."""
        return 0 if parent.isValid() else STATE + 1

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name of a column, and what its figures mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section in (SIZE, ON_VOC) else Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                self.tr("Version"),
                self.tr("Model"),
                self.tr("Classes"),
                self.tr("Size"),
                self.tr("mIoU on VOC"),
                self.tr("mIoU elsewhere"),
                self.tr("Licence"),
                self.tr("State"),
            )[section]
        if role == Qt.ItemDataRole.ToolTipRole and section == ON_VOC:
            return self.tr(
                "Mean IoU on Pascal VOC 2012 val in percent, as published: without → with the publisher's CRF.\n"
                "Only these figures may be compared with each other."
            )
        if role == Qt.ItemDataRole.ToolTipRole and section == ELSEWHERE:
            return self.tr("Mean IoU in percent on other data. It says nothing about how a model compares on VOC.")
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == SORT_ROLE:
            return self._sort_key(row, column)
        if role == SECOND_LINE_ROLE and column == MODEL:
            return self._second_line(row)
        if role == BADGE_ROLE and column == MODEL:
            return self.tr("starter") if row.starter is not None else None
        if role == FILTER_ROLE:
            return " ".join([self._second_line(row), *(self._text(row, other) for other in range(STATE + 1))])
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (SIZE, ON_VOC):
            return _RIGHT
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        return None

    def state_text(self, row: Row) -> str:
        """In a word, what is with it."""
        if row.transfer == "waiting":
            return self.tr("Waiting")
        if row.transfer == "running":
            progress = row.progress
            if progress is None or not progress.total:
                return self.tr("Downloading")
            return self.tr("Downloading, {0} %").format(int(100 * progress.received / progress.total))
        if row.error is not None:
            return self.tr("Failed")
        if row.transfer == "paused":
            return self.tr("Paused")
        if row.model is None:
            return self.tr("Not installed")
        if row.model.state == "missing":
            return self.tr("Missing")
        if row.model.state == "changed":
            return self.tr("Changed")
        return {"shipped": self.tr("Built in"), "external": self.tr("Own file")}.get(
            row.model.origin, self.tr("Installed")
        )

    def _text(self, row: Row, column: int) -> str:
        card = row.card
        if column == MODEL:
            return row.title
        if column == STATE:
            return self.state_text(row)
        if column == SIZE:
            return self.row_size_text(row)
        if row.starter is not None:
            return self._starter_text(row.starter, column)
        if card is None:
            return self._own_text(row.model.facts, column) if row.model is not None else ""
        if column == VERSION:
            return card.version
        if column == CLASSES:
            return f"{card.classes} · {card.class_set}"
        if column == LICENCE:
            return card.licence or self.tr("None stated")
        if column == ON_VOC:
            result = card.result_on(VOC_VAL)
            return miou_text(result) if result is not None else "–"
        return "\n".join(
            f"{miou_text(result)} · {result.measured_on}" for result in card.results if result.measured_on != VOC_VAL
        )

    @staticmethod
    def _own_text(facts: ModelFacts, column: int) -> str:
        if column == VERSION:
            return facts.version
        if column == CLASSES and facts.classes:
            return " · ".join(filter(None, (str(facts.classes), facts.class_set)))
        return ""

    def _starter_text(self, card: StarterCard, column: int) -> str:
        if column == VERSION:
            return card.version
        if column == CLASSES:
            classes = len(card.known) + len(card.hardly_known)
            return self.tr("{0}, knows {1}").format(classes, len(card.known))
        if column == LICENCE:
            return card.licence
        if column == ON_VOC:
            return "–"
        figure = QLocale().toString(100 * card.result.miou_known, "f", 1)
        return self.tr("{0} · {1} VOC classes").format(figure, len(card.known))

    def row_size_text(self, row: Row) -> str:
        """Size of the file, or what is known of it."""
        if row.model is not None and row.model.size:
            return size_text(row.model.size)
        if row.card is None or row.card.size is None:
            return ""
        text = size_text(row.card.size)
        return text if row.card.bytes is not None else f"≈ {text}"

    def _second_line(self, row: Row) -> str:
        if row.card is not None:
            return f"{row.card.backbone} · {row.card.publisher}"
        if row.starter is not None:
            return self.tr("knows {0}").format(", ".join(name for name in row.starter.known if name != "background"))
        if row.model is None:
            return ""
        return str(row.model.path if row.model.facts.name else row.model.path.parent)

    def _sort_key(self, row: Row, column: int) -> Any:
        if column == SIZE:
            return row.model.size if row.model is not None else (row.card.size or 0) if row.card is not None else 0
        if column == ELSEWHERE and row.starter is not None:
            return 100 * row.starter.result.miou_known
        if column in (ON_VOC, ELSEWHERE):
            every = row.card.results if row.card is not None else ()
            results = [result for result in every if (result.measured_on == VOC_VAL) == (column == ON_VOC)]
            return results[0].miou if results else -1.0
        return self._text(row, column)

    def _icon(self, row: Row, column: int) -> Any:
        if column == ON_VOC and row.card is not None and row.card.caution is not None:
            return icon("warning", tone="warning")
        if column != STATE:
            return None
        name: tuple[str, Tone]
        if row.error is not None or (row.model is not None and row.model.state in ("missing", "changed")):
            name = ("error", "danger")
        elif row.transfer:
            name = ("get-models", "accent")
        elif row.usable:
            name = ("success", "success")
        else:
            return None
        return icon(name[0], tone=name[1])

    def _tip(self, row: Row, column: int) -> str | None:
        if column == STATE and row.error is not None:
            return str(row.error)
        if row.starter is not None and row.card is None:
            about = column in (MODEL, CLASSES)
            return about_text(row.starter) if about else starter_result_text(row.starter)
        if row.card is None:
            return str(row.model.path) if row.model is not None else None
        if column in (ON_VOC, ELSEWHERE):
            lines = [caution_text(row.card)] if row.card.caution is not None else []
            lines += [result_text(result) for result in row.card.results]
            return "\n".join(lines) or None
        return None


def caution_text(card: ModelCard) -> str:
    """Why a card's figures must not be held against others'; empty if they may."""
    translate = QCoreApplication.translate
    if card.caution == "trained-on-val":
        return translate("ModelTable", "Trained on the VOC validation photos too: results on them mean nothing.")
    if card.caution == "not-comparable":
        return translate("ModelTable", "Others could not reproduce the published figure: do not compare it.")
    return ""


def result_text(result: PublishedResult) -> str:
    """A published figure in full."""
    translate, number = QCoreApplication.translate, QLocale().toString
    text = translate("ModelTable", "{0} % on {1}").format(number(result.miou, "f", 2), result.measured_on)
    if result.miou_crf is not None:
        text += translate("ModelTable", ", {0} % with CRF").format(number(result.miou_crf, "f", 2))
    return f"{text} ({result.protocol})" if result.protocol else text


class CardDelegate(QStyledItemDelegate):
    """Draws the version as a badge and the model in two lines."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Room for two lines, and for every state so that the columns do not jump while a download runs."""
        size = super().sizeHint(option, index)
        lines = [str(index.data(Qt.ItemDataRole.DisplayRole)), str(index.data(SECOND_LINE_ROLE) or "")]
        width = max(option.fontMetrics.horizontalAdvance(line) for line in lines)
        if index.column() == STATE:
            width = max(width, option.fontMetrics.horizontalAdvance(self.tr("Downloading, 100 %")) + 3 * GAP)
        return QSize(max(size.width(), width) + 2 * GAP, 2 * option.fontMetrics.height() + GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw a cell."""
        if index.column() not in (VERSION, MODEL):
            super().paint(painter, option, index)
            return
        self.initStyleOption(option, index)
        option.text = ""
        option.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        text = index.data(Qt.ItemDataRole.DisplayRole)
        if index.column() == VERSION:
            self._badge(painter, option, text, selected, option.rect.left() + _INDENT)
        else:
            self._two_lines(painter, option, text, index.data(SECOND_LINE_ROLE), selected)
            if badge := index.data(BADGE_ROLE):
                after = option.rect.left() + _INDENT + option.fontMetrics.horizontalAdvance(text) + GAP
                top = QRect(option.rect.adjusted(0, GAP // 2, 0, 0))
                top.setHeight(option.fontMetrics.height())
                painter.setClipRect(option.rect)
                self._badge(painter, option, badge, selected, after, top)
        painter.restore()

    @staticmethod
    def _badge(
        painter: QPainter,
        option: QStyleOptionViewItem,
        text: str,
        selected: bool,
        left: float,
        line: QRect | None = None,
    ) -> None:
        """Draw a word in a pill that begins at `left`, in the middle of the cell or of a line of it."""
        if not text:
            return
        palette = option.palette
        font = QFont(option.font) if line is None else small_font(option.widget)
        font.setWeight(QFont.Weight.DemiBold)
        metrics = QFontMetrics(font)
        width = max(metrics.horizontalAdvance(text) + 2 * GAP, 5 * GAP)
        box = QRectF(left, 0, width, metrics.height() + (4 if line is None else 0))
        box.moveTop((line or option.rect).center().y() - box.height() / 2 + 0.5)
        ink = palette.color(QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Accent)
        ground = palette.color(QPalette.ColorRole.Highlight if selected else QPalette.ColorRole.Base)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(mix(ground, ink, 0.16))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(ink)
        painter.setFont(font)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.restore()

    @staticmethod
    def _two_lines(
        painter: QPainter, option: QStyleOptionViewItem, first: str, second: str | None, selected: bool
    ) -> None:
        role = QPalette.ColorRole
        rect = option.rect.adjusted(_INDENT, GAP // 2, -_INDENT, -GAP // 2)
        lines = (
            (first, option.font, role.HighlightedText if selected else role.Text, Qt.AlignmentFlag.AlignTop),
            (
                second or "",
                small_font(option.widget),
                role.HighlightedText if selected else role.PlaceholderText,
                Qt.AlignmentFlag.AlignBottom,
            ),
        )
        for text, font, colour, edge in lines:
            painter.setFont(font)
            painter.setPen(option.palette.color(colour))
            shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
            painter.drawText(QRect(rect), Qt.AlignmentFlag.AlignLeft | edge, shown)
