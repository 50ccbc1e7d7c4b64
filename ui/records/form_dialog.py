"""What every dialog around a form shares: the words why OK is not possible, the buttons, and a size that fits."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialogButtonBox, QPushButton, QVBoxLayout, QWidget

from app.errors import RecordError
from app.records import Record
from ui.dialogs import Dialog
from ui.plain_text import PlainLabel, plain_tip
from ui.records.field_words import field_path_words
from ui.records.record_form import RecordForm
from ui.words import plural

StandardButton = QDialogButtonBox.StandardButton
DOING = (StandardButton.Ok, StandardButton.Apply)
"""The buttons that do what the form says, and cannot as long as something is wrong with it."""


class FormDialog(Dialog):
    """A form, `problem` below it and `buttons` below that."""

    def __init__(
        self, name: str, title: str, model: type[Record], buttons: StandardButton, parent: QWidget | None = None
    ) -> None:
        super().__init__(name, title, parent)
        self.model = model
        self._problem = PlainLabel(wordWrap=True)
        self._problem.setObjectName("problem")
        self._problem.setProperty("role", "muted")
        self._buttons = QDialogButtonBox(buttons)
        self._buttons.setObjectName("buttons")
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)

    def lay_out(self, above: Sequence[QWidget], form: RecordForm, below: Sequence[QWidget] = ()) -> None:
        """Put the form between what stands above and below it, as large as it wants and the screen lets it."""
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        for widget in above:
            layout.addWidget(widget)
        layout.addWidget(form, 1)
        for widget in (*below, self._problem, self._buttons):
            layout.addWidget(widget)
        room = QGuiApplication.primaryScreen().availableSize() - QSize(40, 60)
        self.resize(self.sizeHint().expandedTo(QSize(640, 420)).boundedTo(room))

    def button(self, which: StandardButton) -> QPushButton:
        """A button of the dialog."""
        return self._buttons.button(which)

    def say_problem(self, errors: Sequence[RecordError], text: str = "") -> None:
        """Say the first mistake, or a text, as the reason why OK is not possible; with neither it is."""
        if errors:
            place = field_path_words(self.model, errors[0].path)
            more = f" (and {plural(len(errors) - 1, 'more mistake')})" if len(errors) > 1 else ""
            text = f"OK is not possible: {place} {errors[0].message}{more}".replace("  ", " ")
        self._problem.setText(text)
        for which in DOING:
            button = self._buttons.button(which)
            if button is not None:
                button.setEnabled(not text)
                button.setToolTip(plain_tip(text))
