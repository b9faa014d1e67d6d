import numpy as np
import pytest

from napari_unet_mic.inference.tiles import AxisTiles, Tiling, gaussian_profile
from napari_unet_mic.inference.windows import number_of_windows, window_starts


@pytest.mark.parametrize(
    ("size", "patch", "starts"),
    [
        (110, 64, (0, 23, 46)),
        (64, 64, (0,)),
        (65, 64, (0, 1)),
        (9, 4, (0, 2, 3, 5)),  # 1.67 and 3.33 rounded
        (7, 4, (0, 2, 3)),  # 1.5 goes to the even neighbour
    ],
)
def test_windows_start_where_nnunet_puts_them(
    size: int, patch: int, starts: tuple[int, ...]
) -> None:
    assert window_starts(size, patch) == starts


@pytest.mark.parametrize("patch", [1, 2, 5, 16, 40])
def test_gaussian_profile_peaks_in_the_middle_and_is_never_zero(patch: int) -> None:
    profile = gaussian_profile(patch)
    assert profile.argmax() == patch // 2
    assert profile.max() == 1
    assert profile.min() > 0


def test_weights_of_all_tiles_sum_to_one() -> None:
    tiles = AxisTiles.of(110, 64)
    total = np.zeros(110)
    for start, weights in zip(tiles.starts, tiles.weights, strict=True):
        total[start : start + 64] += weights
    assert total == pytest.approx(np.ones(110), abs=1e-6)


def test_small_image_is_padded_centred() -> None:
    tiling = Tiling.of((3, 10), (4, 6))
    assert tiling.shape == (4, 10)
    assert tiling.inner == (slice(0, 3), slice(0, 10))  # the odd voxel comes after
    assert not tiling.is_single
    assert len(tiling) == 3


@pytest.mark.parametrize("shape", [(30, 50, 20), (64, 64, 64), (10, 110, 200)])
def test_the_number_of_windows_is_that_of_the_tiles(shape: tuple[int, int, int]) -> None:
    assert number_of_windows(shape, (32, 40, 24)) == len(Tiling.of(shape, (32, 40, 24)))
    assert number_of_windows(shape, (40, 24)) == shape[0] * len(Tiling.of(shape, (40, 24)))
