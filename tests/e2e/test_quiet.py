"""Hours of normal work that were never learned, whole and badly captured: nothing is told.

Each hour is simulated once and kept in pytest's cache folder (20 to 60 s each, the first time).
With OTIDS_QUIET_SECONDS=900 they are quarters of an hour with the same events, for machines in a
hurry; what counts is the hour.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
from pipelines import feed, make_pipeline
from replay.simulated import REPLAY, simulated

from otids.alerts.alert import Alert
from otids.status import Status

SECONDS = int(os.environ.get("OTIDS_QUIET_SECONDS", "3600"))
SEEDS = (21, 22, 23)
LOSSES = (1, 5, 10)
SIDES = ("clients", "servers")
POLLED = {
    f"10.20.2.10 → 10.20.1.{plc} modbus/502"  # the HMI
    for plc in (11, 12, 13)
}
OTIDS = Path(sys.executable).with_name("otids")

Quiet = Callable[[int], Path]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="session")
def quiet(pytestconfig: pytest.Config) -> Quiet:
    """Return a function that gives the capture of a seed."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("simulated")
    return lambda seed: simulated(folder, "plant-quiet", seed, SECONDS)


def degrade(capture: Path, folder: Path, *options: str) -> Path:
    """Degrade a capture as a bad mirror port does."""
    output = folder / "degraded.pcap.gz"
    command = [sys.executable, "-P", str(REPLAY / "degrade.py"), str(capture), str(output)]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=300)
    return output


def judge(learned: bytes, capture: Path) -> tuple[list[Alert], Status]:
    """Judge a capture after the plant was learned: every revision, and how things stand then."""
    pipeline, committed = make_pipeline()
    pipeline.restore(msgpack.unpackb(learned))
    assert feed(pipeline, capture)
    assert pipeline.counters.ticks > 0.95 * SECONDS
    assert pipeline.counters.messages > 10 * SECONDS
    return committed, pipeline.status()


def above_info(alerts: Sequence[Alert]) -> list[tuple[str, str, str, str]]:
    return [
        (one.severity, one.kind, one.title, one.observed)
        for one in alerts
        if one.severity != "info"
    ]


def blind(status: Status) -> dict[str, set[str]]:
    return {why: {str(name) for name in names} for why, names in status.blind.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_work_raises_nothing(learned_plant: bytes, quiet: Quiet, seed: int) -> None:
    alerts, status = judge(learned_plant, quiet(seed))
    assert above_info(alerts) == []
    assert not any(blind(status).values()), "all is heard whole"


@pytest.mark.parametrize("percent", LOSSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_lost_frames_raise_nothing(
    learned_plant: bytes, quiet: Quiet, tmp_path: Path, seed: int, percent: int
) -> None:
    words = ("--drop", str(percent), "--seed", str(seed))
    alerts, status = judge(learned_plant, degrade(quiet(seed), tmp_path, *words))
    assert above_info(alerts) == []
    assert blind(status)["gaps"] >= POLLED, "it is said what is not heard whole"
    assert blind(status)["one-sided"] == set()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_missing_direction_raises_nothing(
    learned_plant: bytes, quiet: Quiet, tmp_path: Path, seed: int, side: str
) -> None:
    alerts, status = judge(learned_plant, degrade(quiet(seed), tmp_path, "--only", side))
    assert above_info(alerts) == []
    assert blind(status)["one-sided"] >= POLLED, "it is said what is not heard whole"


def test_the_command_line_says_what_is_not_heard_whole(
    plant: Path, quiet: Quiet, tmp_path: Path
) -> None:
    lossy = degrade(quiet(SEEDS[0]), tmp_path, "--drop", "5")
    state = tmp_path / "state"

    def otids(*words: str | Path) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        command = [OTIDS, *words, "--state", state]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    otids("replay", "--quiet", "--learn", plant, lossy)
    record = json.loads(otids("status", "--json"))
    holed = {one["conversation"] for one in record["blind"] if one["why"] == "gaps"}
    assert holed >= POLLED
    assert {key for key, count in record["open_alerts"].items() if count} <= {"info"}
    assert "10.20.2.10 → 10.20.1.11" in " ".join(otids("status").split())
