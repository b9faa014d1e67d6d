"""Orthogonal views show the planes through the crosshair and move it for everyone."""

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QImage, QWheelEvent
from qtpy.QtTest import QTest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.colours import class_colour, hexadecimal
from napari_unet_mic.gui.crosshair import KEY
from napari_unet_mic.gui.orthogonal import NEEDS_3D, OrthogonalViews
from napari_unet_mic.gui.plane_pictures import border, picture_of
from napari_unet_mic.gui.sampling import plane_of

SPACING = (3, 1, 2)


def pixels(image: QImage) -> np.ndarray:
    """(rows, columns, 4) of a picture."""
    assert image.format() == QImage.Format.Format_RGBA8888
    data = np.frombuffer(image.constBits(), np.uint8)
    return data.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()].copy()


# ---- pictures ------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["u1", "u2", ">i2", "i8", "?"])
def test_labels_have_their_class_colours(dtype: str) -> None:
    array = np.zeros((2, 3, 4), dtype)
    array[0, 1, 1] = 1
    layer = layers.Labels(array.astype("u1") if dtype == "?" else array)
    layer.colormap = layers.class_colormap([1, 2])
    plane = plane_of(layer, (0, 1, 0), 0, 2)
    assert plane is not None
    shown = pixels(picture_of(layer, plane, upwards=True).image)
    assert "#" + bytes(shown[1, 1, :3]).hex() == hexadecimal(class_colour(1))
    assert shown[..., 3].sum() == 255  # the background is clear
    if dtype != "?" and np.dtype(dtype).itemsize > 1:
        array[0, 1, 3] = 200
        assert pixels(picture_of(layer, plane, upwards=True).image)[1, 3, 3] == 255


def test_huge_and_negative_labels_are_coloured_too() -> None:
    array = np.array([[[0, 5_000_000], [-3, 1]]])
    layer = layers.Labels(array)
    layer.colormap = layers.class_colormap([1])
    plane = plane_of(layer, (0, 0, 0), 1, 2)
    assert plane is not None
    shown = pixels(picture_of(layer, plane, upwards=False).image)
    assert shown[1, 1].tolist() == [*bytes.fromhex("e69f00"), 255]
    assert shown[0, 0, 3] == 0
    assert shown[0, 1].tolist() == shown[1, 0].tolist() == [255] * 4  # nobody named them


@pytest.mark.parametrize("dtype", ["u1", ">i2", "f8"])
def test_images_have_their_contrast(dtype: str) -> None:
    array = np.array([[[0, 50, 100, 200]]], dtype)
    layer = layers.Image(array, contrast_limits=(0, 100), colormap="gray")
    plane = plane_of(layer, (0, 0, 0), 0, 2)
    assert plane is not None
    assert pixels(picture_of(layer, plane, upwards=False).image)[0, :, 0].tolist() == [
        0, 128, 255, 255,
    ]  # fmt: skip
    if dtype == "f8":
        array[0, 0, 0] = np.nan
        assert pixels(picture_of(layer, plane, upwards=False).image)[0, 0, 0] == 0


def test_a_contour_is_the_inner_border() -> None:
    array = np.zeros((5, 5), np.uint8)
    array[1:4, 1:4] = 1
    kept = border(array) & (array > 0)
    assert kept.sum() == 8
    assert not kept[2, 2]


# ---- linked views --------------------------------------------------------------------------
@pytest.fixture
def views(app: App, qtbot: QtBot) -> OrthogonalViews:
    image = np.zeros((1, 10, 12, 14), np.int16)
    image[0, 7, 5, 9] = 100
    made = layers.image_tuples(Volume.from_array(image, spacing_mm=SPACING), case="p")
    labels = np.zeros(image.shape[1:], np.uint8)
    labels[6:9, 4:7, 8:11] = 2
    made.append(
        layers.labels_tuple(Volume.from_array(labels, spacing_mm=SPACING), name="r", role="labels")
    )
    layers.add(app.viewer, made)
    app.viewer.layers["p image"].contrast_limits = (0, 100)
    views = OrthogonalViews(app)
    app.viewer.window._qt_window.show()
    app.viewer.window.add_dock_widget(views, area="right", name="planes")
    qtbot.waitUntil(lambda: views.views[1].isVisible() and not views.views[0].isVisible())
    return views


def world_of(app: App, voxel: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(float(one) for one in app.viewer.layers["r"].data_to_world(voxel))


def test_the_planes_beside_the_canvas_are_shown(views: OrthogonalViews, app: App) -> None:
    shown = [view.isVisible() for view in views.views]
    assert shown == [False, True, True]
    app.viewer.dims.order = (1, 0, 2)
    views.redraw()
    assert [view.isVisible() for view in views.views] == [True, False, True]
    app.viewer.dims.ndisplay = 3
    views.redraw()
    assert all(view.isVisible() for view in views.views)


def test_a_click_moves_the_slice_and_the_crosshair_everywhere(
    views: OrthogonalViews, app: App, qtbot: QtBot
) -> None:
    viewer = app.viewer
    coronal = views.views[1]
    z, _, x = world_of(app, (7, 5, 9))
    spot = coronal.to_pixel(z, x).toPoint()
    QTest.mouseClick(coronal, Qt.MouseButton.LeftButton, pos=spot)
    assert viewer.dims.current_step[0] == 7
    assert views.crosshair.position[2] == pytest.approx(x, abs=0.2)
    assert views.crosshair.position[0] == pytest.approx(z, abs=0.2)
    row, column = viewer.scene.overlays[KEY].at  # on the canvas: y and x
    assert column == views.crosshair.position[2]
    assert row == views.crosshair.position[1]
    # the sagittal view now passes through the marked column; drag there to the marked row
    sagittal = views.views[2]
    start = sagittal.to_pixel(z, views.crosshair.position[1]).toPoint()
    end = sagittal.to_pixel(z, world_of(app, (7, 5, 9))[1]).toPoint()
    QTest.mousePress(sagittal, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(sagittal, end)
    QTest.mouseRelease(sagittal, Qt.MouseButton.LeftButton, pos=end)
    qtbot.waitUntil(lambda: abs(views.crosshair.position[1] - world_of(app, (7, 5, 9))[1]) < 0.5)
    views.redraw()
    # superior is on top: row 7 of 10, counted from above
    picture = pixels(coronal._pictures[0].image)
    assert picture.shape[:2] == (10, 14)
    assert picture[9 - 7, 9, 0] == 255
    assert coronal._letters == {"left": "R", "right": "L", "top": "S", "bottom": "I"}
    assert sagittal._letters == {"left": "A", "right": "P", "top": "S", "bottom": "I"}


def test_proportions_are_those_of_the_patient(views: OrthogonalViews) -> None:
    coronal = views.views[1]
    place = coronal._pictures[0].place
    assert (place.width(), place.height()) == (14 * 2, 10 * 3)
    across = coronal.to_pixel(0, 10).x() - coronal.to_pixel(0, 0).x()
    up = coronal.to_pixel(0, 0).y() - coronal.to_pixel(10, 0).y()
    assert across == pytest.approx(up)
    assert coronal.to_plane(coronal.to_pixel(3.25, 4.5)) == pytest.approx((3.25, 4.5))


def test_the_wheel_scrolls_and_zooms(views: OrthogonalViews, app: App) -> None:
    sagittal = views.views[2]

    def wheel(turned: int, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
        middle = QPointF(sagittal.width() / 2, sagittal.height() / 2)
        event = QWheelEvent(
            middle, QPointF(sagittal.mapToGlobal(QPoint(5, 5))), QPoint(), QPoint(0, turned),
            Qt.MouseButton.NoButton, keys, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        sagittal.wheelEvent(event)

    before = views.crosshair.position
    wheel(60)
    assert views.crosshair.position == before
    wheel(60)
    assert views.crosshair.position[2] == before[2] + SPACING[2]
    scale = sagittal._scale()
    wheel(240, Qt.KeyboardModifier.ControlModifier)
    assert sagittal._scale() > 1.3 * scale
    QTest.mouseDClick(sagittal, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert sagittal._scale() == pytest.approx(scale)
    QTest.keyClick(sagittal, Qt.Key.Key_Down)
    assert app.viewer.dims.current_step[0] < 10


def test_painting_contrast_and_visibility_show_at_once(
    views: OrthogonalViews, app: App, qtbot: QtBot
) -> None:
    viewer = app.viewer
    views.crosshair.move_to(world_of(app, (7, 5, 9)))
    views.redraw()
    coronal = views.views[1]
    assert pixels(coronal._pictures[1].image)[9, 0, 3] == 0
    viewer.layers["r"].paint((0, 5, 0), 1)
    qtbot.waitUntil(lambda: pixels(coronal._pictures[1].image)[9, 0, 3] == 255)
    viewer.layers["r"].contour = 1
    qtbot.waitUntil(lambda: pixels(coronal._pictures[1].image)[9 - 7, 9, 3] == 0)
    viewer.layers["p image"].contrast_limits = (100, 200)
    qtbot.waitUntil(lambda: pixels(coronal._pictures[0].image)[9 - 7, 9, 0] == 0)
    viewer.layers["r"].visible = False
    qtbot.waitUntil(lambda: len(coronal._pictures) == 1)


def test_the_slider_and_the_way_to_a_mistake_move_it(
    views: OrthogonalViews, app: App, qtbot: QtBot
) -> None:
    viewer = app.viewer
    viewer.dims.set_current_step(0, 2)
    assert views.crosshair.position[0] == world_of(app, (2, 0, 0))[0]
    layers.go_to(viewer, viewer.layers["r"], (8, 4, 10))
    assert views.crosshair.position == world_of(app, (8, 4, 10))
    viewer.dims.order = (2, 0, 1)  # another plane comes onto the canvas: the one through it
    assert viewer.dims.point[2] == world_of(app, (8, 4, 10))[2]


def test_another_case_elsewhere_is_looked_at_in_its_middle(
    views: OrthogonalViews, app: App, qtbot: QtBot
) -> None:
    affine = np.diag([-2.0, -1.0, 3.0, 1.0])
    affine[:3, 3] = (-500, -700, 900)
    labels = Volume.from_array(np.ones((6, 8, 10), np.uint8), affine=affine)
    layers.show_case(app.viewer, [])
    app.viewer.layers.clear()
    made = layers.labels_tuple(labels, name="next", role="reference", case="b")
    layers.show_case(app.viewer, [made])
    low, high = app.viewer.layers["next"].extent.world
    assert all(low <= views.crosshair.position)
    assert all(views.crosshair.position <= high)
    qtbot.waitUntil(lambda: len(views.views[1]._pictures) == 1)


def test_shift_and_the_mouse_move_it_on_the_canvas(views: OrthogonalViews, app: App) -> None:
    class Event:
        modifiers: tuple[str, ...] = ()
        position = world_of(app, (4, 3, 2))

    before = views.crosshair.position
    for callback in app.viewer.mouse_move_callbacks:
        callback(app.viewer, Event())
    assert views.crosshair.position == before
    Event.modifiers = ("Shift",)
    for callback in app.viewer.mouse_move_callbacks:
        callback(app.viewer, Event())
    assert views.crosshair.position == Event.position


def test_the_crosshair_comes_and_goes_with_the_views(views: OrthogonalViews, app: App) -> None:
    overlay = app.viewer.scene.overlays[KEY]
    assert overlay.visible
    app.viewer.dims.ndisplay = 3
    assert not overlay.visible
    app.viewer.dims.ndisplay = 2
    views.hide()
    assert not overlay.visible


def test_the_crosshair_sleeps_while_nothing_else_is_drawn(
    views: OrthogonalViews, app: App, qtbot: QtBot
) -> None:
    """Software OpenGL would crash on it, see `crosshair`."""
    overlay = app.viewer.scene.overlays[KEY]
    shown = [layer for layer in app.viewer.layers if layer.visible]
    for layer in shown:
        layer.visible = False
    assert not overlay.visible
    shown[0].visible = True
    qtbot.waitUntil(lambda: overlay.visible)
    app.viewer.layers.remove(shown[0])
    assert not overlay.visible
    app.viewer.layers.clear()
    app.viewer.add_labels(np.ones((10, 12, 14), np.uint8))
    qtbot.waitUntil(lambda: overlay.visible)


def test_the_canvas_follows_when_the_crosshair_is_out_of_sight(
    views: OrthogonalViews, app: App
) -> None:
    camera = app.viewer.scene.camera
    camera.zoom = 100
    camera.center = (0.0, *world_of(app, (0, 1, 1))[1:])
    z, _, x = world_of(app, (3, 0, 12))
    views.views[1].picked.emit(z, x)
    assert camera.center[-1] == pytest.approx(x)
    zoomed_out = camera.zoom = 1
    camera.center = (0.0, 0.0, 0.0)
    views.views[1].picked.emit(z, x)
    assert camera.center[-1] == 0.0
    assert camera.zoom == zoomed_out


def test_arrays_from_elsewhere_have_planes_without_letters(app: App, qtbot: QtBot) -> None:
    app.viewer.add_image(np.random.default_rng(0).random((2, 5, 6, 7)), name="moving")
    views = OrthogonalViews(app)
    app.viewer.window._qt_window.show()
    app.viewer.window.add_dock_widget(views, area="right", name="planes")
    views.redraw()
    assert views.views[1]._letters == {}
    assert views.views[1]._title.startswith(f"{app.viewer.dims.axis_labels[2]} =")
    assert not views.views[1]._upwards


def test_flat_data_gets_a_sentence(app: App, qtbot: QtBot) -> None:
    app.viewer.add_image(np.zeros((5, 6)))
    views = OrthogonalViews(app)
    qtbot.addWidget(views)
    views.show()
    views.redraw()
    assert views.sentence.isVisible()
    assert views.sentence.text() == NEEDS_3D
    app.viewer.add_image(np.zeros((4, 5, 6)))
    views.redraw()
    assert not views.sentence.isVisible()
    assert views.views[1].isVisible()
