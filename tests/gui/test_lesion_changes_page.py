"""Lesions gained and lost over a run: from two lesions.csv, one click away, as the command says."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest

from napari_unet_mic.cli import main
from napari_unet_mic.data.volume import read_labels, write_labels
from napari_unet_mic.evaluation.lesion import MATCHES
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.table_copies import FORMS

Until = Callable[..., None]
NAMES = {"background": 0, "liver": 1, "cancer": 2}


def evaluate(place: Path, side: str, out: str, *options: str) -> None:
    words = ["--reference", str(place / "r"), "--prediction", str(place / side), *options]
    assert main(["evaluate", *words, "-o", str(place / out)]) == 0


@pytest.fixture(scope="module")
def liver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases; the second prediction finds the small ones, and loses one of 1.5 ml."""
    place = tmp_path_factory.mktemp("liver")
    planted.write(place)
    content = {"labels": NAMES, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (place / "dataset.json").write_text(json.dumps(content))
    for case in range(3):
        reference = read_labels(place / "r" / f"liver_{case}.nii.gz")
        second = np.minimum(reference.array, 1)
        for centre, size in zip(planted.CENTRES_MM, planted.SIZES_ML, strict=True):
            share = 0.6 if size == 6.0 else 0.0 if size == 1.5 and case == 2 else 1.0
            if share:
                second[planted.ball(centre, size, share)] = 2
        write_labels(place / "q" / f"liver_{case}.nii.gz", second, reference)
    evaluate(place, "p", "e1")
    evaluate(place, "q", "e2")
    return place


def opened(app: App, until: Until, place: Path, *, second: str = "e2") -> InspectorPanel:
    app.viewer.window._qt_window.resize(1366, 768)
    app.viewer.window._qt_window.show()
    panel: InspectorPanel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    panel.cases.open(place / "e1")
    until(lambda: panel.cases.evaluation is not None)
    panel.cases.menu.second_chosen.emit(place / second)
    until(lambda: panel.cases.second is not None)
    panel.cases.parts.bring_forward("Lesions")
    until(lambda: panel.cases.lesions.width() > 300)  # the parts have their places
    return panel


def choose(box: Any, text: str) -> None:
    box.setCurrentIndex(box.findText(text))


def click(view: Any, row: int) -> None:
    index = view.model().index(row, 0)
    view.scrollTo(index)
    where = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)


@pytest.mark.parametrize("match", MATCHES)
def test_panel_file_and_command_list_the_same_lesions(
    app: App, until: Until, liver: Path, tmp_path: Path, match: str, capsys: Any
) -> None:
    evaluate(liver, "p", "both", "--against", str(liver / "q"), "--match", match)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    with (liver / "both" / "lesion_difference.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["change"] in ("gained", "lost")]
    panel = opened(app, until, liver)
    page = panel.cases.lesions
    page.match.setCurrentIndex(page.match.findData(match))
    until(lambda: page.between is not None)
    assert rows
    assert page.changes.table.rows == [
        [
            row["case"],
            "cancer",
            row["change"],
            float(row["volume_ml"]),
            float(row["iou_before"]),
            float(row["iou_now"]),
        ]
        for row in rows
    ]
    for row in rows:
        figures = [f"{float(row[name]):.4f}" for name in ("iou_before", "iou_now")]
        start = [row["case"], "cancer", row["change"], f"{float(row['volume_ml']):.3f}", *figures]
        assert [*start, row["z"], row["y"], row["x"]] in printed
    gained, lost = ([row["change"] for row in rows].count(one) for one in ("gained", "lost"))
    assert page.title.whole == f"{gained} gained · {lost} lost"
    assert panel.cases.title.whole.endswith(f"vs  e2: lesions {gained} gained, {lost} lost")


def test_a_click_opens_the_case_at_the_lesion_with_both_predictions(
    app: App, until: Until, liver: Path
) -> None:
    panel = opened(app, until, liver)
    page = panel.cases.lesions
    until(lambda: page.title.whole == "4 gained · 1 lost")
    assert page.changes.isVisibleTo(page)
    assert not page.scatter.isVisibleTo(page)
    assert "spurious lesions 1 → 0" in page.title.toolTip()
    sizes = [row[3] for row in page.changes.table.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert [row[:3] for row in page.changes.table.rows[:2]] == [
        ["liver_2", "cancer", "lost"],
        ["liver_1", "cancer", "gained"],
    ]
    click(page.changes, 1)
    until(lambda: app.state.difference is not None)
    assert app.state.reference_layer == "liver_1 reference"
    assert app.state.prediction_layer == "liver_1 prediction"
    assert app.state.difference.second_layer == "liver_1 second prediction"
    until(lambda: app.viewer.dims.current_step[0] == 10)
    assert app.viewer.scene.camera.center[-2:] == pytest.approx((22, 100), abs=1)
    # the case's own list has the same lesion, selected
    view = panel.lesions
    until(lambda: "gained" in view.title.whole and view.changes.current_row() >= 0)
    chosen = view.changes.shown[view.changes.current_row()]
    assert (chosen.change, chosen.lesion.voxels) == ("gained", page.changes.shown[1].lesion.voxels)
    assert page.isVisibleTo(panel)  # still among all cases


def test_gained_or_lost_alone_and_back_to_the_plot(app: App, until: Until, liver: Path) -> None:
    panel = opened(app, until, liver)
    page = panel.cases.lesions
    until(lambda: page.title.whole == "4 gained · 1 lost")
    choose(page.view_box, "lost")
    assert [row[2] for row in page.changes.table.rows] == ["lost"]
    choose(page.view_box, "gained")
    assert {row[2] for row in page.changes.table.rows} == {"gained"}
    choose(page.view_box, "plot")
    assert page.scatter.isVisibleTo(page)
    until(lambda: page.title.whole == "11 found · 4 missed · 1 spurious")
    panel.cases.menu.second_dropped.emit()
    assert page.view_box.findText("gained") == -1
    assert panel.cases.title.whole.startswith("e1: 3 cases")
    assert "gained" not in panel.cases.title.whole


def test_copies_have_the_list(app: App, until: Until, liver: Path) -> None:
    panel = opened(app, until, liver)
    until(lambda: panel.cases.lesions.title.whole == "4 gained · 1 lost")
    for form in FORMS.values():
        panel.copy_tables(form)
        text = QGuiApplication.clipboard().text()
        assert "Lesions, cancer, vs e2: 4 gained · 1 lost" in text
        assert "Lesions, cancer: recall by size" in text
        assert text.count("gained") >= 5
    panel.cases.lesions.changes.copy(FORMS["as CSV"])
    copied = QGuiApplication.clipboard().text().splitlines()
    assert copied[0] == "case,class,change,ml,IoU before,IoU now"
    assert copied[1].startswith("liver_2,cancer,lost,1.518,0.22266")


def test_several_classes_are_shown_together_or_alone(
    app: App, until: Until, liver: Path, tmp_path: Path
) -> None:
    for side, out in (("p", "c1"), ("q", "c2")):
        evaluate(liver, side, out, "--lesion-classes", "1", "2", "--match", "0.5")
    panel = opened(app, until, liver)
    panel.cases.open(liver / "c1")
    until(lambda: panel.cases.second is None)
    panel.cases.menu.second_chosen.emit(liver / "c2")
    page = panel.cases.lesions
    until(lambda: page.between is not None)
    assert page.choice.currentText() == "all classes"
    every = len(page.changes.shown)
    choose(page.choice, "liver")
    assert page.changes.shown == ()
    choose(page.choice, "cancer")
    assert len(page.changes.shown) == every > 0
    choose(page.view_box, "list")
    assert page.choice.findText("all classes") == -1
    assert page.choice.currentText() == "cancer"


def test_other_references_are_said_in_a_sentence(app: App, until: Until, liver: Path) -> None:
    for case in range(3):
        reference = read_labels(liver / "r" / f"liver_{case}.nii.gz")
        array = np.roll(reference.array, 2, axis=1) if case == 1 else reference.array
        write_labels(liver / "other" / "r" / f"liver_{case}.nii.gz", array, reference)
    words = ["--reference", str(liver / "other" / "r"), "--prediction", str(liver / "q")]
    words += ["--lesion-classes", "2", "-o", str(liver / "e3")]
    assert main(["evaluate", *words]) == 0
    page = opened(app, until, liver, second="e3").cases.lesions
    until(lambda: page.between is not None)
    assert page.notice.isVisibleTo(page)
    assert page.notice.text() == (
        "The two evaluations used different references for 1 case (liver_1), so their lesions "
        "cannot be matched"
    )
    assert {row[0] for row in page.changes.table.rows} == {"liver_2"}
    choose(page.view_box, "plot")
    assert not page.notice.isVisibleTo(page)


def test_a_second_evaluation_without_lesions_has_them_found(
    app: App, until: Until, liver: Path
) -> None:
    bare = liver / "bare"
    bare.mkdir(exist_ok=True)
    (bare / "summary.json").write_bytes((liver / "e2" / "summary.json").read_bytes())
    panel = opened(app, until, liver, second="bare")
    page = panel.cases.lesions
    assert page.notice.text() == "Nobody looked for lesions in bare: find them"
    assert page.changes.table.rows == []
    assert page.count.isVisibleTo(page)
    QTest.mouseClick(page.count, Qt.MouseButton.LeftButton)
    until(lambda: page.title.whole == "4 gained · 1 lost")
    assert not page.count.isVisibleTo(page)
    assert not page.cancel.isVisibleTo(page)
    assert not page.notice.isVisibleTo(page)

    # other predictions that are counted now bring their lesions along
    panel.cases.menu.second_folder_chosen.emit(liver / "q")
    until(lambda: panel.cases.second is not None and panel.cases.second.place == liver / "q")
    until(lambda: page.title.whole == "4 gained · 1 lost")


def test_no_volume_is_read(app: App, until: Until, liver: Path, tmp_path: Path) -> None:
    for name in ("e1", "e2"):
        for file in (liver / name).iterdir():
            (tmp_path / name).mkdir(exist_ok=True)
            text = file.read_text().replace(str(liver), str(tmp_path / "gone"))
            (tmp_path / name / file.name).write_text(text)
    page = opened(app, until, tmp_path).cases.lesions
    until(lambda: page.title.whole == "4 gained · 1 lost")
    assert len(page.changes.shown) == 5
