"""Logits on the network's grid in, labels (and probabilities) on the source's grid out.

Logits are resampled to the shape after cropping, a few planes at a time; the class with
the largest wins; the box goes back into the uncropped volume (background outside), and
the axes into the source's order.
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
from napari_unet_mic.preprocessing.pipeline import Properties, resampling_options
from napari_unet_mic.preprocessing.resample import resample_logits

Logits = NDArray[np.float32] | torch.Tensor

_SLAB_BYTES = 64 * 2**20


@dataclass(frozen=True)
class SourceResult:
    """Labels (Z, Y, X) uint8 or uint16; probabilities float32 (K, Z, Y, X) where asked for."""

    labels: NDArray[Any]
    probabilities: NDArray[np.float32] | None


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
    """Bring logits back onto the source's grid.

    Parameters
    ----------
    logits
        float32 (K, z, y, x) on the network's grid.
    properties
        How the case came onto that grid.
    probabilities
        Also give the softmax of the resampled logits, 1 for the background outside the box.

    Notes
    -----
    nnU-Net's `convert_predicted_logits_to_segmentation_with_correct_shape`; the labels
    are the same whether or not probabilities are asked for.
    """
    if isinstance(logits, torch.Tensor):
        logits = logits.numpy()
    n_classes = len(logits)
    labels = np.zeros(properties.shape_before, dtype=np.uint8 if n_classes <= 256 else np.uint16)
    inside = labels[properties.box.slices]
    shares = None
    if probabilities:
        shares = np.zeros((n_classes, *properties.shape_before), dtype=np.float32)
        shares[0] = 1
    for rows, slab in _slabs(logits, properties, configuration):
        inside[rows] = winning_class(slab)
        if shares is not None:
            box = shares[(slice(None), *properties.box.slices)]
            box[:, rows] = torch.softmax(torch.from_numpy(slab), dim=0).numpy()
    backward = plan.transpose_backward
    return SourceResult(
        np.ascontiguousarray(labels.transpose(backward)),
        None if shares is None else shares.transpose(0, *(axis + 1 for axis in backward)),
    )


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


def _slabs(
    logits: NDArray[np.float32], properties: Properties, configuration: Configuration
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Planes of the resampled logits (K, rows, y, x), a bounded number of bytes at a time."""
    shape = properties.shape_after_crop
    options = resampling_options(configuration, "probabilities")
    plane_bytes = 4 * len(logits) * math.prod(shape[1:])
    at_once = max(1, _SLAB_BYTES // plane_bytes)
    for start in range(0, shape[0], at_once):
        rows = slice(start, min(start + at_once, shape[0]))
        if tuple(logits.shape[1:]) == shape:
            yield rows, logits[:, rows]
            continue
        yield (
            rows,
            resample_logits(
                logits,
                shape,
                properties.target_spacing_mm,
                properties.spacing_mm,
                rows=rows,
                **options,
            ),
        )
