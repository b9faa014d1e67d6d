"""Every planted fault is found, by its word, in its file; a sound dataset has no finding."""

import gzip
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data import integrity
from napari_unet_mic.data.dataset import Case
from napari_unet_mic.data.examine import Declaration, examine_headers, examine_voxels
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.data.findings import Finding
from napari_unet_mic.data.integrity import Check, check_dataset
from napari_unet_mic.errors import BadDataset, Cancelled

Fault = Callable[[Path], None]


def image(root: Path, n: int = 3) -> Path:
    return root / "imagesTr" / f"c{n}.nii.gz"


def label(root: Path, n: int = 3) -> Path:
    return root / "labelsTr" / f"c{n}.nii.gz"


def changed(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write a file's voxels anew, on its own grid."""
    old = nib.load(file)
    array = change(np.asarray(old.dataobj).copy())
    new = nib.Nifti1Image(array, old.affine)
    new.header.set_xyzt_units("mm")
    new.set_sform(old.affine, 1)
    new.set_qform(old.affine, 1)
    del old
    nib.save(new, file)


def moved(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write a file with another affine."""
    old = nib.load(file)
    affine = change(old.affine.copy())
    new = nib.Nifti1Image(np.asarray(old.dataobj), affine)
    new.set_sform(affine, 1)
    new.set_qform(affine, 1)
    nib.save(new, file)


def patched(file: Path, offset: int, form: str, *values: float) -> None:
    """Overwrite bytes of the header."""
    content = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into(form, content, offset, *values)
    file.write_bytes(gzip.compress(content))


def put(value: float, dtype: type | None = None) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(dtype) if dtype else array
        array[0, 0, 0] = value
        return array

    return change


def about(change: Callable[[dict[str, Any]], None]) -> Fault:
    def fault(root: Path) -> None:
        content = read_json(root / "dataset.json")
        change(content)
        write_json(root / "dataset.json", content)

    return fault


def truncate(file: Path, share: float = 0.6) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def flip_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-6] ^= 0x10  # in the checksum: the voxels are as they were
    file.write_bytes(content)


def shift(voxels: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(affine: np.ndarray) -> np.ndarray:
        affine[0, 3] += 1.5 * voxels
        return affine

    return change


def flipped(affine: np.ndarray) -> np.ndarray:
    return affine @ np.diag([-1.0, 1, 1, 1])


def tilted(affine: np.ndarray) -> np.ndarray:
    affine[1, 2] = 0.6
    return affine


def both(change: Callable[[Path], None]) -> Fault:
    """Do the same to image and label of case 3."""

    def fault(root: Path) -> None:
        change(image(root))
        change(label(root))

    return fault


def both_moved(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return both(lambda file: moved(file, change))


def entry(content: dict[str, Any], **changes: object) -> None:
    content["training"][3].update(changes)


def link_nowhere(root: Path) -> None:
    image(root).unlink()
    image(root).symlink_to(root / "gone.nii.gz")


def as_nii(file: Path) -> None:
    """Leave plain NIfTI under a .nii.gz name."""
    file.write_bytes(gzip.decompress(file.read_bytes()))


def copied(a: Callable[[Path], Path], b: Callable[[Path], Path]) -> Fault:
    return lambda root: (shutil.copy(a(root), b(root)), None)[1]


def write(file: str, text: str | bytes) -> Fault:
    def fault(root: Path) -> None:
        path = root / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return fault


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
LABELS = {"0": "background", "1": "liver", "2": "cancer"}


def case_twice(content: dict[str, Any]) -> None:
    content["training"].append(content["training"][3])
    content["numTraining"] = 11


def case_c3_upper(root: Path) -> None:
    shutil.copy(image(root), root / "imagesTr" / "C3.nii.gz")
    changed(root / "imagesTr" / "C3.nii.gz", lambda a: a[::-1] // 2)
    shutil.copy(label(root, 4), root / "labelsTr" / "C3.nii.gz")
    about(
        lambda c: c["training"].append(
            {"image": "./imagesTr/C3.nii.gz", "label": "./labelsTr/C3.nii.gz"}
        )
    )(root)


def list_as_test(content: dict[str, Any]) -> None:
    content["test"] = ["./imagesTr/c3.nii.gz"]


FAULTS: list[tuple[str, str, Fault]] = [
    # kind, case, what is done to the Decathlon dataset
    ("bad-dataset-json", "", write("dataset.json", '{"labels": ')),
    ("bad-dataset-json", "", write("dataset.json", "[1, 2]")),
    ("bad-classes", "", about(lambda c: c.pop("labels"))),
    ("bad-classes", "", about(lambda c: c.update(labels={"0": "background", "1": "a", "3": "b"}))),
    ("bad-classes", "", about(lambda c: c.update(labels={"1": "liver", "2": "cancer"}))),
    (
        "background-not-zero",
        "",
        about(lambda c: c.update(labels={"0": "liver", "1": "background", "2": "cancer"})),
    ),
    ("bad-channels", "", about(lambda c: c.pop("modality"))),
    ("bad-channels", "", about(lambda c: c.update(modality={"1": "CT"}))),
    ("bad-file-ending", "", about(lambda c: c.update(file_ending=".nrrd"))),
    ("bad-entry", "", about(lambda c: c["training"].append({"image": 7}))),
    ("bad-entry", "", about(lambda c: c["training"].append({"image": "a.nrrd", "label": "b"}))),
    ("wrong-count", "", about(lambda c: c.update(numTraining=12))),
    ("wrong-count", "", about(lambda c: c.update(numTraining="ten"))),
    ("duplicate-case", "c3", about(case_twice)),
    (
        "duplicate-case",
        "c3",
        lambda root: nib.save(nib.load(image(root)), root / "imagesTr/c3.nii"),
    ),
    ("names-differ-by-case-only", "c3", case_c3_upper),
    ("case-in-training-and-test", "c3", about(list_as_test)),
    (
        "case-in-training-and-test",
        "c3",
        lambda root: ((root / "imagesTs").mkdir(), shutil.copy(image(root), root / "imagesTs"))[0],
    ),
    ("not-listed", "", copied(image, lambda root: image(root, 77))),
    ("not-listed", "", about(lambda c: c["training"].pop())),
    ("wrong-ending", "", write("imagesTr/c11.nrrd", "NRRD0004")),
    ("bad-test-cases", "", write("test_cases.json", '["nobody"]')),
    ("bad-test-cases", "", write("test_cases.json", '{"test": 4}')),
    # files
    ("missing-image", "c3", lambda root: image(root).unlink()),
    ("missing-image", "c3", lambda root: image(root).rename(root / "imagesTr/C3.nii.gz") and None),
    ("missing-label", "c3", lambda root: label(root).unlink()),
    ("missing-label", "c3", about(lambda c: c["training"][3].pop("label"))),
    ("broken-link", "c3", link_nowhere),
    ("lfs-pointer", "c3", write("imagesTr/c3.nii.gz", LFS)),
    ("lfs-pointer", "c3", write("labelsTr/c3.nii.gz", LFS)),
    ("empty-file", "c3", write("labelsTr/c3.nii.gz", "")),
    ("unreadable-file", "c3", lambda root: (image(root).unlink(), image(root).mkdir())[0]),
    ("not-nifti", "c3", write("imagesTr/c3.nii.gz", "this is no image at all" * 40)),
    ("not-nifti", "c3", write("imagesTr/c3.nii.gz", gzip.compress(b"neither is this" * 40))),
    ("not-nifti", "c3", lambda root: as_nii(image(root))),
    ("damaged-file", "c3", lambda root: truncate(image(root))),
    ("damaged-file", "c3", lambda root: truncate(image(root), 0.05)),
    ("damaged-file", "c3", lambda root: flip_bit(label(root))),
    ("damaged-file", "c3", lambda root: patched(image(root), 42, "<3h", 900, 900, 900)),
    ("wrong-dimensions", "c3", lambda root: changed(label(root), lambda a: np.stack([a] * 3, -1))),
    (
        "wrong-dimensions",
        "c3",
        lambda root: changed(image(root), lambda a: a[..., None, None].repeat(2, 3).repeat(3, 4)),
    ),
    ("not-real-numbers", "c3", lambda root: changed(image(root), lambda a: a.astype(np.complex64))),
    # geometry
    ("bad-geometry", "c3", lambda root: patched(image(root), 280, "<4f", *[float("nan")] * 4)),
    ("bad-geometry", "c3", lambda root: patched(label(root), 280, "<4f", 0, 0, 0, 0)),
    ("bad-spacing", "c3", lambda root: patched(image(root), 80, "<f", 0.0)),
    ("bad-spacing", "c3", lambda root: patched(image(root), 84, "<f", float("nan"))),
    ("grid-mismatch", "c3", lambda root: changed(label(root), lambda a: a[:-1])),
    ("grid-mismatch", "c3", lambda root: changed(label(root), lambda a: a.transpose(1, 0, 2))),
    ("grid-mismatch", "c3", lambda root: moved(label(root), shift(2))),
    ("grid-mismatch", "c3", lambda root: moved(label(root), shift(0.1))),
    ("grid-mismatch", "c3", lambda root: moved(label(root), flipped)),
    ("grid-mismatch", "c3", lambda root: moved(label(root), lambda a: a @ np.diag([1, 1, 1.1, 1]))),
    ("spacing-differs-from-affine", "c3", lambda root: patched(image(root), 88, "<f", 5.0)),
    ("sform-differs-from-qform", "c3", lambda root: patched(image(root), 268, "<f", 99.0)),
    ("sheared", "c3", both_moved(tilted)),
    ("no-orientation", "c3", lambda root: patched(image(root), 252, "<2h", 0, 0)),
    ("units-not-mm", "c3", both(lambda file: patched(file, 123, "<B", 3))),
    ("flat-volume", "c3", both(lambda file: changed(file, lambda a: a[:, :, 3:4]))),
    # images and labels
    ("channel-count", "c3", lambda root: changed(image(root), lambda a: np.stack([a, a], -1))),
    ("channel-count", "c3", about(lambda c: c.update(modality={"0": "T2", "1": "ADC"}))),
    (
        "same-channel-twice",
        "c3",
        lambda root: changed(image(root), lambda a: np.stack([a, a], -1)),
    ),
    ("not-finite", "c3", lambda root: changed(image(root), put(np.nan, np.float32))),
    ("not-finite", "c3", lambda root: changed(image(root), put(-np.inf, np.float64))),
    ("constant-image", "c3", lambda root: changed(image(root), lambda a: a * 0 + 7)),
    ("non-integer-label", "c3", lambda root: changed(label(root), put(0.5, np.float32))),
    ("not-finite-label", "c3", lambda root: changed(label(root), put(np.nan, np.float32))),
    ("unknown-label", "c3", lambda root: changed(label(root), put(9))),
    ("unknown-label", "c3", lambda root: changed(label(root), put(-1, np.int16))),
    ("unknown-label", "c3", lambda root: changed(label(root), put(3.0000002, np.float64))),
    ("unknown-label", "c3", about(lambda c: c.update(labels={"0": "background", "1": "liver"}))),
    ("empty-label", "c3", lambda root: changed(label(root), lambda a: a * 0)),
    ("full-label", "c3", lambda root: changed(label(root), lambda a: a * 0 + 1)),
    # cases compared
    ("class-missing", "c3", lambda root: changed(label(root), lambda a: np.where(a == 2, 1, a))),
    ("class-nowhere", "", about(lambda c: c.update(labels={**LABELS, "3": "spleen"}))),
    ("spacing-outlier", "c3", both_moved(lambda a: a @ np.diag([10, 10, 10, 1]))),
    ("extent-outlier", "c3", both_moved(lambda a: a @ np.diag([10, 10, 10, 1]))),
    ("orientation-outlier", "c3", both_moved(flipped)),
    (
        "intensity-outlier",
        "c3",
        lambda root: changed(image(root), lambda a: a.astype(np.float32) * 1000),
    ),
    ("duplicate-label", "c4", copied(label, lambda root: label(root, 4))),
]


def findings_of(check: Check, kind: str) -> list[Finding]:
    return [finding for finding in check.findings if finding.kind == kind]


@pytest.mark.parametrize(
    ("kind", "case", "fault"),
    [pytest.param(*fault, id=f"{n}-{fault[0]}") for n, fault in enumerate(FAULTS)],
)
def test_a_planted_fault_is_found(kind: str, case: str, fault: Fault, decathlon: Path) -> None:
    fault(decathlon)
    check = check_dataset(decathlon)
    found = findings_of(check, kind)
    assert found, [f.message for f in check.findings]
    assert case in [finding.case for finding in found]
    assert not findings_of(check, "check-failed")
    others = {f.case for f in check.findings if f.severity == "error" and f.case}
    assert len(others) <= 1 or case == "" or kind in ("channel-count", "unknown-label"), others
    one = next(finding for finding in found if finding.case == case)
    assert one.expected in one.message
    assert one.got in one.message
    assert one.advice in one.message


@pytest.mark.parametrize("layout", ["decathlon", "raw"])
def test_a_sound_dataset_has_no_finding(layout: str, request: pytest.FixtureRequest) -> None:
    check = check_dataset(request.getfixturevalue(layout))
    assert [finding.message for finding in check.findings] == []
    assert len(check.cases) == (10 if layout == "decathlon" else 12)
    c0 = next(one for one in check.cases if one.name == "c0")
    assert c0.label is not None
    assert c0.label.components_ml[2] == pytest.approx((2 * 0.00675, 0.00675))


RAW_FAULTS: list[tuple[str, str, Fault]] = [
    ("missing-channel", "c3", lambda root: (root / "imagesTr/c3_0001.nii").unlink()),
    ("missing-channel", "c11", lambda root: (root / "imagesTs/c11_0001.nii").unlink()),
    ("missing-label", "c3", lambda root: (root / "labelsTr/c3.nii").unlink()),
    ("orphan-label", "c44", lambda root: (root / "labelsTs/c44.nii").write_bytes(b"x") and None),
    ("grid-mismatch", "c3", lambda root: moved(root / "imagesTr/c3_0001.nii", shift(1))),
    ("not-nifti", "c3", lambda root: zipped_as_nii(root / "imagesTr/c3_0000.nii")),
    (
        "channel-count",
        "c3",
        lambda root: (
            shutil.copy(root / "imagesTr/c3_0001.nii", root / "imagesTr/c3_0002.nii") and None
        ),
    ),
    (
        "channel-count",
        "c3",
        lambda root: changed(root / "imagesTr/c3_0001.nii", lambda a: np.stack([a, a], -1)),
    ),
    (
        "same-channel-twice",
        "c3",
        lambda root: (
            shutil.copy(root / "imagesTr/c3_0000.nii", root / "imagesTr/c3_0001.nii") and None
        ),
    ),
    (
        "class-missing-in-test",
        "",
        lambda root: (
            [
                changed(root / f"labelsTs/c{n}.nii", lambda a: np.where(a == 2, 1, a))
                for n in (10, 11)
            ]
            and None
        ),
    ),
    (
        "class-missing-in-training",
        "",
        lambda root: (
            [
                changed(root / f"labelsTr/c{n}.nii", lambda a: np.where(a == 2, 1, a))
                for n in range(10)
            ]
            and None
        ),
    ),
    ("wrong-count", "", about(lambda c: c.update(numTraining=200))),
]


def zipped_as_nii(file: Path) -> None:
    file.write_bytes(gzip.compress(file.read_bytes()))


@pytest.mark.parametrize(
    ("kind", "case", "fault"),
    [pytest.param(*fault, id=f"{n}-{fault[0]}") for n, fault in enumerate(RAW_FAULTS)],
)
def test_a_fault_in_a_raw_folder_is_found(kind: str, case: str, fault: Fault, raw: Path) -> None:
    fault(raw)
    check = check_dataset(raw)
    found = findings_of(check, kind)
    assert case in [finding.case for finding in found], [f.message for f in check.findings]
    assert not findings_of(check, "check-failed")


def test_a_label_without_its_image_is_one_finding(raw: Path) -> None:
    for channel in (0, 1):
        (raw / f"imagesTr/c3_000{channel}.nii").unlink()
    check = check_dataset(raw)
    errors = [f for f in check.findings if f.severity == "error"]
    assert [(f.kind, f.case) for f in errors] == [("missing-image", "c3")]


def test_a_small_shift_is_a_warning_and_a_large_one_an_error(decathlon: Path) -> None:
    moved(label(decathlon, 2), shift(0.1))
    moved(label(decathlon, 3), shift(0.6))
    moved(label(decathlon, 4), shift(0.001))
    found = findings_of(check_dataset(decathlon), "grid-mismatch")
    assert [(f.case, f.severity) for f in found] == [("c3", "error"), ("c2", "warning")]
    assert found[0].evidence["displacement_voxels"] == pytest.approx(0.6)


def test_a_label_stored_as_float_with_a_slope_is_its_integers(decathlon: Path) -> None:
    changed(label(decathlon), lambda a: a.astype(np.float32) * np.float32(0.99999997))
    changed(label(decathlon, 4), lambda a: (a * 100).astype(np.int16))
    patched(label(decathlon, 4), 112, "<2f", 0.01, 0.0)
    assert check_dataset(decathlon).findings == ()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_without_permission(decathlon: Path) -> None:
    image(decathlon).chmod(0)
    assert findings_of(check_dataset(decathlon), "unreadable-file")


def test_hidden_files_are_passed_over(decathlon: Path) -> None:
    (decathlon / "imagesTr" / "._c3.nii.gz").write_bytes(b"\0\5\26\7")
    (decathlon / "imagesTr" / "_old.nii.gz").write_bytes(b"x")
    (decathlon / "imagesTr" / "README.txt").write_text("hello")
    assert check_dataset(decathlon).findings == ()


def test_few_cases_are_a_note(decathlon: Path) -> None:
    content = read_json(decathlon / "dataset.json")
    content.update(training=content["training"][:4], numTraining=4)
    write_json(decathlon / "dataset.json", content)
    check = check_dataset(decathlon)
    assert findings_of(check, "few-training-cases")[0].severity == "note"
    assert not check.has_errors


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="no such folder"):
        check_dataset(tmp_path / "nowhere")
    write_json(tmp_path / "dataset.json", {"modality": {"0": "CT"}, "labels": {"0": "background"}})
    with pytest.raises(BadDataset, match="expected cases"):
        check_dataset(tmp_path)


def test_a_check_can_be_cancelled(decathlon: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with pytest.raises(Cancelled):
        check_dataset(
            decathlon, progress=lambda *at: seen.append(at), should_stop=lambda: len(seen) >= 13
        )
    assert seen[0] == ("headers", 1, 10)
    assert seen[-1] == ("files", 3, 10)


def test_what_nobody_thought_of_is_a_finding_too(
    decathlon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the reader fell over")

    monkeypatch.setattr("napari_unet_mic.data.examine.check_label", broken)
    found = findings_of(check_dataset(decathlon), "check-failed")
    assert len(found) == 10
    assert "RuntimeError: the reader fell over" in found[0].message


@pytest.mark.parametrize("seed", range(3))
def test_no_damaged_header_ends_the_check(seed: int, decathlon: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    sound = gzip.decompress(image(decathlon).read_bytes())
    declared = Declaration(("CT",), {0: "background", 1: "liver"})
    odd = [float("nan"), float("inf"), 0.0, -1.0, 1e38, 1e-40]
    for number in range(80):
        content = bytearray(sound)
        if number % 3 == 0:
            content = content[: int(rng.integers(len(content)))]
        elif number % 3 == 1:
            for place in rng.integers(0, 352, 4):
                content[place] = int(rng.integers(256))
        else:
            place = int(rng.choice([76, 80, 84, 88, 108, 112, 116, 256, 268, 280, 296, 312]))
            struct.pack_into("<f", content, place, odd[int(rng.integers(len(odd)))])
        file = tmp_path / ("x.nii" if number % 2 else "x.nii.gz")
        file.write_bytes(content if number % 2 else gzip.compress(content, 1))
        headers = examine_headers(Case("x", (file,), file, "train"), declared)
        done = examine_voxels(headers, declared, cell_mm=2.0)
        assert "check-failed" not in {f.kind for f in done.findings}, done.findings


def test_the_largest_case_bounds_the_threads() -> None:
    assert integrity._workers(0) == min(os.cpu_count() or 1, 8)
    assert integrity._workers(10**9) == 1


# ---- real data ---------------------------------------------------------------------------
def test_the_hippocampus_set_has_no_error(hippocampus: Path) -> None:
    check = check_dataset(hippocampus)
    assert len(check.cases) == 200
    assert not check.has_errors
    assert findings_of(check, "intensity-outlier")


def test_the_prostates_without_transition_zone(shared: Path) -> None:
    check = check_dataset(shared / "data" / "prostate_msd_labels")
    assert [f.case for f in findings_of(check, "class-missing")] == ["prostate_18", "prostate_32"]
    assert len(findings_of(check, "missing-image")) == 32


def listed(root: Path, pairs: dict[str, tuple[object, Path]], channels: int = 1) -> Path:
    """Write a dataset.json that names real files where they lie."""
    names = {str(n): f"channel {n}" for n in range(channels)}
    write_json(
        root / "dataset.json",
        {
            "channel_names": names,
            "labels": {"background": 0, **{f"class {n}": n for n in range(1, 120)}},
            "numTraining": len(pairs),
            "file_ending": ".nii.gz",
            "dataset": {
                name: {
                    "images": [str(f) for f in (images if isinstance(images, list) else [images])],
                    "label": str(target),
                }
                for name, (images, target) in pairs.items()
            },
        },
    )
    return root


def test_real_mismatches(shared: Path, tmp_path: Path) -> None:
    data = shared / "data"
    total, spine = data / "totalsegmentator", data / "panoptica_spine" / "semantic"
    check = check_dataset(
        listed(
            tmp_path,
            {
                "ct": (total / "example_ct.nii.gz", total / "example_seg.nii.gz"),
                "small": (total / "example_ct_sm.nii.gz", total / "example_seg.nii.gz"),
                "spine": (spine / "ref.nii.gz", spine / "pred.nii.gz"),
            },
        )
    )
    mismatches = findings_of(check, "grid-mismatch")
    assert [f.case for f in mismatches if f.severity == "error"] == ["ct"]
    assert not [f for f in check.findings if f.severity == "error" and f.case == "small"]
    assert {f.severity for f in mismatches if f.case == "spine"} <= {"warning"}


def test_channels_on_two_real_grids(shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "prostate_t2_adc"
    t2 = next((data / "imagesTs").glob("*_0000.nii.gz"))
    adc = next((data / "native").glob("*_adc.nii.gz"))
    check = check_dataset(listed(tmp_path, {"one": ([t2, adc], t2)}, channels=2))
    (found,) = findings_of(check, "grid-mismatch")
    assert found.severity == "error"
    assert found.file == adc


def test_no_awkward_file_ends_the_check(shared: Path) -> None:
    folder = shared / "data" / "awkward"
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    assert len(files) > 50
    kinds: dict[str, set[str]] = {}
    for file in files:
        declared = Declaration(("one",), {0: "background", 1: "one"})
        headers = examine_headers(Case(file.name, (file,), file, "train"), declared)
        done = examine_voxels(headers, declared, cell_mm=2.0)
        kinds[file.name] = {finding.kind for finding in done.findings}
        assert "check-failed" not in kinds[file.name], done.findings
    assert "lfs-pointer" in kinds["liver_6_image.nii.gz"]
    assert "not-real-numbers" in kinds["complex.nii.gz"]
    assert "sheared" in kinds["shear.nii.gz"]
    assert "not-nifti" in kinds["not-nifti.nii"]
    assert "channel-count" in kinds["example4d.nii.gz"]
    assert "wrong-dimensions" in kinds["5D_small.nii"]
