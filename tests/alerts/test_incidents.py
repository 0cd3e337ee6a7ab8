"""Incidents: which alerts bear whose name, and for how long."""

import pytest
from alerts.findings import PLC, ROGUE, START, Names, write_finding
from hypothesis import given, settings
from hypothesis import strategies as st

from otids import statefile
from otids.alerts import incidents as module
from otids.alerts.alert import Alert
from otids.alerts.catalogue import Catalogue
from otids.alerts.triage import Origin, Triage
from otids.detectors.base import Finding
from otids.traffic import SECOND, EndpointName

HMI, OTHER, THIRD = (EndpointName(0, f"10.0.0.{number}") for number in (9, 6, 7))


@pytest.fixture
def triage(catalogue: Catalogue) -> Triage:
    return Triage(catalogue, Names(), sensor="s", origin=Origin("c", "d"))


def about(number: int, source: EndpointName | None, target: EndpointName | None) -> Finding:
    return write_finding(("cause", number), source=source, target=target, frames=(number,))


def take(triage: Triage, finding: Finding, at: int) -> Alert:
    return triage.take([finding], START + at * SECOND)[-1]


def test_a_spoofed_address_and_changed_values_are_one(triage: Triage) -> None:
    spoofed = take(triage, about(1, ROGUE, PLC), 0)
    values = take(triage, about(2, HMI, PLC), 60)
    onward = take(triage, about(3, ROGUE, OTHER), 119)
    assert spoofed.incident == values.incident == onward.incident == spoofed.id
    assert values.record()["incident"] == spoofed.id
    apart = take(triage, about(4, THIRD, None), 120)
    assert apart.incident == apart.id


@pytest.mark.parametrize(("later", "is_same"), [(119, True), (120, False)])
def test_two_minutes_later_it_is_another_one(triage: Triage, later: int, is_same: bool) -> None:
    first = take(triage, about(1, ROGUE, PLC), 0)
    second = take(triage, about(2, HMI, PLC), later)
    assert (second.incident == first.id) is is_same


def test_it_goes_on_as_long_as_its_alerts_do(triage: Triage) -> None:
    first = take(triage, about(1, ROGUE, PLC), 0)
    for minute in range(1, 60):
        triage.take([about(1, ROGUE, PLC)], START + 60 * minute * SECOND)
    assert take(triage, about(2, HMI, PLC), 3_600).incident == first.id


def test_two_that_turn_out_to_be_one_take_the_older_name(triage: Triage) -> None:
    first, second = take(triage, about(1, HMI, PLC), 0), take(triage, about(2, ROGUE, OTHER), 1)
    assert (first.incident, second.incident) == (first.id, second.id)
    assert take(triage, about(3, ROGUE, PLC), 2).incident == first.id
    (told,) = triage.take([], START + 60 * SECOND)
    assert (told.id, told.incident, told.revision) == (second.id, first.id, 2)
    assert take(triage, about(4, THIRD, OTHER), 61).incident == first.id


def test_what_is_info_ties_nothing_together(triage: Triage) -> None:
    def info(number: int, source: EndpointName, target: EndpointName) -> Finding:
        return write_finding(
            ("cause", number), source=source, target=target, frames=(number,), severity="info"
        )

    alone = take(triage, info(1, HMI, PLC), 0)
    first = take(triage, about(2, ROGUE, PLC), 1)
    assert (alone.incident, first.incident) == (alone.id, first.id)
    second = take(triage, about(3, OTHER, THIRD), 2)
    between = take(triage, info(4, ROGUE, THIRD), 100)
    assert between.incident == first.id
    assert second.incident == second.id
    assert take(triage, about(5, HMI, PLC), 130).incident != first.id, "info prolongs nothing"


def test_everybody_is_in_no_incident(triage: Triage) -> None:
    everybody = EndpointName(0, "255.255.255.255")
    first = take(triage, about(1, ROGUE, everybody), 0)
    assert take(triage, about(2, HMI, everybody), 1).incident != first.id


def test_another_capture_has_incidents_of_its_own(triage: Triage) -> None:
    first = take(triage, about(1, ROGUE, PLC), 0)
    triage.begin(Origin("next", "e"))
    assert take(triage, about(1, ROGUE, PLC), 1).incident != first.incident


def test_devices_are_bounded(triage: Triage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DEVICES", 2)
    first = take(triage, about(1, ROGUE, None), 0)
    take(triage, about(2, HMI, None), 1)
    take(triage, about(3, PLC, None), 2)
    assert len(triage.state()["incidents"]) == 2
    assert take(triage, about(4, ROGUE, None), 3).incident != first.id


DEVICES = st.sampled_from([ROGUE, PLC, HMI, OTHER, THIRD, None])
PLAYS = st.lists(
    st.tuples(st.integers(0, 9), DEVICES, DEVICES, st.sampled_from([1, 10, 100, 300])), max_size=14
)


@given(play=PLAYS, at=st.integers(0, 14))
@settings(max_examples=60)
def test_alerts_at_once_about_one_device_are_one_incident(
    catalogue: Catalogue,
    tmp_path_factory: pytest.TempPathFactory,
    play: list[tuple[int, EndpointName | None, EndpointName | None, int]],
    at: int,
) -> None:
    """Devices of neighbours in time that are tied together bear one name, also after a restart."""
    path = tmp_path_factory.getbasetemp() / "incidents.state"
    one, other = (Triage(catalogue, Names(), sensor="s", origin=Origin("c", "d")) for _ in range(2))
    now, before = 0, None
    every: set[str] = set()
    for place, (number, source, target, step) in enumerate(play):
        now += step
        if place == at:
            statefile.write(path, "alerts", 1, other.state())
            other = Triage(catalogue, Names(), sensor="s")
            other.restore(statefile.read(path, "alerts", 1).payload)
        finding = about(number, source, target)
        told = one.take([finding], START + now * SECOND)
        assert other.take([finding], START + now * SECOND) == told
        every |= {alert.id for alert in told}
        last = one._open["novelty.write-from-new-client", ("cause", number)]
        if before is not None and step < 120:
            earlier, parties = before
            shared = parties & {last.source, last.target} - {None}
            if shared:
                assert earlier.incident == last.incident
        before = last, {last.source, last.target}
    assert one.state() == other.state()
    every |= {alert.id for alert in one.finish(START + now * SECOND)}
    assert {alert.incident for alert in one._open.values()} <= every
