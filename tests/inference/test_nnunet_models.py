"""Models that nnU-Net trained and exported, against what nnU-Net itself predicted with them.

`benchmarks/model_fixtures.py` made the files beside this: small networks on phantoms, and a
case that spans at least three tiles along every axis the patch has.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_image, read_labels
from napari_unet_mic.inference.predictor import Prediction, Predictor
from napari_unet_mic.inference.windows import window_starts
from napari_unet_mic.preprocessing.pipeline import prepare

FOLDER = Path(__file__).with_name("nnunet_models")
KINDS = sorted(folder.name for folder in FOLDER.iterdir())
FACTS = {kind: json.loads((FOLDER / kind / "facts.json").read_text()) for kind in KINDS}
RUNS = [(kind, run) for kind in KINDS for run in FACTS[kind]]


def image_of(kind: str) -> Volume:
    return read_image(sorted((FOLDER / kind / "image").glob("*.nii.gz")))


def predicted(kind: str, run: str, precision: str, **options: Any) -> Prediction:
    mirroring, _, folds = run.partition("_")
    predictor = Predictor.open(
        FOLDER / kind / "model.zip",
        folds=folds.split("_"),
        device="cpu",
        mirroring=mirroring == "mirrored",
        precision=precision,
    )
    return predictor.predict(image_of(kind), **options)


def check(kind: str, run: str, found: Prediction, *, differing: float, dice: float) -> None:
    """Differing voxels as a share of the union of both foregrounds; Dice of every class."""
    expected = read_labels(FOLDER / kind / f"{run}.nii.gz").array
    union = ((found.labels > 0) | (expected > 0)).sum()
    assert union > 500
    assert (found.labels != expected).sum() <= differing * union
    for value in np.unique(expected):
        ours, theirs = found.labels == value, expected == value
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= dice


@pytest.mark.parametrize(("kind", "run"), RUNS)
def test_labels_and_probabilities_are_nnunets(kind: str, run: str) -> None:
    found = predicted(kind, run, "float32", probabilities=True)
    check(kind, run, found, differing=0.001, dice=0.999)
    facts = FACTS[kind][run]
    assert found.probabilities is not None
    shares = found.probabilities.reshape(len(found.probabilities), -1)[:, facts["at"]].T
    assert np.abs(shares - np.asarray(facts["probabilities"])).max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_stays_close(kind: str) -> None:
    run = next(iter(FACTS[kind]))
    check(kind, run, predicted(kind, run, "bfloat16"), differing=0.01, dice=0.99)


@pytest.mark.parametrize("kind", KINDS)
def test_case_spans_three_tiles_along_every_axis(kind: str) -> None:
    predictor = Predictor.open(FOLDER / kind / "model.zip", device="cpu")
    plan, configuration = predictor.model.plan, predictor.configuration
    shape = prepare(image_of(kind), None, plan, configuration).data.shape
    patch = configuration.patch_size
    for size, length in zip(shape[-len(patch) :], patch, strict=True):
        assert len(window_starts(size, length)) >= 3


def test_fixtures_cover_what_differs() -> None:
    networks = {
        kind: Predictor.open(FOLDER / kind / "model.zip", device="cpu").configuration
        for kind in KINDS
    }
    assert len(networks["slices"].patch_size) == 2
    assert networks["residual"].architecture.is_residual
    assert networks["two_channels_two_folds"].architecture.kernel_sizes[0] == (1, 3, 3)
    assert {"plain_0", "plain_1", "plain_0_1"} < set(FACTS["two_channels_two_folds"])
