import dataclasses
from typing import Any

import pytest
import torch

from napari_unet_mic.errors import BadCheckpoint, ChannelMismatch, StageMismatch
from napari_unet_mic.network.build import (
    build_network,
    check_stages,
    check_weights,
    count_stages,
    initialize_weights,
)
from napari_unet_mic.planning.plan import Configuration, Plan


def with_stages(configuration: Configuration, n: int) -> Configuration:
    """The configuration cut to its first `n` stages."""
    old = configuration.architecture
    assert old.n_conv_per_stage is not None
    shorter = dataclasses.replace(
        old,
        n_stages=n,
        features_per_stage=old.features_per_stage[:n],
        kernel_sizes=old.kernel_sizes[:n],
        strides=old.strides[:n],
        n_conv_per_stage=old.n_conv_per_stage[:n],
        n_conv_per_stage_decoder=old.n_conv_per_stage_decoder[: n - 1],
    )
    return dataclasses.replace(configuration, architecture=shorter)


def weights_of(configuration: Configuration, *counts: int) -> dict[str, Any]:
    return build_network(configuration, *counts, initialize=False).state_dict()


def test_weights_are_he_normal_and_biases_zero() -> None:
    torch.manual_seed(0)
    module = torch.nn.Conv3d(32, 64, 3)
    initialize_weights(module)
    assert module.bias is not None
    assert not module.bias.any()
    expected = (2 / (1 + 0.01**2) / (32 * 27)) ** 0.5
    assert module.weight.std().item() == pytest.approx(expected, rel=0.02)


def test_residual_blocks_start_as_their_skip(tiny_plan: Plan) -> None:
    weights = build_network(tiny_plan.configuration("3d_residual"), 1, 2).state_dict()
    last = [name for name in weights if ".conv2.norm." in name and not name.startswith("decoder.")]
    assert len(last) == 2 * (1 + 2 + 2)
    assert not any(weights[name].any() for name in last)


def test_network_of_as_many_stages_as_poolings_is_refused(fullres: Configuration) -> None:
    weights = weights_of(with_stages(fullres, 2), 1, 2)
    with pytest.raises(StageMismatch, match=r"3 stages = 2 poolings \+ 1.*stage 2.*missing"):
        check_stages(fullres, weights)


def test_surplus_stage_is_refused(fullres: Configuration) -> None:
    network = build_network(fullres, 1, 2, initialize=False)
    with pytest.raises(StageMismatch, match=r"2 stages = 1 poolings \+ 1.*stage 2 is one too many"):
        check_stages(with_stages(fullres, 2), network)


def test_missing_decoder_stage_is_named(fullres: Configuration) -> None:
    weights = weights_of(fullres, 1, 2)
    cut = {name: value for name, value in weights.items() if "decoder.stages.1." not in name}
    assert count_stages(cut, "decoder") == 1
    with pytest.raises(StageMismatch, match=r"2 decoder stages.*decoder stage 0"):
        check_stages(fullres, cut)


@pytest.mark.parametrize(
    ("counts", "error", "words"),
    [
        ((2, 3), ChannelMismatch, "expected 1 image channels.*weights for 2"),
        ((1, 4), BadCheckpoint, "expected 3 classes.*weights for 4"),
    ],
    ids=["channels", "classes"],
)
def test_other_counts_are_refused(
    fullres: Configuration, counts: tuple[int, int], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        check_weights(fullres, weights_of(fullres, *counts), 1, 3)


def test_weights_of_another_kind_are_refused(tiny_plan: Plan, fullres: Configuration) -> None:
    residual = weights_of(tiny_plan.configuration("3d_residual"), 1, 2)
    with pytest.raises(BadCheckpoint, match=r"PlainConvUNet.*residual-encoder"):
        check_weights(fullres, residual, 1, 2)
    with pytest.raises(BadCheckpoint, match="no U-Net"):
        check_weights(fullres, {"layer.weight": torch.zeros(1)}, 1, 2)


def test_misshapen_weight_is_named(fullres: Configuration) -> None:
    weights = weights_of(fullres, 1, 2)
    name = "encoder.stages.1.0.convs.0.conv.weight"
    weights[name] = torch.zeros(6, 3, 3, 3, 1)
    with pytest.raises(BadCheckpoint, match=r"stages\.1.*\(6, 3, 3, 3, 3\).*\(6, 3, 3, 3, 1\)"):
        check_weights(fullres, weights, 1, 2)
