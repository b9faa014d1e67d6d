"""The rows of a table in another order, or only some of them: sorted by value, filtered by text.

A `TableModel` enters; the same cells leave, missing values last whichever way is up. Ten
thousand rows are sorted in some ten milliseconds, where Qt's own proxy, asking Python for
every comparison, would stop the window for half a second.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractProxyModel, QModelIndex, Qt

from napari_unet_mic.gui.table_model import TableModel

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


class OrderedRows(QAbstractProxyModel):
    """Shows a table's rows in order; row numbers of this model are positions on the screen."""

    def __init__(self, model: TableModel) -> None:
        super().__init__()
        self._model = model
        self._column = -1
        self._order = UP
        self._text = ""
        self.rows: list[int] = []
        self._place: dict[int, int] = {}
        self.setSourceModel(model)
        model.modelAboutToBeReset.connect(self.beginResetModel)
        model.modelReset.connect(self._on_reset)
        model.dataChanged.connect(self._on_data_changed)
        model.headerDataChanged.connect(self.headerDataChanged)
        self._remember(self._ordered())

    # ---- what is asked for -----------------------------------------------------------
    def sort(self, column: int, order: Qt.SortOrder = UP) -> None:
        """Sort by a column's values; column -1 is the table's own order."""
        self._column, self._order = column, order
        self._reorder()

    def set_text(self, text: str) -> None:
        """Show only rows with this text in any cell, whatever its case."""
        self._text = text.casefold()
        self._reorder()

    # ---- Qt's questions --------------------------------------------------------------
    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Rows in sight."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Columns of the table."""
        return 0 if parent is not None and parent.isValid() else self._model.columnCount()

    def index(self, row: int, column: int, parent: QModelIndex | None = None) -> QModelIndex:
        """Return the place of a cell on the screen."""
        inside = 0 <= row < len(self.rows) and 0 <= column < self._model.columnCount()
        return self.createIndex(row, column) if inside else QModelIndex()

    def parent(self, child: QModelIndex | None = None) -> Any:
        """Cells have no parent."""
        return QModelIndex() if child is not None else super().parent()

    def mapToSource(self, proxyIndex: QModelIndex) -> QModelIndex:  # noqa: N802
        """Return the cell of the table behind a place on the screen."""
        if not proxyIndex.isValid() or proxyIndex.row() >= len(self.rows):
            return QModelIndex()
        return self._model.index(self.rows[proxyIndex.row()], proxyIndex.column())

    def mapFromSource(self, sourceIndex: QModelIndex) -> QModelIndex:  # noqa: N802
        """Return where a cell of the table is on the screen."""
        place = self._place.get(sourceIndex.row(), -1) if sourceIndex.isValid() else -1
        return self.index(place, sourceIndex.column())

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the table's headers, those of rows in the order of the rows."""
        if orientation == Qt.Orientation.Vertical:
            if not 0 <= section < len(self.rows):
                return None
            section = self.rows[section]
        return self._model.headerData(section, orientation, role)

    # ---- the order -------------------------------------------------------------------
    def _ordered(self) -> list[int]:
        model = self._model
        rows = list(range(model.rowCount()))
        if self._text:
            columns = range(model.columnCount())
            rows = [
                row
                for row in rows
                if any(self._text in model.text(row, column).casefold() for column in columns)
            ]
        if not 0 <= self._column < model.columnCount():
            return rows
        keys = {row: model.sort_key(row, self._column) for row in rows}
        known = [row for row in rows if keys[row] is not None]
        if any(not isinstance(keys[row], str) for row in known):
            # a word among numbers ("…": being measured) is no number yet
            known = [row for row in known if not isinstance(keys[row], str)]
            known.sort(key=keys.__getitem__)
        else:
            known.sort(key=lambda row: keys[row].casefold())
        if self._order == DOWN:
            known.reverse()
        sorted_ones = set(known)
        return known + [row for row in rows if row not in sorted_ones]

    def _remember(self, rows: list[int]) -> None:
        self.rows = rows
        self._place = {row: place for place, row in enumerate(rows)}

    def _on_reset(self) -> None:
        self._remember(self._ordered())
        self.endResetModel()

    def _on_data_changed(self, first: QModelIndex, last: QModelIndex) -> None:
        if self._text or self._column >= 0:
            self._reorder()
        if self.rows:
            columns = self._model.columnCount()
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, columns - 1))

    def _reorder(self) -> None:
        rows = self._ordered()
        if rows == self.rows:
            return
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        cells = [self.mapToSource(index) for index in before]
        self._remember(rows)
        self.changePersistentIndexList(before, [self.mapFromSource(cell) for cell in cells])
        self.layoutChanged.emit()
