"""Shows the statistics of the data set that is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from deeplab_studio.app.panels.files import FilesPanel
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.statistics_dialog import StatisticsDialog
    from deeplab_studio.core.item_figures import Figures
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.core.project import Item


class StatisticsView(QObject):
    """Opens the dialog and keeps it up to date.

    Parameters
    ----------
    session : Session
    panel : FilesPanel
        Holds the figures, and lists the images of a class that is chosen.
    tell_time : callable
        Saves the time that is being counted, so that it is in the sum.
    window : QWidget
    """

    def __init__(self, session: Session, panel: FilesPanel, tell_time: Callable[[], None], window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._panel = panel
        self._tell_time = tell_time
        self._window = window
        self.dialog: StatisticsDialog | None = None
        """The dialog, while it is open."""
        for signal in (session.itemsChanged, session.statesChanged, session.labelSetChanged, session.figures.changed):
            signal.connect(self._on_change)
        session.figures.loaded.connect(self._on_change)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {"statistics": self.show}

    def show(self) -> None:
        """Show the dialog."""
        if self.dialog is None:
            from deeplab_studio.app.statistics_dialog import StatisticsDialog

            self._tell_time()
            self.dialog = StatisticsDialog(self._source, self._window)
            self.dialog.classChosen.connect(self._panel.filters.set_class)
            self.dialog.finished.connect(lambda _result: self._closed())
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def close(self) -> None:
        """Close the dialog."""
        if self.dialog is not None:
            self.dialog.close()

    def _source(self) -> tuple[Sequence[Item], Mapping[int, Figures], LabelSet]:
        return self._session.items, self._panel.model.all_figures(), self._session.label_set

    def _on_change(self, *_: object) -> None:
        if self.dialog is not None:
            self.dialog.update_soon()

    def _closed(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()
