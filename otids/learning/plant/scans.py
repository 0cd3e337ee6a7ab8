"""Who tried out how many different things of late: the difference between news and a scan."""

from collections.abc import Collection, Iterable
from typing import Annotated, TypeAlias

import msgspec

from otids.traffic import ConversationName

SPAN = 3_600
"""Seconds for which a thing that was tried is kept in mind."""
MOST_TRIED = 64
"""Things of one kind in one conversation: more of them say nothing more."""
MOST_SCANS = 4_096

Thing: TypeAlias = tuple[str | int, ...]


class ScanState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of what was tried of one kind in one conversation."""

    conversation: ConversationName
    kind: str
    tried: Annotated[list[tuple[Thing, int]], msgspec.Meta(max_length=MOST_TRIED)]


class Scans:
    """Distinct things tried by conversation and kind, each with the second of its last time."""

    def __init__(self) -> None:
        # The longest untouched come first.
        self._tried: dict[tuple[ConversationName, str], dict[Thing, int]] = {}
        self.evicted = 0  # given up because there were too many

    def count(self, name: ConversationName, kind: str, things: Collection[Thing], now: int) -> int:
        """How many distinct things were tried within the span, with `things` tried now."""
        before = self._tried.get((name, kind), {})
        return len({*things, *(one for one, then in before.items() if abs(now - then) <= SPAN)})

    def note(self, name: ConversationName, kind: str, things: Iterable[Thing], now: int) -> None:
        """Keep in mind that `things` were tried at second `now`."""
        tried = self._tried.pop((name, kind), {})
        for thing in things:
            tried.pop(thing, None)
            tried[thing] = now
        fresh = [one for one in tried.items() if abs(now - one[1]) <= SPAN]
        self._tried[name, kind] = dict(fresh[-MOST_TRIED:])
        while len(self._tried) > MOST_SCANS:
            del self._tried[next(iter(self._tried))]
            self.evicted += 1

    def state(self) -> list[ScanState]:
        """Everything in mind, the longest untouched first."""
        return [
            ScanState(name, kind, list(tried.items()))
            for (name, kind), tried in self._tried.items()
        ]

    def restore(self, state: Iterable[ScanState]) -> None:
        """Take back a checked state."""
        self._tried = {(one.conversation, one.kind): dict(one.tried) for one in state}
