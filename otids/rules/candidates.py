"""Looks at the messages of a tick for what their symbols do not tell: items, values, times."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from otids.rules.conditions import MAYBE, Condition
from otids.traffic import Array, Mask, Tick, object_name


class Candidates:
    """The messages of one tick, seen by conditions. Rows are places in its tables.

    A point that a dictionary had no room for is taken to be what a rule is about, and not to be
    what an exception is about.
    """

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self._messages = tick.tables.messages
        self._items = tick.tables.items
        self._values = tick.tables.values

    @cached_property
    def item_owner(self) -> Array:
        """Message row of each item; a row beyond the table where it is not in this tick."""
        return self._rows(self._items.message, self._messages.id[:1], len(self._messages))

    @cached_property
    def value_item(self) -> Array:
        """Item row of each value; a row beyond the table where it is not in this tick."""
        return self._rows(self._values.item, self._tick.first_item, len(self._items))

    @cached_property
    def value_owner(self) -> Array:
        """Message row of each value; a row beyond the table where it is not in this tick."""
        return np.append(self.item_owner, len(self._messages))[self.value_item]

    @cached_property
    def answered(self) -> Array:
        """Message row of the request that each message answers, or a row beyond the table."""
        replies = self._messages.reply_to
        return self._rows(replies, self._messages.id[:1], len(self._messages))

    @staticmethod
    def _rows(numbers: Array, first: Array | int, size: int) -> Array:
        """Turn running numbers into rows (unsigned arithmetic wraps what lies before `first`)."""
        return np.minimum(numbers - np.uint64(first), np.uint64(size)).astype(np.int64).reshape(-1)

    def guilty(
        self,
        rows: Array,
        match: Condition,
        answer: int,
        exceptions: Sequence[tuple[Condition, int]],
    ) -> Mask:
        """Which of the message rows `match` holds for, and no exception.

        `answer` is what `match` answered for their symbols, and each exception has its own.
        """
        keep = np.ones(len(rows), np.bool_)
        if match.times is not None:
            keep &= match.times.holds(self._messages.time[rows])
        if answer == MAYBE:
            keep &= self._touch(rows, match)
        if match.values is not None:
            values = self._of(self.value_owner, rows)
            passing = self._passing_values(values, match)
            keep &= self._count(rows, self.value_owner[values[passing]]) > 0
        for condition, exempt in exceptions:
            left = np.flatnonzero(keep)
            keep[left[self._exempt(rows[left], condition, exempt, match)]] = False
        return keep

    def numbers(self, rows: Array, match: Condition) -> Array:
        """Find the values in message rows that the condition is about, and that pass its test."""
        values = self._of(self.value_owner, rows)
        return self._values.number[values[self._passing_values(values, match)]]

    def _touch(self, rows: Array, match: Condition) -> Mask:
        """Which messages touch something selected, or nothing that we know."""
        items = self._of(self.item_owner, rows)
        selected = self._selected_items(items, match)
        owners = self.item_owner[items]
        nothing: Mask = self._count(rows, owners) == 0
        return nothing | (self._count(rows, owners[selected]) > 0)

    def _exempt(self, rows: Array, condition: Condition, answer: int, match: Condition) -> Mask:
        """Which messages an exception holds for in everything that `match` selects."""
        keep = np.ones(len(rows), np.bool_)
        if condition.times is not None:
            keep &= condition.times.holds(self._messages.time[rows])
        if answer == MAYBE:
            items = self._of(self.item_owner, rows)
            items = items[self._selected_items(items, match)]
            outside = items[~self._selected_items(items, condition, exception=True)]
            keep &= self._count(rows, self.item_owner[items]) > 0
            keep &= self._count(rows, self.item_owner[outside]) == 0
        if condition.values is not None:
            values = self._of(self.value_owner, rows)
            values = values[self._selected_values(values, match)]
            outside = values[~self._passing_values(values, condition, exception=True)]
            keep &= self._count(rows, self.value_owner[values]) > 0
            keep &= self._count(rows, self.value_owner[outside]) == 0
        return keep

    def _of(self, owner: Array, rows: Array) -> Array:
        """Rows of a table that belong to message rows."""
        wanted = np.zeros(len(self._messages) + 1, np.bool_)
        wanted[rows] = True
        return np.flatnonzero(wanted[owner])

    def _count(self, rows: Array, owners: Array) -> Array:
        """How often each message row is an owner."""
        return np.bincount(owners, minlength=len(self._messages) + 1)[rows]

    def _passing_values(
        self, values: Array, condition: Condition, *, exception: bool = False
    ) -> Mask:
        passing = self._selected_values(values, condition, exception=exception)
        if condition.values is not None:
            passing &= condition.values.holds(self._values.number[values])
        return passing

    def _selected_items(
        self, items: Array, condition: Condition, *, exception: bool = False
    ) -> Mask:
        table = self._items
        return self._selected(
            table.point[items], table.count[items], table.access[items], condition, exception
        )

    def _selected_values(
        self, values: Array, condition: Condition, *, exception: bool = False
    ) -> Mask:
        points = self._values.point[values]
        access = self._items.access[self.value_item[values]]
        return self._selected(points, np.ones_like(points), access, condition, exception)

    def _selected(
        self, points: Array, counts: Array, accesses: Array, condition: Condition, exception: bool
    ) -> Mask:
        """Which stretches of points are selected: wholly, for an exception; else in part."""
        selection, table = condition.selection, self._tick.names.points
        mask: Mask = np.ones(len(points), np.bool_)
        if selection.kinds is not None:
            mask &= self._kind_in(points, selection.kinds)
        if selection.addresses is not None:
            first = table.address[points]
            last = first + np.maximum(counts, 1).astype(np.uint64) - np.uint64(1)
            last = np.maximum(first, last)  # where it wrapped
            test = selection.addresses.covers if exception else selection.addresses.overlaps
            mask &= test(first, last) & (table.name_text[points] == 0)
        if selection.names is not None:
            texts, place = np.unique(table.name_text[points], return_inverse=True)
            names = [self._tick.names.texts.name(int(text)) for text in texts]
            mask &= np.array([selection.holds_name(name) for name in names], np.bool_)[place]
        if condition.units is not None:
            unit = table.unit[points]
            mask &= condition.units.covers(unit, unit)
        mask = np.where(points == 0, not exception, mask)
        if selection.accesses is not None:
            mask &= np.isin(accesses, list(selection.accesses))
        return mask

    def _kind_in(self, points: Array, kinds: frozenset[str]) -> Mask:
        table = self._tick.names.points
        pairs = (table.protocol[points].astype(np.uint64) << np.uint64(16)) | table.kind[points]
        distinct, place = np.unique(pairs, return_inverse=True)
        known = [
            object_name(self._tick.names.texts.name(pair >> 16), pair & 0xFFFF) in kinds
            for pair in distinct.tolist()
        ]
        return np.array(known, np.bool_)[place]
