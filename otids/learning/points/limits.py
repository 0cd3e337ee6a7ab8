"""What a value may do: limits that follow from the summary of what it did.

A function of summaries alone: nothing of it is saved, and whoever learned the same has the same
limits. `learning/summaries.py` says what the columns of a summary mean.

Few samples say little about how far a value may go. Of a population of which n values were seen,
the share that lies outside of them is below q with a confidence of 95 % where
(1 + nq)·exp(-nq) = 0.05, which is nq = 4.744 (Wilks 1941: distribution-free tolerance limits,
two-sided, for large n). Values that follow each other are not independent: n counts changes, not
samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from otids.learning.points.pairs import FLOATS
from otids.traffic import SECOND, Array, Mask

WILKS = 4.744
SET_MARGIN, MEASURED_MARGIN = 0.1, 0.3
"""Shares of the span by which values may leave it: what people set is exact, noise has tails."""
STEP_FACTOR, STEP_SHARE = 1.5, 0.25
"""A jump is larger than the largest one by this factor, and at least this share of the span."""
RATE_FACTOR = 1.5
ENOUGH_STEPS = 100
ENOUGH_COUNTS, ENOUGH_FLOAT_COUNTS = 50, 500
WRAP_SHARE = 0.5
STANDSTILL_FACTOR, STANDSTILL_INTERVALS = 3, 30
LEAST_STANDSTILL = 30
"""Readings."""
RESTLESS_INTERVALS = 10
"""What never stood still for longer than so many changes take is always on the move."""
LEAST_RESTLESS = 10
ENOUGH_TAKEN = 3
LEAST_TAKING = 10 * SECOND
TAKING_FACTOR = 5
MOST_STATES = 16
ENOUGH_READINGS = 30
BACK_SECONDS = 5
"""A counter that is told late, by another connection, runs back by what it counts in these."""

NEVER_NS = 2**62

CONSTANT, COUNTER, CYCLE, STATES, CONTINUOUS, SET, TEXT = range(7)
TYPES = (
    "constant", "counter", "counter that wraps", "states", "measured", "set point", "text",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """Columns by row. Where nothing is judged they are infinite (times: `NEVER_NS`).

    What is asked of every value that moves stands side by side: memory is what limits it.
    """

    type: Array  # place in TYPES
    near: Array  # f64, in rows of four: lower, upper, reach; whether only states seen are normal
    written_lower: Array
    written_upper: Array
    step: Array  # either way
    rate: Array  # of counters, a second
    back: Array  # how far a counter may run back
    wrap: Array  # how far it falls when it begins anew
    frozen: Array  # readings without change
    taking: Array  # ns from a write until it is read back

    @property
    def lower(self) -> Array:
        """Values below are told."""
        return self.near[:, 0]

    @property
    def upper(self) -> Array:
        """Values above are told."""
        return self.near[:, 1]

    @property
    def reach(self) -> Array:
        """Steps up to this, either way, are within all limits of steps."""
        return self.near[:, 2]

    def silence(self, rows: Array) -> None:
        """Judge nothing of these rows any more."""
        for one in fields(self):
            getattr(self, one.name)[rows] = _SILENT[one.name]

    def grown(self, size: int) -> "Limits":
        """Room for so many rows; nothing is judged of new ones."""
        more = silent(size - len(self.type))
        return Limits(
            *[np.concatenate([getattr(one, f.name) for one in (self, more)]) for f in fields(self)]
        )


_SILENT: Mapping[str, float | tuple[float, ...]] = {
    "type": CONTINUOUS,
    "near": (-np.inf, np.inf, np.inf, 0.0),
    "written_lower": -np.inf,
    **dict.fromkeys(("written_upper", "step", "rate", "back", "wrap"), np.inf),
    **dict.fromkeys(("frozen", "taking"), NEVER_NS),
}


def silent(rows: int) -> Limits:
    """Limits that nothing leaves."""
    return Limits(
        **{name: np.full((rows, *np.shape(fill)), fill) for name, fill in _SILENT.items()}
    )


AT_ONCE = 4096
"""Rows whose limits are worked out at once: what is worked out on the way stays small."""


def limits_of(columns: Mapping[str, Array], form: Array) -> Limits:
    """Limits of all rows; `form` is how each value is made (place in `pairs.FORMS`)."""
    found = silent(len(form))
    for start in range(0, len(form), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        some = _limits_of({name: column[rows] for name, column in columns.items()}, form[rows])
        for one in fields(found):
            getattr(found, one.name)[rows] = getattr(some, one.name)
    return found


def _limits_of(columns: Mapping[str, Array], form: Array) -> Limits:
    low, high, ups, downs = (columns[name] for name in ("low", "high", "ups", "downs"))
    changes = ups + downs
    is_known = high >= low
    low, high = np.where(is_known, low, 0.0), np.where(is_known, high, 0.0)
    span = high - low
    type_ = _types(columns, form, span, is_known)
    missed = np.minimum(1.0, WILKS / (changes + 1))
    is_measured = type_ == CONTINUOUS
    margin = span * (np.where(is_measured, MEASURED_MARGIN, SET_MARGIN) + missed)
    margin = np.where((columns["fraction"] == 0) & (span > 0), np.maximum(margin, 1.0), margin)
    has_range = is_known & ((type_ == CONTINUOUS) | (type_ == SET) | (type_ == CYCLE))
    lower, upper = _written(columns, low, high, is_known)
    step, rate = _steps(columns, type_, span, missed), _rates(columns, type_, missed)
    back = _backs(columns, type_)
    near = (
        np.where(has_range, low - margin, -np.inf),
        np.where(has_range, high + margin, np.inf),
        np.minimum(np.minimum(step, back), rate + columns["up_step"]),
        _by_states(columns, type_),
    )
    return Limits(
        type=type_,
        near=np.column_stack(near),
        written_lower=lower,
        written_upper=upper,
        step=step,
        rate=rate,
        back=back,
        wrap=np.where(type_ == CYCLE, WRAP_SHARE * span, np.inf),
        frozen=_frozen(columns, type_, changes),
        taking=_taking(columns, type_),
    )


def _types(columns: Mapping[str, Array], form: Array, span: Array, is_known: Mask) -> Array:
    ups, downs, is_exact = columns["ups"], columns["downs"], columns["fraction"] == 0
    changes = ups + downs
    states = np.bitwise_count(columns["states"]).sum(axis=1)
    is_sparse = is_exact & (states <= MOST_STATES) & (span >= 2 * states) & (changes >= 3 * states)
    counts = np.where(is_exact & ~np.isin(form, FLOATS), ENOUGH_COUNTS, ENOUGH_FLOAT_COUNTS)
    rises = ups >= counts
    wraps = (downs > 0) & (columns["least_down"] >= WRAP_SHARE * span) & (ups >= 10 * downs)
    choices = [
        (columns["text"] > 0, TEXT),
        (columns["bit"] > 0, STATES),
        (columns["writes"] > 0, SET),
        (~is_known | (changes == 0), CONSTANT),
        (rises & (downs == 0), COUNTER),
        (rises & wraps, CYCLE),
        (is_sparse, STATES),
    ]
    found: Array = np.select(
        [where for where, _ in choices], [type_ for _, type_ in choices], CONTINUOUS
    )
    return found


def _written(
    columns: Mapping[str, Array], low: Array, high: Array, is_known: Mask
) -> tuple[Array, Array]:
    """Between which limits may be written: what was ever written or read, and a margin."""
    written = columns["writes"] > 0
    low = np.where(is_known, low, columns["written_low"])
    high = np.where(is_known, high, columns["written_high"])
    low = np.where(written, np.minimum(low, columns["written_low"]), low)
    high = np.where(written, np.maximum(high, columns["written_high"]), high)
    heard = is_known | written
    low, high = np.where(heard, low, 0.0), np.where(heard, high, 0.0)
    changes = np.maximum(columns["ups"] + columns["downs"], columns["writes"] - 1)
    margin = (high - low) * (SET_MARGIN + np.minimum(1.0, WILKS / (changes + 1)))
    is_judged = heard & (columns["text"] == 0)
    return (
        np.where(is_judged, low - margin, -np.inf),
        np.where(is_judged, high + margin, np.inf),
    )


def _by_states(columns: Mapping[str, Array], type_: Array) -> Mask:
    enough: Mask = columns["count"] >= ENOUGH_READINGS
    enough &= (type_ == STATES) | (type_ == CONSTANT) | (type_ == TEXT)
    return enough


def _steps(columns: Mapping[str, Array], type_: Array, span: Array, missed: Array) -> Array:
    largest = np.maximum(columns["up_step"], columns["down_step"])
    limit = np.maximum(largest * (STEP_FACTOR + missed), STEP_SHARE * span)
    is_judged = (type_ == CONTINUOUS) & (columns["steps"] >= ENOUGH_STEPS)
    return np.where(is_judged, limit, np.inf)


def _rates(columns: Mapping[str, Array], type_: Array, missed: Array) -> Array:
    is_judged = ((type_ == COUNTER) | (type_ == CYCLE)) & (columns["steps"] >= ENOUGH_COUNTS)
    return np.where(is_judged, columns["up_rate"] * (RATE_FACTOR + missed), np.inf)


def _backs(columns: Mapping[str, Array], type_: Array) -> Array:
    is_judged = ((type_ == COUNTER) | (type_ == CYCLE)) & (columns["steps"] >= ENOUGH_COUNTS)
    late = BACK_SECONDS * columns["up_rate"] + columns["up_step"]
    return np.where(is_judged, late, np.inf)


def _frozen(columns: Mapping[str, Array], type_: Array, changes: Array) -> Array:
    interval = columns["count"] // np.maximum(changes, 1) + 1
    longest = columns["standstill"]
    moves = (type_ == CONTINUOUS) | (type_ == COUNTER) | (type_ == CYCLE)
    restless = longest <= np.maximum(RESTLESS_INTERVALS * interval, LEAST_RESTLESS)
    is_judged = moves & restless & (changes >= ENOUGH_STEPS)
    limit = np.maximum(STANDSTILL_FACTOR * longest, STANDSTILL_INTERVALS * interval)
    return np.where(is_judged, np.maximum(limit, LEAST_STANDSTILL), NEVER_NS)


def _taking(columns: Mapping[str, Array], type_: Array) -> Array:
    is_judged = (type_ != TEXT) & (columns["taken"] >= ENOUGH_TAKEN) & (columns["ignored"] == 0)
    limit = np.maximum(TAKING_FACTOR * columns["taking"], LEAST_TAKING)
    return np.where(is_judged, limit, NEVER_NS)
