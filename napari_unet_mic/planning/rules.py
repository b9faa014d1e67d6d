"""The planner: from a fingerprint and dataset.json to a plan, every value with its reason.

The rules about spacing are in `spacing`, those about patch and batch in
`patch`, the poolings in `stages`; here are the rest and the order in which they
are asked. Source: nnU-Net 2.8.1, ExperimentPlanner.plan_experiment. Nothing is
built and nothing is searched twice: planning takes milliseconds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.errors import BadDataset, BadInput
from napari_unet_mic.planning.fingerprint import Fingerprint
from napari_unet_mic.planning.patch import (
    batch_size,
    features_per_stage,
    fitted_patch,
    reference_cost,
    times,
)
from napari_unet_mic.planning.plan import Plan, plan_of
from napari_unet_mic.planning.presets import Preset, Ruled, preset_of
from napari_unet_mic.planning.spacing import (
    axis_order,
    lowres_grid,
    resampled_median,
    target_spacing,
)
from napari_unet_mic.planning.stages import Stages, feature_map_cost

__all__ = ["Ruled", "plan_experiment"]

Floats = NDArray[np.float64]
MASK_THRESHOLD = 3 / 4
_SCHEMES = {
    "ct": "CTNormalization",
    "nonorm": "NoNormalization",
    "zscore": "ZScoreNormalization",
    "rescale_to_0_1": "RescaleTo01Normalization",
    "rgb_to_0_1": "RGBTo01Normalization",
}
_READERS = {
    "NaturalImage2DIO": (".png", ".bmp", ".tif"),
    "SimpleITKIO": (".nii.gz", ".nrrd", ".mha", ".gipl"),
    "Tiff3DIO": (".tif", ".tiff"),
    "NibabelIO": (".nii",),
}
Made = tuple[dict[str, Any], dict[str, str]]


def normalization(channels: Mapping[str, str]) -> Ruled[tuple[str, ...]]:
    """The scheme of every channel, chosen by its name."""
    names = list(channels.values())
    schemes = tuple(_SCHEMES.get(name.casefold(), "ZScoreNormalization") for name in names)
    why = ", ".join(
        f"{name}: {scheme.removesuffix('Normalization')}"
        + ("" if name.casefold() in _SCHEMES else " (any other name)")
        for name, scheme in zip(names, schemes, strict=True)
    )
    return Ruled(schemes, f"by channel name ({why})")


def mask_for_normalization(
    schemes: Sequence[str], median_relative_size: float
) -> Ruled[tuple[bool, ...]]:
    """Whether the z-score is taken inside the non-zero region only."""
    cropped = median_relative_size < MASK_THRESHOLD
    used = tuple(cropped and scheme == "ZScoreNormalization" for scheme in schemes)
    return Ruled(
        used,
        f"cropping to the non-zero box keeps {median_relative_size:.0%} of the voxels "
        f"(median); masks are used below {MASK_THRESHOLD:.0%}, for z-score channels",
    )


def batch_dice(configuration: str, has_lowres: bool) -> Ruled[bool]:
    """Whether Dice is computed over the batch as one volume."""
    if configuration == "2d":
        return Ruled(True, "slices often lack a class: Dice over the batch is steadier")
    if configuration == "3d_lowres":
        return Ruled(False, "the patch sees much of the image: Dice per sample")
    if has_lowres:
        return Ruled(True, "the patch sees little of the image (there is a 3d_lowres)")
    return Ruled(False, "the patch sees much of the image (there is no 3d_lowres)")


def image_reader(about: Mapping[str, Any]) -> Ruled[str]:
    """nnU-Net's reader class for the files, written for its sake only."""
    asked = about.get("overwrite_image_reader_writer", "None")
    if asked != "None":
        return Ruled(str(asked), "named by dataset.json")
    ending = str(about.get("file_ending", ".nii.gz")).lower()
    for reader, endings in _READERS.items():
        if ending in endings:
            return Ruled(reader, f"the files end in {ending}")
    return Ruled("SimpleITKIO", f"no reader is known for {ending}")


def plan_experiment(
    fingerprint: Fingerprint,
    dataset_json: Mapping[str, Any],
    *,
    planner: str = "default",
    gpu_memory_gb: float | None = None,
    dataset_name: str = "Dataset",
    plans_name: str | None = None,
) -> Plan:
    """Plan a dataset as nnU-Net's planner of that name does.

    Parameters
    ----------
    fingerprint
        Shapes, spacings and intensities of the training cases.
    dataset_json
        nnU-Net's dataset.json: channel_names (or modality), labels, numTraining.
    planner
        `default`, `resenc-m`, `resenc-l` or `resenc-xl`.
    gpu_memory_gb
        The memory to plan for; the planner's own target (8, 8, 24, 40) when left out.
    dataset_name, plans_name
        Written into the plan; plans_name is the planner's own when left out.

    Raises
    ------
    BadDataset
        dataset.json or the fingerprint lacks what planning needs.
    BadInput
        Unknown planner, or a memory target no patch fits.
    """
    preset = preset_of(planner)
    memory = preset.memory_gb if gpu_memory_gb is None else float(gpu_memory_gb)
    if not (math.isfinite(memory) and memory > 0):
        raise BadInput(
            "GPU memory",
            expected="a number of gigabytes above 0",
            got=f"{memory:g}",
            advice="8 is usual",
        )
    channels = _channels(dataset_json, dataset_name)
    measured = len(fingerprint.foreground_intensity_properties_per_channel)
    if measured != len(channels):
        raise BadDataset(
            f"{dataset_name} dataset.json",
            expected=f"{measured} channels, as the fingerprint has",
            got=str(len(channels)),
            advice="give the dataset.json that belongs to the fingerprint",
        )
    job = _Job(
        preset,
        memory,
        channels,
        len(_field(dataset_json, "labels", dataset_name)),
        fingerprint,
        plans_name or preset.plans_name,
        _n_training(dataset_json, len(fingerprint.spacings)),
    )
    target = target_spacing(fingerprint.spacings, fingerprint.shapes_after_crop)
    order = axis_order(target.value)
    median = resampled_median(fingerprint.spacings, fingerprint.shapes_after_crop, target.value)
    forward = list(order.value)
    made = job.configurations(
        Ruled(target.value[forward], target.reason), Ruled(median.value[forward], median.reason)
    )
    reader = image_reader(dataset_json)
    raw = {
        "dataset_name": dataset_name,
        "plans_name": job.plans_name,
        "original_median_spacing_after_transp": [
            float(s) for s in np.median(fingerprint.spacings, 0)[forward]
        ],
        "original_median_shape_after_transp": [
            round(n) for n in np.median(fingerprint.shapes_after_crop, 0)[forward]
        ],
        "image_reader_writer": reader.value,
        "transpose_forward": forward,
        "transpose_backward": [forward.index(axis) for axis in range(3)],
        "configurations": {name: configuration for name, (configuration, _) in made.items()},
        "experiment_planner_used": preset.planner_class,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            channel: dict(facts)
            for channel, facts in fingerprint.foreground_intensity_properties_per_channel.items()
        },
    }
    reasons = {name: why for name, (_, why) in made.items()}
    reasons["plan"] = {
        "transpose_forward": order.reason,
        "image_reader_writer": reader.reason,
        "3d_lowres": job.lowres_reason,
    }
    return dataclasses.replace(plan_of(raw), reasons=reasons)


@dataclass
class _Job:
    """What stays the same while one dataset is planned."""

    preset: Preset
    memory_gb: float
    channels: Mapping[str, str]
    n_classes: int
    fingerprint: Fingerprint
    plans_name: str
    n_training: int
    lowres_reason: str = "the images are two-dimensional"
    # nnU-Net keys its costs by patch and strides alone, over all configurations of a plan
    costs: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def configurations(self, spacing: Ruled[Floats], median: Ruled[Floats]) -> dict[str, Made]:
        """All configurations in nnU-Net's order: 2d, 3d_lowres, 3d_fullres, the cascade."""
        voxels = float(np.prod(median.value, dtype=np.float64) * self.n_training)
        made: dict[str, Made] = {}
        fullres: Made | None = None
        lowres: Made | None = None
        if median.value[0] != 1:
            fullres = self.configuration("3d_fullres", spacing, median, voxels)
            coarse = self._lowres(spacing.value, median.value, fullres[0]["patch_size"])
            lowres, self.lowres_reason = coarse.value, coarse.reason
        made["2d"] = self.configuration(
            "2d",
            Ruled(spacing.value[1:], spacing.reason),
            Ruled(median.value[1:], median.reason),
            voxels,
        )
        if lowres is not None:
            lowres[0]["next_stage"] = "3d_cascade_fullres"
            made["3d_lowres"] = lowres
        if fullres is not None:
            made["3d_fullres"] = fullres
        for name, (configuration, why) in made.items():
            dice = batch_dice(name, lowres is not None)
            configuration["batch_dice"], why["batch_dice"] = dice.value, dice.reason
        if lowres is not None:
            made["3d_cascade_fullres"] = (
                {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
                {**made["3d_fullres"][1], "previous_stage": self.lowres_reason},
            )
        return made

    def _lowres(self, spacing: Floats, median: Floats, patch: Sequence[int]) -> Ruled[Made | None]:
        def plan_at(coarse: Floats, shape: tuple[int, ...], voxels: float) -> Made:
            return self.configuration(
                "3d_lowres",
                Ruled(coarse, "the finest grid on which a patch holds a quarter of the image"),
                Ruled(np.array(shape), "the full-resolution median at this spacing"),
                float(voxels * self.n_training),
            )

        return lowres_grid(spacing, median, patch, plan_at, lambda made: made[0]["patch_size"])

    def cost(self, stages: Stages) -> int:
        """Feature-map values of the network these stages make."""
        key = (stages.patch, stages.strides)
        if key not in self.costs:
            n = stages.n_stages
            self.costs[key] = feature_map_cost(
                stages.patch,
                stages.strides,
                features_per_stage(n, len(stages.patch)).value,
                self.preset.encoder_blocks(n),
                self.preset.decoder_convolutions(n),
                self.n_classes,
                residual=self.preset.residual,
            )
        return self.costs[key]

    def configuration(
        self, name: str, spacing: Ruled[Floats], median: Ruled[Any], dataset_voxels: float
    ) -> Made:
        """One configuration as nnU-Net writes it, and its reasons by field."""
        ndim = len(spacing.value)
        budget = reference_cost(self.preset, ndim, self.memory_gb)
        patch = fitted_patch(
            spacing.value.tolist(), median.value.tolist(), self.preset, budget.value, self.cost
        )
        stages = patch.value
        n_stages = stages.n_stages
        batch = batch_size(
            self.cost(stages), budget.value, stages.patch, dataset_voxels, self.preset.covered
        )
        features = features_per_stage(n_stages, ndim)
        schemes = normalization(self.channels)
        masks = mask_for_normalization(
            schemes.value, self.fingerprint.median_relative_size_after_cropping
        )
        configuration: dict[str, Any] = {
            "data_identifier": self.preset.data_identifier(self.plans_name, name),
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": batch.value,
            "patch_size": list(stages.patch),
            "median_image_size_in_voxels": median.value.tolist(),
            "spacing": spacing.value.tolist(),
            "normalization_schemes": list(schemes.value),
            "use_mask_for_norm": list(masks.value),
            **_resampling(),
            "architecture": _architecture(self.preset, stages, features.value),
        }
        poolings = ", ".join(str(n) for n in stages.poolings)
        why = {
            "patch_size": patch.reason,
            "batch_size": f"{batch.reason}; {budget.reason}",
            "median_image_size_in_voxels": median.reason,
            "spacing": spacing.reason,
            "normalization_schemes": schemes.reason,
            "use_mask_for_norm": masks.reason,
            "n_stages": f"{n_stages} stages = {n_stages - 1} poolings + 1; the axes are halved "
            f"{poolings} times, while they have 8 voxels and a spacing within 2× of the finest",
            "strides": f"halved {poolings} times: {times(stages.patch)} → "
            + times([n // d for n, d in zip(stages.patch, stages.divisors, strict=True)]),
            "kernel_sizes": "3 once an axis' spacing is within a factor 2 of the finest",
            "features_per_stage": features.reason,
        }
        return configuration, why


def _resampling() -> dict[str, Any]:
    """How nnU-Net resamples: spline 3 for images, linear for labels and logits."""
    function = "resample_data_or_seg_to_shape"
    rest = {"order_z": 0, "force_separate_z": None}
    return {
        "resampling_fn_data": function,
        "resampling_fn_seg": function,
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **rest},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, **rest},
        "resampling_fn_probabilities": function,
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, **rest},
    }


def _architecture(preset: Preset, stages: Stages, features: Sequence[int]) -> dict[str, Any]:
    ndim, n_stages = len(stages.patch), stages.n_stages
    name = "ResidualEncoderUNet" if preset.residual else "PlainConvUNet"
    blocks = "n_blocks_per_stage" if preset.residual else "n_conv_per_stage"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": {
            "n_stages": n_stages,
            "features_per_stage": list(features),
            "conv_op": f"torch.nn.modules.conv.Conv{ndim}d",
            "kernel_sizes": [list(kernel) for kernel in stages.kernels],
            "strides": [list(stride) for stride in stages.strides],
            blocks: list(preset.encoder_blocks(n_stages)),
            "n_conv_per_stage_decoder": list(preset.decoder_convolutions(n_stages)),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{ndim}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _field(about: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    value = about.get(key) if isinstance(about, Mapping) else None
    if not isinstance(value, Mapping) or not value:
        raise BadDataset(
            f"{name} dataset.json",
            expected=f"{key} as an object with at least one entry",
            got=repr(value)[:80],
            advice="add it to dataset.json",
        )
    return value


def _channels(about: Mapping[str, Any], name: str) -> Mapping[str, str]:
    old = isinstance(about, Mapping) and "modality" in about and "channel_names" not in about
    key = "modality" if old else "channel_names"
    return {str(k): str(v) for k, v in _field(about, key, name).items()}


def _n_training(about: Mapping[str, Any], n_cases: int) -> int:
    """nnU-Net counts what dataset.json says; the fingerprint's cases where it says nothing."""
    said = about.get("numTraining", n_cases)
    return said if isinstance(said, int) and said > 0 else n_cases
