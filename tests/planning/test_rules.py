"""The planner against nnU-Net 2.8.1: golden answers, and the published plans."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet_mic.errors import BadDataset, BadInput
from napari_unet_mic.planning.fingerprint import Fingerprint
from napari_unet_mic.planning.plan import Plan, read_plan
from napari_unet_mic.planning.rules import (
    batch_dice,
    image_reader,
    mask_for_normalization,
    normalization,
    plan_experiment,
)

# answers of nnunetv2's own planners, run in its own environment
GOLDEN = json.loads((Path(__file__).parent / "planner_golden.json").read_text())
STATISTICS = dict.fromkeys(
    ("mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5"), 0.0
)
PUBLISHED = [
    (folder, planner, dataset)
    for folder, planner in (
        ("ConvolutionalEncoder", "default"),
        ("ResidualEncoderM", "resenc-m"),
        ("ResidualEncoderL", "resenc-l"),
    )
    for dataset in ("Dataset003_Liver", "Dataset005_Prostate")
]


def fingerprint_of(
    spacing: list[float], shape: list[int], n_channels: int = 1, relative_size: float = 1.0
) -> Fingerprint:
    return Fingerprint(
        (tuple(spacing),),
        (tuple(shape),),
        {str(i): dict(STATISTICS) for i in range(n_channels)},
        relative_size,
    )


def dataset_json(channels: list[str], n_training: int) -> dict[str, Any]:
    return {
        "channel_names": {str(i): name for i, name in enumerate(channels)},
        "labels": {"background": 0, "a": 1, "b": 2},
        "numTraining": n_training,
        "file_ending": ".nii.gz",
    }


def liver_like(**options: Any) -> Plan:
    return plan_experiment(
        fingerprint_of([1.0, 0.767578125, 0.767578125], [482, 512, 512]),
        dataset_json(["CT"], 131),
        **options,
    )


@pytest.mark.parametrize(
    "row", GOLDEN, ids=[f"{r['dataset']}-{r['planner']}-{r['gpu_memory_gb']}" for r in GOLDEN]
)
def test_planner_answers_as_nnunet(row: dict[str, Any]) -> None:
    plan = plan_experiment(
        fingerprint_of(row["spacing"], row["shape"], len(row["channels"]), row["relative_size"]),
        dataset_json(row["channels"], row["numTraining"]),
        planner=row["planner"],
        gpu_memory_gb=row["gpu_memory_gb"],
    )
    raw = plan.to_json()
    assert raw["transpose_forward"] == row["transpose_forward"]
    found = {
        name: {
            "patch": one["patch_size"],
            "batch": one["batch_size"],
            "spacing": one["spacing"],
            "strides": one["architecture"]["arch_kwargs"]["strides"],
            "masks": one["use_mask_for_norm"],
            "batch_dice": one["batch_dice"],
        }
        for name, one in raw["configurations"].items()
        if "patch_size" in one
    }
    assert found == row["configurations"]


@pytest.mark.parametrize(("folder", "planner", "dataset"), PUBLISHED)
def test_published_plans_are_reproduced(
    shared: Path, folder: str, planner: str, dataset: str
) -> None:
    where = shared / "data" / "plans" / folder / dataset
    plan = plan_experiment(
        Fingerprint.read(where / "dataset_fingerprint.json"),
        json.loads((where / "dataset.json").read_text()),
        planner=planner,
        dataset_name=dataset,
        plans_name="nnUNetPlans",  # the publisher renamed them
    )
    assert json.loads(json.dumps(plan.to_json())) == json.loads((where / "plans.json").read_text())


def test_hippocampus_plan_is_reproduced(shared: Path) -> None:
    (where,) = (shared / "reference" / "nnunet_v2_hippocampus").glob("nnUNetTrainer*")
    plan = plan_experiment(
        Fingerprint.read(where / "dataset_fingerprint.json"),
        json.loads((where / "dataset.json").read_text()),
        dataset_name="Dataset004_Hippocampus",
    )
    assert plan.to_json() == json.loads((where / "plans.json").read_text())
    assert plan.configuration("3d_fullres") == read_plan(where / "plans.json").configuration(
        "3d_fullres"
    )


def test_every_field_has_a_reason() -> None:
    plan = liver_like()
    for name in ("2d", "3d_lowres", "3d_fullres", "3d_cascade_fullres"):
        reasons = plan.reasons[name]
        for field in ("patch_size", "batch_size", "spacing", "n_stages", "strides", "batch_dice"):
            assert reasons[field], f"{name} {field}"
    assert "6 stages = 5 poolings + 1" in plan.reasons["3d_fullres"]["n_stages"]
    assert "1.7%" in plan.reasons["plan"]["3d_lowres"]
    assert "reasons" not in plan.to_json()


def test_cascade_links_lowres_and_fullres() -> None:
    plan = liver_like()
    assert plan.configuration("3d_lowres").next_stage == ("3d_cascade_fullres",)
    cascade = plan.configuration("3d_cascade_fullres")
    assert cascade.previous_stage == "3d_lowres"
    assert cascade.patch_size == plan.configuration("3d_fullres").patch_size


def test_residual_planners_share_the_preprocessed_data_of_fullres() -> None:
    plan = liver_like(planner="resenc-l")
    assert plan.plans_name == "nnUNetResEncUNetLPlans"
    assert plan.configuration("3d_fullres").data_identifier == "nnUNetPlans_3d_fullres"
    assert plan.configuration("3d_lowres").data_identifier == "nnUNetResEncUNetLPlans_3d_lowres"


def test_anisotropic_target_takes_the_tenth_percentile_of_the_coarse_axis() -> None:
    spacings = tuple((z, 1.0, 1.0) for z in (4.0, 5.0, 8.0, 8.0, 8.0))
    fingerprint = Fingerprint(spacings, ((10, 200, 200),) * 5, {"0": dict(STATISTICS)}, 1.0)
    plan = plan_experiment(fingerprint, dataset_json(["MR"], 5))
    assert plan.configuration("3d_fullres").spacing == pytest.approx((4.4, 1.0, 1.0))
    assert plan.original_median_spacing_after_transp == (8.0, 1.0, 1.0)
    assert "10th percentile" in plan.reasons["3d_fullres"]["spacing"]


@pytest.mark.parametrize(
    ("channel", "scheme"),
    [
        ("CT", "CTNormalization"),
        ("ct", "CTNormalization"),
        ("noNorm", "NoNormalization"),
        ("zscore", "ZScoreNormalization"),
        ("T2", "ZScoreNormalization"),
        ("rescale_to_0_1", "RescaleTo01Normalization"),
        ("rgb_to_0_1", "RGBTo01Normalization"),
    ],
)
def test_channel_name_selects_the_normalization(channel: str, scheme: str) -> None:
    assert normalization({"0": channel}).value == (scheme,)


def test_masks_are_used_below_three_quarters_and_only_for_z_scores() -> None:
    schemes = ("ZScoreNormalization", "CTNormalization")
    assert mask_for_normalization(schemes, 0.74).value == (True, False)
    assert mask_for_normalization(schemes, 0.75).value == (False, False)


def test_batch_dice() -> None:
    assert batch_dice("2d", False).value
    assert batch_dice("3d_fullres", True).value
    assert not batch_dice("3d_fullres", False).value
    assert not batch_dice("3d_lowres", True).value


def test_reader_follows_dataset_json() -> None:
    assert image_reader({"file_ending": ".nii.gz"}).value == "SimpleITKIO"
    assert image_reader({"file_ending": ".nii"}).value == "NibabelIO"
    asked = {"file_ending": ".nii.gz", "overwrite_image_reader_writer": "NibabelIO"}
    assert image_reader(asked).value == "NibabelIO"


def test_decathlon_modality_is_read_as_channels() -> None:
    about = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "a"}, "numTraining": 3}
    plan = plan_experiment(fingerprint_of([1, 1, 1], [64, 64, 64]), about)
    assert plan.configuration("3d_fullres").normalization_schemes == ("CTNormalization",)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"planner": "huge"}, BadInput, "resenc-xl"),
        ({"gpu_memory_gb": 0}, BadInput, "above 0"),
        ({"gpu_memory_gb": float("nan")}, BadInput, "above 0"),
        ({"gpu_memory_gb": 1e-6}, BadInput, "smallest patch"),
    ],
)
def test_impossible_wishes_are_sentences(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        liver_like(**change)


def test_dataset_json_without_labels_is_refused() -> None:
    with pytest.raises(BadDataset, match="labels"):
        plan_experiment(fingerprint_of([1, 1, 1], [64, 64, 64]), {"channel_names": {"0": "CT"}})


@pytest.mark.parametrize(
    "about", [[1], {"channel_names": {"0": "a", "1": "b"}, "labels": {"a": 0}}]
)
def test_dataset_json_of_something_else_is_refused(about: Any) -> None:
    with pytest.raises(BadDataset, match="channel"):
        plan_experiment(fingerprint_of([1, 1, 1], [64, 64, 64]), about)


def test_numpy_numbers_never_reach_the_plan() -> None:
    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(plain(v) for v in value.values())
        if isinstance(value, list):
            return all(plain(v) for v in value)
        return not isinstance(value, np.generic | tuple)

    assert plain(liver_like().to_json())
