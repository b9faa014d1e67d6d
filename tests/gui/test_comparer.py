"""The comparison follows its two layers, whatever happens to them."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.evaluation.shadow import Shadow
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.comparer import Comparer

SQUARE = np.zeros((5, 32, 32), np.uint8)
SQUARE[:, 8:24, 8:24] = 1


@pytest.fixture
def comparer(app: App, until: Callable[..., None]) -> Comparer:
    for name in ("reference", "prediction"):
        app.viewer.add_labels(SQUARE.copy(), name=name)
    comparer = Comparer(app)
    comparer.choose(*app.viewer.layers)
    until(lambda: app.state.comparison is not None)
    return comparer


def totals(app: App) -> dict[int, int]:
    """Predicted class -> voxels."""
    comparison = app.state.comparison
    assert comparison is not None
    counts = comparison.table.sum(axis=0).tolist()
    return {v: n for v, n in zip(comparison.class_values, counts, strict=True) if n}


def test_numbers_follow_the_brush_before_the_button_is_let_go(
    app: App, comparer: Comparer, until: Callable[..., None]
) -> None:
    prediction = app.viewer.layers["prediction"]
    app.viewer.layers.selection.active = prediction
    prediction.mode, prediction.selected_label, prediction.brush_size = "paint", 2, 5
    canvas = app.viewer.window._qt_viewer.canvas.native
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    seen = []
    for step in range(1, 4):
        QTest.mouseMove(canvas, middle + QPoint(30 * step, 0))
        painted = int((prediction.data == 2).sum())
        assert painted > 0
        until(lambda painted=painted: totals(app).get(2) == painted)
        seen.append(painted)
    assert seen[0] < seen[1] < seen[2]
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(90, 0))
    prediction.undo()
    until(lambda: totals(app) == {0: 3840, 1: 1280})
    comparer.choose(None, None)
    assert comparer not in [getattr(f, "__self__", 0) for f in prediction.mouse_drag_callbacks]
    assert (
        len(prediction.mouse_drag_callbacks)
        == len(app.viewer.add_labels(SQUARE.copy()).mouse_drag_callbacks) + 1
    )  # the paint mode's own


def test_a_change_during_a_look_is_looked_at_again(
    app: App, comparer: Comparer, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: comparer.quiet)
    begun, go_on = threading.Event(), threading.Event()
    look = Shadow.look

    def slow_look(self: Shadow, *maps: Any, **options: Any) -> bool:
        changed = look(self, *maps, **options)
        if threading.current_thread() is not threading.main_thread() and not begun.is_set():
            begun.set()
            go_on.wait(30)
        return changed

    monkeypatch.setattr(Shadow, "look", slow_look)
    prediction = app.viewer.layers["prediction"]
    prediction.data[0, 0, 0] = 1
    prediction.refresh()
    until(begun.is_set)
    prediction.data[4, 0, 0] = 1  # not in the slice that is shown
    prediction.refresh()
    QTest.qWait(50)
    go_on.set()
    until(lambda: totals(app) == {0: 3838, 1: 1282})


def test_values_without_a_place_in_the_codes(
    app: App, comparer: Comparer, until: Callable[..., None]
) -> None:
    prediction = app.viewer.layers["prediction"]
    prediction.data = SQUARE.astype(np.int32)
    where = tuple(np.array([i]) for i in (2, 3, 4))
    for value in (7, 40, 254):
        prediction.data_setitem(where, value)
        until(lambda value=value: totals(app).get(value) == 1)
    for value, sentence in ((255, "up to 254"), (-3, "a voxel of value -3")):
        prediction.data_setitem(where, value)
        until(lambda: app.state.comparison is None)
        assert sentence in comparer.complaint
        assert comparer.complaint == app.state.message
        prediction.undo()
        until(lambda: app.state.comparison is not None)
        assert totals(app)[254] == 1
        assert comparer.complaint == ""


def test_another_grid_gives_no_numbers_until_it_fits_again(
    app: App, comparer: Comparer, until: Callable[..., None]
) -> None:
    reference, prediction = app.viewer.layers
    prediction.data = SQUARE[:, :20]
    until(lambda: app.state.comparison is None)
    assert "expected the shape (5, 32, 32) of reference, got (5, 20, 32)" in comparer.complaint
    prediction.data = np.zeros_like(SQUARE)
    until(lambda: app.state.comparison is not None)
    assert totals(app) == {0: 5120}
    prediction.scale = (2, 1, 1)
    until(lambda: app.state.comparison is None)
    reference.scale = (2, 1, 1)
    until(lambda: app.state.comparison is not None)
    assert app.state.comparison.spacing_mm == (2, 1, 1)
    prediction.units = reference.units = ("cm", "mm", "mm")
    until(lambda: app.state.comparison.spacing_mm == (20, 1, 1))


def test_names_follow_a_renamed_layer(app: App, comparer: Comparer) -> None:
    app.viewer.layers["prediction"].name = "better"
    assert app.state.comparison.prediction_layer == app.state.prediction_layer == "better"


def test_an_answer_for_a_pair_nobody_compares_any_more_is_dropped(
    app: App, comparer: Comparer, until: Callable[..., None]
) -> None:
    reference, prediction = app.viewer.layers
    comparer.choose(prediction, reference)
    comparer.choose(None, None)
    QTest.qWait(300)
    assert app.state.comparison is None
    comparer.choose(reference, prediction)
    prediction.data = np.zeros_like(SQUARE)
    comparer.choose(None, None)
    app.viewer.layers.remove(prediction)
    QTest.qWait(300)
    assert app.state.comparison is None
    with pytest.raises(GridMismatch):
        comparer.choose(reference, app.viewer.add_labels(SQUARE[:3]))
    assert comparer.layers is None


def test_a_layer_that_is_no_numpy_array(app: App, until: Callable[..., None]) -> None:
    import dask.array as da

    reference = app.viewer.add_labels(SQUARE.copy())
    lazy = app.viewer.add_labels(da.from_array(SQUARE.copy(), chunks=(2, 16, 32)))
    comparer = Comparer(app)
    comparer.choose(reference, lazy)
    until(lambda: app.state.comparison is not None)
    assert app.state.comparison.table.tolist() == [[3840, 0], [0, 1280]]
    reference.data_setitem(tuple(np.array([i]) for i in (2, 3, 4)), 1)
    until(lambda: app.state.comparison.table.tolist() == [[3839, 0], [1, 1280]])


def test_levels_of_a_pyramid_are_compared_at_full_resolution(
    app: App, until: Callable[..., None]
) -> None:
    levels = [SQUARE[0], SQUARE[0, ::2, ::2]]
    reference = app.viewer.add_labels(SQUARE[0].copy())
    comparer = Comparer(app)
    comparer.choose(reference, app.viewer.add_labels(levels, multiscale=True))
    until(lambda: app.state.comparison is not None)
    assert app.state.comparison.table.tolist() == [[768, 0], [0, 256]]
