"""A real run that is small: two phantoms, a 2-D network of two stages."""

from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import write_json
from napari_unet_mic.data.phantom import write_prostate
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.training.run import RunSettings


def small_plan(dataset: Path, file: Path) -> Path:
    opened = open_dataset(dataset)
    plan = plan_experiment(extract(opened), opened.nnunet_json()).to_json()
    configuration = plan["configurations"]["2d"]
    configuration |= {"patch_size": [16, 16], "batch_size": 2}
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": 2,
        "features_per_stage": [4, 4],
        "kernel_sizes": [[3, 3], [3, 3]],
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
    }
    write_json(file, plan)
    return file


@pytest.fixture
def small_settings(tmp_path: Path) -> RunSettings:
    """Settings of a run that goes on for hours unless somebody ends it."""
    data = tmp_path / "data"
    write_prostate(data, n_cases=2, shape=(8, 32, 32), n_test=0)
    return RunSettings(
        dataset=str(data),
        workspace=str(tmp_path / "workspace"),
        name="child",
        configuration="2d",
        fold="all",
        plans=str(small_plan(data, tmp_path / "plans.json")),
        epochs=500_000,
        iterations_per_epoch=5,
        validation_iterations=1,
        device="cpu",
    )
