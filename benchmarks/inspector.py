"""What the error inspector costs on a 512 x 512 x 200 liver with tumours: seconds and memory.

    xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/inspector.py [--json FILE]
    python benchmarks/inspector.py --core                  # without napari

Makes a synthetic case and an imperfect prediction of it (some 20 s; `--pair FILE.npz` keeps
them), then measures: the core (count, look, regions, HD95 and NSD, and the memory they take),
what peers need for the same numbers (nnU-Net's counting in numpy; surface-distance and MONAI
where they are installed), and the inspector in a real napari viewer, for uint8 and int32
layers laid out as napari shows files: opening, a stroke in 2-D and in 3-D (brush 20, ten
moves), undo, a click on a cell, N.

"our handlers" is the processor time of the GUI thread in callbacks of this package; "shown"
is the wall time until the numbers (or the view) are the new ones, with the canvas not drawing
so that napari's repaint is left out. Best of several; on a busy machine look at processor
times. Memory is resident memory beyond the viewer with both layers, as bytes a voxel; for the
first type it includes what is loaded once (scipy, the panel). `--json FILE` appends one line
per run.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from napari_unet_mic.data.imperfect import imperfect_prediction
from napari_unet_mic.data.phantom import LIVER_CLASSES, liver_case
from napari_unet_mic.evaluation.mistakes import Mistakes
from napari_unet_mic.evaluation.shadow import Shadow
from napari_unet_mic.evaluation.surface import surface_scores

Row = tuple[str, str, float | None]
LIMITS = {
    "opening: tables and regions complete": 1000.0,
    "opening: HD95 and NSD complete": 2000.0,
    "stroke 2-D": 30.0,
    "stroke 3-D": 30.0,
    "undo": 100.0,
    "click on a cell": 100.0,
    "N": 50.0,
}


def make_pair(shape: tuple[int, int, int], keep: Path | None) -> tuple[Any, ...]:
    """Return reference, prediction and spacing: a case at half size, smoothly doubled."""
    if keep is not None and keep.is_file():
        kept = np.load(keep)
        return kept["reference"], kept["prediction"], tuple(kept["spacing_mm"].tolist())
    half = tuple(size // 2 for size in shape)
    _, reference = liver_case(3, half)  # type: ignore[arg-type]
    prediction = imperfect_prediction(reference, 1)
    maps = [_doubled(labels.array) for labels in (reference, prediction)]
    spacing_mm = tuple(size / 2 for size in reference.spacing_mm)
    if keep is not None:
        np.savez(keep, reference=maps[0], prediction=maps[1], spacing_mm=spacing_mm)
    return maps[0], maps[1], spacing_mm


def _doubled(labels: np.ndarray) -> np.ndarray:
    doubled = np.zeros([2 * size for size in labels.shape], np.uint8)
    for value in range(1, int(labels.max()) + 1):  # classes nest: a tumour lies in its liver
        inside = (labels >= value).astype(np.float32)
        doubled[zoom(inside, 2, order=1, grid_mode=True, mode="nearest") > 0.5] = value
    return doubled


def as_shown(labels: np.ndarray, dtype: type) -> np.ndarray:
    """Lay a map out as a layer of a file lies in memory: C order seen through two flips."""
    return np.ascontiguousarray(labels[:, ::-1, ::-1].astype(dtype))[:, ::-1, ::-1]


# ---- measuring -------------------------------------------------------------------------
def best(work: Callable[[], Any], repeats: int = 3) -> tuple[float, float]:
    """Return the best wall and processor time of some runs, in milliseconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return 1000 * min(walls), 1000 * min(cpus)


def memory_bytes(field: str) -> float:
    """Return VmRSS or VmHWM of this process (Linux; NaN elsewhere)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return 1024.0 * int(next(line for line in lines if line.startswith(field)).split()[1])


def forget_peak() -> None:
    """Let VmHWM count from here."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


@contextmanager
def peak_per_voxel(rows: list[Row], what: str, n_voxels: int) -> Iterator[None]:
    before = memory_bytes("VmRSS")
    forget_peak()
    yield
    rows.append((f"{what}: peak, bytes a voxel", "", (memory_bytes("VmHWM") - before) / n_voxels))


# ---- the core, and peers ---------------------------------------------------------------
def measure_core(reference: Any, prediction: Any, spacing_mm: Any, rows: list[Row]) -> None:
    for dtype in (np.uint8, np.int32):
        maps = [as_shown(labels, dtype) for labels in (reference, prediction)]
        name = np.dtype(dtype).name
        shadow = Shadow.of(*maps, 15)
        mistakes = Mistakes.of(*maps, spacing_mm, tolerance_mm=1.0)
        works: dict[str, Callable[[], Any]] = {
            "count and code": functools.partial(Shadow.of, *maps, 15),
            "look at everything": functools.partial(shadow.look, *maps),
            "find wrong voxels and kinds": functools.partial(
                Mistakes.of, *maps, spacing_mm, tolerance_mm=1.0
            ),
            "regions of all errors": functools.partial(mistakes.regions, None, None),
            "regions of cancer taken for liver": functools.partial(mistakes.regions, 2, 1),
            "HD95 and NSD of two classes": functools.partial(
                surface_scores, *maps, (1, 2), spacing_mm
            ),
        }
        for what, work in works.items():
            with peak_per_voxel(rows, f"core {name}: {what}", reference.size):
                wall, cpu = best(work)
            rows.insert(-1, (f"core {name}: {what}", "ms", wall))
            rows.insert(-1, (f"core {name}: {what}, processor", "ms", cpu))
        rows.append((f"core {name}: wrong voxels", "", float(mistakes.errors.flat.size)))
        resident = (shadow.codes.nbytes + mistakes.nbytes) / reference.size
        rows.append((f"core {name}: codes and wrong voxels, bytes a voxel", "", resident))


def measure_peers(reference: Any, prediction: Any, spacing_mm: Any, rows: list[Row]) -> None:
    rows.append(("peer: nnU-Net's counting", "ms", best(lambda: nnunet(reference, prediction))[0]))
    for name, module, work in (
        ("surface-distance", "surface_distance", surface_distance),
        ("MONAI", "monai", monai_hausdorff),
    ):
        if importlib.util.find_spec(module) is None:
            rows.append((f"peer: {name} is not installed", "", None))
            continue
        run = functools.partial(work, reference, prediction, spacing_mm)
        rows.append((f"peer: {name}", "ms", best(run, 1)[0]))


def nnunet(reference: np.ndarray, prediction: np.ndarray) -> list[int]:
    """Count TP, FP, FN, TN of two classes as nnunetv2.evaluation.evaluate_predictions does."""
    use = np.ones(reference.shape, bool)
    counts = []
    for value in (1, 2):
        true, predicted = reference == value, prediction == value
        counts += [
            int(np.sum((true & predicted) & use)),
            int(np.sum((~true & predicted) & use)),
            int(np.sum((true & ~predicted) & use)),
            int(np.sum((~true & ~predicted) & use)),
        ]
    return counts


def surface_distance(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Any) -> None:
    peer = importlib.import_module("surface_distance")
    for value in (1, 2):
        found = peer.compute_surface_distances(reference == value, prediction == value, spacing_mm)
        peer.compute_surface_dice_at_tolerance(found, 1.0)
        peer.compute_robust_hausdorff(found, 95)


def monai_hausdorff(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Any) -> None:
    torch = importlib.import_module("torch")
    metrics = importlib.import_module("monai.metrics")
    for value in (1, 2):
        masks = [torch.from_numpy(one == value)[None, None] for one in (prediction, reference)]
        metrics.compute_hausdorff_distance(
            *masks, include_background=True, percentile=95, spacing=list(spacing_mm)
        )


# ---- in napari -------------------------------------------------------------------------
class Handlers:
    """Processor time of the GUI thread in callbacks of this package."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def count(self, owner: Any, *names: str) -> None:
        for name in names:
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*args: Any, **options: Any) -> Any:
            begun = time.thread_time()
            self._depth += 1
            try:
                return function(*args, **options)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.thread_time() - begun

        return counted

    def take_ms(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return 1000 * seconds


def watched_handlers() -> Handlers:
    """Count everything of ours that Qt, napari or a thread's answer can call."""
    from napari_unet_mic.gui import (
        app,
        comparer,
        later_figures,
        layer_choice,
        layer_events,
        mistakes_view,
    )

    handlers = Handlers()
    for owner, names in (
        (app.App, ("_apply",)),
        (app._Relay, ("_on_told",)),
        (comparer.Comparer, ("_on_hint", "_look_here", "_look_everywhere")),
        (later_figures.LaterFigures, ("_begin", "_on_step")),
        (layer_events.ChangeWatch, ("_on_labels_update", "_on_edited", "_on_set_data")),
        (mistakes_view.MistakesView, ("select", "step", "_redraw", "_show_voxels")),
        (layer_choice.LayerChoice, ("_on_layers_changed", "after_layers_changed")),
    ):
        handlers.count(owner, *names)
    return handlers


class Session:
    """A viewer with a pair of layers and the inspector."""

    def __init__(self, maps: list[np.ndarray], spacing_mm: Any, handlers: Handlers) -> None:
        import napari
        from qtpy.QtTest import QTest

        from napari_unet_mic.data.volume import Volume
        from napari_unet_mic.gui import layers
        from napari_unet_mic.gui.app import App

        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(1366, 768)
        self.handlers, self._wait = handlers, QTest.qWait
        volumes = [Volume.from_array(labels, spacing_mm=spacing_mm) for labels in maps]
        for volume, role in zip(volumes, ("reference", "prediction"), strict=True):
            made = layers.labels_tuple(volume, name=role, role=role, classes=LIVER_CLASSES)
            layers.add(self.viewer, [made])
        self.app = App.of(self.viewer)
        self._moved_at = 0.0
        self.viewer.scene.camera.events.center.connect(self._on_moved)
        self._wait(1500)

    def _on_moved(self, event: Any = None) -> None:
        self._moved_at = time.perf_counter()

    def until(self, happened: Callable[[], bool]) -> None:
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + 120
        while not happened():
            QApplication.processEvents()
            time.sleep(0.0002)
            if time.monotonic() > end:
                raise SystemExit("what was waited for did not happen")

    def shown_ms(self, act: Callable[[], Any], happened: Callable[[], bool]) -> tuple[float, float]:
        """Act, wait, and return wall time and our handlers' processor time afterwards, in ms."""
        self.handlers.take_ms()
        act()
        begun = time.perf_counter()
        self.until(happened)
        now = time.perf_counter()  # or when the view got there, though napari went on drawing
        wall = 1000 * ((self._moved_at if self._moved_at > begun else now) - begun)
        self._wait(20)
        return wall, self.handlers.take_ms()

    def open(self) -> dict[str, float]:
        state, begun = self.app.state, time.perf_counter()
        self.panel = self.app.show("inspector")
        self.until(lambda: state.comparison is not None)
        tables = time.perf_counter()
        self.until(lambda: self.panel.figures.mistakes is not None)
        regions = time.perf_counter()
        self.until(lambda: state.surfaces is not None and not state.surfaces.pending)
        done = time.perf_counter()
        return {
            "opening: tables": 1000 * (tables - begun),
            "opening: tables and regions complete": 1000 * (regions - begun),
            "opening: HD95 and NSD complete": 1000 * (done - begun),
        }

    def measure(self) -> dict[str, tuple[float, float]]:
        """Return (shown, our handlers) of everything a person does, in ms, best of several."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        mistakes, state = self.panel.mistakes, self.app.state
        found: dict[str, list[tuple[float, float]]] = {"the first click on a cell": [self._first]}

        def note(what: str, act: Callable[[], Any], happened: Callable[[], bool]) -> None:
            found.setdefault(what, []).append(self.shown_ms(act, happened))
            self._wait(1200)

        canvas.setUpdatesEnabled(False)
        for row, column in ((2, 1), (1, 2), (0, 1), (2, 1), (1, 0)):
            before = self._place()
            note(
                "click on a cell",
                functools.partial(self.panel.confusion_view.cell_clicked.emit, row, column),
                lambda before=before: self._place() != before,
            )
        self.panel._on_all_errors()
        self._wait(1000)
        for _ in range(5):
            self.handlers.take_ms()
            wall = best(lambda: mistakes.step(1), 1)[0]
            found.setdefault("N", []).append((wall, self.handlers.take_ms()))
            self._wait(200)
        prediction = self.viewer.layers["prediction"]
        prediction.brush_size, prediction.selected_label = 20, 2
        for dims in (2, 3):
            prediction.n_edit_dimensions = dims
            for number in range(4):
                before = state.comparison
                changed = lambda before=before: state.comparison is not before  # noqa: E731
                note(f"stroke {dims}-D", lambda n=number: self._stroke(n), changed)
            for _ in range(3):
                before = state.comparison
                changed = lambda before=before: state.comparison is not before  # noqa: E731
                note("undo", prediction.undo, changed)
        canvas.setUpdatesEnabled(True)
        return {what: tuple(map(min, zip(*times, strict=True))) for what, times in found.items()}

    def _click_first(self) -> None:
        """The first click makes the errors layer."""
        before, click = self._place(), self.panel.confusion_view.cell_clicked.emit
        self._first = self.shown_ms(lambda: click(2, 1), lambda: self._place() != before)
        self._wait(500)

    def work_a_while(self) -> None:
        """Click, walk, paint and undo, everything drawn."""
        prediction = self.viewer.layers["prediction"]
        prediction.brush_size, prediction.selected_label = 20, 2
        self._click_first()
        for number in range(4):
            self.panel.mistakes.step(1)
            self._stroke(number)
            self._wait(800)
            prediction.undo()
            self._wait(800)

    def settled_bytes(self) -> float:
        """Return the resident memory once nothing is going on any more."""
        state = self.app.state
        self._wait(1000)
        self.until(lambda: state.surfaces is not None and not state.surfaces.pending)
        self._wait(1000)
        gc.collect()
        return memory_bytes("VmRSS")

    def _place(self) -> tuple[Any, ...]:
        return self.viewer.dims.current_step, tuple(self.viewer.scene.camera.center)

    def _stroke(self, number: int) -> None:
        prediction = self.viewer.layers["prediction"]
        slice_, size = self.viewer.dims.current_step[0], prediction.data.shape
        y, x = size[1] // 4 + 25 * number, size[2] // 3
        with prediction.block_history():
            for move in range(10):
                prediction.paint((slice_, y, x + 5 * move), 2)

    def close(self) -> None:
        self.viewer.close()
        self._wait(200)


def measure_viewer(reference: Any, prediction: Any, spacing_mm: Any, rows: list[Row]) -> None:
    handlers = watched_handlers()
    for dtype in (np.uint8, np.int32):
        name = np.dtype(dtype).name
        maps = [as_shown(labels, dtype) for labels in (reference, prediction)]
        session = Session(maps, spacing_mm, handlers)
        before = memory_bytes("VmRSS")
        forget_peak()
        for what, milliseconds in session.open().items():
            rows.append((f"napari {name}: {what}", "ms", milliseconds))
        after, peak = session.settled_bytes(), memory_bytes("VmHWM")
        per_voxel = 1.0 / maps[0].size
        rows.append((f"napari {name}: resident, bytes a voxel", "", (after - before) * per_voxel))
        rows.append((f"napari {name}: peak, bytes a voxel", "", (peak - before) * per_voxel))
        session.work_a_while()
        what = f"napari {name}: resident after clicks, strokes and undos, bytes a voxel"
        rows.append((what, "", (session.settled_bytes() - before) * per_voxel))
        for what, (shown, ours) in session.measure().items():
            rows.append((f"napari {name}: {what}, shown", "ms", shown))
            rows.append((f"napari {name}: {what}, our handlers", "ms", ours))
        session.close()


def limit_of(name: str) -> float | None:
    """Return the limit in ms that a row is held against."""
    if not name.startswith("napari"):
        return None
    what = name.split(": ", 1)[1].removesuffix(", our handlers").removesuffix(", shown")
    return LIMITS.get(what)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", type=int, nargs=3, default=(200, 512, 512))
    parser.add_argument("--pair", type=Path, help="keep the pair in this .npz, and take it thence")
    parser.add_argument("--core", action="store_true", help="without napari")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--json", type=Path, help="append the numbers to this file, one line a run")
    options = parser.parse_args()
    reference, prediction, spacing_mm = make_pair(tuple(options.shape), options.pair)
    rows: list[Row] = []
    if not options.core:
        measure_viewer(reference, prediction, spacing_mm, rows)
    measure_core(reference, prediction, spacing_mm, rows)
    if not options.no_peers:
        measure_peers(reference, prediction, spacing_mm, rows)
    for name, unit, value in rows:
        limit = limit_of(name)
        against = "" if limit is None else f"   (at most {limit:.0f})"
        print(f"{name:72s} {'' if value is None else f'{value:12.2f}'} {unit}{against}")
    if options.json:
        facts = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "numpy": np.__version__,
            "shape": list(reference.shape),
            "numbers": {name: value for name, _, value in rows},
        }
        with options.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
