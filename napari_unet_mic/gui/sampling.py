"""The voxels of a layer at a position in the viewer: one voxel, its value, or a whole plane.

Positions are the viewer's world coordinates, one number per axis of the viewer; a layer with
fewer axes lies on the last ones. Whatever cannot be read at once (no array in memory, colour
images, rotated layers) has no plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through a layer along two axes of the viewer.

    Attributes
    ----------
    array
        (rows, columns), a view of the layer's data.
    start
        World coordinates of the outer edge of the first row and of the first column.
    step
        Size of a voxel along rows and columns; always positive.
    """

    array: Array
    start: tuple[float, float]
    step: tuple[float, float]


def voxel_at(layer: Layer, world: Sequence[float]) -> tuple[int, ...] | None:
    """Return the voxel of an image or labels layer at a position, or None outside of it."""
    if not isinstance(layer, Image | Labels) or len(world) < layer.ndim:
        return None
    index = np.rint(np.asarray(layer.world_to_data(world), dtype=float)[-layer.ndim :])
    voxel = tuple(int(one) for one in index)
    shape = layer.data.shape[: layer.ndim]
    inside = all(0 <= one < size for one, size in zip(voxel, shape, strict=True))
    return voxel if inside else None


def value_at(layer: Layer, world: Sequence[float]) -> Any:
    """Return the value of a layer at a position, or None outside of it."""
    voxel = voxel_at(layer, world)
    if voxel is None or not isinstance(layer.data, np.ndarray):
        return None
    value = layer.data[voxel]
    return value.item() if np.ndim(value) == 0 else tuple(np.asarray(value).tolist())


def plane_of(layer: Layer, world: Sequence[float], rows: int, columns: int) -> Plane | None:
    """Return the plane through a position that runs along two axes of the viewer."""
    if not is_straight(layer) or len(world) < layer.ndim:
        return None
    offset = len(world) - layer.ndim
    if min(rows, columns) < offset:
        return None
    index: list[Any] = []
    scale, translate = layer.scale, layer.translate
    for axis, size in enumerate(layer.data.shape[: layer.ndim]):
        if axis + offset in (rows, columns):
            index.append(slice(None))
            continue
        at = round(float((world[axis + offset] - translate[axis]) / scale[axis]))
        if not 0 <= at < size:
            return None
        index.append(at)
    array = layer.data[tuple(index)]
    own = (rows - offset, columns - offset)
    start = tuple(float(translate[axis] - scale[axis] / 2) for axis in own)
    step = tuple(float(scale[axis]) for axis in own)
    return Plane(array if rows < columns else array.T, (start[0], start[1]), (step[0], step[1]))


def is_straight(layer: Layer) -> bool:
    """Return whether a layer is an array in memory that lies along the viewer's axes."""
    if not isinstance(layer, Image | Labels) or not isinstance(layer.data, np.ndarray):
        return False
    if (isinstance(layer, Image) and layer.rgb) or not (np.asarray(layer.scale) > 0).all():
        return False
    return is_unturned(layer)


def is_unturned(layer: Layer) -> bool:
    """Return whether nobody rotated, sheared or otherwise transformed a layer."""
    n = layer.ndim
    return bool(
        np.array_equal(np.asarray(layer.rotate), np.eye(n))
        and not np.asarray(layer.shear).any()
        and np.array_equal(np.asarray(layer.affine.affine_matrix), np.eye(n + 1))
    )
