"""The networks of a model's folds, loaded onto a device with the configuration that they share.

In comes a model folder and the folds to use, out comes a network a fold, ready to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_unet_mic.errors import NotYet
from napari_unet_mic.inference.model_parts import configuration_name
from napari_unet_mic.network.build import build_network, check_weights
from napari_unet_mic.network.channels_last import order_for
from napari_unet_mic.network.checkpoint import ModelFolder, load, plain_names
from napari_unet_mic.network.unet import UNet
from napari_unet_mic.planning.plan import Configuration


@dataclass(frozen=True, eq=False)
class LoadedFolds:
    """A network for each fold; `mirror_axes` are those that the model was trained to allow."""

    configuration: Configuration
    networks: tuple[UNet, ...]
    mirror_axes: tuple[int, ...]


def load_folds(
    model: ModelFolder, files: Sequence[Path], device: torch.device, precision: torch.dtype
) -> LoadedFolds:
    """Load the checkpoints of a model's folds.

    Raises
    ------
    UnreadableFile, BadPlan, BadCheckpoint, StageMismatch, ChannelMismatch
        A checkpoint is not of this model, or the folds are of different configurations.
    NotYet
        The configuration is a cascade's second stage.
    """
    loaded = [load(file) for file in files]
    name = configuration_name(model, loaded, [str(file) for file in files])
    configuration = model.plan.configuration(name)
    if configuration.previous_stage:
        raise NotYet(f"predicting with {name}, a cascade's second stage,")
    networks = []
    for one, file in zip(loaded, files, strict=True):
        network = _network(model, configuration, one, file)
        order_for(network, device, precision)
        networks.append(network.to(device).eval())
    allowed = loaded[0].get("inference_allowed_mirroring_axes") or ()
    return LoadedFolds(configuration, tuple(networks), tuple(int(axis) for axis in allowed))


def _network(
    model: ModelFolder, configuration: Configuration, loaded: Mapping[str, Any], file: Path
) -> UNet:
    n_channels, n_classes = model.n_channels, model.n_classes
    weights = plain_names(loaded["network_weights"])
    check_weights(configuration, weights, n_channels, n_classes, thing=str(file))
    network = build_network(
        configuration, n_channels, n_classes, deep_supervision=False, initialize=False
    )
    network.load_state_dict(weights, assign=True)
    return network
