"""A person's own presets: the menu beside the presets, and what its entries do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDate, QLocale, QObject, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QWidget

from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.panels.crf import CrfPanel
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.crf.preset_store import PresetStore
    from deeplab_studio.crf.presets import Preset


class CrfPresets(QObject):
    """Lists built-in and own presets in the CRF panel and keeps the own ones.

    Parameters
    ----------
    panel : CrfPanel
    settings : Settings
    window : QWidget
        Parent of the dialogs.
    store : PresetStore, optional
        The person's own by default.

    Signals
    -------
    noticed : str, str
        Level and a sentence for the person.
    changed
        Other presets, or another one is shown: other actions make sense.
    """

    noticed = Signal(str, str)
    changed = Signal()

    def __init__(self, panel: CrfPanel, settings: Settings, window: QWidget, store: PresetStore | None = None) -> None:
        super().__init__(window)
        self._panel = panel
        self._settings = settings
        self._window = window
        self._given = store
        self._loaded: PresetStore | None = None
        panel.paramsSettled.connect(lambda _params: self.changed.emit())

    def load(self) -> None:
        """List the presets there are."""
        try:
            self._store.load()
        except StudioError as error:
            self.noticed.emit("warning", str(error))
        self._list()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {
            "preset_save": self.save,
            "preset_rename": self.rename,
            "preset_delete": self.delete,
            "preset_import": self.take_up,
            "preset_export": self.export,
        }

    def conditions(self) -> dict[str, bool]:
        """Which actions make sense now."""
        return {
            "own preset": self._panel.own_preset is not None,
            "own presets": self._loaded is not None and bool(self._loaded.presets),
        }

    def save(self) -> None:
        """Ask for a name and keep the parameters under it."""
        current = self._panel.own_preset
        name = self._ask_name(self.tr("Save preset"), current.name if current else "")
        if name is None:
            return
        if any(preset.name.casefold() == name.casefold() for preset in self._store.presets):
            question = self.tr("Replace the preset '{0}'?").format(name)
            if not self._agreed(self.tr("Save preset"), question):
                return
        day = QLocale().toString(QDate.currentDate(), QLocale.FormatType.ShortFormat)
        source = self.tr("Your own, saved on {0}").format(day)
        if self._do(lambda: self._store.save(name, self._panel.params, source)):
            self.noticed.emit("success", self.tr("Saved as preset '{0}'.").format(name))

    def rename(self) -> None:
        """Ask for another name of the preset that is shown."""
        preset = self._panel.own_preset
        if preset is None:
            return
        name = self._ask_name(self.tr("Rename preset"), preset.name)
        if name is not None:
            self._do(lambda: self._store.rename(preset, name))

    def delete(self) -> None:
        """Forget the preset that is shown; the parameters stay as they are."""
        preset = self._panel.own_preset
        if preset is None:
            return
        question = self.tr("Delete the preset '{0}'? The parameters stay as they are.").format(preset.name)
        if self._agreed(self.tr("Delete preset"), question):
            self._do(lambda: self._store.delete(preset))

    def export(self) -> None:
        """Ask for a file and write all own presets to it."""
        folder = Path(self._settings.get("files/last_export_folder") or Path.home())
        name, _ = QFileDialog.getSaveFileName(
            self._window, self.tr("Export presets"), str(folder / "crf-presets.json"), self._filters()
        )
        if name:
            self.write(Path(name))

    def write(self, path: Path) -> None:
        """Write all own presets to a file."""
        from deeplab_studio.crf.preset_store import write_presets

        if not path.suffix:
            path = path.with_suffix(".json")
        presets = self._store.presets
        if self._do(lambda: write_presets(path, presets)):
            self.noticed.emit("success", self.tr("Presets exported to {0}: {1}.").format(path.name, len(presets)))

    def take_up(self) -> None:
        """Ask for a file and add its presets."""
        folder = self._settings.get("files/last_folder") or str(Path.home())
        name, _ = QFileDialog.getOpenFileName(self._window, self.tr("Import presets"), folder, self._filters())
        if name:
            self.read(Path(name))

    def read(self, path: Path) -> None:
        """Add the presets of a file."""
        added: list[Preset] = []
        if not self._do(lambda: added.extend(self._store.take_up(path))):
            return
        if added:
            names = ", ".join(f"'{preset.name}'" for preset in added[:5]) + ("…" if len(added) > 5 else "")
            self.noticed.emit("success", self.tr("New presets: {0}.").format(names))
        else:
            self.noticed.emit("info", self.tr("{0} holds no preset that is not there already.").format(path.name))

    @property
    def _store(self) -> PresetStore:
        if self._loaded is None:
            from deeplab_studio.crf.preset_store import PresetStore

            self._loaded = self._given or PresetStore()
        return self._loaded

    def _list(self) -> None:
        from deeplab_studio.crf.presets import PRESETS

        self._panel.set_presets(PRESETS, self._store.presets)
        self.changed.emit()

    def _do(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except StudioError as error:
            self.noticed.emit("error", str(error))
            return False
        self._list()
        return True

    def _ask_name(self, title: str, name: str) -> str | None:
        text, agreed = QInputDialog.getText(self._window, title, self.tr("Name"), text=name)
        return " ".join(text.split()) if agreed else None

    def _agreed(self, title: str, question: str) -> bool:
        return QMessageBox.question(self._window, title, question) == QMessageBox.StandardButton.Yes

    def _filters(self) -> str:
        return f"{self.tr('CRF presets')} (*.json);;{self.tr('All files')} (*)"
