"""Planted leaks among real cases: how many are found, how many false alarms, how long it takes.

    python benchmarks/leakage.py Task04_Hippocampus --seeds 5

Copies of 40 of the dataset's cases, each changed in one way (or several), are added under new
names with labels of their own; `check_dataset` then looks for them. Pairs of cases 2k−1 and 2k
are counted apart: they are one patient, neither leak nor false alarm. The second table says
how well the suspicion of one patient finds just those, on the dataset as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from napari_unet_mic.data.integrity import Check, check_dataset

Array = np.ndarray
Generator = np.random.Generator


def same(image: Array, rng: Generator) -> tuple[Array, Array]:
    return image, np.ones(3)


def flip(image: Array, rng: Generator) -> tuple[Array, Array]:
    axes = [a for a in range(3) if rng.random() < 0.5] or [int(rng.integers(3))]
    return np.flip(image, axes), np.ones(3)


def cropped(low: float, high: float) -> Callable[[Array, Generator], tuple[Array, Array]]:
    def change(image: Array, rng: Generator) -> tuple[Array, Array]:
        sizes = [int(np.ceil(n * rng.uniform(low, high))) for n in image.shape]
        starts = [int(rng.integers(n - m + 1)) for n, m in zip(image.shape, sizes, strict=True)]
        z, y, x = (slice(a, a + m) for a, m in zip(starts, sizes, strict=True))
        return image[z, y, x], np.ones(3)

    return change


def noisy(share: float) -> Callable[[Array, Generator], tuple[Array, Array]]:
    def change(image: Array, rng: Generator) -> tuple[Array, Array]:
        return image + rng.normal(0, share * image.std(), image.shape), np.ones(3)

    return change


def brighter(image: Array, rng: Generator) -> tuple[Array, Array]:
    return image * rng.uniform(0.3, 3) + rng.uniform(-1, 1) * image.std(), np.ones(3)


def gamma(image: Array, rng: Generator) -> tuple[Array, Array]:
    low, high = image.min(), image.max()
    return ((image - low) / (high - low)) ** rng.uniform(0.5, 2) * (high - low), np.ones(3)


def shading(image: Array, rng: Generator) -> tuple[Array, Array]:
    place = np.meshgrid(*[np.linspace(-1, 1, n) for n in image.shape], indexing="ij")
    return image * np.exp(0.4 * sum(rng.normal() * p for p in place)), np.ones(3)


def inverted(image: Array, rng: Generator) -> tuple[Array, Array]:
    return image.max() - image, np.ones(3)


def resampled(low: float, high: float) -> Callable[[Array, Generator], tuple[Array, Array]]:
    def change(image: Array, rng: Generator) -> tuple[Array, Array]:
        factors = (
            rng.uniform(low, high, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(low, high))
        )
        new = ndimage.zoom(image, 1 / factors, order=int(rng.choice([1, 3])))
        return new, np.array(image.shape) / np.array(new.shape)

    return change


def mislabelled(image: Array, rng: Generator) -> tuple[Array, Array]:
    """Resample, and keep the old voxel size in the header."""
    new, _ = resampled(1.2, 1.6)(image, rng)
    return new, np.ones(3)


def turned(image: Array, rng: Generator) -> tuple[Array, Array]:
    axes = [(0, 1), (0, 2), (1, 2)][int(rng.integers(3))]
    return np.rot90(image, int(rng.integers(1, 4)), axes), np.ones(3)


def several(image: Array, rng: Generator) -> tuple[Array, Array]:
    image, _ = flip(image, rng)
    image, _ = cropped(0.85, 0.95)(image, rng)
    image, _ = brighter(image, rng)
    image, _ = noisy(0.1)(image, rng)
    return resampled(0.8, 1.25)(image, rng)


CHANGES: dict[str, Callable[[Array, Generator], tuple[Array, Array]]] = {
    "copy": same,
    "flip": flip,
    "crop to 80 % of the volume": cropped(0.93, 0.95),
    "crop to 80 % of every axis": cropped(0.8, 0.8),
    "noise, 10 % of the deviation": noisy(0.1),
    "noise, 40 %": noisy(0.4),
    "gain and offset": brighter,
    "gamma 0.5 to 2": gamma,
    "shading": shading,
    "inverted": inverted,
    "resampled to 0.6 to 0.8 of the voxel": resampled(0.6, 0.8),
    "resampled to 1.3 to 2 voxels": resampled(1.3, 2.0),
    "resampled, header unchanged": mislabelled,
    "turned by 90 degrees": turned,
    "flip, crop, gain, noise, resampled": several,
}


def rotated(degrees: float) -> Callable[[Array, Generator], tuple[Array, Array]]:
    def change(image: Array, rng: Generator) -> tuple[Array, Array]:
        axes = [(0, 1), (0, 2), (1, 2)][int(rng.integers(3))]
        return ndimage.rotate(
            image, degrees, axes, reshape=False, order=1, mode="nearest"
        ), np.ones(3)

    return change


def blurred(sigma: float) -> Callable[[Array, Generator], tuple[Array, Array]]:
    return lambda image, rng: (ndimage.gaussian_filter(image, sigma), np.ones(3))


def clipped(image: Array, rng: Generator) -> tuple[Array, Array]:
    return np.clip(image, *np.percentile(image, [10, 90])), np.ones(3)


def padded(image: Array, rng: Generator) -> tuple[Array, Array]:
    widths = [(int(rng.integers(9)), int(rng.integers(9))) for _ in range(3)]
    return np.pad(image, widths), np.ones(3)


BEYOND: dict[str, Callable[[Array, Generator], tuple[Array, Array]]] = {
    "noise, 80 %": noisy(0.8),
    "noise, 150 %": noisy(1.5),
    "crop to 70 % of every axis": cropped(0.7, 0.7),
    "crop to 60 % of every axis": cropped(0.6, 0.6),
    "blur of 1.5 voxels": blurred(1.5),
    "blur of 2.5 voxels": blurred(2.5),
    "resampled to 3 voxels": resampled(3, 3),
    "rotated by 5 degrees": rotated(5),
    "rotated by 10 degrees": rotated(10),
    "clipped to 10 to 90 %": clipped,
    "zero padding": padded,
}
"""Harder than what the check promises to find: how far it reaches."""


def plant(
    source: Path, target: Path, *, seed: int, pairs: int = 40, changes: Iterable[str] = CHANGES
) -> dict[tuple[str, str], str]:
    """Copy a Decathlon dataset and add changed copies; return (original, copy) to change."""
    rng = np.random.default_rng(seed)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("splits_final.json"))
    file = target / "dataset.json"
    file.chmod(0o644)
    for folder in (target, *target.iterdir()):
        if folder.is_dir():
            folder.chmod(0o755)
    about = json.loads(file.read_text())
    entries = about["training"]
    chosen = rng.choice(len(entries), pairs, replace=False)
    names = list(changes)
    planted: dict[tuple[str, str], str] = {}
    for number, place in enumerate(chosen):
        entry = entries[int(place)]
        image = nib.load(target / entry["image"])
        change = names[number % len(names)]
        array, zoom = {**CHANGES, **BEYOND}[change](
            np.asarray(image.dataobj, dtype=np.float32), rng
        )
        affine = image.affine @ np.diag([*zoom, 1.0])
        name = f"other_{seed}_{number:03d}"
        new = nib.Nifti1Image(np.ascontiguousarray(array, dtype=np.float32), affine)
        nib.save(new, target / "imagesTr" / f"{name}.nii.gz")
        label = np.zeros(array.shape, np.uint8)
        label[tuple(slice(n // 4, n // 2 + number % 5) for n in array.shape)] = 1 + number % 2
        nib.save(nib.Nifti1Image(label, affine), target / "labelsTr" / f"{name}.nii.gz")
        entries.append({"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"})
        planted[Path(entry["image"]).name.removesuffix(".nii.gz"), name] = change
    about["numTraining"] = len(entries)
    file.write_text(json.dumps(about))
    return planted


def is_pair(a: str, b: str) -> bool:
    """Return whether two case names end in numbers 2k−1 and 2k."""
    found = [re.search(r"(\d+)$", name) for name in (a, b)]
    if None in found:
        return False
    low, high = sorted(int(one[1]) for one in found if one)
    return low % 2 == 1 and high == low + 1


def alarms(check: Check, *kinds: str) -> set[tuple[str, str]]:
    return {
        tuple(sorted((f.case, f.related[0])))  # type: ignore[misc]
        for f in check.findings
        if f.kind in kinds
    }


def outcome(
    check: Check, planted: dict[tuple[str, str], str]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the planted pairs that were found, the false alarms, and pairs 2k−1, 2k reported.

    A copy beside its original's other hippocampus counts among the last.
    """
    reported = alarms(check, "duplicate-image", "near-duplicate")
    truth = {tuple(sorted(pair)) for pair in planted}
    source = {copy: original for original, copy in planted}
    wrong = {pair for pair in reported if pair not in truth}
    pairs = {(a, b) for a, b in wrong if is_pair(source.get(a, a), source.get(b, b))}
    return reported & truth, wrong - pairs, pairs  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--beyond", action="store_true", help="plant changes that are harder")
    options = parser.parse_args()

    cpu, wall = time.process_time(), time.perf_counter()
    plain = check_dataset(options.dataset)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{len(plain.cases)} cases checked in {wall:.1f} s ({cpu:.1f} s of processor time)")
    suspected = alarms(plain, "same-patient-suspected")
    names = [case.name for case in plain.cases]
    true = {(a, b) for a in names for b in names if a < b and is_pair(a, b)}
    right = suspected & true
    print(
        f"same patient: {len(suspected)} pairs suspected, {len(right)} of the {len(true)} odd-even "
        f"pairs: precision {len(right) / max(1, len(suspected)):.2f}, "
        f"recall {len(right) / max(1, len(true)):.2f}"
    )
    print("false alarms without planted leaks:", len(outcome(plain, {})[1]))

    changes = BEYOND if options.beyond else CHANGES
    found_by: dict[str, list[bool]] = defaultdict(list)
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "planted"
            planted = plant(
                options.dataset, target, seed=seed, pairs=options.pairs, changes=changes
            )
            wall = time.perf_counter()
            check = check_dataset(target)
            wall = time.perf_counter() - wall
        found, wrong, pairs = outcome(check, planted)
        for pair, change in planted.items():
            found_by[change].append(tuple(sorted(pair)) in found)
        print(
            f"seed {seed}: {len(found)} of {len(planted)} found, {len(wrong)} false alarms, "
            f"{len(pairs)} odd-even pairs reported, {wall:.1f} s for {len(check.cases)} cases"
        )
    print("| change | found | of |\n|---|---|---|")
    for change in changes:
        print(f"| {change} | {sum(found_by[change])} | {len(found_by[change])} |")


if __name__ == "__main__":
    main()
