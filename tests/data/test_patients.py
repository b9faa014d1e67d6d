"""Who is who, from files and names; folds that keep a patient together; who is on which side."""

from pathlib import Path

import pytest

from napari_unet_mic.data.dataset import open_dataset
from napari_unet_mic.data.files import read_json, write_json
from napari_unet_mic.data.integrity import Question, check_dataset
from napari_unet_mic.data.patients import (
    Patients,
    choose_patients,
    patients_by_pattern,
    read_patients,
    suggested_patterns,
)
from napari_unet_mic.data.sides import Sides
from napari_unet_mic.data.split_check import fold_changes, load_splits, write_grouped_splits
from napari_unet_mic.data.splits import five_folds, grouped_folds, read_splits
from napari_unet_mic.errors import BadInput, UnreadableFile

EXPECTED = {"c1": "ann", "c2": "ann", "c3": "bob"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("p.json", '{"c1": "ann", "c2.nii.gz": "ann", "c3": "bob"}', id="case-patient"),
        pytest.param("p.json", '{"ann": ["c1", "c2"], "bob": ["c3"]}', id="patient-cases"),
        pytest.param(
            "p.json",
            '[{"case": "c1", "patient": "ann"}, {"case": "c2", "patient": "ann"},'
            ' {"case": "c3", "patient": "bob"}]',
            id="rows",
        ),
        pytest.param("p.csv", "case,patient\nc1,ann\nc2,ann\n\nc3,bob\n", id="csv"),
        pytest.param("p.csv", "c1;ann\nc2;ann\nc3;bob", id="without-heading"),
        pytest.param(
            "p.tsv",
            "participant_id\tage\tfile\nann\t7\timagesTr/c1.nii.gz\nann\t7\tc2\nbob\t8\tc3",
            id="tsv",
        ),
        pytest.param("p.csv", "\ufeffcase,patient\r\nc1,ann\r\nc2,ann\r\nc3,bob\r\n", id="excel"),
    ],
)
def test_every_form_of_the_file(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert dict(read_patients(tmp_path / name).of_case) == EXPECTED


def test_numbers_are_patients_too(tmp_path: Path) -> None:
    write_json(tmp_path / "p.json", {"c1": 7, "c2": 7})
    assert read_patients(tmp_path / "p.json").groups(["c1", "c2", "c3"]) == [("c1", "c2"), ("c3",)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param("p.json", '{"c1": {"a": 1}}', '{"case": "patient", …}', id="nested"),
        pytest.param("p.json", "[1]", "something else", id="list"),
        pytest.param("p.csv", "c1\nc2\n", "two columns", id="one-column"),
        pytest.param("p.csv", " \n", "an|no line", id="empty"),
        pytest.param("p.csv", "c1,ann\nc1,bob\n", "one patient for each case", id="two-patients"),
    ],
)
def test_a_wrong_file_is_a_sentence(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=words):
        read_patients(tmp_path / name)


def test_written_patients_are_read_back(tmp_path: Path) -> None:
    Patients(EXPECTED).write(tmp_path / "patients.json")
    assert dict(read_patients(tmp_path / "patients.json").of_case) == EXPECTED


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("sub-{patient}_*", [("sub-01_ses-1", "sub-01_ses-2"), ("sub-02_ses-1",), ("x_3",)]),
        ("*_{pair}", [("sub-01_ses-1",), ("sub-01_ses-2",), ("sub-02_ses-1",), ("x_3",)]),
    ],
)
def test_patients_out_of_names(pattern: str, groups: list[tuple[str, ...]]) -> None:
    names = ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1", "x_3"]
    assert patients_by_pattern(names, pattern).groups(names) == groups


def test_pairs_of_numbers() -> None:
    names = ["hip_001", "hip_002", "hip_003", "hip_004", "hip_010"]
    found = patients_by_pattern(names, "hip_{pair}")
    assert found.groups(names) == [("hip_001", "hip_002"), ("hip_003", "hip_004"), ("hip_010",)]


@pytest.mark.parametrize("pattern", ["", "sub-*", "{patient}_{pair}", "{patient}{patient}"])
def test_a_pattern_needs_one_patient(pattern: str) -> None:
    with pytest.raises(BadInput, match="name pattern"):
        patients_by_pattern(["a"], pattern)


def test_patterns_are_suggested() -> None:
    visits = [f"sub-{n}_{visit}" for n in range(5) for visit in "ab"]
    assert suggested_patterns(visits)[0] == "sub-{patient}_*"
    assert suggested_patterns([f"hip_{n}" for n in range(10)]) == ["hip_{pair}"]
    assert suggested_patterns(["a", "b"]) == []
    assert suggested_patterns([]) == []


# ---- folds -------------------------------------------------------------------------------
NAMES = [f"c{n:02d}" for n in range(23)]


def test_without_groups_the_folds_are_nnunets() -> None:
    assert grouped_folds(NAMES, []) == five_folds(NAMES)


def test_a_group_stays_together_and_folds_stay_of_one_size() -> None:
    groups = [NAMES[0:4], NAMES[4:6], NAMES[6:8], NAMES[8:10], ["stranger", NAMES[10]]]
    folds = grouped_folds(NAMES, groups)
    assert folds == grouped_folds(NAMES[::-1], groups[::-1])
    assert sorted(len(fold["val"]) for fold in folds) in ([4, 4, 5, 5, 5], [3, 5, 5, 5, 5])
    assert sorted(name for fold in folds for name in fold["val"]) == NAMES
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == NAMES
        for group in groups[:4]:
            assert len({name in fold["val"] for name in group}) == 1


def test_folds_need_five_patients() -> None:
    with pytest.raises(BadInput, match="at least 5 patients, got 4"):
        grouped_folds(NAMES, [NAMES[n::4] for n in range(4)])


def test_the_real_leak_of_every_published_fold_goes_away(hippocampus: Path, tmp_path: Path) -> None:
    dataset = open_dataset(hippocampus)
    names = [case.name for case in dataset.training]
    groups = patients_by_pattern(names, "hippocampus_{pair}").groups(names)
    splits, _, findings = load_splits(dataset, None)
    assert findings == []
    changes = fold_changes(dataset, splits, groups)
    assert [len(change.shared) for change in changes] == [15, 19, 20, 18, 18]
    assert [len(change.shared_grouped) for change in changes] == [0] * 5
    assert [change.validation_grouped for change in changes] == [40] * 5
    assert "15 of 40 validation cases have their patient in training" in changes[0].sentence
    file = tmp_path / "splits_final.json"
    write_grouped_splits(file, dataset, splits, groups)
    after = Sides(dataset, read_splits(file))
    assert not any(after.apart(group) for group in groups)


# ---- the check ---------------------------------------------------------------------------
def test_patients_on_both_sides_are_warned_of(raw: Path, tmp_path: Path) -> None:
    told = Patients({"c0": "ann", "c10": "ann", "c1": "bob", "c2": "bob", "nobody": "x"}, "a list")
    check = check_dataset(raw, Question(told))
    across = {f.case: f for f in check.findings if f.kind == "same-patient-across-split"}
    ann = across["c10"]
    assert ann.severity == "warning"
    assert ann.related == ("c0",)
    assert "in training and test" in ann.message
    bob = across["c1"]
    assert bob.evidence["patient"] == "bob"
    assert len(bob.evidence["folds"]) == 2
    kinds = {f.kind for f in check.findings}
    assert {"bad-patients", "patient-unknown"} <= kinds
    assert not check.has_errors
    grouped = tmp_path / "splits_final.json"
    write_grouped_splits(grouped, check.dataset, check.splits, check.groups)
    again = check_dataset(raw, Question(told, grouped))
    assert [f.case for f in again.findings if f.kind == "same-patient-across-split"] == ["c10"]


def test_patients_that_fit_no_case(raw: Path) -> None:
    check = check_dataset(raw, Question(Patients({}, "the pattern x_{patient}")))
    assert [f.kind for f in check.findings] == ["bad-patients"]


@pytest.mark.parametrize(
    ("splits", "kind", "case"),
    [
        pytest.param('{"a": 1}', "bad-splits", "", id="form"),
        pytest.param('[{"train": ["c0"], "val": ["who"]}]', "bad-splits", "who", id="stranger"),
        pytest.param('[{"train": ["c0", "c1"], "val": ["c1"]}]', "fold-overlap", "c1", id="both"),
        pytest.param('[{"train": ["c0"], "val": ["c1"]}]', "not-in-folds", "c0", id="missing"),
    ],
)
def test_a_wrong_splits_file(splits: str, kind: str, case: str, raw: Path) -> None:
    (raw / "splits_final.json").write_text(splits)
    found = [f for f in check_dataset(raw).findings if f.kind == kind]
    assert [f.case for f in found] == [case]


def test_which_patients_are_used(decathlon: Path, tmp_path: Path) -> None:
    assert choose_patients(decathlon, None, None) is None
    write_json(decathlon / "patients.json", {"c0": "beside"})
    beside = choose_patients(decathlon, None, None)
    assert beside is not None
    assert beside.of_case == {"c0": "beside"}
    write_json(tmp_path / "p.json", {"c1": "told"})
    both = choose_patients(decathlon, tmp_path / "p.json", "{patient}")
    assert both is not None
    assert both.of_case["c1"] == "told"
    assert both.of_case["c2"] == "c2"
    with pytest.raises(UnreadableFile):
        choose_patients(decathlon, tmp_path / "nowhere.csv", None)
    assert read_json(decathlon / "patients.json") == {"c0": "beside"}
