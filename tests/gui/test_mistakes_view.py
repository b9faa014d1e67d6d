"""A cell leads to its voxels, a region to its slice, N to the next."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.gui import later_figures, later_work, layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.mistakes_view import MistakesView

Until = Callable[..., None]


@pytest.fixture
def panel(app: App, until: Until) -> InspectorPanel:
    """Three spurious lesions of 27, 8 and 1 voxels, and a rim of 100."""
    reference = np.zeros((12, 40, 40), np.uint8)
    reference[1:11, 5:15, 5:15] = 1
    prediction = reference.copy()
    prediction[1:11, 15, 5:15] = 1
    prediction[2:5, 25:28, 25:28] = 1
    prediction[7:9, 30:32, 5:7] = 1
    prediction[10, 35, 35] = 1
    for name, array in (("reference", reference), ("prediction", prediction)):
        app.viewer.add_labels(array, name=name, scale=(3, 1, 1))
    panel: InspectorPanel = app.show("inspector")
    until(lambda: app.state.comparison is not None)
    return panel


def chosen(panel: InspectorPanel, until: Until, *cell: int | None) -> MistakesView:
    view = panel.mistakes
    view.select(*cell)
    until(lambda: not view._go and layers.errors_layer(panel._app.viewer) is not None)
    return view


def here(app: App) -> tuple[float, ...]:
    """Slice, and the two voxels in the middle of the view."""
    y, x = app.viewer.scene.camera.center[-2:]
    return app.viewer.dims.current_step[0], y, x


def test_a_cell_lights_up_and_n_walks_it_by_size(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    view = chosen(panel, until, 0, 1)
    assert [one.voxels for one in view.regions] == [27, 8, 1, 100]
    until(lambda: layers.errors_layer(app.viewer) is not None)
    errors = layers.errors_layer(app.viewer)
    wrong = app.viewer.layers["reference"].data != app.viewer.layers["prediction"].data
    lit = np.asarray(errors.colormap.map(errors.data))[..., 3] > 0
    assert np.array_equal(lit, wrong)
    assert here(app) == (2, 26, 26)
    assert view.title.whole == "background → class 1: 4 regions"
    assert view.title.toolTip() == "background → class 1: 4 regions, 0.41 ml"
    places = []
    for _ in range(4):
        view.step(1)
        places.append(here(app))
    assert places == [(7, 30, 5), (10, 35, 35), places[2], (2, 26, 26)]
    view.step(-1)
    assert view.table.current_row() == 3


def test_boundary_and_inside_can_be_hidden(panel: InspectorPanel, app: App, until: Until) -> None:
    view = chosen(panel, until, None, None)
    view.boundary.click()
    assert [one.kind for one in view.regions] == ["spurious lesion"] * 3
    assert view.model.rowCount() == 3
    view.inside.click()
    assert view.regions == ()
    assert "0 regions" in view.title.whole
    view.step(1)
    assert "Click a cell" in app.state.message
    view.boundary.click()
    assert [one.kind for one in view.regions] == ["rim"]


def test_n_goes_on_where_a_region_was_corrected_away(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    view = chosen(panel, until, 0, 1)
    view.step(1)
    prediction = app.viewer.layers["prediction"]
    prediction.data[7:9, 30:32, 5:7] = 0
    prediction.refresh()
    until(lambda: len(view.regions) == 3)
    assert view.table.current_row() == -1
    view.step(1)
    assert here(app) == (10, 35, 35)
    # a region that only shrinks stays the one looked at
    view.step(-1)
    prediction.data[4, 25:28, 25:28] = 0
    prediction.refresh()
    until(lambda: view.regions[0].voxels == 18)
    assert view.table.current_row() == 0


def test_the_lit_voxels_follow_an_edit(panel: InspectorPanel, app: App, until: Until) -> None:
    view = chosen(panel, until, 0, 1)
    errors = layers.errors_layer(app.viewer)
    drawn: list[Any] = []
    errors.events.set_data.connect(lambda: drawn.append(errors.data.copy()))
    prediction = app.viewer.layers["prediction"]
    prediction.data_setitem(tuple(np.array([i]) for i in (10, 35, 35)), 0)
    until(lambda: bool(drawn))
    assert drawn[0][10, 35, 35] == 0
    prediction.data_setitem(tuple(np.array([i]) for i in (10, 35, 35)), 40)  # another code array
    until(lambda: errors.data is app.state.comparison.codes and errors.data.dtype == np.uint16)
    lit = np.asarray(errors.colormap.map(errors.data))[..., 3] > 0
    assert lit.sum() == 135
    view.clear()
    assert not errors.visible
    assert view.model.rowCount() == 0


def test_a_double_click_on_a_cell_fits_its_largest_region(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    view = panel.mistakes
    before = app.viewer.scene.camera.zoom
    panel.confusion_view.cell_clicked.emit(0, 1)
    panel.confusion_view.cell_double_clicked.emit(0, 1)
    until(lambda: bool(view.regions))
    assert app.viewer.scene.camera.zoom > 2 * before
    app.viewer.scene.camera.zoom = before
    view.table.cell_double_clicked.emit(2, 0)
    assert app.viewer.scene.camera.zoom > 2 * before


def test_slices_are_taken_across_the_axis_of_the_slider(
    panel: InspectorPanel, app: App, until: Until
) -> None:
    app.viewer.dims.order = (2, 0, 1)
    view = chosen(panel, until, 0, 1)
    assert view.regions[1].slice in (5, 6)
    view.step(1)
    assert app.viewer.dims.current_step[2] == view.regions[1].slice


def test_headers_select_the_errors_of_a_class(panel: InspectorPanel, until: Until) -> None:
    panel.confusion_view.row_header_clicked.emit(0)
    until(lambda: bool(panel.mistakes.regions))
    assert panel.mistakes.cell == (0, None)
    assert sum(one.voxels for one in panel.mistakes.regions) == 136
    panel.confusion_view.column_header_clicked.emit(1)
    assert panel.mistakes.cell == (None, 1)


def test_more_regions_than_anybody_walks_are_counted_but_not_listed(
    panel: InspectorPanel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_work, "MOST_LISTED", 2)
    view = chosen(panel, until, 0, 1)
    assert [one.voxels for one in view.regions] == [27, 100]
    assert view.title.toolTip().endswith("4 regions, 0.41 ml (the 2 largest are listed)")
    view.inside.click()
    assert view.title.toolTip().endswith("1 region, 0.30 ml")
    view.boundary.click()
    assert view.title.toolTip().endswith("0 regions, 0.00 ml")
    view.inside.click()
    assert view.title.toolTip().endswith("3 regions, 0.11 ml (the 1 largest are listed)")


def test_hopelessly_many_wrong_voxels_are_shown_but_not_listed(
    panel: InspectorPanel, app: App, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_figures, "MOST_WRONG", 200)
    view = chosen(panel, until, 0, 1)
    assert len(view.regions) == 4
    prediction = app.viewer.layers["prediction"]
    prediction.data[0] = 1
    prediction.refresh()
    until(
        lambda: (
            view.title.whole
            == ("background → class 1: too many wrong voxels to list their regions")
        )
    )
    assert view.regions == ()
    until(lambda: not app.state.surfaces.pending)
    chosen(panel, until, None, None)
    lit = layers.errors_layer(app.viewer)
    assert (np.asarray(lit.colormap.map(lit.data))[..., 3] > 0).sum() == 136 + 1600
    prediction.data[0] = 0
    prediction.refresh()
    until(lambda: len(view.regions) == 4)
