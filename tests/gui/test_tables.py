"""Tables show, sort by what is behind the text, and copy."""

import pandas as pd
import pytest
from pytestqt.qtbot import QtBot

from napari_unet_mic.gui import table_copies, tables

FRAME = pd.DataFrame(
    {"case": ["b", "a", "c"], "iou": [0.5, None, 0.25], "shape": [(2, 3, 4), None, (1, 1, 1)]},
    dtype=object,
)


@pytest.fixture
def view(qtbot: QtBot) -> tables.TableView:
    model = tables.TableModel({"iou": lambda value: f"{value:.2f}"})
    view = tables.TableView(model)
    qtbot.addWidget(view)
    model.set_frame(FRAME.copy())
    return view


def test_missing_values_are_a_dash(view: tables.TableView) -> None:
    assert [view.table.text(row, 1) for row in range(3)] == ["0.50", "–", "0.25"]


def test_sorting_goes_by_value_and_puts_missing_ones_at_the_end(view: tables.TableView) -> None:
    view.sortByColumn(1, tables.Qt.SortOrder.DescendingOrder)
    assert view.visible_rows() == [0, 2, 1]
    view.sortByColumn(2, tables.Qt.SortOrder.DescendingOrder)
    assert view.visible_rows() == [0, 2, 1]


def test_clicks_tell_the_row_of_the_frame(view: tables.TableView, qtbot: QtBot) -> None:
    view.sortByColumn(0, tables.Qt.SortOrder.AscendingOrder)
    with qtbot.waitSignal(view.cell_clicked) as heard:
        view.clicked.emit(view.model().index(0, 1))
    assert heard.args == [1, 1]


def test_filter_keeps_matching_rows(view: tables.TableView) -> None:
    view.set_filter("0.25")
    assert view.visible_rows() == [2]


def test_a_changed_frame_of_the_same_shape_keeps_the_selection(view: tables.TableView) -> None:
    view.select_row(2)
    view.table.set_frame(FRAME.copy())
    assert view.current_row() == 2


def test_copies(view: tables.TableView) -> None:
    assert table_copies.as_text(view.table).splitlines()[1] == "b\t0.50\t(2, 3, 4)"
    assert table_copies.as_csv(view.table).splitlines()[:2] == [
        "case,iou,shape",
        'b,0.5,"(2, 3, 4)"',
    ]
    head, rule, first, *_ = table_copies.as_markdown(view.table).splitlines()
    assert (head, rule) == ("| case | iou | shape |", "| --- | ---: | ---: |")
    assert first == "| b | 0.50 | (2, 3, 4) |"


def test_row_headers_are_copied(qtbot: QtBot) -> None:
    model = tables.TableModel()
    model.row_headers = ["liver"]
    model.set_frame(pd.DataFrame([[3]], columns=["cancer"]))
    assert table_copies.as_text(model) == "\tcancer\nliver\t3"
    assert table_copies.as_csv(model) == ",cancer\nliver,3\n"


def test_thousands_are_spaced() -> None:
    assert tables.thousands(6534266) == "6\u2009534\u2009266"
