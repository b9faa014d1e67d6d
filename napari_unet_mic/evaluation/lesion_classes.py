"""Which classes are lesions, when nobody says it: by name, by how they look, by size.

Names and the sizes of components in some references enter; class values leave. The rule, in
this order:

1. the classes named like lesions (tumour, cancer, metastasis, nodule, …);
2. the only foreground class, where there is one;
3. the classes that come in many sizes: several components in more than half of the cases, or
   largest components that differ fourfold between cases (the rule of the dataset's check);
4. the class of the smallest volume, or the last one where no reference holds any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.data.label_check import components_ml
from napari_unet_mic.data.lesion_statistics import CaseClass, class_statistics
from napari_unet_mic.data.volume import read_labels
from napari_unet_mic.errors import BadInput, UNetMicError
from napari_unet_mic.evaluation.lesion import LesionQuestion

ComponentsMl = Mapping[int, tuple[float, ...]]

LOOKED_AT = 5
"""References that are read to see what the classes look like."""
_NAMED = re.compile(
    r"tumou?r|cancer|carcinom|lesion|metasta|malign|neoplas|sarcom|gliom|lymphom|nodul|polyp"
    r"|cyst(?!ic)|abscess|plaque|infarct|stroke|h[a]?emorrhag|aneurysm|microbleed|embol",
    re.IGNORECASE,
)


def named_like_lesions(classes: Mapping[int, str]) -> tuple[int, ...]:
    """Return the foreground classes whose names are those of lesions."""
    return tuple(value for value, name in classes.items() if value and _NAMED.search(name))


def chosen_by_looks(classes: Mapping[int, str], cases: Sequence[ComponentsMl]) -> tuple[int, ...]:
    """Choose the lesion classes by name, and where names say nothing by sizes.

    Parameters
    ----------
    classes
        Name by value; the background (0) is never one.
    cases
        For some references the volumes of every class's components, largest first.

    Returns
    -------
    tuple
        At least one class where there is any foreground class.
    """
    foreground = [value for value in classes if value]
    named = named_like_lesions(classes)
    if named or len(foreground) <= 1:
        return named or tuple(foreground)
    rows = [
        CaseClass(str(n), "train", value, sum(sizes), tuple(sizes))
        for n, case in enumerate(cases)
        for value, sizes in case.items()
        if value in classes
    ]
    statistics = class_statistics(rows, classes)
    many = tuple(one.value for one in statistics if one.comes_in_many_sizes)
    if many:
        return many
    volumes = {one.value: float(np.median(one.volumes_ml)) for one in statistics if one.present}
    return (min(volumes, key=volumes.__getitem__) if volumes else max(foreground),)


def of_maps(
    maps: Iterable[tuple[npt.NDArray[Any], float]],
    classes: Mapping[int, str] | None,
    ignore: int | None = None,
) -> tuple[int, ...]:
    """Choose the lesion classes of label maps in memory, each with its millilitres a voxel.

    Without `classes` whatever values occur are classes.
    """
    if classes is not None and (named := named_like_lesions(classes)):
        return named
    foreground = None if classes is None else [value for value in classes if value]
    if foreground is not None and len(foreground) <= 1:
        return tuple(foreground)
    cases = []
    for labels, voxel_ml in maps:
        values = range(1, int(labels.max(initial=0)) + 1) if foreground is None else foreground
        whole = labels if labels.ndim == 3 else labels[None]
        found = components_ml(whole, [one for one in values if one != ignore], voxel_ml)
        cases.append({value: sizes for value, sizes in found.items() if sizes})
    if classes is None:
        occurring = sorted({value for case in cases for value in case})
        classes = {value: f"class {value}" for value in occurring}
    return chosen_by_looks(classes, cases)


def of_files(
    references: Sequence[Path], classes: Mapping[int, str] | None, ignore: int | None = None
) -> tuple[int, ...]:
    """Choose the lesion classes of some references; at most `LOOKED_AT` of them are read.

    Those that cannot be read are passed over: who compares them will say why.
    """
    step = max(1, len(references) // LOOKED_AT)

    def maps() -> Iterable[tuple[npt.NDArray[Any], float]]:
        for file in references[::step][:LOOKED_AT]:
            try:
                volume = read_labels(file)
            except UNetMicError:
                continue
            yield volume.array, volume.voxel_ml

    return of_maps(maps(), classes, ignore)


def settled(
    question: LesionQuestion,
    references: Sequence[Path],
    classes: Mapping[int, str] | None,
    ignore: int | None = None,
) -> LesionQuestion:
    """Return a question that names its classes.

    Raises
    ------
    BadInput
        When it names a class that is not declared.
    """
    if not question.classes:
        return replace(question, classes=of_files(references, classes, ignore))
    unknown = [value for value in question.classes if classes is not None and value not in classes]
    if unknown:
        raise BadInput(
            "lesion classes",
            expected=f"classes of this dataset ({_listed(classes or {})})",
            got=" ".join(map(str, unknown)),
            advice="name their values",
        )
    return replace(question, classes=tuple(sorted(set(question.classes))))


def _listed(classes: Mapping[int, str]) -> str:
    return ", ".join(f"{value} {name}" for value, name in classes.items() if value)
