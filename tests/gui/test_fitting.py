import json
from dataclasses import replace

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.gui.fitting import MOST_BATCH, Room
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.planning.topology import describe


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    dataset = open_dataset(write_liver(folder, 2, shape=(24, 48, 48), seed=0, n_test=0))
    return plan_experiment(extract(dataset), json.loads(json.dumps(dataset.nnunet_json())))


@pytest.fixture
def room(plan):
    return Room(plan.configuration("3d_fullres"), 1, 3, 2_000_000_000)


def test_the_plans_own_sizes_take_what_the_plan_says(room):
    facts = describe(room.configuration, 1, 3)

    assert room.memory_bytes(room.batch_size, room.patch_size) == facts.memory_bytes_estimate
    assert room.fits(room.batch_size, room.patch_size)
    assert room.refusal(room.batch_size, room.patch_size) == ""
    assert room.sentence(2, room.patch_size).endswith("while training, of 2 GB")


def test_steps_are_the_products_of_the_strides(room):
    strides = room.configuration.architecture.strides
    for axis, step in enumerate(room.steps):
        product = 1
        for stride in strides:
            product *= stride[axis]
        assert step == product
        assert room.patch_size[axis] % step == 0


def test_the_largest_batch_fits_and_one_more_does_not(room):
    small = replace(room, limit_bytes=room.memory_bytes(5, room.patch_size) + 1)

    assert small.largest_batch(room.patch_size) == 5
    assert small.fits(5, room.patch_size)
    assert not small.fits(6, room.patch_size)
    assert small.refusal(6, room.patch_size).endswith("a batch of 5 fits")


def test_without_a_known_memory_everything_goes(room):
    unknown = replace(room, limit_bytes=None)

    assert unknown.largest_batch(room.patch_size) == MOST_BATCH
    assert unknown.refusal(MOST_BATCH, room.patch_size) == ""


def test_where_no_batch_fits_a_smaller_patch_is_advised(room):
    tiny = replace(room, limit_bytes=1_000)

    assert tiny.largest_batch(room.patch_size) == 1
    assert tiny.refusal(2, room.patch_size).endswith("make the patch smaller")


def test_a_configuration_of_slices_has_patches_one_slice_deep(plan):
    flat = Room(plan.configuration("2d"), 1, 3)

    assert flat.is_flat
    assert flat.patch_size == (1, *plan.configuration("2d").patch_size)
    assert flat.steps[0] == 1
    assert flat.memory_bytes(flat.batch_size, flat.patch_size) > 0
