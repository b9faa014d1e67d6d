"""Plan and Configuration: nnU-Net's plans.json, read, checked and written.

A plan keeps the file's own dict (`raw`), so what is written is what was read;
the fields beside it are the checked, resolved view that the other rooms use.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.errors import BadPlan, UnreadableFile
from napari_unet_mic.planning.architecture import Architecture, read_architecture

__all__ = ["Architecture", "Configuration", "Plan", "plan_of", "read_plan", "write_plan"]

NORMALIZATIONS = (
    "CTNormalization",
    "ZScoreNormalization",
    "NoNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
    "CT2Normalization",  # v1 only
)
PREPROCESSORS = ("DefaultPreprocessor", "GenericPreprocessor", "PreprocessorFor2D")
# only the first two see an array as we do, see Plan.check_reader
READERS = ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", "Tiff3DIO", "NaturalImage2DIO")
_RESAMPLING = "resample_data_or_seg_to_shape"
_RESAMPLING_DEFAULTS: dict[str, dict[str, Any]] = {
    kind: {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}
    for kind, is_seg, order in (("data", False, 3), ("seg", True, 1), ("probabilities", False, 1))
}


@dataclass(frozen=True)
class Configuration:
    """One configuration of a plan (`3d_fullres`), `inherits_from` resolved.

    Sizes in voxels and spacing in millimetres, in the plan's transposed axis
    order (`axis_names` says which array axes those are); 2-D configurations have
    two numbers, 3-D ones three.
    """

    name: str
    data_identifier: str
    preprocessor_name: str
    batch_size: int
    patch_size: tuple[int, ...]
    spacing: tuple[float, ...]
    median_image_size_in_voxels: tuple[float, ...]
    normalization_schemes: tuple[str, ...]
    use_mask_for_norm: tuple[bool, ...]
    batch_dice: bool
    architecture: Architecture
    resampling_fn_data: str
    resampling_fn_data_kwargs: dict[str, Any]
    resampling_fn_seg: str
    resampling_fn_seg_kwargs: dict[str, Any]
    resampling_fn_probabilities: str
    resampling_fn_probabilities_kwargs: dict[str, Any]
    previous_stage: str | None = None
    next_stage: tuple[str, ...] = ()
    axis_names: str = "zyx"
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.patch_size)

    @property
    def is_v1(self) -> bool:
        """Whether it comes from nnU-Net v1, which resamples first and then normalises."""
        return self.architecture.network_class == "Generic_UNet"

    @property
    def n_channels(self) -> int:
        """Image channels the plan was made for (a cascade's second stage gets more)."""
        return len(self.normalization_schemes)


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

    def check_reader(self) -> None:
        """Refuse a plan whose reader gave nnU-Net other arrays than ours gives us.

        Raises
        ------
        BadPlan
            The data were read by a class that reorders the axes, or that reads
            other formats than NIfTI.
        """
        if self.image_reader_writer not in READERS[:2]:
            raise BadPlan(
                self.file or self.plans_name,
                expected=f"a plan made with {' or '.join(READERS[:2])}",
                got=f"image_reader_writer {self.image_reader_writer}",
                advice="its images lie in another axis order or format; use nnU-Net for it",
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
        raise _bad(thing, "a JSON object", type(raw).__name__)
    reader = _Fields(raw, thing)
    intensity = raw.get(
        "foreground_intensity_properties_per_channel",
        raw.get("foreground_intensity_properties_by_modality"),
    )
    if not isinstance(intensity, dict) or not all(isinstance(v, dict) for v in intensity.values()):
        raise _bad(thing, "the field foreground_intensity_properties_per_channel", "none")
    configurations = reader.of("configurations", dict)
    if not configurations:
        raise _bad(thing, "at least one configuration", "none")
    forward = _permutation(reader, "transpose_forward")
    known: dict[str, Configuration | BadPlan] = {}
    for name in configurations:
        try:
            known[name] = _configuration(name, configurations, thing, forward)
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
        image_reader_writer=_allowed(
            reader.of("image_reader_writer", str), "image_reader_writer", READERS, thing
        ),
        experiment_planner_used=str(raw.get("experiment_planner_used", "")),
        label_manager=_allowed(
            raw.get("label_manager", "LabelManager"), "label_manager", ("LabelManager",), thing
        ),
        configurations=Configurations(known),
        raw=copy.deepcopy(raw),
        file=file,
    )


def _resolved(
    name: str, configurations: Mapping[str, Any], thing: str, visited: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A configuration's dict laid over the one it inherits from, as nnU-Net merges them."""
    if name in visited:
        chain = " -> ".join((*visited, name))
        raise _bad(thing, "an inherits_from chain that ends", f"a circle ({chain})")
    if name not in configurations:
        raise _bad(
            thing,
            f"the configuration {name} that {visited[-1]} inherits from",
            ", ".join(configurations),
        )
    own = configurations[name]
    if not isinstance(own, dict):
        raise _bad(thing, f"configuration {name} as a JSON object", type(own).__name__)
    if "inherits_from" not in own:
        return dict(own)
    parent = own["inherits_from"]
    if not isinstance(parent, str):
        raise _bad(thing, f"inherits_from of {name} as a name", repr(parent))
    return {**_resolved(parent, configurations, thing, (*visited, name)), **own}


def _configuration(
    name: str, configurations: Mapping[str, Any], thing: str, forward: Sequence[int]
) -> Configuration:
    raw = _resolved(name, configurations, thing)
    thing = f"{thing} ({name})"
    reader = _Fields(raw, thing)
    patch_size = tuple(round(n) for n in reader.numbers("patch_size"))
    if len(patch_size) not in (2, 3) or min(patch_size) < 1:
        raise _bad(thing, "a patch_size of 2 or 3 positive numbers", repr(raw["patch_size"]))
    spacing = reader.numbers("spacing")
    if len(spacing) != len(patch_size) or min(spacing) <= 0:
        raise _bad(thing, f"a spacing of {len(patch_size)} positive numbers", repr(raw["spacing"]))
    batch_size = reader.of("batch_size", int)
    if batch_size < 1:
        raise _bad(thing, "a batch_size of at least 1", str(batch_size))
    schemes = tuple(
        _allowed(scheme, "normalization_schemes", NORMALIZATIONS, thing)
        for scheme in reader.of("normalization_schemes", list)
    )
    masks = tuple(bool(mask) for mask in reader.of("use_mask_for_norm", list))
    if len(masks) != len(schemes):
        raise _bad(thing, f"use_mask_for_norm with {len(schemes)} entries", str(len(masks)))
    resampling: dict[str, Any] = {}
    for kind, defaults in _RESAMPLING_DEFAULTS.items():
        key = f"resampling_fn_{kind}"
        resampling[key] = _allowed(raw.get(key, _RESAMPLING), key, (_RESAMPLING,), thing)
        kwargs = raw.get(f"{key}_kwargs", defaults)
        if not isinstance(kwargs, dict) or not set(kwargs) <= set(defaults):
            raise _bad(thing, f"{key}_kwargs with {', '.join(defaults)}", repr(kwargs))
        resampling[f"{key}_kwargs"] = dict(kwargs)
    following = raw.get("next_stage") or ()
    return Configuration(
        name=name,
        data_identifier=reader.of("data_identifier", str),
        preprocessor_name=_allowed(
            raw.get("preprocessor_name", "DefaultPreprocessor"),
            "preprocessor_name",
            PREPROCESSORS,
            thing,
        ),
        batch_size=batch_size,
        patch_size=patch_size,
        spacing=spacing,
        median_image_size_in_voxels=reader.numbers("median_image_size_in_voxels"),
        normalization_schemes=schemes,
        use_mask_for_norm=masks,
        batch_dice=reader.of("batch_dice", bool),
        architecture=read_architecture(raw, ndim=len(patch_size), thing=thing),
        previous_stage=raw.get("previous_stage"),
        next_stage=(following,) if isinstance(following, str) else tuple(following),
        axis_names="".join("zyx"[axis] for axis in forward)[-len(patch_size) :],
        raw=raw,
        **resampling,
    )


@dataclass(frozen=True)
class _Fields:
    """Typed access to a dict read from JSON; a missing or wrong field is a sentence."""

    raw: Mapping[str, Any]
    thing: str

    def of(self, key: str, kind: type) -> Any:
        if key not in self.raw:
            raise _bad(self.thing, f"the field {key}", "none")
        value = self.raw[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _bad(self.thing, f"{key} as {_KINDS[kind]}", repr(value)[:80])
        return value

    def numbers(self, key: str) -> tuple[Any, ...]:
        values = self.of(key, list)
        if not values or not all(
            isinstance(n, int | float) and not isinstance(n, bool) for n in values
        ):
            raise _bad(self.thing, f"{key} as a list of numbers", repr(values)[:80])
        return tuple(values)


_KINDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _permutation(reader: _Fields, key: str) -> tuple[int, ...]:
    axes = reader.numbers(key)
    if sorted(axes) != [0, 1, 2]:
        raise _bad(reader.thing, f"{key} as an order of the axes 0, 1, 2", repr(list(axes)))
    return axes


def _allowed(value: Any, key: str, names: Sequence[str], thing: str) -> str:
    if value not in names:
        raise _bad(thing, f"{key} to be {' or '.join(names)}", repr(value)[:80])
    return str(value)


def _bad(thing: str, expected: str, got: str) -> BadPlan:
    return BadPlan(
        thing, expected=expected, got=got, advice="correct the plans file or plan the dataset again"
    )
