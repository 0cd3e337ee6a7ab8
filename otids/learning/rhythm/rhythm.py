"""What intervals and delays show: histograms that commute, and the limits that follow from them.

A histogram has bins of a quarter octave (19 %) and counts in whole numbers, so that learning
apart and adding gives what learning both gives, bit by bit.
"""

from dataclasses import dataclass

import numpy as np

from otids.traffic import SECOND, Array, Mask

BINS = 64
NEVER = 2**62
"""A moment that does not come, ns."""
LONG_AGO = -NEVER
"""A moment at which something was last heard that was not heard yet, ns."""

SHORTEST_INTERVAL = 10_000_000
"""Lower end of the bins of intervals, ns; the upper one is 650 s."""
SHORTEST_DELAY = 100_000
"""Lower end of the bins of response times, ns; the upper one is 6.5 s."""

RUN = 8
"""Intervals over which a rate is measured."""
ENOUGH = 100
"""Intervals (or answers) after which a symbol is judged that nobody declared."""
ENOUGH_DECLARED = 10
ENOUGH_TIME = 600 * SECOND
"""Time that the intervals of a symbol must fill before it is judged if nobody declared it."""
SURE = 59
"""Samples whose extremes hold 95 % of all that comes, with 95 % confidence (Wilks 1941)."""
WIDENED = 2
"""By what limits are widened that rest on fewer samples than `SURE`."""
ONE_PERIOD = 0.75
"""Share of intervals that must be near one period (within 19 %), or ..."""
TWO_PERIODS = 0.95
"""... near one of two periods, for a symbol to be cyclic."""
PRESENT = 0.5
"""Share of the time that a cyclic symbol's intervals must fill; else it comes and goes."""
LONGEST_PERIOD = 600 * SECOND
LEAST_LIMIT = 2 * SECOND
"""No silence is shorter: what is said every 100 ms may pause while a computer is busy."""
LONGEST_GAP = 900 * SECOND
"""Learned gaps count up to this: a pause of an hour must not blind for longer."""
PERIODS_MISSED = 2.5


def edges_of(shortest: int) -> Array:
    """The 63 inner edges of the bins, ns, the first one at `shortest`."""
    return np.array([round(shortest * 2 ** (place / 4)) for place in range(BINS - 1)], np.int64)


INTERVAL_EDGES = edges_of(SHORTEST_INTERVAL)
DELAY_EDGES = edges_of(SHORTEST_DELAY)


def quantiles(histograms: Array, share: float, edges: Array, *, upper: bool) -> Array:
    """The upper or lower edge (ns) of the bin in which a quantile lies, of rows of counts.

    The last bin has no upper edge: there it is `NEVER`. Of nothing it is 0.
    """
    counts = histograms.astype(np.int64).cumsum(axis=1)
    total = counts[:, -1]
    wanted = np.maximum(np.ceil(share * total), 1)
    bins = np.minimum((counts < wanted[:, None]).sum(axis=1), BINS - 1)
    bounds = np.concatenate([[0], edges, [NEVER]])
    found: Array = np.where(total > 0, bounds[bins + int(upper)], 0)
    return found


@dataclass(frozen=True, slots=True)
class Cycles:
    """What histograms of intervals (a row each) say of periods."""

    count: Array  # intervals
    time: Array  # ns that they fill
    regular: Array  # ns that those near the periods fill
    period: Array  # ns, the longer one of two; 0: not cyclic


def cycles(histograms: Array, sums: Array) -> Cycles:
    """Tell what is said in cycles from what is said when something happens.

    `histograms` (n, 64) counts intervals, `sums` (n, 64) adds up their nanoseconds.
    """
    every = np.arange(len(histograms))
    counts = histograms.astype(np.int64)
    total = counts.sum(axis=1)
    pairs, lengths = counts[:, :-1] + counts[:, 1:], sums[:, :-1] + sums[:, 1:]
    best = pairs.argmax(axis=1)
    one, one_time = pairs[every, best], lengths[every, best]
    # The other period is so far off that a broad spread of intervals is not taken for two.
    apart = np.abs(np.arange(BINS - 1)[None, :] - best[:, None]) >= 3  # noqa: PLR2004
    others = np.where(apart, pairs, 0)
    second = others.argmax(axis=1)
    two, two_time = others[every, second], lengths[every, second]
    has_one = one >= ONE_PERIOD * total
    has_two = ~has_one & (one + two >= TWO_PERIODS * total) & (5 * two >= total)
    first_period = one_time // np.maximum(one, 1)
    second_period = two_time // np.maximum(two, 1)
    period = np.where(has_two, np.maximum(first_period, second_period), first_period)
    is_cyclic = (has_one | has_two) & (total > 0) & (period <= LONGEST_PERIOD)
    return Cycles(
        total,
        sums.sum(axis=1),
        one_time + np.where(has_two, two_time, 0),
        np.where(is_cyclic, np.maximum(period, 1), 0),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still normal of each row; of one that is not judged, `period` and all else is 0."""

    period: Array  # ns
    silence: Array  # ns without it that are no silence yet
    run: Array  # ns that `RUN` intervals take at least
    low: Array  # ns, the spread of intervals
    high: Array


def limits(
    histograms: Array, sums: Array, *, alone: Array, shortest: Array, closed: Mask, span: Array
) -> Limits:
    """Derive limits from what was learned: `alone` is the longest gap, `shortest` the shortest run.

    `span` is for how long (ns) the plant was listened to since each row could be heard.
    """
    found = cycles(histograms, sums)
    enough = np.where(
        closed,
        found.count >= ENOUGH_DECLARED,
        (found.count >= ENOUGH) & (found.time >= ENOUGH_TIME),
    )
    is_judged = enough & (found.period > 0) & (found.regular >= PRESENT * span)
    period = np.where(is_judged, found.period, 0)
    widened = np.where(found.count < SURE, WIDENED, 1)
    silence = silence_limit(period * widened, alone)
    run = np.where(shortest < NEVER, shortest * 2 // 3 // widened, 0)
    low = quantiles(histograms, 0.01, INTERVAL_EDGES, upper=False) * 9 // 10 // widened
    high = quantiles(histograms, 0.99, INTERVAL_EDGES, upper=True) // 10 * 11 * widened
    return Limits(
        period,
        np.where(is_judged, silence, 0),
        np.where(is_judged, run, 0),
        np.where(is_judged, low, 0),
        np.where(is_judged, np.clip(high, 0, NEVER), 0),
    )


def silence_limit(period: Array, longest: Array) -> Array:
    """How long (ns) it takes to call it silence: 2.5 periods, or 1.5 times the longest gap."""
    periods = (period * PERIODS_MISSED).astype(np.int64)
    gaps = np.minimum(longest, np.maximum(LONGEST_GAP, 4 * periods)) // 2 * 3
    limit: Array = np.maximum(np.maximum(periods, gaps), LEAST_LIMIT)
    return limit
