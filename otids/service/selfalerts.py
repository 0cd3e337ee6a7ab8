"""Self-alerts: what is wrong with otids itself becomes alerts like all others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from otids.alerts.alert import Alert
from otids.alerts.triage import Limits, Origin, Triage
from otids.detectors.base import Finding
from otids.logs import logger
from otids.service.judge import JudgeEndedError
from otids.service.troubles import Sample, SinkPlace, Trouble, Troubles

if TYPE_CHECKING:
    from otids.service.config import Config
    from otids.service.daemon import Daemon

LOOK_SECONDS = 1.0
TELL_SECONDS = 5.0
"""Between two findings of a trouble that stands."""
QUIET_SECONDS = 3 * TELL_SECONDS
"""Without a finding for so long an alert is closed."""
_NANO = 1_000_000_000


class SelfAlerts:
    """The part that looks at otids itself. `troubles` are what stands now."""

    def __init__(self, daemon: Daemon) -> None:
        self.troubles = Troubles()
        self._daemon = daemon
        self._log = logger(__name__)
        self._task: asyncio.Task[None] | None = None
        self._started = time.time() - time.monotonic()
        self._told = -TELL_SECONDS
        self._triage = Triage(
            daemon.rules.catalogue,
            daemon.inventory,
            sensor=daemon.config.sensor_name,
            origin=Origin("", f"self:{daemon.judge.session}"),
            limits=Limits(quiet=int(QUIET_SECONDS * _NANO)),
        )

    @property
    def headline(self) -> str:
        """How the service stands, in one line."""
        rate = f"{self.troubles.rates.frames:,.0f} frames a second"
        kinds = ", ".join(dict.fromkeys(one.kind for one in self.troubles.standing))
        return f"{rate}; {kinds}" if kinds else rate

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look_often(), name="self-alerts")

    async def reload(self, _: Config) -> None:
        """Speak by other words."""
        self._triage.catalogue = self._daemon.rules.catalogue

    async def stop(self) -> None:
        """End. What stands stays open until the next start, which closes it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_often(self) -> None:
        while True:
            try:
                await self.look()
            except JudgeEndedError:
                return
            except Exception:  # noqa: BLE001 told, and contained
                self._log.exception("looking at otids itself failed; this is a bug")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> Sequence[Alert]:
        """Look once; commit and return the revisions of alerts that this gives."""
        before = {one.key for one in self.troubles.standing}
        standing = self.troubles.look(self.sample())
        at = time.monotonic()
        if at - self._told < TELL_SECONDS and {one.key for one in standing} == before:
            return ()
        self._told = at
        # Capture time of these alerts: a clock that nobody sets, so that none is closed by a step.
        now = int((self._started + at) * _NANO)
        alerts = self._triage.take([_finding(one, time.time()) for one in standing], now)
        if alerts:
            judge = self._daemon.judge
            judge.call(lambda: judge.tell(alerts))  # waits for its turn; nobody waits for it
        return alerts

    def sample(self) -> Sample:
        """How the service stands now."""
        daemon = self._daemon
        free = size = -1
        with contextlib.suppress(OSError):
            disk = os.statvfs(daemon.folder.path)
            free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        return Sample(
            at=time.monotonic(),
            now=time.time(),
            snapshot=daemon.judge.snapshot,
            sinks=sinks_of(daemon),
            disk_free=free,
            disk_size=size,
            evidence_quota=daemon.folder.evidence.quota_bytes,
            missed=daemon.missed,
            was_killed=daemon.run_before is not None and not daemon.run_before.ended,
        )


def sinks_of(daemon: Daemon) -> Sequence[SinkPlace]:
    """How each sink stands, as the part that delivers tells it; none without such a part."""
    for part in daemon.parts:
        states: Sequence[SinkPlace] | None = getattr(part, "states", None)
        if states is not None:
            return states
    return ()


def _finding(trouble: Trouble, now: float) -> Finding:
    return Finding(
        kind=trouble.kind,
        cause=(trouble.kind, trouble.subject),
        first_seen=int(min(trouble.since or now, now) * _NANO),
        last_seen=int(now * _NANO),
        frames=(),
        frame_count=0,
        count=1,
        detector="sensor",
        expected=trouble.expected,
        observed=trouble.observed,
        score=1.0,
        severity=trouble.severity,
        members=(trouble.subject,) if trouble.subject else (),
    )
