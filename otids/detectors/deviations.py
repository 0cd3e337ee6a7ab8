"""Findings of the values detector: deviations of one kind and device are told as one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from otids.detectors.base import MOST_MEMBERS, Cause, Finding, finding_over
from otids.learning.causes import Causes
from otids.learning.limits import CONSTANT, STATES, WILKS, Limits
from otids.learning.points import Points, Quantity
from otids.learning.quantities import (
    spell_number,
    spell_quantity,
    spell_span,
    spell_states,
    spell_summary,
    spell_time,
    spell_value,
)
from otids.learning.words import spell_list
from otids.traffic import Array, ConversationName, Mask, Tick

NAME = "values"

SLIGHT, FAR_OUT = 0.1, 0.25
"""Shares of the learned span by which a value is slightly, or far, beyond its limit."""
FAST = 10
LARGE_STEP = 0.75
LONG_STILL = 2
SEVERAL = 3
MOST_FINDINGS = 64
MOST_BASELINE = 12


class Kind(StrEnum):
    """What a value does; the value is the end of the kind of finding."""

    RANGE = "out-of-range"
    WRITTEN = "written-out-of-range"
    STEP = "step"
    FAST = "rate"
    ANEW = "rate "
    FROZEN = "frozen"
    BACK = "repeated"
    IGNORED = "not-taken"
    STATE = "new-state"

    @property
    def kind(self) -> str:
        """The dotted name in the catalogue."""
        return f"{NAME}.{self.strip()}"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One value that deviates, in one message."""

    kind: Kind
    row: int
    message: int  # row of the tick's messages
    value: float
    before: float = 0.0  # the value before; of what stands still, the limit (ns); what was written
    elapsed: float = 0.0  # ns since then


@dataclass(frozen=True, slots=True)
class _Words:
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
    return (NAME, str(one.kind.strip()), *_flat(quantity), _bound(points, one))


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
    return any(
        other[:-1] == cause[:-1] and _reaches(str(other[-1]), one.value)
        for other in causes
        if len(other) == len(cause)
    )


def _reaches(bound: str, value: float) -> bool:
    direction, _, number = bound.rpartition(" ")
    try:
        reach = float(number)
    except ValueError:
        return False
    if direction == "up to":
        return 0 <= value <= reach or reach >= value > 0
    return direction == "down to" and value >= reach


# --- words -------------------------------------------------------------------------------------


def _words(points: Points, one: Deviation) -> _Words:
    what = spell_quantity(points.ledger.name(one.row))
    say = {
        Kind.RANGE: _range,
        Kind.WRITTEN: _written,
        Kind.STATE: _state,
        Kind.STEP: _step,
        Kind.FAST: _fast,
        Kind.ANEW: _anew,
        Kind.BACK: _back,
        Kind.FROZEN: _frozen,
        Kind.IGNORED: _ignored,
    }[one.kind]
    return say(points, one, what)


def _excess(points: Points, one: Deviation) -> float:
    """How far beyond its limit a value is, in spans."""
    lower, upper, span = _limits(points, one)
    beyond = max(one.value - upper, lower - one.value)
    return beyond / span if span > 0 and math.isfinite(beyond) else math.inf


def _range(points: Points, one: Deviation, what: str) -> _Words:
    excess = _excess(points, one)
    return _Words(
        f"{what} {spell_span(points, one.row)}",
        f"{what} is {spell_value(one.value)}",
        "medium" if excess >= FAR_OUT else "low",
        weak=excess < SLIGHT,
    )


def _written(points: Points, one: Deviation, what: str) -> _Words:
    excess = _excess(points, one)
    is_setting = points["writes"][one.row] > 0 and not points["bit"][one.row]
    grave = "high" if excess >= FAR_OUT else "medium"
    return _Words(
        f"{what} {spell_span(points, one.row, written=True)}",
        f"{what} is set to {spell_value(one.value)}",
        grave if is_setting else "low",
    )


def _state(points: Points, one: Deviation, what: str) -> _Words:
    type_ = int(points.limits.type[one.row])
    is_text = type_ not in {CONSTANT, STATES}
    now = "another text" if is_text else spell_value(one.value)
    return _Words(
        f"{what} {spell_states(points, one.row, type_)}", f"{what} is {now}", "low", weak=True
    )


def _step(points: Points, one: Deviation, what: str) -> _Words:
    largest = max(float(points["up_step"][one.row]), float(points["down_step"][one.row]))
    span = float(points["high"][one.row] - points["low"][one.row])
    size = abs(one.value - one.before)
    return _Words(
        f"{what} moves by {spell_number(largest)} at most",
        f"{what} jumps from {spell_number(one.before)} to {spell_value(one.value)} "
        f"within {spell_time(one.elapsed)}",
        "low",
        weak=size < LARGE_STEP * span,
    )


def _fast(points: Points, one: Deviation, what: str) -> _Words:
    usual = float(points["up_rate"][one.row])
    rate = (one.value - one.before) / max(one.elapsed / 1e9, 1.0)
    is_fast = rate >= FAST * usual
    return _Words(
        f"{what} counts {spell_number(usual)} a second at most",
        f"{what} rises by {spell_number(one.value - one.before)} within {spell_time(one.elapsed)}",
        "medium" if is_fast else "low",
        weak=not is_fast,
    )


def _anew(points: Points, one: Deviation, what: str) -> _Words:
    return _Words(
        f"{what} counts up",
        f"{what} begins anew: {spell_value(one.value)} after {spell_number(one.before)}",
        "low",
        weak=True,
    )


def _back(points: Points, one: Deviation, what: str) -> _Words:
    return _Words(
        f"{what} only counts up ({int(points['ups'][one.row]):,} times learned)",
        f"{what} runs back from {spell_number(one.before)} to {spell_value(one.value)} "
        f"within {spell_time(one.elapsed)}, without a pause in which its device restarted",
        "medium",
    )


def _frozen(points: Points, one: Deviation, what: str) -> _Words:
    longest = float(points["standstill"][one.row])
    return _Words(
        f"{what} never stood still for more than {spell_time(longest)}",
        f"{what} stands at {spell_value(one.value)} for {spell_time(one.elapsed)}",
        "medium" if one.elapsed >= LONG_STILL * one.before else "low",
    )


def _ignored(points: Points, one: Deviation, what: str) -> _Words:
    taking = float(points["taking"][one.row])
    return _Words(
        f"{what} shows what is written to it within {spell_time(taking)} "
        f"({int(points['taken'][one.row])} writes learned)",
        f"{what} is still {spell_value(one.value)} {spell_time(one.elapsed)} after it was set "
        f"to {spell_number(one.before)}",
        "medium",
    )


# --- findings ----------------------------------------------------------------------------------


def tell(tick: Tick, points: Points, found: Iterable[Deviation]) -> list[Finding]:
    """One finding for each kind and device, and of writes for each writer."""
    groups: dict[tuple[Any, ...], list[Deviation]] = {}
    for one in found:
        conversation = tick.names.conversation(int(tick.tables.messages.conversation[one.message]))
        point = points.ledger.name(one.row).point
        writer = conversation.client if one.kind is Kind.WRITTEN else None
        groups.setdefault((one.kind.kind, point.server, point.unit, writer), []).append(one)
    findings = [_finding(tick, points, key, group) for key, group in groups.items()]
    return findings[:MOST_FINDINGS]


def _finding(
    tick: Tick, points: Points, key: tuple[Any, ...], group: Sequence[Deviation]
) -> Finding:
    kind, server, unit, writer = key
    words = [_words(points, one) for one in group[:MOST_MEMBERS]]
    order = ("info", "low", "medium", "high")
    severity = max((one.severity for one in words), key=order.index)
    several = len({one.row for one in group})
    if kind == Kind.FROZEN.kind and several >= SEVERAL:
        severity = "medium"
    conversations = dict.fromkeys(_conversation(tick, one.message) for one in group)
    first = next(iter(conversations))
    quantities = [points.ledger.name(row) for row in dict.fromkeys(one.row for one in group)]
    where = tuple(map(spell_quantity, quantities))[:MOST_MEMBERS]
    more = f"; and {len(group) - MOST_MEMBERS} more" if len(group) > MOST_MEMBERS else ""
    rows = np.unique([one.message for one in group])
    return finding_over(
        tick,
        {"messages": rows},
        detector=NAME,
        kind=kind,
        cause=(NAME, kind.partition(".")[2], server.vlan, server.address, unit)
        + ((writer.vlan, writer.address) if writer else ()),
        expected=spell_list((one.expected for one in words), "; ", most=3),
        observed=spell_list((one.observed for one in words), "; ", most=3) + more,
        source=writer or server,
        target=server if writer else first.client,
        conversation=first if len(conversations) == 1 else None,
        points=where,
        members=where,
        severity=severity,
        weak=all(one.weak for one in words) and several < SEVERAL,
        accepts=tuple(dict.fromkeys(cause_of(points, one) for one in group))[:MOST_MEMBERS],
        score=max(_sureness(points, one.row) for one in group),
        baseline=_baseline(points, [one.row for one in group]),
    )


def _conversation(tick: Tick, message: int) -> ConversationName:
    return tick.names.conversation(int(tick.tables.messages.conversation[message]))


def _sureness(points: Points, row: int) -> float:
    changes = int(points["ups"][row] + points["downs"][row] + points["writes"][row])
    return round(1 - min(0.9, WILKS / (changes + 1)), 4)


def _baseline(points: Points, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(
        spell_summary(points.ledger.name(row), _columns(points), row, int(points.limits.type[row]))
        for row in list(dict.fromkeys(rows))[:MOST_BASELINE]
    )


def _columns(points: Points) -> Mapping[str, Array]:
    return points  # type: ignore[return-value]
