"""The demo: the main job once, on synthetic data, and napari on its result.

What enters: a folder. What leaves in it: a synthetic liver CT dataset, a workspace with a
plan, a short run, its test set predicted and evaluated, the tables as text, and, on a
machine without a display, screenshots of every panel.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.errors import UNetMicError

SHAPE = (24, 48, 48)
N_CASES, N_TEST = 12, 4
RUN = "demo"
EPOCHS, ITERATIONS = 5, 20


def walk(folder: Path, *, report: Callable[[str], None]) -> Path:
    """Make the dataset, plan, train briefly, predict and evaluate its test set.

    Parameters
    ----------
    folder
        Where everything goes; a second call goes on where the first stopped.
    report
        Told one sentence per step.

    Returns
    -------
    The run's folder.
    """
    from napari_unet_mic.data.dataset import open_dataset
    from napari_unet_mic.data.phantom import write_liver
    from napari_unet_mic.training.run import Run, RunSettings
    from napari_unet_mic.training.trainer import run_child, train_here

    data, workspace = folder / "Task91_LiverPhantom", folder / "workspace"
    if not (data / "dataset.json").is_file():
        report(f"1/4 Writing {N_CASES} synthetic liver CT cases, {N_TEST} of them the test set.")
        write_liver(data, n_cases=N_CASES, n_test=N_TEST, shape=SHAPE, seed=7)
    dataset = open_dataset(data)
    settings = RunSettings(
        dataset=str(data),
        workspace=str(workspace),
        name=RUN,
        fold=0,
        epochs=EPOCHS,
        iterations_per_epoch=ITERATIONS,
        validation_iterations=4,
    )
    iterations = EPOCHS * ITERATIONS
    report(f"2/4 Planning, then training {iterations} iterations; a real run takes far more.")
    run_file = settings.folder / "run.json"
    if run_file.is_file():
        run = Run.open(settings.folder)
        status = 0 if run.state() == "finished" else run_child(run.folder)
    else:
        status = train_here(settings, report=report)
    if status != 0:
        raise UNetMicError(f"{settings.folder}: the demo's training did not finish; see above")
    report(f"3/4 The {len(dataset.test)} test cases, which the run never saw:")
    return settings.folder


def show(folder: Path, *, report: Callable[[str], None]) -> int:
    """Open napari on the demo's workspace; without a display, leave screenshots instead.

    napari runs in a process of its own: the command line never imports it.
    """
    _write_tables(folder, report=report)
    if importlib.util.find_spec("napari") is None:
        report('napari is not installed: pip install "napari-unet-mic[app]" to look at it.')
        return 0
    tour = [sys.executable, "-m", "napari_unet_mic.gui.tour", str(folder)]
    displayed = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if displayed:
        report("4/4 Opening napari on the result.")
        return subprocess.run(tour, check=False).returncode
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        report("4/4 There is no display and no xvfb-run: apt-get install xvfb xauth to get images.")
        return 0
    report("4/4 There is no display: napari runs under Xvfb and leaves screenshots.")
    virtual = [xvfb, "-a", "-s", "-screen 0 1366x768x24"]
    done = subprocess.run([*virtual, *tour, "--screenshots", str(folder / "screenshots")])
    if done.returncode == 0:
        for image in sorted((folder / "screenshots").glob("*.png")):
            report(f"  {image}")
    return done.returncode


def _write_tables(folder: Path, *, report: Callable[[str], None]) -> None:
    from napari_unet_mic.evaluation.result_files import read_evaluation
    from napari_unet_mic.reporting.tables import evaluation_text

    text = evaluation_text(read_evaluation(folder / "workspace" / "runs" / RUN / "test"))
    report(text)

    def write(file: Path) -> None:
        file.write_text(text + "\n", encoding="utf-8")

    write_whole(folder / "tables.txt", write)
