"""The tools that work on regions, what is copied from image to image, and the clean-up, of one window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from deeplab_studio.app.canvas.region_tool import CopiedRegion, RegionTool
from deeplab_studio.app.canvas.scribble_tools import CrfBrush, GrowTool
from deeplab_studio.app.canvas.superpixel_tool import SuperpixelTool
from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.cleanup_dialog import CleanUpDialog
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.toolbox import Toolbox
    from deeplab_studio.core.cancel import CancelToken
    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.drawing import Patch
    from deeplab_studio.core.project import Item


class RegionTools(QObject):
    """Superpixels, growing, the CRF brush, copied regions and the clean-up.

    Parameters
    ----------
    session : Session
    canvas : CanvasView
    toolbox : Toolbox
        Takes the tools in.
    window : QWidget

    Signals
    -------
    changed
        Other actions make sense now.
    """

    changed = Signal()

    def __init__(self, session: Session, canvas: CanvasView, toolbox: Toolbox, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._canvas = canvas
        self._toolbox = toolbox
        self._window = window
        self.lane = Lane("region tools", self)
        self.superpixels = SuperpixelTool(session.painting, self.lane, self)
        self.grow = GrowTool(session.painting, self.lane, self)
        self.crf_brush = CrfBrush(session.painting, self.lane, self._decide, self)
        self.region = RegionTool(session.painting, self.lane, self)
        toolbox.add("tool_superpixels", self.superpixels)
        toolbox.add("tool_grow", self.grow)
        toolbox.add("tool_crf_brush", self.crf_brush)
        toolbox.add("tool_region", self.region)
        for tool in (self.grow, self.crf_brush):
            tool.failed.connect(lambda error: session.noticed.emit("error", str(error)))
        # Queued: the canvas has to show the photo first.
        session.currentChanged.connect(self._on_current, Qt.ConnectionType.QueuedConnection)
        self.copied: CopiedRegion | None = None
        self.dialog: CleanUpDialog | None = None
        """The clean-up, while it is open."""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {
            "copy_region": self.copy_region,
            "paste_region": self.paste_region,
            "copy_previous": self.copy_previous,
            "clean_up": self.clean_up,
        }

    def conditions(self) -> dict[str, bool]:
        """Which actions make sense now."""
        return {"copied region": self.copied is not None}

    def close(self) -> None:
        """Close the clean-up and end all background work."""
        if self.dialog is not None:
            self.dialog.close()
        self.lane.close()

    def copy_region(self) -> None:
        """Keep the region that is selected."""
        copied = self.region.copy()
        if copied is None:
            self._toolbox.use("tool_region")
            self._session.noticed.emit(
                "info", self.tr("Select what to copy: click a region, or drag a rectangle. Then copy again.")
            )
            return
        self.copied = copied
        pixels = f"{int(copied.mask.sum()):,}"
        self._session.noticed.emit(
            "info", self.tr("Region of {0} pixels copied. Paste it here or on another image.").format(pixels)
        )
        self.changed.emit()

    def paste_region(self) -> None:
        """Show the region that was copied, to be moved and put down."""
        document, copied = self._session.current, self.copied
        if document is None or copied is None:
            return
        self._canvas.finish_gesture()
        self._toolbox.use("tool_region")
        if self.region.float_in(copied) and copied.size != document.class_map.shape:
            self._session.noticed.emit(
                "info", self.tr("This photo has another size: the region lies at the same pixels, as large as it was.")
            )
        self._canvas.setFocus()

    def copy_previous(self) -> None:
        """Take over the class map of the image before this one in the list, as one undo step."""
        session, project = self._session, self._session.project
        document, before = session.current, session.neighbour(-1)
        if document is None or project is None or session.read_only:
            return
        if before is None:
            session.noticed.emit("info", self.tr("This is the first image of the list: there is none before it."))
            return
        self._canvas.finish_gesture()
        known = session.document(before.id)
        if known is not None:
            self._take_over(document, before, known.class_map.labels if known.labelled else None)
            return
        mask, shape = session.masks.get(before.id), document.class_map.shape

        def work(_job: Job) -> Labels | None:
            from deeplab_studio.app.opening import read_map

            found = read_map(project, before, mask, shape).class_map
            return None if found is None else found.labels

        session.disk.submit(
            "class map of the previous image",
            work,
            lambda labels: self._take_over(document, before, labels),
            lambda error: session.noticed.emit("error", str(error)),
        )

    def clean_up(self) -> None:
        """Show the clean-up."""
        from deeplab_studio.app.cleanup_dialog import CleanUpDialog

        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        self._canvas.finish_gesture()
        self.dialog = dialog = CleanUpDialog(self._session, self._canvas, self._window)
        # They are the window's: while the dialog has the focus their keys would do nothing.
        for name in ("undo", "redo", "previous", "next"):
            action = self._window.findChild(QAction, name)
            if action is not None:
                dialog.addAction(action)
        dialog.finished.connect(lambda _result: self._closed())
        dialog.show()

    def _closed(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()

    def _on_current(self, _document: Document | None) -> None:
        self.superpixels.look()

    def _take_over(self, document: Document, before: Item, labels: Labels | None) -> None:
        session = self._session
        if document is not session.current:
            return
        name = before.path.name
        if labels is None:
            session.noticed.emit("info", self.tr("{0} has no class map yet.").format(name))
            return
        if labels.shape != document.class_map.shape:
            here, there = document.class_map.shape, labels.shape
            error = StudioError(
                self.tr("its class map has {0} x {1} pixels, this photo {2} x {3}").format(
                    there[1], there[0], here[1], here[0]
                ),
                path=before.path,
                hint=self.tr("Copy regions instead: they may be moved."),
            )
            session.noticed.emit("error", str(error))
            return
        session.refinement.forget()
        session.put_labels(document, labels, self.tr("Class map of {0}").format(name), by_person=True)

    def _decide(self, stroke: Patch, class_id: int, reach: float, exact: bool) -> Callable[[CancelToken], Patch] | None:
        """What works out, on the lane, where a scribble's class goes."""
        document = self._session.current
        if document is None:
            return None
        params = replace(document.crf, on=True).on_photo(*document.class_map.shape)
        image, class_map, scores = document.image.pixels, document.class_map, document.scores
        mapping = self._session.mapping() if scores is not None else None

        def work(token: CancelToken) -> Patch:
            from deeplab_studio.engine.region_refine import EXACT_PIXELS, LIVE_PIXELS, Surroundings, redecide

            known = Surroundings(image, class_map.labels, class_map.pinned, scores, mapping)
            pixels = EXACT_PIXELS if exact else LIVE_PIXELS
            return redecide(known, stroke, class_id, params, reach=reach, max_pixels=pixels, cancel=token)

        return work
