"""What is cyclic, what is not, and what follows from it."""

import numpy as np
import pytest

from otids.learning.rhythm.rhythm import (
    BINS,
    ENOUGH_DECLARED,
    INTERVAL_EDGES,
    LEAST_LIMIT,
    LONGEST_GAP,
    NEVER,
    SURE,
    Limits,
    cycles,
    limits,
    quantiles,
    silence_limit,
)
from otids.traffic import SECOND, Array

DICE = np.random.default_rng(7)


def histogram(intervals: Array) -> tuple[Array, Array]:
    """Bins and sums of intervals in seconds, as one row."""
    lengths = (np.asarray(intervals) * SECOND).astype(np.int64)
    counts, sums = np.zeros((1, BINS), np.uint32), np.zeros((1, BINS), np.int64)
    bins = INTERVAL_EDGES.searchsorted(lengths, "right")
    np.add.at(counts[0], bins, 1)
    np.add.at(sums[0], bins, lengths)
    return counts, sums


CYCLIC = {
    "exact": (np.full(200, 1.0), 1.0),
    "jitter of 5 %": (DICE.normal(1.0, 0.05, 300), 1.0),
    "some reconnects": (np.r_[np.full(200, 0.5), np.full(10, 3.0)], 0.5),
    "late now and then": (np.r_[np.full(300, 1.0), np.full(3, 1.5), np.full(3, 0.5)], 1.0),
    "twice a cycle": (np.tile([0.2, 0.8], 100), 0.8),
    "fast": (np.full(500, 0.00025), 0.00025),
    "a tenth is lost": (np.r_[np.full(180, 5.0), np.full(20, 10.0)], 5.0),
}
EVENTS = {
    "events": DICE.exponential(10.0, 400),
    "an operator": DICE.uniform(4, 20, 400),
    "a few moments a day": DICE.lognormal(5, 2, 400),
    "bursts": np.r_[np.full(200, 0.1), np.full(120, 60.0), DICE.uniform(1, 50, 100)],
}


@pytest.mark.parametrize("name", CYCLIC)
def test_cycles_are_found(name: str) -> None:
    intervals, period = CYCLIC[name]
    found = cycles(*histogram(intervals))
    assert found.period[0] / SECOND == pytest.approx(period, rel=0.03)
    assert found.count[0] == len(intervals)


@pytest.mark.parametrize("name", EVENTS)
def test_events_have_no_period(name: str) -> None:
    assert cycles(*histogram(EVENTS[name])).period[0] == 0


def test_nothing_has_no_period() -> None:
    assert cycles(*histogram(np.zeros(0))).period[0] == 0


def test_adding_histograms_is_learning_both() -> None:
    one, other = DICE.normal(1.0, 0.1, 100), DICE.normal(2.0, 0.1, 100)
    both = histogram(np.r_[one, other])
    apart = [sum(parts) for parts in zip(histogram(one), histogram(other), strict=True)]
    assert all(np.array_equal(a, b) for a, b in zip(both, apart, strict=True))


def limits_of(
    intervals: Array, *, closed: bool = True, span: float = 0, alone: float = 0.0
) -> Limits:
    counts, sums = histogram(intervals)
    return limits(
        counts,
        sums,
        alone=np.array([round(alone * SECOND)]),
        shortest=np.array([8 * SECOND]),
        closed=np.array([closed]),
        span=np.array([round(span * SECOND)]),
    )


def test_silence_is_two_and_a_half_periods() -> None:
    found = limits_of(np.full(SURE, 2.0))
    assert found.silence[0] == 5 * SECOND
    assert limits_of(np.full(SURE - 1, 2.0)).silence[0] == 10 * SECOND, "few samples: wider"
    assert limits_of(np.full(SURE, 2.0), alone=4.0).silence[0] == 6 * SECOND, "a learned gap"
    assert limits_of(np.full(SURE, 0.1)).silence[0] == LEAST_LIMIT
    assert found.low[0] < 2 * SECOND < found.high[0] < 5 * SECOND


def test_few_samples_are_not_judged() -> None:
    assert limits_of(np.full(ENOUGH_DECLARED - 1, 1.0)).period[0] == 0
    assert limits_of(np.full(ENOUGH_DECLARED, 1.0)).period[0] == SECOND
    assert limits_of(np.full(599, 1.0), closed=False).period[0] == 0, "ten minutes"
    assert limits_of(np.full(600, 1.0), closed=False).period[0] == SECOND
    assert limits_of(np.full(99, 10.0), closed=False).period[0] == 0, "a hundred intervals"


def test_what_comes_and_goes_is_not_expected() -> None:
    assert limits_of(np.full(300, 1.0), span=500).period[0] == SECOND
    assert limits_of(np.full(300, 1.0), span=700).period[0] == 0


def test_a_gap_counts_only_so_far() -> None:
    hour = np.array([3_600 * SECOND])
    assert silence_limit(np.array([SECOND]), hour)[0] == LONGEST_GAP // 2 * 3


def test_quantiles_are_edges_of_bins() -> None:
    counts, _ = histogram(np.r_[np.full(99, 1.0), 30.0])
    low = quantiles(counts, 0.99, INTERVAL_EDGES, upper=False)[0]
    high = quantiles(counts, 0.99, INTERVAL_EDGES, upper=True)[0]
    assert low <= SECOND < high
    assert high / low == pytest.approx(2 ** (1 / 4), rel=1e-6)
    assert quantiles(counts, 1.0, INTERVAL_EDGES, upper=True)[0] > 30 * SECOND
    assert quantiles(np.zeros_like(counts), 0.5, INTERVAL_EDGES, upper=True)[0] == 0
    beyond, _ = histogram(np.array([10_000.0]))
    assert quantiles(beyond, 0.5, INTERVAL_EDGES, upper=True)[0] == NEVER
