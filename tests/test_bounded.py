"""Invariant 7: what is endless reaches a plateau, and what was learned before is still judged."""

import tomllib
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
from noise import write_noise
from pipelines import Line, feed, make_pipeline

from otids.alerts.alert import Alert

PLC = ["10.20.1.11", "10.20.1.12", "10.20.1.13"]
START = 1_800_000_000
FILLING = 25_000
"""Strangers that fill every quota and table that strangers can fill."""
MORE = 6_000
MIB = 2**20


def memory() -> int:
    """Resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def size_of(pipeline: Line) -> int:
    packed: bytes = msgpack.packb(pipeline.state())
    return len(packed)


def hear_strangers(pipeline: Line, folder: Path, seed: int, count: int) -> None:
    noise = write_noise(
        folder / "noise.pcap",
        seed,
        count,
        start=START + seed * 10_000,
        a_second=100,
        servers=PLC,
    )
    before = pipeline.counters.messages
    assert feed(pipeline, noise)
    assert pipeline.counters.messages >= before + 0.9 * count


def ends(alert: Alert) -> tuple[str, str, str]:
    record = alert.record()
    source, target = ((record[name] or {"address": ""})["address"] for name in ("source", "target"))
    return alert.kind, source, target


@pytest.mark.timeout(600)
def test_endless_strangers_fill_bounded_room_and_blind_nothing(
    captures: Path, normal: Path, attacks: Path, tmp_path: Path
) -> None:
    pipeline, committed = make_pipeline()
    feed(pipeline, normal, learn=True)
    pipeline.finish()
    learned = {name: len(ids) for name, ids in pipeline.learned().items()}
    hear_strangers(pipeline, tmp_path, 0, FILLING)
    sizes, memories, told = [size_of(pipeline)], [memory()], []
    for seed in (1, 2):
        committed.clear()
        hear_strangers(pipeline, tmp_path, seed, MORE)
        told.append(len({alert.id for alert in committed}))
        sizes.append(size_of(pipeline))
        memories.append(memory())
    assert sizes[2] <= 1.05 * sizes[1] <= 1.2 * sizes[0]
    assert memories[2] <= memories[1] + 16 * MIB
    assert {name: len(ids) for name, ids in pipeline.learned().items()} == learned
    assert 0 < max(told) <= 400, "a storm is told in few alerts"

    committed.clear()
    feed(pipeline, captures / "normal-seed2" / "normal-seed2.pcap.gz")
    assert [alert.kind for alert in committed if alert.severity != "info"] == []
    committed.clear()
    feed(pipeline, attacks)
    expected = tomllib.loads((captures / "attacks" / "expected.toml").read_text())["alert"]
    missed = {(one["kind"], one["source"], one["target"]) for one in expected}
    assert missed - {ends(alert) for alert in committed} == set()
