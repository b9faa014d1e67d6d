from collections.abc import Iterator

import pytest

from napari_unet_mic.training.pace import Pace


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def steps(pace: Pace, clock: Clock, *seconds: float) -> None:
    for span in seconds:
        clock.now += span
        pace.step()


def test_the_pace_is_the_mean_of_the_steps(clock: Clock) -> None:
    pace = Pace(clock)
    assert pace.seconds_per_iteration == 0
    steps(pace, clock, 2.0, 4.0, 3.0)
    assert pace.seconds_per_iteration == pytest.approx(3.0)
    assert pace.seconds == pytest.approx(9.0)


def test_the_computers_sleep_is_left_out(clock: Clock) -> None:
    pace = Pace(clock)
    steps(pace, clock, 2.0, 2.0, 8 * 3600.0, 2.0)
    assert pace.seconds_per_iteration == pytest.approx(2.0)
    assert pace.seconds == pytest.approx(6.0)


def test_slow_iterations_are_no_sleep(clock: Clock) -> None:
    pace = Pace(clock)
    steps(pace, clock, 100.0, 300.0)
    assert pace.seconds == pytest.approx(400.0)


def test_a_pause_does_not_count(clock: Clock) -> None:
    pace = Pace(clock)
    steps(pace, clock, 2.0)
    clock.now += 30.0
    pace.resume()
    steps(pace, clock, 2.0)
    assert pace.seconds == pytest.approx(4.0)


def test_an_epoch_begins_from_zero_and_remembers_the_pace(clock: Clock) -> None:
    pace = Pace(clock)
    steps(pace, clock, 2.0)
    pace.begin()
    assert pace.seconds == 0
    assert pace.seconds_per_iteration == pytest.approx(2.0)


def test_waiting_for_batches_is_a_share_of_the_time(clock: Clock) -> None:
    pace = Pace(clock)

    def batches() -> Iterator[int]:
        for number in range(4):
            clock.now += 0.5
            yield number

    seen = []
    for batch in pace.fetching(batches()):
        seen.append(batch)
        steps(pace, clock, 1.5)
    assert seen == [0, 1, 2, 3]
    assert pace.waiting_share == pytest.approx(0.25)
