"""The child that checks: its report read, its progress told, its end heard, cancelled at once."""

import json
import sys
import time
from pathlib import Path

import pytest

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.gui.check_report import CheckReport, check_words, run_check

FINDING = {
    "severity": "warning",
    "kind": "near-duplicate",
    "case": "b",
    "file": "/d/imagesTr/b.nii.gz",
    "message": "imagesTr/b.nii.gz: …",
    "related": ["a"],
    "evidence": {"correlation": 0.97, "flips": [1, 1, -1]},
}
REPORT = {
    "findings": [FINDING, {**FINDING, "kind": "empty-label", "related": []}],
    "cases": 7,
    "splits": {"groups": [["a", "b"]]},
    "case_statistics": [
        {"case": "a", "split": "train", "class": 2, "volume_ml": 3.5, "lesions_ml": [3.0, 0.5]}
    ],
}


def child(tmp_path: Path, script: str) -> list[str]:
    file = tmp_path / "child.py"
    file.write_text(script)
    return [sys.executable, str(file)]


def test_a_report_is_read() -> None:
    report = CheckReport.from_json(REPORT)
    assert report.n_cases == 7
    assert [pair.case for pair in report.pairs] == ["b"]
    assert report.groups == (("a", "b"),)
    assert report.sizes[0].lesions_ml == (3.0, 0.5)
    assert report.headline == "no errors, 2 warnings, no notes"


def test_progress_is_told_and_the_report_comes_back(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        'print(\'{"stage": "files", "done": 1, "total": 2}\', file=sys.stderr, flush=True)\n'
        f"print({json.dumps(json.dumps(REPORT))})\n"
        "sys.exit(3)\n"
    )
    told: list[tuple[str, int, int]] = []
    report = run_check(["x"], lambda *at: told.append(at), command=child(tmp_path, script))
    assert told == [("files", 1, 2)]
    assert report == CheckReport.from_json(REPORT)


def test_a_child_that_could_not_check_is_an_error(tmp_path: Path) -> None:
    script = "import sys; print('unet-mic: d: expected a dataset', file=sys.stderr); sys.exit(1)"
    with pytest.raises(BadInput, match="got d: expected a dataset"):
        run_check(["d"], lambda *_: None, command=child(tmp_path, script))


def test_a_child_that_dies_is_an_error(tmp_path: Path) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(BadInput, match="by signal SIGKILL"):
        run_check(["d"], lambda *_: None, command=child(tmp_path, script))


def test_a_check_is_cancelled_at_once(tmp_path: Path) -> None:
    command = child(tmp_path, "import time; time.sleep(600)")
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_check(
            ["d"],
            lambda *_: None,
            command=command,
            should_stop=lambda: time.monotonic() - began > 0.3,
        )


def test_the_words_of_the_command(tmp_path: Path) -> None:
    assert check_words("d") == ["d"]
    words = check_words(
        "d", pattern=" a_{pair} ", patients_file=tmp_path, splits_file=tmp_path, held_out=["c"]
    )
    assert words == [
        *("d", "--patients", str(tmp_path), "--patient-pattern", "a_{pair}"),
        *("--splits", str(tmp_path), "--test", "c"),
    ]
