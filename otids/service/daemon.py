"""The life of the service: start, reload, stop; the loop beside the judging thread."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from otids import compose
from otids.alerts.alert import Alert
from otids.capture.interfaces import Listening, program
from otids.folder import StateFolder
from otids.logs import logger
from otids.service.config import Config, load, seconds
from otids.service.judge import Judge
from otids.service.metrics import Metrics
from otids.service.notify import notify, watchdog_seconds
from otids.service.outbox import Outbox

START_SECONDS = 60.0
"""How long the first batch may take."""
STUCK_SECONDS = 30.0
"""Without a judged batch for so long the watchdog is no longer fed: a batch comes every second."""


class Part(Protocol):
    """Something that runs beside the judge: sinks, control, metrics, self-alerts."""

    async def start(self) -> None:
        """Begin. Raises OSError or ValueError if it cannot, in one line."""

    async def reload(self, config: Config) -> None:
        """Take over another config that was found sound."""

    async def stop(self) -> None:
        """End what goes on, within seconds."""


class Daemon:
    """One run of the service. `config` is replaced as a whole when it is reloaded."""

    def __init__(self, path: Path) -> None:
        """Read the config and what it names, and open the state. Raises what is the user's."""
        self.path = path
        self.config = load(path)
        self.rules = _rules(self.config)
        self.folder = StateFolder(Path(self.config.state.folder), writing=True)
        self.folder.evidence.quota_bytes = self.config.state.evidence_mib << 20
        self.inventory = compose.make_inventory(_assets(self.config))
        self.pipeline = compose.make_pipeline(
            self.rules, self.inventory, self.folder.store.commit, sensor=self.config.sensor_name
        )
        self.alerts = asyncio.Event()  # set when revisions were committed
        self.parts: list[Part] = []
        self.stopping = asyncio.Event()
        self._log = logger(__name__)
        self._loop: asyncio.AbstractEventLoop | None = None
        compose.take_up(self.pipeline, self.folder)
        compose.note_origin(self.folder, self.rules, self.config.sensor_name)
        self.missed = self._missed()
        self.judge = Judge(
            self.pipeline,
            self.folder,
            listening(self.config),
            learn_until=self.config.learning.moment(),
            checkpoint_every=seconds(self.config.state.checkpoint),
            on_alerts=self._told,
        )

    async def run(self) -> int:
        """Serve until a signal or a failure; the exit code."""
        self._loop = asyncio.get_running_loop()
        for number, act in (
            (signal.SIGTERM, self.stopping.set),
            (signal.SIGINT, self.stopping.set),
            (signal.SIGHUP, self._reload_soon),
        ):
            self._loop.add_signal_handler(number, act)
        started: list[Part] = []
        try:
            self.judge.start()
            await asyncio.to_thread(self.judge.ready.wait, START_SECONDS)
            if self.judge.failure is not None:
                raise self.judge.failure
            for part in self.parts:
                await part.start()
                started.append(part)
            self._log.info(
                "listening",
                interfaces=list(self.config.capture.interfaces),
                state=str(self.folder.path),
                not_judged_since=self.missed,
            )
            notify("READY=1", "STATUS=judging")
            await self._watch()
        finally:
            notify("STOPPING=1")
            for part in reversed(started):
                await part.stop()
            ended = await asyncio.to_thread(self.judge.stop)
            self.folder.close()
        if self.judge.failure is not None:
            raise self.judge.failure
        self._log.info("stopped", saved=ended and not self.judge.snapshot.checkpoint_trouble)
        return 0 if ended else 1

    async def _watch(self) -> None:
        """Feed the watchdog while batches are judged; return when it is time to stop."""
        period = min((watchdog_seconds() or 10.0) / 3, 5.0)
        while not self.stopping.is_set():
            if not self.judge.is_running:
                return
            if time.time() - self.judge.snapshot.made < STUCK_SECONDS:
                notify("WATCHDOG=1")
            try:
                await asyncio.wait_for(self.stopping.wait(), period)
            except TimeoutError:
                continue

    def _told(self, _: Sequence[Alert]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.alerts.set)

    # --- reload ----------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        self._reloading = asyncio.ensure_future(self.reload())

    async def reload(self) -> str:
        """Take over config and rules, all or nothing; return what was wrong, or nothing.

        Interfaces, state folder and control socket stay as they were until a restart.
        """
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = load(self.path)
            rules = _rules(config)
            program(config.capture.filter)
        except (ValueError, OSError) as error:
            self._log.error("the config was not reloaded", why=str(error))
            return str(error)
        else:
            pipeline = self.pipeline
            await asyncio.wrap_future(
                self.judge.call(lambda: compose.replace_rules(pipeline, rules))
            )
            moment = config.learning.moment()
            await asyncio.wrap_future(self.judge.call(lambda: self.judge.learn_until(moment)))
            self.rules, self.config = rules, config
            for part in self.parts:
                await part.reload(config)
            self._log.info("reloaded", config=str(self.path))
            return ""
        finally:
            notify("READY=1")

    def _missed(self) -> float | None:
        """Until when the run before had judged, if there was one; seconds since the epoch."""
        position = self.pipeline.position
        return None if position is None else float(position.second)


def listening(config: Config) -> Listening:
    """What the config says of capturing."""
    capture = config.capture
    return Listening(
        capture.interfaces,
        filter=capture.filter,
        promiscuous=capture.promiscuous,
        ring_bytes=capture.ring_mib << 20,
        recent_bytes=capture.evidence_mib << 20,
    )


def serve(path: Path) -> int:
    """Run the service until it is stopped; the exit code. Raises what is the user's mistake."""
    daemon_of = Daemon(path)
    daemon_of.parts = make_parts(daemon_of)
    import uvloop  # noqa: PLC0415 only the service needs it

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(daemon_of.run())


def make_parts(daemon: Daemon) -> list[Part]:
    """Everything that runs beside the judge. A new part is one more line here."""
    return [
        Outbox(daemon.config, daemon.folder.store, daemon.judge.call, daemon.alerts),
        Metrics(daemon),
    ]


def _rules(config: Config) -> compose.Rules:
    return compose.Rules.load(map(Path, config.rules.folders))


def _assets(config: Config) -> Path | None:
    return Path(config.rules.assets) if config.rules.assets else None
