"""S7comm messages of a capture as otids and as tshark tell them, in one form, to be compared.

What is compared is what both tell: function, error, operands, return codes, and the values of
reads and writes. tshark gives a response no operands: which types its values have, its request
says, found here by stream and reference as otids finds it. Connections are transport, and
tshark 4.0 has no dissector for S7comm-plus.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wireshark.tshark import Pairs, dissected

PREFERENCES = {
    "tcp.desegment_tcp_streams": "TRUE",
    # Told to put segments in order, tshark waits without end for those that are missing.
    "tcp.reassemble_out_of_order": "FALSE",
    "tcp.check_checksum": "FALSE",
    "ip.defragment": "TRUE",
    "tpkt.desegment": "TRUE",
    "cotp.reassemble": "TRUE",
}

READ, WRITE, PI_SERVICE = 0x04, 0x05, 0x28
USERDATA = 0x100
PROGRAMMER, CYCLIC, BLOCKS, CPU = 0x101, 0x102, 0x103, 0x104
TRANSPORT = 0x200
UNSURE = frozenset({"area", "symbol", "nck", "item"})
"""Objects of which the bytes do not say which values they have."""

AREAS = {
    0x80: "p", 0x81: "i", 0x82: "q", 0x83: "m", 0x84: "db", 0x85: "di", 0x86: "l", 0x87: "v"
}  # fmt: skip
S7_200 = {1: "record", 3: "info", 5: "sm", 6: "ai", 7: "aq", 0x1E: "counter", 0x1F: "timer"}
SIZES = {
    1: "bit", 2: "byte", 3: "byte", 4: "word", 5: "int", 6: "dword", 7: "dint", 8: "real",
    9: "word", 10: "dword", 11: "dint", 12: "word", 15: "byte", 28: "word", 29: "word",
}  # fmt: skip
FORMATS = {
    "bit": ">B", "byte": ">B", "word": ">H", "int": ">h", "dword": ">I", "dint": ">i",
    "real": ">f", "timer": ">H", "counter": ">H",
}  # fmt: skip
SERVICES = ("P_PROGRAM", "cold", "_INSE", "_INS2", "_DELE", "_GARB", "_MODU")
BLOCK_TYPES = {"08": "OB", "09": "CMOD", "0A": "DB", "0B": "SDB", "0C": "FC", "0D": "SFC",
               "0E": "FB", "0F": "SFB"}  # fmt: skip

Item = tuple[str, int, int]
"""Type, address, count."""


Values = tuple[tuple[Any, ...], ...]
"""The numbers of each operand that has some."""


class Pdu(NamedTuple):
    """What both tell of a PDU."""

    role: str
    function: int
    subfunction: int  # -1: none
    error: int  # 0: none
    items: tuple[Item, ...]  # of requests
    names: tuple[str, ...]  # blocks, of requests
    codes: tuple[int, ...]  # of responses, as on the wire
    values: Values


Told = Iterator[tuple[int, Pdu]]
"""Frame number and PDU."""
Asked = tuple[Pdu, list[str], bool]
"""A request, the types of its operands, and whether it is a data block read."""


# --- otids ---------------------------------------------------------------------------------------


def ours(capture: Path) -> Told:
    """Tell the PDUs of a capture as `otids decode` does."""
    otids = Path(sys.executable).with_name("otids")
    told = subprocess.run(
        [str(otids), "decode", "--protocol", "s7comm", str(capture)],
        capture_output=True,
        check=False,
    ).stdout
    for line in told.splitlines():
        record = json.loads(line)
        if not TRANSPORT <= record["function"] < 0x300:
            yield record["frame"], pdu_of(record)


def pdu_of(record: dict[str, Any]) -> Pdu:
    """Reduce a record to what tshark tells, too."""
    function, role, items = record["function"], record["role"], record["items"]
    subfunction = record["subfunction"]
    is_request = role == "request"
    has_codes = function in {READ, WRITE} and record["status"] < 0x100 and not is_request
    error = record["status"] if record["status"] >= 0x100 else 0
    values = (
        tuple(value for value in some if value is not None)
        for item, some in zip(items, record["values"], strict=True)
        if item["type"] not in UNSURE
    )
    touched = tuple(
        (item["type"], item["address"], item["count"])
        for item in items
        if is_request and "address" in item and item["type"] not in UNSURE
    )
    return Pdu(
        role,
        function,
        -1 if subfunction is None else subfunction,
        error,
        touched,
        tuple(item["name"] for item in items if is_request and item["type"] == "block"),
        tuple(_code(item.get("status", 0)) for item in items) if has_codes else (),
        tuple(some for some in values if some) if has_values(function, role) else (),
    )


def has_values(function: int, role: str) -> bool:
    """Whether the values of such messages are compared."""
    return (function, role) in {(READ, "response"), (WRITE, "request")}


def _code(status: int) -> int:
    return {0: 0xFF, 0xFF: 0}.get(status, status)


# --- tshark --------------------------------------------------------------------------------------


def theirs(capture: Path) -> Told:
    """Tell the PDUs of a capture as tshark understands them."""
    asked: dict[tuple[int, int, int], Asked] = {}
    for layers in dissected(capture, "s7comm", "frame tcp s7comm", PREFERENCES, ()):
        yield from _pdus(layers, asked)


def _pdus(layers: Pairs, asked: dict[tuple[int, int, int], Asked]) -> Told:
    frame, stream, source, target = 0, 0, 0, 0
    for name, layer in layers:
        if name == "frame":
            frame = int(dict(layer)["frame.number"])
        elif name == "tcp":
            fields = dict(layer)
            stream = int(fields["tcp.stream"])
            source, target = int(fields["tcp.srcport"]), int(fields["tcp.dstport"])
        elif name == "s7comm":
            fields_ = Fields(layer)
            key = fields_.number("header.pduref", 0)
            match fields_.number("header.rosctr", 0):
                case 1:
                    pdu, types = _job(fields_)
                    is_nested = any(item.items for item in fields_.items)
                    asked[stream, source, key] = pdu, types, is_nested
                case 2 | 3:
                    pdu = _answer(fields_, asked.pop((stream, target, key), None))
                case 7:
                    pdu = _userdata(fields_)
                case _:
                    continue
            yield frame, pdu


class Fields:
    """The fields of a dissected PDU by name; those of its items apart."""

    def __init__(self, layer: Pairs) -> None:
        self.every: dict[str, list[str]] = {}
        self.items: list[Fields] = []
        self.data: list[Fields] = []
        self._take(layer)

    def _take(self, layer: Pairs) -> None:
        for name, value in layer:
            if isinstance(value, str):
                self.every.setdefault(name, []).append(value)
            elif name in {"s7comm.param.item", "s7comm.param.subitem"}:
                self.items.append(Fields(value))
            elif name == "s7comm.data.item":
                self.data.append(Fields(value))
            else:
                self._take(value)

    def text(self, name: str) -> str:
        """The first text of this name."""
        return self.every.get(f"s7comm.{name}", [""])[0]

    def number(self, name: str, default: int) -> int:
        """The first number of this name."""
        text = self.text(name)
        return int(text, 0) if text else default

    def raw(self, name: str) -> bytes:
        """The first bytes of this name."""
        return bytes.fromhex(self.text(name).replace(":", ""))


def _leaves(fields: Fields) -> Iterator[Fields]:
    """The specifications of operands; a data block read has several."""
    for item in fields.items:
        yield from item.items or [item]


def _touched(item: Fields) -> Item | None:
    """The operand of a specification; None if it has none."""
    if item.text("param.item.dbread.length"):
        block = item.number("param.item.dbread.db", 0)
        start = item.number("param.item.dbread.startaddress", 0)
        return "db-byte", block << 32 | start, item.number("param.item.dbread.length", 0)
    if item.text("varstat.req.memory_area"):
        return _table(item)
    count = item.number("param.item.length", 0)
    if item.number("param.item.syntaxid", 0) != 0x10 or not count:
        return None
    return _any(item, count)


def _any(item: Fields, count: int) -> Item | None:
    """The operand of an S7ANY specification."""
    area, form = item.number("param.item.area", -1), item.number("param.item.transp_size", -1)
    size, bits = SIZES.get(form, ""), item.number("param.item.address", 0)
    width = 8 if form == 15 else struct.calcsize(FORMATS[size]) if size else 1
    if area in {0x1C, 0x1D}:
        return ("counter" if area == 0x1C else "timer"), bits, count
    if area in S7_200:
        return f"s7-200-{S7_200[area]}", bits >> 3, count * width
    if area not in AREAS or not size:
        return None
    block = item.number("param.item.db", 0) if AREAS[area] in {"db", "di"} else 0
    address = block << 32 | (bits if size == "bit" else bits >> 3)
    return f"{AREAS[area]}-{size}", address, count * width


def _table(item: Fields) -> Item | None:
    """An operand of a programming device's table."""
    memory = item.number("varstat.req.memory_area", 0)
    place = item.number("varstat.req.startaddress", 0)
    count = item.number("varstat.req.repetition_factor", 1)
    area = {0: "m", 1: "i", 2: "q", 3: "p", 7: "db"}.get(memory >> 4)
    block = item.number("varstat.req.db_number", 0) << 32 if area == "db" else 0
    if memory in {0x54, 0x64}:
        return ("timer" if memory == 0x54 else "counter"), place, count
    if area is None:
        return None
    if memory & 15 == 0:
        bit = item.number("varstat.req.bitpos", item.number("varstat.req.repetition_factor", 0))
        return f"{area}-bit", block | place << 3 | bit, 1
    size = {1: "byte", 2: "word", 3: "dword"}[memory & 15]
    return f"{area}-{size}", block | place, count * struct.calcsize(FORMATS[size])


def _job(fields: Fields) -> tuple[Pdu, list[str]]:
    function = fields.number("param.func", 0)
    subfunction = -1
    touched = [_touched(item) for item in _leaves(fields)]
    types = ["" if one is None else one[0] for one in touched]
    values: Values = ()
    if function == WRITE:
        values = _values(fields.data, types)
    if function == PI_SERVICE:
        service = fields.text("param.pistart.servicename")
        if service == "P_PROGRAM" and fields.text("param.pistart.argument").startswith("C"):
            service = "cold"
        subfunction = SERVICES.index(service) if service in SERVICES else -1
    items = tuple(one for one in touched if one)
    return Pdu("request", function, subfunction, 0, items, _blocks(fields), (), values), types


def _blocks(fields: Fields) -> tuple[str, ...]:
    kinds = fields.every.get("s7comm.data.blockcontrol.block_type", [])
    numbers = fields.every.get("s7comm.data.blockcontrol.block_number", [])
    return tuple(
        f"{BLOCK_TYPES.get(kind, kind)}{int(number)}"
        for kind, number in zip(kinds, numbers, strict=True)
    )


def _answer(fields: Fields, asked: Asked | None) -> Pdu:
    error = fields.number("header.errcls", 0) << 8 | fields.number("header.errcod", 0)
    unknown = 0x300 + fields.number("header.rosctr", 0)
    function = fields.number("param.func", asked[0].function if asked else unknown)
    is_same = asked is not None and asked[0].function == function
    types = asked[1] if asked and is_same else []
    subfunction = asked[0].subfunction if asked and is_same else -1
    codes: tuple[int, ...] = ()
    values: Values = ()
    if types and not error and function in {READ, WRITE}:
        codes = tuple(item.number("data.returncode", 0) for item in fields.data)
        if function == READ and asked and asked[2]:
            codes, values = _nested(fields.data, asked[0].items)
        elif function == READ:
            values = _values(fields.data, types)
    return Pdu("response", function, subfunction, error, (), (), codes, values)


def _nested(data: list[Fields], items: tuple[Item, ...]) -> tuple[tuple[int, ...], Values]:
    """The answer to a data block read: for each a code, then bytes. tshark shows them as bytes."""
    raw = b"".join(item.raw("resp.data") for item in data)
    codes, values, at = [], [], 0
    for _, _, count in items:
        codes.append(raw[at])
        values.append(tuple(raw[at + 1 : at + 1 + count]))
        at += 1 + count
    return tuple(codes), tuple(values)


def _values(data: list[Fields], types: list[str]) -> Values:
    return tuple(
        some
        for item, kind in zip(data, types, strict=False)
        if (some := _numbers(item.raw("resp.data"), kind))
    )


def _numbers(raw: bytes, kind: str) -> tuple[Any, ...]:
    """The numbers in the bytes of an operand of a type, none if they are not whole."""
    form = FORMATS.get(kind.rpartition("-")[2] if "s7-200" not in kind else "byte")
    if not kind or form is None or len(raw) % struct.calcsize(form):
        return ()
    numbers = [number for (number,) in struct.iter_unpack(form, raw)]
    if kind.endswith("-bit"):
        numbers = [number & 1 for number in numbers]
    return tuple("NaN" if number != number else number for number in numbers)  # noqa: PLR0124


def _userdata(fields: Fields) -> Pdu:
    kind = fields.number("param.userdata.type", 0)
    role = {0: "report", 4: "request", 8: "response"}[kind & 12]
    function = USERDATA + fields.number("param.userdata.funcgroup", 0)
    subfunction = fields.number("param.userdata.subfunc", 0)
    if function == USERDATA:
        subfunction = fields.number("param.modetrans.subfunc", subfunction)
    error = fields.number("param.errcod", 0)
    items: tuple[Item, ...] = ()
    names: tuple[str, ...] = ()
    if role == "request":
        match function, subfunction:
            case (0x101 | 0x102, _):
                items = tuple(one for item in _leaves(fields) if (one := _touched(item)))
            case (0x104, 1) if fields.text("data.userdata.szl_id"):
                id_ = fields.number("data.userdata.szl_id", 0)
                items = (("szl", id_ << 16 | fields.number("data.userdata.szl_index", 0), 1),)
            case (0x103, 2) if fields.text("blockinfo.blocktype"):
                names = (BLOCK_TYPES.get(fields.text("blockinfo.blocktype"), "block"),)
            case (0x103, 3) if fields.text("blockinfo.blocktype"):
                kind_ = BLOCK_TYPES.get(fields.text("blockinfo.blocktype"), "block")
                names = (f"{kind_}{int(fields.text('data.blockinfo.block_number') or 0)}",)
    return Pdu(role, function, subfunction, error, items, names, (), ())


# --- both ----------------------------------------------------------------------------------------


SHOWN = 20


class Difference(NamedTuple):
    """What only one of both tells."""

    ours: Counter[Pdu]
    theirs: Counter[Pdu]
    frames: dict[Pdu, int]
    """The first frame in which either told a PDU."""
    total: int
    """How many PDUs tshark told in all."""

    def __str__(self) -> str:
        lines = [
            f"{who} {count} x {pdu} first in frame {self.frames[pdu]}"
            for who, side in (("only otids ", self.ours), ("only tshark", self.theirs))
            for pdu, count in sorted(side.items(), key=lambda one: self.frames[one[0]])
        ]
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return "\n".join([*(line[:600] for line in lines[:SHOWN]), *more])


def compare(capture: Path) -> Difference:
    """Compare what both tell of a capture, as multisets."""
    frames: dict[Pdu, int] = {}
    sides = []
    for told in (ours(capture), theirs(capture)):
        side: Counter[Pdu] = Counter()
        for frame, pdu in told:
            frames.setdefault(pdu, frame)
            side[pdu] += 1
        sides.append(side)
    mine, other = sides
    return Difference(mine - other, other - mine, frames, other.total())
