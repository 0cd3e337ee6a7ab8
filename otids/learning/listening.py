"""For how long a detector has listened, and whether that is enough to judge by."""

from typing import Annotated

import msgspec

ENOUGH_SECONDS = 600
"""Seconds of listening after which what was never heard deviates; half sure at that moment."""
LONGEST_PAUSE = 60
"""A pause in which nothing was heard counts as so many seconds at most."""


class ListeningState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form."""

    seconds: Annotated[int, msgspec.Meta(ge=0)]
    last: int | None
    closed: bool


class Listening:
    """Seconds in which something was heard, and whether a person declared what is normal."""

    def __init__(self) -> None:
        self.seconds = 0
        self.declared = False  # a person says that what comes is normal
        self.closed = False  # a person said that learning is over
        self._last: int | None = None

    def hear(self, second: int) -> None:
        """Something was heard in a second."""
        last = self._last
        if last != second:
            self._last = second
            if last is not None and last < second:
                self.seconds += min(second - last, LONGEST_PAUSE)

    def is_ready(self, since: int = 0) -> bool:
        """Whether what differs from what was first heard after `since` seconds deviates."""
        if self.declared:
            return False
        return self.closed or self.seconds - since >= ENOUGH_SECONDS

    def sureness(self) -> float:
        """How much what was learned weighs, from 0 to 1."""
        return 1.0 if self.closed else self.seconds / (self.seconds + ENOUGH_SECONDS)

    def progress(self) -> float:
        """How far learning is, from 0 to 1."""
        return 1.0 if self.closed else min(1.0, self.seconds / ENOUGH_SECONDS)

    def seconds_left(self) -> float:
        """How long until it is ready."""
        return 0.0 if self.closed else float(max(0, ENOUGH_SECONDS - self.seconds))

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.declared = True

    def close_world(self) -> None:
        """Whatever was not learned is new from now on."""
        self.declared, self.closed = False, True

    def interrupt(self) -> None:
        """Capture time does not go on from what was heard."""
        self._last = None

    def state(self) -> ListeningState:
        """All of it."""
        return ListeningState(self.seconds, self._last, self.closed)

    def restore(self, state: ListeningState) -> None:
        """Take back a state."""
        self.seconds, self._last, self.closed = state.seconds, state.last, state.closed

    def merge(self, state: ListeningState) -> None:
        """Add what another one heard."""
        self.seconds += state.seconds
        self.closed = self.closed or state.closed
        self._last = max(
            (last for last in (self._last, state.last) if last is not None), default=None
        )
