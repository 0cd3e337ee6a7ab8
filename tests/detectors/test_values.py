"""Values that deviate are told once, in the plant's words; normal life is silent."""

import copy
import math
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from ticks import HMI, PLC, Touch, Wire, reads, writes

from otids.detectors.base import Finding, Quarantine, StateError
from otids.detectors.values import Values
from otids.traffic import Loss, Tick

REGISTER, INPUT, COIL, BIT = "holding-register", "input-register", "coil", "discrete-input"
HISTORIAN = "10.0.0.20"
LEARNED = 600


def float_words(value: float) -> list[int]:
    """A float as two registers, high word first."""
    return list(struct.unpack(">HH", struct.pack(">f", value)))


class Plant:
    """A controller whose values a client reads every second; all of them follow from a seed.

    Input registers: 0 a noisy level, 1 a life counter (0 to 99), 2–3 a totaliser, 4–5 a float,
    6 a constant, 7 a mode. Holding registers: 0 a set point. Coils: 0 a switch. Discrete
    inputs: 0 follows the switch, 1 never was set.
    """

    def __init__(self, *, declared: bool = True, seed: int = 1) -> None:
        self.wire = Wire()
        self.values = Values()
        self.now = 0
        self.dice = random.Random(seed)
        self.set_point, self.switch, self.mode, self.constant = 50, 0, 1, 500
        self.life, self.total, self.level = 0, 65_000, 200.0
        self.frozen = self.alarm = False
        self.shown: Callable[[list[int]], list[int]] = list
        if declared:
            self.values.begin_learning()
            assert self.run(LEARNED, walking=True) == []
            self.values.close_world()

    def inputs(self) -> list[int]:
        """What the controller shows in its input registers now."""
        if not self.frozen:
            target = 100 + 2 * self.set_point
            self.level += (target - self.level) / 5 + self.dice.uniform(-2, 2)
        flow = 12.5 + self.dice.uniform(-1, 1)
        return self.shown(
            [
                round(self.level), self.life % 100, self.total >> 16, self.total & 0xFFFF,
                *float_words(round(flow, 2)), self.constant, self.mode,
            ]
        )  # fmt: skip

    def second(self, *, client: str = HMI) -> None:
        """Let a second pass in which everything is read."""
        self.life += 1
        self.total += self.dice.randrange(20, 40)
        self.read(client=client)
        self.now += 1

    def read(self, at: float = 0.1, *, client: str = HMI) -> None:
        """Read everything, `at` seconds into the second."""
        at += self.now
        answers: tuple[tuple[int, Touch, list[float]], ...] = (
            (4, reads(INPUT, 0, 8), [*self.inputs()]),
            (3, reads(REGISTER, 0, 1), [self.set_point]),
            (1, reads(COIL, 0, 1), [bool(self.switch)]),
            (2, reads(BIT, 0, 2), [bool(self.switch), self.alarm]),
        )
        for place, (function, touch, values) in enumerate(answers):
            to = self.wire.request(at + place / 100, function, touch, client=client)
            self.wire.response(to, reads(touch.kind, 0, len(values), values=values))

    def write(self, value: int, *, client: str = HMI, taken: bool = True) -> None:
        """Set the set point half a second after the last reading."""
        at = self.now - 0.5
        self.wire.exchange(at, 6, writes(REGISTER, 0, values=[value]), client=client)
        if taken:
            self.set_point = value

    def run(self, seconds: int, *, walking: bool = False) -> list[Finding]:
        """Normal work for some seconds; what is found."""
        found = []
        for _ in range(seconds):
            if walking and self.now % 40 == 20:
                self.write(self.dice.choice(range(30, 81, 5)))
            if walking and self.now % 60 == 30:
                self.switch = 1 - self.switch
            if walking and self.now % 20 == 10:
                self.mode = self.dice.choice([1, 20, 60])
            self.second()
            found.extend(self.hears())
        return found

    def hears(self, *, loss: Loss | None = None) -> list[Finding]:
        """What is found in what was said since."""
        return give(self.values, self.wire.ticks(), loss)


def give(values: Values, ticks: Iterable[Tick], loss: Loss | None = None) -> list[Finding]:
    """Judge and learn as the pipeline does."""
    found = []
    for one in ticks:
        tick = one if loss is None else replace(one, loss=loss)
        findings = list(values.judge(tick))
        values.learn(tick, Quarantine(tick, findings))
        found.extend(findings)
    return found


def kinds(findings: Iterable[Finding]) -> list[str]:
    """Distinct kinds, in order."""
    return list(dict.fromkeys(one.kind.removeprefix("values.") for one in findings))


def strong(findings: Iterable[Finding]) -> list[Finding]:
    """What says something by itself."""
    return [one for one in findings if not one.weak]


@pytest.fixture(scope="module")
def learned() -> Plant:
    return Plant()


@pytest.fixture
def plant(learned: Plant) -> Plant:
    return copy.deepcopy(learned)


# --- what is found -------------------------------------------------------------------------------


def test_a_set_point_out_of_what_was_ever_set_is_told_with_its_writer(plant: Plant) -> None:
    plant.run(3)
    plant.write(300)
    (found,) = plant.hears()
    assert found.kind == "values.written-out-of-range"
    assert found.severity == "high"
    assert (found.source, found.target) == (found.conversation.client, found.conversation.server)  # type: ignore[union-attr]
    assert str(found.source) == HMI
    assert found.points == ("holding-register 0 of unit 1",)
    assert found.observed.startswith("holding-register 0 of unit 1 is set to 300")
    assert found.expected == "holding-register 0 of unit 1: 30 to 80 (15 writes learned)"
    # That it is read back is no further news; that the level follows is.
    after = plant.run(10)
    assert set(kinds(strong(after))) <= {"out-of-range", "step"}
    assert all("holding-register" not in one.observed for one in after)
    assert any(one.observed.startswith("input-register 0 ") for one in after)


def test_a_value_that_nobody_wrote_and_that_lies_where_it_never_was(plant: Plant) -> None:
    plant.set_point = 300
    found = plant.run(1)
    assert kinds(found) == ["out-of-range"]
    assert "holding-register 0 of unit 1 is 300" in found[0].observed
    assert found[0].severity == "medium"
    assert kinds(plant.run(1)) == ["out-of-range"], "told while it goes on"
    plant.set_point = 60
    assert "holding-register" not in "".join(one.observed for one in plant.run(1))


def test_a_slow_ramp_is_found_when_it_leaves_the_margin_and_not_before(plant: Plant) -> None:
    plant.write(60)
    plant.run(5)
    upper = None
    for value in range(60, 160):
        plant.write(value)
        if plant.hears():
            upper = value
            break
        plant.run(1)
    # A tenth of the span, and, after 15 writes (two of them alike), 4.744 / 14 of it (Wilks).
    assert upper is not None
    assert 80 + 0.1 * 50 < upper <= math.ceil(80 + (0.1 + 4.744 / 14) * 50) + 1


def test_two_registers_are_told_as_one_float(plant: Plant) -> None:
    plant.run(2)
    plant.shown = lambda words: [*words[:4], *float_words(40.0), *words[6:]]
    found = plant.run(1)
    assert "out-of-range" in kinds(found)
    one = next(one for one in found if one.kind == "values.out-of-range")
    assert one.observed == "input-register 4–5 of unit 1 (float) is 40"


def test_no_number_is_told(plant: Plant) -> None:
    plant.run(2)
    plant.shown = lambda words: [*words[:4], 0x7FC0, 0, *words[6:]]
    (found,) = plant.run(1)
    assert found.observed == "input-register 4–5 of unit 1 (float) is no number"
    plant.shown = list
    assert strong(plant.run(2)) == []


def test_a_level_that_stands_still(plant: Plant) -> None:
    plant.run(10)
    plant.frozen = True
    assert plant.run(25) == []
    found = plant.run(40)
    assert kinds(found) == ["frozen"]
    assert "input-register 0 of unit 1 stands at" in found[0].observed
    assert found[0].severity == "low"
    assert plant.run(60)[-1].severity == "medium"
    plant.frozen = False
    plant.run(1)
    assert plant.run(5) == []


def test_a_whole_device_that_stands_still_is_one_finding(plant: Plant) -> None:
    plant.run(10)
    words = plant.inputs()
    plant.shown = lambda _: words
    found = plant.run(80)
    assert kinds(found) == ["frozen"]
    assert len({one.cause for one in found}) == 1
    assert len(found[-1].points) >= 4


def test_replayed_answers_run_back(plant: Plant) -> None:
    recorded = []

    def record(words: list[int]) -> list[int]:
        recorded.append(list(words))
        return words

    plant.shown = record
    assert plant.run(200, walking=True) == []
    tape = iter(recorded[:30])
    plant.shown = lambda _: next(tape)
    found = strong(plant.run(1))
    assert "repeated" in kinds(found)
    one = next(one for one in found if one.kind == "values.repeated")
    assert "input-register 2–3 of unit 1 (32-bit) runs back from" in one.observed
    assert one.severity == "medium"
    plant.run(29)
    plant.shown = list
    after = plant.run(1)
    ahead = next(one for one in after if one.kind == "values.repeated")
    assert ahead.cause == one.cause
    assert "ran back and jumps" in ahead.observed


def test_a_counter_that_leaps_ahead(plant: Plant) -> None:
    plant.run(2)
    plant.total += 1_000_000
    (found,) = plant.run(1)
    assert (found.kind, found.severity, found.weak) == ("values.rate", "medium", False)
    assert "rises by 1,000,0" in found.observed
    assert plant.run(5) == []


def test_what_is_written_and_not_taken(plant: Plant) -> None:
    plant.run(2)
    plant.write(plant.set_point + 5 if plant.set_point < 80 else 75, taken=False)
    assert plant.run(9) == []
    found = plant.run(4)
    assert kinds(found) == ["not-taken"]
    assert len(found) == 1, "told once"
    assert "is still" in found[0].observed


def test_new_states_say_little(plant: Plant) -> None:
    plant.run(2)
    plant.alarm = True
    plant.mode = 40
    plant.constant = 501
    (found,) = [one for one in plant.run(1) if one.kind == "values.new-state"][:1]
    assert found.weak
    assert "discrete-input 1 of unit 1: always 0 (600 readings)" in found.expected
    assert "input-register 7 of unit 1: one of 1, 20, 60 (600 readings)" in found.expected
    assert strong(plant.run(5)) == []
    assert plant.run(5) == [], "told when it comes, not while it lasts"


# --- what is not ---------------------------------------------------------------------------------


def test_normal_work_with_other_values_and_later_totals_is_silent(plant: Plant) -> None:
    plant.values.interrupt()
    plant.dice, plant.total, plant.life = random.Random(7), 40_000_000, 55
    assert plant.run(400, walking=True) == []


def test_a_second_reader_is_no_second_point(plant: Plant) -> None:
    for _ in range(120):
        plant.second()
        plant.now -= 1
        plant.read(0.3, client=HISTORIAN)
        plant.now += 1
        assert plant.hears() == []


def test_a_restart_is_silent(plant: Plant) -> None:
    plant.run(20)
    plant.now += 15
    plant.life, plant.level, plant.total = 0, 110.0, plant.total + 5
    assert strong(plant.run(60)) == []
    plant.now += 15
    plant.total = 0  # not retained
    assert strong(plant.run(60)) == []


def test_a_totaliser_that_is_reset_is_weak(plant: Plant) -> None:
    plant.run(20)
    plant.total = 0
    found = plant.run(1)
    assert [(one.kind, one.weak) for one in found] == [("values.rate", True)]


def test_a_pause_is_no_leap_and_no_standstill(plant: Plant) -> None:
    plant.run(20)
    for pause in (3, 600, 7_200):
        plant.now += pause
        plant.life += pause
        plant.total += 30 * pause
        assert plant.run(20) == []


def test_other_ones_writes_within_the_span_are_normal(plant: Plant) -> None:
    plant.run(2)
    plant.write(42, client="10.0.0.30")
    assert plant.run(20) == []


def test_refused_reads_say_nothing(plant: Plant) -> None:
    plant.run(2)
    to = plant.wire.request(plant.now + 0.1, 4, reads(INPUT, 0, 8))
    plant.wire.response(to, reads(INPUT, 0, 2, values=[9_999, 9_999]), status=2)
    to = plant.wire.request(plant.now + 0.2, 4, reads(INPUT, 0, 8))
    plant.wire.response(to, reads(INPUT, 0, 2, values=[9_999, 9_999], status=4))
    assert plant.hears() == []


def test_texts_are_states() -> None:
    wire, values = Wire(), Values()
    values.begin_learning()

    def say(second: int, text: str) -> list[Finding]:
        to = wire.request(second, 3, reads(REGISTER, 0, 1))
        wire.response(to, reads(REGISTER, 0, 1, values=[text]))
        return give(values, wire.ticks())

    for second in range(60):
        say(second, "auto")
    values.close_world()
    assert say(60, "auto") == []
    (found,) = say(61, "manual")
    assert (found.kind, found.weak) == ("values.new-state", True)
    assert found.observed == "holding-register 0 of unit 1 is another text"


# --- loss ----------------------------------------------------------------------------------------


def test_where_frames_are_lost_only_ranges_count(plant: Plant) -> None:
    plant.run(5)
    size = plant.wire.names.conversations.size
    loss = Loss(np.ones(size, np.bool_), np.zeros(size, np.bool_))
    plant.total += 1_000_000
    plant.second()
    assert plant.hears(loss=loss) == []
    plant.set_point = 300
    plant.second()
    assert kinds(plant.hears(loss=loss)) == ["out-of-range"]


# --- learning ------------------------------------------------------------------------------------


def test_without_declaration_time_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otids.learning.points.points.ENOUGH_SECONDS", 600)
    plant = Plant(declared=False)
    assert plant.run(500, walking=True) == []
    (before,) = plant.values.readiness()
    assert before.progress == 0
    assert before.seconds_left is not None
    assert 0 < before.seconds_left <= 101
    plant.shown = lambda words: [*words[:6], 3_000, words[7]]
    assert plant.run(1) == [], "not ready"
    plant.shown = list
    assert plant.run(900, walking=True) == []
    (after,) = plant.values.readiness()
    assert after.progress == 1
    plant.shown = lambda words: [*words[:4], *float_words(40.0), *words[6:]]
    assert "out-of-range" in kinds(plant.run(1))


def test_spans_that_were_earned_grow_by_so_much_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otids.learning.points.points.ENOUGH_SECONDS", 600)
    wire, values = Wire(), Values()
    dice = random.Random(3)

    def say(second: int, value: int) -> list[Finding]:
        to = wire.request(second, 3, reads(REGISTER, 0, 1))
        wire.response(to, reads(REGISTER, 0, 1, values=[value]))
        return give(values, wire.ticks())

    for second in range(1_300):
        assert say(second, 1_000 + dice.randrange(101)) == []
    upper = float(values.points.limits.upper[0])
    for second in range(1_300, 1_500):
        high = min(1_101 + (second - 1_300) // 2, int(upper))
        assert say(second, high if second % 2 else 1_050) == []
    grown = float(values.points["high"][0]) - 1_100
    assert 0 < grown <= 0.06 * 100
    assert kinds(say(1_500, 1_200)) == ["out-of-range"]


# --- decisions and state -------------------------------------------------------------------------


def test_what_is_accepted_goes_so_far_and_no_farther(plant: Plant) -> None:
    plant.run(2)
    plant.write(120)
    (found,) = plant.hears()
    assert [plant.values.accept(cause) for cause in found.accepts] == [True]
    beyond = ["written-out-of-range"]
    for value, told in ((125, []), (400, beyond), (0, beyond)):
        plant.now += 1
        plant.write(value)
        assert kinds(plant.hears()) == told
    assert [plant.values.undo(cause) for cause in found.accepts] == [True]
    plant.now += 1
    plant.write(120)
    assert kinds(plant.hears()) == ["written-out-of-range"]


def test_a_restart_in_the_middle_changes_nothing(plant: Plant) -> None:
    def play(plant: Plant) -> Sequence[Callable[[], Any]]:
        def tamper() -> None:
            plant.frozen = True

        def back() -> None:
            plant.total -= 5_000

        def write() -> None:
            plant.write(300)

        return [tamper, back, write, lambda: plant.write(40, taken=False), lambda: None]

    def told(plant: Plant, *, restarting: bool) -> list[Finding]:
        found = []
        for step in play(plant):
            step()
            for _ in range(12):
                found.extend(plant.run(1))
                if restarting:
                    packed = msgspec.msgpack.encode(plant.values.state())
                    plant.values = Values()
                    plant.values.restore(msgspec.msgpack.decode(packed))
        return found

    whole = told(copy.deepcopy(plant), restarting=False)
    assert told(plant, restarting=True) == whole
    assert {"repeated", "written-out-of-range"} <= set(kinds(whole))


@pytest.mark.parametrize("damage", [{}, {"points": {}}, {"accepted": [[1]]}, {"settled": "x"}])
def test_a_damaged_state_is_refused(plant: Plant, damage: dict[str, Any]) -> None:
    whole = plant.values.state()
    damaged = {**whole, **damage} if damage else {}
    before = plant.values.state()
    with pytest.raises(StateError):
        plant.values.restore(damaged)
    with pytest.raises(StateError):
        plant.values.merge(damaged)
    assert plant.values.state() == before


def test_one_finding_names_all_points_of_a_device(plant: Plant) -> None:
    plant.run(2)
    plant.wire.exchange(plant.now - 0.5, 16, writes(REGISTER, 0, values=[900]))
    plant.shown = lambda words: [2_000, 150, *words[2:4], *float_words(99.0), *words[6:]]
    found = plant.run(1)
    ranges = [one for one in found if one.kind == "values.out-of-range"]
    assert len(ranges) == 1
    assert len(ranges[0].points) == 3
    assert str(ranges[0].source) == PLC
