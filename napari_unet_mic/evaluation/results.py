"""What an evaluation found: one record a case, and the means over cases.

Scores enter, means leave. There are several true answers to "how good is this class?",
and each has its own name here: the headline mean is nnU-Net's own (cases with the class
in neither map are skipped, a case with only false positives counts 0); beside it the mean
over the cases that contain the class, and the pooled figure of all voxels together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import Table
from napari_unet_mic.evaluation.lesion import Lesion, LesionQuestion
from napari_unet_mic.evaluation.overlap import ClassScore


@dataclass(frozen=True)
class SurfaceScore:
    """How far the surfaces of one class lie apart; None where that is not defined."""

    hd95_mm: float | None = None
    nsd: float | None = None


@dataclass(frozen=True, eq=False)
class CaseResult:
    """What was counted in one case.

    Parameters
    ----------
    scores
        By class value; the background has its own where a table was counted.
    surfaces
        By class value, without the background; empty when not asked for.
    table
        (K, K) voxels, row and column r for class ``values[r]``; None when only nnU-Net's
        summary.json is known.
    voxel_ml
        None when unknown.
    displacement_voxels
        How far apart the corners of the two grids are (0: the same grid).
    lesions
        Of both maps; None when nobody looked for them.
    """

    name: str
    reference_file: str
    prediction_file: str
    scores: Mapping[int, ClassScore]
    surfaces: Mapping[int, SurfaceScore] = field(default_factory=dict)
    table: Table | None = None
    voxel_ml: float | None = None
    displacement_voxels: float = 0.0
    lesions: tuple[Lesion, ...] | None = None

    @property
    def values(self) -> tuple[int, ...]:
        """The classes that were scored, in the order of the table's rows."""
        return tuple(sorted(self.scores))

    def ml(self, voxels: int) -> float | None:
        """Turn voxels of this case into millilitres."""
        return None if self.voxel_ml is None else voxels * self.voxel_ml

    @property
    def foreground_iou(self) -> float | None:
        """Mean IoU of the foreground classes that are in either map; None without any."""
        return mean_of(score.iou for value, score in self.scores.items() if value)[0]


@dataclass(frozen=True)
class FailedCase:
    """A case that could not be compared, and the sentence that says why."""

    name: str
    sentence: str


@dataclass(frozen=True)
class ClassMeans:
    """One class over many cases; every mean comes with the number of cases behind it.

    Parameters
    ----------
    iou, dice, n
        nnU-Net's own mean over the n cases with the class in either map: a case with only
        false positives counts 0, a case with neither is skipped.
    iou_present, dice_present, n_present
        Mean over the cases whose reference contains the class.
    iou_pooled, dice_pooled
        Of all cases' voxels together.
    n_empty, n_empty_clean, n_empty_spurious
        References without the class, of these predicted empty, and with false positives.
    hd95_mm, n_hd95, nsd, n_nsd
        Means over the cases where they are defined.
    """

    value: int
    name: str
    iou: float | None
    dice: float | None
    n: int
    iou_present: float | None
    dice_present: float | None
    n_present: int
    iou_pooled: float | None
    dice_pooled: float | None
    n_empty: int
    n_empty_clean: int
    n_empty_spurious: int
    hd95_mm: float | None
    n_hd95: int
    nsd: float | None
    n_nsd: int
    pooled: ClassScore


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions compared with references, case by case.

    Parameters
    ----------
    classes
        Name of every class value, 0 (background) first.
    tolerance_mm
        What the NSD allows a surface to be displaced; None when no surfaces were measured.
    notes
        Sentences for the person: files without partner, displaced grids.
    failed
        Cases that could not be compared; they are in no figure.
    ignore
        The reference value whose voxels are in no figure; None without one.
    lesions
        Which lesions were looked for; None when none were.
    """

    cases: tuple[CaseResult, ...]
    classes: Mapping[int, str]
    tolerance_mm: float | None = None
    notes: tuple[str, ...] = ()
    failed: tuple[FailedCase, ...] = ()
    ignore: int | None = None
    lesions: LesionQuestion | None = None

    def case(self, name: str) -> CaseResult:
        """Return one case by its name (KeyError when there is none)."""
        return {case.name: case for case in self.cases}[name]

    @property
    def values(self) -> tuple[int, ...]:
        """Every class that was scored in some case: the rows of the pooled table."""
        return tuple(sorted({value for case in self.cases for value in case.scores}))

    @property
    def pooled_table(self) -> Table | None:
        """(K, K) voxels of all cases together; None unless every case has its table."""
        from napari_unet_mic.evaluation.pooling import pooled_table

        return pooled_table(self.cases, self.values)

    @property
    def pooled_ml(self) -> npt.NDArray[np.float64] | None:
        """(K, K) millilitres of all cases together; None unless every case knows both."""
        from napari_unet_mic.evaluation.pooling import table_over

        if any(case.table is None or case.voxel_ml is None for case in self.cases):
            return None
        tables = [table_over(case, self.values) * (case.voxel_ml or 0.0) for case in self.cases]
        return np.sum(tables, axis=0) if tables else None

    def write(self, folder: str | Path) -> None:
        """Write summary.json and the CSV files into `folder`, each whole."""
        from napari_unet_mic.evaluation.result_files import write_evaluation

        write_evaluation(self, folder)

    def means_of(self, value: int) -> ClassMeans:
        """Return the means of one class over all cases."""
        scores = [case.scores[value] for case in self.cases if value in case.scores]
        surfaces = [case.surfaces[value] for case in self.cases if value in case.surfaces]
        with_class = [score for score in scores if score.n_ref]
        empty = [score for score in scores if not score.n_ref]
        iou, n = mean_of(score.iou for score in scores)
        hd95, n_hd95 = mean_of(surface.hd95_mm for surface in surfaces)
        nsd, n_nsd = mean_of(surface.nsd for surface in surfaces)
        pooled = pool(value, scores)
        return ClassMeans(
            value=value,
            name=self.classes.get(value, f"class {value}"),
            iou=iou,
            dice=mean_of(score.dice for score in scores)[0],
            n=n,
            iou_present=mean_of(score.iou for score in with_class)[0],
            dice_present=mean_of(score.dice for score in with_class)[0],
            n_present=len(with_class),
            iou_pooled=pooled.iou,
            dice_pooled=pooled.dice,
            n_empty=len(empty),
            n_empty_clean=sum(1 for score in empty if not score.n_pred),
            n_empty_spurious=sum(1 for score in empty if score.n_pred),
            hd95_mm=hd95,
            n_hd95=n_hd95,
            nsd=nsd,
            n_nsd=n_nsd,
            pooled=pooled,
        )

    @property
    def class_means(self) -> tuple[ClassMeans, ...]:
        """Means of every class that was scored, the background first where it was."""
        return tuple(self.means_of(value) for value in self.values)

    @property
    def foreground_iou(self) -> float | None:
        """nnU-Net's ``foreground_mean`` IoU; None where nnU-Net writes NaN."""
        return self._foreground("IoU")

    @property
    def foreground_dice(self) -> float | None:
        """nnU-Net's ``foreground_mean`` Dice; None where nnU-Net writes NaN."""
        return self._foreground("Dice")

    def _foreground(self, metric: str) -> float | None:
        value = self.summary()["foreground_mean"][metric]
        return None if math.isnan(value) else float(value)

    def summary(self) -> dict[str, Any]:
        """Return what nnU-Net v2 writes into summary.json, NaN included.

        Notes
        -----
        ``nnunetv2.evaluation.evaluate_predictions.compute_metrics_on_folder``: per class
        the NaN-skipping mean over cases, then the plain mean over foreground classes; keys
        sorted, the background left out.
        """
        metrics = [
            {str(value): _metrics(score) for value, score in case.scores.items() if value}
            for case in self.cases
        ]
        keys = sorted({key for case in metrics for key in case})
        means = {
            key: {
                metric: _nan_mean([case[key][metric] for case in metrics if key in case])
                for metric in METRICS
            }
            for key in keys
        }
        foreground = {
            metric: float(np.mean([mean[metric] for mean in means.values()])) if means else math.nan
            for metric in METRICS
        }
        per_case = [
            {
                "metrics": dict(sorted(case_metrics.items())),
                "prediction_file": case.prediction_file,
                "reference_file": case.reference_file,
            }
            for case, case_metrics in zip(self.cases, metrics, strict=True)
        ]
        return {"foreground_mean": foreground, "mean": means, "metric_per_case": per_case}


METRICS = ("Dice", "FN", "FP", "IoU", "TN", "TP", "n_pred", "n_ref")


def _metrics(score: ClassScore) -> dict[str, float | int]:
    return {
        "Dice": math.nan if score.dice is None else score.dice,
        "FN": score.fn,
        "FP": score.fp,
        "IoU": math.nan if score.iou is None else score.iou,
        "TN": score.tn,
        "TP": score.tp,
        "n_pred": score.n_pred,
        "n_ref": score.n_ref,
    }


def _nan_mean(values: list[float | int]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def mean_of(values: Iterable[float | None]) -> tuple[float | None, int]:
    """Return the mean of the values that are defined, and how many those are."""
    known = [value for value in values if value is not None]
    return (float(np.mean(known)) if known else None), len(known)


def pool(value: int, scores: Iterable[ClassScore]) -> ClassScore:
    """Add the voxels of one class over several cases."""
    every = list(scores)
    return ClassScore(
        value,
        sum(score.tp for score in every),
        sum(score.fp for score in every),
        sum(score.fn for score in every),
        sum(score.tn for score in every),
    )
