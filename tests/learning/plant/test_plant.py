"""Readiness is earned by listening, and knowledge is bounded."""

import pytest

from otids.learning.plant import plant as module
from otids.learning.plant.plant import (
    LONGEST_PAUSE,
    LONGEST_SECONDS,
    SEVERAL_MACS,
    Acquaintance,
    Plant,
    plain,
)
from otids.traffic import ConversationName, EndpointName

START = 1_700_000_000
HMI, PLC = EndpointName(0, "10.0.0.9"), EndpointName(0, "10.0.0.1")
NAME = ConversationName(HMI, PLC, "modbus", "tcp", 502)


def listen(plant: Plant, seconds: int) -> None:
    for _ in range(seconds):
        plant.tell_time(plant.second + 1 if plant.second else START)


# --- the plant -------------------------------------------------------------------------------


def test_a_plant_is_ready_when_nothing_was_new_for_as_long_as_learning_took() -> None:
    plant = Plant()
    assert not plant.is_ready(START)
    listen(plant, 601)
    assert plant.listened == 600
    assert plant.is_ready(plant.second)
    plant = Plant()
    listen(plant, 1_001)
    plant.meet_endpoint(PLC, 0)
    listen(plant, 999)
    assert plant.progress() == pytest.approx(0.999)
    assert plant.seconds_left() == 1.0
    assert not plant.is_ready(plant.second)
    assert plant.is_ready(plant.second + 1)
    listen(plant, 1)
    assert (plant.progress(), plant.seconds_left()) == (1.0, 0.0)


def test_a_pause_counts_as_a_minute_and_time_that_runs_back_as_none() -> None:
    plant = Plant()
    plant.tell_time(START)
    plant.tell_time(START + 86_400 * 365)
    assert plant.listened == LONGEST_PAUSE
    plant.tell_time(START)
    assert plant.listened == LONGEST_PAUSE
    plant.tell_time(START + 5)
    assert plant.listened == LONGEST_PAUSE + 5


def test_nobody_keeps_a_plant_in_learning_for_ever() -> None:
    plant = Plant()
    for number in range(LONGEST_SECONDS // LONGEST_PAUSE + 1):
        plant.tell_time(START + number * LONGEST_PAUSE)
        plant.meet_endpoint(EndpointName(0, str(number % 100)), 0)
        plant.last_new = plant.listened
    assert plant.is_ready(plant.second)
    assert plant.seconds_left() == 0


def test_macs_join() -> None:
    plant = Plant()
    for mac in (0, 7, 7):
        assert plant.meet_endpoint(PLC, mac)
    assert plant.endpoints == {PLC: 7}
    plant.meet_endpoint(PLC, 8)
    plant.meet_endpoint(PLC, 7)
    assert plant.endpoints == {PLC: SEVERAL_MACS}


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENDPOINTS", 1)
    monkeypatch.setattr(module, "MOST_CONVERSATIONS", 1)
    plant = Plant()
    assert plant.meet_endpoint(PLC, 0)
    assert not plant.meet_endpoint(HMI, 0)
    assert plant.meet(NAME) is not None
    assert plant.meet(NAME._replace(port=503)) is None
    other = Plant()
    other.meet_endpoint(HMI, 0)
    assert not other.merge(plant)
    other = Plant()
    other.meet(NAME._replace(port=503))
    assert not other.merge(plant)
    assert set(other.conversations) == {NAME._replace(port=503)}


def test_merging_with_a_blank_one_closes_it_and_closing_needs_both() -> None:
    closed, blank, learning = Plant(), Plant(), Plant()
    closed.meet(NAME)
    closed.close()
    assert blank.merge(closed)
    assert blank.closed
    assert blank.state() == closed.state()
    learning.tell_time(START)
    learning.meet_endpoint(PLC, 0)
    learning.merge(closed)
    assert not learning.closed
    assert learning.conversations[NAME].closed


def test_ports_made_up_anew_are_one() -> None:
    assert plain(NAME) == NAME
    assert plain(NAME._replace(port=50_000)).port == 50_000, "a decoder vouches for it"
    assert plain(NAME._replace(protocol="tcp", port=50_000)).port == 0
    assert plain(NAME._replace(protocol="tcp", port=4_444)).port == 4_444


# --- a conversation --------------------------------------------------------------------------


def test_a_conversation_is_ready_after_as_many_messages_as_learning_took() -> None:
    known = Acquaintance(messages=99)
    assert not known.is_ready(600)
    known.messages = 100
    assert known.is_ready(600)
    known.at_last_new = 100
    known.messages = 199
    assert not known.is_ready(600)
    assert known.progress(600) == 0.99
    assert known.seconds_left(0) is None
    assert known.seconds_left(600) == pytest.approx(600 / 199)
    known.messages = 200
    assert (known.progress(600), known.seconds_left(600)) == (1.0, 0.0)


def test_a_conversation_is_ready_after_as_many_seconds_as_learning_took() -> None:
    known = Acquaintance(messages=10_000, at_last_new=10, met=50, last_new=50)
    assert (known.is_ready(649), known.is_ready(650)) == (False, True)
    known.news(1_050)
    assert known.at_last_new == 10_000
    known.messages = 30_000
    assert (known.is_ready(2_049), known.is_ready(2_050)) == (False, True)
    assert (known.progress(1_550), known.seconds_left(1_550)) == (0.5, 500.0)
    known.close()
    known.news(3_000)
    assert known.is_ready(3_000), "a person has said that learning is over"


def test_nobody_keeps_a_conversation_in_learning_for_ever() -> None:
    known = Acquaintance(messages=10_000, at_last_new=10_000, met=50)
    assert not known.is_ready(LONGEST_SECONDS)
    assert known.is_ready(LONGEST_SECONDS + 50)
    known.messages = known.at_last_new = 99
    assert not known.is_ready(LONGEST_SECONDS + 50), "a weekly job takes its weeks"
