"""The training run: steps, checkpoints, evaluations, and how it goes on after it was interrupted."""

from __future__ import annotations

import contextlib
import json
import math
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from deeplab_studio.checkpoints.model import FileHash, LoadedModel
from deeplab_studio.checkpoints.native import NAME, SUFFIX, Provenance, save_native
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import Version
from deeplab_studio.networks.starter import starter_profile
from deeplab_studio.training import evaluation
from deeplab_studio.training.config import TrainingConfig
from deeplab_studio.training.criterion import Criterion
from deeplab_studio.training.joint import JointNetwork, initialise
from deeplab_studio.training.loader import Batch, CropMaker, Prefetcher
from deeplab_studio.training.optimizers import RunningMean, make_optimizers
from deeplab_studio.training.photos import Photos
from deeplab_studio.training.precision import autocast, computes_bfloat16, is_out_of_memory
from deeplab_studio.training.records import Records
from deeplab_studio.training.sampling import class_weights, repeat_factors
from deeplab_studio.training.schedule import Plan, phase_at
from deeplab_studio.training.teacher import TeacherFeatures

CHECKPOINT = "checkpoint.pt"
_IDENTITY = ("versions", "classes", "optimizer", "features")
"""What a checkpoint says of its run that must be so in the run that goes on from it."""

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Material:
    """What a run learns from.

    Parameters
    ----------
    train, val : Photos
    labels : LabelSet
    teacher : TeacherFeatures, optional
    """

    train: Photos
    val: Photos
    labels: LabelSet
    teacher: TeacherFeatures | None = None


class Trainer:
    """One run.

    Parameters
    ----------
    config : TrainingConfig
    material : Material
    device : str
        ``"cpu"`` or ``"cuda:0"``.
    on_notice : callable, optional
        Called with a sentence whenever a person should know something.
    on_progress : callable, optional
        Called after every step with the crops done, their number and the last loss.
    """

    def __init__(
        self,
        config: TrainingConfig,
        material: Material,
        device: str = "cpu",
        on_notice: Callable[[str], None] | None = None,
        on_progress: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self.config, self.material, self.device = config, material, device
        self._notice = on_notice or (lambda _: None)
        self._progress = on_progress or (lambda *_: None)
        self._bfloat16 = computes_bfloat16(config.precision, device)
        torch.manual_seed(config.seed)
        self.network = self._build(16)
        initialise(self.network)
        self.network.to(device).to(memory_format=torch.channels_last)
        self._regressor: nn.Conv2d | None = None
        if material.teacher is not None:
            width = int(self.network.backbone.channels)
            self._regressor = nn.Conv2d(width, material.teacher.channels, 1).to(device)
        self._learning = nn.ModuleList([self.network, *([self._regressor] if self._regressor else [])])
        encoder = [self.network.backbone, *([self._regressor] if self._regressor else [])]
        parts = [(nn.ModuleList(encoder), 1.0), (self.network.heads, config.schedule.head_rate)]
        self.optimizers = make_optimizers(parts, config.schedule)
        self.mean = RunningMean(self.network, config.schedule.average)
        self.plan = Plan(config.schedule.crops, config.schedule.warmup)
        self.batch = config.schedule.batch
        self.crops = self.steps = 0
        self._heads_learned = False
        self.best: dict[str, float] = {}
        self.records = Records(config.output)
        pixels = material.train.class_pixels(len(material.labels))
        balance = class_weights(pixels.sum(axis=0), config.schedule.class_balance)
        self._criterion = Criterion(balance, material.teacher, config.teacher)
        factors = repeat_factors(
            pixels > 0,
            threshold=config.augment.balance,
            most=config.augment.balance_most,
        )
        self._maker = CropMaker(material.train, factors, material.teacher, config.augment, config.seed)
        self._stop = threading.Event()
        names = material.labels.names
        self._focus = [names.index(name) for name in config.data.focus]

    def _build(self, output_stride: int) -> JointNetwork:
        classes = len(self.material.labels)
        return JointNetwork([starter_profile(version, classes, output_stride) for version in self.config.versions])

    def stop(self) -> None:
        """Ask the run to end after the step it is in, with a checkpoint; safe from any thread and signal handler."""
        self._stop.set()

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Train until the plan's end, or until stopped.

        Returns
        -------
        bool
            Whether the end was reached.

        Raises
        ------
        StudioError
            If the loss is not a number any more, or memory does not suffice.
        """
        self.records.truncate(self.crops)
        while self.crops < self.plan.total and not self._stop.is_set():
            if not self._run_in_memory():
                self._halve_batch()
        finished = self.crops >= self.plan.total
        if finished:
            self.evaluate()
        self.save()
        self.records.draw()
        self._write_status(["finished" if finished else "stopped"])
        return finished

    def _run_in_memory(self) -> bool:
        """Train until the end or until stopped; False if memory ran out."""
        saved = time.monotonic()
        window = _Window(self.crops)
        try:
            with self._batches() as batches:
                while self.crops < self.plan.total and not self._stop.is_set():
                    before = self.crops
                    parts = self._step(batches.next())
                    window.add(parts)
                    self._progress(self.crops, self.plan.total, parts["loss"])
                    if self.steps % self.config.log_steps == 0:
                        self._log(window, before)
                        window = _Window(self.crops)
                    if self._due(before):
                        self.evaluate()
                        window = _Window(self.crops)
                    if time.monotonic() - saved > self.config.checkpoint_seconds:
                        self.save()
                        saved = time.monotonic()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _log(self, window: _Window, before: int) -> None:
        means, speed = window.means(), window.speed(self.crops)
        rate = self.config.schedule.learning_rate * self.plan.rate(before)
        self.records.step(self.crops, speed, rate, means)
        left = (self.plan.total - self.crops) / speed / 60
        told = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        self._write_status([f"{speed:.1f} crops a second, about {left:.0f} minutes left at this speed", told])

    def _due(self, before: int) -> bool:
        every = self.config.evaluation.every
        if not self._heads_learned:
            return False
        return bool(every) and before // every != self.crops // every and self.crops < self.plan.total

    @contextlib.contextmanager
    def _batches(self) -> Iterator[Prefetcher]:
        phases, batch = self.config.schedule.phases, self.batch
        first, total = self.crops, self.plan.total

        def make() -> Iterator[Batch]:
            crops = first
            while crops < total:
                count = max(2, min(batch, total - crops))
                yield self._maker.batch(crops, count, phase_at(phases, crops / total))
                crops += count

        prefetcher = Prefetcher(make)
        try:
            yield prefetcher
        finally:
            prefetcher.close()

    def _step(self, batch: Batch) -> dict[str, float]:
        self._learning.train()
        rate = self.plan.rate(self.crops)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.config.schedule.learning_rate * rate * group["scale"]
        loss, parts = self._loss(batch)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._learning.parameters(), self.config.schedule.clip)
        parts["gradient"] = float(norm)
        if not math.isfinite(parts["loss"]) or not math.isfinite(parts["gradient"]):
            raise StudioError(
                f"the loss is not a number any more after {self.crops} crops",
                path=self.config.output,
                hint=f"The last checkpoint is kept. Lower schedule.learning_rate (it is "
                f"{self.config.schedule.learning_rate:g}) or schedule.clip, or set precision to float32, and resume.",
            )
        for optimizer in self.optimizers:
            optimizer.step()
        if self._heads_learn() and not self._heads_learned:
            self._heads_learned, self.mean.began = True, self.steps
        self.steps += 1
        self.crops += len(batch.pixels)
        self.mean.update(self.network, self.steps)
        return parts

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        pixels = batch.pixels.to(self.device, non_blocking=True)
        with self._autocast():
            out = self.network(evaluation.normalised(pixels), heads=self._heads_learn())
            guess = self._regressor(out.features).float() if self._regressor is not None else None
        return self._criterion(out.logits, guess, batch)

    def _heads_learn(self) -> bool:
        """Whether the heads are taught yet; once they are, a later end of the plan does not stop them."""
        teacher = self.material.teacher
        if self._heads_learned or teacher is None or not teacher.has_labels:
            return True
        return self.plan.share(self.crops) >= self.config.schedule.heads_from

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self._bfloat16)

    def _halve_batch(self) -> None:
        smaller = self.batch // 2
        if smaller < 2:
            raise StudioError(
                "there is not enough memory to train, even with two crops at a time",
                path=self.config.output,
                hint="Close other programs, or choose smaller crops in schedule.phases.",
            )
        self._notice(f"Memory ran out: going on with {smaller} crops a step instead of {self.batch}.")
        self.batch = smaller
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    # -- scoring ----------------------------------------------------------------------------------------------------

    def evaluate(self) -> dict[Version, float]:
        """Score the running mean of the weights; keep a version's model if it is its best so far."""
        settings = self.config.evaluation
        with torch.device("meta"):  # drawing weights that are replaced would also move on the random numbers
            network = self._build(settings.output_stride)
        network.load_state_dict(self.mean.state, assign=True)
        network.eval().to(self.device).to(memory_format=torch.channels_last)
        began = time.monotonic()
        matrices = evaluation.score(
            network,
            self.material.val,
            len(self.material.labels),
            side=settings.side,
            device=self.device,
            autocast=self._autocast,
            step=2,
        )
        scores = {version: evaluation.mean_iou(matrix, self._focus) for version, matrix in matrices.items()}
        self.records.evaluation(self.crops, scores, matrices, self.material.labels)
        for version, value in scores.items():
            if value > self.best.get(version, -1.0):
                self.best[version] = value
                self._save_model(version)
        told = ", ".join(f"{version} {value:.3f}" for version, value in scores.items())
        self._notice(f"After {self.crops} crops: {told} ({time.monotonic() - began:.0f} s).")
        return scores

    def model(self, version: Version) -> LoadedModel:
        """The running mean of one version's weights as a model, at the output stride of the evaluation."""
        labels = self.material.labels
        profile = starter_profile(version, len(labels), self.config.evaluation.output_stride)
        with torch.device("meta"):
            network = DeepLab(profile)
        network.load_state_dict(self.network.state_of(version, self.mean.state), assign=True)
        return LoadedModel(
            network=network.cpu().eval(),
            profile=profile,
            preprocessing=evaluation.preprocessing(self.config.evaluation.side),
            classes=labels,
            dialect=NAME,
            title=f"{self.config.name} {version}",
            path=self.model_path(version),
            file_hash=FileHash(""),
        )

    def model_path(self, version: Version) -> Path:
        """Where the best model of a version lies."""
        return self.config.output / f"{self.config.name}-{version.replace('+', 'plus')}{SUFFIX}"

    def _save_model(self, version: Version) -> None:
        source = f"deeplab-studio train, {self.crops} crops"
        provenance = Provenance(source=source, dialect=NAME, licence=self.config.licence)
        save_native(self.model(version), self.model_path(version), half=self.config.half, provenance=provenance)

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write everything a run needs to go on."""
        content = {
            "format": _FORMAT,
            "config": json.dumps(asdict(self.config), default=str),
            **dict(zip(_IDENTITY, self._identity(), strict=True)),
            "learning": self._learning.state_dict(),
            "mean": self.mean.state,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "plan": asdict(self.plan),
            "crops": self.crops,
            "steps": self.steps,
            "batch": self.batch,
            "best": self.best,
            "heads_learned": self._heads_learned,
            "mean_began": self.mean.began,
            "random": torch.get_rng_state(),
        }
        with atomic_write(self.config.output / CHECKPOINT) as temporary:
            torch.save(content, temporary)

    def _identity(self) -> tuple[list[str], list[str], str, int]:
        """What a checkpoint's run must have in common with this one."""
        features = 0 if self.material.teacher is None else self.material.teacher.channels
        return list(self.config.versions), list(self.material.labels.names), self.config.schedule.optimizer, features

    def resume(self, crops: int | None = None) -> None:
        """Go on from the checkpoint.

        Parameters
        ----------
        crops : int, optional
            Where training ends now; the learning rate's way there starts from where it is.

        Raises
        ------
        StudioError
            If there is no checkpoint that can be read, or it is of another run.
        """
        path = self.config.output / CHECKPOINT
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            written_for = tuple(content[key] for key in _IDENTITY)
        except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
            raise StudioError(
                "the checkpoint cannot be read", path=path, hint="Delete it to start anew, or restore a copy of it."
            ) from error
        if written_for != self._identity():
            versions, classes, optimizer, features = written_for
            raise StudioError(
                f"the checkpoint is of another run ({', '.join(versions)}; {len(classes)} classes; {optimizer}; "
                f"{f'a teacher of {features} features' if features else 'no teacher'})",
                path=path,
                hint="Go on with the configuration it was written with, or give another folder with --output.",
            )
        self._learning.load_state_dict(content["learning"])
        self.mean.state = content["mean"]
        for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
            wanted = [{key: group[key] for key in ("scale", "weight_decay")} for group in optimizer.param_groups]
            optimizer.load_state_dict(state)
            for group, settings in zip(optimizer.param_groups, wanted, strict=True):
                group.update(settings)  # the configuration's, should it have changed
        self.crops, self.steps, self.batch = content["crops"], content["steps"], content["batch"]
        self.plan, self.best = Plan(**content["plan"]), content["best"]
        self._heads_learned, self.mean.began = content["heads_learned"], content["mean_began"]
        torch.set_rng_state(content["random"].cpu())
        if crops is not None and crops != self.plan.total:
            self.plan = self.plan.replanned(self.crops, crops)

    def _write_status(self, lines: list[str]) -> None:
        best = ", ".join(f"{version} {value:.4f}" for version, value in self.best.items())
        done = f"{self.crops} of {self.plan.total} crops, {self.batch} a step"
        self.records.status([done, *lines, *self.records.last_evaluation(), f"best: {best or 'not scored yet'}"])


class _Window:
    """Sums of losses over some steps, and how long they took."""

    def __init__(self, crops: int) -> None:
        self._first, self._began = crops, time.monotonic()
        self._sums: dict[str, float] = {}
        self._steps = 0

    def add(self, parts: dict[str, float]) -> None:
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def means(self) -> dict[str, float]:
        return {name: value / max(1, self._steps) for name, value in self._sums.items()}

    def speed(self, crops: int) -> float:
        """Crops a second."""
        return (crops - self._first) / max(1e-9, time.monotonic() - self._began)
