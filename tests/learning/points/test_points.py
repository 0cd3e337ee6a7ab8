"""What sort of value a point has is found by itself, however it was learned."""

import math
import random
import struct
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ticks import Numbered, Touch, Wire, reads, writes

from otids.detectors.base import Quarantine
from otids.detectors.values import Values
from otids.learning.points import limits
from otids.learning.points.limits import (
    CONSTANT,
    CONTINUOUS,
    COUNTER,
    CYCLE,
    SET,
    STATES,
    WILKS,
    Limits,
    limits_of,
)
from otids.learning.points.pairs import FORMS, combine, is_sane, refutes
from otids.learning.points.points import Points
from otids.learning.points.summaries import LEARNED, LONG_AGO, state_of

INPUT, REGISTER = "input-register", "holding-register"


def learned(
    rows: Iterable[list[int]], *, kind: str = INPUT, values: Values | None = None
) -> Values:
    """A detector that has learned one block of registers, read once a second."""
    values = values or Values()
    wire = Wire()
    values.begin_learning()
    for second, row in enumerate(rows):
        to = wire.request(second, 4, reads(kind, 0, len(row)))
        wire.response(to, reads(kind, 0, len(row), values=row))
        for tick in wire.ticks():
            values.judge(tick)
            values.learn(tick, Quarantine(tick, []))
    values.close_world()
    return values


def test_what_is_reported_is_learned_but_moments_and_numbers_of_messages() -> None:
    values, wire = Values(), Wire(protocol="goose")
    values.begin_learning()
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for second in range(40):
        moment = start + timedelta(seconds=second)
        entry = Touch("data-set-entry", 1, 2, "report", values=(second % 5, moment))
        number = Touch("state-number", access="report", values=(Numbered(second),))
        wire.report(second, 1, entry, number, unit=0, from_client=True)
    for tick in wire.ticks():
        values.judge(tick)
        values.learn(tick, Quarantine(tick, []))
    (row,) = (row for row in range(values.points.ledger.size))
    assert values.points.ledger.name(row).point.address == 1
    assert (values.points["low"][row], values.points["high"][row]) == (0, 4)


def pairs_of(points: Points) -> dict[int, str]:
    """Form by the address at which a pair begins."""
    rows = points.pair[points.pair >= 0]
    names = [points.ledger.name(int(row)) for row in rows]
    return {one.point.address: one.form for one in names}


def types_of(points: Points) -> dict[int, int]:
    """Type by address of what is judged alone."""
    limits = points.limits.type
    names = [points.ledger.name(row) for row in range(points.ledger.size)]
    return {one.point.address: int(limits[row]) for row, one in enumerate(names) if not one.form}


def words(value: float, form: str) -> list[int]:
    """Two registers that hold a value in a form."""
    packed = struct.pack(">f", value) if form.startswith("float") else struct.pack(">I", int(value))
    high, low = struct.unpack(">HH", packed)
    return [low, high] if "low word" in form else [high, low]


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("rising", [False, True])
def test_every_form_is_found_among_neighbours(form: str, rising: bool) -> None:
    dice = random.Random(f"{form} {rising}")
    value = 64_000.0 if form.startswith("32") else 25.0
    rows = []
    for second in range(400):
        if form.startswith("32"):
            value += dice.randrange(1, 50) if rising else dice.randrange(-900, 1_000)
        else:
            value += dice.uniform(0, 0.2) if rising else (25 - value) / 9 + dice.uniform(-1, 1)
        noise = dice.randrange(300, 400)
        rows.append([500, *words(value, form), noise, second % 100])
    assert pairs_of(learned(rows).points) == {1: form}


def test_what_stands_beside_each_other_is_no_pair() -> None:
    dice = random.Random(4)
    rows = [
        [dice.randrange(16_000, 18_000), dice.randrange(900, 950), second % 100, 7, 0]
        for second in range(400)
    ]
    assert pairs_of(learned(rows).points) == {}


def test_several_floats_behind_each_other_are_told_apart() -> None:
    dice = random.Random(5)
    for form in FORMS[1:3]:
        rows = [
            [word for base in (3.0, 80.0, 0.4) for word in words(base + dice.random(), form)]
            for _ in range(300)
        ]
        assert pairs_of(learned(rows).points) == dict.fromkeys((0, 2, 4), form)


def test_what_is_written_as_two_is_one() -> None:
    wire, values = Wire(), Values()
    values.begin_learning()
    for second in range(120):
        value = 120.0 + 5 * (second // 10)
        if second % 10 == 0:
            wire.exchange(second, 16, writes(REGISTER, 2, values=words(value, "float")))
        to = wire.request(second + 0.5, 3, reads(REGISTER, 2, 2))
        wire.response(to, reads(REGISTER, 2, 2, values=words(value, "float")))
        for tick in wire.ticks():
            values.learn(tick, Quarantine(tick, []))
    values.close_world()
    assert pairs_of(values.points) == {2: "float"}
    row = int(values.points.pair.max())
    assert values.points.limits.type[row] == SET
    assert (values.points["low"][row], values.points["high"][row]) == (120.0, 175.0)


def test_types_are_found() -> None:
    dice = random.Random(6)
    count = 0
    rows = []
    for second in range(600):
        count += dice.randrange(3)
        mode = (1, 64, 200)[second // 20 % 3]
        rows.append([500, second % 100, count, mode, dice.randrange(400, 420)])
    types = types_of(learned(rows).points)
    assert types == {0: CONSTANT, 1: CYCLE, 2: COUNTER, 3: STATES, 4: CONTINUOUS}


def test_limits_of_some_rows_at_once_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(9)
    rows = [[second, 7, second % 50, *dice.choices(range(900), k=4)] for second in range(200)]
    points = learned(rows).points
    columns = {name: points[name] for name in LEARNED}
    form = points.form[: points.ledger.size]
    at_once = limits_of(columns, form)
    monkeypatch.setattr(limits, "AT_ONCE", 3)
    by_three = limits_of(columns, form)
    assert len(form) > 6
    for one in fields(Limits):
        some, every = getattr(by_three, one.name), getattr(at_once, one.name)
        assert some.dtype == every.dtype
        assert some.tolist() == every.tolist()


def test_few_samples_take_wider_limits() -> None:
    def width(samples: int) -> float:
        points = learned([[100 + 7 * n % 11] for n in range(samples)]).points
        high, low = float(points["high"][0]), float(points["low"][0])
        return (float(points.limits.upper[0]) - high) / (high - low)

    widths = [width(samples) for samples in (3, 6, 20, 200)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(0.3 + WILKS / 200)


def test_the_tolerance_factor_is_that_of_wilks() -> None:
    n, q = 1_000, WILKS / 1_000
    inside = 1 - q
    confidence = 1 - n * inside ** (n - 1) + (n - 1) * inside**n
    assert confidence == pytest.approx(0.95, abs=0.002)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.integers(5, 120), st.integers(5, 120))
def test_two_captures_apart_are_as_both_together(seed: int, first: int, second: int) -> None:
    def rows(part: int, count: int) -> list[list[int]]:
        dice = random.Random(f"{seed} {part}")
        total = 65_000 + 900 * part
        made = []
        for number in range(count):
            total += dice.randrange(30)
            value = 20 + 5 * dice.random()
            made.append(
                [
                    *words(total, "32-bit"),
                    *words(value, "float"),
                    number % 100,
                    dice.choice([1, 99]),
                ]
            )
        return made

    morning, evening = rows(0, first), rows(1, second)
    both = learned(morning)
    both.interrupt()
    both = learned(evening, values=both)
    apart, later = learned(morning), learned(evening)
    reverse = Values()
    reverse.restore(later.state())
    reverse.merge(apart.state())
    apart.merge(later.state())
    for one in (apart, reverse):
        assert {**one.state(), "points": None} == {**both.state(), "points": None}
        mine, whole = one.points, both.points
        assert mine.ledger.names() == whole.ledger.names()
        assert pairs_of(mine) == pairs_of(whole)
        for name in ("low", "high", "ups", "downs", "standstill", "states", "refuted", "count"):
            assert mine.ledger.state()["columns"][name] == whole.ledger.state()["columns"][name]


@given(st.integers(0, 2**32 - 1), st.sampled_from(range(1, 5)))
def test_words_are_put_together(whole: int, form: int) -> None:
    high, low = divmod(whole, 65_536)
    first, second = (high, low) if form in {1, 3} else (low, high)
    number = combine(np.array([first], np.uint64), np.array([second], np.uint64), np.array([form]))[
        0
    ]
    if form <= 2:
        (expected,) = struct.unpack(">f", struct.pack(">I", whole))
        assert number == expected or (np.isnan(number) and expected != expected)  # noqa: PLR0124
    else:
        assert number == whole


def test_what_refutes_a_form() -> None:
    numbers = np.array([np.nan, np.inf, 1e-40, 0.0, 21.5, 1e13])
    assert is_sane(numbers).tolist() == [False, False, False, True, True, False]
    steps = np.array([70_000.0, -70_000.0, 10.0])
    found = refutes(np.array([3, 3, 3]), np.array([140_000.0, 12.0, 500.0]), steps)
    assert found.tolist() == [True, False, False]


def test_states_are_told_apart() -> None:
    small = np.arange(256, dtype=np.float64)
    assert state_of(small).tolist() == list(range(256))
    others = state_of(np.array([-1.0, 0.5, 1e9, np.nan, 65_535.0]))
    assert ((others >= 0) & (others < 256)).all()


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otids.learning.points.points.MOST_QUANTITIES", 12)
    values = learned([[second % 7] * 30 for second in range(50)])
    assert len(values.points.ledger) == 12
    assert values.counters["values"] > 0
    again = Values()
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(values.state())))
    assert again.state() == values.state()


def stand(second: int, dice: random.Random) -> list[int]:
    """A measured value, a counter, one that wraps, a setting, a rare state, and a float."""
    return [
        500 + round(40 * math.sin(second / 9)),
        1_000 + 3 * second,
        7 * second % 3_000,
        [20, 25, 30][second // 50 % 3],
        int(second % 40 == 0),
        *words(21.5 + dice.uniform(-2, 2), "float"),
    ]


@cache
def learned_state() -> bytes:
    """What is known of them after some time."""
    dice = random.Random(5)
    values = learned([stand(second, dice) for second in range(500)])
    return msgspec.msgpack.encode(values.state())


@given(st.data())
@settings(max_examples=25)
def test_the_cheap_look_never_overlooks(data: st.DataObject) -> None:
    dice = random.Random(6)
    quick, exact = Values(), Values()
    for one in (quick, exact):
        one.restore(msgspec.msgpack.decode(learned_state()))
    exact.points.limits.reach[:] = -1.0  # nothing is within reach: all is looked at
    assert (quick.points.limits.reach[: quick.points.ledger.size] < np.inf).any()
    wire = Wire()
    for second in range(700, 712):
        for again in range(data.draw(st.integers(1, 3))):  # several clients may ask
            row = stand(second, dice)
            if data.draw(st.booleans()):
                at = data.draw(st.integers(0, len(row) - 1))
                by = data.draw(st.sampled_from([1, -1])) * data.draw(st.integers(0, 2_000))
                row[at] = min(max(row[at] + by, 0), 65_535)
            to = wire.request(second + again / 4, 4, reads(INPUT, 0, len(row)))
            wire.response(to, reads(INPUT, 0, len(row), values=row))
    for tick in wire.ticks():
        findings = [list(one.judge(tick)) for one in (quick, exact)]
        assert findings[0] == findings[1]
        for one, found in zip((quick, exact), findings, strict=True):
            one.learn(tick, Quarantine(tick, found))
    assert quick.state() == exact.state()


@given(st.lists(st.integers(0, 3), min_size=300, max_size=400), st.integers(1, 100))
@settings(max_examples=10, deadline=None)
def test_no_value_stands_too_long_unlooked_at(steps: list[int], until: int) -> None:
    values, wire, number = learned([[second * 7 % 90] for second in range(400)]), Wire(), 0
    points = values.points
    looked = 0
    for second, step in enumerate(steps, 1_000):
        number += step if second < 1_000 + until else 0
        to = wire.request(second, 4, reads(INPUT, 0, 1))
        wire.response(to, reads(INPUT, 0, 1, values=[number % 90]))
        for tick in wire.ticks():
            stands = bool((points["still"] > points.limits.frozen[: points.ledger.size]).any())
            may_stand = points.may_stand_too_long()
            assert may_stand or not stands
            looked += not may_stand
            values.judge(tick)
            values.learn(tick, Quarantine(tick, []))
    assert looked  # else nothing is spared


def test_writes_that_wait_are_counted_as_they_come_and_go() -> None:
    values = learned([[second % 50] for second in range(100)], kind=REGISTER)
    wire, points, most = Wire(), values.points, 0
    for second, (written, read) in enumerate([(7, 3), (9, 3), (9, 9), (4, 4), (5, 4)], 1_000):
        to = wire.request(second, 6, writes(REGISTER, 0, values=[written]))
        wire.response(to, writes(REGISTER, 0, 1))
        to = wire.request(second + 0.5, 3, reads(REGISTER, 0, 1))
        wire.response(to, reads(REGISTER, 0, 1, values=[read]))
        for tick in wire.ticks():
            values.judge(tick)
            values.learn(tick, Quarantine(tick, []))
            waiting = points["pending_time"] != LONG_AGO
            assert points.pendings == np.count_nonzero(waiting)
            most = max(most, points.pendings)
    assert most == 1
