"""The study of the preset for small lesions: its statistics, and a tiny run of the whole."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def study() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "small_lesions.py"
    spec = importlib.util.spec_from_file_location("small_lesions", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["small_lesions"] = module
    spec.loader.exec_module(module)
    return module


def test_recall_dice_and_spurious_lesions_by_hand(study: ModuleType) -> None:
    seen = study.Seen
    one = study.Study(
        (
            seen("a", 0.1, (0.0, 0.5)),
            seen("b", 0.2, (0.0, 0.0)),
            seen("a", 1.0, (0.4, 0.4)),
            seen("b", 2.0, (0.4, 0.4)),
            seen("a", 10.0, (0.8, 0.6)),
            seen("b", 20.0, (1.0, 0.0)),
        ),
        {"a": (1, 3), "b": (0, 2), "c": (2, 1)},
    )
    assert one.recall(0) == (0.0, 0.5)
    assert one.recall(1) == (1.0, 1.0)
    assert one.large_dice() == pytest.approx((0.9, 0.3))
    assert one.spurious_per_case() == pytest.approx((1.0, 2.0))
    gain, low, high = one.gain(0)
    assert gain == 0.5
    assert (low, high) == (0.0, 1.0)
    assert one.row("0").startswith("| 0 | 2 | 0.000 | 0.500 | +0.500 (+0.000 to +1.000) |")


def test_the_interval_holds_the_gain_and_narrows_with_more_cases(study: ModuleType) -> None:
    few = [(f"c{n}", float(n % 2)) for n in range(10)]
    many = [(f"c{n}", float(n % 2)) for n in range(400)]
    widths = []
    for gains in (few, many):
        gain, low, high = study.paired_gain(gains, [case for case, _ in gains])
        assert low < gain == 0.5 < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_a_tiny_study_runs_to_its_row(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("napari_unet_mic.evaluation.lesions", reason="lesions come with their core")
    words = "--seeds 1 --test-cases 2 --training-cases 2 --iterations 2 --shape 16 32 32 "
    words += "--width 0.125 --device cpu --precision float32 --workspace"
    study.main([*words.split(), str(tmp_path)])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].count("|") == rows[-1].count("|") == 10
    assert rows[-1].startswith("| 0 | ")
