"""Whatever findings come: none vanishes, and a restart changes nothing."""

from pathlib import Path

import pytest
from alerts.findings import PLC, START, Names, write_finding
from hypothesis import given, settings
from hypothesis import strategies as st

from otids import statefile
from otids.alerts.alert import SEVERITIES, Alert
from otids.alerts.catalogue import Catalogue
from otids.alerts.triage import Limits, Origin, Triage
from otids.detectors.base import Finding, StateError
from otids.traffic import SECOND, EndpointName

# Cause, count, severity, members, frames, kind, source.
Draw = tuple[int, int, str | None, list[str], set[int], str, EndpointName | None]
Ticks = list[tuple[int, list[Draw]]]
DRAWS = st.tuples(
    st.integers(0, 30),
    st.integers(1, 50),
    st.sampled_from([None, *SEVERITIES]),
    st.lists(st.sampled_from(["m1", "m2", "m3", "m4"]), max_size=2),
    st.sets(st.integers(1, 1000), max_size=3),
    st.sampled_from(["novelty.new-item", "policy.ours"]),
    st.sampled_from([None, PLC, EndpointName(7, "10.0.0.66")]),
)
TICKS = st.lists(
    st.tuples(st.sampled_from([-5, 0, 1, 1, 1, 5, 11, 61, 4000]), st.lists(DRAWS, max_size=12)),
    max_size=10,
)
LIMITS = Limits(most_open=12, most_by_source=4, most_by_kind=9)


def new_triage(catalogue: Catalogue, limits: Limits = LIMITS) -> Triage:
    return Triage(catalogue, Names(), sensor="s", origin=Origin("c", "d"), limits=limits)


def run(triage: Triage, ticks: Ticks, begin: int, end: int) -> list[Alert]:
    told: list[Alert] = []
    for place in range(begin, end):
        now = START + SECOND * sum(step for step, _ in ticks[: place + 1])
        findings = [
            drawn(draw, now, 100 * place + number) for number, draw in enumerate(ticks[place][1])
        ]
        told += triage.take(findings, now)
    return told


def drawn(draw: Draw, now: int, place: int) -> Finding:
    cause, count, severity, members, frames, kind, source = draw
    return write_finding(
        ("cause", cause),
        now + place,
        count=count,
        severity=severity,
        members=tuple(members),
        frames=tuple(sorted(1000 * place + frame for frame in frames)),
        frame_count=len(frames),
        kind=kind,
        source=source,
    )


@given(ticks=TICKS)
@settings(max_examples=60, deadline=None)
def test_every_observation_is_in_exactly_one_alert(catalogue: Catalogue, ticks: Ticks) -> None:
    triage = new_triage(catalogue)
    told = run(triage, ticks, 0, len(ticks))
    told += triage.finish(triage.state()["now"])
    last: dict[str, Alert] = {}
    for alert in told:
        before = last.get(alert.id)
        assert alert.revision == (before.revision + 1 if before else 1)
        if before:
            assert before.status == "open"
            assert SEVERITIES.index(alert.severity) >= SEVERITIES.index(before.severity)
            assert alert.count >= before.count
            assert alert.frame_count >= before.frame_count
        assert list(alert.frames) == sorted(set(alert.frames))
        last[alert.id] = alert
    observations = sum(draw[1] for _, draws in ticks for draw in draws)
    assert sum(alert.count for alert in last.values()) == observations
    assert triage.counters["observations"] == observations
    assert triage.counters["revisions"] == len(told)
    assert triage.counters["opened"] == len(last)
    assert len(triage.state()["open"]) <= LIMITS.most_open


@given(ticks=TICKS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_restart_changes_nothing(
    catalogue: Catalogue,
    tmp_path_factory: pytest.TempPathFactory,
    ticks: Ticks,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.getbasetemp() / "alerts.state"
    at = data.draw(st.integers(0, len(ticks)))
    one = new_triage(catalogue)
    expected = run(one, ticks, 0, len(ticks))
    first = new_triage(catalogue)
    told = run(first, ticks, 0, at)
    statefile.write(path, "alerts", 1, first.state())
    second = new_triage(catalogue)
    second.restore(statefile.read(path, "alerts", 1).payload)
    told += run(second, ticks, at, len(ticks))
    assert told == expected
    assert second.state() == one.state()
    assert second.counters == one.counters


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 1},
        {"version": "2"},
        {"now": None},
        {"open": {}},
        {"open": [{"id": "x"}]},
        {"surplus": 1},
        {"counters": {"findings": 1}},
        {"counters": {"findings": -1}},
        {"openings": [["a", "b", "c"]]},
        {"incidents": [[[0, "x"], "no id", 0, 0]]},
    ],
)
def test_a_damaged_state_changes_nothing(damage: dict[str, object], catalogue: Catalogue) -> None:
    triage = new_triage(catalogue)
    triage.take([write_finding()], START)
    state = triage.state()
    with pytest.raises(StateError, match="saved alerts"):
        triage.restore({**state, **damage})
    assert triage.state() == state


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "../../etc"),
        ("rank", 5),
        ("score", 1.5),
        ("count", -1),
        ("frames", list(range(65))),
        ("members", {"seen": {str(n): 1 for n in range(257)}, "more": 0}),
        ("source", [0]),
        ("incident", "x"),
        ("voices", {"values.limit": {"detector": "values"}}),
        ("unknown", 1),
    ],
)
def test_a_damaged_alert_is_refused(key: str, value: object, catalogue: Catalogue) -> None:
    triage = new_triage(catalogue)
    triage.take([write_finding()], START)
    state = triage.state()
    [alert] = state["open"]
    with pytest.raises(StateError, match="saved alerts"):
        new_triage(catalogue).restore({**state, "open": [{**alert, key: value}]})
    new_triage(catalogue).restore({**state, "open": [{**alert}]})


def test_a_state_beyond_the_bounds_is_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    full = new_triage(catalogue)
    full.take([write_finding(("a",)), write_finding(("b",))], START)
    statefile.write(tmp_path / "s", "alerts", 1, full.state())
    with pytest.raises(StateError, match="2 are open"):
        new_triage(catalogue, Limits(most_open=1)).restore(full.state())
