"""Plan and Configuration: nnU-Net's plans.json, read, checked and written.

A plan keeps the file's own dict (`raw`), so what is written is what was read;
the fields beside it are the checked, resolved view that the other rooms use.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadPlan, UnreadableFile
from napari_unet_mic.planning.architecture import Architecture
from napari_unet_mic.planning.configuration import (
    Configuration,
    Fields,
    allowed,
    bad_plan,
    read_configuration,
)

__all__ = ["Architecture", "Configuration", "Plan", "plan_of", "read_plan", "write_plan"]

# only the first two see an array as we do, see Plan.check_preparable
READERS = ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", "Tiff3DIO", "NaturalImage2DIO")


class Configurations(Mapping[str, Configuration]):
    """The configurations of a plan by name; one with an unknown network raises when asked for."""

    def __init__(self, known: Mapping[str, Configuration | BadPlan]) -> None:
        self._known = dict(known)

    def __getitem__(self, name: str) -> Configuration:
        found = self._known[name]
        if isinstance(found, BadPlan):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Configurations({list(self._known)})"


@dataclass(frozen=True)
class Plan:
    """nnU-Net v2 plans.

    `transpose_forward` brings the array axes (z, y, x) into network order.
    `intensity` maps a channel ("0") to mean, median, std, min, max,
    percentile_00_5 and percentile_99_5 of its foreground.
    `reasons` maps a configuration (or "plan") and a field to the sentence that
    says why it has its value; it is not written into plans.json.
    """

    dataset_name: str
    plans_name: str
    transpose_forward: tuple[int, ...]
    transpose_backward: tuple[int, ...]
    intensity: dict[str, dict[str, float]]
    original_median_spacing_after_transp: tuple[float, ...]
    original_median_shape_after_transp: tuple[int, ...]
    image_reader_writer: str
    experiment_planner_used: str
    label_manager: str
    configurations: Mapping[str, Configuration]
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    reasons: dict[str, dict[str, str]] = field(default_factory=dict, repr=False, compare=False)
    file: Path | None = field(default=None, compare=False)

    def configuration(self, name: str) -> Configuration:
        """The configuration of that name, inheritance resolved.

        Raises
        ------
        BadPlan
            There is none of that name (the sentence names those there are), or
            its network is not one this package builds.
        """
        if name not in self.configurations:
            raise BadPlan(
                self.file or self.plans_name,
                expected=f"a configuration named {name}",
                got=", ".join(self.configurations) or "no configuration at all",
                advice="choose one of those",
            )
        return self.configurations[name]

    @property
    def default_configuration(self) -> str:
        """3d_fullres where there is one, else the first."""
        names = list(self.configurations)
        return "3d_fullres" if "3d_fullres" in names else names[0]

    def check_preparable(self) -> None:
        """Refuse a plan whose network saw its images prepared in another way than ours.

        Raises
        ------
        BadPlan
            The images were read by a class that reorders the axes or reads other
            formats than NIfTI; or it is a v1 plan, which resamples first and
            normalises then.
        """
        advice = "its network would see other images than it was trained on; use nnU-Net for it"
        if self.image_reader_writer not in READERS[:2]:
            raise BadPlan(
                self.file or self.plans_name,
                expected=f"a plan made with {' or '.join(READERS[:2])}",
                got=f"image_reader_writer {self.image_reader_writer}",
                advice=advice,
            )
        if any("nnunet.network_architecture" in name for name in _network_names(self.raw)):
            raise BadPlan(
                self.file or self.plans_name,
                expected="a plan of nnU-Net v2",
                got="one of nnU-Net v1, which normalises after resampling",
                advice=advice,
            )

    def to_json(self) -> dict[str, Any]:
        """The dict that nnU-Net v2 reads from plans.json."""
        return copy.deepcopy(self.raw)


def read_plan(file: str | os.PathLike[str]) -> Plan:
    """Read nnU-Net v2 plans, early ones (without `architecture` blocks) included.

    Raises
    ------
    UnreadableFile
        The file is missing.
    BadPlan
        It is not JSON, lacks a field, names an unknown class, or its stages do
        not add up.
    """
    try:
        raw = read_json(Path(file))
    except UnreadableFile as error:
        if not Path(file).is_file():
            raise
        raise BadPlan(file, expected=error.expected, got=error.got, advice=error.advice) from error
    return plan_of(raw, file=Path(file))


def write_plan(file: str | os.PathLike[str], plan: Plan) -> None:
    """Write a plan as nnU-Net v2 plans.json (whole, then renamed into place)."""
    write_json(Path(file), plan.to_json())


def plan_of(raw: Any, *, file: Path | None = None) -> Plan:
    """Check an nnU-Net v2 plans dict and give the plan it describes.

    Raises
    ------
    BadPlan
        As `read_plan`.
    """
    thing = str(file or "plans")
    if not isinstance(raw, dict):
        raise bad_plan(thing, "a JSON object", type(raw).__name__)
    reader = Fields(raw, thing)
    intensity = raw.get(
        "foreground_intensity_properties_per_channel",
        raw.get("foreground_intensity_properties_by_modality"),
    )
    if not isinstance(intensity, dict) or not all(isinstance(v, dict) for v in intensity.values()):
        raise bad_plan(thing, "the field foreground_intensity_properties_per_channel", "none")
    configurations = reader.of("configurations", dict)
    if not configurations:
        raise bad_plan(thing, "at least one configuration", "none")
    forward = _permutation(reader, "transpose_forward")
    known: dict[str, Configuration | BadPlan] = {}
    for name in configurations:
        try:
            known[name] = read_configuration(name, configurations, thing, forward)
        except BadPlan as error:
            if "network_class_name" not in error.got:
                raise
            known[name] = error  # somebody's own network beside usable ones
    if all(isinstance(found, BadPlan) for found in known.values()):
        raise next(found for found in known.values() if isinstance(found, BadPlan))
    return Plan(
        dataset_name=reader.of("dataset_name", str),
        plans_name=reader.of("plans_name", str),
        transpose_forward=forward,
        transpose_backward=_permutation(reader, "transpose_backward"),
        intensity=intensity,
        original_median_spacing_after_transp=reader.numbers("original_median_spacing_after_transp"),
        original_median_shape_after_transp=tuple(
            round(n) for n in reader.numbers("original_median_shape_after_transp")
        ),
        image_reader_writer=allowed(
            reader.of("image_reader_writer", str), "image_reader_writer", READERS, thing
        ),
        experiment_planner_used=str(raw.get("experiment_planner_used", "")),
        label_manager=allowed(
            raw.get("label_manager", "LabelManager"), "label_manager", ("LabelManager",), thing
        ),
        configurations=Configurations(known),
        raw=copy.deepcopy(raw),
        file=file,
    )


def _network_names(raw: Mapping[str, Any]) -> list[str]:
    blocks = (one.get("architecture") for one in raw.get("configurations", {}).values())
    return [str(block["network_class_name"]) for block in blocks if block]


def _permutation(reader: Fields, key: str) -> tuple[int, ...]:
    axes = reader.numbers(key)
    if sorted(axes) != [0, 1, 2]:
        raise bad_plan(reader.thing, f"{key} as an order of the axes 0, 1, 2", repr(list(axes)))
    return axes
