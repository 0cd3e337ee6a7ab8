"""Saved state: what was written comes back, and whatever else is there is a clear error."""

import os
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otids import statefile
from otids.detectors.base import StateError
from otids.spelling import Name, spell, unspell
from otids.statefile import MAGIC, previous, read, write
from otids.traffic import ConversationName, EndpointName, PointName, RangeName, SymbolName

PAYLOAD = {"counts": [1, 2.5, None, True], "texts": {"ä": "ö"}, "bytes": b"\x00\xff"}

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
reused_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "baseline.state"


def sealed(header: bytes, body: bytes) -> bytes:
    """A file with a right digest, as somebody hostile would make it."""
    rest = len(header).to_bytes(4, "big") + header + body
    return MAGIC + statefile._digest(rest) + rest


def assert_plain(value: object) -> None:
    assert type(value) in {type(None), bool, int, float, str, bytes, list, dict}
    if isinstance(value, list):
        for one in value:
            assert_plain(one)
    if isinstance(value, dict):
        assert_plain([*value, *value.values()])


def hostile(body: bytes) -> bytes:
    header = {"format": 1, "otids": "0", "kind": "k", "version": 1}
    return sealed(msgpack.packb(header), body)


@given(payload=plain)
@reused_folder
def test_what_was_written_comes_back(path: Path, payload: object) -> None:
    write(path, "k", 1, payload)
    loaded = read(path, "k", 1)
    assert loaded.payload == payload
    assert (loaded.path, loaded.note) == (path, "")


def test_nothing_else_is_left_beside_it(path: Path) -> None:
    write(path, "k", 1, 1)
    write(path, "k", 1, 2)
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name, previous(path).name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_tuples_come_back_as_lists(path: Path) -> None:
    write(path, "k", 1, {"a": (1, (2, "x"))})
    assert read(path, "k", 1).payload == {"a": [1, [2, "x"]]}


@pytest.mark.parametrize(
    "value",
    [
        np.int64(1),
        np.float64(1.0),
        np.bool_(True),
        np.str_("x"),
        np.zeros(2),
        EndpointName(0, "10.0.0.1"),
        {1, 2},
        object(),
        {1: "a key that is not a text"},
        [[]] * 200,
        nested(33),
        2**64,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_refused_and_leaves_the_old_state(
    path: Path, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statefile, "MAX_CONTAINERS", 100)
    write(path, "k", 1, "old")
    with pytest.raises((TypeError, ValueError, OverflowError)):
        write(path, "k", 1, {"x": [value]})
    assert read(path, "k", 1).payload == "old"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, "k", 1, "old")
    monkeypatch.setattr(statefile, "MAX_BYTES", 1000)
    for payload in (b"x" * 1000, {"a": b"x" * 500, "b": b"x" * 500}):
        with pytest.raises(ValueError, match="more than the 1000 that fit"):
            write(path, "k", 1, payload)
    assert list(path.parent.iterdir()) == [path]


def test_writing_holds_no_copy_of_all_of_it(path: Path) -> None:
    part = 1 << 20
    payload = {"columns": {str(place): bytes(part) for place in range(16)}}
    write(path, "k", 1, payload)
    tracemalloc.start()
    try:
        write(path, "k", 1, payload)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * part
    assert read(path, "k", 1).payload == payload


def test_what_a_function_gives_is_written_in_its_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "k", 1, {"a": {"b": lambda: {"c": [1]}, "d": lambda: 2}, "e": 3})
    assert read(path, "k", 1).payload == {"a": {"b": {"c": [1]}, "d": 2}, "e": 3}
    monkeypatch.setattr(statefile, "MAX_CONTAINERS", 10)
    too_much: list[Any] = [nested(31), [[]] * 4 + [[[]] * 4]]
    for made in too_much:
        with pytest.raises(ValueError, match=r"nested deeper than 32|lists and maps"):
            write(path, "k", 1, {"a": lambda made=made: made, "b": lambda made=made: made})
    write(path, "k", 1, {"a": lambda: [[]] * 7})
    assert len(read(path, "k", 1).payload["a"]) == 7


def test_truncation_at_every_offset(path: Path) -> None:
    write(path, "k", 1, PAYLOAD)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError) as caught:
            read(path, "k", 1)
        assert str(caught.value).startswith(f"{path}: is ")


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    write(path, "k", 1, PAYLOAD)
    whole = path.read_bytes()
    for place in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(StateError):
            read(path, "k", 1)


def test_something_after_the_end_is_noticed(path: Path) -> None:
    path.write_bytes(hostile(msgpack.packb(1) + b"\x01"))
    with pytest.raises(StateError, match="something follows its end"):
        read(path, "k", 1)


@given(body=st.binary(max_size=200) | plain.map(msgpack.packb))
@reused_folder
def test_a_hostile_payload_is_plain_data_or_a_clear_error(path: Path, body: bytes) -> None:
    path.write_bytes(hostile(body))
    try:
        payload = read(path, "k", 1).payload
    except StateError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert str(error).startswith(str(path))  # noqa: PT017
    else:
        assert_plain(payload)
        assert msgpack.unpackb(body, strict_map_key=True) == payload or payload != payload  # noqa: PLR0124


@given(header=st.binary(max_size=60) | plain.map(msgpack.packb))
@reused_folder
def test_a_hostile_header_is_a_clear_error(path: Path, header: bytes) -> None:
    path.write_bytes(sealed(header, b"\xc0"))
    with pytest.raises(StateError):
        read(path, "k", 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xdd\xff\xff\xff\xff" * 400, "damaged"),
        (b"\xdf\xff\xff\xff\xff", "damaged"),
        (b"\xc6\xff\xff\xff\xff", "damaged"),
        (b"\x91" * 100_000 + b"\xc0", "damaged"),
        (b"\x91" * 40 + b"\xc0", "nested deeper than 32"),
        (b"\xc7\x00\x05", "an extension of type 5"),
        (b"\xd6\xff\x00\x00\x00\x00", "max_ext_len"),
        (b"\x81\x01\x02", "int is not allowed for map key"),
        (b"\x81\x90\x02", "is not allowed for map key"),
        (b"\xa1\xff", "codec can't decode"),
        (b"\xc1", "damaged"),
    ],
)
def test_hostile_msgpack(path: Path, body: bytes, reason: str) -> None:
    path.write_bytes(hostile(body))
    with pytest.raises(StateError, match=reason):
        read(path, "k", 1)


def test_a_bomb_of_empty_lists_goes_off_early(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statefile, "MAX_CONTAINERS", 100)
    path.write_bytes(hostile(b"\xdc\x00\x80" + b"\x90" * 128))
    with pytest.raises(StateError, match="lists and maps"):
        read(path, "k", 1)


@pytest.mark.parametrize(
    ("kind", "version", "reason"),
    [
        ("other", 1, "is a state of 'k', not of 'other'"),
        ("k", 2, "is of version 1 of 'k', not 2 (written by otids "),
    ],
)
def test_another_kind_or_version(path: Path, kind: str, version: int, reason: str) -> None:
    write(path, "k", 1, "older")
    write(path, "k", 1, "newer")
    with pytest.raises(StateError) as caught:
        read(path, kind, version)
    assert f"{path}: {reason}" in str(caught.value)


def test_another_format(path: Path) -> None:
    path.write_bytes(sealed(msgpack.packb({"format": 2, "kind": "k", "version": 1}), b"\xc0"))
    with pytest.raises(StateError, match="is of file format 2, not 1"):
        read(path, "k", 1)


def test_goes_back_to_the_previous_generation(path: Path) -> None:
    write(path, "k", 1, "first")
    write(path, "k", 1, "second")
    path.write_bytes(path.read_bytes()[:-1])
    loaded = read(path, "k", 1)
    assert (loaded.payload, loaded.path) == ("first", previous(path))
    assert str(path) in loaded.note
    assert "went back to" in loaded.note


def test_goes_back_if_the_newest_is_missing(path: Path) -> None:
    write(path, "k", 1, "first")
    write(path, "k", 1, "second")
    path.unlink()
    assert read(path, "k", 1).payload == "first"


def test_a_damaged_state_does_not_push_out_the_intact_one(path: Path) -> None:
    write(path, "k", 1, "first")
    write(path, "k", 1, "second")
    path.write_bytes(b"garbage")
    write(path, "k", 1, "third")
    path.write_bytes(b"garbage")
    assert read(path, "k", 1).payload == "first"


def test_both_damaged_names_both(path: Path) -> None:
    write(path, "k", 1, "first")
    path.write_bytes(b"")
    previous(path).write_bytes(b"")
    with pytest.raises(StateError) as caught:
        read(path, "k", 1)
    assert str(path) in str(caught.value)
    assert str(previous(path)) in str(caught.value)


def test_neither_is_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(path, "k", 1)


def test_a_crash_before_the_rename_keeps_the_old(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "k", 1, "old")

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write(path, "k", 1, "new")
    monkeypatch.undo()
    assert read(path, "k", 1).payload == "old"
    write(path, "k", 1, "newer")
    assert read(path, "k", 1).payload == "newer"


def test_a_file_system_without_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(path, "k", 1, "first")
    write(path, "k", 1, "second")
    assert read(path, "k", 1).payload == "second"
    assert read(previous(path), "k", 1).payload == "first"


def test_a_pipe_in_its_place_does_not_stop_us(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(StateError, match="is not a regular file"):
        read(path, "k", 1)


def test_a_file_that_is_too_large(path: Path) -> None:
    write(path, "k", 1, b"x" * 1000)
    with pytest.raises(StateError, match="more than 100"):
        read(path, "k", 1, max_bytes=100)


# --- names ---------------------------------------------------------------------------------------

ENDPOINT = EndpointName(4096 * 7 + 9, "10.0.0.1")
CONVERSATION = ConversationName(EndpointName(0, "10.0.0.9"), ENDPOINT, "modbus", "tcp", 502)
RANGE = RangeName("coil", 2**40, 3, "write", "")
SYMBOL = SymbolName(CONVERSATION, True, "request", "write", 5, 2**32 - 1, 1, (RANGE,), 0, False)
POINT = PointName(ENDPOINT, "modbus", 1, "coil", 3, "pump ä")
NAMES = [ENDPOINT, CONVERSATION, RANGE, SYMBOL, POINT]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: type(name).__name__)
def test_names_come_back_from_disk(path: Path, name: Any) -> None:
    write(path, "k", 1, spell(name))
    assert unspell(read(path, "k", 1).payload, type(name)) == name


@pytest.mark.parametrize(
    ("damaged", "kind"),
    [
        (["0", "10.0.0.1"], EndpointName),
        ([0], EndpointName),
        ([0, "a", "b"], EndpointName),
        ([-1, "a"], EndpointName),
        ([0, "a" * 2000], EndpointName),
        ("xx", EndpointName),
        (None, SymbolName),
        ([*spell(SYMBOL)[:2], "shout", *spell(SYMBOL)[3:]], SymbolName),
        ([*spell(SYMBOL)[:7], [["coil", 0, 1, "eat", ""]], 0, False], SymbolName),
        ([[0, "a"], [0, "b"], "modbus", "pigeon", 502], ConversationName),
    ],
)
def test_damaged_names(damaged: object, kind: type[Any]) -> None:
    with pytest.raises(StateError, match=f"not a {kind.__name__}|not a RangeName"):
        unspell(damaged, kind)


@settings(deadline=None)
@given(value=plain, kind=st.sampled_from([type(name) for name in NAMES]))
def test_hostile_names(value: object, kind: type[Name]) -> None:
    try:
        name = unspell(value, kind)
    except StateError:
        return
    assert unspell(spell(name), kind) == name
