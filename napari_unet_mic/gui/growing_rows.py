"""Rows of numbers that grow at their end, handed out as columns.

A run says a few numbers a quarter of a million times. Appending costs the same however many
rows there are, and a column handed out is a view that later rows do not change: it may be
kept by another thread. No Qt here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
FIRST_ROOM = 64


class GrowingRows:
    """A table of float64 that is appended to.

    Parameters
    ----------
    n_columns
        How many numbers a row has.
    """

    def __init__(self, n_columns: int) -> None:
        self._rows: Numbers = np.empty((FIRST_ROOM, n_columns))
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, row: Sequence[float]) -> None:
        """Add a row at the end."""
        if self._n == len(self._rows):
            wider = np.empty((2 * self._n, self._rows.shape[1]))
            wider[: self._n] = self._rows
            self._rows = wider
        self._rows[self._n] = row
        self._n += 1

    def column(self, number: int) -> Numbers:
        """Return a column, (n,), as a view that stays as it is."""
        return self._rows[: self._n, number]

    def keep(self, wanted: npt.NDArray[np.bool_]) -> None:
        """Drop the rows that are not wanted, (n,); columns handed out earlier do not change."""
        kept = self._rows[: self._n][wanted]
        room = max(FIRST_ROOM, len(kept))
        self._rows = np.empty((room, self._rows.shape[1]))
        self._rows[: len(kept)] = kept
        self._n = len(kept)
