"""Measuring models on all images with ground truth, in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from deeplab_studio.app.crf_samples import TRUSTED, Candidate
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.compare.answers import Answers
    from deeplab_studio.app.compare.choice import PaneChoice
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.cancel import CancelToken
    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.core.project import Project
    from deeplab_studio.core.voc import VocItem
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.engine.comparison import Outcome


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes
    ----------
    project : Project
    label_set : LabelSet
    found : tuple of Candidate
        Images with ground truth.
    missing : tuple of Path
        Images without.
    """

    project: Project
    label_set: LabelSet
    found: tuple[Candidate, ...]
    missing: tuple[Path, ...]

    @classmethod
    def of(cls, session: Session) -> Plan:
        """All images in the list: a finished class map is trusted more than the mask that came with the image."""
        assert session.project is not None
        own = session.labelled_items()
        found, missing = [], []
        for item in session.items:
            mask = session.masks.get(item.id)
            if item.id in own and item.state in TRUSTED:
                found.append(Candidate(item.id, item.path, None))
            elif mask is not None:
                found.append(Candidate(item.id, item.path, mask))
            else:
                missing.append(item.path)
        return cls(session.project, session.label_set, tuple(found), tuple(missing))


@dataclass(frozen=True)
class Measured:
    """What came of it: one outcome for each model and CRF, what the reader should know, what was left out."""

    outcomes: Sequence[Outcome]
    notes: Sequence[str]
    problems: Sequence[StudioError]


def crfs_of(choices: Sequence[PaneChoice], *, both: bool) -> dict[Path, list[tuple[str, CrfParams | None]]]:
    """The CRFs to run on the scores of each model.

    Parameters
    ----------
    choices : sequence of PaneChoice
    both : bool
        Whether every model is measured without and with it, whatever its panes show.
    """
    by_model: dict[Path, list[tuple[str, CrfParams | None]]] = {}
    for choice in choices:
        if choice.path is None:
            continue
        crfs = by_model.setdefault(choice.path, [])
        wanted: list[CrfParams | None] = [None, choice.crf.params] if both else [None]
        if not both and choice.crf.on:
            wanted = [choice.crf.params]
        for params in wanted:
            if all(params != known for _, known in crfs):
                crfs.append(("none" if params is None else _name_of(params, crfs), params))
    return by_model


def _name_of(params: CrfParams, others: Sequence[tuple[str, CrfParams | None]]) -> str:
    """The preset that has these parameters, else "own", with a number behind it if there is one already."""
    from deeplab_studio.crf.presets import PRESETS

    preset = next((preset.name for preset in PRESETS if preset.params == params), None)
    if preset is not None:
        return preset
    own = _tr("own parameters")
    number = 1 + sum(name.startswith(own) for name, _ in others)
    return own if number == 1 else f"{own} {number}"


def measure(
    plan: Plan,
    choices: Sequence[PaneChoice],
    answers: Answers,
    folder: Path,
    *,
    both: bool,
    cancel: CancelToken,
    progress: Callable[[int], None],
) -> Measured:
    """Measure and write the report. For a worker thread.

    Parameters
    ----------
    plan : Plan
    choices : sequence of PaneChoice
    answers : Answers
        Has the models, or loads them.
    folder : Path
        Where the report goes.
    both : bool
        See `crfs_of`.
    cancel : CancelToken
    progress : callable
        Called with the number of images done.

    Raises
    ------
    StudioError
        If a model cannot be loaded, no image could be scored, or the report cannot be written.
    Cancelled
    """
    from deeplab_studio.core.voc import VocItem
    from deeplab_studio.engine.comparison import Comparison, Contestant, SharedClasses
    from deeplab_studio.engine.comparison_report import write_report

    contestants: list[Contestant] = []
    for path, crfs in crfs_of(choices, both=both).items():
        cancel.raise_if_cancelled()
        predictor = answers.predictor(path)
        name = predictor.title
        if any(other.name == name for other in contestants):
            name = f"{name} ({path.name})"
        contestants.append(Contestant(name, predictor.profile.version, predictor, crfs))
    shared = SharedClasses.of(plan.label_set, [each.predictor.classes for each in contestants])
    by_path = {candidate.path: candidate for candidate in plan.found}

    def read_truth(item: VocItem, size: tuple[int, int]) -> Labels:
        return _truth(plan.project, by_path[item.image], size)

    comparison = Comparison(contestants, shared, relative=True, read_truth=read_truth)
    problems = [
        StudioError(_tr("it has no ground truth"), path=path, hint=_tr("Label it and mark it as done."))
        for path in plan.missing
    ]
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        progress(done)
        cancel.raise_if_cancelled()

    items = [VocItem(candidate.path.stem, candidate.path, candidate.mask) for candidate in plan.found]
    comparison.run(items, on_failure=problems.append, on_done=one_more, cancel=cancel)
    if not comparison.outcomes[0].images:
        raise problems[-1] if problems else StudioError(_tr("there is no image with ground truth"))
    notes = [_tr("{0} images with ground truth.").format(comparison.outcomes[0].images)]
    if shared.left_out:
        few = ", ".join(shared.left_out[:8]) + ("…" if len(shared.left_out) > 8 else "")
        notes.append(_tr("Compared on {0} classes; not every model knows {1}.").format(len(shared.label_set), few))
    write_report(folder, _tr("Comparison of models"), comparison.outcomes, shared.label_set, notes, problems)
    return Measured(comparison.outcomes, notes, problems)


def _truth(project: Project, candidate: Candidate, size: tuple[int, int]) -> Labels:
    from deeplab_studio.app.opening import read_own_mask

    if candidate.mask is not None:
        return read_own_mask(project, candidate.mask, size, strict=True)
    saved = project.load_map(candidate.item_id)
    if saved is None or saved[0].shape != size:
        raise StudioError(_tr("its class map does not fit the photo"), path=candidate.path, hint=_tr("Label it again."))
    return saved[0]


def _tr(text: str) -> str:
    return QCoreApplication.translate("CompareRun", text)
