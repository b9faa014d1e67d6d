"""A dataset's cases in a table; a click opens image and reference; findings name the file."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import write_json
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.dataset_survey import CaseFacts, survey


def _save(file: Path, array: np.ndarray, spacing: tuple[float, float, float]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six cases of 4 × 5 × 6 voxels (i, j, k); case 3 has no tumour, case 5 another grid."""
    root = tmp_path / "Dataset001_Toy"
    rng = np.random.default_rng(0)
    for n in range(6):
        label = np.zeros((4, 5, 6), np.uint8)
        label[1:3, 1:4, 1:5] = 1
        if n != 3:
            label[1, 1, 1:3] = 2
        _save(root / "imagesTr" / f"c{n}_0000.nii.gz", rng.random((4, 5, 6)), (1, 1, 5))
        _save(root / "labelsTr" / f"c{n}.nii.gz", label, (1, 1, 5) if n != 5 else (1, 1, 4))
    labels = {"background": 0, "liver": 1, "cancer": 2}
    about = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 6}
    write_json(root / "dataset.json", {**about, "file_ending": ".nii.gz"})
    return root


def test_survey_tells_grids_first_and_then_volumes(folder: Path) -> None:
    told: list[CaseFacts] = []
    survey(open_dataset(folder), told.append)
    assert [facts.name for facts in told[:6]] == [f"c{n}" for n in range(6)]
    assert told[0].shape == (6, 5, 4)
    assert told[0].volumes_ml == {}
    last = {facts.name: facts for facts in told}
    assert last["c0"].volumes_ml == {1: pytest.approx(22 * 0.005), 2: pytest.approx(2 * 0.005)}
    assert last["c3"].volumes_ml[2] == 0.0
    assert "labelsTr/c5.nii.gz: expected the grid of" in last["c5"].finding
    assert not last["c0"].finding


def test_survey_stops(folder: Path) -> None:
    told: list[CaseFacts] = []
    survey(open_dataset(folder), told.append, should_stop=lambda: len(told) >= 2)
    assert len(told) == 2


def test_the_panel(app: App, folder: Path, until: Callable[..., None]) -> None:
    panel = app.show("dataset")
    panel.open(folder / "nowhere")
    until(lambda: bool(app.state.message))
    assert "no such folder" in app.state.message

    panel.open(folder)
    until(lambda: panel.tabs.tabText(1) == "⚠ Findings (1)")
    assert app.state.dataset is not None
    model = panel.model
    assert list(model.frame.columns) == [
        "case", "split", "shape", "spacing mm", "liver ml", "cancer ml", "fold",
    ]  # fmt: skip
    until(lambda: model.text(3, 4) != "–")
    shown = [model.text(3, column) for column in range(6)]
    assert shown == ["c3", "train", "6×5×4", "5 1 1", "0.12", "–"]
    assert sorted(set(model.frame["fold"])) == [0, 1, 2, 3, 4]
    assert panel.folds_label.whole == "5 folds of 6"

    panel.filter.setText("c4")
    assert panel.table.visible_rows() == [4]
    panel.filter.clear()

    panel.table.cell_clicked.emit(2, 0)
    until(lambda: app.state.case is not None)
    assert [layer.name for layer in app.viewer.layers] == ["c2 image", "c2 reference"]
    assert app.viewer.layers["c2 reference"].features["class"].tolist()[1:] == ["liver", "cancer"]

    panel.table.cell_clicked.emit(5, 0)  # its label lies on another grid: the image alone
    until(lambda: "c5.nii.gz" in app.state.message)
    assert app.state.case.name == "c5"
    assert app.state.case.reference is None
    assert [layer.name for layer in app.viewer.layers] == ["c5 image"]

    panel.test_box.setCurrentIndex(3)
    panel.table.select_row(1)
    panel._on_test_set_chosen(3)
    assert [case.name for case in app.state.dataset.test] == ["c1"]
    assert panel.folds_label.whole == "1 held out, 5 folds of 5"
    assert model.frame["split"].tolist().count("test") == 1
    assert panel.command() == f"unet-mic check {folder} --test c1"


def test_a_dataset_with_missing_files_opens(
    app: App, folder: Path, until: Callable[..., None]
) -> None:
    (folder / "labelsTr" / "c1.nii.gz").unlink()
    panel = app.show("dataset")
    panel.open(folder)
    until(lambda: panel.tabs.tabText(1) == "⚠ Findings (2)")
    assert "no such file" in panel.check.findings.findings[0].message


def test_a_click_on_a_finding_opens_its_case(
    app: App, folder: Path, until: Callable[..., None]
) -> None:
    panel = app.show("dataset")
    panel.open(folder)
    until(lambda: app.state.dataset is not None)
    QTest.mouseClick(panel.check.bar.button, Qt.MouseButton.LeftButton)
    assert panel.check.bar.running
    until(lambda: panel.check.report is not None)
    assert not panel.check.bar.running
    assert panel.check.bar.headline.whole.startswith("1 error,")
    kinds = [f.kind for f in panel.check.findings.findings]
    assert kinds[0] == "grid-mismatch"
    panel.tabs.setCurrentIndex(1)
    panel.check.findings.table.cell_clicked.emit(0, 1)
    until(lambda: app.state.case is not None)
    assert app.state.case.name == "c5"
    assert "export it again on that grid" in panel.check.findings.sentence.sentence
    until(lambda: panel.table.current_row() == 5)


def test_a_check_of_what_cannot_be_checked_is_a_sentence(
    app: App, tmp_path: Path, until: Callable[..., None]
) -> None:
    panel = app.show("dataset")
    panel.path.setText(str(tmp_path / "nowhere"))
    panel.check.check()
    until(lambda: not panel.check.bar.running)
    assert "no such folder" in app.state.message
