"""Simulate a scenario of the whole plant: real Modbus stacks, virtual time.

Run as `python replay/simulate.py SCENARIO [--seed N] [--seconds S] [--output DIR]`; needs no
rights. The same seed and seconds give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from plant.frames import write_pcap
from plant.happenings import plan_hours
from plant.hostile import plan_attacks
from plant.whole import Label, Plant

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated; `walk` drives every actuator to both of its ends first."""

    seed: int
    seconds: float
    walk: bool = False
    attacked: bool = False


SCENARIOS = {
    "plant": Scenario(seed=1, seconds=5_400, walk=True),
    "plant-attacks": Scenario(seed=11, seconds=5_400, attacked=True),
    "plant-quiet": Scenario(seed=21, seconds=3_600),
}


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of a scenario: frames (microseconds since 1970, bytes), labels, normal events."""

    frames: list[tuple[int, bytes]]
    labels: list[Label]
    events: list[Label]


def simulate(scenario: Scenario) -> Simulation:
    """Let the plant work; whatever fails in it is raised."""
    if scenario.attacked:
        plan = plan_attacks(scenario.seed)
    else:
        plan = plan_hours(scenario.seed, scenario.seconds, every_plc=scenario.walk)
    plant = Plant(scenario.seed, scenario.seconds, walk=scenario.walk)
    plant.run(plan)
    return Simulation(plant.network.mirror.frames(), plant.labels, plant.events)


def write_labels(path: Path, labels: list[Label]) -> None:
    """Write windows as `start,end,label` in order of their start."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("start", "end", "label"))
        for label in sorted(labels, key=lambda label: (label.start, label.end)):
            writer.writerow((f"{label.start:.6f}", f"{label.end:.6f}", label.text))


def main() -> int:
    """Simulate one scenario into a folder."""
    parser = argparse.ArgumentParser(description="simulate a scenario of the whole plant")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--seed", type=int, help="default: the scenario's own")
    parser.add_argument("--seconds", type=float, help="default: the scenario's own")
    parser.add_argument("--output", type=Path, help="default: captures/SCENARIO")
    options = parser.parse_args()
    chosen: Scenario = SCENARIOS[options.scenario]
    scenario = replace(
        chosen,
        seed=chosen.seed if options.seed is None else options.seed,
        seconds=options.seconds or chosen.seconds,
    )
    output: Path = options.output or FOLDER / "captures" / options.scenario
    output.mkdir(parents=True, exist_ok=True)
    done = simulate(scenario)
    write_pcap(output / f"{options.scenario}.pcap.gz", done.frames)
    write_labels(output / "labels.csv", done.labels)
    write_labels(output / "events.csv", done.events)
    return 0


if __name__ == "__main__":
    sys.exit(main())
