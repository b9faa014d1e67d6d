"""A configuration in, a network out; and whether weights fit a configuration.

nnU-Net's names: `network_weights` is a state dict. A plan of n poolings describes n + 1
stages; a network or checkpoint with another number is refused before anything is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import nn

from napari_unet_mic.errors import BadCheckpoint, ChannelMismatch, StageMismatch
from napari_unet_mic.network.unet import (
    LegacyUNet,
    PlainConvUNet,
    ResidualBlock,
    ResidualEncoderUNet,
    UNet,
)
from napari_unet_mic.planning.plan import Configuration

NETWORKS: dict[str, type[UNet]] = {
    "PlainConvUNet": PlainConvUNet,
    "ResidualEncoderUNet": ResidualEncoderUNet,
    "Generic_UNet": LegacyUNet,
}

_STAGE = {
    part: re.compile(rf"^{part}\.stages\.(\d+)\.") for part in ("encoder", "decoder")
}  # group 1: the stage's number


def build_network(
    configuration: Configuration,
    n_channels: int,
    n_classes: int,
    deep_supervision: bool = True,
    *,
    initialize: bool = True,
) -> UNet:
    """Build the network that a configuration describes.

    Parameters
    ----------
    configuration
        From a plan; its architecture was checked against the allow-list when read.
    n_channels, n_classes
        Image channels; classes including the background.
    deep_supervision
        Whether the network gives the logits of every decoder stage (training).
    initialize
        Draw He-normal weights. Otherwise the network holds no values (meta device) until
        weights are loaded into it, which saves their time and memory.

    Raises
    ------
    StageMismatch
        The built network has another number of stages than the plan.

    Notes
    -----
    As nnU-Net's `InitWeights_He(1e-2)`: Kaiming normal with slope 0.01, biases zero; the
    last norm of each residual block starts at zero.
    """
    architecture = configuration.architecture
    kind = NETWORKS[architecture.network_class]
    with nullcontext() if initialize else torch.device("meta"):
        network = kind(architecture, n_channels, n_classes, deep_supervision=deep_supervision)
    if initialize:
        network.apply(initialize_weights)
    check_stages(configuration, network)
    return network


def initialize_weights(module: nn.Module) -> None:
    """Draw the first weights of one module (for `Module.apply`), as nnU-Net does."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=1e-2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock):
        nn.init.zeros_(module.conv2.norm.weight)
        nn.init.zeros_(module.conv2.norm.bias)


def count_stages(weights: Mapping[str, torch.Tensor], part: str = "encoder") -> int:
    """Stages of the `encoder` or the `decoder` that a state dict holds (0: none at all)."""
    found = {int(match[1]) for name in weights if (match := _STAGE[part].match(name))}
    return len(found)


def check_stages(
    configuration: Configuration,
    weights: Mapping[str, torch.Tensor] | nn.Module,
    *,
    thing: str = "the network",
) -> None:
    """Check that a network or state dict has the stages of its plan.

    Parameters
    ----------
    configuration
        From the plan.
    weights
        A state dict with nnU-Net's names, or a network.
    thing
        What to call the weights in an error: the checkpoint file.

    Raises
    ------
    StageMismatch
        Another number of stages; the sentence names the missing (or surplus) one.
    """
    if isinstance(weights, nn.Module):
        weights = weights.state_dict()
    architecture = configuration.architecture
    wanted = architecture.n_stages
    for part, expected, got in (
        ("encoder", wanted, count_stages(weights)),
        ("decoder", wanted - 1, count_stages(weights, "decoder")),
    ):
        if got == expected:
            continue
        if got < expected:
            stage = got if part == "encoder" else wanted - 2 - got
            difference = (
                f"{part} stage {stage} ({architecture.features_per_stage[stage]} features) "
                "is missing"
            )
        else:
            difference = f"{part} stage {expected} is one too many"
        raise StageMismatch(
            thing,
            expected=f"{expected} {part} stages, since the plan's {configuration.name} has "
            f"{wanted} stages = {wanted - 1} poolings + 1",
            got=f"{got} (counted from 0, {difference})",
            advice="use the plans.json that this model was trained with, or train it again "
            "from this plan",
        )


def check_weights(
    configuration: Configuration,
    weights: Mapping[str, torch.Tensor],
    n_channels: int,
    n_classes: int,
    *,
    thing: str = "the checkpoint",
) -> None:
    """Check that a state dict fits a configuration: kind, stages, channels, classes, shapes.

    Raises
    ------
    StageMismatch
        Another number of stages.
    ChannelMismatch
        The first convolution takes another number of channels.
    BadCheckpoint
        Another kind of network, another number of classes, missing or misshapen weights.
    """
    architecture = configuration.architecture
    is_residual = any(name.startswith("encoder.stem.") for name in weights)
    if not count_stages(weights) or is_residual != architecture.is_residual:
        got = "a residual-encoder network" if is_residual else "a plain-conv network"
        raise BadCheckpoint(
            thing,
            expected=f"weights of a {architecture.network_class}, as the plan says",
            got=got if count_stages(weights) else "weights of no U-Net that is known here",
            advice="use the plans.json that this model was trained with",
        )
    check_stages(configuration, weights, thing=thing)
    first = "encoder.stem" if is_residual else "encoder.stages.0.0"
    _check_count(
        weights, f"{first}.convs.0.conv.weight", 1, n_channels, "image channels", thing=thing
    )
    _check_count(
        weights,
        f"decoder.seg_layers.{architecture.n_stages - 2}.weight",
        0,
        n_classes,
        "classes, background included",
        thing=thing,
    )
    wanted = build_network(configuration, n_channels, n_classes, initialize=False).state_dict()
    wrong = [
        name
        for name, tensor in wanted.items()
        if name not in weights or weights[name].shape != tensor.shape
    ]
    if wrong or len(wanted) != len(weights):
        name = wrong[0] if wrong else next(name for name in weights if name not in wanted)
        raise BadCheckpoint(
            thing,
            expected=f"{name} of shape {_shape(wanted, name)}, as the plan says",
            got=_shape(weights, name),
            advice="use the plans.json that this model was trained with",
        )


def _check_count(
    weights: Mapping[str, torch.Tensor],
    name: str,
    axis: int,
    expected: int,
    noun: str,
    *,
    thing: str,
) -> None:
    got = weights[name].shape[axis] if name in weights else 0
    if got != expected:
        error = ChannelMismatch if axis else BadCheckpoint
        raise error(
            thing,
            expected=f"{expected} {noun}, as plans.json and dataset.json say",
            got=f"weights for {got}" if got else f"no {name}",
            advice="use the plans.json and dataset.json that this model was trained with",
        )


def _shape(weights: Mapping[str, torch.Tensor], name: str) -> str:
    return str(tuple(weights[name].shape)) if name in weights else "none"
