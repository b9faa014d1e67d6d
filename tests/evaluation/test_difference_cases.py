"""``evaluate --against``: what a second prediction fixed and broke, over cases."""

import csv
import json

import nibabel
import numpy as np
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.difference import BROKEN, FIXED
from napari_unet_mic.evaluation.difference_cases import compare_folders


def save(file, *values):
    file.parent.mkdir(exist_ok=True, parents=True)
    array = np.array(values, np.uint8).reshape(-1, 1, 1)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 0.5, 5.0, 1.0])), file)


@pytest.fixture
def folder(tmp_path):
    """Case a got better, case b worse; c has no second prediction; d's second is broken."""
    for case, reference, first, second in (
        ("a", (0, 1, 1, 2, 2, 0), (0, 1, 1, 1, 2, 0), (0, 1, 1, 2, 2, 2)),
        ("b", (0, 1, 1, 2, 2, 3), (0, 1, 1, 2, 2, 0), (0, 0, 1, 1, 2, 0)),
        ("c", (0, 1, 1, 1, 0, 0), (0, 1, 1, 1, 0, 0), None),
        ("d", (0, 1, 1, 1, 0, 0), (0, 1, 1, 1, 0, 0), (0, 1)),
    ):
        save(tmp_path / "r" / f"{case}.nii.gz", *reference)
        save(tmp_path / "p" / f"{case}.nii.gz", *first)
        if second:
            save(tmp_path / "q" / f"{case}.nii.gz", *second)
    names = {"background": 0, "liver": 1, "cancer": 2, "ignore": 3}
    content = {"labels": names, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return tmp_path


def test_cases_are_counted_and_those_that_cannot_be_are_named(folder):
    found = compare_folders(folder / "r", folder / "p", folder / "q")
    assert [case.name for case in found.cases] == ["a", "b"]
    assert found.cases[0].table.tolist() == [[1, 0, 1, 0], [2, 0, 0, 0], [1, 1, 0, 0]]
    assert found.cases[1].table.tolist() == [[1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]]
    assert (found.pooled(2, FIXED), found.pooled(2, BROKEN)) == (1, 1)
    assert [case.name for case in found.worst_first] == ["b", "a"]
    assert found.cases[1].net == -2
    assert found.pooled_iou(2) == (0.75, 0.6)
    assert [case.name for case in found.failed] == ["d"]
    assert "d.nii.gz" in found.failed[0].sentence
    assert any("c" in note for note in found.notes)


def test_the_command_writes_the_contract_and_prints_the_table(folder, capsys):
    words = ["--reference", folder / "r", "--prediction", folder / "p", "--against", folder / "q"]
    out = folder / "out"
    assert main(["evaluate", *map(str, words), "-o", str(out)]) == 1  # d could not be compared
    with (out / "difference.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["case", "class", "fixed", "broken", "still_wrong"]
    assert rows[1:4] == [
        ["a", "0", "0", "1", "0"],
        ["a", "1", "0", "0", "0"],
        ["a", "2", "1", "0", "0"],
    ]
    assert len(rows) == 7
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert ["cancer", "1", "1", "0", "0", "0.7500", "0.6000"] in lines
    assert any(line[:1] == ["b"] and line[3].startswith("-") for line in lines if len(line) > 3)
    assert "d was left out" in said.err
    assert (out / "summary.json").is_file()


def test_three_single_files_are_one_case(folder):
    files = [folder / place / "a.nii.gz" for place in "rpq"]
    renamed = files[2].with_name("other.nii.gz")
    files[2].rename(renamed)
    found = compare_folders(files[0], files[1], renamed)
    assert [case.name for case in found.cases] == ["a"]


def test_other_cases_are_refused(folder):
    for file in (folder / "q").iterdir():
        file.unlink()
    save(folder / "q" / "c.nii.gz", 0, 1, 1, 1, 0, 0)
    (folder / "p" / "c.nii.gz").unlink()
    with pytest.raises(BadInput, match="second prediction of the same cases"):
        compare_folders(folder / "r", folder / "p", folder / "q")
