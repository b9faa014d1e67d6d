"""The panels with real children: a tiny run is started, left, found again, stopped, used."""

import gc

import pytest

from napari_unet_mic.data.dataset import load_case, open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.prediction_control import PredictionControl
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.gui.training_control import TrainingControl

PATIENCE_MS = 240_000  # far more than it takes: the machine may be busy


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    return open_dataset(write_liver(folder, 2, shape=(16, 32, 32), seed=0, n_test=1))


def test_a_run_survives_its_viewer_and_predicts(app, qtbot, dataset, tmp_path):
    app.state.dataset = dataset
    control = TrainingControl(app)
    qtbot.addWidget(control.widget)
    control.plan_panel.workspace.choose(tmp_path / "w")
    control.plan_panel.button.click()
    qtbot.waitUntil(lambda: app.state.plan is not None, timeout=PATIENCE_MS)

    form = control.train_panel
    form.name.setText("tiny")
    form.fold.setCurrentIndex(form.fold.findData("all"))
    form.epochs.setValue(5000)
    form.iterations.setValue(1)
    form.train.click()
    qtbot.waitUntil(lambda: "epoch" in form.progress.text(), timeout=PATIENCE_MS)
    control.close()

    again = TrainingControl(app)
    qtbot.addWidget(again.widget)
    form = again.train_panel
    qtbot.waitUntil(
        lambda: form.current is not None and form.current.snapshot.epochs_done > 0,
        timeout=PATIENCE_MS,
    )
    assert form.current.state == "running"
    form.stop.click()
    qtbot.waitUntil(form.resume.isEnabled, timeout=PATIENCE_MS)
    assert form.current.state == "stopped", form.current.sentence

    predict_the_test_case(app, qtbot, dataset)
    app.close()
    gc.collect()  # the child has ended: its Popen may go


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
