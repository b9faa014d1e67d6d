"""The fingerprint of tiny datasets whose answer the eye can check, and of a real one."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.errors import BadDataset, BadInput, Cancelled, UnreadableFile
from napari_unet_mic.planning.fingerprint import Fingerprint, extract

AFFINE = np.diag([0.5, 0.75, 4.0, 1.0])  # file axes x, y, z: spacing (z, y, x) = (4, 0.75, 0.5)


def save(file: Path, array: np.ndarray[Any, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, AFFINE), file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cases of two channels: (x, y, z) = (6, 5, 4), non-zero from x = 1 to 4."""
    for case, values in (("a", (10, 20)), ("b", (30, 40)), ("c", (50, 60))):
        image = np.zeros((6, 5, 4, 2), np.float32)
        image[1:5, :, :, 0] = 1
        image[2, 2, 1:3, 0] = values
        image[2, 2, 1:3, 1] = [100, 200]
        label = np.zeros((6, 5, 4), np.uint8)
        if case != "c":
            label[2, 2, 1:3] = 1
        save(tmp_path / "imagesTr" / f"{case}.nii.gz", image)
        save(tmp_path / "labelsTr" / f"{case}.nii.gz", label)
    about = {
        "name": "tiny",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "lesion"},
        "numTraining": 3,
        "numTest": 0,
        "tensorImageSize": "4D",
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}
            for case in "abc"
        ],
        "test": [],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    return tmp_path


def test_shapes_spacings_and_statistics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet_mic.planning.fingerprint.FOREGROUND_VOXELS", 30_000)
    calls: list[tuple[int, int]] = []
    found = extract(open_dataset(folder), progress=lambda done, total: calls.append((done, total)))
    assert found.spacings == ((4.0, 0.75, 0.5),) * 3
    assert found.shapes_after_crop == ((4, 5, 4),) * 3
    assert found.median_relative_size_after_cropping == pytest.approx(4 / 6)
    facts = found.foreground_intensity_properties_per_channel
    assert set(facts) == {"0", "1"}
    assert (facts["0"]["min"], facts["0"]["max"]) == (10, 40)
    # the draws are nnU-Net's, so half of each case's two voxels, nearly
    assert facts["0"]["mean"] == pytest.approx(25, abs=0.3)
    assert facts["1"]["mean"] == pytest.approx(150, abs=1)
    assert facts["1"]["median"] in (100, 200)
    assert facts["1"]["std"] == pytest.approx(50, abs=0.1)
    assert calls[-1] == (3, 3)
    assert [done for done, _ in calls] == [1, 2, 3]


def test_statistics_equal_numpys_over_the_drawn_voxels(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet_mic.planning.fingerprint.FOREGROUND_VOXELS", 300)
    monkeypatch.setattr("napari_unet_mic.planning.fingerprint.DRAWN_AT_ONCE", 33)
    drawn = []
    for values in ((10, 20), (30, 40)):
        generator = np.random.RandomState(1234)
        drawn.append(generator.choice(np.array(values, np.float32), 100, replace=True))
    every = np.concatenate(drawn).astype(np.float64)
    facts = extract(open_dataset(folder)).foreground_intensity_properties_per_channel["0"]
    assert facts["mean"] == pytest.approx(every.mean())
    assert facts["std"] == pytest.approx(every.std())
    for name, q in (("percentile_00_5", 0.5), ("median", 50), ("percentile_99_5", 99.5)):
        assert facts[name] == pytest.approx(np.percentile(every, q))


def test_test_cases_never_enter(folder: Path) -> None:
    dataset = open_dataset(folder).with_test(["a", "c"])
    assert len(extract(dataset).shapes_after_crop) == 1


def test_a_case_of_zeros_keeps_its_shape_and_empty_labels_are_said(folder: Path) -> None:
    save(folder / "imagesTr" / "c.nii.gz", np.zeros((6, 5, 4, 2), np.float32))
    assert extract(open_dataset(folder)).shapes_after_crop[2] == (4, 5, 6)
    for case in "ab":
        save(folder / "labelsTr" / f"{case}.nii.gz", np.zeros((6, 5, 4), np.uint8))
    with pytest.raises(BadDataset, match="foreground voxels"):
        extract(open_dataset(folder))


def test_stopping(folder: Path) -> None:
    with pytest.raises(Cancelled):
        extract(open_dataset(folder), should_stop=lambda: True)


def test_no_training_case_is_a_sentence(folder: Path) -> None:
    with pytest.raises(BadDataset, match="at least one labelled training case"):
        extract(open_dataset(folder).with_test(["a", "b", "c"]))


def test_written_as_nnunet_writes_it(folder: Path, tmp_path: Path) -> None:
    found = extract(open_dataset(folder))
    file = tmp_path / "out" / "dataset_fingerprint.json"
    file.parent.mkdir()
    found.write(file)
    assert Fingerprint.read(file) == found
    assert json.loads(file.read_text())["spacings"][0] == [4.0, 0.75, 0.5]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spacings": []}, "spacings"),
        ({"spacings": [[1, 1]]}, "three positive numbers"),
        ({"spacings": [[1, 1, 0]]}, "three positive numbers"),
        ({"spacings": [[1, 1, 1]] * 2}, "as many spacings"),
        ({"shapes_after_crop": None}, "shapes_after_crop"),
        ({"foreground_intensity_properties_per_channel": 3}, "foreground_intensity"),
        ({"median_relative_size_after_cropping": "x"}, "median_relative"),
    ],
)
def test_damaged_fingerprints(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    good = {
        "spacings": [[1, 1, 1]],
        "shapes_after_crop": [[8, 8, 8]],
        "foreground_intensity_properties_per_channel": {"0": {}},
        "median_relative_size_after_cropping": 1.0,
    }
    file = tmp_path / "dataset_fingerprint.json"
    file.write_text(json.dumps(good))
    Fingerprint.read(file)
    file.write_text(json.dumps({**good, **change}))
    with pytest.raises(BadInput, match=words):
        Fingerprint.read(file)


def test_missing_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        Fingerprint.read(tmp_path / "gone.json")


def test_hippocampus_equals_nnunet(shared: Path, hippocampus: Path) -> None:
    (model,) = (shared / "reference" / "nnunet_v2_hippocampus").glob("nnUNetTrainer*")
    reference = Fingerprint.read(model / "dataset_fingerprint.json")
    found = extract(open_dataset(hippocampus))
    assert found.spacings == reference.spacings
    assert found.shapes_after_crop == reference.shapes_after_crop
    assert (
        found.median_relative_size_after_cropping == reference.median_relative_size_after_cropping
    )
    for key, value in reference.foreground_intensity_properties_per_channel["0"].items():
        mine = found.foreground_intensity_properties_per_channel["0"][key]
        assert mine == pytest.approx(value, rel=1e-6), key
