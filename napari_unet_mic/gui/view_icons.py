"""Small pictures for the view bar's buttons, drawn in the theme's colour."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

SIZE = 16  # the drawings' own coordinates
SHARP = 4  # pixels per unit, so that big screens see no stairs


def view_icon(name: str, colour: QColor) -> QIcon:
    """Return the icon of a way of viewing ("overlay", … as `view_modes` names them)."""
    pixmap = QPixmap(SIZE * SHARP, SIZE * SHARP)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(SHARP, SHARP)
    painter.setPen(QPen(colour, 1.4))
    _DRAWINGS[name](painter, colour)
    painter.end()
    return QIcon(pixmap)


def _overlay(painter: QPainter, colour: QColor) -> None:
    faint = QColor(colour)
    faint.setAlphaF(0.45)
    painter.setBrush(faint)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(QRectF(5, 4.5, 10, 10))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 1.6))
    painter.drawEllipse(QRectF(1.5, 1.5, 10, 10))


def _side_by_side(painter: QPainter, colour: QColor) -> None:
    for column in range(3):
        painter.drawRect(QRectF(0.8 + 5 * column, 3, 4.2, 10))


def _errors_only(painter: QPainter, colour: QColor) -> None:
    painter.setPen(QPen(colour, 1.8))
    painter.drawLine(QPointF(3, 6), QPointF(13, 6))
    painter.drawLine(QPointF(3, 10), QPointF(13, 10))
    painter.drawLine(QPointF(10.5, 2.5), QPointF(5.5, 13.5))


def _in_3d(painter: QPainter, colour: QColor) -> None:
    top, middle, bottom = QPointF(8, 1.5), QPointF(8, 8), QPointF(8, 14.5)
    left, right = QPointF(2, 4.8), QPointF(14, 4.8)
    low_left, low_right = QPointF(2, 11.2), QPointF(14, 11.2)
    painter.drawPolygon(QPolygonF([top, right, low_right, bottom, low_left, left]))
    for end in (left, right, bottom):
        painter.drawLine(middle, end)


def _orthogonal(painter: QPainter, colour: QColor) -> None:
    painter.drawRect(QRectF(1.5, 1.5, 13, 13))
    painter.drawLine(QPointF(6, 1.5), QPointF(6, 14.5))
    painter.drawLine(QPointF(1.5, 9), QPointF(14.5, 9))


def _probability(painter: QPainter, colour: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    for radius, share in ((7.2, 0.25), (4.8, 0.45), (2.4, 1.0)):
        shade = QColor(colour)
        shade.setAlphaF(share)
        painter.setBrush(shade)
        painter.drawEllipse(QPointF(8, 8), radius, radius)


_DRAWINGS: dict[str, Callable[[QPainter, QColor], None]] = {
    "overlay": _overlay,
    "side by side": _side_by_side,
    "errors only": _errors_only,
    "3-D": _in_3d,
    "orthogonal": _orthogonal,
    "probability": _probability,
}
