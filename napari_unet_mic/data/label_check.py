"""One case's label looked at: its values, and the connected components of every class.

An opened file enters; a `LabelFacts` (voxels per value, sizes of components) and findings
leave. Components are those of the 26-neighbourhood.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .crop import box_of
from .dataset import value_counts
from .file_check import OpenedFile, read_file
from .findings import Finding, found
from .image_check import digest_of

Array = NDArray[Any]

_WHOLE_NUMBER_TOLERANCE = 1e-3
_SHOWN = 5
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class LabelFacts:
    """What is kept of a label.

    Attributes
    ----------
    voxels
        Value to number of voxels, values that are not there left out.
    components_ml
        Class to the volumes of its connected components in millilitres, largest first.
    """

    voxels: Mapping[int, int]
    voxel_ml: float
    components_ml: Mapping[int, tuple[float, ...]]
    digest: str

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing but background."""
        return not any(self.voxels.get(value) for value in self.voxels if value)

    def volume_ml(self, value: int) -> float:
        """Volume of a class."""
        return self.voxels.get(value, 0) * self.voxel_ml


def check_label(
    opened: OpenedFile, case: str, classes: Mapping[int, str] | None, ignore_value: int | None
) -> tuple[LabelFacts | None, list[Finding]]:
    """Read a label and look at its values.

    Parameters
    ----------
    classes
        Value to name; None when dataset.json does not say (values are not judged then).
    """
    voxels, findings = read_file(opened, case)
    if voxels is None:
        return None, findings
    labels, wrong = _whole_numbers(voxels[..., 0].T, opened, case)
    findings += wrong
    if labels is None:
        return None, findings
    counts = value_counts(labels)
    findings += _value_findings(counts, opened, case, classes, ignore_value)
    foreground = [v for v in (classes or counts) if v and v in counts][:_MOST_CLASSES]
    voxel_ml = float(np.prod(opened.grid.spacing_mm)) / 1000
    components = components_ml(labels, foreground, voxel_ml)
    return LabelFacts(counts, voxel_ml, components, digest_of(labels)), findings


def _whole_numbers(
    array: Array, opened: OpenedFile, case: str
) -> tuple[Array | None, list[Finding]]:
    """Return the label as integers; 0.99999997 is 1, and 0.5 is a finding."""
    if array.dtype.kind in "iu":
        return (array.astype(np.int64) if array.dtype == np.uint64 else array), []
    findings = []
    finite = np.isfinite(array)
    if not finite.all():
        got = f"{int((~finite).sum())} voxels that are NaN or infinite"
        findings.append(
            found(
                "not-finite-label", case=case, file=opened.path, expected="whole numbers", got=got
            )
        )
        array = np.where(finite, array, 0)
    rounded = np.rint(array)
    near = (np.abs(array - rounded) <= _WHOLE_NUMBER_TOLERANCE) & (np.abs(array) < 2**31)
    if near.all():
        return rounded.astype(np.int32), findings
    n_off, example = int((~near).sum()), float(array[~near][0])
    got = f"{n_off} voxel{'s' * (n_off != 1)} that are none, such as {example:g}"
    findings.append(
        found("non-integer-label", case=case, file=opened.path, expected="whole numbers", got=got)
    )
    return None, findings


def _value_findings(
    counts: Mapping[int, int],
    opened: OpenedFile,
    case: str,
    classes: Mapping[int, str] | None,
    ignore_value: int | None,
) -> list[Finding]:
    findings = []
    if classes is not None:
        unknown = [v for v in counts if v not in classes and v != ignore_value]
        if unknown:
            shown = ", ".join(f"{v} ({counts[v]} voxels)" for v in unknown[:_SHOWN])
            more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            declared = ", ".join(f"{value} {name}" for value, name in classes.items())
            expected = f"the classes of dataset.json ({declared})"
            got = f"the value {shown}{more}"
            findings.append(
                found("unknown-label", case=case, file=opened.path, expected=expected, got=got)
            )
    if not any(value for value in counts):
        got = "background everywhere"
        findings.append(
            found("empty-label", case=case, file=opened.path, expected="some foreground", got=got)
        )
    elif not counts.get(0):
        got = "none"
        findings.append(
            found("full-label", case=case, file=opened.path, expected="some background", got=got)
        )
    return findings


def components_ml(
    labels: Array, classes: Collection[int], voxel_ml: float
) -> dict[int, tuple[float, ...]]:
    """Return the volumes of the connected components of each class, largest first."""
    import cc3d

    if not classes:
        return {}
    inside = np.ascontiguousarray(labels[box_of(labels != 0).slices])
    parts = cc3d.connected_components(inside, connectivity=26)
    n_voxels = np.bincount(parts.ravel())
    class_of = np.zeros(len(n_voxels), dtype=np.int64)
    class_of[parts.ravel()] = inside.ravel()  # every voxel of a component says the same
    sizes: dict[int, tuple[float, ...]] = {}
    for value in classes:
        own = np.sort(n_voxels[1:][class_of[1:] == value])[::-1]
        sizes[int(value)] = tuple(float(n * voxel_ml) for n in own)
    return sizes
