"""What was said: batches of columns, and the dictionaries that spell ids back into words.

A `Batch` is what the hot path has decoded since the last one. Its tables are plain numpy
columns; ids in them are places in the `Dictionaries`. A `Tick` is one second of it (or a part of
a second that is too full), the unit in which detectors judge and learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from otids import _hotpath
from otids.operands import spell_operands

Array: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

SECOND = 1_000_000_000
NONE = 0
NO_SUBFUNCTION = _hotpath.NO_SUBFUNCTION

ROLES: tuple[str, ...] = tuple(_hotpath.ROLES)
ACTIVITIES: tuple[str, ...] = tuple(_hotpath.ACTIVITIES)
ACCESSES: tuple[str, ...] = tuple(_hotpath.ACCESSES)
SIGHTED: tuple[str, ...] = tuple(_hotpath.SIGHTED)
NOTICE_KINDS: tuple[str, ...] = tuple(_hotpath.NOTICE_KINDS)
ENCAPSULATIONS: tuple[str, ...] = tuple(_hotpath.ENCAPSULATIONS)
VALUE_KINDS: tuple[str, ...] = tuple(_hotpath.VALUE_KINDS)
CONNECTION_STATES: tuple[str, ...] = tuple(_hotpath.CONNECTION_STATES)
CARRIERS: tuple[str, ...] = ("tcp", "udp", "network", "link")

REQUEST, RESPONSE, REPORT = (ROLES.index(role) for role in ("request", "response", "report"))


# --- names: what ids stand for, in words that outlive a session ---------------------------------


class EndpointName(NamedTuple):
    """An address that speaks: VLAN (0 for none, `outer << 12 | inner` for two tags) and address."""

    vlan: int
    address: str

    def __str__(self) -> str:
        if not self.vlan:
            return self.address
        outer, inner = divmod(self.vlan, 4096)
        return f"{self.address} (VLAN {f'{outer}.' if outer else ''}{inner})"


class ConversationName(NamedTuple):
    """Client, server, protocol, and the server's port (or APPID, or frame id)."""

    client: EndpointName
    server: EndpointName
    protocol: str
    carrier: str
    port: int

    def __str__(self) -> str:
        port = f"/{self.port}" if self.port else ""
        return f"{self.client} → {self.server} {self.protocol}{port}"


FILE_RECORD = "file-record"
_RECORDS = 0x1_0000


def spell_objects(kind: str, first: int, last: int) -> str:
    """Spell objects of one kind: "coil 3–5"; operands of S7comm ("DB1.DBW10") in their own way.

    Of a file's records (Modbus) the file is spelled as well.
    """
    operands = spell_operands(kind, first, last)
    if operands is not None:
        return operands
    file, record = divmod(first, _RECORDS)
    if kind == FILE_RECORD and last // _RECORDS == file:
        numbers = str(record) if first == last else f"{record}–{last % _RECORDS}"
        return f"file {file}, record {numbers}"
    return f"{kind} {first}" if first == last else f"{kind} {first}–{last}"


class RangeName(NamedTuple):
    """A range of objects of one type; `size` 0 means the type as such."""

    kind: str
    address: int
    size: int
    access: str
    name: str

    def __str__(self) -> str:
        if self.name:
            return f"{self.kind} {self.name}"
        if self.size == 0:
            return self.kind
        return spell_objects(self.kind, self.address, self.address + self.size - 1)


class SymbolName(NamedTuple):
    """A message's identity without its values."""

    conversation: ConversationName
    from_client: bool
    role: str
    activity: str
    function: int
    subfunction: int
    unit: int
    objects: tuple[RangeName, ...]
    status: int
    coarse: bool


class PointName(NamedTuple):
    """One process variable."""

    server: EndpointName
    protocol: str
    unit: int
    kind: str
    address: int
    name: str

    def __str__(self) -> str:
        what = spell_objects(self.kind, self.address, self.address)
        if self.name:
            place = f"{self.address} of " if self.address else ""
            what = f"{self.kind} {place}{self.name}"
        return f"{what} of unit {self.unit}" if self.unit else what


# --- tables: columns of equal length -------------------------------------------------------------


PLACES = frozenset({"conversation", "symbol", "point", "endpoint"})
"""Columns of ids, which are places in the dictionaries: i64, as numpy converts any others wherever
they are used."""

_NAMES: dict[type[Table], tuple[str, ...]] = {}
_NOTHING: dict[type[Table], Any] = {}


def column_names(table: type[Table]) -> tuple[str, ...]:
    """Names of a table's columns, in order; looked up once, for it is asked at every tick."""
    names = _NAMES.get(table)
    if names is None:
        names = _NAMES[table] = tuple(field.name for field in fields(table))
    return names


@dataclass(frozen=True)
class Table:
    """Columns of equal length; a row is what stands at one place of all of them.

    Of a table that is a part of another one each column is cut when it is first asked for: most
    columns of most ticks are never looked at.
    """

    __slots__ = ("_part", "_whole")
    _first = ""  # name of a column; no field, so without a type

    def __init_subclass__(cls) -> None:
        cls._first = next(iter(cls.__annotations__))

    def __len__(self) -> int:
        return len(getattr(self, self._first))

    if not TYPE_CHECKING:  # a column that is not there stays an error of types

        def __getattr__(self, name: str) -> Array:
            if name in Table.__slots__ or name not in column_names(type(self)):
                raise AttributeError(name)
            column = getattr(self._whole, name)[self._part]
            _set(self, name, column)
            return column

    @classmethod
    def of(cls, columns: Mapping[str, Array]) -> Self:
        """Wrap columns by name; a missing one is our bug and raises KeyError."""
        return cls(
            *[
                columns[name].astype(np.int64, copy=False) if name in PLACES else columns[name]
                for name in column_names(cls)
            ]
        )

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put the rows of several tables (at least one) behind each other."""
        if len(parts) == 1:
            return parts[0]
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return cls(
            *[np.concatenate([getattr(part, name) for part in parts]) for name in column_names(cls)]
        )

    def rows(self, start: int, stop: int) -> Self:
        """Rows `start` to `stop` as views, without copying."""
        if start < stop:
            return self._rows(start, stop)
        # Most tables of most ticks are empty: one empty table of a kind serves them all.
        nothing: Self | None = _NOTHING.get(type(self))
        if nothing is None:
            nothing = _NOTHING[type(self)] = self._rows(0, 0)
        return nothing

    def _rows(self, start: int, stop: int) -> Self:
        rows: Self = object.__new__(type(self))
        _set(rows, "_whole", self)
        _set(rows, "_part", slice(start, stop))
        return rows


_set = object.__setattr__  # of what is frozen


@dataclass(frozen=True, slots=True)
class Messages(Table):
    """Messages in order of completion. `reply_to` 0: none; `latency` in ns, -1 if none."""

    id: Array  # u64, counted from 1, without holes within a session
    time: Array  # i64, ns
    first_frame: Array  # u64
    frame: Array  # u64, the frame that completed it
    part: Array  # u16, place among the messages that this frame completed
    conversation: Array  # i64
    symbol: Array  # i64
    reply_to: Array  # u64
    latency: Array  # i64, ns
    length: Array  # u32, bytes


@dataclass(frozen=True, slots=True)
class Items(Table):
    """Objects touched by messages; `point` is the first of `count` neighbours."""

    message: Array  # u64
    point: Array  # i64
    access: Array  # u8, place in ACCESSES
    count: Array  # u32
    status: Array  # u16


@dataclass(frozen=True, slots=True)
class Values(Table):
    """Values carried; `item` counts the session's items from 0."""

    item: Array  # u64
    point: Array  # i64
    kind: Array  # u8, place in VALUE_KINDS
    number: Array  # f64, NaN for text and moments
    raw: Array  # u64
    text: Array  # u32
    quality: Array  # u32
    source_time: Array  # i64, ns, 0 if none


@dataclass(frozen=True, slots=True)
class Traffic(Table):
    """Volume per conversation and second; without a decoder also sizes and first bytes."""

    conversation: Array  # i64
    second: Array  # i64, s
    first_frame: Array  # u64
    last_frame: Array  # u64
    client_frames: Array  # u32
    client_bytes: Array  # u64, on the wire
    server_frames: Array  # u32
    server_bytes: Array  # u64
    retransmissions: Array  # u32
    gaps: Array  # u32
    duplicates: Array  # u32
    client_largest: Array  # u32, largest payload, 0 where decoded
    server_largest: Array  # u32
    client_head: Array  # u64, first 8 bytes of the first payload, big-endian, 0 where decoded
    server_head: Array  # u64


@dataclass(frozen=True, slots=True)
class Connections(Table):
    """Changes of state of TCP connections."""

    conversation: Array  # i64
    state: Array  # u8, place in CONNECTION_STATES
    time: Array  # i64
    frame: Array  # u64


@dataclass(frozen=True, slots=True)
class Sightings(Table):
    """First frame of each binding of an endpoint to a MAC and TTL, of each change and claim.

    A claim is what ARP tells though nobody asked, or though another MAC is in use; after one that
    it contradicts, what is in use is told again. Of each binding at most one row a second.
    """

    endpoint: Array  # i64
    mac: Array  # u64, 0 where the link has none
    ttl: Array  # u8, 0 in ARP
    arp: Array  # u8, place in SIGHTED; 0: seen in use rather than told by ARP
    time: Array  # i64
    frame: Array  # u64


@dataclass(frozen=True, slots=True)
class Facts(Table):
    """What a device said of itself."""

    endpoint: Array  # i64
    key: Array  # u32, text
    value: Array  # u32, text
    time: Array  # i64
    frame: Array  # u64


@dataclass(frozen=True, slots=True)
class Notices(Table):
    """Bytes that broke a rule. `endpoint` sent them; 0 in any id column: not known."""

    kind: Array  # u8, place in NOTICE_KINDS
    time: Array  # i64
    frame: Array  # u64
    conversation: Array  # i64
    endpoint: Array  # i64
    message: Array  # u64
    detail: Array  # u32, text


TABLES: Mapping[str, type[Table]] = {
    "messages": Messages,
    "items": Items,
    "values": Values,
    "traffic": Traffic,
    "connections": Connections,
    "sightings": Sightings,
    "facts": Facts,
    "notices": Notices,
}


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables over the same stretch of traffic."""

    messages: Messages
    items: Items
    values: Values
    traffic: Traffic
    connections: Connections
    sightings: Sightings
    facts: Facts
    notices: Notices

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, Array]]) -> Self:
        """Wrap columns by table and name."""
        wrapped: dict[str, Any] = {name: table.of(tables[name]) for name, table in TABLES.items()}
        return cls(**wrapped)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put several stretches (at least one) behind each other."""
        if len(parts) == 1:
            return parts[0]
        joined: dict[str, Any] = {
            name: table.join([getattr(part, name) for part in parts])
            for name, table in TABLES.items()
        }
        return cls(**joined)

    def rows(self, starts: Sequence[int], stops: Sequence[int]) -> Self:
        """The stretch from `starts` to `stops`, row numbers in the order of `TABLES`."""
        tables = _TABLES(self)
        return type(self)(
            *[
                table.rows(start, stop)
                for table, start, stop in zip(tables, starts, stops, strict=True)
            ]
        )

    def __bool__(self) -> bool:
        return any(map(len, _TABLES(self)))


_TABLES = attrgetter(*TABLES)


# --- dictionaries --------------------------------------------------------------------------------


class _Columns:
    """Columns that grow with the largest id; `self.NAME` holds at least `size` places."""

    DTYPES: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.size = 1
        self.version = 0  # counts up whenever ids come to mean something
        for name, dtype in self.DTYPES.items():
            setattr(self, name, np.zeros(64, dtype))

    def _reserve(self, size: int) -> None:
        self.size = max(self.size, size)
        for name in self.DTYPES:
            column: Array = getattr(self, name)
            if len(column) < size:
                grown = np.zeros(max(size, 2 * len(column)), column.dtype)
                grown[: len(column)] = column
                setattr(self, name, grown)

    def define(self, columns: Mapping[str, Array]) -> None:
        """Take over new entries: `id` and one column per name."""
        ids = columns["id"]
        if len(ids):
            self.version += 1
            self._reserve(int(ids.max()) + 1)
            for name in self.DTYPES:
                getattr(self, name)[ids] = columns[name]


class Endpoints(_Columns):
    """Endpoint ids: `vlan`, `address`."""

    DTYPES: Mapping[str, Any] = {"vlan": np.uint32, "address": object}
    vlan: Array
    address: Array

    def name(self, id: int) -> EndpointName:
        """Spell an id; 0 is spelled with an empty address."""
        return EndpointName(int(self.vlan[id]), self.address[id] or "")


class Texts(_Columns):
    """Text ids; 0 is the empty text."""

    DTYPES: Mapping[str, Any] = {"text": object}
    text: Array

    def name(self, id: int) -> str:
        """Spell an id."""
        return self.text[id] or ""


class Conversations(_Columns):
    """Conversation ids: endpoints, protocol (text id), carrier and port of each."""

    DTYPES: Mapping[str, Any] = {
        "client": np.int64,
        "server": np.int64,
        "protocol": np.int64,
        "carrier": np.uint8,
        "port": np.uint16,
    }
    client: Array
    server: Array
    protocol: Array
    carrier: Array
    port: Array


class Symbols(_Columns):
    """Symbol ids: all parts of each; `objects` places hold raw range tuples."""

    DTYPES: Mapping[str, Any] = {
        "conversation": np.int64,
        "from_client": np.bool_,
        "role": np.uint8,
        "activity": np.uint8,
        "status": np.uint16,
        "function": np.uint32,
        "subfunction": np.uint32,
        "unit": np.uint32,
        "coarse": np.bool_,
        "objects": object,  # tuple of (kind, address, count, access, name text id)
    }
    conversation: Array
    from_client: Array
    role: Array
    activity: Array
    status: Array
    function: Array
    subfunction: Array
    unit: Array
    coarse: Array
    objects: Array


class Points(_Columns):
    """Point ids: server, protocol (text id), unit, object type, address and name (text id)."""

    DTYPES: Mapping[str, Any] = {
        "server": np.int64,
        "protocol": np.int64,
        "unit": np.uint32,
        "kind": np.uint16,
        "address": np.uint64,
        "name_text": np.uint32,
    }
    server: Array
    protocol: Array
    unit: Array
    kind: Array
    address: Array
    name_text: Array

    def define(self, columns: Mapping[str, Array]) -> None:
        """Take over new pages: `id` is the first of `length` neighbours."""
        lengths = columns["length"].astype(np.int64)
        offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        wide = {name: np.repeat(column, lengths) for name, column in columns.items()}
        wide["id"] = wide["id"] + offsets.astype(np.uint32)
        wide["address"] = wide["address"] + offsets.astype(np.uint64)
        super().define(wide)


class Dictionaries:
    """Everything that ids stand for, grown batch by batch."""

    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.texts = Texts()
        self.conversations = Conversations()
        self.symbols = Symbols()
        self.points = Points()

    def update(self, batch: Batch) -> None:
        """Take over what `batch` defines."""
        for name in ("texts", "endpoints", "conversations", "symbols", "points"):
            getattr(self, name).define(batch.defined[name])

    def endpoint(self, id: int) -> EndpointName:
        """Spell an endpoint."""
        return self.endpoints.name(id)

    def conversation(self, id: int) -> ConversationName:
        """Spell a conversation."""
        table = self.conversations
        return ConversationName(
            self.endpoint(int(table.client[id])),
            self.endpoint(int(table.server[id])),
            self.texts.name(int(table.protocol[id])),
            CARRIERS[table.carrier[id]],
            int(table.port[id]),
        )

    def objects(self, id: int) -> tuple[RangeName, ...]:
        """Spell the object set of a symbol."""
        symbols = self.symbols
        protocol = self.texts.name(
            int(self.conversations.protocol[symbols.conversation[id]]),
        )
        return tuple(
            RangeName(
                object_name(protocol, kind), address, count, ACCESSES[access], self.texts.name(name)
            )
            for kind, address, count, access, name in symbols.objects[id] or ()
        )

    def symbol(self, id: int) -> SymbolName:
        """Spell a symbol."""
        symbols = self.symbols
        return SymbolName(
            self.conversation(int(symbols.conversation[id])),
            bool(symbols.from_client[id]),
            ROLES[symbols.role[id]],
            ACTIVITIES[symbols.activity[id]],
            int(symbols.function[id]),
            int(symbols.subfunction[id]),
            int(symbols.unit[id]),
            self.objects(id),
            int(symbols.status[id]),
            bool(symbols.coarse[id]),
        )

    def point(self, id: int) -> PointName:
        """Spell a point."""
        points = self.points
        protocol = self.texts.name(int(points.protocol[id]))
        return PointName(
            self.endpoint(int(points.server[id])),
            protocol,
            int(points.unit[id]),
            object_name(protocol, int(points.kind[id])),
            int(points.address[id]),
            self.texts.name(int(points.name_text[id])),
        )


def object_name(protocol: str, kind: int) -> str:
    """Name an object type of a protocol; an unknown one keeps its number."""
    return _hotpath.object_name(protocol, kind) or f"object type {kind}"


def function_name(protocol: str, function: int, subfunction: int = NO_SUBFUNCTION) -> str:
    """Name a function by its specification; an unknown one keeps its number."""
    name = _hotpath.function_name(protocol, function, subfunction)
    if name:
        return name
    extra = "" if subfunction == NO_SUBFUNCTION else f"/{subfunction}"
    return f"function {function}{extra}"


def status_name(protocol: str, status: int) -> str:
    """Name a status code; an unknown one keeps its number."""
    return _hotpath.status_name(protocol, status) or f"status {status}"


# --- batches and ticks ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """What one source has yielded since its last batch; may have no rows."""

    session: int
    until: int  # ns: nothing before this moment follows
    tables: Tables
    marks: Mapping[str, Array]  # second, epoch, and per table the row at which a tick ends
    defined: Mapping[str, Mapping[str, Array]]
    retired: Mapping[str, Array]
    census: bool  # the hot path waits to be told what was learned
    health: Mapping[str, Any]

    @classmethod
    def of(cls, raw: _hotpath.Batch) -> Self:
        """Wrap what the hot path hands over."""
        return cls(
            raw.session,
            raw.until,
            Tables.of(raw.tables),
            raw.marks,
            raw.defined,
            raw.retired,
            raw.census,
            raw.health,
        )


@dataclass(frozen=True, slots=True)
class Loss:
    """Which conversations (by id) the capture does not hold whole; ids beyond that are whole."""

    gaps: Mask  # bytes were missing in the last minute
    one_sided: Mask  # only one side is heard, though both must have spoken

    def is_lossy(self, conversations: Array) -> Mask:
        """Whether each of `conversations` has gaps, or is one-sided."""
        if not len(self.gaps):
            return np.zeros(len(conversations), np.bool_)
        return self.has_gaps(conversations) | self.is_one_sided(conversations)

    def has_gaps(self, conversations: Array) -> Mask:
        """Whether each of `conversations` has gaps."""
        return _marked(self.gaps, conversations)

    def is_one_sided(self, conversations: Array) -> Mask:
        """Whether only one side of each of `conversations` is heard."""
        return _marked(self.one_sided, conversations)


def _marked(marks: Mask, ids: Array) -> Mask:
    if not len(marks):
        return np.zeros(len(ids), np.bool_)
    marked: Mask = marks[np.minimum(ids, len(marks) - 1)] & (ids < len(marks))
    return marked


NO_LOSS = Loss(np.zeros(0, np.bool_), np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True)
class Tick:
    """One second of capture time, or a part of one that is too full.

    It has no rows only where a detector asked to be woken (`Detector.due`) and nothing was heard.
    """

    session: int
    epoch: int  # counts up when time runs back
    second: int  # s
    tables: Tables
    first_item: int  # number of the first row of `items`, as `values.item` counts
    names: Dictionaries
    loss: Loss = NO_LOSS


class Ticks:
    """Cuts batches of one source into ticks, in the same places however the batches were cut."""

    def __init__(self, names: Dictionaries) -> None:
        self._names = names
        self._session = -1
        self._open: list[Tables] = []
        self._items = 0
        self._nothing: Tables | None = None

    @property
    def is_open(self) -> bool:
        """Whether rows wait for the end of their second."""
        return bool(self._open)

    def empty(self, epoch: int, second: int) -> Tick:
        """A tick in which nothing was heard; only after something was."""
        if self._nothing is None:
            raise ValueError("nothing was heard yet")
        return Tick(self._session, epoch, second, self._nothing, self._items, self._names)

    def feed(self, batch: Batch) -> Iterator[Tick]:
        """Yield the ticks that `batch` completes; keep the rest."""
        if batch.session != self._session:
            self._session, self._open, self._items = batch.session, [], 0
        starts: Sequence[int] = (0,) * len(TABLES)
        self._nothing = batch.tables.rows(starts, starts)
        seconds, epochs = batch.marks["second"].tolist(), batch.marks["epoch"].tolist()
        marks = zip(*[batch.marks[name].tolist() for name in TABLES], strict=True)
        for second, epoch, stops in zip(seconds, epochs, marks, strict=True):
            tables = Tables.join([*self._open, batch.tables.rows(starts, stops)])
            self._open, starts = [], stops
            if tables:
                yield Tick(batch.session, epoch, second, tables, self._items, self._names)
                self._items += len(tables.items)
        rest = batch.tables.rows(starts, [len(table) for table in _TABLES(batch.tables)])
        if rest:
            self._open.append(rest)
