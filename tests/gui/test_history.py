import dataclasses
import math

import pytest

from napari_unet_mic.gui.history import RunHistory
from napari_unet_mic.gui.run_words import duration
from napari_unet_mic.training import events

CLASSES = {0: "background", 1: "liver", 2: "cancer"}


def started(**changes):
    values = {
        "session": "a",
        "device": "on the CPU in float32",
        "configuration": "3d_fullres",
        "fold": "0",
        "epochs": 10,
        "iterations_per_epoch": 20,
        "validation_iterations": 5,
        "classes": CLASSES,
        "time": 100.0,
    }
    return events.RunStarted(**{**values, **changes})


def epoch(number, train=0.5, validation=0.6, liver=0.8, cancer=None, **more):
    return events.EpochFinished(
        epoch=number,
        train_loss=train,
        validation_loss=validation,
        dice={1: liver, 2: cancer},
        iou={1: liver, 2: cancer},
        learning_rate=0.01,
        seconds=30.0,
        seconds_per_iteration=1.2,
        time=200.0 + number,
        **more,
    )


def test_curves_leave_out_absent_classes_and_infinite_values():
    history = RunHistory()
    history.add([started(), epoch(0), epoch(1, train=math.inf, cancer=0.3)])

    shot = history.snapshot(now=201.0)

    assert [curve.tolist() for curve in shot.train_loss] == [[1], [0.5]]
    assert [curve.tolist() for curve in shot.iou[1]] == [[1, 2], [0.8, 0.8]]
    assert [curve.tolist() for curve in shot.iou[2]] == [[2], [0.3]]
    assert shot.best_iou == {1: 0.8, 2: 0.3}
    assert 0 not in shot.iou


def test_progress_says_epoch_speed_and_time_left():
    history = RunHistory()
    history.add([started(), epoch(0), epoch(1)])

    shot = history.snapshot(now=201.0)

    assert shot.progress == "epoch 3/10 · 1.2 s/it · 4 min 0 s left"  # 8 epochs of 30 s
    assert shot.fraction == pytest.approx(0.2)


def test_iterations_count_within_the_epoch():
    history = RunHistory()
    said = events.IterationsFinished(
        epoch=0, iteration=10, train_loss=1.5, seconds_per_iteration=0.5, time=110.0
    )
    history.add([started(), said])

    shot = history.snapshot(now=110.0)

    assert [curve.tolist() for curve in shot.iteration_loss] == [[0.5], [1.5]]
    assert shot.progress == "epoch 1/10 · 2.0 it/s · 1 min 35 s left"  # 190 iterations


def test_resumed_supersedes_lost_epochs_and_last_words():
    history = RunHistory()
    history.add([started(), epoch(0), epoch(1, train=9.0), events.RunStopped("stop", 1)])
    assert "stopped in epoch 2" in history.snapshot().sentence

    history.add([started(time=300.0), events.Resumed(from_epoch=1), epoch(1, train=0.4)])
    shot = history.snapshot()

    assert shot.train_loss[1].tolist() == [0.5, 0.4]
    assert shot.sentence == "on the CPU in float32"


def test_stages_before_training_are_said_in_words():
    history = RunHistory()
    history.add([started(), events.Progress("preprocess", 3, 12)])

    assert history.snapshot().progress == "preparing the cases 3/12"


def test_a_failure_shows_its_own_sentence():
    history = RunHistory()
    history.add([started(), events.RunFailed("a: the disk is full")])

    shot = history.snapshot()

    assert shot.failed
    assert shot.sentence == "a: the disk is full"
    assert shot.progress == ""


def test_an_empty_history():
    shot = RunHistory().snapshot()

    assert shot.epochs == 0
    assert shot.seconds_left is None
    assert shot.iou == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (75, "1 min 15 s"), (2400, "40 min"), (13200, "3 h 40 min"), (2e5, "2 d 7 h")],
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_every_curve_has_one_point_an_epoch():
    history = RunHistory()
    history.add([started(), epoch(0), epoch(1, memory_bytes=3_000_000_000)])

    shot = history.snapshot(now=201.0)

    assert shot.dice[1][1].tolist() == [0.8, 0.8]
    assert shot.learning_rate[1].tolist() == [0.01, 0.01]
    assert shot.seconds_per_iteration[1].tolist() == [1.2, 1.2]
    assert [curve.tolist() for curve in shot.memory_gb] == [[2], [3.0]]  # not measured in the first
    assert shot.gpu_memory_gb[1].tolist() == []


def test_a_pause_is_told_with_what_became_of_the_memory_until_it_goes_on():
    history = RunHistory()
    history.add([started(), epoch(0), events.RunPaused(1, 3, "GPU memory is given back")])
    shot = history.snapshot()
    assert shot.paused
    assert shot.progress == "paused in epoch 2: GPU memory is given back"
    assert shot.seconds_left == pytest.approx(270)  # 9 epochs of 30 s, however long it waits

    history.add([events.RunContinued(1, 3)])
    assert not history.snapshot().paused


def test_a_process_that_ended_while_paused_is_paused_no_more():
    history = RunHistory()
    history.add([started(), events.RunPaused(0, 3, "…"), events.RunStopped("stop", 0)])
    assert not history.paused


def test_the_folds_of_a_cross_validation_follow_each_other():
    history = RunHistory()
    fold = events.FoldStarted
    history.add([started(fold="each", epochs=2), fold(0, 1, 5), epoch(0), epoch(1, liver=0.6)])
    history.add([fold(1, 2, 5), epoch(0, liver=0.9)])

    shot = history.snapshot(now=200.0)

    assert shot.iou[1][0].tolist() == [1, 2, 3]
    assert shot.epochs == 10
    assert shot.fraction == pytest.approx(0.3)
    assert shot.progress.startswith("fold 1 (2 of 5) · epoch 2/2 · ")
    assert shot.best_iou[1] == pytest.approx((0.8 + 0.9) / 2)  # of each fold, then their mean


def test_resuming_a_fold_keeps_the_folds_before_it():
    history = RunHistory()
    fold = events.FoldStarted
    history.add([started(epochs=2), fold(0, 1, 5), epoch(0), epoch(1), fold(1, 2, 5), epoch(0)])
    history.add([started(epochs=2), fold(1, 2, 5), events.Resumed(0)])

    assert history.snapshot().train_loss[0].tolist() == [1, 2]


def test_ending_early_is_told_at_the_end():
    history = RunHistory()
    history.add([started(), epoch(0), events.EndedEarly(1, 1, 5)])
    assert history.snapshot().seconds_left is None
    gathered = events.CrossValidationFinished("f", (0, 1), 8, {}, {}, 0.8, 0.7)
    history.add([gathered, events.RunFinished(60.0)])

    shot = history.snapshot()

    assert shot.fraction == 1.0
    assert shot.sentence == (
        "finished after 1 min 0 s · ended early with epoch 1: no better since epoch 1 · "
        "all 2 folds Dice 0.800, IoU 0.700 (8 cases)"
    )


def test_the_newest_preview_is_known():
    history = RunHistory()
    first, second = (events.PreviewSaved(n, 5, "preview.npz") for n in (0, 1))
    history.add([started(), first, second])

    assert history.snapshot().preview == second


def test_a_week_of_training_is_kept_as_numbers():
    history = RunHistory()
    history.add([started(epochs=1000, iterations_per_epoch=250)])
    said = events.IterationsFinished(0, 1, 0.5, 0.2)
    history.add(dataclasses.replace(said, epoch=n // 250, iteration=n % 250) for n in range(5000))

    x, y = history.snapshot().iteration_loss

    assert len(x) == len(y) == 5000
    assert x[-1] == pytest.approx(19 + 249 / 250)
