import dataclasses
from pathlib import Path

import torch

from napari_unet_mic.planning.plan import Configuration, read_plan
from napari_unet_mic.planning.topology import describe
from napari_unet_mic.training.memory import (
    gpu_bytes,
    needed_bytes,
    process_bytes,
    usable_bytes,
    what_would_fit,
)


def big(blobs_plan: Path) -> Configuration:
    plan = read_plan(blobs_plan).configuration("3d_fullres")
    return dataclasses.replace(plan, patch_size=(64, 128, 128), batch_size=8)


def test_the_process_holds_something_and_no_gpu_nothing() -> None:
    assert process_bytes() > 10_000_000
    assert gpu_bytes(torch.device("cpu")) == 0
    usable = usable_bytes(torch.device("cpu"))
    assert usable is None or usable > process_bytes()


def test_float32_needs_its_maps_twice_as_wide(blobs_plan: Path) -> None:
    one = big(blobs_plan)
    facts = describe(one, 1, 3)
    half = needed_bytes(one, 1, 3, precision=torch.float16)
    assert half == facts.memory_bytes_estimate
    more = needed_bytes(one, 1, 3, precision=torch.float32) - half
    assert more == 6 * facts.feature_map_values * 8


def test_a_smaller_batch_is_the_first_thing_to_fit(blobs_plan: Path) -> None:
    one = big(blobs_plan)
    usable = needed_bytes(one, 1, 3, precision=torch.float16) - 1
    found = what_would_fit(one, 1, 3, usable=usable, precision=torch.float16)
    assert found is not None
    assert found.patch_size == one.patch_size
    assert 2 <= found.batch_size < 8
    larger = dataclasses.replace(found, batch_size=found.batch_size + 1)
    assert needed_bytes(larger, 1, 3, precision=torch.float16) > 0.88 * usable


def test_a_smaller_patch_when_no_batch_would_do(blobs_plan: Path) -> None:
    one = dataclasses.replace(big(blobs_plan), batch_size=2)
    usable = needed_bytes(one, 1, 3, precision=torch.float16) - 1
    found = what_would_fit(one, 1, 3, usable=usable, precision=torch.float16)
    assert found is not None
    assert found.batch_size == 2
    assert found.patch_size != one.patch_size
    steps = one.patch_steps
    assert steps == (2, 4, 4)
    assert all(n % step == 0 for n, step in zip(found.patch_size, steps, strict=True))


def test_nothing_fits_into_nothing(blobs_plan: Path) -> None:
    assert what_would_fit(big(blobs_plan), 1, 3, usable=1000, precision=torch.float16) is None
