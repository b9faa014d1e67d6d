"""The probability layer: on the prediction's grid, of the class looked at, gone with its case."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet_mic.data.volume import Volume, read_labels, write_image, write_labels
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.cursor_readout import describe
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.label_files import write_image_layer
from napari_unet_mic.gui.probability_layer import probability_layer
from napari_unet_mic.gui.probability_switch import NOT_IN_3D, NOT_KEPT
from napari_unet_mic.gui.view_modes import IN_3D, MODES, NO_PAIR, OVERLAY, SIDE_BY_SIDE
from napari_unet_mic.gui.view_state import ViewState

Until = Callable[..., None]
CLASSES = {0: "outside", 1: "liver", 2: "cancer"}
STRAIGHT = np.diag([-1.0, -1.0, 5.0, 1.0])
FLIPPED = np.diag([1.0, -1.0, -5.0, 1.0])
TURNED = np.array([[0, 0, 5.0, 0], [1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
RNG = np.random.default_rng(0)
SHARES = RNG.random((3, 4, 6, 6)).astype(np.float32)


def write_case(
    folder: Path,
    case: str,
    pair: tuple[Volume, Volume],
    affine: Any = FLIPPED,
    *,
    kept: bool = True,
) -> list[layers.LayerTuple]:
    """Write a case's two label files, and probabilities, and return its layers."""
    for role, volume in zip(("reference", "prediction"), pair, strict=True):
        turned = Volume.from_array(volume.array, affine=affine)
        write_labels(folder / role / f"{case}.nii.gz", volume.array, turned)
    if kept:
        np.savez_compressed(folder / "prediction" / f"{case}.npz", probabilities=SHARES)
    image = RNG.integers(-900, 900, (1, *pair[0].shape)).astype(np.int16)
    made = layers.image_tuples(Volume.from_array(image, affine=affine), case=case)
    for role in ("prediction", "reference"):
        volume = read_labels(folder / role / f"{case}.nii.gz")
        name = f"{case} {role}"
        made.append(layers.labels_tuple(volume, name=name, role=role, case=case, classes=CLASSES))
    return made


@pytest.fixture
def opened(
    app: App, until: Until, pair_of_labels: tuple[Volume, Volume], tmp_path: Path
) -> Callable[..., InspectorPanel]:
    def open_case(case: str, affine: Any = FLIPPED, *, kept: bool = True) -> InspectorPanel:
        tuples = write_case(tmp_path, case, pair_of_labels, affine, kept=kept)
        layers.show_case(app.viewer, tuples)
        panel = app.show("inspector")
        until(lambda: app.state.prediction_layer == f"{case} prediction")
        until(lambda: app.state.comparison is not None)
        switch = panel.view_bar.probability
        until(lambda: switch.isEnabled() == kept and "Choose" not in switch.toolTip())
        return panel

    app.viewer.window._qt_window.resize(1366, 768)
    app.viewer.window._qt_window.show()
    return open_case


def click(panel: InspectorPanel) -> None:
    QTest.mouseClick(panel.view_bar.probability, Qt.MouseButton.LeftButton)


def shown(app: App, until: Until, name: str) -> Any:
    """Wait for the layer of that class and return it."""

    def there() -> bool:
        layer = probability_layer(app.viewer)
        return layer is not None and layer.name == f"probability of {name}"

    until(there)
    return probability_layer(app.viewer)


@pytest.mark.parametrize(
    "affine", [STRAIGHT, FLIPPED, TURNED], ids=["straight", "flipped", "turned"]
)
def test_every_voxel_stands_where_the_prediction_s_does(
    app: App, opened: Callable[..., InspectorPanel], until: Until, affine: Any, tmp_path: Path
) -> None:
    panel, viewer = opened("a", affine), app.viewer
    prediction = viewer.layers["a prediction"]
    viewer.layers.selection = [prediction]
    click(panel)
    layer = shown(app, until, "liver")  # the first class that is not background
    display = layers.source_of(prediction).display
    assert layer.data.dtype == np.float16
    assert layer.contrast_limits == [0.0, 1.0]
    for zyx in np.ndindex(4, 6, 6):
        world = prediction.data_to_world(display.display_index(zyx))
        there = tuple(np.rint(layer.world_to_data(world)).astype(int))
        assert layer.data[there] == np.float16(SHARES[1][zyx])
    assert [one.name for one in viewer.layers] == [
        "a image", "probability of liver", "a prediction", "a reference",
    ]  # fmt: skip
    assert viewer.layers.selection == {prediction}
    assert describe(viewer, world, panel.chosen()).count("probability of liver 0.") == 1

    data, options, _ = layer.as_layer_data_tuple()
    write_image_layer(tmp_path / "saved.nii.gz", data, options)  # as napari saves it
    saved = Volume.from_array(SHARES[1], affine=affine)
    write_image(tmp_path / "wanted.nii.gz", SHARES[1], saved)
    import nibabel as nib

    one, other = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("saved", "wanted"))
    assert np.array_equal(one.affine, other.affine)
    assert np.allclose(one.get_fdata(), other.get_fdata(), atol=1e-3)


def test_it_follows_what_is_looked_at_in_the_tables(
    app: App, opened: Callable[..., InspectorPanel], until: Until
) -> None:
    panel = opened("a")
    until(lambda: bool(panel.lesions.shown))
    click(panel)
    layer = shown(app, until, "liver")
    layer.opacity = 0.7
    panel.confusion_view.cell_clicked.emit(2, 1)  # cancer taken for liver
    assert shown(app, until, "cancer") is layer
    assert layer.opacity == 0.7  # as somebody chose
    assert np.isclose(
        np.sort(layer.data, axis=None), np.sort(SHARES[2], axis=None), atol=1e-3
    ).all()
    until(lambda: layers.errors_layer(app.viewer) is not None)
    until(lambda: layers.errors_layer(app.viewer).contour == 1)  # or it would be hidden by them
    panel._on_class_clicked(1, 0)
    shown(app, until, "liver")
    panel.confusion_view.cell_clicked.emit(0, 2)  # spurious: the true class is background
    shown(app, until, "cancer")
    panel.mistakes.clear()
    shown(app, until, "liver")
    panel.lesions.table.cell_clicked.emit(0, 0)
    assert shown(app, until, "cancer") is layer
    click(panel)
    until(lambda: probability_layer(app.viewer) is None)
    assert layers.errors_layer(app.viewer).contour == 0
    click(panel)
    panel._on_all_errors()
    until(lambda: bool(panel.mistakes.regions))
    row = next(n for n, one in enumerate(panel.mistakes.regions) if one.true_class == 2)
    panel.mistakes.go_to_region(row)
    assert panel.mistakes.lit.value(panel.mistakes.regions[row]) == 2
    shown(app, until, "cancer")


def menu_action(panel: InspectorPanel, title: str) -> Any:
    panel.view_bar.menu.aboutToShow.emit()
    return next(one for one in panel.view_bar.menu.actions() if one.text() == title)


def test_the_menu_shows_the_uncertainty_instead(
    app: App, opened: Callable[..., InspectorPanel], until: Until
) -> None:
    panel, switch = opened("a"), "Uncertainty of the network"
    menu_action(panel, switch).trigger()
    until(lambda: probability_layer(app.viewer) is not None)
    layer = probability_layer(app.viewer)
    assert layer.name == "uncertainty"
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = -np.nansum(SHARES * np.log(SHARES), 0) / np.log(len(SHARES))
    assert np.allclose(np.sort(layer.data, axis=None), np.sort(expected, axis=None), atol=3e-3)
    assert menu_action(panel, switch).isChecked()
    assert not menu_action(panel, "Probability of the chosen class").isChecked()
    panel.confusion_view.cell_clicked.emit(2, 1)  # whatever class is looked at
    QTest.qWait(100)
    assert probability_layer(app.viewer).name == "uncertainty"
    assert "uncertainty 0." in describe(app.viewer, app.viewer.dims.point, panel.chosen())
    menu_action(panel, "Probability of the chosen class").trigger()
    assert shown(app, until, "cancer") is layer
    menu_action(panel, switch).trigger()
    until(lambda: layer.name == "uncertainty")
    click(panel)
    until(lambda: probability_layer(app.viewer) is None)
    assert not menu_action(panel, switch).isChecked()
    click(panel)  # the button asks for a class
    shown(app, until, "cancer")
    menu_action(panel, "Probability of the chosen class").trigger()
    until(lambda: probability_layer(app.viewer) is None)


def test_painting_leaves_it_alone_and_off_takes_it_away(
    app: App, opened: Callable[..., InspectorPanel], until: Until, qtbot: QtBot
) -> None:
    panel = opened("a")
    click(panel)
    layer = shown(app, until, "liver")
    before = app.state.comparison
    app.viewer.layers["a prediction"].data_setitem(tuple(np.array([1]) for _ in range(3)), 2)
    until(lambda: app.state.comparison is not None and app.state.comparison is not before)
    qtbot.wait(50)
    assert probability_layer(app.viewer) is layer
    click(panel)
    until(lambda: probability_layer(app.viewer) is None)
    click(panel)
    click(panel)  # off again before it is read
    qtbot.wait(300)
    assert probability_layer(app.viewer) is None


def test_what_is_no_longer_looked_at_when_it_is_read_is_not_shown(
    app: App, opened: Callable[..., InspectorPanel], until: Until, qtbot: QtBot
) -> None:
    panel = opened("a")
    switch = panel.view_bar.probability
    click(panel)
    layer = shown(app, until, "liver")
    switch.follow(2)
    qtbot.waitUntil(lambda: switch._coming is not None or layer.name.endswith("cancer"))
    switch.follow(1)
    until(lambda: switch._coming is None and layer.name == "probability of liver")
    qtbot.wait(300)
    assert layer.name == "probability of liver"
    assert np.allclose(np.sort(layer.data, axis=None), np.sort(SHARES[1], axis=None), atol=1e-3)


def test_whoever_deletes_the_layer_switches_it_off(
    app: App, opened: Callable[..., InspectorPanel], until: Until, qtbot: QtBot
) -> None:
    panel = opened("a")
    switch = panel.view_bar.probability
    click(panel)
    app.viewer.layers.remove(shown(app, until, "liver"))
    until(lambda: not switch.isChecked())
    qtbot.wait(50)
    assert probability_layer(app.viewer) is None
    click(panel)
    shown(app, until, "liver")


def test_it_goes_on_with_the_next_case_where_that_kept_any(
    app: App, opened: Callable[..., InspectorPanel], until: Until, qtbot: QtBot
) -> None:
    panel = opened("a")
    switch = panel.view_bar.probability
    click(panel)
    first = shown(app, until, "liver")
    opened("b", kept=False)
    until(lambda: NOT_KEPT in switch.toolTip())
    assert switch.isChecked()
    assert not switch.isEnabled()
    assert probability_layer(app.viewer) is None
    opened("c", STRAIGHT)
    until(lambda: probability_layer(app.viewer) is not None)
    assert probability_layer(app.viewer) is not first
    assert np.array_equal(
        probability_layer(app.viewer).extent.world, app.viewer.layers["c prediction"].extent.world
    )
    app.viewer.layers.clear()
    until(lambda: NO_PAIR in switch.toolTip())
    qtbot.wait(50)
    assert len(app.viewer.layers) == 0
    assert not switch.isEnabled()


@pytest.mark.parametrize("mode", MODES)
def test_ways_of_viewing_leave_everything_as_it_was(
    app: App, opened: Callable[..., InspectorPanel], until: Until, qtbot: QtBot, mode: str
) -> None:
    panel = opened("a")
    modes, switch = panel.view_bar.modes, panel.view_bar.probability
    click(panel)
    layer = shown(app, until, "liver")
    before = ViewState.of(app.viewer)
    modes.toggle(mode)
    qtbot.wait(60)
    assert layer.visible == (mode != IN_3D)
    assert switch.isEnabled() == (mode != IN_3D)
    assert (NOT_IN_3D in switch.toolTip()) == (mode == IN_3D)
    image = app.viewer.layers["a image"]
    assert app.viewer.layers.index(layer) > app.viewer.layers.index(image)
    modes.toggle(mode)
    qtbot.wait(60)
    assert ViewState.of(app.viewer) == before


@pytest.mark.parametrize("mode", [OVERLAY, SIDE_BY_SIDE])
def test_switched_on_meanwhile_it_ends_below_the_labels(
    app: App, opened: Callable[..., InspectorPanel], until: Until, qtbot: QtBot, mode: str
) -> None:
    panel = opened("a")
    panel.view_bar.modes.toggle(mode)
    qtbot.wait(60)
    click(panel)
    shown(app, until, "liver")
    qtbot.wait(60)
    assert panel.view_bar.modes.mode == mode
    panel.view_bar.modes.toggle(mode)
    qtbot.wait(60)
    assert [one.name for one in app.viewer.layers] == [
        "a image", "probability of liver", "a prediction", "a reference",
    ]  # fmt: skip


def test_what_cannot_be_read_is_said_and_switched_off(
    app: App, opened: Callable[..., InspectorPanel], until: Until, tmp_path: Path
) -> None:
    panel = opened("a")
    np.savez(tmp_path / "prediction" / "a.npz", probabilities=SHARES[:, :3])
    click(panel)
    until(lambda: not panel.view_bar.probability.isChecked())
    assert "on the grid (4, 6, 6)" in app.state.message
    assert probability_layer(app.viewer) is None
