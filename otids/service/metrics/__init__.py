"""What Prometheus scrapes: how the service stands, in numbers. A scrape waits for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from otids import _hotpath
from otids.logs import logger
from otids.service.config import Config, MetricsConfig, seconds
from otids.service.metrics.families import Reading, families
from otids.service.metrics.stored import Looker
from otids.service.metrics.web import Web
from otids.sinks.delivery import SinkState

if TYPE_CHECKING:
    from otids.service.daemon import Daemon

PATH = "/metrics"
FRESH_SECONDS = 1.0
"""For how long a page is given again as it is: batches come every second."""
STOP_SECONDS = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")


@runtime_checkable
class HasSinks(Protocol):
    """The part of the service that delivers alerts."""

    @property
    def states(self) -> Sequence[SinkState]:
        """How each sink stands."""


class Metrics(Collector):
    """The part of the service that Prometheus scrapes. To be made before the judge begins.

    Raises StoreError.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._config: MetricsConfig = daemon.config.metrics
        self._looker = Looker(daemon.folder, lambda: daemon.judge.snapshot, time.time)
        self._web = Web(PATH, self._fresh)
        self._page = b""
        self._made = float("-inf")
        self._registry = CollectorRegistry()
        self._log = logger(__name__)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    # --- the part --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Serve, if the config wants it. Raises OSError or ValueError, in one line."""
        address, port = self._config.address, self._config.port
        if not port:
            return
        if not address:
            raise ValueError("metrics.address: is empty; 127.0.0.1 serves this computer only")
        try:
            await self._web.start(address, port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise OSError(f"metrics cannot be served on {address}, port {port}: {reason}") from None
        self._looker.start()

    async def reload(self, config: Config) -> None:
        """Stay where it is: another address or port takes a restart."""

    async def stop(self) -> None:
        """End within seconds."""
        await self._web.stop()
        if not await asyncio.to_thread(self._looker.stop, STOP_SECONDS):
            self._log.warning("the disk does not answer; its numbers are given up")

    # --- the page --------------------------------------------------------------------------------

    def _fresh(self) -> tuple[str, bytes]:
        """Return the page: a new one, or that of a moment ago."""
        now = time.monotonic()
        if now - self._made >= FRESH_SECONDS:
            self._page, self._made = generate_latest(self._registry), now
        return CONTENT_TYPE_PLAIN_0_0_4, self._page

    def describe(self) -> Iterator[Metric]:
        """Name nothing: what there is to tell is known when it is asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the families of now."""
        return families(self.read())

    def read(self) -> Reading:
        """Gather what is told. Waits for nothing."""
        daemon, looker = self._daemon, self._looker
        catalogue = daemon.rules.catalogue
        return Reading(
            now=time.time(),
            snapshot=daemon.judge.snapshot,
            stored=looker.stored,
            progress=looker.progress,
            sinks=[
                one for part in daemon.parts if isinstance(part, HasSinks) for one in part.states
            ],
            kinds={kind: catalogue.entries[kind].severity for kind in sorted(catalogue.entries)},
            threads=thread_seconds(),
            checkpoint_every=seconds(daemon.config.state.checkpoint),
            evidence_quota=daemon.folder.evidence.quota_bytes,
            version=_hotpath.__version__,
            python=platform.python_version(),
            sensor=daemon.config.sensor_name,
        )


def thread_seconds() -> Mapping[str, float]:
    """CPU time of the threads that are there for as long as the service, in seconds."""
    told = {"MainThread": "loop", "judge": "judge"}
    found = {}
    for thread in threading.enumerate():
        if thread.name in told and thread.native_id is not None:
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[told[thread.name]] = _cpu_seconds(thread.native_id)
    return found


def _cpu_seconds(thread: int) -> float:
    stat = Path(f"/proc/self/task/{thread}/stat").read_text("ascii", "replace")
    fields = stat.rpartition(")")[2].split()  # from the third field (proc_pid_stat(5)) on
    return (int(fields[11]) + int(fields[12])) / _TICKS
