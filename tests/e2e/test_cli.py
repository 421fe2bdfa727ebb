"""The command line as a person or a script runs it: in a process of its own, on real files."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.core.voc import read_voc, safe_id, validate_voc
from tests.fixture_checkpoints import ZOO_FILE, fixture_image, write_fixture, write_zoo


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    repository = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(repository), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "deeplab_studio.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, cwd=cwd, env=environment
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_zoo(tmp_path_factory.mktemp("model") / "zoo.npz")


def photo(path: Path, size: tuple[int, int] = (60, 44), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        photo(tmp_path / "in" / f"photo {i}.jpg", seed=i)
    return tmp_path / "in"


# --- The program itself ---------------------------------------------------------------------------------------------


def test_version_and_help_answer_without_loading_anything_heavy() -> None:
    code = (
        "import sys\n"
        "from deeplab_studio.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as done:\n    assert not done.code\n"
        "heavy = {'torch', 'numpy', 'cv2', 'PySide6', 'PIL', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for arguments in (["--version"], ["--help"], ["segment", "--help"], ["evaluate", "--help"], ["logits", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_help_names_the_commands_and_how_to_open_a_file_called_like_one() -> None:
    done = run("--help")
    assert all(word in done.stdout for word in ("segment", "evaluate", "logits", "./segment"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["segment"],
        ["segment", "a.jpg"],
        ["segment", "a.jpg", "--model", "m.pth", "--out", "o", "--format", "gif"],
        ["segment", "a.jpg", "--model", "m.pth", "--out", "o", "--device", "toaster"],
        ["segment", "a.jpg", "--model", "m.pth", "--out", "o", "--crf", "no-such-preset"],
        ["segment", "a.jpg", "--model", "m.pth", "--out", "o", "--crf", "w1=-4"],
        ["segment", "a.jpg", "--model", "m.pth", "--out", "o", "--crf", "x=4"],
        ["logits", "m.pth", "a.jpg"],
        ["logits", "m.pth", "a.jpg", "out.txt"],
        ["evaluate", "--model", "m.pth"],
    ],
)
def test_wrong_usage_exits_with_2_and_shows_the_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: deeplab-studio" in done.stderr
    assert "Traceback" not in done.stderr


# --- segment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["index", "npy"])
def test_segment_writes_class_ids(tmp_path: Path, folder: Path, model: Path, form: str) -> None:
    done = run("segment", folder, "--model", model, "--out", tmp_path / "out", "--format", form)
    assert done.returncode == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert [path.stem for path in written] == ["photo 0", "photo 1", "photo 2"]
    for path in written:
        stored = np.load(path) if form == "npy" else np.asarray(Image.open(path))
        assert stored.shape == (44, 60)
        assert stored.dtype == np.uint8
        assert stored.max() < 21


def test_segment_writes_the_colours_of_the_classes(tmp_path: Path, folder: Path, model: Path) -> None:
    for form in ("index", "colour"):
        run("segment", folder, "--model", model, "--out", tmp_path / form, "--format", form)
    ids = np.asarray(Image.open(tmp_path / "index" / "photo 1.png"))
    colours = np.asarray(Image.open(tmp_path / "colour" / "photo 1.png"))
    np.testing.assert_array_equal(colours, VOC_LABELS.palette()[ids])


def test_segment_writes_a_valid_voc_data_set(tmp_path: Path, folder: Path, model: Path) -> None:
    out = tmp_path / "out"
    done = run("segment", folder, "--model", model, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["written"], summary["skipped"], summary["failed"]) == (3, 0, [])
    assert validate_voc(out) == []
    dataset = read_voc(out)
    assert [item.name for item in dataset.items] == [safe_id(f"photo {i}") for i in range(3)]
    for item in dataset.items:
        assert item.mask is not None
        assert np.asarray(Image.open(item.mask)).max() < 21


@pytest.mark.parametrize("form", ["voc", "index", "colour", "npy"])
def test_resume_counts_what_is_there_and_makes_damaged_files_again(
    tmp_path: Path, folder: Path, model: Path, form: str
) -> None:
    out = tmp_path / "out"
    arguments = ("segment", folder, "--model", model, "--out", out, "--format", form, "--resume", "--json")
    first = json.loads(run(*arguments).stdout)
    assert (first["written"], first["skipped"]) == (3, 0)
    before = {path: Path(path).read_bytes() for path in first["files"]}
    damaged, other_size, _ = first["files"]
    os.truncate(damaged, 60)
    if form == "npy":
        np.save(other_size, np.zeros((3, 3), np.uint8))
    else:
        Image.new("P" if form == "voc" else "L", (3, 3)).save(other_size)

    done = run(*arguments)
    second = json.loads(done.stdout)
    assert done.returncode == 0
    assert (second["written"], second["skipped"]) == (2, 1)
    assert set(second["files"]) == {damaged, other_size}
    assert {path: Path(path).read_bytes() for path in before} == before


def test_a_failed_input_is_named_with_its_reason_and_the_rest_goes_on(
    tmp_path: Path, folder: Path, model: Path
) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    missing = tmp_path / "missing.jpg"
    done = run("segment", folder, missing, "--model", model, "--out", tmp_path / "out", "--format", "npy", "--json")
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert summary["written"] == 3
    assert {Path(failed["path"]).name for failed in summary["failed"]} == {"broken.png", "missing.jpg"}
    assert all(failed["reason"] for failed in summary["failed"])
    assert "broken.png" in done.stderr
    assert "missing.jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_photos_of_one_name_do_not_overwrite_each_other(tmp_path: Path, model: Path) -> None:
    photo(tmp_path / "in" / "a.jpg", (30, 20))
    photo(tmp_path / "in" / "a.png", (40, 20))
    photo(tmp_path / "in" / "deep" / "a.jpg", (50, 20))
    for form, folder in (("npy", "."), ("voc", "SegmentationClass")):
        out = tmp_path / form
        done = run("segment", tmp_path / "in", "--model", model, "--out", out, "--format", form)
        assert done.returncode == 0, done.stderr
        widths = [
            (np.load(path) if form == "npy" else np.asarray(Image.open(path))).shape[1]
            for path in (out / folder).iterdir()
            if path.suffix in (".npy", ".png")
        ]
        assert sorted(widths) == [30, 40, 50]


def test_of_a_voc_data_set_the_photos_are_segmented_not_the_masks(tmp_path: Path, folder: Path, model: Path) -> None:
    run("segment", folder, "--model", model, "--out", tmp_path / "voc")
    done = run("segment", tmp_path / "voc", "--model", model, "--out", tmp_path / "again", "--format", "npy")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_what_an_earlier_run_wrote_into_the_folder_is_no_input(folder: Path, model: Path) -> None:
    for _ in range(2):
        done = run("segment", folder, "--model", model, "--out", folder / "masks", "--format", "index")
        assert len(done.stdout.splitlines()) == 3


def test_the_output_may_lie_above_the_photos_but_not_among_them(tmp_path: Path, folder: Path, model: Path) -> None:
    above = run("segment", folder, "--model", model, "--out", tmp_path, "--format", "npy")
    assert above.returncode == 0, above.stderr
    assert len(above.stdout.splitlines()) == 3
    among = run("segment", folder, "--model", model, "--out", folder, "--format", "index")
    assert among.returncode == 1
    assert "among" in among.stderr


def test_a_photo_is_never_written_over(tmp_path: Path, model: Path) -> None:
    picture = photo(tmp_path / "in" / "a.png")
    before = picture.read_bytes()
    done = run("segment", picture, "--model", model, "--out", picture.parent, "--format", "index")
    assert done.returncode == 1
    assert "write over" in done.stderr
    assert picture.read_bytes() == before


def test_a_broken_model_is_refused_in_one_sentence(tmp_path: Path, folder: Path) -> None:
    broken = tmp_path / "model.pth"
    broken.write_text("<html>404</html>")
    done = run("segment", folder, "--model", broken, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("deeplab-studio: model.pth: this is a web page")
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path: Path, folder: Path) -> None:
    done = run("segment", folder, "--model", "no-such-model", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "no-such-model" in done.stderr
    assert "Models there" in done.stderr


def test_the_crf_sharpens(tmp_path: Path, folder: Path, model: Path) -> None:
    out = tmp_path / "out"
    done = run("segment", folder, "--model", model, "--out", out, "--format", "npy", "--json", "--crf", "w1=8,it=3")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["crf"]["appearance_weight"], summary["crf"]["iterations"]) == (8, 3)


def test_every_engine_of_the_crf_gives_the_same(tmp_path: Path, folder: Path, model: Path) -> None:
    from deeplab_studio.crf import crf_backend, reference_available

    there = ["torch", *(["kernel"] * (crf_backend() == "kernel")), *(["reference"] * reference_available())]
    found = {}
    for engine in there:
        out = tmp_path / engine
        arguments = ("--out", out, "--format", "npy", "--crf", "w1=8,it=3", "--crf-engine", engine)
        done = run("segment", folder, "--model", model, *arguments)
        assert done.returncode == 0, done.stderr
        found[engine] = [np.load(path) for path in sorted(out.iterdir())]
    for engine in there[1:]:
        pairs = zip(found[engine], found["torch"], strict=True)
        assert all((ours == theirs).mean() >= 0.9999 for ours, theirs in pairs)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_on_a_terminal_there_is_a_progress_bar_and_stdout_stays_clean(
    tmp_path: Path, folder: Path, model: Path
) -> None:
    screen, terminal = pty.openpty()
    repository = Path(__file__).resolve().parents[2]
    arguments = ["segment", folder, "--model", model, "--out", tmp_path / "o", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "deeplab_studio.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=os.environ | {"PYTHONPATH": str(repository), "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
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
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
    os.close(screen)
    assert process.returncode == 0
    assert summary["written"] == 3
    assert b"Segmenting" in shown
    assert b"3/3" in shown


# --- logits ---------------------------------------------------------------------------------------------------------


def test_logits_are_native_at_the_images_own_size(tmp_path: Path, model: Path) -> None:
    picture = photo(tmp_path / "photo.png", (60, 44))
    done = run("logits", model, picture, tmp_path / "out.npy", "--json")
    assert done.returncode == 0, done.stderr
    stored = np.load(tmp_path / "out.npy")
    assert stored.dtype == np.float32
    assert stored.shape == (21, 9, 9)  # padded to 65 x 65 by the network's need
    assert json.loads(done.stdout)["shape"] == [21, 9, 9]


def test_logits_at_another_output_stride(tmp_path: Path, model: Path) -> None:
    picture = photo(tmp_path / "photo.png", (60, 44))
    done = run("logits", model, picture, tmp_path / "out.npy", "--output-stride", "16", "--json")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "out.npy").shape == (21, 5, 5)
    told = json.loads(done.stdout)
    assert told["output_stride"] == 16
    assert told["model"].endswith("-os16")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--output-stride", "32"], "zoo.npz: this network has no output stride 32. Possible: 8, 16."),
        (["--scales", "multi"], "zoo.npz: this network looks at one scale alone. Leave the choice of scales out."),
    ],
)
def test_what_the_model_does_not_leave_open_is_refused_in_one_sentence(
    tmp_path: Path, folder: Path, model: Path, options: list[str], reason: str
) -> None:
    done = run("segment", folder, "--model", model, "--out", tmp_path / "out", *options)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_logits_equal_the_published_networks(shared: Path, tmp_path: Path) -> None:
    name = "tv_v3_mobilenet_v3_large"
    checkpoint = write_fixture(shared, name, tmp_path / "model.pth")
    assert fixture_image(shared, name).shape == (241, 321, 3)
    done = run("logits", checkpoint, shared / "fixtures" / name / "input.png", tmp_path / "out.npy")
    assert done.returncode == 0, done.stderr
    with np.load(shared / "fixtures" / name / "logits.npz") as peer:
        np.testing.assert_allclose(np.load(tmp_path / "out.npy"), peer["native"], atol=1e-3, rtol=0)


def test_logits_of_what_is_no_image_are_an_error(tmp_path: Path, model: Path) -> None:
    done = run("logits", model, model, tmp_path / "out.npy")
    assert done.returncode == 1
    assert "zoo.npz" in done.stderr
    assert not (tmp_path / "out.npy").exists()


# --- evaluate -------------------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path, folder: Path, model: Path) -> Path:
    """A data set whose masks are the model's own predictions, void in the first rows."""
    root = tmp_path / "voc"
    done = run("segment", folder, "--model", model, "--out", root)
    assert done.returncode == 0, done.stderr
    for mask in (root / "SegmentationClass").iterdir():
        with Image.open(mask) as stored:
            picture = stored.copy()
        picture.paste(255, (0, 0, 60, 4))
        picture.save(mask)
    return root


def test_evaluate_scores_against_the_masks_and_leaves_void_out(tmp_path: Path, dataset: Path, model: Path) -> None:
    report = tmp_path / "report.json"
    done = run("evaluate", dataset, "--split", "trainval", "--model", model, "--json", report)
    assert done.returncode == 0, done.stderr
    result = json.loads(report.read_text())
    assert set(result) == {"miou", "pixel_accuracy", "iou", "images", "seconds_per_image", "model", "crf"}
    assert (result["images"], result["crf"]) == (3, None)
    assert result["seconds_per_image"] > 0
    # The masks went through no JPEG, the photos did before they were predicted: the scores are the same.
    assert result["miou"] == 1.0
    assert result["pixel_accuracy"] == 1.0
    assert list(result["iou"]) == list(VOC_LABELS.names)
    assert None in result["iou"].values()
    table = dict(line.split("\t") for line in done.stdout.splitlines())
    assert table["mIoU"] == "1.0000"


def test_evaluate_writes_json_alone_to_stdout(dataset: Path, model: Path) -> None:
    done = run("evaluate", dataset, "--split", "trainval", "--model", model, "--json", "-", "--crf", "w1=4,it=2")
    result = json.loads(done.stdout)
    assert result["crf"]["iterations"] == 2


def test_evaluate_names_the_stride_that_is_not_the_published_one(dataset: Path, model: Path) -> None:
    options = ("--output-stride", "16", "--scales", "single", "--json", "-")
    done = run("evaluate", dataset, "--split", "trainval", "--model", model, *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"].endswith("-os16")
    assert result["miou"] < 1.0  # the masks are its labels at stride 8


def test_evaluate_goes_on_after_a_broken_photo_and_exits_with_1(dataset: Path, model: Path) -> None:
    broken = next((dataset / "JPEGImages").iterdir())
    broken.write_bytes(b"nothing")
    done = run("evaluate", dataset, "--split", "trainval", "--model", model, "--json", "-")
    assert done.returncode == 1
    assert json.loads(done.stdout)["images"] == 2
    assert broken.name in done.stderr


def test_evaluate_names_the_lists_there_are(dataset: Path, model: Path) -> None:
    done = run("evaluate", dataset, "--split", "nonsense", "--model", model)
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert "trainval" in done.stderr


def test_evaluate_refuses_a_model_of_other_classes(tmp_path: Path, dataset: Path) -> None:
    other = write_zoo(tmp_path / "other.npz", classes=4)
    done = run("evaluate", dataset, "--split", "trainval", "--model", other)
    assert done.returncode == 1
    assert "no counterpart" in done.stderr


def test_evaluate_reaches_the_published_score_on_a_sample(shared: Path, tmp_path: Path) -> None:
    source, root = shared / "data" / "voc", tmp_path / "voc"
    names = (source / "ImageSets/Segmentation/val.txt").read_text().split()[::20][:12]
    for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (root / folder).mkdir(parents=True)
        for name in names:
            (root / folder / f"{name}{suffix}").symlink_to(source / folder / f"{name}{suffix}")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(names))
    done = run("evaluate", root, "--model", shared / ZOO_FILE, "--json", "-", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["miou"] > 0.6


# --- compare --------------------------------------------------------------------------------------------------------


def test_compare_writes_a_report_on_a_data_set(tmp_path: Path, dataset: Path, model: Path) -> None:
    other = write_zoo(tmp_path / "other.npz", seed=1)
    arguments = ("--split", "trainval", "--crf", "none", "--crf", "w1=4,it=1", "--report", tmp_path / "out", "--json")
    done = run("compare", dataset, "--model", model, "--model", other, *arguments)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["models"]) == 4
    assert result == json.loads((tmp_path / "out" / "report.json").read_text())
    # The masks are the first model's own predictions.
    assert result["models"][0]["miou"] == 1.0
    assert result["models"][2]["miou"] < 1.0
    assert "<img" in (tmp_path / "out" / "report.html").read_text()


def test_compare_shows_what_models_say_of_one_photo(tmp_path: Path, folder: Path, model: Path) -> None:
    other = write_zoo(tmp_path / "other.npz", seed=1)
    arguments = ("--model", model, "--model", other, "--report", tmp_path / "out", "--json")
    done = run("compare", folder / "photo 0.jpg", *arguments)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [sum(each["pixels"].values()) for each in result["models"]] == [60 * 44, 60 * 44]
    assert 0 <= result["pairs"][0]["pixel_agreement"] < 1
    assert "Where they differ" in (tmp_path / "out" / "report.html").read_text()


def test_compare_needs_a_model_and_a_place_for_the_report(dataset: Path, model: Path) -> None:
    assert run("compare", dataset, "--model", model).returncode == 2
    assert run("compare", dataset, "--report", "out").returncode == 2
