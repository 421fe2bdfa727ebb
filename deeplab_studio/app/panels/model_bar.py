"""The bar of what predicts: model, device, and the prediction under way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.controls import GAP, BadgeIcon, JobLine, icon_button, separator, text_button

BADGE = QSize(30, 16)
STARTER_BADGE = QSize(50, 16)
STARTER_ROLE = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be chosen.

    Parameters
    ----------
    id : str
        What the program calls it.
    title : str
        What a person calls it.
    version : str
        "v1", "v2", "v3" or "v3+".
    detail : str
        More for the tooltip: classes, file, size.
    starter : bool
        Whether it came with the program.
    """

    id: str
    title: str
    version: str
    detail: str = ""
    starter: bool = False


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device to compute on.

    Parameters
    ----------
    id : str
        "auto", "cpu", "cuda:0", "mps".
    title : str
        What a person reads.
    available : bool
        Whether this machine has it.
    detail : str
        What it is, or why it is not there.
    """

    id: str
    title: str
    available: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GeometryEntry:
    """A way to use the model, where its file leaves that open.

    Parameters
    ----------
    id : str
        What the program calls it.
    title : str
        What a person reads.
    detail : str
        More for the tooltip.
    """

    id: str
    title: str
    detail: str = ""


class ModelBar(QWidget):
    """Chooser of model and device, the button that predicts, and its progress.

    Attributes
    ----------
    modelChosen : Signal(str)
        Id of the model the person chose.
    geometryChosen : Signal(str)
        Id of the output stride and scales the person chose.
    deviceChosen : Signal(str)
        Id of the device the person chose.
    openModelRequested, getModelsRequested, predictRequested, cancelRequested : Signal()
        The person pressed the button.
    automaticToggled : Signal(bool)
        Whether images are to be predicted when they are opened.
    """

    modelChosen = Signal(str)
    geometryChosen = Signal(str)
    deviceChosen = Signal(str)
    openModelRequested = Signal()
    getModelsRequested = Signal()
    predictRequested = Signal()
    cancelRequested = Signal()
    automaticToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model_box = _box(self.tr("Model"), 20)
        self.model_box.setIconSize(BADGE)
        self.model_box.setItemDelegate(_ModelDelegate(self.model_box))
        self.model_box.setPlaceholderText(self.tr("No model"))
        self.model_box.activated.connect(
            lambda index: self.modelChosen.emit(self.model_box.itemData(index, Qt.ItemDataRole.UserRole))
        )
        self.open_button = icon_button("open-model", self.tr("Open model file…"))
        self.open_button.clicked.connect(self.openModelRequested)
        self.get_button = icon_button("get-models", self.tr("Get models…"))
        self.get_button.clicked.connect(self.getModelsRequested)

        self.geometry_box = _box(self.tr("Output stride and scales"), 10)
        self.geometry_box.activated.connect(
            lambda index: self.geometryChosen.emit(self.geometry_box.itemData(index, Qt.ItemDataRole.UserRole))
        )
        self.geometry_box.hide()

        self.device_box = _box(self.tr("Device"), 7)
        self.device_box.setIconSize(QSize(16, 16))
        self.device_box.activated.connect(
            lambda index: self.deviceChosen.emit(self.device_box.itemData(index, Qt.ItemDataRole.UserRole))
        )

        self.predict_button = text_button("predict", self.tr("Predict"))
        self.predict_button.clicked.connect(self.predictRequested)
        self.automatic_button = icon_button("automatic", self.tr("Predict images when they are opened"), checkable=True)
        self.automatic_button.toggled.connect(self.automaticToggled)

        self.job = JobLine()
        self.job.cancelRequested.connect(self.cancelRequested)
        self._lay_out()
        self.set_models(())
        self.set_devices((DeviceEntry("auto", self.tr("Auto")),))
        self.set_ready(False, self.tr("There is no model yet"))

    # Setters: none of them emits a signal

    def set_models(self, models: Iterable[ModelEntry]) -> None:
        """Offer `models`; the chosen one stays chosen if it is among them."""
        chosen = self.current_model
        items = QStandardItemModel(self.model_box)
        for entry in models:
            item = QStandardItem(QIcon(BadgeIcon(entry.version)), entry.title)
            item.setData(entry.id, Qt.ItemDataRole.UserRole)
            item.setToolTip(entry.detail)
            item.setData(entry.starter, STARTER_ROLE)
            item.setData(f"{entry.title}, {entry.version}", Qt.ItemDataRole.AccessibleTextRole)
            items.appendRow(item)
        self.model_box.setModel(items)
        self.model_box.setEnabled(items.rowCount() > 0)
        self.set_model(chosen)

    def set_model(self, model_id: str | None) -> None:
        """Show which model is chosen; None for none."""
        _choose(self.model_box, model_id)

    @property
    def current_model(self) -> str | None:
        """Id of the model shown."""
        data: str | None = self.model_box.currentData(Qt.ItemDataRole.UserRole)
        return data

    def set_geometries(self, geometries: Iterable[GeometryEntry]) -> None:
        """Offer ways to use the model; with less than two there is nothing to choose and nothing shown."""
        items = QStandardItemModel(self.geometry_box)
        for entry in geometries:
            item = QStandardItem(entry.title)
            item.setData(entry.id, Qt.ItemDataRole.UserRole)
            item.setToolTip(entry.detail)
            items.appendRow(item)
        self.geometry_box.setModel(items)
        self.geometry_box.setVisible(items.rowCount() > 1)

    def set_geometry(self, geometry_id: str | None) -> None:
        """Show how the model is used; None for no model."""
        _choose(self.geometry_box, geometry_id)

    def set_devices(self, devices: Iterable[DeviceEntry]) -> None:
        """Offer `devices`; those that are not available are greyed and say why."""
        chosen = self.current_device
        items = QStandardItemModel(self.device_box)
        for entry in devices:
            item = QStandardItem(icon("automatic" if entry.id == "auto" else "device"), entry.title)
            item.setData(entry.id, Qt.ItemDataRole.UserRole)
            item.setToolTip(entry.detail)
            item.setEnabled(entry.available)
            items.appendRow(item)
        self.device_box.setModel(items)
        self.set_device(chosen if chosen is not None else "auto")

    def set_device(self, device_id: str) -> None:
        """Show which device is chosen."""
        _choose(self.device_box, device_id)

    @property
    def current_device(self) -> str | None:
        """Id of the device shown."""
        data: str | None = self.device_box.currentData(Qt.ItemDataRole.UserRole)
        return data

    def set_automatic(self, automatic: bool) -> None:
        """Show whether images are predicted when they are opened."""
        with QSignalBlocker(self.automatic_button):
            self.automatic_button.setChecked(automatic)

    def set_ready(self, ready: bool, reason: str = "") -> None:
        """Whether there is something to predict; if not, the button's tooltip says why."""
        self.predict_button.setEnabled(ready)
        tip = self.tr("Run the model on this image again; pinned pixels stay")
        self.predict_button.setToolTip(tip if ready else reason)

    def set_progress(self, text: str, fraction: float | None = None) -> None:
        """Show work under way: `fraction` 0..1, or None while it is not known. An empty text says that it is over."""
        self.job.set_job(text, fraction)

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(GAP // 2, 0, GAP // 2, 0)
        row.setSpacing(GAP // 2)
        row.addWidget(self.model_box, 3)
        row.addWidget(self.open_button)
        row.addWidget(self.get_button)
        row.addWidget(separator(18))
        row.addWidget(self.geometry_box, 1)
        row.addWidget(self.device_box, 1)
        row.addWidget(separator(18))
        row.addWidget(self.predict_button)
        row.addWidget(self.automatic_button)
        row.addWidget(self.job, 2)


class _ModelDelegate(QStyledItemDelegate):
    """Marks the starter models of the list with a badge at the end of the line."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Room for the badge."""
        size = super().sizeHint(option, index)
        return QSize(size.width() + STARTER_BADGE.width() + 2 * GAP, max(size.height(), STARTER_BADGE.height() + GAP))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the line, then the badge."""
        super().paint(painter, option, index)
        if not index.data(STARTER_ROLE):
            return
        box = QRect(option.rect)
        box.setSize(STARTER_BADGE)
        box.moveRight(option.rect.right() - GAP)
        box.moveTop(option.rect.center().y() - STARTER_BADGE.height() // 2 + 1)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        mode = QIcon.Mode.Selected if selected else QIcon.Mode.Normal
        BadgeIcon(self.tr("starter")).paint(painter, box, mode, QIcon.State.Off)


def _box(name: str, letters: int) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(letters)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setMaximumWidth(box.fontMetrics().averageCharWidth() * 3 * letters)
    return box


def _choose(box: QComboBox, data: str | None) -> None:
    with QSignalBlocker(box):
        box.setCurrentIndex(-1 if data is None else box.findData(data, Qt.ItemDataRole.UserRole))
    tip = box.itemData(box.currentIndex(), Qt.ItemDataRole.ToolTipRole)
    box.setToolTip("\n".join(filter(None, (box.accessibleName(), box.currentText(), tip))))
