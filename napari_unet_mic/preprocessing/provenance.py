"""What a prepared case depends on: the settings and the files it is made from.

In: a dataset, a plan, a configuration, a case. Out: values that change when the case would
come out different, and not otherwise (batch size, patch size and network do not matter).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from napari_unet_mic.data.dataset import Case, Dataset
from napari_unet_mic.data.files import require_file
from napari_unet_mic.planning.plan import Configuration, Plan

FORMAT_VERSION = 1
"""Of the files that `store` writes."""


def settings_of(dataset: Dataset, plan: Plan, configuration: Configuration) -> dict[str, Any]:
    """Return everything that prepared cases depend on, as JSON knows it."""
    settings = {
        "format_version": FORMAT_VERSION,
        "transpose_forward": plan.transpose_forward,
        "intensity": plan.intensity,
        "spacing": configuration.spacing,
        "normalization_schemes": configuration.normalization_schemes,
        "use_mask_for_norm": configuration.use_mask_for_norm,
        "resampling_fn_data_kwargs": configuration.resampling_fn_data_kwargs,
        "resampling_fn_seg_kwargs": configuration.resampling_fn_seg_kwargs,
        "classes": sorted(dataset.class_values),
        "ignore_value": dataset.ignore_value,
    }
    as_json: dict[str, Any] = json.loads(json.dumps(settings))
    return as_json


def mark_of(settings: dict[str, Any]) -> str:
    """Return a short mark that differs where settings do."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def source_of(case: Case) -> list[Any]:
    """Return name, size and time of the files a case is made from."""
    files = [*case.images, *([case.label] if case.label else [])]
    for file in files:
        require_file(file, "a NIfTI file")
    stats = [(file.resolve(), file.stat()) for file in files]
    return [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
