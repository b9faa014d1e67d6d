"""Volumes: NIfTI files in and out, and the one place where file axes are reordered.

A file's array is ``(i, j, k)``; in memory it is transposed to ``(Z, Y, X) = (k, j, i)``,
channels first, which is what SimpleITK (and so nnU-Net) sees. The affine is kept as the
file has it: voxel ``(i, j, k)`` to RAS millimetres. Values survive exactly: stored
integers keep their dtype when there is no slope, NaN stays NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput, ChannelMismatch, GridMismatch
from .display import Display, display_of
from .grid import (
    COMPARABLE_GRID_VOXELS,
    SAME_GRID_VOXELS,
    Grid,
    OnGrid,
    check_same_grid,
    displacement_voxels,
)
from .nifti import (
    affine_mm_of,
    new_header,
    open_nifti,
    read_voxels,
    shape_of,
    spacing_ijk_mm,
    storable,
    write_nifti,
)

__all__ = [
    "COMPARABLE_GRID_VOXELS",
    "SAME_GRID_VOXELS",
    "Display",
    "Grid",
    "OnGrid",
    "Volume",
    "check_same_grid",
    "displacement_voxels",
    "display_of",
    "read_grid",
    "read_image",
    "read_labels",
    "write_image",
    "write_labels",
]

Array = NDArray[Any]

_WHOLE_NUMBER_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Volume:
    """An image (C, Z, Y, X) or labels (Z, Y, X) with the geometry of the file it came from.

    Attributes
    ----------
    array
        (C, Z, Y, X) image, or (Z, Y, X) integer labels.
    affine
        (4, 4) float64, file voxel (i, j, k) to RAS mm.
    header
        A copy of the file's NIfTI header.
    """

    array: Array
    affine: NDArray[np.float64]
    header: Any
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.array.ndim not in (3, 4):
            raise BadInput(
                self.file or "volume",
                expected="an array (C, Z, Y, X) or (Z, Y, X)",
                got=f"shape {self.array.shape}",
                advice="add or remove axes",
            )

    @classmethod
    def from_array(
        cls,
        array: Array,
        *,
        spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
        affine: NDArray[np.float64] | None = None,
    ) -> Volume:
        """Make a volume in memory: along LPS axes from `spacing_mm` (z, y, x), or by `affine`."""
        if affine is None:
            z, y, x = (float(s) for s in spacing_mm)
            affine = np.diag([-x, -y, z, 1.0])
        affine = np.array(affine, dtype=np.float64)
        return cls(array, affine, new_header(_file_shape(array), array.dtype, affine))

    def without_voxels(self) -> Volume:
        """Return the same geometry over an array of zeros that takes no memory."""
        hollow = np.broadcast_to(np.zeros((), self.array.dtype), self.array.shape)
        return Volume(hollow, self.affine, self.header, self.file)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (Z, Y, X)."""
        z, y, x = self.array.shape[-3:]
        return int(z), int(y), int(x)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along (Z, Y, X) in millimetres, as SimpleITK gives it."""
        i, j, k = spacing_ijk_mm(self.header, self.affine)
        return k, j, i

    @property
    def is_labels(self) -> bool:
        """Whether this is one label map rather than an image with channels."""
        return self.array.ndim == 3

    @property
    def n_channels(self) -> int:
        """Channels of an image; 1 for labels."""
        return 1 if self.is_labels else int(self.array.shape[0])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return math.prod(self.spacing_mm) / 1000.0


def read_grid(file: str | Path) -> Grid:
    """Read shape, affine and spacing of a NIfTI file without its voxels.

    Raises
    ------
    UnreadableFile
        When the file is missing, no NIfTI, or has no usable geometry.
    """
    path = Path(file)
    image = open_nifti(path)
    i, j, k, n_channels = shape_of(path, image)
    affine = affine_mm_of(path, image)
    x, y, z = spacing_ijk_mm(image.header, affine)
    return Grid((k, j, i), affine, (z, y, x), n_channels, path)


def read_image(files: str | Path | Sequence[str | Path]) -> Volume:
    """Read an image as (C, Z, Y, X): one 3-D file, one 4-D file, or one file per channel.

    Parameters
    ----------
    files
        One path (channels are the last axis of a 4-D file), or the channel files in order.

    Raises
    ------
    UnreadableFile
        When a file is missing, truncated, a Git-LFS pointer or not NIfTI.
    GridMismatch
        When channel files lie on different grids.
    ChannelMismatch
        When one of several channel files holds several channels itself.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if not paths:
        raise BadInput(
            "image", expected="at least one file", got="none", advice="name the channel files"
        )
    if len(paths) > 1:
        _check_channels(paths)
    first, *others = [_read(path) for path in paths]
    if not others:
        return first
    array = np.concatenate([volume.array for volume in (first, *others)])
    return Volume(array, first.affine, first.header, first.file)


def _check_channels(paths: list[Path]) -> None:
    grids = [read_grid(path) for path in paths]
    for grid in grids:
        if grid.n_channels != 1:
            raise ChannelMismatch(
                grid.file or "image",
                expected="one channel in each channel file",
                got=f"{grid.n_channels}",
                advice="split the file into one file per channel, or name it alone",
            )
        check_same_grid(grids[0], grid, advice="resample it onto the first channel's grid")


def read_labels(file: str | Path) -> Volume:
    """Read a label map as integers (Z, Y, X).

    A label stored as float, or with a slope, is rounded when every value lies within
    1e-3 of a whole number (0.99999997 is 1).

    Raises
    ------
    UnreadableFile
        When the file is missing, truncated, a Git-LFS pointer or not NIfTI.
    BadInput
        When it has several channels, or values that are no whole numbers.
    """
    volume = _read(Path(file))
    if volume.n_channels != 1:
        raise BadInput(
            file,
            expected="a label map with one value per voxel",
            got=f"{volume.n_channels} channels",
            advice="save the labels as one 3-D file",
        )
    labels = _as_integers(volume.array[0], Path(file))
    return Volume(labels, volume.affine, volume.header, volume.file)


def _as_integers(array: Array, path: Path) -> Array:
    if array.dtype.kind in "iu":
        return array.astype(np.int64) if array.dtype == np.uint64 else array
    rounded = np.rint(array)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        near = np.abs(array - rounded) <= _WHOLE_NUMBER_TOLERANCE  # NaN is never near
        near &= np.abs(array) < 2**31
    if not near.all():
        example = float(array[~near][0])
        raise BadInput(
            path,
            expected="whole numbers as labels",
            got=f"{int((~near).sum())} voxels that are none, such as {example:g}",
            advice="is this an image or a probability map? name the label file",
        )
    return rounded.astype(smallest_integer(int(rounded.min()), int(rounded.max())))


def smallest_integer(low: int, high: int) -> np.dtype[Any]:
    """Return the smallest integer type that holds both, unsigned where it can be."""
    for dtype in (np.uint8, np.uint16, np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int64)


def _read(path: Path) -> Volume:
    """Read one file whole, as (C, Z, Y, X)."""
    image = open_nifti(path)
    affine = affine_mm_of(path, image)
    array = np.ascontiguousarray(read_voxels(path, image).T)  # (C, Z, Y, X)
    return Volume(array, affine, image.header.copy(), path)


def write_labels(
    file: str | Path, labels: Array, like: Volume, dtype: np.dtype[Any] | type | None = None
) -> None:
    """Write a label map (Z, Y, X) with the geometry of `like`, bit for bit.

    Shape, affine, sform and qform codes, units and voxel sizes are the source's; slope
    and intercept are reset. Header notes of an *image* (which may name the patient) and
    its display window are left out.

    Parameters
    ----------
    dtype
        Stored type; by default the source's own when it is a label file that can hold
        the values, else the smallest unsigned integer that can.

    Raises
    ------
    GridMismatch
        When `labels` has not the shape of `like`.
    """
    if tuple(labels.shape) != like.shape:
        raise GridMismatch(
            file,
            expected=f"labels of shape {like.shape}",
            got=f"{tuple(labels.shape)}",
            advice="labels are saved on the grid they were made for",
        )
    header = like.header.copy()
    if not like.is_labels:
        header.extensions.clear()
        header["cal_min"] = header["cal_max"] = 0
        header["intent_code"] = 0
    stored = np.dtype(dtype) if dtype is not None else _label_dtype(labels, like)
    write_nifti(Path(file), labels.T, header, stored)


def _label_dtype(labels: Array, like: Volume) -> np.dtype[Any]:
    low, high = int(labels.min()), int(labels.max())
    if like.is_labels:
        own: np.dtype[Any] = like.header.get_data_dtype().newbyteorder("=")
        if own.kind in "iu" and np.iinfo(own).min <= low and high <= np.iinfo(own).max:
            return own
        if own.kind == "f" and max(-low, high) <= 2 ** np.finfo(own).nmant:
            return own
    return smallest_integer(low, high)


def write_image(file: str | Path, array: Array, like: Volume) -> None:
    """Write an image (C, Z, Y, X) or (Z, Y, X) with the geometry of `like`, in its own dtype.

    Raises
    ------
    GridMismatch
        When the spatial shape is not that of `like`.
    """
    if array.ndim not in (3, 4) or tuple(array.shape[-3:]) != like.shape:
        raise GridMismatch(
            file,
            expected=f"an image of shape {like.shape}",
            got=f"{tuple(array.shape)}",
            advice="images are saved on the grid they were made for",
        )
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    write_nifti(Path(file), array.T, like.header, storable(array.dtype))


def _file_shape(array: Array) -> tuple[int, ...]:
    """Return the shape of an array in file order, channels last; one channel needs no axis."""
    return array.shape[:0:-1] if array.shape[0] == 1 and array.ndim == 4 else array.shape[::-1]
