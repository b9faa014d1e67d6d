"""``unet-mic evaluate``: what it prints, writes and answers."""

import csv
import json

import nibabel
import numpy as np
import pytest

from napari_unet_mic.cli import main


def save(file, *values):
    file.parent.mkdir(exist_ok=True, parents=True)
    array = np.array(values, np.uint8).reshape(-1, 1, 1)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 0.5, 5.0, 1.0])), file)


@pytest.fixture
def words(tmp_path):
    """Two cases; the reference of `b` lacks the cancer that its prediction has."""
    save(tmp_path / "r" / "a.nii.gz", 0, 1, 1, 2, 2, 0)
    save(tmp_path / "p" / "a.nii.gz", 0, 1, 2, 2, 2, 0)
    save(tmp_path / "r" / "b.nii.gz", 0, 1, 1, 1, 0, 0)
    save(tmp_path / "p" / "b.nii.gz", 0, 1, 1, 2, 0, 0)
    names = {"background": 0, "liver": 1, "cancer": 2}
    content = {"labels": names, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    folders = ["--reference", str(tmp_path / "r"), "--prediction", str(tmp_path / "p")]
    return ["evaluate", *folders, "-o", str(tmp_path / "out")]


def test_every_mean_is_named_and_says_its_n(words, capsys):
    assert main(words) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    # mean IoU, cases, if present, cases with class, pooled; mean Dice, if present, pooled
    overlap = ["0.3333", "2", "0.6667", "1", "0.5000", "0.4000", "0.8000", "0.6667"]
    assert ["cancer", *overlap] in lines
    assert ["cancer", "1", "1", "0"] in lines  # empty references, with false positives, without
    assert ["liver", "0", "4", "2"] not in lines
    assert ["liver", "0", "3", "2"] in lines  # pooled voxels
    assert ["liver", "0.00", "58.33", "41.67", "2"] in lines  # the mean of 50 and 66.67 per cent
    assert "2 cases pooled" in said.out
    assert "mean over cases" in said.out


def test_files_are_those_of_the_contract(words, tmp_path):
    assert main([*words, "--tolerance-mm", "2"]) == 0
    out = tmp_path / "out"
    with (out / "cases.csv").open() as stream:
        rows = {(row["case"], row["class"]): row for row in csv.DictReader(stream)}
    expected = "case,class,class_name,iou,dice,hd95_mm,nsd,reference_ml,prediction_ml,tp,fp,fn"
    assert ",".join(next(iter(rows.values()))) == expected
    assert len(rows) == 6
    assert (rows["b", "2"]["hd95_mm"], rows["b", "2"]["nsd"]) == ("", "0.0")
    assert float(rows["a", "2"]["hd95_mm"]) == pytest.approx(1.8)
    assert rows["a", "0"]["nsd"] == ""
    cells = (out / "confusion.csv").read_text().splitlines()
    assert cells[0] == "case,true_class,predicted_class,voxels"
    assert len(cells) == 1 + 2 * 9
    summary = json.loads((out / "summary.json").read_text())
    assert summary["mean"]["2"]["IoU"] == pytest.approx(1 / 3)
    assert list(summary["mean"]) == ["1", "2"]


def test_a_broken_case_is_said_the_others_are_written_and_the_answer_is_1(words, tmp_path, capsys):
    (tmp_path / "p" / "a.nii.gz").write_bytes(b"nonsense")
    assert main(words) == 1
    said = capsys.readouterr()
    assert "unet-mic: a was left out: " in said.err
    assert "a.nii.gz" in said.err
    assert (tmp_path / "out" / "cases.csv").read_text().count("\nb,") == 3
    assert "b, per class" in said.out


def test_nothing_to_compare_writes_nothing(words, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / "p" / f"{name}.nii.gz").write_bytes(b"nonsense")
    assert main(words) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_not_an_image_is_passed_over_and_missing_partners_are_said(words, tmp_path, capsys):
    for name in ("plans.json", "a.npz", "._a.nii.gz", "summary.json"):
        (tmp_path / "p" / name).write_text("{}")
    save(tmp_path / "r" / "c.nii.gz", 0, 0, 0, 0, 0, 0)
    save(tmp_path / "p" / "d.nii.gz", 0, 0, 0, 0, 0, 0)
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "no prediction for 1 of 3 references (c)" in said
    assert "no reference for 1 of 3 predictions (d)" in said
