"""The shared state announces what changed, once, and compares by identity."""

import numpy as np

from napari_unet_mic.gui.state import State


def test_a_change_is_announced_once() -> None:
    state, heard = State(), []
    state.events.message.connect(heard.append)
    state.message = "read liver_3"
    state.message = "read liver_3"
    assert heard == ["read liver_3"]


def test_fields_with_arrays_compare_by_identity() -> None:
    state, heard = State(), []
    state.events.comparison.connect(heard.append)
    first, second = np.zeros(3), np.zeros(3)
    state.comparison = first  # type: ignore[assignment]
    state.comparison = first  # type: ignore[assignment]
    state.comparison = second  # type: ignore[assignment]
    assert len(heard) == 2


def test_without_a_dataset_only_the_background_has_a_name() -> None:
    assert State().class_names() == {0: "background"}
