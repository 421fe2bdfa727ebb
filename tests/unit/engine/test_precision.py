from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.engine import Predictor
from deeplab_studio.engine.precision import TOLERATED, Arithmetic
from tests.fixture_checkpoints import ZOO_FILE, fixture_image, tiny_model


def photo(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 80, 3), np.uint8)


def predictor(network: nn.Module | None = None, precision: str = "fast") -> tuple[Predictor, list[str]]:
    notices: list[str] = []
    made = Predictor(tiny_model(network), "cpu", notices.append, size="native", precision=precision)  # type: ignore[arg-type]
    return made, notices


def test_exact_is_the_default_and_says_nothing() -> None:
    made, notices = predictor(precision="exact")
    made.predict(photo())
    assert made.arithmetic == Predictor(tiny_model(), "cpu").arithmetic == "float32"
    assert notices == []


def test_fast_computes_in_bfloat16_and_tells_once_what_that_changes() -> None:
    made, notices = predictor()
    exact, _ = predictor(precision="exact")
    for seed in range(2):
        fast, reference = made.predict(photo(seed)).logits, exact.predict(photo(seed)).logits
        assert fast.dtype == np.float32
        assert not np.array_equal(fast, reference)
        np.testing.assert_allclose(fast, reference, atol=0.05 * np.abs(reference).max())
    assert made.arithmetic == "bfloat16"
    (notice,) = notices
    assert notice.startswith("Fast precision (bfloat16): ")
    assert "of the labels of this photo differ from the exact ones" in notice


def test_the_share_of_changed_labels_is_the_true_one() -> None:
    made, notices = predictor()
    exact, _ = predictor(precision="exact")
    fast, reference = made.predict(photo()).logits, exact.predict(photo()).logits
    changed = np.mean(fast.argmax(0) != reference.argmax(0))
    assert f"{changed:.2%}" in notices[0]


def test_a_real_model_keeps_nearly_all_its_labels(shared: Path) -> None:
    model = load_checkpoint(shared / ZOO_FILE)
    image = fixture_image(shared, "tv_v3_resnet50")
    exact, fast = (Predictor(model, "cpu", precision=each).predict(image).class_map() for each in ("exact", "fast"))
    assert np.mean(exact != fast) < 0.03


class WhenNarrow(nn.Module):
    """Gives something else under autocast, as a network does whose numbers do not fit."""

    def __init__(self, value: float, after: int = 0) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 8, stride=8)
        self.value, self.after, self.narrow_passes = value, after, 0

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layer(x).float()
        if torch.is_autocast_enabled("cpu"):
            self.narrow_passes += 1
            if self.narrow_passes > self.after:
                scores = torch.full_like(scores, self.value) + torch.arange(3.0)[None, :, None, None]
        return scores


def test_numbers_that_overflow_mean_exact_arithmetic() -> None:
    made, notices = predictor(WhenNarrow(float("inf")))
    logits = made.predict(photo()).logits
    assert np.isfinite(logits).all()
    assert made.arithmetic == "float32"
    assert "not wide enough" in notices[0]


def test_an_overflow_on_a_later_photo_is_computed_again() -> None:
    network = WhenNarrow(float("nan"), after=1)
    made, notices = predictor(network)
    made.predict(photo())
    assert made.arithmetic == "bfloat16"
    assert np.isfinite(made.predict(photo(1)).logits).all()
    assert made.arithmetic == "float32"
    assert "going on in float32" in notices[-1]


def test_too_many_changed_labels_mean_exact_arithmetic() -> None:
    made, notices = predictor(WhenNarrow(0.0))
    reference = predictor(WhenNarrow(0.0), "exact")[0]
    reference._network.load_state_dict(made._network.state_dict())
    np.testing.assert_array_equal(made.predict(photo()).logits, reference.predict(photo()).logits)
    assert made.arithmetic == "float32"
    assert "would change" in notices[0]
    assert TOLERATED < 1


def test_a_first_photo_that_is_cancelled_is_compared_at_the_next() -> None:
    made, notices = predictor()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        made.predict(photo(), cancel=token)
    assert notices == []
    made.predict(photo())
    assert len(notices) == 1
    assert made.arithmetic == "bfloat16"


def test_progress_of_the_first_photo_rises_to_one() -> None:
    made, _ = predictor()
    seen: list[float] = []
    made.predict(photo(), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert 0.4 < min(fraction for fraction in seen if fraction >= 0.5) < 0.7


def test_the_first_pass_of_a_gpu_counts_for_neither() -> None:
    arithmetic = Arithmetic("fast")
    passes: list[bool] = []

    def run(_progress: object) -> np.ndarray:
        passes.append(arithmetic.fast)
        return np.zeros((2, 3, 3), np.float32)

    notices: list[str] = []
    arithmetic.prove(run, "mps", None, notices.append)
    assert passes == [False, False, True]
    assert notices[0].startswith("Fast precision (float16)")


def test_half_precision_has_a_name() -> None:
    assert Arithmetic("fast").name("cpu") == "bfloat16"
    assert Arithmetic("fast").name("mps") == "float16"
    assert Arithmetic().name("mps") == "float32"
