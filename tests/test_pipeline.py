"""The invariants of the design that concern the whole line from capture to alert."""

import gzip
import random
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from captures import SECOND, START, pcap, talk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipelines import Line, feed, make_pipeline, records
from ticks import Wire, reads, writes

from otids.alerts.agreement import fold
from otids.alerts.alert import Alert
from otids.detectors import make_detectors
from otids.detectors.base import Cause, Detector, Finding, Quarantine, Readiness, State, StateError
from otids.traffic import Array, EndpointName, Tick


def learned(normal: Path) -> tuple[Line, list[Alert]]:
    pipeline, committed = make_pipeline()
    feed(pipeline, normal, learn=True)
    return pipeline, committed


@pytest.fixture(scope="session")
def one_run(normal: Path, attacks: Path) -> list[Alert]:
    pipeline, committed = learned(normal)
    feed(pipeline, attacks)
    return committed


# --- 1: cut invariance ---------------------------------------------------------------------------


@pytest.mark.parametrize("batch_frames", [1, 97, 5_000])
def test_alerts_do_not_depend_on_how_the_capture_was_cut(
    normal: Path, attacks: Path, one_run: Sequence[Alert], batch_frames: int
) -> None:
    pipeline, committed = make_pipeline(batch_frames=batch_frames)
    feed(pipeline, normal, learn=True)
    feed(pipeline, attacks)
    assert records(committed) == records(one_run)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batch_frames=st.integers(1, 20_000))
def test_alerts_do_not_depend_on_any_cut(
    normal: Path, attacks: Path, one_run: Sequence[Alert], batch_frames: int
) -> None:
    pipeline, committed = make_pipeline(batch_frames=batch_frames)
    feed(pipeline, normal, learn=True)
    feed(pipeline, attacks)
    assert records(committed) == records(one_run)


FIRST = 1_773_381_600
"""The second in which the attacks on the plant begin to be captured."""
BUSY = 1_500
"""Seconds of the attacks on the plant that hold six of them, and a mirror port that is silent."""


@pytest.fixture(scope="module")
def busy(plant_attacks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the attacks on the plant, as a capture of its own."""
    data = gzip.decompress(plant_attacks.read_bytes())
    end = 24
    while struct.unpack_from("<I", data, end)[0] < FIRST + BUSY:
        end += 16 + struct.unpack_from("<I", data, end + 8)[0]
    path: Path = tmp_path_factory.mktemp("busy") / "busy.pcap"
    path.write_bytes(data[:end])
    return path


@pytest.fixture(scope="module")
def busy_once(learned_plant: bytes, busy: Path) -> list[Alert]:
    pipeline, committed = make_pipeline()
    pipeline.restore(msgpack.unpackb(learned_plant))
    feed(pipeline, busy)
    return committed


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch_frames", [23, 977, 30_000])
def test_alerts_about_the_whole_plant_do_not_depend_on_any_cut(
    learned_plant: bytes, busy: Path, busy_once: Sequence[Alert], batch_frames: int
) -> None:
    pipeline, committed = make_pipeline(batch_frames=batch_frames)
    pipeline.restore(msgpack.unpackb(learned_plant))
    feed(pipeline, busy)
    assert records(committed) == records(busy_once)
    assert {"values", "timing", "flood", "volume", "protocol"} <= {
        one.detector for one in committed
    }


# --- 2: restart invariance -----------------------------------------------------------------------


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(0, 320))
def test_a_restart_changes_nothing(
    normal: Path, attacks: Path, one_run: Sequence[Alert], at: int
) -> None:
    first, committed = learned(normal)
    seen: list[int] = []

    def enough(tick: Tick) -> bool:
        seen.append(tick.second)
        return len(seen) > at

    ended = feed(first, attacks, until=enough)
    saved = msgpack.packb(first.state())
    second, more = make_pipeline()
    second.restore(msgpack.unpackb(saved))
    if not ended:
        feed(second, attacks)
    assert records([*committed, *more]) == records(one_run)


def is_past(second: int | None, tick: Tick) -> bool:
    return second is not None and tick.second >= second


@pytest.mark.timeout(600)
def test_many_restarts_during_attacks_on_the_plant_change_nothing(
    learned_plant: bytes,
    plant_attacks: Path,
    judged_plant_attacks: Sequence[tuple[int, Alert]],
) -> None:
    """One run, killed and restored at random, each time with another hot path and other ids."""
    moments = random.sample(range(5_390), 5)  # pytest-randomly says by which seed
    state: State = msgpack.unpackb(learned_plant)
    told: list[Alert] = []
    ended = False
    for moment in [*sorted(moments), None]:
        pipeline, committed = make_pipeline()
        pipeline.restore(state)
        until = None if moment is None else FIRST + moment
        ended = feed(pipeline, plant_attacks, until=partial(is_past, until))
        told += committed
        state = msgpack.unpackb(msgpack.packb(pipeline.state()))
    assert ended
    assert records(told) == records(alert for _, alert in judged_plant_attacks), moments


def test_a_damaged_state_is_refused() -> None:
    pipeline, _ = make_pipeline()
    state = pipeline.state()
    state["detectors"]["novelty"]["memory"] = "nonsense"
    with pytest.raises(StateError, match="novelty"):
        pipeline.restore(state)
    with pytest.raises(StateError, match="damaged"):
        pipeline.restore({"position": 7})


# --- 3: merge ------------------------------------------------------------------------------------

COMMUTING = [detector.name for detector in make_detectors([]) if detector.commutes]


def learn_with(captures: Sequence[Path]) -> dict[str, Detector]:
    """All detectors, after captures were declared as normal one after the other."""
    pipeline, _ = make_pipeline()
    for capture in captures:
        feed(pipeline, capture, learn=True)
    pipeline.finish()
    return {detector.name: detector for detector in pipeline.detectors}


MOMENTS = frozenset({"touched", "last", "minutes"})
"""What tells when something was heard: of two captures it is that of the one learned last."""


def summaries(state: State) -> State:
    """A state without moments."""
    return {
        key: summaries(one) if isinstance(one, dict) else one
        for key, one in state.items()
        if key not in MOMENTS
    }


@pytest.fixture(scope="module", params=["normal-seed2", "attacks"])
def apart(
    request: pytest.FixtureRequest, captures: Path, normal: Path
) -> Sequence[dict[str, Detector]]:
    """Detectors that learned the one, the other, and both."""
    other = captures / request.param / f"{request.param}.pcap.gz"
    return [learn_with(some) for some in ([normal], [other], [normal, other])]


@pytest.mark.parametrize("name", COMMUTING)
def test_baselines_learned_apart_and_merged_equal_one_learned_from_both(
    apart: Sequence[dict[str, Detector]], name: str
) -> None:
    first, second, both = (detectors[name].state() for detectors in apart)
    merged, reverse = (
        next(one for one in make_detectors([]) if one.name == name) for _ in range(2)
    )
    merged.restore(first)
    merged.merge(second)
    reverse.restore(second)
    reverse.merge(first)
    assert summaries(merged.state()) == summaries(reverse.state()) == summaries(both)


def test_what_does_not_commute_says_so() -> None:
    assert {one.name for one in make_detectors([])} - set(COMMUTING) == {"volume"}


# --- 6: learned is quiet -------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["normal", "attacks"])
def test_what_was_declared_as_normal_raises_nothing_but_policy(
    captures: Path, scenario: str
) -> None:
    capture = captures / scenario / f"{scenario}.pcap.gz"
    pipeline, committed = make_pipeline()
    feed(pipeline, capture, learn=True)
    committed.clear()
    feed(pipeline, capture)
    assert {alert.detector for alert in committed} <= {"policy"}


def test_the_whole_plant_was_declared_as_normal_and_raises_nothing(
    learned_plant: bytes, plant: Path
) -> None:
    """It holds no dangerous operation, but reboots, failovers and a mirror port that is silent."""
    pipeline, committed = make_pipeline()
    pipeline.restore(msgpack.unpackb(learned_plant))
    assert feed(pipeline, plant)
    assert pipeline.counters.ticks > 5_000
    assert records(committed) == []


# --- the line itself, with detectors whose answer is known ---------------------------------------


class Oracle(Detector):
    """Flags every message, or none; remembers what it was asked to learn."""

    def __init__(self, name: str, *, flags: bool = False, fails: bool = False) -> None:
        self.name = name
        self.learned_rows = 0
        self.order: list[str] = []
        self._flags = flags
        self._fails = fails

    def judge(self, tick: Tick) -> Sequence[Finding]:
        self.order.append("judge")
        if self._fails:
            raise ZeroDivisionError
        rows = np.arange(len(tick.tables.messages))
        if not self._flags or not len(rows):
            return []
        frames = tuple(map(int, tick.tables.messages.frame))
        return [
            Finding(
                kind="unlisted",
                cause=(self.name,),
                first_seen=tick.second,
                last_seen=tick.second,
                frames=frames,
                frame_count=len(frames),
                count=len(rows),
                detector=self.name,
                expected="nothing",
                observed="something",
                score=1.0,
                rows={"messages": rows},
            )
        ]

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        self.order.append("learn")
        clean = quarantine.clean("messages")
        self.learned_rows += len(tick.tables.messages) if clean is None else int(clean.sum())

    def begin_learning(self) -> None: ...

    def close_world(self) -> None: ...

    def learned(self) -> Mapping[str, Array]:
        return {}

    def forget(self, retired: Mapping[str, Array]) -> None: ...

    def readiness(self) -> Sequence[Readiness]:
        return []

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None: ...

    def merge(self, state: State) -> None: ...

    def accept(self, cause: Cause) -> bool:
        return False

    def undo(self, cause: Cause) -> bool:
        return False


def test_a_detector_that_always_flags_lets_nobody_learn(normal: Path) -> None:
    always, never = Oracle("always", flags=True), Oracle("never")
    pipeline, committed = make_pipeline([never, always])
    feed(pipeline, normal)
    assert pipeline.counters.messages == 9_180
    assert (always.learned_rows, never.learned_rows) == (0, 0)
    assert committed[-1].count == pipeline.counters.messages


def test_a_detector_that_never_flags_lets_everybody_learn(normal: Path) -> None:
    never = Oracle("never")
    pipeline, committed = make_pipeline([never])
    feed(pipeline, normal)
    assert never.learned_rows == pipeline.counters.messages
    assert never.order[:4] == ["judge", "learn", "judge", "learn"]
    assert committed == []


def test_our_own_bug_stays_where_it_happened(normal: Path) -> None:
    broken, sound = Oracle("broken", fails=True), Oracle("sound", flags=True)
    pipeline, committed = make_pipeline([broken, sound])
    pipeline._strict = False
    feed(pipeline, normal)
    assert pipeline.counters.faults == {"broken": pipeline.counters.ticks}
    assert committed[-1].count == pipeline.counters.messages


def test_a_dangerous_operation_is_told_once(normal: Path, attacks: Path) -> None:
    pipeline, committed = learned(normal)
    feed(pipeline, attacks)
    listen_only = [one for one in committed if one.kind == "policy.modbus-force-listen-only"]
    assert "only browse, diagnose between the two" in listen_only[-1].expected
    moments = {(one.source, one.first_seen) for one in listen_only}
    others = [one for one in committed if one.detector == "novelty"]
    assert not {(one.source, one.first_seen) for one in others} & moments


def test_folding_keeps_what_policy_did_not_flag() -> None:
    wire = Wire()
    wire.request(0.0, 3, reads("holding-register", 0, 1))
    wire.request(0.1, 6, writes("holding-register", 0, values=[1]))
    tick = wire.tick()
    every, one = Oracle("novelty", flags=True), Oracle("policy", flags=True)
    (novel,), (policy,) = every.judge(tick), one.judge(tick)
    some = Finding(
        **{name: getattr(policy, name) for name in Finding.__slots__ if name != "rows"},
        rows={"messages": np.array([1])},
    )
    assert fold([novel, some]) == [novel, some]
    assert [finding.detector for finding in fold([novel, policy])] == ["policy"]
    assert fold([novel]) == [novel]


def test_the_order_of_detectors_is_that_of_the_registry() -> None:
    pipeline, _ = make_pipeline()
    assert [one.name for one in pipeline.detectors] == [one.name for one in make_detectors([])]


# --- waking, and what interrupts ---------------------------------------------------------------


class Clock(Oracle):
    """Wants to be asked when nothing was heard for a while, and says so; every other time weakly.

    It stands for every detector of silence: what it knows of time must survive all there is.
    """

    def __init__(self, name: str, patience: int = 7) -> None:
        super().__init__(name)
        self._patience = patience
        self.next: int | None = None
        self.asked: list[tuple[int, int]] = []  # epoch and second of ticks without rows
        self.interrupted = 0

    def due(self) -> int | None:
        return self.next

    def interrupt(self) -> None:
        self.next = None
        self.interrupted += 1

    def judge(self, tick: Tick) -> Sequence[Finding]:
        assert self.next is None or tick.second <= self.next or tick.tables, "woken too late"
        if self.next is None or tick.second < self.next or tick.tables:
            return []
        if not self.asked or self.asked[-1] != (tick.epoch, tick.second):
            self.asked.append((tick.epoch, tick.second))
        return [
            Finding(
                kind="unlisted",
                cause=(self.name, tick.second % 3),
                first_seen=tick.second * SECOND,
                last_seen=tick.second * SECOND,
                frames=(),
                frame_count=0,
                count=1,
                detector=self.name,
                expected=f"something every {self._patience} s",
                observed="nothing",
                score=0.5,
                target=EndpointName(0, "10.0.0.2"),
                weak=tick.second % 2 == 0,
            )
        ]

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        super().learn(tick, quarantine)
        if tick.tables or self.next is None or tick.second >= self.next:
            self.next = tick.second + self._patience

    def state(self) -> State:
        return {"next": self.next}

    def restore(self, state: State) -> None:
        self.next = state["next"]


def clocks() -> list[Clock]:
    return [Clock("seven", 7), Clock("thirty", 30), Clock("nine", 9)]


@pytest.fixture(scope="module")
def halting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture in which it is silent for a while after every few frames, and time runs back."""
    pauses = [0, 0, 1, 6, 0, 8, 15, 0, 100, 1, 3, 0, 7, 400, 2, -5_000, 0, 5, 40]
    frames, now = [], START
    for place, (_, data) in enumerate(talk(60)):
        now += SECOND // 3
        if place % 6 == 0:
            now += pauses[place // 6 % len(pauses)] * SECOND
        frames.append((now, data))
    path = tmp_path_factory.mktemp("halting") / "halting.pcap"
    path.write_bytes(pcap(frames))
    return path


@pytest.fixture(scope="module")
def halting_once(halting: Path) -> tuple[list[Alert], list[Clock]]:
    detectors = clocks()
    pipeline, committed = make_pipeline(detectors)
    feed(pipeline, halting)
    return committed, detectors


def test_who_is_due_is_woken_while_nothing_is_heard(
    halting_once: tuple[list[Alert], list[Clock]],
) -> None:
    committed, (seven, thirty, _) = halting_once
    assert seven.asked == sorted(set(seven.asked))
    assert {epoch for epoch, _ in seven.asked} == {0, 1}
    steps = {later[1] - sooner[1] for sooner, later in pairwise(thirty.asked)}
    assert 30 in steps, "asked again and again in a long silence"
    assert len(seven.asked) > len(thirty.asked) > 10
    assert seven.interrupted == 2, "at the beginning, and when time ran back"
    assert committed


@pytest.mark.parametrize("batch_frames", [1, 2, 5, 17])
def test_wakings_do_not_depend_on_how_the_capture_was_cut(
    halting: Path, halting_once: tuple[list[Alert], list[Clock]], batch_frames: int
) -> None:
    detectors = clocks()
    pipeline, committed = make_pipeline(detectors, batch_frames=batch_frames)
    feed(pipeline, halting)
    assert [one.asked for one in detectors] == [one.asked for one in halting_once[1]]
    assert records(committed) == records(halting_once[0])


@pytest.mark.parametrize("batch_frames", [1, 5, 1_000])
@pytest.mark.parametrize("at", range(0, 120, 7))
def test_a_restart_between_wakings_changes_nothing(
    halting: Path, halting_once: tuple[list[Alert], list[Clock]], at: int, batch_frames: int
) -> None:
    first, committed = make_pipeline(clocks(), batch_frames=batch_frames)
    seen: list[int] = []

    def enough(tick: Tick) -> bool:
        seen.append(tick.second)
        return len(seen) > at

    ended = feed(first, halting, until=enough)
    second, more = make_pipeline(clocks(), batch_frames=batch_frames)
    second.restore(msgpack.unpackb(msgpack.packb(first.state())))
    if not ended:
        feed(second, halting)
    assert records([*committed, *more]) == records(halting_once[0])


def test_another_source_is_not_waited_for(halting: Path, normal: Path) -> None:
    """Whoever stopped in the middle of one capture is not woken until the next one began."""
    detector = Clock("seven")
    pipeline, _ = make_pipeline([detector])
    seen: list[int] = []

    def enough(tick: Tick) -> bool:
        seen.append(tick.second)
        return len(seen) > 20

    assert not feed(pipeline, halting, until=enough)
    asked = list(detector.asked)
    other, _ = make_pipeline([restored := Clock("seven")])
    other.restore(pipeline.state())
    feed(other, normal)
    assert restored.interrupted == 1
    assert restored.asked == [], "nobody is silent in the other capture"
    assert asked


class Stuck(Clock):
    """Asks for the second that it was just asked in."""

    def judge(self, tick: Tick) -> Sequence[Finding]:
        return []

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        self.next = tick.second


def test_a_detector_that_does_not_move_on_ends_nothing(halting: Path) -> None:
    pipeline, _ = make_pipeline([Stuck("stuck")])
    assert feed(pipeline, halting)
    assert pipeline.counters.ticks <= 700, "a tick a second, and no second twice"
