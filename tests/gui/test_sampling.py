"""A position of the viewer leads to the right voxel and the right plane."""

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_unet_mic.gui import sampling

ARRAY = np.arange(2 * 3 * 4).reshape(2, 3, 4)
PLACED: dict[str, Any] = {"scale": (5, 2, 1), "translate": (100, 10, -3)}


def test_a_position_has_a_voxel_and_a_value() -> None:
    layer = Image(ARRAY, **PLACED)
    assert sampling.voxel_at(layer, (105, 14, -1)) == (1, 2, 2)
    assert sampling.value_at(layer, (105, 14, -1)) == 22
    assert sampling.value_at(layer, (107.4, 14.9, -1.4)) == 22  # the nearest
    assert sampling.voxel_at(layer, (110, 14, -1)) is None
    assert sampling.value_at(layer, (105, 14, -9)) is None
    assert sampling.value_at(layer, (7, 105, 14, -1)) == 22  # a viewer with time


@pytest.mark.parametrize("dtype", ["u1", ">i2", "f4", "?"])
def test_planes_lie_where_the_voxels_lie(dtype: str) -> None:
    layer = Image(ARRAY.astype(dtype), **PLACED)
    plane = sampling.plane_of(layer, (105, 12, 0), 0, 2)  # across y
    assert plane is not None
    assert np.array_equal(plane.array, ARRAY.astype(dtype)[:, 1, :])
    assert np.shares_memory(plane.array, layer.data)
    assert plane.start == (97.5, -3.5)
    assert plane.step == (5, 1)
    turned = sampling.plane_of(layer, (105, 12, 0), 2, 0)
    assert turned is not None
    assert np.array_equal(turned.array, plane.array.T)
    assert sampling.plane_of(layer, (105, 20, 0), 0, 2) is None  # beside it


def test_leading_axes_are_looked_up_and_missing_ones_refused() -> None:
    moving = Labels(np.stack([ARRAY, ARRAY + 100]))
    plane = sampling.plane_of(moving, (1, 0, 2, 0), 1, 3)
    assert plane is not None
    assert np.array_equal(plane.array, (ARRAY + 100)[:, 2, :])
    flat = Labels(ARRAY[0])
    assert sampling.plane_of(flat, (0, 0, 0), 0, 2) is None


def test_turned_colour_and_lazy_layers_have_no_plane() -> None:
    turned = Image(ARRAY, rotate=10)
    colour = Image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True)
    assert sampling.plane_of(turned, (0, 0, 0), 0, 2) is None
    assert not sampling.is_unturned(turned)
    assert sampling.plane_of(colour, (0, 0, 0), 0, 2) is None
    assert sampling.value_at(colour, (0, 0, 0)) == (0, 0, 0)
