"""How often things happen at most: learned maxima over windows of a few lengths, by name.

A *slot* is one count over windows of one length, which begin at whole multiples of it. What is
learned is the most that a window ever held: a maximum, which commutes and which lost frames can
only lower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from otids.learning.ledger import UNKNOWN, Column, Ledger, Spell
from otids.traffic import Array, Dictionaries, Mask

GROWTH = 2
"""What was earned without declaration may grow to so many times what it was when it was earned:
whoever goes slower by and by still meets a bound."""
MOST_LEARNING = 4_096
"""Names that are not known yet: beyond that those that were met first go."""
ENOUGH_SECONDS = 600
"""Seconds of listening after which, without declaration, a maximum counts as known."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A window's length in seconds, and what deviates.

    That is what exceeds the most that was learned by `floor`, and `factor` times.
    """

    seconds: int
    floor: int
    factor: int


class RatesState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form: a ledger, and the numbers of the windows that are open, if any is."""

    ledger: dict[str, Any]
    windows: list[int] | None


class Rates:
    """Counts and learned maxima, a row for each name and a column for each slot."""

    def __init__(self, kind: Any, slots: Sequence[Slot], most: int) -> None:
        """`kind` is the type of the names (`Ledger`), of which there are at most `most`."""
        width = (len(slots),)
        self.ledger = Ledger(
            kind,
            {
                "heard": Column("<i8", low=-(2**53), high=2**53, width=width),  # in open windows
                "flagged": Column("<i8", low=-(2**53), high=2**53, width=width),  # of those
                "most": Column("<i8", low=0, high=2**53, width=width),
                "base": Column("<i8", low=0, high=2**53, width=width),  # `most` when it was earned
                "met": Column("<i8", low=0, high=2**53),  # seconds listened when it was first met
                "closed": Column("|u1", low=0, high=1),  # a person said that learning is over
            },
            most,
        )
        self._slots = tuple(slots)
        self._floors = np.array([slot.floor for slot in slots], np.int64)
        self._factors = np.array([slot.factor for slot in slots], np.int64)
        self._places = np.arange(len(slots))
        self._windows: list[int] | None = None  # numbers of the open ones, by slot
        self._peaks = [0] * len(self._slots)  # at least what the fullest open window holds

    def follow(self, names: Dictionaries, size: int) -> None:
        """Follow the dictionaries, whose ids of our kind are below `size`."""
        self.ledger.follow(names, size)

    def meet(self, ids: Array, spell: Spell, second: int, listened: int) -> None:
        """Make the rows that are missing; at the bound, of those that are not known yet some go."""
        ledger = self.ledger
        rows = ledger.find(ids, spell)
        if not np.count_nonzero(rows == UNKNOWN):
            return
        size, free = ledger.size, ~ledger.in_use
        made = ledger.enter(ids[rows == UNKNOWN], spell, second)
        made = np.unique(made[made != UNKNOWN])
        fresh = made[(made >= size) | np.append(free, True)[np.minimum(made, size)]]
        ledger["met"][fresh] = listened
        self._make_room(listened)

    def _make_room(self, listened: int) -> None:
        ledger = self.ledger
        rows = np.flatnonzero(ledger.in_use & ~self._is_known(slice(None), listened))
        if len(rows) > MOST_LEARNING:
            # By name where it was in the same second: rows stand otherwise after a restart.
            touched = ledger["touched"]
            order = sorted(rows.tolist(), key=lambda row: (int(touched[row]), ledger.name(row)))
            ledger.drop(np.array(order[: len(rows) - MOST_LEARNING * 3 // 4], np.int64))

    def is_known(self, rows: Array, listened: int) -> Mask:
        """Whether the maxima of rows are known after so many seconds of listening."""
        if not self.ledger.size:
            return np.zeros(len(rows), np.bool_)
        known: Mask = self._is_known(rows, listened) & (rows != UNKNOWN)
        return known

    def _is_known(self, rows: Any, listened: int) -> Mask:
        ledger = self.ledger
        known: Mask = (ledger["closed"][rows] > 0) | (
            listened - ledger["met"][rows] >= ENOUGH_SECONDS
        )
        return known

    def most(self, rows: Array, slots: slice) -> Array:
        """The learned maxima of rows (a line each); 0 where there is no row."""
        return self._values("most", rows, slots)

    def _values(self, column: str, rows: Array, slots: slice) -> Array:
        ledger = self.ledger
        if not ledger.size:
            return np.zeros((len(rows), slots.stop - slots.start), np.int64)
        values: Array = ledger[column][rows, slots]
        if rows.min() == UNKNOWN:
            values[rows == UNKNOWN] = 0
        return values

    def may_exceed(self, slots: slice, counts: Array, second: int) -> bool:
        """Whether with `counts` more any window can hold more than is allowed to everybody.

        A cheap look before `totals`: False for almost every tick.
        """
        more = int(counts.max())
        for place in range(slots.start, slots.stop):
            held = self._peaks[place] if self._is_open(place, second) else 0
            if more + held > self._slots[place].floor:
                return True
        return False

    def limits(self, most: Array, slots: slice) -> Array:
        """What windows may hold at most whose learned maxima are `most`."""
        limits: Array = np.maximum(self._factors[slots] * most, most + self._floors[slots])
        return limits

    def totals(self, rows: Array, slots: slice, counts: Array, second: int) -> Array:
        """What the open windows of rows hold, with `counts` (a number each) more at `second`."""
        heard = self._values("heard", rows, slots)
        for place in range(slots.start, slots.stop):
            if not self._is_open(place, second):
                heard[:, place - slots.start] = 0
        totals: Array = heard + counts[:, None]
        return totals

    def _is_open(self, slot: int, second: int) -> bool:
        """Whether the window of a slot in which `second` lies is the one that is counted."""
        windows = self._windows
        return windows is not None and windows[slot] == second // self._slots[slot].seconds

    def _turn(self, slots: slice, second: int) -> None:
        """Windows that are over at `second` are forgotten."""
        if self._windows is None:
            self._windows = [-1] * len(self._slots)
        for place in range(slots.start, slots.stop):
            if not self._is_open(place, second):
                self.ledger["heard"][:, place] = 0
                self.ledger["flagged"][:, place] = 0
                self._windows[place] = second // self._slots[place].seconds
                self._peaks[place] = 0

    def take(
        self, rows: Array, slots: slice, counts: Array, clean: Array, second: int, *,
        free: bool, listened: int,
    ) -> None:  # fmt: skip
        """Count in the windows of `second`, and learn from what of it is `clean`.

        Rows are distinct. `free`: learn without a bound, as what is declared to be normal.
        """
        self._turn(slots, second)
        ledger = self.ledger
        known = rows != UNKNOWN
        if np.count_nonzero(known) < len(rows):
            all_counted = clean is counts
            rows, counts = rows[known], counts[known]
            clean = counts if all_counted else clean[known]
        if not len(rows):
            return
        # Places in the flat columns: one look-up of numbers each, not one of lines and slots.
        width = len(self._slots)
        places = (rows * width)[:, None] + self._places[slots]
        counts_ = counts[:, None]
        column = {name: ledger[name].reshape(-1) for name in ("heard", "flagged", "most", "base")}
        heard = column["heard"][places] + counts_
        column["heard"][places] = heard
        peak = int(heard.max())
        for place in range(slots.start, slots.stop):
            self._peaks[place] = max(self._peaks[place], peak)
        if clean is not counts:
            column["flagged"][places] += counts_ - clean[:, None]
        most = column["most"][places]
        unflagged = heard - column["flagged"][places]
        if not np.count_nonzero(unflagged > most):
            return
        learning = (~self._is_known(rows, listened) | free)[:, None]
        closed = (ledger["closed"][rows] > 0)[:, None]
        base = column["base"][places]
        bound = np.where(closed, most, np.maximum(GROWTH * base, most))
        raised = np.maximum(most, unflagged)
        column["most"][places] = np.where(learning, raised, np.minimum(raised, bound))
        column["base"][places] = np.where(learning, np.maximum(base, raised), base)

    def interrupt(self) -> None:
        """Time does not go on: nothing is open."""
        self.ledger["heard"][:] = 0
        self.ledger["flagged"][:] = 0
        self._windows = None

    def close(self) -> None:
        """Declared learning ends: what was learned is known, and stays as it is."""
        self.interrupt()
        ledger = self.ledger
        ledger["closed"][:] = 1
        for column in ("met", "touched"):
            ledger[column][:] = 0

    def state(self) -> RatesState:
        """Everything known, as plain data."""
        windows = self._windows
        return RatesState(self.ledger.state(), None if windows is None else list(windows))

    def restore(self, state: RatesState) -> None:
        """Take back a state. Raises ValueError if it is not one; then nothing has changed."""
        if state.windows is not None and len(state.windows) != len(self._slots):
            raise ValueError("windows that do not fit")
        self.ledger.restore(state.ledger)
        self._windows = None if state.windows is None else list(state.windows)
        heard = self.ledger["heard"]
        self._peaks = [int(one) for one in heard.max(axis=0, initial=0)]

    def merge(self, state: RatesState) -> None:
        """Take the maxima of both. Raises ValueError as `restore` does."""
        self.ledger.merge(state.ledger)
        self.interrupt()
