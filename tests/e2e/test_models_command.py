"""``deeplab-studio models`` in a process of its own, on real files and a real server."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deeplab_studio.checkpoints.catalogue import cards, find_card
from deeplab_studio.checkpoints.library import ModelLibrary
from deeplab_studio.checkpoints.native import Provenance, save_native
from tests.fixture_checkpoints import torchvision_network, write_zoo
from tests.model_server import CONTENT, ModelServer, serving
from tests.starter_kit import drawn_model

REPOSITORY = Path(__file__).resolve().parents[2]
UNHASHED = next(card for card in cards() if card.digest is None and card.bytes is None)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "deeplab_studio.cli", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", **more}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("models", *arguments), capture_output=True, text=True, encoding="utf-8", check=False, env=environment()
    )


def run_on_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and everything shown."""
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        command("models", *arguments),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(TERM="xterm", COLUMNS="120", LINES="50"),
    )
    os.close(terminal)
    shown = b""
    while select.select([screen], [], [], 60)[0]:
        try:
            block = os.read(screen, 4096)
        except OSError:  # Linux's way of saying that nobody writes any more
            break
        if not block:
            break
        shown += block
    os.close(screen)
    return process.wait(), shown.decode("utf-8")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as server:
        yield server


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.pth"
    torch.save(torchvision_network(classes=3, aux=False).state_dict(), path)
    return path


# --- list -------------------------------------------------------------------------------------------------------------


def test_list_names_what_is_here_and_what_can_be_got(mine: Path) -> None:
    added = run("add", mine).stdout.strip()
    done = run("list", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (model,) = found["installed"]
    assert model["id"] == added
    assert (model["state"], model["source"]) == ("ready", str(mine))
    assert "torchvision-v3-resnet50" in {card["id"] for card in found["available"]}
    assert found["disk_use"] > 0


def test_list_is_lines_with_tabs_when_piped_and_a_table_on_a_terminal(mine: Path) -> None:
    added = run("add", mine).stdout.strip()
    lines = [line.split("\t") for line in run("list").stdout.splitlines()]
    assert lines[0][0] == added
    assert {len(line) for line in lines} == {6}
    assert [line[0] for line in lines if line[5] == "available"]
    code, shown = run_on_a_terminal("list")
    assert code == 0
    assert "state" in shown
    assert "\t" not in shown


# --- inspect ----------------------------------------------------------------------------------------------------------


def test_inspect_takes_a_file_apart(mine: Path) -> None:
    done = run("inspect", mine, "--size", "640x480", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["version"], found["backbone"], found["output_stride"]) == ("v3", "mobilenet_v3_large", 16)
    assert found["photo_size"] == [480, 640]
    assert found["input_size"] == [520, 693]
    assert found["classes"] == ["class 0", "class 1", "class 2"]
    rates = {entry["layer"]: entry["rate"][0] for entry in found["atrous"]}
    assert rates["aspp.branches.1"] == 12
    (warning,) = found["warnings"]
    assert "rate 36 exceeds the feature map of 44 x 33" in warning
    assert "works as 1x3" in warning


def test_inspect_at_another_output_stride(tmp_path: Path) -> None:
    zoo = write_zoo(tmp_path / "zoo.npz")
    published, coarse = (
        json.loads(run("inspect", zoo, "--json", *options).stdout) for options in ((), ("--output-stride", "16"))
    )
    assert (published["output_stride"], coarse["output_stride"]) == (8, 16)
    assert published["output_strides"] == coarse["output_strides"] == [8, 16]
    assert published["scales"] == [1.0]
    assert coarse["multiply_adds"] < published["multiply_adds"]
    assert "output stride\t16; also 8\n" in run("inspect", zoo, "--output-stride", "16").stdout


def test_inspect_reads_well_in_a_pipe_and_on_a_terminal(mine: Path) -> None:
    done = run("inspect", mine)
    assert done.returncode == 0, done.stderr
    assert "receptive field\t" in done.stdout
    assert "warning: aspp.branches.3" in done.stderr
    code, shown = run_on_a_terminal("inspect", mine)
    assert code == 0
    for words in ("DeepLabv3 MobileNetV3-Large", "Atrous convolutions", "73x73", "Separable convolutions", "saved"):
        assert words in shown


def test_inspect_tells_where_a_converted_model_comes_from(mine: Path) -> None:
    model = run("add", mine).stdout.strip()
    done = run("inspect", model, "--json")
    assert json.loads(done.stdout)["provenance"]["source"] == str(mine)


@pytest.mark.parametrize("size", ["0x10", "640", "axb", "640x480x3", "-1x5"])
def test_a_size_that_is_none_is_wrong_usage(size: str) -> None:
    done = run("inspect", "x.pth", "--size", size)
    assert done.returncode == 2
    assert "usage: deeplab-studio models inspect" in done.stderr


# --- add --------------------------------------------------------------------------------------------------------------


def test_add_converts_and_other_commands_take_the_id(tmp_path: Path, mine: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\ufeffbackground\ncat\n개\n\n", "utf-8")
    added = run("add", mine, "--classes", names)
    assert added.returncode == 0, added.stderr
    model = added.stdout.strip()
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(photo)
    logits = []
    for name in (model, str(mine)):
        out = tmp_path / "logits.npy"
        done = subprocess.run(
            command("logits", name, photo, out, "--json"),
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        assert done.returncode == 0, done.stderr
        logits.append(np.load(out))
        if name == model:
            assert json.loads(done.stdout)["classes"] == ["background", "cat", "개"]
    np.testing.assert_array_equal(*logits)


def test_one_bad_file_among_good_ones_is_named_and_the_rest_added(tmp_path: Path, mine: Path) -> None:
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"not weights")
    done = run("add", bad, mine, tmp_path / "absent.pth")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert str(bad) in done.stderr
    assert "absent.pth" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_that_do_not_fit_are_refused(tmp_path: Path, mine: Path) -> None:
    (tmp_path / "names.txt").write_text("only one\n")
    done = run("add", mine, "--classes", tmp_path / "names.txt")
    assert done.returncode == 1
    assert "3 classes, 1 names were given" in done.stderr
    assert ModelLibrary().installed() == []


# --- get --------------------------------------------------------------------------------------------------------------


def test_get_downloads_once_and_resumes(server: ModelServer) -> None:
    mirror = server.url("/{file}")
    server.behaviour.cut_after, server.behaviour.cuts = 1_000_000, 1
    done = run("get", UNHASHED.id, "--mirror", mirror)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.read_bytes() == CONTENT
    assert any(asked and asked.startswith("bytes=") for asked in server.ranges)
    asked = len(server.behaviour.requests)
    again = run("get", UNHASHED.id, "--mirror", mirror)
    assert again.returncode == 0
    assert "is here already" in again.stderr
    assert len(server.behaviour.requests) == asked


def test_get_shows_a_bar_on_a_terminal(server: ModelServer) -> None:
    server.behaviour.pause = 0.02
    code, shown = run_on_a_terminal("get", UNHASHED.id, "--mirror", server.url("/{file}"))
    assert code == 0
    assert UNHASHED.title in shown
    assert "MB" in shown


def test_a_file_with_another_hash_is_not_installed(server: ModelServer) -> None:
    done = run("get", "torchvision-v3-resnet50", "--mirror", server.url("/{file}"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    card = find_card("torchvision-v3-resnet50")
    assert card is not None
    assert ModelLibrary().of_card(card) is None


def test_an_unknown_id_is_answered_with_close_ones() -> None:
    done = run("get", "torchvision-v3-resnet5")
    assert done.returncode == 1
    assert "Did you mean torchvision-v3-resnet50" in done.stderr


def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    done = run("inspect", "torchvision-v3-resnet50")
    assert done.returncode == 1
    assert "deeplab-studio models get torchvision-v3-resnet50" in done.stderr


# --- remove and verify ------------------------------------------------------------------------------------------------


def test_remove_deletes_from_the_library_and_leaves_the_original(mine: Path) -> None:
    model = run("add", mine).stdout.strip()
    done = run("remove", model, "never-heard-of")
    assert done.returncode == 1
    assert not Path(done.stdout.strip()).exists()
    assert "never-heard-of" in done.stderr
    assert mine.exists()
    assert ModelLibrary().installed() == []


def test_verify_notices_a_changed_file(mine: Path) -> None:
    model = run("add", mine).stdout.strip()
    fine = run("verify")
    assert fine.returncode == 0
    assert fine.stdout.split("\t")[:2] == ["ready", model]
    found = ModelLibrary().find(model)
    assert found is not None
    with found.path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"oops")
    changed = run("verify", model, "--json")
    assert changed.returncode == 1
    assert json.loads(changed.stdout)["verified"][0]["state"] == "changed"
    assert "its content is not what is known" in changed.stderr


# --- export -----------------------------------------------------------------------------------------------------------


def test_export_writes_onnx_and_states_the_difference(tmp_path: Path) -> None:
    import onnxruntime

    out = tmp_path / "starter.onnx"
    save_native(drawn_model("v3"), tmp_path / "starter.safetensors", provenance=Provenance())
    done = run("export", tmp_path / "starter.safetensors", out, "--output-stride", "8", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["max_difference"] <= 1e-3
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": np.zeros((1, 3, 65, 97), np.float32)})
    assert logits.shape == (1, 21, 9, 13)


def test_export_to_another_suffix_is_wrong_usage(tmp_path: Path) -> None:
    done = run("export", write_zoo(tmp_path / "m.npz"), tmp_path / "m.bin")
    assert done.returncode == 2
    assert "must end in .onnx" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["dance"], ["add"], ["get"], ["remove"], ["inspect"], ["export", "m.pth"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: deeplab-studio models" in done.stderr


def test_help_answers_without_loading_anything_heavy() -> None:
    code = (
        "import sys\n"
        "from deeplab_studio.cli import main\n"
        "try:\n    main(['models', 'add', '--help'])\nexcept SystemExit as done:\n    assert not done.code\n"
        "heavy = {'torch', 'numpy', 'cv2', 'PySide6', 'PIL', 'rich', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
