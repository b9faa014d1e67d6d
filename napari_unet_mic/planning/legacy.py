"""nnU-Net v1 plans.pkl, read into the same Plan as v2.

v1's pooling list has no leading [1, 1, 1]: n poolings make n + 1 stages. Building
n stages is the mistake this project's own history starts with. Facts from nnU-Net
1.7.1: nnUNetTrainer.process_plans and Generic_UNet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet_mic.errors import BadPlan
from napari_unet_mic.planning.pickled import read_pickle
from napari_unet_mic.planning.plan import Plan, plan_of

MAX_FEATURES = {2: 480, 3: 320}  # Generic_UNet's own limits
NETWORK = "nnunet.network_architecture.generic_UNet.Generic_UNet"
_SCHEMES = {
    "CT": "CTNormalization",
    "CT2": "CT2Normalization",
    "noNorm": "NoNormalization",
    "nonCT": "ZScoreNormalization",
}
_STATISTICS = {"mean": "mean", "median": "median", "sd": "std", "mn": "min", "mx": "max"}


@dataclass(frozen=True)
class LegacyPlan:
    """A v1 plan: the plan itself, and what v2 keeps in dataset.json instead."""

    plan: Plan
    n_channels: int
    n_classes: int


def is_v1(file: str | os.PathLike[str]) -> bool:
    """Whether a plans file is a v1 pickle, by its name."""
    return Path(file).suffix == ".pkl"


def read_v1_plan(file: str | os.PathLike[str]) -> LegacyPlan:
    """Read a v1 plans.pkl.

    Returns
    -------
    The plan with configuration `2d`, or `3d_fullres`, or (two stages) `3d_lowres`,
    `3d_fullres` and `3d_cascade_fullres`; input channels; and outputs, which are
    the plan's num_classes + 1, since v1 does not count the background.

    Raises
    ------
    UnreadableFile
        The file is missing.
    BadPlan
        It is damaged, lacks a field, or asks for anything but arrays and containers.
    """
    raw = read_pickle(file)
    try:
        return _converted(raw, Path(file))
    except BadPlan:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        missing = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)[:80]
        raise BadPlan(
            file,
            expected="nnU-Net v1 plans (plans_per_stage, num_modalities, num_classes, …)",
            got=missing,
            advice="see that this is a plans file of nnU-Net v1",
        ) from error


def _converted(raw: Any, file: Path) -> LegacyPlan:
    if not isinstance(raw, Mapping):
        raise TypeError(f"a {type(raw).__name__} instead of a dict")
    stages = [raw["plans_per_stage"][i] for i in sorted(raw["plans_per_stage"])]
    n_channels, n_classes = int(raw["num_modalities"]), int(raw["num_classes"]) + 1
    two_dimensional = len(_integers(stages[0]["patch_size"])) == 2
    names = ["2d"] if two_dimensional else ["3d_lowres", "3d_fullres"][-len(stages) :]
    if len(names) != len(stages):
        raise ValueError(f"{len(stages)} stages of resolution, 1 or 2 expected")
    shared = {
        "data_identifier": str(raw["data_identifier"]),
        "preprocessor_name": str(raw.get("preprocessor_name", "GenericPreprocessor")),
        "normalization_schemes": [
            _SCHEMES[raw["normalization_schemes"][i]] for i in range(n_channels)
        ],
        "use_mask_for_norm": [bool(raw["use_mask_for_norm"][i]) for i in range(n_channels)],
        "batch_dice": two_dimensional or len(stages) > 1,
    }
    configurations: dict[str, Any] = {
        name: {**shared, **_stage(stage, raw)} for name, stage in zip(names, stages, strict=True)
    }
    if len(stages) == 2:
        configurations["3d_lowres"]["next_stage"] = "3d_cascade_fullres"
        configurations["3d_cascade_fullres"] = {
            "inherits_from": "3d_fullres",
            "previous_stage": "3d_lowres",
        }
    forward = _integers(raw.get("transpose_forward", (0, 1, 2)))
    properties = raw.get("dataset_properties", {})
    spacings, sizes = properties.get("all_spacings"), properties.get("all_sizes")
    last = stages[-1]
    made = {
        "dataset_name": Path(str(raw.get("preprocessed_data_folder", file.parent.name))).name,
        "plans_name": file.stem,
        "original_median_spacing_after_transp": (
            np.median(np.asarray(spacings, float), 0)[forward].tolist()
            if spacings
            else _floats(last["original_spacing"])
        ),
        "original_median_shape_after_transp": (
            np.median(np.asarray(sizes, float), 0)[forward].tolist()
            if sizes
            else _floats(last["median_patient_size_in_voxels"])
        ),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": forward,
        "transpose_backward": _integers(raw.get("transpose_backward", (0, 1, 2))),
        "configurations": configurations,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": _intensity(
            properties.get("intensityproperties")
        ),
    }
    return LegacyPlan(plan_of(made, file=file), n_channels, n_classes)


def _stage(stage: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """One of v1's `plans_per_stage` as a v2 configuration."""
    patch = _integers(stage["patch_size"])
    ndim = len(patch)
    if "pool_op_kernel_sizes" in stage:
        poolings = [_integers(pool) for pool in stage["pool_op_kernel_sizes"]]
    else:  # the oldest plans only count
        counts = _integers(stage["num_pool_per_axis"])
        poolings = [[2 if n > i else 1 for n in counts] for i in range(max(counts))]
    n_stages = len(poolings) + 1
    kernels = [
        _integers(kernel) for kernel in stage.get("conv_kernel_sizes", [[3] * ndim] * n_stages)
    ]
    convolutions = int(raw.get("conv_per_stage", 2))
    base = int(raw["base_num_features"])
    features = [min(base * 2**i, MAX_FEATURES[ndim]) for i in range(n_stages)]
    return {
        "batch_size": int(stage["batch_size"]),
        "patch_size": patch,
        # a 2-D plan keeps the spacing and size of the slice axis too
        "spacing": _floats(stage["current_spacing"])[-ndim:],
        "median_image_size_in_voxels": _floats(stage["median_patient_size_in_voxels"])[-ndim:],
        "architecture": {
            "network_class_name": NETWORK,
            "arch_kwargs": {
                "n_stages": n_stages,
                "features_per_stage": features,
                "conv_op": f"torch.nn.Conv{ndim}d",
                "kernel_sizes": kernels,
                "strides": [[1] * ndim, *poolings],
                "n_conv_per_stage": [convolutions] * n_stages,
                "n_conv_per_stage_decoder": [convolutions] * (n_stages - 1),
                "conv_bias": True,
                "norm_op": f"torch.nn.InstanceNorm{ndim}d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
        },
    }


def _intensity(properties: Any) -> dict[str, dict[str, float]]:
    """v1's intensity statistics under v2's names; empty where v1 kept none."""
    if not properties:
        return {}
    found = {}
    for channel, facts in properties.items():
        named = {_STATISTICS.get(key, key): value for key, value in facts.items()}
        found[str(channel)] = {
            key: float(value)
            for key, value in named.items()
            if isinstance(value, int | float | np.number)
        }
    return found


def _integers(values: Sequence[Any]) -> list[int]:
    return [int(n) for n in values]


def _floats(values: Sequence[Any]) -> list[float]:
    return [float(n) for n in values]
