"""Who breaks rules is told by who it is and how often; what loss can cause is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from detectors.suite import LEARNED, Act, Stage, plain, said, work
from ticks import HMI, PLC, Wire

from otids.detectors.base import Finding, Quarantine, StateError
from otids.detectors.protocol import (
    BURST,
    MOST_FINDINGS,
    MOST_MINUTES,
    SORTS,
    Protocol,
)
from otids.learning.addresses.second_answers import ANOTHER
from otids.traffic import CARRIERS, NOTICE_KINDS, EndpointName, Loss

START = 180
"""When what is judged begins: a minute of capture time."""
CUT = "the PDU is shorter than its function demands"


def breaks(
    start: float, times: int = 1, *, kind: str = "malformed-pdu", who: str = HMI, detail: str = CUT
) -> Act:
    """Break a rule some times within a second."""

    def act(wire: Wire) -> None:
        for place in range(times):
            wire.notice(start + place / (2 * times), kind, detail, address=who)

    return act


def learned(*more: Act) -> Stage:
    stage = Stage(Protocol())
    stage.wire.start -= stage.wire.start % 60
    stage.learn([*work(0, 10), *more, *work(START - 10, 10)])
    return stage


def found(stage: Stage, *acts: Act) -> list[Finding]:
    return [finding for findings in stage.give(acts) for finding in findings]


def told(stage: Stage, *acts: Act) -> list[tuple[str, bool]]:
    """What is found: its kind, and whether it is weak."""
    return [(one.kind.removeprefix("protocol."), one.weak) for one in found(stage, *acts)]


# --- who and how often ---------------------------------------------------------------------------


def test_the_first_malformed_request_of_a_client_is_told() -> None:
    (one,) = found(learned(), breaks(START))
    assert (one.kind, one.weak) == ("protocol.malformed", False)
    assert (one.source, one.target) == (EndpointName(0, HMI), EndpointName(0, PLC))
    assert one.expected == (
        f"{HMI} never sent messages or headers that break the rules of their protocol"
    )
    assert one.observed == f"{CUT}: once in {HMI} → {PLC} modbus/502"


def test_a_malformed_answer_now_and_then_is_weak_and_many_are_not() -> None:
    stage = learned()
    assert told(stage, breaks(START, who=PLC)) == [("malformed", True)]
    assert told(stage, breaks(START + 1, BURST - 2, who=PLC)) == [("malformed", True)]
    (one,) = found(stage, breaks(START + 2, who=PLC))
    assert (one.weak, one.count) == (False, 1)
    assert f"{BURST} times in this minute" in one.observed
    assert told(stage, breaks(START + 60, who=PLC)) == [("malformed", True)]  # a new minute


@pytest.mark.parametrize(
    ("kind", "sort", "weak"),
    [
        ("malformed-header", "malformed", False),
        ("bad-checksum", "malformed", False),
        ("foreign-protocol", "foreign", False),
        ("overlap-disagrees", "overlap", False),
        ("out-of-sequence", "sequence", False),
        ("unasked-response", "unasked-response", True),
        ("stale-segment", "replayed", True),
    ],
)
def test_each_sort_is_told(kind: str, sort: str, weak: bool) -> None:
    assert told(learned(), breaks(START, kind=kind)) == [(sort, weak)]


@pytest.mark.parametrize("kind", sorted(set(NOTICE_KINDS) - SORTS.keys()))
def test_what_tells_of_loss_is_no_finding(kind: str) -> None:
    assert told(learned(), breaks(START, 500, kind=kind)) == []


def test_second_answers_are_told_elsewhere() -> None:
    stage = learned()
    assert told(stage, breaks(START, kind="unasked-response", who=PLC, detail=ANOTHER)) == []

    def contradict(wire: Wire) -> None:
        wire.exchange(START + 1, 3)
        wire.notice(START + 1.1, "overlap-disagrees", address=PLC)

    assert told(stage, contradict) == []
    assert told(stage, breaks(START + 2, kind="overlap-disagrees", who=PLC)) == [("overlap", False)]


def test_who_is_not_known_is_told_weakly_until_it_is_many() -> None:
    def nameless(second: int, times: int) -> Act:
        def act(wire: Wire) -> None:
            for _ in range(times):
                wire.notice(second, "malformed-header", "too short", address=PLC)
            wire._rows["notices"][-times:] = [
                (*row[:3], 0, 0, *row[5:]) for row in wire._rows["notices"][-times:]
            ]

        return act

    stage = learned()
    (one,) = found(stage, nameless(START, 1))
    assert (one.weak, one.source, one.conversation) == (True, None, None)
    assert told(stage, nameless(START + 1, BURST)) == [("malformed", False)]


# --- quirks --------------------------------------------------------------------------------------


def test_a_learned_quirk_is_normal_at_its_rate() -> None:
    # Four in its fullest minute: 4 + 3 √4 + 3 = 13 are still usual, 26 are strong.
    stage = learned(breaks(20, 4), breaks(60, 2))
    assert told(stage, breaks(START, 13)) == []
    assert told(stage, breaks(START + 1)) == [("malformed", True)]
    (one,) = found(stage, breaks(START + 2, 12))
    assert not one.weak
    assert one.expected.startswith(f"at most 13 a minute of what {HMI} is known to send")
    assert told(stage, breaks(START + 60, 13)) == []
    assert told(stage, breaks(START + 61, who=PLC)) == [("malformed", True)]  # another one's


def test_nothing_is_told_before_enough_was_heard() -> None:
    stage = Stage(Protocol())
    assert told(stage, breaks(0, 50), *work(1, 300), breaks(301)) == []
    assert 0 < stage.detectors[0].readiness()[0].progress < 1
    assert told(stage, *work(302, 300), breaks(700, who=PLC)) == [("malformed", True)]
    assert told(stage, breaks(701, 50)) == []


def test_what_is_flagged_by_others_is_no_quirk() -> None:
    stage = Stage(Protocol())
    (detector,) = stage.detectors
    detector.begin_learning()
    for tick in stage.ticks(breaks(0, 4)):
        flagged = Finding("x", ("x",), 0, 0, (), 0, 1, "x", "", "", 1.0, rows={"notices": [0]})
        detector.judge(tick)
        detector.learn(tick, Quarantine(tick, [flagged]))
    detector.close_world()
    assert told(stage, breaks(START)) == [("malformed", False)]


# --- loss ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("kind", sorted(SORTS))
def test_what_loss_can_cause_is_passed_over_in_lossy_conversations(
    kind: str, one_sided: bool
) -> None:
    stage = learned()
    (detector,) = stage.detectors
    for tick in stage.ticks(breaks(START, 20, kind=kind)):
        marks = np.ones(tick.names.conversations.size, np.bool_)
        none = np.zeros_like(marks)
        loss = Loss(none, marks) if one_sided else Loss(marks, none)
        findings = detector.judge(replace(tick, loss=loss))
        assert len(findings) == (kind in {"overlap-disagrees", "stale-segment"})


def test_numbers_of_publishers_run_back_by_no_loss() -> None:
    stage = learned()
    (detector,) = stage.detectors
    for tick in stage.ticks(breaks(START, 20, kind="out-of-sequence")):
        tick.names.conversations.carrier[:] = CARRIERS.index("link")
        marks = np.ones(tick.names.conversations.size, np.bool_)
        assert len(detector.judge(replace(tick, loss=Loss(marks, marks)))) == 1


# --- bounds, state, accepting --------------------------------------------------------------------


def test_many_senders_are_told_together() -> None:
    def crowd(wire: Wire) -> None:
        for place in range(MOST_FINDINGS + 10):
            wire.notice(START, "malformed-pdu", CUT, address=f"10.1.0.{place}")

    findings = found(learned(), crowd)
    assert len(findings) == MOST_FINDINGS + 1
    assert findings[-1].observed == "10 further senders in the same second"
    assert findings[-1].cause == ("protocol", "further")
    assert len(findings[-1].rows["notices"]) == 10


def test_minutes_are_bounded() -> None:
    def crowd(second: int) -> Act:
        def act(wire: Wire) -> None:
            for place in range(MOST_MINUTES // 2):
                wire.notice(
                    second, "malformed-pdu", address=f"10.{second % 60}.{place >> 8}.{place & 255}"
                )

        return act

    stage = learned()
    found(stage, *(crowd(START + second) for second in range(4)))
    assert len(stage.detectors[0].state()["minutes"]) == MOST_MINUTES


def test_accepting_a_sender() -> None:
    stage = learned()
    (one,) = found(stage, breaks(START))
    assert stage.detectors[0].accept(one.cause)
    assert told(stage, breaks(START + 1, 100)) == []
    assert told(stage, breaks(START + 2, kind="overlap-disagrees")) == [("overlap", False)]
    assert stage.detectors[0].undo(one.cause)
    assert told(stage, breaks(START + 3)) == [("malformed", False)]


def test_a_minute_goes_on_in_a_restored_state() -> None:
    first = learned()
    found(first, breaks(START, BURST - 1, who=PLC))
    detector = Protocol()
    detector.restore(plain(first.detectors[0].state()))
    second = Stage(detector)
    second.wire = first.wire
    expected = said(found(second, breaks(START + 1, who=PLC)))
    assert [one.weak for one in expected] == [False]


def test_another_capture_begins_a_minute() -> None:
    stage = learned()
    found(stage, breaks(START, BURST - 1, who=PLC))
    stage.interrupt()
    assert told(stage, breaks(START + 1, who=PLC)) == [("malformed", True)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["minutes"].append({"sender": [[0, PLC], "malformed"]}),
        lambda state: state["minutes"][0].update(count=-1),
        lambda state: state["listening"].update(closed=3),
        lambda state: state["accepted"].append(["novelty", "x"]),
        lambda state: state["quirks"].update(more=1),
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    stage = learned()
    found(stage, breaks(START))
    state = plain(stage.detectors[0].state())
    damage(state)
    detector = Protocol()
    for take in (detector.restore, detector.merge):
        with pytest.raises(StateError):
            take(state)
    assert detector.state() == Protocol().state()


def test_normal_work_is_silent() -> None:
    stage = Stage(Protocol())
    stage.learn(work(0, LEARNED))
    assert found(stage, *work(LEARNED, LEARNED)) == []
