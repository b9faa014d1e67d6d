"""Every way of viewing can be left, and then everything is exactly as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.gui import layers, view_modes
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.orientation import OrientationMarks
from napari_unet_mic.gui.side_by_side import GAP
from napari_unet_mic.gui.view_modes import MODES, ViewModes
from napari_unet_mic.gui.view_state import ViewState

CLASSES = {0: "background", 1: "liver", 2: "cancer"}
SPACING = (5, 1, 1)
ON_GRID = {"scale": SPACING, "units": ("mm",) * 3}


class Inspector:
    """Stands in for the inspector: which pair is chosen, and what was asked for."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.pair: tuple[Any, Any] = (None, None)
        self.asked: list[str] = []

    def show_all_errors(self) -> None:
        self.asked.append("all errors")
        reference, prediction = (np.asarray(layer.data) for layer in self.pair)
        codes = (3 * reference + prediction).astype(np.uint8)
        layers.show_errors(self.viewer, self.pair[0], codes, {1: (1, 0, 0, 1), 5: (0, 0, 1, 1)})

    def clear_errors(self) -> None:
        self.asked.append("clear")
        layers.hide_errors(self.viewer)


def case_tuples(case: str, channels: int = 1, shift: int = 0) -> list[layers.LayerTuple]:
    reference = np.zeros((6, 20, 24), np.uint8)
    reference[1:5, 4:16, 4:16] = 1
    reference[2, 6:10, 6 + shift : 10 + shift] = 2
    prediction = np.roll(reference, 2, axis=2)
    image = np.random.default_rng(shift).normal(40, 80, (channels, *reference.shape))
    made = layers.image_tuples(
        Volume.from_array(image.astype(np.float32), spacing_mm=SPACING),
        case=case,
        channel_names=("T2", "ADC")[:channels],
    )
    for array, role in ((prediction, "prediction"), (reference, "reference")):
        volume = Volume.from_array(array, spacing_mm=SPACING)
        name = f"{case} {role}"
        made.append(layers.labels_tuple(volume, name=name, role=role, case=case, classes=CLASSES))
    return made


@pytest.fixture
def inspector(app: App) -> Inspector:
    return Inspector(app.viewer)


def open_case(inspector: Inspector, case: str, **options: Any) -> None:
    viewer = inspector.viewer
    layers.show_case(viewer, case_tuples(case, **options))
    inspector.pair = (viewer.layers[f"{case} reference"], viewer.layers[f"{case} prediction"])


@pytest.fixture
def modes(app: App, inspector: Inspector) -> ViewModes:
    open_case(inspector, "a")
    app.viewer.add_points([[2, 5, 5]], name="notes", **ON_GRID)
    app.viewer.scene.camera.zoom = 7.5
    app.viewer.dims.set_current_step(0, 2)
    return ViewModes(app, lambda: inspector.pair, inspector.show_all_errors, inspector.clear_errors)


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def roles(viewer: Any) -> list[str]:
    return [layers.role_of(layer) for layer in viewer.layers]


def settled(qtbot: QtBot) -> None:
    """Let what was put off to the next turns of the event loop happen."""
    qtbot.wait(50)


def everything(viewer: Any) -> tuple[Any, ...]:
    selection = {layer.name for layer in viewer.layers.selection}
    return ViewState.of(viewer), names(viewer), selection, viewer.layers.selection.active


@pytest.mark.parametrize("errors", [False, True], ids=["no cell", "a cell lit up"])
def test_entering_and_leaving_each_restores_everything(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot, errors: bool
) -> None:
    viewer = app.viewer
    if errors:
        inspector.show_all_errors()
    before = everything(viewer)
    for mode in MODES:
        modes.toggle(mode)
        settled(qtbot)
        assert modes.mode == mode
        assert ViewState.of(viewer) != before[0]
        modes.toggle(mode)
        settled(qtbot)
        assert (modes.mode, everything(viewer)) == ("", before), mode


def test_from_one_to_another_and_back_to_the_very_first(
    modes: ViewModes, app: App, qtbot: QtBot
) -> None:
    before = everything(app.viewer)
    for mode in [*MODES, *reversed(MODES)]:
        modes.enter(mode)
        settled(qtbot)
        assert app.viewer.dims.current_step[0] == 2, mode
        assert np.allclose(app.viewer.scene.camera.center[-2:], before[0].place.center[-2:])
    modes.leave()
    assert everything(app.viewer) == before
    assert "helper" not in roles(app.viewer)


def test_the_tool_in_hand_stays_in_hand(modes: ViewModes, inspector: Inspector) -> None:
    reference = inspector.pair[0]
    reference.mode = "paint"
    for mode in MODES:
        modes.enter(mode)
        modes.leave()
        assert reference.mode == "paint", mode
    modes.enter(view_modes.SIDE_BY_SIDE)
    reference.mode = "fill"
    modes.leave()
    assert reference.mode == "fill"  # taken up meanwhile


def test_a_slice_chosen_in_one_is_kept_in_the_next(modes: ViewModes, app: App) -> None:
    modes.enter(view_modes.SIDE_BY_SIDE)
    app.viewer.dims.set_current_step(0, 4)
    modes.enter(view_modes.OVERLAY)
    assert app.viewer.dims.current_step[0] == 4
    modes.leave()
    assert app.viewer.dims.current_step[0] == 2


def test_overlay_is_a_contour_over_the_filled_prediction(
    modes: ViewModes, inspector: Inspector, app: App
) -> None:
    reference, prediction = inspector.pair
    app.viewer.layers.move(app.viewer.layers.index(reference), 0)
    modes.enter(view_modes.OVERLAY)
    assert (reference.contour, prediction.contour) == (1, 0)
    order = [app.viewer.layers.index(layer) for layer in (prediction, reference)]
    assert order == sorted(order)
    modes.leave()
    assert app.viewer.layers.index(reference) == 0


def test_side_by_side_is_input_reference_prediction(
    modes: ViewModes, inspector: Inspector, app: App
) -> None:
    viewer = app.viewer
    reference, prediction = inspector.pair
    image = viewer.layers["a image"]
    modes.enter(view_modes.SIDE_BY_SIDE)
    grid = viewer.canvas.grid
    where = [grid.position(viewer.layers.index(one), viewer.layers) for one in
             (image, reference, prediction)]  # fmt: skip
    assert where == [(0, 0), (0, 1), (0, 2)]
    boxes = dict(grid.iter_viewboxes(viewer.layers))
    shown = [
        [viewer.layers[i] for i in boxes[0, column] if viewer.layers[i].visible]
        for column in range(3)
    ]
    assert [len(column) for column in shown] == [1, 2, 2]
    for column in (1, 2):
        repeated = shown[column][0]
        assert layers.role_of(repeated) == layers.HELPER
        assert repeated.data is image.data
        assert np.array_equal(repeated.extent.world, image.extent.world)
    # they follow the input
    image.contrast_limits = (-5, 60)
    image.colormap = "viridis"
    assert [list(one[0].contrast_limits) for one in shown] == [[-5, 60]] * 3
    assert {one[0].colormap.name for one in shown} == {"viridis"}
    image.data = image.data + 1
    assert all(one[0].data is image.data for one in shown)
    modes.leave()
    assert list(image.contrast_limits) == [-5, 60]


def test_repeated_images_are_offered_nowhere(modes: ViewModes, app: App) -> None:
    modes.enter(view_modes.SIDE_BY_SIDE)
    assert [layer.name for layer in layers.labels_layers(app.viewer)] == [
        "a prediction",
        "a reference",
    ]
    assert [layer.name for layer in app.viewer.layers if layers.is_input(layer)] == ["a image"]
    shown = layers.shown_image(app.viewer, app.viewer.layers["a reference"])
    assert shown is app.viewer.layers["a image"]


def test_without_an_image_two_columns_are_left(
    modes: ViewModes, inspector: Inspector, app: App
) -> None:
    app.viewer.layers.remove("a image")
    before = everything(app.viewer)
    modes.enter(view_modes.SIDE_BY_SIDE)
    where = [app.viewer.canvas.grid.position(app.viewer.layers.index(one), app.viewer.layers)
             for one in inspector.pair]  # fmt: skip
    assert where == [(0, 0), (0, 1)]
    modes.leave()
    assert everything(app.viewer) == before


def test_the_input_is_the_visible_channel(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    open_case(inspector, "mr", channels=2)
    viewer = app.viewer
    viewer.layers["mr T2"].visible, viewer.layers["mr ADC"].visible = False, True
    before = ViewState.of(viewer)
    modes.enter(view_modes.SIDE_BY_SIDE)
    helpers = [layer for layer in viewer.layers if layers.role_of(layer) == layers.HELPER]
    assert all(helper.data is viewer.layers["mr ADC"].data for helper in helpers)
    assert not viewer.layers["mr T2"].visible
    # another channel is switched on while there: it becomes the input
    viewer.layers["mr T2"].visible = True
    settled(qtbot)
    helpers = [layer for layer in viewer.layers if layers.role_of(layer) == layers.HELPER]
    assert all(helper.data is viewer.layers["mr T2"].data for helper in helpers)
    assert not viewer.layers["mr ADC"].visible
    modes.leave()
    assert ViewState.of(viewer) == before


def test_errors_only_asks_for_all_errors_unless_some_are_lit(
    modes: ViewModes, inspector: Inspector, app: App
) -> None:
    modes.enter(view_modes.ERRORS_ONLY)
    visible = {layer.name for layer in app.viewer.layers if layer.visible}
    assert visible == {"a image", "errors", "notes"}
    modes.leave()
    assert inspector.asked == ["all errors", "clear"]
    assert "errors" not in names(app.viewer)
    inspector.show_all_errors()
    modes.enter(view_modes.ERRORS_ONLY)
    modes.leave()
    assert inspector.asked == ["all errors", "clear", "all errors"]
    assert app.viewer.layers["errors"].visible


def test_what_the_person_does_meanwhile_does_not_break_the_way_back(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    viewer = app.viewer
    reference, prediction = inspector.pair
    before = ViewState.of(viewer)
    for mode in MODES:
        modes.enter(mode)
        added = viewer.add_points([[0, 1, 1]], name=f"new {mode}", **ON_GRID)
        viewer.layers.insert(0, Labels(np.zeros((6, 20, 24), int), name="below", **ON_GRID))
        reference.name, reference.opacity, reference.visible = "renamed", 0.123, False
        prediction.contour = 5 if mode != view_modes.IN_3D else 0
        viewer.layers.move(viewer.layers.index(prediction), 0)
        viewer.scene.camera.zoom *= 3
        viewer.dims.set_current_step(0, 0)
        settled(qtbot)
        if mode == view_modes.SIDE_BY_SIDE:  # the columns are brought first again
            assert viewer.layers.index(prediction) == 5
        modes.leave()
        settled(qtbot)
        assert names(viewer)[-2:] == ["below", added.name]
        viewer.layers.remove(added)
        viewer.layers.remove("below")
        reference.name = "a reference"
        assert ViewState.of(viewer) == before, mode


def test_layers_that_are_removed_meanwhile_are_passed_over(
    modes: ViewModes, app: App, qtbot: QtBot
) -> None:
    viewer = app.viewer
    modes.enter(view_modes.OVERLAY)
    viewer.layers.remove("notes")
    settled(qtbot)
    assert modes.mode == view_modes.OVERLAY
    modes.leave()
    assert names(viewer) == ["a image", "a prediction", "a reference"]


def test_deleting_a_repeated_image_leaves_exactly(modes: ViewModes, app: App, qtbot: QtBot) -> None:
    viewer = app.viewer
    before = ViewState.of(viewer), names(viewer)
    modes.enter(view_modes.SIDE_BY_SIDE)
    helper = next(one for one in viewer.layers if layers.role_of(one) == layers.HELPER)
    viewer.layers.remove(helper)
    qtbot.waitUntil(lambda: modes.mode == "")
    assert (ViewState.of(viewer), names(viewer)) == before


def test_napari_own_buttons_leave_too(modes: ViewModes, app: App, qtbot: QtBot) -> None:
    viewer = app.viewer
    before = everything(viewer)
    modes.enter(view_modes.SIDE_BY_SIDE)
    viewer.canvas.grid.enabled = False
    qtbot.waitUntil(lambda: modes.mode == "")
    assert everything(viewer) == before
    modes.enter(view_modes.IN_3D)
    viewer.dims.ndisplay = 2
    qtbot.waitUntil(lambda: modes.mode == "")
    assert everything(viewer) == before


def test_a_newer_prediction_takes_its_place(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    viewer = app.viewer
    modes.enter(view_modes.SIDE_BY_SIDE)
    reference, older = inspector.pair
    viewer.layers.remove(older)
    newer = Labels(np.asarray(older.data).copy(), name="newer", **ON_GRID)
    viewer.add_layer(newer)
    newer.translate = reference.translate
    inspector.pair = (reference, newer)
    qtbot.waitUntil(lambda: viewer.layers.index(newer) == 5)
    assert modes.mode == view_modes.SIDE_BY_SIDE
    modes.leave()
    assert names(viewer) == ["a image", "a reference", "notes", "newer"]


@pytest.mark.parametrize("mode", MODES)
def test_the_next_case_is_viewed_the_same_way(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot, mode: str
) -> None:
    viewer = app.viewer
    modes.enter(mode)
    open_case(inspector, "b", shift=3)
    qtbot.waitUntil(lambda: modes._subject is not None and modes._subject.is_in(viewer))
    settled(qtbot)
    assert modes.mode == mode
    if mode == view_modes.SIDE_BY_SIDE:
        assert [viewer.layers.index(one) for one in inspector.pair] == [3, 5]
    modes.leave()
    settled(qtbot)
    assert [name for name in names(viewer) if name != "errors"] == [
        "notes",
        "b image",
        "b prediction",
        "b reference",
    ]
    assert roles(viewer).count("helper") == 0
    assert all(layer.visible for layer in viewer.layers if layer.name != "errors")
    assert (viewer.canvas.grid.enabled, viewer.dims.ndisplay) == (False, 2)
    # the camera looks at the new case, not where the old one was
    inspector.pair[0].extent.world.mean(axis=0)
    assert np.allclose(
        viewer.scene.camera.center[-2:], inspector.pair[0].extent.world.mean(axis=0)[-2:], atol=1
    )


def test_a_case_without_prediction_ends_it(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    modes.enter(view_modes.SIDE_BY_SIDE)
    inspector.pair = (None, None)
    layers.show_case(app.viewer, [one for one in case_tuples("b") if "pred" not in one[1]["name"]])
    qtbot.waitUntil(lambda: modes.mode == "")
    assert names(app.viewer) == ["notes", "b image", "b reference"]
    assert not app.viewer.canvas.grid.enabled


def test_edited_labels_of_the_last_case_stay_hidden(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    reference = inspector.pair[0]
    modes.enter(view_modes.SIDE_BY_SIDE)
    reference.paint((2, 5, 5), 1)
    open_case(inspector, "b")
    qtbot.waitUntil(lambda: modes._subject is not None and modes._subject.is_in(app.viewer))
    modes.leave()
    assert not reference.visible


@pytest.mark.parametrize("mode", [view_modes.SIDE_BY_SIDE, view_modes.IN_3D])
def test_errors_that_light_up_in_the_next_case_stay_lit(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot, mode: str
) -> None:
    inspector.show_all_errors()
    errors = layers.errors_layer(app.viewer)
    modes.enter(mode)
    open_case(inspector, "b")
    qtbot.waitUntil(lambda: modes._subject is not None and modes._subject.is_in(app.viewer))
    assert layers.errors_layer(app.viewer) is errors
    assert not errors.visible  # not those of the case before
    inspector.show_all_errors()
    modes.leave()
    assert errors.visible
    assert app.viewer.layers[-1] is errors


def test_painting_side_by_side_writes_where_the_brush_is(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    viewer, reference = app.viewer, inspector.pair[0]
    viewer.window._qt_window.resize(900, 700)
    viewer.window._qt_window.show()
    settled(qtbot)
    modes.enter(view_modes.SIDE_BY_SIDE)
    settled(qtbot)
    viewer.layers.selection.active = reference
    reference.mode, reference.selected_label, reference.brush_size = "paint", 2, 1
    canvas = viewer.window._qt_viewer.canvas
    voxel = (2, 15, 20)
    # the middle of the middle column is where the camera looks
    y, x = reference.data_to_world(voxel)[1:]
    viewer.scene.camera.center = (0.0, y, x)
    canvas.on_draw()
    height, width = canvas.size
    before = np.asarray(reference.data).copy()
    step = (width + GAP) / 3
    middles = [step * (column + 0.5) - GAP / 2 for column in range(3)]
    for middle in middles:
        position = (middle, height / 2)
        viewbox, _ = canvas._get_viewbox_at(np.array(position))
        world = canvas._map_canvas2world(position, viewbox)
        assert np.allclose(world[1:], (y, x), atol=0.5)
    native = canvas.native
    spot = QPoint(round(middles[1]), round(height / 2))
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=spot)
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=spot)
    changed = np.argwhere(np.asarray(reference.data) != before)
    assert changed.tolist() == [list(voxel)]
    modes.leave()
    assert reference.data[voxel] == 2


@pytest.mark.parametrize("mode", MODES)
def test_closing_the_viewer_in_the_middle_is_quiet(
    make_napari_viewer: Callable[..., Any], qtbot: QtBot, mode: str
) -> None:
    viewer = make_napari_viewer()
    app = App.of(viewer)
    inspector = Inspector(viewer)
    open_case(inspector, "a")
    modes = ViewModes(app, lambda: inspector.pair, inspector.show_all_errors, lambda: None)
    modes.enter(mode)
    viewer.layers.remove("a image")
    viewer.close()
    app.close()
    settled(qtbot)
    assert modes.mode == mode


def test_nothing_happens_without_a_pair(
    modes: ViewModes, inspector: Inspector, app: App, qtbot: QtBot
) -> None:
    inspector.pair = (inspector.pair[0], None)
    before = everything(app.viewer)
    with qtbot.waitSignal(modes.changed) as heard:
        modes.toggle(view_modes.SIDE_BY_SIDE)
    assert heard.args == [""]
    assert everything(app.viewer) == before
    assert app.state.message == view_modes.NO_PAIR


def test_a_grid_of_the_persons_own_comes_back(modes: ViewModes, app: App, qtbot: QtBot) -> None:
    viewer = app.viewer
    marks = OrientationMarks(viewer)  # letters stand in every column, however many
    viewer.canvas.grid.enabled = True
    settled(qtbot)
    before = ViewState.of(viewer), names(viewer)
    for mode in MODES:
        modes.enter(mode)
        viewer.add_points([[0, 1, 1]], name="more", **ON_GRID)
        settled(qtbot)
        viewer.layers.remove("more")
        modes.leave()
        settled(qtbot)
        assert (ViewState.of(viewer), names(viewer)) == before, mode
    assert marks.letters()["left"] == "R"


@pytest.mark.parametrize("shape", [(20, 24), (2, 6, 20, 24)], ids=["2-D", "with time"])
def test_flat_data_and_leading_axes(
    app: App, inspector: Inspector, qtbot: QtBot, shape: tuple[int, ...]
) -> None:
    viewer = app.viewer
    viewer.add_image(np.zeros(shape), name="raw")
    for name in ("r", "p"):
        viewer.add_labels(np.ones(shape, np.uint8), name=name)
    inspector.pair = (viewer.layers["r"], viewer.layers["p"])
    modes = ViewModes(app, lambda: inspector.pair, inspector.show_all_errors, lambda: None)
    before = everything(viewer)
    for mode in MODES:
        modes.enter(mode)
        settled(qtbot)
        if mode == view_modes.IN_3D and len(shape) == 2:
            assert modes.mode != mode
            assert app.state.message == view_modes.TOO_FLAT
        else:
            assert modes.mode == mode
        modes.leave()
        settled(qtbot)
        assert everything(viewer) == before, mode


def test_an_image_from_elsewhere_is_an_input_too(app: App, inspector: Inspector) -> None:
    viewer = app.viewer
    viewer.add_image(np.zeros((4, 5, 6), ">i2"), name="raw")
    for name in ("r", "p"):
        viewer.add_labels(np.ones((4, 5, 6), np.int64), name=name)
    inspector.pair = (viewer.layers["r"], viewer.layers["p"])
    modes = ViewModes(app, lambda: inspector.pair, lambda: None, lambda: None)
    modes.enter(view_modes.SIDE_BY_SIDE)
    repeated = [one for one in viewer.layers if layers.role_of(one) == layers.HELPER]
    assert all(isinstance(one, Image) for one in repeated)
    assert all(one.data is viewer.layers["raw"].data for one in repeated)
    modes.leave()
