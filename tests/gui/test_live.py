"""After any sequence of strokes, fills, undos and replacements the live table is a full recount."""

import time
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtWidgets import QApplication

from napari_unet_mic.evaluation.confusion import confusion_table
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.comparer import Comparer

SHAPES = ((7, 18, 16), (20, 24), (3, 5, 12, 10))
LAYOUTS = {
    "as is": lambda a: a.copy(),
    "as napari shows files": lambda a: np.ascontiguousarray(a.T).T,
    "flipped": lambda a: np.ascontiguousarray(a[..., ::-1, :])[..., ::-1, :],
}
DTYPES = (np.uint8, np.int32, np.uint16, np.int64)


def recount(reference: Any, prediction: Any) -> tuple[tuple[int, ...], np.ndarray]:
    maps = np.asarray(reference), np.asarray(prediction)
    n = 1 + max(1, *(int(one.max()) for one in maps))
    table = confusion_table(*maps, n)
    values = np.flatnonzero(table.sum(axis=0) + table.sum(axis=1))
    return tuple(values.tolist()), table


class Painter:
    """Does to two labels layers whatever a person, a script or another plugin may do."""

    def __init__(self, viewer: Any, pair: tuple[Labels, Labels], rng: Any) -> None:
        self.viewer, self.pair, self.rng = viewer, pair, rng
        self.most = 4
        self.done: list[str] = []

    def act(self) -> None:
        acts = {
            self.stroke: 8,
            self.fill: 3,
            self.polygon: 2,
            self.set_items: 3,
            self.undo: 5,
            self.redo: 3,
            self.write_in_place: 2,
            self.replace: 1,
            self.move_slider: 3,
            self.turn_the_view: 1,
            self.new_class: 1,
        }
        weights = np.array(list(acts.values())) / sum(acts.values())
        act = list(acts)[self.rng.choice(len(acts), p=weights)]
        self.layer = self.pair[self.rng.integers(2)]
        self.layer.n_edit_dimensions = int(self.rng.integers(2, self.layer.ndim + 1))
        self.layer.brush_size = float(self.rng.integers(1, 9))
        self.layer.preserve_labels = bool(self.rng.random() < 0.2)
        self.layer.contiguous = bool(self.rng.random() < 0.7)
        self.layer.contour = int(self.rng.random() < 0.2)
        self.done.append(f"{act.__name__} {self.layer.name}")
        act()

    def place(self) -> list[int]:
        """A voxel of the slice in sight."""
        point = np.round(self.layer.world_to_data(self.viewer.dims.point)).astype(int).tolist()
        for axis in self.viewer.dims.displayed:
            point[axis] = int(self.rng.integers(self.layer.data.shape[axis]))
        return point

    def value(self) -> int:
        return int(self.rng.integers(self.most))

    def stroke(self) -> None:
        value, place = self.value(), self.place()
        with self.layer.block_history():
            for _ in range(int(self.rng.integers(1, 6))):
                self.layer.paint(place, value, refresh=bool(self.rng.random() < 0.8))
                axis = self.viewer.dims.displayed[self.rng.integers(2)]
                last = self.layer.data.shape[axis] - 1
                place[axis] = int(np.clip(place[axis] + self.rng.integers(-3, 4), 0, last))
        if self.rng.random() < 0.5:
            self.layer.refresh()

    def fill(self) -> None:
        self.layer.fill(self.place(), self.value())

    def polygon(self) -> None:
        self.layer.n_edit_dimensions = 2
        self.layer.paint_polygon([self.place() for _ in range(4)], self.value())

    def set_items(self) -> None:
        n = int(self.rng.integers(1, 30))
        where = tuple(self.rng.integers(0, size, n) for size in self.layer.data.shape)
        self.layer.data_setitem(where, self.value())

    def undo(self) -> None:
        self.layer.undo()

    def redo(self) -> None:
        self.layer.redo()

    def write_in_place(self) -> None:
        box = tuple(slice(*np.sort(self.rng.integers(0, n + 1, 2))) for n in self.layer.data.shape)
        self.layer.data[box] = self.value()
        self.layer.refresh()

    def replace(self) -> None:
        layout = list(LAYOUTS.values())[self.rng.integers(len(LAYOUTS))]
        dtype = DTYPES[self.rng.integers(len(DTYPES))]
        kept = self.rng.random(self.layer.data.shape) < 0.9
        other = self.rng.integers(0, self.most, self.layer.data.shape)
        self.layer.data = layout(np.where(kept, self.layer.data, other).astype(dtype))

    def move_slider(self) -> None:
        for axis in self.viewer.dims.not_displayed:
            self.viewer.dims.set_current_step(axis, int(self.rng.integers(0, 12)))

    def turn_the_view(self) -> None:
        self.viewer.dims.order = tuple(self.rng.permutation(self.viewer.dims.ndim).tolist())

    def new_class(self) -> None:
        """Also ones the code array has no room for."""
        self.most = int(self.rng.choice([3, 5, 16, 30])) if self.rng.random() < 0.7 else 4
        self.set_items()


class Bench:
    """Two layers under comparison, and the look at whether the table is true."""

    def __init__(self, app: App, comparer: Comparer) -> None:
        self.app, self.comparer = app, comparer

    def begin(self, seed: int) -> Painter:
        rng = np.random.default_rng(seed)
        self.comparer.choose(None, None)
        self.app.viewer.layers.clear()
        shape = SHAPES[seed % len(SHAPES)]
        layouts = rng.choice(list(LAYOUTS), 2)
        dtype = DTYPES[rng.integers(len(DTYPES))]
        pair = tuple(
            self.app.viewer.add_labels(
                LAYOUTS[layout](rng.integers(0, 4, shape).astype(dtype)), name=name
            )
            for layout, name in zip(layouts, ("reference", "prediction"), strict=True)
        )
        self.app.viewer.dims.order = tuple(range(len(shape)))
        self.pair = pair
        self.comparer.choose(*pair)
        self.settle()
        return Painter(self.app.viewer, pair, rng)

    def settle(self) -> None:
        """Let the event loop run until nobody has anything left to do."""
        end = time.monotonic() + 30
        while not self.comparer.quiet:
            QApplication.processEvents()
            time.sleep(0.0005)
            assert time.monotonic() < end, "the comparison did not come to rest"

    def check(self, done: list[str]) -> None:
        comparison = self.app.state.comparison
        assert comparison is not None, done[-10:]
        values, table = recount(*(layer.data for layer in self.pair))
        assert set(values) <= set(comparison.class_values), done[-10:]
        n = len(table)
        live = np.zeros((max(n, comparison.n_codes),) * 2, np.int64)
        live[np.ix_(comparison.class_values, comparison.class_values)] = comparison.table
        assert np.array_equal(live[:n, :n], table), done[-10:]
        assert live.sum() == table.sum(), done[-10:]


@pytest.fixture
def bench(app: App) -> Bench:
    return Bench(app, Comparer(app))


def walk(bench: Bench, seeds: range, steps: int) -> None:
    for seed in seeds:
        painter = bench.begin(seed)
        for step in range(steps):
            painter.act()
            if painter.rng.random() < 0.5:
                QApplication.processEvents()
            if painter.rng.random() < 0.1 or step == steps - 1:
                bench.settle()
                bench.check(painter.done)


def test_after_any_sequence_of_edits_the_live_table_is_a_full_recount(bench: Bench) -> None:
    walk(bench, range(6), 60)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_after_thousands_of_edits_the_live_table_is_a_full_recount(bench: Bench) -> None:
    walk(bench, range(100, 160), 200)
