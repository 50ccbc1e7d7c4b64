"""The underlined letters that are in sight: with Alt each must lead to one place."""

from __future__ import annotations

from PySide6.QtWidgets import QAbstractButton, QLabel, QMenuBar, QTabBar, QWidget


def underlined_letters(top: QWidget) -> list[str]:
    """Of labels with a field, buttons, tabs and the menu bar of a window, sorted, as often as they occur."""
    texts: list[str] = []
    for widget in top.findChildren(QWidget):
        if not widget.isVisible() or widget.window() is not top.window():
            continue
        if (isinstance(widget, QLabel) and widget.buddy() is not None) or isinstance(widget, QAbstractButton):
            texts.append(widget.text())
        elif isinstance(widget, QTabBar):
            texts += [widget.tabText(place) for place in range(widget.count())]
        elif isinstance(widget, QMenuBar):
            texts += [action.text() for action in widget.actions()]
    parts = [text.replace("&&", "").partition("&") for text in texts]
    return sorted(after[0].upper() for _, mark, after in parts if mark)
