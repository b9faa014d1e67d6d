"""A dataset's folder against its dataset.json: numbers, names and files that do not agree.

The cases of an inventory enter, findings leave. Only names are looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .dataset import Dataset
from .findings import Finding, found
from .layout import ENDINGS, Declared, Found, is_hidden

FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
IMAGE_ENDINGS = (
    *ENDINGS,
    *(".hdr", ".img", ".hdr.gz", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh"),
    *(".dcm", ".dcm.gz", ".mnc", ".mif", ".tif", ".tiff", ".png", ".gz", ".zip"),
)
Record = list[Finding]


@dataclass(frozen=True)
class Listed:
    """The entries that a dataset's cases came from, each as often as it is there.

    Attributes
    ----------
    training, listed_test
        The entries of dataset.json, or of imagesTr where it lists none.
    scanned_test
        What lies in imagesTs.
    is_scanned
        Whether dataset.json lists no training cases.
    """

    training: Sequence[Found]
    listed_test: Sequence[Found]
    scanned_test: Sequence[Found]
    is_scanned: bool


def folder_findings(dataset: Dataset, declared: Declared, listed: Listed) -> list[Finding]:
    """Return what does not agree between dataset.json, the case names and the folders."""
    findings: Record = []
    _check_counts(dataset, declared, listed, findings)
    _check_names(dataset, findings)
    _check_unused(dataset, listed, findings)
    return findings


def _check_counts(dataset: Dataset, declared: Declared, listed: Listed, findings: Record) -> None:
    in_folder = [case for case in listed.scanned_test if case.images]
    counts = {
        "numTraining": {len(listed.training), len(dataset.training)},
        "numTest": {len(listed.listed_test) or len(in_folder), len(in_folder)},
    }
    for key, fitting in counts.items():
        number = declared.content.get(key)
        if number is None or number in fitting:
            continue
        if key == "numTest" and not (listed.listed_test or in_folder):
            continue  # many people never download the test images
        findings.append(
            found(
                "wrong-count",
                file=declared.file,
                expected=f"{key} to be {max(fitting)}",
                got=f"{number!r}"[:40],
            )
        )


def _check_names(dataset: Dataset, findings: Record) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for case in dataset.cases:
        alike[case.name.casefold()].append(case.name)
    for names in alike.values():
        if len(names) > 1:
            findings.append(
                found(
                    "names-differ-by-case-only",
                    case=names[1],
                    expected="names that differ in more than upper and lower case",
                    got=" and ".join(names),
                    related=[names[0], *names[2:]],
                )
            )


def _check_unused(dataset: Dataset, listed: Listed, findings: Record) -> None:
    """Name image files of the four folders that no case uses."""
    used = {
        f.absolute() for c in dataset.cases for f in (*c.images, *([c.label] if c.label else []))
    }
    used |= {f.absolute() for c in listed.scanned_test for f in c.images}
    names = {case.name for case in dataset.cases}
    for folder in FOLDERS:
        for file in files_in(dataset.folder / folder):
            if file.absolute() in used or not file.name.lower().endswith(IMAGE_ENDINGS):
                continue
            findings.append(_unused(file, names, dataset, listed))


def _unused(file: Path, names: set[str], dataset: Dataset, listed: Listed) -> Finding:
    ending = next(e for e in (*ENDINGS, *IMAGE_ENDINGS) if file.name.lower().endswith(e))
    stem = file.name[: -len(ending)]
    case = next((n for n in (stem, stem[:-5]) if n in names), "")
    if case and ending in ENDINGS and ending != dataset.file_ending:
        return found(
            "duplicate-case",
            case=case,
            file=file,
            expected=f"each case once, ending in {dataset.file_ending}",
            got=f"a second file of the same name ending in {ending}",
            related=[f"{stem}{dataset.file_ending}"],
        )
    if ending != dataset.file_ending:
        expected = f"files ending in {dataset.file_ending}"
        return found("wrong-ending", case=case, file=file, expected=expected, got=file.name)
    if file.parent.name == "labelsTs" and listed.is_scanned:
        expected = f"an image of case {stem} in imagesTs"
        return found("orphan-label", case=stem, file=file, expected=expected, got="none")
    expected = "only files that a case of dataset.json uses"
    return found("not-listed", case=case, file=file, expected=expected, got="one that none uses")


def files_in(folder: Path) -> list[Path]:
    """Return the unhidden files of a folder, sorted; none when there is no such folder."""
    try:
        return sorted(f for f in folder.iterdir() if not is_hidden(f.name) and not f.is_dir())
    except OSError:
        return []
