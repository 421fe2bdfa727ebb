"""The file that says what is taught, with what, and how."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deeplab_studio.core.errors import StudioError
from deeplab_studio.networks.profile import Version
from deeplab_studio.training.schedule import Phase

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OptimizerName = Literal["sgd", "adamw", "muon"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the photos are.

    Parameters
    ----------
    train : Path
        Data set in Pascal VOC layout.
    val : Path
        Data set that is scored, never taught.
    train_split, val_split : str
        Lists in ``ImageSets/Segmentation``; empty for all photos.
    photo_side : int
        Longest side, in pixels, at which photos are kept; larger ones are made smaller.
    focus : tuple of str
        Classes whose mean IoU says which weights are best; empty for all.
    cache : Path, optional
        Folder for decoded photos and the teacher's features; the user's cache folder if left out.
    """

    train: Path
    val: Path
    train_split: str = "train"
    val_split: str = "val"
    photo_side: int = 320
    focus: tuple[str, ...] = ()
    cache: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """A model to learn from.

    Parameters
    ----------
    model : Path
        Its checkpoint.
    output_stride : int
        At which it runs; 0 for its own.
    soft_labels, features : float
        Weights of the two losses beside the masks'.
    temperature : float
        Softens both sides of the soft labels.
    """

    model: Path
    output_stride: int = 0
    soft_labels: float = 1.0
    features: float = 1.0
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How views of a photo vary; scale and crop are the phases'.

    Parameters
    ----------
    stretch : float
        Largest deviation of the aspect ratio, as logarithm.
    colour : float
        Strength of the colour jitter, 0..1.
    mix : float
        Share of crops, 0..1, in which a rectangle of another crop is set.
    balance : float
        Share of photos below which a class counts as rare and its photos are seen more often; 0 for never.
    balance_most : float
        How much more often at most.
    """

    stretch: float = 0.15
    colour: float = 0.3
    mix: float = 0.0
    balance: float = 0.3
    balance_most: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How long, in which steps.

    Parameters
    ----------
    crops : int
        Shown in all.
    batch : int
        Crops per step.
    optimizer : {"sgd", "adamw", "muon"}
        With momentum after Nesterov; Loshchilov & Hutter, ICLR 2019; or Jordan et al. 2024.
    learning_rate : float
        Largest.
    class_balance : float
        0 for every pixel to count alike, up to 1 for pixels of rare classes to count as much more as they are rarer.
    head_rate : float
        By what the heads' learning rate is multiplied. (DeepLabv1, section 4.2: ten for the last layer, on an encoder
        that has learnt already.)
    weight_decay : float
        On convolutions.
    warmup : int
        Crops over which the learning rate rises.
    average : float
        Decay, per step, of the running mean of the weights, which is what is scored and saved.
    clip : float
        Largest norm of the gradient.
    heads_from : float
        Share of training, 0..1, before which only the encoder learns, from the teacher's features and through its
        classifier; without a teacher the heads learn from the start. (Romero et al., "FitNets", ICLR 2015, section
        2.3, train in these two stages.)
    phases : tuple of Phase
        Each until a later share of training than the one before, the last until 1.
    """

    crops: int = 20_000
    batch: int = 16
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 0.002
    class_balance: float = 0.0
    head_rate: float = 1.0
    weight_decay: float = 0.05
    warmup: int = 2_000
    average: float = 0.999
    clip: float = 10.0
    heads_from: float = 0.0
    phases: tuple[Phase, ...] = (Phase(until=1.0, crop=161, scale=(0.4, 1.25)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """How and when models are scored, and at which size photos are shown to them afterwards.

    Parameters
    ----------
    every : int
        Crops between two evaluations, once the heads learn; 0 for one at the end alone.
    side : int
        Longest side, in pixels, of a photo as the network sees it.
    output_stride : int
        8 or 16.
    """

    every: int = 5_000
    side: int = 321
    output_stride: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Everything a training run depends on.

    Parameters
    ----------
    name : str
        Part of the models' file names.
    versions : tuple of {"v1", "v2", "v3", "v3+"}
        Heads that are taught on one encoder.
    output : Path
        Folder of the run: checkpoints, log, curves, models.
    data : DataConfig
    teacher : TeacherConfig, optional
    augment : AugmentConfig
    schedule : ScheduleConfig
    evaluation : EvaluationConfig
    seed : int
    checkpoint_seconds : int
        Seconds between two checkpoints.
    log_steps : int
        Steps whose losses are averaged to one line of the log.
    precision : {"auto", "bfloat16", "float32"}
        Of convolutions; "auto" is bfloat16 where the processor computes with it.
    half : bool
        Whether models are saved with convolutions as float16.
    licence : str
        Of the weights, for the models' files.
    """

    name: str
    versions: tuple[Version, ...]
    output: Path
    data: DataConfig
    teacher: TeacherConfig | None = None
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    seed: int = 0
    checkpoint_seconds: int = 240
    log_steps: int = 50
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    half: bool = False
    licence: str = ""


def read_config(path: Path) -> TrainingConfig:
    """Read a configuration from TOML; paths in it are relative to the file's folder.

    Raises
    ------
    StudioError
        If it cannot be read, is not TOML, lacks something, or holds something unknown or out of range.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudioError("the configuration could not be read", path=path, hint="Check the name.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudioError(f"it is not TOML: {error}", path=path, hint="Correct that line.") from error
    try:
        config: TrainingConfig = _table(TrainingConfig, values, "", path.parent)
        _check(config)
    except ValueError as error:
        raise StudioError(str(error), path=path, hint="See docs/training.md.") from error
    return config


def _table(kind: Any, values: object, name: str, base: Path) -> Any:
    """A dataclass from a TOML table."""
    if not isinstance(values, dict):
        raise ValueError(f"{name} is not a table")
    hints = typing.get_type_hints(kind)
    lead = f"{name}." if name else ""
    if unknown := sorted(values.keys() - hints.keys()):
        raise ValueError(f"nothing is called {lead}{unknown[0]} (there are {', '.join(hints)})")
    for each in dataclasses.fields(kind):
        missing = dataclasses.MISSING
        if each.name not in values and each.default is missing and each.default_factory is missing:
            raise ValueError(f"{lead}{each.name} is missing")
    return kind(**{key: _value(hints[key], value, f"{lead}{key}", base) for key, value in values.items()})


def _value(hint: Any, value: object, name: str, base: Path) -> Any:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _table(hint, value, name, base)
    if origin is Literal:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}, not one of {', '.join(map(str, choices))}")
        return value
    if origin in (typing.Union, types.UnionType):
        (hint,) = (choice for choice in choices if choice is not type(None))
        return _value(hint, value, name, base)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list")
        kinds = [choices[0]] * len(value) if choices[1:] == (Ellipsis,) else list(choices)
        if len(kinds) != len(value):
            raise ValueError(f"{name} has {len(value)} values, not {len(kinds)}")
        return tuple(
            _value(each, item, f"{name}[{i}]", base) for i, (each, item) in enumerate(zip(kinds, value, strict=True))
        )
    if hint is Path:
        if not isinstance(value, str):
            raise ValueError(f"{name} is not a path")
        return (base / Path(value).expanduser()).resolve()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{name} is {value!r}, not {hint.__name__}")
    return value


def _check(config: TrainingConfig) -> None:
    schedule, evaluation = config.schedule, config.evaluation
    if not config.versions or len(set(config.versions)) != len(config.versions):
        raise ValueError("versions names none, or one twice")
    if schedule.batch < 2:
        raise ValueError("schedule.batch must be at least 2: batch normalisation needs two crops")
    if not schedule.phases or schedule.phases[-1].until < 1:
        raise ValueError("the last of schedule.phases must last until 1.0")
    if not 0 <= schedule.heads_from < 1:
        raise ValueError(f"schedule.heads_from is {schedule.heads_from}, it must be at least 0 and below 1")
    for phase in schedule.phases:
        if phase.crop < 33 or phase.crop % 16 != 1:
            raise ValueError(f"a crop of {phase.crop} pixels is not a multiple of 16 and one more")
        if not 0 < phase.scale[0] <= phase.scale[1]:
            raise ValueError("a phase's scale must be two factors, the smaller first")
    if evaluation.output_stride not in (8, 16):
        raise ValueError("evaluation.output_stride must be 8 or 16")
    for name, value, least in (
        ("schedule.crops", schedule.crops, 1),
        ("schedule.learning_rate", schedule.learning_rate, 1e-9),
        ("data.photo_side", config.data.photo_side, 32),
        ("evaluation.side", evaluation.side, 32),
        ("checkpoint_seconds", config.checkpoint_seconds, 1),
        ("log_steps", config.log_steps, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, it must be at least {least}")
