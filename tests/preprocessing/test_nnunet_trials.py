"""Random cases and plans against nnU-Net (`benchmarks/preprocessing_parity.py`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trials import Trial, ours_of, trial_of

FACTS = json.loads(Path(__file__).with_name("nnunet_trials.json").read_text())


@pytest.mark.parametrize("fact", FACTS, ids=[fact["kind"] for fact in FACTS])
def test_prepared_and_exported_as_nnunet_does(fact: dict[str, Any]) -> None:
    found = ours_of(trial_of(fact["seed"]))
    assert list(found["data"].shape) == fact["shape"]
    assert found["box"] == fact["box"]
    values = found["data"].reshape(-1)[fact["at"]]
    np.testing.assert_allclose(values, fact["values"], atol=1e-3)
    counted = zip(*np.unique(found["labels"], return_counts=True), strict=True)
    assert {str(value): int(n) for value, n in counted} == fact["label_counts"]
    exported = found["exported"].reshape(-1)
    step = max(1, exported.size // 200)
    assert "".join(map(str, exported[::step])) == fact["exported"]


def test_trials_cover_what_plans_can_ask_for() -> None:
    trials: list[Trial] = [trial_of(fact["seed"]) for fact in FACTS]
    configurations = [trial.plans["configurations"]["c"] for trial in trials]
    schemes = {name for one in configurations for name in one["normalization_schemes"]}
    assert len(schemes) == 5
    assert any(any(one["use_mask_for_norm"]) for one in configurations)
    assert {len(one["spacing"]) for one in configurations} == {2, 3}
    assert {tuple(trial.plans["transpose_forward"]) for trial in trials} >= {(0, 1, 2), (2, 0, 1)}
    assert any(max(t.spacing_mm) > 3 * min(t.spacing_mm) for t in trials)  # separate z
    cropped = [
        [high - low for low, high in fact["box"]]
        != [trial.labels.shape[axis] for axis in trial.plans["transpose_forward"]]
        for fact, trial in zip(FACTS, trials, strict=True)
    ]
    assert any(cropped)
    assert not all(cropped)
