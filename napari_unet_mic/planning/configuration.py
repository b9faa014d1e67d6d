"""Configuration: one way of planning a dataset (`3d_fullres`), read and checked.

A plans file is edited by hand; every missing, misspelt or unknown value becomes a
sentence that names it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_unet_mic.errors import BadPlan
from napari_unet_mic.planning.architecture import Architecture, read_architecture

NORMALIZATIONS = (
    "CTNormalization",
    "ZScoreNormalization",
    "NoNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
    "CT2Normalization",  # v1 only
)
PREPROCESSORS = ("DefaultPreprocessor", "GenericPreprocessor", "PreprocessorFor2D")
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
    def patch_steps(self) -> tuple[int, ...]:
        """What each axis of a patch must be a multiple of: the product of its strides."""
        return tuple(math.prod(axis) for axis in zip(*self.architecture.strides, strict=True))

    @property
    def is_v1(self) -> bool:
        """Whether it comes from nnU-Net v1, which resamples first and then normalises."""
        return self.architecture.network_class == "Generic_UNet"

    @property
    def n_channels(self) -> int:
        """Image channels the plan was made for (a cascade's second stage gets more)."""
        return len(self.normalization_schemes)


def read_configuration(
    name: str, configurations: Mapping[str, Any], thing: str, forward: Sequence[int]
) -> Configuration:
    """Read one configuration of a plans dict, what it inherits included.

    Parameters
    ----------
    configurations
        All configurations as the plans file has them.
    thing
        What to name in an error: the plans file.
    forward
        The plan's transpose_forward.

    Raises
    ------
    BadPlan
        A field is missing or wrong, a class is unknown, or stages do not add up.
    """
    raw = _resolved(name, configurations, thing)
    thing = f"{thing} ({name})"
    reader = Fields(raw, thing)
    patch_size = tuple(round(n) for n in reader.numbers("patch_size"))
    if len(patch_size) not in (2, 3) or min(patch_size) < 1:
        raise bad_plan(thing, "a patch_size of 2 or 3 positive numbers", repr(raw["patch_size"]))
    spacing = reader.numbers("spacing")
    if len(spacing) != len(patch_size) or min(spacing) <= 0:
        raise bad_plan(
            thing, f"a spacing of {len(patch_size)} positive numbers", repr(raw["spacing"])
        )
    batch_size = reader.of("batch_size", int)
    if batch_size < 1:
        raise bad_plan(thing, "a batch_size of at least 1", str(batch_size))
    schemes = tuple(
        allowed(scheme, "normalization_schemes", NORMALIZATIONS, thing)
        for scheme in reader.of("normalization_schemes", list)
    )
    masks = tuple(bool(mask) for mask in reader.of("use_mask_for_norm", list))
    if len(masks) != len(schemes):
        raise bad_plan(thing, f"use_mask_for_norm with {len(schemes)} entries", str(len(masks)))
    resampling: dict[str, Any] = {}
    for kind, defaults in _RESAMPLING_DEFAULTS.items():
        key = f"resampling_fn_{kind}"
        resampling[key] = allowed(raw.get(key, _RESAMPLING), key, (_RESAMPLING,), thing)
        kwargs = raw.get(f"{key}_kwargs", defaults)
        if not isinstance(kwargs, dict) or not set(kwargs) <= set(defaults):
            raise bad_plan(thing, f"{key}_kwargs with {', '.join(defaults)}", repr(kwargs))
        resampling[f"{key}_kwargs"] = dict(kwargs)
    previous, following = raw.get("previous_stage"), raw.get("next_stage") or []
    following = [following] if isinstance(following, str) else following
    if not isinstance(following, list) or not all(isinstance(s, str) for s in following):
        raise bad_plan(thing, "next_stage as a name or a list of names", repr(following)[:80])
    if not isinstance(previous, str | None):
        raise bad_plan(thing, "previous_stage as a name", repr(previous)[:80])
    return Configuration(
        name=name,
        data_identifier=reader.of("data_identifier", str),
        preprocessor_name=allowed(
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
        previous_stage=previous,
        next_stage=tuple(following),
        axis_names="".join("zyx"[axis] for axis in forward)[-len(patch_size) :],
        raw=raw,
        **resampling,
    )


def _resolved(
    name: str, configurations: Mapping[str, Any], thing: str, visited: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A configuration's dict laid over the one it inherits from, as nnU-Net merges them."""
    if name in visited:
        chain = " -> ".join((*visited, name))
        raise bad_plan(thing, "an inherits_from chain that ends", f"a circle ({chain})")
    if name not in configurations:
        raise bad_plan(
            thing,
            f"the configuration {name} that {visited[-1]} inherits from",
            ", ".join(configurations),
        )
    own = configurations[name]
    if not isinstance(own, dict):
        raise bad_plan(thing, f"configuration {name} as a JSON object", type(own).__name__)
    if "inherits_from" not in own:
        return dict(own)
    parent = own["inherits_from"]
    if not isinstance(parent, str):
        raise bad_plan(thing, f"inherits_from of {name} as a name", repr(parent))
    return {**_resolved(parent, configurations, thing, (*visited, name)), **own}


@dataclass(frozen=True)
class Fields:
    """Typed access to a dict read from JSON; a missing or wrong field is a sentence."""

    raw: Mapping[str, Any]
    thing: str

    def of(self, key: str, kind: type) -> Any:
        """The field, which must be of that type."""
        if key not in self.raw:
            raise bad_plan(self.thing, f"the field {key}", "none")
        value = self.raw[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise bad_plan(self.thing, f"{key} as {_KINDS[kind]}", repr(value)[:80])
        return value

    def numbers(self, key: str) -> tuple[Any, ...]:
        """The field as finite numbers, at least one."""
        values = self.of(key, list)
        if not values or not all(
            isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n)
            for n in values
        ):
            raise bad_plan(self.thing, f"{key} as a list of numbers", repr(values)[:80])
        return tuple(values)


_KINDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def allowed(value: Any, key: str, names: Sequence[str], thing: str) -> str:
    """The value, which must be one of the names."""
    if value not in names:
        raise bad_plan(thing, f"{key} to be {' or '.join(names)}", repr(value)[:80])
    return str(value)


def bad_plan(thing: str, expected: str, got: str) -> BadPlan:
    """The error for a plans file whose fields are not as they should be."""
    return BadPlan(
        thing, expected=expected, got=got, advice="correct the plans file or plan the dataset again"
    )
