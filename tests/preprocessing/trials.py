"""Random cases with random plans: what nnU-Net and we both prepare and bring back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.inference.export import to_source_grid
from napari_unet_mic.planning.plan import plan_of
from napari_unet_mic.preprocessing.pipeline import prepare

TEMPLATE = Path(__file__).parents[1] / "network" / "tiny_plans.json"
SCHEMES = (
    "CTNormalization",
    "ZScoreNormalization",
    "NoNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
)
CT_FACTS = {"mean": 31.0, "std": 47.0, "percentile_00_5": -60.0, "percentile_99_5": 140.0}


@dataclass(frozen=True, eq=False)
class Trial:
    """One case, the plan to prepare it with, and logits to bring back onto its grid."""

    seed: int
    image: NDArray[np.float32]  # (C, Z, Y, X)
    labels: NDArray[np.int16]  # (Z, Y, X)
    spacing_mm: tuple[float, float, float]
    plans: dict[str, Any]
    logits: NDArray[np.float32]  # (K, z, y, x)

    @property
    def dataset_json(self) -> dict[str, Any]:
        """Channels and classes as nnU-Net wants to know them."""
        names = {str(i): "MRI" for i in range(len(self.image))}
        labels = {"background": 0, "organ": 1, "tumour": 2}
        return {"channel_names": names, "labels": labels, "file_ending": ".nii.gz"}

    def __str__(self) -> str:
        about = self.plans["configurations"]["c"]
        spacing = "×".join(f"{s:.2g}" for s in self.spacing_mm)
        target = "×".join(f"{s:.2g}" for s in about["spacing"])
        schemes = "+".join(
            name.removesuffix("Normalization") + ("(mask)" if masked else "")
            for name, masked in zip(
                about["normalization_schemes"], about["use_mask_for_norm"], strict=True
            )
        )
        order = "".join(map(str, self.plans["transpose_forward"]))
        return f"{self.seed}: {self.labels.shape} at {spacing} to {target} mm, {order}, {schemes}"


def trial_of(seed: int) -> Trial:
    """Make one trial; the same seed gives the same."""
    rng = np.random.default_rng([seed, 7])
    transpose = [(0, 1, 2), (0, 1, 2), (1, 0, 2), (2, 0, 1)][rng.integers(4)]
    coarse = float(rng.choice([1.0, 1.4, 3.5, 6.0]))  # the plan's first axis against the others
    planned = np.array([coarse, 1.0, 1.0]) * rng.uniform(0.6, 1.6) * rng.uniform(0.85, 1.15, 3)
    shape = rng.integers(12, 26, 3)
    shape[0] = rng.integers(6, 12) if coarse > 2 else shape[0]
    backward = [transpose.index(axis) for axis in range(3)]
    source = [int(shape[axis]) for axis in backward]
    image, labels = _case(rng, tuple(source), n_channels=int(rng.integers(1, 4)))
    target = planned * rng.uniform(0.7, 1.5, 3)
    two_d = bool(rng.random() < 0.25)
    schemes = [str(name) for name in rng.choice(SCHEMES, len(image))]
    for channel, name in enumerate(schemes):
        if name.startswith("RGB"):
            image[channel] = np.clip(np.abs(image[channel]), 0, 255)
    plans = _plans(transpose, backward, target[1:] if two_d else target, schemes, rng)
    spacing = tuple(float(planned[axis]) for axis in backward)
    trial = Trial(seed, image, labels, spacing, plans, np.zeros((3, 1, 1, 1), np.float32))
    plan = plan_of(plans)
    on_grid = prepare(_volume(trial), None, plan, plan.configuration("c")).properties.shape
    logits = rng.standard_normal((3, *on_grid)).astype(np.float32)
    return Trial(seed, image, labels, spacing, plans, logits)


def ours_of(trial: Trial) -> dict[str, Any]:
    """What this package makes of a trial."""
    plan = plan_of(trial.plans)
    configuration = plan.configuration("c")
    volume = _volume(trial)
    labels = Volume.from_array(trial.labels, affine=volume.affine)
    prepared = prepare(volume, labels, plan, configuration)
    box = prepared.properties.box
    exported = to_source_grid(trial.logits, prepared.properties, plan, configuration).labels
    return {
        "data": prepared.data,
        "labels": prepared.labels,
        "box": [list(side) for side in zip(box.lower, box.upper, strict=True)],
        "exported": exported,
    }


def _volume(trial: Trial) -> Volume:
    z, y, x = trial.spacing_mm
    return Volume.from_array(trial.image, affine=np.diag([x, y, z, 1.0]))


def _case(
    rng: np.random.Generator, shape: tuple[int, ...], n_channels: int
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    centre = rng.uniform(-0.2, 0.2, 3)
    radius = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))
    labels = (radius < 0.7).astype(np.int16) + (radius < rng.uniform(0.2, 0.5))
    image = rng.normal(40, 60, (n_channels, *shape)).astype(np.float32)
    image += 50 * labels
    if rng.random() < 0.6:  # zeros around the body, as masked MR has
        image[:, radius > rng.uniform(0.75, 1.1)] = 0
    return image, labels


def _plans(
    transpose: tuple[int, ...],
    backward: list[int],
    spacing: NDArray[np.float64],
    schemes: list[str],
    rng: np.random.Generator,
) -> dict[str, Any]:
    plans: dict[str, Any] = json.loads(TEMPLATE.read_text())
    of_kind = plans["configurations"]["2d" if len(spacing) == 2 else "3d_fullres"]
    of_kind |= {
        "spacing": [float(s) for s in spacing],
        "normalization_schemes": schemes,
        "use_mask_for_norm": [bool(rng.random() < 0.5) for _ in schemes],
    }
    facts = {str(channel): CT_FACTS for channel in range(len(schemes))}
    return plans | {
        "configurations": {"c": of_kind},
        "transpose_forward": list(transpose),
        "transpose_backward": backward,
        "foreground_intensity_properties_per_channel": facts,
    }
