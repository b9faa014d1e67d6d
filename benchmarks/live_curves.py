"""What a week-long run costs napari's GUI thread: 1000 epochs of 250 iterations, all curves.

    xvfb-run -a python benchmarks/live_curves.py [--epochs 1000] [--iterations 250] [--runs 3]

Synthetic runs are written as ``events.jsonl``; the panel opens on them while a thread reads
them, then one of them goes on training for a while. Printed: how long reading took, the longest
call of ours on the GUI thread (processor time of that thread), what one redraw of all curves
costs, and the resident memory.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import napari
import numpy as np
from gui_thread import report, resident_mib, wait_until
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.watchdog import Watchdog
from napari_unet_mic.training import events
from napari_unet_mic.training.run import Run, RunSettings

CLASSES = {0: "background", 1: "liver", 2: "cancer"}


def iteration(rng: np.random.Generator, epoch: int, number: int) -> events.Event:
    loss = math.exp(-epoch / 200) - 0.8 + 0.1 * rng.normal()
    return events.IterationsFinished(epoch, number, loss, 0.5, 0.01, 3_000_000_000, 6_000_000_000)


def epoch_end(rng: np.random.Generator, epoch: int) -> events.Event:
    liver, cancer = (1 - math.exp(-epoch / t) + 0.02 * rng.normal() for t in (50, 300))
    loss = math.exp(-epoch / 200) - 0.8
    return events.EpochFinished(
        epoch,
        loss,
        loss + 0.05,
        {1: liver, 2: cancer},
        {1: 0.9 * liver, 2: 0.8 * cancer},
        0.01 * max(0.0, 1 - epoch / 1000) ** 0.9,
        130.0,
        0.5,
        memory_bytes=3_000_000_000,
        gpu_memory_bytes=6_000_000_000,
    )


def write_run(workspace: Path, data: Path, name: str, epochs: int, iterations: int) -> Run:
    rng = np.random.default_rng(len(name))
    run = Run.create(RunSettings(str(data), str(workspace), name, epochs=epochs))
    start = events.RunStarted("s", "here", "3d_fullres", "0", epochs, iterations, 50, CLASSES)
    with run.events_file.open("w") as stream:
        stream.write(events.to_line(start) + "\n")
        for epoch in range(epochs):
            for number in range(1, iterations + 1):
                stream.write(events.to_line(iteration(rng, epoch, number)) + "\n")
            stream.write(events.to_line(epoch_end(rng, epoch)) + "\n")
    return run


def go_on(run: Run, seconds: float, epochs: int) -> None:
    """Let a run say more, ten times a second, as a trainer does."""
    rng = np.random.default_rng(1)
    log = events.EventLog(run.events_file)
    with run.lock():
        for turn in range(round(10 * seconds)):
            log(iteration(rng, epochs - 1, turn + 1))
            if turn % 20 == 0:
                log(epoch_end(rng, epochs + turn // 20))
            QTest.qWait(100)
    log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long one run goes on")
    options = parser.parse_args()
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = write_liver(Path(folder) / "Liver", 2, shape=(16, 32, 32), n_test=0)
        workspace = Workspace.create(Path(folder) / "w", open_dataset(data))
        runs = [
            write_run(workspace.folder, data, f"run-{n}", options.epochs, options.iterations)
            for n in range(options.runs)
        ]
        size = runs[0].events_file.stat().st_size
        print(f"{options.runs} runs of {size / 1e6:.0f} MB of events each")
        viewer = napari.Viewer()
        app = App.of(viewer)
        app.show("plan_and_train")
        control = app.controller("plan_and_train")
        panel = control.runs_panel
        panel.curves.choice.setCurrentIndex(1)
        QTest.qWait(2000)
        before = resident_mib()
        watchdog = Watchdog()
        watchdog.start()
        began = time.monotonic()
        control.planning.adopt(workspace)
        wanted = options.epochs * options.iterations
        wait_until(
            lambda: (
                len(panel._statuses) == options.runs
                and all(len(s.snapshot.iteration_loss[0]) == wanted for s in panel._statuses)
            )
        )
        print(f"   read after {time.monotonic() - began:.1f} s")
        report("reading the runs", watchdog, results)
        panel.runs.selectAll()
        watchdog = Watchdog()
        watchdog.start()
        go_on(runs[-1], options.seconds, options.epochs)
        words = f"going on for {options.seconds:g} s, {options.runs} runs overlaid"
        report(words, watchdog, results)
        costs = []
        for _ in range(20):
            clock = time.thread_time()
            panel.curves._draw()
            costs.append(1000 * (time.thread_time() - clock))
            QApplication.processEvents()
        print(f"   one redraw of all curves: {min(costs):.1f} to {max(costs):.1f} ms of processor")
        print(f"   resident memory {before:.0f} MiB, then {resident_mib():.0f} MiB")
        print(json.dumps(results))
        viewer.close()


if __name__ == "__main__":
    main()
