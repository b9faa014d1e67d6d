"""Folds: which training cases a network learns from and which validate it.

In come case names, out come five folds, exactly nnU-Net's, or folds that keep a patient's
cases together; ``splits_final.json`` is nnU-Net's own file. The held-out test set never
enters here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import BadInput, UnreadableFile
from .files import read_json, write_json

Fold = int | Literal["all"]
Splits = list[dict[str, list[str]]]

N_FOLDS = 5
_SEED = 12345


def five_folds(names: Sequence[str]) -> Splits:
    """Return nnU-Net's five folds of these cases.

    Returns
    -------
    list
        Five records ``{"train": [...], "val": [...]}``, names sorted within each.

    Raises
    ------
    BadInput
        When there are fewer than five cases.

    Notes
    -----
    nnU-Net's rule (``utilities/crossval_split.py``): scikit-learn's
    ``KFold(5, shuffle=True, random_state=12345)`` over the sorted names, which shuffles
    ``arange(n)`` with ``RandomState(12345)`` and cuts it into five runs, the first
    ``n % 5`` of them one longer.
    """
    ordered = sorted(names)
    if len(ordered) < N_FOLDS:
        raise BadInput(
            "folds",
            expected=f"at least {N_FOLDS} labelled training cases",
            got=f"{len(ordered)}",
            advice="only `--fold all` is possible (train and validate on every case)",
        )
    indices = np.arange(len(ordered))
    np.random.RandomState(_SEED).shuffle(indices)
    folds: Splits = []
    for held in np.array_split(indices, N_FOLDS):
        validation = set(held.tolist())
        folds.append(
            {
                "train": [name for i, name in enumerate(ordered) if i not in validation],
                "val": [name for i, name in enumerate(ordered) if i in validation],
            }
        )
    return folds


def grouped_folds(
    names: Sequence[str], groups: Iterable[Sequence[str]], base: Splits | None = None
) -> Splits:
    """Return five folds in which the cases of one group stay together.

    Parameters
    ----------
    names
        The training cases; those of no group stand alone, and groups may name others.
    base
        The folds to stay near to; nnU-Net's five when left out.

    Raises
    ------
    BadInput
        When there are fewer than five groups.

    Notes
    -----
    Every group goes to the fold in which most of its cases validate in `base`, unless that
    would make the fold larger than a fifth of the cases, rounded up; then to the emptiest.
    Large groups choose first. So the folds are the same at every call, nearly of one size,
    and as near to nnU-Net's as grouping allows: without groups they are nnU-Net's.
    """
    wanted = set(names)
    together = [sorted(wanted & set(group)) for group in groups]
    grouped = {name for group in together for name in group}
    together = [group for group in together if group] + [[n] for n in sorted(wanted - grouped)]
    if len(together) < N_FOLDS:
        raise BadInput(
            "folds",
            expected=f"training cases of at least {N_FOLDS} patients",
            got=f"{len(together)}",
            advice="only `--fold all` is possible (train and validate on every case)",
        )
    before = base if base is not None else five_folds(names)
    home = {name: k for k, fold in enumerate(before) for name in fold["val"] if name in wanted}
    n_folds = len(before)
    room = -(-len(wanted) // n_folds)
    held: list[list[str]] = [[] for _ in range(n_folds)]
    for group in sorted(together, key=lambda group: (-len(group), group)):
        votes = [sum(home.get(name) == k for name in group) for k in range(n_folds)]
        fitting = [k for k in range(n_folds) if len(held[k]) + len(group) <= room]
        if fitting and max(votes[k] for k in fitting) > 0:
            chosen = max(fitting, key=lambda k: (votes[k], -len(held[k]), -k))
        else:
            chosen = min(range(n_folds), key=lambda k: (len(held[k]), k))
        held[chosen] += group
    return [
        {"train": sorted(wanted - set(validation)), "val": sorted(validation)}
        for validation in held
    ]


def read_splits(file: str | Path) -> Splits:
    """Read a splits_final.json.

    Raises
    ------
    UnreadableFile
        When it cannot be read, or is no list of ``{"train": [...], "val": [...]}``.
    """
    content = read_json(file)
    folds = content if isinstance(content, list) else []
    if not folds or not all(_is_fold(fold) for fold in folds):
        raise UnreadableFile(
            file,
            expected='a list of folds {"train": [names], "val": [names]}',
            got="something else",
            advice="use nnU-Net's splits_final.json, or let the workspace make its own",
        )
    return [{"train": list(fold["train"]), "val": list(fold["val"])} for fold in folds]


def _is_fold(fold: object) -> bool:
    return isinstance(fold, dict) and all(
        isinstance(fold.get(part), list) and all(isinstance(name, str) for name in fold[part])
        for part in ("train", "val")
    )


def write_splits(file: str | Path, splits: Splits) -> None:
    """Write folds as nnU-Net's splits_final.json."""
    write_json(file, splits)


def fold_cases(
    splits: Splits, fold: Fold, names: Collection[str], *, held_out: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the training and validation cases of a fold.

    Parameters
    ----------
    names
        The dataset's training cases.
    held_out
        The test set: published folds may name its cases, which are left out here.

    Returns
    -------
    train, validation
        For ``"all"`` both are every case, as in nnU-Net.

    Raises
    ------
    BadInput
        When there is no such fold, it names a case that is neither a training case nor
        held out, or nothing is left to train on.
    """
    if fold == "all":
        return sorted(names), sorted(names)
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < len(splits):
        raise BadInput(
            f"fold {fold}",
            expected=f"a fold from 0 to {len(splits) - 1}, or `all`",
            got=f"{fold}",
            advice="choose one of them",
        )
    known, test = set(names), set(held_out)
    parts: list[list[str]] = []
    for part in ("train", "val"):
        chosen = [name for name in splits[fold][part] if name not in test]
        for name in chosen:
            if name not in known:
                raise BadInput(
                    f"fold {fold}",
                    expected="only training cases of the dataset",
                    got=f"{name} in its {part} list",
                    advice="correct the splits file, or add the case",
                )
        parts.append(chosen)
    train, validation = parts
    if not train:
        raise BadInput(
            f"fold {fold}",
            expected="at least one case to train on",
            got="none",
            advice="correct the splits file or the test set",
        )
    return train, validation
