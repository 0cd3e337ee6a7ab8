"""Who tried how many things of late."""

import pytest

from otids.learning.plant import scans as module
from otids.learning.plant.scans import MOST_TRIED, SPAN, Scans
from otids.traffic import ConversationName, EndpointName

NAME = ConversationName(EndpointName(0, "a"), EndpointName(0, "b"), "modbus", "tcp", 502)
NOW = 1_700_000_000


def test_distinct_things_within_the_span_count() -> None:
    scans = Scans()
    scans.note(NAME, "function", [(1,), (2,)], NOW)
    scans.note(NAME, "function", [(2,), (3,)], NOW + SPAN)
    assert scans.count(NAME, "function", [], NOW + SPAN) == 3
    assert scans.count(NAME, "function", {(9,), (3,)}, NOW + SPAN) == 4
    assert scans.count(NAME, "item", [], NOW) == 0
    assert scans.count(NAME._replace(port=1), "function", [], NOW) == 0
    assert scans.count(NAME, "function", [], NOW + SPAN + 1) == 2
    assert scans.count(NAME, "function", [], NOW - 10 * SPAN) == 0, "time ran back"


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SCANS", 3)
    scans = Scans()
    for number in range(200):
        scans.note(NAME, "item", [(number,)], NOW)
    assert scans.count(NAME, "item", [], NOW) == MOST_TRIED
    for port in range(5):
        scans.note(NAME._replace(port=port), "item", [(1,)], NOW)
    assert len(scans.state()) == 3
    assert scans.evicted == 3


def test_state_comes_back() -> None:
    scans, back = Scans(), Scans()
    scans.note(NAME, "item", [(1, "read"), (2, "read")], NOW)
    scans.note(NAME, "function", [(1, 2)], NOW)
    back.restore(scans.state())
    assert back.state() == scans.state()
