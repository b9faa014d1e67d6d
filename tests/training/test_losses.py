import pytest
import torch

from napari_unet_mic.training.losses import (
    deep_supervision_loss,
    dice_ce_loss,
    downsample_target,
    soft_dice,
    supervision_weights,
    whole_case_loss,
)


@pytest.fixture
def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 4, 6, 5, generator=generator)
    target = torch.randint(0, 3, (2, 4, 6, 5), generator=generator).to(torch.int16)
    return logits, target


@pytest.mark.parametrize(
    ("n", "weights"),
    [(1, (1,)), (2, (1, 0)), (3, (2 / 3, 1 / 3, 0)), (4, (4 / 7, 2 / 7, 1 / 7, 0))],
)
def test_supervision_weights_halve_and_leave_the_last_out(n: int, weights: tuple[float]) -> None:
    assert supervision_weights(n) == pytest.approx(weights)


@pytest.mark.parametrize("batch_dice", [True, False])
def test_loss_is_monai_dice_and_cross_entropy(
    example: tuple[torch.Tensor, torch.Tensor], batch_dice: bool
) -> None:
    losses = pytest.importorskip("monai.losses")
    logits, target = example
    dice = losses.DiceLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        smooth_nr=1e-5,
        smooth_dr=1e-5,
        batch=batch_dice,
    )(logits, target[:, None].long())
    expected = torch.nn.functional.cross_entropy(logits, target.long()) + dice - 1
    found = dice_ce_loss(logits, target, batch_dice=batch_dice)
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_soft_dice_by_hand() -> None:
    p = torch.tensor([[[0.2, 0.6], [0.8, 0.4]]])  # (B=1, K=2, 2)
    target = torch.tensor([[1, 0]])
    found = soft_dice(p, target, valid=None, batch_dice=False)
    assert found.item() == pytest.approx(2 * 0.8 / (0.8 + 0.4 + 1), abs=1e-4)


def test_an_empty_reference_and_prediction_have_dice_one() -> None:
    p = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    found = soft_dice(p, torch.zeros(1, 2, dtype=torch.long), valid=None, batch_dice=True)
    assert found.item() == pytest.approx(1.0)


def test_ignored_voxels_count_in_neither_term(example: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = example
    target = target.clone()
    target[:, 2:] = 3
    other = logits.clone()
    other[:, :, 2:] += torch.randn(2, 3, 2, 6, 5)
    found = dice_ce_loss(logits, target, batch_dice=False, ignore_value=3)
    changed = dice_ce_loss(other, target, batch_dice=False, ignore_value=3)
    cut = dice_ce_loss(logits[:, :, :2], target[:, :2], batch_dice=False)
    assert found.item() == pytest.approx(changed.item(), abs=1e-6)
    assert found.item() == pytest.approx(cut.item(), abs=1e-6)


def test_a_batch_of_ignored_voxels_has_a_finite_loss() -> None:
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    loss = dice_ce_loss(logits, torch.full((1, 3), 2), batch_dice=False, ignore_value=2)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert not logits.grad.any()


def test_targets_are_taken_at_the_centres_of_coarse_voxels() -> None:
    target = torch.arange(2 * 8).reshape(1, 2, 8)
    small = downsample_target(target, (2, 4))
    assert small.tolist() == [[[1, 3, 5, 7], [9, 11, 13, 15]]]
    nearest = torch.nn.functional.interpolate(
        target[None].float(), size=(2, 4), mode="nearest-exact"
    )
    assert torch.equal(nearest[0].long(), small)


def test_deep_supervision_weighs_the_outputs(example: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = example
    half = torch.nn.functional.avg_pool3d(logits, (2, 2, 1))
    quarter = half[:, :, :1] * torch.nan  # weight 0: not even looked at
    found = deep_supervision_loss([logits, half, quarter], target, batch_dice=True)
    fine = dice_ce_loss(logits, target, batch_dice=True)
    coarse = dice_ce_loss(half, downsample_target(target, half.shape[2:]), batch_dice=True)
    assert found.item() == pytest.approx((2 * fine + coarse).item() / 3, abs=1e-6)


@pytest.mark.parametrize("ignore", [None, 2], ids=["all", "ignore"])
def test_a_whole_case_has_the_loss_of_a_batch_of_one(
    example: tuple[torch.Tensor, torch.Tensor], ignore: int | None
) -> None:
    logits, target = example
    if ignore is not None:
        logits = logits[:, :2]
    expected = dice_ce_loss(logits[:1], target[:1], batch_dice=False, ignore_value=ignore)
    found = whole_case_loss(logits[0], target[0], ignore_value=ignore, slab=3)
    assert found == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("ignore", [None, 2], ids=["all", "ignored"])
def test_class_weights_are_those_of_torchs_cross_entropy(
    example: tuple[torch.Tensor, torch.Tensor], ignore: int | None
) -> None:
    logits, target = example
    weights = torch.tensor([1.0, 2.5, 0.5])
    loss = dice_ce_loss(logits, target, batch_dice=True, ignore_value=ignore, class_weights=weights)
    plain = dice_ce_loss(logits, target, batch_dice=True, ignore_value=ignore)
    options = {} if ignore is None else {"ignore_index": ignore}
    entropy = torch.nn.functional.cross_entropy
    heavy = entropy(logits, target.long(), weight=weights, **options)
    light = entropy(logits, target.long(), **options)
    assert float(loss - plain) == pytest.approx(float(heavy - light), abs=1e-6)


def test_a_batch_of_weightless_classes_has_no_cross_entropy() -> None:
    logits = torch.zeros(1, 2, 2, 2, 2)
    target = torch.zeros(1, 2, 2, 2)
    loss = dice_ce_loss(logits, target, batch_dice=True, class_weights=torch.tensor([0.0, 1.0]))
    assert float(loss) == pytest.approx(0.0, abs=1e-4)
