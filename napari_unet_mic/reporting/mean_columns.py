"""The means over cases as named columns: what the panel shows and the command prints alike.

`ClassMeans` enter, columns leave: a heading, what it means in plain words, and the figure.
There are several true answers to "how good is this class?", so each has its own name, and
every mean stands beside the number of cases behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_unet_mic.evaluation.ranking import Which
from napari_unet_mic.evaluation.results import ClassMeans

Figure = float | int | None


@dataclass(frozen=True)
class MeanColumn:
    """One column.

    Attributes
    ----------
    digits
        After the point; None for a number of cases.
    which
        The cases behind it, in the words of `napari_unet_mic.evaluation.ranking.by_mean`.
    """

    heading: str
    words: str
    digits: int | None
    of: Callable[[ClassMeans], Figure]
    which: Which

    def text(self, value: Figure) -> str:
        """Write a figure of this column; an undefined one is ``""``."""
        if value is None:
            return ""
        return str(value) if self.digits is None else f"{value:.{self.digits}f}"


_MEAN = (
    "nnU-Net's own mean over cases: a case with the class in neither map is skipped, "
    "a case with only false positives counts 0"
)
_PRESENT = "Mean over the cases whose reference contains the class"
_POOLED = "The voxels of all cases together, as if they were one case"

OVERLAP = (
    MeanColumn("mean IoU", _MEAN, 4, lambda one: one.iou, "iou"),
    MeanColumn(
        "cases", "Cases behind the mean: the class is in either map", None, lambda one: one.n, "iou"
    ),
    MeanColumn("IoU if present", _PRESENT, 4, lambda one: one.iou_present, "iou present"),
    MeanColumn(
        "cases with class",
        "Cases behind 'if present': the reference contains the class",
        None,
        lambda one: one.n_present,
        "iou present",
    ),
    MeanColumn("pooled IoU", _POOLED, 4, lambda one: one.iou_pooled, "pooled"),
    MeanColumn("mean Dice", _MEAN, 4, lambda one: one.dice, "dice"),
    MeanColumn("Dice if present", _PRESENT, 4, lambda one: one.dice_present, "dice present"),
    MeanColumn("pooled Dice", _POOLED, 4, lambda one: one.dice_pooled, "pooled"),
)

EMPTY = (
    MeanColumn(
        "empty references",
        "References without a voxel of the class",
        None,
        lambda one: one.n_empty,
        "empty",
    ),
    MeanColumn(
        "with false positives",
        "Empty references in which the class was predicted nevertheless (each counts 0 in "
        "the mean)",
        None,
        lambda one: one.n_empty_spurious,
        "spurious",
    ),
    MeanColumn(
        "without",
        "Empty references in which the class was rightly not predicted (skipped by the mean)",
        None,
        lambda one: one.n_empty_clean,
        "clean",
    ),
)


def surface_columns(tolerance_mm: float | None) -> tuple[MeanColumn, ...]:
    """Return the columns of HD95 and NSD; the tolerance is part of NSD's name."""
    nsd = nsd_heading(tolerance_mm)
    return (
        MeanColumn(
            "HD95 mm",
            "95th percentile of the distance between the two surfaces; mean over the cases "
            "with the class in both maps",
            2,
            lambda one: one.hd95_mm,
            "hd95_mm",
        ),
        MeanColumn(
            "cases HD95",
            "Cases behind HD95: the class is in both maps",
            None,
            lambda one: one.n_hd95,
            "hd95_mm",
        ),
        MeanColumn(
            nsd,
            "Share of both surfaces that lies within the tolerance of the other; a case with "
            "the class in only one map counts 0",
            4,
            lambda one: one.nsd,
            "nsd",
        ),
        MeanColumn(
            "cases NSD",
            "Cases behind NSD: the class is in either map",
            None,
            lambda one: one.n_nsd,
            "nsd",
        ),
    )


def all_columns(tolerance_mm: float | None, *, measured: bool) -> tuple[MeanColumn, ...]:
    """Return every column; those of surfaces only where surfaces were measured."""
    return (*OVERLAP, *(surface_columns(tolerance_mm) if measured else ()), *EMPTY)


def nsd_heading(tolerance_mm: float | None) -> str:
    """Return what NSD's column is called."""
    return "NSD" if tolerance_mm is None else f"NSD {tolerance_mm:g} mm"
