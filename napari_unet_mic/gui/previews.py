"""A preview of training: one validation patch with its reference and what the network says.

In: the trainer's ``preview.npz``. Out: a `Preview` of arrays, and pictures of one of its
slices as RGB bytes. For a thread; no Qt.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet_mic.errors import UnreadableFile

RGB = npt.NDArray[np.uint8]
"""(rows, columns, 3)."""
OPACITY = 0.55
KEYS = ("image", "reference", "prediction", "spacing_mm")
Rgba = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Preview:
    """A patch as the network sees it, normalised, with its reference and the prediction.

    `image` is (C, Z, Y, X) float32; `reference` and `prediction` are (Z, Y, X) class values;
    a two-dimensional patch has Z = 1.
    """

    image: npt.NDArray[np.float32] = field(repr=False)
    reference: npt.NDArray[Any] = field(repr=False)
    prediction: npt.NDArray[Any] = field(repr=False)
    spacing_mm: tuple[float, float, float]
    case: str = ""

    @property
    def n_slices(self) -> int:
        """Slices along z."""
        return len(self.reference)

    @property
    def fullest_slice(self) -> int:
        """The slice with most foreground in the reference, else in the prediction, else the middle.

        A negative value (ignored voxels) is no foreground.
        """
        for labels in (self.reference, self.prediction):
            counts = np.count_nonzero(labels > 0, axis=(1, 2))
            if counts.any():
                return int(counts.argmax())
        return self.n_slices // 2


def read_preview(file: Path) -> Preview:
    """Read a preview; nothing in it can run code.

    Raises
    ------
    UnreadableFile
        When it is missing, damaged, or its arrays do not fit each other.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            image, reference, prediction, spacing = (arrays[key] for key in KEYS)
            case = str(arrays["case"]) if "case" in arrays.files else ""
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        got = " ".join(str(error).split()) or type(error).__name__
        raise _unreadable(file, got) from error
    shape = reference.shape
    fits = image.ndim == 4 and len(shape) == 3 and spacing.shape == (3,)
    if not fits or image.shape[1:] != shape or prediction.shape != shape or 0 in image.shape:
        raise _unreadable(
            file, f"image {image.shape}, reference {shape}, prediction {prediction.shape}"
        )
    z, y, x = (float(mm) for mm in spacing)
    return Preview(image.astype(np.float32), reference, prediction, (z, y, x), case)


def _unreadable(file: Path, got: str) -> UnreadableFile:
    return UnreadableFile(
        file,
        expected="a preview: image (C, Z, Y, X), reference and prediction (Z, Y, X)",
        got=got,
        advice="the run's next preview takes its place",
    )


def pictures_of(
    preview: Preview, place: int, colour_of: Callable[[int], Rgba]
) -> tuple[RGB, RGB, RGB]:
    """Return image, reference and prediction of one slice, (rows, columns, 3) each.

    Grey values run from the 1st to the 99th percentile of the whole patch, so that slices can
    be compared; classes lie over them in their colours.
    """
    low, high = np.percentile(preview.image[0], (1, 99))
    plane = preview.image[0, place]
    shade = (plane - low) / (high - low) if high > low else np.zeros_like(plane)
    grey = np.repeat((255 * np.clip(np.nan_to_num(shade), 0, 1)).astype(np.uint8)[..., None], 3, -1)
    return (
        grey,
        _coloured(grey, preview.reference[place], colour_of),
        _coloured(grey, preview.prediction[place], colour_of),
    )


def _coloured(grey: RGB, labels: npt.NDArray[Any], colour_of: Callable[[int], Rgba]) -> RGB:
    picture = grey.astype(np.float32)
    for value in np.unique(labels[labels > 0]):
        colour = 255 * np.asarray(colour_of(int(value))[:3], dtype=np.float32)
        there = labels == value
        picture[there] = (1 - OPACITY) * picture[there] + OPACITY * colour
    return picture.astype(np.uint8)
