"""Every byte on the wire is an attacker's: nothing ends the hot path, nothing blinds it."""

from __future__ import annotations

import gzip
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hotpath.conversations import CLIENT4, START, Setting, Way, Wire, adu, over_udp
from hotpath.frames import Frame, pcap
from hotpath.reading import Reading, read
from hotpath.scenes import SCANNED, SECOND, exchange, function_scan

from otids import _hotpath
from otids.traffic import TABLES, Batch

Hear = Callable[[Sequence[Frame]], Reading]

LONE = bytes([17]) + b"a request of one byte, with a letter to it"
"""Report Server ID, longer than its function demands: by itself not even plausible."""


@pytest.fixture
def hear(tmp_path: Path) -> Hear:
    """Return a function that reads frames as a capture."""

    def read_frames(frames: Sequence[Frame]) -> Reading:
        capture = tmp_path / "frames.pcap"
        capture.write_bytes(pcap(frames))
        return read(capture)

    return read_frames


# --- nothing goes unseen -------------------------------------------------------------------------


@pytest.mark.parametrize("per_connection", [127, 10, 1])
@pytest.mark.parametrize("is_answered", [True, False])
def test_a_scan_of_functions_is_told(hear: Hear, is_answered: bool, per_connection: int) -> None:
    reading = hear(function_scan(is_answered=is_answered, per_connection=per_connection))
    asked = [one.function for one in reading.messages if one.role == "request"]
    answered = [one for one in reading.messages if one.role == "response"]
    assert asked == [*SCANNED]
    assert [one.function for one in answered] == ([*SCANNED] if is_answered else [])
    assert all(one.status == 1 and one.reply_to for one in answered)


def test_a_lone_request_is_told_however_its_connection_ends(hear: Hear) -> None:
    request = adu(1, 1, LONE)

    def play(quiet: int, pieces: int, *, closes: bool) -> Reading:
        wire = Wire()
        wire.open()
        wire.time += quiet * SECOND
        wire.flight(True, request, Way(stride=-(-len(request) // pieces)))
        if closes:
            wire.close()
        # Somebody else goes on, so that time does.
        for second in range(quiet, quiet + 4):
            wire.frames += exchange(40_000 + second, START + second * SECOND + SECOND // 2)
        wire.frames.sort()
        return hear(wire.frames)

    for closes in (True, False):
        for quiet in (0, 3):
            for pieces in (1, 2, 50):
                reading = play(quiet, pieces, closes=closes)
                lone = [one for one in reading.messages if one.function == 17]
                assert [one.length for one in lone] == [len(request)], (closes, quiet, pieces)
                assert "malformed-pdu" in reading.notices


def test_a_lone_request_is_told_when_its_ports_are_used_again(hear: Hear) -> None:
    frames: list[Frame] = []
    for place in range(3):
        wire = Wire(Setting(client_initial=place << 20), time=START + place * SECOND // 4)
        wire.open()
        wire.flight(True, adu(place, 1, LONE), Way())
        frames += wire.frames
    assert [one.function for one in hear(frames).messages] == [17, 17, 17]


def test_a_lone_datagram_is_told(hear: Hear) -> None:
    reading = hear(over_udp([(True, adu(1, 1, LONE))], (), Setting()))
    assert [one.function for one in reading.messages] == [17]


# --- nothing ends it -----------------------------------------------------------------------------


def frames_of(capture: Path) -> list[Frame]:
    """Frames of a little-endian pcap file with microseconds."""
    data = gzip.decompress(capture.read_bytes())
    assert data[:4] == bytes.fromhex("d4c3b2a1")
    frames, at = [], 24
    while at < len(data):
        seconds, micros, length = struct.unpack_from("<III", data, at)
        frames.append((seconds * SECOND + micros * 1000, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return frames


def mutated(frames: Sequence[Frame], chance: random.Random) -> Iterator[Frame]:
    """Change some bytes of each frame, mostly in its headers, or its length."""
    for time, frame in frames:
        changed = bytearray(frame)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            reach = chance.choice((14, 34, 54, 66, len(frame)))
            changed[chance.randrange(min(reach, len(frame)))] = chance.randrange(256)
        match chance.randrange(20):
            case 0:
                del changed[chance.randrange(len(changed)) :]
            case 1:
                changed += chance.randbytes(chance.randrange(1, 1400))
            case _:
                pass
        yield time, bytes(changed)


def test_mutated_frames_blind_nothing(hear: Hear, repository: Path) -> None:
    frames = frames_of(repository / "replay/captures/attacks/attacks.pcap.gz")
    chance = random.Random(20_240_229)
    seen = 0
    notices: Counter[str] = Counter()
    while seen < 50_000:
        start = chance.randrange(len(frames))
        part = [*mutated(frames[start : start + 5000], chance)]
        after = exchange(65_000, part[-1][0] + 10 * SECOND)
        reading = hear([*part, *after])
        said = [
            one for one in reading.messages if one.conversation.client.address == CLIENT4.address
        ]
        assert [(one.role, one.unit, one.function) for one in said] == [
            ("request", 3, 3),
            ("response", 3, 3),
        ]
        assert [value.raw for value in said[1].values] == [1, 2]
        assert reading.health["frames"] == len(part) + len(after)
        notices.update(reading.notices)
        seen += len(part)
    # They were not all the same: the mutations reached each layer.
    assert {"malformed-header", "malformed-pdu", "gap", "unanswered-request"} <= notices.keys()


def test_noise_blinds_nothing(hear: Hear) -> None:
    chance = random.Random(1)
    noise = [
        (START + place * 1000, chance.randbytes(chance.randrange(0, 200))) for place in range(5000)
    ]
    reading = hear([*noise, *exchange(65_000, START + SECOND)])
    assert [one.function for one in reading.messages] == [3, 3]


NONE = np.zeros(0, np.uint32)


# --- real captures -------------------------------------------------------------------------------


def captures_in(folder: Path) -> list[Path]:
    """All captures below a folder; skips where there is none."""
    kinds = (".pcap", ".pcapng", ".gz")
    found = [path for path in sorted(folder.rglob("*")) if path.name.endswith(kinds)]
    if not found:
        pytest.skip(f"no test data: no captures in {folder}")
    return found


@pytest.mark.parametrize("folder", ["captures", "labelled"])
def test_every_capture_is_read(shared: Path, folder: str) -> None:
    for capture in captures_in(shared / folder):
        hotpath = _hotpath.Hotpath()
        hotpath.open(str(capture))
        frames = rows = 0
        while (raw := hotpath.next_batch()) is not None:
            batch = Batch.of(raw)
            frames = batch.health["frames"]
            rows += sum(len(getattr(batch.tables, name)) for name in TABLES)
            if batch.census:  # in a flood, of which nothing is learned
                assert batch.health["entries_refused"], capture
                hotpath.settle(endpoints=NONE, conversations=NONE, symbols=NONE, points=NONE)
        assert frames
        assert rows or batch.health["unknown_link_frames"], capture
