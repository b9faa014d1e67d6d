from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.splits import five_folds, fold_cases, read_splits, write_splits
from napari_unet_mic.errors import BadInput, UnreadableFile


def test_the_published_folds_come_out(hippocampus: Path) -> None:
    names = [case.name for case in open_dataset(hippocampus).training]
    assert five_folds(names) == read_splits(hippocampus / "splits_final.json")
    assert five_folds(names[::-1]) == five_folds(names)


def test_every_case_validates_once() -> None:
    names = [f"case_{i}" for i in range(13)]
    folds = five_folds(names)
    assert [len(fold["val"]) for fold in folds] == [3, 3, 3, 2, 2]
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(names)
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == sorted(names)


def test_fewer_than_five_cases_allow_only_all() -> None:
    with pytest.raises(BadInput, match="got 4; only `--fold all`"):
        five_folds(["a", "b", "c", "d"])
    assert fold_cases([], "all", ["b", "a"]) == (["a", "b"], ["a", "b"])


def test_splits_on_disk(tmp_path: Path) -> None:
    folds = five_folds([f"case_{i}" for i in range(5)])
    write_splits(tmp_path / "splits_final.json", folds)
    assert read_splits(tmp_path / "splits_final.json") == folds


@pytest.mark.parametrize(
    "content", ["{}", "[]", '[{"train": ["a"]}]', '[{"train": "a", "val": []}]']
)
def test_other_json_is_no_splits_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "splits_final.json").write_text(content)
    with pytest.raises(UnreadableFile, match="a list of folds"):
        read_splits(tmp_path / "splits_final.json")


SPLITS = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["a"], "val": ["b"]}]


def test_fold_cases() -> None:
    assert fold_cases(SPLITS, 0, ["a", "b", "c"]) == (["a", "b"], ["c"])


def test_the_held_out_cases_leave_published_folds() -> None:
    assert fold_cases(SPLITS, 0, ["a", "b"], held_out=["c"]) == (["a", "b"], [])
    assert fold_cases(SPLITS, 0, ["b", "c"], held_out=["a"]) == (["b"], ["c"])
    with pytest.raises(BadInput, match="at least one case"):
        fold_cases(SPLITS, 1, ["b"], held_out=["a"])


@pytest.mark.parametrize("fold", [2, -1, True, "0"])
def test_folds_that_are_not_there(fold: int) -> None:
    with pytest.raises(BadInput, match="a fold from 0 to 1"):
        fold_cases(SPLITS, fold, ["a", "b", "c"])


def test_a_fold_of_other_cases_is_refused() -> None:
    with pytest.raises(BadInput, match="c in its val list"):
        fold_cases(SPLITS, 0, ["a", "b"])
