from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit

from napari_unet_mic.gui.history import Snapshot
from napari_unet_mic.gui.run_watch import RunStatus
from napari_unet_mic.gui.train_panel import TrainPanel, TrainWish
from napari_unet_mic.training.run import RunSettings


def status(name, state="running", **changes):
    values = {
        "train_loss": (np.array([1.0]), np.array([0.5])),
        "classes": {1: "liver", 2: "cancer"},
        "best_iou": {1: 0.909},
        "epochs_done": 37,
        "epochs": 1000,
        "fraction": 0.037,
        "progress": "epoch 38/1000 · 2.1 it/s · 3 h 40 min left",
        "sentence": f"{name}: the disk is full" if state == "failed" else "",
    }
    settings = RunSettings(dataset="/d", workspace="/w", name=name)
    return RunStatus(Path("/w/runs") / name, state, settings, Snapshot(**{**values, **changes}))


@pytest.fixture
def panel(qtbot):
    panel = TrainPanel()
    qtbot.addWidget(panel)
    return panel


def test_the_form_says_what_to_train(panel, qtbot):
    panel.set_can_train(True)
    panel.name.setText("liver-a")
    panel.fold.setCurrentIndex(5)
    panel.epochs.setValue(3)
    panel.iterations.setValue(10)

    with qtbot.waitSignal(panel.train_requested) as asked:
        panel.train.click()

    assert asked.args == [TrainWish("liver-a", "all", 3, 10, 2, "auto")]


def test_without_a_dataset_it_says_what_to_do(panel):
    panel.set_can_train(False, "Open a dataset first")

    assert not panel.train.isEnabled()
    assert panel.progress.text() == "Open a dataset first"


def test_runs_are_listed_and_the_running_one_is_shown(panel):
    panel.show_runs([status("b", "failed"), status("a")])

    rows = [[panel.runs.topLevelItem(r).text(c) for c in range(4)] for r in range(2)]
    assert rows == [
        ["b", "✗ failed", "37/1000", ".909 / –"],
        ["a", "● running", "37/1000", ".909 / –"],
    ]
    assert panel.current.name == "a"
    assert "epoch 38/1000 · 2.1 it/s · 3 h 40 min left" in panel.progress.text()
    assert panel.stop.isEnabled()
    assert not panel.resume.isEnabled()


def test_choosing_a_failed_run_shows_its_sentence_and_lets_it_resume(panel, qtbot):
    panel.show_runs([status("a"), status("b", "failed")])
    panel.runs.clearSelection()
    with qtbot.waitSignal(panel.run_chosen) as chosen:
        panel.runs.setCurrentItem(panel.runs.topLevelItem(1))
    assert chosen.args == [Path("/w/runs/b")]
    assert "the disk is full" in panel.progress.text()
    assert not panel.stop.isEnabled()

    with qtbot.waitSignal(panel.resume_requested) as asked:
        panel.resume.click()
    assert asked.args == [Path("/w/runs/b")]


def test_stopping_is_said_until_the_run_has_answered(panel, qtbot):
    panel.show_runs([status("a")])
    with qtbot.waitSignal(panel.stop_requested) as asked:
        panel.stop.click()
    panel.show_stopping(asked.args[0])
    assert "stopping" in panel.progress.text()
    assert not panel.stop.isEnabled()

    panel.show_runs([status("a", "stopped", sentence="stopped in epoch 38")])
    assert "stopping" not in panel.progress.text()
    assert "stopped in epoch 38" in panel.progress.text()


def test_a_run_that_was_just_started_is_shown_once_it_is_listed(panel):
    panel.show_runs([status("a")])
    panel.choose_run(Path("/w/runs/b"))
    assert panel.current.name == "a"

    panel.show_runs([status("b"), status("a")])
    assert panel.current.name == "b"
    assert panel.runs.chosen() == {Path("/w/runs/b")}


def test_a_second_selected_run_is_overlaid(panel):
    panel.show_runs([status("a"), status("b", "finished")])
    panel.runs.topLevelItem(1).setSelected(True)

    assert panel.current.name == "a"
    assert len(panel.curves._shots) == 2


def test_starting_from_a_checkpoint(panel):
    panel.checkpoint.set_path(Path("/m/checkpoint_best.pth"))
    assert panel.wish.start_from is None

    panel.start.setCurrentIndex(1)
    assert panel.wish.start_from == Path("/m/checkpoint_best.pth")


def test_every_control_explains_itself(panel):
    for kind in (QComboBox, QAbstractSpinBox, QAbstractButton, QLineEdit):
        for control in panel.findChildren(kind):
            if not control.objectName().startswith("qt_"):
                assert control.toolTip(), control


def test_it_fits_a_narrow_dock(panel):
    panel.show_runs([status("a")])
    assert panel.minimumSizeHint().width() <= 420


def test_too_few_cases_leave_only_all(panel):
    panel.offer_folds(3)
    assert panel.wish.fold == "all"
    assert not panel.fold.model().item(0).isEnabled()

    panel.offer_folds(12)
    assert panel.wish.fold == 0

    panel.fold.setCurrentIndex(5)
    panel.offer_folds(12)
    assert panel.wish.fold == "all"
