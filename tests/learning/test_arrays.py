"""Arrays come back from plain data as they were, or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otids.learning.arrays import DTYPES, pack, unpack
from otids.statefile import read, write


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_every_type_come_back(tmp_path: Path, dtype: str) -> None:
    array = np.arange(6).astype(dtype).reshape(2, 3)
    path = tmp_path / "state"
    write(path, "k", 1, {"array": pack(array)})
    back = unpack(read(path, "k", 1).payload["array"], dtype, (None, 3))
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    back[0, 0] = 1  # not a view of the file


def test_array_layouts() -> None:
    sliced = np.arange(24, dtype=">u4").reshape(4, 6)[::2, 1::2]
    assert np.array_equal(unpack(pack(sliced), "<u4"), sliced)
    assert unpack(pack(np.array(7.0))).shape == ()
    assert unpack(pack(np.zeros((0, 5)))).shape == (0, 5)


@pytest.mark.parametrize("dtype", [object, "U4", "S4", "M8[ns]", "c16", "f2"])
def test_other_arrays_are_refused(dtype: Any) -> None:
    with pytest.raises(TypeError):
        pack(np.zeros(2, dtype))


@pytest.mark.parametrize(
    "packed",
    [
        None,
        [],
        {},
        {"dtype": "<u4", "shape": [1]},
        {"dtype": "<u4", "shape": [1], "data": b"1234", "more": 1},
        {"dtype": "|O", "shape": [1], "data": b"12345678"},
        {"dtype": "<U1", "shape": [1], "data": b"1234"},
        {"dtype": "<u4,<u4", "shape": [1], "data": b"12345678"},
        {"dtype": "<u4", "shape": [2], "data": b"1234"},
        {"dtype": "<u4", "shape": [-1], "data": b"1234"},
        {"dtype": "<u4", "shape": [True], "data": b"1234"},
        {"dtype": "<u4", "shape": [1.0], "data": b"1234"},
        {"dtype": "<u4", "shape": [0, 2**63], "data": b""},
        {"dtype": "<u4", "shape": [0] * 5, "data": b""},
        {"dtype": "|b1", "shape": [1], "data": b"\x02"},
    ],
)
def test_hostile_arrays(packed: object) -> None:
    with pytest.raises(ValueError, match="array"):
        unpack(packed)


def test_an_array_of_another_type_or_shape_than_expected() -> None:
    packed = pack(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="where <u4 is expected"):
        unpack(packed, "<u4")
    with pytest.raises(ValueError, match="is expected"):
        unpack(packed, "<f8", (None, 4))
    with pytest.raises(ValueError, match="is expected"):
        unpack(packed, "<f8", (None,))
