"""A plane of a layer as a picture, in the colours that the canvas uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QRectF
from qtpy.QtGui import QImage

from napari_unet_mic.gui.sampling import Plane

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint32]  # four bytes: red, green, blue, alpha
MOST_TABLED = 65536  # label values above this are coloured one by one


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and where it lies: columns along x, rows along y, in world units."""

    image: QImage
    place: QRectF
    opacity: float


def picture_of(layer: Layer, plane: Plane, *, upwards: bool) -> Picture:
    """Return a layer's plane as a picture; `upwards`: the last row is on top."""
    array = np.ascontiguousarray(plane.array[::-1] if upwards else plane.array)
    colours = _grey(layer, array) if isinstance(layer, Image) else _flat(layer, array)
    rows, columns = array.shape
    image = QImage(
        colours.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888
    ).copy()  # the copy owns its bytes
    y, x = plane.start
    height, width = rows * plane.step[0], columns * plane.step[1]
    return Picture(image, QRectF(x, y, width, height), float(layer.opacity))


def _grey(layer: Image, array: Array) -> Pixels:
    """Colour intensities as napari does: contrast limits, gamma, colormap."""
    low, high = layer.contrast_limits
    shade = array.astype(np.float32)
    shade -= low
    shade /= high - low
    np.nan_to_num(shade, copy=False, nan=0.0)
    np.clip(shade, 0.0, 1.0, out=shade)
    if layer.gamma != 1:
        shade **= layer.gamma
    shade *= 255
    shade += 0.5
    return _pixels(layer.colormap.map(np.linspace(0.0, 1.0, 256))).take(shade.astype(np.uint8))


def _flat(layer: Labels, array: Array) -> Pixels:
    """Colour labels by the layer's colours; with a contour, the inner border voxels only."""
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low >= 0 and high < MOST_TABLED:
        colours = _table(layer, high).take(array)
    else:
        values, inverse = np.unique(array, return_inverse=True)
        each = [layer.colormap.map(int(value)) for value in values]  # arrays lose the negative
        colours = _pixels(np.array(each))[inverse.reshape(array.shape)]
    if layer.contour > 0:
        colours[~border(array)] = 0
    return colours


def border(array: Array) -> npt.NDArray[np.bool_]:
    """Return the pixels that have another value beside, above or below them."""
    edge = np.zeros(array.shape, dtype=bool)
    across, down = array[:, 1:] != array[:, :-1], array[1:] != array[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


_TABLES: WeakKeyDictionary[Layer, tuple[Any, Pixels]] = WeakKeyDictionary()


def _table(layer: Labels, highest: int) -> Pixels:
    """Return the colours of the values 0 … at least `highest`; kept until they change."""
    colormap = layer.colormap
    key = (colormap, getattr(colormap, "use_selection", False), getattr(colormap, "selection", 0))
    known = _TABLES.get(layer)
    same = known is not None and known[0][0] is colormap and known[0][1:] == key[1:]
    if known is not None and same and len(known[1]) > highest:
        return known[1]
    size = max(256, 1 << int(highest).bit_length())
    table = _pixels(colormap.map(np.arange(size)))
    _TABLES[layer] = (key, table)
    return table


def _pixels(colours: Array) -> Pixels:
    """Return (n,) pixels, red in the first byte, of (n, 4) colours in 0…1."""
    parts = np.rint(np.clip(np.asarray(colours, dtype=np.float64), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(parts).view(np.uint32).ravel()
