"""The builder of synthetic ticks numbers things as the hot path does."""

import numpy as np
import pytest
from ticks import HMI, PAGE, PLC, Wire, reads, writes

from otids.traffic import NO_SUBFUNCTION, NOTICE_KINDS, Ticks


def test_spells_what_was_said() -> None:
    wire = Wire()
    asked = wire.exchange(0.25, 3, reads("holding-register", 100, 10), unit=7)
    tick = wire.tick()
    assert tick.second == wire.start
    assert tick.tables.messages.reply_to.tolist() == [0, asked]
    assert tick.tables.messages.latency.tolist() == [-1, 5_000_000]
    assert tick.tables.messages.frame.tolist() == [1, 2]
    request = wire.names.symbol(int(tick.tables.messages.symbol[0]))
    response = wire.names.symbol(int(tick.tables.messages.symbol[1]))
    assert (request.role, request.from_client, request.unit) == ("request", True, 7)
    assert (response.role, response.from_client) == ("response", False)
    assert request.subfunction == NO_SUBFUNCTION
    assert str(request.conversation) == f"{HMI} → {PLC} modbus/502"
    assert request.objects == response.objects
    assert [str(one) for one in request.objects] == ["holding-register 100–109"]


def test_items_and_values_lead_back_to_their_message() -> None:
    wire = Wire()
    wire.request(0.0, 3, reads("holding-register", 0))
    wire.request(0.9, 16, writes("holding-register", PAGE - 1, values=[11, 12]))
    wire.request(1.1, 6, writes("holding-register", 5, values=[7]))
    first, second = wire.ticks()
    items = first.tables.items
    assert items.message.tolist() == [1, 2, 2]
    assert items.count.tolist() == [1, 1, 1]
    assert first.tables.values.item.tolist() == [1, 2]
    addresses = [wire.names.point(int(point)).address for point in first.tables.values.point]
    assert addresses == [PAGE - 1, PAGE]
    assert second.first_item == 3
    assert second.tables.values.item.tolist() == [3]


def test_ids_are_dense_stable_and_used_again() -> None:
    wire = Wire()
    wire.request(0.0, 3, reads("coil"))
    wire.request(0.1, 4, reads("coil"))
    wire.request(0.2, 3, reads("coil"))
    assert wire.tick().tables.messages.symbol.tolist() == [1, 2, 1]
    wire.retire("symbols", [2])
    wire.request(1.0, 90, subfunction=0x41)
    batch = wire.batch()
    assert batch.retired["symbols"].tolist() == [2]
    assert batch.defined["symbols"]["id"].tolist() == [2]
    wire.names.update(batch)
    assert wire.names.symbol(2).function == 90


def test_many_ranges_are_told_by_type() -> None:
    wire = Wire()
    wire.request(0.0, 20, *(reads("file-record", place * 9) for place in range(9)))
    wire.report(0.1, 100, reads("coil", 3))
    wire.request(0.2, 3, reads("coil", 3), unit=4, coarse=True)
    many, report, coarse = (
        wire.names.symbol(place) for place in wire.tick().tables.messages.symbol
    )
    assert [str(one) for one in many.objects] == ["file-record"]
    assert [str(one) for one in report.objects] == ["coil"]
    assert (coarse.objects, coarse.unit, coarse.coarse) == ((), 0, True)


def test_an_open_second_waits_for_its_end() -> None:
    wire = Wire()
    wire.request(0.0, 3)
    wire.request(1.0, 3)
    first = wire.batch(close=False)
    wire.request(1.5, 3)
    second = wire.batch()
    ticks = Ticks(wire.names)
    wire.names.update(first)
    assert [len(tick.tables.messages) for tick in ticks.feed(first)] == [1]
    wire.names.update(second)
    assert [len(tick.tables.messages) for tick in ticks.feed(second)] == [2]


def test_an_open_second_ends_though_nothing_more_is_said_in_it() -> None:
    wire = Wire()
    wire.request(0.0, 3)
    ticks = Ticks(wire.names)
    assert list(ticks.feed(wire.batch(close=False))) == []
    wire.request(1.0, 3)
    assert [tick.second - wire.start for tick in ticks.feed(wire.batch())] == [0, 1]


def test_the_other_tables() -> None:
    wire = Wire()
    wire.connection(0.0, "refused", client="10.0.0.66", port=503)
    wire.sighting(0.1, PLC, 0x0080F4010203, arp=True)
    wire.fact(0.2, PLC, "vendor", "Acme")
    wire.notice(0.3, "gap", "12 bytes")
    wire.volume(0.4, client_frames=3)
    tables = wire.tick().tables
    assert str(wire.names.conversation(int(tables.connections.conversation[0]))).endswith("/503")
    assert tables.sightings.ttl.tolist() == [0]
    assert wire.names.texts.name(int(tables.facts.value[0])) == "Acme"
    assert NOTICE_KINDS[tables.notices.kind[0]] == "gap"
    assert tables.traffic.client_frames.tolist() == [3]
    assert tables.traffic.second.tolist() == [wire.start]


def test_time_runs_back_only_into_a_new_epoch() -> None:
    wire = Wire()
    wire.request(9.0, 3)
    with pytest.raises(AssertionError, match="before"):
        wire.request(1.0, 3)
    wire.run_back(1.0)
    wire.request(1.0, 3)
    assert [(tick.epoch, tick.second - wire.start) for tick in wire.ticks()] == [(0, 9), (1, 1)]


def test_values_of_every_kind() -> None:
    wire = Wire()
    values = (True, 5, 2.5, "on")
    wire.report(0.0, 1, reads("holding-register", 0, 4, values=values))
    table = wire.tick().tables.values
    assert table.kind.tolist() == [0, 1, 3, 4]
    assert table.number[:3].tolist() == [1.0, 5.0, 2.5]
    assert np.isnan(table.number[3])
    assert wire.names.texts.name(int(table.text[3])) == "on"
