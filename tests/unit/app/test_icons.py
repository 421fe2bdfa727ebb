"""Every icon shows something, in the colours of the moment, at every scale."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon, QImage, QPalette
from PySide6.QtWidgets import QApplication

from deeplab_studio.app.action_rows import ACTIONS
from deeplab_studio.app.icons import GLYPHS, icon
from deeplab_studio.app.theme import DARK, LIGHT, contrast_ratio, palette_for


@pytest.fixture(params=["light", "dark"])
def scheme(request, qapp: QApplication):
    before = qapp.palette()
    qapp.setPalette(palette_for(request.param))
    yield request.param
    qapp.setPalette(before)


def ink(image: QImage) -> tuple[int, QColor]:
    """Number of pixels drawn on, and the colour of the most opaque one."""
    image = image.convertToFormat(QImage.Format.Format_ARGB32)
    drawn, best = 0, QColor(0, 0, 0, 0)
    for y in range(image.height()):
        for x in range(image.width()):
            colour = image.pixelColor(x, y)
            if colour.alpha() > 40:
                drawn += 1
                if colour.alpha() > best.alpha():
                    best = colour
    return drawn, best


@pytest.mark.parametrize("name", sorted(GLYPHS))
def test_every_icon_shows_and_stands_out_in_both_schemes(name, scheme, qapp):
    drawn, colour = ink(icon(name).pixmap(16, 16).toImage())
    assert drawn >= 8
    assert contrast_ratio(QColor(colour.red(), colour.green(), colour.blue()), qapp.palette().window().color()) >= 4.5


@pytest.mark.parametrize("spec", [spec for spec in ACTIONS if spec.icon], ids=lambda spec: spec.id)
def test_every_icon_of_the_action_table_is_known(spec):
    assert spec.icon in GLYPHS


def test_icon_takes_the_colours_of_a_new_theme_by_itself(qapp):
    before = qapp.palette()
    shown = icon("brush")
    qapp.setPalette(palette_for("light"))
    light = ink(shown.pixmap(32, 32).toImage())[1]
    qapp.setPalette(palette_for("dark"))
    dark = ink(shown.pixmap(32, 32).toImage())[1]
    qapp.setPalette(before)
    assert light.lightness() < 80
    assert dark.lightness() > 180


def test_disabled_icon_has_the_colour_of_disabled_text(scheme, qapp):
    picture = icon("export").pixmap(QSize(32, 32), QIcon.Mode.Disabled).toImage()
    assert (
        ink(picture)[1].rgb() == qapp.palette().color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText).rgb()
    )


def test_checked_icon_turns_to_the_accent_and_may_be_another(scheme):
    tone = LIGHT if scheme == "light" else DARK
    shown = icon("shown", on="hidden")
    on = shown.pixmap(QSize(32, 32), QIcon.Mode.Normal, QIcon.State.On).toImage()
    off = shown.pixmap(QSize(32, 32), QIcon.Mode.Normal, QIcon.State.Off).toImage()
    assert ink(on)[1].name() == tone.accent
    assert on != off


def test_icon_is_drawn_for_the_pixels_of_the_screen(qapp):
    once = icon("brush").pixmap(QSize(16, 16), 1.0)
    twice = icon("brush").pixmap(QSize(16, 16), 2.0)
    assert once.size() == QSize(16, 16)
    assert twice.size() == QSize(32, 32)
    enlarged = once.toImage().scaled(32, 32)
    assert twice.toImage().convertToFormat(enlarged.format()) != enlarged


def test_unknown_icon_is_refused():
    with pytest.raises(KeyError, match="no icon is called 'teapot'"):
        icon("teapot")
    with pytest.raises(KeyError, match="teapot"):
        icon("brush", on="teapot")


def test_icons_do_not_import_the_library_their_font_comes_from():
    code = (
        "import sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "app = QApplication([])\n"
        "from deeplab_studio.app.icons import icon\n"
        "assert not icon('brush').pixmap(16, 16).toImage().isNull()\n"
        "print(*[name for name in ('qtawesome', 'numpy', 'torch') if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
