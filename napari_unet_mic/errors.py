"""What can go wrong, as classes that carry data.

Every error this package raises on purpose derives from `UNetMicError`, and its
`str()` is one sentence a person can act on: the thing, what was expected, what
came, what to do. The command line prints that sentence, the panels show it.
"""

from __future__ import annotations

import os
from pathlib import Path


class UNetMicError(Exception):
    """Something a person can act on; ``str(error)`` is the sentence to show."""


class Cancelled(UNetMicError):
    """The person asked for the work to stop; nothing half-written stays behind."""

    def __init__(self, what: str = "the work") -> None:
        self.what = what
        super().__init__(f"{what} was cancelled")


class BadInput(UNetMicError):
    """A file, folder or value is not what this step needs.

    Parameters
    ----------
    thing
        The file, folder or setting meant.
    expected, got
        What was needed and what came, as short phrases.
    advice
        What the person can do about it.
    """

    def __init__(
        self, thing: str | os.PathLike[str], *, expected: str, got: str, advice: str
    ) -> None:
        self.thing = str(thing)
        self.expected = expected
        self.got = got
        self.advice = advice
        super().__init__(f"{self.thing}: expected {expected}, got {got}; {advice}")

    @property
    def file(self) -> Path:
        """The thing as a path (meaningful when it is a file or folder)."""
        return Path(self.thing)


class UnreadableFile(BadInput):
    """A file is missing, truncated, a Git-LFS pointer, or not of its kind."""


class BadDataset(BadInput):
    """A dataset folder or its dataset.json cannot be used as it is."""


class GridMismatch(BadInput):
    """Two volumes that must lie on one grid do not.

    `displacement_voxels` is the largest corner displacement (infinite when the
    shapes differ).
    """

    def __init__(
        self,
        thing: str | os.PathLike[str],
        *,
        expected: str,
        got: str,
        advice: str,
        displacement_voxels: float = float("inf"),
    ) -> None:
        self.displacement_voxels = displacement_voxels
        super().__init__(thing, expected=expected, got=got, advice=advice)


class UnknownClass(BadInput):
    """A label holds a value that the dataset does not declare."""


class ChannelMismatch(BadInput):
    """An image has another number of channels than the plan."""


class BadPlan(BadInput):
    """A plans file is damaged, or asks for something outside the allow-list."""


class StageMismatch(BadInput):
    """Plan and network (or checkpoint) disagree about the number of stages.

    A network with n pooling steps has n + 1 stages.
    """


class BadCheckpoint(BadInput):
    """A checkpoint or model folder cannot be loaded safely or does not fit."""


class RunLocked(UNetMicError):
    """Another trainer is already working on this run."""

    def __init__(self, run_folder: str | os.PathLike[str], holder: str) -> None:
        self.run_folder = Path(run_folder)
        self.holder = holder
        super().__init__(
            f"{run_folder}: a trainer is already working on this run ({holder}); "
            "stop it first, or duplicate the run"
        )


class NotYet(UNetMicError):
    """A command or option that a later release delivers."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not part of this release yet; see CHANGELOG.md for what is")
