"""The non-zero box: where an image holds anything at all.

In comes an image (C, Z, Y, X), out come the box around its non-zero voxels and labels that
say -1 outside of them. A voxel is non-zero when any channel is; holes inside are filled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OUTSIDE = -1
"""The label of background voxels outside the non-zero region."""


@dataclass(frozen=True)
class Box:
    """A half-open box of voxels: `lower` (z, y, x) is inside, `upper` is not."""

    lower: tuple[int, int, int]
    upper: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (Z, Y, X)."""
        z, y, x = (u - low for low, u in zip(self.lower, self.upper, strict=True))
        return z, y, x

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """What to index an array (Z, Y, X) with."""
        z, y, x = (slice(low, u) for low, u in zip(self.lower, self.upper, strict=True))
        return z, y, x


@dataclass(frozen=True, eq=False)
class Cropped:
    """An image and its labels inside the non-zero box.

    Attributes
    ----------
    image
        (C, z, y, x), a view.
    labels
        (z, y, x) int16: the given labels (or 0), -1 where background lies outside the
        non-zero region.
    box
        Where they lay in the whole volume.
    """

    image: Array
    labels: NDArray[np.int16]
    box: Box


def nonzero_mask(image: Array) -> NDArray[np.bool_]:
    """Return where any channel of an image (C, Z, Y, X) is non-zero, holes filled: (Z, Y, X).

    Notes
    -----
    nnU-Net's ``create_nonzero_mask``. NaN counts as non-zero.
    """
    mask = image[0] != 0
    for channel in image[1:]:
        mask |= channel != 0
    from scipy.ndimage import binary_fill_holes  # here: slow to import, panels need it late

    filled: NDArray[np.bool_] = mask if mask.all() else binary_fill_holes(mask)
    return filled


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Return the smallest box that holds every true voxel; the whole volume when none is."""
    lower, upper = [0, 0, 0], list(mask.shape)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        if len(hit):
            lower[axis], upper[axis] = int(hit[0]), int(hit[-1]) + 1
    return Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))


def crop_to_nonzero(image: Array, labels: Array | None = None) -> Cropped:
    """Crop an image (C, Z, Y, X) and its labels (Z, Y, X) to the non-zero box.

    Notes
    -----
    nnU-Net's ``crop_to_nonzero``: labels that are 0 outside the non-zero region become -1.
    """
    mask = nonzero_mask(image)
    box = box_of(mask)
    inside = mask[box.slices]
    if labels is None:
        cropped = np.zeros(box.shape, dtype=np.int16)
    else:
        cropped = labels[box.slices].astype(np.int16)
    cropped[(cropped == 0) & ~inside] = OUTSIDE
    return Cropped(image[(slice(None), *box.slices)], cropped, box)
