"""Ticks are the same however the batches were cut, and ids are spelled as they were defined."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ticks import HMI, PLC, Wire, reads, writes

from otids.traffic import (
    TABLES,
    ConversationName,
    Dictionaries,
    EndpointName,
    Messages,
    RangeName,
    Tables,
    Tick,
    Ticks,
    column_names,
    function_name,
    object_name,
    status_name,
)

REGISTER = "holding-register"


def say(wire: Wire, time: float, choice: int) -> None:
    """Say one of a few things."""
    if choice == 0:
        wire.exchange(time, 3, reads(REGISTER, 60, 10, values=[5] * 10))
    elif choice == 1:
        wire.volume(time, client_frames=3)
    elif choice == 2:
        wire.sighting(time, PLC, 7)
    elif choice == 3:
        wire.fact(time, PLC, "vendor", "Acme")
    else:
        wire.notice(time, "gap")


def columns(tick: Tick) -> dict[str, dict[str, list[object]]]:
    """Everything in a tick, so that it can be compared."""
    return {
        name: {
            one: getattr(getattr(tick.tables, name), one).tolist() for one in column_names(table)
        }
        for name, table in TABLES.items()
    }


def cut(steps: Sequence[tuple[int, int, bool]]) -> tuple[list[Tick], Dictionaries]:
    """Say things, each some seconds after the last, and hand over a batch after some of them."""
    wire, now = Wire(), 0.0
    ticks = Ticks(wire.names)
    found: list[Tick] = []
    for pause, choice, handing in steps:
        now += pause + 0.01
        say(wire, now, choice)
        now += 0.006
        if handing:
            batch = wire.batch(close=False)
            wire.names.update(batch)
            found.extend(ticks.feed(batch))
    batch = wire.batch()
    wire.names.update(batch)
    found.extend(ticks.feed(batch))
    return found, wire.names


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.booleans()), min_size=1, max_size=30
)


@given(STEPS)
def test_ticks_are_the_same_however_the_batches_were_cut(
    steps: list[tuple[int, int, bool]],
) -> None:
    whole, _ = cut([(pause, choice, False) for pause, choice, _ in steps])
    parts, _ = cut(steps)
    assert [(one.epoch, one.second, one.first_item) for one in parts] == [
        (one.epoch, one.second, one.first_item) for one in whole
    ]
    assert [columns(one) for one in parts] == [columns(one) for one in whole]
    assert all(one.tables for one in parts), "never without rows"
    seconds = [one.second for one in whole]
    assert seconds == sorted(set(seconds))
    items = [len(one.tables.items) for one in whole]
    assert [one.first_item for one in whole] == [sum(items[:place]) for place in range(len(items))]
    for tick in parts:
        for name in ("messages", "sightings", "facts", "notices"):
            times = getattr(tick.tables, name).time
            assert (times // 10**9 == tick.second).all()
        values = tick.tables.values.item
        assert (
            (values >= tick.first_item) & (values < tick.first_item + len(tick.tables.items))
        ).all()


def test_another_session_begins_anew() -> None:
    wire = Wire()
    wire.exchange(0.0, 3, reads(REGISTER, 0, 10))
    wire.request(1.0, 3)
    ticks = Ticks(wire.names)
    first = wire.batch(close=False)
    wire.names.update(first)
    assert [tick.first_item for tick in ticks.feed(first)] == [0]
    wire.request(2.0, 3, reads(REGISTER, 0))
    second = replace(wire.batch(), session=2)
    found = list(ticks.feed(second))
    assert [(tick.session, tick.first_item) for tick in found][-1] == (2, 0)
    assert sum(len(tick.tables.messages) for tick in found) == 1, "what was open is gone with it"


def test_rows_are_views_and_joins_hold_all() -> None:
    wire = Wire()
    for second in range(4):
        wire.request(second, 3)
    tables = wire.batch().tables
    part = tables.messages.rows(1, 3)
    assert part.id.tolist() == [2, 3]
    assert np.shares_memory(part.id, tables.messages.id)
    nothing = tables.messages.rows(2, 2)
    assert (len(nothing), str(nothing.id.dtype)) == (0, "uint64")
    assert Messages.join([part, nothing]) is part
    assert Messages.join([nothing, nothing]) is nothing
    assert Messages.join([part, nothing, part]).id.tolist() == [2, 3, 2, 3]
    assert not Tables.of(
        {
            name: {one: getattr(getattr(tables, name), one)[:0] for one in column_names(table)}
            for name, table in TABLES.items()
        }
    )
    with pytest.raises(KeyError):
        Messages.of({"id": part.id})


# --- dictionaries ----------------------------------------------------------------------------


def test_dictionaries_grow_and_keep_what_they_had() -> None:
    wire = Wire()
    for number in range(300):
        wire.sighting(number / 1000, f"10.0.{number // 250}.{number % 250}", number)
    wire.ticks()
    assert wire.names.endpoints.size == 301
    assert [wire.names.endpoint(id).address for id in (1, 64, 65, 300)] == [
        "10.0.0.0",
        "10.0.0.63",
        "10.0.0.64",
        "10.0.1.49",
    ]
    assert wire.names.endpoint(0) == EndpointName(0, "")


def test_a_retired_id_means_what_it_was_last_defined_as() -> None:
    wire = Wire()
    wire.sighting(0.0, HMI, 1)
    wire.sighting(0.1, PLC, 2)
    wire.ticks()
    wire.retire("endpoints", [2])
    wire.sighting(1.0, "10.0.0.7", 3)
    (tick,) = wire.ticks()
    assert tick.tables.sightings.endpoint.tolist() == [2]
    assert [wire.names.endpoint(id).address for id in (1, 2)] == [HMI, "10.0.0.7"]


def test_points_come_in_pages() -> None:
    wire = Wire()
    wire.request(0.0, 16, writes(REGISTER, 130, values=[1, 2]), unit=3)
    wire.request(0.1, 3, reads("coil", 5, name="pumps"), reads("coil", name="pump"), unit=0)
    (tick,) = wire.ticks()
    first, member, named = tick.tables.items.point.tolist()
    assert str(wire.names.point(first)) == "holding-register 130 of unit 3"
    assert wire.names.point(first + 1).address == 131
    assert wire.names.point(first + 1).server == EndpointName(0, PLC)
    assert str(wire.names.point(member)) == "coil 5 of pumps"
    assert str(wire.names.point(named)) == "coil pump"


def test_names_in_words() -> None:
    hmi, plc = EndpointName(0, HMI), EndpointName(7, PLC)
    assert str(plc) == f"{PLC} (VLAN 7)"
    assert str(EndpointName(5 << 12 | 7, PLC)) == f"{PLC} (VLAN 5.7)"
    assert str(ConversationName(hmi, plc, "goose", "link", 0)) == f"{HMI} → {PLC} (VLAN 7) goose"
    assert str(RangeName("coil", 4, 0, "read", "")) == "coil"
    assert str(RangeName("coil", 4, 1, "read", "")) == "coil 4"
    assert str(RangeName("coil", 4, 3, "read", "")) == "coil 4–6"
    assert str(RangeName("coil", 4, 3, "read", "pump")) == "coil pump"
    assert str(RangeName("file-record", 0x1_0000, 1, "read", "")) == "file 1, record 0"
    assert str(RangeName("file-record", 0x2_0003, 4, "read", "")) == "file 2, record 3–6"
    assert str(RangeName("file-record", 0x1_FFFF, 2, "read", "")) == "file-record 131071–131072"


def test_what_nobody_named_keeps_its_number() -> None:
    assert function_name("modbus", 3) == "Read Holding Registers"
    assert function_name("modbus", 77) == "function 77"
    assert function_name("modbus", 77, 5) == "function 77/5"
    assert object_name("modbus", 250) == "object type 250"
    assert status_name("modbus", 2) == "Illegal Data Address"
    assert status_name("modbus", 99) == "status 99"


def test_a_part_of_a_table_is_cut_when_it_is_looked_at() -> None:
    wire = Wire()
    for value in range(3):
        wire.exchange(
            value / 10, 3, reads(REGISTER, 60, 10, values=range(10 * value, 10 * value + 10))
        )
    (tick,) = wire.ticks()
    values = tick.tables.values
    part = values.rows(10, 20).rows(2, 5)
    assert len(part) == 3
    assert part.number.tolist() == values.number[12:15].tolist()
    assert not len(values.rows(4, 4))
    with pytest.raises(AttributeError, match="colour"):
        _ = getattr(part, "colour")  # noqa: B009
    with pytest.raises(AttributeError):
        part.raw = part.point  # type: ignore[misc]
