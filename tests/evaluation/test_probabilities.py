import numpy as np
import pytest

from napari_unet_mic.errors import Cancelled, GridMismatch, UnknownClass, UnreadableFile
from napari_unet_mic.evaluation import probabilities
from napari_unet_mic.evaluation.probabilities import (
    probabilities_at,
    probabilities_beside,
    probability_map,
    uncertainty_map,
)

SHAPE = (4, 5, 6)
RNG = np.random.default_rng(0)
SHARES = RNG.random((3, *SHAPE)).astype(np.float32)
PLACES = np.stack([RNG.integers(0, size, 40) for size in SHAPE])
CLASSES = RNG.integers(0, 3, 40).astype(np.uint8)
EXPECTED = SHARES[(CLASSES.astype(int), *PLACES)]


def compressed(file, shares):
    np.savez_compressed(file, probabilities=shares)


def stored(file, shares):
    np.savez(file, probabilities=shares)


@pytest.mark.parametrize("write", [compressed, stored], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_every_voxel_gets_the_probability_of_its_class(tmp_path, monkeypatch, write, dtype, layout):
    monkeypatch.setattr(probabilities, "CHUNK_VALUES", 37)
    file = tmp_path / "case_1.npz"
    write(file, np.asarray(SHARES.astype(dtype), order=layout))
    found = probabilities_at(file, PLACES, CLASSES, SHAPE)
    assert found == pytest.approx(EXPECTED, abs=1e-3)


def test_an_npy_file_serves_too_and_nothing_asked_is_nothing_read(tmp_path):
    np.save(tmp_path / "a_probabilities.npy", SHARES)
    file = probabilities_beside(tmp_path / "a.nii.gz")
    assert probabilities_at(file, PLACES, CLASSES, SHAPE) == pytest.approx(EXPECTED, abs=1e-3)
    assert probabilities_at(file, PLACES[:, :0], CLASSES[:0], SHAPE).size == 0


def test_a_class_the_network_does_not_know_has_no_probability(tmp_path):
    compressed(tmp_path / "a.npz", SHARES)
    classes = np.where(CLASSES == 1, 7, CLASSES)
    found = probabilities_at(tmp_path / "a.npz", PLACES, classes, SHAPE)
    assert np.array_equal(np.isnan(found), CLASSES == 1)


def test_the_file_lies_beside_the_label(tmp_path):
    assert probabilities_beside(None) is None
    assert probabilities_beside(tmp_path / "case_1.nii.gz") is None
    (tmp_path / "case_1.npz").touch()
    assert probabilities_beside(tmp_path / "case_1.nii.gz") == tmp_path / "case_1.npz"
    assert probabilities_beside(tmp_path / "case_1.nii") == tmp_path / "case_1.npz"


def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(UnreadableFile, match=r"a\.npz.*--probabilities"):
        probabilities_at(file, PLACES, CLASSES, SHAPE)
    np.savez(file, softmax=SHARES)
    with pytest.raises(UnreadableFile, match="probabilities"):
        probabilities_at(file, PLACES, CLASSES, SHAPE)
    compressed(file, np.zeros(SHAPE, np.float32))
    with pytest.raises(UnreadableFile, match="shape"):
        probabilities_at(file, PLACES, CLASSES, SHAPE)
    compressed(file, np.array([{"a": 1}], object))
    with pytest.raises(UnreadableFile):
        probabilities_at(file, PLACES, CLASSES, SHAPE)
    compressed(file, SHARES)
    with pytest.raises(GridMismatch, match=r"\(4, 5, 7\).*\(4, 5, 6\)"):
        probabilities_at(file, PLACES, CLASSES, (4, 5, 7))
    with pytest.raises(Cancelled):
        probabilities_at(file, PLACES, CLASSES, SHAPE, should_stop=lambda: True)
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(UnreadableFile):
        probabilities_at(file, PLACES, CLASSES, SHAPE)


@pytest.mark.parametrize("value", [0, 1, 2])
@pytest.mark.parametrize("chunk", [1, 7, 37, 1 << 20])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_the_probabilities_of_one_class_are_read_alone(tmp_path, monkeypatch, layout, chunk, value):
    monkeypatch.setattr(probabilities, "CHUNK_VALUES", chunk)
    compressed(tmp_path / "a.npz", np.asarray(SHARES, order=layout))
    found = probability_map(tmp_path / "a.npz", value, SHAPE)
    assert found.dtype == np.float16
    assert np.array_equal(found, SHARES[value].astype(np.float16))


def test_one_class_of_an_npy_file_and_an_empty_grid(tmp_path):
    np.save(tmp_path / "a_probabilities.npy", SHARES.astype(np.float64))
    found = probability_map(tmp_path / "a_probabilities.npy", 1, SHAPE)
    assert np.array_equal(found, SHARES[1].astype(np.float16))
    np.save(tmp_path / "b_probabilities.npy", np.zeros((2, 0, 5, 6), np.float32))
    assert probability_map(tmp_path / "b_probabilities.npy", 1, (0, 5, 6)).shape == (0, 5, 6)


@pytest.mark.parametrize("chunk", [1, 7, 37, 1 << 20])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_uncertainty_is_the_entropy_of_the_classes(tmp_path, monkeypatch, layout, chunk):
    monkeypatch.setattr(probabilities, "CHUNK_VALUES", chunk)
    shares = SHARES / SHARES.sum(0)
    shares[:, 0, 0, 0], shares[:, 0, 0, 1] = (0, 1, 0), 1 / 3
    compressed(tmp_path / "a.npz", np.asarray(shares, order=layout))
    found = uncertainty_map(tmp_path / "a.npz", SHAPE)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = -np.nansum(shares * np.log(shares), 0) / np.log(3)
    assert found.dtype == np.float16
    assert np.allclose(found, expected, atol=2e-3)
    assert (found[0, 0, 0], found[0, 0, 1]) == (0, 1)


def test_uncertainty_of_an_empty_grid_and_of_what_cannot_be_read(tmp_path):
    np.save(tmp_path / "b_probabilities.npy", np.zeros((2, 0, 5, 6), np.float32))
    assert uncertainty_map(tmp_path / "b_probabilities.npy", (0, 5, 6)).shape == (0, 5, 6)
    compressed(tmp_path / "a.npz", SHARES)
    with pytest.raises(GridMismatch):
        uncertainty_map(tmp_path / "a.npz", (4, 6, 5))
    with pytest.raises(Cancelled):
        uncertainty_map(tmp_path / "a.npz", SHAPE, should_stop=lambda: True)


def test_one_class_that_cannot_be_read_is_refused_in_a_sentence(tmp_path):
    file = tmp_path / "a.npz"
    compressed(file, SHARES)
    with pytest.raises(UnknownClass, match=r"class 3.*3 classes"):
        probability_map(file, 3, SHAPE)
    with pytest.raises(GridMismatch):
        probability_map(file, 1, (4, 6, 5))
    with pytest.raises(Cancelled):
        probability_map(file, 1, SHAPE, should_stop=lambda: True)
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(UnreadableFile, match="--probabilities"):
        probability_map(file, 2, SHAPE)
