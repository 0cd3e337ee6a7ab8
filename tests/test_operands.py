"""Operands are spelled as people write them, and nothing else is taken for one."""

import pytest

from otids.operands import has_operands, spell_operands
from otids.traffic import EndpointName, PointName, RangeName, spell_objects

DB1 = 1 << 32


@pytest.mark.parametrize(
    ("kind", "first", "last", "spelled"),
    [
        ("db-bit", DB1 + 83, DB1 + 83, "DB1.DBX10.3"),
        ("db-byte", DB1, DB1 + 15, "DB1.DBB0–15"),
        ("db-byte", DB1 + 7, DB1 + 7, "DB1.DBB7"),
        ("db-word", DB1 + 10, DB1 + 11, "DB1.DBW10"),
        ("db-word", DB1 + 10, DB1 + 10, "DB1.DBW10"),
        ("db-word", DB1 + 10, DB1 + 15, "DB1.DBW10–14"),
        ("db-real", DB1 + 4, DB1 + 11, "DB1.DBD4–8 (real)"),
        ("di-dint", DB1, DB1 + 3, "DI1.DID0 (dint)"),
        ("m-bit", 35, 35, "M4.3"),
        ("m-bit", 35, 41, "M4.3–5.1"),
        ("m-byte", 7, 7, "MB7"),
        ("q-int", 2, 3, "QW2 (int)"),
        ("i-dword", 8, 11, "ID8"),
        ("p-word", 256, 257, "PW256"),
        ("timer", 5, 5, "T5"),
        ("counter", 5, 9, "C5–9"),
        ("szl", 0x0132_0004, 0x0132_0004, "SZL 0x0132/0x0004"),
        ("attribute", 52 << 32 | 2167, 52 << 32 | 2167, "attribute 2167 of object 52"),
    ],
)
def test_operands(kind: str, first: int, last: int, spelled: str) -> None:
    assert spell_operands(kind, first, last) == spelled
    assert spell_objects(kind, first, last) == spelled
    assert has_operands(kind)


@pytest.mark.parametrize(
    "kind", ["coil", "holding-register", "file-record", "s7-200-sm", "block", ""]
)
def test_what_is_none(kind: str) -> None:
    assert spell_operands(kind, 0, 0) is None
    assert not has_operands(kind)


def test_names_of_ranges_and_points() -> None:
    assert str(RangeName("db-word", DB1 + 10, 4, "read", "")) == "DB1.DBW10–12"
    assert str(RangeName("db-word", 0, 0, "read", "")) == "db-word"
    endpoint = EndpointName(0, "10.0.0.1")
    assert str(PointName(endpoint, "s7comm", 0, "m-bit", 35, "")) == "M4.3"
