"""Kinds of option that several ``unet-mic`` commands share: folds, counts, sizes, patients.

What a person writes enters; a value leaves, or `argparse` says what is wrong with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.lesion import Smallest

PLANNERS = ("default", "resenc-m", "resenc-l", "resenc-xl")
DATASET_HELP = "a Decathlon folder, an nnU-Net raw folder, or their dataset.json"

AddCommand = Callable[[str, str], argparse.ArgumentParser]


def fold(word: str) -> int | str:
    """Read a fold: its number, or ``all``."""
    if word == "all":
        return word
    if word.isdigit():
        return int(word)
    raise argparse.ArgumentTypeError(f"'{word}' is neither a fold number nor 'all'")


def training_fold(word: str) -> int | str:
    """Read a fold to train: a number, ``all``, or ``each``."""
    return word if word == "each" else fold(word)


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` on."""

    def number(word: str) -> int:
        value = int(word)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    return number


def smallest(word: str) -> Smallest:
    """Read the smallest lesion that counts, in ml or voxels."""
    try:
        return Smallest.parse(word)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def patient_options(one: argparse.ArgumentParser) -> None:
    """Add where the patients of the cases are known from."""
    one.add_argument(
        "--patients",
        metavar="FILE",
        type=Path,
        help="which case is which patient: JSON {case: patient} or CSV case,patient",
    )
    one.add_argument(
        "--patient-pattern",
        metavar="PATTERN",
        help="read patients out of case names, such as 'sub-{patient}_*'; {pair} is a number of "
        "which 2k-1 and 2k are one patient",
    )


def planner_options(one: argparse.ArgumentParser) -> None:
    """Add which planner plans, and for how much memory."""
    one.add_argument("--planner", choices=PLANNERS, default="default", help="the planning rules")
    one.add_argument(
        "--gpu-memory-gb",
        metavar="G",
        type=float,
        help="memory target of the plan (when left out: 8; resenc-l 24; resenc-xl 40)",
    )


def mirroring_option(one: argparse.ArgumentParser, where: str = "") -> None:
    """Add whether mirrored images are averaged; `where` begins the explanation."""
    one.add_argument(
        "--mirroring",
        action=argparse.BooleanOptionalAction,
        default=None,
        help=f"{where}average over mirrored images (left out: with a GPU on, on a CPU off: 8× the "
        "time)",
    )


def device_option(one: argparse.ArgumentParser) -> None:
    """Add which device computes."""
    one.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")


def precision_option(one: argparse.ArgumentParser) -> None:
    """Add in which number type."""
    one.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="auto: the fastest that the device does natively",
    )
