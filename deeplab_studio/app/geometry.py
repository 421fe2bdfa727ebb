"""Output stride and scales of the model in use, where its file leaves them open: chosen, remembered, paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QObject

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.panels.model_bar import GeometryEntry
from deeplab_studio.checkpoints.model import Geometry
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.panels.model_bar import ModelBar
    from deeplab_studio.app.predictions import ModelInfo
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.checkpoints.model import LoadedModel

_SETTING = "model/geometry"


class GeometryChoice(QObject):
    """Offers what the file of the model in use leaves open, and uses what the person chose for it before.

    A choice belongs to the content of a file, wherever that lies.

    Parameters
    ----------
    session : Session
    bar : ModelBar
    settings : Settings
    parent : QObject, optional
    """

    def __init__(self, session: Session, bar: ModelBar, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bar = bar
        self._settings = settings
        self._lane: Lane | None = None
        self._chosen = _read(settings.get(_SETTING))
        self._switch: tuple[ModelInfo, Geometry] | None = None
        """The model as it was, and how it is to be used, while that is loaded."""
        predictions = session.predictions
        load = predictions.loader
        predictions.loader = lambda path: self._as_chosen(load(path))
        predictions.modelChanged.connect(self._on_model)
        predictions.failed.connect(lambda _error: self._on_failed())
        bar.geometryChosen.connect(self._on_chosen)

    def close(self) -> None:
        """End the thread."""
        if self._lane is not None:
            self._lane.close()

    def choose(self, geometry: Geometry) -> None:
        """Use the model in this way from now on, and predict the photo on screen again."""
        model = self._session.predictions.model
        if model is None or geometry == (self._switch[1] if self._switch is not None else model.geometry):
            return
        # Replaced as a whole: the thread that loads models looks into it.
        self._chosen = {sha256: other for sha256, other in self._chosen.items() if sha256 != model.sha256}
        if geometry != model.geometries[0]:
            self._chosen[model.sha256] = geometry
        self._settings.set(
            _SETTING,
            {sha256: {"output_stride": g.output_stride, "scales": g.scales} for sha256, g in self._chosen.items()},
        )
        self._switch = (model, geometry)
        self._session.predictions.load_model(model.path)

    def _on_chosen(self, way_id: str) -> None:
        model = self._session.predictions.model
        if model is not None:
            self.choose(next(way for way in model.geometries if _id(way) == way_id))

    def _as_chosen(self, model: LoadedModel) -> LoadedModel:
        """The model as the person wants it; called in the thread that loads it."""
        chosen = self._chosen
        if not chosen or (geometry := chosen.get(model.sha256)) is None:
            return model
        try:
            return model.at(geometry)
        except StudioError:  # the settings were edited, or come from another release
            return model

    def _on_model(self, model: ModelInfo | None) -> None:
        switch, self._switch = self._switch, None
        ways = model.geometries if model is not None else ()
        self._bar.set_geometries([self._entry(way, ways) for way in ways])
        self._bar.set_geometry(_id(model.geometry) if model is not None else None)
        if model is not None and switch is not None and switch[0].sha256 == model.sha256:
            self._session.predict()
            self._tell_cost(switch[0], model)

    def _on_failed(self) -> None:
        model = self._session.predictions.model
        if self._switch is not None and model is not None:
            self._switch = None
            self._bar.set_geometry(_id(model.geometry))

    def _entry(self, way: Geometry, ways: tuple[Geometry, ...]) -> GeometryEntry:
        published = way == ways[0]
        detail = self.tr("As published") if published else self.tr("Not as published; remembered for this file")
        return GeometryEntry(_id(way), self._title(way, ways), detail)

    def _title(self, way: Geometry, ways: tuple[Geometry, ...]) -> str:
        """What tells this way from the others."""
        scales = self.tr("One scale") if way.scales == "single" else self.tr("Several scales")
        stride = self.tr("Output stride {0}").format(way.output_stride)
        if len({other.output_stride for other in ways}) == 1:
            return scales
        if len({other.scales for other in ways}) == 1:
            return stride
        return f"{stride}, {scales[0].lower()}{scales[1:]}"

    def _tell_cost(self, before: ModelInfo, after: ModelInfo) -> None:
        """Say in the status line what the change costs on the photo on screen."""
        if self._lane is None:
            self._lane = Lane("geometry", self)
        document = self._session.current
        photo = document.image.pixels.shape[:2] if document is not None else None

        def work(_job: Job) -> float:
            from deeplab_studio.engine.anatomy import TYPICAL_PHOTO, examine

            now, then = (
                examine(model.profile, model.preprocessing, *(photo or TYPICAL_PHOTO)).inspection.trace.multiply_adds
                for model in (after, before)
            )
            return now / then

        def tell(ratio: float) -> None:
            name, locale = self._title(after.geometry, after.geometries), QLocale()
            if ratio >= 1:
                text = self.tr("{0}: {1} times the multiply-adds needed before").format(
                    name, locale.toString(ratio, "f", 1)
                )
            else:
                text = self.tr("{0}: {1} % of the multiply-adds needed before").format(
                    name, locale.toString(100 * ratio, "f", 0)
                )
            self._session.noticed.emit("info", text)

        self._lane.submit("cost", work, tell)


def _id(way: Geometry) -> str:
    return f"{way.output_stride} {way.scales}"


def _read(stored: dict[str, object]) -> dict[str, Geometry]:
    """The choices a settings file holds; what makes no sense is left out."""
    found = {}
    for sha256, entry in stored.items():
        if isinstance(entry, dict):
            stride, scales = entry.get("output_stride"), entry.get("scales")
            if isinstance(stride, int) and scales in ("single", "multi"):
                found[sha256] = Geometry(stride, scales)
    return found
