"""The controller behind "Predict": asks the prediction process, shows what comes back.

The process (`jobs.worker.PredictionWorker`) stays ready for a while after a prediction. Its
events arrive on a reading thread: progress is kept and shown by a timer, everything else is
handed to the GUI thread in order.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QTimer

from napari_unet_mic.errors import Cancelled, UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui import prediction_needs as needs
from napari_unet_mic.gui import prediction_work as work
from napari_unet_mic.gui.commands import predict_command
from napari_unet_mic.gui.controls import CommandButton
from napari_unet_mic.gui.forms import scrolled
from napari_unet_mic.gui.label_files import array_and_geometry
from napari_unet_mic.gui.predict_panel import PredictPanel, PredictWish
from napari_unet_mic.gui.prediction_lists import PredictionLists
from napari_unet_mic.gui.prediction_results import PredictionResults
from napari_unet_mic.gui.run_words import duration
from napari_unet_mic.jobs.worker import PredictionEvent, PredictionRequest, PredictionWorker

if TYPE_CHECKING:
    from napari_unet_mic.data.dataset import Dataset
    from napari_unet_mic.data.volume import Volume
    from napari_unet_mic.evaluation.summary import Evaluation
    from napari_unet_mic.gui.app import App

APPLY_MS = 150
CANCEL_GRACE_SECONDS = 0.7
WEIGH_MS = 150
"""After this the process is ended, so that a cancel never takes longer than a second."""
WARM_MINUTES = 10


@dataclass
class _Task:
    """The prediction under way."""

    wish: PredictWish
    out: Path | None
    dataset: Dataset | None
    geometry: Volume | None = None
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    newest: PredictionEvent | None = None
    cancelled: bool = False
    needs: needs.Needs | None = None
    seconds: Counter[str] = field(default_factory=Counter)  # by stage, of the cases done


class PredictionControl:
    """The controller behind "Predict"; `widget` is what is docked.

    Parameters
    ----------
    worker
        Made by `make_worker` when the first prediction is asked for.
    """

    def __init__(
        self, app: App, make_worker: Callable[[], PredictionWorker] = PredictionWorker
    ) -> None:
        self.app = app
        self.panel = PredictPanel(CommandButton(self._command, app.say))
        self.widget = scrolled(self.panel)
        self._make_worker = make_worker
        self._worker: PredictionWorker | None = None
        self._task: _Task | None = None
        self._evaluating: Any = None
        self._needs: tuple[PredictWish, needs.Needs] | None = None
        self._paces: dict[tuple[Path, str], needs.Pace] = {}  # by model and device
        self.lists = PredictionLists(app, self.panel)
        self.results = PredictionResults(app, self._show_error)
        self._connect()

    def _connect(self) -> None:
        panel = self.panel
        panel.predict_requested.connect(self._on_predict_requested)
        panel.cancel_requested.connect(self._on_cancel_requested)
        self.app.on_close.append(self.close)
        self._apply = self._timer(APPLY_MS, self._on_apply_timer)
        self._weigh = self._timer(WEIGH_MS, self._ask_needs, once=True)
        panel.wish_changed.connect(self._weigh.start)
        self._cool = self._timer(WARM_MINUTES * 60_000, self._end_worker, once=True)

    def _timer(self, interval_ms: int, act: Callable[[], None], *, once: bool = False) -> QTimer:
        timer = QTimer(self.panel)
        timer.setInterval(interval_ms)
        timer.setSingleShot(once)
        timer.timeout.connect(act)
        return timer

    def close(self) -> None:
        """End the prediction process; what it has written stays."""
        for timer in (self._apply, self._cool, self._weigh):
            timer.stop()
        self._end_worker()

    def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            threading.Thread(target=worker.close, name="end-worker", daemon=True).start()

    # ---- what it will need ---------------------------------------------------------------
    def _ask_needs(self) -> None:
        """Estimate memory and time of what is chosen, in a thread: headers and plans are read."""
        wish, dataset = self.panel.wish, self.app.state.dataset
        self._needs = None
        if wish is None or self.app.closed:
            self.panel.show_needs("")
            return
        sizes: list[needs.ImageSize] = []
        if wish.subject.kind == "layer":
            layer = layers.layer_named(self.app.viewer, wish.subject.names[0])
            if isinstance(layer, Image) and layer.ndim == 3:
                sizes = [needs.ImageSize(tuple(layer.data.shape), tuple(map(float, layer.scale)))]

        def weigh() -> needs.Needs | None:
            own = sizes
            if wish.subject.kind != "layer" and dataset is not None:
                own = needs.sizes_of_cases(dataset, wish.subject.names)
            return needs.needs_of(wish, own)

        self.app.in_thread(
            weigh,
            on_done=lambda found: self._on_weighed(wish, found),
            on_error=lambda _: self.panel.show_needs(""),  # said when the prediction starts
            topic="prediction needs",
        )

    def _on_weighed(self, wish: PredictWish, found: needs.Needs | None) -> None:
        self._needs = (wish, found) if found is not None else None
        pace = self._paces.get((wish.model.folder, wish.device))
        self.panel.show_needs(found.words(pace) if found is not None else "")

    def _note_pace(self, task: _Task) -> None:
        """Remember how fast the model went, and say what the same would take now."""
        if task.needs is not None and task.seconds and not task.failed:
            wish = task.wish
            self._paces[wish.model.folder, wish.device] = task.needs.pace(task.seconds)
            self._weigh.start()

    # ---- predicting --------------------------------------------------------------------
    def _on_predict_requested(self, wish: PredictWish) -> None:
        self.panel.show_error("")
        task = _Task(wish, self._out_folder(wish), self.app.state.dataset)
        if self._needs is not None and self._needs[0] == wish:
            task.needs = self._needs[1]
        try:
            prepare = self._preparation(task)
        except UNetMicError as error:
            self._show_error(error)
            return
        self._task = task
        self._cool.stop()
        self.panel.set_working(True, f"Starting {wish.model.name}")
        self._apply.start()
        self.app.in_thread(
            self._send,
            task,
            prepare,
            on_error=self._on_not_sent,
            busy=f"Predicting with {wish.model.name}",
        )

    def _out_folder(self, wish: PredictWish) -> Path | None:
        workspace = self.app.state.workspace
        name = work.prediction_name(wish)
        return workspace.predictions / name if workspace is not None else None

    def _preparation(self, task: _Task) -> Callable[[], PredictionRequest]:
        """Return what makes the request, in a thread; the viewer's layers are read here."""
        wish, dataset = task.wish, task.dataset
        if wish.subject.kind == "layer":
            layer = layers.layer_named(self.app.viewer, wish.subject.names[0])
            if not isinstance(layer, Image):
                raise work.gone(wish.subject.names[0], "image layer")
            attributes = {
                "metadata": layer.metadata,
                "scale": layer.scale,
                "translate": layer.translate,
            }
            array, task.geometry = array_and_geometry(layer.data, attributes)
            image = work.LayerImage(layer.name, array, task.geometry)
            return lambda: work.request_for_layer(wish, image)
        if dataset is None:
            raise work.gone("the dataset", "open dataset")
        cases = tuple(dataset.case(name) for name in wish.subject.names)
        out = task.out or work.temporary_folder()
        task.out = out
        return lambda: work.request_for_cases(wish, dataset, cases, out)

    def _send(self, task: _Task, prepare: Callable[[], PredictionRequest]) -> None:
        """Make the request and hand it to the process; runs in a thread."""
        request = prepare()
        if self._worker is None:
            self._worker = self._make_worker()
        if task.cancelled or self.app.closed:
            raise Cancelled("the prediction")

        def on_event(event: PredictionEvent) -> None:
            if event.kind == "progress":
                task.newest = event
            else:
                self.app.tell(self._on_event, task, event)

        self._worker.predict(request, on_event)

    def _on_not_sent(self, error: BaseException) -> None:
        self._finish("")
        self._show_error(error)

    def _on_cancel_requested(self) -> None:
        if self._evaluating is not None:
            self._evaluating.stale = True
            self._evaluating = None
            self._finish("The evaluation was cancelled; the predictions stay")
            return
        task = self._task
        if task is None or task.cancelled:
            return
        task.cancelled = True
        self.panel.show_progress("Cancelling")
        if self._worker is not None and self._worker.busy:
            self._worker.cancel(grace=CANCEL_GRACE_SECONDS)

    def _on_apply_timer(self) -> None:
        task = self._task
        if task is None or task.newest is None or task.cancelled:
            return
        event, task.newest = task.newest, None
        words = event.case
        if event.cases > 1:
            words += f" (case {event.case_number + 1} of {event.cases})"
        if event.total:
            words += f" · tile {event.done} of {event.total}"
        if event.message:
            words += f" · {event.message}"
        self.panel.show_progress(words.removeprefix(" · "), event.done, event.total)

    def _on_event(self, task: _Task, event: PredictionEvent) -> None:
        if task is not self._task:
            return
        if event.kind in ("started", "note"):
            task.sentences.append(event.message)
            self.app.say(event.message)
            self.panel.show_progress(" · ".join(task.sentences))
        elif event.kind == "case_done":
            task.done.append(event.case)
            task.seconds.update(event.seconds)
            if task.wish.subject.kind in ("case", "layer"):
                self._show_prediction(task, event)
            elif event.message:
                self.app.say(f"{event.case}: {event.message}")
        elif event.kind == "case_failed":
            task.failed.append(event.case)
            self.panel.show_error(f"{event.case} was left out: {event.message}")
            self.app.say(event.message)
        elif event.is_last:
            self._on_last_event(task, event)

    def _on_last_event(self, task: _Task, event: PredictionEvent) -> None:
        done = len(task.done)
        if event.kind == "done":
            self._note_pace(task)
        if event.kind == "cancelled" or task.cancelled:
            kept = f"; {done} finished cases stay" if done else ""
            self._finish(f"The prediction was cancelled{kept}")
        elif event.kind == "failed":
            self._finish("")
            self.panel.show_error(event.message)
            self.app.say(event.message)
        elif task.wish.subject.kind in ("test", "validation"):
            self._evaluate(task)
        else:
            self._finish(self.panel.progress.text())

    def _finish(self, words: str) -> None:
        self._apply.stop()
        self._task = None
        self.panel.set_working(False, words)
        if words:
            self.app.say(words)
        if not self.app.closed:
            self._cool.start()

    def _show_prediction(self, task: _Task, event: PredictionEvent) -> None:
        of, file = task.wish.subject.names[0], Path(event.file)
        seconds = sum(event.seconds.values())
        words = f"{of}: predicted in {duration(seconds)}" if seconds else f"{of}: predicted"
        note = f" · {event.message}" if event.message else ""
        where = f" · saved as {file}" if task.geometry is None else ""
        self.panel.show_progress(words + where + note)
        self.results.show_file(task.wish, file, task.geometry)

    # ---- many cases --------------------------------------------------------------------
    def _evaluate(self, task: _Task) -> None:
        dataset, workspace = task.dataset, self.app.state.workspace
        if dataset is None or task.out is None or not task.done:
            self._finish(f"{len(task.done)} cases predicted{self._left_out(task)}")
            return
        name = f"{task.out.name}-{task.wish.subject.kind}"
        folder = workspace.evaluations / name if workspace is not None else task.out / "evaluation"
        self.panel.show_progress(f"Comparing {len(task.done)} predictions with their references")
        self._evaluating = self.app.in_thread(
            work.evaluate,
            dataset,
            tuple(task.done),
            task.out,
            folder,
            probabilities=task.wish.probabilities,
            on_done=lambda found: self._on_evaluated(task, folder, found),
            on_error=self._on_not_sent,
            busy="Comparing predictions with their references",
            stoppable=True,
            progress=self._tell_evaluated,
        )

    def _tell_evaluated(self, done: int, total: int) -> None:
        task = self._task
        if task is not None:
            message = "compared with the reference"
            task.newest = PredictionEvent("progress", message, "", done=done, total=total)

    def _on_evaluated(self, task: _Task, folder: Path, found: Evaluation) -> None:
        self._evaluating = None
        iou = found.foreground_iou
        mean = f", mean IoU {iou:.3f}" if iou is not None else ""
        left_out = self._left_out(task)
        self._finish(f"{len(task.done)} cases predicted{left_out}{mean} · tables in {folder}")
        self.results.show_evaluation(found, folder)

    def _left_out(self, task: _Task) -> str:
        return f", {len(task.failed)} left out ({', '.join(task.failed)})" if task.failed else ""

    # ---- what is told ------------------------------------------------------------------
    def _show_error(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            self.app.say(str(error))
        elif isinstance(error, UNetMicError):
            self.panel.show_error(str(error))
        else:
            self.app.show_error(error)

    def _command(self) -> str:
        wish, dataset = self.panel.wish, self.app.state.dataset
        if wish is None:
            return "unet-mic predict MODEL INPUT -o OUT"
        names = wish.subject.names if wish.subject.kind != "layer" else ()
        inputs = [file for name in names for file in dataset.case(name).images] if dataset else []
        out = self._out_folder(wish) or Path("predictions")
        return predict_command(
            wish.model.folder,
            inputs or [Path("INPUT")],
            out,
            folds=wish.folds,
            checkpoint=wish.checkpoint,
            mirroring=wish.mirroring,
            device=wish.device,
            probabilities=wish.probabilities,
        )
