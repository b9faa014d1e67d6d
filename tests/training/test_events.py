import errno
import math
from pathlib import Path

import pytest

from napari_unet_mic.errors import BadInput
from napari_unet_mic.training import events
from napari_unet_mic.training.events import EventLog, from_line, in_force, read_events, to_line
from napari_unet_mic.training.narration import sentence


def epoch(number: int, loss: float = 0.5) -> events.EpochFinished:
    return events.EpochFinished(
        number, loss, loss, {1: 0.8, 2: None}, {1: 0.7, 2: None}, 0.01, 9, 3
    )


EVERY = [
    events.RunStarted("a1", "CPU", "2d", "all", 3, 4, 1, {0: "background", 1: "liver"}),
    events.Progress("preprocess", 1, 12, "liver_1"),
    events.Prepared(4, 1, 2, (16, 24, 16), 2, 3, 100),
    events.Resumed(2, 7),
    events.IterationsFinished(0, 5, 0.25, 1.5),
    epoch(0),
    events.CheckpointSaved("latest", "fold_0/checkpoint_latest.pth", 1),
    events.ValidationFinished("validation", 2, {1: 0.8}, {1: 0.7}, 0.8, 0.7, 12.0),
    events.TestFinished("test", 2, 0.3, {1: 0.8}, {1: None}, 0.8, 0.7, 12.0),
    events.FoldStarted(1, 2, 5),
    events.CrossValidationFinished("all", (0, 1), 4, {1: 0.8}, {1: None}, 0.8, 0.7),
    events.EndedEarly(30, 20, 10),
    events.PreviewSaved(2, 7, "preview.npz"),
    events.RunPaused(2, 7, "GPU memory is given back"),
    events.RunContinued(2, 7),
    events.RunStopped("pause", 3),
    events.RunFailed("label of case 3: no such file", exit_code=1),
    events.RunFinished(60.0),
]


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_every_event_comes_back_from_its_line(event: events.Event) -> None:
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


def test_every_kind_of_event_is_listed() -> None:
    assert {type(event) for event in EVERY} == set(events.KINDS.values())


def test_nan_is_null_in_the_file() -> None:
    line = to_line(epoch(0, loss=math.nan))
    assert "NaN" not in line
    back = from_line(line)
    assert isinstance(back, events.EpochFinished)
    assert math.isnan(back.train_loss)


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"event": "Later", "x": 1}', '{"event": "RunF'])
def test_a_strange_line_is_refused(line: str) -> None:
    with pytest.raises(BadInput, match=r"events\.jsonl"):
        from_line(line)


def test_a_field_of_a_later_release_is_passed_over() -> None:
    line = to_line(EVERY[-1])[:-1] + ', "colour": "red"}'
    assert from_line(line) == EVERY[-1]


def test_reading_goes_on_where_it_ended_and_waits_for_a_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    assert read_events(file) == ([], 0)
    whole, torn = to_line(epoch(0)) + "\n", to_line(epoch(1))
    file.write_text(whole + torn[:20])
    found, at = read_events(file)
    assert found == [epoch_like(found[0], 0)]
    assert at == len(whole)
    file.write_text(whole + torn + "\n")
    found, at = read_events(file, at)
    assert [e.epoch for e in found if isinstance(e, events.EpochFinished)] == [1]
    assert read_events(file, at) == ([], at)


def epoch_like(event: events.Event, number: int) -> events.EpochFinished:
    assert isinstance(event, events.EpochFinished)
    assert event.epoch == number
    return event


def test_a_file_that_became_shorter_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(to_line(epoch(0)) + "\n")
    found, _ = read_events(file, 10_000)
    assert len(found) == 1


def test_a_log_cuts_the_torn_last_line_of_a_killed_trainer(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(to_line(epoch(0)) + "\n" + to_line(epoch(1))[:30])
    log = EventLog(file)
    log(events.Resumed(1))
    log.close()
    found, at = read_events(file)
    assert [type(e).__name__ for e in found] == ["EpochFinished", "Resumed"]
    assert at == file.stat().st_size


def test_resumed_supersedes_what_was_lost() -> None:
    before = [
        epoch(0),
        epoch(1),
        events.IterationsFinished(2, 4, 0.5, 1.0),
        events.IterationsFinished(2, 8, 0.5, 1.0),
        events.RunFailed("killed"),
    ]
    kept = in_force([*before, events.Resumed(2, 4), epoch(2)])
    assert [type(e).__name__ for e in kept] == [
        "EpochFinished",
        "EpochFinished",
        "IterationsFinished",
        "Resumed",
        "EpochFinished",
    ]
    assert [e.epoch for e in in_force([epoch(0), epoch(1), events.Resumed(1)])[:-1]] == [0]  # type: ignore[union-attr]


def test_in_a_cross_validation_only_the_fold_that_goes_on_is_superseded() -> None:
    first = [events.FoldStarted(0, 1, 5), epoch(0), epoch(1)]
    second = [events.FoldStarted(1, 2, 5), epoch(0), epoch(1), events.RunFailed("killed")]
    again = [events.FoldStarted(1, 2, 5), events.Resumed(1)]
    kept = in_force([*first, *second, *again])
    assert [type(e).__name__ for e in kept] == [
        "FoldStarted",
        "EpochFinished",
        "EpochFinished",
        "FoldStarted",
        "EpochFinished",
        "FoldStarted",
        "Resumed",
    ]


def test_a_full_disk_keeps_the_lines_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log(epoch(0))
    stream = log._stream
    room = [3]

    class Full:
        def write(self, content: bytes) -> int:
            if not room:
                raise OSError(errno.ENOSPC, "no space left on device")
            return stream.write(content[: room.pop()]) or 0

        def close(self) -> None:
            stream.close()

    monkeypatch.setattr(log, "_stream", Full())
    log(epoch(1))
    log(epoch(2))
    assert len(read_events(log.file)[0]) == 1
    monkeypatch.setattr(log, "_stream", stream)
    log(epoch(3))
    log.close()
    assert [e.epoch for e in read_events(log.file)[0] if isinstance(e, events.EpochFinished)] == [
        0,
        1,
        2,
        3,
    ]


def test_what_a_terminal_hears() -> None:
    assert sentence(events.EndedEarly(30, 20, 10)) == (
        "ended early after 30 epochs: none of the last 10 was better than epoch 20"
    )
    assert "GPU memory is given back" in sentence(
        events.RunPaused(2, 7, "GPU memory is given back")
    )
    assert sentence(events.FoldStarted(1, 2, 5)) == "fold 1 (2 of 5)"
    assert sentence(events.PreviewSaved(2, 7, "preview.npz")) == ""
