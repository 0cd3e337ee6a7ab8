"""Sets of whole numbers as sorted, disjoint, non-adjacent intervals: register and coil ranges."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Intervals:
    """A set of addresses. Equal sets are equal whatever the order in which they grew."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # exclusive
        for start, end in spans:
            self.add(start, end)

    def __len__(self) -> int:
        """How many intervals there are."""
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (start, end) in order; the end is exclusive."""
        return iter(zip(self._starts, self._ends, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Intervals):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # it changes

    def touches(self, start: int, end: int) -> bool:
        """Whether adding the addresses from `start` to `end` (exclusive) would join intervals."""
        return bisect_left(self._ends, start) < bisect_right(self._starts, end)

    def add(self, start: int, end: int) -> None:
        """Put in the addresses from `start` to `end` (exclusive)."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """Which addresses from `start` to `end` (exclusive) are not in the set, as spans."""
        found = []
        place = bisect_right(self._ends, start)
        while start < end and place < len(self._starts) and self._starts[place] < end:
            if start < self._starts[place]:
                found.append((start, self._starts[place]))
            start = self._ends[place]
            place += 1
        if start < end:
            found.append((start, end))
        return found
