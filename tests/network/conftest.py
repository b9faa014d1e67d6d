"""A plan of tiny networks: 2d, 3d_fullres (plain, anisotropic) and 3d_residual; 3 stages each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_unet_mic.planning.plan import Configuration, Plan, plan_of

TINY = Path(__file__).with_name("tiny_plans.json")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, which wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_json() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(TINY.read_text())
    return content


@pytest.fixture
def tiny_plan(tiny_json: dict[str, Any]) -> Plan:
    return plan_of(tiny_json)


@pytest.fixture
def fullres(tiny_plan: Plan) -> Configuration:
    return tiny_plan.configuration("3d_fullres")
