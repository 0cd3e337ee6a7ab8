"""Record a substation: two protection devices and a merging unit publish, and somebody joins in.

Run as root in a network namespace of its own, with requirements/substation.txt installed:
`unshare --net python replay/substation/record.py SCENARIO`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from substation.publishers import Goose, MergingUnit  # noqa: E402 - it lies beside this file

CAPTURES = FOLDER.parent / "captures"
SWITCH = "switch"
MACS = {
    "ied1": "02:1e:d0:00:00:01",
    "ied2": "02:1e:d0:00:00:02",
    "mu1": "02:1e:d0:00:00:11",
    "rogue": "02:66:66:00:00:66",
    # Whoever forges a MAC: the switch floods groups all the same.
    "false1": "02:1e:d0:00:00:01",
    "false2": "02:1e:d0:00:00:11",
}
SETTLE_SECONDS = 2.0
OPEN, CLOSED = 1, 2
EVENT_SECONDS = 14, 22
"""From one event to the next."""

Attack = Callable[["Substation", float], Iterator[float]]
"""Does its next step and yields when to go on; the end of it is the end of the attack."""


@dataclass(slots=True)
class Substation:
    """Who publishes."""

    ied1: Goose
    ied2: Goose
    unit: MergingUnit
    rng: random.Random

    def work(self, now: float) -> None:
        """Publish what is due."""
        for one in (self.ied1, self.ied2):
            if now >= one.due:
                one.publish(now)
        if now >= self.unit.due:
            self.unit.publish(now)


def _goose(interface: str, device: str, number: int) -> Goose:
    one = Goose(interface, device, 0x0100 + number, number)
    one.open()
    return one


def trip(plant: Substation, now: float) -> Iterator[float]:
    """IED1's name and numbers, far ahead, say that both switches are open."""
    false = _goose("false1", "IED1", 1)
    false.positions = [OPEN, OPEN]
    false.number(5_000, 0)
    for wait in (0.002, 0.01, 0.1):
        false.publish(now)
        yield now + wait
        now += wait
    yield now + 1.5  # until the true one is heard again
    del plant


def replayed(plant: Substation, now: float) -> Iterator[float]:
    """An old state of IED1 once more."""
    false = _goose("false1", "IED1", 1)
    false.number(2, 3)
    false.publish(now)
    yield now + 1.5
    del plant


def simulated(plant: Substation, now: float) -> Iterator[float]:
    """A test set publishes in the name of IED2, from its own MAC, as simulated."""
    false = _goose("rogue", "IED2", 2)
    false.simulate()
    for _ in range(3):
        false.publish(now)
        now += 1.0
        yield now
    del plant


def injected(plant: Substation, now: float) -> Iterator[float]:
    """Samples of a fault beside the true ones of the merging unit, with its numbers."""
    false = MergingUnit("false2", "MU01", 0x4000, 1, scale=12.0)
    false.open()
    for _ in range(40):
        false.count = (plant.unit.count - 1) % 20
        false.publish(now)
        now += 0.05
        yield now


def silenced(plant: Substation, now: float) -> Iterator[float]:
    """IED2 says nothing any more for ten seconds."""
    plant.ied2.due = now + 10.0
    yield now + 10.0


SCENARIOS: dict[str, tuple[float, int, tuple[Attack, ...]]] = {
    "substation": (240.0, 1, ()),
    "substation-attacks": (110.0, 2, (trip, replayed, simulated, injected, silenced)),
}
"""Seconds, seed, attacks."""
FIRST_ATTACK, BETWEEN = 20.0, 18.0


def main() -> None:
    """Record one scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    scenario = parser.parse_args().scenario
    seconds, seed, attacks = SCENARIOS[scenario]
    build()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.pcap"
        capture = subprocess.Popen(
            ["dumpcap", "-q", "-P", "-i", SWITCH, "-w", str(raw), "-f", "not ip and not ip6"],
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(SETTLE_SECONDS)
            labels = run(seconds, seed, attacks)
            time.sleep(SETTLE_SECONDS)
        finally:
            capture.send_signal(signal.SIGINT)
            capture.wait(10)
        keep(scenario, raw.read_bytes(), labels)


def build() -> None:
    """Build a switch with a port for each. CalledProcessError without the rights for it."""
    ip("link", "add", SWITCH, "type", "bridge")
    for name, mac in MACS.items():
        ip("link", "add", name, "address", mac, "type", "veth", "peer", "name", f"s-{name}")
        ip("link", "set", f"s-{name}", "master", SWITCH)
        for end in (name, f"s-{name}"):
            Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
            ip("link", "set", end, "up")
    ip("link", "set", SWITCH, "up")


def ip(*words: str) -> None:
    """Run the command ip."""
    subprocess.run(["ip", *words], check=True)


def run(seconds: float, seed: int, attacks: tuple[Attack, ...]) -> list[tuple[float, float, str]]:
    """Let everybody publish, and one attack after the other; returns when each was."""
    rng = random.Random(seed)
    unit = MergingUnit("mu1", "MU01", 0x4000, 1)
    plant = Substation(_goose("ied1", "IED1", 1), _goose("ied2", "IED2", 2), unit, rng)
    unit.open()
    start = time.monotonic()
    offset = time.time() - start
    next_event, labels = start + 5.0, []
    queue = [(start + FIRST_ATTACK + BETWEEN * place, one) for place, one in enumerate(attacks)]
    steps: Iterator[float] | None = None
    began, name, wake = 0.0, "", 0.0
    while (now := time.monotonic()) < start + seconds:
        plant.work(now)
        if now >= next_event and steps is None:
            for one in (plant.ied1, plant.ied2):
                one.positions = [rng.choice((OPEN, CLOSED)) for _ in one.positions]
                one.current = round(rng.uniform(400, 600), 1)
                one.event(now)
            next_event = now + rng.uniform(*EVENT_SECONDS)
        if steps is None and queue and now >= queue[0][0]:
            began, attack = now, queue.pop(0)[1]
            name, steps, wake = attack.__name__, attack(plant, now), now
        if steps is not None and now >= wake:
            after = next(steps, None)
            if after is None:
                labels.append((began + offset, now + offset, name))
                steps = None
            else:
                wake = after
        time.sleep(0.0005)
    return labels


def keep(scenario: str, capture: bytes, labels: list[tuple[float, float, str]]) -> None:
    """Write the capture and its labels, for whoever called sudo."""
    folder = CAPTURES / scenario
    folder.mkdir(exist_ok=True)
    (folder / f"{scenario}.pcap.gz").write_bytes(gzip.compress(capture, 9, mtime=0))
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["start", "end", "label"])
        for start, end, label in labels:
            writer.writerow([f"{start:.6f}", f"{end:.6f}", label])
    owner = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if owner[0] and owner[1]:
        for path in (folder, *folder.iterdir()):
            os.chown(path, int(owner[0]), int(owner[1]))


if __name__ == "__main__":
    main()
