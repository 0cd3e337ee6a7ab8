"""What was ever said in one conversation, level by level, from broad to narrow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec

from otids.learning.plant.intervals import Intervals
from otids.operands import has_operands
from otids.traffic import (
    FILE_RECORD,
    NO_SUBFUNCTION,
    RangeName,
    SymbolName,
    function_name,
    spell_objects,
    status_name,
)

MOST_FUNCTIONS = 4_096
MOST_UNITS = 1_024
MOST_STATUSES = 4_096
MOST_KINDS = 1_024
MOST_SPANS = 4_096
TOP = 2**64 - 1
"""The end of all addresses; what lies beyond it is not told apart."""

LEVELS = ("activity", "function", "unit", "item", "status")
"""The levels below a conversation, broadest first."""

_Word: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Spans: TypeAlias = Annotated[list[tuple[_Word, _Word]], msgspec.Meta(max_length=MOST_SPANS)]


class ItemKey(NamedTuple):
    """What items of one conversation are grouped by."""

    unit: int
    access: str
    kind: str
    name: str


class Novelty(NamedTuple):
    """One thing in a symbol that was never said: its level, what it is, and in words."""

    level: str
    what: tuple[str | int, ...]
    words: str


class VocabularyState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of `Vocabulary.state`."""

    activities: Annotated[list[str], msgspec.Meta(max_length=64)]
    functions: Annotated[list[tuple[_Word, _Word]], msgspec.Meta(max_length=MOST_FUNCTIONS)]
    units: Annotated[list[_Word], msgspec.Meta(max_length=MOST_UNITS)]
    items: Annotated[list[tuple[_Word, str, str, str, _Spans]], msgspec.Meta(max_length=MOST_KINDS)]
    statuses: Annotated[list[tuple[_Word, _Word]], msgspec.Meta(max_length=MOST_STATUSES)]


@dataclass(slots=True, eq=True)
class Vocabulary:
    """Everything that a conversation was heard to say. Bounded in every direction."""

    activities: set[str] = field(default_factory=set)
    functions: set[tuple[int, int]] = field(default_factory=set)
    units: set[int] = field(default_factory=set)
    items: dict[ItemKey, Intervals] = field(default_factory=dict)
    statuses: set[tuple[int, int]] = field(default_factory=set)

    def __len__(self) -> int:
        """How many words there are."""
        spans = sum(max(1, len(one)) for one in self.items.values())
        return len(self.functions) + len(self.units) + len(self.statuses) + spans

    def __bool__(self) -> bool:
        return bool(self.activities) or len(self) > 0

    def novelties(self, symbol: SymbolName, accepted: "Vocabulary | None" = None) -> list[Novelty]:
        """What in `symbol` is neither known here nor `accepted`, broadest level first."""
        return list(self._novelties(symbol, accepted or _NOTHING))

    def _novelties(self, symbol: SymbolName, accepted: "Vocabulary") -> Iterator[Novelty]:
        activity, function = symbol.activity, (symbol.function, symbol.subfunction)
        if activity not in self.activities and activity not in accepted.activities:
            yield Novelty("activity", (activity,), activity)
        if function not in self.functions and function not in accepted.functions:
            yield Novelty("function", function, function_words(symbol))
        unit = symbol.unit
        if not symbol.coarse and unit not in self.units and unit not in accepted.units:
            yield Novelty("unit", (unit,), f"unit {unit}")
        for one in symbol.objects:
            key = ItemKey(unit, one.access, one.kind, one.name)
            for start, end in self._missing(key, one, accepted):
                part = one._replace(address=start, size=end - start)
                yield Novelty("item", (*key, start, end - start), part_words(part, unit))
        status = (symbol.function, symbol.status)
        if symbol.status and status not in self.statuses and status not in accepted.statuses:
            name = status_name(symbol.conversation.protocol, symbol.status)
            yield Novelty("status", status, f"{name} to {function_words(symbol)}")

    def _missing(
        self, key: ItemKey, one: RangeName, accepted: "Vocabulary"
    ) -> Iterable[tuple[int, int]]:
        """Which parts of a range are new; a type as such is new as a whole or not at all."""
        start, end = _span(one.address, one.size)
        mine, theirs = self.items.get(key), accepted.items.get(key)
        if mine is None and theirs is None:
            return [(start, end)]
        parts = [(start, end)] if mine is None else mine.missing(start, end)
        if theirs is None:
            return parts
        return [left for part in parts for left in theirs.missing(*part)]

    def learn(self, symbol: SymbolName) -> bool:
        """Take in a symbol; False if a bound was met and not all of it was."""
        self.activities.add(symbol.activity)
        whole = _add(self.functions, (symbol.function, symbol.subfunction), MOST_FUNCTIONS)
        if not symbol.coarse:
            whole &= _add(self.units, symbol.unit, MOST_UNITS)
        for one in symbol.objects:
            key = ItemKey(symbol.unit, one.access, one.kind, one.name)
            whole &= self._learn_item(key, *_span(one.address, one.size))
        if symbol.status:
            whole &= _add(self.statuses, (symbol.function, symbol.status), MOST_STATUSES)
        return whole

    def add(self, level: str, what: tuple[Any, ...]) -> bool:
        """Take in one novelty; False if a bound was met."""
        if level == "item":
            unit, access, kind, name, address, size = what
            return self._learn_item(ItemKey(unit, access, kind, name), *_span(address, size))
        if level == "activity":
            self.activities.add(what[0])
            return True
        if level == "unit":
            return _add(self.units, what[0], MOST_UNITS)
        if level == "function":
            return _add(self.functions, what, MOST_FUNCTIONS)
        return _add(self.statuses, what, MOST_STATUSES)

    def merge(self, other: "Vocabulary") -> bool:
        """Take in everything that another one knows; False if a bound was met."""
        self.activities |= other.activities
        whole = True
        for entry in sorted(other.functions):
            whole &= _add(self.functions, entry, MOST_FUNCTIONS)
        for unit in sorted(other.units):
            whole &= _add(self.units, unit, MOST_UNITS)
        for entry in sorted(other.statuses):
            whole &= _add(self.statuses, entry, MOST_STATUSES)
        for key in sorted(other.items):
            for start, end in list(other.items[key]) or [(0, 0)]:
                whole &= self._learn_item(key, start, end)
        return whole

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
            lines.append(f"refusals: {answer} to {function_name(protocol, function)}")
        return lines

    def describe_items(self, access: str = "", kind: str = "") -> list[str]:
        """Every kind of item touched (in one way, of one kind), a line each, in words."""
        lines = []
        for key in sorted(self.items):
            if access in {"", key.access} and kind in {"", key.kind}:
                what = f"{key.kind} {key.name}" if key.name else self._spell_spans(key)
                lines.append(f"{key.access} {what}" + (f" of unit {key.unit}" if key.unit else ""))
        return lines

    def _spell_spans(self, key: ItemKey) -> str:
        spans = self.items[key]
        if spans and (key.kind == FILE_RECORD or has_operands(key.kind)):
            return ", ".join(spell_objects(key.kind, start, end - 1) for start, end in spans)
        return f"{key.kind} {', '.join(spell_span(start, end) for start, end in spans)}".strip()

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

    def _learn_item(self, key: ItemKey, start: int, end: int) -> bool:
        spans = self.items.get(key)
        if spans is None:
            if len(self.items) >= MOST_KINDS:
                return False
            spans = self.items[key] = Intervals()
        if len(spans) >= MOST_SPANS and not spans.touches(start, end):
            return not spans.missing(start, end)
        spans.add(start, end)
        return True


_NOTHING = Vocabulary()


def spell_span(start: int, end: int) -> str:
    """Addresses from `start` to `end` (exclusive) as people write them."""
    return str(start) if end - start == 1 else f"{start}–{end - 1}"


def function_words(symbol: SymbolName) -> str:
    """The function of a message by name and code."""
    name = function_name(symbol.conversation.protocol, symbol.function, symbol.subfunction)
    code = str(symbol.function)
    if symbol.subfunction != NO_SUBFUNCTION:
        code += f"/{symbol.subfunction}"
    return name if name.startswith("function ") else f"{name} ({code})"


def part_words(one: RangeName, unit: int) -> str:
    """A range of objects, and of which unit it is."""
    return f"{one} of unit {unit}" if unit else str(one)


def _span(address: int, size: int) -> tuple[int, int]:
    return min(address, TOP), min(address + size, TOP)


def _add(table: set[Any], entry: Any, most: int) -> bool:
    if entry not in table and len(table) >= most:
        return False
    table.add(entry)
    return True
