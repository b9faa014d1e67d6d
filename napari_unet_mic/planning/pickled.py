"""Opening a pickle that can only build numbers, text, arrays and containers.

nnU-Net v1 keeps its plans as pickles, and an ordinary unpickler runs whatever a
pickle asks for. This one knows seven names, none of which is a real class of
numpy: anything else is refused before it is looked up.
"""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet_mic.errors import BadPlan, UnreadableFile

MAX_BYTES = 256 * 2**20
_KINDS = frozenset("bifSU")  # bool, integers, floats, bytes, text


class _ArrayClass:
    """Stands where a pickle says numpy.ndarray; can be passed on, not called."""

    __slots__ = ()


class _Reconstruct:
    """numpy's `_reconstruct`: only ever the empty array that BUILD then fills."""

    __slots__ = ()

    def __call__(self, kind: object, shape: object, typecode: object) -> Any:
        if not isinstance(kind, _ArrayClass) or shape != (0,):
            raise pickle.UnpicklingError("an unusual array")
        return np.empty((0,), np.int8)


class _Dtype:
    """numpy.dtype for plain numbers and text; always a copy, since BUILD changes it."""

    __slots__ = ()

    def __call__(self, name: object, align: object = False, copy: object = True) -> Any:
        if not isinstance(name, str | bytes):
            raise pickle.UnpicklingError("an unusual dtype")
        text = name.decode("ascii") if isinstance(name, bytes) else name
        if text[:1] not in _KINDS or not text[1:].isdigit():
            raise pickle.UnpicklingError(f"an array of {text[:20]!r}")
        return np.dtype(text, align=False, copy=True)


class _Scalar:
    """numpy's `scalar`: one number from its bytes."""

    __slots__ = ()

    def __call__(self, dtype: object, data: object = b"") -> Any:
        if isinstance(data, str):
            data = data.encode("latin-1")
        if not isinstance(dtype, np.dtype) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("an unusual number")
        return np.frombuffer(data, dtype, count=1)[0]


class _FromBuffer:
    """numpy's `_frombuffer`: how protocol 5 writes an array."""

    __slots__ = ()

    def __call__(self, data: object, dtype: object, shape: Any, order: Any = "C") -> Any:
        if not isinstance(data, bytes | bytearray) or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError("an unusual array")
        return np.frombuffer(bytes(data), dtype).reshape(shape, order=order)


class _Encode:
    """`_codecs.encode`, with which old pickle protocols write bytes."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError("an unusual encoding")
        return text.encode("latin-1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "ndarray"): _ArrayClass(),
    ("numpy", "dtype"): _Dtype(),
    ("_codecs", "encode"): _Encode(),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _KNOWN[_module, "_reconstruct"] = _Reconstruct()
    _KNOWN[_module, "scalar"] = _Scalar()
for _module in ("numpy.core.numeric", "numpy._core.numeric"):
    _KNOWN[_module, "_frombuffer"] = _FromBuffer()


class _Refused(pickle.UnpicklingError):
    """A pickle asked for a name that is not on the list."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _KNOWN[module_name, global_name]
        except KeyError:
            raise _Refused(f"{module_name}.{global_name}") from None

    def persistent_load(self, pid: Any, /) -> Any:
        raise _Refused("an object kept elsewhere")


def read_pickle(file: str | os.PathLike[str]) -> Any:
    """Load a pickle of numbers, text, arrays and containers; nothing in it is run.

    Raises
    ------
    UnreadableFile
        The file is missing or cannot be read.
    BadPlan
        It is damaged, or it asks for anything but arrays and containers.
    """
    path = Path(file)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadPlan(
                file,
                expected=f"a pickle of at most {MAX_BYTES // 2**20} MB",
                got=f"{size // 2**20} MB",
                advice="see that it is a plans file",
            )
        with path.open("rb") as stream:
            return _Unpickler(stream, encoding="latin1").load()
    except OSError as error:
        raise UnreadableFile(
            file,
            expected="a readable pickle",
            got=(error.strerror or str(error)).lower(),
            advice="check the path and its permissions",
        ) from error
    except _Refused as error:
        raise BadPlan(
            file,
            expected="a pickle of numbers, text, arrays and containers",
            got=f"one that asks for {error}",
            advice="it was not opened and nothing in it was run; do not trust its source",
        ) from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        OverflowError,
    ) as error:
        raise BadPlan(
            file,
            expected="a pickle of numbers, text, arrays and containers",
            got=f"a damaged or unusual one ({str(error)[:80] or type(error).__name__})",
            advice="copy the file again from its source",
        ) from error
