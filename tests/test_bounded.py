"""Invariant 7: what is endless reaches a plateau, and what was learned before is still judged."""

import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from noise import write_noise, write_symbols
from pipelines import Line, feed, make_pipeline

from otids.alerts.alert import Alert
from otids.service.memory import Memory

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


def judge_flood(
    capture: Path, server: str, folder: Path, *, memory: int, scale: int
) -> dict[str, Any]:
    """Learn, hear 100,000 strangers and 10 million symbols by `scale`, and judge attacks after it.

    Return what was measured: resident MiB after each step, CPU µs an item, and the kinds told.
    """
    pipeline, committed = make_pipeline(memory=memory)
    feed(pipeline, capture / "normal" / "normal.pcap.gz", learn=True)
    pipeline.finish()
    strangers, symbols = max(100_000 // scale, 1000), max(10_000_000 // scale, 100_000)
    told: dict[str, Any] = {"learned": memory_mib(), "strangers": [], "symbols": []}
    watch = Memory(memory)
    for part in range(5):
        began = time.process_time()
        hear_strangers(pipeline, folder, part, strangers // 5)
        cost = 1e6 * (time.process_time() - began) / (strangers / 5)
        watch.look()
        told["strangers"].append((memory_mib(), round(cost)))
    for part in range(5):
        noise = write_symbols(
            folder / "noise.pcap",
            part,
            symbols // 5,
            start=START + 100_000 + part * 10_000,
            a_second=100,
            server=server,
        )
        before, began = pipeline.counters.messages, time.process_time()
        assert feed(pipeline, noise)
        assert pipeline.counters.messages - before >= 0.9 * symbols / 5
        cost = 1e6 * (time.process_time() - began) / (symbols / 5)
        watch.look()
        told["symbols"].append((memory_mib(), round(cost, 2)))
        noise.unlink()
    committed.clear()
    feed(pipeline, capture / "attacks" / "attacks.pcap.gz")
    expected = tomllib.loads((capture / "attacks" / "expected.toml").read_text())["alert"]
    wanted = {(one["kind"], one["source"], one["target"]) for one in expected}
    told["missed"] = sorted(wanted - {ends(alert) for alert in committed})
    told["after"] = memory_mib()
    return told


def memory_mib() -> int:
    return memory() >> 20


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mebibytes", [512])
def test_floods_at_full_scale(captures: Path, tmp_path: Path, mebibytes: int) -> None:
    scale = int(os.environ.get("OTIDS_FLOOD_SCALE", "1"))
    told = judge_flood(captures, PLC[0], tmp_path, memory=mebibytes * MIB, scale=scale)
    (tmp_path / "told.json").write_text(json.dumps(told))
    assert told["missed"] == []
    for name in ("strangers", "symbols"):
        held = [mib for mib, _ in told[name]]
        costs = [cost for _, cost in told[name]]
        assert max(held) < mebibytes, told
        assert held[4] <= 1.1 * held[2], f"{name}: memory grows: {told}"
        assert costs[4] <= 2 * min(costs[:2]), f"{name}: each costs more than the one before"
