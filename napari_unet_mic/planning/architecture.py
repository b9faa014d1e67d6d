"""Architecture: what a plan says about the network, checked against an allow-list.

nnU-Net imports whatever class a plans file names. Here a name is only looked up
in a table of the few that are known; anything else is refused with a sentence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from napari_unet_mic.errors import BadPlan

NetworkClass = Literal["PlainConvUNet", "ResidualEncoderUNet", "Generic_UNet"]

_UNET = "dynamic_network_architectures.architectures.unet."
NETWORK_CLASSES: dict[str, NetworkClass] = {
    _UNET + "PlainConvUNet": "PlainConvUNet",
    _UNET + "ResidualEncoderUNet": "ResidualEncoderUNet",
    # the name nnU-Net itself writes when it converts an early v2 plan
    "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet": (
        "ResidualEncoderUNet"
    ),
    # nnU-Net v1, only ever written by planning.legacy
    "nnunet.network_architecture.generic_UNet.Generic_UNet": "Generic_UNet",
}
CONVOLUTIONS = {f"torch.nn.{module}Conv{n}d": n for n in (2, 3) for module in ("", "modules.conv.")}
NORMS = {
    f"torch.nn.{module}InstanceNorm{n}d": n
    for n in (2, 3)
    for module in ("", "modules.instancenorm.")
}
NONLINEARITIES = ("torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU")

# arguments of nnU-Net's network classes beyond the ones we build, with the only value we build
_FIXED_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "dropout_op": (None,),
    "dropout_op_kwargs": (None, {}),
    "nonlin_first": (False,),
    "deep_supervision": (True, False),
    "block": (None,),
    "bottleneck_channels": (None,),
    "stem_channels": (None,),
}
_ARGUMENTS = {
    "n_stages",
    "features_per_stage",
    "conv_op",
    "kernel_sizes",
    "strides",
    "n_conv_per_stage",
    "n_blocks_per_stage",
    "n_conv_per_stage_decoder",
    "conv_bias",
    "norm_op",
    "norm_op_kwargs",
    "nonlin",
    "nonlin_kwargs",
}


@dataclass(frozen=True)
class Architecture:
    """The network of one configuration.

    A stage is an encoder resolution level: a network with n poolings has n + 1
    stages, and every per-stage tuple here has that many entries (the decoder one
    fewer). `strides[0]` is all ones.
    """

    network_class_name: str
    n_stages: int
    features_per_stage: tuple[int, ...]
    kernel_sizes: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    n_conv_per_stage: tuple[int, ...] | None
    n_blocks_per_stage: tuple[int, ...] | None
    n_conv_per_stage_decoder: tuple[int, ...]
    conv_bias: bool = True
    norm_op_kwargs: Mapping[str, Any] = field(default_factory=lambda: {"eps": 1e-5, "affine": True})
    nonlin_kwargs: Mapping[str, Any] = field(default_factory=lambda: {"inplace": True})

    @property
    def network_class(self) -> NetworkClass:
        """The short class name: PlainConvUNet, ResidualEncoderUNet or (v1) Generic_UNet."""
        return NETWORK_CLASSES[self.network_class_name]

    @property
    def is_residual(self) -> bool:
        """Whether the encoder is made of residual blocks."""
        return self.network_class == "ResidualEncoderUNet"

    @property
    def ndim(self) -> int:
        """2 or 3: the dimensions the network convolves over."""
        return len(self.strides[0])

    @property
    def blocks_per_stage(self) -> tuple[int, ...]:
        """Convolutions (plain) or residual blocks of each encoder stage."""
        blocks = self.n_blocks_per_stage if self.is_residual else self.n_conv_per_stage
        assert blocks is not None
        return blocks

    @property
    def n_poolings(self) -> int:
        """Stages entered with a stride: always one fewer than the stages."""
        return self.n_stages - 1


def read_architecture(
    raw: Mapping[str, Any], *, ndim: int, thing: str | os.PathLike[str]
) -> Architecture:
    """Read a configuration's `architecture` block (or an early v2 configuration).

    Parameters
    ----------
    raw
        The whole configuration as the plans file has it.
    ndim
        Length of the configuration's patch size.
    thing
        What to name in an error: the plans file and the configuration.

    Raises
    ------
    BadPlan
        An unknown class or argument, a missing field, or stages that do not add up.
    """
    block = raw["architecture"] if "architecture" in raw else _early_block(raw, ndim, thing)
    if not isinstance(block, Mapping) or not isinstance(block.get("arch_kwargs"), Mapping):
        raise _bad(thing, "an architecture block with arch_kwargs", _short(block))
    name = block.get("network_class_name")
    if not isinstance(name, str) or name not in NETWORK_CLASSES:
        known = ", ".join(sorted(set(NETWORK_CLASSES.values())))
        raise BadPlan(
            thing,
            expected=f"a network class this package builds ({known})",
            got=f"network_class_name {name!r}",
            advice="nothing was imported; open the model with the software that made it",
        )
    kwargs: Mapping[str, Any] = block["arch_kwargs"]
    residual = NETWORK_CLASSES[name] == "ResidualEncoderUNet"
    blocks_key = "n_blocks_per_stage" if residual else "n_conv_per_stage"
    _check_arguments(kwargs, blocks_key, ndim, thing)

    n_stages = _integer(kwargs["n_stages"], "n_stages", thing)
    per_stage = {
        key: _per_stage(kwargs[key], key, length, dims, thing)
        for key, length, dims in (
            ("features_per_stage", n_stages, 0),
            ("kernel_sizes", n_stages, ndim),
            ("strides", n_stages, ndim),
            (blocks_key, n_stages, 0),
            ("n_conv_per_stage_decoder", n_stages - 1, 0),
        )
    }
    _check_stages(n_stages, per_stage, thing)
    return Architecture(
        network_class_name=name,
        n_stages=n_stages,
        features_per_stage=per_stage["features_per_stage"],
        kernel_sizes=per_stage["kernel_sizes"],
        strides=per_stage["strides"],
        n_conv_per_stage=None if residual else per_stage[blocks_key],
        n_blocks_per_stage=per_stage[blocks_key] if residual else None,
        n_conv_per_stage_decoder=per_stage["n_conv_per_stage_decoder"],
        conv_bias=bool(kwargs.get("conv_bias", False)),
        norm_op_kwargs=dict(kwargs.get("norm_op_kwargs") or {}),
        nonlin_kwargs=dict(kwargs.get("nonlin_kwargs") or {}),
    )


def _early_block(
    raw: Mapping[str, Any], ndim: int, thing: str | os.PathLike[str]
) -> dict[str, Any]:
    """The `architecture` block of an early v2 configuration.

    Source: nnunetv2/utilities/plans_handling/plans_handler.py, ConfigurationManager.
    """
    needed = (
        "UNet_class_name",
        "UNet_base_num_features",
        "n_conv_per_stage_encoder",
        "n_conv_per_stage_decoder",
        "pool_op_kernel_sizes",
        "conv_kernel_sizes",
        "unet_max_num_features",
    )
    missing = [key for key in needed if key not in raw]
    if missing:
        raise _bad(
            thing,
            "an architecture block, or the fields of an early v2 plan",
            f"neither: {', '.join(missing)} missing",
        )
    encoder = raw["n_conv_per_stage_encoder"]
    if not isinstance(encoder, Sequence) or isinstance(encoder, str):
        raise _bad(thing, "n_conv_per_stage_encoder as a list", _short(encoder))
    base = _integer(raw["UNet_base_num_features"], "UNet_base_num_features", thing)
    most = _integer(raw["unet_max_num_features"], "unet_max_num_features", thing)
    residual = raw["UNet_class_name"] == "ResidualEncoderUNet"
    known = raw["UNet_class_name"] in ("PlainConvUNet", "ResidualEncoderUNet")
    return {
        "network_class_name": (_UNET if known else "") + str(raw["UNet_class_name"]),
        "arch_kwargs": {
            "n_stages": len(encoder),
            "features_per_stage": [min(base * 2**i, most) for i in range(len(encoder))],
            "conv_op": f"torch.nn.modules.conv.Conv{ndim}d",
            "kernel_sizes": raw["conv_kernel_sizes"],
            "strides": raw["pool_op_kernel_sizes"],
            ("n_blocks_per_stage" if residual else "n_conv_per_stage"): encoder,
            "n_conv_per_stage_decoder": raw["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{ndim}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
    }


def _check_arguments(
    kwargs: Mapping[str, Any], blocks_key: str, ndim: int, thing: str | os.PathLike[str]
) -> None:
    needed = ("n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides")
    for key in (*needed, blocks_key, "n_conv_per_stage_decoder", "norm_op", "nonlin"):
        if key not in kwargs:
            raise _bad(thing, f"arch_kwargs with {key}", "none")
    for key, value in kwargs.items():
        if key in _FIXED_ARGUMENTS:
            if value not in _FIXED_ARGUMENTS[key]:
                raise _bad(thing, f"{key} {_FIXED_ARGUMENTS[key][0]}", _short(value))
        elif key not in _ARGUMENTS:
            raise _bad(thing, "network arguments this package knows", f"{key} = {_short(value)}")
    for key, table in (("conv_op", CONVOLUTIONS), ("norm_op", NORMS)):
        if not isinstance(kwargs[key], str) or table.get(kwargs[key]) != ndim:
            names = " or ".join(name for name, n in table.items() if n == ndim)
            raise _bad(thing, f"{key} {names}", _short(kwargs[key]))
    if kwargs["nonlin"] not in NONLINEARITIES:
        raise _bad(thing, f"nonlin {NONLINEARITIES[0]}", _short(kwargs["nonlin"]))
    for key, known in (
        ("norm_op_kwargs", ("eps", "affine")),
        ("nonlin_kwargs", ("inplace", "negative_slope")),
    ):
        given = kwargs.get(key) or {}
        numbers = isinstance(given, Mapping) and all(
            name in known and isinstance(value, bool | int | float) for name, value in given.items()
        )
        if not numbers:
            raise _bad(thing, f"{key} with {' and '.join(known)} at most", _short(given))


def _check_stages(
    n_stages: int, per_stage: Mapping[str, tuple[Any, ...]], thing: str | os.PathLike[str]
) -> None:
    """Every per-stage list has n_stages entries: n poolings and the full resolution."""
    if n_stages < 2:
        raise _bad(thing, "at least 2 stages (1 pooling + 1)", f"n_stages {n_stages}")
    for key, values in per_stage.items():
        wanted = n_stages - 1 if key == "n_conv_per_stage_decoder" else n_stages
        if len(values) == wanted:
            continue
        expected = f"{wanted} entries in {key} ({n_stages} stages = {n_stages - 1} poolings + 1)"
        got = str(len(values))
        if len(values) == wanted - 1:
            got += f", so stage {n_stages - 1} (counted from 0) is missing"
            if key == "strides" and any(n != 1 for n in values[0]):
                got = f"{len(values)} without the leading 1s, so stage 0 is missing"
        raise BadPlan(
            thing,
            expected=expected,
            got=got,
            advice="the network would be built with too few or too many stages; "
            "make n_stages and the lists agree",
        )
    if any(n != 1 for n in per_stage["strides"][0]):
        raise _bad(thing, "stride 1 at stage 0", _short(list(per_stage["strides"][0])))


def _per_stage(
    value: Any, key: str, length: int, dims: int, thing: str | os.PathLike[str]
) -> tuple[Any, ...]:
    """A per-stage list; a lone number stands for all stages, as in nnU-Net's classes."""
    values = [value] * length if isinstance(value, int) else value
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise _bad(thing, f"{key} as a list with one entry a stage", _short(value))
    if not dims:
        return tuple(_integer(item, key, thing) for item in values)
    entries = []
    for item in values:
        entry = [item] * dims if isinstance(item, int) else item
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != dims:
            raise _bad(thing, f"{key} with {dims} numbers a stage", _short(item))
        entries.append(tuple(_integer(number, key, thing) for number in entry))
    return tuple(entries)


def _integer(value: Any, key: str, thing: str | os.PathLike[str]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _bad(thing, f"{key} made of positive whole numbers", _short(value))
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _bad(thing: str | os.PathLike[str], expected: str, got: str) -> BadPlan:
    return BadPlan(
        thing, expected=expected, got=got, advice="correct the plans file or plan the dataset again"
    )
