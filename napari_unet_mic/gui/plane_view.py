"""One plane through the volume: pictures in their true proportions, a crosshair, letters.

It shows what it is given and says what the person does: `picked` where somebody points,
`stepped` how many slices somebody scrolls. Ctrl and the wheel zoom, a double-click shows the
whole again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_unet_mic.gui.crosshair import COLOUR
from napari_unet_mic.gui.plane_pictures import Picture

MARGIN = 4  # pixels around the whole
MOST_ZOOM = 20.0
_KEYS = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}


class PlaneView(QWidget):
    """Draws one plane. Rows and columns are world units; with `upwards` rows grow upwards."""

    picked = Signal(float, float)  # row, column
    stepped = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._pictures: Sequence[Picture] = ()
        self._whole = QRectF(0, 0, 1, 1)
        self._cross = (0.0, 0.0)
        self._letters: Mapping[str, str] = {}
        self._title = ""
        self._upwards = False
        self._zoom = 1.0
        self._center = QPointF(0.5, 0.5)
        self._scrolled = 0

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for room in which a body can be recognised."""
        return QSize(320, 220)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Stay usable when there is little room."""
        return QSize(120, 80)

    def show_plane(
        self,
        pictures: Sequence[Picture],
        *,
        cross: tuple[float, float],
        title: str,
        letters: Mapping[str, str],
        upwards: bool,
    ) -> None:
        """Show a plane: its pictures (lowest first), the crosshair (row, column), its edges."""
        self._pictures, self._cross, self._letters = pictures, cross, letters
        self._title, self._upwards = title, upwards
        whole = QRectF()
        for picture in pictures:
            whole = whole.united(picture.place)
        if not whole.isEmpty() and whole != self._whole:
            self._whole = whole
            self._show_whole()
        self._keep_cross_in_sight()
        self.update()

    # ---- from millimetres to pixels --------------------------------------------------
    def _scale(self) -> float:
        width = max(1.0, self.width() - 2.0 * MARGIN)
        height = max(1.0, self.height() - 2.0 * MARGIN)
        return self._zoom * min(width / self._whole.width(), height / self._whole.height())

    def to_pixel(self, row: float, column: float) -> QPointF:
        """Return where a position of the plane is drawn."""
        scale = self._scale()
        down = -scale if self._upwards else scale
        return QPointF(
            self.width() / 2 + (column - self._center.x()) * scale,
            self.height() / 2 + (row - self._center.y()) * down,
        )

    def to_plane(self, pixel: QPointF) -> tuple[float, float]:
        """Return the (row, column) of the plane under a pixel."""
        scale = self._scale()
        down = -scale if self._upwards else scale
        return (
            self._center.y() + (pixel.y() - self.height() / 2) / down,
            self._center.x() + (pixel.x() - self.width() / 2) / scale,
        )

    def _show_whole(self) -> None:
        self._zoom, self._center = 1.0, self._whole.center()

    def _keep_cross_in_sight(self) -> None:
        row, column = self._cross
        if self._zoom > 1 and not QRectF(self.rect()).contains(self.to_pixel(row, column)):
            self._center = QPointF(column, row)

    # ---- drawing -----------------------------------------------------------------------
    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the pictures, the crosshair, the letters and the title."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        for picture in self._pictures:
            place = picture.place
            first = self.to_pixel(place.top(), place.left())
            last = self.to_pixel(place.bottom(), place.right())
            painter.setOpacity(picture.opacity)
            painter.drawImage(QRectF(first, last).normalized(), picture.image)
        painter.setOpacity(1.0)
        painter.setPen(QPen(QColor.fromRgbF(*COLOUR), 1))
        at = self.to_pixel(*self._cross)
        painter.drawLine(QPointF(0, at.y()), QPointF(self.width(), at.y()))
        painter.drawLine(QPointF(at.x(), 0), QPointF(at.x(), self.height()))
        self._draw_texts(painter)

    def _draw_texts(self, painter: QPainter) -> None:
        inner = self.rect().adjusted(5, 3, -5, -3)
        flag = Qt.AlignmentFlag
        places = {
            "left": flag.AlignLeft | flag.AlignVCenter,
            "right": flag.AlignRight | flag.AlignVCenter,
            "top": flag.AlignHCenter | flag.AlignTop,
            "bottom": flag.AlignHCenter | flag.AlignBottom,
        }
        texts = [(flag.AlignLeft | flag.AlignTop, self._title)]
        texts += [(places[side], letter) for side, letter in self._letters.items()]
        for place, text in texts:
            around = painter.boundingRect(inner, place, text).adjusted(-2, 0, 2, 0)
            painter.fillRect(around, QColor(0, 0, 0, 170))
            painter.setPen(QColor(235, 235, 235))
            painter.drawText(inner, place, text)
            font = QFont(painter.font())
            font.setBold(True)  # from the second on: the letters
            painter.setFont(font)

    # ---- what the person does -------------------------------------------------------------
    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Move the crosshair here."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(*self.to_plane(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Move the crosshair along."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.picked.emit(*self.to_plane(event.position()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Show the whole plane again."""
        self._show_whole()
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's name)
        """Scroll slices; with Ctrl, zoom around the pointer."""
        event.accept()
        turned = event.angleDelta().y() or event.angleDelta().x()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._zoom_at(event.position(), 1.0015**turned)
            return
        self._scrolled += turned
        steps = int(self._scrolled / 120)
        self._scrolled -= 120 * steps
        if steps:
            self.stepped.emit(steps)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        """Scroll slices by the arrow and page keys."""
        step = _KEYS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.stepped.emit(step)

    def _zoom_at(self, pixel: QPointF, factor: float) -> None:
        row, column = self.to_plane(pixel)
        self._zoom = min(MOST_ZOOM, max(1.0, self._zoom * factor))
        if self._zoom == 1.0:
            self._show_whole()
        else:
            now_row, now_column = self.to_plane(pixel)
            self._center += QPointF(column - now_column, row - now_row)
        self.update()
