"""Rows of the class list: what they hold and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFont, QPainter, QPalette, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from deeplab_studio.app.icons import paint_icon
from deeplab_studio.app.panels.controls import paint_hatched_swatch, paint_swatch, small_font
from deeplab_studio.app.theme import Tones, tones

if TYPE_CHECKING:
    from deeplab_studio.core.labels import LabelSet

VOID = 255
"""Same as `deeplab_studio.core.labels.VOID`, which would import numpy before the first window."""

Index = QModelIndex | QPersistentModelIndex

CLASS_ID = Qt.ItemDataRole.UserRole


class Part(Enum):
    """What of a row the pointer is on."""

    NAME = "name"
    CHOSEN = "chosen"
    EYE = "eye"
    SOLO = "solo"
    LOCK = "lock"


@dataclass
class ClassState:
    """Everything the class list shows."""

    label_set: LabelSet | None = None
    active: int = 0
    hidden: frozenset[int] = frozenset()
    protected: frozenset[int] = frozenset()
    only_over: frozenset[int] | None = None
    choosing: bool = False
    present: dict[int, float] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=lambda: {**{digit: str(digit) for digit in range(10)}, VOID: "V"})

    def all_ids(self) -> list[int]:
        """Ids in the order of the rows: the classes, ids found in the image that are no class, void."""
        if self.label_set is None:
            return []
        known = len(self.label_set)
        strangers = sorted(class_id for class_id in self.present if known <= class_id < VOID)
        return [*range(known), *strangers, VOID]

    def is_stranger(self, class_id: int) -> bool:
        """Whether the id is in the image but not in the label set."""
        return self.label_set is None or len(self.label_set) <= class_id < VOID

    def soloed(self) -> int | None:
        """The only class shown, if there is just one."""
        shown = [class_id for class_id in self.all_ids() if class_id not in self.hidden]
        return shown[0] if len(shown) == 1 and self.hidden else None


def share_text(share: float) -> str:
    """A share of the image, 0..1, in per cent with as many digits as matter; "" for none."""
    percent = 100 * share
    if percent <= 0:
        return ""
    if percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 99.95 else f"{percent:.1f} %"


class ClassModel(QAbstractListModel):
    """The rows that pass the filter."""

    def __init__(self, state: ClassState, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.ids: list[int] = []

    def refill(self, keep: Callable[[int], bool]) -> None:
        """Take the rows anew from the state, those for which `keep(id)` is true."""
        ids = [class_id for class_id in self._state.all_ids() if keep(class_id)]
        if ids == self.ids:
            self.repaint()
            return
        self.beginResetModel()
        self.ids = ids
        self.endResetModel()

    def repaint(self) -> None:
        """Something but the set of rows has changed."""
        if self.ids:
            self.dataChanged.emit(self.index(0), self.index(len(self.ids) - 1))

    def row_of(self, class_id: int) -> int:
        """Row of a class, -1 if it has none."""
        return self.ids.index(class_id) if class_id in self.ids else -1

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of rows."""
        return 0 if parent.isValid() else len(self.ids)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name, id, and a sentence for who cannot see the row."""
        if not index.isValid():
            return None
        class_id = self.ids[index.row()]
        if role == CLASS_ID:
            return class_id
        if role == Qt.ItemDataRole.DisplayRole:
            return self.name(class_id)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._sentence(class_id)
        return None

    def name(self, class_id: int) -> str:
        """What the class is called."""
        if class_id == VOID:
            return self.tr("void")
        return self._state.label_set.name_of(class_id) if self._state.label_set is not None else ""

    def _sentence(self, class_id: int) -> str:
        state = self._state
        parts = [self.name(class_id)]
        if class_id in state.keys:
            parts.append(self.tr("key {0}").format(state.keys[class_id]))
        if share := share_text(state.present.get(class_id, 0)):
            parts.append(self.tr("{0} of the image").format(share))
        if class_id in state.hidden:
            parts.append(self.tr("hidden"))
        if class_id in state.protected:
            parts.append(self.tr("protected"))
        if state.choosing and class_id in (state.only_over or ()):
            parts.append(self.tr("may be painted over"))
        return ", ".join(parts)


class ClassDelegate(QStyledItemDelegate):
    """Draws a row: key, colour, name, share, eye, solo, lock."""

    _PAD = 8
    _KEY = 12
    _SWATCH = 13
    _CELL = 20
    _ICON = 15

    def __init__(self, state: ClassState, model: ClassModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._state, self._model, self._widget = state, model, parent

    def row_height(self) -> int:
        """Height of a row in logical pixels."""
        return max(20, self._widget.fontMetrics().height() + 5)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """As wide as there is room."""
        return QSize(0, self.row_height())

    def areas(self, row: QRect) -> dict[Part, QRect]:
        """Where in a row its parts are; the name takes what is left."""
        right = row.right() + 1 - 2
        areas: dict[Part, QRect] = {}
        for part in (Part.LOCK, Part.SOLO, Part.EYE):
            right -= self._CELL
            areas[part] = QRect(right, row.top(), self._CELL, row.height())
        left = row.left()
        if self._state.choosing:
            areas[Part.CHOSEN] = QRect(left + 4, row.top(), self._CELL, row.height())
            left += self._CELL
        areas[Part.NAME] = QRect(left, row.top(), right - left, row.height())
        return areas

    def part_at(self, row: QRect, x: int) -> Part:
        """What is at `x`."""
        return next((part for part, area in self.areas(row).items() if area.left() <= x <= area.right()), Part.NAME)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the row of `index`."""
        row: QRect = option.rect
        palette: QPalette = option.palette
        flags: QStyle.StateFlag = option.state
        class_id = self._model.ids[index.row()]
        state, tone = self._state, tones(palette)
        hover = bool(flags & QStyle.StateFlag.State_MouseOver)
        active, shown = class_id == state.active, class_id not in state.hidden
        areas = self.areas(row)

        painter.save()
        self._paint_ground(painter, row, tone, active, hover, bool(flags & QStyle.StateFlag.State_HasFocus))
        if Part.CHOSEN in areas:
            self._paint_check(painter, areas[Part.CHOSEN], tone, class_id in (state.only_over or ()))
        self._paint_name(painter, areas[Part.NAME], tone, class_id, active, shown)

        def cell(part: Part, name: str, colour: str) -> None:
            area = QRect(0, 0, self._ICON, self._ICON)
            area.moveCenter(areas[part].center())
            paint_icon(painter, area, name, tone.colour(colour))

        quiet = "muted" if hover or active else "border_strong"
        cell(Part.EYE, "shown" if shown else "hidden", quiet if shown else "text")
        if state.soloed() == class_id:
            cell(Part.SOLO, "solo", "accent")
        elif hover:
            cell(Part.SOLO, "solo", "muted")
        if class_id in state.protected:
            cell(Part.LOCK, "protected", "accent")
        elif hover:
            cell(Part.LOCK, "unprotected", "muted")
        painter.restore()

    def _paint_ground(self, painter: QPainter, row: QRect, tone: Tones, active: bool, hover: bool, focus: bool) -> None:
        if active:
            painter.fillRect(row, tone.active_row)
            painter.fillRect(QRect(row.left(), row.top(), 3, row.height()), QColor(tone.accent))
        elif hover:
            painter.fillRect(row, QColor(tone.hover))
        if focus and self._widget.hasFocus():
            painter.setPen(QPen(QColor(tone.accent), 1))
            painter.drawRect(QRectF(row).adjusted(0.5, 0.5, -0.5, -0.5))

    def _paint_check(self, painter: QPainter, area: QRect, tone: Tones, checked: bool) -> None:
        box = QRectF(0, 0, 13, 13)
        box.moveCenter(QRectF(area).center())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tone.highlight if checked else tone.border_strong), 1))
        painter.setBrush(QColor(tone.highlight if checked else tone.base))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 2.5, 2.5)
        painter.restore()
        if checked:
            paint_icon(painter, box.adjusted(1, 1, -1, -1), "check", QColor(tone.highlighted_text))

    def _paint_name(
        self, painter: QPainter, area: QRect, tone: Tones, class_id: int, active: bool, shown: bool
    ) -> None:
        state = self._state
        font = self._widget.font()
        small = small_font(self._widget)
        left = area.left() + self._PAD
        painter.setFont(small)
        painter.setPen(QColor(tone.muted))
        key = QRect(left, area.top(), self._KEY, area.height())
        painter.drawText(key, Qt.AlignmentFlag.AlignCenter, state.keys.get(class_id, ""))
        left += self._KEY + 6

        swatch = QRectF(left, area.center().y() - self._SWATCH / 2 + 0.5, self._SWATCH, self._SWATCH)
        painter.setOpacity(1.0 if shown else 0.4)
        (paint_hatched_swatch if class_id == VOID else paint_swatch)(painter, swatch, self._colour(class_id))
        painter.setOpacity(1.0)
        left += self._SWATCH + 8

        right = area.right() - 4
        if share := share_text(state.present.get(class_id, 0)):
            width = painter.fontMetrics().horizontalAdvance("100.0 %")
            painter.drawText(
                QRect(right - width, area.top(), width, area.height()),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                share,
            )
            right -= width + 6
        if active:
            font.setWeight(QFont.Weight.DemiBold)
        font.setItalic(class_id == VOID or state.is_stranger(class_id))
        painter.setFont(font)
        present = bool(state.present.get(class_id)) or not state.present
        painter.setPen(QColor(tone.text if shown and (present or active) else tone.muted))
        room = QRect(left, area.top(), right - left, area.height())
        name = painter.fontMetrics().elidedText(self._model.name(class_id), Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, name)

    def _colour(self, class_id: int) -> QColor:
        label_set = self._state.label_set
        if class_id == VOID or label_set is None or class_id >= len(label_set):
            from deeplab_studio.core.labels import voc_palette

            return QColor(*map(int, voc_palette()[class_id]))
        return QColor(*label_set[class_id].colour)
