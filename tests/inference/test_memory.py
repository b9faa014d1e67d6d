import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.errors import BadInput
from napari_unet_mic.inference.memory import estimate, fitting
from napari_unet_mic.planning.plan import Configuration, plan_of

TINY = Path(__file__).parents[1] / "network" / "tiny_plans.json"
CT: dict[str, Any] = {
    "source_shape": (600, 512, 512),
    "source_bytes_per_voxel": 2,
    "shape": (600, 512, 512),
    "n_channels": 1,
    "n_classes": 25,
    "n_parameters": 1_000_000,
}


def configuration(name: str = "3d_fullres") -> Configuration:
    return plan_of(json.loads(TINY.read_text())).configuration(name)


def test_parts_are_what_arithmetic_says() -> None:
    found = estimate(configuration(), **CT)  # patch 6 x 16 x 12
    assert found.image == 4 * 600 * 512 * 512
    assert found.sums == 25 * 6 * 512 * 512 * 4  # not 600 planes of them
    assert found.weights == 4_000_000
    assert found.probabilities == 0
    assert found.peak > found.image + found.labels + found.sums
    assert "GB of memory at the peak (process" in str(found)


def test_probabilities_and_float16_sums_count() -> None:
    with_shares = estimate(configuration(), **CT, probabilities=True)
    assert with_shares.probabilities == 25 * 600 * 512 * 512 * 4
    half = estimate(configuration(), **CT, sum_bytes=2)
    assert half.sums * 2 == estimate(configuration(), **CT).sums


def test_one_tile_needs_no_sums_and_slices_need_theirs() -> None:
    assert estimate(configuration(), **CT | {"shape": (6, 16, 12)}).sums == 0
    assert estimate(configuration("2d"), **CT, at_once=4).sums == 4 * 25 * 512 * 512 * 4


def test_sums_become_float16_before_a_case_is_refused() -> None:
    deep = dataclasses.replace(configuration(), patch_size=(128, 128, 128))
    whole, half = (estimate(deep, **CT, sum_bytes=n).peak for n in (4, 2))
    for bytes_allowed, dtype in ((whole, np.float32), (whole - 1, np.float16), (half, np.float16)):
        found, chosen = fitting(deep, memory_bytes=bytes_allowed, thing="ct", **CT)
        assert chosen == dtype
        assert found.peak <= bytes_allowed
    with pytest.raises(BadInput, match=r"ct: expected a peak of at most .* allow more memory"):
        fitting(deep, memory_bytes=half - 1, thing="ct", **CT)
