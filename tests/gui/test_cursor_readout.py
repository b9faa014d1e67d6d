"""The line about the voxel under the cursor: values, names, millimetres, index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_image, read_labels
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.cursor_readout import CursorReadout, describe

CLASSES = {0: "background", 1: "liver", 2: "cancer"}


@pytest.fixture
def pair(viewer: Any) -> tuple[Any, Any]:
    affine = np.array([[2.0, 0, 0, -10], [0, 3, 0, 20], [0, 0, 5, -7], [0, 0, 0, 1]])
    image = np.arange(2 * 4 * 5 * 6, dtype=np.int16).reshape(2, 4, 5, 6) - 100
    volume = Volume.from_array(image, affine=affine)
    made = layers.image_tuples(volume, case="p", channel_names=("T2", "ADC"))
    reference = np.zeros((4, 5, 6), np.uint8)
    reference[3, 2, 1] = 1
    prediction = reference.copy()
    prediction[3, 2, 1] = 2
    for array, role in ((prediction, "prediction"), (reference, "reference")):
        labels = Volume.from_array(array, affine=affine)
        made.append(layers.labels_tuple(labels, name=role, role=role, case="p", classes=CLASSES))
    layers.add(viewer, made)
    return viewer.layers["reference"], viewer.layers["prediction"]


def at_voxel(layer: Any, zyx: tuple[int, int, int]) -> Any:
    """World position of a voxel given by the file's own axes (Z, Y, X)."""
    source = layers.source_of(layer)
    assert source is not None
    assert source.display is not None
    return layer.data_to_world(source.display.display_index(zyx))


def test_values_names_place_and_index(viewer: Any, pair: tuple[Any, Any]) -> None:
    # voxel i=1 j=2 k=3: 2*1-10 = -8 right, 3*2+20 = 26 anterior, 5*3-7 = 8 superior
    assert describe(viewer, at_voxel(pair[0], (3, 2, 1)), pair) == (
        "T2 3   ADC 123   true liver   predicted cancer   L 8.0 A 26.0 S 8.0 mm   voxel 1 2 3"
    )
    viewer.layers["p ADC"].visible = True  # both channels are read whichever is shown
    assert describe(viewer, at_voxel(pair[0], (0, 0, 0)), pair) == (
        "T2 −100   ADC 20   true background   predicted background   "
        "L 10.0 A 20.0 I 7.0 mm   voxel 0 0 0"
    )


def test_outside_and_without_layers_there_is_nothing(viewer: Any, pair: tuple[Any, Any]) -> None:
    assert describe(viewer, (0.0, 0.0, 1000.0), pair) == ""
    viewer.layers.clear()
    assert describe(viewer, (0.0, 0.0), (None, None)) == ""
    assert describe(viewer, (0.0, 0.0), pair) == ""  # layers that are gone


def test_arrays_from_elsewhere_say_their_axes(viewer: Any) -> None:
    array = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    viewer.add_image(array, name="raw", scale=(2, 1, 1), axis_labels=("t", "y", "x"))
    text = describe(viewer, (2.0, 1.0, 3.0), (None, None))
    assert text == f"value {array[1, 1, 3]:.4g}   t 2.0 y 1.0 x 3.0 pixel   voxel 1 1 3"


def test_the_position_of_an_oblique_file_is_exact(
    viewer: Any, write_nifti: Callable[..., Path]
) -> None:
    angle = np.radians(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, 3] = (5, 6, 7)
    file = write_nifti("oblique.nii.gz", np.ones((4, 5, 6), np.uint8), affine)
    (layer,) = layers.add(viewer, [layers.labels_tuple(read_labels(file), name="o")])
    right, anterior, superior = nib.affines.apply_affine(affine, (1, 2, 3))
    text = describe(viewer, at_voxel(layer, (3, 2, 1)), (layer, None))
    assert f"R {right:.1f} A {anterior:.1f} S {superior:.1f} mm   voxel 1 2 3" in text


def test_it_agrees_with_nibabel_on_a_real_file(viewer: Any, shared: Path) -> None:
    file = shared / "data" / "sts_tumour" / "STS_003_CT_image.nii.gz"
    opened = nib.load(file)
    (layer,) = layers.add(viewer, layers.image_tuples(read_image(file), case="sts"))
    i, j, k = 40, 100, 20
    right, anterior, superior = nib.affines.apply_affine(opened.affine, (i, j, k))
    text = describe(viewer, at_voxel(layer, (k, j, i)), (None, None))
    ends = ((right, "LR"), (anterior, "PA"), (superior, "IS"))
    place = " ".join(f"{names[int(value >= 0)]} {abs(value):.1f}" for value, names in ends)
    assert text.endswith(f"{place} mm   voxel {i} {j} {k}")
    value = opened.dataobj[i, j, k]
    assert text.startswith(f"value {int(value)}".replace("-", "−"))


def test_it_follows_the_cursor_and_the_slider(
    viewer: Any, app: App, pair: tuple[Any, Any], until: Callable[..., None]
) -> None:
    readout = CursorReadout(app, lambda: pair)
    viewer.cursor.position = tuple(at_voxel(pair[0], (3, 2, 1)))
    until(lambda: "true liver" in readout.text())
    viewer.dims.set_current_step(0, 0)  # the mouse stays, the slice goes
    until(lambda: "true background" in readout.text())
    assert readout.minimumSizeHint().width() == 0
    viewer.dims.ndisplay = 3
    viewer.cursor.position = (0.0, 0.0, 0.0)
    until(lambda: readout.text() == "")
