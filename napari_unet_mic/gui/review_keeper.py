"""The review of the case that is compared: read when it is opened, written after every decision.

The pair under comparison and decisions about its regions enter; statuses leave. Every decision
can be taken back, also after others. Layers that are in no file have a review too, as long as
they are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_unet_mic.annotation.review import Review, Status, review_file
from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.comparer import Comparer
from napari_unet_mic.gui.label_files import stem_of
from napari_unet_mic.gui.state import Comparison

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.region import Region
    from napari_unet_mic.gui.app import App


@dataclass(frozen=True, eq=False)
class _Step:
    """A decision: the review before it, and what else takes it back."""

    before: Review
    take_back: Callable[[], None] | None = None


class ReviewKeeper(QObject):
    """Keeps the review of the present pair; `changed` says that statuses may be others."""

    changed = Signal()

    def __init__(self, app: App, comparer: Comparer) -> None:
        super().__init__()
        self._app = app
        self._comparer = comparer
        self._pair: tuple[Labels, Labels] | None = None
        self.review = Review("")
        self.file: Path | None = None
        self._prediction = ""
        self._steps: list[_Step] = []
        self._ready = False
        self._due: dict[Path, Review] = {}
        self._writing = False
        app.state.events.comparison.connect(self._on_comparison_changed)
        app.on_close.append(self._flush)

    # ---- which case ------------------------------------------------------------------
    def _on_comparison_changed(self, comparison: Comparison | None) -> None:
        pair = self._comparer.layers
        if comparison is None or pair is None or pair == self._pair:
            return
        self._pair, self._steps, self._ready = pair, [], False
        case, self.file, self._prediction = self._place(*pair)
        self.review = Review(case)
        if self.file is None or self.file in self._due:
            self._on_read(pair, self._due[self.file] if self.file else self.review)
            return
        self._app.in_thread(
            Review.read,
            self.file,
            case,
            topic="review",
            on_done=lambda review: self._on_read(pair, review),
            on_error=self._on_unreadable,
        )

    def _place(self, reference: Labels, prediction: Labels) -> tuple[str, Path | None, str]:
        """Return the case's name, where its review is kept, and what the prediction is called."""
        file, state = layers.file_of(prediction), self._app.state
        sources = [layers.source_of(layer) for layer in (reference, prediction)]
        case = next((source.case for source in sources if source and source.case), "")
        case = case or (stem_of(file) if file else reference.name)
        labels_folder, name = None, str(file) if file else prediction.name
        if state.workspace is not None and state.dataset is not None:
            if any(one.name == case for one in state.dataset.cases):
                labels_folder = state.workspace.labels
            if file is not None and file.is_relative_to(state.workspace.folder):
                name = file.relative_to(state.workspace.folder).as_posix()
        return case, review_file(case, labels_folder=labels_folder, prediction=file), name

    def _on_read(self, pair: tuple[Labels, Labels], review: Review) -> None:
        if pair == self._pair:
            self.review, self._ready = review, True
            self.changed.emit()

    def _on_unreadable(self, error: BaseException) -> None:
        """Leave a damaged file as it is: this review is not kept."""
        self.file, self._ready = None, True
        self._app.show_error(error)
        self.changed.emit()

    # ---- decisions -------------------------------------------------------------------
    @property
    def can_undo(self) -> bool:
        """Whether there is a decision to take back."""
        return bool(self._steps)

    @property
    def where(self) -> str:
        """Say where the decisions are kept."""
        if self.file is None:
            return "kept until napari is closed: these layers are in no file"
        return f"kept in {self.file}"

    def statuses(self, regions: Sequence[Region]) -> list[Status | None]:
        """Return the status of every region."""
        return self.review.statuses(self._prediction, regions)

    def mark(
        self,
        region: Region,
        status: Status | None,
        take_back: Callable[[], None] | None = None,
    ) -> None:
        """Give a region a status (None: open again); `take_back` undoes what came with it."""
        if not self._ready:
            self._app.say("The review of this case is still being read; try again in a moment")
            return
        self._steps.append(_Step(self.review, take_back))
        self._change(self.review.marked(self._prediction, region, status))

    def undo(self) -> bool:
        """Take the last decision back; return whether there was one."""
        if not self._steps:
            return False
        step = self._steps.pop()
        if step.take_back is not None:
            step.take_back()
        self._change(step.before)
        return True

    def _change(self, review: Review) -> None:
        self.review = review
        if self.file is not None:
            self._due[self.file] = review
            self._write()
        self.changed.emit()

    # ---- on disk ---------------------------------------------------------------------
    def _write(self) -> None:
        """Write what is due in a thread, one file after the other."""
        if self._writing or not self._due:
            return
        self._writing = True
        file, review = next(iter(self._due.items()))
        self._app.in_thread(
            review.write,
            file,
            on_done=lambda _: self._on_written(file, review),
            on_error=lambda error: self._on_not_written(file, error),
        )

    def _on_written(self, file: Path, review: Review) -> None:
        self._writing = False
        if self._due.get(file) is review:
            del self._due[file]
        self._write()

    def _on_not_written(self, file: Path, error: BaseException) -> None:
        self._writing = False
        self._due.pop(file, None)
        self._app.show_error(error)
        self._write()

    def _flush(self) -> None:
        """Write at once what is due: the window closes."""
        due, self._due = self._due, {}
        for file, review in due.items():
            try:
                review.write(file)
            except (OSError, UNetMicError) as error:
                self._app.show_error(error)
