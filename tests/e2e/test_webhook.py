"""A web server that fails half of the time gets every alert all the same."""

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from service.outboxes import World, until

CHANCE = random.Random(7)


class Server(ThreadingHTTPServer):
    """Keeps what it answers with 200, and also some of what it then fails."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: list[dict[str, Any]] = []
        self.failed = 0

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        records = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fails = CHANCE.random() < 0.5
        self.server.failed += fails
        if not fails or CHANCE.random() < 0.3:  # the last: done, but the answer says otherwise
            self.server.kept += records
        if fails and CHANCE.random() < 0.5:
            self.connection.close()
            return
        self.send_response(503 if fails else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_everything_arrives_in_the_end(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otids.sinks.delivery.FIRST_PAUSE", 0.01)

    async def run() -> None:
        with World.opened(tmp_path) as world:
            hook = f'type = "webhook"\nurl = "http://127.0.0.1:{server.server_port}/"'
            async with world.outbox(world.config(hook)) as outbox:
                for number in range(1, 201):
                    world.commit(number)
                    await asyncio.sleep(0.005)
                await until(lambda: outbox.states[0].delivered == 200, "all")
                assert outbox.states[0].retried > 0
                assert outbox.states[0].given_up == 0

    asyncio.run(run())
    assert {one["revision"] for one in server.kept} == {*range(1, 201)}
    assert server.failed > 3
