"""The language of policy rules: reads TOML files (docs/policies.md) into `PolicyRule`s."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from otids import _hotpath
from otids.rules.conditions import (
    Addresses,
    Codes,
    Condition,
    Numbers,
    PolicyRule,
    Selection,
    TimeTest,
    ValueTest,
)
from otids.rules.files import Document, Keys, RuleError, suggest, toml_files
from otids.traffic import ACCESSES, ACTIVITIES, NO_SUBFUNCTION, ROLES

MAX_NUMBER = 2**64 - 1
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_Texts: TypeAlias = str | list[str]
_Numbers: TypeAlias = int | str | list[int | str]
_Reals: TypeAlias = float | list[float]
_Technique: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^T0[0-9]{3}$")]
_Id: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of `match` and `unless`; all that are given must hold."""

    protocol: _Texts | None = None
    role: _Texts | None = None
    activity: _Texts | None = None
    function: _Numbers | None = None
    subfunction: _Numbers | None = None
    unit: _Numbers | None = None
    status: _Numbers | None = None
    source: _Texts | None = None
    source_not_in: _Texts | None = None
    target: _Texts | None = None
    target_not_in: _Texts | None = None
    access: _Texts | None = None
    object: _Texts | None = None
    address: _Numbers | None = None
    name: _Texts | None = None
    value: _Reals | None = None
    value_above: float | None = None
    value_below: float | None = None
    hours: _Texts | None = None
    weekdays: _Texts | None = None
    utc_offset: str | None = None


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[rule]]`."""

    id: _Id
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    match: Match
    unless: Match | list[Match] = []
    explanation: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    severity: Literal["info", "low", "medium", "high", "critical"] | None = None
    attack: tuple[_Technique, ...] = ()
    expected: Annotated[str, msgspec.Meta(max_length=400)] = ""
    learnable: bool = False


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of rules."""

    rule: list[Row] = []
    names: dict[str, _Texts] = {}
    disable: list[str] = []


# --- loading -------------------------------------------------------------------------------------


def load_policies(directories: Iterable[Path], protocols: Collection[str] = ()) -> list[PolicyRule]:
    """Read all rules; a later file overrides a rule of the same id. Raises RuleError.

    `protocols` are those known beside the native ones.
    """
    known = frozenset((*_hotpath.PROTOCOLS, *protocols))
    documents = [Document(path, PolicyFile) for path in toml_files(directories)]
    names: dict[str, Addresses] = {}
    for document in documents:
        for name, texts in document.value.names.items():
            listed = [texts] if isinstance(texts, str) else texts
            many = isinstance(texts, list)
            names[name] = _addresses(document, ("names", name), listed, {}, many=many)
    rules: dict[str, PolicyRule] = {}
    for document in documents:
        for place, unwanted in enumerate(document.value.disable):
            if rules.pop(unwanted, None) is None:
                raise document.error(("disable", place), "no file before this has such a rule")
        own: set[str] = set()
        for place, row in enumerate(document.value.rule):
            if row.id in own:
                raise document.error(("rule", place, "id"), "another rule in this file has it too")
            own.add(row.id)
            rules[row.id] = _rule(document, place, row, names, known)
    return list(rules.values())


def _rule(
    document: Document[PolicyFile],
    place: int,
    row: Row,
    names: dict[str, Addresses],
    protocols: frozenset[str],
) -> PolicyRule:
    keys: Keys = ("rule", place)
    match = _Compiler(document, (*keys, "match"), row.match, names, protocols)
    if isinstance(row.unless, Match):
        exceptions: list[tuple[Keys, Match]] = [((*keys, "unless"), row.unless)]
    else:
        exceptions = [((*keys, "unless", at), one) for at, one in enumerate(row.unless)]
    return PolicyRule(
        id=row.id,
        title=row.title,
        explanation=row.explanation,
        severity=row.severity,
        attack=row.attack,
        expected=row.expected or f"nothing that the rule “{row.title}” names",
        learnable=row.learnable,
        where=f"{document.path.name}:{document.line(keys)}",
        match=match.condition("response" if row.match.status is not None else "request"),
        unless=tuple(
            _Compiler(document, where, one, names, protocols).condition(None)
            for where, one in exceptions
        ),
    )


class _Compiler:
    """Makes a condition of one `match` or `unless`, or says what is wrong with it."""

    def __init__(
        self,
        document: Document[PolicyFile],
        keys: Keys,
        match: Match,
        names: dict[str, Addresses],
        protocols: frozenset[str],
    ) -> None:
        self._document = document
        self._keys = keys
        self._match = match
        self._names = names
        self._protocols = protocols

    def condition(self, role: str | None) -> Condition:
        """Compile; `role` is meant where none is said. Raises RuleError."""
        match = self._match
        if all(getattr(match, key) is None for key in match.__struct_fields__):
            raise self._document.error(self._keys, "names nothing")
        protocols = self._words("protocol", match.protocol, self._protocols)
        # Names are looked up in the protocols that are meant.
        meant = sorted(self._protocols if protocols is None else protocols)
        selection = Selection(
            accesses=self._places("access", match.access, ACCESSES),
            kinds=self._words("object", match.object, _known(_object_names, meant)),
            addresses=self._numbers("address", match.address),
            names=None if match.name is None else tuple(self._listed("name", match.name)),
        )
        roles = self._words("role", match.role, frozenset(ROLES))
        return Condition(
            protocols=protocols,
            roles=frozenset((role,)) if roles is None and role is not None else roles,
            activities=self._words("activity", match.activity, frozenset(ACTIVITIES)),
            functions=self._codes("function", match.function, _function_names, meant),
            subfunctions=self._numbers("subfunction", match.subfunction),
            units=self._numbers("unit", match.unit),
            statuses=self._codes("status", match.status, _status_names, meant),
            sources=self._addresses("source", match.source),
            sources_not=self._addresses("source_not_in", match.source_not_in),
            targets=self._addresses("target", match.target),
            targets_not=self._addresses("target_not_in", match.target_not_in),
            selection=selection,
            values=self._values(),
            times=self._times(),
        )

    def _error(self, key: str, reason: str, place: int | None = None) -> RuleError:
        return self._document.error((*self._keys, *_places(key, place)), reason)

    def _listed(self, key: str, given: _Texts) -> list[str]:
        if not given:
            raise self._error(key, "is empty")
        return [given] if isinstance(given, str) else given

    def _words(
        self, key: str, given: _Texts | None, known: Collection[str]
    ) -> frozenset[str] | None:
        if given is None:
            return None
        words = self._listed(key, given)
        for place, word in enumerate(words):
            if word not in known:
                at = place if isinstance(given, list) else None
                raise self._error(key, f"not known{suggest(word, known)}", at)
        return frozenset(words)

    def _places(
        self, key: str, given: _Texts | None, known: tuple[str, ...]
    ) -> frozenset[int] | None:
        words = self._words(key, given, known)
        return None if words is None else frozenset(known.index(word) for word in words)

    def _numbers(self, key: str, given: _Numbers | None) -> Numbers | None:
        codes = self._codes(key, given, None, [])
        return None if codes is None else codes.numbers

    def _codes(
        self,
        key: str,
        given: _Numbers | None,
        names: Callable[[str], frozenset[str]] | None,
        protocols: list[str],
    ) -> Codes | None:
        if given is None:
            return None
        if given in ("", []):
            raise self._error(key, "is empty")
        spans: list[tuple[int, int]] = []
        words: set[str] = set()
        for place, one in enumerate(given if isinstance(given, list) else [given]):
            at = place if isinstance(given, list) else None
            span = _span(one)
            if span is not None:
                if not 0 <= span[0] <= span[1] <= MAX_NUMBER:
                    raise self._error(key, "is not a range of numbers from 0 on", at)
                spans.append(span)
            elif names is None:
                raise self._error(key, "is neither a number nor a range like '5-6'", at)
            else:
                known = _known(names, protocols)
                if str(one).lower() not in known:
                    wrong = suggest(str(one), known)
                    raise self._error(key, f"is neither number, range nor known name{wrong}", at)
                words.add(str(one).lower())
        return Codes(Numbers(_merged(spans)), frozenset(words))

    def _addresses(self, key: str, given: _Texts | None) -> Addresses | None:
        if given is None:
            return None
        texts = self._listed(key, given)
        keys = (*self._keys, key)
        return _addresses(self._document, keys, texts, self._names, many=isinstance(given, list))

    def _values(self) -> ValueTest | None:
        match = self._match
        equal = [match.value] if isinstance(match.value, float) else match.value
        above, below = match.value_above, match.value_below
        if equal is None and above is None and below is None:
            return None
        if equal is not None and not (equal and all(isfinite(one) for one in equal)):
            raise self._error("value", "is not a number, or a list of numbers")
        for key, limit in (("value_above", above), ("value_below", below)):
            if limit is not None and not isfinite(limit):
                raise self._error(key, "is not a number")
        if above is not None and below is not None and above >= below:
            reason = f"no value is above {above:g} and below {below:g}; write two rules"
            raise self._error("value_above", reason)
        return ValueTest(None if equal is None else tuple(equal), above, below)

    def _times(self) -> TimeTest | None:
        match = self._match
        if match.hours is None and match.weekdays is None:
            if match.utc_offset is not None:
                raise self._error("utc_offset", "is said without hours or weekdays")
            return None
        if match.utc_offset is None:
            key = "hours" if match.hours is not None else "weekdays"
            raise self._error(key, "needs utc_offset beside it, like '+01:00'")
        found = re.fullmatch(r"([+-])(\d\d):(\d\d)", match.utc_offset)
        if not found or int(found[2]) > 14 or int(found[3]) > 59:  # noqa: PLR2004
            raise self._error("utc_offset", "is not an offset like '+01:00'")
        offset = int(f"{found[1]}{int(found[2]) * 3600 + int(found[3]) * 60}")
        spans = None
        if match.hours is not None:
            spans = tuple(self._hours(one) for one in self._listed("hours", match.hours))
        days = self._places("weekdays", match.weekdays, WEEKDAYS)
        return TimeTest(spans, None if days is None else tuple(sorted(days)), offset)

    def _hours(self, text: str) -> tuple[int, int]:
        found = re.fullmatch(r"(\d\d):(\d\d)\s*[-–]\s*(\d\d):(\d\d)", text)
        if found:
            start, end = (
                int(found[1]) * 60 + int(found[2]),
                int(found[3]) * 60 + int(found[4]),
            )
            minutes = (int(found[2]), int(found[4]))
            if start < 1440 and end <= 1440 and max(minutes) < 60 and start != end:  # noqa: PLR2004
                return start, end
        raise self._error("hours", "is not a span like '22:00-06:00'")


def _places(key: str, place: int | None) -> Keys:
    return (key,) if place is None else (key, place)


def _span(given: int | str) -> tuple[int, int] | None:
    """Read a number or a range; None for anything else."""
    if isinstance(given, int):
        return given, given
    number = r"(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})"
    found = re.fullmatch(rf"\s*{number}\s*(?:[-–]\s*{number}\s*)?", given)
    if not found:
        return None
    first = _number(found[1])
    return first, first if found[2] is None else _number(found[2])


def _number(text: str) -> int:
    return int(text, 16) if text[:2] in {"0x", "0X"} else int(text)


def _merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _addresses(
    document: Document[PolicyFile],
    keys: Keys,
    texts: list[str],
    names: dict[str, Addresses],
    *,
    many: bool = True,
) -> Addresses:
    """Read addresses, networks, MACs and names of them."""
    networks: list[IPv4Network | IPv6Network] = []
    others: set[str] = set()
    for place, text in enumerate(texts):
        if text in names:
            networks += names[text].networks
            others |= names[text].others
            continue
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            at = (*keys, place) if many else keys
            if re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
                others.add(text.lower())
            elif "host bits" in str(error):
                raise document.error(at, "has bits set beyond its prefix length") from None
            else:
                wrong = suggest(text, names)
                raise document.error(at, f"is no address, network or name{wrong}") from None
    return Addresses(tuple(networks), frozenset(others))


# --- names of the protocols ----------------------------------------------------------------------


def _known(names: Callable[[str], frozenset[str]], protocols: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(names(protocol) for protocol in protocols))


@cache
def _function_names(protocol: str) -> frozenset[str]:
    """Every name that a specification gives to a function or sub-function, in lower case."""
    found = {
        _hotpath.function_name(protocol, function, subfunction)
        for function in range(256)
        for subfunction in (NO_SUBFUNCTION, *range(256))
    }
    return frozenset(name.lower() for name in found if name)


@cache
def _status_names(protocol: str) -> frozenset[str]:
    found = {_hotpath.status_name(protocol, status) for status in range(65536)}
    return frozenset(name.lower() for name in found if name)


@cache
def _object_names(protocol: str) -> frozenset[str]:
    found = {_hotpath.object_name(protocol, kind) for kind in range(256)}
    return frozenset(name for name in found if name)
