"""IEC 60870-5-104 messages of a capture as otids and as tshark tell them, in one form.

What is compared is what both tell: type, cause, test and negative bit, common address, every
information object address with its value, quality and time, and of commands whether they select.
tshark 4.0 shows some types in part only (`UNTOLD`, `HIDDEN`), and reads a bitstring from its last
octet on, where the standard puts the least significant octet first (IEC 60870-5-101, 7.2.6.13).
"""

from __future__ import annotations

import datetime as dt
import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from hotpath.reading import Said, said, ticks
from wireshark.tshark import Pairs, dissected

DECODE_AS = ("tcp.port==2404,iec60870_104",)
LAYERS = "frame iec60870_104 iec60870_asdu"

UNNUMBERED = 0x100
U_TYPES = {0x01: (0x107, 0), 0x02: (0x107, 1), 0x04: (0x113, 0), 0x08: (0x113, 1)}
U_TYPES |= {0x10: (0x143, 0), 0x20: (0x143, 1)}
"""What tshark calls a U frame: our function, and whether it confirms."""

UNTOLD = frozenset({101, 103, 104, 106, 107, 113})
"""Types whose values tshark does not show one by one."""
HIDDEN = frozenset({20, 102, *range(120, 128)})
"""Types whose objects tshark does not show at all."""
COMMANDS = frozenset({*range(45, 51), *range(58, 64)})
HOUR = 3_600_000_000_000
MILLISECOND = 1_000_000

VALUES = (
    "siq.spi",
    "diq.dpi",
    "vti.v",
    "bitstring",
    "normval",
    "scalval",
    "float",
    "bcr.count",
    "sco.on",
    "dco.on",
    "rco.up",
    "coi",
    "qoi",
    "qrp",
)
"""Fields of tshark that hold the value of an object."""
QUALITIES = {"siq": 0xF0, "diq": 0xF0, "qds": 0xFF}


class One(NamedTuple):
    """An information object."""

    address: int
    value: str  # of six significant digits, as tshark prints them; empty for none
    quality: int
    time: int  # ns


class Message(NamedTuple):
    """What both tell of an APDU."""

    function: int
    cause: int  # of U frames: whether it confirms
    is_test: bool
    is_negative: bool
    selects: bool
    unit: int
    objects: tuple[One, ...]


Told = Iterator[tuple[int, Message]]
"""Frame number and message."""


# --- otids ---------------------------------------------------------------------------------------


def ours(capture: Path) -> Told:
    """Tell the messages of a capture as the hot path understands them."""
    for tick, _ in ticks(capture):
        values = tick.tables.values
        marks = zip(values.quality.tolist(), values.source_time.tolist(), strict=True)
        for frame, message in zip(tick.tables.messages.frame.tolist(), said(tick), strict=True):
            of_message = list(islice(marks, len(message.values)))
            if message.conversation.protocol == "iec104":
                yield frame, _ours(message, of_message)


def _ours(message: Said, marks: list[tuple[int, int]]) -> Message:
    if message.function >= UNNUMBERED:
        confirms = int(message.role == "response")
        return Message(message.function, confirms, False, False, False, 0, ())
    cause = message.subfunction & 0x3F
    objects: list[One] = []
    if message.function in HIDDEN:
        pass
    elif message.function in UNTOLD or not message.values:
        ranges = (range(one.address, one.address + one.quantity) for one in message.items)
        objects = [One(address, "", 0, 0) for addresses in ranges for address in addresses]
    else:
        objects = [
            One(value.address, _number(value.form, value.raw), quality & 0xFF, time)
            for value, (quality, time) in zip(message.values, marks, strict=True)
        ]
    return Message(
        message.function,
        cause,
        bool(message.subfunction & 0x80),
        message.status != 0 and not 44 <= cause <= 47,
        message.function in COMMANDS and message.subfunction >> 8 == 1,
        message.unit,
        tuple(objects),
    )


def _number(form: str, raw: int) -> str:
    if form == "float":
        return _digits(struct.unpack("<d", struct.pack("<Q", raw))[0])
    if form == "signed":
        return str(struct.unpack("<q", struct.pack("<Q", raw))[0])
    return str(raw)


def _digits(number: float) -> str:
    return f"{number:.6g}"


# --- tshark --------------------------------------------------------------------------------------


def theirs(capture: Path) -> Told:
    """Tell the messages of a capture as tshark understands them."""
    for layers in dissected(capture, "iec60870_104", LAYERS, {}, DECODE_AS):
        frame, now = 0, 0
        for name, layer in layers:
            if name == "frame":
                fields = dict(layer)
                frame = int(fields["frame.number"])
                now = _nanoseconds(fields["frame.time_epoch"])
            elif name == "iec60870_104":
                u_type = int(dict(layer).get("iec60870_104.utype", "0"), 16)
                if u_type in U_TYPES:
                    yield frame, Message(*U_TYPES[u_type], False, False, False, 0, ())
            elif name == "iec60870_asdu":
                yield frame, _theirs(layer, now)


def _nanoseconds(seconds: str) -> int:
    whole, _, part = seconds.partition(".")
    return int(whole) * 1_000_000_000 + int(part.ljust(9, "0")[:9])


def _theirs(layer: Pairs, now: int) -> Message:
    head = {name.removeprefix("iec60870_asdu."): value for name, value in layer}
    function, cause = int(head["typeid"]), int(head["causetx"])
    objects = [_flat(value) for name, value in layer if name.startswith("IOA: ")]
    has_status = not (cause in {6, 8} or (function == 102 and cause == 5))
    return Message(
        function,
        cause,
        head["test"] == "1",
        has_status and head["nega"] == "1" and not 44 <= cause <= 47,
        function in COMMANDS and bool(objects) and _selects(objects[0]),
        int(head["addr"]),
        tuple(_object(function, one, now) for one in objects if function not in HIDDEN),
    )


def _flat(pairs: Pairs) -> dict[str, str]:
    """The fields of an object by name, those of its groups among them."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, list):
            fields |= _flat(value)
        else:
            fields[name.removeprefix("iec60870_asdu.")] = value
    return fields


def _selects(fields: dict[str, str]) -> bool:
    return any(fields.get(f"{name}.se") == "1" for name in ("sco", "dco", "rco", "qos"))


def _object(function: int, fields: dict[str, str], now: int) -> One:
    address = int(fields["ioa"])
    if function in UNTOLD:
        return One(address, "", 0, 0)
    name = next((name for name in VALUES if name in fields), None)
    if name is None:
        return One(address, "", 0, 0)
    text = fields[name]
    if name in {"normval", "float"}:
        value = _digits(float(text))
    elif name == "bitstring":
        value = str(int.from_bytes(int(text, 0).to_bytes(4, "big"), "little"))
    else:
        value = str(int(text, 0))
    quality = sum(int(fields[one], 0) & mask for one, mask in QUALITIES.items() if one in fields)
    for bit, flag in ((0x20, "cy"), (0x40, "ca"), (0x80, "iv")):
        quality |= bit if fields.get(f"bcr.{flag}") == "1" else 0
    return One(address, value, quality, _time(fields, now))


def _time(fields: dict[str, str], now: int) -> int:
    def part(name: str) -> int:
        return int(fields[f"{tag}.{name}"])

    tag = next((name for name in ("cp56time", "cp24time") if f"{name}.ms" in fields), None)
    if tag is None or part("iv"):
        return 0
    within = (part("min") * 60_000 + part("ms")) * MILLISECOND
    if tag == "cp24time":
        return now + (within - now % HOUR + HOUR // 2) % HOUR - HOUR // 2
    year = part("year") + (2000 if part("year") < 70 else 1900)
    try:
        day = dt.datetime(year, part("month"), part("day"), tzinfo=dt.UTC)
    except ValueError:
        return 0
    return int(day.timestamp()) * 1_000_000_000 + part("hour") * HOUR + within


# --- both ----------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """What only one of both tells."""

    ours: Counter[Message]
    theirs: Counter[Message]
    frames: dict[Message, int]
    """The first frame in which either told a message."""
    total: int
    """How many messages tshark told in all."""

    def __str__(self) -> str:
        lines = [
            f"{who} {count} x {message} first in frame {self.frames[message]}"
            for who, side in (("only otids ", self.ours), ("only tshark", self.theirs))
            for message, count in side.items()
        ]
        return "\n".join(line[:500] for line in lines[:20])


def compare(capture: Path) -> Difference:
    """Compare what both tell of a capture, as multisets."""
    frames: dict[Message, int] = {}
    sides: list[Counter[Any]] = []
    for told in (ours(capture), theirs(capture)):
        side: Counter[Message] = Counter()
        for frame, message in told:
            frames.setdefault(message, frame)
            side[message] += 1
        sides.append(side)
    mine, other = sides
    return Difference(mine - other, other - mine, frames, other.total())
