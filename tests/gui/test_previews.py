import numpy as np
import pytest

from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.gui.previews import pictures_of, read_preview

RED = (1.0, 0.0, 0.0, 1.0)


@pytest.fixture
def saved(tmp_path):
    """Write a preview of 4 slices of 3 x 2 voxels, 5 x 1 x 2 mm; what is named differs."""

    def write(**changes):
        reference = np.zeros((4, 3, 2), np.uint8)
        reference[2, 1, 1] = 1
        image = np.zeros((2, 4, 3, 2), np.float16)
        image[0, 2] = 1
        arrays = {
            "image": image,
            "reference": reference,
            "prediction": np.zeros((4, 3, 2), np.uint8),
            "spacing_mm": np.array([5.0, 1.0, 2.0]),
            "case": "liver_3",
            **changes,
        }
        file = tmp_path / "preview.npz"
        np.savez(file, **{k: v for k, v in arrays.items() if v is not None})
        return file

    return write


def test_a_preview_comes_back_as_it_was_saved(saved):
    preview = read_preview(saved())

    assert preview.image.shape == (2, 4, 3, 2)
    assert preview.image.dtype == np.float32
    assert preview.spacing_mm == (5.0, 1.0, 2.0)
    assert preview.case == "liver_3"
    assert preview.fullest_slice == 2


@pytest.mark.parametrize(
    ("reference", "prediction", "place"),
    [
        (np.zeros((4, 3, 2), np.uint8), np.zeros((4, 3, 2), np.uint8), 2),
        (np.zeros((4, 3, 2), np.uint8), np.eye(4, 6, dtype=np.uint8).reshape(4, 3, 2), 0),
        (-np.ones((4, 3, 2), np.int16), np.zeros((4, 3, 2), np.uint8), 2),
    ],
    ids=["empty", "prediction-only", "ignored"],
)
def test_without_foreground_in_the_reference_another_slice_is_chosen(
    saved, reference, prediction, place
):
    assert read_preview(saved(reference=reference, prediction=prediction)).fullest_slice == place


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prediction": None}, "prediction"),
        ({"prediction": np.zeros((4, 3, 3))}, r"prediction \(4, 3, 3\)"),
        ({"image": np.zeros((4, 3, 2))}, "image"),
        ({"image": np.array([{}], dtype=object)}, "allow_pickle"),
    ],
    ids=["missing", "other-shape", "no-channel", "objects"],
)
def test_what_is_no_preview_is_refused_with_a_sentence(saved, changes, words):
    with pytest.raises(UnreadableFile, match=words):
        read_preview(saved(**changes))


def test_a_torn_file_is_refused(saved):
    file = saved()
    file.write_bytes(file.read_bytes()[:200])

    with pytest.raises(UnreadableFile):
        read_preview(file)


def test_pictures_are_grey_with_classes_over_them(saved):
    grey, reference, prediction = pictures_of(read_preview(saved()), 2, lambda _: RED)

    assert grey.shape == (3, 2, 3)
    assert grey.min() == 255  # the brightest slice of the patch
    assert reference[1, 1].tolist() == [255, 114, 114]
    assert np.array_equal(prediction, grey)


def test_a_flat_patch_is_black(saved):
    preview = read_preview(saved(image=np.full((1, 4, 3, 2), 7, np.float16)))

    assert pictures_of(preview, 0, lambda _: RED)[0].max() == 0
