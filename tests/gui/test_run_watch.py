import time

import pytest

from napari_unet_mic.gui.run_watch import RunWatch
from napari_unet_mic.training import events
from napari_unet_mic.training.run import Run, RunSettings

CLASSES = {0: "background", 1: "a"}


@pytest.fixture
def run(tmp_path):
    return Run.create(RunSettings(dataset=str(tmp_path), workspace=str(tmp_path), name="one"))


@pytest.fixture
def watch(run):
    watch = RunWatch(run.settings.folder.parents[1])
    yield watch
    watch.close()


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def say(run, *happened):
    log = events.EventLog(run.events_file)
    for event in happened:
        log(event)
    log.close()


def test_a_new_run_is_listed(run, watch):
    until(lambda: watch.generation > 0)

    assert [(s.name, s.state) for s in watch.statuses] == [("one", "new")]
    assert "never started" in watch.statuses[0].sentence


def test_events_of_a_running_run_arrive(run, watch):
    with run.lock():
        say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 2, 5, 1, CLASSES))
        watch.look_now()
        until(lambda: [s.state for s in watch.statuses] == ["running"])
        until(lambda: watch.statuses[0].snapshot.epochs == 2)
        say(run, events.EpochFinished(0, 0.5, 0.6, {1: 0.7}, {1: 0.6}, 0.01, 1.0, 0.2))
        until(lambda: watch.statuses[0].snapshot.epochs_done == 1)
        say(run, events.RunFinished(3.0))
    watch.look_now()
    until(lambda: watch.statuses[0].state == "finished")


def test_a_trainer_gone_without_a_word_is_told_with_its_last_output(run, watch):
    say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 2, 5, 1, CLASSES))
    run.output_file.write_text("Traceback\nRuntimeError: no memory\n")
    watch.look_now()
    until(lambda: [s.state for s in watch.statuses] == ["lost its process"])

    assert "RuntimeError: no memory" in watch.statuses[0].sentence


def test_runs_that_come_and_go(run, watch, tmp_path):
    second = Run.create(RunSettings(dataset=str(tmp_path), workspace=str(tmp_path), name="two"))
    watch.look_now()
    until(lambda: {s.name for s in watch.statuses} == {"one", "two"})

    second.run_file.unlink()
    watch.look_now()
    until(lambda: {s.name for s in watch.statuses} == {"one"})
