"""Opens napari on a demo's workspace; ``--screenshots FOLDER`` walks every panel and ends.

``python -m napari_unet_mic.gui.tour DEMO_FOLDER [--screenshots FOLDER] [--theme light]``:
what ``unet-mic demo`` starts, and what ``docs/screenshots.py`` makes the images with.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import ALL_CASES

SIZE = (1366, 768)


def main() -> int:
    """Open the viewer on a demo folder; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what unet-mic demo made")
    parser.add_argument("--screenshots", type=Path, help="take pictures of every panel, then end")
    parser.add_argument("--theme", default="dark", help="napari's theme: dark or light")
    options = parser.parse_args()
    viewer = napari.Viewer(title="napari: U-Net MIC demo", show=False)
    viewer.theme = options.theme
    window = viewer.window._qt_window
    window.resize(*SIZE)
    window.show()
    tour = Tour(viewer, options.folder)
    tour.open_demo()
    if options.screenshots is None:
        napari.run()
        return 0
    options.screenshots.mkdir(parents=True, exist_ok=True)
    tour.photograph(options.screenshots)
    viewer.close()
    return 0


class Tour:
    """Walks one viewer through the panels, as a person would click."""

    def __init__(self, viewer: napari.Viewer, folder: Path) -> None:
        self.viewer = viewer
        self.app = App.of(viewer)
        self.workspace = Workspace.open(folder / "workspace")
        (run,) = sorted((folder / "workspace" / "runs").iterdir())[:1]
        self.run = run

    def open_demo(self) -> None:
        """Open workbench, dataset, workspace, the test case with most to see, its errors."""
        self.app.show("workbench")
        self.app.show("inspector")
        panel = self.app.panel("dataset")
        dataset = self.workspace.dataset()
        panel.open(dataset.folder)
        self.wait(lambda: self.app.state.dataset is not None, "the dataset")
        self.app.show("plan_and_train")
        self.app.controller("plan_and_train").planning.adopt(self.workspace)
        case = self._worst_test_case()
        panel.open_case(case)
        self.wait(
            lambda: self.app.state.case is not None and self.app.state.case.name == case,
            "the test case",
        )
        predicted = layers.labels_tuple(
            read_labels(self.run / "test" / f"{case}.nii.gz"),
            name=f"{case} {self.run.name}",
            role="prediction",
            case=case,
            classes=dataset.classes,
        )
        (added,) = layers.add(self.viewer, [predicted])
        layers.show_pair(layers.layer_named(self.viewer, f"{case} reference"), added)
        self.app.suggest_pair()
        self.wait(lambda: self.app.state.comparison is not None, "the comparison")
        self.settle()
        self._select_a_cell()

    def _worst_test_case(self) -> str:
        from napari_unet_mic.evaluation.result_files import read_evaluation

        cases = read_evaluation(self.run / "test").cases
        return min(cases, key=lambda case: case.foreground_iou or 0.0).name

    def _select_a_cell(self) -> None:
        """Click the largest cell off the diagonal of the last class that has one."""
        comparison = self.app.state.comparison
        assert comparison is not None
        table = comparison.table.copy()
        table[range(len(table)), range(len(table))] = 0
        row = max(row for row in range(len(table)) if table[row].any()) if table.any() else 0
        column = int(table[row].argmax())
        values = comparison.class_values
        self.app.panel("inspector").mistakes.select(values[row], values[column])
        self.settle(1.0)

    def photograph(self, folder: Path) -> None:
        """Save a picture of the window with every panel in turn."""
        for name, picture in (
            ("dataset", "1-dataset"),
            ("plan_and_train", "2-plan-and-train"),
            ("predict", "3-predict"),
            ("annotate", "4-annotate"),
        ):
            self.app.show(name)
            self.settle(1.5)
            self._save(folder / f"{picture}.png")
        self.app.show("dataset")
        self._select_a_cell()
        self._save(folder / "5-inspector.png")
        self._show_all_cases()
        self._save(folder / "6-lesions.png")

    def _show_all_cases(self) -> None:
        """Open the evaluation of the test set, and the lesions of all its cases."""
        inspector = self.app.panel("inspector")
        inspector.scope.setCurrentIndex(ALL_CASES)
        cases = inspector.cases
        cases.open(self.run / "test")
        self.wait(lambda: cases.evaluation is not None, "the evaluation of the test set")
        cases.parts.bring_forward("Lesions")
        self.settle(1.5)

    def _save(self, file: Path) -> None:
        self.settle(0.3)
        self.viewer.window._qt_window.grab().save(str(file))

    def settle(self, seconds: float = 0.5) -> None:
        """Let the event loop run for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def wait(self, happened: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Let the event loop run until something has happened.

        Raises
        ------
        UNetMicError
            When it has not after that many seconds.
        """
        end = time.monotonic() + seconds
        while not happened():
            QApplication.processEvents()
            time.sleep(0.01)
            if time.monotonic() > end:
                said = self.app.state.message
                raise UNetMicError(f"{what} did not appear within {seconds:g} s; {said}")


if __name__ == "__main__":
    raise SystemExit(main())
