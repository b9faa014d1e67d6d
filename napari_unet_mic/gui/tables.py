"""Tables in Qt: a model with swatches and shading, a compact sortable view, copying.

Rows (or a data frame) and a few functions of (row, column) enter; views show text, sort by the
values behind it, and emit the row and column of the model that was clicked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPixmap,
)
from qtpy.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QTableView, QWidget

from napari_unet_mic.gui.colours import RGBA

if TYPE_CHECKING:
    import pandas as pd

Cell = Callable[[int, int], Any]
VALUE_ROLE = Qt.ItemDataRole.UserRole
ROWS_MEASURED = 40
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def thousands(number: float) -> str:
    """Return an integer with thin spaces between thousands: 6 534 266."""
    return f"{int(number):,}".replace(",", "\u2009")


def is_missing(value: Any) -> bool:
    """Return whether a cell holds nothing (None or NaN)."""
    return value is None or (isinstance(value, float) and value != value)


@cache
def swatch(colour: RGBA, size: int = 11) -> QIcon:
    """Return a small square of a colour, for tables and lists."""
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.fillRect(0, 0, size, size, QColor.fromRgbF(*colour))
    painter.end()
    return QIcon(pixmap)


class TableModel(QAbstractTableModel):
    """Rows and named columns as a Qt model; pandas enters only where a frame is asked for.

    Parameters
    ----------
    formats
        Column name -> text of a value; others are shown as they are ("–" when missing).
    """

    def __init__(self, formats: dict[str, Callable[[Any], str]] | None = None) -> None:
        super().__init__()
        self.columns: list[str] = []
        self.rows: list[list[Any]] = []
        self.formats = formats or {}
        self.row_headers: list[str] | None = None
        self.tooltips: dict[str, str] = {}
        self.swatch_of: Cell | None = None
        self.shade_of: Cell | None = None
        self.tooltip_of: Cell | None = None
        self.header_colour_of: Callable[[int], RGBA | None] | None = None
        self.row_icons: list[QIcon] | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The values as a data frame of objects."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=self.columns, dtype=object)

    def set_frame(self, frame: pd.DataFrame) -> None:
        """Show a data frame."""
        self.set_rows([str(name) for name in frame.columns], frame.to_numpy(object).tolist())

    def set_rows(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show other rows; when only values changed, selection and scroll position stay."""
        same = list(columns) == self.columns and len(rows) == len(self.rows)
        if same and rows:
            self.rows = [list(row) for row in rows]
            last = self.index(len(rows) - 1, len(columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self.columns, self.rows = list(columns), [list(row) for row in rows]
        self.endResetModel()

    def replace_row(self, row: int, values: Sequence[Any]) -> None:
        """Show other values in one row."""
        self.rows[row] = list(values)
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(values) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Rows of the table."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Columns of the table."""
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, value, alignment, swatch, shade or tooltip of a cell."""
        row, column = index.row(), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(row, column)
        if role == VALUE_ROLE:
            return self._sortable(self.rows[row][column])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            is_text = isinstance(self.rows[row][column], str)
            return LEFT if is_text else RIGHT
        if role == Qt.ItemDataRole.DecorationRole and self.swatch_of is not None:
            colour = self.swatch_of(row, column)
            return None if colour is None else swatch(colour)
        if role == Qt.ItemDataRole.BackgroundRole and self.shade_of is not None:
            colour = self.shade_of(row, column)
            return None if colour is None else QColor.fromRgbF(*colour)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.tooltip_of(row, column) if self.tooltip_of is not None else None
        return None

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return column names, and row names where there are any."""
        horizontal = orientation == Qt.Orientation.Horizontal
        if role == Qt.ItemDataRole.DisplayRole:
            if horizontal:
                return self.columns[section] if section < self.columnCount() else None
            if self.row_headers and section < len(self.row_headers):
                return self.row_headers[section]
        if role == Qt.ItemDataRole.DecorationRole:
            if horizontal:
                return self.header_icon(section)
            return self.row_icons[section] if self.row_icons else None
        if role == Qt.ItemDataRole.ToolTipRole and horizontal and section < self.columnCount():
            return self.tooltips.get(self.columns[section])
        return None

    def header_icon(self, column: int) -> QIcon | None:
        """Return the swatch of a column's header, when it has one."""
        colour = self.header_colour_of(column) if self.header_colour_of is not None else None
        return None if colour is None else swatch(colour)

    def text(self, row: int, column: int) -> str:
        """Return what a cell shows."""
        value = self.rows[row][column]
        if is_missing(value):
            return "–"
        formatter = self.formats.get(self.columns[column])
        return formatter(value) if formatter else str(value)

    @staticmethod
    def _sortable(value: Any) -> Any:
        if is_missing(value):
            return None
        if isinstance(value, tuple):
            return float(math.prod(value))
        return value if isinstance(value, str) else float(value)


class _Sorted(QSortFilterProxyModel):
    """Sorts by the values behind the text; missing ones come last in descending order."""

    def __init__(self) -> None:
        super().__init__()
        self.setSortRole(VALUE_ROLE)
        self.setFilterKeyColumn(-1)
        self.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:  # noqa: N802
        """Compare values; a missing one is less than all others."""
        a, b = left.data(VALUE_ROLE), right.data(VALUE_ROLE)
        if a is None or b is None:
            return a is None and b is not None
        if isinstance(a, str) != isinstance(b, str):
            return str(a) < str(b)
        return bool(a < b)


class TableView(QTableView):
    """A compact table; rows and columns in its signals are those of the model."""

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
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.table = model
        self._proxy = _Sorted()
        self._proxy.setSourceModel(model)
        self.setModel(self._proxy)
        self.setSortingEnabled(sortable)
        if sortable:
            self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        behaviour = QAbstractItemView.SelectionBehavior
        self.setSelectionBehavior(behaviour.SelectRows if by_row else behaviour.SelectItems)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setShowGrid(not by_row)
        self.verticalHeader().setVisible(not by_row)
        for header in (self.verticalHeader(), self.horizontalHeader()):
            header.setMinimumSectionSize(16)
        self._fit_rows()
        self.clicked.connect(self._on_clicked)
        self.doubleClicked.connect(self._on_double_clicked)
        self.verticalHeader().sectionClicked.connect(self.row_header_clicked)
        self.horizontalHeader().sectionClicked.connect(self.column_header_clicked)
        model.modelReset.connect(self.fit_columns)

    def _fit_rows(self) -> None:
        height = self.fontMetrics().height() + 5
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(height)

    def fit_columns(self) -> None:
        """Give every column the width of its header and its first rows."""
        bold = QFont(self.font())
        bold.setBold(True)
        head, body = QFontMetrics(bold), self.fontMetrics()
        for column in range(self.table.columnCount()):
            icon = 16 * (self.table.header_icon(column) is not None)
            width = head.horizontalAdvance(self.table.columns[column]) + icon + 10
            for row in range(min(self.table.rowCount(), ROWS_MEASURED)):
                icon = 18 * (self.table.swatch_of is not None and column <= 1)
                text = body.horizontalAdvance(self.table.text(row, column))
                width = max(width, text + icon + 10)
            self.setColumnWidth(column, width)

    def set_filter(self, text: str) -> None:
        """Show only rows with this text in any cell."""
        self._proxy.setFilterFixedString(text)

    def select_row(self, row: int) -> None:
        """Select a row of the model and scroll to it, without emitting a click."""
        index = self._proxy.mapFromSource(self.table.index(row, 0))
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def select_cell(self, row: int, column: int) -> None:
        """Select one cell of the model, without emitting a click."""
        index = self._proxy.mapFromSource(self.table.index(row, column))
        if index.isValid():
            self.setCurrentIndex(index)

    def current_row(self) -> int:
        """Row of the model that is selected, -1 when none is."""
        return self._proxy.mapToSource(self.currentIndex()).row()

    def selected_rows(self) -> list[int]:
        """Rows of the model that are selected."""
        indexes = self.selectionModel().selectedRows()
        return [self._proxy.mapToSource(index).row() for index in indexes]

    def visible_rows(self) -> list[int]:
        """Rows of the model in the order in which they are shown."""
        rows = range(self._proxy.rowCount())
        return [self._proxy.mapToSource(self._proxy.index(row, 0)).row() for row in rows]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Copy the table with the usual key; Return acts like a click."""
        if event.matches(QKeySequence.StandardKey.Copy):
            QApplication.clipboard().setText(as_text(self.table))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._on_clicked(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def _on_clicked(self, index: QModelIndex) -> None:
        source = self._proxy.mapToSource(index)
        if source.isValid():
            self.cell_clicked.emit(source.row(), source.column())

    def _on_double_clicked(self, index: QModelIndex) -> None:
        source = self._proxy.mapToSource(index)
        if source.isValid():
            self.cell_double_clicked.emit(source.row(), source.column())


def as_text(model: TableModel) -> str:
    """Return a table as it is shown, tabs between columns (pastes into a spreadsheet)."""
    return "\n".join("\t".join(line) for line in _lines(model))


def as_csv(model: TableModel) -> str:
    """Return a table's values, unrounded, as CSV."""
    frame = model.frame
    if model.row_headers:
        frame = frame.set_axis(model.row_headers[: len(frame)], axis=0)
    return frame.to_csv(index=bool(model.row_headers), lineterminator="\n")


def as_markdown(model: TableModel) -> str:
    """Return a table as it is shown, in Markdown, numbers to the right."""
    head, *body = _lines(model)
    n_text = 1 if model.row_headers else 0
    first = model.rows[0] if model.rows else []
    rule = ["---"] * n_text + ["---" if isinstance(v, str) else "---:" for v in first]
    lines = [head, rule or ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lines(model: TableModel) -> list[list[str]]:
    columns = range(model.columnCount())
    lines = [list(model.columns)]
    lines += [[model.text(row, column) for column in columns] for row in range(model.rowCount())]
    if model.row_headers:
        heads = ["", *model.row_headers]
        lines = [[head, *line] for head, line in zip(heads, lines, strict=False)]
    return lines
