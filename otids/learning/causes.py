"""Causes that a person accepted, for detectors in which accepting is no more than keeping quiet."""

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Cause: TypeAlias = tuple[str | int, ...]
"""What a finding is about, spelled without ids: equal causes are the same thing happening."""

MOST_CAUSES = 100_000
MOST_PARTS = 32
MOST_LETTERS = 1_000

_HALF = re.compile("[\ud800-\udfff]")  # half a character, which UTF-8 cannot spell


class Causes:
    """Accepted causes of one detector, in the order in which they were accepted."""

    def __init__(self, detector: str) -> None:
        self._detector = detector
        self._causes: dict[Cause, None] = {}

    def __contains__(self, cause: Cause) -> bool:
        return cause in self._causes

    def __len__(self) -> int:
        return len(self._causes)

    def __iter__(self) -> Iterator[Cause]:
        """Yield what was accepted, in order."""
        return iter(self._causes)

    def add(self, cause: Cause) -> bool:
        """Accept a cause; False if it is not one of the detector's, or if there are too many."""
        if cause in self._causes:
            return True
        if len(self._causes) >= MOST_CAUSES or not self._is_ours(cause):
            return False
        self._causes[cause] = None
        return True

    def remove(self, cause: Cause) -> bool:
        """Take back a cause; False if it was not accepted."""
        if cause not in self._causes:
            return False
        del self._causes[cause]
        return True

    def merge(self, state: object) -> None:
        """Accept what was accepted elsewhere. Raises ValueError as `restore` does."""
        for cause in self._checked(state):
            self.add(cause)

    def state(self) -> list[list[str | int]]:
        """All causes, as plain data in a fixed order."""
        return [list(cause) for cause in sorted(self._causes, key=str)]

    def restore(self, state: object) -> None:
        """Take back a state. Raises ValueError if it is not one; then nothing has changed."""
        self._causes = dict.fromkeys(self._checked(state))

    def _checked(self, state: object) -> Iterable[Cause]:
        if not isinstance(state, list) or len(state) > MOST_CAUSES:
            raise ValueError("accepted causes are no list, or too many")
        causes = [tuple(one) if isinstance(one, list) else () for one in state]
        if not all(map(self._is_ours, causes)):
            raise ValueError(f"an accepted cause is none of {self._detector}")
        return causes

    def _is_ours(self, cause: Cause) -> bool:
        return (
            1 < len(cause) <= MOST_PARTS
            and cause[0] == self._detector
            and all(map(_is_part, cause))
        )


def _is_part(part: object) -> bool:
    """Whether a part can be saved: a number of 64 bits, or a text that UTF-8 can spell."""
    if type(part) is int:
        return -(2**63) <= part < 2**64
    return type(part) is str and len(part) <= MOST_LETTERS and not _HALF.search(part)
