"""Names as plain lists, for saved state: `spell` there, `unspell` back with validation."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from otids.detectors.base import StateError
from otids.traffic import (
    ACCESSES,
    ACTIVITIES,
    CARRIERS,
    ROLES,
    ConversationName,
    EndpointName,
    PointName,
    RangeName,
    SymbolName,
)

Name = TypeVar("Name", EndpointName, ConversationName, SymbolName, PointName, RangeName)

MAX_TEXT = 1024
"""More characters than any address, protocol or object name that the hot path hands over."""

_WORDS = {
    (ConversationName, "carrier"): frozenset(CARRIERS),
    (SymbolName, "role"): frozenset(ROLES),
    (SymbolName, "activity"): frozenset(ACTIVITIES),
    (RangeName, "access"): frozenset(ACCESSES),
}


def spell(
    name: EndpointName | ConversationName | SymbolName | PointName | RangeName,
) -> list[Any]:
    """Turn a name into nested plain lists."""
    return [_plain(part) for part in name]


def unspell(plain: object, kind: type[Name]) -> Name:
    """Turn nested lists from a file into a name of type `kind`. Raises StateError."""
    try:
        name = msgspec.convert(plain, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise StateError(f"not a {kind.__name__}: {error}") from None
    _check(name)
    return name


def _plain(part: object) -> object:
    return [_plain(one) for one in part] if isinstance(part, tuple) else part


def _check(name: tuple[Any, ...]) -> None:
    """Check what types do not say: numbers count from 0, words are ours, texts are short."""
    kind = type(name)
    for field, part in zip(getattr(kind, "_fields", range(len(name))), name, strict=True):
        if isinstance(part, tuple):
            _check(part)
        elif isinstance(part, str):
            words = _WORDS.get((kind, field))
            if len(part) > MAX_TEXT or (words is not None and part not in words):
                raise StateError(f"not a {kind.__name__}: {field} is {part[:64]!r}")
        elif part < 0:
            raise StateError(f"not a {kind.__name__}: {field} is {part}")
