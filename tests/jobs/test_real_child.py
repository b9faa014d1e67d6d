"""A real trainer process, started, stopped and resumed through the run folder alone."""

import time
from pathlib import Path

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.data.phantom import write_prostate
from napari_unet_mic.jobs.process import attach, start
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.training import events
from napari_unet_mic.training.events import in_force, read_events
from napari_unet_mic.training.run import Run, RunSettings


def small_plan(dataset: Path, file: Path) -> Path:
    opened = open_dataset(dataset)
    plan = plan_experiment(extract(opened), opened.nnunet_json()).to_json()
    configuration = plan["configurations"]["2d"]
    configuration |= {"patch_size": [16, 16], "batch_size": 2}
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": 2,
        "features_per_stage": [4, 4],
        "kernel_sizes": [[3, 3], [3, 3]],
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
    }
    write_json(file, plan)
    return file


def test_started_stopped_and_resumed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_prostate(data, n_cases=2, shape=(8, 32, 32), n_test=0)
    settings = RunSettings(
        dataset=str(data),
        workspace=str(tmp_path / "workspace"),
        name="child",
        configuration="2d",
        fold="all",
        plans=str(small_plan(data, tmp_path / "plans.json")),
        epochs=500_000,
        iterations_per_epoch=5,
        validation_iterations=1,
        device="cpu",
    )
    run = Run.create(settings)
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
