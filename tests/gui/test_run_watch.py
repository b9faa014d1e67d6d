import shutil
import time

import pytest

from napari_unet_mic.gui import run_watch
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


def test_a_paused_run_is_alive_and_goes_on(run, watch):
    with run.lock():
        say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 2, 5, 1, CLASSES))
        say(run, events.RunPaused(0, 3, "GPU memory is given back"))
        watch.look_now()
        until(lambda: [s.state for s in watch.statuses] == ["paused"])
        assert watch.statuses[0].alive
        say(run, events.RunContinued(0, 3))
        until(lambda: [s.state for s in watch.statuses] == ["running"])


def test_a_long_run_is_read_in_pieces_to_its_end(run, watch):
    said = [events.IterationsFinished(n // 250, n % 250, 0.5, 0.2) for n in range(6000)]
    say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 1000, 250, 50, CLASSES), *said)
    assert run.events_file.stat().st_size > 4 * run_watch.READ_BYTES
    watch.look_now()

    until(lambda: watch.statuses and len(watch.statuses[0].snapshot.iteration_loss[0]) == 6000)


def test_evaluations_are_found_the_validation_first(run, watch):
    say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 2, 5, 1, CLASSES))
    for folder in (run.test_folder, run.validation_folder):
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text("{}")
    watch.look_now()

    until(lambda: watch.statuses and watch.statuses[0].state == "lost its process")
    assert watch.statuses[0].evaluations == (run.validation_folder, run.test_folder)


def test_another_run_in_a_folder_takes_the_place_of_the_old_one(run, watch, tmp_path):
    say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 7, 5, 1, CLASSES))
    watch.look_now()
    until(lambda: watch.statuses and watch.statuses[0].snapshot.epochs == 7)

    shutil.rmtree(run.folder)
    Run.create(RunSettings(str(tmp_path), str(tmp_path), "one", epochs=3))
    watch.look_now()
    until(lambda: watch.statuses[0].settings.epochs == 3)
    assert watch.statuses[0].state == "new"


def test_two_windows_on_one_run_see_the_same(run, watch):
    other = RunWatch(watch.workspace)
    try:
        with run.lock():
            say(run, events.RunStarted("s", "cpu", "3d_fullres", "0", 2, 5, 1, CLASSES))
            say(run, events.EpochFinished(0, 0.5, 0.6, {1: 0.7}, {1: 0.6}, 0.01, 1.0, 0.2))
            for one in (watch, other):
                one.look_now()
                until(lambda one=one: one.statuses and one.statuses[0].snapshot.epochs_done == 1)
                assert one.statuses[0].state == "running"
    finally:
        other.close()
