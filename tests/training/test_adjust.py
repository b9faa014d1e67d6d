import dataclasses
from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import read_json
from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.plan import read_plan
from napari_unet_mic.training import events
from napari_unet_mic.training.adjust import adjusted, check_classes, fitting_patch
from napari_unet_mic.training.events import Event
from napari_unet_mic.training.prepare import check_settings
from napari_unet_mic.training.run import Run, RunSettings
from napari_unet_mic.training.trainer import train


def test_without_a_wish_the_plan_is_the_plan(tiny: RunSettings, blobs_plan: Path) -> None:
    plan = read_plan(blobs_plan)
    assert adjusted(plan, tiny) is plan


def test_the_run_uses_and_writes_its_own_batch_and_patch(tiny: RunSettings) -> None:
    asked = dataclasses.replace(
        tiny, batch_size=3, patch_size=(4, 16, 20), epochs=1, iterations_per_epoch=2
    )
    run = Run.create(asked)
    said: list[Event] = []
    train(run, said.append, lambda: False)
    prepared = next(e for e in said if isinstance(e, events.Prepared))
    assert (prepared.batch_size, prepared.patch_size) == (3, (4, 16, 20))
    written = read_json(run.folder / "plans.json")["configurations"]["3d_fullres"]
    assert (written["batch_size"], written["patch_size"]) == (3, [4, 16, 20])
    assert isinstance(said[-1], events.RunFinished)  # the whole cases were predicted with it


def test_a_patch_that_the_strides_do_not_divide_is_refused(
    tiny: RunSettings, blobs_plan: Path
) -> None:
    asked = dataclasses.replace(tiny, patch_size=(8, 18, 15))
    with pytest.raises(
        BadInput, match=r"multiples of 2 × 4 × 4.*got 8 × 18 × 15; take 8 × 16 × 16"
    ):
        adjusted(read_plan(blobs_plan), asked)
    with pytest.raises(BadInput, match="patch_size"):
        check_settings(asked)


def test_a_slice_has_no_depth(blobs_plan: Path) -> None:
    flat = read_plan(blobs_plan).configuration("2d")
    sizes = flat.patch_size
    assert fitting_patch(flat, (1, *sizes)) == sizes
    with pytest.raises(BadInput, match="z = 1"):
        fitting_patch(flat, (2, *sizes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_weights": (1.0, 2.0)}, "expected 3 weights, for background, bright, dark"),
        ({"focus_class": 3}, r"expected 1 \(bright\) or 2 \(dark\), got 3"),
    ],
    ids=["weights", "focus"],
)
def test_classes_that_are_not_there(
    tiny: RunSettings, blobs: Path, changes: dict[str, object], words: str
) -> None:
    asked = dataclasses.replace(tiny, **changes)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=words):
        check_classes(asked, open_dataset(blobs))
    check_classes(tiny, open_dataset(blobs))
