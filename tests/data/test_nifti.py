"""Real odd files: each opens with the right values, or gives one sentence."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_grid, read_image, read_labels, write_labels
from napari_unet_mic.errors import BadInput, UnreadableFile

OPEN = {
    "nibabel/anatomical.nii": ((1, 25, 41, 33), "int16"),
    "nibabel/example4d.nii.gz": ((2, 24, 96, 128), "int16"),
    "nibabel/example_nifti2.nii.gz": ((2, 12, 20, 32), "int16"),
    "nibabel/functional.nii": ((20, 3, 21, 17), "float32"),
    "nibabel/reoriented_anat_moved.nii": ((1, 22, 26, 21), "float32"),
    "nibabel/resampled_anat_moved.nii": ((1, 3, 21, 17), "float32"),
    "nibabel/standard.nii.gz": ((1, 7, 5, 4), "uint8"),
    "nifti_reader_js/data/5D_small.nii": ((3, 3, 2, 1), "float32"),
    "nifti_reader_js/data/air.hdr.gz": ((1, 64, 67, 79), "float32"),
    "nifti_reader_js/data/air2.img.gz": ((1, 64, 67, 79), "float32"),
    "nifti_reader_js/data/avg152T1_LR_nifti.nii.gz": ((1, 91, 109, 91), "uint8"),
    "nifti_reader_js/data/avg152T1_LR_nifti2.nii.gz": ((1, 91, 109, 91), "float32"),
    "nifti_reader_js/data/big.nii.gz": ((1, 21, 64, 64), "float32"),
    "nifti_reader_js/data/little.nii.gz": ((1, 21, 64, 64), "float32"),
    "nifti_reader_js/data/with_extension.nii.gz": ((1, 151, 191, 161), "uint8"),
    "niivue/minimal.nii.gz": ((1, 10, 64, 64), "uint8"),
    "niivue/pcasl.nii.gz": ((10, 20, 68, 52), "int16"),
    "niivue/shear.nii.gz": ((1, 54, 422, 306), "float32"),
    "pynrrd/nrrd/tests/data/BallBinary30x30x30.nii.gz": ((1, 30, 30, 30), "int16"),
}
REFUSED = {
    "lfs_pointers/liver_6_image.nii.gz": "Git-LFS pointer",
    "lfs_pointers/liver_6_label.nii.gz": "git lfs pull",
    "lfs_pointers/ProstateX-0000_07-07-2011.nii.gz": "Git-LFS pointer",
    "lfs_pointers/corrupt-sequence_dicom.zip": "Git-LFS pointer",
    "nibabel/analyze.hdr": "Analyze",
    "nibabel/nifti1.hdr": "the .img half is missing",
    "nibabel/nifti2.hdr": "the .img half is missing",
    "nibabel/row_major.dconn.nii": "type Cifti2",
    "nibabel/bad_datatype+orig.HEAD": "another kind",
    "nibabel/phantom_truncated.PAR": "another kind",
    "nibabel/small.mnc": "another kind",
    "nibabel/test.mgz": "convert it to NIfTI",
    "nibabel/0.dcm": "another kind",
    "niivue/complex.nii.gz": "complex numbers",
    "niivue/FLAIR.nrrd": "another kind",
    "nifti_reader_js/data/not-nifti.nii": "truncated or damaged",
    "nowhere.nii.gz": "no such file",
    "nibabel": "a folder",
}


@pytest.fixture
def awkward(shared: Path) -> Path:
    return shared / "data" / "awkward"


@pytest.mark.parametrize("name", OPEN)
def test_odd_files_open_with_every_value(awkward: Path, name: str) -> None:
    volume = read_image(awkward / name)
    shape, dtype = OPEN[name]
    assert (volume.array.shape, volume.array.dtype) == (shape, np.dtype(dtype))
    assert volume.array.dtype.isnative
    expected = np.asarray(nib.load(awkward / name).dataobj)  # (i, j, k, ...)
    expected = expected.reshape(shape[::-1], order="F").T
    np.testing.assert_array_equal(volume.array, expected.astype(volume.array.dtype))
    grid = read_grid(awkward / name)
    assert (grid.n_channels, *grid.shape) == shape
    assert grid.spacing_mm == volume.spacing_mm


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_gives_one_sentence(awkward: Path, name: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_image(awkward / name)
    sentence = str(caught.value)
    assert REFUSED[name] in sentence
    assert sentence.startswith(str(awkward / name))
    assert "\n" not in sentence


def test_nan_voxels_stay(awkward: Path) -> None:
    assert np.isnan(read_image(awkward / "nibabel/resampled_anat_moved.nii").array).any()


def test_every_cut_of_a_compressed_file_gives_one_sentence(tmp_path: Path) -> None:
    whole = tmp_path / "whole.nii.gz"
    labels = np.arange(4 * 50 * 60).reshape(4, 50, 60).astype(np.int16)
    write_labels(whole, labels, Volume.from_array(labels))
    content = whole.read_bytes()
    cut = tmp_path / "cut.nii.gz"
    for size in (1, 8, 40, 200, len(content) // 2, len(content) - 9, len(content) - 1):
        cut.write_bytes(content[:size])
        with pytest.raises(UnreadableFile, match=r"truncated or damaged|not gzip-compressed"):
            read_image(cut)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    cut.write_bytes(flipped)
    with pytest.raises(UnreadableFile, match="truncated or damaged"):
        read_image(cut)


def test_a_gzip_file_of_several_members_is_read_whole(tmp_path: Path) -> None:
    labels = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    write_labels(tmp_path / "a.nii", labels, Volume.from_array(labels))
    content = (tmp_path / "a.nii").read_bytes()
    parts = gzip.compress(content[:360]) + gzip.compress(content[360:])
    (tmp_path / "a.nii.gz").write_bytes(parts)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").array, labels)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_was_read_can_be_painted_and_the_file_replaced(tmp_path: Path, name: str) -> None:
    labels = np.zeros((4, 3, 2), np.uint8)
    write_labels(tmp_path / name, labels, Volume.from_array(labels))
    volume = read_labels(tmp_path / name)
    assert not isinstance(volume.array.base, np.memmap)
    volume.array[1, 1, 1] = 2
    write_labels(tmp_path / name, volume.array, volume)
    assert read_labels(tmp_path / name).array[1, 1, 1] == 2


def test_a_header_that_claims_terabytes_is_refused_before_they_are_allocated(
    tmp_path: Path,
) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_sform(np.eye(4), 1)
    for name, pack in (("a.nii", bytes), ("a.nii.gz", gzip.compress)):
        file = tmp_path / name
        file.write_bytes(pack(header.binaryblock + bytes(1000)))
        with pytest.raises(UnreadableFile, match="bytes of voxels"):
            read_image(file)


def test_plain_nifti_under_a_gz_name(tmp_path: Path) -> None:
    labels = np.ones((2, 3, 4), np.uint8)
    write_labels(tmp_path / "a.nii", labels, Volume.from_array(labels))
    (tmp_path / "a.nii").rename(tmp_path / "a.nii.gz")
    with pytest.raises(UnreadableFile, match=r"rename it to \.nii"):
        read_image(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    "affine",
    [np.diag([1.0, 1, 0, 1]), np.full((4, 4), np.nan)],
    ids=["flat", "nan"],
)
def test_an_affine_that_places_nothing_is_refused(
    tmp_path: Path, affine: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((2, 2, 2))
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["sform_code"] = 1
    for axis, row in enumerate(("srow_x", "srow_y", "srow_z")):
        header[row] = affine[axis]
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(4 + 32))
    with np.errstate(all="ignore"), pytest.raises(UnreadableFile):
        read_image(tmp_path / "a.nii")


def test_random_damage_to_a_header_never_escapes_as_another_error(
    awkward: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="nibabel.global")
    rng = np.random.default_rng(0)
    content = (awkward / "nibabel/anatomical.nii").read_bytes()
    file = tmp_path / "a.nii"
    opened = refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[rng.integers(348)] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            volume = read_image(file)
            assert min(volume.spacing_mm) > 0
            opened += 1
        except BadInput:
            refused += 1
    assert opened
    assert refused


def test_units_of_metres_and_microns_become_millimetres(tmp_path: Path) -> None:
    for unit, factor in (("meter", 1000.0), ("micron", 0.001), ("mm", 1.0), ("unknown", 1.0)):
        volume = Volume.from_array(np.zeros((2, 3, 4), np.uint8), spacing_mm=(5.0, 2.0, 1.5))
        volume.header.set_xyzt_units(unit)
        file = tmp_path / f"{unit}.nii"
        write_labels(file, volume.array, volume)
        read = read_labels(file)
        np.testing.assert_allclose(read.spacing_mm, np.array([5.0, 2.0, 1.5]) * factor)
        np.testing.assert_allclose(read.affine[0, 0], -1.5 * factor)
        assert read.header.get_xyzt_units()[0] == unit
