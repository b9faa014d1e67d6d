import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.inference import export
from napari_unet_mic.inference.export import (
    LabelExport,
    labels_on_source_grid,
    resample_on_device,
    to_source_grid,
    winning_class,
    winning_class_on_device,
)
from napari_unet_mic.planning.plan import Plan, plan_of
from napari_unet_mic.preprocessing.pipeline import prepare
from napari_unet_mic.preprocessing.resample import LogitGrid

TINY = Path(__file__).parents[1] / "network" / "tiny_plans.json"


def plan_with(transpose: list[int]) -> Plan:
    raw: dict[str, Any] = json.loads(TINY.read_text())
    raw["transpose_forward"] = transpose
    raw["transpose_backward"] = [transpose.index(axis) for axis in range(3)]
    return plan_of(raw)


def one_hot(labels: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    return np.stack([labels == value for value in range(n)]).astype(np.float32) * 10


@pytest.mark.parametrize("transpose", [[0, 1, 2], [2, 0, 1]])
def test_labels_come_back_into_box_and_axis_order(transpose: list[int]) -> None:
    plan = plan_with(transpose)
    image = np.zeros((1, 4, 6, 5), np.float32)
    image[0, 1:3, 2:6, 1:4] = np.random.default_rng(0).random((2, 4, 3)) + 1
    spacing = np.empty(3)
    spacing[transpose] = [3, 1, 1]  # the plan's own spacing: nothing is resampled
    source = Volume.from_array(image, spacing_mm=tuple(spacing))
    reference = np.zeros((4, 6, 5), np.uint8)
    reference[1:3, 3:5, 1:4] = 1
    reference[2, 5, 2] = 2
    configuration = plan.configuration("3d_fullres")
    properties = prepare(source, None, plan, configuration).properties
    inner = reference.transpose(transpose)[properties.box.slices]
    logits = one_hot(inner, 3)
    found = labels_on_source_grid(logits, properties, plan, configuration, source)
    assert found.dtype == np.uint8
    assert np.array_equal(found, reference)
    shares = to_source_grid(
        torch.from_numpy(logits), properties, plan, configuration, probabilities=True
    ).probabilities
    assert shares is not None
    assert np.array_equal(shares.argmax(0), reference)
    assert shares.sum(0) == pytest.approx(np.ones((4, 6, 5)), abs=1e-6)
    assert shares[0, 0, 0, 0] == 1  # outside the box


def test_anisotropic_logits_are_resampled_in_plane_and_nearest_along_z(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = plan_with([0, 1, 2])
    configuration = plan.configuration("3d_fullres")
    image = np.random.default_rng(0).random((1, 6, 8, 8)).astype(np.float32) + 1
    source = Volume.from_array(image, spacing_mm=(6.0, 0.5, 0.5))
    properties = prepare(source, None, plan, configuration).properties
    assert properties.shape == (12, 4, 4)
    labels = np.zeros((12, 4, 4), np.uint8)
    labels[:, :, 2:] = 1
    labels[6:] *= 2
    logits = one_hot(labels, 3)
    whole = labels_on_source_grid(logits, properties, plan, configuration, source)
    assert np.array_equal(whole[0, 0], [0, 0, 0, 0, 1, 1, 1, 1])
    assert np.array_equal(whole[:, 0, 7], [1, 1, 1, 2, 2, 2])
    monkeypatch.setitem(export._SLAB_BYTES, "cpu", 1)  # plane by plane
    assert np.array_equal(
        labels_on_source_grid(logits, properties, plan, configuration, source), whole
    )


def test_another_volume_is_refused() -> None:
    plan = plan_with([0, 1, 2])
    configuration = plan.configuration("3d_fullres")
    image = np.ones((1, 4, 6, 5), np.float32)
    image[0, 0] = 2
    source = Volume.from_array(image, spacing_mm=(3, 1, 1))
    properties = prepare(source, None, plan, configuration).properties
    other = dataclasses.replace(source, array=image[:, :2])
    with pytest.raises(GridMismatch, match=r"\(4, 6, 5\)"):
        labels_on_source_grid(
            np.zeros((3, 4, 6, 5), np.float32), properties, plan, configuration, other
        )


def test_winning_class_is_argmax_with_ties_to_the_smallest() -> None:
    logits = np.array([[1, 3, 2, 0], [1, 3, 5, 0], [0, 4, 5, 1]], np.float32)
    assert winning_class(logits).tolist() == [0, 2, 1, 2]
    assert winning_class_on_device(torch.from_numpy(logits)).tolist() == [0, 2, 1, 2]


def test_three_hundred_classes_need_two_bytes() -> None:
    plan = plan_with([0, 1, 2])
    configuration = plan.configuration("3d_fullres")
    image = np.arange(1, 9, dtype=np.float32).reshape(1, 2, 2, 2)
    source = Volume.from_array(image, spacing_mm=(3, 1, 1))
    properties = prepare(source, None, plan, configuration).properties
    logits = np.zeros((300, 2, 2, 2), np.float32)
    logits[299] = 1
    labels = labels_on_source_grid(logits, properties, plan, configuration, source)
    assert labels.dtype == np.uint16
    assert (labels == 299).all()


SPACINGS = {"same": (3, 1, 1), "finer": (1.7, 0.6, 0.8), "coarser": (4, 1.3, 1), "thick": (8, 1, 1)}


@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
@pytest.mark.parametrize("transpose", [[0, 1, 2], [2, 0, 1]])
def test_planes_in_any_portions_give_the_same_labels(
    spacing: tuple[float, ...], transpose: list[int]
) -> None:
    plan = plan_with(transpose)
    configuration = plan.configuration("3d_fullres")
    rng = np.random.default_rng(0)
    image = np.pad(rng.random((1, 9, 11, 10)).astype(np.float32) + 1, [(0, 0), *[(1, 2)] * 3])
    properties = prepare(Volume.from_array(image, spacing_mm=spacing), None, plan, configuration)
    logits = rng.standard_normal((4, *properties.properties.shape)).astype(np.float32)
    arguments = (properties.properties, plan, configuration)
    whole = to_source_grid(logits, *arguments, probabilities=True)
    for portions in ([1] * logits.shape[1], [3, 0, 1, 100]):
        export = LabelExport(*arguments, 4, probabilities=True)
        start = 0
        for n in portions:
            export.add(logits[:, start : start + n].copy())
            start += n
        found = export.result()
        assert np.array_equal(found.labels, whole.labels)
        np.testing.assert_allclose(found.probabilities, whole.probabilities, atol=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
def test_device_resamples_as_numpy_does(spacing: tuple[float, ...]) -> None:
    grid = LogitGrid.between((7, 9, 8), (10, 6, 12), (3, 1, 1), spacing)
    logits = np.random.default_rng(0).standard_normal((3, 7, 9, 8)).astype(np.float32)
    for start, stop in ((0, 10), (4, 7)):
        lower, upper = grid.needs(start, stop)
        planes = logits[:, lower:upper]
        found = resample_on_device(torch.from_numpy(planes), grid, start, stop).numpy()
        np.testing.assert_allclose(found, grid.resample(planes, start, stop), atol=1e-6)
