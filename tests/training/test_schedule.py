"""Learning rate and momentum over a run."""

import dataclasses

import pytest

from napari_unet_mic.training.schedule import Step, step_of
from napari_unet_mic.training.settings import RunSettings

LONG = RunSettings(dataset="d", workspace="w", name="n")
SHORT = dataclasses.replace(LONG, epochs=1)


@pytest.mark.parametrize("epoch", [0, 1, 500, 999])
def test_a_long_run_has_nnunets_rate_at_the_start_of_every_epoch(epoch: int) -> None:
    assert step_of(LONG, 250 * epoch).rate == pytest.approx(0.01 * (1 - epoch / 1000) ** 0.9)


def test_a_short_run_keeps_its_rate_and_lowers_it_in_the_last_part() -> None:
    rates = [step_of(SHORT, done).rate for done in (0, 100, 149, 200, 249)]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.0001])
    two_of_125 = dataclasses.replace(SHORT, epochs=2, iterations_per_epoch=125)
    assert [step_of(two_of_125, done).rate for done in (0, 100, 149, 200, 249)] == rates


def test_the_momentum_rises_and_a_gradients_steps_add_up_to_the_same() -> None:
    steps = [step_of(LONG, done) for done in range(5001)]
    momenta = [step.momentum for step in steps]
    assert momenta == sorted(momenta)
    assert (momenta[0], momenta[5000]) == (pytest.approx(0.9), pytest.approx(0.99))
    for step in steps:
        assert step.sgd_rate / (1 - step.momentum) == pytest.approx(100 * step.rate)
    assert steps[5000].sgd_rate == pytest.approx(steps[5000].rate)  # from here on nnU-Net's


def test_a_warm_up_lowers_the_first_rates() -> None:
    warmed = dataclasses.replace(LONG, warm_up_iterations=4)
    rates = [step_of(warmed, done).rate for done in range(6)]
    plain = [step_of(LONG, done).rate for done in range(6)]
    shares = [rate / usual for rate, usual in zip(rates, plain, strict=True)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_a_step_at_nnunets_momentum_is_nnunets() -> None:
    assert Step(0.003, 0.99).sgd_rate == pytest.approx(0.003)
