"""Labels before fields, with room for the underlined letter."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QWidget


def show_label(label: QLabel, text: str) -> None:
    """Show words with an underlined letter, which parts the text and wants a little more room than Qt reckons with."""
    label.setText(text)
    label.setMinimumWidth(0)
    label.setMinimumWidth(label.sizeHint().width() + label.fontMetrics().averageCharWidth())


def field_label(text: str, buddy: QWidget) -> QLabel:
    """The label of a field."""
    label = QLabel()
    label.setBuddy(buddy)
    show_label(label, text)
    return label
