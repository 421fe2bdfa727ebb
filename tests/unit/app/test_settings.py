"""Settings survive a restart, and a broken file costs a warning, not the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray

from deeplab_studio.app.settings import RECENT_MAX, SETTINGS, Settings, setting_text
from deeplab_studio.crf.params import CrfParams


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    return tmp_path / "설정 폴더" / "settings.ini"


def reopened(settings: Settings) -> Settings:
    assert settings.sync()
    return Settings(settings.path)


def test_a_fresh_file_gives_every_default(ini, qapp):
    settings = Settings(ini)
    assert {setting.key: settings.get(setting.key) for setting in SETTINGS} == {
        setting.key: setting.default for setting in SETTINGS
    }
    assert settings.warnings == []


OTHERS = {
    "look/theme": "dark",
    "view/opacity": 0.25,
    "view/outlines": True,
    "tools/brush_size": 120,
    "model/device": "cuda:0",
    "files/last_folder": "/data/사진, 여름; 100 %/원본",
    "memory/history_bytes": 64 << 20,
    "crf/params": {"iterations": 5, "normalization": "after"},
}


@pytest.mark.parametrize("key", OTHERS)
def test_a_value_survives_a_restart(ini, qapp, qtbot, key):
    settings = Settings(ini)
    with qtbot.waitSignal(settings.changed) as changed:
        settings.set(key, OTHERS[key])
    assert changed.args == [key]
    again = reopened(settings)
    assert again.get(key) == OTHERS[key]
    assert type(again.get(key)) is type(OTHERS[key])
    assert again.warnings == []


def test_setting_the_same_value_again_is_not_a_change(ini, qapp, qtbot):
    settings = Settings(ini)
    settings.set("tools/brush_size", 40)
    with qtbot.assertNotEmitted(settings.changed):
        settings.set("tools/brush_size", 40)


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        ("look/theme", "purple"),
        ("view/opacity", "very"),
        ("view/opacity", "1.5"),
        ("view/opacity", "nan"),
        ("view/outlines", "perhaps"),
        ("tools/brush_size", "12.5"),
        ("tools/brush_size", "0"),
        ("crf/params", "{broken"),
        ("crf/params", "[1]"),
    ],
)
def test_a_bad_stored_value_warns_and_takes_the_default(ini, qapp, key, stored):
    ini.parent.mkdir()
    section, name = key.split("/")
    ini.write_text(f"[{section}]\n{name}={stored}\n", "utf-8")
    settings = Settings(ini)
    assert settings.get(key) == next(setting.default for setting in SETTINGS if setting.key == key)
    assert len(settings.warnings) == 1
    assert "settings.ini" in settings.warnings[0]
    assert key in settings.warnings[0]


def test_a_file_of_noise_gives_defaults(ini, qapp):
    ini.parent.mkdir()
    ini.write_bytes(bytes(range(256)) * 20)
    settings = Settings(ini)
    assert settings.get("look/theme") == "system"
    assert settings.recent() == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("look/theme", "purple"), ("view/opacity", 2.0), ("tools/brush_size", True), ("view/outlines", 1)],
)
def test_a_value_a_setting_cannot_have_is_refused_and_changes_nothing(ini, qapp, key, value):
    settings = Settings(ini)
    before = settings.get(key)
    with pytest.raises(ValueError, match=repr(value)):
        settings.set(key, value)
    assert settings.get(key) == before


def test_an_unknown_key_is_refused(ini, qapp):
    with pytest.raises(KeyError):
        Settings(ini).get("look/colour_of_the_sky")


def test_reset_goes_back_to_the_default(ini, qapp, qtbot):
    settings = Settings(ini)
    settings.set("view/opacity", 0.1)
    with qtbot.waitSignal(settings.changed):
        settings.reset("view/opacity")
    assert settings.get("view/opacity") == 0.55
    assert reopened(settings).get("view/opacity") == 0.55


def test_crf_parameters_survive_a_restart(ini, qapp):
    settings = Settings(ini)
    assert settings.crf_params() == CrfParams()
    params = CrfParams(5.5, 121, 4.25, 2, 3, 7, "after")
    settings.set_crf_params(params)
    assert reopened(settings).crf_params() == params


@pytest.mark.parametrize("stored", ['{"iterations": -1}', '{"sigma": 3}', '{"iterations": "many"}'])
def test_crf_parameters_that_make_no_sense_warn_and_take_the_defaults(ini, qapp, stored):
    settings = Settings(ini)
    import json

    settings.set("crf/params", json.loads(stored))
    assert settings.crf_params() == CrfParams()
    assert len(settings.warnings) == 1


def test_recent_list_is_newest_first_without_doubles_and_bounded(ini, qapp, tmp_path):
    settings = Settings(ini)
    for number in range(RECENT_MAX + 5):
        settings.add_recent(tmp_path / f"폴더, {number}")
    settings.add_recent(tmp_path / "폴더, 10")
    recent = reopened(settings).recent()
    assert len(recent) == RECENT_MAX
    assert recent[0] == tmp_path / "폴더, 10"
    assert recent[1] == tmp_path / f"폴더, {RECENT_MAX + 4}"
    assert len(set(recent)) == RECENT_MAX


def test_recent_list_can_be_cleared(ini, qapp, tmp_path):
    settings = Settings(ini)
    settings.add_recent(tmp_path)
    settings.clear_recent()
    assert reopened(settings).recent() == []


def test_window_state_survives_a_restart(ini, qapp):
    settings = Settings(ini)
    assert settings.window_state() is None
    settings.save_window_state(QByteArray(b"\x00\x01geometry"), QByteArray(b"\xffstate"))
    assert reopened(settings).window_state() == (QByteArray(b"\x00\x01geometry"), QByteArray(b"\xffstate"))


def test_without_a_path_the_file_lies_in_the_persons_configuration(qapp, user_folders):
    settings = Settings()
    assert user_folders in settings.path.parents
    settings.set("view/opacity", 0.3)
    assert settings.sync()
    assert settings.path.is_file()


def test_a_changed_dictionary_does_not_change_what_is_kept(ini, qapp):
    settings = Settings(ini)
    settings.get("crf/params")["iterations"] = 3
    assert settings.get("crf/params") == {}


def test_every_setting_for_a_person_has_a_text_of_its_own(qapp):
    texts = [setting_text(setting) for setting in SETTINGS if setting.text]
    assert len(set(texts)) == len(texts) >= 15
