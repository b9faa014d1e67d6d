"""The four planners as plain numbers, and the record every rule returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from napari_unet_mic.errors import BadInput

T = TypeVar("T")
Planner = Literal["default", "resenc-m", "resenc-l", "resenc-xl"]

MIN_FEATURE_MAP_EDGE = 4  # voxels: no axis is pooled below this
BASE_FEATURES = 32
MAX_FEATURES = {2: 512, 3: 320}
MIN_BATCH_SIZE = 2
REFERENCE_BATCH = {2: 12, 3: 2}


@dataclass(frozen=True)
class Ruled(Generic[T]):
    """What a rule decided, and the sentence that says why."""

    value: T
    reason: str


@dataclass(frozen=True)
class Preset:
    """One of nnU-Net's planners.

    `reference_cost` is, per dimension, the sum of convolution feature-map sizes
    known to train in `memory_gb`; `covered` the largest share of the dataset's
    voxels that one batch may hold. Source: nnU-Net 2.8.1,
    experiment_planners/default_experiment_planner.py and
    residual_unets/residual_encoder_unet_planners.py.
    """

    planner: Planner
    planner_class: str
    plans_name: str
    residual: bool
    reference_cost: dict[int, int]
    memory_gb: float
    covered: float

    def encoder_blocks(self, n_stages: int) -> tuple[int, ...]:
        """Convolutions (plain) or residual blocks of each stage."""
        blocks = (1, 3, 4) if self.residual else (2, 2, 2)
        return (*blocks, *([6 if self.residual else 2] * max(0, n_stages - 3)))[:n_stages]

    def decoder_convolutions(self, n_stages: int) -> tuple[int, ...]:
        """Convolutions of each decoder step, one step fewer than stages."""
        return (1 if self.residual else 2,) * (n_stages - 1)

    def data_identifier(self, plans_name: str, configuration: str) -> str:
        """Name of the preprocessed data; residual planners share 2d and 3d_fullres."""
        shared = self.residual and configuration in ("2d", "3d_fullres")
        return f"{'nnUNetPlans' if shared else plans_name}_{configuration}"


PRESETS: dict[str, Preset] = {
    preset.planner: preset
    for preset in (
        Preset(
            "default",
            "ExperimentPlanner",
            "nnUNetPlans",
            False,
            {2: 85_000_000, 3: 560_000_000},
            8,
            0.05,
        ),
        Preset(
            "resenc-m",
            "nnUNetPlannerResEncM",
            "nnUNetResEncUNetMPlans",
            True,
            {2: 135_000_000, 3: 680_000_000},
            8,
            1,
        ),
        Preset(
            "resenc-l",
            "nnUNetPlannerResEncL",
            "nnUNetResEncUNetLPlans",
            True,
            {2: 380_000_000, 3: 2_100_000_000},
            24,
            1,
        ),
        Preset(
            "resenc-xl",
            "nnUNetPlannerResEncXL",
            "nnUNetResEncUNetXLPlans",
            True,
            {2: 560_000_000, 3: 3_600_000_000},
            40,
            1,
        ),
    )
}


def preset_of(planner: str) -> Preset:
    """The preset of a planner's name (`default`, `resenc-m`, `resenc-l`, `resenc-xl`)."""
    if planner not in PRESETS:
        raise BadInput(
            "planner", expected=", ".join(PRESETS), got=repr(planner), advice="choose one of those"
        )
    return PRESETS[planner]
