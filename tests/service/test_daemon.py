"""The life of the service: what stops a start, what a reload takes over, and how it ends."""

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from service.made import Feed, in_loop, write_config

from otids.folder import StateFolder
from otids.rules.files import RuleError
from otids.service import daemon as daemon_module
from otids.service.config import Config
from otids.service.daemon import Daemon
from otids.service.notify import notify, watchdog_seconds
from otids.store import StoreError

pytestmark = pytest.mark.usefixtures("feed")

RULE = """
[[rule]]
id = "no-stop"
title = "Nobody stops it"
severity = "{severity}"
match = {{ protocol = "modbus", activity = ["control"] }}
"""


class Recorder:
    """A part that notes what it is told, and may fail."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails = ""

    def _do(self, what: str) -> None:
        self.told.append(what)
        if what == self.fails:
            raise OSError(f"{what} failed")

    async def start(self) -> None:
        self._do("start")

    async def reload(self, config: Config) -> None:
        self._do(f"reload {config.state.checkpoint}")

    async def stop(self) -> None:
        self._do("stop")


async def run_until(daemon: Daemon, act: object = None) -> int:
    """Run a daemon, do something once it serves, and stop it by SIGTERM."""
    running = asyncio.ensure_future(daemon.run())
    while not daemon.judge.ready.is_set() or (  # noqa: ASYNC110 it has no event of the loop's
        daemon.parts and not getattr(daemon.parts[-1], "told", True)
    ):
        await asyncio.sleep(0.01)
    try:
        if callable(act):
            await act()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
    return await running


def test_it_starts_serves_and_stops(tmp_path: Path) -> None:
    daemon, part = Daemon(write_config(tmp_path)), Recorder()
    daemon.parts = [part]
    assert in_loop(lambda: run_until(daemon)) == 0
    assert part.told == ["start", "stop"]
    with StateFolder(tmp_path / "state") as state:
        assert state.load() is not None


def test_a_part_that_cannot_start_ends_it_and_what_was_started_is_stopped(tmp_path: Path) -> None:
    daemon, good, bad = Daemon(write_config(tmp_path)), Recorder(), Recorder()
    bad.fails = "start"
    daemon.parts = [good, bad]
    with pytest.raises(OSError, match="start failed"):
        in_loop(daemon.run)
    assert good.told == ["start", "stop"]
    StateFolder(tmp_path / "state", writing=True).close()


def test_a_part_that_does_not_stop_does_not_keep_the_others(tmp_path: Path) -> None:
    daemon, good, bad = Daemon(write_config(tmp_path)), Recorder(), Recorder()
    bad.fails = "stop"
    daemon.parts = [good, bad]
    assert in_loop(lambda: run_until(daemon)) == 0
    assert good.told == ["start", "stop"]


def test_a_judge_that_fails_ends_it(feed: Feed, tmp_path: Path) -> None:
    daemon = Daemon(write_config(tmp_path))

    async def fail() -> None:
        feed.failure = OSError(5, "Input/output error", "eth1")

    with pytest.raises(OSError, match="Input/output"):
        in_loop(lambda: run_until(daemon, fail))


def test_a_second_one_on_the_same_state_is_told_so(tmp_path: Path) -> None:
    first = Daemon(write_config(tmp_path))
    with pytest.raises(StoreError, match="another otids is writing"):
        Daemon(tmp_path / "otids.toml")
    first.folder.close()


def test_a_damaged_baseline_is_a_line_and_lets_go_of_the_store(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "baseline.otids").write_bytes(b"no baseline")
    with pytest.raises(ValueError, match="is not a state file"):
        Daemon(path)
    StateFolder(tmp_path / "state", writing=True).close()


def test_a_damaged_generation_is_said_and_the_one_before_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path)
    in_loop(lambda: run_until(Daemon(path)))
    shutil.copy(
        tmp_path / "state" / "baseline.otids", tmp_path / "state" / "baseline.otids.previous"
    )
    (tmp_path / "state" / "baseline.otids").write_bytes(b"no baseline")
    capsys.readouterr()
    Daemon(path).folder.close()
    assert "went back to" in capsys.readouterr().err


def test_a_wrong_filter_is_found_before_anything_is_made(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    path.write_text(path.read_text().replace("[state]", 'filter = "no such thing"\n[state]'))
    with pytest.raises(ValueError, match="no such thing"):
        Daemon(path)
    assert not (tmp_path / "state").exists()


def test_a_reload_takes_over_rules_names_and_settings(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "own.toml").write_text(RULE.format(severity="high"))
    (tmp_path / "assets.csv").write_text("address,name\n10.0.0.5,PLC-5\n")
    path = write_config(tmp_path)
    daemon, part = Daemon(path), Recorder()
    daemon.parts = [part]

    async def act() -> None:
        named = f'[rules]\nfolders = ["{rules}"]\nassets = "{tmp_path / "assets.csv"}"\n'
        text = path.read_text().replace("[state]", f'{named}[state]\ncheckpoint = "7m"')
        path.write_text(text)
        assert await daemon.reload() == ""
        assert daemon.judge.checkpoint_every == 420
        assert "policy.no-stop" in daemon.pipeline.triage.catalogue.entries
        assert [one.name for one in daemon.inventory.listed.rows.values()] == ["PLC-5"]

    assert in_loop(lambda: run_until(daemon, act)) == 0
    assert part.told == ["start", "reload 7m", "stop"]


@pytest.mark.parametrize("mistake", ["rule", "config", "assets", "gone"])
def test_a_reload_with_a_mistake_changes_nothing(tmp_path: Path, mistake: str) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "own.toml").write_text(RULE.format(severity="high"))
    assets = tmp_path / "assets.csv"
    assets.write_text("address,name\n10.0.0.5,PLC-5\n")
    path = write_config(tmp_path)
    good = path.read_text().replace(
        "[state]", f'[rules]\nfolders = ["{rules}"]\nassets = "{assets}"\n[state]'
    )
    path.write_text(good)
    daemon, part = Daemon(path), Recorder()
    daemon.parts = [part]
    catalogue, config = daemon.pipeline.triage.catalogue, daemon.config

    async def act() -> None:
        if mistake == "rule":
            (rules / "own.toml").write_text(RULE.format(severity="no such severity"))
        elif mistake == "config":
            path.write_text(good + "\n[stat]\n")
        elif mistake == "assets":
            assets.write_text("what\n")
        else:
            path.unlink()
        trouble = await daemon.reload()
        assert str(tmp_path) in trouble
        assert len(trouble.splitlines()) == 1
        assert daemon.pipeline.triage.catalogue is catalogue
        assert daemon.config is config
        assert daemon.inventory.listed.rows

    assert in_loop(lambda: run_until(daemon, act)) == 0
    assert part.told == ["start", "stop"]


def test_a_part_that_refuses_a_config_lets_all_go_back(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    daemon, good, bad = Daemon(path), Recorder(), Recorder()
    bad.fails = "reload 7m"
    daemon.parts = [good, bad]
    old = daemon.rules

    async def act() -> None:
        path.write_text(path.read_text().replace("[state]", '[state]\ncheckpoint = "7m"'))
        assert await daemon.reload() == "reload 7m failed"
        assert daemon.judge.checkpoint_every == 300
        assert daemon.rules is old

    assert in_loop(lambda: run_until(daemon, act)) == 0
    assert good.told == ["start", "reload 7m", "reload 5m", "stop"]


def test_sighup_reloads(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    daemon, part = Daemon(path), Recorder()
    daemon.parts = [part]

    async def act() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        while len(part.told) < 2:  # noqa: ASYNC110 as above
            await asyncio.sleep(0.01)

    assert in_loop(lambda: run_until(daemon, act)) == 0
    assert part.told == ["start", "reload 5m", "stop"]


def test_the_watchdog_is_fed_only_while_batches_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(daemon_module, "notify", lambda *lines: told.extend(lines))
    monkeypatch.setattr(daemon_module, "LOOK_SECONDS", 0.01)
    daemon = Daemon(write_config(tmp_path))

    async def act() -> None:
        while told.count("WATCHDOG=1") < 3:  # noqa: ASYNC110 as above
            await asyncio.sleep(0.01)
        monkeypatch.setattr(daemon_module, "STUCK_SECONDS", -1.0)
        await asyncio.sleep(0.05)
        told.clear()
        await asyncio.sleep(0.1)
        assert "WATCHDOG=1" not in told

    assert in_loop(lambda: run_until(daemon, act)) == 0
    assert told[-2:] == ["STOPPING=1", "STATUS=stopping"]


def test_our_own_bugs_end_with_their_code_and_one_line(
    feed: Feed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path)
    feed.failure = ZeroDivisionError("ours")
    assert daemon_module.serve(path) == daemon_module.OUR_BUG
    lines = [one for one in capsys.readouterr().err.splitlines() if "this is a bug" in one]
    assert len(lines) == 1
    assert "ours" in lines[0]


def test_mistakes_of_the_user_are_raised(tmp_path: Path) -> None:
    path = tmp_path / "otids.toml"
    path.write_text("[capture]\ninterfaces = []\n")
    with pytest.raises(RuleError, match=r"otids.toml:2: capture.interfaces"):
        daemon_module.serve(path)


@pytest.mark.parametrize(
    ("microseconds", "pid", "expected"),
    [("30000000", "", 30.0), ("0", "", None), ("x", "", None), ("1000000", "1", None)],
)
def test_when_systemd_wants_to_hear_of_us(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, pid: str, expected: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_seconds() == expected


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "relative")
    assert not notify("READY=1")


def test_a_listener_that_does_not_read_does_not_stop_us(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        told = [notify("WATCHDOG=1") for _ in range(2000)]
        assert told[0]
        assert not told[-1]
        assert systemd.recv(100) == b"WATCHDOG=1"
