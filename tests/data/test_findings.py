"""A finding as a sentence and as JSON; the documentation lists every kind."""

import re
from pathlib import Path

from napari_unet_mic.data.finding_kinds import KINDS, kinds_markdown
from napari_unet_mic.data.findings import counted, found, in_order

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_sentence_names_file_expected_got_and_advice() -> None:
    finding = found(
        "grid-mismatch",
        case="liver_7",
        file=Path("/somewhere/labelsTr/liver_7.nii.gz"),
        expected="the shape (75, 512, 512) of its image",
        got="(74, 512, 512)",
        advice="re-export the label or remove the case",
    )
    assert finding.message == (
        "labelsTr/liver_7.nii.gz: expected the shape (75, 512, 512) of its image, "
        "got (74, 512, 512); re-export the label or remove the case"
    )
    record = finding.to_json()
    assert record["severity"] == "error"
    assert record["file"] == "/somewhere/labelsTr/liver_7.nii.gz"
    assert {"severity", "kind", "case", "file", "message", "related"} <= set(record)


def test_gravest_first_and_each_once() -> None:
    note = found("intensity-outlier", case="b", expected="x", got="y")
    warning = found("empty-label", case="c", expected="x", got="y")
    errors = [found("lfs-pointer", case=name, expected="x", got="y") for name in "ba"]
    ordered = in_order([note, warning, *errors, errors[0]])
    assert [(f.severity, f.case) for f in ordered] == [
        ("error", "a"),
        ("error", "b"),
        ("warning", "c"),
        ("note", "b"),
    ]
    assert counted(ordered) == "2 errors, 1 warning, 1 note"
    assert counted([]) == "no errors, no warnings, no notes"


def test_the_documentation_lists_every_kind_as_the_code_has_it() -> None:
    page = (REPOSITORY / "docs" / "findings.md").read_text(encoding="utf-8")
    assert kinds_markdown() in page
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == set(KINDS)


def test_every_kind_says_what_to_do() -> None:
    for kind in KINDS.values():
        assert kind.meaning
        assert kind.advice
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.word)
