"""Which values a tick holds: what was read of points, and what was written to them."""

import zlib
from dataclasses import dataclass

import numpy as np

from otids.traffic import ACCESSES, REQUEST, VALUE_KINDS, Array, Mask, Tick

READ, REPORT = (ACCESSES.index(access) for access in ("read", "report"))
BIT, UNSIGNED, TEXT = (VALUE_KINDS.index(kind) for kind in ("bit", "unsigned", "text"))
_IS_STATE = np.array([kind not in {"time", "sequence"} for kind in VALUE_KINDS])
"""Moments, and places of messages in their series, say nothing of the process."""
_CHANGES = np.array([access in {"write", "control"} for access in ACCESSES])


@dataclass(frozen=True, slots=True)
class Samples:
    """Values of single points in order of completion, as columns of equal length."""

    point: Array  # i64
    number: Array  # f64; of a text, its checksum
    raw: Array  # u64; of a text, its checksum
    kind: Array  # u8, place in VALUE_KINDS
    time: Array  # i64, ns
    message: Array  # i64, row of the tick's messages

    def __len__(self) -> int:
        return len(self.point)

    def only(self, rows: Array) -> "Samples":
        """Some of them."""
        return Samples(
            self.point[rows],
            self.number[rows],
            self.raw[rows],
            self.kind[rows],
            self.time[rows],
            self.message[rows],
        )


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
    message = place.view(np.int64)
    symbol = messages.symbol[message].astype(np.int64)
    role = symbols.role[symbol]
    is_read = (items.access == READ) | (items.access == REPORT)
    is_read &= (symbols.status[symbol] == 0) & (role != REQUEST)
    if np.count_nonzero(items.status):
        is_read &= items.status == 0
    number = values.item - np.uint64(tick.first_item)
    beyond = number >= touched
    beyond |= ~_IS_STATE[values.kind]
    if np.count_nonzero(beyond):
        inside = np.flatnonzero(~beyond)
        values, number = type(values)(*_columns(values, inside)), number[inside]
    item = number.view(np.int64)
    of = message[item]
    point = values.point.astype(np.int64)
    whole = Samples(point, values.number, values.raw, values.kind, messages.time[of], of)
    if np.count_nonzero(values.kind == TEXT):
        whole = _with_texts(tick, whole, values.text)
    read = is_read[item]
    count = np.count_nonzero(read)
    if count == len(read):
        return whole, None
    wrote = ((role == REQUEST) & _CHANGES[items.access])[item]
    return (
        whole.only(read.nonzero()[0]) if count else None,
        whole.only(wrote.nonzero()[0]) if np.count_nonzero(wrote) else None,
    )


def _columns(table: object, rows: Array) -> list[Array]:
    return [getattr(table, name)[rows] for name in table.__dataclass_fields__]  # type: ignore[attr-defined]


def _with_texts(tick: Tick, samples: Samples, texts: Array) -> Samples:
    """Texts as the numbers by which they are told apart."""
    is_text: Mask = samples.kind == TEXT
    ids, places = np.unique(texts[is_text], return_inverse=True)
    sums = [zlib.crc32(tick.names.texts.name(id).encode()) for id in ids.tolist()]
    raw, number = samples.raw.copy(), samples.number.copy()
    raw[is_text] = np.array(sums, np.uint64)[places]
    number[is_text] = raw[is_text]
    return Samples(samples.point, number, raw, samples.kind, samples.time, samples.message)
