"""Maxima over windows: learned, bounded, commuting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otids.learning.bursts import rates as module
from otids.learning.bursts.rates import ENOUGH_SECONDS, GROWTH, Rates, Slot
from otids.traffic import Array, Dictionaries

SLOTS = [Slot(1, 20, 5), Slot(10, 100, 5)]
BOTH = slice(0, 2)
NAMES = Dictionaries()


def fresh() -> Rates:
    one = Rates(str, SLOTS, 1_000)
    one.follow(NAMES, 1_000)
    return one


def count(one: Rates, second: int, number: int, *, clean: int | None = None, listened: int = 0,
          free: bool = True, id: int = 1) -> None:  # fmt: skip
    ids = np.array([id])
    one.meet(ids, str, second, listened)
    rows = one.ledger.find(ids, str)
    counts = np.array([number])
    one.take(
        rows, BOTH, counts, counts if clean is None else np.array([clean]), second,
        free=free, listened=listened,
    )  # fmt: skip


def most(one: Rates, id: int = 1) -> list[int]:
    rows = one.ledger.find(np.array([id]), str)
    found: Array = one.most(rows, BOTH)
    plain: list[int] = found[0].tolist()
    return plain


def test_windows_begin_at_multiples_of_their_length() -> None:
    one = fresh()
    for second in (8, 9, 10, 11, 11):
        count(one, second, 3)
    assert most(one) == [6, 9]
    rows = one.ledger.find(np.array([1, 2]), str)
    assert one.totals(rows, BOTH, np.array([1, 1]), 11).tolist() == [[7, 10], [1, 1]]
    assert one.totals(rows, BOTH, np.array([1, 1]), 12).tolist() == [[1, 10], [1, 1]]
    assert one.totals(rows, BOTH, np.array([1, 1]), 20).tolist() == [[1, 1], [1, 1]]


def test_limits_are_a_floor_above_or_a_multiple() -> None:
    limits = fresh().limits(np.array([[0, 0], [5, 25], [50, 400]]), BOTH)
    assert limits.tolist() == [[20, 100], [25, 125], [250, 2_000]]


def test_the_cheap_look_never_overlooks() -> None:
    one = fresh()
    assert not one.may_exceed(BOTH, np.array([20, 3]), 5)
    assert one.may_exceed(BOTH, np.array([21, 3]), 5)
    for second in range(10, 16):
        count(one, second, 15)
    assert one.may_exceed(BOTH, np.array([11]), 16)
    assert not one.may_exceed(BOTH, np.array([10]), 16)
    assert not one.may_exceed(BOTH, np.array([20]), 20)


def test_what_is_flagged_counts_but_is_not_learned() -> None:
    one = fresh()
    count(one, 5, 100, clean=0)
    count(one, 6, 3)
    assert most(one) == [3, 3]
    rows = one.ledger.find(np.array([1]), str)
    assert one.totals(rows, BOTH, np.array([0]), 6).tolist() == [[3, 103]]


def test_what_was_earned_grows_within_a_bound() -> None:
    one = fresh()
    count(one, 5, 4, free=False)
    for place in range(20):
        count(one, 1_000 + place * 10, 5 + place, free=False, listened=ENOUGH_SECONDS)
    assert most(one) == [GROWTH * 4] * 2
    one.close()
    count(one, 5_000, 15, free=False, listened=9 * ENOUGH_SECONDS)
    assert most(one) == [GROWTH * 4] * 2
    count(one, 6_000, 15, free=True)
    assert most(one) == [15, 15]


def test_names_that_are_not_known_yet_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LEARNING", 40)
    one = fresh()
    count(one, 1, 9)
    one.close()
    for id in range(2, 300):
        count(one, id, 1, id=id)
    assert 30 <= len(one.ledger) <= 41
    assert most(one) == [9, 9], "what is known stays"
    assert "299" in one.ledger.names()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9), st.integers(1, 3))),
       st.integers(0, 99))  # fmt: skip
def test_apart_or_together_is_the_same(said: list[tuple[int, int, int]], cut: int) -> None:
    said = sorted(said, key=lambda one: one[0])
    first, second, both = fresh(), fresh(), fresh()
    for place, (moment, number, id) in enumerate(said):
        if place == cut:
            both.interrupt()
        count(both, moment, number, id=id)
        count(first if place < cut else second, moment, number, id=id)
    for one in (first, second, both):
        one.close()
    first.merge(second.state())
    assert first.state() == both.state()


def test_a_copy_goes_on_alike() -> None:
    one, other = fresh(), fresh()
    for second in range(14):
        count(one, second, 7)
    other.restore(one.state())
    assert other.state() == one.state()
    assert other.may_exceed(BOTH, np.array([15]), 14) is one.may_exceed(BOTH, np.array([15]), 14)
    for each in (one, other):
        count(each, 14, 20)
    assert other.state() == one.state()


def test_windows_that_do_not_fit_are_refused() -> None:
    one = fresh()
    count(one, 1, 1)
    state = one.state()
    state.windows = [1]
    before = fresh().state()
    other = fresh()
    with pytest.raises(ValueError, match="windows"):
        other.restore(state)
    assert other.state() == before
