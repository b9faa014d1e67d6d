"""A liver set with planted tumours and predictions made worse by known rules.

Each case has a liver and balls of known sizes; a rule says what the prediction makes of each:
all of it, its part nearer than a share of the radius, or nothing; and where it invents one.
"""

from dataclasses import dataclass

import numpy as np

from napari_unet_mic.data.volume import Volume, write_labels

SPACING = (2.0, 1.0, 1.0)
SHAPE = (40, 130, 130)
CENTRES_MM = [(20, 22, 22), (20, 22, 100), (20, 100, 22), (60, 22, 22), (54, 100, 100)]
MADE_UP_MM = (60.0, 22.0, 104.0)
SIZES_ML = (0.05, 0.3, 1.5, 6.0, 50.0)


@dataclass(frozen=True)
class Planted:
    case: str
    voxels: int
    ml: float
    kept: int  # voxels of it that the prediction has
    iou: float


def ball(centre_mm, volume_ml, share=1.0):
    radius = share * (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    axes = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij"
    )
    distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre_mm, strict=True))
    return distance <= radius**2


def share_kept(size_ml, case):
    """The rule: tumours below 1 ml are lost but in case 0; larger ones shrink by case."""
    if size_ml < 1:
        return 1.0 if case == 0 else 0.0
    return (1.0, 0.85, 0.6)[case]


def write(folder, n_cases=3):
    """Write references and predictions; returns what was planted, and spurious ones by case."""
    planted, voxel_ml = [], float(np.prod(SPACING)) / 1000
    for case in range(n_cases):
        reference = np.ones(SHAPE, np.uint8)
        reference[0] = 0
        prediction = reference.copy()
        for centre, size in zip(CENTRES_MM, SIZES_ML, strict=True):
            whole = ball(centre, size)
            share = share_kept(size, case)
            kept = ball(centre, size, share) if share else np.zeros_like(whole)
            reference[whole], prediction[kept] = 2, 2
            n, k = int(whole.sum()), int(kept.sum())
            planted.append(Planted(f"liver_{case}", n, n * voxel_ml, k, k / n))
        if case == 1:
            prediction[ball(MADE_UP_MM, 0.2)] = 2
        like = Volume.from_array(reference, spacing_mm=SPACING)
        write_labels(folder / "r" / f"liver_{case}.nii.gz", reference, like)
        write_labels(folder / "p" / f"liver_{case}.nii.gz", prediction, like)
    return planted
