"""The clean-up: what to tidy, how much that changes, and a picture of it before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QIcon
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.panels.controls import GAP, NumberRow, SwatchIcon, small_font
from deeplab_studio.core.cleanup import CleanUp
from deeplab_studio.core.labels import VOID, is_background

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent

    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.cleanup import CleanedUp, Count
    from deeplab_studio.core.errors import StudioError

REST_MS = 40
"""What happens within this time is tidied up at once."""

LARGEST_REGION = 100_000
"""End of the sliders of holes and islands, in pixels; more can be typed."""

CLASS = Qt.ItemDataRole.UserRole
TICKED, UNTICKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class CleanUpDialog(QDialog):
    """Tidies the class map on screen up. It does not block the window: a person may go on working.

    Parameters
    ----------
    session : Session
    canvas : CanvasView
        Shows what would become of the class map.
    parent : QWidget, optional
    """

    def __init__(self, session: Session, canvas: CanvasView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Clean up"))
        self._session = session
        self._canvas = canvas
        self._lane = Lane("clean-up", self)
        self._unticked = {VOID}
        if is_background(session.label_set.names[0]):
            self._unticked.add(0)
        self._present: tuple[int, ...] = ()
        self._result: tuple[Document, CleanUp, CleanedUp] | None = None
        self._generation = 0
        self._showing = False
        self._due = QTimer(self, singleShot=True, interval=REST_MS)
        self._due.timeout.connect(self._compute)

        self.class_list = QListWidget()
        self.class_list.setAccessibleName(self.tr("Classes to tidy up"))
        self.class_list.setFixedHeight(6 * (self.fontMetrics().height() + 8))
        self.class_list.setIconSize(QSize(13, 13))
        self.class_list.itemChanged.connect(self._on_tick)
        all_button, none_button = QPushButton(self.tr("All")), QPushButton(self.tr("None"))
        all_button.clicked.connect(lambda: self._tick(True))
        none_button.clicked.connect(lambda: self._tick(False))
        for button in (all_button, none_button):
            button.setAutoDefault(False)
        heading = QHBoxLayout()
        heading.addWidget(QLabel(self.tr("Classes")), 1)
        heading.addWidget(all_button)
        heading.addWidget(none_button)

        grid = QGridLayout()
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(GAP)
        grid.setColumnStretch(1, 1)
        widest = self.tr("{0} islands, {1} px").format("8,888", "888,888")
        grid.setColumnMinimumWidth(3, self.fontMetrics().horizontalAdvance(widest))
        self.rows: dict[str, NumberRow] = {}
        self._counts: dict[str, QLabel] = {}
        for row, (key, text, low, high, tip) in enumerate(self._steps()):
            region = key in ("holes", "islands")
            number = NumberRow(
                text,
                low,
                high,
                box_high=10 * high if region else None,
                log=region,
                decimals=0,
                suffix=" px",
                tip=tip,
                parent=self,
            )
            number.slider.setMinimumWidth(200)
            number.box.setFixedWidth(self.fontMetrics().horizontalAdvance("1,000,000 px") + 34)
            number.set_value(low if region else 0)
            number.changed.connect(lambda _value: self._want())
            number.add_to(grid, row)
            count = QLabel(textFormat=Qt.TextFormat.PlainText)
            count.setFont(small_font(count))
            grid.addWidget(count, row, 3)
            self.rows[key], self._counts[key] = number, count

        self.preview_box = QCheckBox(self.tr("Preview"))
        self.preview_box.setChecked(True)
        self.preview_box.toggled.connect(lambda _on: self._show())
        self.total_label = QLabel(textFormat=Qt.TextFormat.PlainText)
        note = QLabel(
            self.tr("Pinned pixels and protected classes stay, and so does void unless it is ticked."), wordWrap=True
        )
        note.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.apply_button = self.buttons.addButton(self.tr("Apply"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.apply_button.setDefault(True)
        self.apply_button.clicked.connect(self.apply)
        self.buttons.rejected.connect(self.reject)
        bottom = QHBoxLayout()
        bottom.addWidget(self.preview_box)
        bottom.addWidget(self.total_label, 1)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * GAP)
        layout.addLayout(heading)
        layout.addWidget(self.class_list)
        layout.addLayout(grid)
        layout.addWidget(note)
        layout.addLayout(bottom)
        layout.addWidget(self.buttons)

        session.currentChanged.connect(self._on_current)
        session.labelsChanged.connect(self._on_labels)
        session.historyChanged.connect(self._on_labels)
        session.labelSetChanged.connect(self._on_label_set)
        session.painting.committed.connect(self._on_labels)
        session.painting.rulesChanged.connect(self._on_labels)
        session.painting.began.connect(self._hide)
        self._update()
        self._want()

    def wanted(self) -> CleanUp:
        """What the person asks for."""
        value = {key: round(row.value) for key, row in self.rows.items()}
        return CleanUp(
            frozenset(range(256)) - self._unticked,
            holes=value["holes"] - 1,  # "below 1 pixel" is none
            islands=value["islands"] if value["islands"] > 1 else 0,
            smooth=value["smooth"],
            grow=value["grow"],
            void_ring=value["void_ring"],
        )

    def apply(self) -> None:
        """Make it so, as one undo step, and begin anew."""
        result = self._usable()
        if result is None:
            return
        document, _, cleaned = result
        self._hide()
        for key, row in self.rows.items():
            row.set_value(1 if key in ("holes", "islands") else 0)
        self._session.refinement.forget()
        self._session.put_labels(document, cleaned.labels, self.tr("Clean up"), by_person=True)
        self._want()

    def reject(self) -> None:
        """Close; nothing is left of the preview."""
        self._end()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Close."""
        self._end()
        super().closeEvent(event)

    def _steps(self) -> list[tuple[str, str, int, int, str]]:
        return [
            (
                "holes",
                self.tr("Fill holes below"),
                1,
                LARGEST_REGION,
                self.tr("Regions with one class all around become that class"),
            ),
            (
                "islands",
                self.tr("Remove islands below"),
                1,
                LARGEST_REGION,
                self.tr("Regions of a class become what they border on most"),
            ),
            ("smooth", self.tr("Smooth boundaries"), 0, 30, self.tr("Radius within which the likeliest class wins")),
            ("grow", self.tr("Grow or shrink"), -30, 30, self.tr("Below 0 the other classes grow over these")),
            (
                "void_ring",
                self.tr("Ring of void"),
                0,
                30,
                self.tr("Width of a line of void (255) on the boundaries: left out of training and scoring"),
            ),
        ]

    # Classes

    def _list_classes(self, present: tuple[int, ...]) -> None:
        """Show the classes there are."""
        if present == self._present:
            return
        self._present = present
        labels = self._session.label_set
        palette = labels.palette()
        with QSignalBlocker(self.class_list):
            self.class_list.clear()
            for class_id in present:
                red, green, blue = palette[class_id].tolist()
                item = QListWidgetItem(QIcon(SwatchIcon(QColor(red, green, blue))), labels.name_of(class_id))
                item.setData(CLASS, class_id)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(UNTICKED if class_id in self._unticked else TICKED)
                self.class_list.addItem(item)

    def _on_tick(self, item: QListWidgetItem) -> None:
        (self._unticked.discard if item.checkState() == TICKED else self._unticked.add)(item.data(CLASS))
        self._want()

    def _tick(self, on: bool) -> None:
        for row in range(self.class_list.count()):
            self.class_list.item(row).setCheckState(TICKED if on else UNTICKED)

    # What comes out

    def _on_current(self, _document: Document | None) -> None:
        self._showing = False  # the canvas shows another photo and no preview
        self._on_labels()

    def _on_label_set(self, _label_set: object) -> None:
        self._present = ()
        self._on_labels()

    def _on_labels(self, *_what: object) -> None:
        self._generation += 1
        self._result = None
        self._update()
        self._want()

    def _want(self) -> None:
        """Tidy up soon. A slider that moves on does not put it off: the picture follows it."""
        self._update()
        if not self._due.isActive():
            self._due.start()

    def _compute(self) -> None:
        document = self._session.current
        if document is None or self._session.painting.busy:
            return  # a gesture that ends says so
        wanted, generation = self.wanted(), self._generation
        class_map, rules = document.class_map, self._session.painting.rules

        def work(job: Job) -> tuple[tuple[int, ...], CleanedUp]:
            from deeplab_studio.core.cleanup import clean_up
            from deeplab_studio.core.voc.masks import count_ids

            # If somebody paints meanwhile this comes out wrong and is dropped.
            labels, fixed = class_map.labels.copy(), class_map.pinned.copy()
            allowed = rules.allowed(labels)
            cleaned = clean_up(labels, wanted, fixed if allowed is None else fixed | ~allowed, cancel=job.token)
            return tuple(count_ids(labels).nonzero()[0].tolist()), cleaned

        def done(outcome: tuple[tuple[int, ...], CleanedUp]) -> None:
            if generation == self._generation and document is self._session.current:
                self._list_classes(outcome[0])
                self._result = document, wanted, outcome[1]
                self._show()

        def failed(error: StudioError) -> None:
            self._session.noticed.emit("error", str(error))

        self._lane.submit("clean up", work, done, failed, interrupt=False)

    def _usable(self) -> tuple[Document, CleanUp, CleanedUp] | None:
        """What came out for what is asked for now, if it can be applied."""
        result, session = self._result, self._session
        if result is None or result[1] != self.wanted() or session.painting.busy or session.read_only:
            return None
        return result if result[2].changed else None

    def _show(self) -> None:
        """Show the result on the canvas and in numbers."""
        result = self._result
        if (
            result is not None
            and self.preview_box.isChecked()
            and result[2].changed
            and not self._session.painting.busy
        ):
            self._canvas.show_preview(result[2].labels)
            self._showing = True
        else:
            self._hide()
        self._update()

    def _hide(self) -> None:
        if self._showing:
            self._showing = False
            self._canvas.show_preview(None)

    def _update(self) -> None:
        result = self._result[2] if self._result is not None else None
        if result is not None:
            for key, count in (
                ("holes", result.holes),
                ("islands", result.islands),
                ("smooth", result.smoothed),
                ("grow", result.grown),
                ("void_ring", result.void_ring),
            ):
                self._counts[key].setText(self._in_words(key, count))
            share = 100 * result.changed / result.labels.size
            self.total_label.setText(self.tr("{0} px change ({1} %)").format(f"{result.changed:,}", f"{share:.2g}"))
        self.apply_button.setEnabled(self._usable() is not None)

    def _in_words(self, key: str, count: Count) -> str:
        pixels = f"{count.pixels:,}"
        if not count.pixels:
            return "–"
        if key == "holes":
            text = self.tr("1 hole, {1} px") if count.regions == 1 else self.tr("{0} holes, {1} px")
        elif key == "islands":
            text = self.tr("1 island, {1} px") if count.regions == 1 else self.tr("{0} islands, {1} px")
        else:
            text = self.tr("{1} px")
        return text.format(f"{count.regions:,}", pixels)

    def _end(self) -> None:
        self._due.stop()
        self._hide()
        self._lane.close()
