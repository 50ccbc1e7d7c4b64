"""Every text can be read, in the light and in the dark, and every icon is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from ui.theme import DARK, LIGHT, Colours, Theme, ThemeMode, Tone, contrast

ROOT = Path(__file__).resolve().parents[2]
ICONS = ROOT / "resources" / "icons"


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("tone", list(Tone))
def test_every_tone_can_be_read_on_every_ground(colours: Colours, tone: Tone) -> None:
    for ground in (colours.base, colours.alternate, colours.window, colours.raised):
        assert contrast(colours.tone(tone), ground) >= 4.5, (tone.name, ground)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_boxes_and_fields_are_told_from_the_window_by_their_frames(colours: Colours) -> None:
    frame = QColor(colours.frame).darker(140).name()
    assert contrast(frame, colours.window) >= 3


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_selected_text_and_curves_can_be_told_from_their_ground(colours: Colours) -> None:
    assert contrast(colours.accent_text, colours.accent) >= 4.5
    for colour in colours.series:
        assert contrast(colour, colours.raised) >= 3, colour
    assert len(set(colours.series)) == len(colours.series)


def test_contrast_is_the_one_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_tone_is_told_by_shape_as_well_as_by_colour(theme: Theme, qtbot: QtBot) -> None:
    shapes = [theme.tone_icon(tone) for tone in (Tone.GOOD, Tone.INFORMATION, Tone.WARNING, Tone.BAD, Tone.IDLE)]
    alphas = set()
    for icon in shapes:
        assert icon is not None
        image = icon.pixmap(24, 24).toImage()
        alphas.add(tuple(image.pixelColor(x, y).rgba() == 0 for x in range(0, 24, 2) for y in range(0, 24, 2)))
    assert len(alphas) >= 4


@pytest.mark.parametrize("path", sorted(ICONS.glob("*.svg")), ids=lambda path: path.stem)
def test_every_icon_is_drawn(theme: Theme, qtbot: QtBot, path: Path) -> None:
    image = theme.icon(path.stem).pixmap(24, 24).toImage()
    assert any(image.pixelColor(x, y).alpha() for x in range(24) for y in range(24))


def test_every_icon_that_is_asked_for_exists() -> None:
    asked = set()
    for path in (ROOT / "ui").rglob("*.py"):
        asked |= set(re.findall(r'icon="([a-z_]+)"', path.read_text(encoding="utf-8")))
    assert asked
    assert asked <= {path.stem for path in ICONS.glob("*.svg")}


def test_the_system_is_followed_only_when_the_user_wants_it(theme: Theme) -> None:
    theme.set_mode(ThemeMode.DARK)
    theme._scheme_changed()
    assert theme.dark
    theme.set_mode(ThemeMode.SYSTEM)
    assert not theme.dark
    assert QColor(theme.colours.window).lightness() > 200
