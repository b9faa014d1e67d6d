"""The preview of training in the panel: image, reference and prediction of one slice.

A `Preview` comes in; what goes out is whether it shall stand in the viewer as layers, too.
"""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui.colours import class_colour
from napari_unet_mic.gui.forms import ElidedLabel, explained
from napari_unet_mic.gui.previews import RGB, Preview, pictures_of

TITLES = ("image", "reference", "prediction")
NOTHING = "No preview yet: the run shows one while it trains"
HEIGHT = 96


class SlicePicture(QWidget):
    """One picture in the proportions of its millimetres, as large as it fits."""

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self._proportion = 1.0
        self.setMinimumSize(QSize(60, HEIGHT))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_picture(self, picture: RGB | None, pixel_mm: tuple[float, float] = (1, 1)) -> None:
        """Show a picture (rows, columns, 3) whose pixels are so high and wide; None: nothing."""
        self._image = None
        if picture is not None:
            rows, columns = picture.shape[:2]
            data = np.ascontiguousarray(picture).data
            form = QImage.Format.Format_RGB888
            self._image = QImage(data, columns, rows, 3 * columns, form).copy()
            self._proportion = (columns * pixel_mm[1]) / (rows * pixel_mm[0])
        self.update()

    @property
    def image(self) -> QImage | None:
        """What is shown."""
        return self._image

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the picture in the middle of a black ground."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        if self._image is not None:
            width = min(self.width(), self.height() * self._proportion)
            height = width / self._proportion
            place = QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)
            painter.drawImage(place, self._image)
        painter.end()


class PreviewView(QWidget):
    """The three pictures, the slice, and the wish to see them in the viewer.

    Signals
    -------
    in_viewer_wanted (bool)
        Whether the preview shall be shown as layers, and follow the run there.
    """

    in_viewer_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.preview: Preview | None = None
        self._moved = False  # the person chose a slice
        self.pictures = tuple(SlicePicture() for _ in TITLES)
        self.title = ElidedLabel(NOTHING)
        self.slice = explained(
            QSlider(Qt.Orientation.Horizontal),
            "The slice of the patch that is shown; at first the one with most foreground",
        )
        self.slice.valueChanged.connect(self._draw)
        self.slice.sliderMoved.connect(self._on_slider_moved)
        self.number = QLabel()
        self.in_viewer = explained(
            QCheckBox("show in the viewer"),
            "Show the patch as layers (image, reference, prediction) that follow the run",
        )
        self.in_viewer.toggled.connect(self.in_viewer_wanted)
        self._lay_out()
        self.show_preview(None)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(3)
        grid.setVerticalSpacing(1)
        tips = (
            "The patch as the network sees it",
            "The reference: what somebody labelled",
            "What the network says at this moment of its training",
        )
        for column, (title, picture, tip) in enumerate(
            zip(TITLES, self.pictures, tips, strict=True)
        ):
            heading = explained(QLabel(title), tip)
            heading.setAlignment(Qt.AlignmentFlag.AlignCenter)
            explained(picture, tip)
            grid.addWidget(heading, 0, column)
            grid.addWidget(picture, 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(1, 1)
        line = QHBoxLayout()
        line.addWidget(QLabel("slice"))
        line.addWidget(self.slice, 1)
        line.addWidget(self.number)
        line.addWidget(self.in_viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.title)
        self._parts = QWidget()
        inner = QVBoxLayout(self._parts)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(2)
        inner.addLayout(grid, 1)
        inner.addLayout(line)
        layout.addWidget(self._parts, 1)

    def show_preview(self, preview: Preview | None, words: str = "") -> None:
        """Show a preview, under words that say of which run and when; None: there is none."""
        before, self.preview = self.preview, preview
        self._parts.setVisible(preview is not None)
        if preview is None:
            self._moved = False
            self.title.set_whole(NOTHING)
            for picture in self.pictures:
                picture.show_picture(None)
            return
        self.title.set_whole(f"{words} · {preview.case}" if preview.case else words)
        if before is None or before.n_slices != preview.n_slices:
            self._moved = False
        blocked = self.slice.blockSignals(True)
        self.slice.setRange(0, preview.n_slices - 1)
        if not self._moved:
            self.slice.setValue(preview.fullest_slice)
        self.slice.blockSignals(blocked)
        self.slice.setEnabled(preview.n_slices > 1)
        self._draw()

    def _on_slider_moved(self) -> None:
        self._moved = True

    def _draw(self) -> None:
        if self.preview is None:
            return
        place = self.slice.value()
        self.number.setText(f"{place + 1}/{self.preview.n_slices}")
        drawn = pictures_of(self.preview, place, class_colour)
        for widget, picture in zip(self.pictures, drawn, strict=True):
            widget.show_picture(picture, self.preview.spacing_mm[1:])
