"""A plan of one configuration, as small as plans go."""

from collections.abc import Callable
from typing import Any

import pytest

from napari_unet_mic.planning.plan import Configuration, Plan, plan_of


@pytest.fixture
def make_plan() -> Callable[..., tuple[Plan, Configuration]]:
    return _make_plan


def _make_plan(
    *,
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    schemes: tuple[str, ...] = ("NoNormalization",),
    masks: tuple[bool, ...] | None = None,
    transpose: tuple[int, int, int] = (0, 1, 2),
    **options: Any,
) -> tuple[Plan, Configuration]:
    """A plan with one configuration, of a network that nothing here asks about."""
    ndim = len(spacing)
    convolution = {2: "torch.nn.modules.conv.Conv2d", 3: "torch.nn.modules.conv.Conv3d"}[ndim]
    norm = convolution.replace("conv.Conv", "instancenorm.InstanceNorm")
    configuration = {
        "data_identifier": "x",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8] * ndim,
        "median_image_size_in_voxels": [8.0] * ndim,
        "spacing": list(spacing),
        "normalization_schemes": list(schemes),
        "use_mask_for_norm": list(masks or [False] * len(schemes)),
        "batch_dice": False,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 2,
                "features_per_stage": [4, 8],
                "conv_op": convolution,
                "kernel_sizes": [[3] * ndim] * 2,
                "strides": [[1] * ndim, [2] * ndim],
                "n_conv_per_stage": [2, 2],
                "n_conv_per_stage_decoder": [2],
                "conv_bias": True,
                "norm_op": norm,
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        **options,
    }
    backward = [transpose.index(axis) for axis in range(3)]
    intensity = {"mean": 0.0, "std": 1.0, "percentile_00_5": -9.0, "percentile_99_5": 9.0}
    channels = {str(index): intensity for index in range(len(schemes))}
    plan = plan_of(
        {
            "dataset_name": "D",
            "plans_name": "P",
            "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
            "original_median_shape_after_transp": [8, 8, 8],
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": list(transpose),
            "transpose_backward": backward,
            "experiment_planner_used": "ExperimentPlanner",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": channels,
            "configurations": {"c": configuration},
        }
    )
    return plan, plan.configuration("c")
