"""Plots that are built late: pyqtgraph is imported in a thread, plots when somebody looks.

A subclass says how its plots are built and drawn; opening a panel costs nothing.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent, QWheelEvent
from qtpy.QtWidgets import QWidget

WAIT_FOR_IMPORT_MS = 40


class LatePlots(QWidget):
    """A widget whose `_plots` exist a moment after it was first seen (`ready`)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plots: dict[str, Any] = {}
        self._theme = ("#f0f1f2", "#23242b")
        self._import = threading.Thread(
            target=importlib.import_module, args=("pyqtgraph",), daemon=True
        )
        self._import.start()

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
            QTimer.singleShot(0, self._build_when_imported)

    def _build_when_imported(self) -> None:
        if self.ready or not self.isVisible():
            return
        if self._import.is_alive():
            QTimer.singleShot(WAIT_FOR_IMPORT_MS, self._build_when_imported)
            return
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
