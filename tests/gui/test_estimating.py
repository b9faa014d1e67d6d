import json
import sys

import pytest

from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.gui.estimating import ask_estimate, estimate_words
from napari_unet_mic.training.run import RunSettings

SETTINGS = RunSettings(dataset="/d", workspace="/w", name="a", fold="all", epochs=3)
ANSWER = {
    "seconds_per_iteration": 0.42,
    "seconds_per_epoch": 110.0,
    "seconds_total": 13200.0,
    "memory_bytes": 2_300_000_000,
    "device": "cpu",
    "precision": "bfloat16",
    "sentence": "a: about 3 h 40 min on the CPU in bfloat16",
    "of_a_later_release": 1,
}


def child(program):
    return [sys.executable, "-c", program]


def test_the_childs_answer_becomes_words():
    found = ask_estimate(SETTINGS, command=child(f"print({json.dumps(json.dumps(ANSWER))})"))

    assert found.words == "3 h 40 min in all · 0.42 s an iteration · 2.3 GB"
    assert found.sentence == ANSWER["sentence"]


def test_the_command_is_that_of_the_run_and_starts_nothing():
    words = estimate_words(SETTINGS)

    assert words[:4] == ["train", "/d", "--workspace", "/w"]
    assert words[-2:] == ["--estimate", "--json"]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('unet-mic: no room on the device')", "no room on the device"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print('hello')", "hello"),
        ("print('{}')", "{}"),
    ],
    ids=["said", "silent", "no-json", "other-json"],
)
def test_a_child_that_cannot_is_a_sentence(program, words):
    with pytest.raises(BadInput, match=words):
        ask_estimate(SETTINGS, command=child(program))


def test_a_cancel_ends_the_child(tmp_path):
    note = tmp_path / "went on"
    program = f"import time, pathlib; time.sleep(60); pathlib.Path({str(note)!r}).touch()"
    with pytest.raises(Cancelled):
        ask_estimate(SETTINGS, command=child(program), should_stop=lambda: True)

    assert not note.exists()
