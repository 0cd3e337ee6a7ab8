"""The record of messages: as documented, as its schema has it, and as the columns say."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from modbus_frames import HMI, PLC, Capture, documented

from otids import _hotpath
from otids.traffic import (
    ACCESSES,
    ACTIVITIES,
    NO_SUBFUNCTION,
    ROLES,
    SECOND,
    VALUE_KINDS,
    Batch,
    Dictionaries,
    Tables,
    function_name,
    status_name,
)

Record = dict[str, Any]

TYPES: Mapping[str, Any] = {
    "array": list,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}


def lines_of(capture: Path, **options: Any) -> list[bytes]:
    hotpath = _hotpath.Hotpath(records=True, **options)
    hotpath.open(capture)
    records = b""
    while (batch := hotpath.next_batch()) is not None:
        assert not batch.records or batch.records.endswith(b"}\n"), "whole lines"
        assert (batch.tables, batch.marks, batch.defined, batch.retired) == ({}, {}, {}, {})
        records += batch.records
    return records.splitlines()


def records_of(capture: Path, **options: Any) -> list[Record]:
    return [json.loads(line) for line in lines_of(capture, **options)]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a capture with the messages that the documentation shows."""
    path = tmp_path / "small.pcap"
    path.write_bytes(documented().pcap())
    return path


def everything() -> Capture:
    """Return messages of all shapes: several items, no items, bits, files, broken, unanswered."""
    capture = Capture()
    capture.connect(0.0)
    coils = bytes([1, 0, 8, 0, 11]), bytes([1, 2, 0b1010_0101, 0b110])
    both = (
        bytes([23, 0, 1, 0, 2, 0, 9, 0, 1, 2, 0, 7]),
        bytes([23, 4, 0, 1, 0, 2]),
    )
    file = bytes([20, 14, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 1])
    answered = bytes([20, 10, 5, 6, 13, 254, 0, 32, 3, 6, 51, 205])
    name = bytes([43, 14, 1, 0]), bytes([43, 14, 1, 1, 0, 0, 1, 0, 4]) + b'"\x1b\n\xff'
    talk = [coils, both, (file, answered), name, (bytes([8, 0, 1, 0, 0]),) * 2]
    talk += [(bytes([100, 1, 2]), bytes([0xE4, 1])), (bytes([3, 0, 0, 0, 9]), bytes([0x83, 99]))]
    for place, (request, response) in enumerate(talk):
        capture.say(place + 0.5, HMI, PLC, request, transaction=place, unit=place)
        capture.say(place + 0.6, PLC, HMI, response, transaction=place, unit=place)
    capture.say(20.0, HMI, PLC, bytes([3, 0, 0, 0, 125]), transaction=77)
    capture.segment(21.0, PLC, HMI, b"no Modbus at all")
    return capture


# --- the documentation ---------------------------------------------------------------------------


def test_the_documented_examples_are_what_is_printed(small: Path, repository: Path) -> None:
    page = (repository / "docs/decode-record.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"```json\n(.*?)```", page, re.DOTALL))
    assert b"\n".join(lines_of(small)).decode() == examples.rstrip("\n")


def test_the_documentation_names_the_fields_in_their_order(small: Path, repository: Path) -> None:
    page = (repository / "docs/decode-record.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    tagged = records_of(small)[-1]
    moved = [name for name in tagged if name != "vlan"]
    moved.insert(moved.index("dport") + 1, "vlan")
    assert list(tagged) == moved == named


def faults(schema: Mapping[str, Any], value: Any, place: str = "record") -> Iterator[str]:
    """Yield where `value` is not as `schema` (the parts of JSON schema that ours uses) has it."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = [kind for kind in kinds if isinstance(value, TYPES[kind])]
    if not fits or isinstance(value, bool):
        yield f"{place}: {value!r} is not {kinds}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value) or len(value) < schema.get(
            "minLength", 0
        ):
            yield f"{place}: {value!r}"
    elif isinstance(value, list):
        yield from faults_of_array(schema, value, place)
    elif isinstance(value, dict):
        yield from faults_of_object(schema, value, place)
    elif value is not None and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"{place}: {value}"


def faults_of_array(schema: Mapping[str, Any], value: list[Any], place: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{place}: {len(value)} items"
    for number, one in enumerate(value):
        yield from faults(schema["items"], one, f"{place}[{number}]")


def faults_of_object(schema: Mapping[str, Any], value: Record, place: str) -> Iterator[str]:
    yield from (f"{place}: no {name}" for name in schema["required"] if name not in value)
    yield from (f"{place}: unknown {name}" for name in value.keys() - schema["properties"])
    choices = schema.get("oneOf", [{"required": []}])
    if sum(all(name in value for name in one["required"]) for one in choices) != 1:
        yield f"{place}: not one of {choices}"
    for name in value.keys() & schema["properties"].keys():
        yield from faults(schema["properties"][name], value[name], f"{place}.{name}")


@pytest.fixture
def schema(repository: Path) -> dict[str, Any]:
    """Return the schema of the record."""
    text = (repository / "docs/schema/decode-record.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_records_are_as_the_schema_has_them(
    tmp_path: Path, small: Path, schema: dict[str, Any]
) -> None:
    path = tmp_path / "everything.pcap"
    path.write_bytes(everything().pcap())
    records = records_of(small) + records_of(path)
    assert len(records) > 15
    assert [fault for record in records for fault in faults(schema, record)] == []
    broken = {**records[0], "id": 0, "time": "now", "role": "x", "more": 1, "items": [{}]}
    assert len(list(faults(schema, broken))) == 8


def test_the_schema_knows_every_word_of_the_hot_path(schema: dict[str, Any]) -> None:
    fields = schema["properties"]
    assert fields["role"]["enum"] == list(ROLES)
    assert fields["activity"]["enum"] == list(ACTIVITIES)
    assert fields["items"]["items"]["properties"]["access"]["enum"] == list(ACCESSES)


# --- the columns ---------------------------------------------------------------------------------


def spelled(tables: Tables, first_item: int, names: Dictionaries) -> Iterator[Record]:
    """Spell rows of columns like records; without addresses of the wire, and with all ports 0."""
    messages, items, values = tables.messages, tables.items, tables.values
    lists: list[list[Any]] = [[] for _ in range(len(items))]
    for row in range(len(values)):
        item = int(values.item[row]) - first_item
        first, here = (names.point(int(id)) for id in (items.point[item], values.point[row]))
        gap = here.address - first.address - len(lists[item])
        text = VALUE_KINDS[values.kind[row]] == "text"
        value = names.texts.name(int(values.text[row])) if text else int(values.raw[row])
        lists[item] += [None] * gap + [value]
    touched: dict[int, list[int]] = {}
    for row in range(len(items)):
        touched.setdefault(int(items.message[row]), []).append(row)
    for row in range(len(messages)):
        symbol = names.symbol(int(messages.symbol[row]))
        client, server = symbol.conversation.client, symbol.conversation.server
        mine = touched.get(int(messages.id[row]), [])
        reply_to = int(messages.reply_to[row])
        protocol, subfunction = symbol.conversation.protocol, symbol.subfunction
        yield {
            "id": int(messages.id[row]),
            "time": int(messages.time[row]),
            "first_frame": int(messages.first_frame[row]),
            "frame": int(messages.frame[row]),
            "protocol": protocol,
            "src": (client if symbol.from_client else server).address,
            "dst": (server if symbol.from_client else client).address,
            "server_port": symbol.conversation.port,
            "vlan": client.vlan,
            "role": symbol.role,
            "activity": symbol.activity,
            "function": symbol.function,
            "subfunction": None if subfunction == NO_SUBFUNCTION else subfunction,
            "function_name": function_name(protocol, symbol.function, subfunction),
            "unit": symbol.unit,
            "items": [
                {
                    "type": (point := names.point(int(items.point[item]))).kind,
                    "address": point.address,
                    "count": int(items.count[item]),
                    "access": ACCESSES[items.access[item]],
                    **({"status": int(items.status[item])} if items.status[item] else {}),
                }
                for item in mine
            ],
            "values": [lists[item] for item in mine],
            "status": symbol.status,
            "status_name": status_name(protocol, symbol.status) if symbol.status else None,
            "reply_to": reply_to or None,
            "latency": int(messages.latency[row]) if reply_to else None,
            "length": int(messages.length[row]),
        }


def by_columns(capture: Path) -> Iterator[Record]:
    hotpath, names, items = _hotpath.Hotpath(), Dictionaries(), 0
    hotpath.open(capture)
    while (raw := hotpath.next_batch()) is not None:
        assert raw.records == b""
        batch = Batch.of(raw)
        names.update(batch)
        yield from spelled(batch.tables, items, names)
        items += len(batch.tables.items)


def like_columns(record: Record) -> Record:
    """Put a record into the form of `spelled`."""
    whole, fraction = record["time"].removesuffix("Z").split(".")
    moment = int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * SECOND + int(fraction)
    outer, inner = [0, 0, *record.get("vlan", [])][-2:]
    ports = {"client": record["sport"], "server": record["dport"]}
    from_client = record["role"] == "request"
    like = {**record, "time": moment, "vlan": outer << 12 | inner}
    like["server_port"] = ports["server" if from_client else "client"]
    del like["sport"], like["dport"]
    return like


def assert_equal_to_columns(capture: Path) -> int:
    records = records_of(capture)
    expected = list(by_columns(capture))
    assert len(records) == len(expected) > 0
    for record, message in zip(records, expected, strict=True):
        assert like_columns(record) == message
    return len(records)


def test_records_say_what_the_columns_say(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "everything.pcap"
    path.write_bytes(everything().pcap())
    assert assert_equal_to_columns(small) == 4
    assert assert_equal_to_columns(path) == 15


def test_records_say_what_the_columns_say_of_recorded_work(repository: Path) -> None:
    captures = sorted((repository / "replay" / "captures").glob("attacks/*.pcap.gz"))
    assert captures, "the repository has its own captures"
    for capture in captures:
        assert assert_equal_to_columns(capture) > 1_000


def test_records_say_what_the_columns_say_of_foreign_captures(shared: Path) -> None:
    captures = sorted((shared / "captures" / "modbus").glob("*.pcap*"))
    checked = [path for path in captures if records_of(path)]
    assert checked, "there is Modbus to compare"
    for capture in checked:
        assert_equal_to_columns(capture)


# --- cuts and bounds -----------------------------------------------------------------------------


def test_where_batches_are_cut_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "everything.pcap"
    path.write_bytes(everything().pcap())
    assert lines_of(path, batch_frames=1) == lines_of(path)


def test_no_quota_makes_a_record_coarse(tmp_path: Path) -> None:
    """A scan of more objects than one client has symbols for is told in full."""
    capture, scanned = Capture(), 17_000
    capture.connect(0.0)
    for number in range(scanned):
        pdu = bytes([3, *number.to_bytes(2, "big"), 0, 1])
        capture.say(1 + number / 1e4, HMI, PLC, pdu, transaction=number, unit=number % 200)
    path = tmp_path / "scan.pcap"
    path.write_bytes(capture.pcap())
    told = [(one["unit"], one["items"][0]["address"]) for one in records_of(path)]
    assert told == [(number % 200, number) for number in range(scanned)]
    coarse = [one for one in by_columns(path) if one["unit"] != one["frame"] - 4]
    assert coarse, "the columns are what the quota made coarse"


def test_only_protocols_that_are_asked_for(small: Path) -> None:
    assert lines_of(small, protocols=["modbus"]) == lines_of(small)
    assert lines_of(small, protocols=[]) == []
    with pytest.raises(ValueError, match='no decoder for protocol "telnet"; there are: modbus'):
        _hotpath.Hotpath(records=True, protocols=["telnet"])


def test_several_captures_one_after_the_other(small: Path) -> None:
    hotpath = _hotpath.Hotpath(records=True)
    runs = []
    for _ in range(2):
        hotpath.open(small)
        lines = b""
        while (batch := hotpath.next_batch()) is not None:
            lines += batch.records
        runs.append(lines)
    assert runs[0] == runs[1] != b""
