"""Ledgers: rows by name, found by id; whatever is done to them, they agree with a plain map."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from otids.learning.ledger import UNKNOWN, Column, Ledger
from otids.traffic import Array, Dictionaries

COLUMNS = {
    "count": Column("<i8", join=np.add, low=0, high=10**6),
    "lowest": Column("<f8", fill=np.inf, join=np.minimum, low=-100, high=100),
    "shape": Column("<u4", width=(2,)),
}
MOST = 5


def new(most: int = MOST) -> Ledger:
    ledger = Ledger(tuple[int, str], COLUMNS, most)
    ledger.follow(Dictionaries(), 64)
    return ledger


def spell(id: int) -> tuple[int, str]:
    """Ids are names; every sixth shares that of the one before."""
    return (id - (id % 6 == 5), "x")


def ids(*numbers: int) -> Array:
    return np.array(numbers, np.uint32)


def plain(state: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state))


class Books(RuleBasedStateMachine):
    """A ledger beside a map from names to what was counted, in any order of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = new()
        self.counts: dict[tuple[int, str], int] = {}
        self.second = 0

    @rule(numbers=st.lists(st.integers(1, 30), min_size=1, max_size=7), may_go=st.booleans())
    def enter(self, numbers: list[int], may_go: bool) -> None:
        self.second += 1
        ledger = self.ledger
        known = set(self.counts)
        refused, evicted = ledger.refused, ledger.evicted
        rows = ledger.enter(
            ids(*numbers), spell, self.second, (lambda: ledger.in_use) if may_go else None
        )
        names = [spell(number) for number in numbers]
        # Who was known and is named stays; each name has one row, and each row one name.
        for name, row in zip(names, rows.tolist(), strict=True):
            assert row == ledger.row(name)
            assert row != UNKNOWN or name not in known
            assert row == UNKNOWN or ledger.name(row) == name
        gone = known - set(ledger.names())
        assert len(gone) == ledger.evicted - evicted
        assert not gone & set(names)
        assert may_go or not gone
        lacking = {name for name in names if ledger.row(name) == UNKNOWN}
        assert bool(lacking) is (ledger.refused > refused)
        for name in gone:
            del self.counts[name]
        good = rows[rows != UNKNOWN]
        np.add.at(ledger["count"], good, 1)
        ledger.touch(rows, self.second)
        for name in names:
            if name not in lacking:
                self.counts[name] = self.counts.get(name, 0) + 1

    @rule(numbers=st.lists(st.integers(1, 30), max_size=7))
    def find(self, numbers: list[int]) -> None:
        rows = self.ledger.find(ids(*numbers), spell).tolist()
        assert rows == [self.ledger.row(spell(number)) for number in numbers]
        assert [row != UNKNOWN for row in rows] == [spell(one) in self.counts for one in numbers]

    @rule(number=st.integers(1, 30))
    def add(self, number: int) -> None:
        row = self.ledger.add(spell(number), self.second)
        if row != UNKNOWN:
            self.counts.setdefault(spell(number), 0)
        assert row == self.ledger.row(spell(number))

    @precondition(lambda self: self.counts)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.counts)))
        row = self.ledger.row(name)
        self.ledger.drop(np.array([row, UNKNOWN, row]))
        del self.counts[name]

    @rule(numbers=st.lists(st.integers(1, 200), max_size=5))
    def forget(self, numbers: list[int]) -> None:
        self.ledger.forget(ids(*numbers))
        assert not set(self.ledger.learned().tolist()) & set(numbers)

    @rule()
    def follow_others(self) -> None:
        self.ledger.follow(Dictionaries(), 64)
        assert not len(self.ledger.learned())

    @rule()
    def restart(self) -> None:
        state = plain(self.ledger.state())
        other = new()
        other.restore(state)
        assert other.state() == self.ledger.state()
        self.ledger = other

    @rule(grown=st.integers(64, 500))
    def grow(self, grown: int) -> None:
        before = self.ledger.learned().tolist()
        self.ledger.follow(self.ledger._names or Dictionaries(), grown)
        assert self.ledger.learned().tolist() == before

    @invariant()
    def agrees(self) -> None:
        ledger = self.ledger
        assert ledger.names() == sorted(self.counts)
        assert len(ledger) == len(self.counts) <= MOST
        assert int(ledger.in_use.sum()) == len(self.counts)
        assert {len(ledger[column]) for column in COLUMNS} == {ledger.size}
        for name, count in self.counts.items():
            assert ledger["count"][ledger.row(name)] == count
        for id in ledger.learned().tolist():
            assert spell(id) in self.counts


TestBooks = Books.TestCase


def test_what_was_touched_longest_ago_makes_room() -> None:
    ledger = new()
    for second in range(MOST):
        ledger.enter(ids(second * 6 + 1), spell, second)
    ledger.touch(ledger.find(ids(1), spell), 9)
    ledger.enter(ids(50), spell, 10, lambda: ledger.in_use)
    assert ledger.row((7, "x")) == UNKNOWN, "the second is now the oldest"
    assert (ledger.row((1, "x")) >= 0, ledger.evicted) == (True, 1)


def test_what_is_entered_together_does_not_push_itself_out() -> None:
    ledger = new(2)
    rows = ledger.enter(ids(1, 2, 3, 4), spell, 0, lambda: ledger.in_use)
    assert sorted(rows.tolist()) == [UNKNOWN, UNKNOWN, 0, 1]
    assert (ledger.refused, ledger.evicted) == (2, 0)


def test_rows_grow_and_keep_their_columns() -> None:
    ledger = new(1_000)
    ledger.follow(Dictionaries(), 2_000)
    rows = ledger.enter(np.arange(1, 2_000, 6, dtype=np.uint32), spell, 3)
    ledger["shape"][rows] = np.arange(len(rows) * 2).reshape(-1, 2)
    assert (ledger["lowest"][rows] == np.inf).all()
    other = new(1_000)
    other.restore(plain(ledger.state()))
    assert other["shape"][other.row(spell(7))].tolist() == [2, 3]


@given(
    mine=st.dictionaries(st.integers(1, 9), st.tuples(st.integers(0, 9), st.floats(-9, 9))),
    theirs=st.dictionaries(st.integers(1, 9), st.tuples(st.integers(0, 9), st.floats(-9, 9))),
)
def test_merging_is_having_counted_both(
    mine: dict[int, tuple[int, float]], theirs: dict[int, tuple[int, float]]
) -> None:
    def filled(*parts: dict[int, tuple[int, float]]) -> Ledger:
        ledger = new(64)
        for part in parts:
            for number, (count, low) in part.items():
                row = ledger.add((number, "x"), 0)
                ledger["count"][row] += count
                ledger["lowest"][row] = min(ledger["lowest"][row], low)
        return ledger

    one, other = filled(mine), filled(theirs)
    one_way, other_way = filled(mine), filled(theirs)
    one_way.merge(plain(other.state()))
    other_way.merge(plain(one.state()))
    assert one_way.state() == other_way.state() == filled(mine, theirs).state()


def test_what_merging_has_no_room_for_is_refused_and_counted() -> None:
    one, other = new(2), new(2)
    one.add((1, "x"), 0)
    other.add((2, "x"), 0)
    other.add((3, "x"), 0)
    one.merge(other.state())
    assert (one.names(), one.refused) == ([(1, "x"), (2, "x")], 1)


HOSTILE = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data(), damage=HOSTILE)
def test_a_damaged_state_is_refused_or_whole(data: st.DataObject, damage: object) -> None:
    ledger = new()
    ledger.enter(ids(1, 2, 3), spell, 1)
    state = plain(ledger.state())
    before = ledger.state()
    place: Any = state
    path = data.draw(st.sampled_from([(), ("names",), ("columns",), ("columns", "count")]))
    for key in path:
        place = place[key]
    if isinstance(place, list):
        place[data.draw(st.integers(0, len(place) - 1))] = damage
    else:
        place[data.draw(st.sampled_from([*place, "more"]))] = damage
    for take in (new().restore, ledger.restore, new().merge, ledger.merge):
        try:
            take(state)
        except ValueError:
            assert ledger.state() == before
        else:
            assert len(ledger) <= MOST
            plain(ledger.state())


@pytest.mark.parametrize(
    ("column", "value"),
    [("count", -1), ("count", 10**6 + 1), ("lowest", -101.0), ("lowest", np.nan), ("lowest", 101)],
)
def test_bounds_of_columns_hold(column: str, value: float) -> None:
    ledger = new()
    row = ledger.add((1, "x"), 0)
    ledger[column][row] = value
    with pytest.raises(ValueError, match=f"column {column} holds"):
        new().restore(ledger.state())


def test_too_many_names_are_refused() -> None:
    ledger = new(2)
    ledger.enter(ids(1, 2), spell, 0)
    with pytest.raises(ValueError, match="2 names where 1 fit"):
        new(1).restore(ledger.state())
    twice = plain(ledger.state())
    twice["names"][1] = twice["names"][0]
    with pytest.raises(ValueError, match="a name stands twice"):
        new(2).restore(twice)
