import numpy as np
import pytest

from napari_unet_mic.gui import layers, preview_layers
from napari_unet_mic.gui.preview_view import PreviewView
from napari_unet_mic.gui.previews import Preview

CLASSES = {0: "background", 1: "liver"}


def preview(slices=4, *, fullest=2, channels=1):
    reference = np.zeros((slices, 3, 2), np.uint8)
    reference[fullest] = 1
    image = np.random.default_rng(0).normal(size=(channels, slices, 3, 2)).astype(np.float32)
    return Preview(image, reference, reference * 0, (5.0, 1.0, 2.0), "liver_3")


@pytest.fixture
def view(qtbot):
    view = PreviewView()
    qtbot.addWidget(view)
    return view


def test_the_fullest_slice_is_shown_until_another_is_chosen(view):
    view.show_preview(preview(), "a in epoch 3")
    assert view.title.whole == "a in epoch 3 · liver_3"
    assert view.number.text() == "3/4"
    assert all(picture.image is not None for picture in view.pictures)

    view.show_preview(preview(fullest=1), "a in epoch 4")
    assert view.number.text() == "2/4"

    view.slice.sliderMoved.emit(3)
    view.slice.setValue(3)
    view.show_preview(preview(fullest=0), "a in epoch 5")
    assert view.number.text() == "4/4"

    view.show_preview(preview(2, fullest=1), "b in epoch 1")
    assert view.number.text() == "2/2"


def test_two_dimensional_patches_have_one_slice(view):
    view.show_preview(preview(1, fullest=0), "a")

    assert not view.slice.isEnabled()
    assert view.number.text() == "1/1"


def test_nothing_to_show_says_so(view):
    view.show_preview(preview(), "a")
    view.show_preview(None)

    assert "No preview yet" in view.title.whole
    assert view.pictures[0].image is None


def test_pictures_keep_the_proportions_of_millimetres(view):
    view.show_preview(preview(), "a")

    assert view.pictures[0]._proportion == pytest.approx((2 * 2.0) / (3 * 1.0))


def test_layers_are_made_once_and_updated_in_place(viewer):
    first = preview_layers.show_preview(viewer, preview(channels=2), CLASSES)
    assert [layer.name for layer in first] == [
        "preview image 2",
        "preview image",
        "preview reference",
        "preview prediction",
    ]
    assert tuple(first[0].scale) == (5.0, 1.0, 2.0)
    first[-1].opacity = 0.9

    newer = preview(channels=2, fullest=0)
    second = preview_layers.show_preview(viewer, newer, CLASSES)

    assert all(one is other for one, other in zip(first, second, strict=True))
    assert second[-1].opacity == 0.9
    assert np.array_equal(viewer.layers["preview reference"].data, newer.reference)
    assert layers.labels_layers(viewer) == []  # never offered for a comparison


def test_another_shape_takes_new_layers_and_hiding_takes_all(viewer):
    preview_layers.show_preview(viewer, preview(), CLASSES)
    preview_layers.show_preview(viewer, preview(6), CLASSES)
    assert len(viewer.layers) == 3

    preview_layers.hide_preview(viewer)
    assert len(viewer.layers) == 0
    assert not preview_layers.has_preview(viewer)
