"""Soft Dice plus cross entropy, with deep supervision, as nnU-Net weighs them.

What enters: logits (B, K, *space) and targets (B, *space) of integers 0…K-1, or the ignore
value. Dice and cross entropy share one log-softmax, which is why this is not MONAI's
``DiceCELoss`` itself; the tests hold both together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

SMOOTH = 1e-5


def supervision_weights(n_outputs: int) -> tuple[float, ...]:
    """Return the weight of each deep-supervision output, the finest first.

    Notes
    -----
    nnU-Net: 2^-i, the last 0, normalised to sum 1. A single output has weight 1.
    """
    if n_outputs == 1:
        return (1.0,)
    weights = [0.5**i for i in range(n_outputs - 1)] + [0.0]
    return tuple(w / sum(weights) for w in weights)


def downsample_target(target: Tensor, shape: Sequence[int]) -> Tensor:
    """Take the target (B, *space) at a coarser output's `shape`: the voxel at each centre.

    Notes
    -----
    nnU-Net interpolates in mode ``nearest-exact``: output i takes input
    floor((i + 1/2) · size / shape).
    """
    for axis, (size, new) in enumerate(zip(target.shape[1:], shape, strict=True), start=1):
        if size != new:
            centres = (torch.arange(new, device=target.device) * 2 + 1) * size // (2 * new)
            target = target.index_select(axis, centres)
    return target


def dice_ce_loss(
    logits: Tensor,
    target: Tensor,
    *,
    batch_dice: bool,
    ignore_value: int | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return cross entropy minus mean soft Dice of the foreground classes.

    Parameters
    ----------
    logits
        (B, K, *space).
    target
        (B, *space), integers 0…K-1 or `ignore_value`.
    batch_dice
        Sum over the batch before dividing (one Dice per class) instead of averaging the
        Dice of each sample.
    ignore_value
        Voxels of this target value count in neither term.
    class_weights
        (K,): how much a voxel of each class counts in the cross entropy, whose mean is taken
        over the weights (torch's ``cross_entropy(weight=…)``); None weighs all alike.

    Notes
    -----
    nnU-Net's ``DC_and_CE_loss`` with ``MemoryEfficientSoftDiceLoss``: smooth 1e-5 in
    numerator and denominator, no background. A batch whose voxels are all ignored gives a
    cross entropy of 0.
    """
    log_p = functional.log_softmax(logits.float(), dim=1)  # (B, K, *space)
    target = target.long()
    valid = None
    if ignore_value is not None:
        valid = target != ignore_value  # (B, *space)
        target = torch.where(valid, target, 0)
    picked = log_p.gather(1, target[:, None])[:, 0]  # (B, *space)
    weights = None if valid is None else valid.float()
    if class_weights is not None:
        own = class_weights.to(target.device)[target]  # (B, *space)
        weights = own if weights is None else own * weights
    if weights is None:
        cross_entropy = -picked.mean()
    else:
        cross_entropy = -(picked * weights).sum() / weights.sum().clamp_min(1e-12)
    return cross_entropy - soft_dice(log_p.exp(), target, valid=valid, batch_dice=batch_dice)


def soft_dice(p: Tensor, target: Tensor, *, valid: Tensor | None, batch_dice: bool) -> Tensor:
    """Return the mean soft Dice over the foreground classes of probabilities (B, K, *space)."""
    intersect, predicted, reference = [], [], []
    space = tuple(range(1, target.ndim))
    for k in range(1, p.shape[1]):
        here = target == k
        p_k = p[:, k] if valid is None else p[:, k] * valid
        intersect.append((p_k * here).sum(space))
        predicted.append(p_k.sum(space))
        counted = here if valid is None else here & valid
        reference.append(counted.sum(space).float())
    sums = torch.stack([torch.stack(s) for s in (intersect, predicted, reference)])  # (3, K-1, B)
    if batch_dice:
        sums = sums.sum(-1, keepdim=True)
    dice: Tensor = (2 * sums[0] + SMOOTH) / (sums[1] + sums[2] + SMOOTH)
    return dice.mean()


def deep_supervision_loss(
    outputs: Sequence[Tensor],
    target: Tensor,
    *,
    batch_dice: bool,
    ignore_value: int | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the weighted loss over the outputs of a network, the finest first.

    Parameters
    ----------
    outputs
        Logits (B, K, *space / stride) per resolution.
    target
        (B, *space) at the finest resolution; coarser ones take the voxel at each centre.
    """
    total = outputs[0].new_zeros((), dtype=torch.float32)
    for logits, weight in zip(outputs, supervision_weights(len(outputs)), strict=True):
        if weight:
            at_scale = downsample_target(target, logits.shape[2:])
            total = total + weight * dice_ce_loss(
                logits,
                at_scale,
                batch_dice=batch_dice,
                ignore_value=ignore_value,
                class_weights=class_weights,
            )
    return total


def whole_case_loss(
    logits: Tensor, target: Tensor, *, ignore_value: int | None = None, slab: int = 32
) -> float:
    """Return the loss of one whole case from its logits (K, Z, Y, X) and labels (Z, Y, X).

    Works slab by slab along Z, so that no more than a slab of probabilities is held. The
    same formula as `dice_ce_loss` for a batch of one.
    """
    n_classes = logits.shape[0]
    sums = torch.zeros(3, n_classes - 1, dtype=torch.float64)
    negative, counted = 0.0, 0
    with torch.no_grad():
        for at in range(0, target.shape[0], slab):
            log_p = functional.log_softmax(logits[:, at : at + slab].float(), dim=0)
            here = target[at : at + slab].to(log_p.device).long()
            valid = torch.ones_like(here, dtype=torch.bool)
            if ignore_value is not None:
                valid = here != ignore_value
                here = torch.where(valid, here, 0)
            picked = log_p.gather(0, here[None])[0]
            negative -= float((picked * valid).sum(dtype=torch.float64))
            counted += int(valid.sum())
            for k in range(1, n_classes):
                p_k = log_p[k].exp() * valid
                of_class = (here == k) & valid
                sums[0, k - 1] += float((p_k * of_class).sum(dtype=torch.float64))
                sums[1, k - 1] += float(p_k.sum(dtype=torch.float64))
                sums[2, k - 1] += float(of_class.sum())
    dice = (2 * sums[0] + SMOOTH) / (sums[1] + sums[2] + SMOOTH)
    return negative / max(counted, 1) - float(dice.mean())
