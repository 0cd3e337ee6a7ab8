"""What windows are measured by: the same however the traffic was cut."""

from dataclasses import replace

import numpy as np
from ticks import HMI, PLC, Wire, reads, writes

from otids.learning.models.features import (
    FEATURES,
    LOSSY,
    NAMES,
    NO_FRAME,
    SUMS,
    TAINTED,
    Heard,
    add_up,
    as_server,
    measure,
)
from otids.rules.models import Feature
from otids.traffic import Loss

NO_FLAGS = {"traffic": None, "messages": None, "connections": None}


def spoken() -> Wire:
    """Say a few things in two conversations within four seconds."""
    wire = Wire()
    for second in range(4):
        wire.exchange(second + 0.1, 3, reads("holding-register", 0, 10))
        wire.exchange(second + 0.2, 6, writes("holding-register", 3, values=[1]), status=second % 2)
        wire.connection(second + 0.3, "attempted", client="10.0.0.20")
        wire.connection(second + 0.4, "open", client="10.0.0.20")
        wire.volume(second + 0.5, client_frames=4, client_bytes=400, server_frames=2,
                    server_bytes=100, retransmissions=1)  # fmt: skip
    return wire


def test_names_are_those_that_a_definition_may_use() -> None:
    assert set(NAMES) == set(Feature.__args__)  # type: ignore[attr-defined]


def test_sums_of_a_window() -> None:
    wire = spoken()
    added = add_up([Heard.of(tick, NO_FLAGS) for tick in wire.ticks()], wire.names)
    place = added.ids.tolist().index(wire.conversation())
    measured = measure(added.sums, added.functions)[place]
    assert dict(zip(NAMES, measured.tolist(), strict=True)) == {
        "sent_frames": 16, "sent_bytes": 1_600, "received_frames": 8, "received_bytes": 400,
        "messages": 8, "writes": 4, "errors": 2, "retransmissions": 4, "connections": 0,
        "functions": 2, "sent_frame_size": 100, "received_frame_size": 50, "sent_share": 0.8,
    }  # fmt: skip
    other = added.ids.tolist().index(wire.conversation("10.0.0.20"))
    assert added.sums[other][SUMS.index("connections")] == 4
    assert added.first[other] != NO_FRAME


def test_how_ticks_are_cut_changes_nothing() -> None:
    wire = spoken()
    ticks = [Heard.of(tick, NO_FLAGS) for tick in wire.ticks()]
    whole = add_up(ticks, wire.names)
    parts = [add_up([tick], wire.names) for tick in ticks]
    assert all((part.ids == whole.ids).all() for part in parts)
    assert (np.add.reduce([part.sums for part in parts]) == whole.sums).all()
    assert (np.bitwise_or.reduce([part.functions for part in parts]) == whole.functions).all()
    assert (np.minimum.reduce([part.first for part in parts]) == whole.first).all()
    assert (np.maximum.reduce([part.last for part in parts]) == whole.last).all()


def test_a_server_sees_the_other_side() -> None:
    sums = np.arange(len(SUMS), dtype=np.int64).reshape(1, -1)
    seen = dict(zip(SUMS, as_server(sums)[0].tolist(), strict=True))
    assert [seen[name] for name in SUMS[:4]] == [2, 3, 0, 1]
    assert seen["messages"] == 4
    assert seen["connections"] == 0


def test_flagged_and_lossy_conversations_are_marked() -> None:
    wire = spoken()
    first, second, *_ = wire.ticks()
    flagged = np.ones(len(first.tables.messages), np.bool_)
    flagged[0] = False
    every = np.ones(wire.names.conversations.size, np.bool_)
    lossy = replace(second, loss=Loss(every, np.zeros_like(every)))
    added = add_up(
        [Heard.of(first, {**NO_FLAGS, "messages": flagged}), Heard.of(lossy, NO_FLAGS)], wire.names
    )
    marks = dict(zip(added.ids.tolist(), added.marks.tolist(), strict=True))
    assert marks == {
        wire.conversation(HMI, PLC): TAINTED | LOSSY,
        wire.conversation("10.0.0.20", PLC): 0,
    }


def test_nothing_is_measured_of_nothing() -> None:
    empty = measure(np.zeros((0, len(SUMS)), np.int64), np.zeros(0, np.uint64))
    assert empty.shape == (0, len(FEATURES))
    assert not measure(np.zeros((1, len(SUMS)), np.int64), np.zeros(1, np.uint64)).any()
