import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.data.dataset import Dataset, open_dataset
from napari_unet_mic.data.files import write_json
from napari_unet_mic.data.volume import Volume, write_image, write_labels
from napari_unet_mic.errors import BadDataset
from napari_unet_mic.training.presets import small_lesions
from napari_unet_mic.training.settings import RunSettings


def dataset(folder: Path, voxels: dict[int, int]) -> Dataset:
    """One case with so many voxels of each class; class 3 is declared and nowhere."""
    labels = np.zeros((4, 6, 8), np.uint8)
    at = 0
    for value, n in voxels.items():
        labels.reshape(-1)[at : at + n] = value
        at += n
    image = np.ones((1, 4, 6, 8), np.float32)
    like = Volume.from_array(image, spacing_mm=(3.0, 1.0, 1.0))
    write_image(folder / "imagesTr/a.nii.gz", image, like)
    write_labels(folder / "labelsTr/a.nii.gz", labels, like)
    names = {"0": "background", "1": "liver", "2": "lesion", "3": "vessel"}
    write_json(
        folder / "dataset.json",
        {
            "name": "Liver",
            "modality": {"0": "CT"},
            "labels": names,
            "numTraining": 1,
            "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
            "test": [],
        },
    )
    return open_dataset(folder)


def test_the_smallest_class_is_the_lesion(tmp_path: Path) -> None:
    found = small_lesions(dataset(tmp_path, {1: 60, 2: 7}))
    assert found["focus_class"] == 2
    assert found["class_weights"] == (1.0, 1.0, 2.0, 1.0)
    own = RunSettings(dataset="d", workspace="w", name="a")
    assert dataclasses.replace(own, **found).foreground_oversampling == 0.67


def test_a_dataset_of_background_has_no_lesions(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="background only"):
        small_lesions(dataset(tmp_path, {}))
