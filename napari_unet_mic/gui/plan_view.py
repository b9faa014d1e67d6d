"""A plan as the panel shows it: sentences and table rows with their reasons, no Qt.

In come a `Plan`, the name of a configuration and the arithmetic of its network
(`topology.NetworkFacts`); out comes a `PlanView` of plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_unet_mic.planning.plan import Plan
from napari_unet_mic.planning.topology import NetworkFacts, StageFacts, describe

STAGE_COLUMNS = ("stage", "size", "kernel", "stride", "features")
COLUMN_TIPS = (
    "Resolution level of the encoder, the finest first",
    "Size of the feature maps in voxels (z, y, x)",
    "Size of the convolutions in voxels (z, y, x)",
    "How much smaller the feature maps become at the entry of this stage (z, y, x)",
    "Number of feature maps",
)


@dataclass(frozen=True)
class StageRow:
    """One line of the stage table and the reason it is so."""

    cells: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class PlanView:
    """What the panel shows of one configuration of a plan."""

    configurations: tuple[str, ...]
    configuration: str
    summary: str
    summary_reason: str
    rows: tuple[StageRow, ...]
    stage_check: str
    size: str
    size_reason: str


def view_of(plan: Plan, configuration: str, n_channels: int, n_classes: int) -> PlanView:
    """Describe one configuration of a plan in words.

    Raises
    ------
    BadPlan
        When the plan has no such configuration, or one this package does not build.
    """
    one = plan.configuration(configuration)
    facts = describe(one, n_channels, n_classes)
    reasons = plan.reasons.get(configuration, {})
    shown = [
        f"patch {_times(one.patch_size)}",
        f"batch {one.batch_size}",
        f"spacing {' '.join(f'{s:.3g}' for s in one.spacing)} mm",
    ]
    why = [f"{words}: {reasons[field]}" for words, field in _SUMMARY_FIELDS if field in reasons]
    why.append(reasons.get("n_stages", ""))
    return PlanView(
        configurations=tuple(plan.configurations),
        configuration=configuration,
        summary=" · ".join(shown),
        summary_reason="\n".join(filter(None, why)) or NO_REASONS,
        rows=tuple(_rows(facts, reasons)),
        stage_check=f"{facts.stage_sentence} ✓",
        size=f"{facts.parameters / 1e6:.1f} M parameters · "
        f"about {facts.memory_bytes_estimate / 1e9:.1f} GB while training",
        size_reason=f"Memory: {facts.memory_sentence}. One voxel of the last stage sees "
        f"{_times(facts.receptive_field)} voxels of the image",
    )


NO_REASONS = "As the plans file says; it does not tell its reasons"
_SUMMARY_FIELDS = (
    ("Patch", "patch_size"),
    ("Batch", "batch_size"),
    ("Spacing", "spacing"),
)


def _rows(facts: NetworkFacts, reasons: dict[str, str]) -> list[StageRow]:
    """Return one row per stage; its reason says how often each axis was halved so far."""
    axes = "zyx"[-len(facts.patch_size) :]
    halved = [0] * len(facts.patch_size)
    rows = []
    for stage in facts.stages:
        halved = [n + (step > 1) for n, step in zip(halved, stage.stride, strict=True)]
        cells = (
            str(stage.index),
            _times(stage.size),
            _spaced(stage.kernel),
            _spaced(stage.stride),
            str(stage.features),
        )
        rows.append(StageRow(cells, _why(stage, facts, axes, halved, reasons)))
    return rows


def _why(
    stage: StageFacts,
    facts: NetworkFacts,
    axes: str,
    halved: Sequence[int],
    reasons: dict[str, str],
) -> str:
    lines = [f"Stage {stage.index}: {stage.reason}"]
    for axis, times, size, patch in zip(axes, halved, stage.size, facts.patch_size, strict=True):
        if times:
            lines.append(
                f"{axis} pooled {'once' if times == 1 else f'{times} times'}: {patch} → {size}"
            )
    voxel = (s * 2**n for s, n in zip(facts.spacing, halved, strict=True))
    lines.append(f"Its voxels are {' × '.join(f'{s:.3g}' for s in voxel)} mm")
    lines += [f"{words}: {reasons[field]}" for words, field in _STAGE_FIELDS if field in reasons]
    return "\n".join(lines)


_STAGE_FIELDS = (("Kernel", "kernel_sizes"), ("Features", "features_per_stage"))


def _times(numbers: Sequence[float]) -> str:
    return "×".join(f"{n:g}" for n in numbers)


def _spaced(numbers: Sequence[int]) -> str:
    return " ".join(str(n) for n in numbers)
