"""Memory and time of a run before it starts, asked from a child process. No Qt.

``unet-mic train … --estimate --json`` trains a few iterations on the device that would train:
in a process of its own, so that torch never enters napari and a Cancel ends it at once.
`ask_estimate` waits for it in a thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.gui.commands import train_words
from napari_unet_mic.gui.run_words import duration
from napari_unet_mic.jobs.process import ending, kill_tree
from napari_unet_mic.training.run import RunSettings

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Estimate:
    """What a run would take, measured on a few iterations."""

    seconds_per_iteration: float
    seconds_per_epoch: float
    seconds_total: float
    memory_bytes: int
    device: str
    precision: str
    sentence: str

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Estimate:
        """Read what ``--estimate --json`` printed; fields of a later release are passed over."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    @property
    def words(self) -> str:
        """What to show: the whole time first."""
        return (
            f"{duration(self.seconds_total)} in all · {self.seconds_per_iteration:.2g} s an "
            f"iteration · {self.memory_bytes / 1e9:.1f} GB"
        )


def estimate_words(settings: RunSettings) -> list[str]:
    """Return the words after ``unet-mic`` that estimate a run."""
    return [*train_words(settings), "--estimate", "--json"]


def ask_estimate(
    settings: RunSettings,
    *,
    command: Sequence[str] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Estimate:
    """Run the estimate in a child and wait for its answer; call it in a thread.

    Raises
    ------
    BadInput
        The child could not estimate; its sentence is passed on.
    Cancelled
        `should_stop` said so; the child has been ended.
    """
    line = list(command or [sys.executable, "-m", "napari_unet_mic", *estimate_words(settings)])
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    with subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    ) as child:
        output, said = _outcome(child, should_stop)
    try:
        if child.returncode == 0:
            return Estimate.from_json(json.loads(output))
        lines = [text.strip() for text in said.splitlines() if text.strip()]
        got = lines[-1] if lines else f"an end {ending(child.returncode)}"
    except (ValueError, KeyError, TypeError):
        got = output[:80] or "no answer"
    raise BadInput(
        "the estimate",
        expected="settings that can be tried for a few iterations",
        got=got.removeprefix("unet-mic: "),
        advice="correct that, then estimate again",
    )


def _outcome(child: subprocess.Popen[str], should_stop: Callable[[], bool]) -> tuple[str, str]:
    while True:
        try:
            return child.communicate(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if should_stop():
                kill_tree(child.pid)
                raise Cancelled("the estimate") from None
