from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_unet_mic.errors import BadInput
from napari_unet_mic.training.augment import Recipe
from napari_unet_mic.training.patches import (
    TRAINING,
    VALIDATION,
    PatchSampler,
    ahead,
    central,
    components_of,
)


class Cases:
    """Two cases in memory; class 2 is one voxel of case a, case b has no foreground."""

    def __init__(self) -> None:
        self.labels = {n: np.zeros((10, 12, 9), np.int16) for n in ("a", "b")}
        self.labels["a"][7, 9, 6] = 2
        self.images = {
            n: np.random.default_rng(i).normal(size=(2, 10, 12, 9)).astype(np.float32)
            for i, n in enumerate(self.labels)
        }

    def shape(self, name: str) -> tuple[int, ...]:
        return self.labels[name].shape

    def read_patch(
        self, name: str, lower: Sequence[int], upper: Sequence[int]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        pad = 64
        box = tuple(slice(low + pad, up + pad) for low, up in zip(lower, upper, strict=True))
        image = np.pad(self.images[name], [(0, 0), *[(pad, pad)] * 3])[(slice(None), *box)]
        label = np.pad(self.labels[name], pad, constant_values=-1)[box]
        return image.copy(), label.copy()

    def foreground_locations(self, name: str) -> dict[int, NDArray[Any]]:
        return {v: np.argwhere(self.labels[name] == v) for v in (1, 2)}


def sampler(names: tuple[str, ...] = ("a", "b"), **options: Any) -> PatchSampler:
    given = {"batch_size": 3, "recipe": Recipe.for_patch((6, 8, 6)), "seed": 5, **options}
    return PatchSampler(Cases(), names, **given)


def test_a_batch_depends_on_its_iteration_alone() -> None:
    straight = [sampler().batch(i) for i in range(4)]
    again = sampler()
    for i in (3, 1, 2, 0):
        batch = again.batch(i)
        assert torch.equal(batch.images, straight[i].images)
        assert torch.equal(batch.labels, straight[i].labels)
        assert batch.names == straight[i].names
    assert not torch.equal(straight[0].images, straight[1].images)


def test_seeds_and_streams_differ() -> None:
    first = sampler().batch(0).images
    assert not torch.equal(first, sampler(seed=6).batch(0).images)
    assert not torch.equal(first, sampler(stream=VALIDATION).batch(0).images)
    assert torch.equal(first, sampler(stream=TRAINING).batch(0).images)


def test_shapes_and_types() -> None:
    batch = sampler().batch(0)
    assert batch.images.shape == (3, 2, 6, 8, 6)
    assert batch.images.dtype == torch.float32
    assert batch.labels.shape == (3, 6, 8, 6)
    assert int(batch.labels.min()) >= 0


def test_a_two_dimensional_patch_has_two_axes() -> None:
    batch = sampler(recipe=Recipe.for_patch((8, 6))).batch(1)
    assert batch.images.shape == (3, 2, 8, 6)
    assert batch.labels.shape == (3, 8, 6)


@pytest.mark.parametrize(
    ("batch_size", "forced"),
    [(2, [False, True]), (3, [False, False, True]), (9, [False] * 6 + [True] * 3)],
)
def test_the_last_third_is_forced_to_foreground(batch_size: int, forced: list[bool]) -> None:
    made = sampler(batch_size=batch_size)
    assert [i >= made.first_forced for i in range(batch_size)] == forced


def test_forced_samples_hold_the_rarest_class() -> None:
    made = sampler(("a",), augment=False, batch_size=2)
    for iteration in range(20):
        assert 2 in made.batch(iteration).labels[1]
    unforced = [2 in made.batch(i).labels[0] for i in range(20)]
    assert not all(unforced)


def test_a_case_without_foreground_is_drawn_anywhere() -> None:
    made = sampler(("b",), augment=False, batch_size=2)
    assert not made.batch(0).labels.any()


def test_places_reach_the_border_and_no_further() -> None:
    made = sampler(("b",), augment=False)
    rng = np.random.default_rng(0)
    places = np.array([made.place("b", rng, forced=False) for _ in range(500)])
    assert places.min(0).tolist() == [0, 0, 0]
    assert places.max(0).tolist() == [4, 4, 3]


def test_a_case_smaller_than_the_patch_is_padded() -> None:
    made = sampler(("b",), augment=False, recipe=Recipe.for_patch((16, 16, 16)))
    batch = made.batch(0)
    assert batch.images.shape[2:] == (16, 16, 16)
    assert float(batch.images[0].abs().sum()) == pytest.approx(
        float(np.abs(Cases().images["b"]).sum()), rel=1e-4
    )


def test_the_centre_of_the_initial_patch() -> None:
    assert central((-2, 0, 5), (9, 8, 7), (4, 8, 3)) == (0, 0, 7)


def test_batches_made_ahead_come_in_order() -> None:
    made = sampler()
    plain = [b.images for b in ahead(made, range(5), threads=0)]
    threaded = [b.images for b in ahead(made, range(5), threads=2, depth=2)]
    assert len(plain) == len(threaded) == 5
    assert all(torch.equal(a, b) for a, b in zip(plain, threaded, strict=True))


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    made = sampler(("missing",))
    with pytest.raises(KeyError, match="missing"):
        list(ahead(made, range(3), threads=2))


def test_no_cases_is_an_error() -> None:
    with pytest.raises(BadInput, match="at least one"):
        sampler(())


def test_components_are_found_with_their_voxels() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True  # touch by a corner
    mask[4:6, 4:6, 4:6] = True
    found = components_of(mask)
    assert [len(part) for part in found] == [2, 8]
    assert found[0].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert components_of(np.zeros((2, 2, 2), bool)) == []


def test_a_small_component_is_a_centre_as_often_as_a_large_one() -> None:
    def small_share(focus: int | None) -> float:
        cases = Cases()
        cases.labels["a"][:, :, :] = 0
        cases.labels["a"][0:4, 0:6, 0:5] = 1  # 120 voxels
        cases.labels["a"][8, 10, 7] = 1
        recipe = Recipe.for_patch((2, 2, 2))
        one = PatchSampler(cases, ("a",), batch_size=1, recipe=recipe, seed=1, focus=focus)
        rng = np.random.default_rng(0)
        centres = [one._centre("a", rng, forced=True) for _ in range(300)]
        return sum(centre is not None and centre[0] == 8 for centre in centres) / 300

    assert small_share(None) < 0.05
    assert 0.4 < small_share(1) < 0.6


def test_a_case_without_the_focus_class_is_as_ever() -> None:
    with_focus, plain = sampler(("a",), focus=1), sampler(("a",))
    assert torch.equal(with_focus.batch(0).images, plain.batch(0).images)
