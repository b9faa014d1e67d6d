"""Prepared cases on disk."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.data.dataset import Dataset, load_case, open_dataset
from napari_unet_mic.data.volume import Volume, write_image, write_labels
from napari_unet_mic.errors import BadDataset, BadInput, Cancelled, UnreadableFile
from napari_unet_mic.planning.plan import Configuration, Plan, plan_of
from napari_unet_mic.preprocessing import store as module
from napari_unet_mic.preprocessing.blocks import block_shapes
from napari_unet_mic.preprocessing.pipeline import prepare
from napari_unet_mic.preprocessing.store import PreparedStore, prepare_dataset

CONFIGURATION = "c"


@pytest.fixture
def plan(make_plan: Callable[..., tuple[Plan, Configuration]]) -> Plan:
    return make_plan(spacing=(1.0, 0.7, 0.7), schemes=("CTNormalization",))[0]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three tiny CTs at 2.5 × 0.8 × 0.8 mm, nnU-Net raw; one of them without foreground."""
    folder = tmp_path / "Dataset001_Tiny"
    random = np.random.default_rng(0)
    for index in range(3):
        image = Volume.from_array(
            random.integers(-100, 200, (1, 6, 20, 22)).astype(np.int16), spacing_mm=(2.5, 0.8, 0.8)
        )
        labels = np.zeros((6, 20, 22), dtype=np.uint8)
        if index:
            labels[2:5, 4:12, 5:15] = 1
            labels[3, 6:9, 8:11] = 2
        write_image(folder / "imagesTr" / f"case_{index}_0000.nii.gz", image.array, image)
        write_labels(folder / "labelsTr" / f"case_{index}.nii.gz", labels, image)
    (folder / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "CT"},
                "labels": {"background": 0, "liver": 1, "cancer": 2},
                "numTraining": 3,
                "file_ending": ".nii.gz",
            }
        )
    )
    return open_dataset(folder)


def first_label(dataset: Dataset) -> Path:
    label = dataset.training[0].label
    assert label is not None
    return label


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("case_*.b2nd")}


def test_what_is_read_is_what_was_prepared(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = prepare_dataset(
        dataset, plan, CONFIGURATION, tmp_path / "p", progress=lambda d, t: seen.append((d, t))
    )
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert store.names == ("case_0", "case_1", "case_2")
    case = dataset.case("case_1")
    expected = prepare(*load_case(dataset, case), plan, plan.configuration(CONFIGURATION))
    data, labels = store.read("case_1")
    np.testing.assert_array_equal(data, expected.data)
    np.testing.assert_array_equal(labels, expected.labels)
    assert store.shape("case_1") == expected.data.shape[1:]
    assert store.n_channels("case_1") == 1
    assert store.properties("case_1") == expected.properties
    assert not [file for file in (tmp_path / "p").iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("cache_bytes", [0, 10_000_000], ids=["from-disk", "kept"])
@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ((2, 3, 4), (5, 9, 8)),
        ((-3, 3, 4), (5, 9, 8)),
        ((2, -5, 15), (40, 9, 40)),
        ((-9, -9, -9), (60, 60, 60)),
        ((50, 0, 0), (54, 4, 4)),
        ((-8, 0, 0), (-4, 4, 4)),
    ],
    ids=["inside", "before", "across", "around", "behind", "ahead"],
)
def test_patches_may_reach_outside(
    dataset: Dataset,
    plan: Plan,
    tmp_path: Path,
    lower: tuple[int, ...],
    upper: tuple[int, ...],
    cache_bytes: int,
) -> None:
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", cases=["case_1"])
    store = PreparedStore(tmp_path / "p", cache_bytes=cache_bytes)
    data, labels = store.read("case_1")
    wide = [(60, 60)] * 3
    box = tuple(slice(a + 60, b + 60) for a, b in zip(lower, upper, strict=True))
    patch, patch_labels = store.read_patch("case_1", lower, upper)
    assert patch.dtype == np.float32
    assert patch_labels.dtype == np.int16
    np.testing.assert_array_equal(patch[0], np.pad(data[0], wide)[box])
    np.testing.assert_array_equal(patch_labels, np.pad(labels, wide, constant_values=-1)[box])


def test_a_patch_belongs_to_the_caller(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    store = prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", cases=["case_1"])
    before = store.read("case_1")[0].copy()
    patch, labels = store.read_patch("case_1", (0, 0, 0), store.shape("case_1"))
    patch[...] = 9
    labels[...] = 9
    np.testing.assert_array_equal(store.read("case_1")[0], before)


def test_memory_for_cases_is_bounded(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    store = PreparedStore(tmp_path / "p", cache_bytes=8 * 6 * 16 * 21 * 23)
    for name in store.names:
        store.read(name)
    assert store._cached_bytes <= store.cache_bytes


def test_locations_lie_in_their_class(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    store = prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    _, labels = store.read("case_1")
    locations = store.foreground_locations("case_1")
    assert sorted(locations) == [1, 2]
    for value, voxels in locations.items():
        assert len(voxels) == np.count_nonzero(labels == value)
        assert (labels[tuple(voxels.T)] == value).all()
    assert [len(v) for v in store.foreground_locations("case_0").values()] == [0, 0]


def test_prepared_cases_are_not_made_again(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    before = times(tmp_path / "p")
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    assert times(tmp_path / "p") == before


def test_a_changed_label_is_prepared_again(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    before = times(tmp_path / "p")
    os.utime(first_label(dataset), ns=(1, 1))
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    changed = {name for name, time in times(tmp_path / "p").items() if time != before[name]}
    assert changed == {"case_0.b2nd", "case_0.labels.b2nd"}


def test_another_plan_makes_all_again(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    raw = plan.to_json()
    raw["configurations"][CONFIGURATION]["spacing"] = [2.5, 0.8, 0.8]
    store = prepare_dataset(dataset, plan_of(raw), CONFIGURATION, tmp_path / "p", cases=["case_1"])
    assert store.names == ("case_1",)
    assert store.shape("case_1") == (6, 20, 22)


def test_another_batch_size_makes_nothing_again(
    dataset: Dataset, plan: Plan, tmp_path: Path
) -> None:
    prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p")
    before = times(tmp_path / "p")
    raw = plan.to_json()
    raw["configurations"][CONFIGURATION]["batch_size"] = 7
    prepare_dataset(dataset, plan_of(raw), CONFIGURATION, tmp_path / "p")
    assert times(tmp_path / "p") == before


def test_cancelled_between_cases(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(Cancelled):
        prepare_dataset(
            dataset,
            plan,
            CONFIGURATION,
            tmp_path / "p",
            workers=1,
            progress=lambda d, t: done.append(d),
            should_stop=lambda: done[-1] >= 1,
        )
    assert PreparedStore(tmp_path / "p").names == ("case_0",)


def test_a_truncated_image_is_named(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    file = dataset.case("case_1").images[0]
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(UnreadableFile, match=r"case_1_0000\.nii\.gz"):
        prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", workers=1)
    assert PreparedStore(tmp_path / "p").names == ("case_0",)


def test_a_killed_preparation_leaves_no_half_case(
    dataset: Dataset, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "sample_locations", die)
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", workers=1)
    assert PreparedStore(tmp_path / "p").names == ()
    assert prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p").names == (
        "case_0",
        "case_1",
        "case_2",
    )


def test_a_full_disk_is_a_sentence(
    dataset: Dataset, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_blocks", no_room)
    with pytest.raises(BadInput, match=r"case_0 can be written to.*No space left"):
        prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", workers=1)
    assert sorted(file.name for file in (tmp_path / "p").iterdir()) == ["_settings.json"]


def test_cases_without_label_are_refused(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    case = replace(dataset.case("case_0"), label=None, split="unlabelled")
    reopened = replace(dataset, cases=(*dataset.cases[1:], case))
    with pytest.raises(BadDataset, match="case_0 without a label"):
        prepare_dataset(reopened, plan, CONFIGURATION, tmp_path / "p", cases=["case_0"])


def test_asking_a_store_for_what_it_lacks(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        PreparedStore(tmp_path)
    store = prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", cases=["case_1"])
    with pytest.raises(BadInput, match="the prepared case case_2"):
        store.read_patch("case_2", (0, 0, 0), (1, 1, 1))
    (tmp_path / "p" / "case_1.b2nd").write_bytes(b"not an array")
    with pytest.raises(UnreadableFile, match="prepare the dataset again"):
        PreparedStore(tmp_path / "p").read("case_1")


def test_a_store_may_be_pickled(dataset: Dataset, plan: Plan, tmp_path: Path) -> None:
    store = prepare_dataset(dataset, plan, CONFIGURATION, tmp_path / "p", cases=["case_1"])
    store.read("case_1")
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read("case_1")[0], store.read("case_1")[0])


def test_blocks_suit_the_patch() -> None:
    assert block_shapes((200, 500, 500), (128, 128, 128)) == ((32, 32, 32), (64, 64, 64))
    assert block_shapes((20, 300, 300), (320, 256)) == ((1, 150, 128), (1, 300, 256))
    block, chunk = block_shapes((35, 51, 34), (40, 56, 40))
    assert np.prod(block) <= 32_768
    assert all(c <= n for c, n in zip(chunk, (35, 51, 34), strict=True))
