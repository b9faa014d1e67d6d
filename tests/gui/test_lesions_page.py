"""Lesions of all cases: shown from lesions.csv without a volume, or found on demand; one click."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest

from napari_unet_mic.cli import main
from napari_unet_mic.data.volume import Volume, write_labels
from napari_unet_mic.evaluation.lesion import MATCHES, LesionQuestion, meets
from napari_unet_mic.evaluation.lesion_figures import figures_of, lesions_by_case
from napari_unet_mic.evaluation.results import Evaluation
from napari_unet_mic.evaluation.summary import evaluate_folders
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel
from napari_unet_mic.gui.table_copies import FORMS
from napari_unet_mic.reporting.lesion_tables import lesion_tables

Until = Callable[..., None]
NAMES = {"background": 0, "liver": 1, "cancer": 2}


@pytest.fixture
def evaluation(tmp_path: Path, pair_of_labels: tuple[Volume, Volume]) -> Evaluation:
    """One case with a missed and a made-up lesion, one without error."""
    reference, prediction = pair_of_labels
    for name, predicted in (("bad", prediction), ("good", reference)):
        write_labels(tmp_path / "r" / f"{name}.nii.gz", reference.array, reference)
        write_labels(tmp_path / "p" / f"{name}.nii.gz", predicted.array, reference)
    question = LesionQuestion((2,))
    return evaluate_folders(tmp_path / "r", tmp_path / "p", tolerance_mm=None, lesions=question)


def opened(app: App, until: Until, folder: Path) -> InspectorPanel:
    app.viewer.window._qt_window.resize(1366, 768)
    app.viewer.window._qt_window.show()  # plots are built when somebody looks
    panel = app.show("inspector")
    panel.scope.setCurrentIndex(1)
    panel.cases.open(folder)
    until(lambda: panel.cases.means_model.rowCount() > 0)
    panel.cases.parts.bring_forward("Lesions")
    return panel


def test_from_the_file_to_the_voxel(
    app: App, until: Until, evaluation: Evaluation, tmp_path: Path
) -> None:
    evaluation.write(tmp_path / "e")
    panel = opened(app, until, tmp_path / "e")
    page = panel.cases.lesions
    cases = lesions_by_case(evaluation).values()
    for match in MATCHES:  # the panel says what the command says
        page.match.setCurrentIndex(page.match.findData(match))
        words = figures_of(cases, 2, match).words
        until(lambda words=words: page.title.whole == words)
        assert "sensitivity 0.50; 0.50 false positives per case" in page.title.toolTip()
    until(lambda: page.scatter.marks is not None)
    assert [(name, one.state) for name, one in page.shown] == [
        ("bad", "missed"),
        ("bad", "spurious"),
        ("good", "found"),
    ]
    marks = page.scatter.marks.points()
    assert [mark.pos().y() for mark in marks] == [0.0, pytest.approx(-0.22), 1.0]
    plot = page.scatter._plots["sizes"]
    where = plot.mapFromScene(plot.plotItem.vb.mapViewToScene(marks[1].pos()))
    at = where if isinstance(where, QPoint) else where.toPoint()
    QTest.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=at)
    until(lambda: app.state.reference_layer == "bad reference")
    until(lambda: app.viewer.dims.current_step[0] == 3)
    until(lambda: panel.lesions.table.current_row() == 1)

    page.view_box.setCurrentIndex(1)
    page.table.cell_clicked.emit(2, 0)
    until(lambda: app.state.reference_layer == "good reference")
    until(lambda: app.viewer.dims.current_step[0] == 1)


def test_panel_file_and_command_agree_on_planted_tumours(
    app: App, until: Until, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = planted.write(tmp_path)
    content = {"labels": NAMES, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    words = ["evaluate", "--reference", str(tmp_path / "r"), "--prediction", str(tmp_path / "p")]
    assert main([*words, "--tolerance-mm", "1", "-o", str(tmp_path / "e")]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    page = opened(app, until, tmp_path / "e").cases.lesions
    for match in MATCHES:
        page.match.setCurrentIndex(page.match.findData(match))
        found = sum(meets(match, one.iou) for one in expected)
        spurious = 1 + sum(one.kept > 0 and not meets(match, one.iou) for one in expected)
        counts = (found, len(expected) - found, spurious)
        words = "{} found · {} missed · {} spurious".format(*counts)
        until(lambda words=words: page.title.whole == words)
        line = [*MATCHES[match].split(), *map(str, counts)]
        assert line in [row[: len(line)] for row in printed]
        states = [one.state for _, one in page.shown]
        assert states.count("missed") == len(expected) - found


def test_copied_tables_say_what_the_command_says(
    app: App, until: Until, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.write(tmp_path)
    content = {"labels": NAMES, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    words = ["evaluate", "--reference", str(tmp_path / "r"), "--prediction", str(tmp_path / "p")]
    assert main([*words, "--lesion-classes", "2", "-o", str(tmp_path / "e")]) == 0
    printed = capsys.readouterr().out
    panel = opened(app, until, tmp_path / "e")
    copied = {}
    for title, form in FORMS.items():
        panel.copy_tables(form)
        copied[title] = QGuiApplication.clipboard().text()
        assert "Lesions, cancer: 15 lesions in 3 cases" in copied[title]
        assert "Lesions, cancer: recall by size" in copied[title]
    tables = lesion_tables(panel.cases.evaluation)
    assert len(tables) >= 2
    for _, table in tables[:2]:  # counts, recall by size: every row as it is printed
        assert table.text() in printed
        for row in table.rows:
            assert "\t".join(row) in copied["as text"].replace("–", "")
            assert "| " + " | ".join(row) + " |" in copied["as Markdown"].replace("–", "")
    assert "0.1 to 0.5 ml,3,0.3333333333333333,0.3333333333333333," in copied["as CSV"]
    assert "any overlap,11,4,1,0.7333333333333333,0.3333333333333333,0,0" in copied["as CSV"]

    # the list goes along while it is in sight
    assert "found · 4 missed" not in copied["as text"]
    panel.cases.lesions.view_box.setCurrentIndex(1)
    until(lambda: panel.cases.lesions.model.rowCount() == 16)
    panel.copy_tables(FORMS["as text"])
    assert "Lesions, cancer: 11 found · 4 missed" in QGuiApplication.clipboard().text()


def test_without_lesions_csv_a_button_finds_them(
    app: App, until: Until, evaluation: Evaluation, tmp_path: Path
) -> None:
    bare = tuple(replace(case, lesions=None) for case in evaluation.cases)
    replace(evaluation, cases=bare, lesions=None).write(tmp_path / "e")
    assert not (tmp_path / "e" / "lesions.csv").exists()
    panel = opened(app, until, tmp_path / "e")
    page = panel.cases.lesions
    assert page.count.isVisibleTo(page)
    assert "not looked for" in page.title.whole
    assert page.shown == []
    page.count.click()
    until(lambda: page.title.whole.startswith("1 found · 1 missed · 1 spurious"))
    assert not page.count.isVisibleTo(page)
    assert not page.cancel.isVisibleTo(page)


def test_the_table_is_there_though_every_volume_is_gone(
    app: App, until: Until, evaluation: Evaluation, tmp_path: Path
) -> None:
    evaluation.write(tmp_path / "e")
    for file in [*(tmp_path / "r").iterdir(), *(tmp_path / "p").iterdir()]:
        file.unlink()
    page: Any = opened(app, until, tmp_path / "e").cases.lesions
    until(lambda: page.model.rowCount() == 3)
    assert np.isclose(page.model.rows[0][1], 0.02)


def test_of_two_quick_choices_the_last_one_is_shown(
    app: App, until: Until, evaluation: Evaluation, tmp_path: Path
) -> None:
    evaluation.write(tmp_path / "e")
    page = opened(app, until, tmp_path / "e").cases.lesions
    cases = lesions_by_case(evaluation).values()
    for match in [*MATCHES, "any", "0.5"]:
        page.match.setCurrentIndex(page.match.findData(match))
    assert page.title.whole == "Lesions …"
    until(lambda: page.title.whole == figures_of(cases, 2, page.criterion).words)
    asked = page.shown
    page.match.setCurrentIndex(0)  # and back before it is counted
    page.match.setCurrentIndex(page.match.findData("0.5"))
    assert page.title.whole == figures_of(cases, 2, "0.5").words
    QTest.qWait(200)
    assert page.shown is asked
    assert page.title.whole == figures_of(cases, 2, "0.5").words


def test_nothing_of_another_evaluation_stays_in_sight_while_it_is_counted(
    app: App, until: Until, evaluation: Evaluation, tmp_path: Path
) -> None:
    evaluation.write(tmp_path / "e")
    panel = opened(app, until, tmp_path / "e")
    page = panel.cases.lesions
    until(lambda: page.model.rowCount() == 3)
    page.show_gathered(replace(page._gathered, evaluation=replace(evaluation)), {})
    assert (page.model.rowCount(), page.shown, page.title.whole) == (0, [], "Lesions …")
    until(lambda: page.model.rowCount() == 3)
