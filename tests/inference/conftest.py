"""A model folder with tiny networks: 3d_fullres (default) or 2d, two folds of other weights."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.network.build import build_network
from napari_unet_mic.network.checkpoint import save
from napari_unet_mic.planning.plan import plan_of

TINY = Path(__file__).parents[1] / "network" / "tiny_plans.json"
LABELS = {"background": 0, "organ": 1, "tumour": 2}

MakeModel = Callable[..., Path]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, which wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    def make(
        configuration: str = "3d_fullres",
        *,
        n_folds: int = 1,
        transpose: tuple[int, ...] = (0, 1, 2),
    ) -> Path:
        raw: dict[str, Any] = json.loads(TINY.read_text())
        raw["transpose_forward"] = list(transpose)
        raw["transpose_backward"] = [transpose.index(axis) for axis in range(3)]
        folder = tmp_path / "models" / f"nnUNetTrainer__nnUNetPlans__{configuration}"
        folder.mkdir(parents=True)
        (folder / "plans.json").write_text(json.dumps(raw))
        about = {"channel_names": {"0": "MRI"}, "labels": LABELS, "file_ending": ".nii.gz"}
        (folder / "dataset.json").write_text(json.dumps(about))
        plan = plan_of(raw)
        for fold in range(n_folds):
            torch.manual_seed(fold)
            save(
                folder / f"fold_{fold}" / "checkpoint_final.pth",
                network=build_network(plan.configuration(configuration), 1, len(LABELS)),
                init_args={"configuration": configuration, "fold": fold},
                current_epoch=1,
                mirror_axes=(0, 1) if configuration == "2d" else (0, 1, 2),
            )
        return folder

    return make
