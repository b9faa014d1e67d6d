from pathlib import Path

import pytest
from qtpy.QtWidgets import QAbstractButton, QComboBox

from napari_unet_mic.gui.devices import Device
from napari_unet_mic.gui.models import Model
from napari_unet_mic.gui.predict_panel import PredictPanel, PredictWish, Subject

CLASSES = {0: "background", 1: "liver"}
A = Model(Path("/w/runs/a"), ("CT",), CLASSES, {"final": (0,), "best": (0, 1, 2), "latest": ()})
B = Model(Path("/w/runs/b"), ("CT",), CLASSES, {"final": (), "best": (), "latest": ("all",)})
CASE = Subject("case", "the open case (liver_3)", ("liver_3",))
TEST = Subject("test", "the test set (2 cases)", ("liver_1", "liver_2"))


@pytest.fixture
def panel(qtbot):
    panel = PredictPanel()
    qtbot.addWidget(panel)
    return panel


def test_nothing_can_be_predicted_without_model_and_subject(panel):
    assert not panel.predict.isEnabled()

    panel.show_models([A])
    assert not panel.predict.isEnabled()

    panel.show_subjects([CASE])
    assert panel.predict.isEnabled()


def test_predict_asks_for_what_the_form_says(panel, qtbot):
    panel.show_models([A, B])
    panel.show_subjects([CASE, TEST])
    with qtbot.waitSignal(panel.predict_requested) as asked:
        panel.predict.click()
    assert asked.args == [PredictWish(A, CASE, (0,), "final", False, "auto")]

    panel.checkpoint.setCurrentIndex(1)
    panel.subject.setCurrentIndex(1)
    with qtbot.waitSignal(panel.predict_requested) as asked:
        panel.predict.click()
    assert asked.args == [PredictWish(A, TEST, None, "best", False, "auto")]
    assert [panel.folds.itemText(i) for i in range(4)] == ["all 3", "0", "1", "2"]

    panel.model.setCurrentIndex(1)
    assert panel.wish == PredictWish(B, TEST, ("all",), "latest", False, "auto")


def test_probabilities_are_kept_where_the_prediction_has_a_file(panel):
    panel.show_models([A])
    panel.show_subjects([CASE, Subject("layer", "layer scan", ("scan",))])
    assert not panel.wish.probabilities
    panel.probabilities.click()
    assert panel.wish.probabilities

    panel.subject.setCurrentIndex(1)
    assert not panel.probabilities.isEnabled()
    assert not panel.wish.probabilities
    panel.subject.setCurrentIndex(0)
    assert panel.wish.probabilities


def test_the_choice_stays_when_the_lists_are_made_anew(panel):
    panel.show_models([A, B])
    panel.model.setCurrentIndex(1)
    panel.show_subjects([CASE, TEST])
    panel.subject.setCurrentIndex(1)

    panel.show_models([B, A])
    other_case = Subject("case", "the open case (liver_4)", ("liver_4",))
    panel.show_subjects([TEST, other_case])

    assert panel.wish.model is B
    assert panel.wish.subject is TEST


def test_mirroring_follows_the_device_until_it_was_touched(panel):
    panel.device.set_devices([Device("cuda:0", "GPU"), Device("cpu", "CPU")])
    assert panel.mirroring.isChecked()

    panel.device.setCurrentIndex(2)
    assert not panel.mirroring.isChecked()

    panel.mirroring.click()
    panel.device.setCurrentIndex(1)
    panel.device.setCurrentIndex(2)
    assert panel.mirroring.isChecked()
    assert "processor" in panel.mirroring.toolTip()


def test_progress_and_cancel(panel, qtbot):
    panel.show_models([A])
    panel.show_subjects([CASE])
    panel.set_working(True, "Starting a")
    assert not panel.predict.isEnabled()
    assert not panel.cancel.isHidden()

    panel.show_progress("liver_3 · tile 2 of 8", 2, 8)
    assert (panel.bar.value(), panel.bar.maximum()) == (2, 8)
    with qtbot.waitSignal(panel.cancel_requested):
        panel.cancel.click()

    panel.set_working(False, "cancelled")
    assert panel.cancel.isHidden()
    assert panel.predict.isEnabled()


def test_lists_are_asked_for_when_somebody_looks(panel, qtbot):
    with qtbot.waitSignal(panel.lists_wanted):
        panel.show()


def test_every_control_explains_itself(panel):
    for kind in (QComboBox, QAbstractButton):
        for control in panel.findChildren(kind):
            if not control.objectName().startswith("qt_"):
                assert control.toolTip(), control
    assert panel.minimumSizeHint().width() <= 420
