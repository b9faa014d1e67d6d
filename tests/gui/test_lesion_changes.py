"""Lesions that a second prediction gained and lost: listed, one click away, live."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.evaluation.difference_cases import compare_two
from napari_unet_mic.evaluation.lesion import MATCHES, LesionQuestion
from napari_unet_mic.evaluation.lesion_difference import CHANGED, lesion_changes
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.table_copies import FORMS

Until = Callable[..., None]
SPACING_MM = (5.0, 1.0, 1.0)
CLASSES = {0: "outside", 1: "liver", 2: "cancer", 3: "vessel"}


def maps() -> list[np.ndarray]:
    """Lesions gained (18 voxels), lost (8), half lost (32), a lost vessel (3); gone 3, new 2."""
    reference = np.zeros((6, 24, 24), np.uint8)
    reference[:, 1:23, 1:23] = 1
    reference[1:3, 2:6, 2:6] = 2
    reference[2:4, 10:13, 10:13] = 2
    reference[1:3, 18:20, 18:20] = 2
    reference[5, 18, 4:7] = 3
    first, second = np.minimum(reference, 1), np.minimum(reference, 1)
    first[1:3, 2:6, 2:6] = 2
    first[1:3, 18:20, 18:20] = 2
    first[5, 18, 4:7] = 3
    second[1:3, 2:6, 2:3] = 2
    second[2:4, 10:13, 10:13] = 2
    first[4, 4, 15:18] = 2
    second[4, 8, 8:10] = 2
    return [reference, first, second]


@pytest.fixture
def panel(app: App, until: Until) -> InspectorPanel:
    app.viewer.window._qt_window.resize(1366, 768)
    roles = ("reference", "prediction", "second prediction")
    tuples = [
        layers.labels_tuple(
            Volume.from_array(array, spacing_mm=SPACING_MM),
            name=role,
            role=role,
            case="a",
            classes=CLASSES,
        )
        for role, array in zip(roles, maps(), strict=True)
    ]
    layers.add(app.viewer, tuples)
    panel: InspectorPanel = app.show("inspector")
    panel.choose(app.viewer.layers["reference"], app.viewer.layers["prediction"])
    until(lambda: "found" in panel.lesions.title.whole)
    return panel


def choose_second(panel: InspectorPanel, until: Until) -> None:
    box = panel.choice.second_box
    box.setCurrentIndex(box.findText("second prediction"))
    until(lambda: "gained" in panel.lesions.title.whole)


def click(view: Any, row: int, *, twice: bool = False) -> None:
    index = view.model().index(row, 0)
    view.scrollTo(index)
    where = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    if twice:
        QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)


def shown(panel: InspectorPanel) -> list[tuple[str, str, int]]:
    """Class, change and slice of every row."""
    return [(row[0], row[1], row[-1]) for row in panel.lesions.changes.table.rows]


def test_what_was_gained_and_lost_is_listed_and_a_click_goes_there(
    app: App, panel: InspectorPanel, until: Until
) -> None:
    view = panel.lesions
    assert view.versus.isHidden()
    choose_second(panel, until)
    panel.parts.bring_forward("Lesions")
    assert view.title.whole == "1 gained · 1 lost"
    assert "spurious: 1 gone, 1 new, 0 still there" in view.title.toolTip()
    assert view.changes.isVisibleTo(panel)
    assert not view.table.isVisibleTo(panel)
    assert shown(panel) == [
        ("cancer", "gained", 2),
        ("cancer", "lost", 1),
        ("cancer", "spurious gone", 4),
        ("cancer", "spurious new", 4),
    ]
    assert [view.changes.table.text(0, column) for column in range(2, 5)] == [
        "0.090",
        "0.00",
        "1.00",
    ]
    assert [view.changes.table.text(3, column) for column in range(3, 5)] == ["–", "0.00"]

    # a click: the slice, centred; a double click zooms in as well, as in the list of lesions
    camera = app.viewer.scene.camera
    app.viewer.dims.set_point(0, 0)
    click(view.changes, 0)
    assert app.viewer.dims.current_step[0] == 2
    assert camera.center[-2:] == pytest.approx((11, 11), abs=1)
    zoom = camera.zoom
    click(view.changes, 1, twice=True)
    assert app.viewer.dims.current_step[0] == 1
    assert camera.center[-2:] == pytest.approx((18.5, 18.5), abs=0.6)
    assert camera.zoom > zoom
    click(view.changes, 3)
    assert app.viewer.dims.current_step[0] == 4

    # all lesions are one click away; the choice stays
    QTest.mouseClick(view.versus, Qt.MouseButton.LeftButton)
    assert view.table.isVisibleTo(panel)
    assert view.title.whole == "2 found · 1 missed · 1 spurious"
    QTest.mouseClick(view.versus, Qt.MouseButton.LeftButton)
    assert view.changes.isVisibleTo(panel)


def test_criterion_classes_and_smallest_size_are_those_of_the_lesions(
    app: App, panel: InspectorPanel, until: Until
) -> None:
    view = panel.lesions
    choose_second(panel, until)
    view.match.setCurrentIndex(list(MATCHES).index("0.5"))
    assert view.title.whole == "1 gained · 2 lost"
    assert shown(panel)[0] == ("cancer", "lost", 1)  # 32 voxels, IoU 0.25 now
    vessel = next(action for action in view._menu.actions() if action.text() == "vessel")
    vessel.trigger()
    until(lambda: view.title.whole == "1 gained · 3 lost")
    assert ("vessel", "lost", 5) in shown(panel)
    view.choose_smallest(0.03)
    assert view.title.whole == "1 gained · 2 lost"

    # what is listed is what the core says of the same maps
    volumes = [Volume.from_array(array, spacing_mm=SPACING_MM) for array in maps()]
    question = LesionQuestion((2, 3), "0.5", view.smallest)
    case = compare_two(*volumes, CLASSES, lesions=question)
    found = lesion_changes([(case.first, case.second)], question, {"case": case.meetings})
    expected = [one for one in found if one.change in CHANGED]
    assert [(one.change, one.lesion) for one in view.changes.shown] == [
        (one.change, one.lesion) for one in expected
    ]


def test_the_list_follows_the_brush_on_every_layer(
    app: App, panel: InspectorPanel, until: Until
) -> None:
    view = panel.lesions
    choose_second(panel, until)

    def paint(name: str, where: tuple[slice, ...], value: int) -> None:
        mask = np.zeros(app.viewer.layers[name].data.shape, bool)
        mask[where] = True
        app.viewer.layers[name].data_setitem(np.nonzero(mask), value)

    paint("second prediction", np.s_[1:3, 18:20, 18:20], 2)  # not lost any more
    until(lambda: view.title.whole == "1 gained · 0 lost")
    paint("prediction", np.s_[2:3, 10:11, 10:11], 2)  # and this was never missed
    until(lambda: view.title.whole == "0 gained · 0 lost")
    paint("reference", np.s_[4:5, 8:9, 8:10], 2)  # what was made up newly is true: gained
    until(lambda: view.title.whole == "1 gained · 0 lost")
    assert shown(panel) == [("cancer", "spurious gone", 4), ("cancer", "gained", 4)]
    app.viewer.layers["reference"].undo()
    until(lambda: view.title.whole == "0 gained · 0 lost")
    assert [row[1] for row in shown(panel)] == ["spurious gone", "spurious new"]


def test_the_list_ends_with_the_second_prediction(
    app: App, panel: InspectorPanel, until: Until
) -> None:
    view = panel.lesions
    choose_second(panel, until)
    titles = [title for title, _ in panel.tables_in_sight()]
    assert "Lesions: 2 found · 1 missed · 1 spurious" in titles
    for form in FORMS.values():
        panel.copy_tables(form)
        text = QGuiApplication.clipboard().text()
        assert "Lesions, vs second prediction: 1 gained · 1 lost · spurious: 1 gone" in text
        assert "spurious new" in text
    panel.copy_tables(FORMS["as CSV"])
    assert "cancer,gained,0.09,0.0,1.0,2" in QGuiApplication.clipboard().text()
    app.viewer.layers.remove("second prediction")
    until(lambda: view.versus.isHidden())
    assert view.title.whole == "2 found · 1 missed · 1 spurious"
    assert view.table.isVisibleTo(view)
    assert view.changes.table.rows == []
    panel.copy_tables(FORMS["as text"])
    assert "gained" not in QGuiApplication.clipboard().text()
