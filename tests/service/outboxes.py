"""An outbox for tests: a store, and one thread that stands for the judge's."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self, TypeVar

from alerts.records import write_alert

from otids.service.config import Config, load
from otids.service.outbox import Outbox
from otids.store import Store

T = TypeVar("T")

SECONDS = 15.0


class World:
    """A store with one thread that writes, and an outbox."""

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """Make one in a folder."""
        with (
            Store(folder / "alerts.sqlite", writing=True) as store,
            ThreadPoolExecutor(1) as writer,
        ):
            yield cls(folder, store, writer)

    def __init__(self, folder: Path, store: Store, writer: ThreadPoolExecutor) -> None:
        self.folder = folder
        self.store = store
        self.alerts = asyncio.Event()
        self._writer = writer

    def call(self, function: Callable[[], T], /) -> Future[T]:
        return self._writer.submit(function)

    def config(self, *sinks: str, history: str = "90d") -> Config:
        path = self.folder / "otids.toml"
        text = f'[capture]\ninterfaces = ["x"]\n[state]\nhistory = "{history}"\n'
        path.write_text(text + "".join(f"[[sink]]\n{one}\n" for one in sinks))
        return load(path)

    def lines(self, name: str) -> str:
        return f'type = "jsonlines"\nname = "{name}"\npath = "{self.folder}/{name}.jsonl"'

    def commit(self, *revisions: int, **changes: object) -> None:
        some = [write_alert("a" * 16, number, **changes) for number in revisions]
        self.call(lambda: self.store.commit(some)).result()
        self.alerts.set()

    def had(self, name: str, older: str = "") -> list[int]:
        path = self.folder / f"{name}.jsonl{older}"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line)["revision"] for line in text.splitlines()]

    @asynccontextmanager
    async def outbox(self, config: Config) -> AsyncIterator[Outbox]:
        outbox = Outbox(config, self.store, self.call, self.alerts)
        await outbox.start()
        try:
            yield outbox
        finally:
            await outbox.stop()


async def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.005)
