"""A plan adjusted: another batch or patch than the planner chose, as a run's settings ask.

In: a plan and settings. Out: the same plan, or one whose configuration has the batch and patch
asked for. It is written into the run's plans.json, so that whoever predicts uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from napari_unet_mic.data.dataset import Dataset
from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.plan import Configuration, Plan, plan_of
from napari_unet_mic.training.settings import RunSettings


def adjusted(plan: Plan, settings: RunSettings) -> Plan:
    """Return the plan with the settings' batch and patch in their configuration.

    Raises
    ------
    BadInput
        The network's strides do not divide the patch (the sentence names sizes they do), or it
        has a depth in a 2-D configuration.
    """
    if settings.batch_size is None and settings.patch_size is None:
        return plan
    name = settings.configuration
    configuration = plan.configuration(name)
    raw = plan.to_json()
    own = raw["configurations"][name]
    if settings.batch_size is not None:
        own["batch_size"] = settings.batch_size
    if settings.patch_size is not None:
        own["patch_size"] = list(fitting_patch(configuration, settings.patch_size))
    return plan_of(raw, file=plan.file)


def fitting_patch(configuration: Configuration, patch: Sequence[int]) -> tuple[int, ...]:
    """Return a patch (z, y, x) as the configuration writes it, or refuse it.

    Raises
    ------
    BadInput
        As `adjusted`.
    """
    if configuration.ndim == 2:
        if patch[0] != 1:
            raise BadInput(
                "patch_size",
                expected=f"z = 1, since {configuration.name} learns from slices",
                got=_times(patch),
                advice="change this setting of the run",
            )
        patch = patch[1:]
    steps = configuration.patch_steps
    if any(n % step for n, step in zip(patch, steps, strict=True)):
        near = [max(step, round(n / step) * step) for n, step in zip(patch, steps, strict=True)]
        raise BadInput(
            "patch_size",
            expected=f"sizes that the network's strides divide (multiples of {_times(steps)})",
            got=_times(patch),
            advice=f"take {_times(near)}",
        )
    return tuple(int(n) for n in patch)


def check_classes(settings: RunSettings, dataset: Dataset) -> None:
    """See that class weights and focus class are those of the dataset.

    Raises
    ------
    BadInput
        Another number of weights than classes, or a class that the dataset does not declare.
    """
    weights, focus, classes = settings.class_weights, settings.focus_class, dataset.classes
    if weights is not None and len(weights) != len(classes):
        raise BadInput(
            "class_weights",
            expected=f"{len(classes)} weights, for {', '.join(classes.values())}",
            got=str(len(weights)),
            advice="give one for each class, background first",
        )
    if focus is not None and focus not in classes:
        raise BadInput(
            "focus_class",
            expected=" or ".join(f"{v} ({n})" for v, n in classes.items() if v != 0),
            got=str(focus),
            advice="choose one of those",
        )


def _times(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes))
