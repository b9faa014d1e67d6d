"""Fixtures of the panels' tests: a real viewer, its App, and files of every orientation."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.gui.app import App


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


@pytest.fixture
def app(viewer: Any) -> Iterator[App]:
    app = App.of(viewer)
    yield app
    app.close()
    gc.collect()


@pytest.fixture
def write_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write an (i, j, k) array as NIfTI and return the file."""

    def write(
        name: str,
        array: np.ndarray,
        affine: np.ndarray | None = None,
        *,
        codes: tuple[int, int] = (1, 1),
    ) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        affine = np.diag([-0.8, -0.8, 5.0, 1.0]) if affine is None else affine
        image = nib.Nifti1Image(array, affine)
        image.set_qform(affine, code=codes[0])
        image.set_sform(affine, code=codes[1])
        image.header.set_xyzt_units("mm")
        nib.save(image, file)
        return file

    return write


@pytest.fixture
def pair_of_labels() -> tuple[Volume, Volume]:
    """A reference and a prediction (4, 6, 6), 5 × 1 × 1 mm, three classes, known errors."""
    reference = np.zeros((4, 6, 6), np.uint8)
    reference[1:3, 1:5, 1:5] = 1
    reference[1, 2:4, 2:4] = 2
    prediction = reference.copy()
    prediction[1, 2:4, 2:4] = 1  # the only object of class 2 is missed: 4 voxels
    prediction[3, 5, 5] = 2  # and one voxel of it is made up
    return (
        Volume.from_array(reference, spacing_mm=(5, 1, 1)),
        Volume.from_array(prediction, spacing_mm=(5, 1, 1)),
    )
