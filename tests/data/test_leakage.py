"""The same image is found under another name, whatever was done to it; other pairs are not."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data import phantom
from napari_unet_mic.data.alignment import Looker
from napari_unet_mic.data.candidates import Pose, find_candidates
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.data.fingerprints import choose_cell_mm, detail, raster_of, resized, smoothed
from napari_unet_mic.data.grid import Grid
from napari_unet_mic.data.image_check import ChannelFacts, digest_of, intensity_step
from napari_unet_mic.data.integrity import Check, Question, check_dataset
from napari_unet_mic.data.leakage import describe
from napari_unet_mic.data.same_patient import odd_step
from napari_unet_mic.errors import Cancelled

REPOSITORY = Path(__file__).resolve().parents[2]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "leakage_benchmark", REPOSITORY / "benchmarks" / "leakage.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def livers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("livers")
    phantom.write_liver(folder / "liver", n_cases=14, seed=3)
    yield folder / "liver"
    shutil.rmtree(folder)


def test_every_planted_leak_among_phantoms_is_found(
    benchmark: ModuleType, livers: Path, tmp_path: Path
) -> None:
    planted = benchmark.plant(livers, tmp_path / "leaky", seed=5, pairs=12)
    check = check_dataset(tmp_path / "leaky")
    found, wrong, _ = benchmark.outcome(check, planted)
    assert len(found) == 12, set(planted) - found
    assert not wrong


def test_forty_planted_leaks_among_real_cases(
    benchmark: ModuleType, hippocampus: Path, tmp_path: Path
) -> None:
    planted = benchmark.plant(hippocampus, tmp_path / "leaky", seed=11)
    found, wrong, _ = benchmark.outcome(check_dataset(tmp_path / "leaky"), planted)
    assert len(planted) == 40
    assert len(found) >= 38
    assert len(wrong) <= 1


def test_the_real_set_has_no_false_alarm_and_its_patients_are_suspected(
    benchmark: ModuleType, hippocampus: Path
) -> None:
    check = check_dataset(hippocampus)
    assert not benchmark.alarms(check, "duplicate-image", "near-duplicate")
    suspected = benchmark.alarms(check, "same-patient-suspected")
    right = {pair for pair in suspected if benchmark.is_pair(*pair)}
    assert len(right) >= 0.9 * len(suspected)
    assert len(right) >= 0.7 * 53
    one = next(f for f in check.findings if f.case == "hippocampus_004")
    assert one.kind == "same-patient-suspected"
    assert one.related == ("hippocampus_003",)
    assert "the same intensity step 5.95897" in one.message
    assert "on both sides of folds 1, 4" in one.message
    assert one.evidence["folds"] == [1, 4]


# ---- small parts -------------------------------------------------------------------------
def smooth_noise(seed: int, shape: tuple[int, int, int] = (30, 36, 32)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return smoothed(rng.random(shape).astype(np.float32), 1.0)


def test_candidates_name_the_pair_and_its_pose() -> None:
    volumes = [smooth_noise(n) for n in range(6)]
    moved = volumes[2][:, ::-1, 4:30]
    search = find_candidates([*volumes, moved])
    poses = {(c.first, c.second): c.poses for c in search.candidates}
    assert search.likeness.shape == (7, 7)
    assert search.likeness[2].argmax() == 6
    pose = poses[2, 6][0]
    assert pose.flips == (1, -1, 1)
    # voxels 4 to 30 of 32 are kept: the whole one's middle lies one cell before the cropped one's
    assert pose.shift == pytest.approx((0, 0, -1), abs=1.01)
    match = Looker([*volumes, moved]).compare(2, 6, poses[2, 6])
    assert match.correlation > 0.95
    assert match.pose.shift == pytest.approx((0, 0, -1), abs=0.05)
    assert match.overlap == 1.0
    others = [c for c in search.candidates if (c.first, c.second) != (2, 6)]
    looker = Looker([*volumes, moved])
    assert all(abs(looker.compare(c.first, c.second, c.poses).correlation) < 0.5 for c in others)


def test_a_shift_by_half_a_cell_is_found() -> None:
    fine = smooth_noise(1, (60, 72, 64))
    a, b = fine[0:56:2, ::2, ::2], fine[1:57:2, ::2, ::2]  # one half of a cell apart
    match = Looker([a, b]).compare(0, 1, [Pose()])
    assert match.pose.shift[0] == pytest.approx(-0.5, abs=0.15)
    assert match.correlation > 0.85


def test_a_turned_and_an_inverted_image() -> None:
    volume = smooth_noise(4, (28, 28, 28))
    turned = np.rot90(volume, 1, (0, 2))
    search = find_candidates([volume, turned, 1 - volume, smooth_noise(5, (28, 28, 28))])
    matches = {
        (c.first, c.second): Looker([volume, turned, 1 - volume]).compare(
            c.first, c.second, c.poses
        )
        for c in search.candidates
        if c.second < 3
    }
    assert matches[0, 1].correlation > 0.99
    assert matches[0, 1].pose.axes == (2, 1, 0)
    assert matches[0, 2].correlation < -0.99
    assert "turned" in describe(matches[0, 1], 2.0)
    assert "inverted, r = -1.00" in describe(matches[0, 2], 2.0)


def test_one_image_or_a_flat_one_has_no_partner() -> None:
    assert find_candidates([smooth_noise(0)]).candidates == ()
    flat = [np.random.default_rng(n).random((1, 30, 30)).astype(np.float32) for n in range(3)]
    search = find_candidates([*flat, flat[1][:, ::-1]])
    assert search.likeness[1].argmax() == 3


def test_a_raster_is_the_same_for_every_orientation_of_a_file() -> None:
    volume = np.random.default_rng(0).random((10, 12, 14))
    whole = raster_of(volume, Grid((10, 12, 14), LPS, (1.0, 1.0, 1.0), 1), 1.5)
    ras = LPS @ np.diag([-1, -1, 1, 1])
    flipped = raster_of(volume[:, ::-1, ::-1], Grid((10, 12, 14), ras, (1.0, 1.0, 1.0), 1), 1.5)
    np.testing.assert_array_equal(whole, flipped)
    assert whole.shape == (7, 8, 9)
    assert whole.dtype == np.float16


def test_a_raster_counts_millimetres() -> None:
    grid = Grid((4, 20, 20), np.diag([-1, -1, 5.0, 1]), (5.0, 1.0, 1.0), 1)
    assert choose_cell_mm([grid, grid]) == 20 / 40
    assert raster_of(np.zeros((4, 20, 20)), grid, 2.0).shape == (10, 10, 10)
    assert not raster_of(np.zeros((4, 20, 20)), grid, 2.0).any()


def test_what_is_not_a_number_does_not_spoil_a_raster() -> None:
    volume = np.random.default_rng(0).random((8, 8, 8))
    volume[0, 0, 0], volume[1, 1, 1] = np.nan, np.inf
    raster = raster_of(volume, Grid((8, 8, 8), LPS, (1.0, 1.0, 1.0), 1), 1.0)
    assert np.isfinite(raster).all()


def test_gain_and_offset_leave_the_details() -> None:
    volume = smooth_noise(2)
    a, b = (detail(resized(v, (20, 20, 20)), reach=4) for v in (volume, volume * 300 - 7))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.arange(100) * 5.9589, 5.9589, id="rescaled"),
        pytest.param(np.arange(100) * 5.9589 + 3.3, 5.9589, id="with-offset"),
        pytest.param(np.delete(np.arange(100), [3, 7, 50]) * 0.25, 0.25, id="gaps"),
        pytest.param(np.sort(np.random.default_rng(0).random(500)), None, id="interpolated"),
        pytest.param(np.array([1.0, 2, 5]), None, id="too-few"),
    ],
)
def test_intensity_step(values: np.ndarray, expected: float | None) -> None:
    step = intensity_step(values.astype(np.float32).astype(np.float64))
    assert step == (None if expected is None else pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize(
    ("step", "odd"),
    [(1.0, False), (0.5, False), (2.0**-12, False), (12.5, False), (5.95897, True), (None, False)],
)
def test_only_an_odd_step_says_something(step: float | None, odd: bool) -> None:
    assert (odd_step(ChannelFacts("", (), step)) is not None) == odd


def test_digests_do_not_depend_on_how_numbers_are_stored() -> None:
    volume = np.arange(24).reshape(2, 3, 4)
    assert digest_of(volume.astype(np.int16)) == digest_of(volume.astype(np.float64))
    assert digest_of(volume) != digest_of(volume.reshape(2, 4, 3))


# ---- findings ----------------------------------------------------------------------------
def kinds(check: Check) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f.kind: (f.case, f.related) for f in check.findings}


def test_a_copy_in_the_test_set_is_said_to_be_in_training_too(raw: Path) -> None:
    for channel in (0, 1):
        shutil.copy(raw / f"imagesTr/c3_000{channel}.nii", raw / f"imagesTs/c11_000{channel}.nii")
    check = check_dataset(raw)
    (found,) = [f for f in check.findings if f.kind == "duplicate-image"]
    assert (found.case, found.related, found.severity) == ("c11", ("c3",), "error")
    assert "in training and test" in found.message
    assert found.evidence["test"] is True
    assert check.groups[-1] == ("c9",)
    assert ("c11", "c3") in check.groups


def test_one_channel_copied_from_another_case(raw: Path) -> None:
    shutil.copy(raw / "imagesTr/c3_0001.nii", raw / "imagesTr/c4_0001.nii")
    (found,) = [f for f in check_dataset(raw).findings if f.kind == "duplicate-image"]
    assert "the voxels of c3, channel 1" in found.message


def test_images_of_one_value_are_no_duplicates(decathlon: Path) -> None:
    for n in (1, 2):
        image = nib.load(decathlon / f"imagesTr/c{n}.nii.gz")
        empty = nib.Nifti1Image(np.zeros(image.shape, np.int16), image.affine)
        nib.save(empty, decathlon / f"imagesTr/c{n}.nii.gz")
    assert "duplicate-image" not in kinds(check_dataset(decathlon))


def test_many_copies_of_one_image_are_named_beside_the_first(decathlon: Path) -> None:
    for n in range(1, 10):
        shutil.copy(decathlon / "imagesTr/c0.nii.gz", decathlon / f"imagesTr/c{n}.nii.gz")
    found = [f for f in check_dataset(decathlon).findings if f.kind == "duplicate-image"]
    assert [(f.case, f.related) for f in found] == [(f"c{n}", ("c0",)) for n in range(1, 10)]


def test_the_comparison_can_be_left_out_and_cancelled(decathlon: Path) -> None:
    shutil.copy(decathlon / "imagesTr/c0.nii.gz", decathlon / "imagesTr/c5.nii.gz")
    assert "duplicate-image" not in kinds(check_dataset(decathlon, Question(leaks=False)))
    seen: list[str] = []
    with pytest.raises(Cancelled):
        check_dataset(
            decathlon,
            progress=lambda stage, *_: seen.append(stage),
            should_stop=lambda: "pairs" in seen,
        )
    assert seen[-1] == "pairs"


def test_an_unlabelled_copy_is_found_too(livers: Path, tmp_path: Path) -> None:
    target = tmp_path / "liver"
    shutil.copytree(livers, target)
    name = next((target / "imagesTr").iterdir()).name
    (target / "imagesTs").mkdir(exist_ok=True)
    image = nib.load(target / "imagesTr" / name)
    array = np.asarray(image.dataobj)[::-1]
    nib.save(nib.Nifti1Image(array, image.affine), target / "imagesTs" / "unknown.nii.gz")
    content = read_json(target / "dataset.json")
    content["test"] = [*content.get("test", []), "./imagesTs/unknown.nii.gz"]
    write_json(target / "dataset.json", content)
    near = [f for f in check_dataset(target).findings if f.kind == "near-duplicate"]
    assert [{f.case, *f.related} for f in near] == [{"unknown", name.split(".")[0]}]
    assert "mirrored left to right" in near[0].message
