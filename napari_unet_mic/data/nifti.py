"""NIfTI files in the file's own axis order ``(i, j, k)``: opened, read and written.

`data.volume` reorders axes; nothing here does. In comes a path, out come header, geometry
and values, or one sentence that says what is wrong with the file.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti2 import Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ..errors import BadInput, UnreadableFile
from .files import require_file, unreadable, write_whole

Array = NDArray[Any]

KIND = "a NIfTI image (.nii, .nii.gz, or an .hdr/.img pair)"
_MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}
_MOST_GZIP_SHRINKS = 1100  # deflate packs at most 1032 to 1
_COMPRESSION = 2
_BAD_GZIP = cast("type[Exception]", isal_zlib.error)  # its stub calls the class an instance
_BROKEN = (EOFError, zlib.error, _BAD_GZIP, ValueError, OverflowError, OSError)
_BAD_HEADER = (ImageFileError, HeaderDataError, WrapStructError, KeyError, TypeError)
_ENDINGS = (".nii", ".hdr", ".img")


def open_nifti(path: Path) -> Any:
    """Open a NIfTI file lazily: header and geometry now, voxels later.

    Raises
    ------
    UnreadableFile
        When it is missing, a Git-LFS pointer, or not NIfTI.
    """
    require_file(path, KIND)
    if not path.name.lower().removesuffix(".gz").endswith(_ENDINGS):
        raise UnreadableFile(
            path, expected=KIND, got="a file of another kind", advice="convert it to NIfTI"
        )
    try:
        image = nib.load(path, mmap=False)  # a mapped file could not be replaced on Windows
    except PermissionError as error:
        raise unreadable(path, KIND, error) from error
    except (*_BAD_HEADER, *_BROKEN) as error:
        raise _not_nifti(path, error) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise UnreadableFile(
            path,
            expected=KIND,
            got=f"a file of type {type(image).__name__.removesuffix('Image')}",
            advice="convert it to NIfTI",
        )
    return image


def _not_nifti(path: Path, error: Exception) -> UnreadableFile:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    if path.name.endswith(".gz") and not zipped:
        got = "a file that is not gzip-compressed"
        advice = "rename it to .nii if it is plain NIfTI, else copy it again"
    elif isinstance(error, FileNotFoundError):
        got, advice = "one half of an .hdr/.img pair", "put both files into one folder"
    else:
        got, advice = "a truncated or damaged file, or another format", "export it again"
    return UnreadableFile(path, expected=KIND, got=got, advice=advice)


def shape_of(path: Path, image: Any) -> tuple[int, int, int, int]:
    """Return (i, j, k, channels) of an opened file.

    A fifth axis counts as channels when the fourth is 1 (a NIfTI vector image).

    Raises
    ------
    UnreadableFile
        When the voxels form no volume with channels.
    """
    sizes = [int(n) for n in image.shape]
    while len(sizes) > 4 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) == 5 and sizes[3] == 1:
        sizes.pop(3)
    sizes += [1] * (4 - len(sizes))
    if len(sizes) != 4 or min(sizes) < 1:
        raise UnreadableFile(
            path,
            expected="a 3-D volume, or a 4-D one with the channels last",
            got=f"shape {tuple(image.shape)}",
            advice="save one volume per file",
        )
    return sizes[0], sizes[1], sizes[2], sizes[3]


def affine_mm_of(path: Path, image: Any) -> NDArray[np.float64]:
    """Return the affine of an opened file, voxel (i, j, k) to RAS mm.

    Raises
    ------
    UnreadableFile
        When it is singular or not finite.
    """
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _unit_mm(image.header)
    columns = affine[:3, :3]
    with np.errstate(all="ignore"):  # a damaged header holds anything; the next line asks
        norms = np.linalg.norm(columns, axis=0)
        volume = abs(np.linalg.det(columns)) / math.prod(norms)
    if not np.isfinite(affine).all() or not volume > 1e-6:
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


def spacing_ijk_mm(header: Any, affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the voxel size along (i, j, k) in mm.

    Notes
    -----
    The header's pixdim, which is what SimpleITK (and so nnU-Net's plans) uses even where
    the sform's columns have other lengths; those fill in where pixdim is not positive.
    """
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    unit = _unit_mm(header)
    zooms = [float(z) * unit for z in header.get_zooms()[:3]]
    zooms += [0.0] * (3 - len(zooms))
    i, j, k = (
        zoom if 0 < zoom < math.inf else float(norm)
        for zoom, norm in zip(zooms, norms, strict=True)
    )
    return i, j, k


def read_voxels(path: Path, image: Any) -> Array:
    """Read the values of an opened file as (i, j, k, channels), in memory order of the file.

    Stored integers and floats keep their type when there is no slope or intercept. With
    them the values are float32, or float64 where float32 could not hold every stored one.

    Raises
    ------
    UnreadableFile
        When voxels are no real numbers, or the file breaks off.
    """
    shape = shape_of(path, image)
    stored = image.dataobj.dtype
    if stored.kind not in "iuf":
        raise UnreadableFile(
            path,
            expected="one number per voxel",
            got="complex numbers" if stored.kind == "c" else "colours or other records",
            advice="export magnitude or grey values",
        )
    _check_size(path, math.prod(shape) * stored.itemsize)
    try:
        raw = _stored(image).reshape(shape, order="F")
    except _BROKEN as error:
        halved = isinstance(error, FileNotFoundError)
        raise UnreadableFile(
            path,
            expected=f"{math.prod(shape)} voxels, as its header says",
            got="no voxels (the .img half is missing)" if halved else "a truncated or damaged file",
            advice="put both files into one folder" if halved else "copy it again",
        ) from error
    return _scaled(raw, image.dataobj.slope, image.dataobj.inter)


def _stored(image: Any) -> Array:
    """Return the stored values; of a gzip file perhaps read-only.

    nibabel stops at the last voxel and never sees the checksum behind it, so a compressed
    file is unpacked whole here: a flipped bit must not become a tumour.
    """
    proxy, file = image.dataobj, image.file_map["image"].filename
    if not str(file).endswith(".gz"):
        return np.asarray(proxy.get_unscaled())
    content = _unpacked(Path(file).read_bytes())
    n_bytes = math.prod(proxy.shape) * proxy.dtype.itemsize
    if len(content) < proxy.offset + n_bytes:
        raise EOFError
    return np.ndarray(proxy.shape, proxy.dtype, buffer=content, offset=proxy.offset, order="F")


def _unpacked(packed: bytes) -> bytes:
    member = isal_zlib.decompressobj(wbits=31)
    content = member.decompress(packed)
    if not member.eof:
        raise EOFError
    return igzip.decompress(packed) if member.unused_data.strip(b"\0") else content


def _check_size(path: Path, n_bytes: int) -> None:
    """Refuse a header that claims more than the file can hold, before allocating it."""
    if not path.name.endswith((".nii", ".nii.gz")):
        return
    size = path.stat().st_size
    if n_bytes > size * (_MOST_GZIP_SHRINKS if path.suffix == ".gz" else 1):
        raise UnreadableFile(
            path,
            expected=f"{n_bytes} bytes of voxels, as its header says",
            got=f"a truncated or damaged file of {size} bytes",
            advice="copy it again",
        )


def _scaled(raw: Array, slope: float, inter: float) -> Array:
    """Apply slope and intercept in this machine's byte order; float64 only while it works."""
    dtype = raw.dtype.newbyteorder("=") if raw.dtype.itemsize <= 8 else np.dtype(np.float64)
    if slope == 1.0 and inter == 0.0:
        return raw.astype(dtype, order="F", copy=raw.base is not None)
    exact_in_float32 = dtype.itemsize <= 2 or dtype == np.float32
    values = np.empty(raw.shape, dtype=np.float32 if exact_in_float32 else np.float64, order="F")
    with np.errstate(over="ignore", invalid="ignore"):  # stored infinities and NaN stay so
        for k in range(raw.shape[2]):
            values[:, :, k] = raw[:, :, k] * np.float64(slope) + np.float64(inter)
    return values


def new_header(shape: tuple[int, ...], dtype: np.dtype[Any], affine: NDArray[np.float64]) -> Any:
    """Return a NIfTI-1 header for an array of that file shape, in mm, sform and qform set."""
    header = nib.Nifti1Header()
    header.set_data_dtype(storable(dtype))
    header.set_data_shape(shape)
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header.set_xyzt_units("mm")
    return header


def storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the NIfTI type for a numpy type: bool as uint8, half as single precision."""
    if dtype == np.bool_:
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def write_nifti(path: Path, array: Array, header: Any, dtype: np.dtype[Any]) -> None:
    """Write a file array (i, j, k[, channels]) as .nii or .nii.gz under a given header.

    Only shape, type, slope and intercept of the header change; affines, codes, units and
    voxel sizes stay bit for bit, and so does the byte order.

    Raises
    ------
    BadInput
        When the name ends otherwise.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        raise BadInput(
            path,
            expected="a name ending in .nii.gz or .nii",
            got=f"{path.name}",
            advice="choose another name",
        )
    header = _single_file(header)
    pixdim, was_longer = header["pixdim"].copy(), header["dim"][0] > array.ndim
    header.set_data_shape(array.shape)
    kept = array.ndim + 1 if was_longer else len(pixdim)
    header["pixdim"][:kept] = pixdim[:kept]
    header.set_data_dtype(dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["vox_offset"] = 0  # worked out again from the extensions
    voxels = np.asarray(array, dtype=dtype.newbyteorder(header.endianness), order="F")

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            if path.suffix == ".gz":  # no name and no time inside: the same labels, the same file
                with igzip.IGzipFile("", "wb", _COMPRESSION, stream, mtime=0) as packed:
                    header.write_to(packed)
                    packed.write(voxels.T.data)
            else:
                header.write_to(stream)
                stream.write(voxels.T.data)

    write_whole(path, write)


def _single_file(header: Any) -> Any:
    """Return a copy of a header for one file, also when it came from an .hdr/.img pair."""
    if header.is_single:
        return header.copy()
    single = nib.Nifti2Header if isinstance(header, Nifti2PairHeader) else nib.Nifti1Header
    copied = single(header.binaryblock, header.endianness, check=False)
    copied["magic"] = single.single_magic
    return copied
