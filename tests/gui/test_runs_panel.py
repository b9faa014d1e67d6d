from pathlib import Path

import pytest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QSlider

from napari_unet_mic.gui.fault_line import NO_OUTPUT, OutputWindow
from napari_unet_mic.gui.runs_panel import RunsPanel


@pytest.fixture
def panel(qtbot):
    panel = RunsPanel()
    qtbot.addWidget(panel)
    return panel


def test_runs_are_listed_and_the_running_one_is_shown(panel, status):
    panel.show_runs([status("b", "failed"), status("a")])

    rows = [[panel.runs.topLevelItem(r).text(c) for c in range(5)] for r in range(2)]
    assert rows == [
        ["b", "✗ failed", "37/1000", ".909 / –", ""],
        ["a", "● running", "37/1000", ".909 / –", "3 h 40 min"],
    ]
    assert panel.current.name == "a"
    assert "epoch 38/1000 · 2.1 it/s · 3 h 40 min left" in panel.progress.text()
    assert panel.stop.isEnabled()
    assert not panel.resume.isEnabled()


def test_many_classes_are_listed_as_their_mean(panel, status):
    classes = {n: f"organ {n}" for n in range(1, 16)}
    panel.show_runs([status("a", classes=classes, best_iou={1: 0.5, 2: 0.7})])

    item = panel.runs.topLevelItem(0)
    assert item.text(3) == ".600 mean"
    assert item.toolTip(3).splitlines()[:3] == ["organ 1: 0.500", "organ 2: 0.700", "organ 3: –"]


def test_a_failed_run_shows_its_sentence_its_output_and_can_be_resumed(panel, qtbot, status):
    panel.show_runs([status("a"), status("b", "failed")])
    panel.runs.clearSelection()
    with qtbot.waitSignal(panel.run_chosen) as chosen:
        panel.runs.setCurrentItem(panel.runs.topLevelItem(1))
    assert chosen.args == [Path("/w/runs/b")]
    assert panel.fault.sentence == "b: the disk is full"
    assert not panel.stop.isEnabled()

    with qtbot.waitSignal(panel.action_asked) as asked:
        panel.resume.click()
    assert asked.args == ["resume", Path("/w/runs/b")]
    with qtbot.waitSignal(panel.action_asked) as asked:
        panel.fault.button.click()
    assert asked.args == ["output", Path("/w/runs/b")]

    panel.show_runs([status("a"), status("b", "finished")])
    assert panel.fault.isHidden()


@pytest.mark.parametrize(
    ("asked", "before", "after"),
    [
        ("stop", "running", "stopped"),
        ("pause", "running", "paused"),
        ("continue", "paused", "running"),
    ],
)
def test_a_request_is_said_until_the_run_has_answered(panel, status, asked, before, after):
    panel.show_runs([status("a", before, alive=True)])
    folder = panel.current.folder
    panel.show_asked(folder, asked)
    waiting = {"stop": "stopping", "pause": "pausing", "continue": "going on"}[asked]
    panel.show_runs([status("a", before, alive=True, fraction=0.04)])
    assert waiting in panel.progress.text()
    assert not panel.stop.isEnabled()

    panel.show_runs([status("a", after, alive=after != "stopped", sentence="stopped in epoch 38")])
    assert waiting not in panel.progress.text()

    panel.show_runs([status("a", before, alive=True)])
    panel.show_asked(folder, asked)
    panel.show_not_asked(folder)
    assert waiting not in panel.progress.text()


def test_a_run_that_was_just_started_is_shown_once_it_is_listed(panel, status):
    panel.show_runs([status("a")])
    panel.choose_run(Path("/w/runs/b"))
    assert panel.current.name == "a"

    panel.show_runs([status("b"), status("a")])
    assert panel.current.name == "b"
    assert panel.runs.chosen() == {Path("/w/runs/b")}


def test_selected_runs_are_overlaid_the_current_one_first(panel, status):
    panel.show_runs([status("b", "finished"), status("a")])
    assert panel.current.name == "a"
    panel.runs.topLevelItem(0).setSelected(True)

    assert [name for name, _ in panel.shown] == ["a", "b"]
    assert panel.curves._names == ["a", "b"]


def test_without_runs_it_says_how_to_start_one(panel):
    assert "Train starts one" in panel.progress.text()
    assert not panel.stop.isEnabled()


def test_every_control_explains_itself(panel):
    for kind in (QComboBox, QAbstractButton, QSlider):
        for control in panel.findChildren(kind):
            if not control.objectName().startswith("qt_"):
                assert control.toolTip(), control


def test_it_fits_a_narrow_dock(panel, status):
    panel.show_runs([status("a")])
    assert panel.minimumSizeHint().width() <= 400


def test_the_output_is_shown_from_its_end(qtbot):
    window = OutputWindow("a", "first\nlast line")
    qtbot.addWidget(window)
    assert window.text.textCursor().block().text() == "last line"
    assert window.text.isReadOnly()

    empty = OutputWindow("a", "")
    qtbot.addWidget(empty)
    assert empty.text.toPlainText() == NO_OUTPUT
