"""The view bar, clicked as a person would, in the real inspector on a real viewer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App, dock_of
from napari_unet_mic.gui.orthogonal import NEEDS_3D
from napari_unet_mic.gui.view_bar import ORTHOGONAL, ViewBar
from napari_unet_mic.gui.view_modes import ERRORS_ONLY, IN_3D, MODES, OVERLAY, SIDE_BY_SIDE
from napari_unet_mic.gui.view_state import ViewState

CLASSES = {0: "outside", 1: "liver", 2: "cancer"}


def tuples(pair: tuple[Volume, Volume], case: str) -> list[layers.LayerTuple]:
    image = np.random.default_rng(0).integers(-900, 900, (1, *pair[0].shape)).astype(np.int16)
    made = layers.image_tuples(
        Volume.from_array(image, affine=pair[0].affine), case=case, channel_names=("CT",)
    )
    for volume, role in zip(reversed(pair), ("prediction", "reference"), strict=True):
        name = f"{case} {role}"
        made.append(layers.labels_tuple(volume, name=name, role=role, case=case, classes=CLASSES))
    return made


@pytest.fixture
def bar(app: App, until: Callable[..., None], pair_of_labels: tuple[Volume, Volume]) -> ViewBar:
    layers.show_case(app.viewer, tuples(pair_of_labels, "a"))
    panel = app.show("inspector")
    app.viewer.window._qt_window.show()
    until(lambda: app.state.comparison is not None)
    return panel.view_bar


def click(bar: ViewBar, name: str) -> None:
    QTest.mouseClick(bar.buttons[name], Qt.MouseButton.LeftButton)


def test_one_click_there_and_one_back(bar: ViewBar, app: App, qtbot: QtBot) -> None:
    before = ViewState.of(app.viewer)
    for mode in MODES:
        click(bar, mode)
        qtbot.wait(60)
        assert bar.modes.mode == mode
        checked = [name for name, button in bar.buttons.items() if button.isChecked()]
        assert checked == [mode]
        click(bar, mode)
        qtbot.wait(60)
        assert not any(button.isChecked() for button in bar.buttons.values())
        assert ViewState.of(app.viewer) == before, mode
    assert layers.errors_layer(app.viewer) is None


def test_keys_and_menu_do_the_same(bar: ViewBar, app: App, qtbot: QtBot) -> None:
    bound = {str(key): act for key, act in app.viewer.keymap.items()}
    bound["F6"](app.viewer)
    assert bar.modes.mode == SIDE_BY_SIDE
    bound["F5"](app.viewer)
    assert bar.modes.mode == OVERLAY
    bar._fill_menu()
    shown = [action for action in bar.menu.actions() if action.text()]
    entries = {action.text().split("\t")[0]: action for action in shown}
    assert entries["Overlay"].isChecked()
    assert "CT abdomen" in entries
    entries["Back to what was before"].trigger()
    assert bar.modes.mode == ""
    entries["Letters R L A P S I"].trigger()
    assert bar.marks.letters() == {}
    entries["Letters R L A P S I"].trigger()
    assert bar.marks.letters()["left"] == "R"
    assert all(button.toolTip() for button in (*bar.buttons.values(), bar.menu_button))
    assert all(entry.toolTip() for entry in entries.values())


def test_errors_only_lights_all_errors_and_forgets_them(
    bar: ViewBar, app: App, until: Callable[..., None]
) -> None:
    panel = app.panel("inspector")
    click(bar, ERRORS_ONLY)
    until(lambda: layers.errors_layer(app.viewer) is not None)
    errors = layers.errors_layer(app.viewer)
    wrong = np.asarray(app.viewer.layers["a reference"].data) != np.asarray(
        app.viewer.layers["a prediction"].data
    )
    assert np.array_equal(np.asarray(errors.colormap.map(errors.data))[..., 3] > 0, wrong)
    assert panel.mistakes.cell == (None, None)
    click(bar, ERRORS_ONLY)
    assert panel.mistakes.cell is None
    # a cell that was chosen before stays chosen
    panel.confusion_view.cell_clicked.emit(2, 1)
    until(lambda: layers.errors_layer(app.viewer) is not None)
    click(bar, ERRORS_ONLY)
    assert panel.mistakes.cell == (2, 1)
    click(bar, ERRORS_ONLY)
    assert panel.mistakes.cell == (2, 1)
    assert layers.errors_layer(app.viewer).visible


@pytest.mark.parametrize("mode", MODES)
def test_the_next_case_is_viewed_the_same_way_and_compared(
    bar: ViewBar, app: App, pair_of_labels: tuple[Volume, Volume], qtbot: QtBot,
    until: Callable[..., None], mode: str,
) -> None:  # fmt: skip
    click(bar, mode)
    qtbot.wait(60)
    app.viewer.mouse_over_canvas = False  # it is where the case is chosen
    layers.show_case(app.viewer, tuples(pair_of_labels, "b"))
    until(lambda: app.state.reference_layer == "b reference")
    until(lambda: app.state.comparison is not None and bar.modes._subject is not None
          and bar.modes._subject.reference.name == "b reference")  # fmt: skip
    assert bar.modes.mode == mode
    assert bar.buttons[mode].isChecked()
    if mode == ERRORS_ONLY:  # lit up as soon as they are counted
        until(lambda: layers.errors_layer(app.viewer) is not None)
        until(lambda: layers.errors_layer(app.viewer).visible)
    chosen = [layer.name for layer in app.panel("inspector").chosen()]
    assert chosen == ["b reference", "b prediction"]
    click(bar, mode)
    qtbot.wait(60)
    assert sorted(layer.name for layer in app.viewer.layers if layer.name != "errors") == [
        "b image",
        "b prediction",
        "b reference",
    ]


def test_the_repeated_images_are_in_no_combo_box(bar: ViewBar, app: App, qtbot: QtBot) -> None:
    app.show("annotate")
    app.show("predict")
    click(bar, SIDE_BY_SIDE)
    qtbot.wait(100)
    boxes = [app.panel("inspector").reference_box, app.panel("annotate").layer_box,
             app.panel("predict").widget().subject]  # fmt: skip
    offered = [box.itemText(row) for box in boxes for row in range(box.count())]
    assert "a reference" in offered
    assert not [text for text in offered if "repeated" in text]


def test_orthogonal_views_open_close_and_open_again(
    bar: ViewBar, app: App, qtbot: QtBot, until: Callable[..., None]
) -> None:
    click(bar, ORTHOGONAL)
    assert bar.orthogonal_shown
    assert bar.buttons[ORTHOGONAL].isChecked()
    first = bar.orthogonal
    click(bar, ORTHOGONAL)
    until(lambda: not bar.buttons[ORTHOGONAL].isChecked())
    click(bar, ORTHOGONAL)
    assert bar.orthogonal is first
    dock_of(first).destroyOnClose()  # the dock's own cross
    until(lambda: not bar.buttons[ORTHOGONAL].isChecked())
    click(bar, ORTHOGONAL)
    until(lambda: first.views[1].isVisible())
    assert bar.buttons[ORTHOGONAL].isChecked()
    # in 3-D the input is hidden on the canvas, not in the planes
    click(bar, IN_3D)
    until(lambda: len(first.views[0]._pictures) == 3)


def test_flat_data_has_no_orthogonal_views(app: App, qtbot: QtBot) -> None:
    bar = app.show("inspector").view_bar
    app.viewer.add_labels(np.zeros((4, 5), np.uint8))
    bar.toggle_orthogonal()
    assert not bar.orthogonal_shown
    assert app.state.message == NEEDS_3D


def test_the_line_under_the_cursor_stands_in_the_status_bar(
    bar: ViewBar, app: App, until: Callable[..., None]
) -> None:
    assert bar.readout.window() is app.viewer.window._qt_window
    reference = app.viewer.layers["a reference"]
    app.viewer.cursor.position = tuple(reference.data_to_world((1, 2, 2)))
    until(lambda: "true cancer   predicted liver" in bar.readout.text())


def test_the_panel_gets_its_height_back_after_3d(
    bar: ViewBar, app: App, qtbot: QtBot, until: Callable[..., None]
) -> None:
    window, dock = app.viewer.window._qt_window, dock_of(bar)
    window.resize(1366, 768)
    app.viewer.layers.selection.active = app.viewer.layers["a reference"]
    qtbot.wait(200)
    before = dock.height()
    click(bar, IN_3D)
    qtbot.wait(200)
    assert window.height() == 768
    click(bar, IN_3D)
    until(lambda: abs(dock.height() - before) <= 2)


def test_closing_the_viewer_in_the_middle_is_quiet(
    make_napari_viewer: Callable[..., Any], until: Callable[..., None], qtbot: QtBot,
    pair_of_labels: tuple[Volume, Volume],
) -> None:  # fmt: skip
    viewer = make_napari_viewer()
    app = App.of(viewer)
    layers.show_case(viewer, tuples(pair_of_labels, "a"))
    bar = app.show("inspector").view_bar
    until(lambda: app.state.comparison is not None)
    bar.toggle_orthogonal()
    click(bar, SIDE_BY_SIDE)
    viewer.close()
    app.close()
    qtbot.wait(100)
    assert app.closed
