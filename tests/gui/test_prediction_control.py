import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_unet_mic.data.dataset import load_case, open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.volume import write_labels
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.evaluation.lesion import judged
from napari_unet_mic.evaluation.lesion_figures import lesions_by_case
from napari_unet_mic.evaluation.result_files import read_evaluation
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.prediction_control import PredictionControl
from napari_unet_mic.gui.state import OpenCase
from napari_unet_mic.jobs.worker import PredictionEvent


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    return open_dataset(write_liver(folder, 3, shape=(16, 32, 32), seed=0, n_test=2))


class FakeWorker:
    """Stands for the prediction process: the test says what it answers."""

    def __init__(self):
        self.requests = []
        self.graces = []
        self.closed = False
        self.on_event = None

    @property
    def busy(self):
        return self.on_event is not None

    def predict(self, request, on_event):
        self.requests.append(request)
        self.on_event = on_event

    def cancel(self, *, grace):
        self.graces.append(grace)

    def close(self):
        self.closed = True

    def say(self, kind, **values):
        self.on_event(PredictionEvent(kind, **values))


@pytest.fixture
def worker():
    return FakeWorker()


@pytest.fixture
def control(fake_app, qtbot, worker, dataset, tmp_path):
    workspace = Workspace.create(tmp_path / "w", dataset)
    model = workspace.runs / "a"
    (model / "fold_0").mkdir(parents=True)
    (model / "fold_0" / "checkpoint_final.pth").touch()
    (model / "dataset.json").write_text(json.dumps(dataset.nnunet_json()))
    fake_app.state.dataset, fake_app.state.workspace = dataset, workspace
    control = PredictionControl(fake_app, lambda: worker)
    qtbot.addWidget(control.widget)
    control.widget.show()
    return control


@pytest.fixture
def shown(monkeypatch):
    """Layers that were added, instead of a viewer's."""
    added = []

    def add(viewer, tuples):
        named = [SimpleNamespace(name=options["name"]) for _, options, _ in tuples]
        added.extend(tuples)
        return named

    monkeypatch.setattr(layers, "add", add)
    monkeypatch.setattr(layers, "layer_named", lambda viewer, name: None)
    return added


def choose(control, kind):
    subject = control.panel.subject
    kinds = [subject.itemData(row).kind for row in range(subject.count())]
    subject.setCurrentIndex(kinds.index(kind))


def inspected(fake_app):
    """Stand for the inspector; returns what it is shown, and the scopes that are chosen."""
    evaluations, scopes = [], []
    fake_app.panels["inspector"] = SimpleNamespace(
        cases=SimpleNamespace(show_evaluation=lambda *values: evaluations.append(values)),
        scope=SimpleNamespace(setCurrentIndex=scopes.append),
    )
    return evaluations, scopes


def test_models_and_subjects_are_listed_when_somebody_looks(control):
    assert control.panel.wish.model.name == "a"
    assert [control.panel.subject.itemText(0)] == ["the test set (2 cases)"]


def test_memory_is_said_before_the_start_and_time_where_it_is_known(
    control, fake_app, worker, dataset, qtbot, tmp_path
):
    from napari_unet_mic.planning.fingerprint import extract
    from napari_unet_mic.planning.rules import plan_experiment

    assert control.panel.needs.isHidden()  # a model without plans: nothing is claimed
    plan = plan_experiment(extract(dataset), dataset.nnunet_json(), dataset_name="Liver")
    file = tmp_path / "w" / "runs" / "a" / "plans.json"
    file.write_text(json.dumps(plan.to_json()))
    control.panel.wish_changed.emit()
    qtbot.waitUntil(lambda: control.panel.needs.isVisible())
    assert control.panel.needs.text().startswith("Needs about ")
    assert "GB of memory at the peak" in control.panel.needs.text()
    assert "and about" not in control.panel.needs.text()

    inspected(fake_app)
    control.panel.predict.click()
    for case in worker.requests[0].cases:
        _, reference = load_case(dataset, case.name)
        write_labels(Path(case.out), reference.array, reference)
        worker.say("case_done", case=case.name, file=case.out, seconds={"network": 40, "export": 2})
    worker.say("done")
    qtbot.waitUntil(lambda: control.panel.needs.text().endswith("and about 1 min 24 s"))


def test_the_open_case_becomes_a_layer_in_class_colours(
    control, fake_app, worker, dataset, shown, tmp_path
):
    image, reference = load_case(dataset, "liver_00")
    fake_app.state.case = OpenCase(dataset.case("liver_00"), image, reference)
    control.lists.refresh()
    choose(control, "case")
    control.panel.predict.click()

    (request,) = worker.requests
    out = tmp_path / "w" / "predictions" / "a" / "liver_00.nii.gz"
    assert request.cases[0].out == str(out)
    assert request.cases[0].images == (str(dataset.case("liver_00").images[0]),)
    assert (request.model, request.mirroring) == (str(tmp_path / "w" / "runs" / "a"), False)

    write_labels(out, reference.array, reference)
    worker.say("started", message="on the CPU in float32")
    worker.say("progress", case="liver_00", done=3, total=8, cases=1)
    control._on_apply_timer()
    assert control.panel.progress.text() == "liver_00 · tile 3 of 8"
    worker.say("case_done", case="liver_00", file=str(out), seconds={"network": 4.0})
    worker.say("done")

    ((_, options, kind),) = shown
    assert (kind, options["name"]) == ("labels", "liver_00 a")
    assert options["metadata"][layers.KEY].role == "prediction"
    assert options["metadata"][layers.KEY].classes == {0: "background", 1: "liver", 2: "cancer"}
    assert fake_app.state.prediction_layer == "liver_00 a"
    assert "predicted in 4 s" in control.panel.progress.text()
    assert control.panel.predict.isEnabled()


def test_the_test_set_is_scored_and_shown_in_the_inspector(
    control, fake_app, worker, dataset, tmp_path
):
    evaluations, scopes = inspected(fake_app)
    control.panel.predict.click()
    (request,) = worker.requests
    assert [case.name for case in request.cases] == ["liver_01", "liver_02"]

    for number, case in enumerate(request.cases):
        _, reference = load_case(dataset, case.name)
        write_labels(Path(case.out), reference.array * (number == 0), reference)
        worker.say("case_done", case=case.name, file=case.out)
    worker.say("done")

    folder = tmp_path / "w" / "evaluations" / "a-test"
    assert (folder / "summary.json").is_file()
    ((found, where),) = evaluations
    assert where == folder
    assert found.case("liver_01").foreground_iou == 1.0
    assert found.case("liver_02").foreground_iou == 0.0
    assert scopes == [1]
    assert "2 cases predicted, mean IoU" in fake_app.said[-1]
    assert (folder / "lesions.csv").is_file()
    by_case = lesions_by_case(read_evaluation(folder))
    assert by_case == lesions_by_case(found)
    states = {name: {one.state for one in judged(by_case[name])} for name in by_case}
    assert states == {"liver_01": {"found"}, "liver_02": {"missed"}}


def test_a_set_with_probabilities_is_scored_with_confidence(
    control, fake_app, worker, dataset, tmp_path
):
    inspected(fake_app)
    control.panel.probabilities.click()
    control.panel.predict.click()
    (request,) = worker.requests
    assert request.probabilities
    assert control._command().endswith("--probabilities")
    for case in request.cases:
        _, reference = load_case(dataset, case.name)
        write_labels(Path(case.out), reference.array, reference)
        shares = np.full((3, *reference.array.shape), 0.25, np.float32)
        np.savez(Path(case.out).with_name(f"{case.name}.npz"), probabilities=shares)
        worker.say("case_done", case=case.name, file=case.out)
    worker.say("done")

    by_case = lesions_by_case(read_evaluation(tmp_path / "w" / "evaluations" / "a-test"))
    confidences = {one.confidence for lesions in by_case.values() for one in lesions}
    assert confidences == {0.25}


def test_a_bad_case_of_a_set_is_named_and_the_rest_is_scored(control, fake_app, worker, dataset):
    fake_app.panels["inspector"] = SimpleNamespace(
        cases=SimpleNamespace(show_evaluation=lambda *_: None),
        scope=SimpleNamespace(setCurrentIndex=lambda _: None),
    )
    control.panel.predict.click()
    good, bad = worker.requests[0].cases
    _, reference = load_case(dataset, good.name)
    write_labels(Path(good.out), reference.array, reference)
    worker.say("case_done", case=good.name, file=good.out)
    worker.say("case_failed", case=bad.name, message="liver_02.nii.gz: truncated")
    assert control.panel.error.sentence == "liver_02 was left out: liver_02.nii.gz: truncated"
    worker.say("done")
    assert "1 cases predicted, 1 left out (liver_02), mean IoU 1.000" in fake_app.said[-1]


def test_cancel_leaves_less_than_a_second_to_the_child(control, fake_app, worker):
    control.panel.predict.click()
    control.panel.cancel.click()
    assert worker.graces == [0.7]
    assert control.panel.progress.text() == "Cancelling"

    worker.say("failed", message="the prediction process ended by signal SIGKILL")

    assert fake_app.said[-1] == "The prediction was cancelled"
    assert control.panel.error.sentence == ""
    assert control.panel.predict.isEnabled()


def test_a_failure_is_said_inside_the_panel(control, worker):
    control.panel.predict.click()
    worker.say("failed", message="a: no weights; train it first")

    assert control.panel.error.sentence == "a: no weights; train it first"
    assert control.panel.predict.isEnabled()


def test_a_model_folder_from_elsewhere(control, tmp_path, dataset):
    control.panel.model_chosen.emit(tmp_path)
    assert "dataset.json" in control.panel.error.sentence

    other = tmp_path / "Dataset003__nnUNetPlans__3d_fullres"
    (other / "fold_all").mkdir(parents=True)
    (other / "fold_all" / "checkpoint_best.pth").touch()
    (other / "dataset.json").write_text(json.dumps(dataset.nnunet_json()))
    control.panel.model_chosen.emit(other)
    assert control.panel.wish.model.folder == other
    assert control.panel.wish.checkpoint == "best"

    control.lists.refresh()
    assert control.panel.wish.model.folder == other


def test_channels_that_do_not_fit_are_refused_before_the_start(control, worker, tmp_path):
    model = tmp_path / "w" / "runs" / "a" / "dataset.json"
    about = json.loads(model.read_text()) | {"channel_names": {"0": "T2", "1": "ADC"}}
    model.write_text(json.dumps(about))
    control.lists.refresh()
    control.panel.predict.click()

    assert worker.requests == []
    assert "the 2 channels of a (T2, ADC)" in control.panel.error.sentence
    assert control.panel.predict.isEnabled()


def test_a_layer_travels_as_an_array(control, worker, shown, monkeypatch):
    layer = layers.Layer.create(np.ones((4, 5, 6), np.float32), {"name": "scan"}, "image")
    monkeypatch.setattr(layers, "layer_named", lambda viewer, name: layer)
    control.app.viewer.layers.append(layer)
    control.lists.refresh()
    choose(control, "layer")
    monkeypatch.setattr(control.results, "_on_prediction_read", shown.append)
    control.panel.predict.click()

    (request,) = worker.requests
    (case,) = request.cases
    assert np.load(case.array_file).shape == (1, 4, 5, 6)
    np.save(case.out, np.full((4, 5, 6), 2, np.uint8))
    worker.say("case_done", case=case.name, file=case.out)

    (prediction,) = shown
    assert prediction[1]["name"] == "scan a"
    assert not Path(case.out).parent.exists()


def test_the_command(control, dataset):
    line = control._command()

    assert line.startswith("unet-mic predict ")
    assert str(dataset.case("liver_01").images[0]) in line
    assert "--folds 0 --no-mirroring" in line
    assert "--probabilities" not in line


def test_the_process_ends_with_the_viewer(control, fake_app, worker, qtbot):
    control.panel.predict.click()
    fake_app.close()

    qtbot.waitUntil(lambda: worker.closed)
