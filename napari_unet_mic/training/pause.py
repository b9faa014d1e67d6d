"""A pause: what the trainer does while its session is asked to wait.

In: the run (its pause file) and the session that works on it. Out: `RunPaused` and
`RunContinued`, and time that passes without work. A stop ends a pause too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_unet_mic.training.events import Event, RunContinued, RunPaused
from napari_unet_mic.training.run import Run

LOOK_SECONDS = 0.2


class Pause:
    """Waits while a session is asked to pause.

    Attributes
    ----------
    epoch, iteration
        How far training has come; kept up to date by whoever trains.
    """

    def __init__(
        self,
        run: Run,
        session: str,
        emit: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._run, self._session = run, session
        self._emit, self._should_stop = emit, should_stop
        self.epoch, self.iteration = 0, 0

    @property
    def asked(self) -> bool:
        """Whether the session is asked to pause."""
        return self._run.pause_requested(self._session)

    def hold(self, memory: str) -> None:
        """Wait until nobody asks for it any more, or for a stop; `memory` as in the event."""
        self._emit(RunPaused(self.epoch, self.iteration, memory))
        while self.asked and not self._should_stop():
            time.sleep(LOOK_SECONDS)
        if not self._should_stop():
            self._emit(RunContinued(self.epoch, self.iteration))

    def should_stop(self) -> bool:
        """Wait out a pause, then say whether to stop: for work that keeps its memory."""
        if self.asked and not self._should_stop():
            self.hold("the memory stays with the process, which is between two cases")
        return self._should_stop()
