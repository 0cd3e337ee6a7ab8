"""Triage: many findings become few alerts, and each alert says what changed.

One alert is open per kind and cause; findings of the same revise it. When one source, or all
sources together, raise more new alerts of a kind within a minute than anybody reads, one more
alert, the storm, takes over those that follow. Every finding is counted in exactly one alert.

Time is capture time, given by the caller; the same findings at the same times give the same
revisions, also across `state` and `restore`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Protocol

import msgspec

from otids.alerts.alert import SEVERITIES, Alert
from otids.alerts.catalogue import UNLISTED, Catalogue
from otids.alerts.incidents import Incidents, IncidentsState
from otids.alerts.merging import SEVERAL, Open, plain_cause
from otids.alerts.rendering import AssetNames, render
from otids.alerts.severity import Standing, rank_of
from otids.detectors.base import Cause, Finding, State, StateError
from otids.traffic import SECOND

VERSION = 2
ANYONE = "*"
COUNTERS = (
    "findings",
    "observations",
    "opened",
    "revisions",
    "escalated",
    "closed",
    "evicted",  # closed before their time, because too many were open
    "storms",
    "suppressed",  # findings told by a storm instead of an alert of their own
    "unlisted",  # alerts of kinds that the catalogue lacks
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of triage; times in ns of capture time."""

    quiet: int = 900 * SECOND  # an alert without findings for so long is closed
    most_open: int = 10_000
    window: int = 60 * SECOND  # a storm: more new alerts of a kind than these within the window
    most_by_source: int = 10
    most_by_kind: int = 50  # whoever the source is
    news_every: int = 10 * SECOND  # between revisions for new members; doubles with each


@dataclass(frozen=True, slots=True)
class Origin:
    """What is being judged: `digest` tells captures (or live sessions) apart."""

    capture: str = ""
    digest: str = ""


class Devices(AssetNames, Standing, Protocol):
    """What is known of the devices that alerts are about."""


class Triage:
    """Turns findings into alerts. `counters` say what became of them, by `COUNTERS`."""

    def __init__(
        self,
        catalogue: Catalogue,
        assets: Devices,
        *,
        sensor: str,
        origin: Origin | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._assets = assets
        self._sensor = sensor
        self._limits = limits or Limits()
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._start(origin or Origin())

    def _start(self, origin: Origin) -> None:
        self._origin = origin
        self._now = 0
        # In order of the last finding, so that the first is the next to be closed.
        self._open: dict[tuple[str, Cause], Open] = {}
        self._openings: dict[tuple[str, str], list[int]] = {}
        self._incidents = Incidents()

    @property
    def now(self) -> int:
        """How far capture time has come, in ns; 0 before the first tick."""
        return self._now

    def begin(self, origin: Origin) -> list[Alert]:
        """Turn to another capture: finish the alerts of the last one, and forget them."""
        last = self.finish(self._now)
        self._start(origin)
        return last

    def take(
        self,
        findings: Sequence[Finding],
        now: int,
        completeness: Callable[[Finding], str] = lambda _: "",
    ) -> list[Alert]:
        """Take the findings of one tick, and return the revisions that they and time give.

        `now` is the tick's time in ns; `completeness` says in words how whole the capture is
        around a finding.
        """
        self._set_clock(now)
        revisions = list(self._close_quiet())
        for finding in findings:
            revisions.extend(self._add(finding, completeness(finding)))
        revisions.extend(self._tell(alert) for alert in self._open.values() if self._is_due(alert))
        return revisions

    def finish(self, now: int) -> list[Alert]:
        """End a run: a last revision of every open alert that changed since its last one."""
        self._set_clock(now)
        return [self._tell(alert) for alert in self._open.values() if alert.changed]

    # --- time ------------------------------------------------------------------------------------

    def _set_clock(self, now: int) -> None:
        if now < self._now:  # time ran back: nothing waits for what has passed already
            for alert in self._open.values():
                alert.touched = min(alert.touched, now)
                alert.told_at = min(alert.told_at, now)
            self._openings = {
                key: [min(time, now) for time in times] for key, times in self._openings.items()
            }
            self._incidents.run_back(now)
        self._now = now

    def _close_quiet(self) -> Iterator[Alert]:
        while self._open:
            key, alert = next(iter(self._open.items()))
            if alert.touched + self._limits.quiet > self._now:
                return
            yield self._close(key)

    def _close(self, key: tuple[str, Cause]) -> Alert:
        self.counters["closed"] += 1
        return self._tell(self._open.pop(key), status="closed")

    # --- findings --------------------------------------------------------------------------------

    def _add(self, finding: Finding, completeness: str) -> Iterator[Alert]:
        """Add a finding to its alert; yields the alert that had to make room for a new one."""
        self.counters["findings"] += 1
        self.counters["observations"] += int(finding.count)
        key = self._key(finding)
        if key is None:  # what it belongs to is told no more, or it has an alert of its own
            finding = replace(finding, joins=None)
            key = self._own_key(finding)
        rank = self._rank(finding)
        alert = self._open.pop(key, None)
        if alert is None:
            if len(self._open) >= self._limits.most_open:
                self.counters["evicted"] += 1
                yield self._close(next(iter(self._open)))
            alert = self._opened(finding, key, rank)
        self._open[key] = alert
        self.counters["suppressed"] += alert.storm
        alert.add(finding, rank, self._now)
        alert.completeness = completeness or alert.completeness
        self._incidents.join(alert, self._now, self._open.values())

    def _rank(self, finding: Finding) -> int:
        if finding.joins is not None and finding.joins[0] == SEVERAL:
            return SEVERITIES.index(self.catalogue.entry(SEVERAL).severity)
        return rank_of(finding, self.catalogue.entry(finding.kind).severity, self._assets)

    def _key(self, finding: Finding) -> tuple[str, Cause] | None:
        """Find which alert a finding belongs to; None if it is that of its own cause after all.

        What could stand alone goes on in its own alert while that is open.
        """
        if finding.joins is None or finding.joins[0] == SEVERAL:
            return self._own_key(finding)
        if not finding.weak and (finding.kind, plain_cause(finding.cause)) in self._open:
            return None
        kind, cause = finding.joins[0], plain_cause(finding.joins[1])
        found = (cause, *(_storm(who) for who in self._bounds(finding)))
        return next(((kind, one) for one in found if (kind, one) in self._open), None)

    def _own_key(self, finding: Finding) -> tuple[str, Cause]:
        """Find which alert a finding belongs to: its own, or that of a storm that blows."""
        kind, cause = finding.joins or (finding.kind, finding.cause)
        own = (kind, plain_cause(cause))
        if own in self._open:
            return own
        bounds = self._bounds(finding)
        for who in bounds:
            if (kind, _storm(who)) in self._open:
                return kind, _storm(who)
        for who, most in bounds.items():
            if len(self._recent(kind, who)) >= most:
                return kind, _storm(who)
        return own

    def _bounds(self, finding: Finding) -> dict[str, int]:
        """Tell how many new alerts of a kind may come within the window, by who raises them."""
        source = str(finding.source or "")
        return {source: self._limits.most_by_source, ANYONE: self._limits.most_by_kind}

    def _recent(self, kind: str, who: str) -> list[int]:
        since = self._now - self._limits.window
        return [time for time in self._openings.get((kind, who), ()) if time > since]

    def _opened(self, finding: Finding, key: tuple[str, Cause], rank: int) -> Open:
        kind, cause = key
        for who, most in self._bounds(finding).items():
            times = [*self._recent(kind, who), self._now][-most:]
            self._openings.pop((kind, who), None)
            self._openings[kind, who] = times
        while len(self._openings) > 2 * self._limits.most_open:
            del self._openings[next(iter(self._openings))]
        alert = Open.of(finding, self._id(finding, kind, cause), key, rank, self._now)
        self.counters["opened"] += 1
        self.counters["storms"] += alert.storm
        self.counters["unlisted"] += self.catalogue.entry(kind).kind == UNLISTED
        return alert

    def _id(self, finding: Finding, kind: str, cause: Cause) -> str:
        """Hash what makes an alert this one; without frames (a silence), its time tells."""
        first = int(finding.frames[0]) if finding.frames else f"at {int(finding.first_seen)}"
        parts = [self._sensor, self._origin.digest, kind, cause, first]
        text = json.dumps(parts, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    # --- revisions -------------------------------------------------------------------------------

    def _is_due(self, alert: Open) -> bool:
        if not alert.changed:
            return False
        if alert.revision == 0 or alert.rank > alert.told_rank:
            return True
        if alert.count >= 10 * max(alert.told_count, 1):
            return True
        wait = min(self._limits.news_every << min(alert.told_news, 20), self._limits.quiet)
        return alert.news and self._now >= alert.told_at + wait

    def _tell(self, alert: Open, status: str = "open") -> Alert:
        if alert.revision > 0:
            self.counters["escalated"] += alert.rank > alert.told_rank
            alert.told_news += alert.news
        self.counters["revisions"] += 1
        alert.revision += 1
        alert.changed = alert.news = False
        alert.told_at, alert.told_count, alert.told_rank = self._now, alert.count, alert.rank
        return render(
            alert,
            self.catalogue.entry(alert.kind),
            self._assets,
            status=status,
            capture=self._origin.capture,
            sensor=self._sensor,
        )

    # --- state -----------------------------------------------------------------------------------

    def state(self) -> State:
        """Return all that the next revisions depend on, as plain data."""
        saved = _Saved(
            version=VERSION,
            capture=self._origin.capture,
            digest=self._origin.digest,
            now=self._now,
            open=list(self._open.values()),
            openings=[(kind, who, times) for (kind, who), times in self._openings.items()],
            incidents=self._incidents.state(),
            counters=self.counters,
        )
        plain: State = msgspec.to_builtins(saved)
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises StateError if it is not one; then nothing has changed."""
        try:
            saved = msgspec.convert(state, _Saved)
        except msgspec.ValidationError as error:
            raise StateError(f"saved alerts: {error}") from None
        if saved.version != VERSION:
            raise StateError(f"saved alerts are of version {saved.version}, not {VERSION}")
        if len(saved.open) > self._limits.most_open:
            raise StateError(f"saved alerts: {len(saved.open)} are open")
        if set(saved.counters) != set(COUNTERS):
            raise StateError("saved alerts: other counters")
        self._start(Origin(saved.capture, saved.digest))
        self._now = saved.now
        self._open = {(alert.kind, alert.cause): alert for alert in saved.open}
        self._openings = {(kind, who): times for kind, who, times in saved.openings}
        self._incidents = Incidents(saved.incidents)
        self.counters = saved.counters


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    capture: str
    digest: str
    now: int
    open: list[Open]
    openings: list[tuple[str, str, Annotated[list[int], msgspec.Meta(max_length=1000)]]]
    incidents: IncidentsState
    counters: dict[str, Annotated[int, msgspec.Meta(ge=0)]]


def _storm(who: str) -> Cause:
    return ("storm", who)
