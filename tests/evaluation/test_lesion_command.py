"""``unet-mic evaluate`` finds planted lesions with state, size and IoU; lesions.csv reads back."""

import csv

import numpy as np
import planted_livers as planted
import pytest

from napari_unet_mic.cli import main
from napari_unet_mic.errors import UnreadableFile
from napari_unet_mic.evaluation.gathering import gather
from napari_unet_mic.evaluation.lesion import BINS_ML, MATCHES, judged, meets
from napari_unet_mic.evaluation.lesion_classes import chosen_by_looks, named_like_lesions, of_maps
from napari_unet_mic.evaluation.lesion_figures import by_size, figures_of, lesions_by_case
from napari_unet_mic.evaluation.result_files import read_evaluation
from napari_unet_mic.evaluation.results import Evaluation
from napari_unet_mic.reporting.tables import evaluation_text

COLUMNS = "case,class,lesion,source,volume_ml,state,iou,confidence,z,y,x"


@pytest.fixture(scope="module")
def liver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("liver")
    expected = planted.write(folder)
    words = ["evaluate", "--reference", str(folder / "labelsTr"), "--prediction", str(folder / "p")]
    return folder, expected, [*words, "--tolerance-mm", "1"]


def rows_of(folder):
    with (folder / "lesions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("match", MATCHES)
def test_every_lesion_is_as_planted(liver, tmp_path, capsys, match):
    _folder, expected, words = liver
    assert main([*words, "--match", match, "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "lesions.csv").read_text().startswith(COLUMNS + ",voxels,")
    rows = rows_of(tmp_path)
    true = {(row["case"], int(row["voxels"])): row for row in rows if row["source"] == "reference"}
    assert len(true) == len(expected) == planted.N_TUMOURS
    for one in expected:
        row = true[one.case, one.voxels]
        assert row["class"] == "2"
        assert row["state"] == ("found" if meets(match, one.iou) else "missed")
        assert float(row["volume_ml"]) == pytest.approx(one.ml)
        assert float(row["iou"]) == pytest.approx(one.iou)
        assert row["confidence"] == ""
    predicted = [row for row in rows if row["source"] == "prediction"]
    assert len(predicted) == sum(one.kept > 0 for one in expected) + len(planted.MADE_UP)
    made_up = [row for row in predicted if row["partners"] == ""]
    assert tuple(row["case"] for row in made_up) == planted.MADE_UP
    for row in made_up:
        assert (row["state"], row["iou"]) == ("spurious", "0.0")
        place = tuple(int(row[axis]) for axis in "zyx")
        assert planted.made_up(row["case"], planted.planted(row["case"]))[place]

    # panel, CSV and headless: one set of figures, from memory and from the files
    evaluation = read_evaluation(tmp_path)
    cases = lesions_by_case(evaluation)
    for way in MATCHES:
        figures = figures_of(cases.values(), 2, way)
        n_found = sum(meets(way, one.iou) for one in expected)
        n_missed = planted.N_TUMOURS - n_found
        assert (figures.found, figures.missed) == (n_found, n_missed)
        n_spurious = 2 + sum(one.kept > 0 and not meets(way, one.iou) for one in expected)
        assert figures.spurious == n_spurious
        shares = (n_found / planted.N_TUMOURS, n_spurious / planted.N_CASES)
        cells = [*(f"{share:.4f}" for share in shares), "0", "0"]
        line = [*MATCHES[way].split(), *map(str, (n_found, n_missed, n_spurious)), *cells]
        assert line in [text.split() for text in printed.splitlines()]
    for one in by_size(cases.values(), 2, BINS_ML):
        high = one.high_ml or np.inf
        mine = [two for two in expected if one.low_ml <= two.ml < high]
        assert one.lesions == len(mine)
        for way in MATCHES:
            assert one.found[way] == sum(meets(way, two.iou) for two in mine)
    assert evaluation_text(evaluation) + "\n" == printed
    assert gather(tmp_path).evaluation.lesions == evaluation.lesions


def test_recall_by_size_is_as_planted(liver, tmp_path):
    assert main([*liver[2], "-o", str(tmp_path)]) == 0
    cases = lesions_by_case(read_evaluation(tmp_path)).values()
    bins = by_size(cases, 2, edges_ml=(0.1, 0.5, 2.0, 10.0))
    assert [one.lesions for one in bins] == [5] * len(planted.SIZES_ML)
    for match, recall in planted.RECALL.items():
        assert tuple(one.recall(match) for one in bins) == recall


def test_smallest_size_bins_and_classes_are_the_persons_choice(liver, tmp_path, capsys):
    words = [*liver[2], "--smallest-lesion", "0.1", "--size-bins", "5", "--lesion-classes", "2"]
    assert main([*words, "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "cancer: 20 lesions in 6 cases, of 0.1 ml and more (6 smaller ones ignored)" in printed
    assert next(line.split()[:4] for line in printed.splitlines() if "5 ml" in line) == [
        "below",
        "5",
        "ml",
        "10",
    ]
    assert min(float(row["volume_ml"]) for row in rows_of(tmp_path)) > 0.1
    assert main([*liver[2], "--lesion-classes", "7", "-o", str(tmp_path)]) == 1
    assert "2 cancer" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*liver[2], "--smallest-lesion", "tiny", "-o", str(tmp_path)])


def test_probabilities_tell_almost_found_from_blind(liver, tmp_path, capsys):
    _folder, _, words = liver
    kept = tmp_path / "kept"
    kept.mkdir()
    tumours = planted.planted("liver_02").tumours.array
    small, next_one = tumours == 1, tumours == 2
    shares = np.zeros((3, *tumours.shape), np.float16)
    shares[2][small], shares[2][next_one] = 0.4, 0.01
    shares[2][tuple(np.argwhere(next_one)[0])] = 0.03
    np.savez_compressed(kept / "liver_02.npz", probabilities=shares)
    assert main([*words, "--probabilities", str(kept), "-o", str(tmp_path / "e")]) == 0
    printed = capsys.readouterr().out
    assert "no probabilities of 5 of 6 cases (liver_00, liver_01, liver_03" in printed
    rows = [row for row in rows_of(tmp_path / "e") if row["case"] == "liver_02"]
    missed = [row for row in rows if row["state"] == "missed"]
    n = int(next_one.sum())
    assert [float(row["highest_confidence"]) for row in missed] == pytest.approx(
        [0.03, 0.4], abs=1e-3
    )
    means = [0.01 + 0.02 / n, 0.4]
    assert [float(row["confidence"]) for row in missed] == pytest.approx(means, abs=1e-3)
    lines = [line for line in printed.splitlines() if line.startswith("liver_02")]
    assert any(line.endswith("almost found") for line in lines)
    assert any(line.endswith("blind") for line in lines)
    assert main([*words, "--probabilities", str(tmp_path / "no"), "-o", str(tmp_path / "e")]) == 1


def test_a_damaged_file_is_refused_in_a_sentence(liver, tmp_path):
    assert main([*liver[2], "-o", str(tmp_path)]) == 0
    (tmp_path / "lesions.csv").write_text("case,class\na,1\n")
    with pytest.raises(UnreadableFile, match=r"lesions\.csv.*evaluate again"):
        read_evaluation(tmp_path)


def test_lesions_read_back_are_those_that_were_found(liver, tmp_path):
    from napari_unet_mic.evaluation.lesion import LesionQuestion
    from napari_unet_mic.evaluation.summary import evaluate_folders

    folder = liver[0]
    made = evaluate_folders(
        folder / "labelsTr", folder / "p", lesions=LesionQuestion(), tolerance_mm=None
    )
    assert isinstance(made, Evaluation)
    made.write(tmp_path)
    again = read_evaluation(tmp_path)
    assert again.lesions == made.lesions
    for case in made.cases:
        assert again.case(case.name).lesions == case.lesions
        assert judged(again.case(case.name).lesions) == judged(case.lesions)


@pytest.mark.parametrize(
    ("names", "sizes", "chosen"),
    [
        pytest.param({1: "liver", 2: "Tumour"}, [], (2,), id="by name"),
        pytest.param({1: "WT", 2: "metastases", 3: "cyst"}, [], (2, 3), id="several names"),
        pytest.param({1: "anything"}, [], (1,), id="the only class"),
        pytest.param({1: "a", 2: "b"}, [{1: (9.0,), 2: (1.0, 0.5)}], (2,), id="several components"),
        pytest.param({1: "a", 2: "b"}, [{1: (9.0,), 2: (1.0,)}], (2,), id="the smallest"),
        pytest.param({1: "a", 2: "b"}, [], (2,), id="nothing is known"),
        pytest.param({0: "background"}, [], (), id="no foreground"),
    ],
)
def test_which_classes_are_lesions(names, sizes, chosen):
    assert chosen_by_looks({0: "background", **names}, sizes) == chosen


def test_classes_of_maps_without_names():
    labels = np.zeros((3, 9, 9), np.uint8)
    labels[:, 1:8, 1:8] = 1
    labels[1, 2, 2] = labels[1, 5, 5] = 2
    assert of_maps([(labels, 0.1)], None) == (2,)
    assert of_maps([(labels[1], 0.1)], {0: "out", 1: "a", 2: "b"}) == (2,)
    assert named_like_lesions({0: "lesion", 1: "liver"}) == ()
