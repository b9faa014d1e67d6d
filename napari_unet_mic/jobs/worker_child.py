"""The warm prediction process: requests as JSON lines on stdin, events as JSON lines on stdout.

The model stays loaded between requests of the same model, folds and device. Reading stdin
happens on a thread, so that a cancel is heard while the network works. The process ends
when stdin closes, and drops the request in hand then.
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

import numpy as np

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.data.volume import Volume, read_image
from napari_unet_mic.errors import Cancelled, UNetMicError
from napari_unet_mic.inference.outputs import write_prediction
from napari_unet_mic.jobs.worker import (
    CaseRequest,
    PredictionEvent,
    PredictionRequest,
    request_from_json,
)

if TYPE_CHECKING:
    from napari_unet_mic.inference.predictor import Predictor

OpenPredictor = Callable[[PredictionRequest], "Predictor"]


def main(requests: IO[str] | None = None, answers: TextIO | None = None) -> int:
    """Serve requests until stdin closes; returns the exit code.

    Whatever libraries print goes to stderr: stdout speaks JSON lines only.
    """
    from napari_unet_mic.inference import allocator

    allocator.tune()
    out = answers or sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        Server(requests or sys.stdin, out).serve()
    return 0


@dataclass
class _Loaded:
    """A model that is ready, and what it was opened for."""

    key: tuple[Any, ...]
    predictor: Predictor


class Server:
    """Answers requests one after the other; the reading thread hears cancels meanwhile."""

    def __init__(
        self, requests: IO[str], answers: TextIO, *, open_predictor: OpenPredictor | None = None
    ) -> None:
        self._requests = requests
        self._answers = answers
        self._open = open_predictor or _open
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled = 0
        self._closed = threading.Event()
        self._loaded: _Loaded | None = None
        self._said_at = 0.0

    def serve(self) -> None:
        """Work until the requests end."""
        threading.Thread(target=self._listen, daemon=True).start()
        while (message := self._waiting.get()) is not None:
            self._answer(message)

    def _listen(self) -> None:
        for line in self._requests:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if message.get("do") == "cancel":
                self._cancelled = max(self._cancelled, int(message.get("number", 0)))
            elif message.get("do") == "predict":
                self._waiting.put(message)
        self._closed.set()
        self._waiting.put(None)

    def _say(self, event: PredictionEvent) -> None:
        try:
            self._answers.write(event.to_line() + "\n")
            self._answers.flush()
        except (OSError, ValueError):
            self._closed.set()  # nobody listens any more

    def _answer(self, message: dict[str, Any]) -> None:
        number = int(message.get("number", 0))

        def should_stop() -> bool:
            return self._closed.is_set() or self._cancelled >= number > 0

        try:
            request = request_from_json(message)
            predictor = self._ready(request)
            for sentence in predictor.sentences:
                self._say(PredictionEvent("started", sentence))
            for index, case in enumerate(request.cases):
                if should_stop():
                    raise Cancelled("the prediction")
                try:
                    self._predict(predictor, request, case, index, should_stop)
                except UNetMicError as error:
                    if isinstance(error, Cancelled) or len(request.cases) == 1:
                        raise
                    # one bad case is reported, the others go on
                    self._say(PredictionEvent("case_failed", str(error), case=case.name))
        except Cancelled:
            self._say(PredictionEvent("cancelled", "the prediction was cancelled"))
        except UNetMicError as error:
            self._say(PredictionEvent("failed", str(error)))
        except Exception as error:
            traceback.print_exc()
            self._say(PredictionEvent("failed", f"{type(error).__name__}: {error}"))
        else:
            self._say(PredictionEvent("done", cases=len(request.cases)))

    def _ready(self, request: PredictionRequest) -> Predictor:
        stamp = _stamp(Path(request.model))
        key = (
            request.model,
            request.folds,
            request.checkpoint,
            request.mirroring,
            request.device,
            request.precision,
            stamp,
        )
        if self._loaded is None or self._loaded.key != key:
            self._loaded = None  # give the old model's memory back first
            self._loaded = _Loaded(key, self._open(request))
        return self._loaded.predictor

    def _predict(
        self,
        predictor: Predictor,
        request: PredictionRequest,
        case: CaseRequest,
        index: int,
        should_stop: Callable[[], bool],
    ) -> None:
        total = len(request.cases)

        def progress(done: int, tiles: int) -> None:
            now = time.monotonic()
            if done < tiles and now - self._said_at < 0.1:
                return
            self._said_at = now
            self._say(
                PredictionEvent(
                    "progress",
                    case=case.name,
                    done=done,
                    total=tiles,
                    case_number=index,
                    cases=total,
                )
            )

        image = volume_of(case)
        found = predictor.predict(
            image,
            probabilities=request.probabilities,
            progress=progress,
            should_stop=should_stop,
            say=lambda sentence: self._say(PredictionEvent("note", sentence, case=case.name)),
        )
        out = Path(case.out)
        if out.suffix == ".npy":
            _write_arrays(out, found.labels, found.probabilities)
        else:
            write_prediction(out, found, image)
        self._say(
            PredictionEvent(
                "case_done",
                case=case.name,
                file=case.out,
                case_number=index,
                cases=total,
                seconds=dict(found.seconds),
            )
        )


def volume_of(case: CaseRequest) -> Volume:
    """Read a case's image: its files, or its memory-mapped array with its geometry."""
    if case.array_file is None:
        return read_image([Path(file) for file in case.images])
    array = np.load(case.array_file, mmap_mode="r", allow_pickle=False)
    return Volume.from_array(array, affine=np.asarray(case.affine, dtype=np.float64))


def _open(request: PredictionRequest) -> Predictor:
    from napari_unet_mic.inference.predictor import Predictor

    return Predictor.open(
        request.model,
        folds=request.folds,
        checkpoint=request.checkpoint,
        device=request.device,
        mirroring=request.mirroring,
        precision=request.precision,
    )


def _stamp(model: Path) -> float:
    """Say when the model's checkpoints were last written: a newer one is loaded anew."""
    files = list(model.glob("fold_*/checkpoint_*.pth"))
    return max((file.stat().st_mtime for file in files), default=0.0)


def _write_arrays(out: Path, labels: np.ndarray[Any, Any], shares: Any) -> None:
    """Write what was predicted for an array as arrays: labels, probabilities where kept."""
    write_whole(out, lambda path: np.save(path, labels))
    if shares is not None:
        beside = out.with_name(f"{out.stem}_probabilities.npy")
        write_whole(beside, lambda path: np.save(path, shares))
