"""Teaching a model from the command line, in a process of its own that is stopped, killed and started again."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from deeplab_studio.checkpoints.native import HEADER_KEY, read_safetensors
from deeplab_studio.cli import main
from deeplab_studio.training.records import STEPS, read_rows
from tests.training_sets import write_config, write_set

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "deeplab_studio.cli", "train", *map(str, arguments), "--device", "cpu"]


def train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, encoding="utf-8", check=False, env=ENVIRONMENT
    )


def train_here(*arguments: str | Path) -> int:
    """The same in this process, which need not import torch again."""
    return main(["train", *map(str, arguments), "--device", "cpu"])


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return write_set(folder / "train", 6), write_set(folder / "val", 2, seed=9)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < end, f"{path.name} did not come"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_bit_for_bit_like_one_that_was_not(
    tmp_path: Path, sets: tuple[Path, Path]
) -> None:
    often = {"checkpoint_seconds": "checkpoint_seconds = 1", "crops": "crops = 100"}
    config = write_config(tmp_path, *sets, **often)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    whole = train(config, "--output", straight)
    assert whole.returncode == 0, whole.stderr
    with subprocess.Popen(
        command(config, "--output", killed), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(killed / "checkpoint.pt", process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "tiny-v3.safetensors").exists()
    again = train(config, "--output", killed, "--resume")
    assert again.returncode == 0, again.stderr
    assert "Going on after" in again.stderr
    whole_run, resumed = (read_safetensors(folder / "tiny-v3.safetensors") for folder in (straight, killed))
    assert whole_run.keys() == resumed.keys()
    assert [name for name in resumed if name != HEADER_KEY and not torch.equal(resumed[name], whole_run[name])] == []
    crops = [int(row["crops"]) for row in read_rows(killed / STEPS)]
    assert crops == sorted(set(crops))


def test_a_run_is_scored_as_evaluate_scores(
    tmp_path: Path, sets: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, *sets)
    assert train_here(config) == 0
    run, told = tmp_path / "run", capsys.readouterr().out
    scored = json.loads((run / "tiny-v3.json").read_text(encoding="utf-8"))
    assert scored["images"] == 2
    assert set(scored["iou"]) == {"background", "sky", "grass"}
    assert f"mIoU\t{scored['miou']:.4f}" in told
    assert str(run / "tiny-v3.safetensors") in told
    # Another start would overwrite it.
    assert train_here(config) == 1
    assert "there is a run in this folder already. Go on with --resume" in capsys.readouterr().err


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(tmp_path: Path, sets: tuple[Path, Path]) -> None:
    config = write_config(tmp_path, *sets, crops="crops = 100000", checkpoint_seconds="checkpoint_seconds = 1")
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    with subprocess.Popen(command(config), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(checkpoint, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"go on with --resume" in errors
    assert train_here(config, "--resume", "--crops", "1") == 0  # an end that is past: scored and saved at once
    assert (tmp_path / "run" / "tiny-v3.safetensors").exists()


def test_photos_that_were_left_out_are_named_and_make_it_exit_1(
    tmp_path: Path, sets: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_set(tmp_path / "broken", 3)
    (broken / "SegmentationClass" / "broken001.png").unlink()
    assert train_here(write_config(tmp_path, broken, sets[1]), "--crops", "8") == 1
    assert "broken001.png: it has no mask. Label it or take it off the list." in capsys.readouterr().err
    assert (tmp_path / "run" / "tiny-v3.safetensors").exists()


def test_a_set_of_one_class_is_refused_before_anything_is_taught(
    tmp_path: Path, sets: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    single = write_set(tmp_path / "single", 2)
    for path in (single / "SegmentationClass").iterdir():
        Image.new("L", (64, 48)).save(path)
    assert train_here(write_config(tmp_path, single, sets[1])) == 1
    told = capsys.readouterr().err
    assert told.startswith("deeplab-studio: single: all its masks hold one class alone (background)")
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.parametrize("arguments", [("--crops", "0"), ("--threads", "many"), ("--device", "abacus")])
def test_wrong_usage_exits_2(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "any.toml", *arguments])
    assert caught.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_a_terminal_shows_progress(tmp_path: Path, sets: tuple[Path, Path]) -> None:
    ours, theirs = pty.openpty()
    environment = ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command(write_config(tmp_path, *sets)), env=environment, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode == 0
    assert b"Training" in shown
    assert b"loss" in shown
    assert b"/24" in shown
