"""How much memory a batch of patches takes while training, and what fits. Arithmetic, no Qt.

A plan's configuration, a batch and a patch come in; out come the plan's own estimate for them
(`planning.topology`), the sentence to show, and the largest batch and patch within a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_unet_mic.errors import UNetMicError
from napari_unet_mic.planning.plan import Configuration
from napari_unet_mic.planning.topology import describe

MOST_BATCH = 64
GB = 1e9


@dataclass(frozen=True)
class Room:
    """What one configuration leaves to choose: batch, patch, and the memory they take.

    Parameters
    ----------
    configuration
        As the plan has it.
    n_channels, n_classes
        Of the dataset.
    limit_bytes
        Memory of the device that will train; None when it is not known.
    """

    configuration: Configuration
    n_channels: int
    n_classes: int
    limit_bytes: int | None = None

    @property
    def batch_size(self) -> int:
        """The plan's own batch."""
        return int(self.configuration.batch_size)

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """The plan's own patch, (z, y, x); z = 1 for a configuration of slices."""
        z, y, x = (1, 1, 1, *self.configuration.patch_size)[-3:]
        return int(z), int(y), int(x)

    @property
    def steps(self) -> tuple[int, int, int]:
        """What each axis of the patch is a multiple of: the product of the network's strides."""
        z, y, x = (1, *self.configuration.patch_steps)[-3:]
        return z, y, x

    @property
    def is_flat(self) -> bool:
        """Whether the configuration looks at slices."""
        return self.configuration.ndim == 2

    def memory_bytes(self, batch_size: int, patch_size: Sequence[int]) -> int:
        """Return the plan's estimate of the memory while training."""
        patch = tuple(patch_size)[-len(self.configuration.patch_size) :]
        changed = replace(self.configuration, batch_size=batch_size, patch_size=patch)
        facts = describe(changed, self.n_channels, self.n_classes)
        return int(facts.memory_bytes_estimate)

    def fits(self, batch_size: int, patch_size: Sequence[int]) -> bool:
        """Whether the device has that much (always, when its memory is not known)."""
        needed = self.memory_bytes(batch_size, patch_size)
        return self.limit_bytes is None or needed <= self.limit_bytes

    def largest_batch(self, patch_size: Sequence[int]) -> int:
        """Return the largest batch of these patches that fits, 1 at least, `MOST_BATCH` at most.

        The estimate grows by the same for every patch of the batch.
        """
        if self.limit_bytes is None:
            return MOST_BATCH
        one = self.memory_bytes(1, patch_size)
        each = self.memory_bytes(2, patch_size) - one
        return int(min(MOST_BATCH, max(1, 1 + (self.limit_bytes - one) // max(1, each))))

    def sentence(self, batch_size: int, patch_size: Sequence[int]) -> str:
        """Say how much memory they take, and of how much."""
        words = f"about {self.memory_bytes(batch_size, patch_size) / GB:.1f} GB while training"
        if self.limit_bytes is None:
            return words
        return f"{words}, of {self.limit_bytes / GB:.0f} GB"

    def refusal(self, batch_size: int, patch_size: Sequence[int]) -> str:
        """Say what would fit, when these do not, or what is wrong with them; "" when they do."""
        try:
            if self.fits(batch_size, patch_size):
                return ""
        except UNetMicError as error:
            return str(error)
        best = self.largest_batch(patch_size)
        if best < batch_size and self.fits(best, patch_size):
            advice = f"a batch of {best} fits"
        else:
            advice = "make the patch smaller"
        return f"{self.sentence(batch_size, patch_size)}: too much for this device; {advice}"
