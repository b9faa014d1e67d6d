"""Grids of labels layers: whether two share a place, and how one is brought onto the other's.

Two labels layers enter. A displacement leaves, or a sentence that refuses them and says what
can be done; `Resampling.run` does it in any thread. Two layers that were read from files are
placed by their files' own affines (oblique ones too), all others by napari's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_unet_mic.data.grid import COMPARABLE_GRID_VOXELS
from napari_unet_mic.data.regrid import index_matrix, nearest_onto
from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.gui.layers import (
    KEY,
    LayerTuple,
    Source,
    array_of,
    class_colormap,
    classes_of,
    labels_tuple,
    source_of,
)

Matrix = npt.NDArray[np.float64]
ADVICE = "resample the prediction onto the reference's grid"


def check_comparable(reference: Labels, prediction: Labels) -> float:
    """Return the displacement of two layers in voxels, or refuse them with a sentence.

    Raises
    ------
    GridMismatch
        Other shapes, or a displacement above half a voxel.
    """
    shape, other = shape_of(reference), shape_of(prediction)
    if shape != other:
        raise GridMismatch(
            prediction.name,
            expected=f"the shape {shape} of {reference.name}",
            got=f"{other}",
            advice=ADVICE if can_resample(reference, prediction) else "compare maps of one kind",
        )
    displacement = displacement_voxels(reference, prediction)
    if not displacement <= COMPARABLE_GRID_VOXELS:
        raise GridMismatch(
            prediction.name,
            expected=f"the grid of {reference.name}",
            got=f"one whose corner lies {displacement:.3g} voxels away",
            advice=ADVICE,
            displacement_voxels=displacement,
        )
    return displacement


def displacement_voxels(reference: Labels, prediction: Labels) -> float:
    """Return how far the corners of two layers of one shape lie apart, in voxels."""
    first, second = _worlds(reference, prediction)
    ends = [(-0.5, size - 0.5) for size in shape_of(reference)]
    corners = np.stack(np.meshgrid(*ends, [1.0], indexing="ij"), axis=-1).reshape(-1, len(ends) + 1)
    moved = corners @ (first - second).T[:, :-1]
    sizes = np.linalg.norm(np.hstack([first[:-1, :-1], second[:-1, :-1]]), axis=0)
    return float(np.linalg.norm(moved, axis=1).max() / sizes.min())


def shape_of(layer: Labels) -> tuple[int, ...]:
    """Return a layer's shape at full resolution."""
    return tuple(int(size) for size in array_of(layer).shape)


def can_resample(reference: Labels, prediction: Labels) -> bool:
    """Return whether both have as many axes."""
    return bool(reference.ndim == prediction.ndim)


def can_adopt(reference: Labels, prediction: Labels) -> bool:
    """Return whether the prediction has the reference's shape and no place of its own."""
    return (
        can_resample(reference, prediction)
        and shape_of(reference) == shape_of(prediction)
        and source_of(prediction) is None
        and np.allclose(_napari_world(prediction), np.eye(prediction.ndim + 1))
    )


def adopt(reference: Labels, prediction: Labels) -> None:
    """Put a layer without a place of its own onto the reference's grid, voxel on voxel."""
    for name, value in _place_of(reference).items():
        setattr(prediction, name, value)


@dataclass(frozen=True, eq=False)
class Resampling:
    """One layer onto the grid of another; made on the GUI thread, run in any."""

    labels: Any  # an array, or what gives one
    matrix: Matrix
    shape: tuple[int, ...]
    name: str
    classes: Mapping[int, str]
    place: Mapping[str, Any]
    like: Source | None

    @classmethod
    def of(cls, reference: Labels, prediction: Labels) -> Resampling:
        """Prepare to bring a prediction onto the reference's grid."""
        to, of = _worlds(reference, prediction)
        return cls(
            labels=array_of(prediction),
            matrix=index_matrix(to, of),
            shape=shape_of(reference),
            name=f"{prediction.name} on the grid of {reference.name}",
            classes=classes_of(prediction) or classes_of(reference),
            place=_place_of(reference),
            like=source_of(reference),
        )

    def run(self, should_stop: Callable[[], bool] | None = None) -> LayerTuple:
        """Return the labels layer on the reference's grid."""
        like, source = self.like, np.asarray(self.labels)
        if like is not None and like.volume is not None and like.display is not None:
            array = np.zeros(like.volume.array.shape, source.dtype)
            out = like.display.view(array)
            nearest_onto(source, self.matrix, self.shape, out=out, should_stop=should_stop)
            volume = Volume(array, like.volume.affine, like.volume.header)
            return labels_tuple(
                volume, name=self.name, role="prediction", case=like.case, classes=self.classes
            )
        labels = nearest_onto(source, self.matrix, self.shape, should_stop=should_stop)
        options = dict(self.place)
        options["name"] = self.name
        options["colormap"] = class_colormap(self.classes or range(256))
        options["metadata"] = {KEY: Source("prediction", classes=self.classes)}
        return labels, options, "labels"


def _place_of(layer: Labels) -> dict[str, Any]:
    names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {name: getattr(layer, name) for name in names}


def _worlds(reference: Labels, prediction: Labels) -> tuple[Matrix, Matrix]:
    """Return both matrices from indices to one world: the files' RAS mm, else napari's."""
    both = [_file_world(layer) for layer in (reference, prediction)]
    if both[0] is not None and both[1] is not None:
        return both[0], both[1]
    return _napari_world(reference), _napari_world(prediction)


def _file_world(layer: Labels) -> Matrix | None:
    source = source_of(layer)
    if source is None or source.volume is None or source.display is None:
        return None
    return _matrix(3, source.display.to_world)


def _napari_world(layer: Labels) -> Matrix:
    return _matrix(layer.ndim, lambda points: np.array([layer.data_to_world(p) for p in points]))


def _matrix(ndim: int, to_world: Callable[[Any], npt.NDArray[np.float64]]) -> Matrix:
    """Return the (n+1, n+1) matrix of an affine map from what it does to n+1 points."""
    points = np.vstack([np.zeros(ndim), np.eye(ndim)])
    world = np.asarray(to_world(points), np.float64)
    matrix = np.eye(ndim + 1)
    matrix[:-1, -1] = world[0]
    matrix[:-1, :-1] = (world[1:] - world[0]).T
    return matrix
