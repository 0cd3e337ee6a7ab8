"""Distinct things are counted over two windows, within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otids.learning.bursts import fanout
from otids.learning.bursts.fanout import FAST, MOST_THINGS, SLOW, Fanout, FanoutState, Thing, Tried

TRACK = ("ports", "a")
SHAPES = {"ports": (2, "ssi")}


def numbers(*things: int, succeeds: bool = False) -> dict[Thing, bool]:
    return {(thing,): succeeds for thing in things}


def weights(one: Fanout, tries: dict[Thing, bool], now: int) -> list[float]:
    return [spread.weight for spread in one.spreads(TRACK, tries, now)]


def copied(one: Fanout) -> Fanout:
    other = Fanout()
    other.restore(one.state(), SHAPES)
    return other


def test_windows() -> None:
    one = Fanout()
    one.note(TRACK, numbers(1, 2), 1_000)
    one.note(TRACK, numbers(3), 1_000 + FAST)
    assert weights(one, {}, 1_000 + FAST) == [3, 3]
    assert weights(one, numbers(3, 4), 1_001 + FAST) == [2, 4]
    assert weights(one, {}, 1_001 + FAST + SLOW) == [0, 0]
    one.note(TRACK, numbers(9), 2_000 + SLOW)
    assert one.count(TRACK) == 1


def test_what_succeeded_once_weighs_less_from_then_on() -> None:
    one = Fanout()
    one.note(TRACK, numbers(1, succeeds=True), 10)
    assert weights(one, numbers(1, 2), 11) == [1.25, 1.25]
    (fast, _) = one.spreads(TRACK, numbers(1, 2), 19)
    assert fast.things == {(1,): Tried(10, 19, True), (2,): Tried(19, 19, False)}
    assert (fast.succeeded, fast.seconds(19)) == (1, 10)


def test_asking_changes_nothing() -> None:
    one = Fanout()
    one.note(TRACK, numbers(1), 10)
    before = one.state()
    list(one.spreads(TRACK, numbers(1, 2, succeeds=True), 20))
    assert one.state() == before


def test_it_goes_on_if_something_fails_or_was_not_tried_of_late() -> None:
    one = Fanout()
    assert one.goes_on(TRACK, numbers(1, succeeds=True), 0)
    one.note(TRACK, numbers(1, succeeds=True), 0)
    assert not one.goes_on(TRACK, numbers(1, succeeds=True), 5)
    assert one.goes_on(TRACK, numbers(1), 5)
    assert one.goes_on(TRACK, numbers(1, succeeds=True), FAST + 1)


def test_what_succeeds_for_a_day_is_told() -> None:
    one = Fanout()
    assert one.note(TRACK, numbers(1, succeeds=True), 0) == []
    assert one.note(TRACK, numbers(1, 2), SLOW) == [(1,)]


def test_many_things_of_one_track_are_counted_up_to_a_bound() -> None:
    one = Fanout()
    for thing in range(3 * MOST_THINGS):
        one.note(TRACK, numbers(thing), thing // 100)
    assert one.count(TRACK) == MOST_THINGS
    assert copied(one).state() == one.state()


def test_usual_things_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MOST_USUAL", 3)
    one = Fanout()
    assert [one.learn(TRACK, (thing,)) for thing in (1, 2, 2, 3, 4, 1)] == [True] * 4 + [
        False,
        True,
    ]
    assert one.missed == 1
    assert one.usual(TRACK) == {(1,), (2,), (3,)}


def test_all_things_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MOST_TRIED", 50)
    one = Fanout()
    for track in range(20):
        one.note(("ports", str(track)), numbers(*range(10)), track)
    kept = [track.track for track in one.state().tried]
    assert kept == [("ports", str(track)) for track in range(15, 20)]
    assert one.evicted == 15


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 200_000), st.booleans())
    )
)
def test_a_copy_goes_on_alike(said: list[tuple[int, int, int, bool]]) -> None:
    one = Fanout()
    for place, (track, thing, second, succeeds) in enumerate(said):
        if place == len(said) // 2:
            other = copied(one)
            assert other.state() == one.state()
        one.note(("ports", str(track)), {(thing,): succeeds}, second)
    other = copied(one)
    for track, thing, second, succeeds in said:
        name = ("ports", str(track))
        tries = numbers(thing, succeeds=succeeds)
        assert list(one.spreads(name, tries, second)) == list(other.spreads(name, tries, second))
        assert one.note(name, tries, second) == other.note(name, tries, second)
    assert one.state() == other.state()


@given(st.lists(st.integers(0, 20)), st.lists(st.integers(0, 20)))
def test_merging_is_learning_both(mine: list[int], theirs: list[int]) -> None:
    one, other, both = Fanout(), Fanout(), Fanout()
    for things, learner in ((mine, one), (theirs, other), (mine + theirs, both)):
        for thing in things:
            learner.learn(TRACK, (thing,))
    one.merge(other.state(), SHAPES)
    assert one.state() == both.state()


@pytest.mark.parametrize(
    "state",
    [
        FanoutState([fanout.UsualState(("ports",), [(1,)])], []),
        FanoutState([fanout.UsualState(("ports", 1), [(1,)])], []),
        FanoutState([fanout.UsualState(TRACK, [("x",)])], []),
        FanoutState([fanout.UsualState((), [(1,)])], []),
        FanoutState([], [fanout.TrackState(("nobody", "a"), [((1,), 0, 0, True)])]),
        FanoutState([], [fanout.TrackState(TRACK, [((1,), 0, 0, True)])] * 2),
    ],
)
def test_a_state_of_other_names_is_refused(state: FanoutState) -> None:
    one = Fanout()
    one.learn(TRACK, (7,))
    before = one.state()
    with pytest.raises(ValueError, match=r"not a t|twice"):
        one.restore(state, SHAPES)
    assert one.state() == before
