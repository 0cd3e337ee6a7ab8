"""Which values a tick holds: what was read of points, and what was written to them."""

import zlib
from dataclasses import dataclass

import numpy as np

from otids.traffic import ACCESSES, REQUEST, VALUE_KINDS, Array, Mask, Tick

READ = ACCESSES.index("read")
BIT, UNSIGNED, TEXT = (VALUE_KINDS.index(kind) for kind in ("bit", "unsigned", "text"))
_CHANGES = np.array([access in {"write", "control"} for access in ACCESSES])


@dataclass(frozen=True, slots=True)
class Samples:
    """Values of single points in order of completion, as columns of equal length."""

    point: Array  # u32
    number: Array  # f64; of a text, its checksum
    raw: Array  # u64; of a text, its checksum
    kind: Array  # u8, place in VALUE_KINDS
    time: Array  # i64, ns
    message: Array  # row of the tick's messages

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

    Read are values of good answers and reports. Written are values of requests, whatever came
    of them.
    """
    tables, symbols = tick.tables, tick.names.symbols
    values, items, messages = tables.values, tables.items, tables.messages
    if not (len(values) and len(messages) and len(items)):
        return None, None
    message = items.message - messages.id[0]
    if message.max() >= len(messages):  # of a part of this second that came before
        message[message >= len(messages)] = 0
    symbol = messages.symbol[message]
    asks = symbols.role[symbol] == REQUEST
    is_read = (items.access == READ) & ~asks & (symbols.status[symbol] == 0) & (items.status == 0)
    is_written = asks & _CHANGES[items.access]
    item = values.item - np.uint64(tick.first_item)
    if item.max() >= len(items):
        inside = np.flatnonzero(item < len(items))
        values, item = type(values)(*_columns(values, inside)), item[inside]
    of = message[item]
    whole = Samples(
        values.point, values.number, values.raw, values.kind, messages.time[of], of.astype(np.int64)
    )
    if len(whole) and (values.kind == TEXT).any():
        whole = _with_texts(tick, whole, values.text)
    read = is_read[item]
    if read.all():
        return whole, None
    wrote = is_written[item] if is_written.any() else None
    return (
        whole.only(np.flatnonzero(read)) if read.any() else None,
        whole.only(np.flatnonzero(wrote)) if wrote is not None and wrote.any() else None,
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
