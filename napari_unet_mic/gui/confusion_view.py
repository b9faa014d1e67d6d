"""The K x K table and the same as a flat list, with the choice of what the cells hold.

A `Confusion` enters; a click leaves as the row and column that were meant (None for any).
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_unet_mic.gui import confusion_tables as contents
from napari_unet_mic.gui.confusion_tables import Confusion
from napari_unet_mic.gui.forms import ElidedLabel, explained, short_combo
from napari_unet_mic.gui.table_model import TableModel
from napari_unet_mic.gui.tables import TableView

TITLE = "True ↓  predicted →"
LIST = "list"


class ConfusionView(QWidget):
    """Shows one confusion table, as a grid or as a list."""

    chosen = Signal(object, object)

    def __init__(self, views: Sequence[str] = contents.VIEWS, list_title: str = LIST) -> None:
        super().__init__()
        self._views = tuple(views)
        self._confusion: Confusion | None = None
        self._extra: dict[str, TableModel | None] = {}
        self._headings: dict[str, str] = {}
        self._sentence = ""
        self.model = TableModel()
        self.grid = TableView(self.model, sortable=False, by_row=False)
        self.grid.cell_clicked.connect(lambda row, column: self.chosen.emit(row, column))
        self.grid.row_header_clicked.connect(lambda row: self.chosen.emit(row, None))
        self.grid.column_header_clicked.connect(lambda column: self.chosen.emit(None, column))
        self.list_model = contents.list_model()
        self.list = TableView(self.list_model)
        self.list.cell_clicked.connect(self._on_list_clicked)
        self.view_box = explained(
            short_combo(QComboBox(), max(10, max(map(len, views)) - 12)),
            "What the cells hold, or the same as a list",
        )
        self.view_box.addItems([*self._views, list_title])
        self.view_box.currentIndexChanged.connect(self._on_view_changed)
        self.notice = QLabel()
        self.notice.setWordWrap(True)
        self.remedy = QPushButton()
        self.remedy.hide()
        self._pages = QStackedWidget()
        for page in (self.grid, self.list, self._notice_page()):
            self._pages.addWidget(page)
        self.title = explained(ElidedLabel(TITLE), "Rows: true class; columns: predicted class")
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.addWidget(self.view_box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self._pages, 1)

    def _notice_page(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.addWidget(self.notice)
        line = QHBoxLayout()
        line.addWidget(self.remedy)
        line.addStretch(1)
        layout.addLayout(line)
        layout.addStretch(1)
        return page

    @property
    def view(self) -> str:
        """What the cells hold."""
        index = self.view_box.currentIndex()
        return self._views[index] if 0 <= index < len(self._views) else self._views[0]

    @property
    def as_list(self) -> bool:
        """Whether the flat list is shown."""
        return self.view_box.currentIndex() == len(self._views)

    @property
    def extra(self) -> str:
        """The title of the further page that is shown; "" for the confusion table itself."""
        title: str = self.view_box.currentText()
        return title if title in self._extra else ""

    @property
    def shown_model(self) -> TableModel:
        """The table in sight (of a page without one, the confusion table)."""
        further = self._extra.get(self.extra)
        if further is not None:
            return further
        return self.list_model if self.as_list else self.model

    def add_page(
        self, title: str, page: QWidget, model: TableModel | None = None, heading: str = ""
    ) -> None:
        """Offer a further page after the list, and show it; `heading` stands above it."""
        if title not in self._extra:
            self._extra[title] = model
            self._headings[title] = heading
            self._pages.addWidget(page)
            self.view_box.addItem(title, page)
        self.view_box.setCurrentText(title)

    def remove_page(self, title: str) -> None:
        """Offer a further page no more; the table comes back where it was in sight."""
        place = self.view_box.findText(title)
        if place >= 0:
            page = self.view_box.itemData(place)
            del self._extra[title]
            if self.view_box.currentIndex() == place:
                self.view_box.setCurrentIndex(0)
            self.view_box.removeItem(place)
            self._pages.removeWidget(page)

    def show_confusion(self, confusion: Confusion | None) -> None:
        """Show other numbers: the table in sight now, the other one when it is asked for."""
        self._confusion = confusion
        self._fill()

    def explain(self, sentence: str) -> None:
        """Show a sentence in place of the table; an empty one brings the table back."""
        self.notice.setText(sentence)
        self._sentence = sentence
        self.view_box.setEnabled(not sentence or bool(self._extra))
        self._show_page()

    def _fill(self) -> None:
        if self.as_list:
            contents.show_list(self.list_model, self._confusion)
        else:
            contents.show_grid(self.model, self._confusion, self.view)

    def _show_page(self) -> None:
        """Show a further page, the table, or why there is none."""
        self.title.set_whole(self._headings.get(self.extra, TITLE))
        if self.extra:
            self._pages.setCurrentWidget(self.view_box.currentData())
        else:
            self._pages.setCurrentIndex(2 if self._sentence else int(self.as_list))

    def _on_view_changed(self, _: int) -> None:
        self._show_page()
        self._fill()
        self.grid.fit_columns()

    def _on_list_clicked(self, row: int, _: int) -> None:
        if self._confusion is not None:
            self.chosen.emit(*divmod(row, len(self._confusion.names)))
