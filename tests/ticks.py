"""Builds synthetic ticks out of readable lines, numbering things as the hot path does.

    wire = Wire()
    wire.exchange(0.0, 3, reads("holding-register", 100, 10))
    wire.request(1.5, 6, writes("holding-register", 7, values=[80]), client="10.0.0.66")
    first, second = wire.ticks()

Times are seconds since `Wire.start`, and never run back within an epoch. Ids count from 1 and
retired ones are used again, points come in pages of 64 neighbours, items are cut at the ends of
pages, and an object set of more than eight ranges names types only.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np

from otids import _hotpath
from otids.traffic import (
    ACCESSES,
    ACTIVITIES,
    CARRIERS,
    CONNECTION_STATES,
    NO_SUBFUNCTION,
    NOTICE_KINDS,
    REPORT,
    REQUEST,
    RESPONSE,
    SECOND,
    SIGHTED,
    TABLES,
    VALUE_KINDS,
    Array,
    Batch,
    Dictionaries,
    Table,
    Tables,
    Tick,
    Ticks,
)

PAGE = 64
MAX_OBJECT_RANGES = 8

HMI = "10.0.0.9"
PLC = "10.0.0.1"

MODBUS_ACTIVITIES = {
    **dict.fromkeys((1, 2, 3, 4, 7, 11, 24), "read"),
    **dict.fromkeys((5, 6, 15, 16, 22, 23), "write"),
    8: "diagnose",
    17: "browse",
    20: "file",
    21: "file",
    43: "browse",
}

# In the order of the columns.
DTYPES = {
    "messages": "u8 i8 u8 u8 u2 u4 u4 u8 i8 u4",
    "items": "u8 u4 u1 u4 u2",
    "values": "u8 u4 u1 f8 u8 u4 u4 i8",
    "traffic": "u4 i8 u8 u8 u4 u8 u4 u8 u4 u4 u4 u4 u4 u8 u8",
    "connections": "u4 u1 i8 u8",
    "sightings": "u4 u8 u1 u1 i8 u8",
    "facts": "u4 u4 u4 i8 u8",
    "notices": "u1 i8 u8 u4 u4 u8 u4",
}


class Numbered(int):
    """The place of a message in its series."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A range of objects that a message touches, and the values it carries for them."""

    kind: str
    address: int = 0
    count: int = 1
    access: str = "read"
    name: str = ""
    status: int = 0
    values: tuple[float | str | datetime, ...] = ()


def reads(kind: str, address: int = 0, count: int = 1, **more: Any) -> Touch:
    """Touch `count` objects from `address` on by reading."""
    return Touch(kind, address, count, "read", **_tupled(more))


def writes(
    kind: str, address: int = 0, count: int | None = None, *, values: Iterable[float] = (),
    **more: Any,
) -> Touch:  # fmt: skip
    """Touch objects by writing; `count` is the number of values unless given."""
    written = tuple(values)
    return Touch(
        kind,
        address,
        count if count is not None else max(1, len(written)),
        "write",
        values=written,
        **more,
    )


def _tupled(more: dict[str, Any]) -> dict[str, Any]:
    return {**more, "values": tuple(more.get("values", ()))}


@dataclass(frozen=True, slots=True)
class _Said:
    """What a later response has to know of its request."""

    id: int
    time: float
    function: int
    touches: tuple[Touch, ...]
    parts: Mapping[str, Any]


class _Dictionary:
    """Distinct keys to dense ids from 1, or pages of them; retired ids are used again."""

    def __init__(self) -> None:
        self.ids: dict[Hashable, int] = {}
        self.next = 1
        self.defined: list[dict[str, Any]] = []
        self.retired: list[int] = []
        self._free: list[int] = []

    def intern(self, key: Hashable, entry: Mapping[str, Any], length: int = 1) -> int:
        """Return the (first) id of `key`, defining it as `entry` if it is new."""
        known = self.ids.get(key)
        if known is not None:
            return known
        if self._free and length == 1:
            place = self._free.pop()
        else:
            place, self.next = self.next, self.next + length
        self.ids[key] = place
        self.defined.append({"id": place, "length": length, **entry})
        return place

    def retire(self, places: Iterable[int]) -> None:
        """Give up ids."""
        given_up = set(places)
        self.ids = {key: place for key, place in self.ids.items() if place not in given_up}
        self.retired.extend(sorted(given_up))
        self._free.extend(sorted(given_up))

    def take_defined(self, dtypes: Mapping[str, Any]) -> dict[str, Array]:
        """Columns of what was defined since the last call."""
        columns: dict[str, Array] = {}
        for name, dtype in {"id": np.uint32, "length": np.uint32, **dtypes}.items():
            column = np.empty(len(self.defined), dtype)
            for place, entry in enumerate(self.defined):
                column[place] = entry[name]
            columns[name] = column
        self.defined = []
        return columns

    def take_retired(self) -> Array:
        """Ids retired since the last call."""
        retired, self.retired = np.array(self.retired, np.uint32), []
        return retired


class Wire:
    """A wire on which things are said, one after another. Defaults: Modbus, one HMI, one PLC."""

    def __init__(
        self, *, protocol: str = "modbus", session: int = 1, start: int = 1_700_000_000
    ) -> None:
        self.protocol = protocol
        self.session = session
        self.start = start
        self.names = Dictionaries()
        self.epoch = 0
        self._ticks = Ticks(self.names)
        self._dictionaries = {
            name: _Dictionary()
            for name in ("texts", "endpoints", "conversations", "symbols", "points")
        }
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._when: dict[str, list[tuple[int, int]]] = {name: [] for name in TABLES}
        self._open: set[tuple[int, int]] = set()  # the second that the last batch left open
        self._said: dict[int, _Said] = {}
        self._messages = self._items = self._frame = 0
        self._now = 0

    # --- messages ------------------------------------------------------------------------------

    def request(self, time: float, function: int, *touches: Touch, **parts: Any) -> int:
        """Say a request; returns its id. `parts` are those of `_message`."""
        return self._message(time, REQUEST, function, touches, parts)

    def response(
        self, to: int, *touches: Touch, latency: float = 0.005, status: int = 0, **parts: Any
    ) -> int:
        """Answer request `to`; it touches the same objects, `touches` may add the values."""
        said = self._said[to]
        inherited = {
            name: said.parts[name]
            for name in ("client", "server", "unit", "subfunction", "port", "vlan", "activity",
                         "coarse")
            if name in said.parts
        }  # fmt: skip
        return self._message(
            said.time + latency,
            RESPONSE,
            said.function,
            touches or tuple(replace(touch, values=()) for touch in said.touches),
            {
                **inherited, **parts, "status": status, "reply_to": to,
                "latency": round(latency * SECOND), "objects": said.touches,
            },
        )  # fmt: skip

    def exchange(self, time: float, function: int, *touches: Touch, **parts: Any) -> int:
        """Say a request and, 5 ms later, its response; returns the request's id."""
        status = parts.pop("status", 0)
        to = self.request(time, function, *touches, **parts)
        self.response(to, status=status)
        return to

    def report(self, time: float, function: int, *touches: Touch, **parts: Any) -> int:
        """Say something unasked, by the server unless `from_client`."""
        return self._message(time, REPORT, function, touches, parts)

    def _message(
        self,
        time: float,
        role: int,
        function: int,
        touches: Sequence[Touch],
        parts: Mapping[str, Any],
    ) -> int:
        known = {
            "client", "server", "unit", "subfunction", "port", "vlan", "activity", "coarse",
            "status", "reply_to", "latency", "objects", "frame", "first_frame", "length",
            "from_client",
        }  # fmt: skip
        assert not parts.keys() - known, f"unknown parts {sorted(parts.keys() - known)}"
        now = self._at(time)
        self._messages += 1
        message = self._messages
        frame = parts.get("frame") or self.next_frame()
        self._frame = max(self._frame, frame)
        conversation = self.conversation(
            parts.get("client", HMI),
            parts.get("server", PLC),
            port=parts.get("port", 502),
            vlan=parts.get("vlan", 0),
        )
        symbol = self._symbol(conversation, role, function, touches, parts)
        self._add(
            "messages", now,
            message, now, parts.get("first_frame", frame), frame, 0, conversation, symbol,
            parts.get("reply_to", 0), parts.get("latency", -1), parts.get("length", 12),
        )  # fmt: skip
        server = self.endpoint(parts.get("server", PLC), parts.get("vlan", 0))
        for touch in touches:
            self._touch(now, message, server, parts.get("unit", 1), touch)
        self._said[message] = _Said(message, time, function, tuple(touches), parts)
        return message

    def _symbol(
        self,
        conversation: int,
        role: int,
        function: int,
        touches: Sequence[Touch],
        parts: Mapping[str, Any],
    ) -> int:
        coarse = parts.get("coarse", False)
        objects = () if coarse else self._object_set(role, parts.get("objects", touches))
        activity = parts.get("activity") or MODBUS_ACTIVITIES.get(function, "other")
        entry = {
            "conversation": conversation,
            "from_client": parts.get("from_client", role == REQUEST),
            "role": role,
            "activity": ACTIVITIES.index(activity),
            "status": parts.get("status", 0),
            "function": function,
            "subfunction": parts.get("subfunction", NO_SUBFUNCTION),
            "unit": 0 if coarse else parts.get("unit", 1),
            "coarse": coarse,
            "objects": objects,
        }
        return self._dictionaries["symbols"].intern(tuple(entry.values()), entry)

    def _object_set(
        self, role: int, touches: Sequence[Touch]
    ) -> tuple[tuple[int, int, int, int, int], ...]:
        ranges = [
            (
                self.kind(touch.kind),
                touch.address,
                touch.count,
                ACCESSES.index(touch.access),
                self.text(touch.name),
            )
            for touch in touches
        ]
        if role == REPORT or len(ranges) > MAX_OBJECT_RANGES:
            return tuple(sorted({(kind, 0, 0, access, 0) for kind, _, _, access, _ in ranges}))
        return tuple(ranges)

    def _touch(self, now: int, message: int, server: int, unit: int, touch: Touch) -> None:
        address, left = touch.address, touch.count
        values = list(touch.values)
        while left > 0:
            point, here = self._point(server, unit, touch, address)
            count = min(left, here)
            access = ACCESSES.index(touch.access)
            self._add("items", now, message, point, access, count, touch.status)
            for offset, value in enumerate(values[:count]):
                self._value(now, point + offset, value)
            self._items += 1
            del values[:count]
            address, left = address + count, left - count

    def _point(self, server: int, unit: int, touch: Touch, address: int) -> tuple[int, int]:
        """Find the point of `address`, and how many neighbours follow it in its page."""
        protocol, kind, name = (
            self.text(self.protocol),
            self.kind(touch.kind),
            self.text(touch.name),
        )
        length = 1 if touch.name else PAGE
        first = address - address % length
        entry = {
            "server": server, "protocol": protocol, "unit": unit, "kind": kind,
            "address": first, "name_text": name,
        }  # fmt: skip
        page = self._dictionaries["points"].intern(tuple(entry.values()), entry, length)
        return page + address - first, first + length - address

    def _value(self, now: int, point: int, value: float | str | datetime) -> None:
        text, number, raw = 0, float("nan"), 0
        if isinstance(value, str):
            kind, text = "text", self.text(value)
        elif isinstance(value, datetime):
            kind, raw = "time", round(value.timestamp() * SECOND)
        elif isinstance(value, bool):
            kind, number, raw = "bit", float(value), int(value)
        elif isinstance(value, int):
            kind, number, raw = "unsigned", float(value), value
            if isinstance(value, Numbered):
                kind = "sequence"
        else:
            kind, number, raw = "float", value, int(np.float64(value).view(np.uint64))
        self._add(
            "values", now, self._items, point, VALUE_KINDS.index(kind), number, raw, text, 0, 0
        )

    # --- everything else -----------------------------------------------------------------------

    def connection(self, time: float, state: str, **parts: Any) -> None:
        """Change the state of a TCP connection; `parts` are those of `conversation`."""
        now = self._at(time)
        self._add(
            "connections", now,
            self.conversation(**parts), CONNECTION_STATES.index(state), now, self.next_frame(),
        )  # fmt: skip

    def sighting(
        self, time: float, address: str, mac: int, *, ttl: int = 64, arp: bool | str = False,
        vlan: int = 0,
    ) -> None:  # fmt: skip
        """Bind an address to a MAC; `arp` says how ARP tells it (True: it answers)."""
        now = self._at(time)
        endpoint = self.endpoint(address, vlan)
        how = SIGHTED.index(arp if isinstance(arp, str) else "reply" if arp else "used")
        self._add("sightings", now, endpoint, mac, 0 if arp else ttl, how, now, self.next_frame())

    def fact(self, time: float, address: str, key: str, value: str, *, vlan: int = 0) -> None:
        """Let a device say something of itself."""
        now = self._at(time)
        self._add(
            "facts", now,
            self.endpoint(address, vlan), self.text(key), self.text(value), now, self.next_frame(),
        )  # fmt: skip

    def notice(
        self, time: float, kind: str, detail: str = "", *, address: str = PLC, message: int = 0,
        **parts: Any,
    ) -> None:  # fmt: skip
        """Break a rule; `parts` are those of `conversation`."""
        now = self._at(time)
        self._add(
            "notices", now,
            NOTICE_KINDS.index(kind), now, self.next_frame(), self.conversation(**parts),
            self.endpoint(address, parts.get("vlan", 0)), message, self.text(detail),
        )  # fmt: skip

    def volume(self, time: float, *, parts: Mapping[str, Any] | None = None, **counts: int) -> None:
        """Add a row of `traffic`; `counts` are its columns, `parts` those of `conversation`."""
        now = self._at(time)
        row = {
            **dict.fromkeys(_column_names("traffic"), 0),
            "conversation": self.conversation(**(parts or {})),
            "second": now // SECOND,
            **dict.fromkeys(("first_frame", "last_frame"), self.next_frame()),
            **counts,
        }
        self._add("traffic", now, *row.values())

    def run_back(self, to: float) -> None:
        """Begin a new epoch at an earlier time."""
        self._now = self.start * SECOND + round(to * SECOND)
        self.epoch += 1

    # --- ids -----------------------------------------------------------------------------------

    def text(self, text: str) -> int:
        """Id of a text; 0 for the empty one."""
        return self._dictionaries["texts"].intern(text, {"text": text}) if text else 0

    def endpoint(self, address: str, vlan: int = 0) -> int:
        """Id of an endpoint."""
        return self._dictionaries["endpoints"].intern(
            (vlan, address), {"vlan": vlan, "address": address}
        )

    def conversation(
        self, client: str = HMI, server: str = PLC, *, port: int = 502, vlan: int = 0,
        carrier: str = "tcp", protocol: str | None = None,
    ) -> int:  # fmt: skip
        """Id of a conversation."""
        entry = {
            "client": self.endpoint(client, vlan),
            "server": self.endpoint(server, vlan),
            "protocol": self.text(self.protocol if protocol is None else protocol),
            "carrier": CARRIERS.index(carrier),
            "port": port,
        }
        return self._dictionaries["conversations"].intern(tuple(entry.values()), entry)

    def kind(self, name: str) -> int:
        """Place of an object type in its protocol."""
        for kind in range(256):
            if _hotpath.object_name(self.protocol, kind) == name:
                return kind
        raise KeyError(name)

    def next_frame(self) -> int:
        """Number one more frame."""
        self._frame += 1
        return self._frame

    def retire(self, dictionary: str, places: Iterable[int]) -> None:
        """Retire ids: the next batch says so, and later definitions use them again."""
        self._dictionaries[dictionary].retire(places)

    # --- batches and ticks ---------------------------------------------------------------------

    def batch(self, *, close: bool = True) -> Batch:
        """Hand over what was said since the last batch; the last second stays open if not `close`.

        The dictionaries of the wire are left as they are: `names.update` is for the receiver.
        """
        tables: dict[str, Table] = {
            name: table.of(_columns(name, self._rows[name])) for name, table in TABLES.items()
        }
        whole = Tables(**tables)  # type: ignore[arg-type]
        marks = self._marks(close)
        self._rows = {name: [] for name in TABLES}
        self._when = {name: [] for name in TABLES}
        return Batch(
            session=self.session,
            until=self._now,
            tables=whole,
            marks=marks,
            defined={
                name: dictionary.take_defined(getattr(self.names, name).DTYPES)
                for name, dictionary in self._dictionaries.items()
            },
            retired={
                name: dictionary.take_retired() for name, dictionary in self._dictionaries.items()
            },
            census=False,
            health={},
        )

    def ticks(self) -> list[Tick]:
        """Cut what was said since the last call into ticks; `names` holds what their ids mean."""
        batch = self.batch()
        self.names.update(batch)
        return list(self._ticks.feed(batch))

    def tick(self) -> Tick:
        """Hand over what was said since the last call as the one tick that it must be."""
        (tick,) = self.ticks()
        return tick

    def _marks(self, close: bool) -> dict[str, Array]:
        said = {moment for when in self._when.values() for moment in when}
        moments = sorted(said | self._open)
        self._open = set() if close else set(moments[-1:])
        if not close:
            moments = moments[:-1]
        marks = {
            name: np.array(
                [sum(one <= moment for one in self._when[name]) for moment in moments], np.int64
            )
            for name in TABLES
        }
        marks["epoch"] = np.array([epoch for epoch, _ in moments], np.int64)
        marks["second"] = np.array([second for _, second in moments], np.int64)
        return marks

    def _at(self, time: float) -> int:
        now = self.start * SECOND + round(time * SECOND)
        assert now >= self._now, f"{time} s lies before what was said last"
        self._now = now
        return now

    def _add(self, table: str, now: int, *row: Any) -> None:
        self._rows[table].append(row)
        self._when[table].append((self.epoch, now // SECOND))


def _columns(table: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Array]:
    names = _column_names(table)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return {
        name: np.array(column, dtype)
        for name, dtype, column in zip(names, DTYPES[table].split(), columns, strict=True)
    }


def _column_names(table: str) -> list[str]:
    return [field.name for field in fields(TABLES[table])]
