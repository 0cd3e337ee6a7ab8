"""Counts by id are the same, however they are found."""

import numpy as np
import pytest

from otids.learning.counts import NOTHING, aligned, counted, first_of, summed


@pytest.mark.parametrize("few", [0, 10_000])
def test_what_is_counted_is_the_same_in_either_way(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otids.learning.counts.FEW", few)
    found = counted(np.array([7, 3, 7, 9_000], np.uint32))
    assert found.ids.tolist() == [3, 7, 9_000]
    assert found.counts.tolist() == [1, 2, 1]
    ids = np.array([7, 3, 7, 3, 5], np.uint32)
    sums = summed(ids, np.array([2, 1, 1, -1, -4]))
    assert sums.ids.tolist() == [3, 5, 7]
    assert sums.counts.tolist() == [0, -4, 3]
    assert first_of(ids, sums.ids).tolist() == [1, 4, 0]


def test_counts_are_set_against_others() -> None:
    count = counted(np.array([4, 4, 9], np.uint32))
    assert aligned(count, counted(np.array([9, 2], np.uint32))).tolist() == [0, 1]
    assert aligned(count, NOTHING).tolist() == [0, 0]
