"""The model inspector: what a network is made of, what it costs on a photo, and what its classes are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.controls import GAP, BadgeIcon, IconLabel, Muted, SwatchIcon
from deeplab_studio.app.starters import about_text

if TYPE_CHECKING:
    from deeplab_studio.checkpoints.starters import StarterCard
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.engine.anatomy import Anatomy
    from deeplab_studio.networks.inspection import Convolution, Inspection

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name, what it means, and whether it holds numbers."""

    name: str
    tip: str = ""
    numbers: bool = True


class InspectorPanel(QWidget):
    """Facts, tables and class names of one model. Knows nothing of sessions and computes nothing.

    Signals
    -------
    classNamesChosen : tuple of str
        The person named the classes, in the order of the outputs.
    classNamesReset :
        The person wants the names the file has.
    namesFileRequested :
        The person wants to read names from a file.
    """

    classNamesChosen = Signal(tuple)
    classNamesReset = Signal()
    namesFileRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._labels: LabelSet | None = None
        self.message = Muted()
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        content = QWidget()
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.message)
        self._stack.addWidget(content)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(2 * GAP, 2 * GAP, 2 * GAP, 2 * GAP)
        layout.setSpacing(GAP)
        layout.addLayout(self._build_title())
        layout.addLayout(self._build_facts())
        layout.addWidget(self._build_about())
        self.warnings = QVBoxLayout()
        self.warnings.setSpacing(GAP // 2)
        layout.addLayout(self.warnings)
        layout.addWidget(self._build_tabs(), 1)
        self.show_message(self.tr("Choose a model first"))

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _build_title(self) -> QHBoxLayout:
        self.badge = QLabel()
        self.title = QLabel()
        font = QFont(self.title.font())
        font.setPointSizeF(font.pointSizeF() * 1.2)
        font.setWeight(QFont.Weight.DemiBold)
        self.title.setFont(font)
        self.title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.badge)
        row.addWidget(self.title, 1)
        return row

    def _build_facts(self) -> QGridLayout:
        names = {
            "backbone": self.tr("Backbone"),
            "stride": self.tr("Output stride"),
            "photo": self.tr("Photo"),
            "scores": self.tr("Scores"),
            "parameters": self.tr("Parameters"),
            "multiply_adds": self.tr("Multiply-adds"),
            "receptive_field": self.tr("Receptive field"),
            "file": self.tr("File"),
        }
        tips = {
            "stride": self.tr("Pixels of the network's input per cell of the backbone's features"),
            "photo": self.tr("The photo on screen, and the size at which the network sees it"),
            "multiply_adds": self.tr("Of all convolutions, for this photo"),
            "receptive_field": self.tr("Side of the square one score sees through convolutions and local pooling"),
        }
        grid = QGridLayout()
        grid.setHorizontalSpacing(2 * GAP)
        grid.setVerticalSpacing(GAP // 2)
        self.facts: dict[str, QLabel] = {}
        for n, (key, name) in enumerate(names.items()):
            label, value = Muted(name), QLabel()
            label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            label.setToolTip(tips.get(key, ""))
            self.facts[key] = value
            grid.addWidget(label, n // 2, 2 * (n % 2))
            grid.addWidget(value, n // 2, 2 * (n % 2) + 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        return grid

    def _build_about(self) -> QWidget:
        self.about = QLabel(wordWrap=True)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._about_line = _line(IconLabel("info", "accent"), self.about)
        self._about_line.hide()
        return self._about_line

    def _build_tabs(self) -> QTabWidget:
        self.atrous = _table(
            Column(self.tr("Layers"), numbers=False),
            Column(self.tr("Number"), self.tr("How many layers of this part are alike")),
            Column(self.tr("Kernel")),
            Column(self.tr("Rate"), self.tr("Distance of neighbouring taps; 1 would be an ordinary convolution")),
            Column(self.tr("Effective"), self.tr("Cells the kernel spans: k + (k − 1)(r − 1)")),
            Column(self.tr("Feature map"), self.tr("Width × height of what it reads")),
            Column(self.tr("Valid taps"), self.tr("Share of the taps that fall on the map and not on zeros around it")),
            Column(self.tr("Works as"), self.tr("What is left of the kernel where the rate exceeds the map")),
        )
        self.separable = _table(
            Column(self.tr("Part"), numbers=False),
            Column(self.tr("Number"), self.tr("Pairs of a depthwise and a pointwise convolution")),
            Column(self.tr("Multiply-adds")),
            Column(self.tr("If dense"), self.tr("Of ordinary convolutions with the same kernels and channels")),
            Column(self.tr("Saved")),
        )
        self.layers = _table(
            Column(self.tr("Layers"), numbers=False),
            Column(self.tr("Number")),
            Column(self.tr("Kernel")),
            Column(self.tr("Stride")),
            Column(self.tr("Rate")),
            Column(self.tr("Feature map")),
            Column(self.tr("Parameters")),
            Column(self.tr("Multiply-adds")),
            Column(self.tr("Share")),
        )
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.atrous, self.tr("Atrous convolution"))
        self.tabs.addTab(self.separable, self.tr("Separable convolution"))
        self.tabs.addTab(self.layers, self.tr("All layers"))
        self.tabs.addTab(self._build_classes(), self.tr("Classes"))
        return self.tabs

    def _build_classes(self) -> QWidget:
        self.classes = _table(Column(self.tr("Output")), Column(self.tr("Name"), numbers=False))
        self.classes.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.AnyKeyPressed
        )
        self.classes.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.classes.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.classes.itemChanged.connect(lambda _item: self._check_names())
        self.names_file_button = QPushButton(self.tr("Read names from a file…"))
        self.names_file_button.setToolTip(self.tr("A text file with one class name per line, in the order of outputs"))
        self.names_file_button.clicked.connect(self.namesFileRequested)
        self.reset_button = QPushButton(self.tr("Names of the file"))
        self.reset_button.setToolTip(self.tr("Forget the names given here"))
        self.reset_button.clicked.connect(self.classNamesReset)
        self.apply_button = QPushButton(self.tr("Use these names"))
        self.apply_button.setToolTip(self.tr("They are remembered for the content of this file, wherever it lies"))
        self.apply_button.clicked.connect(lambda: self.classNamesChosen.emit(self.names()))
        self.names_problem = QLabel(wordWrap=True)
        self.names_problem_icon = IconLabel()
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        for button in (self.names_file_button, self.reset_button, self.apply_button):
            button.setAutoDefault(False)
        for widget in (self.names_file_button, self.reset_button, self.names_problem_icon):
            buttons.addWidget(widget)
        buttons.addWidget(self.names_problem, 1)
        buttons.addWidget(self.apply_button)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        layout.addWidget(self.classes, 1)
        layout.addLayout(buttons)
        return page

    # --- What is shown -----------------------------------------------------------------------------------------------

    def show_message(self, text: str) -> None:
        """Show a sentence instead of a model."""
        self.message.setText(text)
        self._stack.setCurrentIndex(0)

    def show_model(self, title: str, version: str, file: str, labels: LabelSet) -> None:
        """Show what needs no computing: title, version, file and class names."""
        self._labels = labels
        self.badge.setPixmap(QIcon(BadgeIcon(version)).pixmap(34, 18))
        self.title.setText(title)
        self.facts["file"].setText(file)
        self.facts["file"].setToolTip(file)
        with QSignalBlocker(self.classes):
            self.classes.setRowCount(len(labels))
            for n, label in enumerate(labels):
                number = _cell(str(n), _RIGHT)
                number.setFlags(number.flags() & ~Qt.ItemFlag.ItemIsEditable)
                name = _cell(label.name, _LEFT)
                name.setIcon(QIcon(SwatchIcon(QColor(*label.colour))))
                self.classes.setItem(n, 0, number)
                self.classes.setItem(n, 1, name)
        self._check_names()
        self._stack.setCurrentIndex(1)

    def show_anatomy(self, anatomy: Anatomy, backbone: str, renamed: bool, starter: StarterCard | None = None) -> None:
        """Show what was counted.

        Parameters
        ----------
        anatomy : Anatomy
        backbone : str
            What people call it.
        renamed : bool
            Whether the class names are the person's and not the file's.
        starter : StarterCard, optional
            What is known of a starter model.
        """
        self.about.setText(about_text(starter) if starter is not None else "")
        self._about_line.setVisible(starter is not None)
        self.reset_button.setEnabled(renamed)
        inspection, trace = anatomy.inspection, anatomy.inspection.trace
        seen = self.tr("{0}, in tiles of {1}") if anatomy.tiled else self.tr("{0}, seen at {1}")
        billions = _number(trace.multiply_adds / 1e9, 1)
        texts = {
            "backbone": backbone,
            "stride": _number(inspection.profile.output_stride),
            "photo": seen.format(_size(anatomy.photo_size), _size(inspection.input_size)),
            "scores": self.tr("{0}, stride {1}").format(_size(trace.score_size), inspection.profile.score_stride),
            "parameters": _number(trace.parameters),
            "multiply_adds": (self.tr("{0} billion per tile") if anatomy.tiled else self.tr("{0} billion")).format(
                billions
            ),
            "receptive_field": (
                self.tr("{0} px, and the whole image through pooling") if trace.image_level else self.tr("{0} px")
            ).format(_number(trace.receptive_field)),
        }
        for key, text in texts.items():
            self.facts[key].setText(text)
            self.facts[key].setToolTip(text)
        self.facts["multiply_adds"].setToolTip(_number(trace.multiply_adds))
        self._show_warnings(inspection)
        self._fill(self.atrous, (self._atrous_cells(*group) for group in inspection.atrous), self._mark_degenerate)
        self._fill(self.separable, self._separable_rows(inspection))
        self._fill(self.layers, self._layer_rows(inspection))
        self.tabs.setTabEnabled(0, self.atrous.rowCount() > 0)
        self.tabs.setTabEnabled(1, self.separable.rowCount() > 0)

    def warning_texts(self) -> list[str]:
        """The warnings shown."""
        return [label.text() for label in self.findChildren(QLabel, "warning")]

    def _show_warnings(self, inspection: Inspection) -> None:
        while (row := self.warnings.takeAt(0)) is not None:
            widget = row.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for layer, _ in inspection.degenerate:
            text = self.tr(
                "{0}: rate {1} exceeds the feature map of {2}. The {3} kernel works as {4}; {5} of its taps are valid."
            ).format(
                layer.name,
                layer.rate[0],
                _size(layer.map_size),
                _square(layer.kernel),
                _square(layer.working_kernel),
                _percent(layer.valid_taps),
            )
            label = QLabel(text, wordWrap=True)
            label.setObjectName("warning")
            self.warnings.addWidget(_line(IconLabel("warning", "warning"), label))

    @staticmethod
    def _fill(
        table: QTableWidget, rows: Iterable[Sequence[str]], mark: Callable[[QTableWidget, int], None] | None = None
    ) -> None:
        cells = list(rows)
        table.setRowCount(len(cells))
        for n, row in enumerate(cells):
            for column, text in enumerate(row):
                table.setItem(n, column, _cell(text, _RIGHT if column else _LEFT))
            if mark is not None:
                mark(table, n)

    @staticmethod
    def _mark_degenerate(table: QTableWidget, row: int) -> None:
        kernel, works_as = table.item(row, 2), table.item(row, 7)
        if kernel is not None and works_as is not None and kernel.text() != works_as.text():
            works_as.setIcon(icon("warning", tone="warning"))

    @staticmethod
    def _atrous_cells(layer: Convolution, count: int) -> tuple[str, ...]:
        return (
            layer.name,
            str(count),
            _square(layer.kernel),
            str(layer.rate[0]),
            _square(layer.effective_kernel),
            _size(layer.map_size),
            _percent(layer.valid_taps),
            _square(layer.working_kernel),
        )

    @staticmethod
    def _separable_rows(inspection: Inspection) -> Iterable[tuple[str, ...]]:
        for part, pairs in inspection.separable:
            ours = sum(pair.multiply_adds for pair in pairs)
            dense = sum(pair.dense_multiply_adds for pair in pairs)
            yield part, str(len(pairs)), _number(ours), _number(dense), _percent(1 - ours / dense)

    @staticmethod
    def _layer_rows(inspection: Inspection) -> Iterable[tuple[str, ...]]:
        total = inspection.trace.multiply_adds
        for layer, count in inspection.groups:
            yield (
                layer.name,
                str(count),
                _square(layer.kernel),
                str(layer.stride[0]),
                str(layer.rate[0]),
                _size(layer.map_size),
                _number(layer.parameters),
                _number(layer.multiply_adds),
                _percent(layer.multiply_adds / total, 1),
            )

    # --- Class names -------------------------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """The names as they stand in the table."""
        items = (self.classes.item(row, 1) for row in range(self.classes.rowCount()))
        return tuple(item.text().strip() for item in items if item is not None)

    def set_names(self, names: Sequence[str]) -> None:
        """Put names into the table as if they were typed; if there are not as many as outputs, say so instead."""
        if len(names) != self.classes.rowCount():
            text = self.tr("{0} names were read, the model has {1} outputs.")
            self.tell_problem(text.format(len(names), self.classes.rowCount()))
            return
        with QSignalBlocker(self.classes):
            for row, name in enumerate(names):
                item = self.classes.item(row, 1)
                if item is not None:
                    item.setText(name)
        self._check_names()

    def _check_names(self) -> None:
        """Allow the names to be used if they are different from those in use, complete and distinct."""
        names = self.names()
        problem = ""
        if not all(names):
            problem = self.tr("Every class needs a name.")
        elif twice := next((name for name in names if names.count(name) > 1), None):
            problem = self.tr("Two classes are called “{0}”.").format(twice)
        self.tell_problem(problem)
        known = self._labels.names if self._labels is not None else ()
        self.apply_button.setEnabled(not problem and names != known)

    def tell_problem(self, problem: str) -> None:
        """Say what is wrong with the names; nothing for ""."""
        self.names_problem.setText(problem)
        self.names_problem_icon.show_icon("warning" if problem else "", "warning")


def _line(mark: QWidget, text: QLabel) -> QWidget:
    """A sentence beside an icon."""
    line = QWidget()
    layout = QHBoxLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GAP)
    layout.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
    layout.addWidget(text, 1)
    return line


def _table(*columns: Column) -> QTableWidget:
    table = QTableWidget(0, len(columns))
    for n, column in enumerate(columns):
        head = QTableWidgetItem(column.name)
        head.setToolTip(column.tip)
        head.setTextAlignment(_RIGHT if column.numbers else _LEFT)
        table.setHorizontalHeaderItem(n, head)
    table.setShowGrid(False)
    table.setAlternatingRowColors(True)
    table.setWordWrap(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setMinimumSectionSize(9 * GAP)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    return table


def _cell(text: str, alignment: Qt.AlignmentFlag) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(alignment)
    return item


def _number(value: float, decimals: int = 0) -> str:
    locale = QLocale()
    locale.setNumberOptions(QLocale.NumberOption.DefaultNumberOptions)  # the plain locale leaves thousands unmarked
    return locale.toString(float(value), "f", decimals)


def _percent(share: float, decimals: int = 0) -> str:
    return f"{_number(100 * share, decimals)} %"


def _size(pair: tuple[int, int]) -> str:
    """(height, width) as people say it."""
    return f"{pair[1]} × {pair[0]}"


def _square(pair: tuple[int, int]) -> str:
    """A kernel's (height, width)."""
    return f"{pair[0]}×{pair[1]}"
