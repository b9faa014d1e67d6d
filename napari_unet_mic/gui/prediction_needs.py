"""How much memory and time a prediction will take, said before it starts. No Qt.

A wish and the sizes of its images (from their headers) enter; the `MemoryEstimate` of the case
that needs most leaves, and how often a patch goes through a network. The prediction process says
the memory again, exactly, when a case is read. The time follows from how fast the same model went
before on the device: in this session, or else in its training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.data.volume import read_grid
from napari_unet_mic.gui.predict_panel import PredictWish
from napari_unet_mic.gui.run_words import duration
from napari_unet_mic.inference.memory import (
    MemoryEstimate,
    estimate,
    images_at_once,
    shape_on_grid,
)
from napari_unet_mic.inference.windows import number_of_windows
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan
from napari_unet_mic.planning.topology import describe
from napari_unet_mic.training.events import EpochFinished, IterationsFinished, read_events
from napari_unet_mic.training.run import Run

STORED_BYTES = 4  # of a voxel on disk, at most
LAST_BYTES = 1 << 16  # of a run's events; a week of them would take half a minute to read
FORWARD_SHARE = 1 / 3  # of a training iteration: two thirds are the way back


@dataclass(frozen=True)
class ImageSize:
    """An image (Z, Y, X) and its spacing, as its header says."""

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]


def sizes_of_cases(dataset: Dataset, names: Sequence[str]) -> list[ImageSize]:
    """Read the headers of these cases.

    Raises
    ------
    UnreadableFile
        One has none that can be used.
    """
    grids = [read_grid(dataset.case(name).images[0]) for name in names]
    return [ImageSize(grid.shape, grid.spacing_mm) for grid in grids]


@dataclass(frozen=True)
class Pace:
    """Seconds of one patch's pass through one network, and of all else for a voxel of an image."""

    passing: float
    voxel: float = 0.0


@dataclass(frozen=True)
class Needs:
    """What a prediction takes.

    Parameters
    ----------
    memory
        Of the case that needs most.
    passes
        How often a patch goes through a network: tiles, folds and mirror images of all cases.
    voxels
        Of all images.
    trained
        How fast the model went in training, where it was trained here on that device.
    """

    memory: MemoryEstimate
    passes: int
    voxels: int
    trained: Pace | None = None

    def pace(self, seconds: Mapping[str, float]) -> Pace:
        """Return the pace of the prediction that took these seconds, by stage."""
        network = seconds.get("network", 0.0)
        rest = sum(seconds.values()) - network
        return Pace(network / self.passes, rest / self.voxels)

    def words(self, pace: Pace | None) -> str:
        """Say it, by the pace of an earlier prediction or that of the training."""
        pace, words = pace or self.trained, f"Needs {self.memory}"
        if pace is None:
            return words
        seconds = self.passes * pace.passing + self.voxels * pace.voxel
        return f"{words} and about {duration(max(1.0, seconds))}"


def needs_of(wish: PredictWish, sizes: Sequence[ImageSize]) -> Needs | None:
    """Estimate what a prediction takes; None without a case.

    Raises
    ------
    UnreadableFile, BadPlan
        The model's plans cannot be used.
    """
    if not sizes:
        return None
    model = wish.model
    plan = read_plan(model.folder / "plans.json")
    configuration = plan.configuration(configuration_name(model.folder, plan))
    shapes = [shape_on_grid(one.shape, one.spacing_mm, plan, configuration) for one in sizes]
    folds = wish.folds or model.folds.get(wish.checkpoint, (0,))
    copies = len(folds) * (2**configuration.ndim if wish.mirroring else 1)
    return Needs(
        _memory(wish, configuration, sizes, shapes, len(folds)),
        copies * sum(number_of_windows(shape, configuration.patch_size) for shape in shapes),
        sum(math.prod(one.shape) for one in sizes),
        _training_pace(model.folder, configuration, wish.device),
    )


def _memory(
    wish: PredictWish,
    configuration: Configuration,
    sizes: Sequence[ImageSize],
    shapes: Sequence[tuple[int, ...]],
    n_folds: int,
) -> MemoryEstimate:
    """Estimate the peak of the case that needs most."""
    model = wish.model
    n_channels, n_classes = max(1, len(model.channel_names)), max(2, len(model.classes))
    parameters = describe(configuration, n_channels, n_classes).parameters * n_folds
    found = [
        estimate(
            configuration,
            source_shape=size.shape,
            source_bytes_per_voxel=STORED_BYTES,
            shape=shape,
            n_channels=n_channels,
            n_classes=n_classes,
            n_parameters=parameters,
            probabilities=wish.probabilities,
            at_once=images_at_once(wish.device.partition(":")[0], configuration.patch_size),
        )
        for size, shape in zip(sizes, shapes, strict=True)
    ]
    return max(found, key=lambda one: one.peak)


def _training_pace(folder: Path, configuration: Configuration, device: str) -> Pace | None:
    """Return how fast a run's network passes a patch on; None where it was not trained there."""
    if not (folder / "run.json").is_file():
        return None
    run = Run.open(folder)
    if run.settings.device != device or not run.events_file.is_file():
        return None
    events, _ = read_events(run.events_file, max(0, run.events_file.stat().st_size - LAST_BYTES))
    timed = [one for one in events if isinstance(one, EpochFinished | IterationsFinished)]
    if not timed or not timed[-1].seconds_per_iteration:
        return None
    batch = timed[-1].seconds_per_iteration * FORWARD_SHARE
    return Pace(batch / (run.settings.batch_size or configuration.batch_size))


def configuration_name(folder: Path, plan: Plan) -> str:
    """Return which configuration a model folder was trained with: its name, or its run, says it."""
    name = folder.name.rpartition("__")[2]
    if "__" in folder.name and name in plan.configurations:
        return name
    if (folder / "run.json").is_file():
        return Run.open(folder).settings.configuration
    return "3d_fullres" if "3d_fullres" in plan.configurations else next(iter(plan.configurations))
