"""Replays captures: learns from some, judges others, and keeps what came of it in a folder."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from otids import _hotpath
from otids.alerts.alert import Alert
from otids.capture.files import batches, digest
from otids.folder import StateFolder
from otids.pipeline import Pipeline
from otids.traffic import Tick

Declared: TypeAlias = Callable[[Tick], bool]
"""Whether a person declares the traffic of a tick as normal: learned, and not judged."""


def never(_: Tick) -> bool:
    """Nothing is declared: otids learns by itself."""
    return False


def always(_: Tick) -> bool:
    """All of it is declared as normal."""
    return True


class LearnUntil:
    """What comes before a moment, in seconds since the epoch, is declared as normal."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def __call__(self, tick: Tick) -> bool:
        """Whether `tick` began before the moment."""
        return tick.second < self._moment


class LearnFor:
    """The first stretch of capture time, in seconds, is declared as normal."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def __call__(self, tick: Tick) -> bool:
        """Whether `tick` began within the first stretch."""
        if self._end is None:
            self._end = tick.second + self._seconds
        return tick.second < self._end


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay has come, for a progress bar. Bytes are those of the file on disk."""

    capture: Path
    is_learning: bool
    bytes_read: int
    bytes_total: int
    frames: int
    capture_time: float  # seconds since the epoch, how far capture time has come


@dataclass(slots=True)
class Report:
    """What a replay came to."""

    captures: list[Path] = field(default_factory=list)
    frames: int = 0
    messages: int = 0
    values: int = 0
    damages: list[tuple[Path, int, str]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)  # what was not decoded or kept, by reason
    copies: int = 0  # frames that repeat a packet: a mirror port's, not judged again
    encapsulated: dict[str, int] = field(default_factory=dict)  # frames, by what was taken off
    faults: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)  # bytes that broke a rule, by kind
    evidence_notes: dict[str, str] = field(default_factory=dict)  # what is wrong with it, by alert


DROPS = {
    "malformed_frames": "frames with headers that cannot be right",
    "unknown_link_frames": "frames of a link type that is not understood",
    "snapped_frames": "frames cut by the snap length",
    "skipped_records": "records passed over",
    "flows_evicted": "flows ended to make room",
    "entries_refused": "dictionary entries refused by a quota",
}


class Replay:
    """One replay. Alerts are committed to the folder's store as they arise."""

    def __init__(
        self,
        folder: StateFolder,
        pipeline: Pipeline,
        *,
        on_alerts: Callable[[Sequence[Alert]], None] = lambda _: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        batch_frames: int = 65_536,
    ) -> None:
        self.report = Report()
        self._folder = folder
        self._pipeline = pipeline
        self._hotpath = _hotpath.Hotpath(batch_frames=batch_frames)
        self._on_alerts = on_alerts
        self._on_progress = on_progress

    def learn(self, captures: Iterable[Path]) -> None:
        """Learn captures as normal; known dangers in them alert all the same."""
        for capture in captures:
            self._run(capture, always)

    def judge(self, captures: Iterable[Path], declared: Declared = never) -> None:
        """Judge captures one after the other."""
        for capture in captures:
            self._run(capture, declared)

    def finish(self) -> Report:
        """End the run: the last revisions are told, what was learned is saved."""
        self._pipeline.finish()
        self._folder.save(self._pipeline.parts_of_state())
        self.report.faults = dict(self._pipeline.counters.faults)
        self.report.notices = dict(self._pipeline.counters.notices)
        return self.report

    def _run(self, capture: Path, declared: Declared) -> None:
        """Judge one capture. Raises `_hotpath.CaptureError`, `OSError`."""
        pipeline, report = self._pipeline, self.report
        ids: dict[str, Alert] = {}
        before = pipeline.counters.messages, pipeline.counters.values
        opened = pipeline.begin(str(capture), digest(capture))
        self._tell(opened)
        health: dict[str, object] = {}
        for batch in batches(self._hotpath, capture, pipeline.learned):
            alerts = pipeline.feed(batch, declared)
            self._tell(alerts)
            ids.update((alert.id, alert) for alert in alerts)
            health = dict(batch.health)
            self._on_progress(
                Progress(
                    capture,
                    pipeline.is_learning,
                    batch.health["read_bytes"],
                    batch.health["size_bytes"],
                    batch.health["frames"],
                    batch.until / 1e9,
                )
            )
        alerts = pipeline.end_source()
        self._tell(alerts)
        ids.update((alert.id, alert) for alert in alerts)
        report.captures.append(capture)
        report.messages += pipeline.counters.messages - before[0]
        report.values += pipeline.counters.values - before[1]
        self._count(capture, health)
        report.evidence_notes.update(self._folder.cut_evidence(capture, ids.values()))

    def _count(self, capture: Path, health: dict[str, object]) -> None:
        report = self.report
        report.frames += int(str(health.get("frames", 0)))
        for key, words in DROPS.items():
            count = int(str(health.get(key, 0)))
            if count:
                report.dropped[words] = report.dropped.get(words, 0) + count
        report.copies += int(str(health.get("copies", 0)))
        encapsulated = health.get("encapsulated", {})
        if isinstance(encapsulated, dict):
            for kind, count in encapsulated.items():
                if count:
                    report.encapsulated[kind] = report.encapsulated.get(kind, 0) + count
        damages = health.get("damages", [])
        if isinstance(damages, list):
            report.damages.extend((capture, offset, what) for offset, what in damages)

    def _tell(self, alerts: Sequence[Alert]) -> None:
        if alerts:
            self._on_alerts(alerts)
