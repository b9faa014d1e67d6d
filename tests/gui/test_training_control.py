import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import RunLocked
from napari_unet_mic.gui import run_watch, training_control
from napari_unet_mic.gui.train_panel import TrainWish
from napari_unet_mic.gui.training_control import TrainingControl
from napari_unet_mic.training import events
from napari_unet_mic.training.run import Run, RunSettings

CLASSES = {0: "background", 1: "liver", 2: "cancer"}
WISH = TrainWish("liver-a", "all", 2, 3, 1, "cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    return open_dataset(write_liver(folder, 1, shape=(16, 32, 32), seed=0, n_test=0))


class FakeJob:
    """What `jobs.process.start` gives back, without a process."""

    def __init__(self, run):
        self.run = run
        self.alive = True
        self.stopped = []

    def poll(self):
        return None

    def stop(self, grace):
        self.stopped.append(grace)
        say(self.run, events.RunStopped("stop", 0))
        self.alive = False


def say(run, *happened):
    log = events.EventLog(run.events_file)
    for event in happened:
        log(event)
    log.close()


@pytest.fixture
def jobs(monkeypatch):
    started = []

    def start(run):
        started.append(FakeJob(run))
        return started[-1]

    monkeypatch.setattr(run_watch, "_CHILDREN", [])
    monkeypatch.setattr(training_control, "start", start)
    monkeypatch.setattr(training_control, "attach", lambda run: None)
    return started


@pytest.fixture
def control(fake_app, qtbot):
    control = TrainingControl(fake_app)
    qtbot.addWidget(control.widget)
    return control


def begin(control, fake_app, dataset, tmp_path):
    fake_app.state.dataset = dataset
    control.plan_panel.workspace.choose(tmp_path / "w")
    control.train_panel.train_requested.emit(WISH)


def test_training_starts_a_run_in_a_workspace_made_for_it(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    begin(control, fake_app, dataset, tmp_path)

    (job,) = jobs
    assert job.run.settings == RunSettings(
        dataset=str(dataset.folder),
        workspace=str(tmp_path / "w"),
        name="liver-a",
        fold="all",
        epochs=2,
        iterations_per_epoch=3,
        validation_iterations=1,
        device="cpu",
    )
    assert Workspace.open(tmp_path / "w").dataset_folder == dataset.folder
    assert fake_app.state.run_folder == tmp_path / "w" / "runs" / "liver-a"
    assert "goes on when napari is closed" in fake_app.said[-1]

    with job.run.lock():
        say(job.run, events.RunStarted("s", "on the CPU", "3d_fullres", "all", 2, 3, 1, CLASSES))
        say(job.run, events.EpochFinished(0, 0.5, 0.6, {}, {1: 0.8, 2: 0.1}, 0.01, 1.0, 0.3))
        current = control.train_panel
        qtbot.waitUntil(lambda: "epoch 2/2" in current.progress.text(), timeout=20000)
    assert "liver-a: on the CPU" in fake_app.said
    assert control.train_panel.runs.topLevelItem(0).text(3) == ".800 / .100"


def test_stop_goes_to_the_child_and_its_answer_is_said(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    begin(control, fake_app, dataset, tmp_path)
    (job,) = jobs
    with job.run.lock():
        say(job.run, events.RunStarted("s", "on the CPU", "3d_fullres", "all", 2, 3, 1, CLASSES))
        panel = control.train_panel
        qtbot.waitUntil(panel.stop.isEnabled, timeout=20000)
        panel.stop.click()
        assert "stopping" in panel.progress.text()
        qtbot.waitUntil(lambda: bool(job.stopped), timeout=20000)
    qtbot.waitUntil(panel.resume.isEnabled, timeout=20000)
    assert any("stopped in epoch 1" in sentence for sentence in fake_app.said)


def test_a_run_that_is_there_is_found_and_resumed(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    Workspace.create(tmp_path / "w", dataset)
    run = Run.create(RunSettings(str(dataset.folder), str(tmp_path / "w"), "old"))
    say(run, events.RunStarted("s", "cpu", "3d_fullres", "all", 2, 3, 1, CLASSES))
    say(run, events.RunFailed("old: the disk is full"))
    fake_app.state.dataset = dataset
    control.plan_panel.workspace.choose(tmp_path / "w")

    panel = control.train_panel
    qtbot.waitUntil(lambda: "the disk is full" in panel.progress.text(), timeout=20000)
    assert fake_app.state.run_folder == run.folder
    panel.resume.click()

    assert [job.run.folder for job in jobs] == [run.folder]


def test_what_cannot_start_is_said_inside_the_panel(
    control, fake_app, dataset, jobs, tmp_path, monkeypatch
):
    control.train_panel.train_requested.emit(WISH)
    assert "open dataset" in control.train_panel.error.sentence

    begin(control, fake_app, dataset, tmp_path)
    assert control.train_panel.error.sentence == ""
    control.train_panel.train_requested.emit(WISH)
    assert "the name of an existing run" in control.train_panel.error.sentence
    assert control.train_panel.train.isEnabled()

    def locked(run):
        raise RunLocked(run.folder, "process 1 on this computer")

    monkeypatch.setattr(training_control, "start", locked)
    control.train_panel.resume_requested.emit(tmp_path / "w" / "runs" / "liver-a")
    assert "already working on this run" in control.train_panel.error.sentence


def test_the_command_and_the_next_free_name(control, fake_app, dataset, jobs, tmp_path, qtbot):
    assert control._command() == "unet-mic train DATASET --workspace W --name RUN"
    fake_app.state.dataset = dataset
    control.plan_panel.workspace.choose(tmp_path / "w")
    assert f"--workspace {tmp_path / 'w'} --name run-1" in control._command()

    control.train_panel.train.click()
    name = control.train_panel.name
    qtbot.waitUntil(lambda: name.text() == "run-2", timeout=20000)


def test_the_curves_follow_the_theme(control, fake_app):
    fake_app.viewer.theme = "light"
    fake_app.viewer.events.theme()

    assert control.train_panel.curves._theme[1] == "#ebe7e6"
