"""Arrays as plain data, and back; nothing of a hostile file is believed."""

import math
from typing import Any

import numpy as np

from otids.traffic import Array

MOST_BYTES = 64 << 20
MAX_DIMENSIONS = 4
DTYPES = ("|b1", "|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f4", "<f8")
"""Types of arrays that may be saved, as numpy spells them."""


def pack(array: Array) -> dict[str, Any]:
    """Turn an array of an allowed type into plain data. Raises TypeError for another one."""
    little = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
    if little.str not in DTYPES or array.ndim > MAX_DIMENSIONS:
        raise TypeError(f"an array of {array.ndim} dimensions of {array.dtype} is not saved")
    return {
        "dtype": little.str,
        "shape": list(array.shape),
        "data": np.ascontiguousarray(array, little).tobytes(),
    }


def unpack(
    plain: object, dtype: str | None = None, shape: tuple[int | None, ...] | None = None
) -> Array:
    """Rebuild an array, of `dtype` and `shape` (None: any) if given. Raises ValueError."""
    match plain:
        case {"dtype": str(spelled), "shape": list(sizes), "data": bytes(data), **rest} if not rest:
            pass
        case _:
            raise ValueError("not a packed array")
    if spelled not in DTYPES or (dtype is not None and np.dtype(dtype).str != spelled):
        raise ValueError(f"an array of {spelled[:16]!r} where {dtype or 'a number'} is expected")
    if len(sizes) > MAX_DIMENSIONS or any(
        type(size) is not int or not 0 <= size <= MOST_BYTES for size in sizes
    ):
        raise ValueError("an array of an impossible shape")
    if math.prod(sizes) * np.dtype(spelled).itemsize != len(data):
        raise ValueError(f"an array whose {len(data)} bytes do not fill its shape {sizes}")
    if shape is not None and (
        len(shape) != len(sizes)
        or any(want not in (None, size) for want, size in zip(shape, sizes, strict=True))
    ):
        raise ValueError(f"an array of shape {sizes} where {list(shape)} is expected")
    if spelled == "|b1" and data.strip(b"\x00\x01"):
        raise ValueError("an array of truth values that holds others")
    return np.frombuffer(data, spelled).reshape(sizes).copy()
