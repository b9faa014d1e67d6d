"""Rows and named columns as a Qt model: text, values to sort by, swatches, shades, tooltips.

Rows (or a data frame) and a few functions of (row, column) enter; Qt's roles leave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap

from napari_unet_mic.gui.colours import RGBA

if TYPE_CHECKING:
    import pandas as pd

Cell = Callable[[int, int], Any]
VALUE_ROLE = Qt.ItemDataRole.UserRole
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
    wrap
        Column name -> what its header shows, broken in lines.
    """

    def __init__(self, formats: dict[str, Callable[[Any], str]] | None = None) -> None:
        super().__init__()
        self.columns: list[str] = []
        self.rows: list[list[Any]] = []
        self.formats = formats or {}
        self.row_headers: list[str] | None = None
        self.wrap: Callable[[str], str] | None = None
        self.tooltips: dict[str, str] = {}
        self.row_tooltips: Sequence[str] | None = None
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

    def replace_rows(self, rows: Mapping[int, Sequence[Any]]) -> None:
        """Show other values in some rows; views hear of it once."""
        if rows:
            for row, values in rows.items():
                self.rows[row] = list(values)
            last = self.index(max(rows), len(self.columns) - 1)
            self.dataChanged.emit(self.index(min(rows), 0), last)

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
                return self._heading(section) if section < self.columnCount() else None
            if self.row_headers and section < len(self.row_headers):
                return self.row_headers[section]
        if role == Qt.ItemDataRole.DecorationRole:
            if horizontal:
                return self.header_icon(section)
            return self.row_icons[section] if self.row_icons else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._header_tooltip(section, horizontal)
        return None

    def _heading(self, section: int) -> str:
        name = self.columns[section]
        return self.wrap(name) if self.wrap is not None else name

    def _header_tooltip(self, section: int, horizontal: bool) -> str | None:
        """Return what a header means, or its whole name (it may be cut short)."""
        if horizontal:
            if section >= self.columnCount():
                return None
            return self.tooltips.get(self.columns[section], self.columns[section])
        names = self.row_tooltips or self.row_headers
        return names[section] if names and section < len(names) else None

    def header_icon(self, column: int) -> QIcon | None:
        """Return the swatch of a column's header, when it has one."""
        colour = self.header_colour_of(column) if self.header_colour_of is not None else None
        return None if colour is None else swatch(colour)

    def sort_key(self, row: int, column: int) -> Any:
        """Return the value that rows are sorted by; None where there is nothing."""
        return self._sortable(self.rows[row][column])

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
