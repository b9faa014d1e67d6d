"""How long our code holds napari's GUI thread while it plans, trains and predicts.

    xvfb-run -a python benchmarks/gui_thread.py [--seconds 60]
    xvfb-run -a python benchmarks/gui_thread.py --watch WORKSPACE [--seconds 3600]

A small synthetic liver dataset is planned and trained through the panels with all curves
visible, then its test set is predicted, while a watchdog (`napari_unet_mic.gui.watchdog`)
times the event loop. Printed: the longest gaps in which code of this package was at work,
with the processor time that the GUI thread itself spent in them (on a busy machine the wall
time also counts what others did), and the resident memory before and after. With ``--watch`` the
panel only looks at the runs of a workspace that are training already, as in a viewer opened
after they were started.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtTest import QTest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.watchdog import Watchdog


def wait_until(condition: Callable[[], bool], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("what was waited for did not happen")
        QTest.qWait(20)


def wait(seconds: float) -> None:
    """Turn the event loop as napari does; `QTest.qWait` turns it without a rest."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def report(stage: str, watchdog: Watchdog, results: dict[str, object]) -> None:
    gaps = watchdog.stop()
    ours = sorted((gap for gap in gaps if gap.where), key=lambda gap: -gap.cpu_seconds)
    over = [gap for gap in ours if gap.cpu_seconds >= 0.05]
    results[stage] = {
        "gaps over 20 ms": len(gaps),
        "longest gap, ms": round(1000 * watchdog.longest.seconds),
        "ours over 50 ms": len(over),
        "our longest, ms of processor": round(1000 * ours[0].cpu_seconds) if ours else 0,
    }
    print(stage, json.dumps(results[stage]))
    for gap in ours[:6]:
        print(
            f"   {1000 * gap.cpu_seconds:6.0f} ms of {1000 * gap.seconds:6.0f} ms"
            f"  {gap.where}  ({gap.calls})"
        )


def watch(workspace: Path, seconds: float) -> None:
    """Look at the runs of a workspace with all curves visible; a line every ten minutes."""
    viewer = napari.Viewer()
    app = App.of(viewer)
    app.show("workbench")
    app.show("plan_and_train")
    runs = app.controller("plan_and_train").runs_panel
    app.state.workspace = Workspace(workspace)
    wait_until(lambda: runs.current is not None)
    runs.curves.choice.setCurrentIndex(1)
    runs.curves.smoothing.setCurrentIndex(1)
    wait(20)  # caches fill
    results: dict[str, object] = {}
    watchdog = Watchdog()
    watchdog.start()
    print(f"resident memory {resident_mib():.0f} MiB", flush=True)
    spent = time.process_time()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        wait(min(left, 600))
        print(f"{runs.progress.text()}; resident memory {resident_mib():.0f} MiB", flush=True)
    print(f"{100 * (time.process_time() - spent) / seconds:.1f} % of a core")
    report(f"watching for {seconds / 60:.0f} minutes", watchdog, results)
    viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to train")
    parser.add_argument("--watch", metavar="WORKSPACE", type=Path, help="look at its runs only")
    options = parser.parse_args()
    if options.watch:
        watch(options.watch, options.seconds)
        return
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = write_liver(Path(folder) / "Liver", 4, shape=(24, 64, 64), n_test=2)
        viewer = napari.Viewer()
        app = App.of(viewer)
        watchdog = Watchdog()
        watchdog.start()
        app.show("workbench")
        app.show("inspector")
        app.show("plan_and_train")
        QTest.qWait(3000)
        report("opening the panels", watchdog, results)
        control = app.controller("plan_and_train")
        form, runs = control.train_panel, control.runs_panel

        watchdog = Watchdog()
        watchdog.start()
        app.state.dataset = open_dataset(data)
        control.plan_panel.button.click()
        wait_until(lambda: app.state.plan is not None)
        report("planning", watchdog, results)

        form.fold.setCurrentIndex(form.fold.findData("all"))
        form.epochs.setValue(100_000)
        form.iterations.setValue(1)
        runs.curves.choice.setCurrentIndex(1)  # all of them
        watchdog = Watchdog()
        watchdog.start()
        form.train.click()
        wait_until(lambda: runs.current is not None and runs.current.snapshot.epochs_done > 0)
        before = resident_mib()
        QTest.qWait(round(1000 * options.seconds))
        after = resident_mib()
        report(f"training, {runs.current.snapshot.epochs_done} epochs", watchdog, results)
        print(f"   resident memory {before:.0f} MiB, then {after:.0f} MiB")
        runs.stop.click()
        wait_until(runs.resume.isEnabled)

        app.show("predict")
        panel = app.controller("predict").panel
        wait_until(lambda: panel.wish is not None)
        watchdog = Watchdog()
        watchdog.start()
        panel.predict.click()
        wait_until(panel.predict.isEnabled)
        QTest.qWait(2000)
        report("predicting and scoring the test set", watchdog, results)
        print(panel.progress.text(), panel.error.sentence)
        viewer.close()


if __name__ == "__main__":
    main()
