"""A service without interfaces, whose numbers are made up, for what looks at numbers only."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from urllib.request import ProxyHandler, build_opener

from otids import compose
from otids.detectors.base import Readiness
from otids.folder import StateFolder
from otids.service.config import CaptureConfig, Config, MetricsConfig
from otids.service.daemon import Daemon
from otids.service.judge import Snapshot
from otids.service.metrics import Metrics
from otids.sinks.delivery import SinkState
from otids.traffic import ConversationName, EndpointName

T = TypeVar("T")
NOW = 1_800_000_000.0
HOSTILE = '10.0.0.66"}\n# evil'


def conversation(server: str = "10.0.0.5") -> ConversationName:
    return ConversationName(EndpointName(0, HOSTILE), EndpointName(0, server), "modbus", "tcp", 502)


def snapshot(**changes: Any) -> Snapshot:
    """Make a snapshot of a service that has seen something of everything."""
    plain = Snapshot(
        started=NOW - 3600,
        made=NOW,
        judged_until=NOW - 1,
        frames=1000,
        messages=800,
        values=400,
        ticks=3600,
        findings=5,
        notices={"malformed-pdu": 2},
        faults={"volume": 1},
        health={
            "frames": 1000,
            "bytes": 90_000,
            "copies": 12,
            "encapsulated": {"erspan": 13},
            "malformed_frames": 3,
            "unknown_link_frames": 4,
            "time_ran_back": 1,
            "flows_evicted": 6,
            "entries_refused": 7,
            "snapped_frames": 8,
            "shed_frames": 9,
            "interfaces": [
                {
                    "name": "eth1",
                    "trouble": "",
                    "frames": 990,
                    "received": 1000,
                    "dropped": 10,
                    "opened": 1,
                },
                {
                    "name": "eth2",
                    "trouble": "is down",
                    "frames": 0,
                    "received": 0,
                    "dropped": 1,
                    "opened": 2,
                },
            ],
        },
        triage={"findings": 5, "revisions": 9, "closed": 2, "evicted": 0, "storms": 1,
                "suppressed": 3, "unlisted": 0, "opened": 4, "escalated": 1, "observations": 70},
        blind={"gaps": [conversation()], "one-sided": []},
        readiness={
            "novelty": [
                Readiness(conversation(), 1.0, None),
                Readiness(conversation("10.0.0.6"), 0.5, 60.0),
            ],
            "scan": [Readiness(None, 0.25, None)],
            "policy": [],
        },
        checkpointed=NOW - 120,
        evidence_notes=1,
    )  # fmt: skip
    return replace(plain, **changes)


@dataclass
class FakeOutbox:
    """A part that has sinks."""

    states: list[SinkState] = field(default_factory=list)


class Service:
    """What a part of the service is made with. `snapshot` and `sinks` may be replaced."""

    def __init__(self, path: Path, port: int = 0, **shown: Any) -> None:
        self.folder = StateFolder(path, writing=True)
        self.outbox = FakeOutbox()
        self.judge = SimpleNamespace(snapshot=snapshot(**shown))
        config = Config(
            CaptureConfig(("eth1", "eth2")), sensor="mill-1", metrics=MetricsConfig(port=port)
        )
        self.daemon = cast(
            "Daemon",
            SimpleNamespace(
                config=config,
                folder=self.folder,
                rules=compose.Rules.load(),
                judge=self.judge,
                parts=[self.outbox],
            ),
        )

    def show(self, **changes: Any) -> None:
        """Stand otherwise from now on."""
        self.judge.snapshot = replace(self.judge.snapshot, **changes)


@contextmanager
def running(part: Callable[[], Metrics]) -> Iterator[Metrics]:
    """Run a part in a loop of its own thread for as long as the body runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(coroutine: Awaitable[T]) -> T:
        async def run() -> T:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(run(), loop).result(30)

    try:
        started = part()
        wait(started.start())
        try:
            yield started
        finally:
            wait(started.stop())
            wait(loop.shutdown_default_executor())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


OPENER = build_opener(ProxyHandler({}))
"""Opens what is on this computer, whatever proxies the environment names."""


def scrape(port: int) -> str:
    """Get the page of metrics."""
    with OPENER.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text
