"""Logits on the network's grid in, labels (and probabilities) on the source's grid out.

Logits come a few planes at a time, are resampled to the shape after cropping, and the class
with the largest wins; the box goes back into the uncropped volume (background outside), and the
axes into the source's order. Logits of the whole volume never exist on the source's grid, nor
need they exist on the network's. What comes on a device is resampled and decided there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.planning.plan import Configuration, Plan
from napari_unet_mic.preprocessing.pipeline import Properties, interpolation_of
from napari_unet_mic.preprocessing.resample import LogitGrid
from napari_unet_mic.preprocessing.spline import AxisOperator

Logits = NDArray[np.float32] | torch.Tensor

_SLAB_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}


@dataclass(frozen=True)
class SourceResult:
    """Labels (Z, Y, X) uint8 or uint16; probabilities float32 (K, Z, Y, X) where asked for."""

    labels: NDArray[Any]
    probabilities: NDArray[np.float32] | None


class LabelExport:
    """Takes logits plane by plane and makes labels of them on the source's grid.

    Parameters
    ----------
    properties
        How the case came onto the network's grid.
    n_classes
        Channels of the logits, K.
    probabilities
        Also keep the softmax of the resampled logits, 1 for the background outside the box
        (K float32 numbers a voxel).

    Notes
    -----
    nnU-Net's `convert_predicted_logits_to_segmentation_with_correct_shape`; the labels are the
    same whether or not probabilities are asked for.
    """

    def __init__(
        self,
        properties: Properties,
        plan: Plan,
        configuration: Configuration,
        n_classes: int,
        *,
        probabilities: bool = False,
    ) -> None:
        self._backward = plan.transpose_backward
        self._grid = LogitGrid.between(
            properties.shape,
            properties.shape_after_crop,
            properties.target_spacing_mm,
            properties.spacing_mm,
            how=interpolation_of(configuration, "probabilities"),
        )
        dtype = np.uint8 if n_classes <= 256 else np.uint16
        self._labels = np.zeros(properties.shape_before, dtype=dtype)
        self._inside = self._labels[properties.box.slices]
        self._shares: NDArray[np.float32] | None = None
        if probabilities:
            self._shares = np.zeros((n_classes, *properties.shape_before), dtype=np.float32)
            self._shares[0] = 1
            self._shares_inside = self._shares[(slice(None), *properties.box.slices)]
        self._seen = self._made = 0
        self._held: torch.Tensor | None = None  # the last planes seen, for output still to come

    def add(self, planes: Logits) -> None:
        """Take the next planes (K, n, y, x), of any float type and on any device."""
        if not isinstance(planes, torch.Tensor):
            planes = torch.from_numpy(planes)
        before = self._seen
        self._seen += planes.shape[1]
        for start, stop in self._slabs(self._grid.ready(self._seen), planes):
            lower, upper = self._grid.needs(start, stop)
            slab = self._between(lower, upper, planes, before)
            self._write(start, stop, self._resampled(slab, start, stop))
        self._made = self._grid.ready(self._seen)
        self._hold(planes, before)

    def result(self) -> SourceResult:
        """Return the labels, and the probabilities that were asked for, when all planes are in."""
        assert self._made == self._grid.new_shape[0], "planes are missing"
        backward = self._backward
        labels = np.ascontiguousarray(self._labels.transpose(backward))
        if self._shares is None:
            return SourceResult(labels, None)
        return SourceResult(labels, self._shares.transpose(0, *(axis + 1 for axis in backward)))

    def _slabs(self, ready: int, planes: torch.Tensor) -> Iterator[tuple[int, int]]:
        """Output planes that can be made now, a bounded number of bytes at a time."""
        plane_bytes = 4 * len(planes) * math.prod(self._grid.new_shape[1:])
        most = _SLAB_BYTES.get(planes.device.type, _SLAB_BYTES["cpu"])
        at_once = max(1, most // plane_bytes)
        for start in range(self._made, ready, at_once):
            yield start, min(start + at_once, ready)

    def _between(self, lower: int, upper: int, planes: torch.Tensor, before: int) -> torch.Tensor:
        """Planes ``lower:upper`` of those held and those that just came."""
        if lower >= before:
            return planes[:, lower - before : upper - before]
        assert self._held is not None
        held = self._held[:, self._held.shape[1] - (before - lower) :]
        return torch.cat([held, planes[:, : upper - before]], dim=1)

    def _hold(self, planes: torch.Tensor, before: int) -> None:
        """Keep the planes that output planes still to come are made of."""
        if self._made == self._grid.new_shape[0]:
            self._held = None
            return
        lower, _ = self._grid.needs(self._made, self._made + 1)
        if lower >= self._seen:
            self._held = None
        else:
            self._held = self._between(lower, self._seen, planes, before).clone()

    def _resampled(self, slab: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        slab = slab.float()
        if self._grid.changes_nothing:
            return slab
        if slab.device.type == "cpu":
            return torch.from_numpy(self._grid.resample(slab.numpy(), start, stop))
        return resample_on_device(slab, self._grid, start, stop)

    def _write(self, start: int, stop: int, slab: torch.Tensor) -> None:
        """Decide the classes of output planes (K, n, y, x)."""
        if slab.device.type == "cpu":
            self._inside[start:stop] = winning_class(slab.numpy())
        else:
            self._inside[start:stop] = winning_class_on_device(slab).cpu().numpy()
        if self._shares is not None:
            self._shares_inside[:, start:stop] = torch.softmax(slab, dim=0).cpu().numpy()


def labels_on_source_grid(
    logits: Logits,
    properties: Properties,
    plan: Plan,
    configuration: Configuration,
    source: Volume,
) -> NDArray[Any]:
    """Bring logits (K, z, y, x) back as labels (Z, Y, X) of the source volume.

    Raises
    ------
    GridMismatch
        The properties are another volume's.
    """
    if source.shape != properties.source_shape:
        raise GridMismatch(
            source.file or "source",
            expected=f"the shape {properties.source_shape} that was prepared",
            got=str(source.shape),
            advice="export onto the volume the logits were made from",
        )
    return to_source_grid(logits, properties, plan, configuration).labels


def to_source_grid(
    logits: Logits,
    properties: Properties,
    plan: Plan,
    configuration: Configuration,
    *,
    probabilities: bool = False,
) -> SourceResult:
    """Bring the logits (K, z, y, x) of a whole image back; parameters as `LabelExport`'s."""
    export = LabelExport(properties, plan, configuration, len(logits), probabilities=probabilities)
    export.add(logits)
    return export.result()


def winning_class(logits: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Index of the largest of (K, …) logits; the smallest index where several are.

    One pass over each class: numpy's argmax over the first axis is several times slower.
    """
    winner = np.zeros(logits.shape[1:], dtype=np.uint16)
    best = logits[0].copy()
    for value in range(1, len(logits)):
        larger = np.greater(logits[value], best)
        np.putmask(winner, larger, np.uint16(value))
        np.maximum(best, logits[value], out=best)
    return winner


def winning_class_on_device(logits: torch.Tensor) -> torch.Tensor:
    """`winning_class` in torch: int16 on the logits' device."""
    winner = torch.zeros(logits.shape[1:], dtype=torch.int16, device=logits.device)
    best = logits[0].clone()
    for value in range(1, len(logits)):
        winner.masked_fill_(logits[value] > best, value)
        torch.maximum(best, logits[value], out=best)
    return winner


def resample_on_device(
    planes: torch.Tensor, grid: LogitGrid, start: int, stop: int
) -> torch.Tensor:
    """`LogitGrid.resample` where the planes (K, n, y, x) are: one matrix product an axis."""
    along, rows, columns = grid.operators
    along = along.rows(start, stop)
    planes = _along(planes, 3, columns)
    planes = _along(planes, 2, rows)
    return _along(planes, 1, along.shifted(*along.needs))


def _along(planes: torch.Tensor, axis: int, operator: AxisOperator) -> torch.Tensor:
    if operator.is_identity:
        return planes
    if operator.is_selection:
        index = torch.from_numpy(operator.lower).to(planes.device)
        return planes.index_select(axis, index)
    matrix = torch.from_numpy(operator.dense()).to(planes.device)
    product: torch.Tensor = torch.tensordot(planes, matrix, dims=([axis], [1]))
    return product.movedim(-1, axis)
