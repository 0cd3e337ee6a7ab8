"""The outbox: a worker per sink delivers what was committed, at its own pace, at least once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from otids.logs import logger
from otids.service.config import (
    Config,
    JsonLinesConfig,
    SinkConfig,
    SyslogConfig,
    seconds,
)
from otids.sinks.base import Sink, SinkError
from otids.sinks.delivery import Delivery, SinkState
from otids.sinks.jsonlines import JsonLines
from otids.sinks.syslog import Syslog
from otids.sinks.tls import Tls
from otids.sinks.trial import make_test_alert
from otids.sinks.webhook import Webhook
from otids.store import PRUNED_AT_ONCE, Store

if TYPE_CHECKING:
    from otids.service.daemon import Daemon

T = TypeVar("T")

STOP_SECONDS = 3.0
"""How long a worker may take to end; one that hangs in a delivery is left behind."""
CALL_SECONDS = 10.0
"""How long the judging thread may take for a call of ours."""
PRUNE_SECONDS = 3600.0
TEST_SECONDS = 15.0
"""How long a test alert may take through every sink."""
_TEST_LOOK_SECONDS = 0.05


class Call(Protocol):
    """Has a function run in the thread that writes to the store (`Judge.call`)."""

    def __call__(self, function: Callable[[], T], /) -> Future[T]:
        """Return its result, some day."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test alert at one sink."""

    name: str
    kind: str
    is_delivered: bool
    said: str
    seconds: float

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sink": self.name,
            "type": self.kind,
            "delivered": self.is_delivered,
            "said": self.said,
            "seconds": round(self.seconds, 3),
        }


def make_sink(config: SinkConfig) -> Sink:
    """Make a sink as its config says. Touches neither files nor network."""
    if isinstance(config, JsonLinesConfig):
        return JsonLines(
            Path(config.path),
            config.place,
            rotate_bytes=config.rotate_mib << 20,
            keep=config.keep,
        )
    tls = Tls(config.ca, config.certificate, config.key)
    if isinstance(config, SyslogConfig):
        return Syslog(
            config.host,
            config.port,
            name=config.place,
            transport=config.transport,
            body=config.format,
            facility=config.facility,
            tls=tls,
            server_name=config.server_name,
            most_bytes=config.max_bytes,
        )
    return Webhook(
        config.url,
        name=config.place,
        headers=config.headers,
        tls=tls,
        timeout=seconds(config.timeout),
        one_by_one=config.body == "record",
    )


class _Worker:
    """A thread that lets one `Delivery` do its steps."""

    def __init__(
        self, config: SinkConfig, store: Path, note: Callable[[str, int], Future[Any]]
    ) -> None:
        """Raises StoreError."""
        self.config = config
        self._journal = Store(store)
        self.delivery = Delivery(
            make_sink(config),
            self._journal,
            note,
            kind=_kind(config),
            is_confirmed=_is_confirmed(config),
            min_severity=config.min_severity,
        )
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {config.place}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something new was committed."""
        self._awake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            pause = self.delivery.step()
            if pause > 0:
                self._awake.wait(pause)
        with contextlib.suppress(Exception):  # nobody is left to be told
            self.delivery.close()
        self._journal.close()

    def stop(self) -> bool:
        """End after what is being delivered; False if that takes too long, and goes on alone."""
        self._stopping.set()
        self._awake.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            return False
        noting = self.delivery.keep_place()
        with contextlib.suppress(Exception, CancelledError):  # then it is delivered once more
            if noting is not None:
                noting.result(STOP_SECONDS)
                self.delivery.keep_place()
        return True


class Outbox:
    """The part of the service that delivers alerts. A sink that is new gets all that is kept."""

    def __init__(self, config: Config, store: Store, call: Call, alerts: asyncio.Event) -> None:
        """Subscribe the sinks. To be made before the judging thread begins to write.

        `alerts` is set when revisions were committed. Raises StoreError.
        """
        self._config = config
        self._store = store
        self._call = call
        self._alerts = alerts
        self._workers: dict[str, _Worker] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._log = logger(__name__)
        store.subscribe(one.place for one in config.sink)

    @property
    def states(self) -> Sequence[SinkState]:
        """How each sink stands, in the order of the config."""
        workers = [self._workers.get(one.place) for one in self._config.sink]
        return [one.delivery.state for one in workers if one is not None]

    async def start(self) -> None:
        """Begin to deliver. Raises StoreError."""
        for one in self._config.sink:
            self._workers[one.place] = self._start(one)
        self._tasks = [
            asyncio.create_task(self._wake_workers(), name="wake sinks"),
            asyncio.create_task(self._prune_often(), name="prune the journal"),
        ]

    async def reload(self, config: Config) -> None:
        """Take over other sinks; those that stay as they were go on undisturbed."""
        wanted = {one.place: one for one in config.sink}
        old = {
            place: worker
            for place, worker in self._workers.items()
            if worker.config != wanted.get(place)
        }
        for place in old.keys() - wanted.keys():
            if behind := old[place].delivery.state.behind:
                self._log.warning("a sink is gone that had not had all", sink=place, behind=behind)
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in old.values()))
        for place in old:
            del self._workers[place]
        self._config = config
        await self._called(lambda: self._store.subscribe(wanted))
        for place, one in wanted.items():
            if place not in self._workers:
                self._workers[place] = self._start(one)

    async def stop(self) -> None:
        """End; what is not delivered waits in the store for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ended = await asyncio.gather(
            *(asyncio.to_thread(one.stop) for one in self._workers.values())
        )
        late = [place for place, done in zip(self._workers, ended, strict=True) if not done]
        if late:
            self._log.warning("sinks did not end in time; they get some alerts again", sinks=late)
        self._workers.clear()

    async def test(self, sensor: str, within: float = TEST_SECONDS) -> list[Tested]:
        """Send a test alert through store and sinks; tell for each whether it arrived.

        Those that have not had it after `within` seconds get it later. Raises SinkError if the
        store does not take it.
        """
        alert = make_test_alert(sensor, time.time_ns())
        started = time.monotonic()

        def commit() -> bool:
            self._store.commit([alert])
            return True

        if not await self._called(commit):
            raise SinkError("the test alert could not be committed to the store")
        self._alerts.set()
        waiting, told = dict(self._workers), dict[str, Tested]()
        while waiting:
            late = time.monotonic() - started > within
            for place, worker in list(waiting.items()):
                arrived = alert.id in worker.delivery.tests
                if arrived or late:
                    told[place] = _tested(worker, arrived, time.monotonic() - started)
                    del waiting[place]
            await asyncio.sleep(_TEST_LOOK_SECONDS if waiting else 0)
        return list(told.values())

    # --- inside ----------------------------------------------------------------------------------

    def _start(self, config: SinkConfig) -> _Worker:
        return _Worker(config, self._store.path, self._note)

    def _note(self, sink: str, place: int) -> Future[None]:
        return self._call(lambda: self._store.delivered(sink, place))

    async def _called(self, function: Callable[[], T]) -> T | None:
        """Have the writing thread do something; None if it did not, which is logged."""
        future = self._call(function)
        waiter = asyncio.wrap_future(future)
        await asyncio.wait([waiter], timeout=CALL_SECONDS)
        if not waiter.done() or waiter.cancelled():
            future.cancel()
            return None
        if (error := waiter.exception()) is not None:
            self._log.error("the store does not take what sinks note", why=str(error))
            return None
        return waiter.result()

    async def _wake_workers(self) -> None:
        while True:
            await self._alerts.wait()
            self._alerts.clear()
            for worker in self._workers.values():
                worker.wake()

    async def _prune_often(self) -> None:
        while True:
            await self.prune()
            await asyncio.sleep(PRUNE_SECONDS)

    async def prune(self) -> int:
        """Drop what is older than the config keeps; count what sinks will not get. Revisions."""
        dropped, count = 0, PRUNED_AT_ONCE
        while count == PRUNED_AT_ONCE:
            before = time.time_ns() - seconds(self._config.state.history) * 10**9
            lost = await self._called(partial(self._store.give_up, before)) or {}
            for place, number in lost.items():
                self._log.warning(
                    "a sink was away too long; alerts are dropped", sink=place, dropped=number
                )
                if place in self._workers:
                    self._workers[place].delivery.expired += number
            count = await self._called(partial(self._store.prune, before)) or 0
            dropped += count
        return dropped


async def send_test_alert(daemon: Daemon) -> list[Tested]:
    """Send a test alert through every sink of a running service. Raises SinkError."""
    for part in daemon.parts:
        if isinstance(part, Outbox):
            return await part.test(daemon.config.sensor_name)
    raise SinkError("the service has no outbox")


def try_sinks(config: Config) -> Iterator[Tested]:
    """Send a test alert to every sink of a config, without a service; tell what became of it."""
    alert = make_test_alert(config.sensor_name, time.time_ns())
    for one in config.sink:
        sink, started, error = make_sink(one), time.monotonic(), ""
        try:
            sink.deliver([alert.record()])
        except SinkError as failure:
            error = str(failure)
        finally:
            sink.close()
        yield Tested(
            one.place,
            _kind(one),
            not error,
            error or _arrival(_is_confirmed(one)),
            time.monotonic() - started,
        )


def _tested(worker: _Worker, arrived: bool, took: float) -> Tested:
    state = worker.delivery.state
    if arrived:
        said = _arrival(state.is_confirmed)
    elif state.failing_since:
        said = f"{state.last_error} ({state.behind} wait for it)"
    else:
        said = f"not within {took:.0f} s ({state.behind} wait for it)"
    return Tested(state.name, state.kind, arrived, said, took)


def _arrival(is_confirmed: bool) -> str:
    return "delivered" if is_confirmed else "sent; UDP does not tell whether it arrived"


def _kind(config: SinkConfig) -> str:
    return str(config.__struct_config__.tag)


def _is_confirmed(config: SinkConfig) -> bool:
    return not (isinstance(config, SyslogConfig) and config.transport == "udp")
