"""What a window of one conversation or one device is measured by, and how that is said.

Traffic is added up per conversation while a window is open. What is added up are sums, least and
largest numbers and sets of bits only: the same however the traffic was cut into parts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from otids.traffic import (
    ACTIVITIES,
    CONNECTION_STATES,
    NO_LOSS,
    RESPONSE,
    Array,
    Connections,
    Dictionaries,
    Loss,
    Mask,
    Messages,
    Tick,
    Traffic,
)

SUMS = (
    "sent_frames",
    "sent_bytes",
    "received_frames",
    "received_bytes",
    "messages",
    "writes",
    "errors",
    "retransmissions",
    "connections",
)
"""What is summed, seen from the client of a conversation, or from the device."""
TAINTED, LOSSY, EXPLAINED = 1, 2, 4
"""Marks of a window: something in it was flagged; it was not heard whole; another one was told."""
NO_FRAME = 2**63 - 1

_OF_TRAFFIC = {
    SUMS.index(name): column
    for name, column in (
        ("sent_frames", "client_frames"),
        ("sent_bytes", "client_bytes"),
        ("received_frames", "server_frames"),
        ("received_bytes", "server_bytes"),
        ("retransmissions", "retransmissions"),
    )
}
_IS_CHANGING: Mask = np.isin(ACTIVITIES, ("write", "control", "program", "configure"))
_ATTEMPTED = CONNECTION_STATES.index("attempted")


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of a window."""

    name: str
    unit: float  # differences below it are nothing
    is_amount: bool  # adds up; else a ratio
    words: str  # after the number


FEATURES: tuple[Feature, ...] = (
    Feature("sent_frames", 5, True, "frames sent"),
    Feature("sent_bytes", 1_000, True, "sent"),
    Feature("received_frames", 5, True, "frames received"),
    Feature("received_bytes", 1_000, True, "received"),
    Feature("messages", 5, True, "requests and reports"),
    Feature("writes", 3, True, "commands that change something"),
    Feature("errors", 3, True, "refusals"),
    Feature("retransmissions", 5, True, "retransmissions"),
    Feature("connections", 3, True, "connections tried"),
    Feature("functions", 3, True, "different functions"),
    Feature("sent_frame_size", 100, False, "in each frame sent"),
    Feature("received_frame_size", 100, False, "in each frame received"),
    Feature("sent_share", 0.25, False, "of all bytes sent rather than received"),
)
NAMES: tuple[str, ...] = tuple(one.name for one in FEATURES)
UNITS: Array = np.array([one.unit for one in FEATURES])
AMOUNTS: Mask = np.array([one.is_amount for one in FEATURES])


@dataclass(frozen=True, slots=True)
class Added:
    """What several ticks of traffic add to open windows: a row for each conversation."""

    ids: Array  # u32, conversations, ascending
    sums: Array  # i64, rows × SUMS
    functions: Array  # u64, bits
    first: Array  # i64, frame
    last: Array  # i64, frame
    marks: Array  # u8


@dataclass(frozen=True, slots=True)
class Heard:
    """What waits of a tick to be added: its other tables, far larger, may go meanwhile."""

    traffic: Traffic
    messages: Messages
    connections: Connections
    loss: Loss
    clean: Mapping[str, Mask | None]  # which rows nobody flagged, by table; None: all

    @classmethod
    def of(cls, tick: Tick, clean: Mapping[str, Mask | None]) -> Self:
        """Keep what is added up of a tick."""
        tables = tick.tables
        return cls(tables.traffic, tables.messages, tables.connections, tick.loss, clean)

    def __len__(self) -> int:
        return len(self.traffic) + len(self.messages) + len(self.connections)


def add_up(heard: Sequence[Heard], names: Dictionaries) -> Added:
    """Add up several ticks whose ids all mean what `names` says."""
    tables = {
        name: [getattr(one, name) for one in heard]
        for name in ("traffic", "messages", "connections")
    }
    ids = {
        name: np.concatenate([part.conversation for part in parts])
        for name, parts in tables.items()
    }
    # Ids are dense: marking them costs less than sorting them.
    is_said = np.zeros(names.conversations.size, np.bool_)
    for one in ids.values():
        is_said[one] = True
    distinct = is_said.nonzero()[0].astype(np.uint32)
    size = len(distinct)
    place_of = np.zeros(len(is_said), np.int64)
    place_of[distinct] = np.arange(size)
    places = {name: place_of[one] for name, one in ids.items()}
    sums = np.zeros((len(SUMS), size), np.int64)
    functions = np.zeros(size, np.uint64)
    first, last = np.full(size, NO_FRAME, np.int64), np.zeros(size, np.int64)
    marks = np.zeros(size, np.uint8)

    column = _columns(tables["traffic"])
    for row, name in _OF_TRAFFIC.items():
        np.add.at(sums[row], places["traffic"], column(name).astype(np.int64))
    np.minimum.at(first, places["traffic"], column("first_frame").astype(np.int64))
    np.maximum.at(last, places["traffic"], column("last_frame").astype(np.int64))
    if len(places["messages"]):
        column = _columns(tables["messages"])
        _add_messages(column, places["messages"], names, sums, functions)
        np.minimum.at(first, places["messages"], column("first_frame").astype(np.int64))
        np.maximum.at(last, places["messages"], column("frame").astype(np.int64))
    if len(places["connections"]):
        column = _columns(tables["connections"])
        opened = places["connections"][column("state") == _ATTEMPTED]
        np.add.at(sums[SUMS.index("connections")], opened, 1)
        np.minimum.at(first, places["connections"], column("frame").astype(np.int64))
        np.maximum.at(last, places["connections"], column("frame").astype(np.int64))
    _mark(heard, distinct, marks)
    return Added(distinct, sums.T, functions, first, last, marks)


def _columns(parts: Sequence[Any]) -> Callable[[str], Array]:
    return lambda name: np.concatenate([getattr(part, name) for part in parts])


def _add_messages(
    column: Callable[[str], Array],
    places: Array,
    names: Dictionaries,
    sums: Array,
    functions: Array,
) -> None:
    symbols, table = column("symbol"), names.symbols
    status = table.status[symbols]
    np.add.at(sums[SUMS.index("errors")], places[status != 0], 1)
    asking = table.role[symbols] != RESPONSE
    asked, symbols = places[asking], symbols[asking]
    np.add.at(sums[SUMS.index("messages")], asked, 1)
    changing = _IS_CHANGING[table.activity[symbols]]
    np.add.at(sums[SUMS.index("writes")], asked[changing], 1)
    bits = np.left_shift(np.uint64(1), (table.function[symbols] & 63).astype(np.uint64))
    np.bitwise_or.at(functions, asked, bits)


def _mark(heard: Sequence[Heard], ids: Array, marks: Array) -> None:
    for one in heard:
        for table, clean in one.clean.items():
            if clean is not None:
                tainted = getattr(one, table).conversation[~clean]
                marks[np.isin(ids, tainted)] |= TAINTED
        if is_loss(one.loss):
            said = one.traffic.conversation
            lossy = said[one.loss.is_lossy(said)]
            if len(lossy):
                marks[np.isin(ids, lossy)] |= LOSSY


def is_loss(loss: Loss) -> bool:
    """Whether anything is not heard whole."""
    return loss is not NO_LOSS and len(loss.gaps) > 0


def as_server(sums: Array) -> Array:
    """The sums of a conversation seen from its server: what was sent was received.

    Connections are of who opens them.
    """
    swapped = sums.copy()
    swapped[:, :4] = sums[:, [2, 3, 0, 1]]
    swapped[:, SUMS.index("connections")] = 0
    return swapped


def measure(sums: Array, functions: Array) -> Array:
    """The features of windows: rows × FEATURES."""
    measured = np.zeros((len(sums), len(FEATURES)))
    measured[:, : len(SUMS)] = sums
    bits = functions.astype("<u8").reshape(-1, 1).view(np.uint8)
    measured[:, len(SUMS)] = np.unpackbits(bits, axis=1).sum(axis=1)
    size = len(SUMS) + 1
    sent_frames, sent, received_frames, received = (sums[:, place] for place in range(4))
    measured[:, size] = sent / np.maximum(sent_frames, 1)
    measured[:, size + 1] = received / np.maximum(received_frames, 1)
    measured[:, size + 2] = sent / np.maximum(sent + received, 1)
    return measured
