"""Poolings, kernels and feature-map costs on sizes that fit on a sheet of paper."""

import pytest

from napari_unet_mic.planning.stages import divide_stages, feature_map_cost, stage_sizes


def test_isotropic_cube() -> None:
    stages = divide_stages([1, 1, 1], [40, 56, 40])
    assert stages.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    assert stages.kernels == ((3, 3, 3),) * 4
    assert stages.patch == (40, 56, 40)
    assert stages.divisors == (8, 8, 8)
    assert (stages.n_stages, stages.poolings) == (4, (3, 3, 3))


def test_coarse_axis_waits_until_the_others_caught_up() -> None:
    stages = divide_stages([3.6, 0.625, 0.625], [20, 320, 256])
    assert stages.strides == (
        (1, 1, 1),
        (1, 2, 2),
        (1, 2, 2),
        (2, 2, 2),
        (2, 2, 2),
        (1, 2, 2),
        (1, 2, 2),
    )
    assert stages.kernels[:3] == ((1, 3, 3), (1, 3, 3), (3, 3, 3))
    assert stages.kernels[-1] == (3, 3, 3)


@pytest.mark.parametrize(("size", "poolings"), [(11, 0), (12, 1), (24, 2)])
def test_a_lone_axis_needs_three_times_four_voxels(size: int, poolings: int) -> None:
    assert divide_stages([1, 1], [6, size]).poolings == (0, poolings)


def test_patch_is_padded_and_may_be_half_a_voxel() -> None:
    assert divide_stages([1, 1, 1], [35.5, 50, 35]).patch == (40, 56, 40)
    assert divide_stages([9, 1, 1], [5.5, 64, 64]).patch[0] == 6


def test_stage_sizes() -> None:
    assert stage_sizes((20, 64, 64), ((1, 1, 1), (1, 2, 2), (2, 2, 2))) == (
        (20, 64, 64),
        (20, 32, 32),
        (10, 16, 16),
    )


def test_cost_of_a_plain_network_by_hand() -> None:
    # stage 0: 8x8, 2 features; stage 1: 4x4, 4 features; 3 classes
    encoder = 2 * (2 * 64) + 2 * (4 * 16)
    decoder = (2 + 1) * (2 * 64) + 3 * 64
    cost = feature_map_cost((8, 8), ((1, 1), (2, 2)), (2, 4), (2, 2), (2,), 3, residual=False)
    assert cost == encoder + decoder


def test_cost_of_a_residual_network_by_hand() -> None:
    # stem and one block without a skip convolution; one block with; decoder of one convolution
    encoder = 2 * 64 + 2 * (2 * 64) + 3 * (4 * 16)
    decoder = (1 + 1) * (2 * 64) + 3 * 64
    cost = feature_map_cost((8, 8), ((1, 1), (2, 2)), (2, 4), (1, 1), (1,), 3, residual=True)
    assert cost == encoder + decoder


def test_deep_supervision_adds_an_output_at_every_decoder_step() -> None:
    arguments = ((8, 8), ((1, 1), (2, 2), (2, 2)), (2, 4, 8), (2, 2, 2), (2, 2), 3)
    plain = feature_map_cost(*arguments, residual=False)
    deep = feature_map_cost(*arguments, residual=False, deep_supervision=True)
    assert deep - plain == 3 * 16
