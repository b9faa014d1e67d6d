from pathlib import Path

import pytest

from napari_unet_mic.errors import BadInput, UnreadableFile
from napari_unet_mic.inference.inputs import find_inputs


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in names]
    for file in files:
        file.touch()
    return files


def test_channel_files_are_one_case_and_whole_files_another(tmp_path: Path) -> None:
    touch(tmp_path, "b_0001.nii.gz", "b_0000.nii.gz", "a.nii", "notes.txt")
    cases = find_inputs(tmp_path, 2)
    assert [case.name for case in cases] == ["a", "b"]
    assert [file.name for file in cases[1].files] == ["b_0000.nii.gz", "b_0001.nii.gz"]


def test_hidden_and_underscored_files_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "._liver_1.nii.gz", "_liver_2.nii.gz", "liver_3.nii.gz")
    assert [case.name for case in find_inputs([tmp_path], 1)] == ["liver_3"]


def test_four_digits_that_do_not_start_at_0000_are_names(tmp_path: Path) -> None:
    touch(tmp_path, "BRATS_0001.nii.gz", "BRATS_0002.nii.gz")
    assert [case.name for case in find_inputs(tmp_path, 1)] == ["BRATS_0001", "BRATS_0002"]


def test_files_given_one_by_one_are_grouped_too(tmp_path: Path) -> None:
    files = touch(tmp_path, "b_0000.nii.gz", "b_0001.nii.gz")
    (case,) = find_inputs(files, 2)
    assert case.files == tuple(files)


def test_same_file_twice_is_one_case(tmp_path: Path) -> None:
    (file,) = touch(tmp_path, "a.nii.gz")
    assert len(find_inputs([file, tmp_path], 1)) == 1


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "one", "a.nii.gz")
    touch(tmp_path / "two", "a.nii.gz")
    with pytest.raises(BadInput, match=r"a also in .*one"):
        find_inputs([tmp_path / "one", tmp_path / "two"], 1)


def test_nothing_to_predict_is_a_sentence(tmp_path: Path) -> None:
    (text,) = touch(tmp_path, "notes.txt")
    with pytest.raises(UnreadableFile, match="a folder with NIfTI images, got none"):
        find_inputs(tmp_path, 1)
    with pytest.raises(UnreadableFile, match="nothing there"):
        find_inputs(tmp_path / "nowhere", 1)
    with pytest.raises(UnreadableFile, match=r"ending in \.txt"):
        find_inputs(text, 1)
