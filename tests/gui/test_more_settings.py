import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.phantom import write_liver
from napari_unet_mic.errors import BadInput
from napari_unet_mic.gui.fitting import Room
from napari_unet_mic.gui.more_settings import NO_PLAN, MoreSettings
from napari_unet_mic.gui.settings_words import USUAL, values_of
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.rules import plan_experiment

CLASSES = {0: "background", 1: "liver", 2: "cancer"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "Task03_Liver"
    dataset = open_dataset(write_liver(folder, 2, shape=(24, 48, 48), seed=0, n_test=0))
    return plan_experiment(extract(dataset), dataset.nnunet_json())


@pytest.fixture
def room(plan):
    return Room(plan.configuration("3d_fullres"), 1, 3, 4_000_000_000)


@pytest.fixture
def more(qtbot, room):
    more = MoreSettings()
    qtbot.addWidget(more)
    more.show_room(room, CLASSES)
    return more


def test_untouched_it_is_nnunets_recipe(more):
    assert more.values() == values_of(USUAL)
    assert more.gist == "nnU-Net's recipe"
    assert more.refusal == ""


def test_without_a_plan_batch_and_patch_wait_for_it(qtbot):
    more = MoreSettings()
    qtbot.addWidget(more)

    assert not more.batch.isEnabled()
    assert more.memory.text() == NO_PLAN
    assert more.values() == values_of(USUAL)


def test_batch_and_patch_are_those_of_the_plan_until_they_are_changed(more, room):
    assert more.batch.value() == room.batch_size
    z, y, x = room.patch_size
    more.patch[0].stepUp()
    more.batch.setValue(room.batch_size + 1)

    values = more.values()
    assert values["patch_size"] == (z + room.steps[0], y, x)
    assert values["batch_size"] == room.batch_size + 1
    assert f"batch {room.batch_size + 1}" in more.gist
    assert more.memory.text() == room.sentence(room.batch_size + 1, values["patch_size"])


def test_the_batch_is_bounded_by_the_devices_memory(more, room):
    more.batch.setValue(64)

    assert more.batch.value() == room.largest_batch(room.patch_size) < 64
    assert more.refusal == ""


def test_a_patch_that_does_not_fit_is_refused_in_words(more, room):
    more.patch[1].setValue(more.patch[1].maximum())

    assert "too much for this device" in more.refusal
    assert more.memory.text().startswith("⚠")


def test_a_patch_that_the_strides_do_not_divide_is_refused(more, room):
    more.patch[1].setValue(room.patch_size[1] + 1)

    assert f"y must be a multiple of {room.steps[1]}" in more.refusal


def test_another_plan_brings_its_own_sizes(more, plan):
    more.batch.setValue(1)
    flat = Room(plan.configuration("2d"), 1, 3)
    more.show_room(flat, CLASSES)

    assert more.values()["batch_size"] is None
    assert more.values()["patch_size"] is None
    assert not more.patch[0].isEnabled()


def test_another_device_keeps_what_was_chosen(more, room):
    more.batch.setValue(1)
    more.show_room(Room(room.configuration, 1, 3, None), CLASSES)

    assert more.values()["batch_size"] == 1


def test_the_preset_fills_fields_that_one_sees(more, qtbot):
    with qtbot.waitSignal(more.small_lesions_wanted):
        more.small_lesions.click()
    preset = {
        "focus_class": 2,
        "foreground_oversampling": 0.67,
        "class_weights": (1.0, 1.0, 2.0),
    }
    more.apply(preset)

    assert {field: more.values()[field] for field in preset} == preset
    assert more.focus.currentText() == "cancer"
    assert more.weights.text() == "1 1 2"
    assert more.gist == "foreground 67 % · centred on lesions · weights 1 1 2"

    more.recipe.click()
    assert more.values() == values_of(USUAL)


@pytest.mark.parametrize("text", ["1 2", "1 2 x", "1 2 3 4"])
def test_class_weights_must_be_one_a_class(more, text):
    more.weights.setText(text)

    with pytest.raises(BadInput, match="background liver cancer"):
        more.values()
    assert more.gist == "class weights?"


def test_every_field_names_its_option(more):
    for control in (more.batch, *more.patch, more.early, more.augmentation, more.precision):
        assert "Command line:" in control.toolTip()
    for control in (more.rate, more.warm_up, more.foreground, more.focus, more.weights, more.seed):
        assert "Command line:" in control.toolTip()
