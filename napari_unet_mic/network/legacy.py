"""nnU-Net v1's parameter names in, those of this package (nnU-Net v2's) out.

v1 calls the encoder `conv_blocks_context`, the decoder `conv_blocks_localization`, the
transposed convolutions `tu` and the output layers `seg_outputs`; the bottleneck and each
decoder stage are two stacks, the second of one convolution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from napari_unet_mic.errors import BadCheckpoint
from napari_unet_mic.network.unet import UNet

_BLOCK = re.compile(
    r"conv_blocks_(context|localization)\.(\d+)\.(?:(\d+)\.)?blocks\.(\d+)\.(conv|instnorm)\.(.+)"
)
_LAYER = re.compile(r"(tu|seg_outputs)\.(\d+)\.(.+)")
_LAYERS = {"tu": "transpconvs", "seg_outputs": "seg_layers"}


def name_of(v1_name: str, n_convolutions: int = 2) -> str:
    """Translate one parameter's name.

    Parameters
    ----------
    v1_name
        Such as `conv_blocks_localization.0.1.blocks.0.instnorm.weight`.
    n_convolutions
        Convolutions per stage (`conv_per_stage` of a v1 plan).

    Raises
    ------
    BadCheckpoint
        It is no name of v1's `Generic_UNet`.

    Examples
    --------
    >>> name_of("tu.0.weight")
    'decoder.transpconvs.0.weight'
    """
    if match := _BLOCK.fullmatch(v1_name):
        part, stage, stack, block, layer, rest = match.groups()
        number = int(block) + (n_convolutions - 1) * int(stack or 0)
        layer = "norm" if layer == "instnorm" else layer
        place = f"encoder.stages.{stage}.0" if part == "context" else f"decoder.stages.{stage}"
        return f"{place}.convs.{number}.{layer}.{rest}"
    if match := _LAYER.fullmatch(v1_name):
        kind, stage, rest = match.groups()
        return f"decoder.{_LAYERS[kind]}.{stage}.{rest}"
    raise BadCheckpoint(
        "nnU-Net v1 weights",
        expected="the parameters of its Generic_UNet",
        got=v1_name,
        advice="only v1's default network can be opened",
    )


def weights_of(
    v1_weights: Mapping[str, torch.Tensor], network: UNet, *, n_convolutions: int = 2
) -> dict[str, torch.Tensor]:
    """Translate a v1 state dict into one that `network` (a `LegacyUNet`) can load.

    Raises
    ------
    BadCheckpoint
        A parameter of the network is missing, or there are others.
    """
    translated = {
        name_of(name.removeprefix("module."), n_convolutions): tensor
        for name, tensor in v1_weights.items()
    }
    first_name: dict[int, str] = {}
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        original = first_name.setdefault(id(parameter), name)
        if original not in translated:
            raise _unequal(original, "none")
        weights[name] = translated[original]
    surplus = [name for name in translated if name not in weights]
    if surplus:
        raise _unequal("nothing else", surplus[0])
    return weights


def _unequal(expected: str, got: str) -> BadCheckpoint:
    return BadCheckpoint(
        "nnU-Net v1 weights",
        expected=expected,
        got=got,
        advice="use the plans file that this model was trained with",
    )
