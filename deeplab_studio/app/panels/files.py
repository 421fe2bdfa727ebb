"""The panel of images: progress, filter and order, thumbnails, states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon, paint_icon
from deeplab_studio.app.panels.controls import GAP, Muted, icon_button, small_font
from deeplab_studio.app.panels.file_filter import STATE_MARKS, FilterBar
from deeplab_studio.app.panels.file_model import (
    PROBLEM,
    STATES,
    FileModel,
    ItemRow,
    Thumbnails,
    state_text,
    state_tip,
)
from deeplab_studio.app.panels.progress_header import ProgressHeader
from deeplab_studio.app.theme import tones
from deeplab_studio.core.item_figures import Figures
from deeplab_studio.core.labels import LabelSet

Index = QModelIndex | QPersistentModelIndex

MIB = 1 << 20


class FileDelegate(QStyledItemDelegate):
    """Draws a row: thumbnail, name, state in words, state as a mark."""

    THUMBNAIL = QSize(60, 44)

    def __init__(self, model: FileModel, thumbnails: Thumbnails, parent: QWidget) -> None:
        super().__init__(parent)
        self._model, self._thumbnails, self._widget = model, thumbnails, parent
        self.opened = -1
        """Id of the item that is on the canvas."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """As wide as there is room."""
        return QSize(0, self.THUMBNAIL.height() + GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the row of `index`."""
        row: QRect = option.rect
        palette: QPalette = option.palette
        flags: QStyle.StateFlag = option.state
        item, tone = self._model.at(index.row()), tones(palette)
        opened = item.id == self.opened

        painter.save()
        if flags & QStyle.StateFlag.State_Selected:
            painter.fillRect(row, tone.active_row)
        elif flags & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(row, QColor(tone.hover))
        if opened:
            painter.fillRect(QRect(row.left(), row.top(), 3, row.height()), QColor(tone.accent))
        if flags & QStyle.StateFlag.State_HasFocus and self._widget.hasFocus():
            painter.setPen(QPen(QColor(tone.accent), 1))
            painter.drawRect(QRectF(row).adjusted(0.5, 0.5, -0.5, -0.5))

        box = QRectF(QPoint(row.left() + GAP, row.top() + GAP // 2), self.THUMBNAIL)
        self._paint_thumbnail(painter, box, item)

        mark = QRectF(0, 0, 16, 16)
        mark.moveCenter(QRectF(row).center())
        mark.moveRight(row.right() - GAP)
        name, colour = STATE_MARKS[item.state]
        paint_icon(painter, mark, name, tone.colour(colour))

        left, right = round(box.right()) + GAP, round(mark.left()) - GAP
        first = small_font(self._widget)
        font = self._widget.font()
        line, small_line = self._widget.fontMetrics().height(), round(painter.fontMetrics().height())
        top = row.top() + (row.height() - line - small_line - 1) // 2
        font.setWeight(font.Weight.DemiBold if opened else font.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(tone.text))
        room = QRect(left, top, right - left, line)
        text = painter.fontMetrics().elidedText(item.name, Qt.TextElideMode.ElideMiddle, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)

        painter.setFont(first)
        room = QRect(left, top + line + 1, right - left, small_line)
        if item.problem:
            warning = QRect(left, room.top(), 14, 14)
            warning.moveCenter(QPoint(warning.center().x(), room.center().y()))
            paint_icon(painter, warning, "warning", tone.colour("danger"))
            room.setLeft(left + 18)
            painter.setPen(QColor(tone.danger))
        else:
            painter.setPen(QColor(tone.muted))
        told = item.problem or " · ".join(filter(None, (self._model.detail(item), state_text(item.state))))
        text = painter.fontMetrics().elidedText(told, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def _paint_thumbnail(self, painter: QPainter, box: QRectF, item: ItemRow) -> None:
        tone = tones()
        image = self._thumbnails.get(item.id)
        shape = QPainterPath()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if image is None:
            shape.addRoundedRect(box, 3, 3)
            painter.fillPath(shape, QColor(tone.alternate))
            side = QRectF(0, 0, 18, 18)
            side.moveCenter(box.center())
            broken = item.problem or self._thumbnails.failed(item.id)
            paint_icon(painter, side, "warning" if broken else "picture", tone.colour("border_strong"))
        else:
            fitted = QRectF(QPoint(0, 0), image.size().scaled(box.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio))
            fitted.moveCenter(box.center())
            shape.addRoundedRect(fitted, 3, 3)
            painter.setClipPath(shape)
            painter.drawImage(fitted, image)
        painter.restore()


class FileList(QListView):
    """The list; tells which rows are near and asks for the context menu."""

    nearChanged = Signal()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer rows are seen."""
        super().resizeEvent(event)
        self.nearChanged.emit()

    def showEvent(self, event: QShowEvent) -> None:
        """Rows are seen at all."""
        super().showEvent(event)
        self.nearChanged.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Say why there is nothing, where a filter is why."""
        super().paintEvent(event)
        model = self.model()
        if isinstance(model, FileModel) and model.is_filtered and not model.rowCount():
            painter = QPainter(self.viewport())
            painter.setPen(QColor(tones(self.palette()).muted))
            area = self.viewport().rect().adjusted(GAP, 3 * GAP, -GAP, 0)
            flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
            painter.drawText(area, int(flags), self.tr("No image passes the filter"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave the keys of the window to the window: letters here choose tools, they do not search the list."""
        if event.text().isprintable() and event.text() and event.key() != Qt.Key.Key_Space:
            event.ignore()
            return
        super().keyPressEvent(event)


class FilesPanel(QWidget):
    """The images of a project.

    Thumbnails are asked for when their row is in view or nearly so; whoever makes them answers with `set_thumbnail` in
    any order, from the window's thread, and may leave out those that `wants_thumbnail` denies by then.

    Attributes
    ----------
    itemActivated : Signal(int)
        The person chose the item to work on.
    thumbnailNeeded : Signal(int)
        Send `set_thumbnail` for this item.
    stateRequested : Signal(list, str)
        The person wants these items in this state; nothing changes here until `set_state`.
    removeRequested : Signal(list)
        The person wants these items off the list.
    showInFolderRequested : Signal(int)
        The person wants to see the item's file in its folder.
    arranged : Signal(list)
        Ids of the rows, top to bottom, after they changed.
    """

    itemActivated = Signal(int)
    thumbnailNeeded = Signal(int)
    stateRequested = Signal(list, str)
    removeRequested = Signal(list)
    showInFolderRequested = Signal(int)
    arranged = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, thumbnail_bytes: int = 48 * MIB) -> None:
        super().__init__(parent)
        self._model = FileModel(self)
        self._thumbnails = Thumbnails(thumbnail_bytes)
        self._quiet = False

        self.header = ProgressHeader()
        self.filters = FilterBar(self._model)
        self.filter_edit = self.filters.edit

        self.list = FileList()
        self.list.setAccessibleName(self.tr("Images"))
        self.list.setModel(self._model)
        self._delegate = FileDelegate(self._model, self._thumbnails, self.list)
        self.list.setItemDelegate(self._delegate)
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.NoDragDrop)
        self.list.setAcceptDrops(False)
        self.list.viewport().setAcceptDrops(False)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._open_menu)

        self.count_label = Muted()
        self.arrange_button = icon_button("reset", self.tr("Sort and filter again"))
        self.arrange_button.clicked.connect(self.arrange)
        self._near = QTimer(self, singleShot=True, interval=30)
        self._near.timeout.connect(self._ask_for_thumbnails)
        self._lay_out()

        self.filter_edit.returnPressed.connect(self._leave_filter)
        self._model.countsChanged.connect(self._count)
        self._model.modelAboutToBeReset.connect(self._before_reset)
        self._model.arranged.connect(self._after_reset)
        self._model.modelReset.connect(self._look_soon)
        self.list.nearChanged.connect(self._look_soon)
        self.list.verticalScrollBar().valueChanged.connect(self._look_soon)
        self.list.selectionModel().selectionChanged.connect(self._selected)
        self._count()

    # Setters: none of them emits `itemActivated`

    def set_items(self, items: Iterable[ItemRow]) -> None:
        """List `items` in the order given. The filter stays, and so do thumbnails of ids that are still there."""
        rows = list(items)
        self._thumbnails.keep(item.id for item in rows)
        self._model.set_items(rows)

    def set_label_set(self, label_set: LabelSet) -> None:
        """Offer these classes to filter by."""
        self.filters.set_label_set(label_set)

    def set_figures(self, figures: Mapping[int, Figures]) -> None:
        """Take over what is known about all items in numbers."""
        self._model.set_figures(figures)

    def update_figures(self, item_id: int, figures: Figures) -> None:
        """Take over what is known about one item in numbers; its row stays where it is."""
        self._model.update_figures(item_id, figures)

    def set_state(self, item_id: int, state: str) -> None:
        """Show an item's state."""
        self.set_states([item_id], state)

    def set_states(self, item_ids: Iterable[int], state: str) -> None:
        """Show the state of items."""
        self._model.update_items(item_ids, state=state)

    def arrange(self) -> None:
        """Sort and filter again, after states or figures changed."""
        self._model.arrange()

    def set_problem(self, item_id: int, problem: str) -> None:
        """Mark an item that could not be opened with the reason; "" takes the mark away."""
        self._model.update_item(item_id, problem=problem)

    def set_current(self, item_id: int | None) -> None:
        """Mark the item that is on the canvas and bring it into view; None if there is none."""
        self._delegate.opened = -1 if item_id is None else item_id
        self._show_opened()

    def set_thumbnail(self, item_id: int, image: QImage) -> None:
        """Show an item's thumbnail; a null image says that there can be none."""
        self._thumbnails.put(item_id, image)
        row = self._model.row_of(item_id)
        if row >= 0:
            self.list.update(self._model.index(row))

    def refresh_thumbnail(self, item_id: int) -> None:
        """Ask for an item's thumbnail again, if it is in view."""
        self._thumbnails.discard(item_id)
        self._look_soon()

    # Getters

    @property
    def current(self) -> int | None:
        """Id of the item on the canvas."""
        return self._delegate.opened if self._delegate.opened >= 0 else None

    def shown_ids(self) -> list[int]:
        """Ids that pass the filter, top to bottom: next and previous walk through these."""
        return self._model.ids()

    @property
    def model(self) -> FileModel:
        """The items with their figures."""
        return self._model

    def selected_ids(self) -> list[int]:
        """Ids of the selected rows, top to bottom."""
        rows = sorted(index.row() for index in self.list.selectionModel().selectedRows())
        return [self._model.at(row).id for row in rows]

    def wants_thumbnail(self, item_id: int) -> bool:
        """Whether a thumbnail that was asked for is still of use."""
        return self._thumbnails.wanted(item_id)

    def thumbnail_size(self) -> QSize:
        """Largest useful thumbnail, in pixels of the screen."""
        return self._delegate.THUMBNAIL * self.devicePixelRatioF()

    def thumbnail_bytes(self) -> int:
        """Memory the thumbnails take."""
        return self._thumbnails.nbytes

    def focus_filter(self) -> None:
        """Let the person type into the filter."""
        self.filter_edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter_edit.selectAll()

    # What the person does

    def _selected(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        if self._quiet:
            return
        ids = self.selected_ids()
        # Several selected rows are about to be marked or removed, not worked on.
        if len(ids) == 1 and ids[0] != self._delegate.opened:
            self._delegate.opened = ids[0]
            self.list.viewport().update()
            self.itemActivated.emit(ids[0])
        self._count()

    def _before_reset(self) -> None:
        self._quiet = True  # the selection goes with the rows, and comes back with them

    def _after_reset(self) -> None:
        self._quiet = False
        self._show_opened()
        self.arranged.emit(self._model.ids())

    def _leave_filter(self) -> None:
        if self._model.rowCount() and self._model.row_of(self._delegate.opened) < 0:
            self.list.setCurrentIndex(self._model.index(0))
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape empties the filter, Down goes from it into the list, Delete asks to remove."""
        if self.filter_edit.hasFocus() and event.key() == Qt.Key.Key_Escape and self.filter_edit.text():
            self.filter_edit.clear()
        elif self.filter_edit.hasFocus() and event.key() == Qt.Key.Key_Down:
            self._leave_filter()
        elif self.list.hasFocus() and event.key() == Qt.Key.Key_Delete and self.selected_ids():
            self.removeRequested.emit(self.selected_ids())
        else:
            super().keyPressEvent(event)

    def _open_menu(self, pos: QPoint) -> None:
        index = self.list.indexAt(pos)
        if not index.isValid():
            return
        menu = self.row_menu(self._model.at(index.row()).id)
        menu.exec(self.list.viewport().mapToGlobal(pos))
        menu.deleteLater()

    def row_menu(self, item_id: int) -> QMenu:
        """The context menu of an item: of all selected items if it is one of them."""
        ids = self.selected_ids()
        if item_id not in ids:
            ids = [item_id]
        item = self._model.item(item_id)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for state in STATES:
            name, tone = STATE_MARKS[state]
            action = menu.addAction(icon(name, tone=tone), self.tr("Mark as {0}").format(state_text(state).lower()))
            action.setToolTip(state_tip(state))
            action.setEnabled(len(ids) > 1 or (item is not None and item.state != state))
            action.triggered.connect(lambda _=False, state=state: self.stateRequested.emit(ids, state))
        menu.addSeparator()
        menu.addAction(
            icon("show-in-folder"), self.tr("Show in folder"), lambda: self.showInFolderRequested.emit(item_id)
        )
        menu.addAction(icon("copy"), self.tr("Copy path"), lambda: self._copy_paths(ids))
        menu.addSeparator()
        text = self.tr("Remove from list") if len(ids) == 1 else self.tr("Remove {0} from list").format(len(ids))
        menu.addAction(icon("remove"), text, lambda: self.removeRequested.emit(ids))
        return menu

    def _copy_paths(self, ids: list[int]) -> None:
        items = (self._model.item(item_id) for item_id in ids)
        QGuiApplication.clipboard().setText("\n".join(str(item.path) for item in items if item is not None))

    # Showing

    def _show_opened(self) -> None:
        row = self._model.row_of(self._delegate.opened)
        selection = self.list.selectionModel()
        self._quiet = True
        if row < 0:
            selection.clear()
        else:
            index = self._model.index(row)
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self.list.scrollTo(index)
        self._quiet = False
        self.list.viewport().update()
        self._count()

    def _count(self) -> None:
        counts, total, shown = self._model.counts(), self._model.total, self._model.rowCount()
        self.header.set_counts(counts, total)
        self.arrange_button.setVisible(self._model.is_stale)
        if not total:
            self.count_label.setText(self.tr("No images"))
            return
        row = self._model.row_of(self._delegate.opened)
        if row >= 0:
            parts = [self.tr("{0} of {1}").format(row + 1, shown)]
        else:
            parts = [self.tr("{0} images").format(shown)]
        if self._model.is_filtered:
            parts[0] += " " + self.tr("({0} in all)").format(total)
        if counts[PROBLEM]:
            parts.append(self.tr("{0} with problems").format(counts[PROBLEM]))
        selected = len(self.list.selectionModel().selectedRows())
        if selected > 1:
            parts.append(self.tr("{0} selected").format(selected))
        self.count_label.setText(", ".join(parts))

    def _look_soon(self) -> None:
        # Once per interval, also during a long scroll: starting it anew each time would wait for the end.
        if not self._near.isActive():
            self._near.start()

    def _ask_for_thumbnails(self) -> None:
        near = self._near_ids()
        for item_id in self._thumbnails.ask(near):
            self.thumbnailNeeded.emit(item_id)

    def _near_ids(self) -> list[int]:
        rows = self._model.rowCount()
        if not rows or not self.list.isVisible():
            return []
        area = self.list.viewport().rect()
        top = self.list.indexAt(area.topLeft())
        bottom = self.list.indexAt(area.bottomLeft())
        first = top.row() if top.isValid() else 0
        last = bottom.row() if bottom.isValid() else rows - 1
        page = last - first + 1
        below = range(last + 1, min(last + 1 + page, rows))
        above = range(first - 1, max(first - 1 - page // 2, -1), -1)
        return [self._model.at(row).id for row in (*range(first, last + 1), *below, *above)]

    def _lay_out(self) -> None:
        foot = QHBoxLayout()
        foot.setContentsMargins(GAP, 0, GAP, GAP // 2)
        foot.addWidget(self.count_label, 1)
        foot.addWidget(self.arrange_button)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GAP // 2)
        whole.addWidget(self.header)
        whole.addWidget(self.filters)
        whole.addWidget(self.list, 1)
        whole.addLayout(foot)
