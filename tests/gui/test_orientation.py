"""Letters at the edges say where the patient's sides are, and nothing where nobody knows."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_unet_mic.data.volume import Volume, display_of, read_image, read_labels
from napari_unet_mic.gui import layers, orientation
from napari_unet_mic.gui.orientation import OrientationMarks

AXIAL = {"left": "R", "right": "L", "top": "A", "bottom": "P"}


def letters(marks: OrientationMarks) -> dict[str, str]:
    """Letters as shown a turn of the event loop later."""
    for _ in range(3):
        QApplication.processEvents()
    return marks.letters()


def labels_of(volume: Volume) -> Any:
    return layers.labels_tuple(volume, name="organ", role="reference")


def volume_along(axes: str) -> Volume:
    """A small volume whose file axes (i, j, k) run towards these sides, one voxel marked.

    The marked voxel is the one nearest to the patient's right, anterior and superior.
    """
    ornt = nib.orientations.axcodes2ornt(axes)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for file_axis, (world, sign) in enumerate(ornt):
        affine[int(world), file_axis] = sign * (1, 2, 3)[int(world)]
    shape = (4, 5, 6)  # along i, j, k
    array = np.zeros(shape, np.uint8)
    corner = [0, 0, 0]
    for file_axis, code in enumerate(axes):
        corner[file_axis] = shape[file_axis] - 1 if code in "RAS" else 0
    array[tuple(corner)] = 7
    return Volume.from_array(array.transpose(2, 1, 0).copy(), affine=affine)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "ASL", "IRP"])
def test_every_orientation_is_shown_as_radiologists_do(viewer: Any, axes: str) -> None:
    (layer,) = layers.add(viewer, [labels_of(volume_along(axes))])
    marks = OrientationMarks(viewer)
    assert letters(marks) == AXIAL
    z, y, x = np.argwhere(np.asarray(layer.data) == 7)[0]
    shape = layer.data.shape
    # right is on the left, anterior on top, superior at the end of the slices
    assert (x, y, z) == (0, 0, shape[0] - 1)


def test_letters_follow_the_axes_and_the_camera(viewer: Any) -> None:
    layers.add(viewer, [labels_of(volume_along("RAS"))])
    marks = OrientationMarks(viewer)
    viewer.dims.order = (1, 0, 2)
    assert letters(marks) == {"left": "R", "right": "L", "top": "I", "bottom": "S"}
    viewer.dims.order = (2, 0, 1)
    assert letters(marks) == {"left": "A", "right": "P", "top": "I", "bottom": "S"}
    viewer.dims.transpose()
    assert letters(marks) == {"left": "I", "right": "S", "top": "A", "bottom": "P"}
    viewer.dims.order = (0, 1, 2)
    viewer.scene.camera.orientation = ("away", "up", "left")
    assert letters(marks) == {"left": "L", "right": "R", "top": "P", "bottom": "A"}


@pytest.mark.parametrize(
    "turned", [("away", "down", "right"), ("towards", "up", "right"), ("away", "down", "left")]
)
def test_in_3d_letters_are_where_the_camera_puts_them(viewer: Any, turned: Any) -> None:
    layers.add(viewer, [labels_of(volume_along("RAS"))])
    marks = OrientationMarks(viewer)
    viewer.dims.ndisplay = 3
    viewer.scene.camera.orientation = turned
    canvas = viewer.window._qt_viewer.canvas
    ends = {0: "IS", 1: "AP", 2: "RL"}
    for angles in ((0, 0, 0), (30, 20, 10), (100, -40, 70)):
        viewer.scene.camera.angles = angles
        canvas.on_draw()
        height, width = canvas.size
        middle, right = (
            np.array(canvas._map_canvas2world((x, height / 2, 0, 1), canvas.view))
            for x in (width / 2, width / 2 + 50)
        )
        step = right - middle
        axis = int(np.argmax(np.abs(step)))
        assert letters(marks)["right"] == ends[axis][int(step[axis] > 0)]


def test_nothing_is_claimed_about_what_nobody_knows(viewer: Any) -> None:
    marks = OrientationMarks(viewer)
    viewer.add_labels(np.zeros((4, 5, 6), np.uint8), name="array")
    assert letters(marks) == {}
    unknown = volume_along("RAS")
    unknown.header.set_qform(unknown.affine, 0)
    unknown.header.set_sform(unknown.affine, 0)
    layers.add(viewer, [labels_of(unknown)])
    assert letters(marks) == {}
    (known,) = layers.add(viewer, [labels_of(volume_along("RAS"))])
    assert letters(marks) == AXIAL
    known.visible = False
    assert letters(marks) == {}
    known.visible = True
    known.rotate = 90
    assert letters(marks) == {}


def test_letters_can_be_switched_off_and_stand_in_every_column(viewer: Any) -> None:
    layers.add(viewer, [labels_of(volume_along("RAS"))])
    marks = OrientationMarks(viewer)
    overlays = [viewer.canvas.overlays[f"unet_mic_{side}"] for side in AXIAL]
    assert all(overlay.text and overlay.box and not overlay.gridded for overlay in overlays)
    viewer.canvas.grid.shape = (1, 3)
    assert letters(marks) == AXIAL
    assert all(overlay.gridded for overlay in overlays)
    marks.switch(False)
    assert letters(marks) == {}
    assert not any(overlay.text or overlay.box for overlay in overlays)
    marks.switch(True)
    assert letters(marks) == AXIAL


def test_letters_in_a_grid_survive_layers_that_come_and_go(viewer: Any) -> None:
    """At once, in the middle of an insertion, napari would look for a column it has not made."""
    marks = OrientationMarks(viewer)
    viewer.canvas.grid.enabled = True
    for number in range(3):
        layers.add(viewer, [labels_of(volume_along("RAS"))])
        viewer.add_points([[number, 1, 1]], units=("mm",) * 3)
        assert letters(marks) == AXIAL
    for layer in viewer.layers:  # letters that went and come again, in another number of columns
        layer.visible = False
    assert letters(marks) == {}
    for layer in viewer.layers:
        layer.visible = True
    assert letters(marks) == AXIAL
    while len(viewer.layers):
        viewer.layers.pop()
    assert letters(marks) == {}


def test_a_leading_axis_of_time_has_no_letters(viewer: Any) -> None:
    layers.add(viewer, [labels_of(volume_along("RAS"))])
    viewer.add_image(np.zeros((3, 4, 5, 6)))
    marks = OrientationMarks(viewer)
    assert letters(marks) == AXIAL
    viewer.dims.order = (1, 2, 0, 3)
    assert letters(marks) == {"left": "R", "right": "L"}


def test_oblique_files_are_named_as_such(viewer: Any) -> None:
    angle = np.radians(12)
    affine = np.diag([-1.0, -1.0, 3.0, 1.0])
    affine[1:3, 1:3] = [[-np.cos(angle), 3 * np.sin(angle)], [np.sin(angle), 3 * np.cos(angle)]]
    volume = Volume.from_array(np.zeros((3, 4, 5), np.uint8), affine=affine)
    assert orientation.oblique_degrees(display_of(volume)) == pytest.approx(12)
    layers.add(viewer, [labels_of(volume)])
    assert "Oblique by up to 12°" in orientation.oblique_note(viewer)
    assert orientation.oblique_degrees(display_of(volume_along("PIR"))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("image", "liver"),
    [
        ("totalsegmentator/example_ct_sm.nii.gz", "totalsegmentator/organs_fast/liver.nii.gz"),
    ],
)
def test_a_real_liver_lies_on_the_left_of_the_screen(
    viewer: Any, shared: Path, image: str, liver: str
) -> None:
    data = shared / "data"
    made = layers.image_tuples(read_image(data / image), case="ct")
    made.append(labels_of(read_labels(data / liver)))
    _, organ = layers.add(viewer, made)
    marks = OrientationMarks(viewer)
    z, _, x = np.argwhere(np.asarray(organ.data) > 0).mean(axis=0)
    assert x < organ.data.shape[2] / 2
    assert z > organ.data.shape[0] / 2  # and in the upper half of this piece of abdomen
    assert letters(marks) == AXIAL


@pytest.mark.parametrize("flip", list(itertools.product([1, -1], repeat=3))[1::3], ids=str)
def test_a_real_organ_stays_in_place_however_its_file_is_turned(
    viewer: Any, shared: Path, write_nifti: Callable[..., Path], flip: tuple[int, ...]
) -> None:
    """The spleen's file rewritten along other axes is shown alike, letters included."""
    source = shared / "data" / "totalsegmentator" / "organs_fast" / "spleen.nii.gz"
    original = nib.load(source)
    order = np.array([[1, flip[0]], [2, flip[1]], [0, flip[2]]])
    turned = original.as_reoriented(order)
    file = write_nifti("turned.nii.gz", np.asarray(turned.dataobj), turned.affine)
    straight, other = (
        layers.add(viewer, [labels_of(read_labels(path))])[0] for path in (source, file)
    )
    assert np.array_equal(np.asarray(straight.data), np.asarray(other.data))
    assert np.allclose(straight.extent.world, other.extent.world)
    assert letters(OrientationMarks(viewer)) == AXIAL
    x = np.argwhere(np.asarray(other.data) > 0).mean(axis=0)[2]
    assert x > other.data.shape[2] / 2  # the spleen is the patient's left: right on the screen
