"""The list of images at work: what it shows of the session, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.panels.file_model import ItemRow
from deeplab_studio.app.thumbnails import Thumbnails

if TYPE_CHECKING:
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.panels.files import FilesPanel
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.item_figures import Figures
    from deeplab_studio.core.project import Item

STATE_ACTIONS = {
    "state_new": "new",
    "state_progress": "in progress",
    "state_done": "done",
    "state_reviewed": "reviewed",
    "state_empty": "empty",
}
"""Action -> the state it gives the image on screen, or all that are selected in the list."""

OPEN_STATES = frozenset({"new", "in progress"})
"""States in which there is something left to do."""


class FileList(QObject):
    """Keeps the panel of images and the session together.

    Parameters
    ----------
    session : Session
    panel : FilesPanel
    show_in_folder : callable
        Shows an item's file, by the item's id.
    finish_gesture : callable
        Ends what is being painted, before another image comes.
    parent : QObject

    Signals
    -------
    changed
        There are other images in the list, or none any more.
    """

    changed = Signal()

    def __init__(
        self,
        session: Session,
        panel: FilesPanel,
        show_in_folder: Callable[[int], None],
        finish_gesture: Callable[[], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._panel = panel
        self._finish_gesture = finish_gesture
        self.thumbnails = Thumbnails(round(panel.thumbnail_size().width()), self)
        session.itemsChanged.connect(self._on_items)
        session.statesChanged.connect(panel.set_states)
        session.currentChanged.connect(self._on_current)
        session.imageFailed.connect(self._on_image_failed)
        session.labelSetChanged.connect(panel.set_label_set)
        session.figures.loaded.connect(panel.set_figures)
        session.figures.changed.connect(self._on_figures)
        panel.arranged.connect(session.set_order)
        panel.itemActivated.connect(session.select)
        panel.thumbnailNeeded.connect(self._want_thumbnail)
        panel.stateRequested.connect(session.set_states)
        panel.removeRequested.connect(session.hide_items)
        panel.showInFolderRequested.connect(show_in_folder)
        self.thumbnails.ready.connect(panel.set_thumbnail)
        self.thumbnails.failed.connect(lambda item_id, error: panel.set_problem(item_id, str(error)))

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {
            "previous": partial(self.step, -1),
            "next": partial(self.step, 1),
            "done_next": self.done_and_next,
            **{action_id: partial(self.mark, state) for action_id, state in STATE_ACTIONS.items()},
            "find_image": self._panel.focus_filter,
            "arrange": self._panel.arrange,
            "clear_filter": self._panel.filters.clear,
        }

    def step(self, offset: int) -> None:
        """Go on in the order of the list."""
        self._finish_gesture()
        self._session.step(offset)

    def mark(self, state: str) -> None:
        """Give the image on screen a state, or all that are selected if it is one of several."""
        current = self._session.current_id
        if current is not None:
            selected = self._panel.selected_ids()
            self._session.set_states(selected if current in selected else [current], state)

    def done_and_next(self) -> None:
        """Mark the image on screen as done and go to the next one of the list that is not finished."""
        session = self._session
        if session.current_id is None:
            return
        self._finish_gesture()
        session.set_state(session.current_id, "done")
        items = (session.item(item_id) for item_id in session.following())
        following = next((item for item in items if item is not None and item.state in OPEN_STATES), None)
        if following is not None:
            session.select(following.id)
            return
        if self._panel.model.is_filtered:
            text = self.tr("That was the last one the filter lets through.")
        else:
            text = self.tr("That was the last one: every image in the list is done.")
        session.noticed.emit("success", text)

    def close(self) -> None:
        """End the work on thumbnails."""
        self.thumbnails.close()

    def _on_items(self, items: Sequence[Item]) -> None:
        self.thumbnails.keep_only(())
        self._panel.set_items([ItemRow(item.id, item.path.name, item.path, item.state) for item in items])
        self.changed.emit()

    def _on_current(self, document: Document | None) -> None:
        if document is not None:
            self._panel.set_current(document.item.id)

    def _on_image_failed(self, item_id: int, error: StudioError) -> None:
        self._panel.set_problem(item_id, str(error))

    def _on_figures(self, item_id: int, figures: Figures) -> None:
        self._panel.update_figures(item_id, figures)

    def _want_thumbnail(self, item_id: int) -> None:
        item = self._session.item(item_id)
        if item is not None:
            self.thumbnails.want(item_id, item.path)
