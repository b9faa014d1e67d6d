"""Fixtures of the panels' tests: a real viewer, its App, and files of every orientation."""

import gc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.utils.events import EmitterGroup
from pytestqt.qtbot import QtBot

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.history import Snapshot
from napari_unet_mic.gui.run_watch import RunStatus
from napari_unet_mic.gui.state import State
from napari_unet_mic.training.run import RunSettings


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


@pytest.fixture
def app(viewer: Any) -> Iterator[App]:
    app = App.of(viewer)
    yield app
    app.close()
    gc.collect()


@pytest.fixture
def until(qtbot: QtBot) -> Callable[..., None]:
    """Wait until a condition holds, however slow the machine is."""
    return partial(qtbot.waitUntil, timeout=60_000)


@pytest.fixture
def write_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write an (i, j, k) array as NIfTI and return the file."""

    def write(
        name: str,
        array: np.ndarray,
        affine: np.ndarray | None = None,
        *,
        codes: tuple[int, int] = (1, 1),
    ) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        affine = np.diag([-0.8, -0.8, 5.0, 1.0]) if affine is None else affine
        image = nib.Nifti1Image(array, affine)
        image.set_qform(affine, code=codes[0])
        image.set_sform(affine, code=codes[1])
        image.header.set_xyzt_units("mm")
        nib.save(image, file)
        return file

    return write


@pytest.fixture
def pair_of_labels() -> tuple[Volume, Volume]:
    """A reference and a prediction (4, 6, 6), 5 × 1 × 1 mm, three classes, known errors."""
    reference = np.zeros((4, 6, 6), np.uint8)
    reference[1:3, 1:5, 1:5] = 1
    reference[1, 2:4, 2:4] = 2
    prediction = reference.copy()
    prediction[1, 2:4, 2:4] = 1  # the only object of class 2 is missed: 4 voxels
    prediction[3, 5, 5] = 2  # and one voxel of it is made up
    return (
        Volume.from_array(reference, spacing_mm=(5, 1, 1)),
        Volume.from_array(prediction, spacing_mm=(5, 1, 1)),
    )


class FakeApp:
    """An App without a window: works at once, on the calling thread; remembers what was said."""

    def __init__(self) -> None:
        self.state = State()
        self.viewer = SimpleNamespace(
            theme="dark", events=EmitterGroup(source=self, theme=None), layers=[]
        )
        self.on_close: list[Callable[[], None]] = []
        self.closed = False
        self.said: list[str] = []
        self.shown_errors: list[str] = []
        self.panels: dict[str, Any] = {}
        self.suggested_pairs = 0

    def in_thread(
        self,
        function: Callable[..., Any],
        *args: Any,
        on_done: Callable[[Any], None] | None = None,
        on_error: Callable[[BaseException], None] | None = None,
        stoppable: bool = False,
        topic: str = "",
        busy: str = "",
        **options: Any,
    ) -> Any:
        ticket = SimpleNamespace(stale=False)
        if stoppable:
            options["should_stop"] = lambda: ticket.stale
        try:
            answer = function(*args, **options)
        except UNetMicError as error:
            (on_error or self.show_error)(error)
        else:
            if on_done is not None:
                on_done(answer)
        return ticket

    def tell(self, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def show_error(self, error: BaseException) -> None:
        self.shown_errors.append(str(error))

    def show(self, name: str) -> Any:
        return self.panels[name]

    def has_panel(self, name: str) -> bool:
        return name in self.panels

    def panel(self, name: str) -> Any:
        return self.panels[name]

    def suggest_pair(self) -> None:
        self.suggested_pairs += 1

    def close(self) -> None:
        self.closed = True
        for callback in self.on_close:
            callback()


@pytest.fixture
def fake_app() -> Iterator[FakeApp]:
    app = FakeApp()
    yield app
    app.close()


@pytest.fixture
def shot() -> Callable[..., Any]:
    """Make a run's snapshot: three epochs, two classes; what is named differs."""
    x = np.array([1.0, 2.0, 3.0])

    def make(**changes: Any) -> Snapshot:
        values: dict[str, Any] = {
            "train_loss": (x, np.array([1.0, 0.5, -0.2])),
            "validation_loss": (x, np.array([1.2, 0.8, 0.6])),
            "iteration_loss": (x / 10, x),
            "iou": {1: (x, x / 4), 2: (x[:1], x[:1] / 9)},
            "dice": {1: (x, x / 3), 2: (x[:1], x[:1] / 7)},
            "learning_rate": (x, x / 100),
            "seconds_per_iteration": (x, x),
            "memory_gb": (x, x),
            "classes": {1: "liver", 2: "cancer"},
            "best_iou": {1: 0.909},
            "epochs_done": 37,
            "epochs": 1000,
            "fraction": 0.037,
            "progress": "epoch 38/1000 · 2.1 it/s · 3 h 40 min left",
            "seconds_left": 13200.0,
        }
        return Snapshot(**{**values, **changes})

    return make


@pytest.fixture
def status(shot: Callable[..., Any]) -> Callable[..., RunStatus]:
    """Make a run's status: name, state, whether a process is there, its snapshot's changes."""

    def make(
        name: str,
        state: Any = "running",
        *,
        alive: bool | None = None,
        evaluations: tuple[Path, ...] = (),
        settings: RunSettings | None = None,
        **changes: Any,
    ) -> RunStatus:
        alive = state == "running" if alive is None else alive
        if state == "failed":
            changes = {"sentence": f"{name}: the disk is full", **changes}
        settings = settings or RunSettings(dataset="/d", workspace="/w", name=name)
        return RunStatus(
            Path("/w/runs") / name, state, settings, shot(**changes), alive, evaluations
        )

    return make
