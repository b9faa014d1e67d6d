import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_unet_mic.data.dataset import Case, Dataset, load_case, open_dataset, value_counts
from napari_unet_mic.data.volume import Volume, write_image, write_labels
from napari_unet_mic.errors import (
    BadDataset,
    BadInput,
    ChannelMismatch,
    GridMismatch,
    UnknownClass,
    UnreadableFile,
)

SHAPE = (4, 3, 2)


def put(file: Path, *, value: int = 0, channels: int = 1, spacing: float = 4.0) -> None:
    array = np.full((channels, *SHAPE) if channels > 1 else SHAPE, value, np.int16)
    write_image(file, array, Volume.from_array(array, spacing_mm=(spacing, 1.0, 0.5)))


def put_label(file: Path, *values: int) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array.flat[: len(values)] = values
    write_labels(file, array, Volume.from_array(array, spacing_mm=(4.0, 1.0, 0.5)))


def write(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def decathlon(folder: Path, names: tuple[str, ...] = ("a", "b"), **content: Any) -> Path:
    for name in names:
        put(folder / "imagesTr" / f"{name}.nii.gz", channels=2)
        put_label(folder / "labelsTr" / f"{name}.nii.gz", 1, 2)
    declared: dict[str, Any] = {
        "name": "PROSTATE",
        "relase": "1.0",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
            for name in names
        ],
        "test": [],
    }
    return write(folder, **(declared | content))


def raw(folder: Path, names: tuple[str, ...] = ("a", "b"), **content: Any) -> Path:
    for name in names:
        for channel in range(2):
            put(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", value=channel)
        put_label(folder / "labelsTr" / f"{name}.nii.gz", 1, 2)
    declared: dict[str, Any] = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "PZ": 1, "TZ": 2},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    return write(folder, **(declared | content))


def named(cases: Any) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("layout", [decathlon, raw])
def test_both_layouts_give_the_same_dataset(tmp_path: Path, layout: Any) -> None:
    folder = layout(tmp_path / "Dataset005_Prostate")
    for path in (folder, folder / "dataset.json"):
        dataset = open_dataset(path)
        assert dataset.channel_names == ("T2", "ADC")
        assert dataset.classes == {0: "background", 1: "PZ", 2: "TZ"}
        assert dataset.class_values == (0, 1, 2)
        assert dataset.ignore_value is None
        assert named(dataset.training) == ["a", "b"]
        assert dataset.test == ()
        image, reference = load_case(dataset, "a")
        assert image.array.shape == (2, *SHAPE)
        assert reference is not None
        assert reference.array.ravel()[:3].tolist() == [1, 2, 0]
        assert dataset.nnunet_json() == {
            "name": dataset.name,
            "channel_names": {"0": "T2", "1": "ADC"},
            "labels": {"background": 0, "PZ": 1, "TZ": 2},
            "numTraining": 2,
            "file_ending": ".nii.gz",
        }
    assert open_dataset(folder).name in ("PROSTATE", "Dataset005_Prostate")


def test_three_dimensional_decathlon_of_one_channel(hippocampus: Path) -> None:
    dataset = open_dataset(hippocampus)
    assert len(dataset.training) == 200
    assert dataset.classes == {0: "background", 1: "Anterior", 2: "Posterior"}
    image, reference = load_case(dataset, "hippocampus_001")
    assert image.array.shape == (1, 35, 51, 35)
    assert reference is not None
    assert reference.shape == image.shape


def test_opening_reads_no_voxels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = raw(tmp_path)
    monkeypatch.setattr(nib, "load", lambda *_, **__: pytest.fail("a volume was opened"))
    assert len(open_dataset(folder).training) == 2


@pytest.mark.parametrize("layout", [decathlon, raw])
def test_hidden_files_are_not_cases(tmp_path: Path, layout: Any) -> None:
    folder = layout(tmp_path)
    for name in ("._a_0000.nii.gz", "_note_0000.nii.gz", ".DS_Store", "readme.txt"):
        (folder / "imagesTr" / name).write_bytes(b"Mac OS X")
        (folder / "labelsTr" / name).write_bytes(b"Mac OS X")
    content = json.loads((folder / "dataset.json").read_text())
    if "training" in content:
        content["training"].append(
            {"image": "./imagesTr/._a.nii.gz", "label": "./labelsTr/._a.nii.gz"}
        )
        write(folder, **content)
    assert named(open_dataset(folder).cases) == ["a", "b"]


def test_images_with_labels_in_the_test_folders_are_held_out(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    for name in ("t", "u"):
        for channel in range(2):
            put(folder / "imagesTs" / f"{name}_{channel:04d}.nii.gz")
    put_label(folder / "labelsTs" / "t.nii.gz", 1)
    dataset = open_dataset(folder)
    assert named(dataset.training) == ["a", "b"]
    assert named(dataset.test) == ["t"]
    assert dataset.case("u").split == "unlabelled"
    assert load_case(dataset, "u")[1] is None


def test_decathlon_test_lists_of_plain_strings(tmp_path: Path) -> None:
    folder = decathlon(tmp_path, test=["./imagesTs/t.nii.gz", "./imagesTs/u.nii.gz"])
    assert named(open_dataset(folder).cases) == ["a", "b"]  # the folder was never downloaded
    for name in ("t", "u"):
        put(folder / "imagesTs" / f"{name}.nii.gz", channels=2)
    put_label(folder / "labelsTs" / "t.nii.gz", 1)
    dataset = open_dataset(folder)
    assert (named(dataset.test), dataset.case("u").split) == (["t"], "unlabelled")


@pytest.mark.parametrize("content", [["b"], {"test": ["b"]}, ["b.nii.gz"]], ids=str)
@pytest.mark.parametrize("layout", [decathlon, raw])
def test_the_test_set_enters_no_training_case(tmp_path: Path, layout: Any, content: Any) -> None:
    folder = layout(tmp_path)
    (folder / "test_cases.json").write_text(json.dumps(content))
    dataset = open_dataset(folder)
    assert named(dataset.training) == ["a"]
    assert named(dataset.test) == ["b"]
    assert dataset.nnunet_json()["numTraining"] == 1
    assert named(dataset.with_test(["a"]).test) == ["a", "b"]  # held out stays held out


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ('["nobody"]', BadDataset, "nobody"),
        ("{}", BadDataset, "a list of case names"),
        ("[1]", BadDataset, "a list of case names"),
        ("[", UnreadableFile, "JSON"),
    ],
)
def test_bad_test_lists(tmp_path: Path, content: str, error: type[BadInput], words: str) -> None:
    folder = raw(tmp_path)
    (folder / "test_cases.json").write_text(content)
    with pytest.raises(error, match=words):
        open_dataset(folder)


def test_a_case_without_label_cannot_be_a_test_case(tmp_path: Path) -> None:
    folder = decathlon(tmp_path)
    put(folder / "imagesTs" / "u.nii.gz", channels=2)
    with pytest.raises(BadDataset, match="u, which has none"):
        open_dataset(folder).with_test(["u"])


def test_the_dataset_table_of_nnunet(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    rows = {
        "x": {
            "images": ["imagesTr/a_0000.nii.gz", "imagesTr/b_0001.nii.gz"],
            "label": "labelsTr/b.nii.gz",
        }
    }
    content = json.loads((folder / "dataset.json").read_text())
    dataset = open_dataset(write(folder, **content, dataset=rows))
    assert named(dataset.cases) == ["x"]
    assert [file.name for file in dataset.case("x").images] == ["a_0000.nii.gz", "b_0001.nii.gz"]


def test_nnunet_v1_lists_cases_without_their_channel_numbers(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    entries = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in "ab"]
    content = json.loads((folder / "dataset.json").read_text())
    content["modality"] = content.pop("channel_names")
    dataset = open_dataset(write(folder, **content, training=entries))
    assert named(dataset.cases) == ["a", "b"]
    assert [file.name for file in dataset.case("a").images] == ["a_0000.nii.gz", "a_0001.nii.gz"]


def test_names_that_end_in_four_digits_are_names(tmp_path: Path) -> None:
    folder = decathlon(tmp_path, ("scan_0001", "scan_0002"))
    assert named(open_dataset(folder).cases) == ["scan_0001", "scan_0002"]
    content = json.loads((folder / "dataset.json").read_text())
    del content["training"]
    assert named(open_dataset(write(folder, **content)).cases) == ["scan_0001", "scan_0002"]


def test_the_ignore_label_is_no_class(tmp_path: Path) -> None:
    folder = raw(tmp_path, labels={"background": 0, "PZ": 1, "ignore": 2})
    dataset = open_dataset(folder)
    assert dataset.classes == {0: "background", 1: "PZ"}
    assert dataset.ignore_value == 2
    assert dataset.nnunet_json()["labels"] == {"background": 0, "PZ": 1, "ignore": 2}
    load_case(dataset, "a")  # holds the value 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labels": {"background": 0, "whole": [1, 2], "PZ": 1}}, "regions come with a later"),
        ({"labels": {"background": 0, "TZ": 2}}, "without gaps"),
        ({"labels": {"PZ": 1, "TZ": 2}}, "background"),
        ({"labels": {"background": 0, "ignore": 1, "TZ": 2}}, "`ignore` the highest"),
        ({"labels": {"background": 0, "PZ": 1, "TZ": 1}}, "twice"),
        ({"labels": {"background": 0, "PZ": "one"}}, "whole number"),
        ({"labels": {"background": 0, "PZ": True}}, "whole number"),
        ({"labels": None}, "`labels`"),
        ({"channel_names": None}, "`channel_names`"),
        ({"channel_names": {"1": "T2"}}, "from 0"),
        ({"channel_names": {"T2": "x"}}, "from 0"),
        ({"file_ending": ".nrrd"}, "convert the images"),
        ({"training": [{"label": "x"}]}, "entries such as"),
        ({"training": [{"image": "imagesTr/a.nrrd"}]}, "files ending in"),
        ({"dataset": {"x": {"images": []}}}, "rows of `dataset`"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_dataset_json_that_cannot_be_used(
    tmp_path: Path, content: dict[str, Any], words: str
) -> None:
    folder = raw(tmp_path, **content)
    with pytest.raises(BadDataset, match=words) as caught:
        open_dataset(folder)
    assert "dataset.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_that_are_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "imagesTr").mkdir(parents=True)
    (tmp_path / "a.nii.gz").write_bytes(b"x")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "dataset.json").write_text("[]")
    for place, words in {
        "nowhere": "no such folder",
        "empty": "an empty folder",
        "full": "without dataset.json",
        "a.nii.gz": "name the folder",
        "list": "a JSON list",
    }.items():
        with pytest.raises(BadDataset, match=words) as caught:
            open_dataset(tmp_path / place)
        assert place in str(caught.value)
    write(
        tmp_path / "full", channel_names={"0": "CT"}, labels={"background": 0}, file_ending=".nii"
    )
    with pytest.raises(BadDataset, match=r"<case>_0000\.nii"):
        open_dataset(tmp_path / "full")


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    (folder / "imagesTr" / "b_0001.nii.gz").unlink()
    with pytest.raises(BadDataset, match=r"imagesTr.b_0001\.nii\.gz: .*case b"):
        open_dataset(folder)
    (folder / "labelsTr" / "a.nii.gz").unlink()
    with pytest.raises(BadDataset, match=r"labelsTr.a\.nii\.gz.*2 files are missing"):
        open_dataset(folder)
    assert named(open_dataset(folder, check_files=False).cases) == ["a", "b"]


def test_the_real_prostate_labels_without_their_images(shared: Path) -> None:
    with pytest.raises(BadDataset, match=r"imagesTr.prostate_\d+\.nii\.gz.*32 files"):
        open_dataset(shared / "data/prostate_msd_labels")
    dataset = open_dataset(shared / "data/prostate_msd_labels", check_files=False)
    assert len(dataset.training) == 32
    assert dataset.channel_names == ("T2", "ADC")


def test_a_name_in_training_and_test_is_refused(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    for channel in range(2):
        put(folder / "imagesTs" / f"a_{channel:04d}.nii.gz")
    with pytest.raises(BadDataset, match="case a twice"):
        open_dataset(folder)


def test_a_label_on_another_grid(tmp_path: Path) -> None:
    folder = decathlon(tmp_path)
    put(folder / "labelsTr" / "a.nii.gz", spacing=5.0)
    with pytest.raises(
        GridMismatch, match=r"labelsTr.a\.nii\.gz.*imagesTr.a\.nii\.gz.*voxels away"
    ):
        load_case(open_dataset(folder), "a")


def test_an_unknown_class_value(tmp_path: Path) -> None:
    folder = decathlon(tmp_path)
    put_label(folder / "labelsTr" / "a.nii.gz", 1, 7, 7, 9)
    with pytest.raises(UnknownClass, match=r"a\.nii\.gz.*1 PZ.*7 \(2 voxels\), 9 \(1 voxels\)"):
        load_case(open_dataset(folder), "a")


@pytest.mark.parametrize("channels", [1, 3])
def test_another_number_of_channels(tmp_path: Path, channels: int) -> None:
    folder = decathlon(tmp_path)
    put(folder / "imagesTr" / "a.nii.gz", channels=channels)
    with pytest.raises(ChannelMismatch, match=rf"2 channels \(T2, ADC\).*got {channels}"):
        load_case(open_dataset(folder), "a")


def test_a_channel_file_too_many(tmp_path: Path) -> None:
    folder = raw(tmp_path)
    put(folder / "imagesTr" / "a_0002.nii.gz")
    with pytest.raises(ChannelMismatch, match="got 3"):
        load_case(open_dataset(folder), "a")


def test_a_truncated_image_and_a_pointer(tmp_path: Path, shared: Path) -> None:
    folder = decathlon(tmp_path)
    image = folder / "imagesTr" / "a.nii.gz"
    image.write_bytes(image.read_bytes()[:-12])
    pointer = (shared / "data/awkward/lfs_pointers/liver_6_label.nii.gz").read_bytes()
    (folder / "labelsTr" / "b.nii.gz").write_bytes(pointer)
    dataset = open_dataset(folder)
    with pytest.raises(UnreadableFile, match=r"a\.nii\.gz.*truncated"):
        load_case(dataset, "a")
    with pytest.raises(UnreadableFile, match=r"b\.nii\.gz.*Git-LFS pointer"):
        load_case(dataset, "b")


def real(shared: Path, images: tuple[str, ...]) -> Dataset:
    folder = shared / "data/prostate_t2_adc"
    case = Case("p", tuple(folder / image for image in images), None, "unlabelled")
    return Dataset("p", folder, ("T2", "ADC"), {0: "b", 1: "PZ"}, None, ".nii.gz", (case,))


def test_the_real_two_channel_case_in_its_three_forms(shared: Path) -> None:
    t2, adc = (f"imagesTs/ProstateX_0001_000{channel}.nii.gz" for channel in range(2))
    files, _ = load_case(real(shared, (t2, adc)), "p")
    whole, _ = load_case(real(shared, ("msd4d/prostatex_0001.nii.gz",)), "p")
    assert files.array.shape == whole.array.shape == (2, 19, 384, 384)
    np.testing.assert_array_equal(files.array, whole.array)
    assert files.spacing_mm == whole.spacing_mm
    with pytest.raises(GridMismatch, match=r"ProstateX-0001_adc\.nii\.gz.*ProstateX_0001_0000"):
        load_case(real(shared, (t2, "native/ProstateX-0001_adc.nii.gz")), "p")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_value_counts(dtype: type) -> None:
    labels = np.array([[0, 1], [1, 5]], dtype)
    assert value_counts(labels) == {0: 1, 1: 2, 5: 1}
    assert value_counts(np.zeros((0, 2), dtype)) == {}


def test_value_counts_of_far_values() -> None:
    assert value_counts(np.array([[-1, 10**9]])) == {-1: 1, 10**9: 1}
