from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unet_mic.data.volume import (
    Volume,
    check_same_grid,
    displacement_voxels,
    read_grid,
    read_image,
    read_labels,
    write_image,
    write_labels,
)
from napari_unet_mic.errors import BadInput, ChannelMismatch, GridMismatch

OBLIQUE = np.array(
    [[0.7, 0.05, 0.1, 11.0], [-0.04, 0.69, 0.4, -7.0], [0.02, -0.06, 2.9, 3.5], [0, 0, 0, 1.0]]
)


def save(
    file: Path, array: NDArray[Any], affine: NDArray[np.float64] = OBLIQUE, **fields: Any
) -> Path:
    """Save a file array (i, j, k) with nibabel, header fields set by hand."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, file)
    return file


def test_the_file_axes_are_reversed_once(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # i, j, k
    volume = read_image(save(tmp_path / "a.nii.gz", array, np.diag([1.0, 2.0, 3.0, 1.0])))
    assert volume.array.shape == (1, 4, 3, 2)
    assert volume.array[0, 3, 2, 1] == array[1, 2, 3]
    assert volume.shape == (4, 3, 2)
    assert volume.spacing_mm == (3.0, 2.0, 1.0)
    assert volume.voxel_ml == pytest.approx(0.006)
    assert not volume.is_labels
    assert volume.array.flags.c_contiguous


def test_channels_are_the_last_axis_of_a_4d_file(tmp_path: Path) -> None:
    array = np.arange(48, dtype=np.float32).reshape(2, 3, 4, 2)
    volume = read_image(save(tmp_path / "a.nii", array))
    assert volume.n_channels == 2
    assert volume.array[1, 3, 2, 1] == array[1, 2, 3, 1]


def test_channel_files_become_channels_without_losing_values(tmp_path: Path) -> None:
    a = save(tmp_path / "a_0000.nii", np.full((2, 3, 4), -5, np.int16))
    b = save(tmp_path / "a_0001.nii", np.full((2, 3, 4), 65535, np.uint16))
    volume = read_image([a, b])
    assert volume.array.shape == (2, 4, 3, 2)
    assert volume.array.dtype == np.int32
    assert (volume.array[0] == -5).all()
    assert (volume.array[1] == 65535).all()


def test_channels_on_different_grids_are_refused(tmp_path: Path) -> None:
    a = save(tmp_path / "a_0000.nii", np.zeros((2, 3, 4), np.int16))
    moved = OBLIQUE.copy()
    moved[0, 3] += 2.0
    b = save(tmp_path / "a_0001.nii", np.zeros((2, 3, 4), np.int16), moved)
    with pytest.raises(GridMismatch, match=r"a_0001\.nii.*a_0000\.nii") as caught:
        read_image([a, b])
    assert caught.value.displacement_voxels == pytest.approx(2.0 / 0.7, rel=0.01)


def test_a_4d_file_among_channel_files_is_refused(tmp_path: Path) -> None:
    a = save(tmp_path / "a_0000.nii", np.zeros((2, 3, 4), np.int16))
    b = save(tmp_path / "a_0001.nii", np.zeros((2, 3, 4, 2), np.int16))
    with pytest.raises(ChannelMismatch, match="one channel in each"):
        read_image([a, b])


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", ">i2"]
)
def test_stored_values_keep_their_dtype(tmp_path: Path, dtype: str) -> None:
    array = np.array([0, 1, 200, 3], dtype=dtype).reshape(2, 2, 1)
    file = tmp_path / "a.nii"
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    nib.save(nib.Nifti1Image(array, np.eye(4), header, dtype=np.dtype(dtype)), file)
    volume = read_image(file)
    assert volume.array.dtype == np.dtype(dtype).newbyteorder("=")
    assert volume.array.ravel().tolist() == [0, 200, 1, 3]


def test_slope_and_intercept_make_float32(tmp_path: Path) -> None:
    file = tmp_path / "a.nii"
    image = nib.Nifti1Image(np.array([0, 1, 2, 255], np.uint8).reshape(4, 1, 1), np.eye(4))
    image.header.set_slope_inter(0.5, -1024)
    image.to_filename(file)
    content = bytearray(file.read_bytes())
    content[352:356] = bytes([0, 1, 2, 255])  # nibabel rescales on saving: put the bytes back
    file.write_bytes(content)
    volume = read_image(file)
    assert volume.array.dtype == np.float32
    assert volume.array.ravel().tolist() == [-1024, -1023.5, -1023, -896.5]


def test_labels_stored_as_float_are_their_integers(tmp_path: Path) -> None:
    array = np.array([0.0, 0.99999997, 2.0004, 1.0]).reshape(4, 1, 1)
    labels = read_labels(save(tmp_path / "a.nii", array))
    assert labels.array.dtype == np.uint8
    assert labels.array.ravel().tolist() == [0, 1, 2, 1]
    assert labels.is_labels


@pytest.mark.parametrize("odd", [0.5, np.nan, np.inf, 1e20])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path, odd: float) -> None:
    array = np.array([0.0, 1.0, odd, 1.0]).reshape(4, 1, 1)
    with pytest.raises(BadInput, match=r"1 voxels that are none.*name the label file"):
        read_labels(save(tmp_path / "a.nii", array))


def test_labels_with_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="2 channels"):
        read_labels(save(tmp_path / "a.nii", np.zeros((2, 2, 2, 2), np.uint8)))


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_a_label_written_back_is_the_same_file(tmp_path: Path, name: str, dtype: str) -> None:
    source = save(
        tmp_path / "in.nii.gz",
        np.arange(24).reshape(2, 3, 4).astype(dtype),
        sform_code=2,
        qform_code=3,
        descrip=b"made by hand",
    )
    labels = read_labels(source)
    painted = labels.array.copy()
    painted[1, 2, 0] = 7
    write_labels(tmp_path / name, painted, labels)
    again = read_labels(tmp_path / name)
    np.testing.assert_array_equal(again.array, painted)
    assert bytes(again.header.binaryblock) == bytes(labels.header.binaryblock)
    assert np.array_equal(again.affine, labels.affine)


def test_a_header_whose_pixdim_and_sform_disagree_stays_bit_for_bit(tmp_path: Path) -> None:
    source = save(
        tmp_path / "in.nii.gz",
        np.zeros((2, 3, 4), np.uint8),
        pixdim=[1, 0.7000005, 0.7, 3, 2.5, 1, 1, 9],
        toffset=4,
    )
    labels = read_labels(source)
    write_labels(tmp_path / "out.nii.gz", labels.array, labels)
    written = nib.load(tmp_path / "out.nii.gz").header
    assert bytes(written.binaryblock) == bytes(nib.load(source).header.binaryblock)


def test_labels_too_large_for_the_source_type_get_a_larger_one(tmp_path: Path) -> None:
    like = read_labels(save(tmp_path / "in.nii", np.zeros((2, 3, 4), np.uint8)))
    write_labels(tmp_path / "out.nii", np.full((4, 3, 2), 300), like)
    assert read_labels(tmp_path / "out.nii").array.dtype == np.uint16
    write_labels(tmp_path / "out.nii", np.full((4, 3, 2), -1), like)
    assert read_labels(tmp_path / "out.nii").array.dtype == np.int8
    write_labels(tmp_path / "out.nii", np.full((4, 3, 2), 3), like, dtype=np.int16)
    assert read_labels(tmp_path / "out.nii").array.dtype == np.int16


def test_labels_like_a_scaled_4d_image_with_notes(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 3, 4, 2), np.int16), OBLIQUE)
    image.header.set_xyzt_units("mm", "sec")
    image.header["cal_max"] = 500
    image.header.set_slope_inter(2.0, -1024)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nib.save(image, tmp_path / "in.nii.gz")
    source = read_image(tmp_path / "in.nii.gz")
    write_labels(tmp_path / "out.nii.gz", np.ones((4, 3, 2), np.int64), source)
    written = nib.load(tmp_path / "out.nii.gz")
    assert written.shape == (2, 3, 4)
    assert written.get_data_dtype() == np.uint8
    assert (np.asarray(written.dataobj) == 1).all()
    assert len(written.header.extensions) == 0
    assert written.header["cal_max"] == 0
    assert np.array_equal(written.affine, source.affine)
    for field in ("qform_code", "sform_code", "xyzt_units", "srow_z", "quatern_b", "qoffset_x"):
        assert np.array_equal(written.header[field], source.header[field]), field


def test_extensions_of_a_label_file_are_kept(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), OBLIQUE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"drawn by A"))
    nib.save(image, tmp_path / "in.nii.gz")
    labels = read_labels(tmp_path / "in.nii.gz")
    write_labels(tmp_path / "out.nii", labels.array, labels)
    written = read_labels(tmp_path / "out.nii")
    assert b"drawn by A" in written.header.extensions[0].get_content()
    np.testing.assert_array_equal(written.array, labels.array)


@pytest.mark.parametrize(
    "name", ["nifti_reader_js/data/air2.hdr.gz", "nibabel/anatomical.nii", "niivue/minimal.nii.gz"]
)
def test_labels_like_a_pair_a_big_endian_or_a_bare_file(
    shared: Path, tmp_path: Path, name: str
) -> None:
    source = read_image(shared / "data/awkward" / name)
    labels = np.zeros(source.shape, np.uint8)
    labels[1, 2, 3] = 2
    write_labels(tmp_path / "out.nii.gz", labels, source)
    written = read_labels(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(written.array, labels)
    assert np.array_equal(written.affine, source.affine)
    assert written.spacing_mm == source.spacing_mm
    for field in ("qform_code", "sform_code", "xyzt_units", "pixdim"):
        assert np.array_equal(written.header[field], source.header[field]), field


def test_labels_of_another_shape_are_not_written(tmp_path: Path) -> None:
    like = Volume.from_array(np.zeros((4, 3, 2), np.uint8))
    with pytest.raises(GridMismatch, match=r"\(4, 3, 2\), got \(2, 3, 4\)"):
        write_labels(tmp_path / "out.nii.gz", np.zeros((2, 3, 4), np.uint8), like)
    assert not list(tmp_path.iterdir())


def test_only_nifti_names_are_written(tmp_path: Path) -> None:
    like = Volume.from_array(np.zeros((4, 3, 2), np.uint8))
    with pytest.raises(BadInput, match=r"ending in \.nii\.gz"):
        write_labels(tmp_path / "out.nrrd", like.array, like)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("float16", "float32"), ("bool", "uint8"), ("float32", "float32"), ("int16", "int16")],
)
@pytest.mark.parametrize("shape", [(4, 3, 2), (1, 4, 3, 2), (3, 4, 3, 2)], ids=str)
def test_images_are_written_in_their_own_dtype(
    tmp_path: Path, given: str, stored: str, shape: tuple[int, ...]
) -> None:
    like = Volume.from_array(np.zeros((4, 3, 2), np.uint8), spacing_mm=(3.0, 1.0, 0.5))
    array = (np.arange(np.prod(shape)) % 2).reshape(shape).astype(given)
    write_image(tmp_path / "out.nii.gz", array, like)
    read = read_image(tmp_path / "out.nii.gz")
    assert read.array.dtype == np.dtype(stored)
    np.testing.assert_array_equal(read.array, array.reshape(-1, 4, 3, 2))
    assert read.spacing_mm == (3.0, 1.0, 0.5)


def test_the_same_labels_make_the_same_bytes(tmp_path: Path) -> None:
    like = Volume.from_array(np.ones((4, 3, 2), np.uint8))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(tmp_path / name, like.array, like)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_an_empty_mask_goes_around(tmp_path: Path) -> None:
    like = Volume.from_array(np.zeros((4, 3, 2), np.uint8), spacing_mm=(4.0, 1.0, 1.0))
    write_labels(tmp_path / "a.nii.gz", like.array, like)
    assert not read_labels(tmp_path / "a.nii.gz").array.any()


def volume_at(affine: NDArray[np.float64], shape: tuple[int, int, int] = (4, 3, 2)) -> Volume:
    return Volume.from_array(np.zeros(shape, np.uint8), affine=affine)


def test_displacement_is_the_largest_corner_in_smallest_voxels() -> None:
    a = np.diag([0.5, 1.0, 4.0, 1.0])
    moved = a.copy()
    moved[2, 3] += 1.0  # 1 mm along z is two voxels of 0.5 mm
    assert displacement_voxels(volume_at(a), volume_at(moved)) == pytest.approx(2.0)
    stretched = a.copy()
    stretched[2, 2] = 4.1  # outer corner at k = 3.5: 0.35 mm
    assert displacement_voxels(volume_at(a), volume_at(stretched)) == pytest.approx(0.7)
    assert displacement_voxels(volume_at(a), volume_at(a, (4, 3, 3))) == float("inf")
    assert displacement_voxels(volume_at(a), volume_at(a)) == 0.0


def test_same_grid_note_and_refusal() -> None:
    a = np.diag([1.0, 1.0, 1.0, 1.0])
    near, far = a.copy(), a.copy()
    near[0, 3], far[0, 3] = 0.3, 0.6
    assert check_same_grid(volume_at(a), volume_at(near)) == pytest.approx(0.3)
    with pytest.raises(GridMismatch, match=r"the label.*0\.6 voxels away"):
        check_same_grid(volume_at(a), volume_at(far), what="the label")
    with pytest.raises(GridMismatch, match=r"\(4, 3, 2\).*\(2, 3, 4\)"):
        check_same_grid(volume_at(a), volume_at(a, (2, 3, 4)))


def test_a_real_pair_with_slightly_different_affines_is_one_grid(shared: Path) -> None:
    folder = shared / "data/panoptica_spine/semantic"
    assert (
        check_same_grid(read_grid(folder / "ref.nii.gz"), read_grid(folder / "pred.nii.gz")) < 0.5
    )


def test_a_real_output_that_does_not_fit_its_image_is_refused(shared: Path) -> None:
    folder = shared / "data/totalsegmentator"
    image, labels = (
        read_grid(folder / "example_ct.nii.gz"),
        read_grid(folder / "example_seg.nii.gz"),
    )
    with pytest.raises(GridMismatch, match=r"example_seg\.nii\.gz.*example_ct\.nii\.gz"):
        check_same_grid(image, labels)
