import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import BadInput, Cancelled, RunLocked
from napari_unet_mic.gui import run_watch, run_work, runs_control, training_control
from napari_unet_mic.gui.estimating import Estimate
from napari_unet_mic.gui.training_control import TrainingControl
from napari_unet_mic.training import events
from napari_unet_mic.training.run import Run, RunSettings

CLASSES = {0: "background", 1: "liver", 2: "cancer"}
WISH = RunSettings(
    dataset="",
    workspace="",
    name="liver-a",
    fold="all",
    epochs=2,
    iterations_per_epoch=3,
    validation_iterations=1,
    device="cpu",
)
STARTED = events.RunStarted("s", "on the CPU", "3d_fullres", "all", 2, 3, 1, CLASSES)


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
    monkeypatch.setattr(run_work, "start", start)
    monkeypatch.setattr(run_work, "attach", lambda run: None)
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


def old_run(dataset, tmp_path, *happened, **settings):
    Workspace.create(tmp_path / "w", dataset)
    run = Run.create(RunSettings(str(dataset.folder), str(tmp_path / "w"), "old", **settings))
    say(run, STARTED, *happened)
    return run


def open_old(control, fake_app, dataset, tmp_path, qtbot):
    fake_app.state.dataset = dataset
    control.plan_panel.workspace.choose(tmp_path / "w")
    qtbot.waitUntil(lambda: control.runs_panel.current is not None, timeout=20000)


def test_training_starts_a_run_in_a_workspace_made_for_it(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    begin(control, fake_app, dataset, tmp_path)

    (job,) = jobs
    wanted = replace(WISH, dataset=str(dataset.folder), workspace=str(tmp_path / "w"))
    assert job.run.settings == wanted
    assert Workspace.open(tmp_path / "w").dataset_folder == dataset.folder
    assert fake_app.state.run_folder == tmp_path / "w" / "runs" / "liver-a"
    assert "goes on when napari is closed" in fake_app.said[-1]
    assert control.train_section.folded

    with job.run.lock():
        say(job.run, STARTED)
        say(job.run, events.EpochFinished(0, 0.5, 0.6, {}, {1: 0.8, 2: 0.1}, 0.01, 1.0, 0.3))
        panel = control.runs_panel
        qtbot.waitUntil(lambda: "epoch 2/2" in panel.progress.text(), timeout=20000)
    assert "liver-a: on the CPU" in fake_app.said
    assert panel.runs.topLevelItem(0).text(3) == ".800 / .100"


def test_stop_goes_to_the_child_and_its_answer_is_said(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    begin(control, fake_app, dataset, tmp_path)
    (job,) = jobs
    with job.run.lock():
        say(job.run, STARTED)
        panel = control.runs_panel
        qtbot.waitUntil(panel.stop.isEnabled, timeout=20000)
        panel.stop.click()
        assert "stopping" in panel.progress.text()
        qtbot.waitUntil(lambda: bool(job.stopped), timeout=20000)
    qtbot.waitUntil(panel.resume.isEnabled, timeout=20000)
    assert any("stopped in epoch 1" in sentence for sentence in fake_app.said)


def test_pause_and_continue_are_asked_and_what_became_of_the_memory_is_said(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    begin(control, fake_app, dataset, tmp_path)
    (job,) = jobs
    session = job.run.new_session()
    row = control.runs_panel.actions_row
    with job.run.lock():
        say(job.run, STARTED)
        qtbot.waitUntil(row.pause.isEnabled, timeout=20000)
        row.pause.click()
        qtbot.waitUntil(lambda: job.run.pause_requested(session), timeout=20000)
        say(job.run, events.RunPaused(0, 2, "GPU memory is given back"))
        qtbot.waitUntil(lambda: not row.go_on.isHidden(), timeout=20000)
        assert "liver-a: paused in epoch 1: GPU memory is given back" in fake_app.said

        row.go_on.click()
        qtbot.waitUntil(lambda: not job.run.pause_requested(session), timeout=20000)
        say(job.run, events.RunContinued(0, 2))
        qtbot.waitUntil(lambda: not row.pause.isHidden(), timeout=20000)


def test_a_run_that_is_there_is_found_and_resumed(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    run = old_run(dataset, tmp_path, events.RunFailed("old: the disk is full"))
    open_old(control, fake_app, dataset, tmp_path, qtbot)

    panel = control.runs_panel
    assert not control.train_section.folded
    qtbot.waitUntil(lambda: panel.fault.sentence == "old: the disk is full", timeout=20000)
    assert fake_app.state.run_folder == run.folder
    assert fake_app.shown_errors == []  # it failed while nobody looked: the list says so
    panel.resume.click()

    assert [job.run.folder for job in jobs] == [run.folder]


def test_a_workspace_that_trains_opens_at_its_runs(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    run = old_run(dataset, tmp_path)
    with run.lock():
        open_old(control, fake_app, dataset, tmp_path, qtbot)
        assert (control.plan_section.folded, control.train_section.folded) == (True, True)
        assert not control.runs_section.folded
        control.train_section.fold(False)
        row = control.runs_panel.actions_row
        say(run, events.RunPaused(0, 2, ""))
        qtbot.waitUntil(lambda: not row.go_on.isHidden(), timeout=20000)
    assert not control.train_section.folded  # opened by hand it stays open


def test_a_failure_is_notified_once_in_however_many_windows(
    control, fake_app, dataset, jobs, tmp_path, qtbot, monkeypatch
):
    monkeypatch.setattr(runs_control, "_TOLD", set())
    begin(control, fake_app, dataset, tmp_path)
    (job,) = jobs
    other_app = type(fake_app)()
    second = TrainingControl(other_app)
    qtbot.addWidget(second.widget)
    other_app.state.dataset = dataset
    second.plan_panel.workspace.choose(tmp_path / "w")
    panels = (control.runs_panel, second.runs_panel)
    with job.run.lock():
        say(job.run, STARTED)
        for panel in panels:
            qtbot.waitUntil(
                lambda p=panel: p.current is not None and p.current.alive, timeout=20000
            )
            qtbot.waitUntil(lambda p=panel: p.current.snapshot.epochs == 2, timeout=20000)
        say(job.run, events.RunFailed("liver-a: the loss is not finite"))
    for panel in panels:
        qtbot.waitUntil(lambda p=panel: p.current.state == "failed", timeout=20000)

    told = fake_app.shown_errors + other_app.shown_errors
    assert told == ["liver-a: the loss is not finite"]
    other_app.close()


def test_what_cannot_start_is_said_inside_the_panel(
    control, fake_app, dataset, jobs, tmp_path, monkeypatch, qtbot
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

    monkeypatch.setattr(run_work, "start", locked)
    qtbot.waitUntil(lambda: control.runs_panel.current is not None, timeout=20000)
    control.runs_panel.action_asked.emit("resume", tmp_path / "w" / "runs" / "liver-a")
    assert "already working on this run" in control.runs_panel.error.sentence


def test_the_command_and_the_next_free_name(control, fake_app, dataset, jobs, tmp_path, qtbot):
    assert control._command() == "unet-mic train DATASET --workspace W --name RUN"
    fake_app.state.dataset = dataset
    control.plan_panel.workspace.choose(tmp_path / "w")
    assert f"--workspace {tmp_path / 'w'} --name run-1" in control._command()

    control.train_panel.train.click()
    name = control.train_panel.name
    qtbot.waitUntil(lambda: name.text() == "run-2", timeout=20000)


def test_a_duplicate_has_the_same_settings_under_a_free_name(
    control, fake_app, dataset, jobs, tmp_path, qtbot
):
    settings = {"fold": "all", "epochs": 7, "seed": 5, "augmentation": "light", "mirroring": False}
    run = old_run(dataset, tmp_path, events.RunFinished(9.0), **settings)
    open_old(control, fake_app, dataset, tmp_path, qtbot)
    control.runs_panel.action_asked.emit("duplicate", run.folder)

    assert control.train_panel.name.text() == "old-2"
    again = control.settings_of(control.train_panel.wish)
    assert replace(again, name="old") == run.settings


def test_a_run_is_deleted_only_after_a_yes(
    control, fake_app, dataset, jobs, tmp_path, qtbot, monkeypatch
):
    run = old_run(dataset, tmp_path, events.RunFinished(9.0))
    open_old(control, fake_app, dataset, tmp_path, qtbot)
    monkeypatch.setattr(run_work, "_to_trash", lambda folder: False)
    answers = [False, True]
    monkeypatch.setattr(runs_control, "ask_person", lambda *_: answers.pop(0))

    control.runs_panel.action_asked.emit("delete", run.folder)
    assert run.folder.exists()
    control.runs_panel.action_asked.emit("delete", run.folder)
    assert not run.folder.exists()
    qtbot.waitUntil(lambda: control.runs_panel.current is None, timeout=20000)
    assert "this system has no trash" in " ".join(fake_app.said)


def test_a_run_that_started_meanwhile_is_not_deleted(
    control, fake_app, dataset, jobs, tmp_path, qtbot, monkeypatch
):
    run = old_run(dataset, tmp_path, events.RunFinished(9.0))
    open_old(control, fake_app, dataset, tmp_path, qtbot)
    monkeypatch.setattr(runs_control, "ask_person", lambda *_: True)
    with run.lock():
        control.runs_panel.action_asked.emit("delete", run.folder)

    assert run.folder.exists()
    assert "stop it first" in control.runs_panel.error.sentence


def test_the_output_of_a_run_is_shown(control, fake_app, dataset, jobs, tmp_path, qtbot):
    run = old_run(dataset, tmp_path, events.RunFailed("old: see its output"))
    run.output_file.write_text("Traceback\nMemoryError\n")
    open_old(control, fake_app, dataset, tmp_path, qtbot)
    control.runs_panel.action_asked.emit("output", run.folder)

    (window,) = control.runs_panel.findChildren(training_output())
    assert "MemoryError" in window.text.toPlainText()
    window.close()


def training_output():
    from napari_unet_mic.gui.fault_line import OutputWindow

    return OutputWindow


def test_the_curves_shown_are_saved(control, fake_app, dataset, jobs, tmp_path, qtbot, monkeypatch):
    old_run(dataset, tmp_path, events.EpochFinished(0, 0.5, 0.6, {}, {1: 0.8}, 0.01, 1.0, 0.3))
    open_old(control, fake_app, dataset, tmp_path, qtbot)
    answer = (str(tmp_path / "curves"), "Numbers (*.csv)")
    monkeypatch.setattr(runs_control.QFileDialog, "getSaveFileName", lambda *_: answer)
    control.runs_panel.curves.save.click()

    assert "old,1,0.5,0.6,0.8" in (tmp_path / "curves.csv").read_text()


def test_an_estimate_is_shown_and_one_that_fails_says_why(
    control, fake_app, dataset, tmp_path, monkeypatch
):
    fake_app.state.dataset = dataset
    control.plan_panel.workspace.choose(tmp_path / "w")
    asked = []

    def answer(settings, *, should_stop):
        asked.append(settings)
        return Estimate(0.5, 130.0, 3600.0, 2_000_000_000, "cpu", "float32", "about an hour")

    monkeypatch.setattr(training_control, "ask_estimate", answer)
    control.train_panel.estimate.click()
    assert asked[0].dataset == str(dataset.folder)
    assert "1 h 0 min in all" in control.train_panel.estimated.text()

    def refuse(settings, *, should_stop):
        raise BadInput("the estimate", expected="a", got="no memory", advice="b")

    monkeypatch.setattr(training_control, "ask_estimate", refuse)
    control.train_panel.estimate.click()
    assert "no memory" in control.train_panel.error.sentence

    def cancelled(settings, *, should_stop):
        raise Cancelled("the estimate")

    monkeypatch.setattr(training_control, "ask_estimate", cancelled)
    control.train_panel.estimate.click()
    assert control.train_panel.error.sentence == ""


def test_the_preset_for_small_lesions_reads_the_dataset(
    control, fake_app, dataset, tmp_path, monkeypatch
):
    values = {"focus_class": 2, "foreground_oversampling": 0.67}
    presets = SimpleNamespace(small_lesions=lambda _: values)
    monkeypatch.setitem(sys.modules, "napari_unet_mic.training.presets", presets)
    fake_app.state.dataset = dataset
    control.train_panel.more.small_lesions.click()

    assert control.train_panel.wish.focus_class == 2
    assert "foreground 67 %" in fake_app.said[-1]


def test_the_curves_follow_the_theme(control, fake_app):
    fake_app.viewer.theme = "light"
    fake_app.viewer.events.theme()

    assert control.runs_panel.curves._theme[1] == "#ebe7e6"
