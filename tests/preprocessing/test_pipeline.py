"""From a case to the network's grid, on arrays the eye can check."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.errors import BadInput, BadPlan, ChannelMismatch, GridMismatch
from napari_unet_mic.planning.plan import Configuration, Plan
from napari_unet_mic.preprocessing.pipeline import Properties, prepare


class PlanMaker(Protocol):
    """What the fixture `make_plan` gives."""

    def __call__(self, **options: Any) -> tuple[Plan, Configuration]: ...


def image_of(array: np.ndarray, spacing_mm: tuple[float, ...] = (1, 1, 1)) -> Volume:
    return Volume.from_array(array, spacing_mm=spacing_mm)


def test_the_nonzero_box_is_cut_out_and_labels_say_minus_one_outside(make_plan: PlanMaker) -> None:
    array = np.zeros((1, 5, 6, 7), dtype=np.int16)
    array[0, 1:4, 2:5, 3:6] = 5
    array[0, 2, 3, 4] = 0  # a hole inside, filled
    array[0, 1, 2, 3] = 0  # a corner, outside
    labels = np.zeros((5, 6, 7), dtype=np.uint8)
    labels[2, 2, 3] = 1
    prepared = prepare(image_of(array), image_of(labels), *make_plan())
    assert prepared.properties.box.lower == (1, 2, 3)
    assert prepared.properties.box.upper == (4, 5, 6)
    assert prepared.data.shape == (1, 3, 3, 3)
    assert prepared.data.dtype == np.float32
    assert prepared.labels is not None
    assert prepared.labels.dtype == np.int16
    assert prepared.labels[0, 0, 0] == -1
    assert prepared.labels[1, 1, 1] == 0
    assert prepared.labels[1, 0, 0] == 1
    assert (prepared.labels == -1).sum() == 1


def test_an_empty_image_stays_whole(make_plan: PlanMaker) -> None:
    array = np.zeros((1, 3, 4, 5), dtype=np.float32)
    prepared = prepare(image_of(array), None, *make_plan(schemes=("ZScoreNormalization",)))
    assert prepared.data.shape == (1, 3, 4, 5)
    assert not prepared.data.any()
    assert prepared.labels is None


def test_axes_follow_the_plan_and_anisotropic_spacing_with_them(make_plan: PlanMaker) -> None:
    array = np.arange(2 * 4 * 6, dtype=np.float32).reshape(1, 2, 4, 6) + 1
    plan, configuration = make_plan(spacing=(2.0, 4.0, 1.0), transpose=(2, 0, 1))
    prepared = prepare(image_of(array, (4, 1, 2)), None, plan, configuration)
    assert prepared.properties.spacing_mm == (2, 4, 1)
    assert prepared.properties.source_spacing_mm == (4, 1, 2)
    assert prepared.properties.shape_before == (6, 2, 4)
    np.testing.assert_array_equal(prepared.data[0], array[0].transpose(2, 0, 1))


def test_a_2d_configuration_keeps_the_first_axis_spacing(make_plan: PlanMaker) -> None:
    array = np.ones((1, 3, 4, 4), dtype=np.float32)
    prepared = prepare(image_of(array, (5, 1, 1)), None, *make_plan(spacing=(0.5, 2.0)))
    assert prepared.properties.target_spacing_mm == (5, 0.5, 2)
    assert prepared.properties.shape == (3, 8, 2)


def test_normalisation_comes_before_resampling_and_looks_inside_the_mask(
    make_plan: PlanMaker,
) -> None:
    array = np.zeros((1, 1, 2, 4), dtype=np.float32)
    array[0, 0, 0] = [0, 1, 3, 3]
    array[0, 0, 1] = [1, 1, 3, 3]
    plan, configuration = make_plan(schemes=("ZScoreNormalization",), masks=(True,))
    data = prepare(image_of(array), None, plan, configuration).data[0, 0]
    inside = np.array([1, 3, 3, 1, 1, 3, 3], dtype=float)
    assert data[0, 0] == 0
    np.testing.assert_allclose(data[0, 1], (1 - inside.mean()) / inside.std(), atol=1e-6)


def test_the_source_is_left_as_it_was(make_plan: PlanMaker) -> None:
    array = np.random.default_rng(0).standard_normal((1, 4, 4, 4)).astype(np.float32)
    before = array.copy()
    prepare(image_of(array), None, *make_plan(schemes=("ZScoreNormalization",)))
    np.testing.assert_array_equal(array, before)


def test_properties_survive_json(make_plan: PlanMaker) -> None:
    array = np.ones((1, 3, 4, 4), dtype=np.float32)
    properties = prepare(image_of(array, (5, 1, 1)), None, *make_plan()).properties
    assert Properties.from_json(json.loads(json.dumps(properties.to_json()))) == properties
    with pytest.raises(BadInput, match="prepare the case again"):
        Properties.from_json({**properties.to_json(), "format_version": 99})


def test_another_number_of_channels_is_an_error(make_plan: PlanMaker) -> None:
    image = replace(image_of(np.ones((2, 3, 3, 3))), file=Path("a.nii.gz"))
    with pytest.raises(ChannelMismatch, match=r"a\.nii\.gz: expected 1 channels.*got 2"):
        prepare(image, None, *make_plan())


def test_labels_on_another_grid_are_an_error(make_plan: PlanMaker) -> None:
    labels = image_of(np.zeros((3, 3, 4), dtype=np.uint8))
    with pytest.raises(GridMismatch, match=r"\(3, 3, 4\)"):
        prepare(image_of(np.ones((1, 3, 3, 3))), labels, *make_plan())


def test_nan_is_an_error(make_plan: PlanMaker) -> None:
    array = np.ones((1, 2, 2, 2), dtype=np.float32)
    array[0, 0, 0, 0] = np.nan
    with pytest.raises(BadInput, match="1 voxels of channel 0"):
        prepare(image_of(array), None, *make_plan())


def test_a_case_thinner_than_a_target_voxel_is_an_error(make_plan: PlanMaker) -> None:
    image = image_of(np.ones((1, 1, 4, 4)), (0.1, 1, 1))
    with pytest.raises(BadInput, match="at least one voxel of 5 × 1 × 1 mm"):
        prepare(image, None, *make_plan(spacing=(5.0, 1.0, 1.0)))


def test_orders_we_do_not_have_are_a_bad_plan(make_plan: PlanMaker) -> None:
    plan, configuration = make_plan(
        spacing=(0.5, 1.0, 1.0),
        resampling_fn_data_kwargs={"is_seg": False, "order": 2, "order_z": 0},
    )
    with pytest.raises(BadPlan, match="spline orders 0, 1 or 3, got order 2"):
        prepare(image_of(np.ones((1, 3, 3, 3))), None, plan, configuration)
