"""Pairs of cases that share an image or a patient, side by side, with the evidence.

Findings about pairs enter; the pair to look at and the case to open leave. The two pictures
come back from whoever read the files.
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.check_report import Reported
from napari_unet_mic.gui.forms import LongSentence, explained
from napari_unet_mic.gui.pair_pictures import PairPictures
from napari_unet_mic.gui.tables import TableModel, TableView

COLUMNS = ("case", "and", "looks like", "r", "on both sides of")
WORDS = {
    "duplicate-image": "same voxels",
    "near-duplicate": "same image",
    "same-patient-suspected": "same patient?",
}
NOTHING = "No two cases share an image, and none look like one patient"
NOT_CHECKED = "Not checked yet: Check compares all images with each other"


class Picture(QWidget):
    """A grey picture that keeps its shape and fills the room it gets."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap: QPixmap | None = None
        self.setMinimumSize(QSize(60, 60))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_pixmap(self, pixmap: QPixmap | None) -> None:
        """Show a picture, or nothing."""
        self._pixmap = pixmap
        self.update()

    @property
    def shown(self) -> bool:
        """Whether there is a picture."""
        return self._pixmap is not None

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a square that leaves room for two."""
        return QSize(180, 180)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the picture in the middle, as large as it fits."""
        if self._pixmap is None:
            return
        smooth = Qt.TransformationMode.SmoothTransformation
        keep = Qt.AspectRatioMode.KeepAspectRatio
        scaled = self._pixmap.scaled(self.size(), keep, smooth)
        painter = QPainter(self)
        left = (self.width() - scaled.width()) // 2
        painter.drawPixmap(left, (self.height() - scaled.height()) // 2, scaled)
        painter.end()


class PairsView(QWidget):
    """The table of pairs, and the chosen pair in pictures.

    Signals
    -------
    pair_asked (object, bool)
        A finding whose two images shall be shown, and whether laid onto each other.
    case_asked (str)
        A case to open.
    """

    pair_asked = Signal(object, bool)
    case_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._pairs: tuple[Reported, ...] = ()
        self._chosen: Reported | None = None
        self.model = TableModel({"r": lambda r: f"{r:.2f}"})
        self.model.tooltips = {
            "looks like": "Same voxels, same image (after flip, crop, resampling, noise or change "
            "of intensity), or perhaps the same patient",
            "r": "Correlation of the two images' details, laid onto each other; from 0.85 on it "
            "is the same image",
            "on both sides of": "Training and test, or the folds in which one of the two trains "
            "and the other validates",
        }
        self.model.tooltip_of = lambda row, _: self._pairs[row].message
        self.table = TableView(self.model)
        self.table.setToolTip("Click a pair to see both images")
        self.table.cell_clicked.connect(self._on_clicked)
        self.pictures = (Picture(), Picture())
        self.openers = (QPushButton(), QPushButton())
        for button in self.openers:
            explained(button, "Open this case in the viewer")
            button.setVisible(False)
        self.openers[0].clicked.connect(lambda: self._open(0))
        self.openers[1].clicked.connect(lambda: self._open(1))
        self.laid = explained(
            QCheckBox("laid onto each other"),
            "Turn and mirror one of the two as it lies on the other; otherwise both are shown as "
            "they are stored",
        )
        self.laid.setChecked(True)
        self.laid.setVisible(False)
        self.laid.toggled.connect(self._on_laid_toggled)
        self.sentence = LongSentence(NOT_CHECKED, "What speaks for it, and what to do")
        self._lay_out()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.table, 3)
        self.side_by_side = QWidget()
        line = QHBoxLayout(self.side_by_side)
        line.setContentsMargins(0, 0, 0, 0)
        for picture, opener in zip(self.pictures, self.openers, strict=True):
            column = QVBoxLayout()
            column.addWidget(picture, 1)
            column.addWidget(opener)
            line.addLayout(column, 1)
        self.side_by_side.setVisible(False)
        layout.addWidget(self.side_by_side, 4)
        layout.addWidget(self.laid)
        layout.addWidget(self.sentence)

    def show_pairs(self, pairs: Sequence[Reported], *, checked: bool) -> None:
        """Show other pairs; none is chosen then."""
        self._pairs = tuple(pairs)
        self._chosen = None
        rows = [
            [p.case, p.related[0], WORDS[p.kind], p.evidence.get("correlation"), _sides(p)]
            for p in self._pairs
        ]
        self.model.set_rows(COLUMNS, rows)
        for widget in (self.side_by_side, self.laid, *self.openers):
            widget.setVisible(False)
        for picture in self.pictures:
            picture.show_pixmap(None)
        if pairs:
            self.sentence.show_sentence("Click a pair to see both images side by side")
        else:
            self.sentence.show_sentence(NOTHING if checked else NOT_CHECKED)

    def show_pictures(self, pictures: PairPictures) -> None:
        """Show the images of the pair that was asked for; of another pair they are dropped."""
        chosen = self._chosen
        if chosen is None or {pictures.first, pictures.second} != {chosen.case, chosen.related[0]}:
            return
        for widget, grey in zip(self.pictures, (pictures.left, pictures.right), strict=True):
            rows, columns = grey.shape
            image = QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
            widget.show_pixmap(QPixmap.fromImage(image.copy()))

    def _on_clicked(self, row: int, _: int) -> None:
        self._chosen = self._pairs[row]
        self.sentence.show_sentence(self._chosen.message)
        names = (self._chosen.case, self._chosen.related[0])
        for button, name in zip(self.openers, names, strict=True):
            button.setText(f"open {name}")
            button.setVisible(True)
        self.side_by_side.setVisible(True)
        moved = self._chosen.evidence.get("flips") is not None
        self.laid.setVisible(moved)
        for picture in self.pictures:
            picture.show_pixmap(None)
        self.pair_asked.emit(self._chosen, self.laid.isChecked() and moved)

    def _on_laid_toggled(self, on: bool) -> None:
        if self._chosen is not None:
            self.pair_asked.emit(self._chosen, on)

    def _open(self, side: int) -> None:
        if self._chosen is not None:
            self.case_asked.emit((self._chosen.case, self._chosen.related[0])[side])


def _sides(pair: Reported) -> str:
    folds = pair.evidence.get("folds") or []
    parts = ["training/test"] if pair.evidence.get("test") else []
    if folds:
        parts.append(f"fold{'s' * (len(folds) > 1)} {', '.join(str(n) for n in folds)}")
    return "; ".join(parts)
