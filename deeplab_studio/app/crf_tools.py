"""What can be done with CRF parameters besides moving sliders: presets, all images, the search, the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialog, QMenu, QWidget

from deeplab_studio.app.crf_engine import CrfEngine
from deeplab_studio.app.crf_presets import CrfPresets
from deeplab_studio.app.crf_status import CrfStatus

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.panels.crf import CrfPanel
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.crf.preset_store import PresetStore

MENU = (
    "preset_save",
    "preset_rename",
    "preset_delete",
    "",
    "preset_import",
    "preset_export",
    "",
    "crf_all",
    "crf_search",
)

ENGINES = ("crf_engine_kernel", "crf_engine_torch", "crf_engine_reference")


class CrfTools(QObject):
    """Presets, the batch, the search and the engine of one window.

    Parameters
    ----------
    session : Session
    panel : CrfPanel
    settings : Settings
    window : QWidget
    store : PresetStore, optional
        The person's own by default.

    Signals
    -------
    changed
        Other actions make sense now.
    """

    changed = Signal()

    def __init__(
        self, session: Session, panel: CrfPanel, settings: Settings, window: QWidget, store: PresetStore | None = None
    ) -> None:
        super().__init__(window)
        self._session = session
        self._panel = panel
        self._window = window
        self.status = CrfStatus(session, panel, self)
        self.presets = CrfPresets(panel, settings, window, store)
        self.presets.noticed.connect(session.noticed)
        self.presets.changed.connect(self.changed)
        self.engine = CrfEngine(session, settings, self)
        self.dialog: QDialog | None = None
        """The batch or the search, while one is open."""

    def attach(self, actions: Actions) -> None:
        """Offer the actions beside the presets too."""
        menu = QMenu(self._window)
        menu.setToolTipsVisible(True)
        for action_id in MENU:
            if action_id:
                menu.addAction(actions[action_id])
            else:
                menu.addSeparator()
        menu.addSeparator()
        engines = menu.addMenu(self.tr("Engine"))
        engines.setToolTipsVisible(True)
        engines.addActions([actions[action_id] for action_id in ENGINES])
        self._panel.set_menu(menu)
        self.engine.attach(actions)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        own = {"crf_all": self.apply_to_all, "crf_search": self.search}
        return {**self.presets.callbacks(), **self.engine.callbacks(), **own}

    def conditions(self) -> dict[str, bool]:
        """Which actions make sense now."""
        return {**self.presets.conditions(), **self.engine.conditions()}

    def apply_to_all(self) -> None:
        """Show the dialog that refines all images."""
        from deeplab_studio.app.crf_batch_dialog import CrfBatchDialog

        self._open(lambda: CrfBatchDialog(self._session, self._panel.params, self._window))

    def search(self) -> None:
        """Show the dialog that searches parameters."""
        from deeplab_studio.app.crf_search_dialog import CrfSearchDialog

        def make() -> QDialog:
            dialog = CrfSearchDialog(self._session, self._panel.params, self._window)
            dialog.chosen.connect(self._use)
            return dialog

        self._open(make)

    def close(self) -> None:
        """Close the dialog that is open; what it does is stopped."""
        if self.dialog is not None:
            self.dialog.close()

    def _open(self, make: Callable[[], QDialog]) -> None:
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        self.dialog = dialog = make()
        dialog.finished.connect(lambda _result: self._closed())
        dialog.show()

    def _closed(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()

    def _use(self, params: CrfParams) -> None:
        if not self._panel.is_on():
            self._panel.switch.setChecked(True)
        self._panel.use(params)
