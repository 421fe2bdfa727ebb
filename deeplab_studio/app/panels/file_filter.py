"""What the list of images lets through and how it is sorted: search, states, a class, the order."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QColor, QIcon, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import Tone, icon
from deeplab_studio.app.panels.controls import GAP, SwatchIcon, icon_button
from deeplab_studio.app.panels.file_model import (
    FIGURE_SORTS,
    PROBLEM,
    SORTS,
    STATES,
    FileModel,
    ListFilter,
    ListOrder,
    state_text,
    state_tip,
)
from deeplab_studio.core.labels import VOC_LABELS, VOID, VOID_COLOUR, LabelSet

STATE_MARKS: dict[str, tuple[str, Tone]] = {
    "new": ("state-new", "muted"),
    "in progress": ("state-progress", "warning"),
    "done": ("state-done", "success"),
    "reviewed": ("state-reviewed", "accent"),
    "empty": ("state-empty", "muted"),
}
"""Shape and colour of a state: the shape alone tells them apart."""

_LONG = 14
"""From this many classes on there is a field to search them."""


class ClassPopup(QFrame):
    """The classes to filter by, with the number of images that hold each.

    Attributes
    ----------
    chosen : Signal(object)
        A class id, or None for any.
    leastChanged : Signal(int)
        Pixels of it that an image must have.
    """

    chosen = Signal(object)
    leastChanged = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.search = QLineEdit(placeholderText=self.tr("Search classes"), clearButtonEnabled=True)
        self.search.setAccessibleName(self.tr("Search classes"))
        self.search.textChanged.connect(self._narrow)
        self.search.installEventFilter(self)
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Classes"))
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(14, 14))
        self.list.itemClicked.connect(self._choose)
        self.list.itemActivated.connect(self._choose)
        self.least = QSpinBox()
        self.least.setRange(1, 999_999_999)
        self.least.setSuffix(self.tr(" px"))
        self.least.setAccessibleName(self.tr("At least so many pixels"))
        self.least.valueChanged.connect(self.leastChanged)
        least = QHBoxLayout()
        least.setSpacing(GAP)
        least.addWidget(QLabel(self.tr("At least")))
        least.addWidget(self.least, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, GAP, GAP, GAP)
        layout.setSpacing(GAP // 2)
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addLayout(least)

    def fill(self, label_set: LabelSet, images_of: Callable[[int], int], current: int | None) -> None:
        """List the classes; those no image holds come last and are greyed."""
        self.list.clear()
        self.search.clear()
        self.search.setVisible(len(label_set) >= _LONG)
        self._add(self.tr("Any class"), icon("labels", tone="muted"), None, None)
        ids = sorted(range(len(label_set)), key=lambda class_id: images_of(class_id) == 0)
        for class_id in [*ids, VOID]:
            colour = VOID_COLOUR if class_id == VOID else label_set[class_id].colour
            swatch = QIcon(SwatchIcon(QColor(*colour)))
            self._add(label_set.name_of(class_id), swatch, class_id, images_of(class_id))
        for row in range(self.list.count()):
            if self.list.item(row).data(Qt.ItemDataRole.UserRole) == current:
                self.list.setCurrentRow(row)

    def open_below(self, button: QWidget) -> None:
        """Show it under a button, as wide as its panel allows."""
        width = max(button.width(), 220)
        rows = min(self.list.count(), 12)
        frame = 2 * GAP + self.least.sizeHint().height() + 3 * GAP
        if self.search.isVisibleTo(self):
            frame += self.search.sizeHint().height()
        self.resize(width, rows * self.list.sizeHintForRow(0) + frame)
        corner = button.mapToGlobal(QPoint(button.width() - width, button.height() + 2))
        screen = button.screen().availableGeometry()
        self.move(max(corner.x(), screen.left()), min(corner.y(), screen.bottom() - self.height()))
        self.show()
        (self.search if self.search.isVisible() else self.list).setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrow keys and Enter in the search field are for the list."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                self.list.setFocus()
                self.list.keyPressEvent(event)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.list.currentItem() is not None:
                self._choose(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _add(self, name: str, picture: QIcon, class_id: int | None, images: int | None) -> None:
        row = QListWidgetItem(picture, name if images is None else f"{name}  ({images})")
        row.setData(Qt.ItemDataRole.UserRole, class_id)
        if images == 0:
            row.setForeground(self.palette().placeholderText())
        self.list.addItem(row)

    def _narrow(self, text: str) -> None:
        first = None
        for number in range(self.list.count()):
            row = self.list.item(number)
            hidden = text.strip().casefold() not in row.text().casefold()
            row.setHidden(hidden)
            if not hidden and first is None:
                first = row
        if first is not None:
            self.list.setCurrentItem(first)

    def _choose(self, row: QListWidgetItem) -> None:
        self.chosen.emit(row.data(Qt.ItemDataRole.UserRole))
        self.close()


class FilterBar(QWidget):
    """The controls above the list.

    Parameters
    ----------
    model : FileModel
        What they act on.
    """

    def __init__(self, model: FileModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._label_set = VOC_LABELS
        self._class_id: int | None = None
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(self.tr("Filter names"))
        self.edit.setAccessibleName(self.tr("Filter names"))
        self.edit.setClearButtonEnabled(True)
        self.edit.addAction(icon("search", tone="muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.edit.textChanged.connect(self._apply)

        self.sort_button = icon_button("sort-ascending", self.tr("Sort the list"), on="sort-ascending")
        self.sort_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.sort_menu = QMenu(self.sort_button)
        self.sort_button.setMenu(self.sort_menu)
        self._sorts: dict[str, QAction] = {}
        self._fill_sort_menu()

        self.chips: dict[str, QToolButton] = {}
        for state in (*STATES, PROBLEM):
            name, tone = STATE_MARKS.get(state, ("warning", "danger"))
            chip = icon_button(name, state_text(state), checkable=True)
            chip.setIcon(icon(name, tone=tone))
            chip.toggled.connect(self._apply)
            self.chips[state] = chip

        self.class_button = QToolButton()
        self.class_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.class_button.setIconSize(QSize(14, 14))
        self.class_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.class_button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.class_button.clicked.connect(self.open_classes)
        self.popup = ClassPopup(self)
        self.popup.chosen.connect(self.set_class)
        self.popup.leastChanged.connect(self._apply)
        self.clear_button = icon_button("close", self.tr("Show all images again"))
        self.clear_button.clicked.connect(self.clear)
        self._lay_out()
        model.countsChanged.connect(self._show_counts)
        self._show_class()
        self._show_counts()

    # Setting from outside

    def set_label_set(self, label_set: LabelSet) -> None:
        """Offer these classes."""
        self._label_set = label_set
        if self._class_id not in (None, VOID) and self._class_id >= len(label_set):
            self.set_class(None)
        self._show_class()

    def set_class(self, class_id: int | None) -> None:
        """List only images that hold a class; None for any."""
        self._class_id = class_id
        self._show_class()
        self._apply()

    def set_states(self, states: frozenset[str]) -> None:
        """List only images in these states; none for any."""
        for state, chip in self.chips.items():
            chip.setChecked(state in states)

    def set_order(self, order: ListOrder) -> None:
        """Sort the list."""
        self._model.set_order(order)
        self._sorts[order.key].setChecked(True)
        (self._descending if order.descending else self._ascending).setChecked(True)
        self.sort_button.setIcon(
            icon(
                "sort-descending" if order.descending else "sort-ascending",
                tone="text" if order == ListOrder() else "accent",
            )
        )
        self.sort_button.setToolTip(self.tr("Sorted by: {0}").format(self._sorts[order.key].text().replace("&", "")))

    def clear(self) -> None:
        """Let everything through."""
        self.edit.clear()
        self.set_states(frozenset())
        self.set_class(None)

    def open_classes(self) -> None:
        """Show the classes to choose from."""
        self.popup.fill(self._label_set, self._model.images_of, self._class_id)
        self.popup.open_below(self.class_button)

    # Inside

    def _apply(self) -> None:
        states = frozenset(state for state, chip in self.chips.items() if chip.isChecked())
        self._model.set_filter(ListFilter(self.edit.text(), states, self._class_id, self.popup.least.value()))

    def _fill_sort_menu(self) -> None:
        texts = {
            "order": self.tr("&Order of the data set"),
            "name": self.tr("&Name"),
            "state": self.tr("&State"),
            "uncertainty": self.tr("&Uncertainty of the model"),
            "disagreement": self.tr("&Difference from the model"),
            "changed": self.tr("&Pixels changed by hand"),
            "pixels": self.tr("Pixels of the &class"),
            "seconds": self.tr("&Time spent"),
        }
        tips = {
            "uncertainty": self.tr("Mean entropy of the probabilities, where a prediction was made"),
            "disagreement": self.tr("Share of the pixels that are another class than the model predicted"),
            "changed": self.tr("Pixels a person gave another class than the model predicted"),
            "pixels": self.tr("Of the class chosen in the filter; of all classes if none is"),
            "seconds": self.tr("Time during which somebody worked on the image"),
        }
        self.sort_menu.setToolTipsVisible(True)
        keys = QActionGroup(self)
        for key in SORTS:
            action = self.sort_menu.addAction(texts[key])
            action.setCheckable(True)
            action.setToolTip(tips.get(key, ""))
            action.triggered.connect(lambda _=False, key=key: self.set_order(ListOrder(key, key in FIGURE_SORTS)))
            keys.addAction(action)
            self._sorts[key] = action
        self.sort_menu.addSeparator()
        ways = QActionGroup(self)
        self._ascending = self.sort_menu.addAction(icon("sort-ascending"), self.tr("&Ascending"))
        self._descending = self.sort_menu.addAction(icon("sort-descending"), self.tr("D&escending"))
        for action in (self._ascending, self._descending):
            action.setCheckable(True)
            ways.addAction(action)
            action.triggered.connect(self._turn)
        self._sorts["order"].setChecked(True)
        self._ascending.setChecked(True)

    def _turn(self) -> None:
        self.set_order(ListOrder(self._model.order.key, self._descending.isChecked()))

    def _show_class(self) -> None:
        if self._class_id is None:
            text, picture = self.tr("Any class"), icon("labels", tone="muted")
        else:
            text = self._label_set.name_of(self._class_id)
            colour = VOID_COLOUR if self._class_id == VOID else self._label_set[self._class_id].colour
            picture = QIcon(SwatchIcon(QColor(*colour)))
        self.class_button.setText(f" {text}")  # the style puts icon and text too close together
        self.class_button.setIcon(picture)
        self.class_button.setToolTip(self.tr("Only images with pixels of a class: {0}").format(text))

    def _show_counts(self) -> None:
        counts = self._model.counts()
        for state, chip in self.chips.items():
            chip.setToolTip(f"{state_text(state)} ({counts[state]}): {state_tip(state)}")
        self.chips[PROBLEM].setVisible(bool(counts[PROBLEM]) or self.chips[PROBLEM].isChecked())
        self.clear_button.setVisible(self._model.is_filtered)

    def _lay_out(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(GAP // 2)
        first.addWidget(self.edit, 1)
        first.addWidget(self.sort_button)
        second = QHBoxLayout()
        second.setSpacing(1)
        for chip in self.chips.values():
            second.addWidget(chip)
        second.addSpacing(GAP // 2)
        second.addWidget(self.class_button, 1)
        second.addWidget(self.clear_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, GAP // 2, GAP, 0)
        layout.setSpacing(2)
        layout.addLayout(first)
        layout.addLayout(second)
