"""The workspace: one folder with everything that is made from a dataset, and what lies where.

``workspace.json`` says where the dataset is and which version wrote it; the held-out test
set is copied in as ``test_cases.json`` when the workspace is made, so that later edits of
the dataset folder cannot move a test case into training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..errors import BadInput
from .dataset import Dataset, dataset_file, open_dataset, read_test_cases
from .files import read_json, write_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Workspace:
    """A workspace folder; the properties say where things lie, whether or not they exist."""

    folder: Path

    @classmethod
    def create(cls, folder: str | Path, dataset: Dataset) -> Workspace:
        """Make a workspace for a dataset, or open the one that is there for the same dataset.

        Raises
        ------
        BadInput
            When the folder is the workspace of another dataset, or the dataset's own folder.
        """
        workspace = cls(Path(folder).expanduser().absolute())
        if workspace.folder == dataset.folder.absolute():
            raise BadInput(
                folder,
                expected="a folder of its own for the workspace",
                got="the dataset's folder",
                advice="choose another folder; the dataset stays as it is",
            )
        if workspace.file.is_file():
            return workspace._reopened(dataset)
        if workspace.folder.exists() and not workspace.folder.is_dir():
            raise BadInput(
                folder, expected="a folder", got="a file", advice="choose another folder"
            )
        write_json(workspace.test_cases_file, [case.name for case in dataset.test])
        write_json(
            workspace.file,
            {
                "format_version": FORMAT_VERSION,
                "dataset": str(dataset.folder.absolute()),
                "version": __version__,
            },
        )
        return workspace

    def _reopened(self, dataset: Dataset) -> Workspace:
        opened = Workspace.open(self.folder)
        if opened.dataset_folder.resolve() != dataset.folder.resolve():
            raise BadInput(
                self.folder,
                expected=f"a workspace of {dataset.folder}",
                got=f"the workspace of {opened.dataset_folder}",
                advice="choose another workspace folder",
            )
        self._keep_test_cases(dataset)
        return opened

    def _keep_test_cases(self, dataset: Dataset) -> None:
        """Take over a test set as long as nothing was derived from its cases."""
        names = {case.name for case in dataset.test}
        kept = set(read_test_cases(self.test_cases_file))
        if names <= kept:
            return
        derived = (self.fingerprint_file, self.plans_file, self.splits_file)
        made = [file.name for file in derived if file.exists()]
        if made:
            raise BadInput(
                self.folder,
                expected="the test set this workspace was made with",
                got=f"{min(names - kept)}, which may be in its {made[0]} already",
                advice="choose another workspace folder for another test set",
            )
        write_json(self.test_cases_file, sorted(names | kept))

    @classmethod
    def open(cls, folder: str | Path) -> Workspace:
        """Open an existing workspace.

        Raises
        ------
        BadInput
            When the folder is none, or a later version wrote it.
        """
        workspace = cls(Path(folder).expanduser().absolute())
        if not workspace.file.is_file():
            raise BadInput(
                folder,
                expected="a workspace (a folder with workspace.json)",
                got="a folder without it" if workspace.folder.is_dir() else "no such folder",
                advice="choose another folder, or let `unet-mic train` make a workspace",
            )
        content = read_json(workspace.file)
        if not isinstance(content, dict) or not isinstance(content.get("dataset"), str):
            raise BadInput(
                workspace.file,
                expected="the dataset's folder under `dataset`",
                got="something else",
                advice="make a new workspace",
            )
        if content.get("format_version") != FORMAT_VERSION:
            raise BadInput(
                workspace.file,
                expected=f"format_version {FORMAT_VERSION}",
                got=f"{content.get('format_version')}",
                advice=f"open it with version {content.get('version', '?')} of napari-unet-mic",
            )
        return workspace

    def dataset(self) -> Dataset:
        """Open the workspace's dataset with the workspace's test set held out.

        Raises
        ------
        BadDataset, UnreadableFile
            When the dataset was moved or changed.
        """
        dataset = open_dataset(dataset_file(self.dataset_folder))
        if self.test_cases_file.is_file():
            dataset = dataset.with_test(read_test_cases(self.test_cases_file))
        return dataset

    @property
    def dataset_folder(self) -> Path:
        """Where the dataset lies."""
        return Path(str(read_json(self.file)["dataset"]))

    @property
    def file(self) -> Path:
        """workspace.json."""
        return self.folder / "workspace.json"

    @property
    def fingerprint_file(self) -> Path:
        """nnU-Net's dataset_fingerprint.json."""
        return self.folder / "dataset_fingerprint.json"

    @property
    def plans_file(self) -> Path:
        """nnU-Net's plans.json."""
        return self.folder / "plans.json"

    @property
    def splits_file(self) -> Path:
        """nnU-Net's splits_final.json."""
        return self.folder / "splits_final.json"

    @property
    def test_cases_file(self) -> Path:
        """The names of the held-out cases."""
        return self.folder / "test_cases.json"

    @property
    def patients_file(self) -> Path:
        """Who is who, when somebody said so: folds keep a patient's cases together."""
        return self.folder / "patients.json"

    def preprocessed(self, configuration: str) -> Path:
        """Return the folder of a configuration's preprocessed cases."""
        return self.folder / "preprocessed" / configuration

    @property
    def runs(self) -> Path:
        """The folder of training runs."""
        return self.folder / "runs"

    @property
    def predictions(self) -> Path:
        """The folder of predictions."""
        return self.folder / "predictions"

    @property
    def labels(self) -> Path:
        """The folder of corrected labels and of reviews, by case."""
        return self.folder / "labels"

    @property
    def evaluations(self) -> Path:
        """The folder of evaluations."""
        return self.folder / "evaluations"
