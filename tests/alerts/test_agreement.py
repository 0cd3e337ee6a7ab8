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
from otids.alerts import waiting
from otids.alerts.agreement import PATIENCE, WINDOW, Agreement, fold, holders_of
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


# --- what follows from something else ------------------------------------------------------------


def rows(*numbers: int, table: str = "messages") -> dict[str, np.ndarray[Any, Any]]:
    return {table: np.array(numbers)}


@pytest.mark.parametrize(
    ("holder", "one", "held"),
    [
        (
            {"detector": "novelty", "activity": "write"},
            {"detector": "values", "activity": "write"},
            1,
        ),
        ({"detector": "protocol"}, {"detector": "novelty"}, 1),
        ({"detector": "flood"}, {"detector": "timing"}, 1),
        ({"detector": "policy", "severity": "critical"}, {"detector": "values"}, 1),
        ({"detector": "policy", "severity": "info"}, {"detector": "values"}, 0),
        (
            {"detector": "flood", "activity": "write"},
            {"detector": "values", "activity": "write"},
            0,
        ),
        (
            {"detector": "scan", "activity": "write"},
            {"detector": "novelty", "activity": "write"},
            0,
        ),
        ({"detector": "flood"}, {"detector": "values"}, 0),
        ({"detector": "scan"}, {"detector": "novelty", "kind": "novelty.new-endpoint"}, 0),
        ({"detector": "timing"}, {"detector": "flood"}, 0),
        ({"detector": "addressing"}, {"detector": "addressing", "kind": "addressing.other"}, 0),
    ],
)
def test_over_the_same_rows_one_tells_it(
    holder: dict[str, Any], one: dict[str, Any], held: int
) -> None:
    first = strong(**holder, rows=rows(1, 2, 3))
    second = strong(**{"cause": ("second",), **one}, rows=rows(2))
    told = Agreement().take([second, first], 1)
    place = first.kind, first.cause
    assert {each.detector: each.joins for each in told if each.cause == ("second",)} == {
        second.detector: place if held else None
    }
    beyond = strong(**{"cause": ("second",), **one}, rows=rows(3, 4))
    assert all(each.joins is None for each in Agreement().take([beyond, first], 1))


@pytest.mark.parametrize(
    ("teller", "one", "is_told"),
    [
        ({"kind": "flood.requests"}, {"kind": "timing.fast"}, True),
        ({"kind": "flood.requests"}, {"kind": "volume.unusual"}, True),
        ({"kind": "flood.requests"}, {"kind": "volume.unusual", "target": OTHER}, False),
        ({"kind": "scan.hosts", "target": None}, {"kind": "volume.unusual"}, True),
        ({"kind": "scan.ports"}, {"kind": "volume.unusual-device", "source": PLC}, True),
        ({"kind": "scan.ports"}, {"kind": "volume.unusual-device", "source": OTHER}, False),
        ({"kind": "volume.unusual"}, {"kind": "volume.unusual-device", "source": HMI}, True),
        ({"kind": "scan.ports"}, {"kind": "novelty.new-conversation", "severity": "low"}, True),
        ({"kind": "values.step"}, {"kind": "volume.unusual"}, False),
        ({"kind": "policy.ours"}, {"kind": "volume.unusual"}, False),
        (
            {"kind": "timing.slow-answers", "source": PLC, "target": HMI},
            {"kind": "timing.silence", "source": OTHER, "target": PLC},
            True,
        ),
        (
            {"kind": "timing.slow-answers", "source": PLC, "target": HMI},
            {"kind": "timing.silence", "source": HMI, "target": OTHER},
            False,
        ),
        ({"kind": "values.out-of-range", "points": ("a", "b")}, {"kind": "values.step"}, False),
        (
            {"kind": "values.out-of-range", "points": ("a", "b")},
            {"kind": "values.step", "points": ("b",)},
            True,
        ),
    ],
)
@pytest.mark.parametrize("first", ["teller", "one"])
def test_a_consequence_is_told_with_its_cause(
    first: str, teller: dict[str, Any], one: dict[str, Any], is_told: bool
) -> None:
    told_first = strong(
        str(teller["kind"]).partition(".")[0],
        cause=("teller",),
        **{
            "conversation": None,
            **teller,
        },
    )
    follows = {"cause": ("one",), "conversation": TALK, **one}
    if one["kind"] == "volume.unusual-device":
        follows |= {"conversation": None, "target": None}
    one_ = strong(str(one["kind"]).partition(".")[0], **follows)
    agreement = Agreement()
    pair = [told_first, one_] if first == "teller" else [one_, told_first]
    told = [*agreement.take(pair[:1], 100), *agreement.take(pair[1:], 100 + PATIENCE - 1)]
    told += agreement.take([], 100 + 3 * PATIENCE)
    (where,) = [each.joins for each in told if each.cause == ("one",)]
    if teller["kind"] == "volume.unusual" and first == "teller":
        assert where == ("volume.unusual", ("teller",)), "both waited"
    if one["kind"] == "timing.silence" and first == "one":
        is_told = False  # it waits for nothing
    assert where == ((told_first.kind, told_first.cause) if is_told else None)


def test_it_waits_no_longer_than_it_must() -> None:
    agreement = Agreement()
    one = strong("timing", kind="timing.fast", frames=(5,))
    assert agreement.take([one], 100) == []
    assert agreement.due() == 100 + PATIENCE
    assert agreement.take([], 100 + PATIENCE - 1) == []
    assert agreement.take([], 100 + PATIENCE) == [one]
    assert agreement.due() is None
    late = strong("flood", kind="flood.requests")
    assert agreement.take([late], 101 + PATIENCE) == [late]


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": "timing", "kind": "timing.silence"},
        {"detector": "novelty", "kind": "novelty.new-conversation", "severity": None},
        {"detector": "values", "kind": "values.out-of-range"},
        {"detector": "timing", "kind": "timing.all-silent", "conversation": None},
    ],
)
def test_what_is_grave_waits_for_nothing(changes: dict[str, Any]) -> None:
    (told,) = Agreement().take([strong(**changes)], 1)
    assert told.joins is None


def test_an_interruption_tells_what_waits_in_its_place() -> None:
    agreement = Agreement()
    device = strong("volume", kind="volume.unusual-device", conversation=None, cause=("d",))
    assert agreement.take([device, strong("volume", kind="volume.unusual")], 1) == []
    assert places(agreement.interrupt()) == [("volume", None), ("volume", "volume.unusual")]
    assert agreement.due() is None


def test_many_consequences_are_found_by_what_they_are_about() -> None:
    agreement = Agreement()
    for place in range(2_000):
        name = EndpointName(0, f"10.1.{place // 256}.{place % 256}")
        talk = TALK._replace(client=name)
        one = strong(
            "timing", kind="timing.fast", cause=("t", place), source=name, conversation=talk
        )
        agreement.take([one], 1)
    state = agreement.state()
    assert len(state["patient"]) == waiting.MOST_HELD


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


def test_what_could_stand_alone_goes_on_in_its_own_alert(triage: Triage) -> None:
    (own,) = triage.take([strong("novelty", cause=("own",), frames=(3,))], START)
    triage.take([strong("scan", cause=("scan",))], START + SECOND)
    joins = ("scan.grave", ("scan",))
    triage.take([strong("novelty", cause=("own",), joins=joins, frames=(9,))], START + 2 * SECOND)
    last = {one.kind: one for one in triage.finish(START + 3 * SECOND)}
    assert last["novelty.grave"].id == own.id
    assert last["novelty.grave"].frames == (3, 9)
    assert "scan.grave" not in last, "nothing came to it"


def test_a_consequence_adds_neither_count_nor_what_came_before(triage: Triage) -> None:
    flood = strong("flood", cause=("flood",), frames=(5,), count=40)
    joins = (flood.kind, flood.cause)
    before = weak("volume", joins=joins, frames=(1, 99), count=60, first_seen=START - SECOND)
    after = weak("timing", joins=joins, frames=(5, 6), count=7, frame_count=2)
    (last,) = triage.take([flood, before, after], START)
    assert (last.count, last.frames, last.frame_count) == (40, (5, 6), 2)
    assert last.first_seen == START
    assert last.accepts == (("flood",), ("volume", "odd"), ("timing", "odd"))


def test_what_joins_an_alert_that_is_gone_is_told_by_itself(triage: Triage) -> None:
    (told,) = triage.take([weak(joins=("values.grave", ("long", "gone")))], START)
    assert (told.kind, told.severity) == ("timing.odd", "info")
    assert told.corroboration == ()


# --- whatever comes ----------------------------------------------------------------------------

FOLLOWING = {
    "timing": "timing.fast",
    "volume": "volume.unusual-device",
    "values": "values.step",
    "flood": "flood.requests",
    "scan": "scan.ports",
}
FINDINGS = st.builds(
    lambda detector, is_weak, talk, target, source, row: (weak if is_weak else strong)(
        detector,
        **({"kind": FOLLOWING[detector], "cause": (detector, row)} if row % 2 else {}),
        conversation=TALK._replace(port=talk) if talk else None,
        target=target,
        source=source,
        rows={"messages": np.array([row])},
        frames=(row + 1,),
    ),
    st.sampled_from(["timing", "volume", "values", "flood", "scan"]),
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
                assert one.joins[0] == SEVERAL or one.joins in opened
    assert told_of(play, at) == told


@given(play=PLAYS)
def test_what_waits_is_bounded(play: list[tuple[int, list[Finding]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for each in (module, waiting):
            patch.setattr(each, "MOST_HELD", 2)
            patch.setattr(each, "MOST_KEPT", 2)
        agreement, second, told = Agreement(), 0, 0
        for step, findings in play:
            second += step
            told += len(agreement.take(findings, second))
            state = agreement.state()
            assert max(map(len, state.values())) <= 2
        told += len(agreement.interrupt())
        assert told == sum(len(findings) for _, findings in play)
        assert not any(map(len, agreement.state().values()))


@pytest.mark.parametrize(
    "damage",
    [
        {"held": None},
        {"held": [[1, {}]]},
        {"more": 1},
        {"told": [{"kind": "x"}]},
        {"patient": [[1, {}]]},
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
