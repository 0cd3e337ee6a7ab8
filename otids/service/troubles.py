"""What is wrong with otids itself: judged from how it stands, second by second.

Pure: time and what is measured are handed in. Each trouble begins after it has lasted a while and
ends after it has been gone for a while, so that nothing flickers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from otids.alerts.wording import clean, spell_count, spell_duration
from otids.service.judge import Snapshot

WINDOW = 60.0
"""Seconds over which rates are measured."""
_NANO = 1_000_000_000

SILENT_SECONDS = 60.0
"""After so long an interface that carried frames every second or so counts as silent."""
IDLE_SECONDS = 600.0
"""After so long one that carries little, or has carried nothing since the start."""
LEAST_FRAMES = 60
"""Frames of an interface in ten minutes that make it one that always carries some."""
DROP_SHARE = 0.0001
"""Share of frames dropped within the window that is told at once."""
DROP_FRAMES = 100
FAILURE_SHARE = 0.01
LEAST_FAILURES = 100
LAG_SECONDS = 15.0
SINK_SECONDS = 120.0
"""How long a sink may fail, or alerts wait for it."""
DISK_BYTES = 256 << 20
DISK_SHARE = 0.03
EVIDENCE_SECONDS = 3600.0
ONE_SIDED_SHARE = 0.5
LEAST_ONE_SIDED = 2
STEP_SECONDS = 120.0
"""How long it is told that the clock was set."""
FAULT_SECONDS = 3600.0
"""How long it is told that a part of otids failed."""
AWAY_SECONDS = 300.0
"""How long it is told that nothing was judged before the start."""
LEAST_AWAY = 10.0


class SinkPlace(Protocol):
    """How a sink stands. Times in seconds since the epoch."""

    @property
    def name(self) -> str:
        """What the config calls it."""

    @property
    def behind(self) -> int:
        """Revisions that it has not had."""

    @property
    def waiting_since(self) -> float:
        """When the oldest of them was committed; 0 if none waits."""

    @property
    def failing_since(self) -> float:
        """Since when it takes nothing; 0 if it does."""

    @property
    def last_error(self) -> str:
        """Why, in one line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How the service stands at a moment."""

    at: float  # seconds of a clock that nobody sets
    now: float  # seconds since the epoch
    snapshot: Snapshot
    sinks: Sequence[SinkPlace] = ()
    disk_free: int = -1  # bytes where the state is; below 0: not known
    disk_size: int = 0
    evidence_quota: int = 0
    missed: tuple[float, float] | None = None  # not judged before the start
    was_killed: bool = False  # the run before ended without saving

    @property
    def interfaces(self) -> Sequence[Mapping[str, Any]]:
        """What the hot path tells of each."""
        told: Sequence[Mapping[str, Any]] = self.snapshot.health.get("interfaces", ())
        return told

    def count(self, key: str) -> int:
        """A counter of the hot path."""
        return int(self.snapshot.health.get(key, 0))


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong, in words for an alert. `subject` tells those of a kind apart."""

    kind: str
    subject: str
    expected: str
    observed: str
    severity: str | None = None  # overrides the catalogue's
    is_blinding: bool = False  # nothing is heard for it
    since: float = 0.0  # seconds since the epoch

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this one."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Rates:
    """What goes through, per second, over the last minute."""

    frames: float = 0.0
    bytes: float = 0.0
    messages: float = 0.0


_Looks: TypeAlias = Callable[["Troubles", Sample], Iterator[Trouble]]


@dataclass(slots=True)
class _Held:
    """A trouble and its hysteresis."""

    trouble: Trouble
    first: float  # seconds (steady): since when it has lasted
    last: float  # when it was seen last
    since: float  # seconds since the epoch
    is_told: bool = False


@dataclass(slots=True)
class _Heard:
    """What is remembered of an interface."""

    frames: int
    at: float  # when it carried a frame last
    was_down: bool = False
    minutes: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))


class Troubles:
    """Follows what is wrong. `look` is to be called every second or so."""

    def __init__(self) -> None:
        self.standing: tuple[Trouble, ...] = ()
        self.rates = Rates()
        self._held: dict[tuple[str, str], _Held] = {}
        self._samples: deque[Sample] = deque(maxlen=256)
        self._heard: dict[str, _Heard] = {}
        self._steps = 0
        self._stepped_at = -STEP_SECONDS
        self._faults: Mapping[str, int] = {}
        self._faulted: dict[str, float] = {}
        self._removed = 0
        self._removed_at = -EVIDENCE_SECONDS
        self._began: float | None = None

    def look(self, sample: Sample) -> tuple[Trouble, ...]:
        """Take in how things stand; return (and keep in `standing`) what is wrong by now."""
        if self._began is None:
            self._began = sample.at
        self._remember(sample)
        seen = {trouble.key: trouble for look, _, _ in LOOKS for trouble in look(self, sample)}
        delays = {kind: (on, off) for _, kinds, (on, off) in LOOKS for kind in kinds}
        for key, trouble in seen.items():
            held = self._held.setdefault(
                key, _Held(trouble, sample.at, sample.at, trouble.since or sample.now)
            )
            held.trouble, held.last = trouble, sample.at
            held.is_told = held.is_told or sample.at - held.first >= delays[trouble.kind][0]
        for key, held in list(self._held.items()):
            gone = sample.at - held.last
            if key not in seen and (not held.is_told or gone >= delays[key[0]][1]):
                del self._held[key]
        self.standing = tuple(
            replace(held.trouble, since=held.since) for held in self._held.values() if held.is_told
        )
        return self.standing

    # --- what is remembered ----------------------------------------------------------------------

    def _remember(self, sample: Sample) -> None:
        samples = self._samples
        if not samples or sample.at - samples[-1].at >= WINDOW / 240:
            samples.append(sample)
        while len(samples) > 1 and samples[1].at <= sample.at - WINDOW:
            samples.popleft()
        first, took = samples[0], sample.at - samples[0].at
        if took > 0:
            self.rates = Rates(
                (sample.snapshot.frames - first.snapshot.frames) / took,
                (sample.count("bytes") - first.count("bytes")) / took,
                (sample.snapshot.messages - first.snapshot.messages) / took,
            )
        self._remember_interfaces(sample)
        self._remember_events(sample)

    def _remember_interfaces(self, sample: Sample) -> None:
        for one in sample.interfaces:
            heard = self._heard.setdefault(one["name"], _Heard(0, sample.at))
            if one["frames"] > heard.frames or (heard.was_down and not one["trouble"]):
                heard.frames, heard.at = max(one["frames"], heard.frames), sample.at
            heard.was_down = bool(one["trouble"])
            if not heard.minutes or sample.at - heard.minutes[-1][0] >= IDLE_SECONDS / 60:
                heard.minutes.append((sample.at, one["frames"]))

    def _remember_events(self, sample: Sample) -> None:
        if sample.snapshot.clock_steps > self._steps:
            self._steps, self._stepped_at = sample.snapshot.clock_steps, sample.at
        for part, count in sample.snapshot.faults.items():
            if count > self._faults.get(part, 0):
                self._faulted[part] = sample.at
        self._faults = dict(sample.snapshot.faults)
        if sample.snapshot.evidence_removed > self._removed:
            self._removed, self._removed_at = sample.snapshot.evidence_removed, sample.at

    def _grown(self, sample: Sample, key: str) -> tuple[int, int]:
        """By how much a counter of the hot path, and frames, have grown within the window."""
        first = self._samples[0]
        return sample.count(key) - first.count(key), sample.count("frames") - first.count("frames")

    # --- what is looked at -----------------------------------------------------------------------

    def interface_down(self, sample: Sample) -> Iterator[Trouble]:
        """An interface is gone, down, or not to be listened to."""
        for one in sample.interfaces:
            if one["trouble"]:
                yield Trouble(
                    "sensor.interface-down",
                    one["name"],
                    f"interface {one['name']} is up and listened to",
                    f"interface {one['name']} is not listened to: {clean(one['trouble'])}",
                    is_blinding=all(each["trouble"] for each in sample.interfaces),
                )

    def no_traffic(self, sample: Sample) -> Iterator[Trouble]:
        """An interface is up, and nothing comes."""
        silent = []
        for one in sample.interfaces:
            heard = self._heard[one["name"]]
            quiet = sample.at - heard.at
            before = heard.minutes[0][1] if heard.minutes else 0
            is_lively = heard.frames - before >= LEAST_FRAMES
            if one["trouble"] or quiet < (SILENT_SECONDS if is_lively else IDLE_SECONDS):
                continue
            silent.append((one["name"], heard.frames, quiet))
        down = sum(bool(one["trouble"]) for one in sample.interfaces)
        for name, frames, quiet in silent:
            yield Trouble(
                "sensor.no-traffic",
                name,
                f"frames arrive on {name} all the time"
                if frames
                else f"the mirror port sends frames to {name}",
                f"no frame on {name} for {spell_duration(int(quiet * _NANO))}"
                if frames
                else f"not a single frame on {name} since otids listens to it",
                is_blinding=len(silent) + down == len(sample.interfaces),
            )

    def one_sided(self, sample: Sample) -> Iterator[Trouble]:
        """Of many conversations only one side is heard."""
        alone = len(sample.snapshot.blind.get("one-sided", ()))
        known = max(
            (
                sum(one.conversation is not None for one in each)
                for each in sample.snapshot.readiness.values()
            ),
            default=0,
        )
        if alone >= LEAST_ONE_SIDED and alone >= ONE_SIDED_SHARE * max(known, alone):
            yield Trouble(
                "sensor.one-sided",
                "",
                "both sides of every conversation are mirrored",
                f"of {spell_count(alone)} conversations only one side is heard",
            )

    def kernel_drops(self, sample: Sample) -> Iterator[Trouble]:
        """The kernel dropped frames because its ring was full."""
        old = {one["name"]: one["dropped"] for one in self._samples[0].interfaces}
        before = {one["name"]: one["received"] for one in self._samples[0].interfaces}
        for one in sample.interfaces:
            lost = one["dropped"] - old.get(one["name"], 0)
            came = max(one["received"] - before.get(one["name"], 0), lost)
            if lost >= DROP_FRAMES or (lost > 0 and lost >= DROP_SHARE * came):
                yield Trouble(
                    "sensor.kernel-drops",
                    one["name"],
                    "no frame is lost between the wire and otids",
                    f"{_share(lost, came)} on {one['name']} were dropped by the kernel within "
                    f"the last {WINDOW:.0f} s",
                    severity="high" if lost >= FAILURE_SHARE * came else None,
                )

    def shed_frames(self, sample: Sample) -> Iterator[Trouble]:
        """Frames were let go by otids itself, because judging is too slow."""
        lost, came = self._grown(sample, "shed_frames")
        if lost > 0:
            yield Trouble(
                "sensor.shed-frames",
                "",
                "every frame that is received is judged",
                f"{_share(lost, came)} were let go undecoded within the last {WINDOW:.0f} s, "
                "because judging is too slow",
            )

    def decode_failures(self, sample: Sample) -> Iterator[Trouble]:
        """Many frames cannot be understood at all."""
        for key, words in (
            ("malformed_frames", "have headers that cannot be right"),
            ("unknown_link_frames", "are of a link type that is not understood"),
            ("snapped_frames", "are cut short"),
        ):
            bad, came = self._grown(sample, key)
            if bad >= LEAST_FAILURES and bad >= FAILURE_SHARE * came:
                yield Trouble(
                    "sensor.decode-failures",
                    key.replace("_", " "),
                    "all but a few frames are whole",
                    f"{_share(bad, came)} of the last {WINDOW:.0f} s {words}",
                )

    def lagging(self, sample: Sample) -> Iterator[Trouble]:
        """What is judged lies far behind what is heard."""
        stuck = sample.at - sample.snapshot.beat
        lag = sample.snapshot.made - sample.snapshot.judged_until if self._is_timed(sample) else 0.0
        if max(lag, stuck) >= LAG_SECONDS:
            yield Trouble(
                "sensor.lagging",
                "",
                "traffic is judged within two seconds",
                f"what is judged lies {max(lag, stuck):.0f} s behind what is heard",
                is_blinding=stuck >= 2 * LAG_SECONDS,
            )

    def _is_timed(self, sample: Sample) -> bool:
        """Whether wall time and capture time can be compared: the clock was not set just now."""
        return sample.snapshot.judged_until > 0 and sample.at - self._stepped_at >= STEP_SECONDS

    def sink_behind(self, sample: Sample) -> Iterator[Trouble]:
        """A sink does not take alerts."""
        for one in sample.sinks:
            since = one.failing_since or one.waiting_since
            if not since or not one.behind or sample.now - since < SINK_SECONDS:
                continue
            why = f": {clean(one.last_error)}" if one.failing_since and one.last_error else ""
            yield Trouble(
                "sensor.sink-behind",
                one.name,
                f"alerts reach {one.name} within seconds",
                f"{spell_count(one.behind)} revisions of alerts wait for {one.name}{why}",
                since=since,
            )

    def store_failing(self, sample: Sample) -> Iterator[Trouble]:
        """Alerts cannot be committed."""
        snapshot = sample.snapshot
        if snapshot.store_trouble:
            lost = f", {spell_count(snapshot.lost_alerts)} are lost" if snapshot.lost_alerts else ""
            yield Trouble(
                "sensor.store-failing",
                "",
                "alerts are kept on disk before anybody is told",
                f"{spell_count(snapshot.uncommitted)} wait in memory{lost}: "
                f"{clean(snapshot.store_trouble)}",
                since=snapshot.store_trouble_since,
            )

    def disk_full(self, sample: Sample) -> Iterator[Trouble]:
        """The disk on which the state lies is nearly full."""
        free = sample.disk_free
        if 0 <= free < min(DISK_BYTES, DISK_SHARE * sample.disk_size):
            yield Trouble(
                "sensor.disk-full",
                "",
                "the disk has room for alerts, evidence and what is learned",
                f"only {free >> 20:,} MiB of {sample.disk_size >> 20:,} MiB are free",
            )

    def evidence_full(self, sample: Sample) -> Iterator[Trouble]:
        """Evidence is removed to keep the quota."""
        if sample.at - self._removed_at < EVIDENCE_SECONDS:
            yield Trouble(
                "sensor.evidence-full",
                "",
                "evidence of all alerts is kept",
                f"{spell_count(self._removed)} files of older evidence were removed to keep "
                f"within {sample.evidence_quota >> 20:,} MiB",
            )

    def checkpoint_failing(self, sample: Sample) -> Iterator[Trouble]:
        """What was learned cannot be saved."""
        if trouble := sample.snapshot.checkpoint_trouble:
            yield Trouble(
                "sensor.checkpoint-failing",
                "",
                "what is learned is saved every few minutes",
                f"it cannot be saved: {clean(trouble)}",
            )

    def clock_set(self, sample: Sample) -> Iterator[Trouble]:
        """Somebody set the clock."""
        if sample.at - self._stepped_at < STEP_SECONDS:
            step = sample.snapshot.clock_step
            way = "forward" if step > 0 else "back"
            yield Trouble(
                "sensor.clock-set",
                "",
                "the sensor's clock runs evenly",
                f"it was set {way} by {spell_duration(int(abs(step) * _NANO))}",
            )

    def memory_short(self, sample: Sample) -> Iterator[Trouble]:
        """Something was given up for want of memory."""
        snapshot = sample.snapshot
        if snapshot.given_up:
            yield Trouble(
                "sensor.memory-short",
                "",
                f"otids needs at most {snapshot.memory_bound >> 20:,} MiB of memory",
                f"it holds {snapshot.memory_resident >> 20:,} MiB, and has given up "
                f"{snapshot.given_up}",
            )

    def faults(self, sample: Sample) -> Iterator[Trouble]:
        """A part of otids failed: a bug."""
        for part, at in self._faulted.items():
            if sample.at - at < FAULT_SECONDS:
                count = self._faults.get(part, 0)
                yield Trouble(
                    "sensor.fault",
                    part,
                    "every part of otids works",
                    f"{part} failed {spell_count(count)} times; the other parts go on",
                )

    def away(self, sample: Sample) -> Iterator[Trouble]:
        """Nothing was judged for a while before the start."""
        if sample.missed is None or self._began is None:
            return
        since, until = sample.missed
        if until - since < LEAST_AWAY or sample.at - self._began >= AWAY_SECONDS:
            return
        how = "otids was killed, or the computer stopped" if sample.was_killed else "it was stopped"
        yield Trouble(
            "sensor.away",
            "",
            "otids listens without a break",
            f"nothing was judged for {spell_duration(int((until - since) * _NANO))}: {how}",
            severity="medium" if sample.was_killed else None,
            since=since,
        )


LOOKS: tuple[tuple[_Looks, tuple[str, ...], tuple[float, float]], ...] = (
    # What looks, the kinds that it tells, and for how long they last and are gone (s) until
    # they begin and end.
    (Troubles.interface_down, ("sensor.interface-down",), (5.0, 30.0)),
    (Troubles.no_traffic, ("sensor.no-traffic",), (0.0, 30.0)),
    (Troubles.one_sided, ("sensor.one-sided",), (120.0, 300.0)),
    (Troubles.kernel_drops, ("sensor.kernel-drops",), (0.0, 120.0)),
    (Troubles.shed_frames, ("sensor.shed-frames",), (0.0, 120.0)),
    (Troubles.decode_failures, ("sensor.decode-failures",), (10.0, 120.0)),
    (Troubles.lagging, ("sensor.lagging",), (10.0, 60.0)),
    (Troubles.sink_behind, ("sensor.sink-behind",), (0.0, 10.0)),
    (Troubles.store_failing, ("sensor.store-failing",), (0.0, 30.0)),
    (Troubles.disk_full, ("sensor.disk-full",), (0.0, 300.0)),
    (Troubles.evidence_full, ("sensor.evidence-full",), (0.0, 0.0)),
    (Troubles.checkpoint_failing, ("sensor.checkpoint-failing",), (0.0, 0.0)),
    (Troubles.clock_set, ("sensor.clock-set",), (0.0, 0.0)),
    (Troubles.memory_short, ("sensor.memory-short",), (0.0, 60.0)),
    (Troubles.faults, ("sensor.fault",), (0.0, 0.0)),
    (Troubles.away, ("sensor.away",), (0.0, 0.0)),
)
KINDS = tuple(kind for _, kinds, _ in LOOKS for kind in kinds)
"""Every kind of alert that otids raises about itself."""


def _share(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    return f"{spell_count(part)} of {spell_count(whole)} frames ({share:.2g} %)"
