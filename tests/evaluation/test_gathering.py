"""Folds, moved folders and bare summaries, joined into one evaluation."""

import json

import nibabel
import numpy as np
import pytest

from napari_unet_mic.errors import BadInput, UnreadableFile
from napari_unet_mic.evaluation.gathering import files_of, gather, recount, summaries_in
from napari_unet_mic.evaluation.summary import evaluate_folders

LABELS = {"background": 0, "liver": 1, "cancer": 2}


def save(file, *values):
    file.parent.mkdir(exist_ok=True, parents=True)
    array = np.array(values, np.uint8).reshape(-1, 1, 1)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 0.5, 5.0, 1.0])), file)


@pytest.fixture
def model(tmp_path):
    """A model folder with two folds, two cases each, as nnU-Net leaves it."""
    folder = tmp_path / "model"
    for fold, cases in enumerate((("a", "b"), ("c", "d"))):
        validation = folder / f"fold_{fold}" / "validation"
        for case in cases:
            save(tmp_path / "labels" / f"{case}.nii.gz", 0, 1, 1, 2)
            save(validation / f"{case}.nii.gz", 0, 1, 2, 2)
        evaluate_folders(tmp_path / "labels", validation, tolerance_mm=None).write(tmp_path / "e")
        (tmp_path / "e" / "summary.json").rename(validation / "summary.json")
    content = {"labels": LABELS, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_the_folds_of_a_model_are_one_evaluation(model):
    found = gather(model)
    assert [case.name for case in found.evaluation.cases] == ["a", "b", "c", "d"]
    assert found.evaluation.means_of(2).n == 4
    assert found.evaluation.classes == {0: "background", 1: "liver", 2: "cancer"}
    assert found.evaluation.pooled_table is None
    assert found.folders["d"] == model / "fold_1" / "validation"


@pytest.mark.parametrize("place", ["fold_0", "fold_0/validation", "fold_0/validation/summary.json"])
def test_one_fold_by_any_of_its_names(model, place):
    assert [case.name for case in gather(model / place).evaluation.cases] == ["a", "b"]


def test_a_case_of_two_parts_is_named_after_both(model):
    twice = model / "fold_1" / "validation"
    (twice / "summary.json").write_text(
        (model / "fold_0" / "validation" / "summary.json").read_text()
    )
    found = gather(model)
    assert [case.name for case in found.evaluation.cases] == [
        "fold_0/a",
        "fold_0/b",
        "fold_1/a",
        "fold_1/b",
    ]
    assert found.folders["fold_1/a"] == twice


def test_a_bare_summary_is_counted_again_from_its_files(model, tmp_path):
    again = recount(gather(model), tolerance_mm=1.0).evaluation
    assert again.pooled_table.tolist() == [[4, 0, 0], [0, 4, 4], [0, 0, 4]]
    assert again.class_means[2].iou == gather(model).evaluation.means_of(2).iou
    assert again.means_of(1).n_nsd == 4
    assert again.failed == ()


def test_a_moved_folder_is_found_beside_its_summary_and_a_lost_file_is_named(model, tmp_path):
    moved = tmp_path / "elsewhere"
    model.rename(moved)
    pair = files_of(gather(moved), gather(moved).evaluation.case("a"))
    assert pair.prediction == moved / "fold_0" / "validation" / "a.nii.gz"
    (tmp_path / "labels" / "a.nii.gz").unlink()
    again = recount(gather(moved)).evaluation
    assert [case.name for case in again.failed] == ["a"]
    assert "no such file" in again.failed[0].sentence
    known = {"a": tmp_path / "labels" / "b.nii.gz"}  # the open dataset knows better
    assert (
        files_of(gather(moved), gather(moved).evaluation.case("a"), known).reference == known["a"]
    )


def test_the_prediction_is_never_taken_for_its_own_reference(model, tmp_path):
    file = model / "fold_0" / "validation" / "summary.json"
    content = json.loads(file.read_text())
    for entry in content["metric_per_case"]:
        entry["reference_file"] = entry["prediction_file"]
    file.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="the reference that the summary names"):
        files_of(gather(model / "fold_0"), gather(model / "fold_0").evaluation.cases[0])


def test_nothing_to_open_is_said(tmp_path):
    assert summaries_in(tmp_path) == [tmp_path / "summary.json"]
    with pytest.raises(UnreadableFile, match=r"summary\.json"):
        gather(tmp_path)


def test_published_liver_summaries_are_one_cross_validation(shared):
    folder = shared / "data" / "plans" / "ConvolutionalEncoder" / "Dataset003_Liver"
    found = gather(folder).evaluation
    assert len(found.cases) == 131
    assert found.classes[2] == "cancer"
    tumour = found.means_of(2)
    three = tumour.iou, tumour.iou_present, tumour.iou_pooled
    assert [round(one, 3) for one in three] == [0.525, 0.560, 0.631]
    assert (tumour.n, tumour.n_present, tumour.n_empty_spurious, tumour.n_empty_clean) == (
        126,
        118,
        8,
        5,
    )
    with pytest.raises(BadInput, match="open the dataset"):
        recount(gather(folder))
