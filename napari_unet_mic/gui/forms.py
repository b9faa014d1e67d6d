"""Small parts of forms: tooltips that name the command-line option, calm wheels, error lines."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TypeVar

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

AnyWidget = TypeVar("AnyWidget", bound=QWidget)
AnySpin = TypeVar("AnySpin", QSpinBox, QDoubleSpinBox)


def explained(widget: AnyWidget, words: str, option: str = "") -> AnyWidget:
    """Give a widget its tooltip: plain words, and the command-line option that does the same."""
    lines = escape(words).replace("\n", "<br>")
    tip = f"<p>{lines}</p>"  # rich text: Qt wraps it
    if option:
        tip += f"<p><i>Command line:</i> <code>{escape(option)}</code></p>"
    widget.setToolTip(tip)
    return widget


class _WheelGuard(QObject):
    """Keeps the wheel from changing a value while somebody scrolls the panel over it."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def guard_wheel(*widgets: QWidget) -> None:
    """Let the wheel act on these combo and spin boxes only once they were clicked."""
    for widget in widgets:
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(_WheelGuard(widget))


def short_combo(combo: QComboBox, characters: int = 8) -> QComboBox:
    """Let a combo box shrink to about so many characters; its list shows the whole text."""
    policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    combo.setSizeAdjustPolicy(policy)
    combo.setMinimumContentsLength(characters)
    combo.setMinimumWidth(70)  # napari's theme would ask for twice the room
    return combo


def short_spin(spin: AnySpin, low: int, high: int, value: int) -> AnySpin:
    """Set range and value of a spin box and let it shrink to six digits."""
    spin.setRange(low, high)
    spin.setValue(value)
    spin.setMinimumWidth(84)
    return spin


def scrolled(content: QWidget) -> QScrollArea:
    """Put a panel into a scroll area: it fits low screens, and changes in it move nothing else."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setMinimumWidth(content.minimumSizeHint().width())
    area.setWidget(content)
    return area


def polish_hidden(panel: QWidget) -> None:
    """Style the hidden parts of a panel; a first showing would cost that time later."""
    for widget in panel.findChildren(QWidget):
        if widget.isHidden():
            widget.ensurePolished()


class Section(QWidget):
    """A part of a panel under a heading that folds it away; folded, the heading says the gist."""

    def __init__(self, title: str, content: QWidget, tip: str) -> None:
        super().__init__()
        self._title = title
        self._gist = ""
        self.content = content
        self.heading = explained(QPushButton(), tip)
        self.heading.setCheckable(True)
        self.heading.setChecked(True)
        self.heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.heading.setStyleSheet(
            "QPushButton, QPushButton:checked, QPushButton:hover { text-align: left; "
            "background-color: transparent; padding: 3px 6px; font-weight: bold; }"
        )
        self.heading.toggled.connect(self._on_toggled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.heading)
        layout.addWidget(content, 1)
        self._show_heading()

    @property
    def folded(self) -> bool:
        """Whether only the heading is shown."""
        return not self.heading.isChecked()

    def fold(self, folded: bool = True) -> None:
        """Fold the content away, or show it."""
        self.heading.setChecked(not folded)

    def set_gist(self, gist: str) -> None:
        """Give the sentence that the heading shows beside the title while folded."""
        self._gist = gist
        self._show_heading()

    def _on_toggled(self) -> None:
        self.content.setVisible(not self.folded)
        vertical = QSizePolicy.Policy.Maximum if self.folded else QSizePolicy.Policy.Preferred
        self.setSizePolicy(QSizePolicy.Policy.Preferred, vertical)
        self._show_heading()

    def _show_heading(self) -> None:
        gist = f":  {self._gist}" if self.folded and self._gist else ""
        self.heading.setText(f"{'▸' if self.folded else '▾'}  {self._title}{gist}")


class ErrorLine(QLabel):
    """One sentence about what went wrong, hidden when there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setToolTip("What went wrong, and what to do about it")
        self.hide()

    def show_sentence(self, sentence: str) -> None:
        """Show a sentence; an empty one hides the line."""
        self.setText(f"⚠ {breakable(sentence)}" if sentence else "")
        self.setVisible(bool(sentence))

    @property
    def sentence(self) -> str:
        """What is shown, without the sign."""
        return self.text().removeprefix("⚠ ").replace("\u200b", "")


class LongSentence(QScrollArea):
    """A sentence of any length in the room of a few lines, scrolled where it is longer."""

    def __init__(self, text: str, tip: str, lines: int = 4) -> None:
        super().__init__()
        self._label = QLabel(text)
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setToolTip(tip)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(self._label)
        self.setFixedHeight(lines * (self.fontMetrics().lineSpacing() + 1) + 10)

    @property
    def sentence(self) -> str:
        """What is shown."""
        return self._label.text().replace("\u200b", "")

    def show_sentence(self, text: str) -> None:
        """Show a sentence from its start."""
        self._label.setText(breakable(text))
        self.verticalScrollBar().setValue(0)


def breakable(text: str) -> str:
    """Allow a long path to be wrapped after its separators."""
    return text.replace("/", "/\u200b").replace("\\", "\\\u200b").replace("_", "_\u200b")


class ElidedLabel(QLabel):
    """One line of text that loses its middle, not its ends, when there is no room."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_whole(text)

    @property
    def whole(self) -> str:
        """The text before it was shortened."""
        return self._whole

    def set_whole(self, text: str) -> None:
        """Show a text."""
        self._whole = text
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Shorten the text anew."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        middle = Qt.TextElideMode.ElideMiddle
        self.setText(self.fontMetrics().elidedText(self._whole, middle, max(20, self.width() - 12)))


class PathChoice(QWidget):
    """A path and the button that chooses another; `chosen` carries a Path."""

    chosen = Signal(object)

    def __init__(self, title: str, *, folder: bool, nothing: str, pattern: str = "") -> None:
        super().__init__()
        self._title = title
        self._folder = folder
        self._nothing = nothing
        self._pattern = pattern
        self._path: Path | None = None
        self.label = ElidedLabel(nothing)
        self.button = QPushButton("Choose…")
        self.button.clicked.connect(self._on_button_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.button)

    @property
    def path(self) -> Path | None:
        """The path shown."""
        return self._path

    def set_path(self, path: Path | None) -> None:
        """Show a path without announcing it."""
        self._path = path
        self.label.set_whole(str(path) if path else self._nothing)
        self.label.setToolTip(str(path) if path else "")

    def choose(self, path: Path) -> None:
        """Take a path and announce it, as if the person had chosen it."""
        self.set_path(path)
        self.chosen.emit(path)

    def _on_button_clicked(self) -> None:
        start = str(self._path or Path.home())
        if self._folder:
            path = QFileDialog.getExistingDirectory(self, self._title, start)
        else:
            path, _ = QFileDialog.getOpenFileName(self, self._title, start, self._pattern)
        if path:
            self.choose(Path(path))
