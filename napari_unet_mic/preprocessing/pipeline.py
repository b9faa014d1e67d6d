"""From a case to the network's grid: transpose, crop, normalise, resample.

In: an image `Volume`, perhaps its labels, a plan and one of its configurations. Out:
`Prepared`, whose arrays are in the plan's axis order, and whose `Properties` say how to
bring a result back onto the source's grid (`inference.export` does that).

*Source* axes are (Z, Y, X) as in the volume; everything else is in the plan's order,
``transpose_forward`` applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.crop import OUTSIDE, Box, box_of, nonzero_mask
from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import BadInput, BadPlan, ChannelMismatch, GridMismatch
from napari_unet_mic.planning.plan import Configuration, Plan
from napari_unet_mic.preprocessing.normalise import normalise
from napari_unet_mic.preprocessing.resample import (
    SPLINE_ORDERS,
    Interpolation,
    resample_image,
    resample_labels,
    resampled_shape,
)

FORMAT_VERSION = 1
Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Properties:
    """How a case came onto the network's grid.

    Attributes
    ----------
    source_shape, source_spacing_mm
        Of the volume, (Z, Y, X).
    shape_before
        In the plan's order, before cropping.
    box
        The non-zero box in that order.
    shape_after_crop
        The box's own shape.
    spacing_mm
        The source spacing in the plan's order.
    target_spacing_mm
        What it was resampled to; three numbers also for a 2-D configuration, which keeps the
        first axis' own spacing.
    shape
        On the network's grid.
    """

    source_shape: Triple
    source_spacing_mm: Spacing
    shape_before: Triple
    box: Box
    shape_after_crop: Triple
    spacing_mm: Spacing
    target_spacing_mm: Spacing
    shape: Triple

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold; `from_json` reads it back."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Properties:
        """Read what `to_json` wrote.

        Raises
        ------
        BadInput
            When a field is missing or of another version.
        """
        try:
            if content["format_version"] != FORMAT_VERSION:
                raise KeyError("format_version")
            box = Box(_triple(content["box"]["lower"]), _triple(content["box"]["upper"]))
            return cls(
                source_shape=_triple(content["source_shape"]),
                source_spacing_mm=_spacing(content["source_spacing_mm"]),
                shape_before=_triple(content["shape_before"]),
                box=box,
                shape_after_crop=_triple(content["shape_after_crop"]),
                spacing_mm=_spacing(content["spacing_mm"]),
                target_spacing_mm=_spacing(content["target_spacing_mm"]),
                shape=_triple(content["shape"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(
                "properties of a prepared case",
                expected=f"the fields of format version {FORMAT_VERSION}",
                got=f"trouble with {error}",
                advice="prepare the case again",
            ) from error


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case on the network's grid.

    Attributes
    ----------
    data
        float32 (C, z, y, x), normalised.
    labels
        int16 (z, y, x), -1 in background outside the non-zero region; None without labels.
    """

    data: NDArray[np.float32]
    labels: NDArray[np.int16] | None
    properties: Properties


def prepare(
    image: Volume,
    labels: Volume | None,
    plan: Plan,
    configuration: Configuration,
    *,
    properties: Properties | None = None,
) -> Prepared:
    """Bring one case onto the network's grid.

    Parameters
    ----------
    image
        (C, Z, Y, X) with as many channels as the plan has.
    labels
        (Z, Y, X) on the same grid, or None.
    properties
        What `properties_of` found, where that is known already.

    Raises
    ------
    ChannelMismatch
        When the image has another number of channels than the plan.
    GridMismatch
        When the labels have another shape than the image.
    BadInput
        When a channel is not finite, or the case vanishes on the new grid.
    BadPlan
        When the plan asks for a spline order other than 0, 1, 3, or comes from another reader
        or from nnU-Net v1.

    Notes
    -----
    nnU-Net's ``DefaultPreprocessor.run_case_npy``. The box of the non-zero voxels is that of
    the hole-filled mask too, so holes are filled only where labels or a mask ask for it.
    """
    plan.check_preparable()
    _check(image, labels, configuration)
    forward = plan.transpose_forward
    channels = image.array.transpose(0, *(axis + 1 for axis in forward))  # (C, z, y, x), a view
    properties = properties or properties_of(image, plan, configuration)
    cropped = channels[(slice(None), *properties.box.slices)]
    inside = None
    if labels is not None or any(configuration.use_mask_for_norm):
        inside = nonzero_mask(cropped)
    made_labels = None
    if labels is not None and inside is not None:
        own = labels.array.transpose(forward)[properties.box.slices].astype(np.int16)
        own[(own == 0) & ~inside] = OUTSIDE
        inside = own != OUTSIDE
        made_labels = _resampled_labels(own, properties, configuration)
    data = np.empty((len(cropped), *properties.shape), dtype=np.float32)  # (C, z, y, x)
    for index, (channel, target) in enumerate(zip(cropped, data, strict=True)):
        same_grid = channel.shape == target.shape
        values = target if same_grid else np.empty(channel.shape, dtype=np.float32)
        values[...] = channel
        normalise(
            values,
            configuration.normalization_schemes[index],
            intensity=plan.intensity.get(str(index)),
            mask=inside if configuration.use_mask_for_norm[index] else None,
            thing=image.file or "image",
        )
        _check_finite(values, image, index)
        if not same_grid:
            _resample_into(target, values, properties, configuration)
    return Prepared(data, made_labels, properties)


def target_spacing(configuration: Configuration, spacing_mm: Sequence[float]) -> Spacing:
    """Return the configuration's spacing, the first axis' own put before a 2-D one."""
    wanted = configuration.spacing
    return _spacing(wanted if len(wanted) == 3 else (spacing_mm[0], *wanted))


def properties_of(image: Volume, plan: Plan, configuration: Configuration) -> Properties:
    """Return how an image will come onto the network's grid, before anything is resampled.

    Raises
    ------
    BadInput
        When the case vanishes on the new grid.
    """
    forward = plan.transpose_forward
    channels = image.array.transpose(0, *(axis + 1 for axis in forward))  # (C, z, y, x), a view
    spacing_mm = _spacing([image.spacing_mm[axis] for axis in plan.transpose_forward])
    box = box_of(np.logical_or.reduce([channel != 0 for channel in channels]))
    wanted = target_spacing(configuration, spacing_mm)
    shape = _triple(resampled_shape(box.shape, spacing_mm, wanted))
    if min(shape) < 1:
        raise BadInput(
            image.file or "image",
            expected=f"at least one voxel of {_mm(wanted)} along every axis",
            got=f"{box.shape} voxels of {_mm(spacing_mm)} that hold anything",
            advice="check the image's spacing",
        )
    return Properties(
        source_shape=image.shape,
        source_spacing_mm=image.spacing_mm,
        shape_before=_triple(channels.shape[1:]),
        box=box,
        shape_after_crop=box.shape,
        spacing_mm=spacing_mm,
        target_spacing_mm=wanted,
        shape=shape,
    )


def _resample_into(
    target: NDArray[np.float32],
    channel: NDArray[np.float32],
    properties: Properties,
    configuration: Configuration,
) -> None:
    resample_image(
        channel[None],
        properties.shape,
        properties.spacing_mm,
        properties.target_spacing_mm,
        how=interpolation_of(configuration, "data"),
        out=target[None],
    )


def _resampled_labels(
    labels: NDArray[np.int16], properties: Properties, configuration: Configuration
) -> NDArray[np.int16]:
    how = interpolation_of(configuration, "seg")
    if how.order == 3 or how.order_z != 0:
        raise _bad_orders("seg", how.words, "orders 0 or 1, and 0 along a coarse axis")
    return resample_labels(
        labels, properties.shape, properties.spacing_mm, properties.target_spacing_mm, how=how
    )


def interpolation_of(configuration: Configuration, kind: str) -> Interpolation:
    """Return how ``data``, ``seg`` or ``probabilities`` are resampled.

    Raises
    ------
    BadPlan
        When an order is not 0, 1 or 3.
    """
    given = getattr(configuration, f"resampling_fn_{kind}_kwargs")
    order, order_z = given.get("order", 3), given.get("order_z", 0)
    if order not in SPLINE_ORDERS or order_z not in SPLINE_ORDERS:
        raise _bad_orders(kind, f"order {order}, order_z {order_z}", "spline orders 0, 1 or 3")
    return Interpolation(order, order_z, given.get("force_separate_z", False))


def _bad_orders(kind: str, got: str, expected: str) -> BadPlan:
    return BadPlan(
        f"resampling_fn_{kind}_kwargs",
        expected=expected,
        got=got,
        advice="correct the plans file",
    )


def _check(image: Volume, labels: Volume | None, configuration: Configuration) -> None:
    if image.n_channels != configuration.n_channels or image.is_labels:
        raise ChannelMismatch(
            image.file or "image",
            expected=f"{configuration.n_channels} channels, as the plan was made for",
            got="a label map" if image.is_labels else str(image.n_channels),
            advice="give the channels the plan names, in its order",
        )
    if labels is not None and labels.shape != image.shape:
        raise GridMismatch(
            labels.file or "labels",
            expected=f"its image's shape {image.shape}",
            got=str(labels.shape),
            advice="export the label again on its image's grid, or remove the case",
        )


def _check_finite(values: NDArray[np.float32], image: Volume, index: int) -> None:
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise BadInput(
            image.file or "image",
            expected="finite intensities",
            got=f"{np.count_nonzero(~np.isfinite(values))} voxels of channel {index} that are "
            "NaN or infinite after normalisation",
            advice="replace them in the image",
        )


def _triple(values: Sequence[int]) -> Triple:
    a, b, c = (int(value) for value in values)
    return a, b, c


def _spacing(values: Sequence[float]) -> Spacing:
    a, b, c = (float(value) for value in values)
    return a, b, c


def _mm(spacing_mm: Sequence[float]) -> str:
    return " × ".join(f"{value:g}" for value in spacing_mm) + " mm"
