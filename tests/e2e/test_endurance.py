"""The service for long, and under too much: it holds no more, and counts what it lets go."""

import contextlib
import logging
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.network import Network, unpacked
from e2e.test_service import Running, folder, net, replay, service, stored, write_config
from replay.simulated import simulated

__all__ = ["folder", "net"]

HOUR = 3600
PACE = 10
EVERY = 5.0
"""Seconds between two looks at what the service holds."""
WARM = 120.0
"""Seconds after which it holds what it needs: what it has learned, and a full evidence ring."""


def held(process: int) -> tuple[int, int, int]:
    """Memory (KiB), handles and threads of a process."""
    proc = Path(f"/proc/{process}")
    lines = (proc / "status").read_text().splitlines()
    numbers = dict(line.split(":", 1) for line in lines)
    memory = int(numbers["VmRSS"].removesuffix("kB"))
    return memory, len(list((proc / "fd").iterdir())), int(numbers["Threads"])


@contextlib.contextmanager
def sending(net: Network, capture: Path, *speed: str) -> Iterator[subprocess.Popen[bytes]]:
    """Send a capture beside what else is done."""
    words = net.command("tcpreplay", "-q", "-i", "sender0", *speed, capture)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(one: Running) -> int:
    """How many frames reached the service, judged or not."""
    status = one.ask("status")
    lost = status["lost"]
    return int(status["counts"]["frames"] + lost["kernel"] + lost["shed_frames"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_hour_of_the_plant_at_ten_times_its_pace_leaves_nothing_behind(
    net: Network, folder: Path, plant: Path, pytestconfig: pytest.Config
) -> None:
    assert pytestconfig.cache is not None
    quiet = simulated(pytestconfig.cache.mkdir("simulated"), "plant-quiet", 21, HOUR)
    replay(folder / "state", "--learn", plant, plant)
    config = write_config(folder, capture="evidence_mib = 8")
    looks: list[tuple[float, tuple[int, int, int]]] = []
    with service(net, config) as one:
        one.serves()
        began = time.monotonic()
        with sending(net, unpacked(quiet, folder), f"--multiplier={PACE}") as sender:
            while sender.poll() is None:
                assert one.process.poll() is None, one.log.read_text()
                looks.append((time.monotonic() - began, held(one.process.pid)))
                time.sleep(EVERY)
        lost = one.ask("status")["lost"]
        assert lost["kernel"] == lost["shed_frames"] == 0
        assert one.stop() == 0
    assert looks[-1][0] > HOUR / PACE * 0.9
    warm = [what for when, what in looks if when > WARM]
    half = len(warm) // 2
    early, late = ([max(column) for column in zip(*part, strict=True)]
                   for part in (warm[:half], warm[half:]))  # fmt: skip
    logging.getLogger(__name__).info("memory (KiB), handles, threads: %s, then %s", early, late)
    assert late[0] <= early[0] * 1.02, looks
    assert late[1:] == early[1:], looks


@pytest.mark.timeout(240)
def test_a_burst_beyond_what_it_bears_is_counted_and_what_follows_is_judged(
    net: Network, folder: Path, normal: Path, attacks: Path
) -> None:
    replay(folder / "state", "--learn", normal, normal)
    loops, frames = 5, 11_777
    with service(net, write_config(folder, capture="ring_mib = 1")) as one:
        one.serves()
        one.process.send_signal(signal.SIGSTOP)  # nothing is as slow as who does not run
        try:
            net.send(unpacked(normal, folder), "--topspeed", f"--loop={loops}", "--preload-pcap")
        finally:
            one.process.send_signal(signal.SIGCONT)
        # Every frame of the burst is either judged or counted as lost.
        one.wait_for(lambda: heard(one) >= loops * frames, 60.0)
        assert heard(one) == loops * frames
        status = one.wait_for(
            lambda: (now := one.ask("status"), now if now["health"] == "degraded" else None)[1]
        )
        assert status["lost"]["kernel"] > 0
        assert "sensor.kernel-drops" in {why["kind"] for why in status["why"]}
        judged = status["counts"]["frames"]
        net.send(unpacked(attacks, folder), "--multiplier=40")
        one.hears(judged + 12_243)
        after = one.ask("status")["lost"]
        assert after == status["lost"]
        assert one.stop() == 0
    kinds = {one["kind"] for one in stored(folder / "state", limit=10_000)}
    assert {"policy.umas-stop-plc", "novelty.write-from-new-client"} <= kinds
