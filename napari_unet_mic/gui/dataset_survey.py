"""What the table of cases shows of each case: shape and spacing at once, volumes when read.

No Qt here: `survey` runs in a thread and hands one record per step to `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_unet_mic.data.dataset import Case, Dataset, value_counts
from napari_unet_mic.data.volume import check_same_grid, read_grid, read_labels
from napari_unet_mic.errors import UNetMicError


@dataclass(frozen=True)
class CaseFacts:
    """What is known of a case; `finding` is a sentence when something is wrong with it."""

    name: str
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    volumes_ml: Mapping[int, float] = field(default_factory=dict)
    finding: str = ""


def survey(
    dataset: Dataset,
    tell: Callable[[CaseFacts], None],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Tell the grid of every case first, then the class volumes of every label."""
    known: dict[str, CaseFacts] = {}
    for case in dataset.cases:
        if should_stop():
            return
        known[case.name] = _grid_facts(dataset, case)
        tell(known[case.name])
    for case in dataset.cases:
        if should_stop():
            return
        facts = known[case.name]
        if case.label is not None and facts.shape is not None:
            tell(_with_volumes(dataset, case.label, facts))


def _grid_facts(dataset: Dataset, case: Case) -> CaseFacts:
    facts = CaseFacts(case.name)
    try:
        grids = [read_grid(file) for file in case.images]
        grid = grids[0]
        facts = replace(facts, shape=grid.shape, spacing_mm=grid.spacing_mm)
        channels = sum(one.n_channels for one in grids)
        if channels != len(dataset.channel_names):
            finding = (
                f"{case.images[0]}: expected {len(dataset.channel_names)} channels "
                f"({', '.join(dataset.channel_names)}), got {channels}; correct dataset.json or "
                "add the missing files"
            )
            return replace(facts, finding=finding)
        others = [*grids[1:], *([read_grid(case.label)] if case.label else [])]
        for other in others:
            check_same_grid(grid, other)
    except UNetMicError as error:
        return replace(facts, finding=str(error))
    return facts


def _with_volumes(dataset: Dataset, label: Path, facts: CaseFacts) -> CaseFacts:
    try:
        volume = read_labels(label)
    except UNetMicError as error:
        return replace(facts, finding=facts.finding or str(error))
    counts = value_counts(volume.array)
    finding = facts.finding
    unknown = set(counts) - set(dataset.classes) - {dataset.ignore_value}
    if unknown and not finding:
        values = ", ".join(str(value) for value in sorted(unknown)[:5])
        finding = (
            f"{label}: expected the classes of dataset.json, got the value {values}; "
            "correct the label, or declare the class"
        )
    elif not any(counts.get(value, 0) for value in dataset.classes if value) and not finding:
        finding = (
            f"{label}: expected some labelled voxels, got none; is the label empty on purpose?"
        )
    volumes = {value: counts.get(value, 0) * volume.voxel_ml for value in dataset.classes if value}
    return replace(facts, volumes_ml=volumes, finding=finding)
