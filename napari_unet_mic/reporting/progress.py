"""How far a command is, on stderr: a bar for people, or lines of JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def progress_bar(what: str) -> Callable[[int, int], None]:
    """Return a ``progress(done, total)`` that draws a bar on stderr."""
    from tqdm import tqdm

    bars: list[Any] = []

    def progress(done: int, total: int) -> None:
        if not bars:
            bars.append(tqdm(total=total, desc=what, file=sys.stderr, leave=False, disable=None))
        bars[0].total = total
        bars[0].update(done - bars[0].n)
        if done >= total:
            bars[0].close()

    return progress


def stage_bars(what: str) -> Callable[[str, int, int], None]:
    """Return a ``progress(stage, done, total)`` that draws one bar after the other."""
    bars: dict[str, Callable[[int, int], None]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = progress_bar(f"{what}: {stage}")
        bars[stage](done, total)

    return progress


def progress_line(stage: str, done: int, total: int) -> None:
    """Print how far the work is as one line of JSON on stderr."""
    line = json.dumps({"stage": stage, "done": done, "total": total})
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
