from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deeplab_studio.checkpoints import Preprocessing, SizeRule, load_checkpoint
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.engine import Predictor
from deeplab_studio.engine import predictor as predictor_module
from tests.fixture_checkpoints import TinyNetwork, tiny_model, write_zoo


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with noise on them."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 50 + 2, width // 50 + 2, 3)).astype(np.uint8)
    smooth = np.kron(coarse, np.ones((50, 50, 1), np.uint8))[:height, :width]
    return (0.8 * smooth + generator.integers(0, 51, smooth.shape)).astype(np.uint8)


class Counting(nn.Module):
    """Remembers the sizes it was shown; out of memory above a number of pixels."""

    def __init__(
        self, limit: int | None = None, error: type[Exception] = torch.OutOfMemoryError, text: str = ""
    ) -> None:
        super().__init__()
        self.inner = TinyNetwork()
        self.sizes: list[tuple[int, int]] = []
        self.limit = limit
        self.error = error
        self.text = text

    def __deepcopy__(self, memo: object) -> Counting:
        return self  # the test looks into the network the predictor uses

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = (x.shape[2], x.shape[3])
        self.sizes.append(size)
        if self.limit is not None and size[0] * size[1] > self.limit:
            raise self.error(self.text)
        result: torch.Tensor = self.inner(x)
        return result


@pytest.fixture
def small_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "PASS_PIXELS", 200_000)
    monkeypatch.setattr(predictor_module, "TILE_SIDES", (256, 192, 160))


def test_one_pass_gives_the_networks_output() -> None:
    network = TinyNetwork()
    image = photo(101, 140)
    scores = Predictor(tiny_model(network), "cpu").predict(image)
    normal = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
    with torch.inference_mode():
        expected = network(normal)[0].numpy()
    np.testing.assert_allclose(scores.logits, expected, atol=1e-5)
    assert scores.image_size == (101, 140)


@pytest.mark.usefixtures("small_passes")
@pytest.mark.parametrize("size", [(700, 900), (701, 903), (300, 2000)])
def test_tiles_equal_one_pass_where_the_network_sees_no_further_than_the_overlap(size: tuple[int, int]) -> None:
    """The margin left out of every overlap is wider than this network's view, so nothing shows where tiles meet."""
    image = photo(*size)
    network = Counting()
    predictor = Predictor(tiny_model(network), "cpu")
    tiled = predictor.predict(image)
    assert len(network.sizes) > 4
    assert max(max(shape) for shape in network.sizes) <= 256
    whole = predictor.native_logits(image)
    np.testing.assert_allclose(tiled.logits, whole, atol=1e-4)
    assert tiled.class_map().shape == size


@pytest.mark.usefixtures("small_passes")
def test_tiles_of_a_network_with_same_padding_lie_on_its_grid() -> None:
    network = Counting()
    predictor = Predictor(tiny_model(network, align_corners=True, padding="same"), "cpu")
    image = photo(640, 520)
    tiled = predictor.predict(image)
    assert all(side % 32 == 1 for shape in network.sizes for side in shape)
    np.testing.assert_allclose(tiled.logits, predictor.native_logits(image), atol=1e-4)


class OddCells(nn.Module):
    """Output stride 8 with a cell more or less than that lets expect."""

    def __init__(self, *, ceil: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1 if ceil else 0)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=ceil)
        self.last = nn.Conv2d(4, 3, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(self.pool(self.first(x)))
        return result


@pytest.mark.usefixtures("small_passes")
@pytest.mark.parametrize("ceil", [True, False], ids=["a cell more", "a cell less"])
@pytest.mark.parametrize("size", [(640, 720), (641, 703), (646, 720), (300, 1201)])
def test_tiles_of_networks_with_odd_numbers_of_cells_fit_together(ceil: bool, size: tuple[int, int]) -> None:
    image = photo(*size)
    predictor = Predictor(tiny_model(OddCells(ceil=ceil)), "cpu")
    np.testing.assert_allclose(predictor.predict(image).logits, predictor.native_logits(image), atol=1e-4)


@pytest.mark.usefixtures("small_passes")
def test_tiles_are_cut_from_the_padded_photo() -> None:
    rule = Preprocessing(divisor=255.0, mean=(0, 0, 0), std=(1, 1, 1), pad_to=700, pad_place="around", pad_level=128)
    network = Counting()
    image = photo(401, 530)
    tiled = Predictor(tiny_model(network, preprocessing=rule), "cpu").predict(image)
    assert len(network.sizes) > 4
    padded = np.full((700, 700, 3), 128, np.uint8)
    padded[149:550, 85:615] = image
    whole = Predictor(tiny_model(Counting(), preprocessing=rule), "cpu").native_logits(padded)
    np.testing.assert_allclose(tiled.logits, whole, atol=1e-4)
    assert tiled.class_map().shape == (401, 530)


def test_progress_covers_all_scales_and_native_logits_have_one(tmp_path: Path) -> None:
    from tests.dialect_files import layout, random_state

    torch.save(random_state(layout("kazuto1011").shapes), tmp_path / "msc.pth")
    model = load_checkpoint(tmp_path / "msc.pth")
    image = photo(65, 97)
    seen: list[float] = []
    fused = Predictor(model, "cpu").predict(image, progress=seen.append).logits
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert any(0.4 < value < 0.6 for value in seen)
    single = Predictor(model.with_multi_scale(None), "cpu").predict(image).logits
    native = Predictor(model, "cpu").native_logits(image)
    np.testing.assert_allclose(native, single, atol=1e-5 * single.std())
    assert (fused >= single - 1e-4 * single.std()).all()
    assert not np.allclose(fused, single)
    np.testing.assert_array_equal(Predictor(model, "cpu").native_logits(image, several_scales=True), fused)


class WithImageLevel(nn.Module):
    """A local network plus the image's mean, as ASPP has."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = TinyNetwork()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        local = self.inner(x)
        result: torch.Tensor = local + local.mean((2, 3), keepdim=True)
        return result


@pytest.mark.usefixtures("small_passes")
def test_an_image_level_feature_leaves_no_seam_between_tiles() -> None:
    """Tiles disagree by what each sees of the image; blending spreads the difference over the whole overlap."""
    image = photo(300, 1800)
    image[:, 900:] //= 4
    predictor = Predictor(tiny_model(WithImageLevel()), "cpu")
    tiled = predictor.predict(image).logits
    whole = predictor.native_logits(image)
    offset = (tiled - whole).mean(axis=1)
    disagreement = np.ptp(offset, axis=1).max()
    assert disagreement > 0.01
    assert np.abs(np.diff(offset, axis=1)).max() < 0.5 * disagreement


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 20 MiB"),
        (RuntimeError, "MPS backend out of memory (MPS allocated: 1 GB)"),
        (RuntimeError, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory"),
        (MemoryError, ""),
    ],
)
def test_out_of_memory_steps_down_to_tiles_and_says_so(error: type[Exception], text: str) -> None:
    network = Counting(limit=300_000, error=error, text=text)
    notices: list[str] = []
    predictor = Predictor(tiny_model(network), "cpu", notices.append)
    image = photo(900, 1300)
    tiled = predictor.predict(image)
    assert len(notices) == 2
    assert "tiles of 1024" in notices[0]
    assert "tiles of 512" in notices[1]
    assert all(height * width <= 300_000 for height, width in network.sizes[2:])
    network.limit = None
    np.testing.assert_allclose(tiled.logits, predictor.native_logits(image), atol=1e-4)


def test_what_did_not_fit_is_not_tried_again() -> None:
    network = Counting(limit=300_000)
    notices: list[str] = []
    predictor = Predictor(tiny_model(network), "cpu", notices.append)
    predictor.predict(photo(900, 1300))
    told = len(notices)
    network.sizes.clear()
    predictor.predict(photo(900, 1300, seed=1))
    assert len(notices) == told
    assert all(height * width <= 300_000 for height, width in network.sizes)


def test_no_memory_at_all_is_an_error_with_a_next_step() -> None:
    predictor = Predictor(tiny_model(Counting(limit=0)), "cpu")
    with pytest.raises(StudioError, match="not enough memory") as caught:
        predictor.predict(photo(600, 700))
    assert caught.value.hint
    with pytest.raises(StudioError, match="one pass"):
        predictor.native_logits(photo(60, 70))


class FailsOnItsFirstDevice(TinyNetwork):
    """Out of memory until it was copied to another device."""

    generation = 0

    def __deepcopy__(self, memo: object) -> FailsOnItsFirstDevice:
        copied = FailsOnItsFirstDevice()
        copied.generation = self.generation + 1
        return copied

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.generation < 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def test_a_device_without_memory_hands_over_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "resolve_device", lambda _: "cpu:0")  # torch's second name for the CPU
    notices: list[str] = []
    predictor = Predictor(tiny_model(FailsOnItsFirstDevice()), "cuda", notices.append)
    image = photo(300, 280)
    scores = predictor.predict(image, progress=lambda _: None)
    assert predictor.device == "cpu"
    assert "tiles of 256" in notices[0]
    assert "going on on the CPU" in notices[1]
    np.testing.assert_array_equal(scores.logits, Predictor(tiny_model(), "cpu").predict(image).logits)


def test_other_errors_are_not_mistaken_for_a_lack_of_memory() -> None:
    network = Counting(limit=0, error=RuntimeError, text="shape mismatch")
    with pytest.raises(RuntimeError, match="shape mismatch"):
        Predictor(tiny_model(network), "cpu").predict(photo(64, 64))


@pytest.mark.usefixtures("small_passes")
def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    Predictor(tiny_model(), "cpu").predict(photo(600, 600), progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert seen[-1] == 1.0


@pytest.mark.usefixtures("small_passes")
def test_cancelling_stops_between_layers_and_leaves_the_predictor_usable() -> None:
    predictor = Predictor(tiny_model(), "cpu")
    token = CancelToken()
    seen: list[float] = []

    def stop_halfway(fraction: float) -> None:
        seen.append(fraction)
        if fraction >= 0.5:
            token.cancel()

    with pytest.raises(Cancelled):
        predictor.predict(photo(600, 600), cancel=token, progress=stop_halfway)
    assert seen[-1] < 0.6
    assert predictor.predict(photo(100, 100)).image_size == (100, 100)


def test_the_size_rule_of_the_model_is_applied_and_can_be_switched_off() -> None:
    rule = Preprocessing(divisor=255.0, mean=(0, 0, 0), std=(1, 1, 1), size=SizeRule("shorter", 80), pad_to=120)
    network = Counting()
    Predictor(tiny_model(network, preprocessing=rule), "cpu").predict(photo(160, 320))
    assert network.sizes[-1] == (120, 160)
    Predictor(tiny_model(network, preprocessing=rule), "cpu", size="native").predict(photo(160, 320))
    assert network.sizes[-1] == (160, 320)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (40, 1), (2, 3)])
def test_tiny_photos_have_scores(tmp_path: Path, size: tuple[int, int]) -> None:
    predictor = Predictor(load_checkpoint(write_zoo(tmp_path / "zoo.npz")), "cpu", size="native")
    assert predictor.predict(photo(*size)).class_map().shape == size


def test_a_very_long_photo_is_not_enlarged_beyond_reason() -> None:
    rule = Preprocessing(divisor=255.0, mean=(0, 0, 0), std=(1, 1, 1), size=SizeRule("shorter", 520))
    network = Counting()
    scores = Predictor(tiny_model(network, preprocessing=rule), "cpu").predict(photo(2, 5000))
    assert scores.class_map().shape == (2, 5000)
    assert sum(height * width for height, width in network.sizes) < 10_000_000


def test_scores_that_are_not_numbers_are_an_error() -> None:
    class Broken(TinyNetwork):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * float("nan")

    with pytest.raises(StudioError, match="not numbers"):
        Predictor(tiny_model(Broken()), "cpu").predict(photo(64, 64))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_photos_are_errors(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        Predictor(tiny_model(), "cpu").predict(image)


def test_openmp_is_told_not_to_spin_before_torch_is_loaded() -> None:
    code = (
        "import os; os.environ.pop('GOMP_SPINCOUNT', None); os.environ.pop('OMP_WAIT_POLICY', None)\n"
        "import sys, importlib.abc\n"
        "class Watch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import deeplab_studio.{module}\n"
        "assert 'torch' in sys.modules\n"
    )
    for module in ("networks.deeplab", "checkpoints.load", "crf.torch_core"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(module=module)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "1000"
