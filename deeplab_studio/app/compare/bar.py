"""What is over and under the panes: how they are arranged, what lies over the photo, and what its colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from deeplab_studio.app.compare.choice import Mode
from deeplab_studio.app.panels.colour_bar import ColourBar, colour_table
from deeplab_studio.app.panels.controls import GAP, Muted, icon_button, paint_swatch, separator, small_font

if TYPE_CHECKING:
    from PySide6.QtGui import QAction

    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.compare.overlays import KeyEntry

ARRANGING = ("compare_add", "", "compare_grid", "compare_row", "compare_split", "", "compare_link")
TAKING = ("compare_pan", "compare_take_region", "compare_take_class", "compare_take_lasso", "compare_vote")
MODES: tuple[tuple[Mode, str], ...] = (
    ("classes", "compare_show_classes"),
    ("differences", "compare_show_differences"),
    ("differing classes", "compare_show_differing_classes"),
    ("uncertainty", "compare_show_uncertainty"),
    ("coarse", "compare_show_coarse"),
    ("errors", "compare_show_errors"),
)
"""What lies over the photo, and the action that shows it."""


class CompareBar(QWidget):
    """Buttons of the actions that matter while models are compared.

    Parameters
    ----------
    actions : Actions
    """

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(GAP // 2, 2, GAP // 2, 2)
        row.setSpacing(2)
        for action_id in ARRANGING:
            row.addWidget(_button(actions[action_id]) if action_id else separator(18))
        row.addWidget(separator(18))
        self.mode_box = QComboBox()
        self.mode_box.setAccessibleName(self.tr("What lies over the photo"))
        self.mode_box.setToolTip(self.tr("What lies over the photo"))
        self.mode_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.mode_box.setMinimumContentsLength(11)
        self._modes = [actions[action_id] for _, action_id in MODES]
        self.mode_box.activated.connect(lambda index: self._modes[index].trigger())
        row.addWidget(self.mode_box)
        row.addWidget(_button(actions["compare_active_class"]))
        row.addWidget(separator(18))
        for action_id in TAKING:
            row.addWidget(_button(actions[action_id]))
        row.addStretch(1)
        for action_id in ("compare_story", "compare_data_set"):
            row.addWidget(_button(actions[action_id]))
        self.close_button = icon_button("close", self.tr("Back to the canvas (Esc)"))
        self.close_button.clicked.connect(actions["compare"].trigger)
        row.addWidget(self.close_button)
        for action in self._modes:
            action.changed.connect(self._show_modes)
        self._show_modes()

    def minimumSizeHint(self) -> QSize:
        """It may be cut in a very narrow window: everything in it is in the menu too."""
        return QSize(120, super().minimumSizeHint().height())

    def _show_modes(self) -> None:
        box = self.mode_box
        if box.count() != len(self._modes):
            box.clear()
            box.addItems([action.text().replace("&", "") for action in self._modes])
        model = box.model()
        for row, action in enumerate(self._modes):
            item = model.item(row)  # type: ignore[attr-defined]  # a combo box begins with a QStandardItemModel
            item.setEnabled(action.isEnabled())
            item.setToolTip(action.toolTip())
            if action.isChecked():
                box.setCurrentIndex(row)


class KeyBar(QWidget):
    """What the colours over the photo mean, in words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(GAP, 3, GAP, 3)
        self._row.setSpacing(GAP // 2)
        self._title = QLabel()
        self._title.setFont(small_font(self))
        self._row.addWidget(self._title)
        self._parts: list[QWidget] = []
        self._scale = ColourBar()
        self._scale.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._scale.setFixedWidth(240)
        self._row.addWidget(self._scale)
        self._note = Muted()
        self._row.addWidget(self._note, 1)
        self.show_key("", ())

    @property
    def texts(self) -> list[str]:
        """What the colours mean, in their order."""
        return [part.text() for part in self._parts if isinstance(part, QLabel)]

    def show_key(self, title: str, entries: Sequence[KeyEntry], note: str = "") -> None:
        """Show what each colour means."""
        for part in self._parts:
            self._row.removeWidget(part)
            part.hide()
            part.deleteLater()
        self._parts = []
        place = 1
        for entry in entries:
            text = QCoreApplication.translate("Compare", entry.text).format(*entry.arguments)
            for part in (_Swatch(QColor(*entry.colour)), QLabel(text)):
                part.setFont(small_font(self))
                self._row.insertWidget(place, part)
                self._parts.append(part)
                place += 1
        self._show(title, note, scale=False)

    def show_scale(self, title: str, most: float) -> None:
        """Show the scale of the uncertainty up to `most` bits."""
        self.show_key(title, ())
        self._scale.set_scale(
            colour_table("inferno"), "0", f"{most / 2:.2g}", self.tr("{0} bits").format(f"{most:.2g}")
        )
        self._show(title, self.tr("of the scores, before the CRF; 0: sure of one class"), scale=True)

    def _show(self, title: str, note: str, *, scale: bool) -> None:
        self._title.setText(f"{title}:" if title else "")
        self._note.setText(note)
        self._scale.setVisible(scale)
        self.setVisible(bool(title or note))


class _Swatch(QWidget):
    def __init__(self, colour: QColor) -> None:
        super().__init__()
        self._colour = colour
        self.setFixedSize(13, 13)

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_swatch(QPainter(self), QRectF(self.rect()), self._colour)


def _button(action: QAction) -> QToolButton:
    button = QToolButton()
    button.setDefaultAction(action)
    button.setIconSize(QSize(16, 16))
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
