"""A small sound dataset that tests break in one place."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.files import write_json

AFFINE = np.array([[-1.5, 0, 0, 20], [0, -1.5, 0, 30], [0, 0, 3, -40], [0, 0, 0, 1.0]])
Save = Callable[..., Path]


def save_nifti(file: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    nib.save(image, file)
    return file


def blob(n: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and a label of 9 x 10 x 8 voxels (i, j, k), different for every n."""
    rng = np.random.default_rng(n)
    image = (rng.random((9, 10, 8)) * 900 + 100).astype(np.int16)
    label = np.zeros((9, 10, 8), np.uint8)
    label[2:7, 2:8, 1:6] = 1
    label[3, 3 + n % 4, 2 + n // 4] = 2
    label[5:7, 6, 4] = 2
    return image, label


@pytest.fixture
def decathlon(tmp_path: Path) -> Path:
    """Ten training cases `c0` … `c9` in Decathlon layout: liver 1, cancer 2, one channel."""
    root = tmp_path / "Task01_Toy"
    for n in range(10):
        image, label = blob(n)
        save_nifti(root / "imagesTr" / f"c{n}.nii.gz", image)
        save_nifti(root / "labelsTr" / f"c{n}.nii.gz", label)
    write_json(
        root / "dataset.json",
        {
            "name": "Toy",
            "modality": {"0": "CT"},
            "labels": {"0": "background", "1": "liver", "2": "cancer"},
            "numTraining": 10,
            "training": [
                {"image": f"./imagesTr/c{n}.nii.gz", "label": f"./labelsTr/c{n}.nii.gz"}
                for n in range(10)
            ],
            "test": [],
        },
    )
    return root


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Ten training cases and two test cases in nnU-Net's raw layout, two channels."""
    root = tmp_path / "Dataset002_Raw"
    for n in range(12):
        part = "Tr" if n < 10 else "Ts"
        image, label = blob(n)
        save_nifti(root / f"images{part}" / f"c{n}_0000.nii", image)
        save_nifti(root / f"images{part}" / f"c{n}_0001.nii", image[::-1] * 2)
        save_nifti(root / f"labels{part}" / f"c{n}.nii", label)
    write_json(
        root / "dataset.json",
        {
            "channel_names": {"0": "T2", "1": "ADC"},
            "labels": {"background": 0, "liver": 1, "cancer": 2},
            "numTraining": 10,
            "file_ending": ".nii",
        },
    )
    return root
