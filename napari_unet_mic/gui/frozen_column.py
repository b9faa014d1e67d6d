"""A table's first column laid over it, so that it stays in sight while the rest is scrolled.

Shown only where the table is wider than its view. It shares model and selection with the
table and hands clicks on.
"""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableView


class FrozenColumn(QTableView):
    """The first column of a table, on top of that table."""

    def __init__(self, table: QTableView) -> None:
        super().__init__(table)
        self._table = table
        self.setModel(table.model())
        self.setSelectionModel(table.selectionModel())
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(table.showGrid())
        self.setWordWrap(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(table.selectionBehavior())
        self.setSelectionMode(table.selectionMode())
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        for turn in (self.setHorizontalScrollBarPolicy, self.setVerticalScrollBarPolicy):
            turn(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._take_headers()
        bars = (table.verticalScrollBar(), self.verticalScrollBar())
        bars[0].valueChanged.connect(bars[1].setValue)
        bars[1].valueChanged.connect(bars[0].setValue)
        table.horizontalScrollBar().rangeChanged.connect(lambda *_: self.fit())
        table.horizontalHeader().sectionResized.connect(lambda *_: self.fit())
        table.horizontalHeader().geometriesChanged.connect(self.fit)
        table.model().modelReset.connect(self.fit)
        self.hide()

    def _take_headers(self) -> None:
        theirs, ours = self._table.horizontalHeader(), self.horizontalHeader()
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(
            self._table.verticalHeader().minimumSectionSize()
        )
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(
            self._table.verticalHeader().defaultSectionSize()
        )
        ours.setStyleSheet(theirs.styleSheet())
        ours.setMinimumSectionSize(theirs.minimumSectionSize())
        ours.setDefaultAlignment(theirs.defaultAlignment())
        ours.setSectionsClickable(True)
        ours.setHighlightSections(False)
        ours.setSortIndicatorShown(self._table.isSortingEnabled())
        ours.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        theirs.sortIndicatorChanged.connect(self._on_sorted)
        ours.sectionClicked.connect(self._on_header_clicked)

    def fit(self) -> None:
        """Lie exactly over the table's first column, or hide when nothing can scroll away."""
        table = self._table
        model = table.model()
        if model is None:  # the window is closing
            return
        wide = model.columnCount() > 1 and table.horizontalScrollBar().maximum() > 0
        if wide:
            for column in range(1, model.columnCount()):
                if not self.isColumnHidden(column):
                    self.setColumnHidden(column, True)
            self.setColumnHidden(0, False)
            self.setColumnWidth(0, table.columnWidth(0))
            header = table.horizontalHeader().height()
            self.horizontalHeader().setFixedHeight(header)
            frame = table.frameWidth()
            left = frame + (
                table.verticalHeader().width() if table.verticalHeader().isVisible() else 0
            )
            self.setGeometry(left, frame, table.columnWidth(0), table.viewport().height() + header)
            self.verticalScrollBar().setValue(table.verticalScrollBar().value())
        self.setVisible(wide)

    def _on_header_clicked(self, section: int) -> None:
        theirs = self._table.horizontalHeader()
        up, down = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
        by_this = theirs.sortIndicatorSection() == section
        order = down if by_this and theirs.sortIndicatorOrder() == up else up
        if self._table.isSortingEnabled():
            self._table.sortByColumn(section, order)

    def _on_sorted(self, section: int, order: Qt.SortOrder) -> None:
        self.horizontalHeader().setSortIndicator(section if section == 0 else -1, order)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802 (Qt's name)
        """Offer what the table offers."""
        self._table.contextMenuEvent(event)
