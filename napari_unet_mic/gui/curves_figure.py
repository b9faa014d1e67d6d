"""The curves of runs as a figure for a paper: loss above, IoU per class below, on white.

Lines to draw come in, painting on any `QPainter` goes out: a picture's or an SVG file's. All
sizes are in points of a figure that is `WIDTH` × `HEIGHT`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPen, QPolygonF

from napari_unet_mic.gui.curves import QUANTITIES, Line
from napari_unet_mic.gui.history import Curve

WIDTH, HEIGHT = 720, 620
LEFT, RIGHT, TOP, BOTTOM = 76, 18, 40, 52
BETWEEN = 40
LEGEND_ROW = 16
INK, FAINT, GRID = "#1b1f24", "#5b6470", "#e2e5e9"
MOST_POINTS = 4000
STROKES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
AXIS_WORDS = {"loss": "loss", "iou": "IoU"}


@dataclass(frozen=True)
class Figure:
    """What is drawn: the plots from top to bottom with their lines, and the runs' names."""

    title: str
    plots: tuple[tuple[str, tuple[Line, ...]], ...]
    runs: tuple[str, ...]
    log: bool = False


@dataclass(frozen=True)
class _Scale:
    """Where data lie on paper: a range of x and y onto a rectangle; y may be logarithmic."""

    area: QRectF
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool

    def across(self, x: float) -> float:
        low, high = self.x
        return float(self.area.left() + (x - low) / (high - low) * self.area.width())

    def up(self, y: float) -> float:
        low, high = self.y
        value = math.log10(y) if self.log else y
        return float(self.area.bottom() - (value - low) / (high - low) * self.area.height())


def paint(painter: QPainter, figure: Figure) -> None:
    """Draw a figure; the painter's units are the figure's points."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillRect(QRectF(0, 0, WIDTH, HEIGHT), QColor("white"))
    _words(painter, QRectF(LEFT, 8, WIDTH - LEFT - RIGHT, 24), figure.title, size=15, bold=True)
    x = _x_range([line.curve for _, lines in figure.plots for line in lines])
    n = len(figure.plots)
    height = (HEIGHT - TOP - BOTTOM - BETWEEN * (n - 1)) / n
    for number, (quantity, lines) in enumerate(figure.plots):
        top = TOP + number * (height + BETWEEN)
        log = figure.log and quantity == "loss"
        legend = _legend_entries(lines, figure.runs)
        rows = _legend_rows(painter, legend)
        head = LEGEND_ROW * len(rows) + 4
        area = QRectF(LEFT, top + head, WIDTH - LEFT - RIGHT, height - head)
        _paint_legend(painter, rows, top)
        scale = _Scale(area, x, _y_range(quantity, lines, log=log), log)
        _paint_axes(painter, scale, AXIS_WORDS.get(quantity, QUANTITIES[quantity].title))
        for line in lines:
            _paint_line(painter, scale, line)
    below = QRectF(LEFT, HEIGHT - 26, WIDTH - LEFT - RIGHT, 18)
    _words(painter, below, "epoch", flag=Qt.AlignmentFlag.AlignHCenter)


# ---- ranges and ticks --------------------------------------------------------------------
def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers within a range, about so many.

    Examples
    --------
    >>> ticks(0, 1000), ticks(0.0, 1.0)
    ([0.0, 200.0, 400.0, 600.0, 800.0, 1000.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)) + 1)
    return [round(n * step, digits) for n in range(first, last + 1)]


def _x_range(curves: Sequence[Curve]) -> tuple[float, float]:
    last = max((float(x[-1]) for x, _ in curves if len(x)), default=1.0)
    return 0.0, max(last, 1.0)


def _y_range(quantity: str, lines: Sequence[Line], *, log: bool) -> tuple[float, float]:
    fixed = QUANTITIES[quantity].y_range
    if fixed is not None:
        return fixed
    parts = [line.curve[1] for line in lines if len(line.curve[1])]
    values = np.concatenate(parts) if parts else np.array([0.0, 1.0])
    if log:
        positive = values[values > 0]
        values = np.log10(positive) if len(positive) else np.array([-1.0, 0.0])
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


# ---- parts -------------------------------------------------------------------------------
def _words(
    painter: QPainter,
    place: QRectF,
    text: str,
    *,
    size: int = 12,
    colour: str = INK,
    bold: bool = False,
    flag: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    painter.setFont(_font(size, bold=bold))
    painter.setPen(QColor(colour))
    painter.drawText(place, flag | Qt.AlignmentFlag.AlignVCenter, text)


def _font(size: int, *, bold: bool = False) -> QFont:
    font = QFont("Helvetica, Arial, sans-serif")
    font.setFamilies(["Helvetica", "Arial", "DejaVu Sans"])
    font.setPixelSize(size)
    font.setBold(bold)
    return font


def _paint_axes(painter: QPainter, scale: _Scale, words: str) -> None:
    area = scale.area
    for x in ticks(*scale.x, about=8):
        at = scale.across(x)
        painter.setPen(QPen(QColor(GRID), 1))
        painter.drawLine(QPointF(at, area.top()), QPointF(at, area.bottom()))
        place = QRectF(at - 30, area.bottom() + 3, 60, 16)
        _words(painter, place, f"{x:g}", colour=FAINT, flag=Qt.AlignmentFlag.AlignHCenter)
    for y in ticks(*scale.y, about=5):
        value = 10.0**y if scale.log else y
        at = scale.up(value)
        painter.setPen(QPen(QColor(GRID), 1))
        painter.drawLine(QPointF(area.left(), at), QPointF(area.right(), at))
        place = QRectF(area.left() - 56, at - 8, 50, 16)
        _words(painter, place, f"{value:.3g}", colour=FAINT, flag=Qt.AlignmentFlag.AlignRight)
    painter.setPen(QPen(QColor(FAINT), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(area)
    painter.save()
    painter.translate(16, area.center().y())
    painter.rotate(-90)
    place = QRectF(-area.height() / 2, -10, area.height(), 20)
    _words(painter, place, words, flag=Qt.AlignmentFlag.AlignHCenter)
    painter.restore()


def _paint_line(painter: QPainter, scale: _Scale, line: Line) -> None:
    x, y = _reduced(line.curve)
    if scale.log:
        x, y = x[y > 0], y[y > 0]
    if not len(x):
        return
    points = [QPointF(scale.across(a), scale.up(b)) for a, b in zip(x, y, strict=True)]
    painter.save()
    painter.setClipRect(scale.area.adjusted(-1, -1, 1, 1))
    painter.setPen(_pen(line))
    if len(points) == 1:
        painter.drawEllipse(points[0], 2.5, 2.5)
    else:
        painter.drawPolyline(QPolygonF(points))
    painter.restore()


def _pen(line: Line) -> QPen:
    colour = QColor(line.colour)
    colour.setAlphaF(0.35 if line.faint else 1.0)
    pen = QPen(colour, 0.9 if line.faint else 1.8)
    pen.setStyle(STROKES[min(line.run, len(STROKES) - 1)])
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return pen


def _reduced(curve: Curve) -> Curve:
    """Return at most `MOST_POINTS` points: of every stretch the lowest and the highest."""
    x, y = curve
    if len(x) <= MOST_POINTS:
        return curve
    starts = np.linspace(0, len(x), MOST_POINTS // 2, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    return np.repeat(x[starts], 2), np.stack([low, high], axis=1).ravel()


# ---- legend ------------------------------------------------------------------------------
def _legend_entries(lines: Sequence[Line], runs: Sequence[str]) -> list[tuple[Line, str]]:
    """Return a line and its words for every entry: names, and with several runs whose."""
    entries = []
    for line in lines:
        if line.name:
            whose = f" ({runs[line.run]})" if len(runs) > 1 else ""
            entries.append((line, f"{line.name}{whose}"))
    return entries


def _legend_rows(
    painter: QPainter, entries: Sequence[tuple[Line, str]]
) -> list[list[tuple[Line, str, float]]]:
    """Put the entries into rows as wide as the plot."""
    painter.setFont(_font(12))
    rows: list[list[tuple[Line, str, float]]] = [[]]
    at = 0.0
    for line, words in entries:
        width = 34.0 + painter.fontMetrics().horizontalAdvance(words) + 14
        if rows[-1] and at + width > WIDTH - LEFT - RIGHT:
            rows.append([])
            at = 0.0
        rows[-1].append((line, words, at))
        at += width
    return rows


def _paint_legend(
    painter: QPainter, rows: Sequence[Sequence[tuple[Line, str, float]]], top: float
) -> None:
    for number, row in enumerate(rows):
        middle = top + LEGEND_ROW * (number + 0.5)
        for line, words, at in row:
            painter.setPen(_pen(line))
            painter.drawLine(QPointF(LEFT + at, middle), QPointF(LEFT + at + 28, middle))
            place = QRectF(LEFT + at + 34, middle - 8, WIDTH, 16)
            _words(painter, place, words)
