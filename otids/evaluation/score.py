"""Scores alerts against labels: what was found and how soon, what was false.

An alert touches an event if it names one of its labelled frames or, where it names no labelled
frame at all, if its time or one of its frames lies within the event or shortly after it. An attack
that an alert touches is found; an alert that touches nothing is false.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from otids.alerts.alert import SEVERITIES, Alert
from otids.evaluation.cases import Case
from otids.evaluation.frames import frame_times
from otids.evaluation.labels import Event, events
from otids.rules.files import RuleError
from otids.traffic import SECOND, Array

MAX_SPAN = 300.0
"""Of an alert that lasts longer, so many seconds count by time: one endless alert finds not all."""

SHORTEST_QUIET = 1.0
"""Seconds without attack below which there is no rate of false alerts."""

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Raised:
    """What counts of an alert: when, on which frames of the judged capture, and what it is."""

    first: float  # seconds since the epoch
    last: float
    frames: tuple[int, ...]
    severity: str
    kind: str

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """Take what counts of an alert."""
        first, last = (_seconds(moment) for moment in (alert.first_seen, alert.last_seen))
        return cls(first, max(first, last), alert.frames, alert.severity, alert.kind)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts count."""

    min_severity: str = "info"
    ignored: frozenset[str] = frozenset()  # kinds

    def __contains__(self, alert: Raised) -> bool:
        rank = SEVERITIES.index
        return rank(alert.severity) >= rank(self.min_severity) and alert.kind not in self.ignored


@dataclass(frozen=True, slots=True)
class Tally:
    """How many there are of one sort, and how many of them alerts touched."""

    touched: int
    total: int


@dataclass(frozen=True, slots=True)
class Score:
    """The numbers of one case, of a set of cases, or of all. Times are in seconds."""

    attacks: int
    detected: int
    alerts: int
    true_alerts: int
    false_alerts: int
    ok_alerts: int
    ok_events: int
    ok_events_raised: int
    in_learning: int
    judged_seconds: float
    quiet_seconds: float  # judged, and outside attacks
    delays: tuple[float, ...]
    types: Mapping[str, Tally]  # attacks by label
    ok_types: Mapping[str, Tally]
    false_by_kind: Mapping[str, int]

    @property
    def recall(self) -> float | None:
        """Share of the attacks that were detected."""
        return self.detected / self.attacks if self.attacks else None

    @property
    def precision(self) -> float | None:
        """Share of true alerts among true and false ones."""
        counted = self.true_alerts + self.false_alerts
        return self.true_alerts / counted if counted else None

    @property
    def false_per_hour(self) -> float | None:
        """False alerts by hour of quiet time; none where there is hardly any."""
        if self.quiet_seconds < SHORTEST_QUIET:
            return None
        return self.false_alerts / (self.quiet_seconds / HOUR)

    @property
    def median_delay(self) -> float | None:
        """How long it took from the start of an attack to the first alert that touches it."""
        return statistics.median(self.delays) if self.delays else None


SUMMED = (
    "attacks",
    "detected",
    "alerts",
    "true_alerts",
    "false_alerts",
    "ok_alerts",
    "ok_events",
    "ok_events_raised",
    "in_learning",
    "judged_seconds",
    "quiet_seconds",
)
"""What is added up over cases."""


def add(scores: Sequence[Score]) -> Score:
    """Add up the scores of cases."""
    sums = {name: round(sum(getattr(one, name) for one in scores), 3) for name in SUMMED}
    kinds: Counter[str] = Counter()
    for one in scores:
        kinds.update(one.false_by_kind)
    return Score(
        **sums,
        delays=tuple(delay for one in scores for delay in one.delays),
        types=_add_tallies(one.types for one in scores),
        ok_types=_add_tallies(one.ok_types for one in scores),
        false_by_kind=dict(kinds.most_common()),
    )


def _add_tallies(several: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    added: dict[str, Tally] = {}
    for tallies in several:
        for label, tally in tallies.items():
            before = added.get(label, Tally(0, 0))
            added[label] = Tally(before.touched + tally.touched, before.total + tally.total)
    return added


# --- what was in the judged capture --------------------------------------------------------------


class Truth:
    """What a case's labels say was in the capture, found by frame and by time."""

    def __init__(self, case: Case) -> None:
        """Read the judged captures of `case`. Raises `RuleError`, `CaptureError`, `OSError`."""
        self._case = case
        spans, self._times = _spans(case)
        self._has_frames = len(case.judge) == 1
        found = events(case.labels, self._times, case.run_gap, by_frame=case.by_frame)
        found.sort(key=lambda event: event.start)
        self.attacks = [event for event in found if not event.is_ok]
        self.oks = [event for event in found if event.is_ok]
        self.events = self.attacks + self.oks  # an event is known by its place here
        self._starts = np.array([event.start for event in self.events], np.float64)
        self._ends = np.array([event.end for event in self.events], np.float64) + case.slack
        self._labelled, self._owners = _labelled(self.events)
        total = case.judged_seconds
        judged = sum(last - first for first, last in spans) if total is None else total
        self.judged_seconds = float(judged)
        self.quiet_seconds = max(0.0, judged - self._attacked(spans))

    def _attacked(self, spans: Iterable[tuple[float, float]]) -> float:
        """Seconds of judged time in which an attack went on, or just had."""
        if self._case.by_frame:
            return 0.0
        if self._case.judged_seconds is not None:
            return sum(event.end - event.start for event in self.attacks)
        covered: list[list[float]] = []
        for event in self.attacks:
            start, end = event.start, event.end + self._case.slack
            if covered and start <= covered[-1][1]:
                covered[-1][1] = max(covered[-1][1], end)
            else:
                covered.append([start, end])
        return sum(
            max(0.0, min(last, end) - max(first, start))
            for first, last in spans
            for start, end in covered
        )

    def touched(self, alert: Raised) -> dict[int, float]:
        """Find the events that an alert touches, and when it does: place in `events`, seconds."""
        times = self._times_of(alert)
        hits: dict[int, float] = {}
        for frame, time in times:
            place = int(np.searchsorted(self._labelled, frame, "right")) - 1
            if place >= 0 and frame - self._labelled[place] <= self._case.frame_slack:
                hits.setdefault(int(self._owners[place]), time)
        if hits or self._case.by_frame:
            return hits
        spans = [(alert.first, min(alert.last, alert.first + MAX_SPAN))]
        spans += [(time, time) for _, time in times]
        begins, ends = (np.array(column)[:, None] for column in zip(*spans, strict=True))
        places = np.arange(len(self.events))
        for group in (places[: len(self.attacks)], places[len(self.attacks) :]):
            starts = self._starts[group]
            meets = (starts <= ends) & (self._ends[group] >= begins)
            for span, event in zip(*np.nonzero(meets), strict=True):
                begin, end = spans[span]
                hits.setdefault(int(group[event]), max(begin, min(float(starts[event]), end)))
            if hits:
                break
        return hits

    def _times_of(self, alert: Raised) -> list[tuple[int, float]]:
        """The frames that an alert names, in order, and when each was captured."""
        if not self._has_frames:
            return []
        frames = sorted(set(alert.frames))
        if frames and not 1 <= frames[0] <= frames[-1] <= len(self._times):
            raise ValueError(
                f"{self._case.name}: an alert names frames {frames[0]} to {frames[-1]}; the "
                f"capture has {len(self._times)}"
            )
        return [(frame, float(self._times[frame - 1])) for frame in frames]


def _spans(case: Case) -> tuple[list[tuple[float, float]], Array]:
    """From when to when each capture is judged, and the times of the frames of the last."""
    spans = []
    times = np.zeros(0)
    for capture in case.judge:
        times = frame_times(capture)
        if not len(times):
            raise RuleError(f"{case.name}: {capture} holds no frames")
        first, last = float(times.min()), float(times.max())
        begin = max(first, case.learn_until or 0)
        if begin > last:
            raise RuleError(
                f"{case.name}: learn_until = {case.learn_until} is after the end of {capture}"
            )
        spans.append((begin, last))
    return spans, times


def _labelled(found: Sequence[Event]) -> tuple[Array, Array]:
    """The labelled frames in order, and of which event each is (of several the last)."""
    numbers = np.concatenate([np.zeros(0, np.int64), *(event.frames for event in found)])
    owners = np.repeat(np.arange(len(found)), [len(event.frames) for event in found])
    distinct, place = np.unique(numbers[::-1], return_index=True)
    return distinct, owners[::-1][place]


# --- scoring -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Count:
    """What is counted over the alerts of a case."""

    in_learning: int = 0
    true: int = 0
    ok: int = 0
    false: Counter[str] = field(default_factory=Counter)  # by kind
    delays: dict[int, float] = field(default_factory=dict)  # by event; the shortest

    def take(self, alert: Raised, truth: Truth) -> None:
        touched = truth.touched(alert)
        for place, time in touched.items():
            start = truth.events[place].start
            when = alert.first if alert.first >= start else time
            delay = max(0.0, when - start)
            self.delays[place] = min(delay, self.delays.get(place, delay))
        if any(place < len(truth.attacks) for place in touched):
            self.true += 1
        elif touched:
            self.ok += 1
        else:
            self.false[alert.kind] += 1


def score_case(case: Case, truth: Truth, alerts: Iterable[Raised]) -> Score:
    """Score what was raised in a case."""
    count = _Count()
    for alert in alerts:
        if case.learn_until and alert.last < case.learn_until:
            count.in_learning += 1
        else:
            count.take(alert, truth)
    false = sum(count.false.values())
    found = [place for place in range(len(truth.attacks)) if place in count.delays]
    first_ok = len(truth.attacks)
    return Score(
        attacks=len(truth.attacks),
        detected=len(found),
        alerts=count.true + count.ok + false,
        true_alerts=count.true,
        false_alerts=false,
        ok_alerts=count.ok,
        ok_events=len(truth.oks),
        ok_events_raised=len(count.delays) - len(found),
        in_learning=count.in_learning,
        judged_seconds=round(truth.judged_seconds, 3),
        quiet_seconds=round(truth.quiet_seconds, 3),
        # Where alerts count by frame, times mean nothing.
        delays=() if case.by_frame else tuple(round(count.delays[one], 6) for one in found),
        types=_tallies(truth.attacks, 0, count.delays),
        ok_types=_tallies(truth.oks, first_ok, count.delays),
        false_by_kind=dict(sorted(count.false.items())),
    )


def _tallies(found: Iterable[Event], first: int, touched: Mapping[int, float]) -> dict[str, Tally]:
    """How many events there are by label, and how many were touched; `first` is their place."""
    return _add_tallies(
        {event.label: Tally(int(place in touched), 1)} for place, event in enumerate(found, first)
    )


def _seconds(moment: int) -> float:
    """Seconds of nanoseconds, added up as the parts of a written time are."""
    whole, rest = divmod(moment, SECOND)
    return whole + rest / SECOND
