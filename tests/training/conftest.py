"""A dataset and a plan small enough that a real run takes seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import write_json
from napari_unet_mic.data.volume import Volume, write_image, write_labels
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.training.settings import RunSettings


def write_blobs(folder: Path, *, n_cases: int = 6, test: tuple[str, ...] = ()) -> Path:
    """Write cases of 14 × 20 × 18 voxels with a bright and a dark ball, anisotropic spacing."""
    rng = np.random.default_rng(0)
    zyx = np.stack(np.meshgrid(*map(np.arange, (14, 20, 18)), indexing="ij"), -1)
    for number in range(n_cases):
        labels = np.zeros((14, 20, 18), np.uint8)
        image = rng.normal(0, 0.3, (1, 14, 20, 18)).astype(np.float32) + 1
        for value, level in ((1, 3.0), (2, -3.0)):
            centre = rng.uniform((4, 5, 5), (10, 15, 13))
            ball = (((zyx - centre) * (2, 1, 1)) ** 2).sum(-1) < 20
            labels[ball] = value
            image[0][ball] += level
        like = Volume.from_array(image, spacing_mm=(2.0, 1.0, 1.0))
        write_image(folder / f"imagesTr/blob_{number}.nii.gz", image, like)
        write_labels(folder / f"labelsTr/blob_{number}.nii.gz", labels, like)
    write_json(
        folder / "dataset.json",
        {
            "name": "Blobs",
            "modality": {"0": "MRI"},
            "labels": {"0": "background", "1": "bright", "2": "dark"},
            "numTraining": n_cases,
            "training": [
                {"image": f"./imagesTr/blob_{n}.nii.gz", "label": f"./labelsTr/blob_{n}.nii.gz"}
                for n in range(n_cases)
            ],
            "test": [],
        },
    )
    if test:
        write_json(folder / "test_cases.json", list(test))
    return folder


def small_plan(dataset: Path, file: Path) -> Path:
    """Write the dataset's plan with three stages of few features and batches of two."""
    opened = open_dataset(dataset)
    plan = plan_experiment(extract(opened), opened.nnunet_json(), dataset_name="Blobs").to_json()
    configuration: dict[str, Any] = plan["configurations"]["3d_fullres"]
    configuration["patch_size"] = [8, 16, 16]
    configuration["batch_size"] = 2
    arguments = configuration["architecture"]["arch_kwargs"]
    arguments |= {
        "n_stages": 3,
        "features_per_stage": [4, 8, 8],
        "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        "n_conv_per_stage": [1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1],
    }
    write_json(file, plan)
    return file


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("blobs") / "Task99_Blobs", test=("blob_5",))


@pytest.fixture(scope="session")
def eight_blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("blobs") / "Task98_Blobs", n_cases=8)


@pytest.fixture(scope="session")
def blobs_plan(blobs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_plan(blobs, tmp_path_factory.mktemp("plan") / "plans.json")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch computes on one thread, so that sums are added in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny(
    blobs: Path,
    blobs_plan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
) -> RunSettings:
    """Settings of a run of two epochs with four iterations each, on one thread."""
    monkeypatch.setattr("napari_unet_mic.training.pause.LOOK_SECONDS", 0.01)
    return RunSettings(
        dataset=str(blobs),
        workspace=str(tmp_path / "workspace"),
        name="straight",
        plans=str(blobs_plan),
        epochs=2,
        iterations_per_epoch=4,
        validation_iterations=2,
        device="cpu",
        precision="float32",
        seed=3,
    )
