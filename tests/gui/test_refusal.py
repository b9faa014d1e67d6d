"""Layers from anywhere: compared when they share a grid, refused with a remedy when not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import nibabel
import numpy as np
import pytest
from napari.layers import Labels
from nibabel.processing import resample_from_to

from napari_unet_mic.data.volume import Volume, read_labels
from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.evaluation.confusion import confusion_table
from napari_unet_mic.gui import layer_grids, layers
from napari_unet_mic.gui.app import App
from napari_unet_mic.gui.inspector_panel import InspectorPanel

RNG = np.random.default_rng(5)


def made(volume: Volume, name: str) -> Labels:
    data, options, _ = layers.labels_tuple(volume, name=name, classes={0: "out", 1: "in"})
    return Labels(data, **options)


def blocks(shape: tuple[int, ...]) -> np.ndarray:
    """Return random labels in blocks of four voxels, so that moved copies can be told."""
    small = RNG.integers(0, 4, [size // 4 + 1 for size in shape]).astype(np.uint8)
    for axis in range(len(shape)):
        small = np.repeat(small, 4, axis)
    return small[tuple(slice(size) for size in shape)]


def rotated(degrees: float) -> np.ndarray:
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[:2, :2] = [[c, -s], [s, c]]
    return turn


GRIDS = {
    "flipped": np.diag([1.0, -1.0, 1.0, 1.0]),
    "permuted": np.array([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float),
    "oblique": rotated(10),
}


@pytest.mark.parametrize("grid", GRIDS)
def test_resampling_onto_a_turned_grid_and_back_loses_nothing_inside(grid: str) -> None:
    """A finer turned copy of a label map comes back as it was where both grids have voxels."""
    array = blocks((12, 16, 20))
    reference = Volume.from_array(array, affine=np.diag([-2.0, -2.0, 4.0, 1.0]))
    fine_affine = GRIDS[grid] @ np.diag([-0.5, -0.5, 1.0, 1.0])
    fine_affine[:3, 3] = reference.affine[:3, :3] @ [9.5, 7.5, 5.5] - fine_affine[:3, :3] @ np.full(
        3, 50
    )
    there = layer_grids.Resampling.of(
        made(Volume.from_array(np.zeros((101, 101, 101), np.uint8), affine=fine_affine), "fine"),
        made(reference, "coarse"),
    ).run()
    fine = Labels(there[0], **there[1])
    assert layers.source_of(fine).volume.affine == pytest.approx(fine_affine)
    back = layer_grids.Resampling.of(made(reference, "coarse"), fine).run()
    assert back[0].shape == made(reference, "coarse").data.shape
    inner = (slice(3, -3), slice(4, -4), slice(5, -5))
    restored = layers.source_of(Labels(back[0], **back[1])).volume.array
    assert np.array_equal(restored[inner], array[inner])
    assert array[inner].std() > 0.5


@pytest.mark.parametrize("patient", ["STS_002", "STS_003"])
def test_a_real_tumour_drawn_on_pet_is_brought_onto_the_ct(shared: Path, patient: str) -> None:
    """As nibabel does it, where no two voxels are equally near."""
    folder = shared / "data" / "sts_tumour"
    files = [folder / f"{patient}_{kind}_mask.nii.gz" for kind in ("CT", "PET")]
    ct, pet = (made(read_labels(file), file.name) for file in files)
    with pytest.raises(GridMismatch, match="resample the prediction"):
        layer_grids.check_comparable(ct, pet)
    data, options, _ = layer_grids.Resampling.of(ct, pet).run()
    resampled = Labels(data, **options)
    assert layer_grids.check_comparable(ct, resampled) == 0.0
    reference, theirs = (nibabel.load(file) for file in files)
    expected = np.asarray(resample_from_to(theirs, reference, order=0).dataobj).T
    ours = layers.source_of(resampled).volume.array
    assert (ours != expected).mean() < 1e-3
    overlap = (np.asarray(ct.data) > 0) & (data > 0)
    assert overlap.sum() > 0.6 * ((np.asarray(ct.data) > 0) | (data > 0)).sum()


def test_files_that_are_stored_differently_and_lie_in_one_place_are_comparable() -> None:
    array = blocks((8, 12, 16))
    affine = np.diag([-1.0, -2.0, 3.0, 1.0])
    flipped = affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    flipped[:3, 3] += affine[:3, 0] * 15
    other = Volume.from_array(array[:, :, ::-1].copy(), affine=flipped)
    one, two = made(Volume.from_array(array, affine=affine), "a"), made(other, "b")
    assert layer_grids.check_comparable(one, two) == pytest.approx(0.0, abs=1e-9)
    assert np.array_equal(one.data, two.data)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((3, 4, 5), (3, 4, 6), "resample the prediction"),
        ((3, 4, 5), (4, 5), "compare maps of one kind"),
    ],
    ids=["size", "axes"],
)
def test_other_shapes_are_refused_with_advice(
    first: tuple[int, ...], second: tuple[int, ...], words: str
) -> None:
    pair = [Labels(np.zeros(shape, np.uint8), name=f"of {shape}") for shape in (first, second)]
    with pytest.raises(GridMismatch, match=words):
        layer_grids.check_comparable(*pair)
    assert layer_grids.can_resample(*pair) == (len(first) == len(second))


@pytest.fixture
def panel(app: App) -> InspectorPanel:
    return app.show("inspector")


DTYPES = [np.uint8, np.int16, np.int32, np.int64, np.uint64, bool]


@pytest.mark.parametrize("shape", [(9, 11), (4, 9, 11), (2, 4, 9, 11)], ids=["2-D", "3-D", "time"])
def test_arrays_from_anywhere_in_two_three_and_four_dimensions(
    panel: InspectorPanel, app: App, until: Callable[..., None], shape: tuple[int, ...]
) -> None:
    for turn, dtype in enumerate(DTYPES):
        pair = [RNG.integers(0, 2 if dtype is bool else 4, shape).astype(dtype) for _ in range(2)]
        # the same grid, one axis of time before those of space
        scale = (30.0, 5.0, 0.5, 2.0)[-len(shape) :]
        for array, name in zip(pair, ("prediction", "reference"), strict=True):
            app.viewer.add_labels(array, name=f"{name} {turn}", scale=scale)
        panel.choose(*(app.viewer.layers[f"{name} {turn}"] for name in ("reference", "prediction")))
        until(lambda: app.state.comparison is not None)
        expected = confusion_table(pair[1].astype(int), pair[0].astype(int), 4)
        k = len(app.state.comparison.table)
        assert app.state.comparison.table.tolist() == expected[:k, :k].tolist()
        assert expected.sum() == app.state.comparison.table.sum()
        if len(shape) > 2:
            assert app.state.comparison.voxel_ml == pytest.approx(0.005)


def test_another_grid_is_resampled_by_the_button(
    panel: InspectorPanel, app: App, until: Callable[..., None]
) -> None:
    coarse = blocks((4, 8, 12))
    fine = np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2)
    fine[0, 0, 0] = 3 if fine[0, 0, 0] != 3 else 2
    reference = Volume.from_array(fine, spacing_mm=(2.0, 1.0, 1.0))
    (layer,) = layers.add(
        app.viewer, [layers.labels_tuple(reference, name="reference", role="reference")]
    )
    centre = tuple(layer.translate + np.array([1.0, 0.5, 0.5]))
    app.viewer.add_labels(coarse, name="prediction", scale=(4, 2, 2), translate=centre)
    until(lambda: panel.pages.currentWidget() is panel.refusal)
    assert "expected the shape (8, 16, 24)" in panel.refusal.sentence.text()
    assert [n for n, b in panel.refusal.buttons.items() if b.isVisibleTo(panel)] == ["resample"]
    panel.refusal.buttons["resample"].click()
    until(lambda: app.state.comparison is not None)
    assert panel.pages.currentWidget() is panel.parts
    assert panel.chosen()[1].name == "prediction on the grid of reference"
    assert not app.viewer.layers["prediction"].visible
    errors = app.state.comparison.table.sum() - app.state.comparison.table.trace()
    assert errors == 1  # the voxel that was changed
    assert layers.source_of(panel.chosen()[1]).volume.affine == pytest.approx(reference.affine)


def test_an_array_without_a_place_is_put_on_the_reference_by_the_button(
    panel: InspectorPanel, app: App, until: Callable[..., None], pair_of_labels: Any
) -> None:
    reference, prediction = pair_of_labels
    layers.add(app.viewer, [layers.labels_tuple(reference, name="reference", role="reference")])
    app.viewer.add_labels(prediction.array.copy(), name="prediction")
    until(lambda: panel.pages.currentWidget() is panel.refusal)
    buttons = panel.refusal.buttons
    assert [n for n in buttons if buttons[n].isVisibleTo(panel)] == ["resample", "adopt"]
    buttons["adopt"].click()
    until(lambda: app.state.comparison is not None)
    assert app.state.comparison.table.tolist() == [[111, 0, 1], [0, 28, 0], [0, 4, 0]]
    assert tuple(app.viewer.layers["prediction"].scale) == (5, 1, 1)


def test_lazy_arrays_and_pyramids_are_compared_like_others(
    panel: InspectorPanel, app: App, until: Callable[..., None]
) -> None:
    array = blocks((6, 8, 8))
    reference = app.viewer.add_labels(array, name="reference")
    lazy = app.viewer.add_labels(da.from_array(array, chunks=(2, 8, 8)), name="lazy")
    pyramid = app.viewer.add_labels([array, array[::2, ::2, ::2]], name="pyramid")
    for prediction in (lazy, pyramid):
        panel.choose(reference, prediction)
        until(lambda: app.state.comparison is not None)
        assert app.state.comparison.table.trace() == array.size
    coarse = app.viewer.add_labels(
        da.from_array(array[:, ::2]), name="coarse", scale=(1, 2, 1), translate=(0, 0.5, 0)
    )
    panel.choose(reference, coarse)
    assert panel.pages.currentWidget() is panel.refusal
    panel.refusal.buttons["resample"].click()
    until(lambda: app.state.comparison is not None)
    assert app.state.comparison.table.trace() == array.size  # blocks of four lose nothing


def test_numbered_objects_are_explained_in_place_of_the_tables(
    panel: InspectorPanel, app: App, until: Callable[..., None]
) -> None:
    numbers = np.arange(6 * 64).reshape(6, 8, 8)
    for name in ("prediction", "reference"):
        app.viewer.add_labels(numbers, name=name)
    until(lambda: panel.pages.currentWidget() is panel.refusal)
    assert "compare classes, not numbered objects" in panel.refusal.sentence.text()
    assert not any(button.isVisibleTo(panel) for button in panel.refusal.buttons.values())
