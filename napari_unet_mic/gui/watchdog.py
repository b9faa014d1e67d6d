"""A watchdog over the GUI thread: how long was the event loop away, and in whose code.

A timer on the GUI thread beats every few milliseconds; a sampling thread looks at the GUI
thread's stack whenever a beat is late. What comes out is a list of `Gap`: its length, the
processor time the GUI thread itself spent in it (the rest was another process' or waiting),
and the function of this package that was at work, if any was. Tests and benchmarks use it;
a normal session does not start it.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType

from qtpy.QtCore import QObject, Qt, QTimer

PACKAGE = "napari_unet_mic."


@dataclass(frozen=True)
class Gap:
    """The event loop did not turn for `seconds` (`cpu_seconds` of them computing).

    `where` names the outermost function of this package found on the stack meanwhile, or is
    empty when none was seen (napari's or Qt's own work); `calls` adds what it called.
    """

    seconds: float
    cpu_seconds: float
    where: str = ""
    calls: str = ""


class Watchdog(QObject):
    """Records every gap of the event loop that is longer than `report_seconds`.

    Parameters
    ----------
    report_seconds
        Gaps at least this long are kept in `gaps`.
    beat_ms
        The timer's interval; it is subtracted from what is measured.
    """

    def __init__(
        self, report_seconds: float = 0.02, beat_ms: int = 5, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.report_seconds = report_seconds
        self.gaps: list[Gap] = []
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(beat_ms)
        self._timer.timeout.connect(self._on_beat)
        self._beat_seconds = beat_ms / 1000
        self._last = self._last_cpu = 0.0
        self._seen: tuple[str, str] = ("", "")
        self._sampler: threading.Thread | None = None
        self._done = threading.Event()

    def start(self) -> None:
        """Begin to measure; call it on the GUI thread."""
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._done.clear()
        gui_thread = threading.get_ident()
        self._sampler = threading.Thread(
            target=self._sample, args=(gui_thread,), name="watchdog", daemon=True
        )
        self._sampler.start()
        self._timer.start()

    def stop(self) -> list[Gap]:
        """End the measurement and return the gaps found."""
        self._timer.stop()
        self._on_beat()
        self._done.set()
        if self._sampler is not None:
            self._sampler.join()
            self._sampler = None
        return self.gaps

    @property
    def longest(self) -> Gap:
        """The longest gap of all (of zero length when there was none)."""
        return max(self.gaps, key=lambda gap: gap.seconds, default=Gap(0.0, 0.0))

    def ours(self, seconds: float = 0.05) -> list[Gap]:
        """Gaps of at least `seconds` of computing in which code of this package was at work."""
        return [gap for gap in self.gaps if gap.where and gap.cpu_seconds >= seconds]

    def _on_beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        away = now - self._last - self._beat_seconds
        if away >= self.report_seconds:
            self.gaps.append(Gap(away, cpu - self._last_cpu, *self._seen))
        self._last, self._last_cpu, self._seen = now, cpu, ("", "")

    def _sample(self, gui_thread: int) -> None:
        while not self._done.wait(self._beat_seconds):
            if time.perf_counter() - self._last < 2 * self._beat_seconds or self._seen[0]:
                continue
            frame = sys._current_frames().get(gui_thread)
            if frame is not None:
                self._seen = _package_calls(frame)


def _package_calls(frame: FrameType | None) -> tuple[str, str]:
    """Return the outermost function of this package on a stack, and the innermost call."""
    innermost, outermost = "", ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        name = f"{module}:{frame.f_code.co_qualname}:{frame.f_lineno}"
        innermost = innermost or name
        if module.startswith(PACKAGE) and module != __name__:
            outermost = name
        frame = frame.f_back
    return (outermost, innermost) if outermost else ("", "")
