"""The kinds of finding: one stable word each, how grave it is, what it means, what to do.

`KINDS` is the only list; ``docs/findings.md`` is written from it by `kinds_markdown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """One kind of finding: its word, usual severity, meaning, and what the person can do."""

    word: str
    severity: Severity
    group: str
    meaning: str
    advice: str


_DATASET, _FILE, _GEOMETRY = "The dataset as a whole", "Files", "Geometry"
_IMAGE, _LABEL, _COHORT = "Images", "Labels", "Cases compared with each other"
_LEAK = "Leakage"

_ALL = (
    # ---- the dataset as a whole ---------------------------------------------------------
    Kind(
        "bad-dataset-json",
        "error",
        _DATASET,
        "dataset.json cannot be read, or is no JSON object; cases were looked for in the folders",
        "correct the file, or write it again",
    ),
    Kind(
        "bad-classes",
        "error",
        _DATASET,
        "`labels` is missing, has a gap, does not start with 0, names a class twice, or names "
        "regions",
        "number the classes 0 (background), 1, 2, … in dataset.json and in the label files",
    ),
    Kind(
        "background-not-zero",
        "error",
        _DATASET,
        "the class called background has another value than 0",
        "give background the value 0 in dataset.json and in the label files",
    ),
    Kind(
        "bad-channels",
        "error",
        _DATASET,
        "`channel_names` (or `modality`) is missing or not numbered from 0",
        'number the channels from 0, such as {"0": "T2", "1": "ADC"}',
    ),
    Kind(
        "bad-file-ending",
        "error",
        _DATASET,
        "`file_ending` is neither .nii.gz nor .nii",
        "convert the images to NIfTI and correct file_ending",
    ),
    Kind(
        "bad-entry",
        "error",
        _DATASET,
        "an entry of `training`, `test` or `dataset` is not as its layout has it",
        "correct the entry in dataset.json",
    ),
    Kind(
        "wrong-count",
        "warning",
        _DATASET,
        "`numTraining` or `numTest` is not the number of cases there are",
        "correct the number, or look for the cases that are missing or too many",
    ),
    Kind(
        "duplicate-case",
        "error",
        _DATASET,
        "one case name twice: listed twice, or as .nii and as .nii.gz",
        "rename or remove one of them",
    ),
    Kind(
        "names-differ-by-case-only",
        "warning",
        _DATASET,
        "two case names differ only by upper and lower case: one file on Windows and macOS",
        "rename one of them",
    ),
    Kind(
        "case-in-training-and-test",
        "error",
        _DATASET,
        "one case name in the training set and in the test set",
        "take it out of one of the two, or rename it when it is another case",
    ),
    Kind(
        "not-listed",
        "warning",
        _DATASET,
        "a file lies in an image or label folder, but no case of dataset.json uses it",
        "add the case to dataset.json, or move the file away",
    ),
    Kind(
        "wrong-ending",
        "warning",
        _DATASET,
        "an image file with another ending than `file_ending`: it is not used",
        "convert it, or move it away",
    ),
    Kind(
        "bad-test-cases",
        "error",
        _DATASET,
        "test_cases.json cannot be read, or names a case that does not exist or has no label",
        "correct test_cases.json",
    ),
    Kind(
        "bad-splits",
        "error",
        _DATASET,
        "the splits file cannot be read, or names a case that is no training case",
        "correct it, or remove it so that nnU-Net's folds are made",
    ),
    Kind(
        "fold-overlap",
        "error",
        _DATASET,
        "a case trains and validates in the same fold",
        "take it out of one of the two lists",
    ),
    Kind(
        "not-in-folds",
        "note",
        _DATASET,
        "a labelled training case validates in no fold",
        "add it to the splits file, or hold it out for the test",
    ),
    Kind(
        "few-training-cases",
        "note",
        _DATASET,
        "fewer than five labelled training cases: no five folds can be made",
        "only `--fold all` is possible",
    ),
    # ---- files --------------------------------------------------------------------------
    Kind(
        "missing-image",
        "error",
        _FILE,
        "a case without its image file",
        "add the file, or remove the case from the dataset",
    ),
    Kind(
        "missing-channel",
        "error",
        _FILE,
        "a case that lacks one of its channel files",
        "add the channel file, or remove the case",
    ),
    Kind(
        "missing-label",
        "error",
        _FILE,
        "a training case without its label file",
        "add the label, or move the image to imagesTs",
    ),
    Kind(
        "orphan-label",
        "warning",
        _FILE,
        "a label in labelsTs without an image",
        "add the image, or move the label away",
    ),
    Kind(
        "broken-link",
        "error",
        _FILE,
        "a symbolic link that leads nowhere",
        "copy the file itself, or mount what the link leads to",
    ),
    Kind(
        "lfs-pointer",
        "error",
        _FILE,
        "a Git-LFS pointer: the small text file left where the content was never fetched",
        "run `git lfs pull` where the file came from",
    ),
    Kind("empty-file", "error", _FILE, "a file of no bytes", "copy it again"),
    Kind(
        "unreadable-file",
        "error",
        _FILE,
        "the system does not let the file be opened (permissions, a folder, a device error)",
        "check the file and its permissions",
    ),
    Kind(
        "not-nifti",
        "error",
        _FILE,
        "the content is not NIfTI whatever the name says (another format, or the wrong ending)",
        "rename it to its true ending, or convert it to NIfTI",
    ),
    Kind(
        "damaged-file",
        "error",
        _FILE,
        "a file that breaks off, fails its checksum, or whose header promises more than it holds",
        "copy or export it again",
    ),
    Kind(
        "wrong-dimensions",
        "error",
        _FILE,
        "the voxels form no 3-D volume with channels (a 5-D file, a label with a time axis)",
        "save one volume per file; labels as one 3-D file",
    ),
    Kind(
        "not-real-numbers",
        "error",
        _FILE,
        "voxels that are complex numbers, colours or other records",
        "export grey values (the magnitude)",
    ),
    Kind(
        "out-of-memory",
        "error",
        _FILE,
        "the case is larger than this machine's memory",
        "check it on a larger machine, or crop it",
    ),
    Kind(
        "check-failed",
        "error",
        _FILE,
        "the check itself met something unexpected in this case",
        "open the file in another program; please report this with the message",
    ),
    # ---- geometry -----------------------------------------------------------------------
    Kind(
        "bad-geometry",
        "error",
        _GEOMETRY,
        "the affine is singular or not a number: nobody knows where the voxels lie",
        "set the sform of the file, or export it again",
    ),
    Kind(
        "bad-spacing",
        "error",
        _GEOMETRY,
        "a voxel size of zero, negative or not a number in the header",
        "set the voxel size, or export the file again",
    ),
    Kind(
        "grid-mismatch",
        "error",
        _GEOMETRY,
        "label and image, or two channels of a case, differ in shape or lie more than half a voxel "
        "apart (a warning from 0.01 to half a voxel)",
        "export it again on that grid, or resample it (nearest neighbour for labels)",
    ),
    Kind(
        "spacing-differs-from-affine",
        "warning",
        _GEOMETRY,
        "the voxel size in the header is not that of the affine: programs will disagree",
        "export the file again so that both agree",
    ),
    Kind(
        "sform-differs-from-qform",
        "warning",
        _GEOMETRY,
        "the header holds two affines that put the volume at two places",
        "copy the right one over the other",
    ),
    Kind(
        "sheared",
        "warning",
        _GEOMETRY,
        "the axes are not perpendicular (gantry tilt); ITK refuses such files",
        "resample it onto perpendicular axes",
    ),
    Kind(
        "no-orientation",
        "note",
        _GEOMETRY,
        "neither sform nor qform is set: left and right are a guess",
        "set the orientation where the file came from",
    ),
    Kind(
        "units-not-mm",
        "warning",
        _GEOMETRY,
        "the header measures in metres or micrometres: read so here, as millimetres elsewhere",
        "store the voxel size in millimetres",
    ),
    Kind(
        "flat-volume",
        "warning",
        _GEOMETRY,
        "an axis of a single voxel: a slice, not a volume",
        "see that this is what the case should be",
    ),
    # ---- images -------------------------------------------------------------------------
    Kind(
        "channel-count",
        "error",
        _IMAGE,
        "another number of channels than dataset.json declares",
        "add or remove channel files, or correct dataset.json",
    ),
    Kind(
        "same-channel-twice",
        "warning",
        _IMAGE,
        "two channels of a case hold the same voxels",
        "see which file was copied over the other",
    ),
    Kind(
        "not-finite",
        "error",
        _IMAGE,
        "voxels that are NaN or infinite",
        "replace them in the image (0, or air in CT)",
    ),
    Kind(
        "constant-image",
        "error",
        _IMAGE,
        "every voxel of a channel has the same value",
        "export the image again, or remove the case",
    ),
    # ---- labels -------------------------------------------------------------------------
    Kind(
        "non-integer-label",
        "error",
        _LABEL,
        "label values that are no whole numbers (0.99999997 counts as 1, 0.5 does not)",
        "is this an image or a probability map? save whole numbers, resample with nearest "
        "neighbour",
    ),
    Kind(
        "not-finite-label",
        "error",
        _LABEL,
        "label voxels that are NaN or infinite",
        "save the label again as whole numbers",
    ),
    Kind(
        "unknown-label",
        "error",
        _LABEL,
        "a label value that dataset.json does not declare (negative ones too)",
        "correct the label, or declare the class",
    ),
    Kind(
        "empty-label",
        "warning",
        _LABEL,
        "a label that is background everywhere",
        "is it empty on purpose? otherwise label the case, or remove it",
    ),
    Kind(
        "full-label",
        "warning",
        _LABEL,
        "a label without any background",
        "see that the whole volume really is foreground",
    ),
    # ---- cases compared with each other -------------------------------------------------
    Kind(
        "class-missing",
        "warning",
        _COHORT,
        "a class that at least 90 % of the labelled cases have is absent here",
        "see whether it was forgotten in this label",
    ),
    Kind(
        "class-nowhere",
        "warning",
        _COHORT,
        "a declared class that no label holds",
        "remove it from dataset.json, or look for the labels that should hold it",
    ),
    Kind(
        "class-missing-in-test",
        "warning",
        _COHORT,
        "a class of the training cases that no test case holds",
        "move a case with it into the test set",
    ),
    Kind(
        "class-missing-in-training",
        "warning",
        _COHORT,
        "a class of the test cases that no training case holds: it cannot be learned",
        "move a case with it into the training set",
    ),
    Kind(
        "small-lesions-missing-in-test",
        "warning",
        _COHORT,
        "the test set holds none of the small lesions that the training set has: its score will "
        "not tell how small ones are found",
        "move a case with small lesions into the test set",
    ),
    Kind(
        "spacing-outlier",
        "warning",
        _COHORT,
        "a voxel size far from the other cases'",
        "see that the header is right (millimetres, not centimetres)",
    ),
    Kind(
        "extent-outlier",
        "note",
        _COHORT,
        "a volume far larger or smaller in millimetres than the other cases'",
        "see that it shows the same part of the body",
    ),
    Kind(
        "orientation-outlier",
        "warning",
        _COHORT,
        "axes stored in another order or direction than in at least 90 % of the cases; networks "
        "see the stored order",
        "reorient the file (image and label together) like the others",
    ),
    Kind(
        "intensity-outlier",
        "note",
        _COHORT,
        "intensities far from the other cases' (for MR often harmless: it has no fixed scale)",
        "see that units and rescaling are right",
    ),
    Kind(
        "duplicate-label",
        "warning",
        _COHORT,
        "two cases with different images have exactly the same label",
        "see which label was copied over the other",
    ),
    # ---- leakage ------------------------------------------------------------------------
    Kind(
        "duplicate-image",
        "error",
        _LEAK,
        "the same voxels under two case names",
        "remove one of the two, or keep both on one side of every split",
    ),
    Kind(
        "near-duplicate",
        "warning",
        _LEAK,
        "the same image after a flip, crop, resampling, noise or change of intensity",
        "look at both; remove one, or keep both on one side of every split",
    ),
    Kind(
        "same-patient-suspected",
        "warning",
        _LEAK,
        "two cases look like scans of one patient (same intensity step, unusually alike)",
        "if so, say it with --patients, and group the folds by patient",
    ),
    Kind(
        "same-patient-across-split",
        "warning",
        _LEAK,
        "cases of one patient on both sides of a fold, or in training and test",
        "group the folds by patient; keep a patient's cases on one side",
    ),
    Kind(
        "losses-too-close",
        "warning",
        _LEAK,
        "a run does as well on plain validation patches as on plain patches of its own training "
        "cases, although it has looked at each of those often (only with `--run`): it may know "
        "its validation cases, unless the task is so easy that nothing is learned by heart",
        "look at the pairs and patients of the check; group the folds by patient and train again",
    ),
    Kind(
        "bad-patients",
        "warning",
        _LEAK,
        "the patients file names a case that does not exist, or the name pattern fits no case",
        "correct the file or the pattern",
    ),
    Kind(
        "patient-unknown",
        "note",
        _LEAK,
        "a case for which neither patients file nor name pattern names a patient: it counts as a "
        "patient of its own",
        "add it to the patients file",
    ),
)

KINDS: dict[str, Kind] = {kind.word: kind for kind in _ALL}


def kinds_markdown() -> str:
    """Write the table of all kinds, by group, as ``docs/findings.md`` holds it."""
    lines: list[str] = []
    for group in dict.fromkeys(kind.group for kind in _ALL):
        lines += [f"### {group}", "", "| kind | severity | meaning | what to do |"]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| `{kind.word}` | {kind.severity} | {kind.meaning} | {kind.advice} |"
            for kind in _ALL
            if kind.group == group
        ]
        lines.append("")
    return "\n".join(lines)
