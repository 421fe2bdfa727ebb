"""Colours that can be read, on every surface of both schemes, and switching between them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QFile, Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QPushButton

from deeplab_studio.app.theme import DARK, LIGHT, Theme, Tones, contrast_ratio, palette_for, style_sheet, tones

ROLE = QPalette.ColorRole
GROUP = QPalette.ColorGroup
AA = 4.5
"""Least contrast of text, WCAG 2.2 success criterion 1.4.3."""

TEXTS = [
    (ROLE.WindowText, ROLE.Window),
    (ROLE.Text, ROLE.Base),
    (ROLE.Text, ROLE.AlternateBase),
    (ROLE.ButtonText, ROLE.Button),
    (ROLE.HighlightedText, ROLE.Highlight),
    (ROLE.ToolTipText, ROLE.ToolTipBase),
    (ROLE.PlaceholderText, ROLE.Base),
    (ROLE.PlaceholderText, ROLE.Window),
    (ROLE.Link, ROLE.Base),
    (ROLE.Link, ROLE.Window),
    (ROLE.LinkVisited, ROLE.Base),
    (ROLE.LinkVisited, ROLE.Window),
    (ROLE.BrightText, ROLE.Window),
    (ROLE.Accent, ROLE.Window),
    (ROLE.Accent, ROLE.Base),
]


@pytest.fixture
def plain_app(qapp: QApplication):
    before = qapp.palette(), qapp.styleSheet(), qapp.style().name()
    yield qapp
    qapp.styleHints().setColorScheme(Qt.ColorScheme.Unknown)
    qapp.setStyleSheet(before[1])
    qapp.setPalette(before[0])
    qapp.setStyle(before[2])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS, ids=lambda role: role.name)
def test_text_of_the_palette_stands_out(scheme, text, ground):
    palette = palette_for(scheme)
    for group in (GROUP.Active, GROUP.Inactive):
        assert contrast_ratio(palette.color(group, text), palette.color(group, ground)) >= AA


@pytest.mark.parametrize("tone", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["text", "muted", "success", "warning", "danger", "accent"])
def test_text_of_delegates_stands_out_on_every_ground_it_is_drawn_on(tone: Tones, name):
    for ground in (tone.base, tone.window, tone.alternate):
        assert contrast_ratio(tone.colour(name), QColor(ground)) >= AA


@pytest.mark.parametrize("tone", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out_on_an_active_and_on_a_touched_row(tone: Tones):
    assert contrast_ratio(tone.colour("text"), tone.active_row) >= AA
    assert contrast_ratio(tone.colour("muted"), tone.active_row) >= AA
    assert contrast_ratio(tone.colour("text"), QColor(tone.hover)) >= AA
    assert contrast_ratio(tone.colour("highlighted_text"), QColor(tone.highlight_hover)) >= AA


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_role_of_the_palette_is_the_schemes_own(scheme):
    palette, other = palette_for(scheme), palette_for("dark" if scheme == "light" else "light")
    for role in ROLE:
        if role in (ROLE.NoRole, ROLE.NColorRoles, ROLE.HighlightedText):
            continue
        assert palette.color(role) != other.color(role), role


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_disabled_text_is_told_from_enabled_text(scheme):
    palette = palette_for(scheme)
    for role in (ROLE.WindowText, ROLE.Text, ROLE.ButtonText):
        assert palette.color(GROUP.Disabled, role) != palette.color(GROUP.Active, role)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_surfaces_are_neutral_greys(scheme):
    palette = palette_for(scheme)
    for role in (ROLE.Window, ROLE.Base, ROLE.AlternateBase, ROLE.Button, ROLE.Mid, ROLE.Dark):
        assert palette.color(role).hslSaturation() == 0


def test_contrast_ratio_has_the_ends_the_standard_names():
    black, white = QColor("#000000"), QColor("#ffffff")
    assert contrast_ratio(black, white) == pytest.approx(21)
    assert contrast_ratio(white, white) == pytest.approx(1)
    assert contrast_ratio(QColor("#777777"), white) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_style_sheet_parses_and_has_no_name_left_unfilled_and_no_picture_missing(scheme, plain_app, qtlog):
    sheet = style_sheet(scheme)
    assert "$" not in sheet
    Theme(plain_app, scheme)
    QPushButton("x").ensurePolished()
    assert [record.message for record in qtlog.records if "parse" in record.message] == []
    for line in sheet.splitlines():
        if "url(" in line:
            name = line.split("url(")[1].split(")")[0]
            assert QFile.exists(name), name


def test_theme_switches_while_the_program_runs(plain_app, qtbot):
    theme = Theme(plain_app, "light")
    assert tones() is LIGHT
    with qtbot.waitSignal(theme.changed) as changed:
        theme.set_preference("dark")
    assert changed.args == ["dark"]
    assert tones() is DARK
    assert theme.scheme == "dark"
    assert DARK.accent in plain_app.styleSheet()
    assert LIGHT.accent not in plain_app.styleSheet()


def test_theme_stays_when_it_is_set_to_what_it_is(plain_app, qtbot):
    theme = Theme(plain_app, "dark")
    with qtbot.assertNotEmitted(theme.changed):
        theme.set_preference("dark")


def test_system_preference_shows_a_scheme_even_where_the_system_has_none(plain_app):
    theme = Theme(plain_app, "system")
    assert theme.preference == "system"
    assert theme.scheme in ("light", "dark")
    assert plain_app.palette().color(ROLE.Window) == palette_for(theme.scheme).color(ROLE.Window)


def test_unknown_preference_is_refused(plain_app):
    theme = Theme(plain_app, "light")
    with pytest.raises(ValueError, match="blue"):
        theme.set_preference("blue")
    assert theme.preference == "light"
