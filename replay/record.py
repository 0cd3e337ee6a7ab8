"""Record a scenario: build the plant, let it work, capture it at the switch.

Run as root: `python replay/record.py SCENARIO [--seed N] [--seconds S]`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plant.attacks import ATTACKS, Attack
from plant.devices import HOSTS, PLCS, ROGUE
from plant.network import BRIDGE, Network, NetworkError, stop

if TYPE_CHECKING:
    import subprocess

FOLDER = Path(__file__).resolve().parent
# Slack after the last request, so that the capture holds its answer and the FINs.
SETTLE_SECONDS = 2.0
START_SECONDS = 20.0
CLIENTS = ("hmi", "historian", "engineering")
# A label that starts so is an event that is neither normal work nor an attack.
AFTERMATH_LABEL = "ok:aftermath of "


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is recorded; `walk` drives every actuator to both of its ends first."""

    seed: int
    seconds: float
    walk: bool = False
    attacks: tuple[Attack, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """A window in epoch seconds."""

    start: float
    end: float
    text: str


SCENARIOS = {
    "normal": Scenario(seed=1, seconds=310, walk=True),
    "normal-seed2": Scenario(seed=2, seconds=150),
    "normal-seed3": Scenario(seed=3, seconds=150),
    "normal-seed4": Scenario(seed=4, seconds=150),
    "attacks": Scenario(seed=5, seconds=305, attacks=ATTACKS),
}


class RecordingError(Exception):
    """A part of the plant failed, so the capture is not what it should be."""


def python(module: str, *words: str) -> list[str]:
    """Command line that runs a module of the plant."""
    return [sys.executable, "-m", f"plant.{module}", *words]


def wait_for_line(process: subprocess.Popen[str], what: str) -> str:
    """Wait for the next line of a process; RecordingError if it ends without."""
    line = process.stdout.readline().strip() if process.stdout else ""
    if not line:
        message = f"{what} ended without a word"
        raise RecordingError(message)
    return line


def start_capture(network: Network, path: Path, seconds: float) -> subprocess.Popen[str]:
    """Capture all that the bridge forwards, at most for `seconds`.

    Returns when it listens; RecordingError if it does not.
    A bridge in promiscuous mode hands itself each forwarded frame once, as a mirror
    port does.
    """
    command = ["dumpcap", "-q", "-P", "-i", BRIDGE, "-w", str(path)]
    command += ["-a", f"duration:{seconds:.0f}"]
    capture = network.start("switch", command)
    deadline = time.monotonic() + START_SECONDS
    # dumpcap writes the file's header when it listens.
    while not (path.exists() and path.stat().st_size):
        if capture.poll() is not None or time.monotonic() > deadline:
            message = "dumpcap did not start"
            raise RecordingError(message)
        time.sleep(0.05)
    return capture


def run_attacks(network: Network, scenario: Scenario, zero: float) -> list[Label]:
    """Run the attacks at their seconds, moved by up to two by the seed."""
    rng = random.Random(f"{scenario.seed}/attacks")
    labels: list[Label] = []
    for attack in scenario.attacks:
        moment = zero + attack.second + rng.uniform(-2.0, 2.0)
        time.sleep(max(0.0, moment - time.monotonic()))
        command = python("attacks", attack.label)
        process = network.start(attack.host.name, command, FOLDER)
        start, end = map(float, wait_for_line(process, attack.label).split())
        labels.append(Label(start, end, attack.label))
        if attack.aftermath:
            text = AFTERMATH_LABEL + attack.label
            labels.append(Label(end, end + attack.aftermath, text))
    return labels


def run(name: str, scenario: Scenario, path: Path) -> list[Label]:
    """Let the plant work and capture it to `path`; the labels of what happened."""
    hosts = (*HOSTS, ROGUE) if scenario.attacks else HOSTS
    seed = str(scenario.seed)
    with Network(name, hosts) as network:
        limit = scenario.seconds + 2 * START_SECONDS
        for plc in PLCS:
            command = python("servers", plc.host.name, "--seed", seed)
            command += ["--seconds", str(limit)]
            wait_for_line(network.start(plc.host.name, command, FOLDER), plc.host.name)
        capture = start_capture(network, path, limit)
        seconds = str(scenario.seconds)
        walk = ["--walk"] if scenario.walk else []
        clients = {}
        for role in CLIENTS:
            command = python("clients", role, "--seed", seed, "--seconds", seconds)
            clients[role] = network.start(role, command + walk, FOLDER)
        labels = run_attacks(network, scenario, time.monotonic())
        for role, client in clients.items():
            if client.wait(timeout=scenario.seconds + START_SECONDS):
                message = f"{role} failed"
                raise RecordingError(message)
        time.sleep(SETTLE_SECONDS)
        stop(capture)
    return labels


def write_labels(path: Path, labels: list[Label]) -> None:
    """Write windows as `start,end,label`; without windows only the header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("start", "end", "label"))
        for label in labels:
            writer.writerow((f"{label.start:.6f}", f"{label.end:.6f}", label.text))


def compress(source: Path, target: Path) -> None:
    """Compress a capture; the same frames give the same bytes."""
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(source.read_bytes())


def main() -> int:
    """Record one scenario into its folder; 2 if it cannot be done."""
    parser = argparse.ArgumentParser(description="record a scenario of the plant")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--seed", type=int, help="default: the scenario's own")
    parser.add_argument("--seconds", type=float, help="default: the scenario's own")
    parser.add_argument("--output", type=Path, help="default: captures/SCENARIO")
    options = parser.parse_args()
    chosen: Scenario = SCENARIOS[options.scenario]
    scenario = Scenario(
        seed=chosen.seed if options.seed is None else options.seed,
        seconds=options.seconds or chosen.seconds,
        walk=chosen.walk,
        attacks=chosen.attacks,
    )
    if os.geteuid() != 0:
        print("record.py: network namespaces need root", file=sys.stderr)
        return 2
    # Ending it must delete the namespaces too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    output: Path = options.output or FOLDER / "captures" / options.scenario
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.pcap"
        try:
            labels = run(options.scenario, scenario, capture)
        except (RecordingError, NetworkError) as error:
            print(f"record.py: {options.scenario}: {error}", file=sys.stderr)
            return 2
        compress(capture, output / f"{options.scenario}.pcap.gz")
    write_labels(output / "labels.csv", labels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
