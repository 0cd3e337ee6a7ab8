"""Agreement: weak findings wait for others; each is told once, wherever it belongs."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from alerts.findings import PLC, ROGUE, START, Names, write_finding
from hypothesis import given
from hypothesis import strategies as st

from otids.alerts import agreement as module
from otids.alerts.agreement import WINDOW, Agreement, fold, holders_of
from otids.alerts.catalogue import Catalogue
from otids.alerts.merging import SEVERAL
from otids.alerts.triage import Origin, Triage
from otids.detectors.base import Finding, StateError
from otids.traffic import SECOND, ConversationName, EndpointName

HMI = EndpointName(0, "10.0.0.9")
OTHER = EndpointName(0, "10.0.0.6")
TALK = ConversationName(HMI, PLC, "modbus", "tcp", 502)


def weak(detector: str = "timing", **changes: object) -> Finding:
    """A weak finding about the HMI and the controller, but for `changes`."""
    parts: dict[str, object] = {
        "kind": f"{detector}.odd",
        "cause": (detector, "odd"),
        "detector": detector,
        "source": HMI,
        "target": PLC,
        "conversation": TALK,
        "weak": True,
        "expected": f"what {detector} expected",
        "observed": f"what {detector} observed",
        **changes,
    }
    return write_finding(**parts)  # type: ignore[arg-type]


def strong(detector: str = "values", **changes: object) -> Finding:
    return weak(detector, **{"weak": False, "kind": f"{detector}.grave", **changes})


def places(findings: Sequence[Finding]) -> list[tuple[str, str | None]]:
    """Who said it, and the kind of the alert that it joins."""
    return [(one.detector, one.joins and one.joins[0]) for one in findings]


# --- what becomes of a weak finding ------------------------------------------------------------


def test_alone_it_is_told_after_a_minute() -> None:
    agreement = Agreement()
    assert agreement.take([weak()], 100) == []
    assert agreement.take([], 100 + WINDOW - 1) == []
    (told,) = agreement.take([], 100 + WINDOW)
    assert (told.detector, told.joins) == ("timing", None)
    assert agreement.take([], 100 + 2 * WINDOW) == []


def test_two_detectors_make_one_alert() -> None:
    agreement = Agreement()
    assert agreement.take([weak("timing")], 100) == []
    assert agreement.take([weak("timing", observed="again")], 110) == []
    told = agreement.take([weak("volume")], 120)
    assert places(told) == [("timing", SEVERAL), ("timing", SEVERAL), ("volume", SEVERAL)]
    assert len({one.joins for one in told}) == 1
    (more,) = agreement.take([weak("timing", conversation=None, source=OTHER)], 150)
    assert more.joins == told[0].joins, "the same controller"
    assert agreement.take([weak("values", source=None)], 150 + WINDOW) == [], "it is over"
    assert agreement.take([weak("values")], 150 + WINDOW + 1) == [], "one detector agrees with none"


@pytest.mark.parametrize(
    ("changes", "agree"),
    [
        ({}, True),
        ({"conversation": None}, True),
        ({"conversation": None, "source": None}, True),
        ({"conversation": None, "target": HMI, "source": PLC}, True),
        ({"conversation": None, "target": OTHER}, True),
        ({"conversation": None, "target": OTHER, "source": ROGUE}, False),
        ({"conversation": None, "target": None, "source": None}, False),
        ({"conversation": None, "target": EndpointName(7, PLC.address), "source": None}, False),
    ],
)
def test_who_is_about_the_same(changes: dict[str, Any], agree: bool) -> None:
    agreement = Agreement()
    told = [*agreement.take([weak("timing")], 1), *agreement.take([weak("volume", **changes)], 2)]
    assert places(told) == ([("timing", SEVERAL), ("volume", SEVERAL)] if agree else [])


def test_everybody_is_nobody() -> None:
    everybody = {"conversation": None, "source": None, "target": EndpointName(0, "10.0.0.255")}
    agreement = Agreement()
    assert agreement.take([weak("timing", **everybody), weak("volume", **everybody)], 1) == []
    assert places(agreement.interrupt()) == [("timing", None), ("volume", None)]


def test_all_that_waits_about_its_devices_joins() -> None:
    agreement = Agreement()
    apart = {"conversation": None, "source": ROGUE}
    assert agreement.take([weak("timing", **apart), weak("timing")], 1) == []
    told = agreement.take([weak("volume")], 2)
    assert places(told) == [("timing", SEVERAL), ("timing", SEVERAL), ("volume", SEVERAL)]


@pytest.mark.parametrize("first", ["weak", "strong", "both"])
def test_it_corroborates_what_is_strong(first: str) -> None:
    agreement = Agreement()
    said = {"weak": [[weak()], [strong()]], "strong": [[strong()], [weak()]]}
    told = []
    for place, findings in enumerate(said.get(first, [[weak(), strong()]])):
        told += agreement.take(findings, 100 + 30 * place)
    assert places(told) == [("values", None), ("timing", "values.grave")]
    assert agreement.interrupt() == []


def test_it_does_not_corroborate_itself_or_what_is_long_past() -> None:
    agreement = Agreement()
    assert places(agreement.take([strong("timing"), weak("timing")], 1)) == [("timing", None)]
    agreement.interrupt()
    agreement.take([strong("values")], 100)
    assert agreement.take([weak("timing")], 100 + WINDOW) == []


def test_the_same_rows_are_the_same_cause() -> None:
    scan = strong("novelty", conversation=None, rows={"messages": np.arange(10)})
    inside = weak("timing", conversation=None, rows={"messages": np.array([3, 4])})
    beyond = weak("volume", conversation=None, rows={"messages": np.array([9, 10])}, target=OTHER)
    told = Agreement().take([inside, beyond, scan], 1)
    assert places(told) == [("novelty", None), ("timing", "novelty.grave")]


def test_the_first_that_has_all_rows_holds_a_finding() -> None:
    rows = {"messages": np.array([5, 6])}
    one, other = (strong(name, rows={"messages": np.arange(9)}) for name in ("novelty", "policy"))
    part = strong("values", rows={"messages": np.array([5])})
    assert holders_of([weak(rows=rows)], [part, other, one]) == [other]
    assert holders_of([weak("policy", rows=rows)], [part, other, one]) == [one]
    assert holders_of([weak(rows={"traffic": np.array([1])})], [one]) == [None]
    assert holders_of([weak(rows={})], [one]) == [None]


def test_folding_costs_no_more_than_its_rows() -> None:
    rows = [{"messages": np.array([place])} for place in range(2_000)]
    policy = [strong("policy", cause=("policy", place), rows=one) for place, one in enumerate(rows)]
    novel = [
        strong("novelty", cause=("novelty", place), rows=one) for place, one in enumerate(rows)
    ]
    folded = fold([*novel, *policy])
    assert [one.detector for one in folded] == ["policy"] * 2_000
    assert folded[7].accepts == (("policy", 7), ("novelty", 7))


# --- what people are told ----------------------------------------------------------------------


@pytest.fixture
def triage(catalogue: Catalogue) -> Triage:
    return Triage(catalogue, Names(), sensor="s", origin=Origin("c", "d"))


def test_an_agreement_is_one_alert_in_everybodys_words(triage: Triage) -> None:
    agreement = Agreement()
    agreement.take([weak("timing", frames=(1,), severity="high")], 1)
    (alert,) = triage.take(agreement.take([weak("volume", frames=(9,))], 2), START)
    assert (alert.kind, alert.severity, alert.detector) == (SEVERAL, "medium", "agreement")
    assert alert.title == "Several things are unusual about PLC-5 (10.0.0.5) at the same time"
    assert alert.expected == "what timing expected; what volume expected"
    assert alert.observed == "what timing observed; what volume observed"
    assert (alert.frames, alert.count) == ((1, 9), 2)
    assert alert.accepts == (("timing", "odd"), ("volume", "odd"))
    assert [(one.detector, one.kind) for one in alert.corroboration] == [
        ("timing", "timing.odd"),
        ("volume", "volume.odd"),
    ]
    for second in range(3, 50):
        more = agreement.take([weak("volume", frames=(second,))], second)
        triage.take(more, START + second * SECOND)
    (last,) = triage.finish(START + 50 * SECOND)
    assert (last.id, last.count) == (alert.id, 49)


def test_corroboration_changes_neither_words_nor_severity(triage: Triage) -> None:
    grave = strong(severity="high", frames=(5,), accepts=(("values", 1),))
    plain = triage.take([grave], START)[0]
    joins = ("values.grave", grave.cause)
    (told,) = triage.take([weak(joins=joins, frames=(8,), target=None)], START + 10 * SECOND)
    assert told.id == plain.id
    assert (told.title, told.expected, told.observed) == (
        plain.title,
        plain.expected,
        plain.observed,
    )
    assert (told.severity, told.target, told.score) == ("high", plain.target, plain.score)
    assert (told.frames, told.accepts) == ((5, 8), (("values", 1), ("timing", "odd")))
    assert told.record()["corroboration"] == [
        {
            "detector": "timing",
            "kind": "timing.odd",
            "expected": "what timing expected",
            "observed": "what timing observed",
        }
    ]


def test_what_joins_an_alert_that_is_gone_is_told_by_itself(triage: Triage) -> None:
    (told,) = triage.take([weak(joins=("values.grave", ("long", "gone")))], START)
    assert (told.kind, told.severity) == ("timing.odd", "info")
    assert told.corroboration == ()


# --- whatever comes ----------------------------------------------------------------------------

FINDINGS = st.builds(
    lambda detector, is_weak, talk, target, source, row: (weak if is_weak else strong)(
        detector,
        conversation=TALK._replace(port=talk) if talk else None,
        target=target,
        source=source,
        rows={"messages": np.array([row])},
        frames=(row + 1,),
    ),
    st.sampled_from(["timing", "volume", "values"]),
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([PLC, OTHER, None]),
    st.sampled_from([HMI, ROGUE, PLC]),
    st.integers(0, 3),
)
PLAYS = st.lists(
    st.tuples(st.sampled_from([0, 1, 20, 59, 60, 61]), st.lists(FINDINGS, max_size=4)), max_size=12
)


def told_of(play: Sequence[tuple[int, list[Finding]]], *restarts: int) -> list[list[Finding]]:
    agreement, second, told = Agreement(), 0, []
    for place, (step, findings) in enumerate(play):
        second += step
        if place in restarts:
            state = msgspec.msgpack.encode(agreement.state())
            agreement = Agreement()
            agreement.restore(msgspec.msgpack.decode(state))
            assert msgspec.msgpack.encode(agreement.state()) == state
        told.append(agreement.take(findings, second))
    return [*told, agreement.interrupt()]


@given(play=PLAYS, at=st.integers(0, 12))
def test_each_finding_is_told_once_and_a_restart_changes_nothing(
    play: list[tuple[int, list[Finding]]], at: int
) -> None:
    told = told_of(play)
    given_ = [one for _, findings in play for one in findings]
    assert len([one for some in told for one in some]) == len(given_)
    opened = set()
    for some in told:
        for one in some:
            if one.joins is None:
                opened.add((one.kind, one.cause))
            else:
                assert one.weak
                assert one.joins[0] == SEVERAL or one.joins in opened
    assert told_of(play, at) == told


@given(play=PLAYS)
def test_what_waits_is_bounded(play: list[tuple[int, list[Finding]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_HELD", 2)
        patch.setattr(module, "MOST_KEPT", 2)
        agreement, second, told = Agreement(), 0, 0
        for step, findings in play:
            second += step
            told += len(agreement.take(findings, second))
            state = agreement.state()
            assert max(len(state["held"]), len(state["strong"]), len(state["agreed"])) <= 2
        told += len(agreement.interrupt())
        assert told == sum(len(findings) for _, findings in play)
        assert (agreement._about, agreement._strong_in) == ({}, {})


@pytest.mark.parametrize(
    "damage",
    [
        {"held": None},
        {"held": [[1, {}]]},
        {"more": 1},
        {"strong": [{"kind": "x"}]},
        {"agreed": [{"device": None, "conversation": None, "cause": ["a"], "second": 1}]},
    ],
)
def test_a_damaged_state_changes_nothing(damage: dict[str, Any]) -> None:
    agreement = Agreement()
    agreement.take([weak(), strong("values", conversation=TALK._replace(port=1))], 1)
    before = agreement.state()
    with pytest.raises(StateError, match="damaged"):
        agreement.restore({**before, **damage})
    assert agreement.state() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weak", False),
        ("count", -1),
        ("frame_count", -1),
        ("score", 1.5),
        ("frames", list(range(65))),
        ("accepts", [["a"]] * 2_000),
        ("joins", ["a", ["b"]]),
        ("rows", {"messages": [1]}),
    ],
)
def test_a_saved_finding_that_cannot_be_is_refused(field: str, value: object) -> None:
    agreement = Agreement()
    agreement.take([weak()], 1)
    state = agreement.state()
    ((second, one),) = state["held"]
    with pytest.raises(StateError, match="damaged"):
        Agreement().restore({**state, "held": [(second, {**one, field: value})]})
    Agreement().restore({**state, "held": [(second, one)]})
