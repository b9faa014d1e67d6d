"""A plans file of any kind, described: what `unet-mic network` and the plan panel show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_unet_mic.data.files import read_json
from napari_unet_mic.errors import BadDataset, BadInput
from napari_unet_mic.planning.legacy import is_v1, read_v1_plan
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan
from napari_unet_mic.planning.topology import NetworkFacts, describe


def read_any_plan(file: str | os.PathLike[str]) -> Plan:
    """Read plans.json (v2, early v2) or a v1 plans.pkl."""
    return read_v1_plan(file).plan if is_v1(file) else read_plan(file)


def describe_plan_file(
    plans: str | os.PathLike[str],
    *,
    configuration: str | None = None,
    dataset_json: str | os.PathLike[str] | None = None,
) -> NetworkFacts:
    """Describe the network of one configuration of a plans file.

    Parameters
    ----------
    plans
        nnU-Net v2 plans.json or v1 plans.pkl.
    configuration
        3d_fullres where there is one (of a v1 plan its last stage) when left out.
    dataset_json
        Gives channels and classes; the one beside the plans when left out. A v1
        plan knows both itself.

    Raises
    ------
    UnreadableFile, BadPlan
        The plans cannot be read.
    BadDataset
        dataset.json lacks channels or labels.
    BadInput
        There is no dataset.json to take channels and classes from.
    """
    if is_v1(plans):
        legacy = read_v1_plan(plans)
        name = configuration or legacy.plan.default_configuration
        chosen = legacy.plan.configuration(name)
        return describe(chosen, legacy.n_channels, legacy.n_classes)
    plan = read_plan(plans)
    chosen = plan.configuration(configuration or plan.default_configuration)
    file = Path(dataset_json) if dataset_json else Path(plans).parent / "dataset.json"
    if not dataset_json and not file.is_file():
        raise BadInput(
            plans,
            expected="a dataset.json beside it (channels and classes are not in the plans)",
            got="none",
            advice="name one with --dataset-json",
        )
    n_channels, n_classes = network_ends(chosen, read_json(file), thing=str(file))
    return describe(chosen, n_channels, n_classes)


def network_ends(
    configuration: Configuration, dataset_json: Any, *, thing: str = "dataset.json"
) -> tuple[int, int]:
    """Input and output channels of a configuration's network on a dataset.

    Labels count with the background and without the ignore label; with regions
    (a label that is a list of values) the background has no output of its own. A
    cascade's second stage gets one more input for every foreground label.

    Raises
    ------
    BadDataset
        There are no channels or no labels.
    """
    about: Mapping[str, Any] = dataset_json if isinstance(dataset_json, Mapping) else {}
    channels = about.get("channel_names", about.get("modality"))
    labels = about.get("labels")
    for key, value in (("channel_names", channels), ("labels", labels)):
        if not isinstance(value, Mapping) or not value:
            raise BadDataset(
                thing,
                expected=f"{key} as an object with at least one entry",
                got=repr(value)[:80],
                advice="give the dataset.json that nnU-Net or this package wrote",
            )
    assert isinstance(channels, Mapping)
    assert isinstance(labels, Mapping)
    # Decathlon writes {"0": "background"}, nnU-Net {"background": 0}
    decathlon = all(isinstance(value, str) for value in labels.values())
    values = [int(key) for key in labels] if decathlon else list(labels.values())
    names = list(labels.values()) if decathlon else list(labels)
    outputs = [v for v, name in zip(values, names, strict=True) if name != "ignore"]
    regions = any(isinstance(value, list | tuple) for value in outputs)
    n_classes = len(outputs) - (1 if regions else 0)
    n_channels = len(channels)
    if configuration.previous_stage is not None:
        n_channels += len(outputs) - 1
    return n_channels, n_classes
