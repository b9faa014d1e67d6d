"""Two labels layers as one comparison: counted whole, described for people, and found by role.

A pair of layers' arrays enters; a `Comparison` leaves, with the shadow of both that
`napari_unet_mic.gui.comparer` keeps true while somebody paints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.shadow import Shadow
from napari_unet_mic.gui import layers
from napari_unet_mic.gui.state import Comparison

FEW_CLASSES = 15  # so many share one byte a voxel: room for classes that are painted later


@dataclass(frozen=True, eq=False)
class Pair:
    """What a comparison needs to know of two layers; made on the GUI thread."""

    names: tuple[str, str]
    reference: Any
    prediction: Any
    classes: Mapping[int, str]
    spacing_mm: tuple[float, ...]
    ignore: int | None


def compare(pair: Pair) -> tuple[Comparison, Shadow]:
    """Count a pair: the comparison, and the shadow that keeps it true.

    Classes that are declared or occur have a row; values between them that nobody uses
    have none.

    Raises
    ------
    BadInput
        When the maps hold numbered objects rather than classes.
    UnknownClass
        When a value is negative.
    """
    reference, prediction = np.asarray(pair.reference), np.asarray(pair.prediction)
    n_codes = 1 + max(
        _highest(reference, pair.ignore), _highest(prediction, None), *(pair.classes or [0]), 1
    )
    if n_codes > 255:
        raise BadInput(
            pair.names[0],
            expected="class maps with values up to 254",
            got=f"a value of {n_codes - 1}",
            advice="compare classes, not numbered objects",
        )
    n_codes = max(n_codes, FEW_CLASSES)
    shadow = Shadow.of(reference, prediction, n_codes, pair.ignore, names=pair.names)
    return described(pair, shadow), shadow


def described(pair: Pair, shadow: Shadow) -> Comparison:
    """Return the comparison as a shadow has it: the rows people look at, names and scores."""
    raw = shadow.table
    used = set(np.flatnonzero(raw.sum(axis=0) + raw.sum(axis=1)).tolist())
    values = tuple(sorted(used | set(pair.classes) | {0}))
    table = raw[np.ix_(values, values)]
    scores = tuple(
        replace(score, value=value) for score, value in zip(scores_of(table), values, strict=True)
    )
    return Comparison(
        reference_layer=pair.names[0],
        prediction_layer=pair.names[1],
        class_values=values,
        class_names=tuple(name_of(value, pair.classes) for value in values),
        table=table,
        scores=scores,
        spacing_mm=pair.spacing_mm,
        codes=shadow.codes,
        n_codes=shadow.n_classes,
        ignore=pair.ignore,
    )


def name_of(value: int, classes: Mapping[int, str]) -> str:
    """Return a class's name, or a plain one when nobody gave it any."""
    return classes.get(value, "background" if value == 0 else f"class {value}")


def _highest(labels: npt.NDArray[Any], ignore: int | None) -> int:
    if labels.size == 0:
        return 0
    highest = int(labels.max())
    if ignore is not None and highest == ignore:
        return int(labels.max(where=labels != ignore, initial=0))
    return highest


def suggested_pair(candidates: Sequence[Labels]) -> tuple[Labels, Labels] | None:
    """Return the likely (reference, prediction): by role, then by name, then by order."""
    references = [layer for layer in candidates if _says(layer, ("reference", "label", "gt"))]
    predictions = [layer for layer in candidates if _says(layer, ("prediction", "pred", "output"))]
    for reference in references:
        for prediction in [*predictions, *candidates]:
            if prediction is not reference and prediction.data.shape == reference.data.shape:
                return reference, prediction
    if references and predictions and references[0] is not predictions[0]:
        return references[0], predictions[0]  # the inspector says why they do not fit
    if len(candidates) >= 2:
        return candidates[0], candidates[1]
    return None


def _says(layer: Labels, words: tuple[str, ...]) -> bool:
    role = layers.role_of(layer)
    if role in ("reference", "prediction"):
        return role == words[0]
    return any(word in layer.name.lower() for word in words)
