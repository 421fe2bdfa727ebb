"""What computes the CRF: the compiled kernel, torch, or pydensecrf to compare with. Chosen here, remembered, told."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QObject

from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.refinement import Refined
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.crf.backends import Backend, Engine

_NAMES: dict[Backend, str] = {
    "kernel": QT_TRANSLATE_NOOP("CrfEngine", "kernel"),
    "torch": QT_TRANSLATE_NOOP("CrfEngine", "torch"),
    "reference": QT_TRANSLATE_NOOP("CrfEngine", "pydensecrf"),
}


def engine_name(backend: Backend) -> str:
    """What a person reads of an engine, in the language of the window."""
    return QCoreApplication.translate("CrfEngine", _NAMES[backend])


class CrfEngine(QObject):
    """The engine of one window's CRF.

    Parameters
    ----------
    session : Session
    settings : Settings
    parent : QObject, optional
    """

    def __init__(self, session: Session, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._settings = settings
        self._actions: Actions | None = None
        self._on_screen: int | None = None  # the item whose class map the CRF made
        self._told = False
        session.predictions.modelChanged.connect(lambda _model: self._use())
        session.refined.connect(self._on_refined)
        self._use()

    def attach(self, actions: Actions) -> None:
        """Show the choice in the menu."""
        self._actions = actions
        actions.set_checked(f"crf_engine_{self.backend}", True)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {
            "crf_engine_kernel": lambda _on: self.choose("kernel"),
            "crf_engine_torch": lambda _on: self.choose("torch"),
            "crf_engine_reference": lambda _on: self.choose("reference"),
        }

    def conditions(self) -> dict[str, bool]:
        """Which actions make sense: engines that are there."""
        return {f"crf engine {backend}": backend in self._there for backend in _NAMES}

    @property
    def backend(self) -> Backend:
        """What computes now."""
        chosen: Engine = self._settings.get("crf/engine")
        # What was chosen may have been there in another installation.
        return chosen if chosen != "auto" and chosen in self._there else self._there[0]

    def choose(self, backend: Backend) -> None:
        """Compute with another engine from now on, and the picture on screen again if the CRF made it."""
        if backend == self.backend:
            return
        self._settings.set("crf/engine", backend)
        if self._actions is not None:
            self._actions.set_checked(f"crf_engine_{backend}", True)
        self._use()
        document = self._session.current
        if (
            document is not None
            and document.scores is not None
            and document.crf.on
            and document.item.id == self._on_screen
        ):
            self._session.set_crf(document.crf, live=False)

    @cached_property
    def _there(self) -> list[Backend]:
        """The engines of this machine, best first."""
        from deeplab_studio.crf.backends import crf_backend, reference_available

        there: list[Backend] = ["kernel", "torch"] if crf_backend() == "kernel" else ["torch"]
        return [*there, "reference"] if reference_available() else there

    def _use(self) -> None:
        model = self._session.predictions.model
        self._session.refinement.use_engine(self.backend, "cpu" if model is None else model.device)

    def _on_refined(self, refined: Refined) -> None:
        self._on_screen = refined.item_id
        if not self._told and refined.settings.on and "kernel" not in self._there:
            self._told = True
            text = self.tr(
                "The compiled kernel of the CRF is missing in this installation: torch computes it, which takes a few "
                "times longer. Install a C++ compiler and install the program again."
            )
            self._session.noticed.emit("info", text)
