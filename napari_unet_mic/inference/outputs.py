"""What a prediction leaves on disk: the label map, and where wanted its probabilities beside it.

A `Prediction` and the image it is of enter, ``case.nii.gz`` and ``case.npz`` leave.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.data.volume import Volume, write_labels

if TYPE_CHECKING:
    from napari_unet_mic.inference.predictor import Prediction


def probabilities_file(file: Path) -> Path:
    """Return where the probabilities of a label map ``case.nii.gz`` lie: ``case.npz``."""
    return file.with_name(file.name.removesuffix(".nii.gz") + ".npz")


def write_prediction(file: Path, found: Prediction, image: Volume) -> None:
    """Write a label map with the image's geometry, and its probabilities where it has them.

    Probabilities of an earlier prediction of the same name are of another map: they go.
    """
    shares, beside = found.probabilities, probabilities_file(file)
    if shares is None:
        beside.unlink(missing_ok=True)
    else:  # nnU-Net's name for the array (K, Z, Y, X)
        write_whole(beside, lambda path: np.savez_compressed(path, probabilities=shares))
    write_labels(file, found.labels, image)
