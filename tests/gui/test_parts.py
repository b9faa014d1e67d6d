"""Three parts find their place in wide, narrow, low and tall panels."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_unet_mic.gui.parts import Part, Parts, arrangement_of, shared
from napari_unet_mic.gui.tables import TableModel, TableView


@pytest.fixture
def parts(qtbot: QtBot) -> Parts:
    views = [TableView(TableModel()) for _ in range(3)]
    made = Parts(
        [Part(t, v, v) for t, v in zip(("Tables", "Tables", "Mistakes"), views, strict=True)]
    )
    qtbot.addWidget(made)
    made.resize(1300, 180)
    made.show()
    return made


def visible(parts: Parts) -> list[bool]:
    return [part.widget.isVisible() for part in parts._parts]


@pytest.mark.parametrize(
    ("size", "arrangement"),
    [((1346, 170), "beside"), ((900, 170), "tabs"), ((400, 700), "above"), ((1000, 150), "beside")],
    ids=str,
)
def test_what_fits_where(size: tuple[int, int], arrangement: str) -> None:
    assert arrangement_of(*size) == arrangement


def test_side_by_side_in_tabs_and_above_each_other(parts: Parts) -> None:
    assert visible(parts) == [True, True, True]
    assert not parts.tabs.isVisible()
    parts.resize(800, 180)
    assert [parts.tabs.tabText(n) for n in range(parts.tabs.count())] == ["Tables", "Mistakes"]
    assert parts.tabs.isVisible()
    assert visible(parts) == [True, True, False]
    parts.bring_forward("Mistakes")
    assert visible(parts) == [False, False, True]
    parts.resize(400, 700)
    assert visible(parts) == [True, True, True]
    assert parts.splitter.orientation() == Qt.Orientation.Vertical
    assert not parts.tabs.isVisible()


def test_tabs_of_a_shared_place_stand_beside_it_and_cost_no_height(qtbot: QtBot) -> None:
    titles = ("Tables", "Tables", "Mistakes", "Lesions")
    views = [TableView(TableModel()) for _ in titles]
    made = Parts([Part(t, v, v) for t, v in zip(titles, views, strict=True)])
    qtbot.addWidget(made)
    made.resize(1300, 180)
    made.show()
    qtbot.waitUntil(lambda: made.tabs.x() >= made.splitter.width())
    assert made.tabs.isVisible()
    assert made.splitter.height() == made.height()
    assert visible(made) == [True, True, True, False]
    made.bring_forward("Lesions")
    assert visible(made) == [True, True, False, True]
    made.resize(400, 500)
    assert made.splitter.orientation() == Qt.Orientation.Vertical
    qtbot.waitUntil(lambda: made.tabs.y() < made.splitter.y())


@pytest.mark.parametrize(
    ("width", "wanted", "given"),
    [
        (1300, [400, 300, 300], [500, 400, 400]),
        (1200, [500, 2000, 300], [500, 400, 300]),
        (1200, [800, 2000, 300], [450, 450, 300]),
        (900, [2000, 2000, 2000], [300, 300, 300]),
    ],
    ids=["room for all", "one is huge", "two are", "all are"],
)
def test_width_is_shared_by_what_is_wanted(width: int, wanted: list[int], given: list[int]) -> None:
    assert shared(width, wanted) == given


def test_a_table_that_fills_gets_its_width(parts: Parts, qtbot: QtBot) -> None:
    table = parts._parts[1].table
    names = [f"class {n}" for n in range(9)]
    table.table.set_rows(names, [[123456] * 9] * 3)
    qtbot.waitUntil(lambda: parts.splitter.sizes()[1] > parts.splitter.sizes()[0] + 50)
    assert parts.splitter.sizes()[1] >= table.wanted_width()


def test_a_border_that_was_moved_stays(parts: Parts, qtbot: QtBot) -> None:
    parts.splitter.splitterMoved.emit(100, 1)
    parts.splitter.setSizes([900, 200, 200])
    before = parts.splitter.sizes()
    parts._parts[1].table.table.set_rows([f"c{n}" for n in range(9)], [[123456] * 9] * 3)
    qtbot.wait(20)
    assert parts.splitter.sizes() == before
