"""What the hot path makes of a capture, spelled in words, so that two readings can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from otids import _hotpath
from otids.traffic import (
    ACCESSES,
    NOTICE_KINDS,
    TABLES,
    VALUE_KINDS,
    Array,
    Batch,
    ConversationName,
    Dictionaries,
    Tick,
    Ticks,
    object_name,
)

BATCH_FRAMES = 65_536


class Touched(NamedTuple):
    """One item of a message."""

    kind: str
    address: int
    quantity: int
    access: str
    status: int


class Carried(NamedTuple):
    """One value of a message."""

    kind: str
    address: int
    form: str
    raw: int


class Said(NamedTuple):
    """A message without when and in which frames it was said."""

    conversation: ConversationName
    from_client: bool
    role: str
    activity: str
    function: int
    subfunction: int
    unit: int
    status: int
    length: int
    reply_to: int
    items: tuple[Touched, ...]
    values: tuple[Carried, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that one pass over a capture told."""

    messages: list[Said]
    frames: list[int]
    notices: list[str]
    health: dict[str, Any]


def ticks(path: Path, batch_frames: int = BATCH_FRAMES) -> Iterator[tuple[Tick, Batch]]:
    """Yield each tick of a capture, and the batch that completed it."""
    hotpath = _hotpath.Hotpath(batch_frames=batch_frames)
    try:
        hotpath.open(str(path))
        names = Dictionaries()
        cutter = Ticks(names)
        while (raw := hotpath.next_batch()) is not None:
            batch = Batch.of(raw)
            names.update(batch)
            for tick in cutter.feed(batch):
                yield tick, batch
            if batch.census:
                nothing = np.zeros(0, np.uint32)
                hotpath.settle(
                    endpoints=nothing,
                    conversations=nothing,
                    symbols=nothing,
                    points=nothing,
                )
    finally:
        hotpath.close()


def read(path: Path, batch_frames: int = BATCH_FRAMES) -> Reading:
    """Read a whole capture. Raises CaptureError where it is none."""
    reading = Reading([], [], [], {})
    for tick, batch in ticks(path, batch_frames):
        reading.messages.extend(said(tick))
        reading.frames.extend(tick.tables.messages.frame.tolist())
        reading.notices.extend(NOTICE_KINDS[kind] for kind in tick.tables.notices.kind)
        reading.health.update(batch.health)
    return reading


def said(tick: Tick) -> Iterator[Said]:
    """Spell the messages of a tick in their order."""
    messages, items, values = tick.tables.messages, tick.tables.items, tick.tables.values
    names = tick.names
    symbols = {id: names.symbol(id) for id in np.unique(messages.symbol).tolist()}
    points = _points(tick)
    carried = [
        Carried(*points[point], VALUE_KINDS[form], raw)
        for point, form, raw in _rows(values.point, values.kind, values.raw)
    ]
    touched = [
        Touched(*points[point], count, ACCESSES[access], status)
        for point, count, access, status in _rows(
            items.point, items.count, items.access, items.status
        )
    ]
    item_ends = np.searchsorted(items.message, messages.id, "right").tolist()
    numbers = np.arange(tick.first_item, tick.first_item + len(items), dtype=np.uint64)
    value_ends = [0, *np.searchsorted(values.item, numbers, "right").tolist()]
    first = 0
    for symbol_id, length, reply_to, end in zip(
        messages.symbol.tolist(),
        messages.length.tolist(),
        messages.reply_to.tolist(),
        item_ends,
        strict=True,
    ):
        symbol = symbols[symbol_id]
        yield Said(
            symbol.conversation,
            symbol.from_client,
            symbol.role,
            symbol.activity,
            symbol.function,
            symbol.subfunction,
            symbol.unit,
            symbol.status,
            length,
            reply_to,
            tuple(touched[first:end]),
            tuple(carried[value_ends[first] : value_ends[end]]),
        )
        first = end


def spelled(tick: Tick) -> dict[str, list[tuple[Any, ...]]]:
    """Spell all rows of all tables of a tick: no id of a dictionary is left in them."""
    names = tick.names
    spell: dict[str, Callable[[int], Any]] = {
        "conversation": names.conversation,
        "symbol": names.symbol,
        "endpoint": names.endpoint,
        "point": names.point,
        "text": names.texts.name,
        "key": names.texts.name,
        "value": names.texts.name,
        "detail": names.texts.name,
    }
    told = {}
    for table, kind in TABLES.items():
        rows = getattr(tick.tables, table)
        columns = []
        for name in kind.__dataclass_fields__:
            column = getattr(rows, name)
            if name in spell:
                known = {id: spell[name](id) for id in np.unique(column).tolist()}
                columns.append([known[id] for id in column.tolist()])
            elif column.dtype == np.float64:
                columns.append(column.view(np.uint64).tolist())
            else:
                columns.append(column.tolist())
        told[table] = list(zip(*columns, strict=True))
    return told


def _points(tick: Tick) -> dict[int, tuple[str, int]]:
    """Kind and address of each point that the tick names."""
    names = tick.names
    used = np.unique(np.concatenate([tick.tables.items.point, tick.tables.values.point]))
    kinds = {
        (protocol, kind): object_name(names.texts.name(protocol), kind)
        for protocol, kind in set(_rows(names.points.protocol[used], names.points.kind[used]))
    }
    return {
        id: (kinds[protocol, kind], address)
        for id, protocol, kind, address in _rows(
            used,
            names.points.protocol[used],
            names.points.kind[used],
            names.points.address[used],
        )
    }


def _rows(*columns: Array) -> Iterator[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)
