from pathlib import Path

import pytest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit

from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.train_panel import NOT_ESTIMATED, TrainPanel
from napari_unet_mic.training.run import RunSettings


@pytest.fixture
def panel(qtbot):
    panel = TrainPanel()
    qtbot.addWidget(panel)
    return panel


def choose_fold(panel, fold):
    panel.fold.setCurrentIndex(panel.fold.findData(fold))


def test_the_form_says_what_to_train(panel, qtbot):
    panel.set_can_train(True)
    panel.name.setText("liver-a")
    choose_fold(panel, "all")
    panel.epochs.setValue(3)
    panel.iterations.setValue(10)

    with qtbot.waitSignal(panel.train_requested) as asked:
        panel.train.click()

    wanted = RunSettings("", "", "liver-a", fold="all", epochs=3, iterations_per_epoch=10)
    (wish,) = asked.args
    assert wish.validation_iterations == 2
    assert wish == RunSettings(**{**vars(wanted), "validation_iterations": 2})


def test_without_a_dataset_it_says_what_to_do(panel):
    panel.set_can_train(False, "Open a dataset first")

    assert not panel.train.isEnabled()
    assert panel.estimated.text() == "Open a dataset first"
    assert "Not now: Open a dataset first" in panel.train.toolTip()

    panel.set_can_train(True)
    assert panel.estimated.text() == NOT_ESTIMATED


def test_five_folds_in_turn_and_an_own_split(panel):
    choose_fold(panel, "each")
    assert panel.wish.fold == "each"

    choose_fold(panel, "own")
    assert not panel._split_row.isHidden()
    panel.splits.set_path(Path("/d/splits_final.json"))
    panel.own_fold.setValue(7)
    assert (panel.wish.fold, panel.wish.splits) == (7, "/d/splits_final.json")

    choose_fold(panel, 1)
    assert (panel.wish.fold, panel.wish.splits) == (1, None)


@pytest.mark.parametrize(
    ("kind", "path"), [(1, "/m/checkpoint_best.pth"), (2, "/m")], ids=["checkpoint", "model"]
)
def test_starting_from_weights(panel, kind, path):
    choice = panel.start.checkpoint if kind == 1 else panel.start.model
    choice.set_path(Path(path))
    assert panel.wish.start_from is None

    panel.start.kind.setCurrentIndex(kind)
    assert panel.wish.start_from == path


def test_a_wrong_name_is_said_inside_the_panel(panel, qtbot):
    panel.set_can_train(True)
    panel.name.setText("/etc")
    with qtbot.assertNotEmitted(panel.train_requested):
        panel.train.click()

    assert panel.error.sentence.startswith("name: expected letters")


def test_the_settings_of_another_run_fill_the_form(panel):
    settings = RunSettings(
        dataset="/d",
        workspace="/w",
        name="old",
        fold=3,
        splits="/s.json",
        epochs=7,
        iterations_per_epoch=9,
        validation_iterations=4,
        seed=5,
        start_from="/m",
        test=("liver_1",),
        patient_pattern="{patient}_*",
        mirroring=False,
        augmentation="light",
        early_stopping_epochs=20,
        foreground_oversampling=0.5,
        learning_rate=0.002,
        precision="float32",
        warm_up_iterations=100,
    )
    panel.show_settings(settings)
    panel.name.setText("new")

    expected = {**vars(settings), "dataset": "", "workspace": "", "name": "new"}
    assert panel.wish == RunSettings(**expected)

    panel.iterations.setValue(50)
    assert panel.wish.validation_iterations == 10
    panel.forget_base()
    assert panel.wish.test is None


def test_an_estimate_is_of_the_form_as_it_stands(panel, qtbot):
    panel.set_can_train(True)
    with qtbot.waitSignal(panel.estimate_requested) as asked:
        panel.estimate.click()
    assert asked.args[0].epochs == 1000

    panel.show_estimating(True)
    assert not panel.cancel.isHidden()
    with qtbot.waitSignal(panel.estimate_cancelled):
        panel.cancel.click()

    panel.show_estimate("3 h in all")
    assert panel.estimated.text() == "3 h in all"
    assert panel.cancel.isHidden()
    panel.epochs.setValue(10)
    assert panel.estimated.text() == NOT_ESTIMATED


def test_every_control_explains_itself(panel):
    for kind in (QComboBox, QAbstractSpinBox, QAbstractButton, QLineEdit):
        for control in panel.findChildren(kind):
            if not control.objectName().startswith("qt_"):
                assert control.toolTip(), control


def test_it_fits_a_narrow_dock_with_everything_open(panel):
    panel.more_section.fold(False)
    choose_fold(panel, "own")
    panel.start.kind.setCurrentIndex(1)

    assert panel.minimumSizeHint().width() <= 400


def test_too_few_cases_leave_only_all(panel):
    panel.offer_folds(3)
    assert panel.wish.fold == "all"
    assert not panel.fold.model().item(0).isEnabled()
    assert not panel.fold.model().item(panel.fold.findData("each")).isEnabled()

    panel.offer_folds(12)
    assert panel.wish.fold == 0

    choose_fold(panel, "all")
    panel.offer_folds(12)
    assert panel.wish.fold == "all"


def test_the_folded_form_says_its_gist(panel):
    panel.epochs.setValue(50)

    assert panel.gist == "run-1 · fold 0 · 50 × 250"


def test_what_does_not_fit_is_not_trained(panel, monkeypatch):
    monkeypatch.setattr(type(panel.more), "refusal", "a batch of 4 fits")

    with pytest.raises(BadInput, match="a batch of 4 fits"):
        _ = panel.wish
