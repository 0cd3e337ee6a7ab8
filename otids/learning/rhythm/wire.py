"""How long nothing at all is heard: the wire as a whole, in whole seconds."""

from typing import Annotated, TypeAlias

import msgspec

from otids.learning.rhythm.rhythm import ENOUGH, ENOUGH_DECLARED, ENOUGH_TIME
from otids.traffic import SECOND, Tick

LEAST_SILENCE = 10
"""Seconds in which nothing at all is heard before it is told."""
MOST_SILENCE = 900
USUAL = 10
"""A wire on which something is heard more rarely than every so many seconds is not judged."""
LEAST_HOLE = 2
LONGEST_COUNTED = 60
"""A pause counts as this many seconds of listening at most."""

_Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**60)]
_Second: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**40), le=2**40)]


class WireState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form."""

    heard: _Natural  # seconds in which something was heard, while learning
    span: _Natural  # seconds from the first to the last of them
    longest: _Natural  # seconds from one to the next
    declared: _Natural  # seconds of declared learning
    lived: _Natural  # seconds of listening
    closed: bool
    second: _Second | None
    frame: _Natural
    told: bool


class WireSilence:
    """Follows in which seconds anything is heard."""

    def __init__(self) -> None:
        self.heard = self.span = self.longest = self.declared = self.lived = 0
        self.closed = False
        self.second: int | None = None  # in which something was last heard
        self.frame = 0
        self.told = False

    def hole(self) -> int:
        """From how many seconds without anything on the wire itself is silent."""
        return max(LEAST_HOLE, -(-5 * self.span // (2 * self.heard)) if self.heard else 0)

    def limit(self) -> int | None:
        """How many seconds without anything are too many; None: not known."""
        enough = (
            self.heard >= ENOUGH_DECLARED
            if self.closed
            else self.heard >= ENOUGH and self.span >= ENOUGH_TIME // SECOND
        )
        if not enough or self.span > USUAL * self.heard:
            return None
        longest = min(self.longest, MOST_SILENCE) * 3 // 2
        return max(LEAST_SILENCE, longest, -(-5 * self.span // self.heard))

    def due(self) -> int | None:
        """The second at which silence is told; None: not at all."""
        limit = self.limit()
        if self.second is None or self.told or limit is None:
            return None
        return self.second + 1 + limit

    def take(self, tick: Tick, *, is_told: bool, open_: bool) -> int:
        """Take in a tick; return how many seconds ago something was heard before (0: not known).

        `is_told`: the silence before was told; `open_`: learning is declared.
        """
        self.told = self.told or is_told
        tables = tick.tables
        if len(tables.traffic):
            self.frame = int(tables.traffic.last_frame[-1])
        elif len(tables.messages):
            self.frame = int(tables.messages.frame[-1])
        elif not tables:
            return 0
        pause = 0
        if self.second is not None and tick.second > self.second:
            pause = tick.second - self.second
            counted = min(pause, LONGEST_COUNTED)
            self.lived += counted
            if open_:
                self.declared += counted
            if open_ or not (self.closed or self.told):
                self.heard += 1
                self.span += pause
                self.longest = max(self.longest, pause)
        self.second, self.told = tick.second, False
        return pause

    def close(self) -> None:
        """Declared learning ends."""
        self.closed = True

    def interrupt(self) -> None:
        """Another source, or time ran back."""
        self.second, self.frame, self.told = None, 0, False

    def state(self) -> WireState:
        """Everything known."""
        return WireState(
            self.heard,
            self.span,
            self.longest,
            self.declared,
            self.lived,
            self.closed,
            self.second,
            self.frame,
            self.told,
        )

    def restore(self, state: WireState) -> None:
        """Take back a checked state."""
        self.heard, self.span, self.longest = state.heard, state.span, state.longest
        self.declared, self.lived = state.declared, state.lived
        self.closed = state.closed
        self.second, self.frame, self.told = state.second, state.frame, state.told

    def merge(self, other: "WireSilence") -> None:
        """Add what was heard elsewhere."""
        is_blank = not (self.lived or self.closed)
        self.closed = other.closed if is_blank else self.closed and other.closed
        self.heard += other.heard
        self.span += other.span
        self.longest = max(self.longest, other.longest)
        self.declared += other.declared
        self.lived += other.lived
