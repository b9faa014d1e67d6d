"""An hour of training with all curves visible: no call of ours is long, and memory is flat.

`make soak` runs it, ``SOAK_MINUTES`` makes it shorter; figures: soak-output/train_panel.json.
"""

import json
import os
from pathlib import Path

import pytest
from qtpy.QtTest import QTest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.gui.watchdog import Watchdog

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
MOST_GROWTH_MIB = 60
PATIENCE_MS = 600_000


def resident_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_training_with_all_curves_visible(app, qtbot, tmp_path):
    data = write_liver(tmp_path / "Liver", 4, shape=(24, 64, 64), n_test=1)
    app.show("workbench")
    app.show("plan_and_train")
    control = app.controller("plan_and_train")
    app.state.dataset = open_dataset(data)
    control.plan_panel.button.click()
    qtbot.waitUntil(lambda: app.state.plan is not None, timeout=PATIENCE_MS)
    form, panel = control.train_panel, control.runs_panel
    form.fold.setCurrentIndex(form.fold.findData("all"))
    form.epochs.setValue(100_000)
    form.iterations.setValue(1)
    panel.curves.choice.setCurrentIndex(1)  # all curves
    panel.curves.smoothing.setCurrentIndex(1)
    form.train.click()
    qtbot.waitUntil(
        lambda: panel.current is not None and panel.current.snapshot.epochs_done > 5,
        timeout=PATIENCE_MS,
    )
    panel.preview.in_viewer.setChecked(True)
    QTest.qWait(20_000)  # the first minute fills caches
    watchdog = Watchdog()
    watchdog.start()
    before = resident_mib()
    QTest.qWait(round(60_000 * MINUTES))
    watchdog.stop()
    after = resident_mib()
    panel.stop.click()
    qtbot.waitUntil(panel.resume.isEnabled, timeout=PATIENCE_MS)

    ours = sorted((gap for gap in watchdog.gaps if gap.where), key=lambda gap: -gap.cpu_seconds)
    figures = {
        "minutes": MINUTES,
        "epochs": panel.current.snapshot.epochs_done,
        "our longest, ms of processor": round(1000 * ours[0].cpu_seconds) if ours else 0,
        "where": ours[0].where if ours else "",
        "longest gap of all, ms": round(1000 * watchdog.longest.seconds),
        "memory before, MiB": round(before),
        "memory after, MiB": round(after),
    }
    out = Path("soak-output")
    out.mkdir(exist_ok=True)
    (out / "train_panel.json").write_text(json.dumps(figures, indent=2))
    assert watchdog.ours(0.05) == []
    assert after - before < MOST_GROWTH_MIB
