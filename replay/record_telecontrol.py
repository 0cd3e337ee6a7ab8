"""Record the control centre and its stations, at work, at their switch.

Run as root: `python replay/record_telecontrol.py SCENARIO [--output FOLDER]`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from plant.network import Network, NetworkError, stop
from record import (
    FOLDER,
    SETTLE_SECONDS,
    START_SECONDS,
    Label,
    RecordingError,
    compress,
    start_capture,
    wait_for_line,
    write_labels,
)
from telecontrol import devices
from telecontrol.attacks import ATTACKS

SCENARIOS = {
    "iec104-normal": (1, 190.0),
    "iec104-normal-seed3": (3, 150.0),
    "iec104-attacks": (2, 180.0),
}
"""Seed and seconds of each."""


def python(module: str, *words: str) -> list[str]:
    """Command line that runs a module of the control centre."""
    return [sys.executable, "-m", f"telecontrol.{module}", *words]


def run_attacks(network: Network, zero: float) -> list[Label]:
    """Run the attacks at their seconds."""
    labels = []
    for attack in ATTACKS:
        time.sleep(max(0.0, zero + attack.second - time.monotonic()))
        process = network.start(attack.host.name, python("attacks", attack.label), FOLDER)
        start, end = map(float, wait_for_line(process, attack.label).split())
        labels.append(Label(start, end, attack.label))
    return labels


def run(name: str, path: Path) -> list[Label]:
    """Let all of them work and capture them to `path`; the labels of what happened."""
    seed, seconds = SCENARIOS[name]
    hosts = [devices.CENTRE, *(host for host, _ in devices.STATIONS.values()), devices.ROGUE]
    with Network(name, hosts) as network:
        limit = seconds + 2 * START_SECONDS
        common = ["--seed", str(seed), "--seconds"]
        for station in devices.STATIONS:
            command = python("station", station, *common, str(limit))
            wait_for_line(network.start(station, command, FOLDER), station)
        capture = start_capture(network, path, limit)
        centre = network.start(devices.CENTRE.name, python("centre", *common, str(seconds)), FOLDER)
        has_attacks = name.endswith("attacks")
        labels = run_attacks(network, time.monotonic()) if has_attacks else []
        if centre.wait(timeout=seconds + START_SECONDS):
            message = "the control centre failed"
            raise RecordingError(message)
        time.sleep(SETTLE_SECONDS)
        stop(capture)
    return labels


def main() -> int:
    """Record one scenario into its folder; 2 if it cannot be done."""
    parser = argparse.ArgumentParser(description="record a scenario of the control centre")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--output", type=Path, help="default: captures/SCENARIO")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("record_telecontrol.py: network namespaces need root", file=sys.stderr)
        return 2
    # Ending it must delete the namespaces too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    output: Path = options.output or FOLDER / "captures" / options.scenario
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.pcap"
        try:
            labels = run(options.scenario, capture)
        except (RecordingError, NetworkError) as error:
            print(f"record_telecontrol.py: {options.scenario}: {error}", file=sys.stderr)
            return 2
        compress(capture, output / f"{options.scenario}.pcap.gz")
    write_labels(output / "labels.csv", labels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
