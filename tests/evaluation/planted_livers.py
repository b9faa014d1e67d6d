"""The synthetic liver set with tumours of 0.05 to 50 ml, and predictions made worse by rules.

`unet-mic sample liver` writes the set; the phantom tells which voxels are which tumour. A rule
says how much of each tumour of a case the prediction has; two cases have an invented tumour too.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_unet_mic.cli import main
from napari_unet_mic.data.imperfect import resized_lesions
from napari_unet_mic.data.phantom import planted_liver
from napari_unet_mic.data.tumours import tumours_of
from napari_unet_mic.data.volume import read_labels, write_labels

SIZES_ML = (0.05, 0.3, 1.5, 6.0, 50.0)
SHARES = {  # of each size, in that order: the small ones are lost, some large ones are too large
    "liver_00": (1.0, 1.0, 1.0, 1.0, 1.0),
    "liver_01": (0.0, 0.0, 0.85, 0.85, 0.85),
    "liver_02": (0.0, 0.0, 0.6, 0.6, 0.6),
    "liver_03": (0.0, 0.0, 0.4, 1.3, 1.2),
    "liver_04": (0.0, 0.6, 0.08, 1.0, 1.0),
    "liver_05": (),  # a liver without tumours
}
RECALL = {  # of each size, as the shares above make it
    "any": (1 / 5, 2 / 5, 1.0, 1.0, 1.0),
    "0.1": (1 / 5, 2 / 5, 4 / 5, 1.0, 1.0),
    "0.5": (1 / 5, 2 / 5, 3 / 5, 1.0, 1.0),
}
N_CASES, N_TUMOURS = 6, 25
MADE_UP = ("liver_01", "liver_05")


@dataclass(frozen=True)
class Planted:
    case: str
    ml: float
    voxels: int
    kept: int  # voxels that the prediction has for it
    iou: float


@cache
def planted(case):
    """Return the phantom behind a case, made anew."""
    return planted_liver(int(case.removeprefix("liver_")), SIZES_ML)


def made_up(case, made):
    """Return an invented tumour of 0.2 ml, in the liver and away from the others."""
    rng = np.random.default_rng([9, *case.encode()])
    labels, spacing_mm = made.reference.array, made.reference.spacing_mm
    away_mm = distance_transform_edt(labels != 2, sampling=spacing_mm)
    (mask,) = tumours_of(rng, (labels == 1) & (away_mm > 6), spacing_mm, (0.2,))
    return mask


def write(folder):
    """Write the set and, in `p`, the predictions; returns what was planted."""
    sizes = [str(size) for size in SIZES_ML]
    words = ["sample", "liver", "-o", str(folder), "--cases", str(N_CASES), "--tumours-ml", *sizes]
    assert main(words) == 0
    lesions = []
    for case, shares in SHARES.items():
        made = planted(case)
        reference = read_labels(folder / "labelsTr" / f"{case}.nii.gz")
        np.testing.assert_array_equal(reference.array, made.reference.array)
        predicted = resized_lesions(reference, made.tumours, dict(enumerate(shares, 1))).array
        if case in MADE_UP:
            predicted[made_up(case, made)] = 2
        write_labels(folder / "p" / f"{case}.nii.gz", predicted, reference)
        for number, share in enumerate(shares, 1):
            n = int((made.tumours.array == number).sum())
            assert n == round(SIZES_ML[number - 1] / reference.voxel_ml)
            k = round(share * n)
            iou = min(n, k) / max(n, k)
            lesions.append(Planted(case, n * reference.voxel_ml, n, k, iou))
    assert len(lesions) == N_TUMOURS
    return lesions
