"""One point a case: a figure of a class, sorted, with the mean with and without empty references.

An evaluation, a class and a metric enter (and a second evaluation: then the change is shown). A
click on a point leaves as its case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout

from napari_unet_mic.gui.colours import class_colour, hexadecimal
from napari_unet_mic.gui.late_plots import LatePlots, new_plot, paint_theme

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.case_order import Metric
    from napari_unet_mic.evaluation.results import Evaluation

NOTHING = "No case has this figure"
ALL_COLOUR, EMPTY_COLOUR, LINE_COLOUR = "#cc79a7", "#d55e00", "#009e73"
"""Okabe and Ito's: the mean of all classes, empty references, the mean without them."""


@dataclass(frozen=True)
class Points:
    """What is drawn.

    Attributes
    ----------
    cases, figures, empty
        By point, the worst first: name, figure, and whether the reference has none of the class.
    undefined
        Cases without the figure (the class is in neither map).
    mean, mean_present
        Over all points, and over those whose reference has the class; None without any.
    what
        What the figure is called.
    change
        Whether the figures are differences of two evaluations.
    """

    cases: tuple[str, ...]
    figures: tuple[float, ...]
    empty: tuple[bool, ...]
    undefined: int
    mean: float | None
    mean_present: float | None
    what: str
    change: bool = False

    @property
    def n_present(self) -> int:
        """Points whose reference has the class."""
        return len(self.cases) - sum(self.empty)

    def words(self) -> str:
        """State both means as named figures, with the number of cases behind each."""
        if self.mean is None:
            return NOTHING
        form = "+.4f" if self.change else ".4f"
        lines = f"<b>{self.what}</b>: mean {self.mean:{form}} ({len(self.cases)} cases)"
        if any(self.empty) and self.mean_present is not None:
            lines += (
                f"; without empty references <b>{self.mean_present:{form}}</b> "
                f"({self.n_present} cases)"
            )
        if self.undefined:
            lines += f"; {self.undefined} without it in either map"
        return lines


def points_of(
    evaluation: Evaluation, value: int | None, metric: Metric, second: Evaluation | None = None
) -> Points:
    """Return the points of a class (None: the mean of the foreground) and a metric, worst first."""
    from napari_unet_mic.evaluation.case_order import by_loss, named, worst_by

    if second is None:
        ranking, what = worst_by(evaluation, value, metric), named(evaluation, value, metric)
    else:
        ranking = by_loss(evaluation, second, value, metric)
        what = ranking.heading
    known = [name for name in ranking.cases if ranking.figures[name] is not None]
    figures = tuple(float(ranking.figures[name] or 0.0) for name in known)
    by_name = {case.name: case for case in evaluation.cases}
    empty = tuple(value is not None and by_name[name].scores[value].n_ref == 0 for name in known)
    present = [figure for figure, one in zip(figures, empty, strict=True) if not one]
    return Points(
        tuple(known),
        figures,
        empty,
        len(ranking.cases) - len(known),
        float(np.mean(figures)) if figures else None,
        float(np.mean(present)) if present else None,
        what,
        second is not None,
    )


class CasePlot(LatePlots):
    """The sorted points; `case_asked` carries the name of the case whose point was clicked."""

    case_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.points: Points | None = None
        self._colour = ALL_COLOUR
        self._dots: Any = None
        self.legend = QLabel(NOTHING)
        self.legend.setWordWrap(True)
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.legend.setToolTip(
            "The mean as nnU-Net has it (a case with false positives only counts 0, one without "
            "the class in either map is left out), and the mean of the cases whose reference has "
            "the class"
        )
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)
        self._layout.addWidget(self.legend)
        self._layout.addStretch(1)

    def show_points(self, points: Points, value: int | None) -> None:
        """Draw other points, in the class's colour."""
        self.points = points
        self._colour = ALL_COLOUR if value is None else hexadecimal(class_colour(value))
        marks = f' &nbsp; <span style="color:{EMPTY_COLOUR}">◆</span>&nbsp;empty reference'
        self.legend.setText(points.words() + (marks if any(points.empty) else ""))
        self._draw()

    def set_theme(self, text: str, background: str) -> None:
        """Take over the theme's text and background colour ("#rrggbb")."""
        super().set_theme(text, background)
        self._draw()

    def build_plots(self) -> None:
        """Make the plot, place it below the legend, draw it."""
        plot = self._plots["cases"] = new_plot()
        plot.setMinimumSize(100, 60)
        plot.setToolTip("One point a case, the worst on the left. Click a point to open its case")
        paint_theme(plot, *self._theme)
        plot.getAxis("left").setWidth(36)
        self._layout.takeAt(1)
        self._layout.addWidget(plot, 1)
        self._draw()

    def _draw(self) -> None:
        if not self.ready:
            return
        import pyqtgraph

        plot, points = self._plots["cases"], self.points
        plot.clear()
        self._dots = None
        if points is None or not points.cases:
            return
        brushes = [
            pyqtgraph.mkBrush(EMPTY_COLOUR if empty else self._colour) for empty in points.empty
        ]
        self._dots = pyqtgraph.ScatterPlotItem(
            x=np.arange(1, len(points.cases) + 1),
            y=np.array(points.figures),
            data=list(points.cases),
            size=[8 if empty else 7 for empty in points.empty],
            symbol=["d" if empty else "o" for empty in points.empty],
            brush=brushes,
            pen=None,
            hoverable=True,
            tip=lambda x, y, data: f"{data}: {y:.4g}",
        )
        self._dots.sigClicked.connect(lambda _, at, *__: self.case_asked.emit(at[0].data()))
        self._add_line(points.mean, self._theme[0])
        if any(points.empty):
            self._add_line(points.mean_present, LINE_COLOUR)
        if points.change:
            self._add_line(0.0, self._theme[0], dotted=True)
        plot.addItem(self._dots)
        plot.autoRange()

    def _add_line(self, height: float | None, colour: str, *, dotted: bool = False) -> None:
        import pyqtgraph

        if height is None:
            return
        style = Qt.PenStyle.DotLine if dotted else Qt.PenStyle.DashLine
        pen = pyqtgraph.mkPen(colour, width=1, style=style)
        self._plots["cases"].addItem(pyqtgraph.InfiniteLine(pos=height, angle=0, pen=pen))
