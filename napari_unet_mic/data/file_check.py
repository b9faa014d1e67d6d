"""One file looked at: can it be opened, where do its voxels lie, is its header sound.

In comes a path, out come an `OpenedFile` (header and geometry; the voxels are read later)
or None, and the findings. Whatever the file holds, nothing is raised.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput, UnreadableFile
from .files import require_file
from .findings import Finding, found
from .grid import Grid, displacement_voxels
from .nifti import affine_mm_of, open_nifti, read_voxels, shape_of, spacing_ijk_mm

Role = Literal["image", "channel", "label"]
Array = NDArray[Any]

_HEADER_BYTES = 540
_PERPENDICULAR = 1e-3
_SAME_SPACING = 0.01
_SAME_FORMS_VOXELS = 0.1  # a qform is a rounded quaternion


@dataclass(frozen=True, eq=False)
class OpenedFile:
    """A file whose header could be read.

    Attributes
    ----------
    image
        nibabel's image; its voxels were not read.
    grid
        Shape, affine, spacing and channels.
    n_bytes
        What its voxels take in memory as stored.
    """

    path: Path
    role: Role
    image: Any
    grid: Grid

    @property
    def n_bytes(self) -> int:
        """What the voxels take as stored."""
        n_voxels: int = math.prod(int(n) for n in self.image.shape)
        return n_voxels * int(self.image.dataobj.dtype.itemsize)


def open_file(path: Path, role: Role, case: str) -> tuple[OpenedFile | None, list[Finding]]:
    """Open a file's header and look whether it is sound.

    Returns
    -------
    opened
        None when the file is of no use; then one finding says why.
    findings
        What is wrong or odd.
    """
    kind = _system_kind(path, role)
    if kind is not None:
        return None, [_broken(path, kind, case, role)]
    try:
        image = open_nifti(path)
    except UnreadableFile as error:
        other = error.got.startswith("a file of")
        return None, [_from(error, "not-nifti" if other else _content_kind(path), path, case)]
    try:
        shape = shape_of(path, image)
        stored = image.dataobj.dtype
    except UnreadableFile as error:
        return None, [_from(error, "wrong-dimensions", path, case)]
    if role != "image" and shape[3] != 1:
        return None, [_too_many_axes(path, role, shape, case)]
    spacing = _spacing_finding(path, image, case)
    try:
        affine = affine_mm_of(path, image)
    except UnreadableFile as error:
        findings = [spacing] if spacing else [_from(error, "bad-geometry", path, case)]
        return None, findings
    x, y, z = spacing_ijk_mm(image.header, affine)
    grid = Grid(shape[2::-1], affine, (z, y, x), shape[3], path)
    opened = OpenedFile(path, role, image, grid)
    findings = [spacing] if spacing else _header_findings(opened, case)
    if stored.kind not in "iuf":
        got = "complex numbers" if stored.kind == "c" else "colours or other records"
        expected = "one real number per voxel"
        findings.append(found("not-real-numbers", case=case, file=path, expected=expected, got=got))
    return opened, findings


def read_file(opened: OpenedFile, case: str) -> tuple[Array | None, list[Finding]]:
    """Read the voxels of an opened file as (i, j, k, channels); None when they cannot be."""
    try:
        return read_voxels(opened.path, opened.image), []
    except UnreadableFile as error:
        if opened.image.dataobj.dtype.kind not in "iuf":
            return None, []  # said already
        return None, [_from(error, "damaged-file", opened.path, case)]
    except MemoryError:
        expected = f"room in memory for {opened.n_bytes / 1e9:.1f} GB of voxels"
        return None, [
            found("out-of-memory", case=case, file=opened.path, expected=expected, got="less")
        ]


def _from(error: BadInput, kind: str, path: Path, case: str) -> Finding:
    return found(
        kind, case=case, file=path, expected=error.expected, got=error.got, advice=error.advice
    )


# ---- why a file cannot be opened -----------------------------------------------------------
def _system_kind(path: Path, role: Role) -> str | None:
    """Return the kind of trouble that shows before any format is looked at."""
    try:
        if path.is_symlink() and not path.exists():
            return "broken-link"
        if not path.exists():
            return {"label": "missing-label", "channel": "missing-channel"}.get(
                role, "missing-image"
            )
        require_file(path, "a NIfTI file")
    except UnreadableFile as error:
        if "Git-LFS" in error.got:
            return "lfs-pointer"
        return "empty-file" if error.got == "an empty file" else "unreadable-file"
    except OSError:
        return "unreadable-file"
    return None


def _broken(path: Path, kind: str, case: str, role: Role) -> Finding:
    if kind == "broken-link":
        got = "a link that leads nowhere"
        return found(kind, case=case, file=path, expected="a NIfTI file", got=got)
    if kind.startswith("missing"):
        expected = f"the {'label' if role == 'label' else 'image'} of case {case}"
        return found(kind, case=case, file=path, expected=expected, got=_missing(path))
    try:
        require_file(path, "a NIfTI file")
    except UnreadableFile as error:
        return _from(error, kind, path, case)
    except OSError as error:
        got = (error.strerror or type(error).__name__).lower()
        return found(kind, case=case, file=path, expected="a NIfTI file", got=got)
    return found(kind, case=case, file=path, expected="a NIfTI file", got="something else")


def _missing(path: Path) -> str:
    """Say what lies there instead, where a name differs by case or ending only."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii").casefold()
    try:
        names = sorted(file.name for file in path.parent.iterdir())
    except OSError:
        return f"no such folder ({path.parent.name})"
    alike = [n for n in names if n.removesuffix(".gz").removesuffix(".nii").casefold() == stem]
    return f"no such file (there is {alike[0]})" if alike else "no such file"


def _content_kind(path: Path) -> str:
    """Tell another format (or a wrong ending) from a damaged NIfTI file."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER_BYTES)
        zipped = header[:2] == b"\x1f\x8b"
        if zipped != path.name.lower().endswith(".gz"):
            return "not-nifti"
        if zipped:
            with gzip.open(path) as unpacked:
                header = unpacked.read(_HEADER_BYTES)
    except (OSError, EOFError, zlib.error):
        return "damaged-file"
    sizes = {int.from_bytes(header[:4], "little"), int.from_bytes(header[:4], "big")}
    magic = {header[344:347], header[4:7]}
    is_nifti = bool(sizes & {348, 540}) and bool(magic & {b"n+1", b"ni1", b"n+2", b"ni2"})
    return "damaged-file" if is_nifti else "not-nifti"


def _too_many_axes(path: Path, role: Role, shape: tuple[int, int, int, int], case: str) -> Finding:
    what = "a label map with one value per voxel" if role == "label" else "one channel in the file"
    return found(
        "wrong-dimensions" if role == "label" else "channel-count",
        case=case,
        file=path,
        expected=what,
        got=f"{shape[3]} of them (shape {shape})",
        advice="save the labels as one 3-D file" if role == "label" else "",
    )


# ---- the header --------------------------------------------------------------------------
def _spacing_finding(path: Path, image: Any, case: str) -> Finding | None:
    """Look at the voxel sizes as they stand in the file; nibabel mends them when it loads."""
    stored = _stored_pixdim(path, image)[1 : 1 + min(3, len(image.shape))]
    if np.isfinite(stored).all() and (stored > 0).all():
        return None
    got = " ".join(f"{step:g}" for step in stored)
    return found("bad-spacing", case=case, file=path, expected="voxel sizes above 0 mm", got=got)


def _stored_pixdim(path: Path, image: Any) -> NDArray[np.float64]:
    header = image.header
    try:
        holder = image.file_map.get("header") or image.file_map["image"]
        with holder.get_prepare_fileobj("rb") as stream:
            header = type(header).from_fileobj(stream, check=False)
    except (OSError, EOFError, ValueError, zlib.error):
        pass  # the mended one then
    return np.array(header["pixdim"], dtype=np.float64)


def _header_findings(opened: OpenedFile, case: str) -> list[Finding]:
    header, affine = opened.image.header, opened.grid.affine
    path, findings = opened.path, []

    def add(kind: str, expected: str, got: str) -> None:
        findings.append(found(kind, case=case, file=path, expected=expected, got=got))

    if min(opened.grid.shape) == 1:
        shape = "×".join(str(n) for n in opened.grid.shape)
        add("flat-volume", "more than one voxel along every axis", f"{shape} (z × y × x)")
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = np.array(opened.grid.spacing_mm[::-1])
    if (np.abs(spacing / norms - 1) > _SAME_SPACING).any():
        shown = " ".join(f"{step:.4g}" for step in spacing)
        add("spacing-differs-from-affine", f"the affine's {_mm(norms)}", f"{shown} in the header")
    axes = affine[:3, :3] / norms
    if np.abs(axes.T @ axes - np.eye(3)).max() > _PERPENDICULAR:
        add("sheared", "perpendicular axes", "sheared ones")
    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes == (0, 0):
        add("no-orientation", "an sform or qform", "neither")
    elif min(codes) > 0:
        apart = _forms_apart(opened)
        if apart > _SAME_FORMS_VOXELS:
            got = f"a corner {apart:.3g} voxels apart"
            add("sform-differs-from-qform", "sform and qform to agree", got)
    unit = _unit(header)
    if unit not in ("mm", "unknown"):
        add("units-not-mm", "millimetres", unit)
    return findings


def _mm(steps: NDArray[np.float64]) -> str:
    return " ".join(f"{step:.4g}" for step in steps) + " mm"


def _unit(header: Any) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return "an unknown code"


def _forms_apart(opened: OpenedFile) -> float:
    """Return how many voxels apart sform and qform put the volume's corners."""
    header, grid = opened.image.header, opened.grid
    try:
        qform = header.get_qform()
    except (ValueError, nib.spatialimages.HeaderDataError):
        return float("inf")
    sform = header.get_sform()
    if not np.isfinite(qform).all():
        return float("inf")
    other = Grid(grid.shape, qform, grid.spacing_mm, grid.n_channels)
    return displacement_voxels(Grid(grid.shape, sform, grid.spacing_mm, grid.n_channels), other)
