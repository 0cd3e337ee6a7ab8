"""Says in words what a value is, what it did, and what it usually does."""

from typing import Protocol

from otids.learning.points.limits import CONSTANT, STATES, TEXT, TYPES
from otids.learning.points.summaries import Quantity
from otids.traffic import SECOND, Array


class Columns(Protocol):
    """Summaries of values, by column."""

    def __getitem__(self, column: str, /) -> Array:
        """One column, by row."""


_EXACT = 1e9
_SHOWN_STATES = 8


def spell_quantity(quantity: Quantity) -> str:
    """The point or the two, of which unit, and how they are read."""
    point = quantity.point
    if not quantity.form:
        return str(point)
    what = f"{point.kind} {point.address}–{point.address + 1}"
    unit = f" of unit {point.unit}" if point.unit else ""
    return f"{what}{unit} ({quantity.form})"


def spell_number(number: float) -> str:
    """A number as people read it."""
    if number == int(number) and abs(number) < _EXACT:
        return f"{int(number):,}" if abs(number) >= 100_000 else str(int(number))  # noqa: PLR2004
    return f"{number:,.0f}" if abs(number) >= _EXACT else f"{number:.6g}"


def spell_value(number: float) -> str:
    """A value, or that it is none."""
    return "no number" if number != number else spell_number(number)  # noqa: PLR0124  (NaN)


def spell_time(time: float) -> str:
    """A span of ns."""
    seconds = time / SECOND
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def spell_span(columns: Columns, row: int, *, written: bool = False) -> str:
    """Between which values it stayed, and how well that is known."""
    low, high = float(columns["low"][row]), float(columns["high"][row])
    writes = int(columns["writes"][row])
    if written and writes:
        low = min(low, float(columns["written_low"][row]))
        high = max(high, float(columns["written_high"][row]))
    if low == high:
        said = f"always {spell_number(low)}"
    else:
        said = f"{spell_number(low)} to {spell_number(high)}"
    if written and not writes:
        return f"{said} (never written)"
    if written:
        return f"{said} ({writes:,} {'write' if writes == 1 else 'writes'} learned)"
    changes = int(columns["ups"][row] + columns["downs"][row])
    return f"{said} ({changes:,} {'change' if changes == 1 else 'changes'} learned)"


def spell_states(columns: Columns, row: int, type_: int) -> str:
    """Which states it ever took."""
    count = int(columns["count"][row])
    if type_ == TEXT:
        return f"no other text in {count:,} readings"
    if type_ == CONSTANT or columns["low"][row] == columns["high"][row]:
        return f"always {spell_number(float(columns['low'][row]))} ({count:,} readings)"
    bits = int.from_bytes(columns["states"][row].astype("<u8").tobytes(), "little")
    states = [place for place in range(256) if bits >> place & 1]
    if columns["high"][row] < 256 and columns["low"][row] >= 0:  # noqa: PLR2004
        shown = ", ".join(map(str, states[:_SHOWN_STATES]))
        return f"one of {shown} ({count:,} readings)"
    return f"one of {len(states)} states ({count:,} readings)"


def spell_summary(quantity: Quantity, columns: Columns, row: int, type_: int) -> str:
    """Everything that a verdict about a value rests on, as a row of the baseline."""
    said = [f"{spell_quantity(quantity)}: {TYPES[type_]}"]
    if type_ in {CONSTANT, STATES, TEXT}:
        said.append(spell_states(columns, row, type_))
    else:
        said.append(spell_span(columns, row))
        step = max(float(columns["up_step"][row]), float(columns["down_step"][row]))
        said.append(f"steps up to {spell_number(step)}")
    if columns["writes"][row]:
        said.append(f"written {spell_span(columns, row, written=True)}")
    return ", ".join(said)
