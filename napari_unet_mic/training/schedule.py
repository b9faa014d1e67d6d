"""Learning rate and momentum of every iteration of a run.

Where it departs from nnU-Net, which keeps the momentum at 0.99 and steps the rate down once an
epoch, it is for the beginning and for short runs; benchmarks/plateau.py measures both.

- With a momentum of 0.99 the first gradients, which all say "background", are carried on for a
  hundred iterations, and the network stays where everything is background. Here the momentum
  rises from 0.9 to 0.99 within the first five thousand iterations. The rate is raised accordingly,
  so that a gradient comes to the same step in the end.
- A run of no more iterations than these that lowers its rate from the start never learns at the
  full one. It keeps the rate and lowers it in its last part; a longer run follows nnU-Net's curve.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet_mic.training.settings import RunSettings

MOMENTUM, POLY_EXPONENT = 0.99, 0.9
FIRST_MOMENTUM, EARLY = 0.9, 5000  # iterations
LAST_PART = 0.4  # of a run that is not longer than these


@dataclass(frozen=True)
class Step:
    """One iteration's `rate`, as nnU-Net counts it (at a momentum of 0.99), and what SGD gets."""

    rate: float
    momentum: float

    @property
    def sgd_rate(self) -> float:
        """The rate at this step's momentum: all of a gradient's steps add up to the same."""
        return self.rate * (1 - self.momentum) / (1 - MOMENTUM)


def step_of(settings: RunSettings, done: int) -> Step:
    """Return the step after `done` iterations of a run."""
    total = settings.epochs * settings.iterations_per_epoch
    left = 1 - done / total
    share: float = min(1.0, left / LAST_PART) if total <= EARLY else left**POLY_EXPONENT
    if done < settings.warm_up_iterations:
        share *= (done + 1) / settings.warm_up_iterations
    return Step(settings.learning_rate * share, _momentum(done))


def _momentum(done: int) -> float:
    """Return the momentum whose memory, 1 / (1 - momentum) iterations, grows steadily."""
    first, last = 1 / (1 - FIRST_MOMENTUM), 1 / (1 - MOMENTUM)
    return 1 - 1 / (first + (last - first) * min(1.0, done / EARLY))
