"""The whole road through the command line on small synthetic data: nothing is faked."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.data.dataset import load_case, open_dataset
from napari_unet_mic.data.phantom import write_liver, write_prostate
from napari_unet_mic.data.volume import read_labels

WRITERS = {"liver": write_liver, "prostate": write_prostate}


@pytest.mark.parametrize(
    ("kind", "configuration", "fold"),
    [
        pytest.param("liver", "3d_fullres", "0", id="liver-3d-fold0"),
        pytest.param("prostate", "2d", "all", id="prostate-2d-all"),
    ],
)
def test_dataset_to_evaluation(kind: str, configuration: str, fold: str, tmp_path: Path) -> None:
    folder, workspace = tmp_path / "data", tmp_path / "workspace"
    WRITERS[kind](folder, n_cases=7, shape=(12, 32, 32), seed=3, n_test=2)
    dataset = open_dataset(folder)
    assert len(dataset.training) == 5
    assert len(dataset.test) == 2

    words = f"--name r --configuration {configuration} --fold {fold} --epochs 2 --device cpu"
    counts = "--iterations-per-epoch 2 --validation-iterations 1"
    train = ["train", str(folder), "--workspace", str(workspace)]
    assert main([*train, *words.split(), *counts.split()]) == 0

    # the test set entered neither fingerprint nor folds
    fingerprint = json.loads((workspace / "dataset_fingerprint.json").read_text())
    assert len(fingerprint["shapes_after_crop"]) == 5
    held_out = {case.name for case in dataset.test}
    splits = json.loads((workspace / "splits_final.json").read_text()) if fold != "all" else []
    assert not held_out & {name for one in splits for name in (*one["train"], *one["val"])}

    run = workspace / "runs" / "r"
    kinds = [json.loads(line)["event"] for line in (run / "events.jsonl").read_text().splitlines()]
    assert "TestFinished" in kinds
    assert kinds[-1] == "RunFinished"
    assert (run / f"fold_{fold}" / "checkpoint_final.pth").is_file()
    if fold != "all":
        summary = json.loads((run / f"fold_{fold}" / "validation" / "summary.json").read_text())
        assert len(summary["metric_per_case"]) == 1

    # predict the test set from its files, then evaluate it
    images = [str(file) for case in dataset.test for file in case.images]
    out = tmp_path / "predictions"
    assert main(["predict", str(run), *images, "-o", str(out), "--device", "cpu"]) == 0
    for case in dataset.test:
        assert case.label is not None
        source, predicted = read_labels(case.label), read_labels(out / f"{case.name}.nii.gz")
        assert predicted.shape == source.shape
        np.testing.assert_array_equal(predicted.affine, source.affine)

    labels = tmp_path / "references"
    labels.mkdir()
    for case in dataset.test:
        assert case.label is not None
        (labels / f"{case.name}.nii.gz").write_bytes(case.label.read_bytes())
    words = ["evaluate", "--reference", str(labels), "--prediction", str(out)]
    assert main([*words, "-o", str(tmp_path / "evaluation")]) == 0
    with (tmp_path / "evaluation" / "confusion.csv").open() as file:
        rows = list(csv.DictReader(file))
    voxels = sum(load_case(dataset, case)[0].array[0].size for case in dataset.test)
    assert sum(int(row["voxels"]) for row in rows) == voxels
