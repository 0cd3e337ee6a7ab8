"""Conditions on messages: what a policy rule means, once it is read.

A `Condition` answers for a symbol: no, yes, or maybe (it depends on a message's items). Values and
times are tested apart, on columns. `otids.rules.policies` makes conditions out of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

import numpy as np

from otids import _hotpath
from otids.traffic import NO_SUBFUNCTION, SECOND, Array, Mask

NO, MAYBE, YES = 0, 1, 2
"""Answers of a condition, in rising order."""


def _any(masks: Iterable[Array]) -> Mask:
    mask: Mask = np.max(np.stack(list(masks)), axis=0)
    return mask


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers from 0 on, as spans that are ascending and apart."""

    spans: tuple[tuple[int, int], ...]

    def overlap(self, low: int, high: int) -> bool:
        """Whether one of `low` to `high` is in."""
        return any(first <= high and low <= last for first, last in self.spans)

    def cover(self, low: int, high: int) -> bool:
        """Whether all of `low` to `high` are in."""
        return any(first <= low and high <= last for first, last in self.spans)

    def overlaps(self, low: Array, high: Array) -> Mask:
        """Do as `overlap` for columns."""
        return _any((low <= last) & (high >= first) for first, last in self.spans)

    def covers(self, low: Array, high: Array) -> Mask:
        """Do as `cover` for columns."""
        return _any((low >= first) & (high <= last) for first, last in self.spans)


@dataclass(frozen=True, slots=True)
class Codes:
    """Numbers, or names that a specification gives to numbers (in lower case)."""

    numbers: Numbers
    names: frozenset[str]

    def hold(self, number: int, *names: str | None) -> bool:
        """Whether the number or one of its names is in."""
        return self.numbers.cover(number, number) or any(
            name is not None and name.lower() in self.names for name in names
        )


@dataclass(frozen=True, slots=True)
class Addresses:
    """Networks, and addresses that are not IP."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    others: frozenset[str]

    def hold(self, address: str) -> bool:
        """Whether the address is in."""
        parsed = _parse_address(address)
        if parsed is None:
            return address.lower() in self.others
        return any(parsed in network for network in self.networks)


@lru_cache(4096)
def _parse_address(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Touched:
    """A range that a symbol touches; `count` 0 tells no address."""

    kind: str
    address: int
    count: int
    access: int
    name: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a condition is about; None: whichever."""

    accesses: frozenset[int] | None
    kinds: frozenset[str] | None
    addresses: Numbers | None
    names: tuple[str, ...] | None

    @property
    def is_all(self) -> bool:
        """Whether it says nothing."""
        return self == Selection(None, None, None, None)

    def holds_name(self, name: str) -> bool:
        """Whether a name is selected, where names are."""
        return self.names is None or any(fnmatchcase(name, pattern) for pattern in self.names)

    def touched(self, touched: Touched, *, whole: bool = False) -> int:
        """Whether a part (or the `whole`) of a range is selected: NO, MAYBE or YES."""
        if (self.accesses is not None and touched.access not in self.accesses) or (
            self.kinds is not None and touched.kind not in self.kinds
        ):
            return NO
        if self.addresses is None and self.names is None:
            return YES
        if touched.count == 0:
            return MAYBE
        inside = self.holds_name(touched.name)
        if self.addresses is not None:
            test = self.addresses.cover if whole else self.addresses.overlap
            last = touched.address + touched.count - 1
            inside = inside and not touched.name and test(touched.address, last)
        return YES if inside else NO


@dataclass(frozen=True, slots=True)
class ValueTest:
    """Which values a condition is about."""

    equal: tuple[float, ...] | None
    above: float | None
    below: float | None

    def holds(self, numbers: Array) -> Mask:
        """Which of the values (NaN: never) pass."""
        passed: Mask = ~np.isnan(numbers)
        if self.equal is not None:
            passed &= np.isin(numbers, self.equal)
        if self.above is not None:
            passed &= numbers > self.above
        if self.below is not None:
            passed &= numbers < self.below
        return passed


@dataclass(frozen=True, slots=True)
class TimeTest:
    """Which moments a condition is about: spans of minutes of the day, and weekdays."""

    spans: tuple[tuple[int, int], ...] | None  # from, to (exclusive); may wrap around midnight
    weekdays: tuple[int, ...] | None  # Monday is 0
    offset: int  # s east of UTC

    def holds(self, times: Array) -> Mask:
        """Which of the times (int64 ns) pass."""
        local = times // SECOND + self.offset
        passed: Mask = np.ones(len(times), np.bool_)
        if self.weekdays is not None:
            passed &= np.isin((local // 86400 + 3) % 7, self.weekdays)  # the epoch was a Thursday
        if self.spans is not None:
            minute = local % 86400 // 60
            passed &= _any(
                (minute >= start) & (minute < end)
                if start < end
                else (minute >= start) | (minute < end)
                for start, end in self.spans
            )
        return passed


class Said(NamedTuple):
    """A symbol, spelled as far as conditions ask."""

    protocol: str
    role: str
    activity: str
    function: int
    subfunction: int
    unit: int
    status: int
    source: str
    target: str
    coarse: bool
    objects: tuple[Touched, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A compiled `match` or `unless`; None: whatever."""

    protocols: frozenset[str] | None
    roles: frozenset[str] | None
    activities: frozenset[str] | None
    functions: Codes | None
    subfunctions: Numbers | None
    units: Numbers | None
    statuses: Codes | None
    sources: Addresses | None
    sources_not: Addresses | None
    targets: Addresses | None
    targets_not: Addresses | None
    selection: Selection
    values: ValueTest | None
    times: TimeTest | None

    def operation(
        self, protocol: str, role: str, activity: str, function: int, subfunction: int
    ) -> bool:
        """Whether it holds for what a message does, whoever does it to whatever."""
        if self.functions is not None and not self.functions.hold(
            function,
            _hotpath.function_name(protocol, function, subfunction),
            _hotpath.function_name(protocol, function, NO_SUBFUNCTION),
        ):
            return False
        return (
            (self.protocols is None or protocol in self.protocols)
            and (self.roles is None or role in self.roles)
            and (self.activities is None or activity in self.activities)
            and (self.subfunctions is None or self.subfunctions.cover(subfunction, subfunction))
        )

    def _parties(self, said: Said) -> bool:
        return (
            (self.sources is None or self.sources.hold(said.source))
            and (self.sources_not is None or not self.sources_not.hold(said.source))
            and (self.targets is None or self.targets.hold(said.target))
            and (self.targets_not is None or not self.targets_not.hold(said.target))
        )

    def _unit(self, said: Said) -> int:
        if self.units is None:
            return YES
        if said.coarse:
            return MAYBE
        return YES if self.units.cover(said.unit, said.unit) else NO

    def _status(self, said: Said) -> bool:
        return self.statuses is None or self.statuses.hold(
            said.status, _hotpath.status_name(said.protocol, said.status) if said.status else None
        )

    def matches(self, said: Said) -> int:
        """Whether it holds for a symbol: for a part of what it touches, that is enough."""
        if not (self.operation(*said[:5]) and self._parties(said) and self._status(said)):
            return NO
        objects = YES
        if not self.selection.is_all:
            objects = MAYBE if said.coarse else NO
            for touched in said.objects:
                objects = max(objects, self.selection.touched(touched))
        return min(self._unit(said), objects)

    def exempts(self, said: Said, match: Condition) -> int:
        """Whether it holds, as an exception, for everything that `match` selects in a symbol."""
        if not (self.operation(*said[:5]) and self._parties(said) and self._status(said)):
            return NO
        objects = YES
        if not self.selection.is_all:
            selected = [one for one in said.objects if match.selection.touched(one)]
            answers = [self.selection.touched(one, whole=True) for one in selected]
            objects = min(answers) if answers else NO
            if said.coarse:
                objects = MAYBE
        return min(self._unit(said), objects)


@dataclass(frozen=True, slots=True, eq=False)
class PolicyRule:
    """A rule, ready to be judged by. `where` is the file's name and the line."""

    id: str
    title: str
    explanation: str
    severity: str | None
    attack: tuple[str, ...]
    expected: str
    learnable: bool
    where: str
    match: Condition
    unless: tuple[Condition, ...]

    @property
    def kind(self) -> str:
        """The kind of its alerts."""
        return f"policy.{self.id}"
