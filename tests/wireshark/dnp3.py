"""DNP3 messages of a capture as otids and as tshark tell them, in one form, to be compared.

What is compared is what both tell: who asks and who answers, the function, the outstation's
address, the error bits and the first command or file status, each object that a request names, and
each value with its index, quality and time. A response has the function that stands on the wire
here: otids tells that of its request. How many times and how long is compared of pulses only.
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

DECODE_AS = ("tcp.port==20000,dnp3", "tcp.port==20001,dnp3", "udp.port==20000,dnp3")
LAYERS = "frame dnp3"

CONFIRM, AUTHENTICATE = 0, 32
RESPONSE, UNSOLICITED, AUTHENTICATION_RESPONSE = 129, 130, 131
LINK, LINK_ANSWER, LINK_STATUS = 0x100, 0x110, 0x8000
FILE_STATUS, AUTHENTICATION_ERROR = 0x4000, 0x2000
USER_DATA = (3, 4)
FINE = (0, 11)
"""Answers of a link layer that refuse nothing."""
WITH_DATA = frozenset({*range(2, 7), AUTHENTICATE, 33})
NAMING_FILES = frozenset({25, 27, 28})
MILLISECOND = 1_000_000

KINDS = {0: "device-attribute", 12: "binary-output-command", 13: "binary-output-command-event"}
KINDS |= dict.fromkeys((1, 2), "binary-input") | dict.fromkeys((3, 4), "double-bit-input")
KINDS |= dict.fromkeys((10, 11), "binary-output") | dict.fromkeys((20, 22), "counter")
KINDS |= dict.fromkeys((21, 23), "frozen-counter") | dict.fromkeys((30, 32), "analog-input")
KINDS |= dict.fromkeys((31, 33), "frozen-analog-input") | {34: "analog-input-deadband"}
KINDS |= dict.fromkeys((40, 41, 42), "analog-output") | {43: "analog-output-command-event"}
KINDS |= {50: "time", 51: "common-time", 60: "class", 70: "file", 80: "internal-indication"}
KINDS |= dict.fromkeys((110, 111), "octet-string") | dict.fromkeys((112, 113), "virtual-terminal")
KINDS |= {120: "authentication"} | dict.fromkeys((121, 122), "security-statistic")
SINGLE = frozenset({"class", "authentication", "file", "object"})
"""Kinds whose objects have no index."""
UNSHOWN = frozenset({18, 22})
"""Functions whose objects tshark does not show: stop application, assign class."""
UNTOLD = frozenset({"virtual-terminal", "octet-string"})
"""Kinds whose values tshark does not show, or apart from their indexes."""
BITS, DOUBLE_BITS = frozenset({1, 2, 10, 11}), frozenset({3, 4})

SORTS = ("ana", "anaout", "da")
NUMBERS = (
    *(f"{sort}.{form}" for sort in SORTS for form in ("float", "double")),
    *("ana.int", "anaout.int", "cnt", "bit", "2bit", "da.value"),
    *(f"da.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)),
)
"""Fields of tshark that hold the value of an object."""
FLOATS = tuple(name for name in NUMBERS if name.endswith(("float", "double")))


class One(NamedTuple):
    """A value of an object."""

    kind: str
    address: int
    number: str  # of six significant digits, as tshark prints them
    quality: int
    time: int  # ns


class Message(NamedTuple):
    """What both tell of a fragment, or of a frame of the link layer."""

    role: str
    function: int
    unit: int
    status: int
    touched: tuple[tuple[str, int, int], ...]  # kind, first address, count
    names: tuple[str, ...]
    values: tuple[One, ...]


Told = Iterator[tuple[int, Message]]
"""Frame number and message."""


# --- otids ---------------------------------------------------------------------------------------


def ours(capture: Path) -> Told:
    """Tell the messages of a capture as the hot path understands them."""
    for tick, _ in ticks(capture):
        values, items, names = tick.tables.values, tick.tables.items, tick.names
        marks = zip(values.quality.tolist(), values.source_time.tolist(), strict=True)
        called = (names.texts.name(id) for id in names.points.name_text[items.point].tolist())
        for frame, message in zip(tick.tables.messages.frame.tolist(), said(tick), strict=True):
            own_marks = list(islice(marks, len(message.values)))
            own_names = list(islice(called, len(message.items)))
            if message.conversation.protocol == "dnp3":
                yield frame, _ours(message, own_marks, own_names)


def _ours(message: Said, marks: list[tuple[int, int]], names: list[str]) -> Message:
    is_answer = message.role == "response"
    function = message.function
    if is_answer and function >= LINK:
        function = LINK_ANSWER
    elif is_answer and function not in {CONFIRM, AUTHENTICATION_RESPONSE}:
        function = AUTHENTICATION_RESPONSE if function == AUTHENTICATE else RESPONSE
    asks = message.role == "request"
    is_named = asks and function in NAMING_FILES
    return Message(
        message.role,
        function,
        message.unit,
        message.status,
        _merged((one.kind, one.address, one.quantity) for one in message.items)
        if asks and function not in WITH_DATA | UNSHOWN
        else (),
        tuple(names) if is_named else (),
        tuple(
            sorted(
                One(value.kind, value.address, _number(value.form, value.raw), quality, time)
                for value, (quality, time) in zip(message.values, marks, strict=True)
                if value.kind not in UNTOLD and function != AUTHENTICATION_RESPONSE
            )
        ),
    )


def _number(form: str, raw: int) -> str:
    if form == "float":
        return _digits(struct.unpack("<d", struct.pack("<Q", raw))[0])
    if form == "text":
        return ""
    return str(raw - 2**64 if form == "signed" and raw >= 2**63 else raw)


def _digits(number: float) -> str:
    return f"{number:.5g}"


def _merged(ranges: Iterator[tuple[str, int, int]]) -> tuple[tuple[str, int, int], ...]:
    """Ranges in order, neighbours as one; objects without an index count once."""
    found: list[tuple[str, int, int]] = []
    for kind, first, count in sorted({(k, 0 if k == "file" else a, n) for k, a, n in ranges}):
        if found and found[-1][0] == kind and first <= sum(found[-1][1:]):
            start = found[-1][1]
            end = max(sum(found[-1][1:]), first + count)
            found[-1] = (kind, start, end - start)
        else:
            found.append((kind, first, count))
    return tuple(found)


# --- tshark --------------------------------------------------------------------------------------


def theirs(capture: Path) -> Told:
    """Tell the messages of a capture as tshark understands them."""
    for layers in dissected(capture, "dnp3", LAYERS, {"dnp3.desegment": "TRUE"}, DECODE_AS):
        frame = 0
        for name, layer in layers:
            if name == "frame":
                frame = int(dict(layer)["frame.number"])
            elif name == "dnp3" and (message := _theirs(layer)) is not None:
                yield frame, message


class Fields:
    """The fields of a part by name, those of its groups among them."""

    def __init__(self, layer: Pairs | str) -> None:
        self.every: dict[str, list[str]] = {}
        self._take(layer)

    def _take(self, layer: Pairs | str) -> None:
        for name, value in layer if isinstance(layer, list) else ():
            if isinstance(value, str):
                self.every.setdefault(name.removeprefix("dnp3."), []).append(value)
            else:
                self._take(value)

    def texts(self, name: str) -> list[str]:
        """All fields of this name."""
        return self.every.get(name, [])

    def number(self, name: str, default: int = 0) -> int:
        """The first number of this name."""
        return next((int(text, 0) for text in self.texts(name)), default)

    def has(self, name: str) -> bool:
        """Whether there is a field of this name."""
        return name in self.every


def _theirs(layer: Pairs) -> Message | None:
    fields = Fields(layer)
    if _is_damaged(fields):
        return None
    source, destination = fields.number("src"), fields.number("dst")
    if not fields.has("al.func"):
        return _link(fields, source, destination)
    function = fields.number("al.func")
    role = {RESPONSE: "response", AUTHENTICATION_RESPONSE: "response", UNSOLICITED: "report"}.get(
        function, "response" if function == CONFIRM else "request"
    )
    asks = role == "request"
    told = _Objects(function, carries_data=not asks or function in WITH_DATA)
    for name, value in _trees(layer):
        told.take(name, value)
    # Of an authentication response it shows no indications.
    states = fields.number("al.iin") if function >= RESPONSE else 0
    values = [*told.values, *_states(states)]
    errors = (states & 0x17) << 8 if role == "response" else 0
    return Message(
        role,
        function,
        destination if asks or function == CONFIRM else source,
        errors or (told.status if not asks and function >= RESPONSE else 0),
        _merged(iter(told.touched)) if asks and function not in WITH_DATA | UNSHOWN else (),
        tuple(told.names) if asks and function in NAMING_FILES else (),
        tuple(sorted(values)),
    )


def _is_damaged(fields: Fields) -> bool:
    return fields.has("hdr.CRC.incorrect") or fields.has("data_chunk.CRC.incorrect")


def _link(fields: Fields, source: int, destination: int) -> Message | None:
    unit = destination if fields.number("ctl.dir") else source
    if fields.number("ctl.prm"):
        function = fields.number("ctl.prifunc")
        if function in USER_DATA:
            return None
        return Message("request", LINK | function, unit, 0, (), (), ())
    code = fields.number("ctl.secfunc")
    status = 0 if code in FINE else LINK_STATUS | code
    return Message("response", LINK_ANSWER, unit, status, (), (), ())


def _trees(layer: Pairs) -> Iterator[tuple[int, Pairs]]:
    """Group and variation of each object header, and what stands behind it."""
    number = 0
    for name, value in layer:
        if name == "dnp3.al.obj":
            number = int(value, 0)
        elif name == "dnp3.al.obj_tree":
            yield number, value
        elif isinstance(value, list):
            yield from _trees(value)


def _states(iin: int) -> Iterator[One]:
    """The indications of a device's state that are set; tshark has the first byte high."""
    first, second = iin >> 8, iin & 0xFF
    for bit in range(16):
        if (second << 8 | first) & 0x28F0 & 1 << bit:
            yield One("internal-indication", bit, "1", 0, 0)


class _Objects:
    """What tshark shows of the objects of a fragment."""

    def __init__(self, function: int, *, carries_data: bool) -> None:
        self.function = function
        self.carries_data = carries_data
        self.values: list[One] = []
        self.touched: list[tuple[str, int, int]] = []
        self.names: list[str] = []
        self.status = 0
        self.common = 0

    def take(self, number: int, tree: Pairs) -> None:
        """Take in what stands behind one header."""
        group, variation = divmod(number, 256)
        kind = KINDS.get(group, "object")
        whole = Fields(tree)
        if not self.carries_data:
            self._touch(kind, number, whole)
        if group == 70:
            self.names += whole.texts("al.file_name")
            if (code := whole.number("al.file.status")) and not self.status:
                self.status = FILE_STATUS | code
        elif group in {50, 51}:
            for place, text in enumerate(whole.texts("al.timestamp")):
                moment = _time(text)
                self.common = moment if group == 51 else self.common
                self.values.append(One(kind, place, str(moment // MILLISECOND), 0, 0))
        elif group == 52:
            coarse = "time-delay-coarse" if variation == 1 else "time-delay"
            for place, text in enumerate(whole.texts("al.time_delay")):
                self.values.append(One(coarse, place, str(int(text)), 0, 0))
        else:
            for name, part in tree:
                if name.startswith(("Point Number", "Object")) and isinstance(part, list):
                    self._point(kind, group, variation, Fields(part))

    def _touch(self, kind: str, number: int, whole: Fields) -> None:
        group, variation = divmod(number, 256)
        starts = whole.texts("al.range.start")
        if kind in SINGLE or group == 0:
            sole = {"class": variation - 1, "authentication": variation, "object": number}
            sole |= {"device-attribute": variation}
            if whole.number("al.range.quantity", 1):
                self.touched.append((kind, sole.get(kind, 0), 1))
        elif starts:
            start, stop = int(starts[0]), whole.number("al.range.stop")
            self.touched.append((kind, start, stop - start + 1))
        elif indexes := whole.texts("al.index"):
            self.touched += [(kind, int(index), 1) for index in indexes]
        elif whole.number("al.range.quantity", 1):
            self.touched.append((kind, 0, 1))

    def _point(self, kind: str, group: int, variation: int, point: Fields) -> None:
        index = point.number("al.index", point.number("al.point_index"))
        if code := point.number("al.ctrlstatus") & 0x7F:
            self.status = self.status or code
        if point.has("ctl.op"):
            self._block(index, point)
            return
        quality, number = _flags(group, point)
        shown = next((name for name in NUMBERS if point.has(f"al.{name}")), None)
        if shown in FLOATS:
            number = _digits(float(point.texts(f"al.{shown}")[0]))
        elif shown == "da.value":
            number = ""
        elif shown is not None:
            number = point.texts(f"al.{shown}")[0]
        if number is None or kind in UNTOLD:
            return
        address = index << 8 | variation if group == 0 else index
        time = _time(point.texts("al.timestamp")[0]) if point.has("al.timestamp") else 0
        if point.has("al.reltimestamp") and self.common:
            after = float(point.texts("al.reltimestamp")[0])
            time = self.common + round(after * 1000) * MILLISECOND
        self.values.append(One(kind, address, number, quality, time))

    def _block(self, index: int, point: Fields) -> None:
        operation = point.number("ctl.op")
        code = operation | point.number("ctl.clr") << 4 | point.number("ctl.trip") << 6
        parts = {"binary-output-command": code}
        if operation in {1, 2}:
            parts["pulse-count"] = point.number("al.count")
            parts["pulse-on-time"] = point.number("al.on_time")
            parts["pulse-off-time"] = point.number("al.off_time")
        self.values += [One(kind, index, str(number), 0, 0) for kind, number in parts.items()]


def _flags(group: int, point: Fields) -> tuple[int, str | None]:
    """Quality as otids tells it, and the state that stands in the flags."""
    for sort in ("biq", "boq", "ctrq", "aiq", "aoq"):
        if point.has(f"al.{sort}.b0"):
            byte = sum(point.number(f"al.{sort}.b{bit}") << bit for bit in range(8))
            if group in BITS:
                return (byte ^ 1) & 0x7F, str(byte >> 7)
            if group in DOUBLE_BITS:
                return (byte ^ 1) & 0x3F, str(byte >> 6)
            return byte ^ 1, None
    return 0, None


def _time(text: str) -> int:
    """Nanoseconds of a moment as tshark prints it."""
    date, _, rest = text.removesuffix(" UTC").partition(".")
    plain = f"{' '.join(date.split())} +0000"
    seconds = int(dt.datetime.strptime(plain, "%b %d, %Y %H:%M:%S %z").timestamp())
    return seconds * 1_000_000_000 + int(rest.ljust(9, "0")[:9])


# --- both ----------------------------------------------------------------------------------------

SHOWN = 20


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
            for message, count in sorted(side.items(), key=lambda one: self.frames[one[0]])
        ]
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return "\n".join([*(line[:700] for line in lines[:SHOWN]), *more])


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
