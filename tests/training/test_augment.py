import math

import numpy as np
import pytest
import torch

from napari_unet_mic.training import augment
from napari_unet_mic.training.augment import Recipe, resample, rotation_matrix


def ramp(*shape: int) -> torch.Tensor:
    return torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)


@pytest.mark.parametrize(
    ("patch", "initial", "in_plane", "degrees"),
    [
        ((40, 56, 40), (73, 80, 64), False, 30),
        ((128, 128, 128), (205, 205, 205), False, 30),
        ((20, 320, 256), (20, 376, 376), True, 180),
        ((256, 256), (1, 301, 301), True, 180),
        ((320, 192), (1, 422, 225), True, 15),
    ],
    ids=["hippocampus", "isotropic", "anisotropic", "2d", "2d-long"],
)
def test_recipe_follows_the_patch(
    patch: tuple[int, ...], initial: tuple[int, ...], in_plane: bool, degrees: int
) -> None:
    # sizes from nnunetv2 2.8.1, compute_initial_patch_size.get_patch_size
    recipe = Recipe.for_patch(patch)
    assert recipe.initial_patch_size == initial
    assert recipe.in_plane is in_plane
    assert math.degrees(recipe.rotation) == pytest.approx(degrees)
    assert recipe.mirror_axes == ((1, 2) if len(patch) == 2 else (0, 1, 2))


@pytest.mark.parametrize("in_plane", [True, False], ids=["in-plane", "3-d"])
def test_the_identity_takes_the_centre(in_plane: bool) -> None:
    image, labels = ramp(2, 4, 8, 6), torch.randint(0, 3, (4, 8, 6)).to(torch.int16)
    size = (4, 4, 4)
    found, found_labels = resample(image, labels, np.eye(3), size, in_plane=in_plane)
    assert torch.allclose(found, image[:, :, 2:6, 1:5], atol=1e-3)
    assert torch.equal(found_labels, labels[:, 2:6, 1:5])


@pytest.mark.parametrize("in_plane", [True, False], ids=["in-plane", "3-d"])
def test_a_quarter_turn_about_z_turns_y_and_x(in_plane: bool) -> None:
    image, labels = ramp(1, 2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int16)
    labels[0, 0, 1] = 2
    quarter = rotation_matrix(math.pi / 2, 0, 0)
    found, found_labels = resample(image, labels, quarter, (2, 4, 4), in_plane=in_plane)
    assert torch.allclose(found, torch.rot90(image, -1, (2, 3)), atol=1e-3) or torch.allclose(
        found, torch.rot90(image, 1, (2, 3)), atol=1e-3
    )
    where = torch.nonzero(found[0] == image[0, 0, 0, 1])
    assert torch.nonzero(found_labels).tolist() == [[0, *where[0, 1:].tolist()]] or len(where) != 1
    assert int(found_labels.sum()) == 2


def test_rotations_are_proper() -> None:
    matrix = rotation_matrix(0.3, -0.2, 0.5)
    assert np.allclose(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_outside_is_minus_one_only_where_the_labels_know_it() -> None:
    image, labels = torch.ones(1, 4, 4, 4), torch.ones(4, 4, 4, dtype=torch.int16)
    _, found = resample(image, labels, np.eye(3) * 3, (4, 4, 4), in_plane=False)
    assert set(found.unique().tolist()) == {0, 1}
    labels[0] = -1
    _, found = resample(image, labels, np.eye(3) * 3, (4, 4, 4), in_plane=False)
    assert set(found.unique().tolist()) == {-1, 1}


def test_resampling_empty_labels_gives_empty_labels() -> None:
    labels = torch.zeros(4, 4, 4, dtype=torch.int16)
    _, found = resample(torch.ones(1, 4, 4, 4), labels, np.eye(3) * 1.3, (2, 2, 2), in_plane=False)
    assert found.shape == (2, 2, 2)
    assert not found.any()


@pytest.mark.parametrize("size", [(6, 8, 10), (1, 9, 7)], ids=["3-d", "2-d"])
def test_blurring_keeps_a_constant_and_the_shape(size: tuple[int, int, int]) -> None:
    found = augment.blur(torch.full(size, 3.0), np.array([0.6, 0.8, 1.0]), in_plane=size[0] == 1)
    assert torch.allclose(found, torch.full(size, 3.0), atol=1e-5)


def test_blurring_a_point_spreads_it_evenly() -> None:
    point = torch.zeros(1, 1, 9)
    point[0, 0, 4] = 1
    found = augment.blur(point, np.array([1.0, 1.0, 1.0]), in_plane=True)[0, 0]
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(found, found.flip(0))
    assert (found[4] / found[5]).item() == pytest.approx(math.exp(0.5), rel=1e-4)


def test_gamma_keeps_mean_and_deviation() -> None:
    values = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
    for invert in (True, False):
        found = augment.change_gamma(values.clone(), 1.4, invert=invert)
        assert found.mean().item() == pytest.approx(values.mean().item(), abs=1e-5)
        assert found.std().item() == pytest.approx(values.std().item(), abs=1e-4)
        assert not torch.allclose(found, values)


def test_a_constant_patch_survives_every_intensity_change() -> None:
    flat = torch.full((3, 4, 5), 2.0)
    assert torch.allclose(augment.change_gamma(flat.clone(), 0.8, invert=False), flat)
    assert torch.allclose(augment.change_contrast(flat.clone(), 1.2), flat)
    assert torch.allclose(augment.lower_resolution(flat.clone(), 0.5, in_plane=False), flat)


def test_contrast_stays_within_the_range() -> None:
    found = augment.change_contrast(torch.tensor([[[0.0, 1.0, 5.0]]]), 1.25)
    assert found.tolist() == [[[0.0, 0.75, 5.0]]]


def test_the_same_generator_gives_the_same_sample() -> None:
    recipe = Recipe.for_patch((8, 8, 8))
    results = []
    for _ in range(2):
        rng = np.random.default_rng(7)
        image = ramp(2, *recipe.initial_patch_size)
        labels = (image[0] % 3).to(torch.int16)
        results.append(recipe.apply(image, labels, np.eye(3) * 1.1, rng))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert results[0][0].shape == (2, 8, 8, 8)


def test_masked_channels_are_zero_outside_the_crop() -> None:
    recipe = Recipe.for_patch((4, 4, 4), use_mask_for_norm=(True, False))
    image, labels = torch.ones(2, 4, 4, 4), torch.ones(4, 4, 4, dtype=torch.int16)
    labels[:, :, 0] = -1
    for seed in range(8):
        found, found_labels = recipe.apply(
            image.clone(), labels.clone(), None, np.random.default_rng(seed)
        )
        assert int((found[0] == 0).sum()) >= 16
        assert int(found_labels.min()) == 0


def test_spatial_transforms_come_as_often_as_nnunet_draws_them() -> None:
    recipe = Recipe.for_patch((8, 8, 8))
    rng = np.random.default_rng(0)
    drawn = [recipe.draw_spatial(rng) is not None for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(1 - 0.8 * 0.8, abs=0.03)


def test_light_augmentation_moves_nothing_but_by_mirroring() -> None:
    recipe = Recipe.for_patch((8, 12, 10), light=True)
    assert recipe.initial_patch_size == recipe.patch_size == (8, 12, 10)
    labels = torch.zeros(8, 12, 10, dtype=torch.int16)
    labels[1, 2, 3] = 1
    places = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        assert recipe.draw_spatial(rng) is None
        image, moved = recipe.apply(ramp(1, 8, 12, 10) / 960, labels.clone(), None, rng)
        assert image.shape == (1, 8, 12, 10)
        assert int(moved.sum()) == 1
        at = tuple(int(i) for i in torch.nonzero(moved)[0])
        places.add(at)
        back = [axis for axis, (a, b) in enumerate(zip(at, (1, 2, 3), strict=True)) if a != b]
        change = image.flip([axis + 1 for axis in back]) - ramp(1, 8, 12, 10) / 960
        assert float(change.abs().mean()) < 0.12
    assert places == {(z, y, x) for z in (1, 6) for y in (2, 9) for x in (3, 6)}
