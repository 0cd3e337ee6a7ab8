"""The service on a cable of its own: hears, judges, tells, is killed, and goes on."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.network import LISTENED, Network, network, unpacked

from otids.cli.errors import UserError
from otids.cli.remote import Service
from otids.folder import StateFolder
from otids.store import Store

Record = dict[str, Any]
NOBODY = 65534
LAST_SECOND = 12_000
"""From which frame of the attacks on it may be the last second, at 20 times their pace."""


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="otids-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def otids(*words: object) -> list[str]:
    return [sys.executable, "-P", "-m", "otids", *map(str, words)]


def write_config(folder: Path, extra: str = "", *, capture: str = "") -> Path:
    path = folder / "otids.toml"
    path.write_text(
        f'sensor = "test"\n[capture]\ninterfaces = ["{LISTENED}"]\n{capture}\n'
        f'[state]\nfolder = "{folder / "state"}"\ncheckpoint = "2s"\n'
        f'[control]\nsocket = "{folder / "control.sock"}"\n[metrics]\nport = 0\n{extra}'
    )
    return path


class Running:
    """A service, and what it says."""

    def __init__(self, net: Network, config: Path, *before: str, **environment: str) -> None:
        self.folder = config.parent
        self.log = self.folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                net.command(*before, *otids("run", "-c", config)),
                stderr=log,
                env=os.environ | environment,
            )

    def ask(self, command: str, **arguments: Any) -> Any:
        service = Service(self.folder / "control.sock")
        try:
            return service.ask(command, **arguments)
        finally:
            service.close()

    def wait_for(self, what: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Wait until something holds, as long as the service lives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(UserError):
                if found := what():
                    return found
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def serves(self) -> None:
        self.wait_for(lambda: self.ask("hello"))

    def tells(self, kind: str) -> None:
        """Wait until an alert of a kind was told."""
        self.wait_for(lambda: self.ask("alerts", kind=kind))

    def hears(self, frames: int) -> Record:
        """Wait until so many frames were judged; the status then."""
        found: Record = self.wait_for(
            lambda: (
                status := self.ask("status"),
                status if status["counts"]["frames"] >= frames else None,
            )[1]
        )
        time.sleep(1.5)  # the second in which the last of them was heard is judged after its end
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def events(self) -> list[Record]:
        return [
            json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")
        ]


@contextlib.contextmanager
def service(net: Network, config: Path, *before: str, **environment: str) -> Iterator[Running]:
    one = Running(net, config, *before, **environment)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)


def replay(state: Path, *words: object) -> list[Record]:
    """Replay captures; the last revision of each alert."""
    out = state.with_suffix(".jsonl")
    done = subprocess.run(
        otids("replay", "--state", state, "--sensor", "test", "--quiet", "--alerts", out, *words),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = out.read_text().splitlines() if out.exists() else []
    return list({one["id"]: one for one in map(json.loads, lines)}.values())


def stored(state: Path, **filters: Any) -> list[Record]:
    with Store(state / "alerts.sqlite") as store:
        return store.alerts(**filters)


def told(records: list[Record]) -> set[tuple[str, ...]]:
    """What replay and service agree on: who did what to whom, in which frames at first.

    The last second of a capture is left out: only where time goes on is it judged in full.
    """
    return {
        (
            one["kind"],
            (one["source"] or {"address": ""})["address"],
            (one["target"] or {"address": ""})["address"],
            one["function"],
            str([frame for frame in one["frames"][:32] if frame < LAST_SECOND]),
        )
        for one in records
        if not one["kind"].startswith("sensor.") and one["frames"][0] < LAST_SECOND
    }


@contextlib.contextmanager
def recorded(net: Network, capture: Path) -> Iterator[None]:
    """Record what is on the cable, as another program hears it."""
    words = ("dumpcap", "-q", "-P", "-i", LISTENED, "-w", capture)
    with subprocess.Popen(net.command(*words), stderr=subprocess.PIPE, text=True) as dumpcap:
        try:
            assert dumpcap.stderr is not None
            assert any(line.startswith("File:") for line in dumpcap.stderr)
            yield
        finally:
            dumpcap.send_signal(signal.SIGINT)
            dumpcap.communicate(timeout=30)


def test_the_service_tells_what_a_replay_tells(
    net: Network, folder: Path, normal: Path, attacks: Path
) -> None:
    replay(folder / "state", "--learn", normal, normal)
    shutil.copytree(folder / "state", folder / "replayed")
    with service(net, write_config(folder)) as one, recorded(net, folder / "heard.pcap"):
        one.serves()
        net.send(unpacked(attacks, folder), "--multiplier=20")
        status = one.hears(12_243)
        assert status["lost"]["kernel"] == status["lost"]["shed_frames"] == 0
        assert status["counts"]["frames"] == 12_243
        assert one.stop() == 0
    found = stored(folder / "state", limit=10_000)
    assert told(found) == told(replay(folder / "replayed", folder / "heard.pcap"))
    stop = next(each for each in found if each["kind"] == "policy.umas-stop-plc")
    assert (folder / "state" / "evidence" / f"{stop['id']}.pcapng").stat().st_size > 500
    assert one.events()[-1]["event"] == "stopped"
    assert one.events()[-1]["saved"]


def killed_at_random(net: Network, folder: Path, attacks: Path, times: int, seed: int) -> None:
    """Kill the service under load again and again; nothing committed may be lost or doubled."""
    chance = random.Random(seed)
    capture = unpacked(attacks, folder)
    known: dict[tuple[str, int], Record] = {}
    config = write_config(folder)
    for turn in range(times):
        with service(net, config) as one:
            one.serves()
            sending = subprocess.Popen(
                net.command("tcpreplay", "-q", "-i", "sender0", "--multiplier=100", capture),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                if turn % 2:  # amid its work; else maybe before it has any
                    one.tells("policy")
                time.sleep(chance.uniform(0.2, 3.0))
                one.stop(signal.SIGKILL)
            finally:
                sending.kill()
                sending.wait(10)
        with Store(folder / "state" / "alerts.sqlite") as store:
            journal = store.pending("nobody", 1_000_000)
            current = {one["id"]: one for one in store.alerts(limit=1_000_000)}
        keys = [(one.record["id"], one.record["revision"]) for one in journal]
        assert len(keys) == len(set(keys))
        records = {key: one.record for key, one in zip(keys, journal, strict=True)}
        for key, record in known.items():
            assert records[key] == record
        assert {id_ for id_, _ in keys} == set(current)
        for id_, record in current.items():
            assert record["revision"] == max(rev for other, rev in keys if other == id_)
        known = records
    with service(net, config) as one:
        one.serves()
        assert one.ask("status")["not_judged"]["why"] == "killed or failed"
        assert one.ask("alerts", status="open", kind="policy") == []
        assert one.stop() == 0
    with StateFolder(folder / "state") as state:
        assert state.load() is not None
    assert known


def test_after_kill_nine_nothing_committed_is_lost(
    net: Network, folder: Path, attacks: Path
) -> None:
    killed_at_random(net, folder, attacks, times=3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_many_kills_nothing_committed_is_lost(
    net: Network, folder: Path, attacks: Path
) -> None:
    killed_at_random(net, folder, attacks, times=20, seed=2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_at_the_pace_of_the_plant_every_alert_of_a_replay_is_told(
    net: Network, folder: Path, normal: Path, attacks: Path
) -> None:
    replay(folder / "state", "--learn", normal, normal)
    shutil.copytree(folder / "state", folder / "replayed")
    expected = replay(folder / "replayed", attacks)
    with service(net, write_config(folder)) as one:
        one.serves()
        net.send(unpacked(attacks, folder), "--multiplier=1", timeout=400)
        assert one.hears(12_243)["lost"]["kernel"] == 0
        assert one.stop() == 0
    found = stored(folder / "state", limit=10_000)

    def sorts(records: list[Record]) -> set[tuple[str, str, str]]:
        return {
            (one["kind"], str(one["source"] and one["source"]["address"]),
             str(one["target"] and one["target"]["address"]))
            for one in records
        }  # fmt: skip

    assert sorts(expected) <= sorts(found)


def test_a_reload_with_a_broken_rule_keeps_the_old_ones(
    net: Network, folder: Path, attacks: Path
) -> None:
    rules = folder / "rules"
    rules.mkdir()
    config = write_config(folder, f'[rules]\nfolders = ["{rules}"]\n')
    with service(net, config) as one:
        one.serves()
        (rules / "own.toml").write_text("[[rule]]\nid = 3\n")
        one.process.send_signal(signal.SIGHUP)
        one.wait_for(lambda: "the old one stays" in one.log.read_text())
        (why,) = (each["why"] for each in one.events() if "why" in each)
        assert f"{rules}/own.toml:2" in why
        net.send(unpacked(attacks, folder), "--multiplier=40")
        one.hears(12_243)
        assert one.ask("alerts", kind="policy.umas-stop-plc")
        (rules / "own.toml").unlink()
        one.process.send_signal(signal.SIGHUP)
        one.wait_for(lambda: '"reloaded"' in one.log.read_text())
        assert one.stop() == 0


def test_an_interface_that_goes_and_comes_is_told_and_heard_again(
    net: Network, folder: Path, attacks: Path
) -> None:
    capture = unpacked(attacks, folder)
    with service(net, write_config(folder)) as one:
        one.serves()
        net.link(LISTENED, "down")
        one.wait_for(lambda: one.ask("status")["health"] == "blind")
        (alert,) = one.wait_for(lambda: one.ask("alerts", kind="sensor", status="open"))
        assert alert["kind"] == "sensor.interface-down"
        assert LISTENED in alert["title"]
        net.link(LISTENED, "up")
        one.wait_for(lambda: one.ask("status")["interfaces"][0]["is_up"])
        net.send(capture, "--multiplier=40")
        one.hears(12_243)
        assert one.ask("alerts", kind="policy.umas-stop-plc")
        one.wait_for(lambda: one.ask("alerts", kind="sensor.interface-down", status="closed"), 75.0)
        assert one.stop() == 0


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    net: Network, folder: Path, attacks: Path
) -> None:
    state = folder / "state"
    state.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=4m", "otids-test"]
    subprocess.run([*mount, str(state)], check=True)
    try:
        with service(net, write_config(folder)) as one:
            one.serves()
            ballast = state / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            net.send(unpacked(attacks, folder), "--multiplier=40")
            one.hears(12_243)
            status = one.wait_for(
                lambda: (now := one.ask("status"), now if now["store"]["trouble"] else None)[1]
            )
            assert "full" in status["store"]["trouble"]
            assert status["health"] == "degraded"
            assert status["store"]["uncommitted"] > 0
            ballast.unlink()
            one.wait_for(lambda: one.ask("status")["store"]["uncommitted"] == 0)
            assert one.ask("alerts", kind="policy.umas-stop-plc")
            assert one.ask("status")["store"]["lost"] == 0
            assert one.stop() == 0
    finally:
        subprocess.run([shutil.which("umount") or "umount", state], check=True)


def test_what_keeps_it_from_starting_is_one_line(net: Network, folder: Path) -> None:
    config = write_config(folder)

    def fails() -> str:
        done = subprocess.run(
            net.command(*otids("run", "-c", config)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        return line

    net.link(LISTENED, "down")
    assert "the interface is down" in fails()
    net.link(LISTENED, "up")
    with service(net, config) as one:
        one.serves()
        assert "another otids is writing to it" in fails()
        assert one.stop() == 0
    config.write_text(config.read_text().replace(LISTENED, "nosuch0"))
    assert "nosuch0: there is no such interface" in fails()
    config.write_text("[capture]\n")
    assert "otids.toml:1" in fails()


def drained(systemd: socket.socket) -> list[str]:
    """What waits in the notify socket: it holds a few messages only."""
    lines: list[str] = []
    patience = systemd.gettimeout()
    systemd.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            lines += systemd.recv(4096).decode().splitlines()
    systemd.settimeout(patience)
    return lines


def test_a_plain_user_with_one_capability_listens_and_tells_systemd(
    net: Network, folder: Path, attacks: Path
) -> None:
    """As the unit runs it: another user, CAP_NET_RAW and nothing else, and a notify socket."""
    probe = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*probe, *otids("--version")], capture_output=True, check=False).returncode:
        pytest.skip("the Python of this environment is not for every user (it lies below /root?)")
    os.chown(folder, NOBODY, NOBODY)
    capture = unpacked(attacks, folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        os.chmod(folder / "notify", 0o666)  # noqa: PTH101, S103 as systemd's own
        systemd.settimeout(30)
        privileges = (
            *probe,
            "--inh-caps=-all,+net_raw",
            "--ambient-caps=-all,+net_raw",
            "--bounding-set=-all,+net_raw",
            "--no-new-privs",
        )
        with service(
            net,
            write_config(folder),
            *privileges,
            NOTIFY_SOCKET=str(folder / "notify"),
            WATCHDOG_USEC="3000000",
        ) as one:
            lines: list[str] = []
            while "READY=1" not in lines:
                lines += systemd.recv(4096).decode().splitlines()
            while "WATCHDOG=1" not in lines:
                lines += systemd.recv(4096).decode().splitlines()
            status = Path(f"/proc/{one.process.pid}/status").read_text()
            assert f"Uid:\t{NOBODY}" in status
            assert "CapEff:\t0000000000002000" in status
            net.send(capture, "--multiplier=40")
            one.hears(12_243)
            assert one.ask("alerts", kind="policy.umas-stop-plc")
            lines += drained(systemd)
            one.process.send_signal(signal.SIGHUP)
            one.wait_for(lambda: '"reloaded"' in one.log.read_text())
            while "RELOADING=1" not in lines:
                lines += systemd.recv(4096).decode().splitlines()
            lines += drained(systemd)
            assert one.stop() == 0
            while "STOPPING=1" not in lines:
                lines += systemd.recv(4096).decode().splitlines()
    assert (folder / "state" / "alerts.sqlite").stat().st_uid == NOBODY
