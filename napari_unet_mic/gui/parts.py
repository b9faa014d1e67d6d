"""The parts of a panel side by side, above each other, or as tabs: as there is room.

Parts enter: a widget, the title of its tab, the table in it. Parts of one title share a tab. Side
by side each gets the width that its table needs, as far as there is enough for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QBoxLayout, QSplitter, QTabBar, QWidget

from napari_unet_mic.gui.forms import explained
from napari_unet_mic.gui.tables import TableView

Arrangement = Literal["beside", "above", "tabs"]
WIDE = 1000  # pixels that three tables need side by side
TALL = 430  # pixels that three tables need above each other
ALL_BESIDE = 1560  # pixels from which four parts stand side by side
ALL_ABOVE = 600  # pixels from which four parts stand above each other


def arrangement_of(width: int, height: int) -> Arrangement:
    """Return how three tables fit best into a rectangle of pixels."""
    if width >= WIDE:
        return "beside"
    return "above" if height >= TALL else "tabs"


def shared(width: int, wanted: Sequence[int]) -> list[int]:
    """Share a width among parts: all they want and an equal share of the rest, or a fair part.

    Where there is not enough, parts that want little get it, and the others the same each;
    one that wants hardly more than that gets it too, as what is left scrolls anyway.
    """
    if sum(wanted) <= width:
        return [one + (width - sum(wanted)) // len(wanted) for one in wanted]
    left, given = width, [0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    for done, place in enumerate(order):
        fair = left // (len(wanted) - done)
        last = done == len(wanted) - 1
        given[place] = wanted[place] if wanted[place] <= fair * (1.0 if last else 1.2) else fair
        left -= given[place]
    return given


@dataclass(frozen=True)
class Part:
    """One part: its tab's title, the widget, and the table in it that asks for width.

    `least` pixels are what the line above the table needs.
    """

    title: str
    widget: QWidget
    table: TableView
    least: int = 320


class Parts(QWidget):
    """Arranges its parts anew whenever its size or their tables change."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self._parts = list(parts)
        self._moved = False
        self._crowded = False
        self.arrangement: Arrangement = "beside"
        self.tabs = explained(QTabBar(), "Which of the tables to show: there is no room for all")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for title in dict.fromkeys(part.title for part in parts):
            self.tabs.addTab(title)
        self.tabs.currentChanged.connect(lambda _: self._show_parts())
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        for part in parts:
            self.splitter.addWidget(part.widget)
            part.table.table.modelReset.connect(self._share_soon)
        self.splitter.splitterMoved.connect(self._on_moved)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.share)
        self._layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)
        self._layout.addWidget(self.tabs)
        self._layout.addWidget(self.splitter, 1)
        self.tabs.hide()

    def bring_forward(self, title: str) -> None:
        """Show the tab of that title, where there are tabs."""
        for index in range(1 if self._crowded else 0, self.tabs.count()):
            if self.tabs.tabText(index) == title:
                self.tabs.setCurrentIndex(index)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Choose the arrangement that fits."""
        super().resizeEvent(event)
        arrangement = arrangement_of(event.size().width(), event.size().height())
        if arrangement != self.arrangement:
            self.arrangement = arrangement
            down = arrangement == "above"
            self.splitter.setOrientation(
                Qt.Orientation.Vertical if down else Qt.Orientation.Horizontal
            )
            self._moved = False
            self._show_parts()
        elif self._crowded != self._is_crowded():
            self._show_parts()
        self._share_soon()

    def share(self) -> None:
        """Share the width by what the tables want, unless the person has moved a border."""
        if self.arrangement == "beside" and not self._moved:
            seen = [part for part in self._parts if not part.widget.isHidden()]
            wanted = [max(part.least, part.table.wanted_width()) for part in seen]
            borders = self.splitter.handleWidth() * (len(wanted) - 1)
            sizes = iter(shared(self.splitter.width() - borders, wanted))
            self.splitter.setSizes([next(sizes) if p in seen else 0 for p in self._parts])

    def _share_soon(self) -> None:
        self._timer.start(0)

    def _on_moved(self) -> None:
        self._moved = True

    def _is_crowded(self) -> bool:
        """Whether all but the first title's parts have to share one place."""
        if self.tabs.count() < 3 or self.arrangement == "tabs":
            return False
        if self.arrangement == "beside":
            return self.width() < ALL_BESIDE
        return self.height() < ALL_ABOVE

    def _place_tabs(self) -> None:
        """Put the tabs beside the one place that they are for, where height is short."""
        at_the_side = self._crowded and self.arrangement == "beside"
        side, top = QBoxLayout.Direction.RightToLeft, QBoxLayout.Direction.TopToBottom
        self._layout.setDirection(side if at_the_side else top)
        shapes = QTabBar.Shape
        self.tabs.setShape(shapes.RoundedEast if at_the_side else shapes.RoundedNorth)
        above_the_place = self._crowded and not at_the_side
        self._layout.setAlignment(
            self.tabs,
            Qt.AlignmentFlag.AlignTop
            if at_the_side
            else Qt.AlignmentFlag.AlignRight
            if above_the_place
            else Qt.AlignmentFlag(0),
        )

    def _show_parts(self) -> None:
        """Show all parts; or those of one tab; or the first ones and those of one further tab."""
        self._crowded = self._is_crowded()
        tabbed = self.arrangement == "tabs" or self._crowded
        first = self._parts[0].title
        self.tabs.setTabVisible(0, not self._crowded)
        self._place_tabs()
        if self._crowded and self.tabs.currentIndex() == 0:
            self.tabs.setCurrentIndex(1)
        self.tabs.setVisible(tabbed)
        current = self.tabs.tabText(self.tabs.currentIndex())
        for part in self._parts:
            always = not tabbed or (self._crowded and part.title == first)
            part.widget.setVisible(always or part.title == current)
        self._share_soon()
