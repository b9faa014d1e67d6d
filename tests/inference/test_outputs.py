"""What a prediction leaves on disk."""

from pathlib import Path

import numpy as np

from napari_unet_mic.data.volume import Volume, read_labels
from napari_unet_mic.evaluation.probabilities import probabilities_beside
from napari_unet_mic.inference.outputs import probabilities_file, write_prediction
from napari_unet_mic.inference.predictor import Prediction


def test_probabilities_lie_beside_the_labels_and_never_outlive_them(tmp_path: Path) -> None:
    image = Volume.from_array(np.zeros((2, 3, 4), np.float32), spacing_mm=(2, 1, 1))
    labels = np.ones((2, 3, 4), np.uint8)
    shares = np.full((2, 2, 3, 4), 0.5, np.float32)
    file = tmp_path / "a.nii.gz"
    write_prediction(file, Prediction(labels, shares, {}), image)
    assert read_labels(file).array.tolist() == labels.tolist()
    assert probabilities_beside(file) == probabilities_file(file) == tmp_path / "a.npz"
    with np.load(tmp_path / "a.npz") as kept:
        assert kept["probabilities"].tolist() == shares.tolist()

    write_prediction(file, Prediction(labels * 0, None, {}), image)
    assert not read_labels(file).array.any()
    assert probabilities_beside(file) is None
