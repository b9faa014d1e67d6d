"""Presets: settings that go together, made for one dataset.

In: a dataset. Out: a few fields of `RunSettings` by name; ``RunSettings(**{**own, **preset})``
takes them over. No torch here, so that a panel may ask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet_mic.data.dataset import Case, Dataset
from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.errors import BadDataset

PRESETS = ("small-lesions",)

MOST_CASES = 20
"""So many labels tell which class is the smallest."""

OVERSAMPLING = 0.67
LESION_WEIGHT = 2.0


def small_lesions(dataset: Dataset) -> dict[str, Any]:
    """Return settings that make a network look at small lesions more often.

    The lesion class is the one with the smallest volume over the training cases (at most
    `MOST_CASES` of them, spread over the sorted names, are read). Three things change against
    nnU-Net's recipe:

    - ``focus_class``: patches that must hold foreground are centred on a connected component of
      the lesion class, each component as likely as another. nnU-Net centres on a random voxel,
      so that a lesion of ten times the volume is seen ten times as often;
    - ``foreground_oversampling``: two thirds of a batch instead of one;
    - ``class_weights``: a lesion's voxel counts twice in the cross entropy.

    Whether more of them are found is another question: on synthetic livers, after 150 iterations
    with today's schedule, it was fewer (``benchmarks/small_lesions.py``, ``RESULTS.md`` there).

    Raises
    ------
    BadDataset
        When no training case holds a foreground class.
    """
    lesion = smallest_class(dataset)
    weights = [1.0] * len(dataset.class_values)
    weights[dataset.class_values.index(lesion)] = LESION_WEIGHT
    return {
        "focus_class": lesion,
        "foreground_oversampling": OVERSAMPLING,
        "class_weights": tuple(weights),
    }


def smallest_class(dataset: Dataset) -> int:
    """Return the foreground class with the smallest volume (ml) over the training cases.

    Raises
    ------
    BadDataset
        When no training case holds a foreground class.
    """
    volumes = dict.fromkeys((value for value in dataset.class_values if value != 0), 0.0)
    for case in _spread(dataset.training):
        assert case.label is not None  # training cases have one
        labels = read_labels(case.label)
        ml = float(np.prod(labels.spacing_mm)) / 1000
        for value in volumes:
            volumes[value] += ml * int(np.count_nonzero(labels.array == value))
    present = {value: ml for value, ml in volumes.items() if ml > 0}
    if not present:
        raise BadDataset(
            dataset.folder,
            expected="a foreground class in its training cases",
            got="background only",
            advice="the preset for small lesions needs a class of lesions",
        )
    return min(present, key=lambda value: present[value])


def _spread(cases: tuple[Case, ...]) -> list[Case]:
    places = np.linspace(0, len(cases) - 1, min(MOST_CASES, len(cases)))
    return [cases[int(place)] for place in np.unique(places.astype(int))]
