"""Sets of addresses as intervals are sets of addresses."""

from hypothesis import given
from hypothesis import strategies as st

from otids.learning.plant.intervals import Intervals

SPAN = st.tuples(st.integers(0, 40), st.integers(0, 40))


def members(spans: Intervals | list[tuple[int, int]]) -> set[int]:
    return {one for start, end in spans for one in range(start, end)}


@given(st.lists(SPAN))
def test_they_hold_what_was_put_in(spans: list[tuple[int, int]]) -> None:
    intervals = Intervals(spans)
    assert members(intervals) == members(spans)
    bounds = [bound for span in intervals for bound in span]
    assert bounds == sorted(set(bounds)), "sorted, disjoint, not adjacent"
    assert len(intervals) == len(bounds) // 2


@given(st.lists(SPAN))
def test_equal_sets_are_equal_whatever_the_order(spans: list[tuple[int, int]]) -> None:
    assert Intervals(spans) == Intervals(reversed(spans))
    assert Intervals(spans) == Intervals(list(Intervals(spans)))
    assert Intervals(spans) != Intervals([*spans, (100, 101)])


@given(st.lists(SPAN), SPAN)
def test_what_is_missing(spans: list[tuple[int, int]], wanted: tuple[int, int]) -> None:
    missing = Intervals(spans).missing(*wanted)
    assert members(missing) == members([wanted]) - members(spans)
    assert missing == sorted(missing)
    assert all(start < end for start, end in missing)


@given(st.lists(SPAN), SPAN)
def test_what_touches_adds_no_interval(spans: list[tuple[int, int]], one: tuple[int, int]) -> None:
    intervals = Intervals(spans)
    before = len(intervals)
    touches = intervals.touches(*one)
    intervals.add(*one)
    if one[0] < one[1]:
        assert (len(intervals) <= before) == touches
    assert intervals != "something else"
