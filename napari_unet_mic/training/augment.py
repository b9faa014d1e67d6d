"""nnU-Net's augmentation of one training sample, every draw from the generator handed in.

What enters: an image patch (C, Z, Y, X) float32 and its labels (Z, Y, X), -1 outside the
non-zero crop, as tensors on any device; for a spatial transform the patches are larger
than the network's (`Recipe.initial_patch_size`). What leaves: patches of the network's
size, labels without -1. The spatial transform is drawn first (`Recipe.draw_spatial`), so
that a sample without one (64 % of them) is read at its final size at once.

Two-dimensional patches are (1, Y, X); patches much thinner than wide are rotated in plane
only ("dummy 2-D").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

ANISOTROPY = 3.0
"""nnU-Net: patches with max(size) / size[0] above this are augmented in plane."""

P_ROTATION, P_SCALING = 0.2, 0.2
SCALING = (0.7, 1.4)
P_NOISE, P_BLUR, P_BRIGHTNESS, P_CONTRAST, P_LOW_RESOLUTION = 0.1, 0.2, 0.15, 0.15, 0.25
P_GAMMA_INVERTED, P_GAMMA = 0.1, 0.3


@dataclass(frozen=True)
class Recipe:
    """The augmentation that a patch size asks for.

    Attributes
    ----------
    patch_size
        Size for the network, (Z, Y, X), Z = 1 for 2-D.
    initial_patch_size
        Size read when a spatial transform is drawn.
    in_plane
        Rotate and scale within (Y, X) only.
    rotation
        Largest angle, radians.
    mirror_axes
        Spatial axes (0 = Z) that may be mirrored.
    masked_channels
        Channels set to 0 outside the non-zero crop (``use_mask_for_norm``).
    is_light
        Only mirroring, and small changes of intensity: noise, brightness and contrast.
    """

    patch_size: tuple[int, int, int]
    initial_patch_size: tuple[int, int, int]
    in_plane: bool
    rotation: float
    mirror_axes: tuple[int, ...]
    masked_channels: tuple[int, ...] = ()
    is_2d: bool = False
    is_light: bool = False

    @classmethod
    def for_patch(
        cls,
        patch_size: Sequence[int],
        use_mask_for_norm: Sequence[bool] = (),
        *,
        light: bool = False,
    ) -> Recipe:
        """Return nnU-Net's recipe for a plan's patch size of 2 or 3 axes, or the `light` one.

        Notes
        -----
        ``configure_rotation_dummyDA_mirroring_and_inital_patch_size``: ±30° about every
        axis; dummy 2-D ±180° in plane; 2-D ±180°, or ±15° when the patch's ratio
        exceeds 1.5.
        """
        if light:
            whole = cls.for_patch(patch_size, use_mask_for_norm)
            return replace(whole, initial_patch_size=whole.patch_size, is_light=True)
        masked = tuple(i for i, use in enumerate(use_mask_for_norm) if use)
        if len(patch_size) == 2:
            y, x = (int(size) for size in patch_size)
            angle = math.radians(15 if max(y, x) / min(y, x) > 1.5 else 180)
            wide = _size_before_rotation((y, x), angle)
            return cls((1, y, x), (1, wide[0], wide[1]), True, angle, (1, 2), masked, True)
        z, y, x = (int(size) for size in patch_size)
        in_plane = max(z, y, x) / z > ANISOTROPY
        angle = math.radians(180 if in_plane else 30)
        initial_3d = _size_before_rotation((z, y, x), angle)
        if in_plane:
            initial_3d = (z, *initial_3d[1:])
        return cls(
            (z, y, x),
            (initial_3d[0], initial_3d[1], initial_3d[2]),
            in_plane,
            angle,
            (0, 1, 2),
            masked,
        )

    def draw_spatial(self, rng: Generator) -> NDArray[np.float64] | None:
        """Draw rotation and scaling; the matrix from output to source offsets, or None."""
        if self.is_light:
            return None
        rotate, scale = rng.random() < P_ROTATION, rng.random() < P_SCALING
        if not (rotate or scale):
            return None
        angles = rng.uniform(-self.rotation, self.rotation, 3) if rotate else np.zeros(3)
        factor = rng.uniform(*SCALING) if scale else 1.0
        if not self.in_plane:
            return rotation_matrix(*angles) * factor
        cos, sin = math.cos(angles[2]), math.sin(angles[2])
        return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) * [[1], [factor], [factor]]

    def intensities(self, image: Tensor, rng: Generator) -> Tensor:
        """Apply noise, blur, brightness, contrast, low resolution and gamma, each if drawn.

        `image` (C, Z, Y, X) may be changed in place; the result is returned.
        """
        channels = range(image.shape[0])
        if self.is_light:
            return self._small_changes(image, rng)
        if rng.random() < P_NOISE:
            image = add_noise(image, rng.uniform(0, 0.1), seed=int(rng.integers(2**31)))
        if rng.random() < P_BLUR:
            for c in channels:
                if rng.random() < 0.5:
                    image[c] = blur(image[c], rng.uniform(0.5, 1.0, 3), in_plane=self.is_2d)
        if rng.random() < P_BRIGHTNESS:
            for c in channels:
                image[c] *= _around_one(rng, 0.75, 1.25)
        if rng.random() < P_CONTRAST:
            for c in channels:
                image[c] = change_contrast(image[c], _around_one(rng, 0.75, 1.25))
        if rng.random() < P_LOW_RESOLUTION:
            for c in channels:
                if rng.random() < 0.5:
                    image[c] = lower_resolution(
                        image[c], rng.uniform(0.5, 1.0), in_plane=self.in_plane
                    )
        for probability, invert in ((P_GAMMA_INVERTED, True), (P_GAMMA, False)):
            if rng.random() < probability:
                for c in channels:
                    image[c] = change_gamma(image[c], _around_one(rng, 0.7, 1.5), invert=invert)
        return image

    def _small_changes(self, image: Tensor, rng: Generator) -> Tensor:
        if rng.random() < P_NOISE:
            image = add_noise(image, rng.uniform(0, 0.05), seed=int(rng.integers(2**31)))
        if rng.random() < P_BRIGHTNESS:
            image *= rng.uniform(0.9, 1.1)
        if rng.random() < P_CONTRAST:
            for c in range(image.shape[0]):
                image[c] = change_contrast(image[c], rng.uniform(0.9, 1.1))
        return image

    def apply(
        self,
        image: Tensor,
        labels: Tensor,
        spatial: NDArray[np.float64] | None,
        rng: Generator,
    ) -> tuple[Tensor, Tensor]:
        """Augment a sample; returns image (C, *patch_size) and labels (*patch_size) without -1."""
        if not self.masked_channels:
            labels = labels.clamp_min(0)
        if spatial is not None:
            image, labels = resample(
                image, labels, spatial, self.patch_size, in_plane=self.in_plane
            )
        image = self.intensities(image, rng)
        mirrored = [axis for axis in self.mirror_axes if rng.random() < 0.5]
        if mirrored:
            image = image.flip([axis + 1 for axis in mirrored])
            labels = labels.flip(mirrored)
        if self.masked_channels:
            outside = labels < 0
            for c in self.masked_channels:
                image[c][outside] = 0
            labels = labels.clamp_min(0)
        return image, labels


def rotation_matrix(about_z: float, about_y: float, about_x: float) -> NDArray[np.float64]:
    """Return the rotation about axis 0, then 1, then 2, for column vectors (z, y, x)."""
    c0, s0, c1, s1, c2, s2 = (
        f(angle) for angle in (about_z, about_y, about_x) for f in (math.cos, math.sin)
    )
    r0 = np.array([[1, 0, 0], [0, c0, -s0], [0, s0, c0]])
    r1 = np.array([[c1, 0, s1], [0, 1, 0], [-s1, 0, c1]])
    r2 = np.array([[c2, -s2, 0], [s2, c2, 0], [0, 0, 1]])
    return np.asarray(r2 @ r1 @ r0, dtype=np.float64)


def resample(
    image: Tensor,
    labels: Tensor,
    matrix: NDArray[np.float64],
    patch_size: tuple[int, int, int],
    *,
    in_plane: bool,
) -> tuple[Tensor, Tensor]:
    """Sample a patch through `matrix` about the centre of larger patches, linearly.

    Image values outside are 0; a label is the class with the largest interpolated
    indicator, and the lowest class present at most (−1, or 0 when labels have no −1)
    outside.
    """
    voxels = torch.bincount(labels.flatten() + 1).tolist()  # of −1, 0, 1, …: faster than unique
    outside = -1 if voxels[0] else 0
    values = [value for value, n in enumerate(voxels, start=-1) if n and value != outside]
    indicators = torch.stack([labels == v for v in values]) if values else labels[None][:0]
    stack = torch.cat([image, indicators.to(image.dtype)])  # (C + L, Z, Y, X)
    source, target = stack.shape[1:], patch_size
    flipped = matrix[::-1, ::-1]  # grid_sample speaks (x, y, z)
    half_in = np.array(source[::-1]) / 2
    half_out = np.array(target[::-1]) / 2
    theta = flipped * half_out[None, :] / half_in[:, None]
    if in_plane:
        stack = stack.flatten(0, 1)  # slices as channels
        theta, axes = theta[:2, :2], 2
    else:
        axes = 3
    affine = torch.zeros(1, axes, axes + 1, device=image.device)
    affine[0, :, :axes] = torch.from_numpy(theta.copy())
    grid = functional.affine_grid(affine, [1, 1, *target[-axes:]], align_corners=False)
    sampled = functional.grid_sample(stack[None], grid, align_corners=False)[0]
    sampled = sampled.reshape(-1, *target)
    n_channels = image.shape[0]
    if not values:
        return sampled[:n_channels], labels.new_full(target, outside)
    scores = sampled[n_channels:]  # (L, *target)
    best, which = scores.max(0)
    new = torch.tensor(values, dtype=labels.dtype, device=labels.device)[which]
    new[best < 1 - scores.sum(0)] = outside
    return sampled[:n_channels], new


def add_noise(image: Tensor, sigma: float, *, seed: int) -> Tensor:
    """Add Gaussian noise of standard deviation `sigma`, the same values for the same seed."""
    generator = torch.Generator(device=image.device).manual_seed(seed)
    noise = torch.empty_like(image).normal_(0, 1, generator=generator)
    return image.add_(noise, alpha=sigma)


def blur(channel: Tensor, sigmas: NDArray[np.float64], *, in_plane: bool) -> Tensor:
    """Blur (Z, Y, X) with a Gaussian of its own width (voxels) along each axis, reflecting."""
    for axis, sigma in enumerate(sigmas):
        if in_plane and axis == 0:
            continue
        size = _odd(6 * float(sigma) + 0.5)
        half = min(size // 2, channel.shape[axis] - 1)
        if half < 1:
            continue
        at = np.arange(-half, half + 1)
        weights = np.exp(-0.5 * (at / sigma) ** 2)
        weights /= weights.sum()
        wide = _reflect(channel, axis, half)
        length = channel.shape[axis]
        blurred = wide.narrow(axis, half, length) * float(weights[half])
        for k in range(1, half + 1):
            pair = wide.narrow(axis, half - k, length) + wide.narrow(axis, half + k, length)
            blurred.add_(pair, alpha=float(weights[half + k]))
        channel = blurred
    return channel


def change_contrast(channel: Tensor, factor: float) -> Tensor:
    """Stretch the values about their mean, clipped to their own range."""
    lowest, highest = torch.aminmax(channel)
    mean = channel.mean()
    return ((channel - mean) * factor + mean).clamp_(lowest, highest)


def lower_resolution(channel: Tensor, scale: float, *, in_plane: bool) -> Tensor:
    """Shrink (Z, Y, X) by nearest neighbour and bring it back linearly."""
    shape = channel.shape
    small = [max(1, round(n * scale)) for n in shape]
    if in_plane:
        small[0] = shape[0]
    down = functional.interpolate(channel[None, None], small, mode="nearest-exact")
    return functional.interpolate(down, shape, mode="trilinear")[0, 0]


def change_gamma(channel: Tensor, gamma: float, *, invert: bool) -> Tensor:
    """Raise the values, scaled to 0…1, to a power; mean and standard deviation stay."""
    x = -channel if invert else channel
    mean, std = x.mean(), x.std()
    lowest, highest = torch.aminmax(x)
    span = highest - lowest
    x = ((x - lowest) / span.clamp_min(1e-7)).pow_(gamma).mul_(span).add_(lowest)
    x = (x - x.mean()) * (std / x.std().clamp_min(1e-7)) + mean
    return x.neg_() if invert else x


def _around_one(rng: Generator, low: float, high: float) -> float:
    """Draw below 1 or above 1 with equal probability (nnU-Net's ``BGContrast``)."""
    return float(rng.uniform(low, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, high))


def _odd(n: float) -> int:
    nearest = round(n)
    if nearest % 2 == 1:
        return nearest
    return nearest + 1 if n >= nearest else nearest - 1


def _reflect(channel: Tensor, axis: int, half: int) -> Tensor:
    length = channel.shape[axis]
    before = channel.narrow(axis, 1, half).flip(axis)
    after = channel.narrow(axis, length - half - 1, half).flip(axis)
    return torch.cat([before, channel, after], dim=axis)


def _size_before_rotation(size: tuple[int, ...], angle: float) -> tuple[int, ...]:
    """Return the size that a rotated patch of `size` needs (``get_patch_size``, scale 0.85)."""
    angle = min(angle, math.pi / 2)
    vector = np.array(size, dtype=np.float64)
    largest = vector.copy()
    if len(size) == 2:
        c, s = math.cos(angle), math.sin(angle)
        largest = np.maximum(largest, np.abs(vector @ np.array([[c, -s], [s, c]])))
    else:
        for axis in range(3):
            angles = [0.0, 0.0, 0.0]
            angles[axis] = angle
            largest = np.maximum(largest, np.abs(vector @ rotation_matrix(*angles)))
    return tuple(int(n) for n in largest / 0.85)
