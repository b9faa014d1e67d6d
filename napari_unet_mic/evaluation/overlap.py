"""IoU and Dice of every class of a confusion table, and what an absent class means.

A (K, K) table enters (`napari_unet_mic.evaluation.confusion`), one `ClassScore` per class
leaves, the background included. A class in neither map has no score (None): nothing was
asked of the network. A class that only the prediction holds scores 0, as in nnU-Net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_unet_mic.evaluation.confusion import Table

State = Literal["present", "absent", "missed", "spurious"]


@dataclass(frozen=True)
class ClassScore:
    """How one class of one case (or of pooled cases) was found; counts are voxels."""

    value: int
    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n_ref(self) -> int:
        """Voxels of the class in the reference."""
        return self.tp + self.fn

    @property
    def n_pred(self) -> int:
        """Voxels of the class in the prediction."""
        return self.tp + self.fp

    @property
    def iou(self) -> float | None:
        """TP / (TP + FP + FN) (Jaccard); None when the class is in neither map."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else None

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None when the class is in neither map."""
        both = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / both if both else None

    @property
    def state(self) -> State:
        """Say in which map the class is: both, none, reference only, prediction only."""
        if self.n_ref:
            return "present" if self.n_pred else "missed"
        return "spurious" if self.n_pred else "absent"


def scores_of(table: Table) -> tuple[ClassScore, ...]:
    """Return the score of every class of a confusion table, class 0 first.

    Parameters
    ----------
    table
        (K, K) voxels, rows true class, columns predicted class.

    Notes
    -----
    TP, FP, FN, TN as in nnU-Net's ``evaluate_predictions.compute_tp_fp_fn_tn``; IoU and
    Dice are undefined exactly when TP + FP + FN = 0.
    """
    total = int(table.sum())
    tp = np.diagonal(table)
    n_ref, n_pred = table.sum(axis=1), table.sum(axis=0)
    scores = []
    for value in range(table.shape[0]):
        hit = int(tp[value])
        fp, fn = int(n_pred[value]) - hit, int(n_ref[value]) - hit
        scores.append(ClassScore(value, hit, fp, fn, total - hit - fp - fn))
    return tuple(scores)
