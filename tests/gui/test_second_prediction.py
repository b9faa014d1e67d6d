"""``vs``: what a second prediction fixed and broke, clickable and live."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.evaluation.difference import difference_table
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.difference_view import STATE_COLOURS, signed
from napari_unet_mic.gui.inspector_panel import VS, InspectorPanel
from napari_unet_mic.gui.table_copies import as_markdown

Until = Callable[..., None]


@pytest.fixture
def panel(app: App, until: Until) -> InspectorPanel:
    """The second prediction finds the lesion of 12 voxels and loses a piece of 8 of the organ."""
    reference = np.zeros((6, 30, 30), np.uint8)
    reference[1:5, 4:20, 4:20] = 1
    reference[2:5, 22:24, 22:24] = 2
    first = np.where(reference == 2, 0, reference).astype(np.uint8)
    second = reference.copy()
    second[3:5, 10:12, 10:12] = 2
    first[0, 0, 0] = second[0, 0, 0] = 1
    for name, array in (("second", second), ("prediction", first), ("reference", reference)):
        app.viewer.add_labels(array, name=name, scale=(3, 1, 1))
    panel: InspectorPanel = app.show("inspector")
    panel.choose(app.viewer.layers["reference"], app.viewer.layers["prediction"])
    until(lambda: app.state.comparison is not None)
    return panel


def choose_second(panel: InspectorPanel, app: App, until: Until) -> None:
    box = panel.choice.second_box
    box.setCurrentIndex(box.findText("second"))
    until(lambda: app.state.difference is not None)


def lit(app: App) -> Any:
    errors = layers.errors_layer(app.viewer)
    return np.asarray(errors.colormap.map(errors.data))


def test_vs_shows_what_changed_and_every_number_leads_to_its_voxels(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    assert panel.confusion.extra == ""
    choose_second(panel, app, until)
    model = panel.difference.model
    assert panel.confusion.extra == VS
    assert model.columns == ["fixed", "broken", "still wrong"]
    assert model.rows == [[0, 0, 1], [0, 8, 0], [12, 0, 0]]
    assert "−8 voxels (fixed less broken)" in model.row_tooltips[1]
    assert model.row_headers == ["background", "class 1", "class 2"]

    panel.difference.table.cell_clicked.emit(1, 1)
    view = panel.mistakes
    until(lambda: bool(view.regions))
    assert [one.voxels for one in view.regions] == [8]
    assert view.model.text(0, 1) == "broken, class 1"
    assert view.title.whole == "broken, class 1: 1 region"
    assert app.viewer.dims.current_step[0] == 3
    until(lambda: layers.errors_layer(app.viewer) is not None)
    shown = lit(app)
    wrong = app.viewer.layers["second"].data != app.viewer.layers["reference"].data
    wrong[0, 0, 0] = False
    assert np.array_equal(shown[..., 3] > 0, wrong)
    assert shown[3, 10, 10] == pytest.approx(STATE_COLOURS[2], abs=0.01)

    # a heading: the state in every class; a row header: all states of a class
    panel.difference.table.column_header_clicked.emit(0)
    until(lambda: view.title.whole.startswith("fixed") and len(view.regions) == 1)
    assert view.regions[0].voxels == 12
    panel.difference.table.row_header_clicked.emit(0)
    until(lambda: view.title.whole == "vs, background: 1 region")
    # no decision is offered about what is no mistake of the first prediction
    view.review.mark("fixed")
    assert "Go to a region" in app.state.message

    # back to a cell of the confusion table: its own voxels
    panel.confusion_view.cell_clicked.emit(2, 0)
    until(lambda: not view._go)
    assert [one.voxels for one in view.regions] == [12]
    panel.copy_tables(as_markdown)
    assert panel.command().endswith("--against second.nii.gz -o OUT")


def test_vs_follows_the_brush_on_all_three_layers(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    choose_second(panel, app, until)
    panel.difference.table.cell_clicked.emit(1, 1)
    until(lambda: bool(panel.mistakes.regions))
    for name, place, value in (
        ("second", (3, 10, 10), 1),
        ("prediction", (2, 22, 22), 2),
        ("reference", (0, 0, 0), 1),
    ):
        layer = app.viewer.layers[name]
        before = app.state.difference
        layer.data_setitem(tuple(np.array([axis]) for axis in place), value)
        until(lambda before=before: app.state.difference is not before and panel.second.quiet)
        until(lambda: panel.comparer.quiet and panel.second.quiet)
        maps = [app.viewer.layers[one].data for one in ("reference", "prediction", "second")]
        truth = difference_table(*maps, 3)
        until(lambda truth=truth: np.array_equal(app.state.difference.table, truth))
    until(lambda: [one.voxels for one in panel.mistakes.regions] == [7])

    # a class that nobody had
    app.viewer.layers["reference"].data_setitem(tuple(np.array([n]) for n in (5, 29, 29)), 20)
    until(lambda: app.state.difference is not None and 20 in app.state.difference.class_values)
    assert app.state.difference.table[-1].tolist() == [0, 0, 0, 1]


def test_vs_ends_with_its_layer_and_refuses_one_of_the_pair(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    choose_second(panel, app, until)
    app.viewer.layers.remove("second")
    until(lambda: app.state.difference is None and panel.choice.second is None)
    assert panel.confusion.extra == ""
    assert panel.confusion.view_box.findText(VS) == -1
    box = panel.choice.second_box
    box.setCurrentIndex(box.findText("prediction"))
    assert "compared already" in app.state.message
    assert panel.choice.second is None
    app.viewer.add_labels(np.zeros((2, 2, 2), np.uint8), name="small")
    until(lambda: box.findText("small") > 0)
    box.setCurrentIndex(box.findText("small"))
    assert "shape" in app.state.message
    assert panel.choice.second is None


@pytest.mark.parametrize(("number", "text"), [(1204, "+1 204"), (-3, "−3"), (0, "0")])
def test_signed(number: int, text: str) -> None:
    assert signed(number) == text.replace(" ", "\u2009")
