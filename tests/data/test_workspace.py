import json
from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import Dataset, open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, UnreadableFile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_liver(tmp_path_factory.mktemp("liver"), 3, (6, 12, 12), n_test=1)


@pytest.fixture
def dataset(folder: Path) -> Dataset:
    return open_dataset(folder)


def test_a_workspace_remembers_dataset_and_test_set(tmp_path: Path, dataset: Dataset) -> None:
    made = Workspace.create(tmp_path / "w", dataset)
    opened = Workspace.open(tmp_path / "w")
    assert opened == made
    assert opened.dataset() == dataset
    assert [case.name for case in opened.dataset().test] == ["liver_02"]
    assert json.loads(opened.test_cases_file.read_text()) == ["liver_02"]
    assert Path(json.loads(opened.file.read_text())["dataset"]).is_absolute()
    assert Workspace.create(tmp_path / "w", dataset) == made


def test_a_test_case_never_returns_to_training(tmp_path: Path, dataset: Dataset) -> None:
    workspace = Workspace.create(tmp_path / "w", dataset.with_test(["liver_00"]))
    assert [case.name for case in workspace.dataset().test] == ["liver_00", "liver_02"]
    assert [case.name for case in workspace.dataset().training] == ["liver_01"]


def test_another_test_set_is_taken_over_until_something_is_derived(
    tmp_path: Path, dataset: Dataset
) -> None:
    workspace = Workspace.create(tmp_path / "w", dataset)
    larger = dataset.with_test(["liver_00"])
    assert Workspace.create(tmp_path / "w", larger).dataset() == larger
    workspace.fingerprint_file.write_text("{}")
    assert Workspace.create(tmp_path / "w", dataset).dataset() == larger
    with pytest.raises(BadInput, match=r"liver_01, which may be in its dataset_fingerprint\.json"):
        Workspace.create(tmp_path / "w", dataset.with_test(["liver_01"]))


def test_where_things_lie(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.fingerprint_file == tmp_path / "dataset_fingerprint.json"
    assert workspace.plans_file == tmp_path / "plans.json"
    assert workspace.splits_file == tmp_path / "splits_final.json"
    assert workspace.preprocessed("3d_fullres") == tmp_path / "preprocessed" / "3d_fullres"
    assert workspace.runs == tmp_path / "runs"
    assert workspace.predictions == tmp_path / "predictions"
    assert workspace.evaluations == tmp_path / "evaluations"


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, BadInput, "a folder without it"),
        ("[]", BadInput, "the dataset's folder"),
        ("{", UnreadableFile, "JSON"),
        ('{"dataset": "/x", "format_version": 9, "version": "8.1"}', BadInput, r"version 8\.1"),
    ],
)
def test_folders_that_are_no_workspace(
    tmp_path: Path, content: str | None, error: type[BadInput], words: str
) -> None:
    if content is not None:
        (tmp_path / "workspace.json").write_text(content)
    with pytest.raises(error, match=words):
        Workspace.open(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        Workspace.open(tmp_path / "nowhere")


def test_a_workspace_is_of_one_dataset_and_not_inside_it(
    tmp_path: Path, folder: Path, dataset: Dataset
) -> None:
    other = open_dataset(write_liver(tmp_path / "other", 1, (6, 12, 12), n_test=0))
    Workspace.create(tmp_path / "w", dataset)
    with pytest.raises(BadInput, match="the workspace of"):
        Workspace.create(tmp_path / "w", other)
    with pytest.raises(BadInput, match="the dataset's folder"):
        Workspace.create(folder, dataset)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="got a file"):
        Workspace.create(tmp_path / "file", dataset)
