"""The binding: batches from a thread that ends with its object, and answers every misuse."""

import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from otids import _hotpath
from otids.traffic import Batch, Dictionaries

NONE = np.empty(0, np.uint32)


def datagram(source: bytes, payload: bytes) -> bytes:
    """Ethernet, IPv4 and UDP to port 502 around a payload."""
    udp = struct.pack(">HHHH", 40_000, 502, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return bytes(12) + b"\x08\x00" + head + source + bytes([10, 0, 0, 2]) + udp


def request(address: int) -> bytes:
    """Read one holding register."""
    return struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, address, 1)


def write(path: Path, frames: Iterator[tuple[int, bytes]]) -> Path:
    """Write a pcap file; times in seconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for second, frame in frames:
            file.write(struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame)
    return path


@pytest.fixture
def calm(tmp_path: Path) -> Path:
    """One host that reads a thousand registers."""
    frames = (
        (number // 100, datagram(bytes([10, 0, 0, 1]), request(number))) for number in range(1_000)
    )
    return write(tmp_path / "calm.pcap", frames)


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """More hosts than there is room for, within five minutes."""
    frames = (
        (number // 250, datagram(struct.pack(">I", 0x0B000000 + number), request(0)))
        for number in range(80_000)
    )
    return write(tmp_path / "crowded.pcap", frames)


def drain(hotpath: _hotpath.Hotpath, names: Dictionaries) -> list[Batch]:
    batches = []
    while (raw := hotpath.next_batch()) is not None:
        batches.append(Batch.of(raw))
        names.update(batches[-1])
    return batches


def threads() -> int:
    """How many threads this process has, those of Rust included."""
    return len(list(Path("/proc/self/task").iterdir()))


def wait_for_threads(count: int) -> bool:
    """Whether the process comes down to that many threads in time."""
    deadline = time.monotonic() + 20
    while threads() > count and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return threads() <= count


def test_a_second_capture_waits_for_the_first(calm: Path) -> None:
    hotpath = _hotpath.Hotpath(batch_frames=1)
    hotpath.open(calm)
    with pytest.raises(RuntimeError, match="being read already"):
        hotpath.open(calm)
    assert len(drain(hotpath, Dictionaries())) == 1_001
    assert hotpath.next_batch() is None
    hotpath.open(calm)
    hotpath.close()


def test_what_nobody_read_is_defined_again(calm: Path) -> None:
    hotpath, names = _hotpath.Hotpath(batch_frames=10), Dictionaries()
    hotpath.open(calm)
    hotpath.close()
    hotpath.close()
    hotpath.open(calm)
    batches = drain(hotpath, names)
    assert [batch.session for batch in batches] == [2] * len(batches)
    symbols = {int(id) for batch in batches for id in batch.tables.messages.symbol}
    assert len(symbols) == 1_000
    for id in symbols:
        assert str(names.symbol(id).conversation) == "10.0.0.1 → 10.0.0.2 modbus/502"
        assert len(names.symbol(id).objects) == 1


def test_a_dropped_object_ends_its_thread(calm: Path) -> None:
    before = threads()
    for batches in range(4):
        hotpath = _hotpath.Hotpath(batch_frames=1)
        hotpath.open(calm)
        for _ in range(batches):
            hotpath.next_batch()
        del hotpath
    assert wait_for_threads(before)


def test_a_census_that_nobody_answers_retires_nothing(crowded: Path) -> None:
    hotpath = _hotpath.Hotpath()
    hotpath.open(crowded)
    batches = drain(hotpath, Dictionaries())
    assert sum(batch.census for batch in batches) >= 3
    assert not any(len(ids) for batch in batches for ids in batch.retired.values())
    assert batches[-1].health["entries_refused"] > 0


def test_only_a_census_is_answered_and_only_once(crowded: Path) -> None:
    hotpath = _hotpath.Hotpath(batch_frames=1_000)
    answer = {"endpoints": NONE, "conversations": NONE, "symbols": NONE, "points": NONE}
    with pytest.raises(RuntimeError, match="no census"):
        hotpath.settle(**answer)
    hotpath.open(crowded)
    raw = hotpath.next_batch()
    while raw is not None and not raw.census:
        raw = hotpath.next_batch()
    assert raw is not None
    hotpath.settle(**answer)
    with pytest.raises(RuntimeError, match="no census"):
        hotpath.settle(**answer)
    assert hotpath.next_batch() is not None
    hotpath.close()


def test_closing_amid_a_census_ends(crowded: Path) -> None:
    hotpath = _hotpath.Hotpath()
    hotpath.open(crowded)
    while (raw := hotpath.next_batch()) is not None and not raw.census:
        pass
    hotpath.close()
    assert hotpath.next_batch() is None


def test_the_interpreter_runs_while_a_batch_is_waited_for(crowded: Path) -> None:
    hotpath = _hotpath.Hotpath(batch_frames=80_000)
    hotpath.open(crowded)
    done = threading.Event()
    steps = 0

    def read() -> None:
        while hotpath.next_batch() is not None:
            pass
        done.set()

    reader = threading.Thread(target=read)
    reader.start()
    while not done.is_set():
        steps += 1
    reader.join()
    assert steps > 100


@pytest.mark.parametrize("stage", _hotpath.STAGES)
def test_each_stage_is_measured_over_all_frames(calm: Path, stage: str) -> None:
    frames, seconds = _hotpath.measure(calm, stage, loops=3)
    assert (frames, len(seconds)) == (1_000, 3)
    assert all(0 <= one < 10 for one in seconds)


def test_a_census_does_not_stop_what_is_measured(crowded: Path) -> None:
    assert _hotpath.measure(crowded, "columns", loops=1)[0] == 80_000


def test_what_cannot_be_measured_is_said(calm: Path) -> None:
    with pytest.raises(ValueError, match='no stage "judge"; there are: read, net,'):
        _hotpath.measure(calm, "judge")
    with pytest.raises(_hotpath.CaptureError, match="absent"):
        _hotpath.measure(calm.with_name("absent"), "read")
