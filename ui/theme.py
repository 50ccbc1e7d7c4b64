"""Light and dark: the colours of the window, the tones of a state, and the icons drawn in them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Protocol

import shiboken6
from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

ICON_SIZES = (16, 20, 24, 32, 48, 64)


class Tone(IntEnum):
    """How a value should be felt. Each tone has a colour and, but for the first two, a mark of its own shape."""

    PLAIN = 0
    MUTED = 1
    GOOD = 2
    INFORMATION = 3
    WARNING = 4
    BAD = 5
    IDLE = 6


TONE_ICONS = {
    Tone.GOOD: "good",
    Tone.INFORMATION: "information",
    Tone.WARNING: "warning",
    Tone.BAD: "bad",
    Tone.IDLE: "idle",
}


FRAMED = ("QCheckBox", "QRadioButton", "QLineEdit", "QAbstractSpinBox")
"""What is told from the window by its frame alone."""


class ThemeMode(StrEnum):
    """What the user chose."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Colours:
    """One set of colours. Text on `base`, `alternate` and `window` has a contrast of 4.5 to 1 or more, tones too."""

    window: str
    base: str
    alternate: str
    raised: str
    text: str
    muted: str
    border: str
    frame: str
    """The frames of boxes and fields are drawn in a shade 1.4 times darker than this."""
    accent: str
    accent_text: str
    good: str
    information: str
    warning: str
    bad: str
    series: tuple[str, ...]
    """Colours that tell the curves of a plot apart."""

    def tone(self, tone: Tone) -> str:
        """The text colour of a tone."""
        return {
            Tone.PLAIN: self.text,
            Tone.MUTED: self.muted,
            Tone.GOOD: self.good,
            Tone.INFORMATION: self.information,
            Tone.WARNING: self.warning,
            Tone.BAD: self.bad,
            Tone.IDLE: self.muted,
        }[tone]


LIGHT = Colours(
    window="#f3f5f8",
    base="#ffffff",
    alternate="#f7f9fb",
    raised="#ffffff",
    text="#1c2430",
    muted="#566273",
    border="#cfd6df",
    frame="#bfc7d2",
    accent="#1b66c9",
    accent_text="#ffffff",
    good="#13703b",
    information="#1a5fb4",
    warning="#8a5300",
    bad="#b3261e",
    series=("#1b66c9", "#c2570c", "#13703b", "#8e3bb0", "#b3261e", "#0e7c86", "#6b5b00", "#c02678"),
)
DARK = Colours(
    window="#1e232a",
    base="#171b21",
    alternate="#1c2128",
    raised="#252b34",
    text="#e4e8ee",
    muted="#9ba6b5",
    border="#3a424e",
    frame="#98a4b4",
    accent="#2b6fd0",
    accent_text="#ffffff",
    good="#5fd08a",
    information="#7db7ff",
    warning="#f0b44c",
    bad="#ff8a80",
    series=("#6cb0ff", "#ffa657", "#5fd08a", "#d2a8ff", "#ff8a80", "#56d4dd", "#e3c94f", "#ff9bce"),
)

_STYLE_SHEET = """
QToolTip {{ color: {text}; background: {raised}; border: 1px solid {border}; padding: 4px; }}
QStatusBar {{ border-top: 1px solid {border}; }}
QStatusBar::item {{ border: 0; }}
QHeaderView::section {{ background: {window}; color: {muted}; border: 0; border-right: 1px solid {border};
    border-bottom: 1px solid {border}; padding: 5px 8px; font-weight: 600; }}
QTableView, QTreeView, QTableWidget, QPlainTextEdit, QTextBrowser, QListView {{ border: 1px solid {border}; }}
QTreeView#navigation {{ border: 0; background: {window}; padding: 6px 4px; }}
QTreeView#template::item {{ padding: 3px 2px; }}
QTabBar::close-button {{ image: url("{close}"); subcontrol-position: right; }}
QTabBar::close-button:hover {{ background: {border}; border-radius: 3px; }}
QDockWidget {{ font-weight: 600; }}
QLabel[role="title"] {{ font-weight: 600; font-size: 12pt; }}
QLabel[role="muted"] {{ color: {muted}; }}
QLabel[role="bad"] {{ color: {bad}; }}
QLabel[role="mistake"] {{ color: {bad}; background: {raised}; border: 1px solid {bad}; }}
QLabel[role="warning"] {{ color: {warning}; }}
QLabel[role="good"] {{ color: {good}; }}
QFrame[role="card"] {{ background: {raised}; border: 1px solid {border}; border-radius: 6px; }}
QFrame[role="banner"] {{ background: {raised}; border: 1px solid {border}; border-left: 4px solid {warning}; }}
"""


class Theme(QObject):
    """Gives the application its palette, follows the system's light or dark, and draws the icons to fit."""

    changed = Signal()

    def __init__(self, application: QApplication, mode: ThemeMode = ThemeMode.SYSTEM) -> None:
        super().__init__(application)
        self._application = application
        self._mode = mode
        self._wearers: weakref.WeakKeyDictionary[QObject, str] = weakref.WeakKeyDictionary()
        self.colours = LIGHT
        self._applied = False
        application.setStyle("Fusion")
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._scheme_changed)
        self._apply()

    @property
    def mode(self) -> ThemeMode:
        """What the user chose."""
        return self._mode

    @property
    def dark(self) -> bool:
        """Whether the window is dark now."""
        return self.colours is DARK

    def set_mode(self, mode: ThemeMode) -> None:
        """Choose light, dark, or what the system says."""
        self._mode = mode
        self._apply()

    def colour(self, tone: Tone) -> QColor:
        """The colour of a tone."""
        return QColor(self.colours.tone(tone))

    def icon(self, name: str, tone: Tone = Tone.PLAIN) -> QIcon:
        """An icon of `resources/icons` in the colour of a tone."""
        return _icon(name, self.colours.tone(tone), self.colours.muted, self.colours.accent_text)

    def tone_icon(self, tone: Tone) -> QIcon | None:
        """The mark of a tone: told by its shape as well as by its colour."""
        name = TONE_ICONS.get(tone)
        return self.icon(name, tone) if name else None

    def give_icon(self, wearer: WearsIcon, name: str) -> None:
        """Set the icon of an action or button, now and again when the theme changes."""
        wearer.setIcon(self.icon(name))
        self._wearers[wearer] = name

    def _scheme_changed(self) -> None:
        if self._mode is ThemeMode.SYSTEM:
            self._apply()

    def _apply(self) -> None:
        scheme = QGuiApplication.styleHints().colorScheme()
        system_dark = scheme is Qt.ColorScheme.Dark
        dark = self._mode is ThemeMode.DARK or (self._mode is ThemeMode.SYSTEM and system_dark)
        colours = DARK if dark else LIGHT
        if colours is self.colours and self._applied:
            return
        self._applied = True
        self.colours = colours
        palette = make_palette(self.colours)
        self._application.setPalette(palette)
        # Qt's style draws the frames of these in a darker shade of the window, which cannot be seen on a dark one.
        # They fill nothing with that colour themselves.
        palette.setColor(QPalette.ColorRole.Window, QColor(self.colours.frame))
        for name in FRAMED:
            self._application.setPalette(palette, name)
        names = ("window", "text", "muted", "raised", "border", "bad", "warning", "good")
        values = {name: getattr(self.colours, name) for name in names}
        self._application.setStyleSheet(_STYLE_SHEET.format(close=_path("close"), **values))
        for wearer, name in list(self._wearers.items()):
            if shiboken6.isValid(wearer):
                wearer.setIcon(self.icon(name))  # type: ignore[attr-defined]
        self.changed.emit()


class WearsIcon(Protocol):
    """An action, a button or whatever else has an icon."""

    def setIcon(self, icon: QIcon) -> None:
        """Show this icon."""


def make_palette(colours: Colours) -> QPalette:
    """Qt's palette for a set of colours."""
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.window,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.Base: colours.base,
        QPalette.ColorRole.AlternateBase: colours.alternate,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.Button: colours.window,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.BrightText: colours.bad,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.accent_text,
        QPalette.ColorRole.Accent: colours.accent,
        QPalette.ColorRole.Link: colours.information,
        QPalette.ColorRole.LinkVisited: colours.information,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.ToolTipBase: colours.raised,
        QPalette.ColorRole.ToolTipText: colours.text,
        QPalette.ColorRole.Mid: colours.border,
        QPalette.ColorRole.Midlight: colours.border,
        QPalette.ColorRole.Light: colours.raised,
        QPalette.ColorRole.Dark: colours.border,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
        QPalette.ColorRole.HighlightedText,
    ):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.muted))
    palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, QColor(colours.border))
    return palette


def contrast(first: str, second: str) -> float:
    """The contrast of two colours by WCAG 2: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [channel / 255 for channel in QColor(colour).getRgb()[:3]]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def application_icon() -> QIcon:
    """The program's own icon."""
    return QIcon(_rendered(_source("trunkline"), 256))


def _path(name: str) -> str:
    """The file of an icon, for a style sheet, which takes no other source."""
    return Path(str(resources.files("resources"))).joinpath("icons", f"{name}.svg").as_posix()


@cache
def _source(name: str) -> str:
    return (resources.files("resources") / "icons" / f"{name}.svg").read_text(encoding="utf-8")


@cache
def _icon(name: str, colour: str, disabled: str, selected: str) -> QIcon:
    icon = QIcon()
    modes = ((QIcon.Mode.Normal, colour), (QIcon.Mode.Disabled, disabled), (QIcon.Mode.Selected, selected))
    for mode, chosen in modes:
        # The marks of the tones have a white sign on their colour; on the light colours of the dark theme a dark one.
        sign = "#ffffff" if contrast("#ffffff", chosen) >= 4 else "#10141a"
        text = _source(name).replace("#ffffff", sign).replace("currentColor", chosen)
        for size in ICON_SIZES:
            icon.addPixmap(_rendered(text, size), mode)
    return icon


def _rendered(text: str, size: int) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
