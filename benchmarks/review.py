"""What a step of the review costs: the next worst case, opened at its worst region.

    xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/review.py [--summaries FOLDER]

Writes synthetic liver cases of 512 x 512 x 100 with imperfect predictions, evaluates them, opens
the evaluation in napari and presses W. "processor" is the processor time of the whole process
from the key to the moment when the regions are listed and the view has gone to the worst one,
napari's own share included (HD95 and NSD follow later); "GUI thread" is the part of it that the
GUI thread spent, "longest" the longest that the event loop was away. With `--summaries` the time
to open a folder of nnU-Net's summaries is measured, too, until table, plot and means are there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (100, 512, 512)
N_CASES = 3


def write_cases(folder: Path) -> Path:
    """Write a Decathlon folder with predictions and their evaluation, and return the latter."""
    import json

    from inspector import _doubled
    from scipy.ndimage import zoom

    from napari_unet_mic.data.imperfect import imperfect_prediction
    from napari_unet_mic.data.phantom import LIVER_CLASSES, liver_case
    from napari_unet_mic.data.volume import Volume, write_image, write_labels
    from napari_unet_mic.evaluation.summary import evaluate_folders

    names = {name: value for value, name in LIVER_CLASSES.items()}
    content: dict[str, Any] = {
        "labels": names,
        "channel_names": {"0": "CT"},
        "file_ending": ".nii.gz",
        "numTraining": N_CASES,
    }
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(content))
    half = (SHAPE[0] // 2, SHAPE[1] // 2, SHAPE[2] // 2)
    for number in range(N_CASES):
        image, reference = liver_case(number, half)
        prediction = imperfect_prediction(reference, number)
        spacing_mm = tuple(size / 2 for size in reference.spacing_mm)
        big = zoom(np.asarray(image.array[0], np.float32), 2, order=1)
        noise = np.random.default_rng(number).normal(0, 12, big.shape)
        voxels = np.round(big + noise).astype(np.int16)
        like = Volume.from_array(voxels[None], spacing_mm=spacing_mm)
        write_image(folder / "imagesTr" / f"liver_{number}_0000.nii.gz", voxels[None], like)
        for place, labels in (("labelsTr", reference), ("predictions", prediction)):
            made = _doubled(labels.array)
            volume = Volume.from_array(made, spacing_mm=spacing_mm)
            write_labels(folder / place / f"liver_{number}.nii.gz", made, volume)
    evaluation = folder / "evaluation"
    evaluate_folders(folder / "labelsTr", folder / "predictions", tolerance_mm=None).write(
        evaluation
    )
    return evaluation


class Session:
    """A viewer with the inspector on all cases."""

    def __init__(self) -> None:
        import napari

        from napari_unet_mic.gui.app import App

        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(1366, 768)
        self.app = App.of(self.viewer)
        self.panel: Any = self.app.show("inspector")
        self.panel.scope.setCurrentIndex(1)
        self.longest = 0.0
        self.settle(1.5)

    def until(self, happened: Callable[[], bool]) -> None:
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + 120
        while not happened():
            begun = time.thread_time()
            QApplication.processEvents()
            self.longest = max(self.longest, time.thread_time() - begun)
            time.sleep(0.001)
            if time.monotonic() > end:
                raise SystemExit("what was waited for did not happen")

    def settle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def measured(self, act: Callable[[], None], happened: Callable[[], bool]) -> dict[str, float]:
        """Act, wait, and return wall, processor and GUI thread time in milliseconds."""
        self.longest = 0.0
        begun = time.perf_counter(), time.process_time(), time.thread_time()
        act()
        self.until(happened)
        now = time.perf_counter(), time.process_time(), time.thread_time()
        keys = ("wall", "processor", "GUI thread")
        found = {
            key: 1000 * (one - other) for key, one, other in zip(keys, now, begun, strict=True)
        }
        return {**found, "longest": 1000 * self.longest}

    def step(self) -> dict[str, float]:
        """Press W; the worst region of the next case is in sight when this returns."""
        mistakes, state = self.panel.mistakes, self.app.state
        before = state.comparison

        def there() -> bool:
            fresh = state.comparison is not None and state.comparison is not before
            return fresh and bool(mistakes.regions) and not mistakes._go

        return self.measured(lambda: self.panel.cases.step(1), there)

    def open(self, folder: Path, n_cases: int) -> dict[str, float]:
        cases = self.panel.cases

        def there() -> bool:
            return cases.list.model.rowCount() == n_cases and cases.plot.points is not None

        return self.measured(lambda: cases.open(folder), there)


def show(what: str, found: dict[str, float]) -> None:
    print(f"{what:44s}" + "".join(f"{key} {value:7.0f} ms   " for key, value in found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--summaries", type=Path, help="a folder with summary*.json of 131 cases")
    parser.add_argument("--steps", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        evaluation = write_cases(Path(folder) / "liver")
        session = Session()
        if options.summaries is not None:
            show("opening published summaries", session.open(options.summaries, 131))
        show("opening the evaluation", session.open(evaluation, N_CASES))
        for number in range(options.steps):
            show(f"step {number + 1}", session.step())
            session.settle(4.0)
        session.viewer.close()


if __name__ == "__main__":
    main()
