"""nnU-Net's own results on real data: isotropic, anisotropic, two-channel, oblique."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume, read_image, read_labels
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan
from napari_unet_mic.preprocessing.pipeline import Properties, interpolation_of, prepare
from napari_unet_mic.preprocessing.resample import resample_logits

CASES = ["hippocampus_001", "hippocampus_003", "ProstateX_0001", "CRLM-CT-1004"]
N_CLASSES = 3


def expected(shared: Path, name: str) -> dict[str, Any]:
    folder = shared / "reference" / "preprocessing"
    known = {}
    for file in ("small.json", "big.json"):
        known.update(json.loads((folder / file).read_text()))
    return next(value for key, value in known.items() if key.endswith(name))


def case(shared: Path, name: str) -> tuple[Volume, Volume, Plan, Configuration]:
    data = shared / "data"
    plans = data / "plans" / "ConvolutionalEncoder"
    labels = None
    if name.startswith("hippocampus"):
        folder = data / "Task04_Hippocampus"
        image = read_image(folder / "imagesTr" / f"{name}.nii.gz")
        labels = read_labels(folder / "labelsTr" / f"{name}.nii.gz")
        plan_file = next((shared / "reference" / "nnunet_v2_hippocampus").rglob("plans.json"))
    elif name.startswith("Prostate"):
        image = read_image(sorted((data / "prostate_t2_adc" / "imagesTs").glob(f"{name}_*")))
        plan_file = plans / "Dataset005_Prostate" / "plans.json"
    else:
        image = read_image(data / "liver_ct_unlabelled" / f"{name}_0000.nii.gz")
        plan_file = plans / "Dataset003_Liver" / "plans.json"
    if labels is None:
        labels = Volume.from_array(np.zeros(image.shape, np.int16), affine=image.affine)
    plan = read_plan(plan_file)
    return image, labels, plan, plan.configuration("3d_fullres")


def exported(properties: Properties, plan: Plan, configuration: Configuration) -> np.ndarray:
    """The recipe of the reference: smooth random logits, brought back a few planes at a time."""
    random = np.random.default_rng(1).standard_normal((N_CLASSES, 6, 8, 8)).astype(np.float32)
    logits = resample_logits(random, properties.shape, (1, 1, 1), (1, 1, 1))
    how = interpolation_of(configuration, "probabilities")
    labels = np.zeros(properties.shape_before, dtype=np.uint8)
    inside = labels[properties.box.slices]
    for start in range(0, properties.shape_after_crop[0], 8):
        rows = slice(start, start + 8)
        slab = resample_logits(
            logits,
            properties.shape_after_crop,
            properties.target_spacing_mm,
            properties.spacing_mm,
            how=how,
            rows=rows,
        )
        inside[rows] = slab.argmax(axis=0)
    return labels.transpose(plan.transpose_backward)


@pytest.mark.parametrize("name", CASES)
def test_prepared_as_nnunet_prepares(shared: Path, name: str) -> None:
    wanted = expected(shared, name)
    image, labels, plan, configuration = case(shared, name)
    prepared = prepare(image, labels, plan, configuration)
    properties = prepared.properties
    assert list(prepared.data.shape) == wanted["shape"]
    assert list(properties.shape_before) == wanted["shape_before_cropping"]
    box = zip(properties.box.lower, properties.box.upper, strict=True)
    assert [list(side) for side in box] == wanted["bbox"]
    assert properties.source_spacing_mm == pytest.approx(wanted["spacing"])
    np.testing.assert_allclose(
        prepared.data.reshape(-1)[wanted["samples_at"]], wanted["samples"], atol=2e-5
    )
    assert prepared.data.mean() == pytest.approx(wanted["mean"], abs=1e-5)
    assert prepared.data.std() == pytest.approx(wanted["std"], abs=1e-5)
    values, counts = np.unique(prepared.labels, return_counts=True)
    found = {str(v): int(n) for v, n in zip(values, counts, strict=True)}
    assert found == wanted["seg_counts"]


@pytest.mark.parametrize("name", CASES)
def test_exported_as_nnunet_exports(shared: Path, name: str) -> None:
    wanted = expected(shared, name)
    image, _, plan, configuration = case(shared, name)
    properties = prepare(image, None, plan, configuration).properties
    labels = exported(properties, plan, configuration)
    assert list(labels.shape) == wanted["export"]["shape"]
    arrays = np.load(shared / "reference" / "preprocessing" / f"{name.split('-')[0]}.npz")
    differing = np.count_nonzero(labels != arrays["exported_seg"])
    assert differing <= 0.001 * np.count_nonzero(arrays["exported_seg"])
