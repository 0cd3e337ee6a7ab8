"""Who tries how many different things: distinct counts over a fast and a slow window.

A *track* is who tries what sort of thing where ("hosts" of one source, "ports" of one target), a
*thing* is what is tried. What is usual is kept by track for good; what is not is kept for a day,
with its first and last time and whether it ever succeeded. All names are flat tuples of words and
numbers, so that they outlive a session.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec

Name: TypeAlias = tuple[str | int, ...]
Track: TypeAlias = Name
Thing: TypeAlias = Name

FAST = 60
"""Seconds of the fast window: somebody in a hurry."""
SLOW = 86_400
"""Seconds of the slow window: somebody who tries one thing every few minutes."""
LIGHT = 4
"""So many things that succeeded weigh as much as one that failed: a scan finds little."""
MOST_THINGS = 512
"""Things of one track; beyond that the longest untried make room, and a count says "at least"."""
MOST_TRACKS = 4_096
"""Tracks with one thing, and as many with more: a crowd of passers-by displaces no scan."""
MOST_TRIED = 65_536
"""Things of all tracks together."""
MOST_USUAL = 262_144
"""Usual things of all tracks together; what is beyond is not learned, and stays unusual."""
MOST_PARTS = 16


class TrackState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of what was tried in one track: thing, first and last second, success."""

    track: Name
    things: Annotated[
        list[tuple[Name, int, int, bool]], msgspec.Meta(min_length=1, max_length=MOST_THINGS)
    ]


class UsualState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of what is usual in one track."""

    track: Name
    things: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=MOST_USUAL)]


class FanoutState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of everything known."""

    usual: Annotated[list[UsualState], msgspec.Meta(max_length=MOST_USUAL)]
    tried: Annotated[list[TrackState], msgspec.Meta(max_length=2 * MOST_TRACKS)]


@dataclass(slots=True)
class Tried:
    """When a thing was first and last tried, in seconds, and whether it ever succeeded."""

    first: int
    last: int
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Spread:
    """What was tried in a track within a window."""

    things: Mapping[Thing, Tried]
    weight: float  # things that failed, and a share of those that succeeded

    @property
    def succeeded(self) -> int:
        """How many things succeeded."""
        return sum(one.succeeded for one in self.things.values())

    def seconds(self, now: int) -> int:
        """Over how many seconds they were tried until `now`, at least 1."""
        return max(1, now + 1 - min(one.first for one in self.things.values()))


class Fanout:
    """Usual things by track, and what else was tried of late."""

    def __init__(self) -> None:
        self.evicted = self.missed = 0  # tracks given up; usual things not learned
        self._usual: dict[Track, set[Thing]] = {}
        self._usual_count = 0
        # The longest untouched come first; a track moves to the second with its second thing.
        self._single: dict[Track, dict[Thing, Tried]] = {}
        self._several: dict[Track, dict[Thing, Tried]] = {}
        self._tried_count = 0

    # --- what is usual -----------------------------------------------------------------------

    def usual(self, track: Track) -> set[Thing]:
        """What is usually tried in a track; not to be changed."""
        return self._usual.get(track, set())

    def is_usual(self, track: Track, thing: Thing) -> bool:
        """Whether a thing was learned."""
        return thing in self._usual.get(track, ())

    def learn(self, track: Track, thing: Thing) -> bool:
        """Take a thing as usual; False if there is no room."""
        things = self._usual.get(track)
        if things is not None and thing in things:
            return True
        if self._usual_count >= MOST_USUAL:
            self.missed += 1
            return False
        self._usual.setdefault(track, set()).add(thing)
        self._usual_count += 1
        return True

    # --- what is tried -----------------------------------------------------------------------

    def spreads(self, track: Track, tries: Mapping[Thing, bool], now: int) -> Iterator[Spread]:
        """Say what was tried within the fast and the slow window, with `tries` tried now.

        `tries` says of each thing whether it succeeds. Nothing is changed.
        """
        things = dict(self._things(track))
        for thing, succeeds in tries.items():
            before = _fresh(things.get(thing), now)
            first = before.first if before is not None else now
            things[thing] = Tried(first, now, succeeds or (before is not None and before.succeeded))
        for span in (FAST, SLOW):
            within = {
                thing: one
                if span == SLOW
                else Tried(max(one.first, now - span), one.last, one.succeeded)
                for thing, one in things.items()
                if abs(now - one.last) <= span
            }
            succeeded = sum(one.succeeded for one in within.values())
            yield Spread(within, len(within) - succeeded + succeeded / LIGHT)

    def goes_on(self, track: Track, tries: Mapping[Thing, bool], now: int) -> bool:
        """Whether one of `tries` fails, or was not tried in the fast window before."""
        things = self._things(track)
        return any(
            not succeeds or thing not in things or abs(now - things[thing].last) > FAST
            for thing, succeeds in tries.items()
        )

    def count(self, track: Track) -> int:
        """How many things are kept in mind of a track."""
        return len(self._things(track))

    def note(self, track: Track, tries: Mapping[Thing, bool], now: int) -> Sequence[Thing]:
        """Keep in mind what is tried now; tell the things that succeed for a whole slow window."""
        things = self._single.pop(track, None) or self._several.pop(track, None) or {}
        self._tried_count -= len(things)
        lasting = []
        for thing, succeeds in tries.items():
            before = _fresh(things.pop(thing, None), now)
            first = before.first if before is not None else now
            succeeded = succeeds or (before is not None and before.succeeded)
            things[thing] = Tried(first, now, succeeded)
            if succeeded and now - first >= SLOW:
                lasting.append(thing)
        fresh = [(thing, one) for thing, one in things.items() if abs(now - one.last) <= SLOW]
        things = dict(fresh[-MOST_THINGS:])
        self._put(track, things)
        self._make_room()
        return lasting

    def drop(self, track: Track, thing: Thing | None = None) -> None:
        """Keep a thing, or a whole track, in mind no longer."""
        things = self._single.pop(track, None) or self._several.pop(track, None) or {}
        self._tried_count -= len(things)
        if thing is not None:
            things.pop(thing, None)
            self._put(track, things)

    def _things(self, track: Track) -> Mapping[Thing, Tried]:
        return self._single.get(track) or self._several.get(track) or {}

    def _put(self, track: Track, things: dict[Thing, Tried]) -> None:
        if things:
            (self._single if len(things) == 1 else self._several)[track] = things
            self._tried_count += len(things)

    def _make_room(self) -> None:
        for tracks in (self._single, self._several):
            while len(tracks) > MOST_TRACKS or (tracks and self._tried_count > MOST_TRIED):
                self._tried_count -= len(tracks.pop(next(iter(tracks))))
                self.evicted += 1

    # --- state -------------------------------------------------------------------------------

    def state(self) -> FanoutState:
        """Everything known: what is usual in order of names, tracks the longest untouched first."""
        usual = [UsualState(track, sorted(self._usual[track])) for track in sorted(self._usual)]
        tried = [
            TrackState(
                track, [(thing, one.first, one.last, one.succeeded) for thing, one in kept.items()]
            )
            for tracks in (self._single, self._several)
            for track, kept in tracks.items()
        ]
        return FanoutState(usual, tried)

    def restore(self, state: FanoutState, shapes: Mapping[str, tuple[int, str]]) -> None:
        """Take back a checked state whose names have `shapes`.

        Shapes say by kind (a track's first word) how long a track is, and of what its parts and
        those of a thing are: a letter each, "s" or "i". Raises ValueError if a name has another
        one, or if there are too many; then nothing has changed.
        """
        usual: dict[Track, set[Thing]] = {}
        for one in state.usual:
            _check(one.track, one.things, shapes)
            usual.setdefault(one.track, set()).update(one.things)
        tried: list[tuple[Track, dict[Thing, Tried]]] = []
        for track in state.tried:
            _check(track.track, (thing for thing, *_ in track.things), shapes)
            things = {
                thing: Tried(first, last, succeeded)
                for thing, first, last, succeeded in track.things
            }
            tried.append((track.track, things))
        if len({track for track, _ in tried}) < len(tried):
            raise ValueError("a track stands twice")
        count = sum(map(len, usual.values()))
        if count > MOST_USUAL:
            raise ValueError("too many usual things")
        self._usual, self._usual_count = usual, count
        self._single, self._several, self._tried_count = {}, {}, 0
        for name, things in tried:
            self._put(name, things)
        self._make_room()

    def merge(self, state: FanoutState, shapes: Mapping[str, tuple[int, str]]) -> None:
        """Take what is usual elsewhere as usual here. Raises ValueError as `restore` does."""
        other = Fanout()
        other.restore(state, shapes)
        for track in sorted(other._usual):
            for thing in sorted(other._usual[track]):
                if self.learn(track, thing):
                    self.drop(track, thing)


def _fresh(one: Tried | None, now: int) -> Tried | None:
    """What was kept of a thing, unless it was tried too long ago."""
    return one if one is not None and abs(now - one.last) <= SLOW else None


def _check(track: Track, things: Iterable[Thing], shapes: Mapping[str, tuple[int, str]]) -> None:
    length, letters = shapes.get(str(track[0]) if track else "", (0, ""))
    if not length or len(track) != length:
        raise ValueError(f"not a track: {track[:MOST_PARTS]!r}")
    for thing in things:
        parts = (*track, *thing)
        if len(parts) != len(letters) or any(
            type(part) is not (str if letter == "s" else int)
            for part, letter in zip(parts, letters, strict=True)
        ):
            raise ValueError(f"not a thing of {track!r}: {thing[:MOST_PARTS]!r}")
