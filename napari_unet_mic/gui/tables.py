"""Tables in Qt: a compact view that is sorted, filtered and copied.

A `TableModel` enters; the view shows its text, sorts by the values behind it, and emits the row
and column of the model that was clicked.
"""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtGui import (
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
)
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QTableView,
    QWidget,
)

from napari_unet_mic.gui.frozen_column import FrozenColumn
from napari_unet_mic.gui.ordered_rows import OrderedRows
from napari_unet_mic.gui.table_copies import FORMS, Form, as_text
from napari_unet_mic.gui.table_model import TableModel, is_missing, swatch, thousands

__all__ = ["TableModel", "TableView", "is_missing", "swatch", "thousands"]

ROWS_MEASURED = 40
WIDEST_TEXT = 220
WIDEST_HEADING = 110
WIDEST_ROW_HEADING = 130
FLAT = "QHeaderView { border: 0px; padding: 0px; } QHeaderView::section { border: 0px; }"
"""The theme's own row headers stand two pixels lower than the rows they belong to."""
FLAT_CORNER = "QTableCornerButton::section { border: 0px; background: transparent; }"


class TableView(QTableView):
    """A compact table; rows and columns in its signals are those of the model.

    Parameters
    ----------
    by_row
        Whether whole rows are chosen; otherwise cells are, and row headers are shown.
    frozen
        Keep the first column in sight while the others are scrolled.
    wrapped
        Write headings in two lines, which keeps columns of numbers narrow.
    """

    cell_clicked = Signal(int, int)
    cell_double_clicked = Signal(int, int)
    row_header_clicked = Signal(int)
    column_header_clicked = Signal(int)

    def __init__(
        self,
        model: TableModel,
        *,
        sortable: bool = True,
        by_row: bool = True,
        frozen: bool = False,
        wrapped: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.table = model
        self._wrapped = wrapped
        self._proxy = OrderedRows(model)
        self.setModel(self._proxy)
        if sortable:
            self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(sortable)
        behaviour = QAbstractItemView.SelectionBehavior
        self.setSelectionBehavior(behaviour.SelectRows if by_row else behaviour.SelectItems)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setShowGrid(not by_row)
        self._set_headers(by_row)
        self.clicked.connect(self._on_clicked)
        self.doubleClicked.connect(self._on_double_clicked)
        self.verticalHeader().sectionClicked.connect(self._on_row_header_clicked)
        self.horizontalHeader().sectionClicked.connect(self.column_header_clicked)
        model.modelReset.connect(self.fit_columns)
        model.dataChanged.connect(lambda *_: self.fit_columns(only_wider=True))
        self.frozen = FrozenColumn(self) if frozen else None
        if self.frozen is not None:
            self.frozen.clicked.connect(self._on_clicked)
            self.frozen.doubleClicked.connect(self._on_double_clicked)

    def _set_headers(self, by_row: bool) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setVisible(not by_row)
        rows.setMaximumWidth(WIDEST_ROW_HEADING)
        for header in (rows, columns):
            header.setMinimumSectionSize(16)
            header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
            if header is columns or not by_row:
                header.setStyleSheet(FLAT)
        corner = self.findChild(QAbstractButton)
        if corner is not None and not by_row:
            corner.setStyleSheet(FLAT_CORNER)
        if self._wrapped:
            self.table.wrap = lambda heading: "\n".join(_broken(heading))
            columns.setTextElideMode(Qt.TextElideMode.ElideNone)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 5)

    def fit_columns(self, *, only_wider: bool = False) -> None:
        """Give every column the width of its heading and its cells, within reason.

        With `only_wider` columns that are wide enough stay as they are (live numbers do not
        make the table twitch).
        """
        body = self.fontMetrics()
        model = self.table
        for column in range(model.columnCount()):
            width = 0 if only_wider else self._heading_width(column)
            icon = 18 * self._has_icons(column)
            for text in self._widest_texts(column):
                asked = min(body.horizontalAdvance(text), WIDEST_TEXT)
                width = max(width, asked + icon + 10)
            if not only_wider or width > self.columnWidth(column):
                self.setColumnWidth(column, width)

    def _has_icons(self, column: int) -> bool:
        swatch_of, rows = self.table.swatch_of, self.table.rows
        if swatch_of is None or column <= 1:
            return swatch_of is not None
        return bool(rows) and swatch_of(0, column) is not None

    def _heading_width(self, column: int) -> int:
        bold = QFont(self.font())
        bold.setBold(True)
        name = self.table.columns[column]
        heading = max(_broken(name) if self._wrapped else [name], key=len)
        icon = 18 * (self.table.header_icon(column) is not None)
        sort = 4 * self.isSortingEnabled()
        return min(QFontMetrics(bold).horizontalAdvance(heading) + icon, WIDEST_HEADING) + sort + 10

    def _widest_texts(self, column: int) -> set[str]:
        """Return what to measure of a column: of numbers the largest and the smallest."""
        model = self.table
        values = [row[column] for row in model.rows]
        known = [value for value in values if value is not None and value == value]
        if not all(isinstance(value, int | float) for value in known):
            return {model.text(row, column) for row in range(min(len(values), ROWS_MEASURED))}
        ends = {max(known), min(known)} if known else set()
        return {model.text(values.index(end), column) for end in ends}

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Keep the frozen column over the first one."""
        super().resizeEvent(event)
        if self.frozen is not None:
            self.frozen.fit()

    def wanted_width(self) -> int:
        """Return the width at which nothing needs to be scrolled sideways."""
        rows = self.verticalHeader()
        named = rows.sizeHint().width() if not rows.isHidden() else 0
        return (
            self.horizontalHeader().length()
            + named
            + self.verticalScrollBar().sizeHint().width()
            + 4
        )

    def set_filter(self, text: str) -> None:
        """Show only rows with this text in any cell."""
        self._proxy.set_text(text)

    def select_row(self, row: int) -> None:
        """Select a row of the model and scroll to it, without emitting a click."""
        index = self._proxy.mapFromSource(self.table.index(row, 0))
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def current_row(self) -> int:
        """Row of the model that is selected, -1 when none is."""
        return self._proxy.mapToSource(self.currentIndex()).row()

    def selected_rows(self) -> list[int]:
        """Rows of the model that are selected."""
        indexes = self.selectionModel().selectedRows()
        return [self._proxy.mapToSource(index).row() for index in indexes]

    def visible_rows(self) -> list[int]:
        """Rows of the model in the order in which they are shown."""
        return list(self._proxy.rows)

    def copy(self, form: Form = as_text) -> None:
        """Put the table on the clipboard."""
        QGuiApplication.clipboard().setText(form(self.table))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Copy the table with the usual key; Return acts like a click."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._on_clicked(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        """Offer to copy this table in each form."""
        if not self.table.rows:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for title, form in FORMS.items():
            menu.addAction(f"Copy this table {title}", lambda form=form: self.copy(form))
        menu.popup(event.globalPos())

    def _on_clicked(self, index: QModelIndex) -> None:
        source = self._proxy.mapToSource(index)
        if source.isValid():
            self.cell_clicked.emit(source.row(), source.column())

    def _on_double_clicked(self, index: QModelIndex) -> None:
        source = self._proxy.mapToSource(index)
        if source.isValid():
            self.cell_double_clicked.emit(source.row(), source.column())

    def _on_row_header_clicked(self, section: int) -> None:
        if 0 <= section < len(self._proxy.rows):
            self.row_header_clicked.emit(self._proxy.rows[section])


def _broken(heading: str) -> list[str]:
    """Return a heading in two lines, as equal as its words allow."""
    words = heading.split()
    if len(words) < 2:
        return [heading]
    pairs = [[" ".join(words[:at]), " ".join(words[at:])] for at in range(1, len(words))]
    return min(pairs, key=lambda pair: max(map(len, pair)))
