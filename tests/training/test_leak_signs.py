"""Losses suspiciously close: silent on a clean grouped run, speaking on a planted leak."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_unet_mic.cli import main
from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.data.splits import grouped_folds
from napari_unet_mic.data.volume import Volume, write_image, write_labels
from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.fingerprint import extract
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.training.leak_signs import compare_losses, measure_run
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train_here

SHAPE = (8, 16, 16)
PATIENTS = 32


def losses(mean: float, n: int, spread: float = 0.02) -> dict[str, float]:
    wave = np.sin(1 + 2.4 * np.arange(n))
    return {f"c{k}": mean + spread * float(w) for k, w in enumerate(wave)}


@pytest.mark.parametrize(
    ("training", "validation", "views", "verdict"),
    [
        pytest.param(losses(-0.85, 40), losses(-0.85, 40), 100, "too close", id="equal"),
        pytest.param(losses(-0.85, 40), losses(-0.77, 40), 100, "apart", id="healthy"),
        pytest.param(losses(-0.85, 40), losses(-0.85, 40), 10, "cannot tell", id="too-early"),
        pytest.param(losses(-0.85, 40), losses(-0.84, 3, 0.1), 100, "cannot tell", id="few"),
        pytest.param(losses(-0.85, 40), losses(-0.84, 1), 100, "cannot tell", id="one"),
        pytest.param(losses(-0.85, 40), losses(-0.90, 40), 100, "too close", id="even-better"),
    ],
)
def test_what_losses_say(
    training: dict[str, float], validation: dict[str, float], views: float, verdict: str
) -> None:
    found = compare_losses(training, validation, views=views)
    assert found.verdict == verdict
    assert f"{np.mean(list(training.values())):.3f} on plain training patches" in found.sentence
    assert found.at_most >= found.ratio


def write_pairs(folder: Path) -> Path:
    """Write two scans of each patient: noise, and a label that nobody can guess.

    The second scan is the first with other noise and another gain, the label the same: who has
    learned one by heart knows the other.
    """
    rng = np.random.default_rng(1)
    names = []
    for patient in range(PATIENTS):
        anatomy = gaussian_filter(rng.normal(size=SHAPE), 1.5)
        anatomy /= anatomy.std()
        hidden = gaussian_filter(rng.normal(size=SHAPE), 2.5)
        labels = (hidden > np.quantile(hidden, 0.75)).astype(np.uint8)
        for scan in "ab":
            image = anatomy + rng.normal(0, 0.05, SHAPE)
            image = (image * rng.uniform(0.7, 1.4) * 100).astype(np.float32)[None]
            like = Volume.from_array(image, spacing_mm=(2.0, 1.0, 1.0))
            name = f"p{patient:02d}_{scan}"
            names.append(name)
            write_image(folder / f"imagesTr/{name}_0000.nii.gz", image, like)
            write_labels(folder / f"labelsTr/{name}.nii.gz", labels, like)
    write_json(
        folder / "dataset.json",
        {
            "channel_names": {"0": "MRI"},
            "labels": {"background": 0, "part": 1},
            "numTraining": len(names),
            "file_ending": ".nii.gz",
        },
    )
    dataset = open_dataset(folder)
    plan = plan_experiment(extract(dataset), dataset.nnunet_json(), dataset_name="Pairs").to_json()
    configuration: dict[str, Any] = plan["configurations"]["3d_fullres"]
    configuration["patch_size"] = list(SHAPE)
    configuration["batch_size"] = 4
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": 2,
        "features_per_stage": [16, 32],
        "kernel_sizes": [[3, 3, 3]] * 2,
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_conv_per_stage": [2, 2],
        "n_conv_per_stage_decoder": [2],
    }
    write_json(folder / "plans.json", plan)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "Dataset003_Pairs")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(pairs: Path, folder: Path, splits: list[dict[str, list[str]]], **changes: Any) -> Run:
    write_json(folder / "splits.json", splits)
    settings = RunSettings(
        dataset=str(pairs),
        workspace=str(folder / "w"),
        name="run",
        plans=str(pairs / "plans.json"),
        splits=str(folder / "splits.json"),
        epochs=8,
        iterations_per_epoch=90,
        learning_rate=0.02,
        validation_iterations=1,
        augmentation="none",
        device="cpu",
        precision="float32",
    )
    settings = dataclasses.replace(settings, **changes)
    assert train_here(settings, report=lambda _: None) == 0
    return Run.open(settings.folder)


def names_of(pairs: Path) -> list[str]:
    return [case.name for case in open_dataset(pairs).training]


@pytest.fixture(scope="module")
def leaky(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    names = names_of(pairs)
    fold = {"train": [n for n in names if n[-1] == "a"], "val": [n for n in names if n[-1] == "b"]}
    return trained(pairs, tmp_path_factory.mktemp("leaky"), [fold])


def test_silent_on_a_clean_run_of_grouped_folds(pairs: Path, tmp_path: Path) -> None:
    names = names_of(pairs)
    groups = [(f"p{n:02d}_a", f"p{n:02d}_b") for n in range(PATIENTS)]
    run = trained(pairs, tmp_path, grouped_folds(names, groups))
    found = measure_run(run, device="cpu")
    assert found.verdict == "apart", found.sentence
    assert found.ratio > 1.5
    assert found.findings(run) == []


def test_speaks_on_a_planted_leak(leaky: Run) -> None:
    found = measure_run(leaky, device="cpu")
    assert found.verdict == "too close", found.sentence
    (finding,) = found.findings(leaky)
    assert finding.kind == "losses-too-close"
    assert finding.severity == "warning"
    assert "suspiciously close" in finding.message


def test_speaks_when_half_of_the_validation_cases_are_known(pairs: Path, tmp_path: Path) -> None:
    names = names_of(pairs)
    held = ["p00_b", "p01_b", "p02_b", "p03_b", "p04_a", "p04_b", "p05_a", "p05_b"]
    fold = {"train": [n for n in names if n not in held], "val": held}
    run = trained(pairs, tmp_path, [fold])
    groups = [(f"p{n:02d}_a", f"p{n:02d}_b") for n in range(PATIENTS)]
    found = measure_run(run, groups, device="cpu")
    assert found.known == ("p00_b", "p01_b", "p02_b", "p03_b")
    assert found.verdict == "apart"  # all of them together
    (finding,) = found.findings(run)
    assert finding.related == found.known
    assert "4 validation cases whose patient or image is in training" in finding.message


def test_too_early_to_tell(pairs: Path, tmp_path: Path) -> None:
    names = names_of(pairs)
    fold = {"train": [n for n in names if n[-1] == "a"], "val": [n for n in names if n[-1] == "b"]}
    run = trained(pairs, tmp_path, [fold], epochs=1, iterations_per_epoch=5)
    found = measure_run(run, device="cpu")
    assert found.verdict == "cannot tell"
    assert "too early to tell" in found.sentence


def test_the_command_adds_the_finding(
    leaky: Run, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(pairs), "--no-leaks", "--run", str(leaky.folder), "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert "losses-too-close" in [finding["kind"] for finding in report["findings"]]
    assert report["losses"]["verdict"] == "too close"
    assert len(report["losses"]["validation"]) == PATIENTS
    assert "suspiciously close" in said.err


def test_a_run_without_validation_cases_is_refused(leaky: Run, tmp_path: Path) -> None:
    record = read_json(leaky.run_file)
    record["settings"]["fold"] = "all"
    write_json(tmp_path / "run.json", record)
    with pytest.raises(BadInput, match="validation cases of its own"):
        measure_run(Run.open(tmp_path))
