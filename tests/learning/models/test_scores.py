"""From what on a score is unusual."""

import math

import numpy as np
import pytest

from otids.learning.arrays import pack
from otids.learning.models.scores import KEPT, LEAST, Threshold


def filled(count: int) -> Threshold:
    threshold = Threshold(0.9, 0.5)
    threshold.add([float(number) for number in range(count)])
    return threshold


def test_there_is_none_before_enough_was_scored() -> None:
    assert filled(LEAST - 1).value is None
    assert filled(LEAST).value is not None


def test_it_lies_above_the_quantile() -> None:
    high, middle = np.quantile(np.arange(200.0), (0.9, 0.5))
    assert filled(200).value == pytest.approx(high + 0.5 * (high - middle))


def test_the_latest_scores_count() -> None:
    threshold = filled(KEPT)
    threshold.add([0.0] * KEPT)
    assert threshold.value == 0


@pytest.mark.parametrize("count", [0, 5, LEAST, KEPT, KEPT + 7])
def test_a_restored_one_goes_on(count: int) -> None:
    one, other = filled(count), Threshold(0.9, 0.5)
    other.restore(one.state())
    assert other.value == one.value
    for threshold in (one, other):
        threshold.add([1e6, 2e6])
    assert (other.value, other.state()) == (one.value, one.state())


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"count": 1, "scores": pack(np.zeros(2))},
        {"count": -1, "scores": pack(np.zeros(0))},
        {"count": True, "scores": pack(np.zeros(1))},
        {"count": 2**60, "scores": pack(np.zeros(KEPT))},
        {"count": 1, "scores": pack(np.array([math.nan]))},
        {"count": 1, "scores": pack(np.zeros(1)), "more": 1},
    ],
)
def test_what_is_none_is_refused(state: object) -> None:
    threshold = filled(200)
    before = threshold.state()
    with pytest.raises(ValueError):  # noqa: PT011
        threshold.restore(state)
    assert threshold.state() == before
