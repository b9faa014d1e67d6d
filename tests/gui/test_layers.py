"""Layers stand where their voxels are, whatever the file's axes; edits go into the array."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_image, read_labels
from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.gui import layer_grids, layers
from napari_unet_mic.gui.label_files import write_labels_layer

ORIENTATIONS = [
    "".join(sign)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for sign in itertools.product(*axes)
]


def oriented(code: str) -> np.ndarray:
    """Affine of a file with these axis codes, 0.8 x 1.5 x 5 mm along its own axes."""
    ornt = nib.orientations.axcodes2ornt(code)
    affine = np.zeros((4, 4))
    for axis, ((world, sign), size) in enumerate(zip(ornt, (0.8, 1.5, 5.0), strict=True)):
        affine[int(world), axis] = sign * size
    affine[:, 3] = (10.0, -20.0, 30.0, 1.0)
    return affine


def test_there_are_48_orientations() -> None:
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_a_voxel_stands_at_its_place_in_the_world(
    code: str, write_nifti: Callable[..., Path]
) -> None:
    array = np.zeros((4, 5, 6), np.int16)
    array[1, 2, 4] = 7
    affine = oriented(code)
    image = read_image(write_nifti("a.nii", array, affine))
    ((data, options, kind),) = layers.image_tuples(image)
    layer = layers.Layer.create(data, options, kind)
    (index,) = np.argwhere(layer.data == 7)
    right, anterior, superior = (affine @ (1, 2, 4, 1))[:3]
    assert np.allclose(layer.data_to_world(index), (superior, -anterior, -right))
    assert (np.array(layer.scale) > 0).all()
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_a_painted_label_comes_back_with_its_own_geometry(
    code: str, write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    affine = oriented(code)
    source = write_nifti("label.nii.gz", np.zeros((4, 5, 6), np.int16), affine, codes=(2, 4))
    labels = read_labels(source)
    data, options, kind = layers.labels_tuple(labels, name="label")
    layer = layers.Layer.create(data, options, kind)
    place = (affine @ (1, 2, 4, 1))[:3] * (-1, -1, 1)  # world LPS
    index = tuple(np.rint(layer.world_to_data(place[::-1])).astype(int))
    layer.data_setitem(tuple(np.array([i]) for i in index), 3)
    target = tmp_path / "saved.nii.gz"
    write_labels_layer(target, layer.data, {"metadata": layer.metadata})
    saved, original = nib.load(target), nib.load(source)
    assert np.array_equal(np.argwhere(np.asarray(saved.dataobj)), [[1, 2, 4]])
    assert saved.header.get_data_dtype() == original.header.get_data_dtype() == np.int16
    assert np.array_equal(saved.affine, original.affine)
    for name in ("qform_code", "sform_code", "pixdim", "xyzt_units", "srow_x"):
        assert np.array_equal(saved.header[name], original.header[name]), name


def test_an_oblique_label_comes_back_with_its_own_affine(
    write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    tilt = np.radians(20)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([0.7, 0.7, 3.0])
    source = write_nifti("oblique.nii", np.ones((3, 4, 5), np.uint8), affine)
    data, options, _ = layers.labels_tuple(read_labels(source), name="label")
    write_labels_layer(tmp_path / "saved.nii", data, options)
    assert np.array_equal(nib.load(tmp_path / "saved.nii").affine, nib.load(source).affine)


def test_a_channel_becomes_a_layer() -> None:
    volume = Volume.from_array(np.zeros((2, 3, 4, 5), np.float32), spacing_mm=(3, 1, 1))
    made = layers.image_tuples(volume, case="p1", channel_names=("T2", "ADC"))
    assert [options["name"] for _, options, _ in made] == ["p1 ADC", "p1 T2"]
    assert [options["visible"] for _, options, _ in made] == [False, True]


def test_showing_another_case_keeps_edited_labels(viewer: Any) -> None:
    def tuples(case: str) -> list[layers.LayerTuple]:
        labels = Volume.from_array(np.zeros((3, 4, 5), np.uint8))
        return [layers.labels_tuple(labels, name=f"{case} reference", role="reference", case=case)]

    layers.show_case(viewer, tuples("a"))
    viewer.layers["a reference"].paint((1, 1, 1), 1)
    kept = layers.show_case(viewer, tuples("b"))
    assert kept == ["a reference"]
    assert [layer.name for layer in viewer.layers] == ["a reference", "b reference"]
    layers.mark_saved(viewer.layers["a reference"])
    layers.show_case(viewer, tuples("c"))
    assert [layer.name for layer in viewer.layers] == ["c reference"]


def test_the_errors_layer_goes_on_to_the_next_case(viewer: Any) -> None:
    def tuples(case: str, shape: tuple[int, ...], spacing_mm: Any) -> list[layers.LayerTuple]:
        labels = Volume.from_array(np.zeros(shape, np.uint8), spacing_mm=spacing_mm)
        return [layers.labels_tuple(labels, name=case, role="reference", case=case)]

    layers.show_case(viewer, tuples("a", (3, 40, 50), (5, 1, 1)))
    codes = np.ones((3, 40, 50), np.uint8)
    red = (1.0, 0.0, 0.0, 1.0)
    errors = layers.show_errors(viewer, viewer.layers["a"], codes, {1: red})
    layers.show_case(viewer, tuples("b", (6, 7, 8), (2, 1.5, 1.5)))
    assert list(viewer.layers) == [viewer.layers["b"], errors]  # the same layer, still on top
    assert not errors.visible
    assert not errors.data.any()
    assert np.array_equal(errors.extent.world, viewer.layers["b"].extent.world)
    assert np.array_equal(viewer.layers.extent.world, viewer.layers["b"].extent.world)

    more = np.full((6, 7, 8), 300, np.uint16)
    assert layers.show_errors(viewer, viewer.layers["b"], more, {300: red}) is errors
    assert errors.data is more
    assert errors.visible
    assert not errors.editable  # nobody paints into codes, and nothing is there to undo
    assert np.array_equal(errors.scale, (2, 1.5, 1.5))
    assert np.array_equal(errors.colormap.map(errors.data)[0, 0, 0], red)

    image = Volume.from_array(np.zeros((1, 3, 4, 5), np.int16))
    layers.show_case(viewer, layers.image_tuples(image, case="c"))
    assert [layer.name for layer in viewer.layers] == ["c image"]


def test_edits_stay_with_their_layer_when_the_next_case_is_shown(viewer: Any) -> None:
    def tuples(case: str) -> list[layers.LayerTuple]:
        labels = Volume.from_array(np.full((3, 4, 5), 2, np.uint8))
        return [layers.labels_tuple(labels, name=case, role="reference", case=case)]

    layers.show_case(viewer, tuples("a"))
    first = viewer.layers["a"]
    first.data_setitem((np.array([1]), np.array([1]), np.array([1])), 7)
    layers.show_errors(viewer, first, np.zeros((3, 4, 5), np.uint8), {})
    layers.show_case(viewer, tuples("b"))
    second = viewer.layers["b"]
    second.undo()  # what was painted into another case is none of its steps
    assert (second.data == 2).all()
    assert first in viewer.layers
    assert first.data[1, 1, 1] == 7
    first.undo()
    assert (first.data == 2).all()


def test_layers_on_other_grids_are_refused() -> None:
    def layer(**place: Any) -> Any:
        return layers.Labels(np.zeros((3, 4, 5), np.uint8), name="x", **place)

    assert layer_grids.check_comparable(layer(), layer()) == 0.0
    assert layer_grids.check_comparable(layer(), layer(translate=(0, 0, 0.3))) == pytest.approx(0.3)
    with pytest.raises(GridMismatch, match="corner lies"):
        layer_grids.check_comparable(layer(), layer(translate=(0, 0, 1.0)))
    with pytest.raises(GridMismatch, match="shape"):
        layer_grids.check_comparable(layer(), layers.Labels(np.zeros((3, 4, 4), np.uint8)))


def test_the_view_goes_to_a_voxel_and_fits_a_box(viewer: Any) -> None:
    labels = Volume.from_array(np.zeros((10, 20, 30), np.uint8), spacing_mm=(5, 1, 2))
    (layer,) = layers.add(viewer, [layers.labels_tuple(labels, name="label")])
    layers.go_to(viewer, layer, (7, 11, 13))
    assert viewer.dims.current_step[0] == 7
    assert np.allclose(viewer.scene.camera.center[-2:], layer.data_to_world((7, 11, 13))[1:])
    before = viewer.scene.camera.zoom
    layers.go_to(viewer, layer, (7, 11, 13), (slice(6, 9), slice(10, 13), slice(12, 15)))
    assert viewer.scene.camera.zoom > before


@pytest.mark.parametrize("angles", [(0, 0, 90), (35, 20, 110)], ids=["front", "turned"])
def test_in_3d_the_whole_box_is_in_sight_whichever_way_it_is_turned(
    viewer: Any, angles: tuple[float, float, float]
) -> None:
    labels = Volume.from_array(np.zeros((20, 20, 30), np.uint8), spacing_mm=(5, 1, 2))
    (layer,) = layers.add(viewer, [layers.labels_tuple(labels, name="label")])
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = angles
    layers.go_to(viewer, layer, (7, 11, 13))
    assert viewer.scene.camera.center == pytest.approx(layer.data_to_world((7, 11, 13)))
    box = (slice(0, 20), slice(10, 13), slice(12, 15))  # 100 mm deep, 3 x 6 mm across
    layers.go_to(viewer, layer, (7, 11, 13), box)
    assert viewer.scene.camera.center == pytest.approx(layer.data_to_world((9.5, 11, 13)))
    diagonal = np.linalg.norm([100, 3, 6])
    canvas = min(viewer.canvas.viewbox_size(viewer.layers))
    assert 0.5 * canvas < diagonal * viewer.scene.camera.zoom < canvas


def test_in_3d_errors_are_seen_through_the_organ_and_the_selection_stays(viewer: Any) -> None:
    labels = Volume.from_array(np.ones((3, 4, 5), np.uint8))
    made = layers.labels_tuple(labels, name="label", classes={1: "liver"})
    (layer,) = layers.add(viewer, [made])
    viewer.dims.ndisplay = 3
    viewer.mouse_over_canvas = True  # and it has never moved: napari knows no direction of view
    errors = layers.show_errors(viewer, layer, np.zeros((3, 4, 5), np.uint8), {1: (1, 0, 0, 1)})
    assert errors.blending == "translucent_no_depth"
    assert viewer.layers.selection.active is layer
    assert viewer.mouse_over_canvas


def test_the_errors_layer_is_one_and_changes_colours_only(viewer: Any) -> None:
    labels = Volume.from_array(np.zeros((3, 4, 5), np.uint8), spacing_mm=(5, 1, 1))
    (layer,) = layers.add(viewer, [layers.labels_tuple(labels, name="label")])
    codes = np.zeros((3, 4, 5), np.uint8)
    red, blue = (1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)
    first = layers.show_errors(viewer, layer, codes, {1: red})
    again = layers.show_errors(viewer, layer, codes, {2: blue})
    assert first is again
    assert again.data is codes
    assert np.allclose(again.colormap.map(2), blue)
    assert np.allclose(again.colormap.map(1), 0)
    assert layers.labels_layers(viewer) == [layer]
    assert viewer.layers.selection.active is layer
