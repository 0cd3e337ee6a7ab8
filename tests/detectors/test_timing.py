"""Timing finds what stops, doubles, drifts, is late or unanswered; and nothing in normal life."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from detectors.suite import Act, Stage, plain, restored
from ticks import HMI, PLC, Wire, reads, writes

from otids.detectors.base import Finding, Quarantine, StateError
from otids.detectors.timing import MOST_FINDINGS, Timing
from otids.traffic import SECOND, Loss, Tick

OTHER_PLC = "10.0.0.2"
HISTORIAN = "10.0.0.20"
INPUT, HOLDING = "input-register", "holding-register"
START = 1_700_000_000
LEARNED = 300

Change = Callable[[Wire, int], bool]
"""Says what is different in a second; True: instead of what is normal."""


def plant(start: int, seconds: int, change: Change | None = None, **parts: Any) -> list[Act]:
    """The HMI polls three things of a controller (two units) and one of another each second."""

    def at(second: int) -> Act:
        def act(wire: Wire) -> None:
            if change is not None and change(wire, second):
                return
            poll(wire, second, **parts)

        return act

    return [at(second) for second in range(start, start + seconds)]


def poll(
    wire: Wire,
    second: float,
    *,
    skip: Sequence[str] = (),
    latency: float = 0.005,
    times: int = 1,
    late: float = 0,
) -> None:
    """One second of normal work, without what is to be skipped; the first poll so many times."""

    def say(name: str, at: float, function: int, *touches: Any, **parts: Any) -> None:
        if name not in skip:
            to = wire.request(second + at, function, *touches, **parts)
            if "answers" not in skip:
                wire.response(to, latency=latency)

    for number in range(times):
        say("a", 0.1 + late + 0.4 * number / times, 3, reads(HOLDING, 0, 10))
    say("b", 0.52, 4, reads(INPUT, 0, 8))
    say("unit", 0.54, 4, reads(INPUT, 0, 3), unit=11)
    say("unit", 0.56, 3, reads(HOLDING, 0, 3), unit=11)
    say("other", 0.58, 3, reads(HOLDING, 0, 4), server=OTHER_PLC)
    if int(second) % 10 == 3:
        say("historian", 0.6, 3, reads(HOLDING, 0, 40), client=HISTORIAN)
    if int(second) % 17 == 3 or int(second) % 29 == 5:
        say("write", 0.62, 6, writes(HOLDING, 3, values=[7]))
    wire.volume(second + 0.97, client_frames=2, server_frames=2)


def learned(change: Change | None = None, seconds: int = LEARNED) -> Stage:
    """A stage that has learned the plant by declaration."""
    stage = Stage(Timing())
    stage.learn(plant(0, seconds, change))
    return stage


def found(stage: Stage, play: Sequence[Act]) -> list[Finding]:
    """All findings of a play."""
    return [one for act in stage.give(play) for one in act]


def kinds(findings: Iterable[Finding]) -> set[str]:
    return {one.kind for one in findings}


def without(*names: str, since: int, until: int = 10**9) -> Change:
    def change(wire: Wire, second: int) -> bool:
        if since <= second < until:
            poll(wire, second, skip=names)
            return True
        return False

    return change


def nothing(since: int, until: int) -> Change:
    """The wire is silent."""
    return lambda _, second: since <= second < until


def chatter(since: int, until: int) -> Change:
    """Somebody else is heard, so the wire is not silent; the HMI says nothing."""

    def change(wire: Wire, second: int) -> bool:
        if since <= second < until:
            wire.volume(second + 0.5, parts={"client": HISTORIAN, "port": 80}, client_frames=1)
            return True
        return False

    return change


# --- silence -------------------------------------------------------------------------------------


def test_normal_work_goes_on_in_silence() -> None:
    assert found(learned(), plant(LEARNED, 400)) == []


def test_a_poll_that_stops_is_told_within_three_periods() -> None:
    stage = learned()
    stage.give(plant(LEARNED, 60))
    acts = stage.give(plant(360, 60, without("b", since=360)))
    assert [place for place, act in enumerate(acts) if act] == [3]
    (one,) = acts[3]
    assert one.kind == "timing.silence"
    assert one.first_seen == (START + 359) * SECOND + 520_000_000 + 2_500_000_000
    assert (str(one.source), str(one.target)) == (HMI, PLC)
    assert one.expected.startswith("Read Input Registers: input-register 0–7 of unit 1 every 1.0 s")
    assert one.observed == (
        "Read Input Registers: input-register 0–7 of unit 1 last heard 2.5 s ago, "
        "while other requests between the two go on"
    )
    assert one.frames
    assert not one.rows


def test_it_is_told_again_only_when_it_was_heard_again() -> None:
    stage = learned()
    assert len(found(stage, plant(LEARNED, 100, without("b", since=310, until=350)))) == 1
    assert len(found(stage, plant(400, 100, without("b", since=420, until=440)))) == 1


def test_a_unit_is_one_finding() -> None:
    (one,) = found(learned(), plant(LEARNED, 60, without("unit", since=310)))
    assert one.observed.startswith(f"unit 11 of {PLC} is no longer polled by {HMI}")
    assert len(one.members) == 2


def test_a_conversation_is_one_finding() -> None:
    (one,) = found(learned(), plant(LEARNED, 60, without("a", "b", "unit", "write", since=310)))
    assert one.observed.startswith(f"{PLC} is no longer polled by {HMI}; last heard 2.5 s ago")
    assert one.conversation is not None


def test_a_client_is_one_finding() -> None:
    (one,) = found(learned(), plant(LEARNED, 8, chatter(302, 400)))
    assert str(one.source) == HMI
    assert one.target is None
    assert f"polls none of {PLC}, {OTHER_PLC} any more" in one.observed


def test_a_stopped_poll_is_found_though_the_conversation_once_paused() -> None:
    """A standby took over for a minute, and it was learned; one poll alone must not be silent."""
    stage = learned(chatter(100, 160))
    assert found(stage, plant(LEARNED, 100, chatter(320, 380))) == []
    (one,) = found(stage, plant(400, 60, without("b", since=420)))
    assert one.first_seen < (START + 423) * SECOND
    (whole,) = found(stage, plant(460, 200, chatter(470, 700)))[:1]
    assert whole.first_seen - (START + 470) * SECOND > 60 * SECOND


def test_a_reboot_that_was_learned_is_silent() -> None:
    def reboot(since: int) -> Change:
        def change(wire: Wire, second: int) -> bool:
            if since <= second < since + 20:
                wire.connection(second + 0.1, "attempted")
                poll(wire, second + 0.01, skip=("a", "b", "unit", "write"))
                return True
            return False

        return change

    assert found(learned(reboot(100)), plant(LEARNED, 100, reboot(320))) == []
    unlearned = found(learned(), plant(LEARNED, 100, reboot(320)))
    assert unlearned == [], "a client that tries again has half a minute"


def test_a_poll_that_is_late_once_is_nothing() -> None:
    def late(wire: Wire, second: int) -> bool:
        if second == 330:
            poll(wire, second, late=0.4)
        return second == 330

    assert found(learned(), plant(LEARNED, 60, late)) == []


def test_what_happens_now_and_then_is_never_overdue() -> None:
    assert found(learned(), plant(LEARNED, 300, without("write", since=310))) == []


def test_what_comes_and_goes_is_never_overdue() -> None:
    def visit(start: int) -> Change:
        def change(wire: Wire, second: int) -> bool:
            poll(wire, second)
            if start <= second < start + 60:
                wire.exchange(second + 0.98, 3, reads(HOLDING, 0, 99), client="10.0.0.30")
            return True

        return change

    assert found(learned(visit(50)), plant(LEARNED, 200, visit(330))) == []


def test_the_end_of_the_capture_is_no_silence() -> None:
    stage = learned()
    (detector,) = stage.detectors
    stage.give(plant(LEARNED, 60))
    detector.interrupt()
    assert detector.due() is None
    assert found(stage, plant(LEARNED + 5_000, 60)) == []


def test_waking_is_asked_for_and_moves_on() -> None:
    stage = learned()
    (detector,) = stage.detectors
    stage.give(plant(LEARNED, 10))
    dues = []
    while (due := detector.due()) is not None:
        dues.append(due - START)
        tick = stage.wire._ticks.empty(0, due)
        detector.learn(tick, Quarantine(tick, detector.judge(tick)))
    assert dues == [320], "the wire as a whole, ten seconds after the last second that was heard"


# --- the wire ------------------------------------------------------------------------------------


def test_a_silent_wire_is_one_finding() -> None:
    findings = found(learned(), plant(LEARNED, 200, nothing(350, 420)))
    assert [one.kind for one in findings] == ["timing.all-silent"]
    assert findings[0].first_seen == (START + 360) * SECOND
    assert findings[0].observed == "nothing at all for 10 s: from no device, to no device"


def test_a_short_hole_is_nothing() -> None:
    assert found(learned(), plant(LEARNED, 100, nothing(350, 353))) == []


def test_time_that_runs_back_is_nothing() -> None:
    stage = learned()
    stage.give(plant(LEARNED, 30))
    stage.wire.run_back(100)
    assert found(stage, plant(100, 60)) == []


# --- rate ----------------------------------------------------------------------------------------


def test_a_doubled_poll_is_told_with_its_factor() -> None:
    def doubled(wire: Wire, second: int) -> bool:
        if second >= 320:
            poll(wire, second, times=2)
        return second >= 320

    findings = found(learned(), plant(LEARNED, 60, doubled))
    assert kinds(findings) == {"timing.fast"}
    assert findings[0].first_seen < (START + 325) * SECOND
    assert "1.9 times as often" in findings[-1].observed or "2.0 times" in findings[-1].observed
    assert len({one.cause for one in findings}) == 1


def test_a_flood_is_told_at_once() -> None:
    def flood(wire: Wire, second: int) -> bool:
        if second == 320:
            poll(wire, second, times=60)
        return second == 320

    findings = found(learned(), plant(LEARNED, 40, flood))
    assert findings[0].kind == "timing.fast"
    assert findings[0].count == 60
    assert findings[0].first_seen // SECOND == START + 320


def publish(start: int, seconds: int, *, burst: int = -1, silent: int = 10**9) -> list[Act]:
    """A device reports each second, and often around an event; from a moment on, never."""

    def at(second: int) -> Act:
        def act(wire: Wire) -> None:
            times = (0.0, 0.002, 0.006, 0.014, 0.03, 0.06, 0.12, 0.25, 0.5)
            for after in times if second == burst else times[:1]:
                if second < silent:
                    wire.report(
                        second + 0.1 + after, 1, client="ied", server="group", from_client=True
                    )
            wire.request(second + 0.8, 3, reads(HOLDING, 0, 10))

        return act

    return [at(second) for second in range(start, start + seconds)]


def test_a_burst_of_reports_is_no_rhythm_and_their_end_is() -> None:
    stage = Stage(Timing())
    stage.learn(publish(0, LEARNED))
    assert found(stage, publish(LEARNED, 30, burst=LEARNED + 10)) == []
    (silence,) = found(stage, publish(LEARNED + 30, 30, silent=LEARNED + 40))
    assert silence.kind == "timing.silence"
    assert silence.observed.startswith("ied sends nothing to group any more; last heard ")


def test_a_burst_of_three_is_nothing() -> None:
    def burst(wire: Wire, second: int) -> bool:
        if second == 330:
            poll(wire, second, times=3)
        return second == 330

    assert found(learned(), plant(LEARNED, 60, burst)) == []


@pytest.mark.parametrize(("pace", "word"), [(1.4, "longer"), (0.8, "shorter")])
def test_another_pace_is_drift(pace: float, word: str) -> None:
    stage = Stage(Timing())

    def steady(start: float, step: float, count: int) -> list[Act]:
        def at(time: float) -> Act:
            def act(wire: Wire) -> None:
                wire.exchange(time, 3, reads(HOLDING, 0, 5))

            return act

        return [at(start + step * number) for number in range(count)]

    stage.learn(steady(0, 1.0, 200))
    assert found(stage, steady(200, 1.0, 100)) == []
    findings = found(stage, steady(300, pace, 60))
    assert kinds(findings) == {"timing.drift"}
    assert word in findings[0].observed
    assert f"every {'1.4 s' if pace > 1 else '800 ms'}" in findings[0].observed


# --- answers -------------------------------------------------------------------------------------


def slow(since: int, until: int, latency: float) -> Change:
    def change(wire: Wire, second: int) -> bool:
        if not since <= second < until:
            return False
        # Only the first poll: the times of all others are those of normal work.
        to = wire.request(second + 0.1, 3, reads(HOLDING, 0, 10))
        wire.response(to, latency=latency)
        poll(wire, second, skip=("a",))
        return True

    return change


def test_slow_answers_are_told() -> None:
    findings = found(learned(), plant(LEARNED, 60, slow(320, 340, 0.35)))
    assert kinds(findings) == {"timing.slow-answers"}
    assert str(findings[0].source) == PLC
    assert "350 ms on average" in findings[0].observed
    assert (START + 324) * SECOND <= findings[0].first_seen < (START + 327) * SECOND


@pytest.mark.parametrize("latency", [0.02, 0.05])
def test_somewhat_slower_answers_are_nothing(latency: float) -> None:
    assert found(learned(), plant(LEARNED, 60, slow(320, 340, latency))) == []


def test_a_late_answer_is_nothing() -> None:
    assert found(learned(), plant(LEARNED, 60, slow(320, 321, 0.39))) == []


def test_missing_answers_are_weak_first_and_strong_later() -> None:
    findings = found(learned(), plant(LEARNED, 80, without("answers", since=320, until=370)))
    ours = [one for one in findings if str(one.source) == PLC]
    assert kinds(findings) == {"timing.unanswered"}
    assert ours[0].weak
    assert ours[0].first_seen // SECOND <= START + 324
    strong = next(one for one in ours if not one.weak)
    assert strong.first_seen // SECOND == START + 350
    assert len(ours) <= 8, "told at the start and when it lasts, not every second"


def test_missing_answers_that_were_learned_are_nothing() -> None:
    stage = learned(without("answers", since=100, until=102))
    assert found(stage, plant(LEARNED, 60, without("answers", since=320, until=322))) == []


def test_what_is_not_always_answered_is_never_unanswered() -> None:
    stage = Stage(Timing())

    def ask(second: int) -> Act:
        def act(wire: Wire) -> None:
            to = wire.request(second + 0.1, 3, reads(HOLDING, 0, 2), unit=5)
            if second % 10:
                wire.response(to)

        return act

    stage.learn([ask(second) for second in range(200)])

    def mute(second: int) -> Act:
        def act(wire: Wire) -> None:
            wire.request(second + 0.1, 3, reads(HOLDING, 0, 2), unit=5)

        return act

    assert found(stage, [mute(second) for second in range(200, 260)]) == []


# --- readiness, loss, people ---------------------------------------------------------------------


def test_nothing_is_told_before_ten_minutes_and_a_hundred_polls() -> None:
    stage = Stage(Timing())
    assert found(stage, plant(0, 590, without("b", since=560))) == []
    assert all(one.progress < 1 for one in stage.detectors[0].readiness())
    fresh = Stage(Timing())
    assert found(fresh, plant(0, 700)) == []
    by_name = {str(one.conversation): one.progress for one in fresh.detectors[0].readiness()}
    assert by_name[f"{HMI} → {PLC} modbus/502"] == 1.0
    assert kinds(found(fresh, plant(700, 60, without("b", since=720)))) == {"timing.silence"}


class Deaf(Timing):
    """Hears everything under a given loss."""

    loss: Loss | None = None

    def judge(self, tick: Tick) -> Sequence[Finding]:
        return super().judge(self._under(tick))

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        super().learn(self._under(tick), quarantine)

    def _under(self, tick: Tick) -> Tick:
        return tick if self.loss is None else replace(tick, loss=self.loss)


def marked(*, gaps: bool = False, alone: bool = False) -> Loss:
    return Loss(np.full(64, gaps), np.full(64, alone))


def test_where_frames_are_missing_silence_takes_ten_periods() -> None:
    deaf = Deaf()
    stage = Stage(deaf)
    stage.learn(plant(0, LEARNED))
    stage.give(plant(LEARNED, 10))
    deaf.loss = marked(gaps=True)
    acts = stage.give(plant(310, 30, without("b", since=310)))
    assert [place for place, act in enumerate(acts) if act] == [10]


def test_where_frames_are_missing_a_flood_is_told_and_a_late_burst_is_not() -> None:
    deaf = Deaf()
    stage = Stage(deaf)
    stage.learn(plant(0, LEARNED))
    deaf.loss = marked(gaps=True)

    def at_once(wire: Wire, second: int) -> bool:
        if second == 320:
            poll(wire, second, times=5)
        return 316 <= second <= 320

    def flood(wire: Wire, second: int) -> bool:
        if second == 380:
            poll(wire, second, times=60)
        return second == 380

    assert kinds(found(stage, plant(LEARNED, 60, at_once))) <= {"timing.all-silent"}
    assert kinds(found(stage, plant(360, 40, flood))) == {"timing.fast"}


def test_where_one_side_is_missing_answers_are_not_judged() -> None:
    deaf = Deaf()
    stage = Stage(deaf)
    stage.learn(plant(0, LEARNED))
    deaf.loss = marked(alone=True)
    assert found(stage, plant(LEARNED, 100, without("answers", since=310))) == []
    assert found(stage, plant(400, 60, without("a", "b", "unit", "other", since=410))) == []


def test_nothing_is_learned_across_a_gap() -> None:
    deaf = Deaf()
    stage = Stage(deaf)
    deaf.begin_learning()
    stage.give(plant(0, 100))
    deaf.loss = marked(gaps=True)
    stage.give(plant(100, 60, without("b", since=110, until=150)))
    deaf.loss = None
    stage.give(plant(160, 140))
    deaf.close_world()
    (one,) = found(stage, plant(LEARNED, 60, without("b", since=310)))
    assert one.first_seen < (START + 313) * SECOND


def test_random_loss_raises_nothing() -> None:
    """Polls that are missing now and then, where the loss is known."""
    deaf = Deaf()
    stage = Stage(deaf)
    stage.learn(plant(0, LEARNED))
    deaf.loss = marked(gaps=True)
    dice = np.random.default_rng(3)

    def lossy(wire: Wire, second: int) -> bool:
        missing = [name for name in ("a", "b", "unit", "other") if dice.random() < 0.1]
        poll(wire, second, skip=missing)
        return True

    assert found(stage, plant(LEARNED, 300, lossy)) == []


def test_accepting_a_silence_is_quiet_and_taking_it_back_is_not() -> None:
    stage = learned()
    (detector,) = stage.detectors
    (one,) = found(stage, plant(LEARNED, 30, without("unit", since=310)))
    assert all(detector.accept(cause) for cause in one.accepts)
    stage.give(plant(330, 30))
    assert found(stage, plant(360, 30, without("unit", since=370))) == []
    assert len(found(stage, plant(390, 90, without("b", since=430)))) == 1
    assert all(detector.undo(cause) for cause in one.accepts)
    stage.give(plant(480, 30))
    assert len(found(stage, plant(510, 30, without("unit", since=520)))) == 1


def test_a_restart_in_the_middle_of_a_silence_changes_nothing() -> None:
    play = plant(LEARNED, 60, without("unit", since=310, until=340))
    stage = learned()
    whole = stage.give(play)
    for cut in (0, 11, 12, 13, 14, 30, 41):
        first = learned()
        before = first.give(play[:cut])
        second = Stage(restored(Timing, first.detectors[0].state()))
        second.wire._frame = first.wire._frame
        after = second.give(play[cut:])
        assert [[one.cause for one in act] for act in (*before, *after)] == [
            [one.cause for one in act] for act in whole
        ]
        assert plain(second.detectors[0].state()) == plain(stage.detectors[0].state())


@pytest.mark.parametrize("damage", ["function", "frame", "deadline", "wire"])
def test_an_impossible_state_is_refused(damage: str) -> None:
    stage = learned()
    stage.give(plant(LEARNED, 10))
    state = plain(stage.detectors[0].state())
    paces = state["paces"]
    if damage == "function":
        paces["symbols"]["names"][0][4] = -1
    elif damage == "wire":
        paces["wire"]["second"] = 2**62
    else:
        columns = paces["symbols"]["columns"]
        columns[damage]["data"] = np.full(columns[damage]["shape"], -(2**63), "<i8").tobytes()
    with pytest.raises(StateError, match="timing"):
        Timing().restore(state)


def test_findings_of_one_second_are_bounded() -> None:
    many = MOST_FINDINGS + 20

    def crowd(start: int, seconds: int, upto: int) -> list[Act]:
        def at(second: int) -> Act:
            def act(wire: Wire) -> None:
                for number in range(many):
                    client = f"10.1.{number // 200}.{number % 200}"
                    wire.exchange(second + 0.01 * number, 3, reads(HOLDING, 0, 1), client=client)
                    if number < upto:
                        wire.request(
                            second + 0.01 * number + 0.006, 4, reads(INPUT, 0, 1), client=client
                        )

            return act

        return [at(second) for second in range(start, start + seconds)]

    stage = Stage(Timing())
    stage.learn(crowd(0, 40, many))
    stage.give(crowd(40, 10, many))
    findings = [one for one in found(stage, crowd(50, 30, 0)) if one.kind == "timing.silence"]
    assert len(findings) == MOST_FINDINGS
    assert findings[-1].observed.startswith(f"{many - MOST_FINDINGS + 1} further")
