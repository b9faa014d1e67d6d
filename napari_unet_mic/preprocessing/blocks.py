"""Arrays on disk in compressed blocks, so that a patch is read without the rest.

In: an array and the patch size it will be read in. Out: a ``.b2nd`` file, or a part of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray

from napari_unet_mic.data.files import require_file
from napari_unet_mic.errors import UnreadableFile

# Voxels in one compressed block: 128 KiB of float32 fit a core's second-level cache.
_BLOCK_VOXELS = 32_768


def write_blocks(file: Path, array: NDArray[Any], patch_size: Sequence[int]) -> None:
    """Write an array ([C,] z, y, x) to a new `file` in blocks that suit `patch_size`.

    Notes
    -----
    LZ4 at its fastest: a training step waits for reading, and stronger codecs read two to four
    times slower for a fifth less disk.
    """
    block, chunk = block_shapes(array.shape[-3:], patch_size)
    leading = (1,) * (array.ndim - 3)
    blosc2.asarray(
        np.ascontiguousarray(array),
        urlpath=str(file),
        mode="w",
        blocks=(*leading, *block),
        chunks=(*leading, *chunk),
        cparams={
            "codec": blosc2.Codec.LZ4,
            "clevel": 1,
            "filters": [blosc2.Filter.SHUFFLE],
            "nthreads": 1,
        },
    )


def read_blocks(file: Path, box: tuple[slice, ...]) -> NDArray[Any]:
    """Read a box of an array that `write_blocks` wrote, as a new array.

    Raises
    ------
    UnreadableFile
        When the file is missing or damaged.
    """
    require_file(file, "a prepared case (.b2nd)")
    try:
        found = blosc2.open(str(file), mode="r", dparams={"nthreads": 1})
        return np.asarray(found[box])
    except (RuntimeError, ValueError, OSError) as error:
        raise UnreadableFile(
            file,
            expected="a prepared case (.b2nd)",
            got=f"a damaged file ({error})",
            advice="delete it and prepare the dataset again",
        ) from error


def block_shapes(
    shape: Sequence[int], patch_size: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the block and the chunk (2 blocks per axis) that suit a patch of `patch_size`.

    A block is the patch, halved along its longest axis until it has at most 32 768 voxels; for
    a 2-D patch it is one plane thick.
    """
    patch = [1] * (3 - len(patch_size)) + [int(n) for n in patch_size]
    block = [max(1, min(n, size)) for n, size in zip(patch, shape, strict=True)]
    while block[0] * block[1] * block[2] > _BLOCK_VOXELS:
        longest = block.index(max(block))
        block[longest] = -(-block[longest] // 2)
    chunk = [n if n == 1 else min(2 * n, size) for n, size in zip(block, shape, strict=True)]
    return tuple(block), tuple(chunk)
