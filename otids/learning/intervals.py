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

    def covers(self, start: int, end: int) -> bool:
        """Whether every address from `start` to `end` (exclusive) is in the set."""
        place = bisect_right(self._starts, start) - 1
        return place >= 0 and end <= self._ends[place]

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

    def remove(self, start: int, end: int) -> None:
        """Take out the addresses from `start` to `end` (exclusive)."""
        if start >= end:
            return
        kept = []
        for low, high in self:
            if low < start:
                kept.append((low, min(high, start)))
            if high > end:
                kept.append((max(low, end), high))
        self._starts = [low for low, high in kept if low < high]
        self._ends = [high for low, high in kept if low < high]
