"""The panels with real children: a tiny run is started, left, found again, stopped, used."""

import gc

import pytest

from napari_unet_mic.data.dataset import load_case, open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.evaluation.lesion_figures import figures_of, lesions_by_case
from napari_unet_mic.evaluation.result_files import read_evaluation
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.prediction_control import PredictionControl
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.gui.training_control import TrainingControl
from napari_unet_mic.training import events

PATIENCE_MS = 240_000  # far more than it takes: the machine may be busy


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    return open_dataset(write_liver(folder, 2, shape=(16, 32, 32), seed=0, n_test=1))


@pytest.fixture
def wait(qtbot):
    return lambda condition: qtbot.waitUntil(condition, timeout=PATIENCE_MS)


@pytest.fixture
def control(app, qtbot, dataset, tmp_path, wait):
    """The panel on a planned workspace, its form filled in for a tiny run that goes on for long."""
    app.state.dataset = dataset
    control = TrainingControl(app)
    qtbot.addWidget(control.widget)
    control.widget.show()
    control.plan_panel.workspace.choose(tmp_path / "w")
    control.plan_panel.button.click()
    wait(lambda: app.state.plan is not None)
    form = control.train_panel
    form.name.setText("tiny")
    form.fold.setCurrentIndex(form.fold.findData("all"))
    form.epochs.setValue(5000)
    form.iterations.setValue(1)
    yield control
    app.close()
    gc.collect()  # the children have ended: their Popen may go


def epochs_done(panel):
    return panel.current.snapshot.epochs_done if panel.current else 0


def stop(panel, wait):
    panel.stop.click()
    wait(panel.resume.isEnabled)
    assert panel.current.state == "stopped", panel.current.sentence


def test_a_run_survives_its_viewer_and_predicts(app, qtbot, dataset, control, wait):
    control.train_panel.train.click()
    wait(lambda: "epoch" in control.runs_panel.progress.text())
    control.close()

    again = TrainingControl(app)
    qtbot.addWidget(again.widget)
    panel = again.runs_panel
    wait(lambda: epochs_done(panel) > 0)
    assert panel.current.state == "running"
    stop(panel, wait)

    predict_the_test_case(app, qtbot, dataset)
    again.close()


def test_a_run_is_paused_continued_stopped_resumed_and_duplicated_by_its_buttons(
    app, control, wait
):
    control.train_panel.train.click()
    panel, row = control.runs_panel, control.runs_panel.actions_row
    wait(lambda: epochs_done(panel) > 1)

    row.pause.click()
    wait(lambda: panel.current.state == "paused")
    assert panel.current.alive
    assert "paused in epoch" in panel.progress.text()
    assert "memory" in panel.progress.text()
    waiting_at = epochs_done(panel)
    row.go_on.click()
    wait(lambda: panel.current.state == "running" and epochs_done(panel) > waiting_at + 1)

    stop(panel, wait)
    stopped_at = epochs_done(panel)
    panel.resume.click()
    wait(lambda: panel.current.state == "running" and epochs_done(panel) > stopped_at + 1)
    stop(panel, wait)
    x = panel.current.snapshot.train_loss[0]
    assert x.tolist() == list(range(1, len(x) + 1))  # no epoch is lost, none is there twice

    row.asked.emit("duplicate")
    form = control.train_panel
    assert form.name.text() == "tiny-2"
    form.epochs.setValue(2)
    form.train.click()
    wait(lambda: panel.current.name == "tiny-2" and panel.current.state == "finished")
    assert [status.name for status in panel._statuses] == ["tiny-2", "tiny"]
    its_evaluations_open_with_their_lesions(app, row, panel.current, wait)


def its_evaluations_open_with_their_lesions(app, row, status, wait):
    """The run's evaluation by its button, then the other one; the page says what the file does."""
    validation, test = status.evaluations
    row.asked.emit("evaluation")
    page = app.panel("inspector").cases.lesions
    for folder in (validation, test):
        wait(lambda folder=folder: page._gathered is not None and page._gathered.place == folder)
        assert (folder / "lesions.csv").is_file()
        lesions = lesions_by_case(read_evaluation(folder)).values()
        assert any(one.source == "reference" for case in lesions for one in case)
        said = figures_of(lesions, 2, "any").words
        wait(lambda said=said: page.title.whole == said)
        assert not page.count.isVisibleTo(page)  # nothing is left to be looked for
        app.panel("inspector").cases.open(test)


def test_a_killed_trainer_is_told_once_and_a_second_one_is_refused(app, control, wait, monkeypatch):
    from napari_unet_mic.errors import RunLocked
    from napari_unet_mic.gui import run_work
    from napari_unet_mic.jobs.process import kill_tree

    told = []
    monkeypatch.setattr(app, "show_error", lambda error: told.append(str(error)))
    control.train_panel.train.click()
    panel = control.runs_panel
    wait(lambda: panel.current is not None)
    with pytest.raises(RunLocked):  # whether it is still starting or at work
        run_work.resume_run(panel.current.folder)
    wait(lambda: epochs_done(panel) > 0)
    with pytest.raises(RunLocked):
        run_work.resume_run(panel.current.folder)

    started = events.read_events(panel.current.folder / "events.jsonl")[0]
    kill_tree(next(one.pid for one in started if isinstance(one, events.RunStarted)))
    wait(lambda: panel.current.state == "failed")
    assert len(told) == 1
    assert "SIGKILL" in told[0]
    assert panel.fault.sentence in told[0]


def predict_the_test_case(app, qtbot, dataset):
    case = dataset.test[0]
    image, reference = load_case(dataset, case)
    app.state.case = OpenCase(case, image, reference)
    control = PredictionControl(app)
    qtbot.addWidget(control.widget)
    panel = control.panel
    control.widget.show()
    qtbot.waitUntil(lambda: panel.wish is not None, timeout=PATIENCE_MS)
    assert panel.wish.model.name == "tiny"
    assert panel.wish.checkpoint in ("best", "latest")
    panel.predict.click()
    qtbot.waitUntil(
        lambda: bool(app.state.prediction_layer) or bool(panel.error.sentence),
        timeout=PATIENCE_MS,
    )
    assert panel.error.sentence == ""

    layer = layers.layer_named(app.viewer, app.state.prediction_layer)
    assert layers.role_of(layer) == "prediction"
    assert layer.data.shape == layers.source_of(layer).display.view(reference.array).shape
    assert list(app.state.workspace.predictions.glob(f"tiny-*/{case.name}.nii.gz"))
    worker = control._worker
    control.close()
    qtbot.waitUntil(lambda: not worker.alive, timeout=PATIENCE_MS)
