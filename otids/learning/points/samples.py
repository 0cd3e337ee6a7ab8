"""Which values a tick holds: what was read of points, and what was written to them."""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from otids.traffic import ACCESSES, REQUEST, VALUE_KINDS, Array, Mask, Tick

READ, REPORT = (ACCESSES.index(access) for access in ("read", "report"))
BIT, UNSIGNED, TEXT = (VALUE_KINDS.index(kind) for kind in ("bit", "unsigned", "text"))
"""Kinds of numbers stand before `TEXT`, and moments and places behind it."""
EVERY = slice(None)
_IS_STATE = np.array([kind not in {"time", "sequence"} for kind in VALUE_KINDS])
"""Moments, and places of messages in their series, say nothing of the process."""
_CHANGES = np.array([access in {"write", "control"} for access in ACCESSES])


@dataclass(frozen=True, slots=True)
class _Carried:
    """All values that a tick carries, as columns of equal length; but for `spoken`."""

    point: Array  # i64
    number: Array  # f64; of a text, its checksum
    raw: Array  # u64; of a text, its checksum
    kind: Array  # u8, place in VALUE_KINDS
    item: Array  # i64, row of the tick's items
    spoken: Array  # i64, by row of items: row of the tick's messages


class Samples:
    """Values of single points in order of completion, as columns of equal length.

    What is asked of every value stands in columns; what only few are asked is looked up for those.
    """

    __slots__ = ("_at", "_carried", "point", "raw", "time")

    def __init__(self, carried: _Carried, at: Array, time: Array) -> None:
        """`at` says which of what is carried; `time` (i64, ns) is by row of the tick's items."""
        self._carried, self._at = carried, at
        self.point, self.raw, item = carried.point, carried.raw, carried.item
        if len(at) < len(item):
            self.point, self.raw, item = self.point.take(at), self.raw.take(at), item.take(at)
        self.time = time.take(item)

    def __len__(self) -> int:
        return len(self._at)

    def number(self, which: Array | slice | int = EVERY) -> Array:
        """Values as f64; of a text, its checksum."""
        return self._carried.number[self._at[which]]

    def kind(self, which: Array | slice | int = EVERY) -> Array:
        """Places in VALUE_KINDS."""
        return self._carried.kind[self._at[which]]

    def message(self, which: Array | slice | int = EVERY) -> Array:
        """Rows of the tick's messages (i64)."""
        return self._carried.spoken[self._carried.item[self._at[which]]]

    def only(self, rows: Array) -> "Samples":
        """Some of them."""
        some = object.__new__(Samples)
        some._carried, some._at = self._carried, self._at.take(rows)
        some.point, some.raw = self.point.take(rows), self.raw.take(rows)
        some.time = self.time.take(rows)
        return some


def samples_of(tick: Tick) -> tuple[Samples | None, Samples | None]:
    """What was read, and what was written; None: nothing.

    Read are values of good answers and reports, but for moments and numbers
    of messages. Written are values of requests, whatever came
    of them.
    """
    tables, symbols = tick.tables, tick.names.symbols
    values, items, messages = tables.values, tables.items, tables.messages
    heard, touched = len(messages.id), len(items.message)
    if not (heard and touched and len(values.item)):
        return None, None
    # Places are i64 throughout: numpy converts others wherever they are used.
    place = items.message - messages.id[0]
    before = place >= heard
    if np.count_nonzero(before):  # of a part of this second that came before
        place[before] = 0
    spoken = place.view(np.int64)
    symbol = messages.symbol[spoken]
    role = symbols.role[symbol]
    is_read = (items.access == READ) | (items.access == REPORT)
    is_read &= (symbols.status[symbol] == 0) & (role != REQUEST)
    if np.count_nonzero(items.status):
        is_read &= items.status == 0
    number = values.item - np.uint64(tick.first_item)
    beyond = number >= touched
    has_others = values.kind.max() >= TEXT
    if has_others:
        beyond |= ~_IS_STATE[values.kind]
    if np.count_nonzero(beyond):
        inside = np.flatnonzero(~beyond)
        values, number = type(values)(*_columns(values, inside)), number[inside]
    item = number.view(np.int64)
    carried = _Carried(values.point, values.number, values.raw, values.kind, item, spoken)
    if has_others and np.count_nonzero(values.kind == TEXT):
        carried = _with_texts(tick, carried, values.text)
    time = messages.time[spoken]
    read = is_read.take(item)
    at = read.nonzero()[0]
    reads = Samples(carried, at, time) if len(at) else None
    if len(at) == len(read):
        return reads, None
    at = ((role == REQUEST) & _CHANGES[items.access]).take(item).nonzero()[0]
    return reads, Samples(carried, at, time) if len(at) else None


def _columns(table: object, rows: Array) -> list[Array]:
    return [getattr(table, name)[rows] for name in table.__dataclass_fields__]  # type: ignore[attr-defined]


def _with_texts(tick: Tick, carried: _Carried, texts: Array) -> _Carried:
    """Texts as the numbers by which they are told apart."""
    is_text: Mask = carried.kind == TEXT
    ids, places = np.unique(texts[is_text], return_inverse=True)
    sums = [zlib.crc32(tick.names.texts.name(id).encode()) for id in ids.tolist()]
    raw, number = carried.raw.copy(), carried.number.copy()
    raw[is_text] = np.array(sums, np.uint64)[places]
    number[is_text] = raw[is_text]
    return replace(carried, raw=raw, number=number)
