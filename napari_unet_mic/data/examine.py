"""One case examined: first the headers of its files, then their voxels.

A `Case` enters, an `Examined` leaves: grids, what is kept of image and label, findings.
Nothing is raised, whatever the files hold: the unexpected becomes a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .dataset import Case
from .file_check import OpenedFile, Role, open_file
from .findings import Finding, found
from .grid import COMPARABLE_GRID_VOXELS, SAME_GRID_VOXELS, Grid, displacement_voxels
from .image_check import ImageFacts, check_image
from .label_check import LabelFacts, check_label


@dataclass(frozen=True)
class Declaration:
    """What dataset.json declares, as far as it could be read.

    Attributes
    ----------
    channel_names, classes
        None when dataset.json does not say: then they are not judged.
    """

    channel_names: tuple[str, ...] | None
    classes: Mapping[int, str] | None
    ignore_value: int | None = None


@dataclass(frozen=True, eq=False)
class Examined:
    """A case and everything that was found out about it.

    Attributes
    ----------
    image_files, label_file
        Those whose headers could be read.
    image, label
        What was kept of their voxels; None before `examine_voxels` or when unreadable.
    """

    case: Case
    image_files: tuple[OpenedFile, ...] = ()
    label_file: OpenedFile | None = None
    image: ImageFacts | None = None
    label: LabelFacts | None = None
    findings: tuple[Finding, ...] = field(default=())

    @property
    def name(self) -> str:
        """The case's name."""
        return self.case.name

    @property
    def grid(self) -> Grid | None:
        """The grid of the image, or of the label where no image can be read."""
        if self.image_files:
            return self.image_files[0].grid
        return self.label_file.grid if self.label_file else None

    @property
    def n_bytes(self) -> int:
        """The largest file's voxels in memory."""
        files = [*self.image_files, *([self.label_file] if self.label_file else [])]
        return max((file.n_bytes for file in files), default=0)


def examine_headers(case: Case, declared: Declaration) -> Examined:
    """Open a case's files and compare their grids and channels."""
    try:
        with np.errstate(all="ignore"):  # a damaged header holds anything
            return _headers(case, declared)
    except Exception as error:  # a file must never end the check of the others
        return Examined(case, findings=(_unexpected(case, error),))


def examine_voxels(headers: Examined, declared: Declaration, cell_mm: float | None) -> Examined:
    """Read the voxels of a case whose headers were examined; its files are let go of."""
    with np.errstate(all="ignore"):
        return _voxels(headers, declared, cell_mm)


def _voxels(headers: Examined, declared: Declaration, cell_mm: float | None) -> Examined:
    findings = list(headers.findings)
    image, label = None, None
    try:
        image, wrong = check_image(headers.image_files, headers.name, cell_mm)
        findings += wrong
    except Exception as error:
        findings.append(_unexpected(headers.case, error))
    try:
        if headers.label_file is not None:
            label, wrong = check_label(
                headers.label_file, headers.name, declared.classes, declared.ignore_value
            )
            findings += wrong
    except Exception as error:
        findings.append(_unexpected(headers.case, error, headers.case.label))
    return replace(headers, image=image, label=label, findings=tuple(findings))


def _unexpected(case: Case, error: Exception, file: Path | None = None) -> Finding:
    kind = "out-of-memory" if isinstance(error, MemoryError) else "check-failed"
    text = " ".join(str(error).split())[:200]
    return found(
        kind,
        case=case.name,
        file=file or (case.images[0] if case.images else None),
        expected="files that can be examined",
        got=f"{type(error).__name__}: {text}" if text else type(error).__name__,
    )


def _headers(case: Case, declared: Declaration) -> Examined:
    findings: list[Finding] = []
    images = _open_images(case, findings)
    label = None
    if case.label is not None:
        label, wrong = open_file(case.label, "label", case.name)
        findings += wrong
    if len(images) == len(case.images):
        findings += _channel_findings(case, images, declared)
    if images:
        first = images[0].grid
        others = [(image, "the first channel") for image in images[1:]]
        others += [(label, "its image")] if label is not None else []
        for opened, what in others:
            findings += _grid_findings(first, opened, case.name, what)
    return Examined(case, tuple(images), label, findings=tuple(findings))


def _open_images(case: Case, findings: list[Finding]) -> list[OpenedFile]:
    role: Role = "image" if len(case.images) == 1 else "channel"
    if role == "channel" and not any(file.exists() or file.is_symlink() for file in case.images):
        _, wrong = open_file(case.images[0], "image", case.name)
        findings += wrong  # one sentence, not one for every channel
        return []
    opened = []
    for file in case.images:
        image, wrong = open_file(file, role, case.name)
        findings += wrong
        if image is not None:
            opened.append(image)
    return opened


def _channel_findings(
    case: Case, images: Sequence[OpenedFile], declared: Declaration
) -> list[Finding]:
    names = declared.channel_names
    n_channels = sum(image.grid.n_channels for image in images)
    if names is None or n_channels == len(names):
        return []
    expected = f"{len(names)} channel{'s' * (len(names) != 1)} ({', '.join(names)})"
    file = case.images[0]
    return [
        found("channel-count", case=case.name, file=file, expected=expected, got=f"{n_channels}")
    ]


def _grid_findings(first: Grid, opened: OpenedFile, case: str, what: str) -> list[Finding]:
    """Compare a label or channel with the image's grid."""
    grid, related = opened.grid, [str(first.file)]
    if grid.shape != first.shape:
        expected, got = f"the shape {first.shape} of {what}", f"{grid.shape}"
        return [
            found(
                "grid-mismatch",
                case=case,
                file=opened.path,
                expected=expected,
                got=got,
                related=related,
            )
        ]
    apart = displacement_voxels(first, grid)
    if apart <= SAME_GRID_VOXELS:
        return []
    return [
        found(
            "grid-mismatch",
            case=case,
            file=opened.path,
            severity="warning" if apart <= COMPARABLE_GRID_VOXELS else "error",
            expected=f"the grid of {what}",
            got=f"one whose corner lies {apart:.3g} voxels away{_how(first, grid)}",
            related=related,
            evidence={"displacement_voxels": round(apart, 4)},
        )
    ]


def _how(first: Grid, other: Grid) -> str:
    """Say in which way two grids differ: spacing, direction or only origin."""
    spacings = zip(first.spacing_mm, other.spacing_mm, strict=True)
    if any(abs(a / b - 1) > 1e-3 for a, b in spacings):
        a, b = (" ".join(f"{mm:.4g}" for mm in grid.spacing_mm) for grid in (first, other))
        return f" (spacing {b} mm instead of {a})"
    if abs(first.affine[:3, :3] - other.affine[:3, :3]).max() > 1e-3 * min(first.spacing_mm):
        return " (other axis directions)"
    return " (another origin)"
