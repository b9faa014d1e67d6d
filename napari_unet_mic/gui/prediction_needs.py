"""How much memory a prediction will take at its peak, said before it starts. No Qt.

A wish and the sizes of its images (from their headers) enter; the `MemoryEstimate` of the case
that needs most leaves. The prediction process says it again, exactly, when a case is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.data.volume import read_grid
from napari_unet_mic.gui.predict_panel import PredictWish
from napari_unet_mic.inference.memory import (
    MemoryEstimate,
    estimate,
    images_at_once,
    shape_on_grid,
)
from napari_unet_mic.planning.plan import Plan, read_plan
from napari_unet_mic.planning.topology import describe
from napari_unet_mic.training.run import Run

STORED_BYTES = 4  # of a voxel on disk, at most


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


def needs_of(wish: PredictWish, sizes: Sequence[ImageSize]) -> MemoryEstimate | None:
    """Estimate the peak of the case that needs most; None without a case.

    Raises
    ------
    UnreadableFile, BadPlan
        The model's plans cannot be used.
    """
    model = wish.model
    plan = read_plan(model.folder / "plans.json")
    configuration = plan.configuration(configuration_name(model.folder, plan))
    n_channels, n_classes = max(1, len(model.channel_names)), max(2, len(model.classes))
    folds = wish.folds or model.folds.get(wish.checkpoint, (0,))
    parameters = describe(configuration, n_channels, n_classes).parameters * len(folds)
    found = [
        estimate(
            configuration,
            source_shape=size.shape,
            source_bytes_per_voxel=STORED_BYTES,
            shape=shape_on_grid(size.shape, size.spacing_mm, plan, configuration),
            n_channels=n_channels,
            n_classes=n_classes,
            n_parameters=parameters,
            probabilities=wish.probabilities,
            at_once=images_at_once(wish.device.partition(":")[0], configuration.patch_size),
        )
        for size in sizes
    ]
    return max(found, key=lambda one: one.peak, default=None)


def configuration_name(folder: Path, plan: Plan) -> str:
    """Return which configuration a model folder was trained with: its name, or its run, says it."""
    name = folder.name.rpartition("__")[2]
    if "__" in folder.name and name in plan.configurations:
        return name
    if (folder / "run.json").is_file():
        return Run.open(folder).settings.configuration
    return "3d_fullres" if "3d_fullres" in plan.configurations else next(iter(plan.configurations))
