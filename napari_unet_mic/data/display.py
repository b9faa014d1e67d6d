"""Display: how a volume's array is shown, as a transposed and flipped view near LPS axes.

In comes a volume's affine, out goes a `Display`: which array axis is shown where, which
are flipped, and the positive scale and translation a viewer needs. The view is a numpy
view, so painting in it writes into the array. Display axes are (z, y, x), running towards
Superior, Posterior and Left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .grid import OnGrid

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Display:
    """The permutation and flips that bring an array (Z, Y, X) nearest to LPS axes.

    Attributes
    ----------
    axes
        For each display axis, the array axis shown there.
    flips
        For each display axis, whether it runs against the array.
    scale
        Voxel size in mm along the display axes; always positive.
    translate
        Position in mm of display voxel (0, 0, 0) along (Superior, Posterior, Left).
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    scale: tuple[float, float, float]
    translate: tuple[float, float, float]
    array_shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    axis_labels: tuple[str, str, str] = ("z", "y", "x")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along the display axes."""
        a, b, c = (self.array_shape[axis] for axis in self.axes)
        return a, b, c

    def view(self, array: Array) -> Array:
        """Show an array (..., Z, Y, X) along display axes, as a view that writes through."""
        lead = array.ndim - 3
        order = (*range(lead), *(lead + axis for axis in self.axes))
        return array.transpose(order)[(..., *self._steps())]

    def unview(self, array: Array) -> Array:
        """Undo `view`: an array along display axes back to (..., Z, Y, X), as a view."""
        lead = array.ndim - 3
        order = (*range(lead), *(lead + axis for axis in np.argsort(self.axes)))
        return array[(..., *self._steps())].transpose(order)

    def _steps(self) -> tuple[slice, slice, slice]:
        a, b, c = (slice(None, None, -1) if flip else slice(None) for flip in self.flips)
        return a, b, c

    def display_index(self, zyx: ArrayLike) -> Array:
        """Map array indices (..., 3) to display indices; fractions are kept."""
        index = np.asarray(zyx)[..., list(self.axes)]
        return np.where(self.flips, np.array(self.shape) - 1 - index, index)

    def array_index(self, display: ArrayLike) -> Array:
        """Map display indices (..., 3) to array indices (z, y, x); fractions are kept."""
        index = np.asarray(display)
        index = np.where(self.flips, np.array(self.shape) - 1 - index, index)
        return index[..., list(np.argsort(self.axes))]

    def to_world(self, display: ArrayLike) -> NDArray[np.float64]:
        """Map display indices (..., 3) to RAS mm, exactly, oblique files too."""
        ijk = self.array_index(display)[..., ::-1]
        world: NDArray[np.float64] = ijk @ self.affine[:3, :3].T + self.affine[:3, 3]
        return world


def display_of(volume: OnGrid) -> Display:
    """Return how to show a volume: nearest axes, positive scale and translation only.

    Notes
    -----
    Axis-aligned files stand exactly at their world position. An oblique or sheared file
    cannot (a viewer's slices would be rotated): its centre is put at its world position
    and its axes are drawn along the nearest ones; `Display.to_world` stays exact.
    """
    orientation = nib.orientations.io_orientation(volume.affine)  # file axis -> (RAS axis, sign)
    axes, flips = [0, 0, 0], [False, False, False]
    for file_axis, (world_axis, sign) in enumerate(orientation):
        shown = 2 - int(world_axis)
        axes[shown] = 2 - file_axis
        towards_lps = sign if int(world_axis) == 2 else -sign
        flips[shown] = bool(towards_lps < 0)
    scale = _triple([volume.spacing_mm[axis] for axis in axes])
    size = np.array([volume.shape[axis] for axis in axes])
    middle_ijk = (np.array(volume.shape[::-1]) - 1) / 2
    r, a, s = volume.affine[:3, :3] @ middle_ijk + volume.affine[:3, 3]
    translate = np.array([s, -a, -r]) - (size - 1) / 2 * np.array(scale)
    return Display(
        axes=(axes[0], axes[1], axes[2]),
        flips=(flips[0], flips[1], flips[2]),
        scale=scale,
        translate=_triple(translate.tolist()),
        array_shape=volume.shape,
        affine=volume.affine,
    )


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    a, b, c = values
    return float(a), float(b), float(c)
