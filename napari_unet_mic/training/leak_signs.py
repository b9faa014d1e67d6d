"""Losses suspiciously close: does a run do as well on its validation cases as on its own?

A finished run enters; a `LossComparison` leaves. The plain curves do not tell, since training
patches are augmented and validation patches are not: here both are taken plain, from the
same weights, case by case. A network that has looked at every training case often knows them
better than others; one that does not may have met its validation cases in training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from napari_unet_mic.data.findings import Finding, found
from napari_unet_mic.errors import BadInput, Cancelled
from napari_unet_mic.inference.precision import choose_device
from napari_unet_mic.network import checkpoint
from napari_unet_mic.network.build import build_network
from napari_unet_mic.preprocessing.store import PreparedStore
from napari_unet_mic.training.augment import Recipe
from napari_unet_mic.training.losses import dice_ce_loss
from napari_unet_mic.training.patches import PatchSampler
from napari_unet_mic.training.prepare import Materials, prepare
from napari_unet_mic.training.run import Run

Verdict = Literal["apart", "too close", "cannot tell"]

MOST_CASES = 40
PATCHES = 4
FEWEST_VIEWS = 50.0
"""How often a network must have looked at each training case to know it by heart."""
FEWEST_KNOWN = 3
EXPECTED_RATIO = 1.3
"""Errors on unseen cases are expected to be larger by this factor, or more."""
_CONFIDENT = 1.645  # one side, 95 %
_STREAM = 2  # neither training's nor validation's patches


@dataclass(frozen=True)
class LossComparison:
    """Losses on plain patches, case by case.

    Attributes
    ----------
    training, validation
        Case to loss (cross entropy minus soft Dice; -1 is perfect).
    views
        How many patches of each training case the run has learned from.
    ratio, at_most
        Error on validation over error on training cases (geometric means of loss + 1), and
        what it is at most with 95 % confidence.
    known
        The validation cases that have a case of their patient, or their image, in training.
    """

    training: dict[str, float]
    validation: dict[str, float]
    views: float
    ratio: float
    at_most: float
    verdict: Verdict
    known: tuple[str, ...] = ()

    @property
    def known_do_better(self) -> bool:
        """Whether validation cases with a partner in training have the smaller errors (95 %)."""
        known = [loss for name, loss in self.validation.items() if name in self.known]
        others = [loss for name, loss in self.validation.items() if name not in self.known]
        if min(len(known), len(others)) < FEWEST_KNOWN or self.views < FEWEST_VIEWS:
            return False
        ours, theirs = _logs(known), _logs(others)
        return float(theirs.mean() - ours.mean()) > _CONFIDENT * _error(ours, theirs)

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        if self.known_do_better:
            known = [loss for name, loss in self.validation.items() if name in self.known]
            others = [loss for name, loss in self.validation.items() if name not in self.known]
            return (
                f"loss {np.mean(known):.3f} on the {len(known)} validation cases whose patient or "
                f"image is in training, {np.mean(others):.3f} on the {len(others)} others: the "
                "network knows them"
            )
        return self._overall

    @property
    def _overall(self) -> str:
        means = [float(np.mean(list(part.values()))) for part in (self.training, self.validation)]
        figures = (
            f"loss {means[0]:.3f} on plain training patches, {means[1]:.3f} on validation patches"
        )
        if self.verdict == "too close":
            return f"{figures}: suspiciously close after {self.views:.0f} looks at every case"
        if self.verdict == "apart":
            return f"{figures}: apart, as they should be"
        if self.views < FEWEST_VIEWS:
            return f"{figures}: too early to tell ({self.views:.0f} looks at every case)"
        return f"{figures}: too few cases to tell"

    def to_json(self) -> dict[str, Any]:
        """Return it as `unet-mic check --run … --json` prints it."""
        return {
            "verdict": self.verdict,
            "views": round(self.views, 1),
            "ratio": round(self.ratio, 4),
            "at_most": round(self.at_most, 4),
            "known": list(self.known),
            "known_do_better": self.known_do_better,
            "training": {name: round(loss, 5) for name, loss in self.training.items()},
            "validation": {name: round(loss, 5) for name, loss in self.validation.items()},
        }

    def findings(self, run: Run) -> list[Finding]:
        """Return the finding of losses that are too close, or none."""
        if self.verdict != "too close" and not self.known_do_better:
            return []
        expected = (
            f"errors on validation cases {EXPECTED_RATIO:g} times those on training cases, or more"
        )
        got = f"{self.ratio:.2f} times, with 95 % confidence at most {self.at_most:.2f}"
        if self.known_do_better:
            expected, got = "validation cases that are equally new to the network", "some it knows"
        return [
            found(
                "losses-too-close",
                file=run.run_file,
                expected=expected,
                got=f"{got}: {self.sentence}",
                related=self.known if self.known_do_better else (),
                evidence={"ratio": round(self.ratio, 4), "at_most": round(self.at_most, 4)},
            )
        ]


def compare_losses(
    training: dict[str, float],
    validation: dict[str, float],
    *,
    views: float,
    known: Sequence[str] = (),
) -> LossComparison:
    """Judge the losses of training and validation cases.

    Parameters
    ----------
    known
        The validation cases that have a case of their patient, or their image, in training.

    Notes
    -----
    Welch's comparison of the means of log(loss + 1). *Too close*: a ratio of
    `EXPECTED_RATIO` is excluded with 95 % confidence. *Apart*: a ratio of 1 is. Before
    `FEWEST_VIEWS` nothing is said, since a network that has not learned its cases by heart is as
    good on others.
    """
    ours, theirs = (_logs(list(part.values())) for part in (training, validation))
    gap, error = float(theirs.mean() - ours.mean()), _error(ours, theirs)
    high, low = gap + _CONFIDENT * error, gap - _CONFIDENT * error
    verdict: Verdict = "cannot tell"
    if views >= FEWEST_VIEWS:
        if high < math.log(EXPECTED_RATIO):
            verdict = "too close"
        elif low > 0:
            verdict = "apart"
    return LossComparison(
        training, validation, views, math.exp(gap), math.exp(high), verdict, tuple(known)
    )


def _logs(losses: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.log(np.maximum(np.array(losses, dtype=np.float64) + 1, 1e-6))


def _error(*parts: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Return the standard error of a difference of means; infinite for fewer than two."""
    if min(len(part) for part in parts) < 2:
        return math.inf
    return math.sqrt(sum(float(part.var(ddof=1)) / len(part) for part in parts))


def measure_run(
    run: Run,
    groups: Sequence[Sequence[str]] = (),
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> LossComparison:
    """Compute a run's losses on plain patches of its own and of its validation cases.

    At most forty cases of each, four patches a case, all holding foreground.

    Parameters
    ----------
    groups
        Cases of one patient, or with one image, as a check found them.

    Raises
    ------
    BadInput
        When the run has no final checkpoint, or holds no validation cases out.
    Cancelled
        `should_stop` said so.
    """
    final = run.checkpoint("final")
    if run.settings.fold in ("all", "each") or not final.is_file():
        got = f"fold {run.settings.fold}" if run.settings.fold in ("all", "each") else "none yet"
        raise BadInput(
            run.folder,
            expected="a finished run with validation cases of its own",
            got=got,
            advice="choose a run of a fold that has ended",
        )
    materials = prepare(run.settings, lambda _: None, should_stop)
    place, _ = choose_device(device)
    loss_of = _Losses(run, materials, place)
    chosen = [_chosen(names) for names in (materials.training, materials.validation)]
    total = sum(len(names) for names in chosen)
    losses: list[dict[str, float]] = []
    for names in chosen:
        part: dict[str, float] = {}
        for name in names:
            if should_stop():
                raise Cancelled("the comparison of losses")
            part[name] = loss_of(name)
            progress(sum(len(p) for p in losses) + len(part), total)
        losses.append(part)
    settings = run.settings
    patches = settings.epochs * settings.iterations_per_epoch * materials.configuration.batch_size
    trained = set(materials.training)
    partners = {name for group in groups if not trained.isdisjoint(group) for name in group}
    known = [name for name in losses[1] if name in partners]
    return compare_losses(*losses, views=patches / len(trained), known=known)


def _chosen(names: Sequence[str]) -> list[str]:
    """Choose at most `MOST_CASES`, spread over the sorted names."""
    ordered = sorted(names)
    places = np.linspace(0, len(ordered) - 1, min(MOST_CASES, len(ordered)))
    return [ordered[int(place)] for place in np.unique(places.astype(int))]


class _Losses:
    """The loss of a run's final network on plain patches of one case."""

    def __init__(self, run: Run, materials: Materials, device: torch.device) -> None:
        configuration, dataset = materials.configuration, materials.dataset
        self._materials, self._device = materials, device
        network = build_network(configuration, len(dataset.channel_names), len(dataset.classes))
        file = run.checkpoint("final")
        checkpoint.load_weights(network, checkpoint.load(file), configuration, file=file)
        self._network = network.to(device).eval()
        self._store = PreparedStore(materials.preprocessed)
        self._recipe = Recipe.for_patch(configuration.patch_size, configuration.use_mask_for_norm)

    @torch.no_grad()
    def __call__(self, name: str) -> float:
        sampler = PatchSampler(
            self._store,
            (name,),
            batch_size=PATCHES,
            recipe=self._recipe,
            seed=0,
            stream=_STREAM,
            oversampling=1.0,
            augment=False,
            ignore_value=self._materials.dataset.ignore_value,
        )
        batch = sampler.batch(0)
        outputs = self._network(batch.images.to(self._device))  # (B, K, *patch), finest first
        finest = outputs[0] if isinstance(outputs, list | tuple) else outputs
        loss = dice_ce_loss(
            finest,
            batch.labels.to(self._device),
            batch_dice=True,
            ignore_value=self._materials.dataset.ignore_value,
        )
        return float(loss)
