from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deeplab_studio.core.errors import StudioError
from deeplab_studio.training.config import read_config
from deeplab_studio.training.schedule import Phase
from tests.training_sets import write_config

STARTER = Path(__file__).resolve().parents[3] / "models" / "starter.toml"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read_config(write_config(tmp_path, Path("photos/train"), tmp_path / "val"))
    assert config.data.train == (tmp_path / "photos" / "train").resolve()
    assert config.data.val == (tmp_path / "val").resolve()
    assert config.output == (tmp_path / "run").resolve()


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text('name = "mine"\nversions = ["v3+"]\noutput = "out"\n[data]\ntrain = "a"\nval = "b"\n')
    config = read_config(path)
    assert config.teacher is None
    assert config.data.train_split == "train"
    assert config.schedule.phases[-1].until == 1
    assert not config.half


def test_the_configuration_of_the_starter_models_is_complete() -> None:
    config = read_config(STARTER)
    assert config.versions == ("v1", "v2", "v3", "v3+")
    assert config.teacher is not None
    assert len(config.data.focus) == 7
    assert isinstance(config.schedule.phases[0], Phase)
    assert config.schedule.phases[0].crop < config.schedule.phases[-1].crop


@pytest.mark.parametrize(
    ("start", "line", "words"),
    [
        ("versions", 'versions = ["v4"]', "'v4', not one of v1, v2, v3, v3+"),
        ("versions", "versions = []", "versions names none"),
        ("versions", 'versions = ["v1", "v1"]', "one twice"),
        ("name", "", "name is missing"),
        ("name", "name = 5", "name is 5, not str"),
        ("seed", "seed = true", "seed is True, not int"),
        ("seed", "sead = 1", "nothing is called sead"),
        ("batch", "batch = 1", "at least 2"),
        ("crops", "crops = 0", "at least 1"),
        ("learning_rate", "learning_rate = -1", "at least"),
        ("photo_side", 'photo_side = "big"', "not int"),
        ("phases", "phases = []", "until 1.0"),
        ("phases", "phases = [{ until = 1.0, crop = 32, scale = [0.5, 1.0] }]", "multiple of 16"),
        ("phases", "phases = [{ until = 1.0, crop = 33, scale = [1.0, 0.5] }]", "smaller first"),
        ("phases", "phases = [{ until = 1.0, crop = 33, scale = [1.0] }]", "1 values, not 2"),
        ("phases", "phases = 7", "not a list"),
        ("output_stride", "output_stride = 4", "8 or 16"),
        ("warmup", "heads_from = 1.5", "below 1"),
        ("train", "train = 3", "not a path"),
        ("[data]", "[date]", "nothing is called date"),
        ("crops", "crops = = 3", "it is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, start: str, line: str, words: str) -> None:
    path = write_config(tmp_path, tmp_path, tmp_path, **{start: line})
    with pytest.raises(StudioError) as caught:
        read_config(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith("tiny.toml: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"none\.toml"):
        read_config(tmp_path / "none.toml")


def test_a_table_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text('name = "x"\nversions = ["v3"]\noutput = "o"\ndata = 3\n')
    with pytest.raises(StudioError, match="data is not a table"):
        read_config(path)


def test_python_310_has_its_own_reader() -> None:
    if sys.version_info < (3, 11):
        import tomli

        assert tomli.loads("a = 1") == {"a": 1}
    else:
        import tomllib

        assert tomllib.loads("a = 1") == {"a": 1}
