"""The warm prediction process, seen from the side that must not import torch.

Requests go to the child as JSON lines on its stdin, answers come back as JSON lines on its
stdout; arrays travel as ``.npy`` files. The child keeps the model and the device loaded
between requests and ends when its stdin closes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from napari_unet_mic.jobs.process import ending, kill_tree, last_words


@dataclass(frozen=True)
class CaseRequest:
    """One case: its channel files, or an array file with its geometry, and the file to write.

    With `array_file` (``.npy``, (C, Z, Y, X)) and `affine` (4 × 4, voxel (i, j, k) to RAS
    mm) no image file is needed; `out` then ends in ``.npy`` and holds labels (Z, Y, X).
    """

    name: str
    out: str
    images: tuple[str, ...] = ()
    array_file: str | None = None
    affine: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class PredictionRequest:
    """What to predict with which model; the words of ``unet-mic predict``."""

    model: str
    cases: tuple[CaseRequest, ...]
    folds: tuple[int | str, ...] | None = None
    checkpoint: str = "final"
    mirroring: bool | None = None
    device: str = "auto"
    precision: str = "auto"
    probabilities: bool = False


@dataclass(frozen=True)
class PredictionEvent:
    """What the child says: `kind` is started, note, progress, case_done, case_failed, failed,
    cancelled or done.

    `message` is a sentence (started: model and device; failed: why; case_done: notes). Of
    several cases a bad one is `case_failed` and the others go on.
    `done` of `total` counts tiles, `case` names the case, `file` is what was written.
    `seconds` holds the seconds by stage of a finished case.
    """

    kind: str
    message: str = ""
    case: str = ""
    file: str = ""
    done: int = 0
    total: int = 0
    case_number: int = 0
    cases: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def to_line(self) -> str:
        """Write the event as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_line(cls, line: str) -> PredictionEvent:
        """Read an event; unknown fields are passed over."""
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: v for k, v in json.loads(line).items() if k in known})

    @property
    def is_last(self) -> bool:
        """Whether the request is answered."""
        return self.kind in ("done", "failed", "cancelled")


OnEvent = Callable[[PredictionEvent], None]


class PredictionWorker:
    """Starts the child when first needed, hands it requests, passes its answers on.

    `on_event` is called on the worker's reading thread: a GUI must hand the event over to
    its own thread. One request at a time.

    Parameters
    ----------
    command
        What to start; by default ``python -m napari_unet_mic worker`` with this Python.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = list(command or [sys.executable, "-m", "napari_unet_mic", "worker"])
        self._process: subprocess.Popen[bytes] | None = None
        self._on_event: OnEvent | None = None
        self._lock = threading.Lock()
        self._number = 0
        self._log: Path | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being worked on."""
        return self._on_event is not None

    @property
    def alive(self) -> bool:
        """Whether the child runs, at work or warm."""
        return self._process is not None and self._process.poll() is None

    def predict(self, request: PredictionRequest, on_event: OnEvent) -> None:
        """Send a request and return at once; `on_event` hears everything about it.

        Raises
        ------
        RuntimeError
            When another request is still being worked on.
        """
        with self._lock:
            if self.busy:
                raise RuntimeError("the prediction worker is still at work; cancel it first")
            self._number += 1
            self._on_event = on_event
            process = self._process
            if process is None or process.poll() is not None:
                process = self._start()
        self._send(process, {"do": "predict", "number": self._number, **request_json(request)})

    def cancel(self, *, grace: float = 5.0) -> None:
        """Ask the child to drop the request; one that does not within `grace` is ended."""
        process = self._process
        if process is None or not self.busy:
            return
        self._send(process, {"do": "cancel", "number": self._number})
        number = self._number

        def end_if_deaf() -> None:
            if self.busy and self._number == number and process.poll() is None:
                kill_tree(process.pid)

        timer = threading.Timer(grace, end_if_deaf)
        timer.daemon = True
        timer.start()

    def close(self, *, grace: float = 2.0) -> None:
        """Close the child's stdin and see that it ends; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # the child may be gone already
                process.stdin.close()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait(10)
        if self._log is not None:
            self._log.unlink(missing_ok=True)

    def _start(self) -> subprocess.Popen[bytes]:
        with tempfile.NamedTemporaryFile(
            prefix="unet-mic-worker-", suffix=".log", delete=False
        ) as log:
            self._log = Path(log.name)
            options: dict[str, Any] = {}
            if sys.platform == "win32":
                options["creationflags"] = subprocess.CREATE_NO_WINDOW
            else:
                options["start_new_session"] = True
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                **options,
            )
        self._process = process
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        return process

    def _send(self, process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            pass  # the child has ended: the reading thread says so

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        stdout: IO[bytes] | None = process.stdout
        assert stdout is not None
        for line in stdout:
            try:
                event = PredictionEvent.from_line(line.decode("utf-8", errors="replace"))
            except (ValueError, TypeError):
                continue  # something a library printed
            self._pass_on(event)
        stdout.close()
        code = process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if self.busy:
            words = last_words(self._log) if self._log else ""
            message = f"the prediction process ended {ending(code)}"
            self._pass_on(PredictionEvent("failed", message + (f"; {words}" if words else "")))

    def _pass_on(self, event: PredictionEvent) -> None:
        on_event = self._on_event
        if event.is_last:
            self._on_event = None
        if on_event is not None:
            on_event(event)


def request_json(request: PredictionRequest) -> dict[str, Any]:
    """Return a request as JSON knows it."""
    return dataclasses.asdict(request)


def request_from_json(values: dict[str, Any]) -> PredictionRequest:
    """Read a request back from JSON."""
    known = {f.name for f in dataclasses.fields(PredictionRequest)}
    given = {k: v for k, v in values.items() if k in known}
    given["cases"] = tuple(
        CaseRequest(
            **{
                **case,
                "images": tuple(case.get("images", ())),
                "affine": tuple(map(tuple, case["affine"])) if case.get("affine") else None,
            }
        )
        for case in given["cases"]
    )
    if given.get("folds") is not None:
        given["folds"] = tuple(given["folds"])
    return PredictionRequest(**given)


def array_request(
    name: str, array: np.ndarray[Any, Any], affine: np.ndarray[Any, Any], folder: Path
) -> CaseRequest:
    """Write an image array (C, Z, Y, X) into `folder` and return the request for it."""
    file = folder / f"{name}_image.npy"
    np.save(file, array)
    return CaseRequest(
        name=name,
        out=str(folder / f"{name}_labels.npy"),
        array_file=str(file),
        affine=tuple(tuple(float(v) for v in row) for row in affine),
    )
