"""Phantoms: synthetic liver and tumour CT, and two-channel prostate MR.

In comes a seed, out come an image and its reference, the same for the same seed: sample
data, the demo and tests. Anatomy is built in display order (Z, Y, X towards Superior,
Posterior, Left) from ellipsoids bent by a smooth displacement, blurred by the scanner
(partial volume), with correlated and white noise, and then stored along RAS axes as most
real files are; every third case is oblique.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import BadInput
from .files import read_json, write_json
from .imperfect import imperfect_prediction
from .tumours import random_tumours, tumours_of
from .volume import Volume, write_image, write_labels

__all__ = [
    "LIVER_CLASSES",
    "PROSTATE_CLASSES",
    "PlantedLiver",
    "imperfect_prediction",
    "liver_case",
    "planted_liver",
    "prostate_case",
    "write_liver",
    "write_prostate",
]

Shape = tuple[int, int, int]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Generator = np.random.Generator
CaseMaker = Callable[[int, Shape], tuple[Volume, Volume]]
TumourPlacer = Callable[[Generator, Mask, Sequence[float]], list[Mask]]

LIVER_CLASSES = {0: "background", 1: "liver", 2: "cancer"}
PROSTATE_CLASSES = {0: "background", 1: "PZ", 2: "TZ"}
_SHAPE: Shape = (48, 96, 96)


@dataclass(frozen=True, eq=False)
class PlantedLiver:
    """A liver phantom that knows its tumours.

    Parameters
    ----------
    image, reference
        As `liver_case` makes them.
    tumours
        (Z, Y, X) uint8: which tumour each voxel is in, counted from 1; 0 for none.
    """

    image: Volume
    reference: Volume
    tumours: Volume


def liver_case(seed: int, shape: Shape = _SHAPE) -> tuple[Volume, Volume]:
    """Make a CT with liver and tumours.

    Parameters
    ----------
    seed
        The same seed gives the same case; every seventh has no tumour (5, 12, 19, …).
    shape
        Voxels along (Z, Y, X); the anatomy fills whatever they span.

    Returns
    -------
    image
        (1, Z, Y, X) int16, Hounsfield units.
    reference
        (Z, Y, X) uint8: background 0, liver 1, cancer 2. Tumours are hypodense and of very
        different sizes, 0.05 to 50 ml where the liver is large enough for them.
    """
    made = _liver(seed, shape, random_tumours)
    return made.image, made.reference


def planted_liver(seed: int, tumours_ml: Sequence[float], shape: Shape = _SHAPE) -> PlantedLiver:
    """Make a CT with a tumour of each volume (rounded to voxels); none in every seventh case.

    Raises
    ------
    BadInput
        When the liver has no room for one of them.
    """
    return _liver(seed, shape, partial(tumours_of, volumes_ml=tumours_ml))


def _liver(seed: int, shape: Shape, place: TumourPlacer) -> PlantedLiver:
    rng = np.random.default_rng([seed, 1])
    spacing_mm = (float(rng.uniform(2.0, 3.0)), *[float(rng.uniform(1.3, 1.7))] * 2)
    body = _Body(rng, shape)
    hounsfield, liver = _abdomen(rng, body)
    tissue_hu = rng.uniform(75, 115)
    hounsfield[liver] = tissue_hu + 6.0 * body.smooth(4)[liver]
    vessels = np.abs(body.smooth(7)) + np.abs(body.smooth(7)) < 0.10
    hounsfield[liver & vessels] += 35.0
    tumours = np.zeros(shape, dtype=np.uint8)
    masks = [] if seed % 7 == 5 else place(rng, liver, spacing_mm)
    for number, mask in enumerate(masks, 1):
        hounsfield[mask] = tissue_hu - rng.uniform(45, 75) + 5.0 * body.smooth(6)[mask]
        tumours[mask] = number
    labels = np.where(tumours > 0, np.uint8(2), liver.astype(np.uint8))
    hounsfield = _blurred(hounsfield, 0.9, spacing_mm)
    hounsfield += _noise(rng, shape, white=9.0, correlated=7.0)
    image = np.clip(np.rint(hounsfield), -1024, 3071).astype(np.int16)
    oblique = seed % 3 == 2
    return PlantedLiver(
        *_stored(image[None], labels, tumours, spacing_mm=spacing_mm, oblique=oblique, rng=rng)
    )


def _abdomen(rng: Generator, body: _Body) -> tuple[Floats, Mask]:
    """Return Hounsfield units of everything but the liver, and where the liver lies."""
    liver = body.ellipsoid((0.05, -0.08, -0.40), (0.72, 0.55, 0.42))
    liver |= body.ellipsoid((0.22, -0.30, 0.02), (0.38, 0.24, 0.42))
    spine = body.ellipsoid((0.0, 0.55, 0.0), (9.0, 0.15, 0.14))
    liver &= ~spine & body.ellipsoid((0.0, 0.0, 0.0), (9.0, 0.78, 0.82))
    tissues: list[tuple[Mask, float]] = [
        (body.ellipsoid((0.0, 0.0, 0.0), (9.0, 0.88, 0.95)), -100.0),
        (body.ellipsoid((0.0, 0.02, 0.0), (9.0, 0.80, 0.86)), rng.uniform(40, 60)),
        (body.ellipsoid((0.1, -0.30, 0.50), (0.50, 0.26, 0.24)), rng.uniform(0, 25)),
        (body.ellipsoid((0.3, -0.42, 0.50), (0.22, 0.10, 0.14)), -900.0),
        (body.ellipsoid((0.2, 0.30, 0.58), (0.42, 0.26, 0.18)), rng.uniform(95, 125)),
        (spine, rng.uniform(250, 450)),
        (body.ellipsoid((0.0, 0.30, 0.10), (9.0, 0.07, 0.065)), rng.uniform(130, 180)),
    ]
    hounsfield = np.full(body.shape, -1000.0, dtype=np.float32)
    for mask, value in tissues:
        hounsfield[mask] = value
    return hounsfield, liver


def prostate_case(seed: int, shape: Shape = _SHAPE) -> tuple[Volume, Volume]:
    """Make a two-channel MR of the prostate: T2 and ADC.

    Returns
    -------
    image
        (2, Z, Y, X) float32: T2 in arbitrary units under a bias field, ADC in 1e-6 mm²/s,
        of lower resolution. Thick slices, as in the clinic.
    reference
        (Z, Y, X) uint8: background 0, peripheral zone (PZ) 1, transition zone (TZ) 2.
    """
    rng = np.random.default_rng([seed, 2])
    spacing_mm = (float(rng.uniform(3.0, 4.0)), *[float(rng.uniform(0.9, 1.1))] * 2)
    body = _Body(rng, shape)
    size_mm = np.array((24.0, 19.0, 25.0)) * rng.uniform(0.85, 1.15, size=3)
    half_mm = np.array(spacing_mm) * np.array(shape) / 2
    gland = tuple(np.minimum(size_mm / half_mm, 0.75).tolist())
    z, y, x = gland
    prostate = body.ellipsoid((0.0, 0.0, 0.0), gland)
    inner = body.ellipsoid((0.15 * z, -0.28 * y, 0.0), (0.72 * z, 0.66 * y, 0.68 * x)) & prostate
    tissues: list[tuple[Mask, float, float]] = [  # where, T2, ADC
        (np.ones(shape, dtype=bool), 330.0, 250.0),
        (body.ellipsoid((0.0, 0.1, 0.0), (9.0, 0.80, 0.70)), 150.0, 1150.0),
        (body.ellipsoid((1.6 * z, -0.7 * y, 0.0), (0.8 * z, 1.1 * y, 1.3 * x)), 850.0, 2900.0),
        (body.ellipsoid((0.0, 1.75 * y, 0.0), (9.0, 0.65 * y, 0.7 * x)), 90.0, 800.0),
        (prostate, rng.uniform(480, 600), rng.uniform(1550, 1850)),
        (inner, rng.uniform(270, 350), rng.uniform(1150, 1350)),
    ]
    t2, adc = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for mask, t2_value, adc_value in tissues:
        t2[mask], adc[mask] = t2_value, adc_value
    t2[inner] += 45.0 * body.smooth(9)[inner]
    t2 = _blurred(t2, 0.6, spacing_mm) * np.exp(0.15 * body.smooth(2))
    adc = _blurred(adc, 1.6, spacing_mm) + _noise(rng, shape, white=20.0, correlated=60.0)
    t2 = np.hypot(t2 + _noise(rng, shape, white=22.0, correlated=12.0), 22.0)  # Rician floor
    image = np.stack([t2, np.maximum(adc, 0.0)]).astype(np.float32)
    labels = prostate.astype(np.uint8) + inner
    stored = _stored(image, labels, spacing_mm=spacing_mm, oblique=seed % 3 != 0, rng=rng)
    return stored[0], stored[1]


class _Body:
    """Coordinates from -1 to 1 along each axis, bent differently in every patient."""

    def __init__(self, rng: Generator, shape: Shape) -> None:
        self.rng, self.shape = rng, shape
        axes = [(np.arange(n, dtype=np.float32) + 0.5) * 2 / n - 1 for n in shape]
        shift = rng.uniform(-0.05, 0.05, size=3).astype(np.float32)
        self.coordinates = [
            axis.reshape([-1 if a == b else 1 for b in range(3)]) + shift[a] + 0.06 * self.smooth(3)
            for a, axis in enumerate(axes)
        ]

    def smooth(self, waves: int) -> Floats:
        """Return a random smooth field of about unit variance, `waves` half periods an axis."""
        field = self.rng.standard_normal((waves, waves, waves)).astype(np.float32)
        for n in self.shape:
            basis = np.cos(np.pi * np.outer(np.arange(waves), (np.arange(n) + 0.5) / n))
            field = np.tensordot(field, basis.astype(np.float32), axes=(0, 0))  # turns the axes
        return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)

    def ellipsoid(self, centre: Sequence[float], radii: Sequence[float]) -> Mask:
        """Return where a bent ellipsoid lies; size and place differ a little by patient."""
        distance = np.zeros(self.shape, dtype=np.float32)
        for axis, c, r in zip(self.coordinates, centre, radii, strict=True):
            c, r = c + self.rng.uniform(-0.02, 0.02), r * self.rng.uniform(0.94, 1.06)
            distance += ((axis - np.float32(c)) / np.float32(r)) ** 2
        return distance < 1.0


def _blurred(array: Floats, sigma_mm: float, spacing_mm: Sequence[float]) -> Floats:
    return np.asarray(gaussian_filter(array, [sigma_mm / step for step in spacing_mm]))


def _noise(rng: Generator, shape: Shape, *, white: float, correlated: float) -> Floats:
    """Return noise of these standard deviations, half of it smeared in plane as by a filter."""
    smeared = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), (0.3, 1.0, 1.0))
    smeared *= correlated / max(float(smeared.std()), 1e-6)
    return smeared + white * rng.standard_normal(shape, dtype=np.float32)


def _stored(
    *arrays: NDArray[Any], spacing_mm: Sequence[float], oblique: bool, rng: Generator
) -> list[Volume]:
    """Store arrays in display order along RAS axes, tilted when oblique."""
    step = np.diag([*reversed(spacing_mm)])
    affine = np.eye(4)
    affine[:3, :3] = (_rotation(rng) if oblique else np.eye(3)) @ step
    middle = (np.array(arrays[0].shape[:-4:-1]) - 1) / 2
    affine[:3, 3] = rng.uniform(-20, 20, size=3) - affine[:3, :3] @ middle
    flipped = [array[..., ::-1, ::-1].copy() for array in arrays]
    return [Volume.from_array(array, affine=affine) for array in flipped]


def _rotation(rng: Generator) -> NDArray[np.float64]:
    """Return a tilt of 6 to 14 degrees about the left-right axis and a little about the long."""
    a, b = np.radians(rng.uniform(6, 14)), np.radians(rng.uniform(-4, 4))
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return np.asarray(about_x @ about_z)


# ---- datasets


def write_liver(
    folder: str | Path,
    n_cases: int = 12,
    shape: Shape = _SHAPE,
    seed: int = 0,
    *,
    n_test: int = 2,
    tumours_ml: Sequence[float] | None = None,
) -> Path:
    """Write a Decathlon dataset of liver phantoms; the last `n_test` cases are held out.

    With `tumours_ml` case number n is that of ``planted_liver(1000 * seed + n, tumours_ml)``.

    Raises
    ------
    BadInput
        When the folder holds another dataset, or a liver has no room for a tumour.
    """

    def planted(one: int, shape: Shape) -> tuple[Volume, Volume]:
        made = planted_liver(one, tumours_ml or (), shape)
        return made.image, made.reference

    make = liver_case if tumours_ml is None else planted
    about = _declared("LiverPhantom", {"0": "CT"}, LIVER_CLASSES, n_cases)
    return _write(Path(folder), about, make, shape, seed, n_test)


def write_prostate(
    folder: str | Path,
    n_cases: int = 12,
    shape: Shape = _SHAPE,
    seed: int = 0,
    *,
    n_test: int = 2,
) -> Path:
    """Write a Decathlon dataset of prostate phantoms (4-D files); the last `n_test` held out.

    Raises
    ------
    BadInput
        When the folder holds another dataset.
    """
    about = _declared("ProstatePhantom", {"0": "T2", "1": "ADC"}, PROSTATE_CLASSES, n_cases)
    return _write(Path(folder), about, prostate_case, shape, seed, n_test)


def _declared(
    name: str, channels: dict[str, str], classes: dict[int, str], n_cases: int
) -> dict[str, Any]:
    """Return the dataset.json."""
    cases = [f"{name.removesuffix('Phantom').lower()}_{number:02d}" for number in range(n_cases)]
    return {
        "name": name,
        "description": "synthetic: napari-unet-mic phantom",
        "reference": "napari-unet-mic",
        "licence": "CC0",
        "release": "1.0",
        "tensorImageSize": "4D" if len(channels) > 1 else "3D",
        "modality": channels,
        "labels": {str(value): name for value, name in classes.items()},
        "numTraining": n_cases,
        "numTest": 0,
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}
            for case in cases
        ],
        "test": [],
    }


def _write(
    folder: Path,
    about: dict[str, Any],
    make_case: CaseMaker,
    shape: Shape,
    seed: int,
    n_test: int,
) -> Path:
    declared, n_cases = folder / "dataset.json", about["numTraining"]
    if declared.is_file() and read_json(declared).get("name") != about["name"]:
        raise BadInput(
            folder,
            expected="a new folder",
            got="one that holds another dataset",
            advice="choose another folder",
        )
    if not 0 <= n_test <= n_cases:
        raise BadInput(
            "test set",
            expected=f"0 to {n_cases} test cases",
            got=f"{n_test}",
            advice="write more cases or hold out fewer",
        )
    for number, files in enumerate(about["training"]):
        image, reference = make_case(1000 * seed + number, shape)
        write_image(folder / files["image"], image.array, image)
        write_labels(folder / files["label"], reference.array, reference)
    names = [Path(files["label"]).name.removesuffix(".nii.gz") for files in about["training"]]
    write_json(folder / "test_cases.json", names[n_cases - n_test :])
    write_json(declared, about)
    return folder
