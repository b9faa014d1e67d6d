"""The K x K table of 3, 25 and 100 classes, in every measure, and as a list."""

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from napari_unet_mic.gui.colours import class_colour, pair_colour
from napari_unet_mic.gui.confusion_tables import VIEWS, Confusion, cells, strengths
from napari_unet_mic.gui.confusion_view import ConfusionView

REPORTS = {
    "first": [[6534266, 5467, 62], [11075, 174966, 4650], [474, 2146, 26894]],
    "second": [[14229682, 16385, 0], [6853, 154104, 4], [0, 467, 217]],
}
NAMES = ("outside", "liver", "cancer")


def confusion(table: object, voxel_ml: float | None = 0.001) -> Confusion:
    counted = np.array(table)
    k = len(counted)
    names = NAMES if k == 3 else tuple(f"structure number {value}" for value in range(k))
    ml = None if voxel_ml is None else counted * voxel_ml
    return Confusion(names, tuple(range(k)), counted, ml)


@pytest.fixture
def view(qtbot: QtBot) -> ConfusionView:
    made = ConfusionView()
    qtbot.addWidget(made)
    made.resize(420, 150)
    made.show()
    return made


@pytest.mark.parametrize("report", REPORTS)
def test_the_reports_tables_in_their_order(view: ConfusionView, report: str) -> None:
    table = REPORTS[report]
    view.show_confusion(confusion(table))
    assert view.model.rows == table
    assert view.model.row_headers == view.model.columns == list(NAMES)
    assert view.model.text(0, 0).replace("\u2009", "") == str(table[0][0])
    view.view_box.setCurrentText("list")
    assert view.list_model.columns[:3] == ["True class", "Predicted class", "Number of voxels"]
    assert [row[2] for row in view.list_model.rows] == [n for line in table for n in line]
    assert [row[:2] for row in view.list_model.rows][5] == ["liver", "cancer"]


@pytest.mark.parametrize(
    ("measure", "row"),
    [
        ("voxels", [1, 4]),
        ("% of true", [20.0, 80.0]),
        ("% of predicted", [100.0, 80.0]),
        ("ml", [0.001, 0.004]),
    ],
)
def test_every_measure(measure: str, row: list[float]) -> None:
    assert cells(confusion([[0, 1], [1, 4]]), measure)[1] == pytest.approx(row)


def test_a_share_of_nothing_and_an_unknown_volume_are_blank(view: ConfusionView) -> None:
    view.show_confusion(confusion([[4, 0], [0, 0]], voxel_ml=None))
    view.view_box.setCurrentText("% of true")
    assert [view.model.text(1, column) for column in (0, 1)] == ["–", "–"]
    view.view_box.setCurrentText("ml")
    assert view.model.text(0, 0) == "–"


def test_errors_are_shaded_by_share_and_the_diagonal_is_quiet(view: ConfusionView) -> None:
    strength = strengths(np.array(REPORTS["first"]))
    assert np.diag(strength).tolist() == [0.0, 0.0, 0.0]
    assert strength[1, 2] > strength[0, 1] > strength[0, 2] > 0  # of the rarer class
    view.show_confusion(confusion(REPORTS["second"]))
    shade = view.model.shade_of
    assert shade is not None
    assert shade(0, 2) is None  # no such error
    assert shade(1, 1) != shade(2, 1)
    swatch_of = view.model.swatch_of
    assert swatch_of is not None
    assert swatch_of(2, 1) == pair_colour(2, 1, 3)  # the colour its voxels have in the viewer
    assert swatch_of(1, 1) is swatch_of(0, 2) is None
    assert view.model.header_colour_of(2) == class_colour(2)


@pytest.mark.parametrize("k", [3, 25, 100])
def test_headers_stay_while_the_table_scrolls(view: ConfusionView, qtbot: QtBot, k: int) -> None:
    view.show_confusion(confusion(np.arange(k * k).reshape(k, k)))
    grid = view.grid
    index = grid.model().index(k - 1, k - 1)
    bar, length = grid.horizontalScrollBar(), grid.horizontalHeader().length
    qtbot.waitUntil(lambda: bar.maximum() >= length() - grid.viewport().width())
    grid.scrollTo(index)
    last = grid.visualRect(index)
    assert grid.viewport().rect().contains(last.center())
    assert grid.verticalHeader().isVisible()
    assert grid.horizontalHeader().isVisible()
    assert grid.verticalHeader().width() <= 130
    assert grid.columnWidth(k - 1) <= 160
    heard = []
    view.chosen.connect(lambda row, column: heard.append((row, column)))
    qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=last.center())
    header = grid.verticalHeader()
    row = QPoint(10, header.sectionViewportPosition(k - 1) + 8)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=row)
    assert heard == [(k - 1, k - 1), (k - 1, None)]
    view.view_box.setCurrentText("list")
    view.list.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    view.list.cell_clicked.emit(view.list.visible_rows()[0], 2)
    assert heard[-1] == (k - 1, k - 1)


def test_a_sentence_stands_in_for_a_table_nobody_counted(view: ConfusionView) -> None:
    view.show_confusion(None)
    view.explain("nobody counted it")
    assert view.notice.isVisible()
    assert not view.grid.isVisible()
    assert not view.view_box.isEnabled()
    view.explain("")
    view.show_confusion(confusion(REPORTS["first"]))
    assert view.grid.isVisible()
    assert [view.view_box.itemText(n) for n in range(view.view_box.count())] == [*VIEWS, "list"]
