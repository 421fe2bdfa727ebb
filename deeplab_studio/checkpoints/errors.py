"""Why a checkpoint is refused."""

from __future__ import annotations

from deeplab_studio.core.errors import StudioError


class CheckpointError(StudioError):
    """A file that cannot become a model: unreadable, foreign, incomplete, or holding more than numbers."""
