"""Fixtures shared by every room's tests."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def shared_folder() -> Path:
    """Where the real data lies: $NAPARI_UNET_MIC_SHARED, or `shared` beside the checkout."""
    return Path(os.environ.get("NAPARI_UNET_MIC_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = shared_folder()
    if not (folder / "data").is_dir():
        pytest.skip("the real data folder is not beside this checkout (NAPARI_UNET_MIC_SHARED)")
    return folder


@pytest.fixture(scope="session")
def hippocampus(shared: Path) -> Path:
    return shared / "data" / "Task04_Hippocampus"
