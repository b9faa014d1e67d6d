"""The lesions of all cases: counts, size against IoU, recall by size; each one click away.

An evaluation enters, and a second one of the same cases. Where their files hold lesions they are
shown at once, and no volume is read: a plot, a list, and what the second one gained and lost; else
a button finds them in the label files. The lesion that is clicked leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unet_mic.evaluation.lesion import LesionQuestion, Match
from napari_unet_mic.gui import lesions_work
from napari_unet_mic.gui.forms import ElidedLabel, explained, guard_wheel, short_combo
from napari_unet_mic.gui.inspector_tables import MEASURING
from napari_unet_mic.gui.lesion_changes import LesionChangesTable
from napari_unet_mic.gui.lesion_scatter import LesionScatter
from napari_unet_mic.gui.lesion_table import lesion_model, match_box, show_cases
from napari_unet_mic.gui.tables import TableModel, TableView

if TYPE_CHECKING:
    from napari_unet_mic.evaluation.gathering import Gathered
    from napari_unet_mic.evaluation.lesion import Judged
    from napari_unet_mic.evaluation.lesion_difference import LesionChange
    from napari_unet_mic.evaluation.lesion_figures import LesionFigures
    from napari_unet_mic.evaluation.lesions_between import LesionsBetween
    from napari_unet_mic.evaluation.results import Evaluation
    from napari_unet_mic.gui.app import App, Ticket
    from napari_unet_mic.gui.lesions_work import ClassLesions

NOTHING, NOT_COUNTED = "Lesions", "Lesions: not looked for in this evaluation"
PLOT, LIST, CHANGES = range(3)
VIEWS = ("plot", "list")
CHANGE_VIEWS = {"gained, lost": ("gained", "lost"), "gained": ("gained",), "lost": ("lost",)}
"""Views that a second evaluation adds, and the changes that each lists."""
ALL_CLASSES = "all classes"
WIDTH, WIDTH_CHANGES = 76, 124  # of the box with the views: the counts beside it need the room


class LesionsPage(QWidget):
    """Counts, plot and lists.

    Signals
    -------
    lesion_asked
        A case's name and one of its lesions.
    counted
        Other lesions, or the same by another criterion.
    """

    lesion_asked = Signal(str, object)
    counted = Signal()

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._gathered: Gathered | None = None
        self._second: Gathered | None = None
        self.between: LesionsBetween | None = None
        self._asked: Any = None  # what `between` answers, or will
        self._counting: Ticket | None = None
        self._counted: tuple[Evaluation, LesionFigures] | None = None  # what is shown
        self._labels: Mapping[str, Path] = {}
        self.shown: list[tuple[str, Judged]] = []
        self.title = ElidedLabel(NOTHING)
        self.match = match_box()
        self.match.currentIndexChanged.connect(lambda _: self._show())
        self.choice = explained(
            short_combo(QComboBox(), 8),
            "The class whose lesions are shown",
            "unet-mic evaluate --lesion-classes",
        )
        guard_wheel(self.choice)
        self.choice.currentIndexChanged.connect(lambda _: self._show())
        self.view_box = explained(
            QComboBox(),
            "Show the lesions as a plot or as a list; or those that a second evaluation (vs) found "
            "and the first missed (gained), and the other way round (lost)",
            "unet-mic evaluate --against",
        )
        self.view_box.addItems(VIEWS)
        self.view_box.view().setMinimumWidth(WIDTH_CHANGES)
        self.view_box.setFixedWidth(WIDTH)
        self.count = explained(
            QPushButton("Find lesions"), "Find the lesions in every case's two label files"
        )
        self.count.clicked.connect(self._on_count)
        self.cancel = explained(QPushButton("Cancel"), "Stop looking for lesions")
        self.cancel.clicked.connect(self._on_cancel)
        self.scatter = LesionScatter()
        self.scatter.lesion_clicked.connect(self.lesion_asked)
        self.model = lesion_model()
        self.model.tooltip_of = lambda *_: "Click to open the case there"
        self.table = TableView(self.model, frozen=True)
        self.table.cell_clicked.connect(self._on_row_clicked)
        self.table.hide()
        self.changes = LesionChangesTable(of_cases=True)
        self.changes.cell_clicked.connect(self._on_change_clicked)
        self.changes.hide()
        self.notice = QLabel()
        self.notice.setWordWrap(True)
        self.notice.hide()
        self.view_box.currentIndexChanged.connect(self._on_view_chosen)
        self._arrange()
        app.viewer.events.theme.connect(self._on_theme)
        self._on_theme()

    def _arrange(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        for widget in (self.count, self.cancel, self.view_box, self.match, self.choice):
            line.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.notice)
        for widget in (self.scatter, self.table, self.changes):
            layout.addWidget(widget, 1)
        self.count.hide()
        self.cancel.hide()

    def show_gathered(self, gathered: Gathered, labels: Mapping[str, Path]) -> None:
        """Show the lesions of an evaluation, or offer to find them.

        Parameters
        ----------
        labels
            Reference files by case name that are known otherwise.
        """
        self._gathered, self._labels = gathered, labels
        question = gathered.evaluation.lesions
        self._set_finding(False)
        if question is not None:
            self.match.blockSignals(True)
            self.match.setCurrentIndex(max(0, self.match.findData(question.match)))
            self.match.blockSignals(False)
        self._offer_classes()
        self._show()

    def compare_with(self, second: Gathered | None) -> None:
        """Show what a second evaluation of the same cases gained and lost; None: no longer."""
        self._second, before = second, self.view_box.currentIndex()
        self._set_finding(False)
        self.view_box.blockSignals(True)
        while self.view_box.count() > CHANGES:
            self.view_box.removeItem(CHANGES)
        self.view_box.addItems(CHANGE_VIEWS if second is not None else ())
        alone = before if before < CHANGES else PLOT
        self.view_box.setCurrentIndex(CHANGES if second is not None else alone)
        self.view_box.blockSignals(False)
        self._on_view_chosen()

    def _offer_classes(self) -> None:
        """Offer the classes that were looked at; a list of changes may show all of them."""
        question = self._gathered.evaluation.lesions if self._gathered is not None else None
        before, names = self.choice.currentData(), self._class_names()
        values = question.classes if question is not None else ()
        entries = [(names.get(value, f"class {value}"), value) for value in values]
        if self._sees_changes and len(values) > 1:
            entries.insert(0, (ALL_CLASSES, 0))
            before = before if self.choice.findData(0) >= 0 else 0
        self.choice.blockSignals(True)
        self.choice.clear()
        for name, value in entries:
            self.choice.addItem(name, value)
        self.choice.setCurrentIndex(max(0, self.choice.findData(before)))
        self.choice.blockSignals(False)
        self.choice.setVisible(self.choice.count() > 1)

    def _class_names(self) -> Mapping[int, str]:
        return self._gathered.evaluation.classes if self._gathered is not None else {}

    def _show(self) -> None:
        """Count and draw the chosen class by the chosen criterion, and what was gained and lost."""
        self.count.setVisible(self._lacking() is not None)
        self._compare()
        self.notice.hide()
        if self._sees_changes:
            self._show_changes()
        else:
            self._show_lesions()
        self.counted.emit()

    @property
    def _sees_changes(self) -> bool:
        return self.view_box.currentIndex() >= CHANGES

    def _compare(self) -> None:
        """Compare with the second evaluation, in a thread: hundreds of cases take their time."""
        asked = (self._gathered, self._second, self.criterion)
        if asked == self._asked:
            return
        self._asked, self.between = asked, None
        if self._gathered is None or self._second is None:
            return
        from napari_unet_mic.evaluation.lesions_between import lesions_between

        self._app.in_thread(
            lesions_between,
            self._gathered.evaluation,
            self._second.evaluation,
            self.criterion,
            topic="lesions between",
            on_done=lambda between: self._on_compared(asked, between),
        )

    def _on_compared(self, asked: Any, between: LesionsBetween | None) -> None:
        if asked == self._asked:
            self.between = between
            if self._sees_changes:
                self._show_changes()
            self.counted.emit()

    def _show_lesions(self) -> None:
        """Count the chosen class, in a thread: thousands of lesions take their time."""
        evaluation = self._gathered.evaluation if self._gathered is not None else None
        question = evaluation.lesions if evaluation is not None else None
        value, match = self.choice.currentData(), self.criterion
        if self._counting is not None:
            self._counting.stale = True
        of, figures = self._counted or (None, None)
        if of is not evaluation or not value:  # nothing of another evaluation stays in sight
            self._counted, self.shown = None, []
            self.scatter.show_lesions([], (), match)
            self.model.set_rows([], [])
        if evaluation is None or question is None or not value:
            self.title.set_whole(NOT_COUNTED if evaluation is not None else NOTHING)
            return
        if figures and of is evaluation and (figures.value, figures.match) == (value, match):
            self._say_counts(figures)
            return
        self.title.set_whole(f"Lesions {MEASURING}")
        self._counting = self._app.in_thread(
            lesions_work.of_class,
            evaluation,
            question,
            value,
            match,
            topic="lesions of a class",
            on_done=lambda found: self._on_class_counted(evaluation, found),
        )

    def _on_class_counted(self, evaluation: Evaluation, found: ClassLesions) -> None:
        self._counted = (evaluation, found.figures)
        self.shown = list(found.listed)
        self.scatter.show_lesions(self.shown, found.bins, found.figures.match)
        show_cases(self.model, self.shown)
        if not self._sees_changes:
            self._say_counts(found.figures)
            self.counted.emit()

    def _say_counts(self, figures: LesionFigures) -> None:
        share, rate = figures.sensitivity, figures.false_positives_per_case
        details = f"; sensitivity {share:.2f}" if share is not None else ""
        details += f"; {rate:.2f} false positives per case" if rate is not None else ""
        self.title.set_whole(figures.words)
        self.title.setToolTip(figures.words + details)

    # ---- what a second evaluation changed --------------------------------------------
    def _show_changes(self) -> None:
        between, lacking = self.between, self._lacking()
        self.changes.show_changes(self._changes(), self._class_names())
        sentence = between.sentence if between is not None else ""
        if lacking is not None:
            sentence = f"Nobody looked for lesions in {lacking.place.name}: find them"
        self.notice.setText(sentence)
        self.notice.setVisible(bool(sentence))
        if between is None:
            self.title.set_whole(NOTHING if lacking is not None else f"Lesions {MEASURING}")
            self.title.setToolTip(sentence)
            return
        self.title.set_whole(self.changes.words)
        before, now = between.spurious
        spurious = f"spurious lesions {before} → {now}"
        self.title.setToolTip(f"{self.changes.words}, in {len(between.cases)} cases; {spurious}")

    def _changes(self) -> list[LesionChange]:
        """Return the changes of the chosen view and class, the largest first."""
        wanted = CHANGE_VIEWS.get(self.view_box.currentText(), CHANGE_VIEWS["gained, lost"])
        value = self.choice.currentData()
        return [
            one
            for one in (self.between.changes if self.between is not None else ())
            if one.change in wanted and (not value or one.lesion.value == value)
        ]

    @property
    def versus_words(self) -> str:
        """How many lesions of any class the second evaluation gained and lost, for a title."""
        if self.between is None or not self.between.changes:
            return ""
        numbers = Counter(one.change for one in self.between.changes)
        return f"lesions {numbers['gained']} gained, {numbers['lost']} lost"

    def _on_change_clicked(self, row: int, _: int) -> None:
        change = self.changes.shown[row]
        self.lesion_asked.emit(change.case, change.lesion)

    def tables(self) -> list[tuple[str, TableModel]]:
        """Return for copying: counts and recall by size of every class, and the list in sight."""
        from napari_unet_mic.gui.lesion_copies import figure_tables

        tables = figure_tables(self._gathered.evaluation if self._gathered is not None else None)
        named = f"Lesions, {self.choice.currentText()}"
        if self.view_box.currentIndex() == LIST:
            tables.append((f"{named}: {self.title.whole}", self.model))
        if self._sees_changes and self._second is not None:
            title = f"{named}, vs {self._second.place.name}: {self.title.whole}"
            tables.append((title, self.changes.table))
        return tables

    @property
    def criterion(self) -> Match:
        """The chosen criterion."""
        match: Match = self.match.currentData()
        return match

    def _on_view_chosen(self, _: int = 0) -> None:
        index = self.view_box.currentIndex()
        for widget, place in ((self.scatter, PLOT), (self.table, LIST)):
            widget.setVisible(index == place)
        self.changes.setVisible(index >= CHANGES)
        self.view_box.setFixedWidth(WIDTH_CHANGES if index >= CHANGES else WIDTH)
        self._offer_classes()
        self._show()

    def _on_row_clicked(self, row: int, _: int) -> None:
        case, one = self.shown[row]
        self.lesion_asked.emit(case, one.lesion)

    def _on_theme(self, event: object = None) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self._app.viewer.theme)
        self.scatter.set_theme(theme.text.as_hex(), theme.background.as_hex())

    # ---- finding them ----------------------------------------------------------------
    def _set_finding(self, finding: bool) -> None:
        self.cancel.setVisible(finding)
        self.count.setEnabled(not finding)

    def _lacking(self) -> Gathered | None:
        """Return the evaluation whose lesions nobody looked for: the first, then the second."""
        for one in (self._gathered, self._second):
            if one is not None and one.evaluation.lesions is None and one.evaluation.cases:
                return one
        return None

    def _on_count(self) -> None:
        lacking, question = self._lacking(), LesionQuestion()
        if lacking is None or self._gathered is None:
            return
        if lacking is self._second and self._gathered.evaluation.lesions is not None:
            question = replace(self._gathered.evaluation.lesions, probabilities=None)
        self._set_finding(True)
        self._ticket = self._app.in_thread(
            lesions_work.count_lesions,
            lacking,
            self._labels,
            question,
            progress=lambda done, n: self._app.tell(self._on_progress, done, n),
            topic="lesions",
            busy="Finding lesions",
            stoppable=True,
            on_done=lambda found: self._on_counted(lacking, found),
            on_error=self._on_failed,
        )

    def _on_cancel(self) -> None:
        self._ticket.stale = True
        self._set_finding(False)
        self._show()

    def _on_progress(self, done: int, n: int) -> None:
        if not self.cancel.isHidden():
            self.title.set_whole(f"Looked at {done} of {n} cases")

    def _on_counted(self, lacking: Gathered, found: Gathered) -> None:
        self._set_finding(False)
        if self._second is lacking:
            self._second = found
            self._show()
        elif self._gathered is lacking:
            self.show_gathered(found, self._labels)

    def _on_failed(self, error: BaseException) -> None:
        self._set_finding(False)
        self._show()
        self._app.show_error(error)
