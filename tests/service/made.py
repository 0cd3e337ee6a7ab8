"""Parts of a service for tests: alerts, snapshots, and a judge that listens to a file."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from alerts.findings import write_finding

from otids import _hotpath
from otids.alerts.alert import Alert
from otids.alerts.attack import load_attack
from otids.alerts.catalogue import load_catalogue
from otids.alerts.triage import Origin, Triage
from otids.assets import Inventory
from otids.capture import files
from otids.capture.interfaces import Listening
from otids.resources import data_folder
from otids.service.daemon import Daemon
from otids.service.judge import Snapshot
from otids.traffic import TABLES, Array, Batch

T = TypeVar("T")

INTERFACE = {
    "name": "eth1",
    "trouble": "",
    "frames": 0,
    "received": 0,
    "dropped": 0,
    "opened": 1,
}
CONFIG = """
sensor = "test"
[capture]
interfaces = ["eth1"]
[state]
folder = "{folder}"
[control]
socket = "{socket}"
[metrics]
port = 0
[log]
format = "json"
"""


def make_alert(number: int = 1, revision: int = 1, **changes: Any) -> Alert:
    """An alert with an id of its own."""
    rules = data_folder("rules")
    catalogue = load_catalogue(load_attack(rules / "attack.toml"), rules / "catalogue")
    triage = Triage(catalogue, Inventory(), sensor="test", origin=Origin("eth1", "live"))
    (alert,) = triage.take([write_finding((f"cause {number}",), frames=(number,))], 10**9)
    return replace(alert, revision=revision, **changes)


def make_snapshot(**changes: Any) -> Snapshot:
    """How a service stands that hears one interface and has no trouble."""
    health = {"frames": 0, "bytes": 0, "interfaces": [dict(INTERFACE)]}
    health |= changes.pop("health", {})
    plain: dict[str, Any] = {"started": 0.0, "made": 0.0, "health": health}
    return Snapshot(**plain | changes)


class Feed:
    """Stands in for the interfaces: captures that are fed are heard; a quiet wire in between."""

    def __init__(self, empty: Path) -> None:
        self.captures: list[Path] = [empty]
        self.failure: BaseException | None = None

    def batches(
        self,
        hotpath: _hotpath.Hotpath,
        _: Listening,
        learned: Callable[[], Mapping[str, Array]],
    ) -> Generator[Batch, None, None]:
        """As `otids.capture.interfaces.batches`."""
        last: Batch | None = None
        while True:
            if self.failure is not None:
                raise self.failure
            if self.captures:
                for batch in files.batches(hotpath, self.captures[0], learned):
                    last = _live(batch)
                    yield last
                del self.captures[0]
            elif last is not None:
                yield _quiet(last)
            time.sleep(0.002)

    def hear(self, capture: Path) -> None:
        """Let a capture be heard, and wait until it was judged."""
        self.captures.append(capture)
        while self.captures and self.failure is None:
            time.sleep(0.01)


def _live(batch: Batch) -> Batch:
    health = {**batch.health, "interfaces": [{**INTERFACE, "frames": batch.health["frames"]}]}
    return replace(batch, health=health, census=False)


def _quiet(batch: Batch) -> Batch:
    nothing = [0] * len(TABLES)
    return replace(
        batch,
        tables=batch.tables.rows(nothing, nothing),
        marks={name: column[:0] for name, column in batch.marks.items()},
        defined={
            table: {name: column[:0] for name, column in columns.items()}
            for table, columns in batch.defined.items()
        },
        retired={name: ids[:0] for name, ids in batch.retired.items()},
    )


def write_config(folder: Path, extra: str = "") -> Path:
    """Write a config whose state and socket lie in `folder`."""
    path = folder / "otids.toml"
    text = CONFIG.format(folder=folder / "state", socket=folder / "control.sock")
    path.write_text(text + extra)
    return path


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Let the daemon's judge run, without its loop."""
    daemon.judge.start()
    assert daemon.judge.ready.wait(30)
    try:
        yield daemon
    finally:
        daemon.judge.stop()
        daemon.folder.close()


def in_loop(awaitable: Callable[[], Awaitable[T]], seconds: float = 60.0) -> T:
    """Run something in a loop of its own, for at most so long."""

    async def run() -> T:
        return await asyncio.wait_for(awaitable(), seconds)

    return asyncio.run(run())
