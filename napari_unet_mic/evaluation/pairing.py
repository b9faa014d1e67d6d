"""Which prediction belongs to which reference: the label files of two folders, by case name.

Two folders (or two files) enter, `CasePair`s leave, and sentences about what has no partner.
Whatever is not an image is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.result_files import case_name

ENDINGS = (".nii.gz", ".nii")
NAMED_AT_MOST = 5


@dataclass(frozen=True)
class CasePair:
    """One case: its reference and its prediction."""

    name: str
    reference: Path
    prediction: Path


def pair_files(references: Path, predictions: Path) -> tuple[tuple[CasePair, ...], tuple[str, ...]]:
    """Pair the label files of two folders by case name; the second answer are notes.

    Two single files are one pair whatever their names. A file without a partner is a note.

    Raises
    ------
    BadInput
        When a folder is missing or holds no label, or no prediction has a reference.
    """
    if references.is_file() and predictions.is_file():
        return (CasePair(case_name(predictions.name), references, predictions),), ()
    by_name, predicted = labels_in(references), labels_in(predictions)
    orphans = sorted(set(predicted) - set(by_name))
    without = sorted(set(by_name) - set(predicted))
    if len(orphans) == len(predicted):
        raise BadInput(
            predicted[orphans[0]],
            expected=f"a reference named {orphans[0]} in {references}",
            got=f"none (none of the {len(predicted)} predictions has a reference)",
            advice="name the folder with the references, or rename the files",
        )
    notes = []
    if orphans:
        notes.append(
            f"{predictions}: no reference for {len(orphans)} of {len(predicted)} predictions "
            f"({_listed(orphans)}); left out"
        )
    if without:
        notes.append(
            f"{predictions}: no prediction for {len(without)} of {len(by_name)} references "
            f"({_listed(without)}); left out"
        )
    pairs = tuple(
        CasePair(name, by_name[name], file)
        for name, file in sorted(predicted.items())
        if name in by_name
    )
    return pairs, tuple(notes)


def labels_in(folder: Path) -> dict[str, Path]:
    """Return the label files of a folder by case name; hidden files are passed over.

    Raises
    ------
    BadInput
        When the folder is missing, holds no label, or holds two of one case.
    """
    if folder.is_file():
        return {case_name(folder.name): folder}
    if not folder.is_dir():
        raise BadInput(
            folder, expected="a folder of labels", got="no such folder", advice="check the path"
        )
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if not file.name.endswith(ENDINGS) or file.name[0] in "._" or not file.is_file():
            continue
        name = case_name(file.name)
        if name in found:
            raise BadInput(
                file,
                expected="one label a case",
                got=f"{found[name].name} beside it",
                advice="keep one of the two",
            )
        found[name] = file
    if not found:
        raise BadInput(
            folder,
            expected=f"labels ({' or '.join(ENDINGS)})",
            got="none",
            advice="name the folder that holds the label files themselves",
        )
    return found


def find_dataset_json(references: Path, predictions: Path) -> Path | None:
    """Look in the folders and up to two above them (``fold_0/validation`` of a model)."""
    for start in (references.absolute(), predictions.absolute()):
        for folder in (start, *list(start.parents)[:2]):
            if (folder / "dataset.json").is_file():
                return folder / "dataset.json"
    return None


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
