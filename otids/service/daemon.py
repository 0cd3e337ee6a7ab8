"""The life of the service: start, reload, stop; the loop beside the judging thread."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from otids import compose
from otids.alerts.alert import Alert
from otids.assets import AssetList
from otids.capture.interfaces import Listening, program
from otids.folder import StateFolder
from otids.logs import logger
from otids.service import logs
from otids.service.committing import Committer
from otids.service.config import Config, load, seconds, size
from otids.service.judge import RUN, Judge
from otids.service.memory import Memory
from otids.service.metrics import Metrics
from otids.service.notify import notify, watchdog_seconds
from otids.service.outbox import Outbox
from otids.store import StoreError

T = TypeVar("T")

START_SECONDS = 60.0
"""How long the first batch may take."""
STUCK_SECONDS = 30.0
"""Without a judged batch for so long the watchdog is no longer fed: a batch comes every second."""
FINISH_SECONDS = 30.0
"""How long telling the last alerts and saving may take."""
DRAIN_SECONDS = 3.0
"""How long sinks get for the last alerts; what they do not take waits in the store."""
PART_SECONDS = 10.0
"""How long a part may take to end."""
OUR_BUG = 70
LOOK_SECONDS = 1.0
LATEST = 2.0**33
"""Seconds since the epoch up to which a moment makes sense."""
OWED_SECONDS = 60.0

UNCHANGED = ("capture", "sensor", "memory", "state.folder", "control", "metrics")
"""Settings that take effect after a restart only."""


class Part(Protocol):
    """Something that runs beside the judge: sinks, control, metrics, self-alerts."""

    async def start(self) -> None:
        """Begin. Raises OSError or ValueError if it cannot, in one line."""

    async def reload(self, config: Config) -> None:
        """Take over another config that was found sound. Raises as `start`; then nothing changed.

        If a later part cannot, it is called again with the config of before.
        """

    async def stop(self) -> None:
        """End what goes on, within seconds."""


@dataclass(frozen=True, slots=True)
class RunBefore:
    """How far the run before this one judged."""

    judged_until: float  # seconds since the epoch: at least until then
    ended: str  # "stopped", or empty: killed, or it failed

    @classmethod
    def of(cls, folder: StateFolder) -> "RunBefore | None":
        """What a folder notes of it; None if there was none, or the note makes no sense."""
        try:
            noted = json.loads(folder.store.meta().get(RUN, "null"))
            until = float(noted["judged_until"]) if noted is not None else 0.0
            return cls(until, str(noted["ended"])) if 0 < until < LATEST else None
        except (ValueError, TypeError, KeyError):
            return None


class Daemon:
    """One run of the service. `config` is replaced as a whole when it is reloaded."""

    def __init__(self, path: Path) -> None:
        """Read the config and what it names, and open the state. Raises what is the user's."""
        self.path = path
        self.config = load(path)
        logs.configure(self.config.log)
        self._log = logger(__name__)
        self.rules = _rules(self.config)
        self.inventory = compose.make_inventory(_assets(self.config))
        program(self.config.capture.filter)
        self.folder = StateFolder(Path(self.config.state.folder), writing=True)
        self.alerts = asyncio.Event()  # set when revisions were committed
        self.parts: list[Part] = []
        self.stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Future[Any]] = set()
        try:
            self._compose()
        except BaseException:
            self.folder.close()
            raise

    def _compose(self) -> None:
        config, folder = self.config, self.folder
        folder.evidence.quota_bytes = config.state.evidence_mib << 20
        self.committer = Committer(folder.store.commit)
        self.pipeline = compose.make_pipeline(
            self.rules, self.inventory, self.committer, sensor=config.sensor_name
        )
        self.run_before = RunBefore.of(folder)
        compose.take_up(self.pipeline, folder)
        if folder.note:
            self._log.error("what was saved last is damaged", why=folder.note)
        compose.note_origin(folder, self.rules, config.sensor_name)
        self.judge = Judge(
            self.pipeline,
            folder,
            listening(config),
            memory=Memory(size(config.memory), config.capture.evidence_mib << 20),
            learn_until=config.learning.moment(),
            checkpoint_every=seconds(config.state.checkpoint),
            committer=self.committer,
            on_alerts=self._told,
        )

    @property
    def missed(self) -> tuple[float, float] | None:
        """From when to when nothing was judged before this run, in seconds since the epoch."""
        before = self.run_before
        return None if before is None else (before.judged_until, self.judge.snapshot.started)

    async def run(self) -> int:
        """Serve until a signal or a failure; the exit code. Raises what is the user's."""
        self._loop = asyncio.get_running_loop()
        for number, act in (
            (signal.SIGTERM, self.stopping.set),
            (signal.SIGINT, self.stopping.set),
            (signal.SIGHUP, self._reload_soon),
        ):
            self._loop.add_signal_handler(number, act)
        started: list[Part] = []
        try:
            await self._start(started)
            await self._watch()
        finally:
            notify("STOPPING=1", "STATUS=stopping")
            is_whole = await self._stop(started)
        if self.judge.failure is not None:
            raise self.judge.failure
        self._log.info("stopped", saved=not self.judge.snapshot.checkpoint_trouble and is_whole)
        return 0 if is_whole else 1

    async def _start(self, started: list[Part]) -> None:
        self.judge.start()
        if not await asyncio.to_thread(self.judge.ready.wait, START_SECONDS):
            raise RuntimeError(f"nothing was judged within {START_SECONDS:.0f} s of the start")
        if self.judge.failure is not None:
            raise self.judge.failure
        for part in self.parts:
            await part.start()
            started.append(part)
        self._log.info(
            "listening",
            interfaces=list(self.config.capture.interfaces),
            state=str(self.folder.path),
        )
        if self.missed is not None and self.run_before is not None:
            since, until = self.missed
            self._log.warning(
                "nothing was judged for a while",
                since=_spell(since),
                until=_spell(until),
                why="otids was stopped" if self.run_before.ended else "otids ended without saving",
            )
        notify("READY=1", "STATUS=judging")

    async def _stop(self, started: Sequence[Part]) -> bool:
        """End everything in order; whether the judge told and saved all it had."""
        for task in self._tasks:
            task.cancel()
        is_whole = await asyncio.to_thread(self.judge.finish, FINISH_SECONDS)
        self.alerts.set()
        await self._drain()
        for part in reversed(started):
            try:
                await asyncio.wait_for(part.stop(), PART_SECONDS)
            except Exception:  # noqa: BLE001 the others must end all the same
                self._log.error("a part did not end", part=type(part).__name__, exc_info=True)
        await asyncio.to_thread(self.judge.stop, 5.0)
        is_whole = is_whole and not self.committer.waiting
        if not self.judge.is_running:
            self.folder.close()
        return is_whole

    async def _drain(self) -> None:
        """Let sinks have the last alerts, if they take them."""
        store, places = self.folder.store, [one.place for one in self.config.sink]

        def is_behind() -> bool:
            return any(store.backlog(place) for place in places)

        deadline = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(Exception):
            while places and time.monotonic() < deadline:
                if not await asyncio.to_thread(is_behind):
                    return
                await asyncio.sleep(0.1)

    async def _watch(self) -> None:
        """Feed the watchdog while batches are judged; return when it is time to stop."""
        period = min((watchdog_seconds() or 10.0) / 3, LOOK_SECONDS)
        owed_at = time.monotonic()
        while not self.stopping.is_set():
            if not self.judge.is_running:
                return
            now = time.monotonic()
            if now - self.judge.snapshot.beat < STUCK_SECONDS:
                notify("WATCHDOG=1", f"STATUS={self._headline()}")
            else:
                self._log.error(
                    "nothing is judged any more", seconds=round(now - self.judge.snapshot.beat)
                )
            if now - owed_at >= OWED_SECONDS:
                owed_at = now
                for event, left_out in logs.LIMITER.owed().items():
                    self._log.info("lines were left out", of=event, left_out=left_out)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), period)

    def _headline(self) -> str:
        """One line for systemctl status, by the part that knows."""
        told = (str(line) for part in self.parts if (line := getattr(part, "headline", "")))
        return next(told, "judging")

    def _told(self, _: Sequence[Alert]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self.alerts.set)

    async def call(self, function: Callable[[], T]) -> T:
        """Have the judging thread do something. Raises what it raises, `JudgeEndedError`."""
        return await asyncio.wrap_future(self.judge.call(function))

    # --- reload ----------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        task = asyncio.ensure_future(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> str:
        """Take over config and rules, all or nothing; return what was wrong, or nothing.

        What is in `UNCHANGED` stays as it was until a restart, which is said in the log.
        """
        async with self._reloading:
            notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                trouble = await self._reload()
            except Exception as error:  # noqa: BLE001 the old config stays
                trouble = f"{type(error).__name__}: {error}"
                self._log.exception("the config was not reloaded; this is a bug")
            finally:
                notify("READY=1")
            if trouble:
                self._log.error("the config was not reloaded; the old one stays", why=trouble)
            return trouble

    async def _reload(self) -> str:
        old = _Settings(self.config, self.rules, self.inventory.listed)
        try:
            config = load(self.path)
            path = _assets(config)
            new = _Settings(config, _rules(config), AssetList.read(path) if path else AssetList())
            program(config.capture.filter)
        except (ValueError, OSError) as error:
            return " ".join(str(error).split())
        changed: list[Part] = []
        try:
            await self._apply(new)
            for part in self.parts:
                changed.append(part)
                await part.reload(config)
        except (ValueError, OSError, RuntimeError) as error:
            await self._apply(old)
            for part in changed[:-1]:
                await part.reload(old.config)
            return " ".join(str(error).split())
        self._log.info(
            "reloaded",
            config=str(self.path),
            after_restart=[
                key for key in UNCHANGED if _setting(config, key) != _setting(old.config, key)
            ],
        )
        return ""

    async def _apply(self, new: "_Settings") -> None:
        """Judge by other settings from the next batch on."""

        def apply() -> None:
            compose.replace_rules(self.pipeline, new.rules)
            self.inventory.listed = new.listed
            self.folder.evidence.quota_bytes = new.config.state.evidence_mib << 20
            self.judge.checkpoint_every = seconds(new.config.state.checkpoint)
            self.judge.learn_until(new.config.learning.moment())
            with contextlib.suppress(StoreError):  # full disk: rules are in force all the same
                compose.note_origin(self.folder, new.rules, self.config.sensor_name)

        await self.call(apply)
        logs.configure(new.config.log)
        self.rules, self.config = new.rules, new.config


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a reload replaces."""

    config: Config
    rules: compose.Rules
    listed: AssetList


def _setting(config: Config, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _spell(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def listening(config: Config) -> Listening:
    """What the config says of capturing."""
    capture = config.capture
    return Listening(
        capture.interfaces,
        filter=capture.filter,
        promiscuous=capture.promiscuous,
        ring_bytes=capture.ring_mib << 20,
        recent_bytes=min(capture.evidence_mib << 20, size(config.memory) // 8),
    )


def serve(path: Path) -> int:
    """Run the service until it is stopped; the exit code. Raises what is the user's mistake."""
    daemon_of = Daemon(path)
    daemon_of.parts = make_parts(daemon_of)
    import uvloop  # noqa: PLC0415 only the service needs it

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(daemon_of.run())
    except (OSError, ValueError, StoreError):  # the user's; a line says all
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 a panic of the hot path is no Exception
        logger(__name__).critical("otids failed; this is a bug", exc_info=True)
        return OUR_BUG


def make_parts(daemon: Daemon) -> list[Part]:
    """Everything that runs beside the judge. A new part is one more line here."""
    from otids.service.control import Control  # noqa: PLC0415 it steers what is made here
    from otids.service.selfalerts import SelfAlerts  # noqa: PLC0415 as above

    return [
        Outbox(daemon.config, daemon.folder.store, daemon.judge.call, daemon.alerts),
        Metrics(daemon),
        SelfAlerts(daemon),
        Control(daemon),
    ]


def _rules(config: Config) -> compose.Rules:
    return compose.Rules.load(map(Path, config.rules.folders))


def _assets(config: Config) -> Path | None:
    return Path(config.rules.assets) if config.rules.assets else None
