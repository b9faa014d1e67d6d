"""Training in napari's activity dock: a bar, a name and the time left for every running run.

Statuses of runs come in a few times a second; what changed reaches the dock about once a
second. Changing a bar makes napari turn its event loop, in which this may be called again: that
call is passed over, the next one catches up. Beside them napari turns a wheel at 33 pictures a
second, each of which draws the whole window anew: without a graphics card that costs a third of a
processor core all night, so it turns slowly meanwhile.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.utils.progress import progress
from qtpy.QtWidgets import QLabel, QWidget

from napari_unet_mic.gui.run_watch import RunStatus
from napari_unet_mic.gui.run_words import duration

STEPS = 1000
APART_SECONDS = 1.0
SLOWLY = 6
"""Speed of napari's wheel in per cent while runs are at work: two pictures a second."""


class _Bar(progress):
    """A bar whose words are ours: tqdm would guess the time left from its own start."""

    left = ""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Tell the dock the time left, and print nothing."""
        self.events.eta(value=self.left)


class TrainingActivity:
    """Keeps the activity dock in step with the runs that are at work.

    Parameters
    ----------
    make_bar
        Makes a bar, by default one of napari's (``total``, ``desc``).
    window
        The window whose wheel is slowed down.
    """

    def __init__(self, make_bar: Any = _Bar, window: QWidget | None = None) -> None:
        self._make_bar = make_bar
        self._window = None if window is None else weakref.ref(window)
        self._bars: dict[Path, Any] = {}
        self._inside = self._closed = False
        self._next = 0.0

    def show(self, statuses: Sequence[RunStatus], now: float | None = None) -> None:
        """Show the runs at work, and take away the bars of those that ended."""
        now = time.monotonic() if now is None else now
        if self._inside or self._closed or now < self._next:
            return
        self._inside, self._next = True, now + APART_SECONDS
        try:
            self._bring_up_to_date({one.folder: one for one in statuses if one.alive})
        finally:
            self._inside = False

    def _bring_up_to_date(self, working: dict[Path, RunStatus]) -> None:
        for folder in [folder for folder in self._bars if folder not in working]:
            self._bars.pop(folder).close()
        self._turn_wheel(SLOWLY if working else 100)
        for folder, status in working.items():
            if self._is_closed():  # while napari turned its event loop
                return
            if folder not in self._bars:
                bar = self._make_bar(total=STEPS, desc=_title(status))
                if self._is_closed():
                    bar.close()
                    return
                self._bars[folder] = bar
            _set(self._bars[folder], status)

    def _turn_wheel(self, speed: int) -> None:
        window = self._window() if self._window else None
        for label in window.findChildren(QLabel) if window else ():
            if (movie := label.movie()) is not None and movie.speed() != speed:
                movie.setSpeed(speed)

    def _is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Take all bars away; training goes on."""
        self._closed = True
        with contextlib.suppress(RuntimeError):  # the window may be gone
            self._turn_wheel(100)
        bars, self._bars = self._bars, {}
        for bar in bars.values():
            with contextlib.suppress(RuntimeError):  # the window may be gone
                bar.close()


def _title(status: RunStatus) -> str:
    return f"{status.name} paused" if status.state == "paused" else status.name


def _set(bar: Any, status: RunStatus) -> None:
    shot = status.snapshot
    left = f"{duration(shot.seconds_left)} left" if shot.seconds_left is not None else ""
    place = round(STEPS * shot.fraction)
    if (place, left, _title(status)) == (bar.n, bar.left, bar.desc.removesuffix(": ")):
        return
    bar.left = left
    if bar.desc.removesuffix(": ") != _title(status):
        bar.set_description(_title(status))
    if place != bar.n:
        bar.update(place - bar.n)
    bar.events.eta(value=left)
