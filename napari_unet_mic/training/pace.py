"""The pace of a run: seconds an iteration takes, without what is no work.

In: a call per iteration. Out: seconds per iteration, the seconds of an epoch, and the share of
them in which the network waited for batches. A step that took far longer than the others (the
computer slept, a virtual machine was halted, somebody suspended the process) is no work and is
left out, so that the time left stays true.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

SLEEP_SECONDS, SLEEP_FACTOR = 60.0, 20.0
"""A step longer than both (the latter times the median step) was not spent on work."""
RECENT = 50


class Pace:
    """Times steps; `begin` an epoch, then call `step` after each of its iterations."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=RECENT)
        self.begin()

    def begin(self) -> None:
        """Begin an epoch: its sums start from zero, the recent pace is remembered."""
        self.seconds = self.waited = 0.0
        self.resume()

    def resume(self) -> None:
        """Go on after a time that does not count (a pause)."""
        self._mark = self._clock()

    def step(self) -> None:
        """Note that an iteration has ended."""
        now = self._clock()
        took, self._mark = now - self._mark, now
        usual = statistics.median(self._recent) if self._recent else took
        if took > max(SLEEP_SECONDS, SLEEP_FACTOR * usual):
            return
        self._recent.append(took)
        self.seconds += took

    def fetching(self, batches: Iterable[T]) -> Generator[T, None, None]:
        """Yield the batches, counting the time spent waiting for each."""
        source = iter(batches)
        while True:
            asked = self._clock()
            try:
                batch = next(source)
            except StopIteration:
                return
            waited = self._clock() - asked
            if waited < SLEEP_SECONDS:
                self.waited += waited
            yield batch

    @property
    def seconds_per_iteration(self) -> float:
        """The mean of the last steps; 0 before the first."""
        return sum(self._recent) / len(self._recent) if self._recent else 0.0

    @property
    def waiting_share(self) -> float:
        """The share of the epoch's time in which the network waited for batches."""
        return min(1.0, self.waited / self.seconds) if self.seconds > 0 else 0.0
