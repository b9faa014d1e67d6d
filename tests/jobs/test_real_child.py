"""A real trainer process, started, stopped and resumed through the run folder alone."""

import time

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.jobs.process import attach, start
from napari_unet_mic.training import events
from napari_unet_mic.training.events import in_force, read_events
from napari_unet_mic.training.run import Run, RunSettings


def test_started_stopped_and_resumed(small_settings: RunSettings) -> None:
    run = Run.create(small_settings)
    job = start(run)
    deadline = time.monotonic() + 240
    while not any(isinstance(e, events.EpochFinished) for e in read_events(run.events_file)[0]):
        assert job.alive, run.output_file.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = attach(Run.open(run.folder))
    assert found is not None
    assert found.pid == job.pid
    assert job.stop(grace=120) == 0
    assert run.state() == "stopped"
    assert run.checkpoint("latest").exists()
    stopped = read_events(run.events_file)[0][-1]
    assert isinstance(stopped, events.RunStopped)
    # shorten the rest, then let a second process finish it
    content = read_json(run.run_file)
    content["settings"]["epochs"] = stopped.epoch + 1
    write_json(run.run_file, content)
    again = start(Run.open(run.folder))
    assert again.wait(240), run.output_file.read_text()
    assert again.poll() == 0, run.output_file.read_text()
    assert run.state() == "finished"
    kept = in_force(read_events(run.events_file)[0])
    epochs = [e.epoch for e in kept if isinstance(e, events.EpochFinished)]
    assert epochs == list(range(stopped.epoch + 1))
    assert (run.validation_folder / "summary.json").exists()


def test_paused_and_continued_by_a_file(small_settings: RunSettings) -> None:
    run = Run.create(small_settings)
    job = start(run)

    def wait_for(kind: type, n: int = 1) -> None:
        deadline = time.monotonic() + 240
        while sum(isinstance(e, kind) for e in read_events(run.events_file)[0]) < n:
            assert job.alive, run.output_file.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    wait_for(events.EpochFinished)
    assert run.state() == "running"
    run.ask_to_pause(job.session)
    wait_for(events.RunPaused)
    assert run.state() == "paused"
    assert run.checkpoint("latest").exists()
    epochs = sum(isinstance(e, events.EpochFinished) for e in read_events(run.events_file)[0])
    assert attach(Run.open(run.folder)) is not None  # a second window finds it
    run.ask_to_continue(job.session)
    wait_for(events.RunContinued)
    wait_for(events.EpochFinished, epochs + 1)
    assert run.state() == "running"
    run.ask_to_pause(job.session)
    wait_for(events.RunPaused, 2)
    assert job.stop(grace=120) == 0  # a stop is heard in a pause too
    assert run.state() == "stopped"
