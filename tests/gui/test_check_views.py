"""Findings, pairs and sizes as the panel shows them; patients and what they mean for the folds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_unet_mic.data.dataset import Case, Dataset
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.data.patients import read_patients
from napari_unet_mic.data.splits import five_folds, read_splits
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.gui.check_control import CheckControl
from napari_unet_mic.gui.check_report import CheckReport, Reported, Sizes
from napari_unet_mic.gui.findings_view import FindingsView
from napari_unet_mic.gui.pair_pictures import PairPictures, pair_pictures
from napari_unet_mic.gui.pairs_view import PairsView
from napari_unet_mic.gui.patients_row import PatientsRow
from napari_unet_mic.gui.sizes_view import SizesView


def finding(kind: str, severity: str, case: str, **more: Any) -> Reported:
    return Reported(severity, kind, case, f"/d/{case}.nii.gz", f"{case}: sentence", **more)


PAIR = finding(
    "near-duplicate",
    "warning",
    "b",
    related=("a",),
    evidence={
        "correlation": 0.971,
        "axes": [0, 1, 2],
        "flips": [1, 1, -1],
        "shift_mm": [0.0, 0.0, 0.0],
        "folds": [0, 3],
        "test": False,
    },
)


def test_findings_are_sorted_by_gravity_and_lead_to_their_case(qtbot: QtBot) -> None:
    view = FindingsView()
    qtbot.addWidget(view)
    assert "Not checked yet" in view.sentence.sentence
    view.show_findings(
        [
            finding("lfs-pointer", "error", "c"),
            finding("empty-label", "warning", "a"),
            finding("wrong-count", "warning", ""),
        ],
        checked=True,
    )
    assert [view.model.text(row, 0) for row in range(3)] == ["error", "warning", "warning"]
    assert view.model.text(2, 1) == "dataset"
    view.table.sortByColumn(1, view.table.horizontalHeader().sortIndicatorOrder())
    with qtbot.waitSignal(view.case_asked) as asked:
        view.table.cell_clicked.emit(1, 2)
    assert asked.args == ["a"]
    assert view.sentence.sentence == "a: sentence"
    view.table.cell_clicked.emit(2, 0)  # about the dataset: nothing to open
    view.filter.setText("lfs")
    assert view.table.visible_rows() == [0]
    view.show_findings([], checked=True)
    assert "Nothing was found" in view.sentence.sentence


def test_a_pair_side_by_side(qtbot: QtBot) -> None:
    view = PairsView()
    qtbot.addWidget(view)
    view.show()
    view.show_pairs([PAIR], checked=True)
    assert [view.model.text(0, c) for c in range(5)] == [
        "b",
        "a",
        "same image",
        "0.97",
        "folds 0, 3",
    ]
    with qtbot.waitSignal(view.pair_asked) as asked:
        view.table.cell_clicked.emit(0, 0)
    assert asked.args == [PAIR, True]
    grey = np.zeros((7, 9), np.uint8)
    view.show_pictures(PairPictures("x", "y", grey, grey))  # of a pair asked for earlier
    assert not view.pictures[0].shown
    view.show_pictures(PairPictures("b", "a", grey, grey))
    assert view.pictures[0].shown
    with qtbot.waitSignal(view.case_asked) as opened:
        view.openers[1].click()
    assert opened.args == ["a"]
    with qtbot.waitSignal(view.pair_asked) as again:
        view.laid.setChecked(False)
    assert again.args[1] is False
    view.show_pairs([], checked=True)
    assert "No two cases share an image" in view.sentence.sentence


def dataset_of(folder: Path, names: list[str], images: dict[str, Path] | None = None) -> Dataset:
    cases = tuple(
        Case(name, ((images or {}).get(name, folder / f"{name}.nii.gz"),), folder / name, "train")
        for name in names
    )
    classes = {0: "background", 1: "liver", 2: "cancer"}
    return Dataset("Toy", folder, ("CT",), classes, None, ".nii.gz", cases)


def test_pictures_lie_as_the_evidence_says(
    tmp_path: Path, write_nifti: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(0)
    volume = rng.random((12, 10, 5)).astype(np.float32)  # (i, j, k)
    files = {
        "a": write_nifti("a.nii.gz", volume, np.diag([-1.0, -1, 2, 1])),
        "b": write_nifti("b.nii.gz", volume[::-1], np.diag([-1.0, -1, 2, 1])),
    }
    dataset = dataset_of(tmp_path, ["a", "b"], files)
    stored = pair_pictures(dataset, "b", "a", PAIR.evidence, laid=False)
    assert stored.left.shape == stored.right.shape == (10, 12)
    np.testing.assert_array_equal(stored.left, stored.right[:, ::-1])
    laid = pair_pictures(dataset, "b", "a", PAIR.evidence, laid=True)
    np.testing.assert_array_equal(laid.left, laid.right)


def test_flat_and_oblong_images_have_pictures(
    tmp_path: Path, write_nifti: Callable[..., Path]
) -> None:
    affine = np.diag([-1.0, -4, 5, 1])
    files = {
        "a": write_nifti("a.nii.gz", np.full((8, 6, 3), 7, np.int16), affine),
        "b": write_nifti("b.nii.gz", np.full((8, 6, 1), np.nan, np.float32), affine),
    }
    pictures = pair_pictures(dataset_of(tmp_path, ["a", "b"], files), "a", "b", {}, laid=True)
    assert pictures.left.shape == (24, 8)  # square pixels of 1 mm
    assert not pictures.right.any()


def test_sizes_are_drawn_when_seen_and_lead_to_their_case(qtbot: QtBot) -> None:
    view = SizesView()
    qtbot.addWidget(view)
    sizes = [
        Sizes(f"c{n}", "train" if n < 6 else "test", value, 1.0 + n, (0.9, 0.1 + n))
        for n in range(8)
        for value in (1, 2)
    ]
    view.show_sizes([*sizes, Sizes("c9", "test", 2, 0.0, ())], {1: "liver", 2: "cancer"})
    view.resize(380, 300)
    view.show()
    qtbot.waitUntil(lambda: view.ready, timeout=20_000)
    assert view.choice.currentText() == "cancer"
    assert "train: 6 of 6 cases, 12 components" in view.legend.text()
    assert "test: 2 of 3 cases, 4 components" in view.legend.text()
    dots = view._plots["volumes"].listDataItems() or view._plots["volumes"].items()
    scatter = [item for item in dots if hasattr(item, "sigClicked") and hasattr(item, "points")]
    assert sum(len(item.points()) for item in scatter) == 8
    with qtbot.waitSignal(view.case_asked) as asked:
        scatter[0].sigClicked.emit(scatter[0], scatter[0].points()[:1], None)
    assert asked.args == ["c0"]
    view.set_theme("#000000", "#ffffff")
    view.show_sizes([], {})
    assert "Not checked yet" in view.legend.text()


NAMES = [f"hip_{n:03d}" for n in range(1, 21)]


def test_a_pattern_says_at_once_what_it_means(qtbot: QtBot, tmp_path: Path) -> None:
    row = PatientsRow()
    qtbot.addWidget(row)
    row.set_dataset(dataset_of(tmp_path, NAMES), five_folds(NAMES))
    assert row.patients is None
    assert "patients unknown" in row.sentence.whole
    assert row.pattern.itemText(1) == "hip_{pair}"
    row.pattern.setCurrentIndex(1)
    assert len(row.groups()) == 10
    assert "of 4 have their patient in training → 0" in row.sentence.whole
    assert "fold 4: " in row.sentence.toolTip()
    row.pattern.setEditText("nonsense")
    assert "{patient}" in row.sentence.whole
    row.pattern.setEditText("")
    row.set_suspected([NAMES[:2], ("x",)])
    assert row.groups() == [tuple(NAMES[:2])]
    write_json(tmp_path / "who.json", {NAMES[0]: "ann", NAMES[5]: "ann"})
    row.choose_file(tmp_path / "who.json")
    assert row.groups() == [(NAMES[0], NAMES[5])]
    row.choose_file(None)
    assert row.groups() == [tuple(NAMES[:2])]


@pytest.fixture
def control(fake_app: Any, qtbot: QtBot, tmp_path: Path) -> CheckControl:
    control = CheckControl(fake_app, lambda: str(tmp_path), lambda _: None, lambda: None)
    for _, view in control.views:
        qtbot.addWidget(view)
    qtbot.addWidget(control.bar)
    qtbot.addWidget(control.patients)
    dataset = dataset_of(tmp_path / "data", NAMES)
    fake_app.state.dataset = dataset
    control.set_dataset(dataset, five_folds(NAMES), other=True)
    return control


def workspace_at(folder: Path, dataset: Dataset) -> Workspace:
    return Workspace.create(folder, dataset)


def test_one_click_groups_the_folds_of_a_workspace(
    control: CheckControl, fake_app: Any, tmp_path: Path
) -> None:
    control.patients.group.click()
    assert "nothing to group" in fake_app.said[-1]
    control.patients.pattern.setEditText("hip_{pair}")
    workspace = workspace_at(tmp_path / "w", fake_app.state.dataset)
    fake_app.state.workspace = workspace
    control.patients.group.click()
    folds = read_splits(workspace.splits_file)
    assert len(folds) == 5
    for fold in folds:
        validating = {(int(name[4:]) + 1) // 2 for name in fold["val"]}
        assert not validating & {(int(name[4:]) + 1) // 2 for name in fold["train"]}
    groups = read_patients(workspace.patients_file).groups(NAMES)
    assert groups == [tuple(NAMES[n : n + 2]) for n in range(0, 20, 2)]
    assert "splits_final.json" in fake_app.said[-1]


def test_a_workspace_with_runs_keeps_its_folds(
    control: CheckControl, fake_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.patients.set_suspected([NAMES[:2], NAMES[4:7]])
    workspace = workspace_at(tmp_path / "w", fake_app.state.dataset)
    (workspace.runs / "first").mkdir(parents=True)
    fake_app.state.workspace = workspace
    elsewhere = tmp_path / "grouped.json"
    monkeypatch.setattr(
        "napari_unet_mic.gui.check_control.QFileDialog.getSaveFileName",
        lambda *_: (str(elsewhere), ""),
    )
    control.patients.group.click()
    assert not workspace.splits_file.exists()
    assert len(read_json(elsewhere)) == 5
    assert "--splits" in fake_app.said[-1]


def test_a_report_fills_every_view(control: CheckControl, fake_app: Any) -> None:
    titles: list[str] = []
    control.titles_changed = lambda: titles.extend(title for title, _ in control.views)
    report = CheckReport(
        (PAIR, finding("empty-label", "note", "a")),
        20,
        (tuple(NAMES[:2]),),
        (Sizes(NAMES[0], "train", 2, 1.0, (1.0,)),),
    )
    control._on_checked(report)
    assert titles == ["⚠ Findings (2)", "Pairs (1)", "Sizes"]
    assert control.bar.headline.whole == "no errors, 1 warning, 1 note"
    assert control.sizes.choice.currentText() == "cancer"
    control.show_glance([("a", "/a", "at first")])  # comes too late
    assert len(control.findings.findings) == 2
    control.set_dataset(fake_app.state.dataset, [], other=True)
    assert control.report is None
    control.show_glance([("a", "/a", "at first")])
    assert [f.kind for f in control.findings.findings] == ["at first glance"]
