"""Alerts arrive at a real rsyslog by every transport, also while it is stopped and started."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service.outboxes import World, until
from sinks.certificates import Authority
from sinks.servers import wait_until

from otids.service.config import Config

TLS_DRIVER = "lmnsd_ossl.so"


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Rsyslog:
    """One rsyslogd, which writes what it gets to a file as it came."""

    def __init__(self, folder: Path, transport: str, authority: Authority | None = None) -> None:
        program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("rsyslogd is not installed (Debian: rsyslog, rsyslog-openssl)")
        if authority and not list(Path("/usr/lib").glob(f"*/rsyslog/{TLS_DRIVER}")):
            pytest.skip("rsyslogd has no TLS by OpenSSL (Debian: rsyslog-openssl)")
        self.transport = transport
        self.port = free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        self._file = folder / "received"
        self._log = folder / "rsyslog.log"
        config = folder / "rsyslog.conf"
        config.write_text(self._config(folder, authority))
        self._command = [program, "-n", "-f", str(config), "-i", str(folder / "rsyslog.pid")]
        self._process: subprocess.Popen[bytes] | None = None

    def _config(self, folder: Path, authority: Authority | None) -> str:
        lines = [f'global(workDirectory="{folder}" maxMessageSize="64k")']
        if self.transport == "udp":
            lines.append('module(load="imudp")')
            lines.append(f'input(type="imudp" address="127.0.0.1" port="{self.port}")')
        else:
            module = 'module(load="imtcp"'
            if authority is not None:
                pair = authority.issue("siem.example")
                lines.append(
                    f'global(defaultNetstreamDriver="ossl"'
                    f' defaultNetstreamDriverCAFile="{pair.ca}"'
                    f' defaultNetstreamDriverCertFile="{pair.certificate}"'
                    f' defaultNetstreamDriverKeyFile="{pair.key}")'
                )
                module += (
                    ' streamDriver.name="ossl" streamDriver.mode="1"'
                    ' streamDriver.authMode="x509/name" permittedPeer=["sensor.example"]'
                )
            lines.append(f"{module})")
            lines.append(f'input(type="imtcp" address="127.0.0.1" port="{self.port}")')
        lines.append(r'template(name="raw" type="string" string="%rawmsg%\n")')
        lines.append('if $programname == "otids" then {')
        lines.append(f'action(type="omfile" file="{self._file}" template="raw") stop }}')
        lines.append(f'action(type="omfile" file="{self._log}")')
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        """Start it; return when it listens."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, f"rsyslogd listens; {self.log()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def _listens(self) -> bool:
        table = "udp" if self.transport == "udp" else "tcp"
        where = f"0100007F:{self.port:04X}"
        return where in Path(f"/proc/net/{table}").read_text()

    def messages(self) -> list[str]:
        """Return what it has written."""
        return self._file.read_text().splitlines() if self._file.exists() else []

    def records(self) -> list[dict[str, Any]]:
        """Return the bodies of what it has written; what a kill tore is none."""
        found = []
        for message in re.split(r"(?=<\d{1,3}>1 )", "\n".join(self.messages())):
            with contextlib.suppress(ValueError):
                found.append(json.loads(message[message.index("] {") + 2 :]))
        return found

    def revisions(self) -> set[int]:
        """Return which revisions it has written."""
        return {int(one["revision"]) for one in self.records()}

    def log(self) -> str:
        """Return what it says of itself."""
        return self._log.read_text() if self._log.exists() else ""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that issues certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["tcp", "tls"])
def stream(
    request: pytest.FixtureRequest, tmp_path: Path, authority: Authority
) -> Iterator[Rsyslog]:
    """An rsyslogd that takes connections."""
    server = Rsyslog(tmp_path, request.param, authority if request.param == "tls" else None)
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World.opened(tmp_path) as world:
        yield world


def config(world: World, server: Rsyslog, authority: Authority, **more: str) -> Config:
    keys = {
        "type": "syslog",
        "name": "siem",
        "host": "127.0.0.1",
        "transport": server.transport,
    }
    if server.transport == "tls":
        pair = authority.issue("sensor.example")
        keys |= {
            "server_name": "siem.example",
            "ca": str(pair.ca),
            "certificate": str(pair.certificate),
            "key": str(pair.key),
        }
    lines = [f'{key} = "{value}"' for key, value in (keys | more).items()]
    return world.config("\n".join([*lines, f"port = {server.port}"]))


@pytest.mark.parametrize("body", ["json", "cef"])
def test_messages_arrive_whole(
    body: str, world: World, stream: Rsyslog, authority: Authority
) -> None:
    async def run() -> None:
        stream.start()
        async with world.outbox(config(world, stream, authority, format=body)) as outbox:
            world.commit(1, 2, title='"quoted" ] \\ ä€', explanation="e" * 1900)
            world.commit(3, points=tuple(f"coil {number}" for number in range(64)))
            await until(lambda: len(stream.messages()) == 3, stream.log())
            await until(lambda: outbox.states[0].delivered == 3, outbox.states[0].last_error)
            assert outbox.states[0].retried == 0

    asyncio.run(run())
    assert len(stream.messages()) == 3
    if body == "json":
        assert [one["revision"] for one in stream.records()] == [1, 2, 3]
        assert stream.records()[0]["title"] == '"quoted" ] \\ ä€'
    else:
        assert all("CEF:0|otids|otids|" in one for one in stream.messages())


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_comes_and_goes_gets_everything(
    end: signal.Signals, world: World, stream: Rsyslog, authority: Authority
) -> None:
    last = 0

    async def commit(count: int) -> None:
        nonlocal last
        for _ in range(count):
            last += 1
            world.commit(last, explanation="e" * 500)
            await asyncio.sleep(0.005)

    async def run() -> None:
        async with world.outbox(config(world, stream, authority)) as outbox:
            await commit(20)  # nobody listens yet
            for _ in range(3):
                await asyncio.to_thread(stream.start)
                committing = asyncio.create_task(commit(150))
                await until(lambda: stream.revisions() & {last - 1, last}, stream.log())
                await asyncio.to_thread(stream.stop, end)
                await committing
            await until(lambda: outbox.states[0].failing_since, "that it is gone is seen")
            await asyncio.to_thread(stream.start)
            await until(lambda: stream.revisions() == {*range(1, last + 1)}, stream.log())
            await until(lambda: not outbox.states[0].behind, "the place")
            assert not outbox.states[0].given_up

    asyncio.run(run())
    assert last == 470


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"server_name": "other.example"}, "its certificate is not accepted"),
        ({"ca": ""}, "its certificate is not accepted"),
        ({"certificate": "", "key": ""}, ""),  # what it says then is OpenSSL's
    ],
)
def test_tls_is_refused_on_either_side(
    change: dict[str, str], complaint: str, world: World, tmp_path: Path, authority: Authority
) -> None:
    server = Rsyslog(tmp_path, "tls", authority)

    async def run() -> None:
        async with world.outbox(config(world, server, authority, **change)) as outbox:
            world.commit(1)
            await until(lambda: outbox.states[0].failing_since, "a failure")
            assert complaint in outbox.states[0].last_error
            assert outbox.states[0].behind == 1

    server.start()
    try:
        asyncio.run(run())
        assert server.messages() == []
    finally:
        server.stop()


def test_datagrams_arrive_as_whole_records(
    world: World, tmp_path: Path, authority: Authority
) -> None:
    server = Rsyslog(tmp_path, "udp")

    async def run() -> None:
        async with world.outbox(config(world, server, authority)):
            world.commit(*range(1, 51))
            world.commit(51, explanation="e" * 1900, members=("m" * 200,) * 64)
            await until(lambda: server.revisions() == {*range(1, 52)}, server.log())

    server.start()
    try:
        asyncio.run(run())
    finally:
        server.stop()
    assert [one["revision"] for one in server.records() if "shortened" in one] == [51]
