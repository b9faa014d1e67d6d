"""Normalisation by hand."""

import numpy as np
import pytest

from napari_unet_mic.errors import BadInput, BadPlan
from napari_unet_mic.preprocessing.normalise import normalise

CT = {"mean": 10.0, "std": 5.0, "percentile_00_5": 0.0, "percentile_99_5": 20.0}


def made(values: list[float], scheme: str, **options: object) -> list[float]:
    channel = np.array(values, dtype=np.float32).reshape(1, 1, -1)
    normalise(channel, scheme, **options)  # type: ignore[arg-type]
    return [round(float(value), 4) for value in channel.ravel()]


def test_ct_clips_to_the_foregrounds_percentiles() -> None:
    assert made([-100, 5, 10, 400], "CTNormalization", intensity=CT) == [-2, -1, 0, 2]


def test_ct_without_intensities_is_refused() -> None:
    with pytest.raises(BadPlan, match="percentile_99_5"):
        made([1, 2], "CTNormalization", intensity={"mean": 1.0})


def test_zscore() -> None:
    assert made([1, 1, 3, 3], "ZScoreNormalization") == [-1, -1, 1, 1]


def test_zscore_of_a_constant_is_zero() -> None:
    assert made([7, 7, 7], "ZScoreNormalization") == [0, 0, 0]


def test_zscore_inside_a_mask_leaves_the_outside() -> None:
    mask = np.array([[[False, True, True, False]]])
    assert made([0, 1, 3, 9], "ZScoreNormalization", mask=mask) == [0, -1, 1, 9]


def test_an_empty_mask_changes_nothing() -> None:
    mask = np.zeros((1, 1, 2), dtype=bool)
    assert made([0, 5], "ZScoreNormalization", mask=mask) == [0, 5]


def test_the_other_schemes() -> None:
    assert made([4, 5], "NoNormalization") == [4, 5]
    assert made([-2, 0, 2], "RescaleTo01Normalization") == [0, 0.5, 1]
    assert made([0, 51, 255], "RGBTo01Normalization") == [0, 0.2, 1]


def test_rgb_beyond_255_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^a\.nii: .* 0 to 256"):
        made([0, 256], "RGBTo01Normalization", thing="a.nii")


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(BadPlan, match="expected one of ZScoreNormalization, NoNorm"):
        made([0], "Whitening")
