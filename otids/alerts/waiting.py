"""Findings that wait for what others say, and what was said of late: bounded, and saved."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, TypeAlias

import msgspec

from otids.alerts.causality import RANKS, devices_of, follows
from otids.detectors.base import MOST_FRAMES, Cause, Finding
from otids.learning.plant.memory import is_group
from otids.traffic import ConversationName, EndpointName

MOST_HELD = 1_024
"""Findings that wait; the oldest is told by itself when there are more."""
MOST_KEPT = 4_096
"""Findings that were told and are kept in mind."""
MOST_PARTS = 1_024
"""Entries of one list of a finding that a saved state may hold."""
MOST_CONSIDERED = 32
"""Of what was told about a device, the latest that are looked at."""

Subject: TypeAlias = EndpointName | ConversationName
"""What a finding is about."""
Place: TypeAlias = tuple[str, Cause]
"""An alert: its kind and cause."""
Held: TypeAlias = Annotated[list[tuple[int, Finding]], msgspec.Meta(max_length=MOST_HELD)]

_SAME_POINTS = frozenset({"values.out-of-range", "values.written-out-of-range"})
"""Kinds that tell what else is odd about the same points only."""


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strong finding that was told: where, about what, and in which second."""

    detector: str
    kind: str
    cause: Cause
    second: int
    conversation: ConversationName | None
    devices: Annotated[tuple[EndpointName, ...], msgspec.Meta(max_length=2)]
    points: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_PARTS)] = ()


def told_of(one: Finding, second: int) -> Told:
    """What is to be kept in mind of a finding."""
    points = one.points if one.kind in _SAME_POINTS else ()
    devices = devices_of(one)
    return Told(one.detector, one.kind, one.cause, second, one.conversation, devices, points)


def tells(told: Told, one: Finding) -> bool:
    """Whether a finding is a consequence of what was told: of its sort, and about the same.

    One of the two is about no other device than the other one is.
    """
    if not follows(one, told.detector, told.kind):
        return False
    own, others = set(devices_of(one)), set(told.devices)
    if not own or not others or not (own <= others or others <= own):
        return False
    return told.kind not in _SAME_POINTS or set(told.points).issuperset(one.points)


def subjects_of(one: Finding) -> list[Subject]:
    """What a finding is about, the narrowest first; who is everybody is nobody."""
    devices = dict.fromkeys(
        each
        for each in (one.target, one.source)
        if each is not None and each.address and not is_group(each.address)
    )
    return [*([one.conversation] if one.conversation else []), *devices]


class Waiting:
    """Findings that wait, the oldest first, found by what they are about."""

    def __init__(self) -> None:
        self._number = 0
        self._held: dict[int, tuple[int, Finding]] = {}  # by number: since when, and what
        self.about: dict[Subject, dict[str, dict[int, None]]] = {}  # numbers, by detector

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, number: int) -> Finding:
        return self._held[number][1]

    @property
    def since(self) -> int | None:
        """The second in which the oldest came; None if nothing waits."""
        return next((second for second, _ in self._held.values()), None)

    def add(self, one: Finding, second: int) -> None:
        """Let a finding wait."""
        self._number += 1
        self._held[self._number] = second, one
        for subject in subjects_of(one):
            numbers = self.about.setdefault(subject, {}).setdefault(one.detector, {})
            numbers[self._number] = None

    def take(self, number: int) -> Finding:
        """Take out what waits under a number."""
        _, one = self._held.pop(number)
        for subject in subjects_of(one):
            about = self.about[subject]
            del about[one.detector][number]
            if not about[one.detector]:
                del about[one.detector]
            if not about:
                del self.about[subject]
        return one

    def oldest(self) -> Finding:
        """Take out what has waited longest."""
        return self.take(next(iter(self._held)))

    def let_go(self, until: int) -> Iterator[Finding]:
        """Take out what came in the second `until` or before, the oldest first."""
        while (since := self.since) is not None and since <= until:
            yield self.oldest()

    def about_any(self, subjects: Iterable[Subject]) -> list[int]:
        """The numbers of what waits about any of some subjects, the oldest first."""
        every = (self.about.get(one, {}).values() for one in subjects)
        return sorted({number for some in every for numbers in some for number in numbers})

    def state(self) -> list[tuple[int, Finding]]:
        """All that waits, and since when."""
        return list(self._held.values())


class Memory:
    """What was told of late, in order of time, found by what it was about."""

    def __init__(self) -> None:
        self._told: dict[Place, Told] = {}
        self._about: dict[Subject, dict[Place, None]] = {}

    def add(self, told: Told) -> None:
        """Keep in mind that something was told; the oldest is forgotten when it is too much."""
        place = told.kind, told.cause
        if place in self._told:
            self._drop(place)
        self._told[place] = told
        for subject in _subjects(told):
            self._about.setdefault(subject, {})[place] = None
        while len(self._told) > MOST_KEPT:
            self._drop(next(iter(self._told)))

    def forget(self, until: int) -> None:
        """Forget what was told in the second `until` or before."""
        while self._told:
            place, told = next(iter(self._told.items()))
            if told.second > until:
                return
            self._drop(place)

    def _drop(self, place: Place) -> None:
        for subject in _subjects(self._told.pop(place)):
            del self._about[subject][place]
            if not self._about[subject]:
                del self._about[subject]

    def latest(self, name: ConversationName, besides: str) -> Place | None:
        """The alert about a conversation that a detector other than `besides` told last."""
        found = (one for one in self._of(name, len(self._told)) if one.detector != besides)
        last = max(found, key=lambda one: (one.second, one.detector, one.kind), default=None)
        return None if last is None else (last.kind, last.cause)

    def teller(self, one: Finding) -> Place | None:
        """The alert of which a finding is a consequence: of several, what says most."""
        found = dict.fromkeys(
            told
            for device in devices_of(one)
            for told in self._of(device, MOST_CONSIDERED)
            if tells(told, one)
        )
        best = min(
            found,
            key=lambda told: (RANKS.get(told.detector, len(RANKS)), -told.second),
            default=None,
        )
        return None if best is None else (best.kind, best.cause)

    def _of(self, subject: Subject, most: int) -> Iterator[Told]:
        """What was told about a subject, the latest first."""
        places = islice(reversed(self._about.get(subject, {})), most)
        return (self._told[place] for place in places)

    def state(self) -> list[Told]:
        """All that is kept in mind, in order of time."""
        return list(self._told.values())


def _subjects(told: Told) -> list[Subject]:
    return [*([told.conversation] if told.conversation else []), *dict.fromkeys(told.devices)]


def is_whole(one: Finding, *, is_weak: bool) -> bool:
    """Whether a saved finding is one that may wait."""
    parts: Sequence[Sequence[Any]] = (one.points, one.members, one.accepts, one.baseline)
    return (
        one.weak is is_weak
        and not one.rows
        and one.joins is None
        and len(one.frames) <= 2 * MOST_FRAMES
        and all(len(part) <= MOST_PARTS for part in parts)
        and one.count >= 0
        and one.frame_count >= 0
        and 0 <= one.score <= 1
    )
