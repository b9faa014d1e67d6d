"""Tables show, sort by what is behind the text, and copy."""

from typing import Any

import pandas as pd
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QContextMenuEvent, QGuiApplication

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


def test_missing_values_come_last_whichever_way_is_up(view: tables.TableView) -> None:
    view.sortByColumn(1, tables.Qt.SortOrder.AscendingOrder)
    assert view.visible_rows() == [2, 0, 1]
    view.sortByColumn(-1, tables.Qt.SortOrder.AscendingOrder)
    assert view.visible_rows() == [0, 1, 2]


def test_a_word_among_numbers_is_sorted_like_a_missing_one(view: tables.TableView) -> None:
    view.table.formats = {}
    view.table.set_rows(["case", "iou", "shape"], [["b", "…", 1], ["a", 0.5, 1], ["c", 0.2, 1]])
    view.sortByColumn(1, tables.Qt.SortOrder.AscendingOrder)
    assert view.visible_rows() == [2, 1, 0]


def test_the_selection_stays_with_its_row_while_others_move(view: tables.TableView) -> None:
    view.select_row(2)
    view.sortByColumn(1, tables.Qt.SortOrder.AscendingOrder)
    assert view.current_row() == 2
    view.table.set_rows(view.table.columns, [["b", 0.1, None], ["a", 0.2, None], ["c", 0.9, None]])
    assert view.visible_rows() == [0, 1, 2]  # sorted again by the new values
    assert view.current_row() == 2


def test_the_models_pass_qts_own_examination(view: tables.TableView, qtmodeltester: Any) -> None:
    qtmodeltester.check(view.table)
    qtmodeltester.check(view.model())
    view.sortByColumn(1, tables.Qt.SortOrder.AscendingOrder)
    view.set_filter("0.")
    qtmodeltester.check(view.model())


def test_ten_thousand_rows_are_sorted_and_filtered(qtbot: QtBot) -> None:
    model = tables.TableModel()
    view = tables.TableView(model)
    qtbot.addWidget(view)
    numbers = [(place * 7919) % 10_000 for place in range(10_000)]
    model.set_rows(["n", "text"], [[number, str(number)] for number in numbers])
    view.sortByColumn(0, tables.Qt.SortOrder.DescendingOrder)
    assert [numbers[row] for row in view.visible_rows()[:3]] == [9999, 9998, 9997]
    view.set_filter("999")
    shown = [numbers[row] for row in view.visible_rows()]
    assert shown == sorted((n for n in numbers if "999" in str(n)), reverse=True)


def test_the_first_column_stays_while_the_others_scroll(qtbot: QtBot) -> None:
    model = tables.TableModel()
    view = tables.TableView(model, frozen=True)
    qtbot.addWidget(view)
    view.resize(300, 120)
    view.show()
    names = [f"column {n}" for n in range(30)]
    model.set_rows(["case", *names], [[f"case {row}", *range(30)] for row in range(50)])
    qtbot.waitUntil(lambda: view.frozen is not None and view.frozen.isVisible())
    frozen = view.frozen
    assert frozen is not None
    view.horizontalScrollBar().setValue(view.horizontalScrollBar().maximum())
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    assert frozen.verticalScrollBar().value() == view.verticalScrollBar().value()
    assert frozen.width() == view.columnWidth(0)
    last = frozen.rowAt(frozen.viewport().height() - 5)
    assert last == view.rowAt(view.viewport().height() - 5) == 49
    where = frozen.visualRect(frozen.model().index(49, 0)).center()
    with qtbot.waitSignal(view.cell_clicked) as heard:
        qtbot.mouseClick(frozen.viewport(), tables.Qt.MouseButton.LeftButton, pos=where)
    assert heard.args == [49, 0]
    frozen.horizontalHeader().sectionClicked.emit(0)
    frozen.horizontalHeader().sectionClicked.emit(0)
    assert view.visible_rows()[0] == 9  # "case 9" is the last by name
    view.resize(4000, 120)
    qtbot.waitUntil(lambda: not frozen.isVisible())


def test_headings_in_two_lines_keep_columns_narrow(qtbot: QtBot) -> None:
    widths = []
    for wrapped in (False, True):
        model = tables.TableModel()
        view = tables.TableView(model, wrapped=wrapped)
        qtbot.addWidget(view)
        model.set_rows(["IoU if present"], [[0.5]])
        widths.append(view.columnWidth(0))
    assert widths[1] < widths[0]
    assert model.headerData(0, tables.Qt.Orientation.Horizontal) == "IoU if\npresent"
    assert table_copies.as_text(model) == "IoU if present\n0.5"


def test_a_number_that_grows_widens_its_column(qtbot: QtBot) -> None:
    model = tables.TableModel()
    view = tables.TableView(model)
    qtbot.addWidget(view)
    model.set_rows(["n"], [[1], [2]])
    before = view.columnWidth(0)
    model.set_rows(["n"], [[123456789012], [2]])
    wide = view.columnWidth(0)
    assert wide > before
    model.set_rows(["n"], [[1], [2]])
    assert view.columnWidth(0) == wide  # and does not twitch back


def test_every_table_offers_to_be_copied(view: tables.TableView, monkeypatch: Any) -> None:
    offered = []
    monkeypatch.setattr(tables.QMenu, "popup", lambda menu, _: offered.extend(menu.actions()))
    where = view.viewport().rect().center()
    reason = QContextMenuEvent.Reason.Mouse
    view.contextMenuEvent(QContextMenuEvent(reason, where, view.mapToGlobal(where)))
    titles = [action.text() for action in offered]
    assert titles == [f"Copy this table {form}" for form in table_copies.FORMS]
    offered[1].trigger()
    assert QGuiApplication.clipboard().text().startswith("case,iou,shape\n")


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


def test_several_tables_are_copied_under_their_titles() -> None:
    full, empty = tables.TableModel(), tables.TableModel()
    full.set_rows(["class", "n"], [["a|b", 2]])
    text = table_copies.together([("One", full), ("None", empty)], table_copies.as_markdown)
    assert text == "### One\n\n| class | n |\n| --- | ---: |\n| a\\|b | 2 |\n"
    assert table_copies.together([("One", full)], table_copies.as_csv) == "# One\nclass,n\na|b,2\n"
