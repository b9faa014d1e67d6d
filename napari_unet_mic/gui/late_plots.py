"""Plots that are built late: pyqtgraph is imported, and plots are built, when somebody looks.

A subclass says how its plots are built and drawn; opening a panel costs nothing. The import
(a tenth of a second, once) stays on the GUI thread: Qt classes that are made in another thread
while the GUI makes widgets end the process now and then.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QShowEvent, QWheelEvent
from qtpy.QtWidgets import QWidget

from napari_unet_mic.gui.controls import later


class LatePlots(QWidget):
    """A widget whose `_plots` exist a moment after it was first seen (`ready`)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plots: dict[str, Any] = {}
        self._theme = ("#f0f1f2", "#23242b")

    @property
    def ready(self) -> bool:
        """Whether the plots exist (a moment after the widget was first seen)."""
        return bool(self._plots)

    def build_plots(self) -> None:
        """Fill `_plots` with `new_plot`s, place and draw them; called once, by the base."""
        raise NotImplementedError

    def set_theme(self, text: str, background: str) -> None:
        """Take over the theme's text and background colour ("#rrggbb")."""
        self._theme = (text, background)
        for plot in self._plots.values():
            paint_theme(plot, text, background)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Build the plots once somebody looks."""
        super().showEvent(event)
        if not self.ready:
            later(self, self._build_when_seen)

    def _build_when_seen(self) -> None:
        if self.isVisible() and not self.ready:
            self.build_plots()


def new_plot() -> Any:
    """Return an empty plot that leaves the bare wheel to the panel's scroll area."""
    import pyqtgraph

    class Plot(pyqtgraph.PlotWidget):
        """A plot that leaves the bare wheel to the panel's scroll area."""

        def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's name)
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                super().wheelEvent(event)
            else:
                event.ignore()

        def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
            return QSize(200, 130)

    plot = Plot()
    plot.setMinimumSize(100, 110)
    plot.hideButtons()
    plot.setMenuEnabled(False)
    plot.showGrid(x=False, y=True, alpha=0.15)
    for side, size in (("left", 30), ("bottom", 18)):
        axis = plot.getAxis(side)
        axis.enableAutoSIPrefix(False)
        axis.setStyle(tickTextOffset=3, tickLength=-4)
        (axis.setWidth if side == "left" else axis.setHeight)(size)
    return plot


def paint_theme(plot: Any, text: str, background: str) -> None:
    """Give a plot the theme's text and background colour."""
    plot.setBackground(background)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(text)
        axis.setTextPen(text)
