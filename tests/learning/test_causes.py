"""Accepted causes: what is one, how many, and what a hostile state can do."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otids.learning import causes as module
from otids.learning.causes import MOST_LETTERS, MOST_PARTS, Cause, Causes

PARTS = st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8"), max_size=5)
GOOD = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: ("timing", *parts))


def filled(causes: list[Cause]) -> Causes:
    made = Causes("timing")
    for cause in causes:
        assert made.add(cause)
    return made


@given(causes=st.lists(GOOD, max_size=8))
def test_causes_survive_a_restart(causes: list[Cause]) -> None:
    one, other = filled(causes), Causes("timing")
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(one.state())))
    assert other.state() == one.state()
    assert set(other) == set(causes)
    assert len(other) == len(set(causes))


@given(mine=st.lists(GOOD, max_size=5), theirs=st.lists(GOOD, max_size=5))
def test_merging_is_accepting_both(mine: list[Cause], theirs: list[Cause]) -> None:
    one, other = filled(mine), filled(theirs)
    one.merge(other.state())
    other.merge(filled(mine).state())
    assert one.state() == other.state() == filled(mine + theirs).state()


def test_what_is_taken_back_is_gone() -> None:
    made = filled([("timing", 1)])
    assert ("timing", 1) in made
    assert made.remove(("timing", 1))
    assert not made.remove(("timing", 1))
    assert ("timing", 1) not in made
    assert made.add(("timing", 1))


@pytest.mark.parametrize(
    "cause",
    [
        (),
        ("timing",),
        ("values", 1),
        ("timing", None),
        ("timing", True),
        ("timing", 1.5),
        ("timing", 2**64),
        ("timing", -(2**63) - 1),
        ("timing", "\ud800"),
        ("timing", "x" * (MOST_LETTERS + 1)),
        ("timing", *range(MOST_PARTS)),
        ("timing", ("a", "b")),
    ],
)
def test_what_is_none_of_ours_is_refused(cause: Any) -> None:
    made = filled([("timing", 7)])
    assert not made.add(cause)
    for take in (made.restore, made.merge):
        with pytest.raises(ValueError, match="none of timing"):
            take([["timing", 2], list(cause)])
    assert list(made) == [("timing", 7)]


@pytest.mark.parametrize("state", [None, {}, "timing", [1], [{}], ["timing"], [None]])
def test_a_damaged_state_changes_nothing(state: object) -> None:
    made = filled([("timing", 1)])
    with pytest.raises(ValueError, match="accepted cause"):
        made.restore(state)
    assert list(made) == [("timing", 1)]


def test_causes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CAUSES", 2)
    made = filled([("timing", 1), ("timing", 2)])
    assert not made.add(("timing", 3))
    assert made.add(("timing", 2)), "is there already"
    made.merge([["timing", 3]])
    assert len(made) == 2
    with pytest.raises(ValueError, match="too many"):
        made.restore([["timing", number] for number in range(3)])
