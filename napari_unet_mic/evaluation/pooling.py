"""The confusion tables of all cases as one: voxels pooled, or shares averaged over the cases.

Cases that were counted enter. Pooled voxels let a large case speak louder; the mean over
cases gives every case one voice. Both are true, and they differ, so both are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_unet_mic.evaluation.confusion import Table
from napari_unet_mic.evaluation.results import CaseResult

Whole = Literal["true", "predicted"]


@dataclass(frozen=True, eq=False)
class MeanShares:
    """Shares in per cent, averaged over the cases in which there is something to share.

    Attributes
    ----------
    percent
        (K, K); NaN where no case holds the class.
    n
        (K,) cases behind each row (of the true class) or column (of the predicted class).
    of
        Whether a cell is a share of its true or of its predicted class.
    """

    percent: npt.NDArray[np.float64]
    n: tuple[int, ...]
    of: Whole


def table_over(case: CaseResult, values: Sequence[int]) -> Table:
    """Return a case's table with a row and column for each of these values.

    A value that the case does not list has zeros. Raises ValueError for a case that was
    never counted, or that lists a value which is not among `values`.
    """
    if case.table is None:
        raise ValueError(f"{case.name} has no confusion table")
    places = [list(values).index(value) for value in case.values]
    table = np.zeros((len(values), len(values)), np.int64)
    table[np.ix_(places, places)] = case.table
    return table


def pooled_table(cases: Sequence[CaseResult], values: Sequence[int]) -> Table | None:
    """Add the voxels of all cases; None without cases, or when one was never counted."""
    if not cases or any(case.table is None for case in cases):
        return None
    tables = [table_over(case, values) for case in cases]
    return np.asarray(np.sum(tables, axis=0, dtype=np.int64))


def mean_shares(
    cases: Sequence[CaseResult], values: Sequence[int], of: Whole = "true"
) -> MeanShares | None:
    """Average every cell's share of its true (or predicted) class over the cases.

    Cases without a voxel of the class are left out of its row (or column). None without
    cases, or when one was never counted.
    """
    if not cases or any(case.table is None for case in cases):
        return None
    tables = np.stack([table_over(case, values) for case in cases]).astype(np.float64)
    whole = tables.sum(axis=2 if of == "true" else 1, keepdims=True)  # (n, K, 1) or (n, 1, K)
    shares = np.divide(100.0 * tables, whole, out=np.zeros_like(tables), where=whole > 0)
    n = (whole > 0).sum(axis=0)  # (K, 1) or (1, K)
    total = shares.sum(axis=0)
    percent = np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
    return MeanShares(percent, tuple(int(one) for one in n.ravel()), of)
