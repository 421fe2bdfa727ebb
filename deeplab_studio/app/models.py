"""Which models and devices can be chosen, and which one was used last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.jobs import Job
from deeplab_studio.app.panels.model_bar import DeviceEntry, ModelEntry
from deeplab_studio.app.starters import about_text

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.panels.model_bar import ModelBar
    from deeplab_studio.app.predictions import ModelInfo, Predictions
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.checkpoints.library import InstalledModel, ModelLibrary
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.engine.precision import Precision


class ModelChoices(QObject):
    """Fills the model bar from the library and the machine, and loads what the person chooses.

    Parameters
    ----------
    predictions : Predictions
    bar : ModelBar
    settings : Settings
    library : ModelLibrary, optional
        The person's own by default.
    parent : QObject, optional

    Signals
    -------
    loadingChanged : bool
        Whether a model is being loaded.
    listed
        Other models can be chosen.
    """

    loadingChanged = Signal(bool)
    listed = Signal()

    def __init__(
        self,
        predictions: Predictions,
        bar: ModelBar,
        settings: Settings,
        library: ModelLibrary | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._predictions = predictions
        self._bar = bar
        self._settings = settings
        self._given_library = library
        self.loading = False
        predictions.loader = lambda path: self.library.load(path)
        predictions.set_device(settings.get("model/device"))
        predictions.set_precision(settings.get("model/precision"))
        predictions.modelLoading.connect(self._on_loading)
        predictions.modelChanged.connect(self._on_model)
        bar.modelChosen.connect(lambda path: self.open(Path(path)))
        bar.deviceChosen.connect(self._choose_device)
        bar.set_devices(self._devices(None))
        bar.set_device(predictions.device)

    @cached_property
    def library(self) -> ModelLibrary:
        """The person's models."""
        from deeplab_studio.checkpoints.library import ModelLibrary
        from deeplab_studio.core.resources import shipped_models

        return self._given_library or ModelLibrary(shipped=shipped_models())

    def load_last(self) -> None:
        """Load the model used last, or the one to begin with."""
        self.refresh()
        last = self._settings.get("model/current")
        if last and Path(last).is_file():
            self.open(Path(last))
        elif (model := self.library.first_choice()) is not None:
            self.open(model.path)

    def open(self, path: Path) -> None:
        """Load a checkpoint; it is in the list from then on."""
        self._predictions.load_model(path)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the window's actions call."""
        return {"fast_precision": self.set_fast}

    def restore(self, actions: Actions) -> None:
        """Show the settings in the window's actions."""
        actions.set_checked("fast_precision", self._settings.get("model/precision") == "fast")

    def set_fast(self, fast: bool) -> None:
        """Compute in half as wide numbers, or exactly again."""
        precision: Precision = "fast" if fast else "exact"
        self._settings.set("model/precision", precision)
        self._predictions.set_precision(precision)

    def name_classes(self, names: tuple[str, ...] | None) -> None:
        """Call the classes of the model in use so from now on; None for the names its file has."""
        model, library = self._predictions.model, self.library
        if model is None:
            return

        def named(_result: None) -> None:
            self._predictions.forget()  # the scores kept name the classes as before
            self.open(model.path)

        def failed(error: StudioError) -> None:
            self._predictions.noticed.emit(str(error))

        self._predictions.lane.submit(
            "name classes", lambda _job: library.set_class_names(model.sha256, names), named, failed, priority=100
        )

    def entries(self) -> list[ModelEntry]:
        """A line for every model that can be used; its id is the file."""
        models = [model for model in self.library.installed() if model.usable]
        titles = Counter(model.title for model in models)
        return [self._entry(model, alone=titles[model.title] == 1) for model in models]

    def refresh(self) -> None:
        """Show what the library holds now."""
        self._bar.set_models(self.entries())
        current = self._predictions.model
        self._bar.set_model(str(current.path) if current is not None else None)
        self.listed.emit()

    def _entry(self, model: InstalledModel, *, alone: bool) -> ModelEntry:
        """A line of the list; one that is not alone in its title says the file's name too."""
        path = str(model.path)
        detail = path if model.starter is None else f"{about_text(model.starter)}\n{path}"
        title = model.title if alone else f"{model.path.stem} · {model.title}"
        return ModelEntry(path, title, model.version, detail, starter=model.starter is not None)

    def show_library(self, window: QWidget) -> None:
        """Show the dialog of models to get, and use the one the person chose there."""
        from deeplab_studio.app.model_library import ModelLibraryDialog

        dialog = ModelLibraryDialog(self.library, mirror=self._settings.get("model/mirror"), parent=window)
        dialog.mirrorChanged.connect(lambda mirror: self._settings.set("model/mirror", mirror))
        dialog.modelReady.connect(lambda _path: self.refresh())
        dialog.modelChosen.connect(lambda path: self.open(Path(path)))
        dialog.exec()
        dialog.deleteLater()
        self.refresh()

    def _on_loading(self, name: str) -> None:
        self.loading = bool(name)
        self.loadingChanged.emit(self.loading)

    def _on_model(self, model: ModelInfo | None) -> None:
        if model is None:
            self.refresh()
            return
        path = model.path.absolute()
        self._settings.set("model/current", str(path))
        self._settings.set("model/paint_only", False)
        library = self.library

        def remember(job: Job) -> list[str]:
            from deeplab_studio.checkpoints.library_index import ModelFacts
            from deeplab_studio.engine.device import available_devices

            facts = ModelFacts(model.title, model.version, len(model.classes), model.classes.name)
            library.add(path, facts=facts, cancel=job.token)
            return available_devices()

        def remembered(devices: list[str]) -> None:
            self.refresh()
            self._bar.set_devices(self._devices(devices))
            self._bar.set_device(self._predictions.device)

        def failed(error: StudioError) -> None:
            self._predictions.noticed.emit(str(error))

        self._predictions.lane.submit("remember model", remember, remembered, failed, priority=50)

    def _choose_device(self, device: str) -> None:
        self._settings.set("model/device", device)
        self._predictions.set_device(device)

    def _devices(self, present: list[str] | None) -> list[DeviceEntry]:
        """Every kind of device; which of them are here is known only after a model was loaded."""
        entries = [DeviceEntry("auto", self.tr("Auto"), True, self.tr("The fastest one this machine has"))]
        cuda = [device for device in present or () if device.startswith("cuda")] or ["cuda:0"]
        titles = {**{device: device.upper() for device in cuda}, "mps": self.tr("Apple GPU")}
        for device, title in titles.items():
            known = present is None or device in present
            reason = "" if known else self.tr("This machine has no such device, or its driver is missing")
            entries.append(DeviceEntry(device, title, known, reason))
        entries.append(DeviceEntry("cpu", self.tr("CPU"), True, ""))
        return entries
