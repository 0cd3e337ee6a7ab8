"""What every detector must do, whatever it looks for.

A check takes a maker of fresh detectors and raises AssertionError if one of them is in breach.
Traffic is told as a play: acts that say things on a wire, so that the same play can be given on
another wire, with other ids, from the middle on, or with ids that are retired and used again.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pytest
from ticks import HMI, PLC, Wire, reads, writes

from otids.detectors.base import Detector, Finding, Quarantine, State, StateError
from otids.traffic import Tables, Tick

Make: TypeAlias = Callable[[], Detector]
Act: TypeAlias = Callable[[Wire], None]
Play: TypeAlias = Sequence[Act]

REGISTER, COIL = "holding-register", "coil"
INTRUDER = "10.0.0.66"
SWEEPER = "10.0.0.67"
HISTORIAN = "10.0.0.20"
SECOND_PLC = "10.0.0.2"
LEARNED = 120
"""Seconds of normal work that are learned."""


# --- plays ---------------------------------------------------------------------------------------


def work(start: int, seconds: int) -> list[Act]:
    """Normal work: two clients poll two controllers, and the HMI writes now and then."""

    def at(second: int) -> Act:
        def act(wire: Wire) -> None:
            if second == start:
                for number, address in enumerate((HMI, HISTORIAN, PLC, SECOND_PLC), 1):
                    wire.sighting(second, address, number)
            wire.exchange(second + 0.1, 3, reads(REGISTER, 0, 10, values=[7] * 10))
            wire.exchange(second + 0.2, 1, reads(COIL, 0, 8), server=SECOND_PLC)
            if second % 10 == 0:
                wire.exchange(second + 0.3, 4, reads("input-register", 4, 2), client=HISTORIAN)
            if second % 30 == 5:
                wire.exchange(second + 0.4, 6, writes(REGISTER, 3, values=[second % 5]))
            if second % 40 == 7:  # comes and goes
                to = wire.request(second + 0.5, 2, reads("discrete-input", 99, 1), unit=4)
                wire.response(to, status=2)
            wire.volume(second + 0.9, client_frames=2, server_frames=2)

        return act

    return [at(second) for second in range(start, start + seconds)]


def intrusion(start: int) -> list[Act]:
    """A stranger appears, reads, writes, scans and stops a controller; known ones go astray.

    Another one goes through addresses, and the HMI repeats itself without end.
    """
    intruder = {"client": INTRUDER}

    def appear(wire: Wire) -> None:
        wire.sighting(start, INTRUDER, 0x66)
        wire.connection(start + 0.1, "attempted", client=INTRUDER, port=22, protocol="tcp")
        wire.exchange(start + 0.2, 3, reads(REGISTER, 0, 10), **intruder)

    def write(wire: Wire) -> None:
        wire.exchange(start + 1, 6, writes(REGISTER, 3, values=[9]), **intruder)
        wire.exchange(start + 1.2, 5, writes(COIL, 1, values=[1]), client=HISTORIAN)

    def scan(wire: Wire) -> None:
        for place in range(40):
            wire.exchange(
                start + 2 + place / 100, 60 + place, client=HISTORIAN, status=1, activity="other"
            )

    def stray(wire: Wire) -> None:
        wire.exchange(start + 3, 3, reads(REGISTER, 8, 90), unit=9)
        wire.exchange(start + 3.1, 90, subfunction=0x41, activity="control")
        wire.exchange(start + 3.2, 3, reads(REGISTER, 0, 10), server="10.0.0.3")
        wire.sighting(start + 3.3, HMI, 0x66, arp="unasked")
        wire.sighting(start + 3.4, HMI, 1)
        wire.notice(start + 3.5, "malformed-pdu", "cut short", address=HMI)

    def sweep(wire: Wire) -> None:
        for place in range(20):
            there = {"client": SWEEPER, "server": f"10.0.1.{place}", "carrier": "network"}
            parts = {**there, "port": 0, "protocol": "arp"}
            wire.volume(start + 3.5 + place / 200, client_frames=1, client_bytes=60, parts=parts)

    def flood(wire: Wire) -> None:
        for place in range(60):
            wire.request(start + 3.7 + place / 400, 3, reads(REGISTER, 0, 10))

    return [appear, write, scan, stray, sweep, flood]


def crowd(seed: int, start: int, seconds: int, each: int) -> list[Act]:
    """Random hosts, ports, units, functions and addresses, endlessly new."""

    def at(second: int) -> Act:
        def act(wire: Wire) -> None:
            dice = random.Random(f"{seed} {second}")
            for place in range(each):
                client = f"172.{dice.randrange(16, 32)}.{dice.randrange(256)}.{dice.randrange(256)}"
                wire.sighting(second + place / each, client, dice.randrange(1 << 48))
                wire.request(
                    second + place / each,
                    dice.randrange(256),
                    reads(REGISTER, dice.randrange(60_000), dice.randrange(1, 99)),
                    client=dice.choice([client, HISTORIAN]),
                    unit=dice.randrange(256),
                    port=dice.choice([502, dice.randrange(65_536)]),
                )

        return act

    return [at(second) for second in range(start, start + seconds)]


# --- giving plays --------------------------------------------------------------------------------


class Stage:
    """Gives plays to detectors on one wire, as the pipeline does."""

    def __init__(self, *detectors: Detector, retiring: int = 0) -> None:
        """Retire ids that no detector has learned every so many acts, if `retiring`."""
        self.detectors = detectors
        self.wire = Wire()
        self._retiring = retiring
        self._acts = 0
        self._last: Tick | None = None

    def give(self, play: Play) -> list[list[Finding]]:
        """Let all detectors judge and learn a play; the findings of each act."""
        return [self._give(act) for act in play]

    def learn(self, play: Play) -> None:
        """Let all detectors learn a play by declaration."""
        for detector in self.detectors:
            detector.begin_learning()
        findings = [one for found in self.give(play) for one in found]
        assert findings == [], "nothing is found while the play is declared as normal"
        for detector in self.detectors:
            detector.close_world()

    def ticks(self, act: Act) -> Iterator[Tick]:
        """Say an act; the ticks that it makes, and those for which detectors are woken before."""
        act(self.wire)
        batch = self.wire.batch()
        for detector in self.detectors:
            detector.forget(batch.retired)
        self.wire.names.update(batch)
        for tick in self.wire._ticks.feed(batch):
            if self._last is not None and tick.epoch != self._last.epoch:
                self.interrupt()
            while (last := self._last) is not None:
                dues = [due for one in self.detectors if (due := one.due()) is not None]
                second = max(min(dues, default=tick.second), last.second + 1)
                if second >= tick.second:
                    break
                self._last = self.wire._ticks.empty(tick.epoch, second)
                yield self._last
            self._last = tick
            yield tick

    def interrupt(self) -> None:
        """Begin another capture: its time does not go on from this one's."""
        self._last = None
        for detector in self.detectors:
            detector.interrupt()

    def _give(self, act: Act) -> list[Finding]:
        found = []
        for tick in self.ticks(act):
            findings = [one for detector in self.detectors for one in detector.judge(tick)]
            for detector in self.detectors:
                detector.learn(tick, Quarantine(tick, findings))
            found.extend(findings)
        self._acts += 1
        if self._retiring and self._acts % self._retiring == 0:
            self._retire()
        return found

    def _retire(self) -> None:
        for name in ("symbols", "conversations", "endpoints"):
            kept = {
                int(id) for one in self.detectors for id in one.learned().get(name, np.empty(0))
            }
            dictionary = self.wire._dictionaries[name]
            users = self._in_use(name)
            dictionary.retire(set(dictionary.ids.values()) - kept - users)

    def _in_use(self, name: str) -> set[int]:
        """Ids that others still stand on, as in the hot path."""
        kept: set[int] = set()
        for user, parts in (("symbols", ["conversation"]), ("conversations", ["client", "server"])):
            table = getattr(self.wire.names, user)
            for part in parts:
                if part.startswith(name[:6]) or (name == "endpoints" and part != "conversation"):
                    ids = np.array(sorted(self.wire._dictionaries[user].ids.values()), np.int64)
                    kept.update(getattr(table, part)[ids].tolist())
        if name == "endpoints":
            ids = np.array(sorted(self.wire._dictionaries["points"].ids.values()), np.int64)
            kept.update(self.wire.names.points.server[ids].tolist())
        return kept


def learned(make: Make) -> Stage:
    """A stage whose one detector has learned normal work by declaration."""
    stage = Stage(make())
    stage.learn(work(0, LEARNED))
    return stage


def said(findings: Iterable[Finding]) -> list[Finding]:
    """Findings without what differs between wires: the numbers of frames and rows."""
    return [replace(one, frames=(), rows={}) for one in findings]


def all_said(acts: Iterable[Iterable[Finding]]) -> list[list[Finding]]:
    """`said`, act by act."""
    return [said(findings) for findings in acts]


def plain(state: State) -> State:
    """A state as it comes back from disk."""
    packed = msgspec.msgpack.encode(state)
    back: State = msgspec.msgpack.decode(packed)
    return back


def restored(make: Make, state: State) -> Detector:
    """A fresh detector with a state that was saved."""
    detector = make()
    detector.restore(plain(state))
    return detector


# --- checks --------------------------------------------------------------------------------------


def judging_changes_nothing(make: Make) -> None:
    """A tick is judged before it is learned, and judging it twice says the same twice."""
    stage = learned(make)
    (detector,) = stage.detectors
    for act in [*work(LEARNED, 20), *intrusion(LEARNED + 20), *work(LEARNED + 60, 1)]:
        for tick in stage.ticks(act):
            before = detector.state()
            first = list(detector.judge(tick))
            assert detector.state() == before
            assert list(detector.judge(tick)) == first
            detector.learn(tick, Quarantine(tick, first))


def findings_are_whole(make: Make) -> None:
    """A finding says what, where, when and in which frames; its rows are rows of the tick.

    One without rows says what was left unsaid: it is dated when that was overdue.
    """
    stage = learned(make)
    (detector,) = stage.detectors
    for act in [*intrusion(LEARNED), *work(LEARNED + 60, 1)]:
        for tick in stage.ticks(act):
            for one in detector.judge(tick):
                assert one.detector == detector.name
                assert one.kind.startswith(f"{detector.name}.")
                assert one.cause[0] == detector.name
                assert one.expected
                assert one.observed
                assert 0 <= one.score <= 1
                assert one.count >= 1
                assert one.frames == tuple(sorted(set(one.frames)))
                assert one.frame_count >= len(one.frames) > 0
                assert one.first_seen <= one.last_seen < (tick.second + 1) * 10**9
                assert one.first_seen >= tick.second * 10**9 or not one.rows
                for table, rows in one.rows.items():
                    assert set(rows.tolist()) <= set(range(len(getattr(tick.tables, table))))
                assert not one.rows or any(len(rows) for rows in one.rows.values())
            detector.learn(tick, Quarantine(tick, []))


def nothing_flagged_is_learned(make: Make) -> None:
    """What was quarantined while it was declared as normal is as new afterwards as ever."""
    stage, plain_stage = Stage(make()), learned(make)
    stage.learn(work(0, LEARNED))
    (detector,) = stage.detectors
    detector.begin_learning()
    for act in intrusion(LEARNED):
        for tick in stage.ticks(act):
            detector.judge(tick)
            detector.learn(tick, Quarantine(tick, [_everything(tick)]))
    detector.close_world()
    again = [*work(LEARNED + 80, 20), *intrusion(LEARNED + 100)]
    found = all_said(stage.give(again))[20:]
    expected = all_said(plain_stage.give(again))[20:]
    assert [{one.kind for one in act} for act in found] == [
        {one.kind for one in act} for act in expected
    ]
    assert [{one.cause for one in act} for act in found] == [
        {one.cause for one in act} for act in expected
    ]


def _everything(tick: Tick) -> Finding:
    rows = {
        name: np.arange(len(getattr(tick.tables, name))) for name in Tables.__dataclass_fields__
    }
    return Finding("test", ("test",), 0, 0, (), 0, 1, "test", "", "", 1.0, rows=rows)


def what_is_flagged_stays_new(make: Make) -> None:
    """What was found once is found again: it was not learned by being found."""
    stage = learned(make)
    first = all_said(stage.give(intrusion(LEARNED)))
    later = LEARNED + 7_200
    second = all_said(stage.give([*work(later - 20, 20), *intrusion(later)]))[20:]
    for before, after in zip(first, second, strict=True):
        kinds = {(one.kind, one.cause) for one in after}
        assert {(one.kind, one.cause) for one in before} <= kinds


def learned_is_quiet(make: Make) -> None:
    """Invariant 6: replaying what was learned by declaration raises nothing."""
    stage = learned(make)
    assert [one for act in stage.give(work(0 + LEARNED, LEARNED)) for one in act] == []


def a_restored_one_goes_on(make: Make) -> None:
    """Invariant 2: restored from any tick, with other ids, it finds what it would have found."""
    play = [*work(LEARNED, 10), *intrusion(LEARNED + 10), *crowd(1, LEARNED + 14, 4, 20)]
    for is_declared in (True, False):
        stage = Stage(make())
        if is_declared:
            stage.learn(work(0, LEARNED))
        else:
            stage.give(work(0, LEARNED))
        (detector,) = stage.detectors
        states, found = [], []
        for act in play:
            states.append((detector.state(), stage.wire._frame))
            found.extend(all_said(stage.give([act])))
        for place, (state, frame) in enumerate(states):
            other = Stage(restored(make, state))
            other.wire._frame = frame  # it is the same capture, so its frames count on
            assert other.detectors[0].state() == state
            assert all_said(other.give(play[place:])) == found[place:], f"from act {place}"
            assert plain(other.detectors[0].state()) == plain(detector.state())


def looking_at_the_state_changes_nothing(make: Make) -> None:
    """A checkpoint at every tick gives the same as none."""
    play = [*work(0, LEARNED), *intrusion(LEARNED), *work(LEARNED + 4, 20)]
    watched, alone = Stage(make()), Stage(make())
    for act in play:
        assert watched.give([act]) == alone.give([act])
        watched.detectors[0].state()
        watched.detectors[0].readiness()
    assert watched.detectors[0].state() == alone.detectors[0].state()


def a_damaged_state_is_an_error(make: Make) -> None:
    """Whatever is done to a state, it is restored or refused, and refused leaves it as it was."""
    stage = learned(make)
    stage.give(intrusion(LEARNED))
    whole = plain(stage.detectors[0].state())
    refused = 0
    for damaged in _damaged(whole):
        detector = make()
        before = detector.state()
        try:
            detector.restore(damaged)
        except StateError:
            refused += 1
            assert detector.state() == before
        else:
            msgspec.msgpack.encode(detector.state())
    assert refused > 0
    with pytest.raises(StateError):
        make().restore({"nonsense": 1})


def _damaged(value: Any) -> Iterable[Any]:
    """A state with one part of it gone, replaced or added, one after the other."""
    if isinstance(value, dict):
        for key in value:
            yield {other: one for other, one in value.items() if other != key}
            yield from ({**value, key: one} for one in _replaced(value[key]))
        yield {**value, "more": 1}
    elif isinstance(value, list):
        for place in {0, len(value) - 1} & set(range(len(value))):
            for one in _replaced(value[place]):
                yield [*value[:place], one, *value[place + 1 :]]
        yield [*value, {"more": 1}]
        yield [*value, -1, "x", None]


def memory_is_bounded(make: Make) -> None:
    """Invariant 7: an endless crowd fills what there is to fill, and no more; all is judged on.

    Ids that nobody learned are retired and used again, as the hot path does.
    """
    detector = make()
    stage = Stage(detector, retiring=5)
    stage.learn(work(0, LEARNED))
    start, half, each = LEARNED, 25, 400
    stage.give(crowd(2, start, half, each))
    first = len(msgspec.msgpack.encode(detector.state()))
    permanent = {name: len(ids) for name, ids in detector.learned().items()}
    stage.give(crowd(3, start + half, half, each))
    second = len(msgspec.msgpack.encode(detector.state()))
    assert second <= 1.2 * first
    assert {name: len(ids) for name, ids in detector.learned().items()} == permanent
    start += 2 * half + 20
    assert [one for act in stage.give(work(start - 20, 20)) for one in act] == []
    expected = all_said(learned(make).give([*work(start - 20, 20), *intrusion(start)]))[20:]
    found = all_said(stage.give(intrusion(start)))
    assert [{one.kind for one in act} for act in expected] == [
        {one.kind for one in act} for act in found
    ]


def retired_ids_mean_nothing(make: Make) -> None:
    """Ids that are retired and used again for something else change no finding."""
    play = [
        *intrusion(LEARNED),
        *crowd(4, LEARNED + 4, 6, 30),
        *work(LEARNED + 10, 5),
        *intrusion(LEARNED + 15),
    ]
    whole, retiring = learned(make), Stage(make(), retiring=1)
    retiring.learn(work(0, LEARNED))
    assert all_said(retiring.give(play)) == all_said(whole.give(play))
    assert retiring.detectors[0].state() == whole.detectors[0].state()


def time_may_run_back(make: Make) -> None:
    """Another epoch, years earlier: what is known stays so, and what deviates is found."""
    stage = learned(make)
    stage.give(intrusion(LEARNED))
    years = -3 * 365 * 86_400
    stage.wire.run_back(years)
    assert [one for act in stage.give(work(years, 20)) for one in act] == []
    found = stage.give(intrusion(years + 20))
    fresh = learned(make)
    fresh.give(work(LEARNED, 20))
    expected = fresh.give(intrusion(LEARNED + 20))
    assert [{one.kind for one in act} for act in found] == [
        {one.kind for one in act} for act in expected
    ]


def conversations_come_and_go(make: Make) -> None:
    """One that was silent for days, and one that begins late, are judged by what they say."""
    late = 5 * 86_400
    stage = learned(make)
    again = Stage(restored(make, stage.detectors[0].state()))
    play = [*work(late, 20), *intrusion(late + 20)]
    found = all_said(stage.give(play))
    assert found == all_said(again.give(play))
    assert [one for act in found[1:20] for one in act] == []


def merging_is_learning_both(make: Make) -> None:
    """Invariant 3: what two learned apart is, merged, what one learned from both.

    What does not commute is learned again instead: merging it is refused by nobody, and harmless.
    """
    if not make().commutes:
        stage = learned(make)
        before = stage.detectors[0].state()
        stage.detectors[0].merge(before)
        assert stage.detectors[0].state() == before
        return
    morning, evening = work(0, LEARNED), [*work(500, 60), *_shift(560)]
    first, second, both = Stage(make()), Stage(make()), Stage(make())
    first.learn(morning)
    second.learn(evening)
    both.learn(morning)
    both.interrupt()
    both.learn(evening)
    merged, reverse = make(), make()
    merged.restore(plain(first.detectors[0].state()))
    merged.merge(plain(second.detectors[0].state()))
    reverse.restore(plain(second.detectors[0].state()))
    reverse.merge(plain(first.detectors[0].state()))
    blank = make()
    for one in (first, second):
        blank.merge(plain(one.detectors[0].state()))
    whole = both.detectors[0].state()
    assert merged.state() == reverse.state() == blank.state() == whole
    play = [*work(700, 10), *_shift(710), *intrusion(720)]
    expected = all_said(both.give(play))
    assert all_said(Stage(merged).give(play)) == expected
    assert any(expected)


def _shift(start: int) -> list[Act]:
    """Another shift: a client and words that the first has not."""

    def act(wire: Wire) -> None:
        wire.sighting(start, "10.0.0.30", 0x30)
        wire.exchange(start + 0.1, 16, writes(REGISTER, 40, values=[1, 2]), client="10.0.0.30")
        wire.exchange(start + 0.3, 3, reads(REGISTER, 10, 5))

    return [act]


def accepted_is_silent_and_undone_is_not(make: Make) -> None:
    """What a person accepts is normal, in whatever order; what is taken back is not."""
    play = intrusion(LEARNED + 20)
    fresh = learned(make)
    fresh.give(work(LEARNED, 20))
    before = all_said(fresh.give(play))
    causes = list(
        dict.fromkeys(
            cause for act in before for one in act for cause in (one.accepts or (one.cause,))
        )
    )
    for order in (causes, causes[::-1]):
        stage = learned(make)
        (detector,) = stage.detectors
        stage.give(work(LEARNED, 20))
        baseline = detector.state()
        assert [detector.accept(cause) for cause in order] == [True] * len(order)
        saved = Stage(restored(make, detector.state()))
        assert [one for act in stage.give(play) for one in act] == []
        assert [one for act in saved.give(play) for one in act] == []
        assert [detector.undo(cause) for cause in order] == [True] * len(order)
        assert [detector.undo(cause) for cause in order] == [False] * len(order)
        later = LEARNED + 7_200
        after = all_said(stage.give([*work(later - 20, 20), *intrusion(later)]))[20:]
        assert [{(one.kind, one.cause) for one in act} for act in after] == [
            {(one.kind, one.cause) for one in act} for act in before
        ]
        assert baseline.keys() == detector.state().keys()
    for nonsense in ((), ("nonsense",), ("nonsense", 1, "x"), (detector.name,)):
        assert not detector.accept(nonsense)
        assert not detector.undo(nonsense)


def _replaced(value: Any) -> Iterable[Any]:
    yield from _damaged(value)
    yield from (one for one in _OTHERS if type(one) is not type(value))


_OTHERS: tuple[Any, ...] = (None, -1, "x", 2**63, 1.5, [], {})

CHECKS: Mapping[str, Callable[[Make], None]] = {
    check.__name__: check
    for check in (
        judging_changes_nothing,
        findings_are_whole,
        nothing_flagged_is_learned,
        what_is_flagged_stays_new,
        learned_is_quiet,
        a_restored_one_goes_on,
        looking_at_the_state_changes_nothing,
        a_damaged_state_is_an_error,
        memory_is_bounded,
        retired_ids_mean_nothing,
        time_may_run_back,
        conversations_come_and_go,
        merging_is_learning_both,
        accepted_is_silent_and_undone_is_not,
    )
}
