"""All 48 axis orientations, and oblique files."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unet_mic.data.volume import (
    Volume,
    display_of,
    read_image,
    read_labels,
    write_labels,
)

SPACING = (0.5, 1.5, 4.0)  # of the file axes i, j, k
ORIENTATIONS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def orientation_id(orientation: Any) -> str:
    axes, signs = orientation
    return "".join(("RL", "AP", "SI")[a][s < 0] for a, s in zip(axes, signs, strict=True))


def affine_of(orientation: Any) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for file_axis, (world_axis, sign) in enumerate(zip(*orientation, strict=True)):
        affine[world_axis, file_axis] = sign * SPACING[file_axis]
    affine[:3, 3] = (10.0, -20.0, 30.0)
    return affine


def lps_of(display: NDArray[Any], volume: Volume) -> NDArray[np.float64]:
    """Where a viewer puts display indices: (Superior, Posterior, Left)."""
    shown = display_of(volume)
    return display * np.array(shown.scale) + np.array(shown.translate)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=orientation_id)
def test_every_orientation_is_shown_in_its_place(orientation: Any, tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(5, 3, 2)
    volume = Volume.from_array(array, affine=affine_of(orientation))
    shown = display_of(volume)
    view = shown.view(volume.array)
    assert view.shape == shown.shape
    assert min(shown.scale) > 0
    for index in np.ndindex(view.shape):
        zyx = shown.array_index(index)
        assert view[index] == array[tuple(zyx)]
        assert tuple(shown.display_index(zyx)) == index
        r, a, s = volume.affine[:3, :3] @ zyx[::-1] + volume.affine[:3, 3]
        np.testing.assert_allclose(lps_of(np.array(index), volume), (s, -a, -r), atol=1e-9)
        np.testing.assert_allclose(shown.to_world(index), (r, a, s), atol=1e-9)

    view[0, 0, 0] = 99  # painting writes through
    assert array[tuple(shown.array_index((0, 0, 0)))] == 99
    np.testing.assert_array_equal(shown.unview(view), array)
    assert np.shares_memory(shown.unview(view), array)

    write_labels(tmp_path / "a.nii.gz", array, volume)
    again = read_labels(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(again.array, array)
    np.testing.assert_array_equal(again.affine, volume.affine)
    np.testing.assert_array_equal(display_of(again).view(again.array), view)


def test_all_orientations_of_one_object_look_the_same() -> None:
    shown = np.zeros((5, 3, 2), np.uint8)
    shown[1, 2, 0] = 7
    for orientation in ORIENTATIONS:
        shape = tuple(shown.shape[2 - world] for world in reversed(orientation[0]))  # (k, j, i)
        volume = Volume.from_array(np.zeros(shape, np.uint8), affine=affine_of(orientation))
        display_of(volume).view(volume.array)[1, 2, 0] = 7
        np.testing.assert_array_equal(display_of(volume).view(volume.array), shown)


def test_channels_stay_in_front() -> None:
    orientation = ((2, 0, 1), (1, -1, 1))
    array = np.arange(60).reshape(2, 5, 3, 2)
    shown = display_of(Volume.from_array(array, affine=affine_of(orientation)))
    view = shown.view(array)
    assert view.shape == (2, *shown.shape)
    np.testing.assert_array_equal(shown.view(array[1]), view[1])
    np.testing.assert_array_equal(shown.unview(view), array)


def test_an_oblique_file_keeps_its_axes_and_its_centre() -> None:
    a = np.radians(20)
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.5, -0.5, 3.0])
    affine[:3, 3] = (60.0, 40.0, -35.0)
    volume = Volume.from_array(np.zeros((11, 9, 7), np.uint8), affine=affine)
    shown = display_of(volume)
    assert shown.axes == (0, 1, 2)
    assert shown.flips == (False, False, False)
    assert shown.scale == pytest.approx((3.0, 0.5, 0.5))
    middle = np.array([5.0, 4.0, 3.0])
    r, p, s = shown.to_world(middle)
    np.testing.assert_allclose(lps_of(middle, volume), (s, -p, -r), atol=1e-9)


@pytest.mark.parametrize(
    "name", ["prostate_t2_adc/msd4d/prostatex_0001.nii.gz", "awkward/niivue/shear.nii.gz"]
)
def test_real_oblique_and_sheared_files(shared: Path, name: str) -> None:
    volume = read_image(shared / "data" / name)
    shown = display_of(volume)
    assert sorted(shown.axes) == [0, 1, 2]
    assert sorted(shown.scale) == sorted(volume.spacing_mm)
    assert shown.view(volume.array).base is not None
    np.testing.assert_array_equal(shown.unview(shown.view(volume.array)), volume.array)
