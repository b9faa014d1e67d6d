"""Opens evaluations for the page of all cases: read from files, or counted in the back.

The wishes of an `EvaluationMenu` enter. What was read leaves as signals: `work.AllCases` of
another evaluation or of the same one with other files, or a second evaluation to compare with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_unet_mic.gui import cases_work as work
from napari_unet_mic.gui.counting_line import CountingLine
from napari_unet_mic.gui.evaluation_menu import EvaluationMenu

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.results import Evaluation
    from napari_unet_mic.gui.app import App, Ticket

NO_CASES = "Open an evaluation first: scope all cases, then Open…"


class EvaluationOpening(QObject):
    """Reads and counts; `menu` and `counting` belong into a header.

    Signals
    -------
    opened
        `AllCases` of another evaluation.
    prepared
        The same evaluation, counted anew or with other folders.
    second_opened
        A `Gathered` to compare with; None: nothing any more.
    counting_changed
        Whether cases are being counted.
    """

    opened = Signal(object)
    prepared = Signal(object)
    second_opened = Signal(object)
    counting_changed = Signal(bool)

    def __init__(self, app: App, parent: QWidget) -> None:
        super().__init__(parent)
        self._app = app
        self._ticket: Ticket | None = None
        self.gathered: Gathered | None = None
        self.menu = EvaluationMenu(parent)
        self.menu.place_chosen.connect(self.open)
        self.menu.folders_chosen.connect(self.open_folders)
        self.menu.second_chosen.connect(self.open_second)
        self.menu.second_folder_chosen.connect(self.count_second)
        self.menu.second_dropped.connect(lambda: self.second_opened.emit(None))
        self.counting = CountingLine()
        self.counting.cancelled.connect(self._on_cancelled)

    def _labels(self) -> dict[str, Path]:
        return work.labels_of(self._app.state.dataset)

    # ---- from files ------------------------------------------------------------------
    def open(self, folder: str | Path) -> None:
        """Open an evaluation by its folder or its summary.json, or all folds of a model."""
        dataset = self._app.state.dataset
        self._app.in_thread(
            work.open_evaluation,
            folder,
            dict(dataset.classes) if dataset else None,
            self._labels(),
            topic="evaluation",
            busy="Reading the evaluation",
            on_done=self.opened.emit,
        )

    def open_newest(self) -> None:
        """Open the newest evaluation of the chosen run or the workspace, when none is open."""
        if self.gathered is not None:
            return
        state = self._app.state
        places = list(state.run_folder.glob("*/*/summary.json")) if state.run_folder else []
        if not places and state.workspace is not None:
            places = list(state.workspace.evaluations.glob("*/summary.json"))
        if places:
            self.open(max(places, key=lambda file: file.stat().st_mtime).parent)

    def show(self, evaluation: Evaluation, folder: Path) -> None:
        """Take an evaluation that has just been made."""
        from napari_unet_mic.evaluation.gathering import Gathered

        place = folder if folder.is_dir() else folder.parent
        folders = dict.fromkeys((case.name for case in evaluation.cases), place)
        self._prepare(Gathered(evaluation, place, folders), self.opened.emit)

    def point_to(self, *, references: Path | None = None, predictions: Path | None = None) -> None:
        """Look for the cases' label files in these folders, too."""
        if self.gathered is not None:
            places = work.pointed(self.gathered, references=references, predictions=predictions)
            self._prepare(places, self.prepared.emit)

    def _prepare(self, gathered: Gathered, on_done: Any) -> None:
        self._app.in_thread(
            work.prepared, gathered, self._labels(), topic="evaluation", on_done=on_done
        )

    def open_second(self, folder: Path) -> None:
        """Read a second evaluation to compare with."""
        from napari_unet_mic.evaluation.gathering import gather

        self._app.in_thread(
            gather,
            folder,
            topic="second evaluation",
            busy="Reading the second evaluation",
            on_done=self.second_opened.emit,
        )

    # ---- counted ---------------------------------------------------------------------
    def open_folders(self, references: Path, predictions: Path) -> None:
        """Count the label files of two folders."""
        self._count(work.evaluated_folders, references, predictions, on_done=self.opened.emit)

    def count_again(self) -> None:
        """Count the label files that the evaluation names."""
        if self.gathered is not None:
            self._count(work.counted, self.gathered, self._labels(), on_done=self.prepared.emit)

    def count_second(self, predictions: Path) -> None:
        """Count other predictions of the same cases, to compare with."""
        if self.gathered is None:
            self._app.say(NO_CASES)
            return
        arguments = (self.gathered, self._labels(), predictions)
        self._count(work.evaluated_again, *arguments, on_done=self.second_opened.emit)

    def _count(self, function: Any, *arguments: Any, on_done: Any) -> None:
        self.counting.begin("Counting")
        self.counting_changed.emit(True)
        self._ticket = self._app.in_thread(
            function,
            *arguments,
            progress=lambda done, n: self._app.tell(self.counting.advance, done, n),
            topic="counting",
            busy="Counting the cases",
            stoppable=True,
            on_done=lambda answer: self._on_counted(on_done, answer),
            on_error=self._on_count_failed,
        )

    def _on_counted(self, on_done: Any, answer: Any) -> None:
        self._end_counting()
        on_done(answer)

    def _on_count_failed(self, error: BaseException) -> None:
        self._end_counting()
        self._app.show_error(error)

    def _on_cancelled(self) -> None:
        if self._ticket is not None:
            self._ticket.stale = True
        self._end_counting()
        self._app.say("Stopped counting")

    def _end_counting(self) -> None:
        self._ticket = None
        self.counting.end()
        self.counting_changed.emit(False)
