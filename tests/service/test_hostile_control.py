"""The control socket under those who send anything, slowly, or by the dozen."""

import asyncio
import json
import random
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from mutation import damaged
from service.made import Feed, in_loop, write_config

from otids.service import control as control_module
from otids.service.commands import COMMANDS, Peer
from otids.service.control import MOST_CLIENTS, Control
from otids.service.daemon import Daemon

pytestmark = pytest.mark.usefixtures("feed")

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**30, 1.5, "", "x" * 5000, "\x1b[2J\u202e", "ffff", "open", [], {},
    [[]], {"x": 1}, "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00Z", "../../etc/passwd",
)  # fmt: skip
NAMES = (
    "alert", "evidence", "kind", "status", "min_severity", "device", "since", "until", "limit",
    "number", "who", "more",
)  # fmt: skip
LOOKING = Peer(1, 65534, "nobody", may_steer=False)
STEERING = Peer(1, 0, "root", may_steer=True)


def serve(config: Path, act: Callable[[Daemon, Control], Awaitable[None]]) -> None:
    """Run a service with its control socket, and do something meanwhile."""
    daemon = Daemon(config)
    control = Control(daemon)
    daemon.parts = [control]

    async def run() -> None:
        running = asyncio.ensure_future(daemon.run())
        path = Path(daemon.config.control.socket)
        while not path.is_socket() and not running.done():  # noqa: ASYNC110, ASYNC240 a test
            await asyncio.sleep(0.01)
        try:
            if not running.done():
                await act(daemon, control)
        finally:
            daemon.stopping.set()
        await running

    in_loop(run, seconds=7000.0)


def request(chance: random.Random) -> bytes:
    """A request that is nearly right."""
    wanted: dict[str, Any] = {"version": 1, "command": chance.choice([*COMMANDS])}
    arguments = {chance.choice(NAMES): chance.choice(ODD) for _ in range(chance.randrange(4))}
    if arguments:
        wanted["arguments"] = arguments
    text = json.dumps(wanted)
    if chance.randrange(3) == 0:
        text = damaged(text, chance)
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.timeout(7200)
def test_any_request_has_an_answer_and_none_is_a_bug(tmp_path: Path) -> None:
    async def act(daemon: Daemon, control: Control) -> None:
        chance = random.Random(1)
        for _ in range(examples(400)):
            line = request(chance)
            peer = chance.choice((LOOKING, STEERING))
            answer = json.loads(await control._answered(line, peer))
            assert answer["ok"] or answer["error"].isprintable(), line
            assert "bug" not in answer.get("error", ""), (line, answer)
        assert daemon.judge.is_running

    serve(write_config(tmp_path), act)


def test_who_sends_byte_by_byte_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "IDLE_SECONDS", 0.5)

    async def act(_: Daemon, control: Control) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as one:
            one.setblocking(False)
            await loop.sock_connect(one, str(control._path))
            began = loop.time()
            while loop.time() < began + 20:
                try:
                    await loop.sock_sendall(one, b"x")
                except OSError:
                    break
                await asyncio.sleep(0.05)
            assert loop.time() < began + 10

    serve(write_config(tmp_path), act)


def test_who_asks_and_never_reads_costs_one_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "ANSWER_SECONDS", 0.5)

    async def act(_: Daemon, control: Control) -> None:
        loop = asyncio.get_running_loop()
        ends = [socket.socket(socket.AF_UNIX) for _one in range(3)]
        for one in ends:
            one.setblocking(False)
            await loop.sock_connect(one, str(control._path))
            asking = loop.create_task(
                loop.sock_sendall(one, b'{"version": 1, "command": "hello"}\n' * 40_000)
            )
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        for _wait in range(400):
            await asyncio.sleep(0.05)
            if control.clients == 0:
                break
        assert control.clients == 0, "they are let go"
        for one in ends:
            one.close()

    serve(write_config(tmp_path), act)


def test_hundreds_who_connect_and_say_nothing(tmp_path: Path, feed: Feed) -> None:
    async def act(daemon: Daemon, control: Control) -> None:
        loop = asyncio.get_running_loop()
        ends = []
        for _ in range(200):
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            ends.append(one)
            await loop.sock_connect(one, str(control._path))
            await asyncio.sleep(0)
        while control.refused < len(ends) - MOST_CLIENTS:  # noqa: ASYNC110 a test
            await asyncio.sleep(0.01)
        assert control.clients <= MOST_CLIENTS
        assert len(control._going) <= MOST_CLIENTS
        for one in ends:
            one.close()
        while control.clients:  # noqa: ASYNC110 a test
            await asyncio.sleep(0.01)
        assert daemon.judge.is_running
        assert feed.failure is None

    serve(write_config(tmp_path), act)
