"""Cases compared with each other: what most have and one lacks, and who is far from the rest.

Examined cases enter, findings leave. An outlier is judged on a logarithmic scale against the
median and the spread of all cases, and never below a factor that is odd in itself.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import nibabel as nib
import numpy as np

from .examine import Examined
from .findings import Finding, found
from .grid import Grid

Placed = Sequence[tuple[Examined, Grid]]

PRESENT_IN_MOST = 0.9
"""A class that so many labelled cases have is expected in every one."""
_FEWEST = 5
_SPREADS = 6.0
_ODD_SPACING, _ODD_EXTENT, _ODD_INTENSITY = 2.0, 2.5, 10.0


def compare_cases(cases: Sequence[Examined], classes: Mapping[int, str] | None) -> list[Finding]:
    """Return the findings that no case shows on its own."""
    placed = [(case, case.grid) for case in cases if case.grid is not None]
    return [
        *_class_findings(cases, classes or {}),
        *_spacing_outliers(placed),
        *_extent_outliers(placed),
        *_orientation_outliers(cases),
        *_intensity_outliers(cases),
        *_duplicate_labels(cases),
    ]


# ---- classes -----------------------------------------------------------------------------
def _class_findings(cases: Sequence[Examined], classes: Mapping[int, str]) -> list[Finding]:
    labelled = [case for case in cases if case.label is not None]
    findings: list[Finding] = []
    for value, name in classes.items():
        having = [case for case in labelled if case.label and case.label.voxels.get(value)]
        if not value or not labelled:
            continue
        if not having:
            expected = f"class {value} {name} in at least one of {len(labelled)} labels"
            findings.append(found("class-nowhere", expected=expected, got="none"))
            continue
        findings += _missing_by_split(value, name, having, labelled)
        if len(having) < PRESENT_IN_MOST * len(labelled):
            continue
        for case in labelled:
            if case not in having and case.label is not None and not case.label.is_empty:
                findings.append(_missing(case, value, name, len(having), len(labelled)))
    return findings


def _missing(case: Examined, value: int, name: str, n_having: int, n_labelled: int) -> Finding:
    return found(
        "class-missing",
        case=case.name,
        file=case.case.label,
        expected=f"class {value} {name}, as in {n_having} of {n_labelled} labels",
        got="no voxel of it",
        evidence={"class": value, "present_in": n_having, "labelled": n_labelled},
    )


def _missing_by_split(
    value: int, name: str, having: Sequence[Examined], labelled: Sequence[Examined]
) -> Iterable[Finding]:
    splits = {case.case.split for case in labelled}
    present = {case.case.split for case in having}
    if not {"train", "test"} <= splits:
        return
    n_test = sum(case.case.split == "test" for case in labelled)
    if "test" not in present:
        expected, got = f"class {value} {name} in the test set", f"none in its {n_test} cases"
        yield found("class-missing-in-test", expected=expected, got=got)
    if "train" not in present:
        expected, got = f"class {value} {name} in the training set", "none"
        yield found("class-missing-in-training", expected=expected, got=got)


# ---- outliers ----------------------------------------------------------------------------
def outliers(values: Sequence[float], factor: float) -> list[int]:
    """Return which positive values lie far from the rest.

    Parameters
    ----------
    factor
        Less than this factor from the median is never far.

    Notes
    -----
    Far is also more than six robust standard deviations (1.4826 times the median absolute
    deviation) of the logarithm. Fewer than five values have no outliers.
    """
    array = np.array(values, dtype=np.float64)
    usable = np.isfinite(array) & (array > 0)
    if usable.sum() < _FEWEST:
        return []
    logs = np.log(np.where(usable, array, 1))
    middle = np.median(logs[usable])
    away = np.abs(logs - middle)
    spread = 1.4826 * float(np.median(away[usable]))
    limit = max(math.log(factor), _SPREADS * spread)
    return np.flatnonzero(usable & (away > limit)).tolist()


def _spacing_outliers(placed: Placed) -> Iterable[Finding]:
    """Compare in-plane and slice spacing apart: the largest of the three is the slice's."""
    odd: dict[int, float] = {}
    for place in range(3):
        values = [sorted(grid.spacing_mm)[place] for _, grid in placed]
        for row in outliers(values, _ODD_SPACING):
            odd.setdefault(row, float(np.median(values)))
    for row, usual in sorted(odd.items()):
        case, grid = placed[row]
        shown = " ".join(f"{mm:.4g}" for mm in grid.spacing_mm)
        yield found(
            "spacing-outlier",
            case=case.name,
            file=grid.file,
            expected=f"a voxel size near the other cases' ({usual:.3g} mm)",
            got=f"{shown} mm (z y x)",
        )


def _extent_outliers(placed: Placed) -> Iterable[Finding]:
    litres = [math.prod((*grid.shape, *grid.spacing_mm)) / 1e6 for _, grid in placed]
    for row in outliers(litres, _ODD_EXTENT**3):
        case, grid = placed[row]
        yield found(
            "extent-outlier",
            case=case.name,
            file=grid.file,
            expected=f"a volume near the other cases' {np.median(litres):.3g} litres",
            got=f"{litres[row]:.3g} litres",
        )


def _orientation_outliers(cases: Sequence[Examined]) -> list[Finding]:
    codes = {}
    for case in cases:
        if case.image_files:
            codes[case.name] = "".join(nib.aff2axcodes(case.image_files[0].grid.affine))
    if len(codes) < _FEWEST:
        return []
    usual, n_usual = Counter(codes.values()).most_common(1)[0]
    if n_usual < PRESENT_IN_MOST * len(codes):
        return []
    return [
        found(
            "orientation-outlier",
            case=case.name,
            file=case.case.images[0],
            expected=f"axes stored towards {usual}, as in {n_usual} of {len(codes)} cases",
            got=codes[case.name],
        )
        for case in cases
        if codes.get(case.name, usual) != usual
    ]


def _intensity_outliers(cases: Sequence[Examined]) -> list[Finding]:
    """Compare the span between the 10 and 99 % quantiles, channel by channel."""
    findings = []
    most = max((len(case.image.channels) for case in cases if case.image), default=0)
    for number in range(most):
        having = [case for case in cases if case.image and len(case.image.channels) > number]
        spans = [_span(case, number) for case in having]
        for row in outliers(spans, _ODD_INTENSITY):
            usual = float(np.median(spans))
            findings.append(
                found(
                    "intensity-outlier",
                    case=having[row].name,
                    file=having[row].case.images[min(number, len(having[row].case.images) - 1)],
                    expected=f"intensities that span about {usual:.4g} (10 to 99 %)",
                    got=f"{spans[row]:.4g}",
                )
            )
    return findings


def _span(case: Examined, channel: int) -> float:
    assert case.image is not None
    quantiles = case.image.channels[channel].quantiles
    return quantiles[-1] - quantiles[1]


def _duplicate_labels(cases: Sequence[Examined]) -> list[Finding]:
    same: dict[str, list[Examined]] = defaultdict(list)
    for case in cases:
        if case.label is not None and not case.label.is_empty:
            same[case.label.digest].append(case)
    findings = []
    for group in same.values():
        for other in group[1:]:
            if _same_image(group[0], other):
                continue  # reported as duplicate-image
            findings.append(
                found(
                    "duplicate-label",
                    case=other.name,
                    file=other.case.label,
                    expected="a label of its own",
                    got=f"exactly that of {group[0].name}",
                    related=[group[0].name],
                )
            )
    return findings


def _same_image(a: Examined, b: Examined) -> bool:
    digests = [{c.digest for c in case.image.channels} if case.image else set() for case in (a, b)]
    return bool(digests[0] & digests[1])
