"""The control socket: who may do what, what it bears, and what commands make of it."""

import asyncio
import grp
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.commands import Ran, invoke
from service.made import Feed, in_loop, write_config

from otids.cli.errors import UserError
from otids.cli.remote import Service
from otids.service import control as control_module
from otids.service.control import MOST_REQUEST, Control, bind, group_id
from otids.service.daemon import Daemon
from otids.service.selfalerts import SelfAlerts

pytestmark = pytest.mark.usefixtures("feed")

ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as one:
    one.connect(sys.argv[1])
    one.sendall(sys.argv[2].encode() + b"\\n")
    print(one.makefile().readline(), end="")
"""
NOBODY = 65534
SETPRIV = shutil.which("setpriv") or "setpriv"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root: asks as other users")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="otids-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def serve(config: Path, act: Callable[[Daemon, Path], Awaitable[None]]) -> Daemon:
    """Run a service with its control socket, and do something meanwhile."""
    daemon = Daemon(config)
    daemon.parts = [SelfAlerts(daemon), Control(daemon)]

    async def run() -> None:
        running = asyncio.ensure_future(daemon.run())
        path = Path(daemon.config.control.socket)
        while not path.is_socket() and not running.done():  # noqa: ASYNC110, ASYNC240 a test
            await asyncio.sleep(0.01)
        try:
            if not running.done():
                await act(daemon, path)
        finally:
            daemon.stopping.set()
        await running

    in_loop(run)
    return daemon


async def ask(path: Path, command: str, **arguments: Any) -> Any:
    def work() -> Any:
        service = Service(path)
        try:
            return service.ask(command, **arguments)
        finally:
            service.close()

    return await asyncio.to_thread(work)


async def raw(path: Path, data: bytes) -> list[dict[str, Any]]:
    """Send bytes, end, and return all answers."""

    def work() -> list[dict[str, Any]]:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(30)
            one.connect(str(path))
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            return [json.loads(line) for line in one.makefile("rb")]

    return await asyncio.to_thread(work)


async def as_user(
    path: Path, command: str, uid: int, gid: int, *groups: int
) -> subprocess.CompletedProcess[str]:
    request = json.dumps({"version": 1, "command": command})
    return await asyncio.to_thread(
        subprocess.run,
        [_python_of_all(), "-I", "-c", ASK, str(path), request],
        user=uid,
        group=gid,
        extra_groups=list(groups),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _python_of_all() -> str:
    """A Python that every user may run: that of an environment below /root is none."""
    for python in ("/usr/bin/python3", sys.executable):
        tried = subprocess.run(
            [SETPRIV, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python, "-V"],
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return python
    pytest.skip("no Python that another user may run")


async def otids(home: Path, *args: object, answer: str = "") -> Ran:
    return await asyncio.to_thread(invoke, home, *args, answer=answer)


# --- what it tells -------------------------------------------------------------------------------


def test_it_says_who_it_is_and_how_it_stands(feed: Feed, folder: Path, attacks: Path) -> None:
    async def act(daemon: Daemon, path: Path) -> None:
        await asyncio.to_thread(feed.hear, attacks)
        hello = await ask(path, "hello")
        assert hello["state"] == str(folder / "state")
        assert hello["may_steer"]
        status = await ask(path, "status")
        assert status["health"] == "healthy"
        assert status["counts"]["frames"] == 12_243
        assert status["open_alerts"]["critical"] >= 2
        assert {one["detector"] for one in status["detectors"]} >= {"policy", "novelty"}
        assert status["interfaces"][0]["is_up"]
        assert daemon.judge.snapshot.frames == 12_243
        alerts = await ask(path, "alerts", kind="policy")
        assert {one["kind"].partition(".")[0] for one in alerts} == {"policy"}
        told = await ask(path, "explain", alert=alerts[0]["id"])
        assert told["record"] == alerts[0]

    serve(write_config(folder), act)
    assert not (folder / "control.sock").exists()


def test_commands_use_the_service_that_works_on_a_folder(
    feed: Feed, folder: Path, attacks: Path
) -> None:
    state = folder / "state"

    async def act(daemon: Daemon, path: Path) -> None:
        await asyncio.to_thread(feed.hear, attacks)
        await ask(path, "checkpoint")
        ran = await otids(folder, "alerts", "--state", state, "--kind", "policy", "--json")
        assert ran.code == 0, ran.err
        alert = next(one for one in ran.records if one["kind"] == "policy.umas-stop-plc")
        told = await otids(folder, "explain", "--control", path, alert["id"][:8])
        assert alert["title"] in " ".join(told.out.split())
        accepted = await otids(folder, "accept", "--state", state, alert["id"], "--yes")
        assert accepted.code == 0, accepted.err
        (policy,) = (one for one in daemon.pipeline.detectors if one.name == "policy")
        assert policy.state()["accepted"], "it is in force, not only noted"
        decided = (await ask(path, "decisions"))[0]
        assert decided["who"] == pwd.getpwuid(os.geteuid()).pw_name
        again = await otids(folder, "accept", "--state", state, alert["id"], "--yes")
        assert again.code == 2
        assert "accepted already" in again.complaint
        undone = await otids(folder, "undo", "--control", path, "--yes")
        assert undone.code == 0, undone.err
        assert not policy.state()["accepted"]
        for command in ("assets", "status", "baseline show"):
            ran = await otids(folder, *command.split(), "--state", state)
            assert ran.code == 0, ran.err
            assert ran.out
        assert "healthy" in (await otids(folder, "status", "--control", path)).out
        record = (await otids(folder, "status", "--control", path, "--json")).records[0]
        assert record["open_alerts"] == (await ask(path, "status"))["open_alerts"]

    serve(write_config(folder), act)
    # Once it has ended, the folder itself is looked at.
    ran = invoke(folder, "status", "--state", state, "--json")
    assert "health" not in ran.records[0]


def test_control_of_a_service_by_name(folder: Path) -> None:
    async def act(daemon: Daemon, path: Path) -> None:
        def until() -> float | None:
            return daemon.judge._learn_until

        saved = await otids(folder, "control", "checkpoint", "--control", path)
        assert saved.code == 0, saved.err
        assert daemon.folder.load() is not None
        late = await otids(
            folder, "control", "learn-until", "2036-01-01T00:00:00+00:00", "--control", path
        )
        assert late.code == 0, late.err
        assert until() == 2_082_758_400
        await otids(folder, "control", "learn-until", "--control", path)
        assert until() is None
        daemon.path.write_text("[capture]\ninterfaces = 3\n")
        wrong = await otids(folder, "control", "reload", "--control", path)
        assert wrong.code == 2
        assert "otids.toml:2" in wrong.complaint

    serve(write_config(folder), act)


@pytest.mark.parametrize(
    "until",
    ["tomorrow", "2036-01-01T00:00:00", "9999-99-99T00:00:00Z", "0001-01-01T00:00:00+14:00"],
)
def test_a_moment_that_makes_no_sense_is_refused(folder: Path, until: str) -> None:
    async def act(daemon: Daemon, path: Path) -> None:
        if until.startswith("0001"):
            await ask(path, "learn-until", until=until)  # long ago is a moment
            return
        with pytest.raises(UserError, match="is no time"):
            await ask(path, "learn-until", until=until)
        assert daemon.judge._learn_until is None

    serve(write_config(folder), act)


def test_without_a_service_a_line_says_so(tmp_path: Path) -> None:
    ran = invoke(tmp_path, "status", "--control", tmp_path / "gone.sock")
    assert ran.code == 2
    assert "no service answers there" in ran.complaint


def test_self_alerts_stand_in_status_and_store(folder: Path) -> None:
    async def act(daemon: Daemon, path: Path) -> None:
        daemon.judge.committer.trouble = "disk is full"
        daemon.judge.committer.since = 1.0
        for _ in range(500):
            found = await ask(path, "alerts", kind="sensor")
            if found:
                break
            await asyncio.sleep(0.02)
        assert [one["kind"] for one in found] == ["sensor.store-failing"]
        assert found[0]["status"] == "open"
        assert found[0]["severity"] == "critical"
        status = await ask(path, "status")
        assert status["health"] == "degraded"
        assert [one["kind"] for one in status["why"]] == ["sensor.store-failing"]

    serve(write_config(folder), act)


# --- who may -------------------------------------------------------------------------------------


def test_the_file_is_for_user_and_group_only(folder: Path) -> None:
    async def act(_: Daemon, path: Path) -> None:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660  # noqa: PTH116 a test may block

    serve(write_config(folder), act)


@needs_root
def test_only_those_in_the_group_may_ask_and_only_the_named_group_may_steer(folder: Path) -> None:
    operators = grp.getgrnam("operator").gr_gid if _has_group("operator") else 37

    async def act(_: Daemon, path: Path) -> None:
        stranger = await as_user(path, "status", NOBODY, NOBODY)
        assert "PermissionError" in stranger.stderr
        for groups in ((NOBODY, operators), (operators,)):
            member = await as_user(path, "checkpoint", NOBODY, *groups)
            assert json.loads(member.stdout)["ok"], member.stdout
        os.chmod(path, 0o666)  # noqa: PTH101, S103 as an ACL would let others in
        for command, is_good in (("status", True), ("alerts", True), ("checkpoint", False)):
            answer = json.loads((await as_user(path, command, NOBODY, NOBODY)).stdout)
            assert answer["ok"] is is_good, command
        assert "may look, but not steer" in answer["error"]

    serve(write_config(folder, "\n") if not _has_group("operator") else _with_group(folder), act)


def _has_group(name: str) -> bool:
    return any(one.gr_name == name for one in grp.getgrall())


def _with_group(folder: Path) -> Path:
    path = write_config(folder)
    path.write_text(path.read_text().replace("[metrics]", 'group = "operator"\n[metrics]'))
    return path


def test_a_group_that_is_not_there_is_a_line() -> None:
    with pytest.raises(OSError, match=r"control.group: there is no group 'nobody-has-this'"):
        group_id("nobody-has-this")


# --- what it bears -------------------------------------------------------------------------------


def test_hostile_requests_are_answered_in_a_line_each(folder: Path) -> None:
    lines = [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[1, 2]",
        b'{"version": 1}',
        b'{"version": 2, "command": "status"}',
        b'{"version": 1, "command": "no\\u001b[2J"}',
        b'{"version": 1, "command": "status", "extra": 1}',
        b'{"version": 1, "command": "alerts", "arguments": {"limit": 1000000}}',
        b'{"version": 1, "command": "alerts", "arguments": {"limit": -1}}',
        b'{"version": 1, "command": "alerts", "arguments": {"kind": "%s"}}' % (b"x" * 300),
        b'{"version": 1, "command": "alerts", "arguments": {"since": 99999999999999999999}}',
        b'{"version": 1, "command": "explain", "arguments": {"alert": "../../etc/passwd"}}',
        b'{"version": 1, "command": "explain", "arguments": {"alert": "ffff"}}',
        b'{"version": 1, "command": "undo", "arguments": {"number": 7}}',
        b'{"version": 1, "command": "test-alert"}',
        b"[" * 10_000,
    ]

    async def act(_: Daemon, path: Path) -> None:
        answers = await raw(path, b"\n".join(lines) + b"\n")
        assert len(answers) == len(lines)
        for line, answer in zip(lines, answers, strict=True):
            assert answer["ok"] is False, line
            assert answer["error"].isprintable()
            assert "bug" not in answer["error"], answer
        good = await raw(path, b'{"version": 1, "command": "hello"}\n')
        assert good[0]["ok"]

    serve(write_config(folder), act)


def test_a_request_without_an_end_is_cut(folder: Path) -> None:
    async def act(_: Daemon, path: Path) -> None:
        (answer,) = await raw(path, b"x" * (MOST_REQUEST + 1))
        assert "at most" in answer["error"]

    serve(write_config(folder), act)


def test_many_who_hold_on_do_not_keep_others_out_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "MOST_CLIENTS", 4)
    monkeypatch.setattr(control_module, "IDLE_SECONDS", 0.5)

    async def act(_: Daemon, path: Path) -> None:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for one in idle:
            one.connect(str(path))
        await asyncio.sleep(0.2)
        with pytest.raises(UserError, match="too many are connected"):
            await ask(path, "hello")
        await asyncio.sleep(0.6)
        assert (await ask(path, "hello"))["may_steer"]
        for one in idle:
            one.close()

    serve(write_config(folder), act)


@needs_root
def test_those_who_look_leave_a_place_for_those_who_steer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "MOST_LOOKING", 0)

    async def act(_: Daemon, path: Path) -> None:
        os.chmod(path, 0o666)  # noqa: PTH101, S103 a test may block
        refused = json.loads((await as_user(path, "hello", NOBODY, NOBODY)).stdout)
        assert "too many" in refused["error"]
        assert (await ask(path, "hello"))["may_steer"]

    serve(write_config(folder), act)


def test_a_socket_that_a_crash_left_is_taken_over(folder: Path) -> None:
    path = folder / "control.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    assert path.is_socket()
    bind(path, None).close()


def test_a_socket_that_is_in_use_is_not(folder: Path) -> None:
    path = folder / "control.sock"
    with bind(path, None), pytest.raises(OSError, match="another otids answers there"):
        bind(path, None)


def test_something_else_in_its_place_is_left_alone(folder: Path) -> None:
    path = folder / "control.sock"
    path.write_text("precious")
    with pytest.raises(OSError, match="is in the way"):
        bind(path, None)
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_is_a_line(folder: Path) -> None:
    with pytest.raises(OSError, match="the control socket cannot be made"):
        bind(folder / ("x" * 200), None)
