"""Values that deviate: what each does, in words, how grave it is, and what accepting allows."""

import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from otids.learning.causes import Cause, Causes
from otids.learning.points.limits import CONSTANT, STATES, WILKS, Limits
from otids.learning.points.points import Points
from otids.learning.points.quantities import (
    spell_number,
    spell_quantity,
    spell_span,
    spell_states,
    spell_time,
    spell_value,
)
from otids.learning.points.summaries import Quantity
from otids.traffic import Array, Mask

NAME = "values"

SLIGHT, FAR_OUT = 0.1, 0.25
"""Shares of the learned span by which a value is slightly, or far, beyond its limit."""
FAST = 10
LARGE_STEP = 0.75
LONG_STILL = 2


class Kind(Enum):
    """What a value does; several are told under one name."""

    RANGE = auto()
    WRITTEN = auto()
    STEP = auto()
    FAST = auto()
    ANEW = auto()
    FROZEN = auto()
    BACK = auto()
    AHEAD = auto()
    IGNORED = auto()
    STATE = auto()

    @property
    def word(self) -> str:
        """The end of the name in the catalogue."""
        return _NAMES[self]


_NAMES = {
    Kind.RANGE: "out-of-range",
    Kind.WRITTEN: "written-out-of-range",
    Kind.STEP: "step",
    Kind.FAST: "rate",
    Kind.ANEW: "rate",
    Kind.FROZEN: "frozen",
    Kind.BACK: "repeated",
    Kind.AHEAD: "repeated",
    Kind.IGNORED: "not-taken",
    Kind.STATE: "new-state",
}


@dataclass(frozen=True, slots=True)
class Deviation:
    """One value that deviates, in one message."""

    kind: Kind
    row: int
    message: int  # row of the tick's messages
    value: float
    before: float = 0.0  # the value before; of what stands still, the limit; what was written
    elapsed: float = 0.0  # ns since then
    readings: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """A deviation in words, and how grave it is."""

    expected: str
    observed: str
    severity: str
    weak: bool = False


def judgeable(limits: Limits, rows: Array) -> Mask:
    """Whether there is a range that values may leave."""
    finite: Mask = np.isfinite(limits.upper[rows])
    return finite


# --- causes ------------------------------------------------------------------------------------


def cause_of(points: Points, one: Deviation) -> Cause:
    """What accepting makes normal: of one value, how far it may go, or what it may do."""
    quantity: Quantity = points.ledger.name(one.row)
    return (NAME, one.kind.word, *_flat(quantity), _bound(points, one))


def _flat(quantity: Quantity) -> tuple[str | int, ...]:
    server, protocol, unit, kind, address, name = quantity.point
    return (server.vlan, server.address, protocol, unit, kind, address, name, quantity.form)


def _bound(points: Points, one: Deviation) -> str:
    """How far a value may go: rounded up, so that what moves out there is one cause."""
    if one.kind is Kind.STATE:
        return repr(one.value)
    if one.kind not in {Kind.RANGE, Kind.WRITTEN} or not math.isfinite(one.value):
        return ""
    lower, upper, span = _limits(points, one)
    unit = max(span, abs(lower), abs(upper), 1e-9)
    if one.value > upper:
        reach = upper + math.ceil((one.value - upper) / unit) * unit
        return f"up to {max(reach, one.value)!r}"
    reach = lower - math.ceil((lower - one.value) / unit) * unit
    return f"down to {min(reach, one.value)!r}"


def _limits(points: Points, one: Deviation) -> tuple[float, float, float]:
    """Lower and upper limit, and the span that was learned."""
    limits, row = points.limits, one.row
    low, high = float(points["low"][row]), float(points["high"][row])
    if one.kind is not Kind.WRITTEN:
        return float(limits.lower[row]), float(limits.upper[row]), max(high - low, 0.0)
    if points["writes"][row]:
        low = min(low, float(points["written_low"][row]))
        high = max(high, float(points["written_high"][row]))
    lower, upper = float(limits.written_lower[row]), float(limits.written_upper[row])
    return lower, upper, max(high - low, 0.0)


def is_accepted(causes: Causes, points: Points, one: Deviation) -> bool:
    """Whether a person has said that this is normal: that it goes so far, or farther."""
    if not len(causes):
        return False
    cause = cause_of(points, one)
    if cause in causes:
        return True
    if one.kind not in {Kind.RANGE, Kind.WRITTEN}:
        return False
    direction = str(cause[-1]).rpartition(" ")[0]
    return any(
        other[:-1] == cause[:-1] and _reaches(str(other[-1]), direction, one.value)
        for other in causes
    )


def _reaches(bound: str, direction: str, value: float) -> bool:
    words, _, number = bound.rpartition(" ")
    try:
        reach = float(number)
    except ValueError:
        return False
    return words == direction and (value <= reach if words == "up to" else value >= reach)


# --- words -------------------------------------------------------------------------------------


def spell(points: Points, one: Deviation) -> Words:
    """Say what was expected and observed, and how grave it is."""
    what = spell_quantity(points.ledger.name(one.row))
    say = {
        Kind.RANGE: _range,
        Kind.WRITTEN: _written,
        Kind.STATE: _state,
        Kind.STEP: _step,
        Kind.FAST: _fast,
        Kind.ANEW: _anew,
        Kind.BACK: _back,
        Kind.AHEAD: _ahead,
        Kind.FROZEN: _frozen,
        Kind.IGNORED: _ignored,
    }[one.kind]
    return say(points, one, what)


def _excess(points: Points, one: Deviation) -> float:
    """How far beyond its limit a value is, in spans."""
    lower, upper, span = _limits(points, one)
    beyond = max(one.value - upper, lower - one.value)
    return beyond / span if span > 0 and math.isfinite(beyond) else math.inf


def _range(points: Points, one: Deviation, what: str) -> Words:
    excess = _excess(points, one)
    return Words(
        f"{what}: {spell_span(points, one.row)}",
        f"{what} is {spell_value(one.value)}",
        "medium" if excess >= FAR_OUT else "low",
        weak=excess < SLIGHT,
    )


def _written(points: Points, one: Deviation, what: str) -> Words:
    excess = _excess(points, one)
    is_setting = points["writes"][one.row] > 0 and not points["bit"][one.row]
    grave = "high" if excess >= FAR_OUT else "medium"
    return Words(
        f"{what}: {spell_span(points, one.row, written=True)}",
        f"{what} is set to {spell_value(one.value)}",
        grave if is_setting else "low",
        weak=not points["writes"][one.row],  # that somebody writes here at all is the news
    )


def _state(points: Points, one: Deviation, what: str) -> Words:
    type_ = int(points.limits.type[one.row])
    is_text = type_ not in {CONSTANT, STATES}
    now = "another text" if is_text else spell_value(one.value)
    return Words(
        f"{what}: {spell_states(points, one.row, type_)}", f"{what} is {now}", "low", weak=True
    )


def _step(points: Points, one: Deviation, what: str) -> Words:
    largest = max(float(points["up_step"][one.row]), float(points["down_step"][one.row]))
    span = float(points["high"][one.row] - points["low"][one.row])
    size = abs(one.value - one.before)
    return Words(
        f"{what} moves by {spell_number(largest)} at most",
        f"{what} jumps from {spell_number(one.before)} to {spell_value(one.value)} "
        f"within {spell_time(one.elapsed)}",
        "low",
        weak=size < LARGE_STEP * span,
    )


def _fast(points: Points, one: Deviation, what: str) -> Words:
    usual = float(points["up_rate"][one.row])
    rate = (one.value - one.before) / max(one.elapsed / 1e9, 1.0)
    is_fast = rate >= FAST * usual
    return Words(
        f"{what} counts {spell_number(usual)} a second at most",
        f"{what} rises by {spell_number(one.value - one.before)} within {spell_time(one.elapsed)}",
        "medium" if is_fast else "low",
        weak=not is_fast,
    )


def _anew(_: Points, one: Deviation, what: str) -> Words:
    return Words(
        f"{what} counts up",
        f"{what} begins anew: {spell_value(one.value)} after {spell_number(one.before)}",
        "low",
        weak=True,
    )


def _back(points: Points, one: Deviation, what: str) -> Words:
    return Words(
        f"{what} only counts up ({int(points['ups'][one.row]):,} times learned)",
        f"{what} runs back from {spell_number(one.before)} to {spell_value(one.value)} "
        f"within {spell_time(one.elapsed)}, without a pause in which its device restarted",
        "medium",
    )


def _ahead(points: Points, one: Deviation, what: str) -> Words:
    usual = float(points["up_rate"][one.row])
    return Words(
        f"{what} counts {spell_number(usual)} a second at most",
        f"{what} ran back and jumps from {spell_number(one.before)} on to "
        f"{spell_value(one.value)} within {spell_time(one.elapsed)}",
        "medium",
    )


def _frozen(points: Points, one: Deviation, what: str) -> Words:
    still = one.row if not points.form[one.row] else int(np.flatnonzero(points.pair == one.row)[0])
    longest = int(points["standstill"][still])
    return Words(
        f"{what} never stood still for more than {longest} readings",
        f"{what} stands at {spell_value(one.value)} for {one.readings} readings "
        f"({spell_time(one.elapsed)})",
        "medium" if one.readings >= LONG_STILL * one.before else "low",
    )


def _ignored(points: Points, one: Deviation, what: str) -> Words:
    taking = float(points["taking"][one.row])
    return Words(
        f"{what} shows what is written to it within {spell_time(taking)} "
        f"({int(points['taken'][one.row])} writes learned)",
        f"{what} is still {spell_value(one.value)} {spell_time(one.elapsed)} after it was set "
        f"to {spell_number(one.before)}",
        "medium",
    )


def sureness(points: Points, row: int) -> float:
    """How much was learned of a value, from 0.1 to 1."""
    changes = int(points["ups"][row] + points["downs"][row] + points["writes"][row])
    return round(1 - min(0.9, WILKS / (changes + 1)), 4)
