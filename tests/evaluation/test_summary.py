import csv
import json
import math
import re

import nibabel
import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_labels
from napari_unet_mic.errors import (
    BadInput,
    Cancelled,
    GridMismatch,
    UnknownClass,
    UnreadableFile,
)
from napari_unet_mic.evaluation.result_files import CASES_COLUMNS, case_name
from napari_unet_mic.evaluation.summary import (
    CasePair,
    compare,
    evaluate_folders,
    evaluate_pairs,
    pair_files,
    read_evaluation,
)

CLASSES = {0: "background", 1: "liver", 2: "cancer"}
SPACING = (5.0, 0.5, 2.0)  # a voxel is 0.005 ml


def save(file, array, spacing=SPACING):
    file.parent.mkdir(exist_ok=True, parents=True)
    affine = np.diag([*spacing[::-1], 1.0])
    nibabel.save(nibabel.Nifti1Image(array.T.astype(np.uint8), affine), file)


def labels(*values):
    """Six voxels in a row."""
    return np.array(values, np.uint8).reshape(1, 1, 6)


@pytest.fixture
def folders(tmp_path):
    """Three cases: good, cancer only predicted, cancer in neither."""
    reference, prediction = tmp_path / "labels", tmp_path / "predicted"
    save(reference / "a.nii.gz", labels(0, 1, 1, 2, 2, 0))
    save(prediction / "a.nii.gz", labels(0, 1, 2, 2, 2, 0))
    save(reference / "b.nii.gz", labels(0, 1, 1, 1, 0, 0))
    save(prediction / "b.nii.gz", labels(0, 1, 1, 2, 0, 0))
    save(reference / "c.nii.gz", labels(0, 0, 0, 0, 0, 1))
    save(prediction / "c.nii.gz", labels(0, 0, 0, 0, 1, 1))
    names = {name: value for value, name in CLASSES.items()}
    content = {"labels": names, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return reference, prediction


def test_means_of_a_class_that_is_sometimes_absent(folders):
    found = evaluate_folders(*folders, tolerance_mm=None)
    cancer = found.means_of(2)
    assert cancer.name == "cancer"
    assert (cancer.iou, cancer.n) == (pytest.approx((2 / 3 + 0) / 2), 2)
    assert (cancer.iou_present, cancer.n_present) == (pytest.approx(2 / 3), 1)
    assert cancer.iou_pooled == 2 / 4
    assert (cancer.n_empty, cancer.n_empty_clean, cancer.n_empty_spurious) == (2, 1, 1)
    assert found.pooled_table.tolist() == [[9, 1, 0], [0, 4, 2], [0, 0, 2]]
    assert found.case("c").scores[2].iou is None
    assert found.case("a").foreground_iou == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_summary_json_is_nnunets(folders, tmp_path):
    found = evaluate_folders(*folders, tolerance_mm=None)
    found.write(tmp_path / "out")
    text = (tmp_path / "out" / "summary.json").read_text()
    summary = json.loads(text)
    assert list(summary) == ["foreground_mean", "mean", "metric_per_case"]
    assert list(summary["mean"]) == ["1", "2"]
    assert '"Dice": NaN' in text
    last = summary["metric_per_case"][2]
    assert list(last) == ["metrics", "prediction_file", "reference_file"]
    assert last["reference_file"].endswith("c.nii.gz")
    metrics = last["metrics"]["1"]
    expected = {"Dice": 2 / 3, "FN": 0, "FP": 1, "IoU": 0.5}
    expected |= {"TN": 4, "TP": 1, "n_pred": 2, "n_ref": 1}
    assert metrics == expected
    assert list(metrics) == sorted(metrics)
    iou_liver = (1 / 2 + 2 / 3 + 1 / 2) / 3
    assert summary["foreground_mean"]["IoU"] == pytest.approx((iou_liver + 1 / 3) / 2)
    assert found.foreground_iou == summary["foreground_mean"]["IoU"]


def test_csv_files_and_reading_them_back(folders, tmp_path):
    found = evaluate_folders(*folders, tolerance_mm=None)
    found.write(tmp_path / "out")
    with (tmp_path / "out" / "confusion.csv").open() as stream:
        cells = list(csv.reader(stream))
    assert cells[0] == ["case", "true_class", "predicted_class", "voxels"]
    assert cells[1] == ["a", "0", "0", "2"]
    assert len(cells) == 1 + 3 * 9
    with (tmp_path / "out" / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == CASES_COLUMNS
    absent = next(row for row in rows if (row["case"], row["class"]) == ("c", "2"))
    assert (absent["iou"], absent["dice"], absent["tp"]) == ("", "", "0")
    cancer = next(row for row in rows if (row["case"], row["class"]) == ("a", "2"))
    assert float(cancer["reference_ml"]) == pytest.approx(0.010)
    assert float(cancer["prediction_ml"]) == pytest.approx(0.015)
    assert cancer["class_name"] == "cancer"
    again = read_evaluation(tmp_path / "out")
    assert again.class_means == found.class_means
    assert again.classes == found.classes
    assert np.array_equal(again.pooled_table, found.pooled_table)
    assert again.case("a").voxel_ml == found.case("a").voxel_ml


def test_without_dataset_json_values_are_classes(folders, tmp_path):
    (tmp_path / "dataset.json").unlink()
    found = evaluate_folders(*folders, tolerance_mm=None)
    assert found.classes == {0: "background", 1: "class 1", 2: "class 2"}
    assert found.case("c").table.shape == (3, 3)
    assert found.pooled_table.sum() == 18


def test_values_with_gaps_have_no_rows_between_them(folders, tmp_path):
    (tmp_path / "dataset.json").unlink()
    save(folders[0] / "a.nii.gz", labels(0, 1, 1, 52, 52, 0))
    save(folders[1] / "a.nii.gz", labels(0, 1, 52, 52, 52, 0))
    found = evaluate_folders(*folders, tolerance_mm=1.0)
    assert found.values == (0, 1, 2, 52)
    assert found.case("a").table.tolist() == [[2, 0, 0, 0], [0, 1, 0, 1], [0] * 4, [0, 0, 0, 2]]
    assert found.case("a").scores[52].iou == 2 / 3
    assert found.foreground_iou is not None  # classes nobody has would make it NaN
    found.write(tmp_path / "out")
    again = read_evaluation(tmp_path / "out")
    assert np.array_equal(again.case("a").table, found.case("a").table)
    assert again.class_means == found.class_means


def test_ignored_voxels_of_the_dataset_are_left_out(folders, tmp_path):
    content = {"labels": {"background": 0, "liver": 1, "ignore": 2}, "channel_names": ["CT"]}
    file = tmp_path / "other.json"
    file.write_text(json.dumps(content))
    save(folders[1] / "a.nii.gz", labels(0, 1, 0, 1, 1, 0))
    save(folders[1] / "b.nii.gz", labels(0, 1, 1, 1, 0, 0))
    found = evaluate_folders(*folders, file, tolerance_mm=1.0)
    assert found.case("a").table.tolist() == [[2, 0], [1, 1]]
    assert found.case("a").scores[1].n_pred == 1
    assert list(found.case("a").surfaces) == [1]
    found.write(tmp_path / "out")
    assert read_evaluation(tmp_path / "out").ignore == 2


def test_files_are_paired_by_name_and_the_rest_is_passed_over(folders):
    reference, prediction = folders
    save(reference / "extra.nii.gz", labels(0, 0, 0, 0, 0, 0))
    for name in ("summary.json", "a.npz", ".hidden.nii.gz", "._a.nii.gz", "plans.txt"):
        (prediction / name).write_text("{}")
    pairs, notes = pair_files(reference, prediction)
    assert [pair.name for pair in pairs] == ["a", "b", "c"]
    assert len(notes) == 1
    assert "1 of 4 references (extra)" in notes[0]
    assert evaluate_folders(reference, prediction, tolerance_mm=None).notes == notes


def test_predictions_without_reference_are_named_and_left_out(folders):
    save(folders[1] / "z.nii.gz", labels(0, 0, 0, 0, 0, 0))
    pairs, notes = pair_files(*folders)
    assert [pair.name for pair in pairs] == ["a", "b", "c"]
    assert "no reference for 1 of 4 predictions (z)" in notes[0]


def test_predictions_of_other_cases_are_refused(folders, tmp_path):
    save(tmp_path / "others" / "z.nii.gz", labels(0, 0, 0, 0, 0, 0))
    with pytest.raises(BadInput, match=r"z\.nii\.gz.*reference named z"):
        pair_files(folders[0], tmp_path / "others")


def test_two_files_are_a_pair(folders):
    found = evaluate_folders(folders[0] / "a.nii.gz", folders[1] / "b.nii.gz", tolerance_mm=None)
    assert [case.name for case in found.cases] == ["b"]


@pytest.mark.parametrize("which", ["missing", "empty"])
def test_missing_and_empty_folders(folders, tmp_path, which):
    if which == "empty":
        (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=which if which == "empty" else "no such folder"):
        evaluate_folders(folders[0], tmp_path / which)


def spoil(file, how):
    if how == "grid":
        save(file, labels(0, 1, 1, 2, 0, 0), (5.0, 0.5, 3.0))
    elif how == "class":
        save(file, labels(0, 1, 1, 7, 0, 0))
    else:
        file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")


BROKEN = [
    ("grid", GridMismatch, r"predicted/b\.nii\.gz.*voxels away"),
    ("class", UnknownClass, r"predicted/b\.nii\.gz.*value 7"),
    ("file", UnreadableFile, r"predicted/b\.nii\.gz.*LFS"),
]


@pytest.mark.parametrize(("how", "error", "words"), BROKEN, ids=[how for how, *_ in BROKEN])
def test_one_broken_case_is_named_and_the_others_are_compared(folders, tmp_path, how, error, words):
    expected = evaluate_folders(*folders, tolerance_mm=None)
    spoil(folders[1] / "b.nii.gz", how)
    found = evaluate_folders(*folders, tolerance_mm=None)
    assert [case.name for case in found.cases] == ["a", "c"]
    (failed,) = found.failed
    assert failed.name == "b"
    assert re.search(words, failed.sentence)
    assert found.means_of(1).n == 2
    assert found.case("a").scores == expected.case("a").scores
    found.write(tmp_path / "out")
    assert read_evaluation(tmp_path / "out").failed == found.failed
    pairs, _ = pair_files(*folders)
    with pytest.raises(error, match=words):  # training wants to hear of it at once
        evaluate_pairs(pairs, CLASSES)


def test_when_every_case_is_broken_the_first_is_said(folders):
    for file in folders[1].iterdir():
        spoil(file, "file")
    with pytest.raises(UnreadableFile, match=r"a\.nii\.gz"):
        evaluate_folders(*folders, tolerance_mm=None)


def test_a_slight_displacement_is_a_note(folders):
    affine = np.diag([2.0, 0.5, 5.0, 1.0])
    affine[0, 3] = 0.02
    file = folders[1] / "c.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels(0, 0, 0, 0, 1, 1).T, affine), file)
    (note,) = evaluate_folders(*folders, tolerance_mm=None).notes
    assert "c.nii.gz" in note
    assert "0.04 voxels" in note


def test_progress_and_stop(folders):
    steps = []
    evaluate_folders(*folders, tolerance_mm=None, progress=lambda *step: steps.append(step))
    assert steps[-1] == (3, 3)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    with pytest.raises(Cancelled):
        evaluate_folders(*folders, tolerance_mm=None, should_stop=lambda: True)


def test_two_maps_in_memory():
    reference = Volume.from_array(labels(0, 1, 1, 2, 2, 0), spacing_mm=SPACING)
    prediction = Volume.from_array(labels(0, 1, 2, 2, 2, 0), spacing_mm=SPACING)
    found = compare(reference, prediction, CLASSES)
    assert found.scores[2].iou == 2 / 3
    assert found.ml(3) == pytest.approx(0.015)


def test_no_cases_at_all():
    found = evaluate_pairs([], CLASSES)
    assert found.pooled_table is None
    assert math.isnan(found.summary()["foreground_mean"]["Dice"])


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/a/b/liver_101.nii.gz", "liver_101"),
        ("C:\\data\\x.nii", "x"),
        ("./validation/p.1.nii.gz", "p.1"),
        ("p.1.mha", "p.1"),
    ],
)
def test_case_names(file, name):
    assert case_name(file) == name


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"metric_per_case": [{"metrics": {"(1, 2)": {}}}]}'], ids=str
)
def test_other_json_is_refused(tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(UnreadableFile, match="nnU-Net"):
        read_evaluation(tmp_path)


def test_real_predictions_equal_nnunets_summary(shared, hippocampus):
    results = shared / "reference" / "nnunet_v2_hippocampus" / "predictions"
    found = evaluate_folders(hippocampus / "labelsTr", results / "mirrored", tolerance_mm=None)
    assert len(found.cases) == 10
    assert found.classes == {0: "background", 1: "Anterior", 2: "Posterior"}
    theirs = json.loads((results / "validation_summary_fold_0.json").read_text())
    by_name = {
        case_name(case["prediction_file"]): case["metrics"] for case in theirs["metric_per_case"]
    }
    for case in found.summary()["metric_per_case"]:
        assert case["metrics"] == by_name[case_name(case["prediction_file"])]
    for case in found.cases:
        reference = read_labels(hippocampus / "labelsTr" / f"{case.name}.nii.gz").array
        prediction = read_labels(results / "mirrored" / f"{case.name}.nii.gz").array
        for (true, predicted), voxels in np.ndenumerate(case.table):
            assert voxels == ((reference == true) & (prediction == predicted)).sum()


def test_published_summary_is_rewritten_exactly(shared):
    file = shared / "reference" / "nnunet_v2_hippocampus" / "predictions"
    file = file / "validation_summary_fold_0.json"
    theirs = json.loads(file.read_text())
    ours = read_evaluation(file).summary()
    assert ours["metric_per_case"] == theirs["metric_per_case"]
    for key in ("foreground_mean", "mean"):
        assert json.dumps(ours[key], sort_keys=True) == json.dumps(theirs[key], sort_keys=True)


def test_three_true_answers_about_published_liver_tumours(shared):
    folder = shared / "data" / "plans" / "ConvolutionalEncoder" / "Dataset003_Liver"
    cases = []
    for file in sorted(folder.glob("summary_fold*.json")):
        one = read_evaluation(file)
        theirs = json.loads(file.read_text())
        assert one.foreground_dice == pytest.approx(theirs["foreground_mean"]["Dice"], abs=1e-15)
        cases += one.cases
    tumour = type(one)(tuple(cases), one.classes).means_of(2)
    assert (round(tumour.iou, 3), tumour.n) == (0.525, 126)
    assert (round(tumour.iou_present, 3), tumour.n_present) == (0.560, 118)
    assert round(tumour.iou_pooled, 3) == 0.631
    assert (tumour.n_empty, tumour.n_empty_clean, tumour.n_empty_spurious) == (13, 5, 8)


def test_pairs_by_hand(folders):
    pair = CasePair("a", folders[0] / "a.nii.gz", folders[1] / "a.nii.gz")
    found = evaluate_pairs([pair], CLASSES)
    assert found.cases[0].name == "a"


def test_surface_figures_are_kept_in_cases_csv(folders, tmp_path):
    found = evaluate_folders(*folders, tolerance_mm=2.0)
    found.write(tmp_path / "out")
    with (tmp_path / "out" / "cases.csv").open() as stream:
        rows = {(row["case"], row["class"]): row for row in csv.DictReader(stream)}
    assert rows["a", "0"]["hd95_mm"] == rows["a", "0"]["nsd"] == ""
    assert float(rows["a", "2"]["hd95_mm"]) == pytest.approx(1.8)  # 0, 0 and 2 mm
    assert float(rows["a", "2"]["nsd"]) == 1.0
    assert (rows["b", "2"]["hd95_mm"], rows["b", "2"]["nsd"]) == ("", "0.0")
    assert rows["c", "2"]["hd95_mm"] == rows["c", "2"]["nsd"] == ""
    again = read_evaluation(tmp_path / "out")
    assert again.tolerance_mm == 2.0
    assert again.class_means == found.class_means
    assert (again.means_of(2).n_hd95, again.means_of(2).n_nsd) == (1, 2)
