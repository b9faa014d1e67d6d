"""Volumes: NIfTI files in and out, and the one place where file axes are reordered.

A file's array is ``(i, j, k)``; in memory it is transposed to ``(Z, Y, X) = (k, j, i)``,
channels first, which is what SimpleITK (and so nnU-Net) sees. The affine is kept as the
file has it: voxel ``(i, j, k)`` to RAS millimetres. Values survive exactly: stored
integers keep their dtype when there is no slope, NaN stays NaN.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import Opener
from numpy.typing import NDArray

from ..errors import BadInput, ChannelMismatch, GridMismatch, UnreadableFile
from .display import Display, display_of
from .files import require_file, write_whole

__all__ = [
    "Display",
    "Grid",
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

_KIND = "a NIfTI image (.nii, .nii.gz, or an .hdr/.img pair)"
_MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}
SAME_GRID_VOXELS = 0.01
"""Two grids whose corners lie closer than this are the same grid."""
COMPARABLE_GRID_VOXELS = 0.5
"""Two grids whose corners lie further apart than this are never combined."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a file lie, read from its header alone.

    Attributes
    ----------
    shape
        Voxels along (Z, Y, X).
    affine
        (4, 4) float64, file voxel (i, j, k) to RAS mm.
    spacing_mm
        Voxel size along (Z, Y, X), as SimpleITK gives it: the header's own voxel sizes.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    n_channels: int
    file: Path | None = None


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
        header = nib.Nifti1Header()
        header.set_data_dtype(_storable(array.dtype))
        header.set_data_shape(_file_shape(array.shape))
        header.set_qform(affine, 1)
        header.set_sform(affine, 1)
        header.set_xyzt_units("mm")
        return cls(array, np.array(affine, dtype=np.float64), header)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (Z, Y, X)."""
        z, y, x = self.array.shape[-3:]
        return int(z), int(y), int(x)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along (Z, Y, X) in millimetres."""
        return _spacing_mm(self.header, self.affine)

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


# ---- reading


def read_grid(file: str | Path) -> Grid:
    """Read shape, affine and spacing of a NIfTI file without its voxels.

    Raises
    ------
    UnreadableFile
        When the file is missing, no NIfTI, or has no usable geometry.
    """
    path = Path(file)
    image = _open(path)
    shape = _normal_shape(path, image.shape)
    affine = _affine_mm(path, image)
    return Grid(
        shape=(shape[2], shape[1], shape[0]),
        affine=affine,
        spacing_mm=_spacing_mm(image.header, affine),
        n_channels=shape[3],
        file=path,
    )


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
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(f) for f in files]
    if not paths:
        raise BadInput(
            "image", expected="at least one file", got="none", advice="name the channel files"
        )
    first, *others = (_read(path) for path in paths) if len(paths) == 1 else _read_channels(paths)
    if not others:
        return first
    array = np.concatenate([v.array for v in (first, *others)])
    return Volume(array, first.affine, first.header, first.file)


def _read_channels(paths: list[Path]) -> list[Volume]:
    grids = [read_grid(path) for path in paths]
    for grid in grids:
        if grid.n_channels != 1:
            raise ChannelMismatch(
                grid.file or "image",
                expected="one channel in each channel file",
                got=f"{grid.n_channels}",
                advice="split the file into one file per channel, or name it alone",
            )
        check_same_grid(grids[0], grid, advice="resample the channel onto the first channel's grid")
    return [_read(path) for path in paths]


def read_labels(file: str | Path) -> Volume:
    """Read a label map as integers (Z, Y, X).

    A label stored as float, or with a slope, is rounded when every value lies within
    1e-3 of an integer (0.99999997 is 1).

    Raises
    ------
    UnreadableFile
        When the file is missing, truncated, a Git-LFS pointer or not NIfTI.
    BadInput
        When it has several channels, or values that are no integers.
    """
    volume = _read(Path(file))
    if volume.n_channels != 1:
        raise BadInput(
            file,
            expected="a label map with one value per voxel",
            got=f"{volume.n_channels} channels",
            advice="save the labels as one 3-D file",
        )
    return Volume(
        _as_integers(volume.array[0], Path(file)), volume.affine, volume.header, volume.file
    )


def _as_integers(array: Array, path: Path) -> Array:
    if array.dtype.kind in "iu":
        return array.astype(np.int64) if array.dtype == np.uint64 else array
    rounded = np.rint(array)
    distance = np.abs(array - rounded)
    bad = ~(distance <= 1e-3)  # also catches NaN
    if bad.any():
        example = float(array[bad][0])
        raise BadInput(
            path,
            expected="whole numbers as labels",
            got=f"{int(bad.sum())} voxels that are none, such as {example:g}",
            advice="is this an image or a probability map? name the label file",
        )
    low, high = float(rounded.min()), float(rounded.max())
    return rounded.astype(_smallest_integer(low, high))


def _smallest_integer(low: float, high: float) -> type[np.integer[Any]]:
    for dtype in (np.uint8, np.uint16, np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    return np.int64


def _open(path: Path) -> Any:
    """Open a NIfTI file lazily, or say in one sentence why not."""
    require_file(path, _KIND)
    try:
        image = nib.load(path)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise _not_nifti(path, error) from error
    except ImageFileError as error:
        raise _not_nifti(path, error) from error
    if not isinstance(image, nib.nifti1.Nifti1Pair):
        raise UnreadableFile(
            path,
            expected=_KIND,
            got=f"a file of type {type(image).__name__.removesuffix('Image')}",
            advice="convert it to NIfTI",
        )
    return image


def _not_nifti(path: Path, error: Exception) -> UnreadableFile:
    with path.open("rb") as stream:
        start = stream.read(2)
    if path.name.endswith(".gz") and start != b"\x1f\x8b":
        got = "a file that is not gzip-compressed"
        advice = "rename it to .nii if it is plain NIfTI, else copy it again"
    elif isinstance(error, EOFError | zlib.error):
        got, advice = "a truncated or damaged file", "copy it again"
    elif isinstance(error, FileNotFoundError):
        got, advice = "one half of an .hdr/.img pair", "put both files into one folder"
    else:
        got, advice = "something else", "convert it to NIfTI"
    return UnreadableFile(path, expected=_KIND, got=got, advice=advice)


def _normal_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (i, j, k, channels); a fifth axis counts as channels when the fourth is 1."""
    sizes = [int(n) for n in shape]
    while len(sizes) > 4 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) == 5 and sizes[3] == 1:
        sizes.pop(3)
    sizes += [1] * (4 - len(sizes))
    if len(sizes) != 4 or min(sizes) < 1:
        raise UnreadableFile(
            path,
            expected="a 3-D volume, or a 4-D one with the channels last",
            got=f"shape {tuple(shape)}",
            advice="save one volume per file",
        )
    return sizes[0], sizes[1], sizes[2], sizes[3]


def _affine_mm(path: Path, image: Any) -> NDArray[np.float64]:
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _unit_mm(image.header)
    columns = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(columns)) < 1e-12:
        raise UnreadableFile(
            path,
            expected="a header that says where the voxels lie",
            got="an affine that is singular or not a number",
            advice="set the sform of the file, or export it again",
        )
    return affine


def _unit_mm(header: Any) -> float:
    """Millimetres per unit of the header; an unknown unit counts as mm."""
    try:
        return _MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
    except KeyError:
        return 1.0


def _spacing_mm(header: Any, affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Voxel size (z, y, x): the header's (what SimpleITK gives), else the affine's columns."""
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    unit = _unit_mm(header)
    zooms = [float(z) * unit for z in header.get_zooms()[:3]]
    sizes = [z if 0 < z < math.inf else float(n) for z, n in zip(zooms, norms, strict=False)]
    sizes += [float(n) for n in norms[len(sizes) :]]
    return sizes[2], sizes[1], sizes[0]


def _read(path: Path) -> Volume:
    """Read one file whole, as (C, Z, Y, X)."""
    image = _open(path)
    shape = _normal_shape(path, image.shape)
    affine = _affine_mm(path, image)
    stored = image.dataobj.dtype
    if stored.kind not in "iuf":
        raise UnreadableFile(
            path,
            expected="one number per voxel",
            got="complex numbers" if stored.kind == "c" else f"voxels of type {stored}",
            advice="export magnitude or grey values",
        )
    _check_size(path, math.prod(shape) * stored.itemsize)
    try:
        raw = np.asarray(image.dataobj.get_unscaled())
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UnreadableFile(
            path,
            expected=f"{math.prod(shape)} voxels, as its header says",
            got="a file that breaks off or is damaged"
            if not isinstance(error, FileNotFoundError)
            else "no voxel data (the .img half is missing)",
            advice="copy it again",
        ) from error
    array = _native(raw.reshape(shape, order="F").T, image.dataobj.slope, image.dataobj.inter)
    return Volume(array, affine, image.header.copy(), path)


def _check_size(path: Path, n_bytes: int) -> None:
    """Refuse a header that claims more voxels than the file can hold, before allocating them."""
    size = path.stat().st_size
    most = size * 1100 if path.suffix == ".gz" else size  # deflate packs at most 1032 to 1
    if path.suffix in (".hdr", ".img") or path.name.endswith((".hdr.gz", ".img.gz")):
        return
    if n_bytes > most:
        raise UnreadableFile(
            path,
            expected=f"{n_bytes} bytes of voxels, as its header says",
            got=f"a file of {size} bytes",
            advice="copy it again",
        )


def _native(raw: Array, slope: float, inter: float) -> Array:
    """Apply slope and intercept, in this machine's byte order, (C, Z, Y, X) contiguous."""
    dtype = raw.dtype.newbyteorder("=")
    if dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    if slope == 1.0 and inter == 0.0:
        return np.ascontiguousarray(raw, dtype=dtype)
    exact_in_float32 = dtype.itemsize <= 2 or dtype == np.float32
    values = np.empty(raw.shape, dtype=np.float32 if exact_in_float32 else np.float64)
    for channel, stored in zip(values, raw, strict=True):
        for z in range(len(channel)):
            channel[z] = stored[z] * np.float64(slope) + np.float64(inter)
    return values


# ---- grids


def displacement_voxels(a: Volume | Grid, b: Volume | Grid) -> float:
    """Return how far the corners of two volumes lie apart, in voxels.

    The largest distance in millimetres between the eight outer corners of `a`'s box of
    voxels and `b`'s, divided by the smallest spacing of both; infinite when the shapes
    differ.
    """
    if a.shape != b.shape:
        return math.inf
    k, j, i = a.shape
    edges = [(-0.5, i - 0.5), (-0.5, j - 0.5), (-0.5, k - 0.5)]
    corners = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, 3)
    difference = a.affine - b.affine
    moved_mm = corners @ difference[:3, :3].T + difference[:3, 3]
    smallest_mm = min(*a.spacing_mm, *b.spacing_mm)
    return float(np.linalg.norm(moved_mm, axis=1).max() / smallest_mm)


def check_same_grid(
    a: Volume | Grid,
    b: Volume | Grid,
    *,
    what: str | Path | None = None,
    advice: str = "export it again on that grid, or resample it first",
) -> float:
    """Return the displacement of `b` against `a` in voxels, or refuse to combine them.

    Above `SAME_GRID_VOXELS` the caller should note the displacement.

    Parameters
    ----------
    what
        What to call `b` in the sentence; its file by default.

    Raises
    ------
    GridMismatch
        When the shapes differ, or a corner is displaced by more than half a voxel.
    """
    name = what or b.file or "volume"
    reference = a.file.name if a.file else "the image"
    if a.shape != b.shape:
        raise GridMismatch(
            name, expected=f"the shape {a.shape} of {reference}", got=f"{b.shape}", advice=advice
        )
    displacement = displacement_voxels(a, b)
    if not displacement <= COMPARABLE_GRID_VOXELS:
        raise GridMismatch(
            name,
            expected=f"the grid of {reference}",
            got=f"one whose corner lies {displacement:.3g} voxels away",
            advice=advice,
            displacement_voxels=displacement,
        )
    return displacement


# ---- writing


def write_labels(
    file: str | Path, labels: Array, like: Volume, dtype: np.dtype[Any] | type | None = None
) -> None:
    """Write a label map (Z, Y, X) with the geometry of `like`, bit for bit.

    Shape, affine, sform and qform codes, units and voxel sizes are the source's; slope
    and intercept are reset.

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
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if dtype is None:
        dtype = _label_dtype(like, low, high)
    header = like.header.copy()
    if not like.is_labels:  # nothing of the image's display or private notes stays
        header.extensions[:] = []
        header["cal_min"] = header["cal_max"] = 0
        header["intent_code"] = 0
    _write(Path(file), labels, header, np.dtype(dtype))


def _label_dtype(like: Volume, low: int, high: int) -> np.dtype[Any]:
    if like.is_labels:
        own: np.dtype[Any] = like.header.get_data_dtype().newbyteorder("=")
        if own.kind in "iu" and np.iinfo(own).min <= low and high <= np.iinfo(own).max:
            return own
        if own.kind == "f" and max(-low, high) < 2 ** np.finfo(own).nmant:
            return own
    return np.dtype(_smallest_integer(low, high))


def write_image(file: str | Path, array: Array, like: Volume) -> None:
    """Write an image (C, Z, Y, X) or (Z, Y, X) with the geometry of `like`, in its own dtype.

    Raises
    ------
    GridMismatch
        When the spatial shape is not that of `like`.
    """
    if tuple(array.shape[-3:]) != like.shape or array.ndim not in (3, 4):
        raise GridMismatch(
            file,
            expected=f"an image of shape {like.shape}",
            got=f"{tuple(array.shape)}",
            advice="images are saved on the grid they were made for",
        )
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    _write(Path(file), array, like.header.copy(), _storable(array.dtype))


def _storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The NIfTI type for a numpy type: bool becomes uint8, half becomes single precision."""
    if dtype == np.bool_:
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def _file_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    spatial = tuple(reversed(shape[-3:]))
    return spatial if len(shape) == 3 else (*spatial, shape[0])


def _write(path: Path, array: Array, header: Any, dtype: np.dtype[Any]) -> None:
    """Write header and voxels as one .nii or .nii.gz, every other header field untouched."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise BadInput(
            path,
            expected="a name ending in .nii.gz or .nii",
            got=f"{path.name}",
            advice="choose another name",
        )
    single = nib.Nifti2Header if isinstance(header, nib.Nifti2Header) else nib.Nifti1Header
    if not header.is_single:
        header = single(header.binaryblock, header.endianness, check=False)
        header["magic"] = single.single_magic
    pixdim = header["pixdim"].copy()
    kept = 4 if array.ndim == 3 and header["dim"][0] > 3 else 8
    header.set_data_shape(_file_shape(array.shape))
    header["pixdim"][:kept] = pixdim[:kept]
    header.set_data_dtype(dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["vox_offset"] = 0  # worked out again from the extensions
    voxels = np.ascontiguousarray(array, dtype=dtype.newbyteorder(header.endianness))

    def write(temporary: Path) -> None:
        with Opener(temporary, "wb", compresslevel=3) as stream:
            header.write_to(stream)
            stream.write(voxels.data)

    write_whole(path, write)
