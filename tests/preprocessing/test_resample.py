"""Resampling equals skimage's resize, clipped; labels equal batchgenerators' argmax."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet_mic.preprocessing.resample import (
    CUBIC,
    Interpolation,
    resample_image,
    resample_labels,
    resample_logits,
    resampled_shape,
)

ISOTROPIC = ((1.0, 1.0, 1.0), (0.8, 0.9, 1.3))
COARSE = ((5.0, 1.0, 1.0), (2.0, 0.8, 1.2))


def zoomed(array: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """What skimage.transform.resize(mode="edge") does, clip included."""
    factors = [1 / (a / b) for a, b in zip(array.shape, shape, strict=True)]
    wide = array.astype(float)
    out = ndimage.zoom(wide, factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(out, wide.min(), wide.max())


def test_shape_rounds_halves_to_even() -> None:
    assert resampled_shape((41, 512, 5), (5.0, 0.8, 1), (1.0, 0.75, 2)) == (205, 546, 2)


@pytest.mark.parametrize(
    ("current", "new", "force", "expected"),
    [
        ((1, 1, 1), (1, 1, 1), None, None),
        ((5, 1, 1), (1, 1, 1), None, 0),
        ((1, 1, 1), (1, 1, 4), None, 2),
        ((0.2, 1.2, 1.2), (1, 1, 1), None, None),
        ((3, 1, 1), (1, 1, 1), None, None),
        ((5, 1, 1), (1, 1, 1), False, None),
        ((1, 2, 1), (1, 1, 1), True, 1),
        ((1, 1, 1), (1, 1, 5), True, None),
    ],
    ids=["same", "thick", "target", "two-coarse", "exactly-3", "never", "always", "no-coarsest"],
)
def test_coarse_axis(
    current: tuple[float, ...], new: tuple[float, ...], force: bool | None, expected: int | None
) -> None:
    assert Interpolation(3, force_separate_z=force).coarse_axis(current, new) == expected


def test_image_follows_the_cubic_spline_and_is_clipped() -> None:
    image = np.random.default_rng(0).standard_normal((2, 12, 15, 9)).astype(np.float32)
    image[:, 3:7] = 1.5  # a plateau that a spline overshoots
    image = np.minimum(image, 1.5)
    shape = resampled_shape(image.shape[1:], *ISOTROPIC)
    made = resample_image(image, shape, *ISOTROPIC)
    expected = np.stack([zoomed(channel, shape, 3) for channel in image])
    np.testing.assert_allclose(made, expected, atol=5e-6)
    assert made.dtype == np.float32
    assert made.max() == np.float32(1.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_coarse_axis_takes_the_nearest_plane(axis: int) -> None:
    image = np.random.default_rng(0).standard_normal((5, 11, 12)).astype(np.float32)
    planes = np.stack([zoomed(plane, (14, 10), 3) for plane in image])
    shape = (12, 14, 10)
    index = np.clip(np.floor((np.arange(12) + 0.5) * 5 / 12 - 0.5 + 0.5), 0, 4).astype(int)
    expected = planes[index]
    spacings = [(s[1], s[0], s[2]) if axis == 1 else s for s in COARSE]
    spacings = [(s[1], s[2], s[0]) if axis == 2 else s for s in spacings]
    made = resample_image(
        np.moveaxis(image, 0, axis)[None],
        np.moveaxis(np.empty(shape, dtype=bool), 0, axis).shape,
        *spacings,
    )
    np.testing.assert_allclose(made[0], np.moveaxis(expected, 0, axis), atol=5e-6)


def test_order_z_of_one_interpolates_between_planes() -> None:
    image = np.zeros((1, 2, 4, 4), dtype=np.float32)
    image[0, 1] = 1
    made = resample_image(image, (4, 4, 4), (8, 1, 1), (4, 1, 1), how=Interpolation(3, 1))
    assert made[0, :, 0, 0].tolist() == [0, 0.25, 0.75, 1]


def test_an_image_on_its_grid_is_left_alone() -> None:
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    assert resample_image(image, (2, 2, 2), (1, 1, 1), (1, 1, 1)) is image


@pytest.mark.parametrize("spacings", [ISOTROPIC, COARSE], ids=["isotropic", "coarse"])
def test_logits_are_linear_and_can_be_made_a_few_planes_at_a_time(
    spacings: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    logits = np.random.default_rng(1).standard_normal((3, 8, 9, 10)).astype(np.float32)
    shape = resampled_shape(logits.shape[1:], *spacings)
    whole = resample_logits(logits, shape, *spacings)
    if spacings is ISOTROPIC:
        expected = np.stack([zoomed(channel, shape, 1) for channel in logits])
        np.testing.assert_allclose(whole, expected, atol=1e-6)
    parts = [
        resample_logits(logits, shape, *spacings, rows=slice(start, start + 3))
        for start in range(0, shape[0], 3)
    ]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    assert resample_logits(logits, shape, *spacings, rows=slice(2, 2)).shape[1] == 0


def naive_labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One indicator per class, argmax; exact ties to the nearest voxel where it leads."""
    values = np.unique(labels)
    scores = np.stack([zoomed(labels == value, shape, 1) for value in values])
    factors = [1 / (a / b) for a, b in zip(labels.shape, shape, strict=True)]
    nearest = ndimage.zoom(labels.astype(float), factors, order=0, mode="nearest", grid_mode=True)
    best = scores.max(axis=0)
    leads = np.take_along_axis(scores, np.searchsorted(values, nearest)[None], axis=0)[0] == best
    return np.where(leads, nearest, values[scores.argmax(axis=0)]).astype(np.int16)


@pytest.mark.parametrize("shape", [(18, 20, 6), (7, 5, 12), (18, 10, 12), (9, 10, 24)])
def test_labels_take_the_largest_indicator(shape: tuple[int, ...]) -> None:
    labels = np.random.default_rng(2).integers(-1, 4, (9, 10, 12)).astype(np.int16)
    made = resample_labels(labels, shape, (1, 1, 1), (1, 1, 1))
    assert made.dtype == np.int16
    np.testing.assert_array_equal(made, naive_labels(labels, shape))


def test_ties_go_to_the_nearest_voxel() -> None:
    labels = np.zeros((1, 1, 4), dtype=np.uint8)
    labels[0, 0, 1] = 2
    made = resample_labels(labels, (1, 1, 2), (1, 1, 1), (1, 1, 1))
    assert made.tolist() == [[[2, 0]]]  # voxel 0.5 rounds up to voxel 1


def test_labels_along_a_coarse_axis_copy_planes() -> None:
    labels = np.zeros((3, 4, 4), dtype=np.int16)
    labels[1] = 1
    labels[2, :2] = -1
    made = resample_labels(labels, (6, 8, 4), (6, 1, 1), (3, 0.5, 1))
    assert made[:, 0, 0].tolist() == [0, 0, 1, 1, -1, -1]
    assert made[5, :, 0].tolist() == [-1, -1, -1, -1, 0, 0, 0, 0]


def test_empty_labels_stay_empty() -> None:
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    assert not resample_labels(labels, (8, 3, 6), (2, 1, 1), (1, 2, 1)).any()


def test_labels_of_order_zero_are_nearest() -> None:
    labels = np.array([[[0, 1, 2, 3]]])
    assert resample_labels(
        labels, (1, 1, 2), (1, 1, 1), (1, 1, 2), how=Interpolation(0)
    ).tolist() == [[[1, 3]]]


def test_labels_refuse_other_orders() -> None:
    with pytest.raises(ValueError, match="order 0 or 1"):
        resample_labels(np.zeros((2, 2, 2)), (4, 4, 4), (1, 1, 1), (1, 1, 1), how=CUBIC)


@pytest.mark.parametrize("orders", [(2, 0), (3, 5)], ids=str)
def test_other_orders_are_no_interpolation(orders: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="spline orders 0, 1 or 3"):
        Interpolation(*orders)
