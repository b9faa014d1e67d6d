"""Sides: which cases train, which validate in which fold, and which are the test set.

A dataset and its folds enter; for two or more cases it leaves where they are on both sides
of a split, as numbers and as a phrase.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from .dataset import Dataset
from .splits import Splits


@dataclass(frozen=True)
class Apart:
    """Where some cases are on both sides.

    Attributes
    ----------
    folds
        Numbers of the folds in which one trains and another validates.
    test
        Whether one is held out for the test while another trains.
    """

    folds: tuple[int, ...] = ()
    test: bool = False

    def __bool__(self) -> bool:
        return bool(self.folds) or self.test

    @property
    def phrase(self) -> str:
        """Such as ``in training and test``, ``on both sides of folds 0, 3``; may be empty."""
        parts = ["in training and test"] if self.test else []
        if self.folds:
            word = "fold" if len(self.folds) == 1 else "folds"
            parts.append(f"on both sides of {word} {', '.join(str(n) for n in self.folds)}")
        return " and ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return it as evidence of a finding."""
        return {"folds": list(self.folds), "test": self.test}


class Sides:
    """The sides of a dataset's cases.

    Parameters
    ----------
    splits
        The folds; empty when there are none (fewer than five cases).
    """

    def __init__(self, dataset: Dataset, splits: Splits) -> None:
        self.splits = splits
        self._test = {case.name for case in dataset.test}
        self._training = {case.name for case in dataset.training}
        self._folds = [
            (set(fold["train"]) - self._test, set(fold["val"]) - self._test) for fold in splits
        ]

    def apart(self, names: Iterable[str]) -> Apart:
        """Return where these cases are on both sides."""
        chosen = set(names)
        return Apart(
            folds=tuple(
                number
                for number, (train, validation) in enumerate(self._folds)
                if chosen & train and chosen & validation
            ),
            test=bool(chosen & self._test) and bool(chosen & self._training),
        )

    def role(self, name: str) -> str:
        """Return ``test``, ``train``, or ``unlabelled``."""
        if name in self._test:
            return "test"
        return "train" if name in self._training else "unlabelled"

    def with_partner_in_training(self, fold: int, groups: Collection[Collection[str]]) -> list[str]:
        """Return the validation cases of a fold that have a case of their group in training."""
        train, validation = self._folds[fold]
        partners = {name for group in groups if not train.isdisjoint(group) for name in group}
        return sorted(validation & partners)
