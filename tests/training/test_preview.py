import dataclasses

import numpy as np
import pytest

from napari_unet_mic.training import events
from napari_unet_mic.training.events import Event
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train


def test_the_same_patch_is_shown_from_the_first_iteration_to_the_last(tiny: RunSettings) -> None:
    run = Run.create(tiny)
    shown: list[dict[str, np.ndarray]] = []
    places: list[tuple[int, int]] = []

    def emit(event: Event) -> None:
        if isinstance(event, events.PreviewSaved):
            places.append((event.epoch, event.iteration))
            assert event.file == str(run.preview_file)
            with np.load(event.file, allow_pickle=False) as found:
                shown.append({name: found[name] for name in found.files})

    train(run, emit, lambda: False)
    assert places[0] == (0, 1)
    assert places[-1] == (2, 0)
    first, last = shown[0], shown[-1]
    assert set(first) == {"image", "reference", "prediction", "spacing_mm", "case"}
    assert first["image"].shape == (1, 8, 16, 16)
    assert first["image"].dtype == np.float16
    assert first["prediction"].shape == first["reference"].shape == (8, 16, 16)
    assert first["prediction"].dtype == first["reference"].dtype == np.uint8
    assert first["reference"].any()  # a patch that must hold foreground
    assert str(first["case"]).startswith("blob_")
    assert first["spacing_mm"].shape == (3,)
    assert np.array_equal(first["image"], last["image"])
    assert not list(run.folder.glob(".part-*"))


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["always", "hardly-ever"])
def test_previews_come_no_more_often_than_asked(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("napari_unet_mic.training.preview.EVERY_SECONDS", seconds)
    run = Run.create(dataclasses.replace(tiny, epochs=1))
    said: list[Event] = []
    train(run, said.append, lambda: False)
    n = sum(isinstance(event, events.PreviewSaved) for event in said)
    assert n == (6 if seconds == 0 else 2)  # four iterations, the epoch, the end


def test_a_preview_that_cannot_be_written_costs_nothing(
    tiny: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("napari_unet_mic.training.preview.write_whole", full)
    run = Run.create(dataclasses.replace(tiny, epochs=1, iterations_per_epoch=1))
    said: list[Event] = []
    train(run, said.append, lambda: False)
    assert isinstance(said[-1], events.RunFinished)
    assert not any(isinstance(event, events.PreviewSaved) for event in said)
