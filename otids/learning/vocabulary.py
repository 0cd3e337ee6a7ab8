"""What was ever said in one conversation, level by level, from broad to narrow."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from otids.learning.intervals import Intervals
from otids.traffic import NO_SUBFUNCTION, RangeName, SymbolName, function_name, status_name

MOST_FUNCTIONS = 4_096
MOST_UNITS = 1_024
MOST_KINDS = 1_024
MOST_SPANS = 4_096

LEVELS = ("activity", "function", "unit", "item", "status")
"""The levels below a conversation, broadest first."""


class ItemKey(NamedTuple):
    """What items of one conversation are grouped by."""

    unit: int
    access: str
    kind: str
    name: str


class Novelty(NamedTuple):
    """The broadest thing in a symbol that was never said: its level, and what it is."""

    level: str
    what: tuple[str | int, ...]
    words: str


class VocabularyState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of `Vocabulary.state`."""

    activities: list[str]
    functions: list[tuple[int, int]]
    units: list[int]
    items: list[tuple[int, str, str, str, list[tuple[int, int]]]]
    statuses: list[tuple[int, int]]


@dataclass(slots=True, eq=True)
class Vocabulary:
    """Everything that a conversation was heard to say. Bounded in every direction."""

    activities: set[str] = field(default_factory=set)
    functions: set[tuple[int, int]] = field(default_factory=set)
    units: set[int] = field(default_factory=set)
    items: dict[ItemKey, Intervals] = field(default_factory=dict)
    statuses: set[tuple[int, int]] = field(default_factory=set)

    def novelties(self, symbol: SymbolName) -> list[Novelty]:
        """What in `symbol` is new, at the broadest level at which anything is."""
        if symbol.activity not in self.activities:
            return [Novelty("activity", (symbol.activity,), symbol.activity)]
        function = (symbol.function, symbol.subfunction)
        if function not in self.functions:
            return [Novelty("function", function, _function_words(symbol))]
        if symbol.unit not in self.units and not symbol.coarse:
            return [Novelty("unit", (symbol.unit,), f"unit {symbol.unit}")]
        items = [
            Novelty("item", (*key, one.address, one.size), f"{one} of unit {symbol.unit}")
            for one in symbol.objects
            if not self._has(key := ItemKey(symbol.unit, one.access, one.kind, one.name), one)
        ]
        if items:
            return items
        status = (symbol.function, symbol.status)
        if symbol.status and status not in self.statuses:
            name = status_name(symbol.conversation.protocol, symbol.status)
            return [Novelty("status", status, f"{name} to {_function_words(symbol)}")]
        return []

    def learn(self, symbol: SymbolName) -> bool:
        """Take in a symbol; False if a bound was met and not all of it was."""
        self.activities.add(symbol.activity)
        whole = _add(self.functions, (symbol.function, symbol.subfunction), MOST_FUNCTIONS)
        if not symbol.coarse:
            whole &= _add(self.units, symbol.unit, MOST_UNITS)
        for one in symbol.objects:
            whole &= self._learn_item(ItemKey(symbol.unit, one.access, one.kind, one.name), one)
        if symbol.status:
            whole &= _add(self.statuses, (symbol.function, symbol.status), MOST_FUNCTIONS)
        return whole

    def accept(self, level: str, what: tuple[str | int, ...]) -> None:
        """Make one novelty known."""
        self._change(level, what, known=True)

    def undo(self, level: str, what: tuple[str | int, ...]) -> None:
        """Make one accepted novelty unknown again."""
        self._change(level, what, known=False)

    def merge(self, other: "Vocabulary") -> None:
        """Take in everything that another one knows."""
        self.activities |= other.activities
        self.functions |= other.functions
        self.units |= other.units
        self.statuses |= other.statuses
        for key, spans in other.items.items():
            mine = self.items.setdefault(key, Intervals())
            for start, end in spans:
                mine.add(start, end)

    def describe(self, protocol: str) -> list[str]:
        """Everything known, a line each, in words."""
        lines = [f"activities: {', '.join(sorted(self.activities))}"]
        names = (function_name(protocol, code, sub) for code, sub in sorted(self.functions))
        lines.append(f"functions: {', '.join(names)}")
        if self.units - {0}:
            lines.append(f"units: {', '.join(map(str, sorted(self.units)))}")
        lines.extend(self.describe_items())
        for function, status in sorted(self.statuses):
            answer = status_name(protocol, status)
            lines.append(f"answers {answer} to {function_name(protocol, function)}")
        return lines

    def describe_items(self) -> list[str]:
        """Every kind of item touched, a line each, in words."""
        lines = []
        for key in sorted(self.items):
            spans = ", ".join(spell_span(start, end) for start, end in self.items[key])
            what = f"{key.kind} {key.name or spans}".strip()
            lines.append(f"{key.access} {what}" + (f" of unit {key.unit}" if key.unit else ""))
        return lines

    def state(self) -> dict[str, Any]:
        """Everything known, as plain data in a fixed order."""
        return {
            "activities": sorted(self.activities),
            "functions": [list(one) for one in sorted(self.functions)],
            "units": sorted(self.units),
            "items": [
                [*key, [list(span) for span in self.items[key]]] for key in sorted(self.items)
            ],
            "statuses": [list(one) for one in sorted(self.statuses)],
        }

    @classmethod
    def of(cls, state: VocabularyState) -> "Vocabulary":
        """Take back a checked state."""
        return cls(
            set(state.activities),
            set(state.functions),
            set(state.units),
            {
                ItemKey(unit, access, kind, name): Intervals(spans)
                for unit, access, kind, name, spans in state.items
            },
            set(state.statuses),
        )

    def _has(self, key: ItemKey, one: RangeName) -> bool:
        spans = self.items.get(key)
        return spans is not None and (
            one.size == 0 or spans.covers(one.address, one.address + one.size)
        )

    def _learn_item(self, key: ItemKey, one: RangeName) -> bool:
        spans = self.items.get(key)
        if spans is None:
            if len(self.items) >= MOST_KINDS:
                return False
            spans = self.items[key] = Intervals()
        if len(spans) >= MOST_SPANS and not spans.covers(one.address, one.address + one.size):
            return False
        spans.add(one.address, one.address + one.size)
        return True

    def _change(self, level: str, what: tuple[str | int, ...], *, known: bool) -> None:
        if level == "item":
            unit, access, kind, name, address, count = what
            key = ItemKey(int(unit), str(access), str(kind), str(name))
            start, end = int(address), int(address) + int(count)
            spans = self.items.setdefault(key, Intervals())
            (spans.add if known else spans.remove)(start, end)
            if not known and not len(spans):
                del self.items[key]
            return
        tables: dict[str, set[Any]] = {
            "activity": self.activities,
            "function": self.functions,
            "unit": self.units,
            "status": self.statuses,
        }
        table = tables[level]
        entry = what[0] if len(what) == 1 else tuple(what)
        (table.add if known else table.discard)(entry)


def spell_span(start: int, end: int) -> str:
    """Addresses from `start` to `end` (exclusive) as people write them."""
    return str(start) if end - start == 1 else f"{start}–{end - 1}"


def _function_words(symbol: SymbolName) -> str:
    name = function_name(symbol.conversation.protocol, symbol.function, symbol.subfunction)
    code = str(symbol.function)
    if symbol.subfunction != NO_SUBFUNCTION:
        code += f"/{symbol.subfunction}"
    return name if name.startswith("function ") else f"{name} ({code})"


def _add(table: set[Any], entry: Any, most: int) -> bool:
    if entry not in table and len(table) >= most:
        return False
    table.add(entry)
    return True
