"""Acts on what the Dataset panel asks about its check: runs it, shows it, groups the folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_unet_mic.data.patients import Patients
from napari_unet_mic.data.split_check import write_grouped_splits
from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.gui.check_bar import CheckBar
from napari_unet_mic.gui.check_report import CheckReport, Reported, check_words, run_check
from napari_unet_mic.gui.findings_view import FindingsView
from napari_unet_mic.gui.pair_pictures import pair_pictures
from napari_unet_mic.gui.pairs_view import PairsView
from napari_unet_mic.gui.patients_row import PatientsRow
from napari_unet_mic.gui.sizes_view import SizesView

if TYPE_CHECKING:
    from napari_unet_mic.data.dataset import Dataset
    from napari_unet_mic.data.splits import Splits
    from napari_unet_mic.data.workspace import Workspace
    from napari_unet_mic.gui.app import App, Ticket


class CheckControl:
    """The check of one panel's dataset.

    Parameters
    ----------
    path
        The dataset's path as the panel shows it; it need not have been opened.
    open_case
        Opens a case by its name.
    folds_changed
        Called when the workspace got other folds.
    """

    def __init__(
        self,
        app: App,
        path: Callable[[], str],
        open_case: Callable[[str], None],
        folds_changed: Callable[[], None],
    ) -> None:
        self._app = app
        self._path = path
        self._folds_changed = folds_changed
        self._ticket: Ticket | None = None
        self._glance: tuple[Reported, ...] = ()
        self.report: CheckReport | None = None
        self.splits: Splits = []
        self.bar, self.patients = CheckBar(), PatientsRow()
        self.findings, self.pairs, self.sizes = FindingsView(), PairsView(), SizesView()
        self.titles_changed: Callable[[], None] = lambda: None
        self.bar.check_asked.connect(self.check)
        self.bar.cancel_asked.connect(self.cancel)
        self.patients.group_asked.connect(self._on_group_asked)
        self.findings.case_asked.connect(open_case)
        self.pairs.case_asked.connect(open_case)
        self.sizes.case_asked.connect(open_case)
        self.pairs.pair_asked.connect(self._on_pair_asked)
        app.viewer.events.theme.connect(self._on_theme_changed)
        app.on_close.append(self.cancel)
        self._on_theme_changed()

    @property
    def views(self) -> tuple[tuple[str, QWidget], ...]:
        """The views of the check with their titles, as tabs show them."""
        shown = self.findings.findings
        grave = sum(one.severity != "note" for one in shown)
        sign = "⚠ " if grave else ""
        n_pairs = len(self.report.pairs) if self.report else 0
        return (
            (f"{sign}Findings ({len(shown)})" if shown else "Findings", self.findings),
            (f"Pairs ({n_pairs})" if n_pairs else "Pairs", self.pairs),
            ("Sizes", self.sizes),
        )

    # ---- the check -------------------------------------------------------------------
    def words(self) -> list[str]:
        """Return the words after ``unet-mic check`` that do what the panel would do."""
        state = self._app.state
        workspace, dataset = state.workspace, state.dataset
        splits = workspace.splits_file if workspace is not None else None
        return check_words(
            self._path() or "DATASET",
            pattern=self.patients.pattern_text,
            patients_file=self.patients.file,
            splits_file=splits if splits is not None and splits.is_file() else None,
            held_out=[case.name for case in dataset.test] if dataset else (),
        )

    def check(self) -> None:
        """Check the dataset of the panel in a child process."""
        if not self._path().strip():
            self._app.say("Choose a dataset first")
            return
        self.bar.show_running(True)
        self._ticket = self._app.in_thread(
            run_check,
            self.words(),
            lambda stage, done, total: self._app.tell(self.bar.show_progress, stage, done, total),
            topic="check",
            stoppable=True,
            on_done=self._on_checked,
            on_error=self._on_failed,
        )

    def cancel(self) -> None:
        """End the check that is under way; what was shown before stays."""
        if self._ticket is not None:
            self._ticket.stale = True
            self._ticket = None
            self.bar.show_running(False)

    def _on_checked(self, report: CheckReport) -> None:
        self._ticket = None
        self.bar.show_running(False)
        self.report = report
        self.bar.show_headline(report.headline)
        self.findings.show_findings(report.findings, checked=True)
        self.pairs.show_pairs(report.pairs, checked=True)
        self.patients.set_suspected(report.groups)
        dataset = self._app.state.dataset
        self.sizes.show_sizes(report.sizes, dataset.classes if dataset else {})
        self.titles_changed()

    def _on_failed(self, error: BaseException) -> None:
        self._ticket = None
        self.bar.show_running(False)
        self._app.show_error(error)

    # ---- the dataset -----------------------------------------------------------------
    def set_dataset(self, dataset: Dataset, splits: Splits, *, other: bool) -> None:
        """Take over the panel's dataset; of another one nothing is known yet."""
        self.splits = splits
        if other:
            self.cancel()
            self.report, self._glance = None, ()
            self.bar.show_headline("not checked yet")
            self.findings.show_findings((), checked=False)
            self.pairs.show_pairs((), checked=False)
            self.sizes.show_sizes((), {})
            self.titles_changed()
        self.patients.set_dataset(dataset, splits)

    def show_glance(self, sentences: Sequence[tuple[str, str, str]]) -> None:
        """Show what the table's reading met, (case, file, sentence), until the check is made."""
        glance = tuple(
            Reported("error", "at first glance", case, file, sentence, got=sentence)
            for case, file, sentence in sentences
        )
        if self.report is None and glance != self._glance:
            self._glance = glance
            self.findings.show_findings(glance, checked=False)
            self.titles_changed()

    # ---- pairs -----------------------------------------------------------------------
    def _on_pair_asked(self, pair: Reported, laid: bool) -> None:
        dataset = self._app.state.dataset
        if dataset is None:
            self._app.say("Open the dataset to see the images")
            return
        self._app.in_thread(
            pair_pictures,
            dataset,
            pair.case,
            pair.related[0],
            dict(pair.evidence),
            laid=laid,
            topic="pair",
            on_done=self.pairs.show_pictures,
        )

    # ---- folds -----------------------------------------------------------------------
    def _on_group_asked(self) -> None:
        dataset = self._app.state.dataset
        if dataset is None:
            self._app.say("Open a dataset first")
            return
        try:
            patients, groups = self.patients.patients, self.patients.groups()
            if not groups:
                self._app.say("No two cases are known to have one patient: nothing to group")
                return
            workspace = self._app.state.workspace
            if workspace is None or _has_runs(workspace):
                self._save_elsewhere(dataset, groups, workspace)
                return
            _keep(workspace, dataset, self.splits, groups, patients)
        except UNetMicError as error:
            self._app.show_error(error)
            return
        self._app.say(f"{workspace.splits_file}: folds that keep a patient's cases together")
        self._folds_changed()

    def _save_elsewhere(
        self, dataset: Dataset, groups: Sequence[Sequence[str]], workspace: Workspace | None
    ) -> None:
        """Ask for a file: without a workspace, or when its runs were made with its folds."""
        reason = "its runs were made with its own folds" if workspace else "no workspace is open"
        file, _ = QFileDialog.getSaveFileName(
            self.patients,
            f"Save the grouped folds ({reason})",
            str(dataset.folder.parent / "splits_final.json"),
            "Splits (*.json)",
        )
        if file:
            write_grouped_splits(Path(file), dataset, self.splits, groups)
            self._app.say(
                f"{file}: folds that keep a patient's cases together; train with --splits"
            )

    def _on_theme_changed(self) -> None:
        theme = get_theme(self._app.viewer.theme)
        self.sizes.set_theme(theme.text.as_hex(), theme.background.as_hex())


def _has_runs(workspace: Workspace) -> bool:
    return workspace.runs.is_dir() and any(workspace.runs.iterdir())


def _keep(
    workspace: Workspace,
    dataset: Dataset,
    splits: Splits,
    groups: Sequence[Sequence[str]],
    patients: Patients | None,
) -> None:
    """Write who is who and the grouped folds into a workspace.

    Raises
    ------
    BadInput
        When the folder cannot be written, or there are fewer than five patients.
    """
    if patients is None:
        patients = Patients({name: f"of {group[0]}" for group in groups for name in group})
    try:
        write_grouped_splits(workspace.splits_file, dataset, splits, groups)
        patients.write(workspace.patients_file)
    except OSError as error:
        raise BadInput(
            workspace.folder,
            expected="a folder that can be written",
            got=(error.strerror or type(error).__name__).lower(),
            advice="check its permissions",
        ) from error
