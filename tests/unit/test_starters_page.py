from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from deeplab_studio.checkpoints.starters import list_starters
from tests.starter_kit import card_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_starters", REPOSITORY / "docs" / "make_starters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_figures_of_the_cards(maker: ModuleType) -> None:
    text = maker.PAGE.read_text("utf-8")
    assert text == maker.page(text, list_starters(REPOSITORY / "models")), "run python docs/make_starters.py"


def test_the_tables_say_what_is_hardly_known(maker: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "starter-v1.safetensors").write_bytes(b"weights")
    card = card_of(tmp_path / "starter-v1.safetensors", "v1")
    lines = maker.tables([card]).splitlines()
    assert "| Starter v1 | 3,000,000 | 0.0 MB, float16 | 50.0 | 51.0 | 20.0 | 21.0 |" in lines
    assert "| dog | 60.0 |" in lines
    assert "| *bicycle* | 2.0 |" in lines
    assert "| *aeroplane* | – |" in lines
    assert any("10 photos of Pascal VOC 2012 val" in line for line in lines)
