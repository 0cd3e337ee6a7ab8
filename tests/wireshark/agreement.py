"""Modbus messages of a capture as otids and as tshark tell them, in one form, to be compared.

What is compared is what both tell. tshark gives no objects for the response of a read, and numbers
the values of a read response from 0 where it knows no request: such values say nothing of an
address. UMAS (function 90) is compared at function level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hotpath.reading import Said, said, ticks
from wireshark.tshark import Pairs, dissected

from otids.traffic import NO_SUBFUNCTION

PREFERENCES = {"mbtcp.desegment": "TRUE", "modbus.mbus_register_format": "UINT16"}
DECODE_AS = ("tcp.port==502,mbtcp", "udp.port==502,mbudp")
LAYERS = "frame tcp udp mbtcp mbudp modbus"

PORT = 502
UMAS = 90
READS = frozenset({1, 2, 3, 4, 20, 23, 24, 43})
FIFO_COUNT = 31
COIL_ON = 0xFF00
DEVICE_IDENTIFICATION = 14


class Adu(NamedTuple):
    """What both tell of an application data unit."""

    role: str
    unit: int
    function: int
    subfunction: int  # -1: none
    exception: int  # 0: none
    objects: tuple[tuple[int, int], ...]  # first address, count
    values: tuple[tuple[int, int], ...]  # address, number


Ranges = tuple[tuple[int, int], ...]
Told = Iterator[tuple[int, Adu]]
"""Frame number and ADU."""


# --- otids ---------------------------------------------------------------------------------------


def ours(capture: Path) -> Told:
    """Tell the ADUs of a capture as the hot path understands them."""
    for tick, _ in ticks(capture):
        for frame, message in zip(tick.tables.messages.frame.tolist(), said(tick), strict=True):
            if message.conversation.protocol == "modbus":
                yield frame, adu_of(message)


def adu_of(message: Said) -> Adu:
    """Reduce a message to what tshark tells, too."""
    is_read = message.role == "response" and message.function in READS
    is_umas = message.function == UMAS
    exception = 0 if is_umas and message.status > 0x80 else message.status
    objects = () if is_read or exception else tuple(one[1:3] for one in message.items)
    hidden = message.subfunction == NO_SUBFUNCTION or is_umas or exception
    return Adu(
        message.role,
        message.unit,
        message.function,
        -1 if hidden else message.subfunction,
        exception,
        objects,
        tuple((value.address, value.raw) for value in message.values),
    )


# --- tshark --------------------------------------------------------------------------------------


def theirs(capture: Path) -> Told:
    """Tell the ADUs of a capture as tshark understands them."""
    asked: dict[tuple[int, int], Ranges] = {}
    for layers in dissected(capture, "modbus", LAYERS, PREFERENCES, DECODE_AS):
        yield from _adus(layers, asked)


def _adus(layers: Pairs, asked: dict[tuple[int, int], Ranges]) -> Told:
    frame, port, unit = 0, 0, 0
    for name, layer in layers:
        if name == "frame":
            frame = int(dict(layer)["frame.number"])
        elif name in {"tcp", "udp"}:
            port = int(dict(layer)[f"{name}.dstport"])
        elif name in {"mbtcp", "mbudp"}:
            unit = int(dict(layer)["mbtcp.unit_id"])
        elif name == "modbus":
            fields = Fields(layer)
            if port == PORT:
                adu = _request(unit, fields)
                asked[frame, adu.function] = adu.objects
            else:
                adu = _response(unit, fields, asked)
            yield frame, adu


class Fields:
    """The fields of a dissected PDU by name, those of its groups among them."""

    def __init__(self, layer: Pairs) -> None:
        self.every: dict[str, list[str]] = {}
        self._take(layer)

    def _take(self, layer: Pairs) -> None:
        for name, value in layer:
            if isinstance(value, str):
                self.every.setdefault(name, []).append(value)
            else:
                self._take(value)

    def numbers(self, name: str) -> list[int]:
        """All numbers of this name, in order."""
        return [int(text, 0) for text in self.every.get(f"modbus.{name}", ())]

    def number(self, name: str, default: int) -> int:
        """The first number of this name."""
        return next(iter(self.numbers(name)), default)

    def data(self) -> list[bytes]:
        """All runs of bytes that tshark leaves as they are."""
        return [bytes.fromhex(text.replace(":", "")) for text in self.every.get("modbus.data", ())]

    def values(self) -> Ranges:
        """The values that tshark tells one by one, each with its address."""
        registers = zip(self.numbers("regnum16"), self.numbers("regval_uint16"), strict=True)
        bits = zip(self.numbers("bitnum"), self.numbers("bitval"), strict=True)
        return (*registers, *bits)


def _head(fields: Fields) -> tuple[int, int, int]:
    """Function, subfunction (-1: none) and exception (0: none)."""
    function = fields.number("func_code", 0)
    exception = fields.number("exception_code", 0)
    subfunction = fields.number("diagnostic_code", fields.number("mei", -1))
    return function, subfunction, exception


def _request(unit: int, fields: Fields) -> Adu:
    function, subfunction, exception = _head(fields)
    objects: Ranges = ()
    values = fields.values()
    data = b"".join(fields.data())
    start = fields.number("reference_num", 0)
    match function:
        case 1 | 2 | 15:
            bits = (start, fields.number("bit_cnt", 0))
            objects, values = (bits,), _bits(bits, data)
        case 3 | 4 | 16:
            objects = ((start, fields.number("word_cnt", 0)),)
        case 5 | 6 | 22:
            objects, values = _single(function, fields, data)
        case 20 | 21:
            objects, values = _records(fields)
        case 23:
            read = fields.number("read_reference_num", 0), fields.number("read_word_cnt", 0)
            write = fields.number("write_reference_num", 0), fields.number("write_word_cnt", 0)
            objects, values = (read, write), _words(write, data)
        case 24:
            objects = ((start, FIFO_COUNT),)
        case 43 if subfunction == DEVICE_IDENTIFICATION:
            objects = ((fields.number("object_id", 0), 1),)
    # A quantity of 0 touches nothing.
    objects = tuple(one for one in objects if one[1])
    return Adu("request", unit, function, subfunction, exception, objects, values)


def _response(unit: int, fields: Fields, asked: dict[tuple[int, int], Ranges]) -> Adu:
    function, subfunction, exception = _head(fields)
    objects: Ranges = ()
    values = fields.values()
    data = fields.data()
    ranges = asked.get((fields.number("request_frame", 0), function), ())
    match function:
        case _ if exception:
            values = ()
        case 5 | 6 | 22:
            objects, values = _single(function, fields, b"".join(data))
        case 15 | 16:
            count = fields.number("bit_cnt" if function == 15 else "word_cnt", 0)
            objects = ((fields.number("reference_num", 0), count),)
        case 21:
            objects, values = _records(fields)
        case _ if not ranges:
            values = ()
        case 20:
            values = tuple(
                value
                for range_, record in zip(ranges, data, strict=False)
                for value in _words(range_, record)
            )
        case 23 | 24:
            values = _words(ranges[0], b"".join(data))
    objects = tuple(one for one in objects if one[1])
    return Adu("response", unit, function, subfunction, exception, objects, values)


def _single(function: int, fields: Fields, data: bytes) -> tuple[Ranges, Ranges]:
    """One coil or register: its address, and what is written there if that is sure."""
    address = fields.number("reference_num", 0)
    number = int.from_bytes(data, "big")
    values: Ranges = ((address, number),)
    if function == 5:
        values = ((address, int(number == COIL_ON)),) if number in {0, COIL_ON} else ()
    elif function == 22:
        is_sure = fields.numbers("and_mask") == [0] and fields.numbers("or_mask") != []
        values = ((address, fields.number("or_mask", 0)),) if is_sure else ()
    return ((address, 1),), values


def _records(fields: Fields) -> tuple[Ranges, Ranges]:
    ranges = tuple(
        zip(fields.numbers("reference_num_32"), fields.numbers("word_cnt"), strict=False)
    )
    values = (_words(one, data) for one, data in zip(ranges, fields.data(), strict=False))
    return ranges, tuple(value for some in values for value in some)


def _words(range_: tuple[int, int], data: bytes) -> Ranges:
    """Address and number of each register of a range that the bytes hold."""
    first, count = range_
    whole = min(count, len(data) // 2)
    return tuple(
        (first + place, int.from_bytes(data[2 * place : 2 * place + 2], "big"))
        for place in range(whole)
    )


def _bits(range_: tuple[int, int], data: bytes) -> Ranges:
    """Address and value of each coil of a range that the bytes hold."""
    first, count = range_
    whole = min(count, len(data) * 8)
    return tuple((first + place, data[place // 8] >> place % 8 & 1) for place in range(whole))


# --- both ----------------------------------------------------------------------------------------


SHOWN = 20


class Difference(NamedTuple):
    """What only one of both tells."""

    ours: Counter[Adu]
    theirs: Counter[Adu]
    frames: dict[Adu, int]
    """The first frame in which either told an ADU."""
    total: int
    """How many ADUs tshark told in all."""

    def __str__(self) -> str:
        lines = [
            f"{who} {count} x {adu} first in frame {self.frames[adu]}"
            for who, side in (("only otids ", self.ours), ("only tshark", self.theirs))
            for adu, count in sorted(side.items(), key=lambda one: self.frames[one[0]])
        ]
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return "\n".join([*(line[:500] for line in lines[:SHOWN]), *more])


def compare(capture: Path) -> Difference:
    """Compare what both tell of a capture, as multisets."""
    frames: dict[Adu, int] = {}
    sides = []
    for told in (ours(capture), theirs(capture)):
        side: Counter[Adu] = Counter()
        for frame, adu in told:
            frames.setdefault(adu, frame)
            side[adu] += 1
        sides.append(side)
    mine, other = sides
    return Difference(mine - other, other - mine, frames, other.total())
