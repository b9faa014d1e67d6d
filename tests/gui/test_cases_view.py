"""All cases: every mean is named, and every number leads to its cases and their voxels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_unet_mic.data.volume import Volume, write_labels
from napari_unet_mic.evaluation.lesion import LesionQuestion
from napari_unet_mic.evaluation.result_files import ABOUT, CASES, CONFUSION
from napari_unet_mic.evaluation.results import Evaluation
from napari_unet_mic.evaluation.summary import evaluate_folders
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.table_copies import FORMS
from napari_unet_mic.gui.tables import TableView
from napari_unet_mic.reporting.tables import evaluation_text

LABELS = {"outside": 0, "liver": 1, "cancer": 2}


def declare(folder: Path, labels: dict[str, int]) -> None:
    content = {"labels": labels, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.fixture
def folders(tmp_path: Path, pair_of_labels: tuple[Volume, Volume]) -> tuple[Path, Path]:
    """Four cases: without error, with a missed lesion, with a made-up one, and a broken one."""
    reference, prediction = pair_of_labels
    without = np.where(reference.array == 2, 1, reference.array)
    made_up = without.copy()
    made_up[3, 5, 5] = 2
    cases = {
        "good": (reference.array, reference.array),
        "bad": (reference.array, prediction.array),
        "made-up": (without, made_up),
    }
    for name, maps in cases.items():
        for folder, array in zip("rp", maps, strict=True):
            write_labels(tmp_path / folder / f"{name}.nii.gz", array, reference)
    for folder in "rp":
        (tmp_path / folder / "broken.nii.gz").write_bytes(b"nothing")
    declare(tmp_path, LABELS)
    return tmp_path / "r", tmp_path / "p"


@pytest.fixture
def written(folders: tuple[Path, Path], tmp_path: Path) -> Evaluation:
    found = evaluate_folders(*folders)
    found.write(tmp_path / "e")
    return found


def click(view: TableView, row: int, column: int, *, twice: bool = False) -> None:
    """Click a cell of the model as the mouse does."""
    index = view.model().mapFromSource(view.table.index(row, column))
    view.scrollTo(index)
    where = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    if twice:
        QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)


def cases_listed(panel: InspectorPanel) -> list[str]:
    rows = panel.cases.list.table.visible_rows()
    return [panel.cases.list.model.rows[row][0] for row in rows]


@pytest.fixture
def opened(app: App, until: Callable[..., None], written: Evaluation, tmp_path: Path) -> Any:
    app.viewer.window._qt_window.resize(1366, 768)
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    panel.cases.open(tmp_path / "e")
    until(lambda: panel.cases.means_model.rowCount() == 3)
    return panel


def test_from_a_number_to_its_voxels(
    opened: InspectorPanel, app: App, until: Callable[..., None], written: Evaluation
) -> None:
    panel, cases = opened, opened.cases
    # what is shown is what the command prints
    headings, model = cases.means_model.columns, cases.means_model
    cancer = [model.text(2, column) for column in range(len(headings))]
    shown = dict(zip(headings, cancer, strict=True))
    assert (shown["mean IoU"], shown["cases"]) == ("0.3333", "3")
    assert (shown["IoU if present"], shown["cases with class"]) == ("0.5000", "2")
    assert shown["pooled IoU"] == "0.4000"
    assert (shown["empty references"], shown["with false positives"], shown["without"]) == (
        "1",
        "1",
        "0",
    )
    printed = evaluation_text(written).splitlines()
    overlap = ["cancer", *cancer[:8]]
    assert overlap in [line.split() for line in printed]
    assert cases.confusion.model.rows == written.pooled_table.tolist()
    assert "3 cases, 1 not compared" in cases.title.whole
    assert cases_listed(panel) == ["bad", "made-up", "good", "broken"]
    assert "broken" in cases.list.model.data(
        cases.list.model.index(3, 0), Qt.ItemDataRole.ToolTipRole
    )

    # a cell of the pooled table: its cases, then its voxels
    click(cases.confusion.grid, 2, 1)
    assert cases_listed(panel) == ["bad"]
    assert cases.list.model.text(0, 1) == "4"
    click(cases.list.table, 0, 0)
    until(lambda: bool(panel.mistakes.regions))
    assert panel.mistakes.cell == (2, 1)
    assert app.viewer.dims.current_step[0] == 1
    assert (app.state.reference_layer, app.state.prediction_layer) == (
        "bad reference",
        "bad prediction",
    )
    assert app.state.comparison.table.tolist() == written.case("bad").table.tolist()
    assert cases.isVisibleTo(panel)  # still among all cases

    # a mean: the cases behind it; false positives: the case that has them, and where
    click(cases.means, 2, headings.index("mean IoU"))
    assert cases_listed(panel) == ["bad", "made-up", "good"]
    click(cases.means, 2, headings.index("with false positives"))
    assert cases_listed(panel) == ["made-up"]
    click(cases.list.table, 0, 0, twice=True)
    until(lambda: panel.mistakes.cell == (None, 2) and bool(panel.mistakes.regions))
    assert app.viewer.dims.current_step[0] == 3
    assert panel.pages.currentWidget() is panel.parts  # the double click leaves for the case
    panel.scope.setCurrentIndex(1)

    # a column's header, all errors, and back to all
    cases.confusion.grid.column_header_clicked.emit(2)
    assert cases_listed(panel) == ["bad", "made-up"]
    panel._on_all_errors()
    assert cases_listed(panel) == ["bad", "made-up"]
    assert cases.list.back.isVisibleTo(cases)
    cases.list.back.click()
    assert cases_listed(panel) == ["bad", "made-up", "good", "broken"]

    # the mean over cases gives every case one voice
    cases.confusion.view_box.setCurrentText("% of true, mean over cases")
    assert cases.confusion.model.rows[2] == pytest.approx([0.0, 50.0, 50.0])
    assert "mean over the 2 cases" in cases.confusion.model.row_tooltips[2]
    cases.confusion.view_box.setCurrentText("% of true, pooled")
    assert cases.confusion.model.rows[0][2] == pytest.approx(100 * 2 / 336)

    # copies name everything
    for form in FORMS.values():
        panel.copy_tables(form)
        text = QGuiApplication.clipboard().text()
        assert "Per class, means over 3 cases" in text
        assert "% of true, pooled" in text
        assert "with false positives" in text
        assert "made-up" in text
    assert panel.command().startswith("unet-mic evaluate --reference ")


def test_a_bare_summary_says_so_and_is_counted_from_its_files(
    app: App, until: Callable[..., None], written: Evaluation, tmp_path: Path
) -> None:
    for name in (ABOUT, CASES, CONFUSION):
        (tmp_path / "e" / name).unlink()
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    cases = panel.cases
    cases.open(tmp_path / "e")
    until(lambda: cases.means_model.rowCount() == 2)
    assert "summary.json" in cases.confusion.notice.text()
    assert cases.confusion.extra == "plot, one point a case"  # the figures that are there
    cases.confusion.view_box.setCurrentIndex(0)
    assert cases.confusion.remedy.isVisibleTo(cases)
    click(cases.means, 1, 0)
    assert cases_listed(panel) == ["bad", "made-up", "good"]
    cases.confusion.remedy.click()
    until(lambda: cases.confusion.model.rowCount() == 3)
    assert cases.confusion.model.rows == written.pooled_table.tolist()
    assert cases.evaluation.means_of(2).n_nsd == written.means_of(2).n_nsd == 3

    # files that are gone cannot be counted: the sentence says what to do, no dead button
    for file in (tmp_path / "r").iterdir():
        file.unlink()
    cases.open(tmp_path / "e")
    until(lambda: "open the dataset" in cases.confusion.notice.text())
    assert not cases.confusion.remedy.isVisibleTo(cases)


def test_ignored_voxels_are_in_no_table_of_the_panel(
    app: App, until: Callable[..., None], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    declare(tmp_path, {"outside": 0, "liver": 1, "ignore": 2})
    ones = Volume.from_array(np.ones((4, 6, 6), np.uint8), spacing_mm=(5, 1, 1))
    write_labels(folders[1] / "bad.nii.gz", ones.array, ones)
    for name in ("good", "made-up", "broken"):
        (folders[0] / f"{name}.nii.gz").unlink()
    found = evaluate_folders(*folders)
    found.write(tmp_path / "e")
    assert found.pooled_table.sum() == 144 - 4
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    panel.cases.open(tmp_path / "e")
    until(lambda: panel.cases.confusion.model.rowCount() == 2)
    panel.cases.list.case_chosen.emit(panel.cases.evaluation.case("bad"))
    until(lambda: app.state.comparison is not None)
    assert app.state.dataset is None
    assert app.state.comparison.table.tolist() == found.pooled_table.tolist()
    assert app.state.comparison.ignore == 2


def test_the_worst_case_opens_at_its_worst_region_and_w_goes_on(
    opened: InspectorPanel, app: App, until: Callable[..., None]
) -> None:
    panel, cases = opened, opened.cases
    buttons = cases.list.findChildren(QPushButton)
    forward = next(button for button in buttons if button.text().startswith("next worst"))
    QTest.mouseClick(forward, Qt.MouseButton.LeftButton)
    until(lambda: app.state.reference_layer == "bad reference" and bool(panel.mistakes.regions))
    assert panel.mistakes.cell == (None, None)
    assert panel.mistakes.regions[0].kind == "missed lesion"
    assert app.viewer.dims.current_step[0] == 1
    assert cases.list.table.current_row() == 0
    for key, name in (("W", "made-up"), ("W", "good"), ("W", "bad"), ("Shift-W", "good")):
        panel_acts(app, key)
        until(lambda name=name: app.state.reference_layer == f"{name} reference")
        until(lambda: app.state.comparison is not None)

    # by class and metric: every case is listed, and leads to where it is worst in that class
    box = cases.list.class_box
    box.setCurrentIndex(box.findText("cancer"))
    assert cases_listed(panel) == ["bad", "made-up", "good", "broken"]
    assert cases.list.model.columns[1] == "IoU of cancer"
    box = cases.list.metric_box
    box.setCurrentIndex(box.findText("wrong voxels"))
    assert "worst wrong voxels of cancer first" in cases.list.title.whole
    click(cases.list.table, 1, 0)
    until(lambda: panel.mistakes.cell == (None, 2) and bool(panel.mistakes.regions))
    assert app.viewer.dims.current_step[0] == 3
    click(cases.means, 2, 0)
    assert "broken" not in cases_listed(panel)
    cases.list.back.click()
    assert cases_listed(panel)[-1] == "broken"


def panel_acts(app: App, key: str) -> None:
    """Press a key as the canvas does."""
    from napari.utils.key_bindings import coerce_keybinding

    app.viewer.keymap[coerce_keybinding(key)](app.viewer)


def test_two_folders_are_counted_and_can_be_stopped(
    app: App, until: Callable[..., None], folders: tuple[Path, Path], written: Evaluation
) -> None:
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    cases = panel.cases
    cases.menu.folders_chosen.emit(*folders)
    assert cases.counting.isVisibleTo(panel)
    QTest.mouseClick(cases.counting.cancel, Qt.MouseButton.LeftButton)
    assert not cases.counting.isVisibleTo(panel)
    assert app.state.message == "Stopped counting"
    cases.menu.folders_chosen.emit(*folders)
    until(lambda: cases.evaluation is not None and not cases.counting.isVisibleTo(panel))
    assert cases.confusion.model.rows == written.pooled_table.tolist()
    assert "p: 3 cases, 1 not compared" in cases.title.whole
    until(lambda: bool(cases_listed(panel)))
    click(cases.list.table, 0, 0)
    until(lambda: app.state.comparison is not None)


def test_files_that_are_not_here_are_pointed_to(
    opened: InspectorPanel, app: App, until: Callable[..., None], tmp_path: Path
) -> None:
    cases = opened.cases
    (tmp_path / "r").rename(tmp_path / "elsewhere")
    click(cases.list.table, 0, 0)
    until(lambda: cases.missing.isVisibleTo(opened))
    sentence = cases.missing.sentence.text().replace("\u200b", "")
    assert "bad.nii.gz" in sentence
    assert "point to the folder with the references" in sentence
    cases.opening.point_to(references=tmp_path / "elsewhere")
    until(lambda: app.state.comparison is not None)
    assert not cases.missing.isVisibleTo(opened)
    assert app.state.reference_layer == "bad reference"


def test_a_second_evaluation_orders_by_loss_and_opens_both_predictions(
    opened: InspectorPanel,
    app: App,
    until: Callable[..., None],
    folders: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    panel, cases = opened, opened.cases
    second = tmp_path / "q"
    second.mkdir()
    for name, source in (("good", "p/bad"), ("bad", "r/bad"), ("made-up", "p/made-up")):
        (second / f"{name}.nii.gz").write_bytes((tmp_path / f"{source}.nii.gz").read_bytes())
    asked = LesionQuestion((2,))
    evaluate_folders(folders[0], second, lesions=asked).write(tmp_path / "e2")
    evaluate_folders(*folders, lesions=asked).write(tmp_path / "e")
    cases.open(tmp_path / "e")
    until(lambda: cases.evaluation.lesions is not None)
    cases.menu.second_chosen.emit(tmp_path / "e2")
    until(lambda: cases.second is not None and cases.list.model.columns[1].startswith("change"))
    assert cases_listed(panel) == ["good", "made-up", "bad"]
    assert cases.list.model.text(0, 1).startswith("−")
    assert cases.plot.points.change
    assert cases.title.whole.endswith("vs  e2: lesions 1 gained, 1 lost")
    assert "--against" in panel.command()
    click(cases.list.table, 0, 0)
    until(lambda: app.state.difference is not None)
    assert app.state.prediction_layer == "good prediction"
    assert app.state.difference.second_layer == "good second prediction"
    assert app.state.difference.table[:, 1:].tolist() == [[0, 1, 0], [0, 0, 0], [0, 4, 0]]
    assert not app.viewer.layers["good second prediction"].visible

    # other predictions without an evaluation are counted
    cases.menu.second_dropped.emit()
    assert cases.list.model.columns[1] == "mean IoU"
    cases.menu.second_folder_chosen.emit(second)
    until(lambda: cases.second is not None and not cases.counting.isVisibleTo(panel))
    assert cases_listed(panel) == ["good", "made-up", "bad"]
    # and go with the evaluation that they were compared with
    cases.open(tmp_path / "e")
    until(lambda: cases.second is None)


def test_published_results_are_sorted_drawn_and_both_means_stated(
    app: App, until: Callable[..., None], shared: Path
) -> None:
    app.viewer.show()
    app.viewer.window._qt_window.resize(1366, 768)
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    cases = panel.cases
    cases.open(shared / "data" / "plans" / "ConvolutionalEncoder" / "Dataset003_Liver")
    until(lambda: len(cases_listed(panel)) == 131)
    box = cases.list.class_box
    box.setCurrentIndex(box.findText("cancer"))
    until(lambda: cases.plot.ready)
    words = cases.plot.legend.text()
    assert "mean 0.5247 (126 cases)" in words
    assert "without empty references <b>0.5603</b> (118 cases)" in words
    assert "5 without it in either map" in words
    assert len(cases.plot._dots.data) == 126
    assert cases.plot.points.figures[0] == 0.0
    assert sum(cases.plot.points.empty) == 8
    # a point leads to its case; its files are not here, and that is said with a way out
    cases.plot.case_asked.emit(cases.plot.points.cases[0])
    until(lambda: cases.missing.isVisibleTo(panel))
    assert "no such file" in cases.missing.sentence.text()
    assert cases.missing.references.isVisibleTo(panel)
