"""Wireshark agrees about GOOSE and Sampled Values: every field and every value."""

from __future__ import annotations

import struct
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hotpath.frames import pcap
from wireshark.iec61850 import our_events, our_samples, their_events, their_samples
from wireshark.tshark import PINNED_VERSION, tshark_version

SHARED = Path(__file__).resolve().parents[3] / "shared"
REPLAYED = Path(__file__).resolve().parents[2] / "replay" / "captures"
FIRST_FRAMES = 1_500
"""Of a long capture so many frames are compared."""

Told = Callable[[Path], Iterator[Any]]


@pytest.fixture(scope="module", autouse=True)
def tshark() -> None:
    """Skip where tshark is not the pinned one."""
    version = tshark_version()
    if version is None:
        pytest.skip("tshark is not installed: nothing is compared with Wireshark")
    if version[:2] != PINNED_VERSION:
        pytest.skip(f"tshark is {version}: compared is with {PINNED_VERSION}")


def captures(*folders: str) -> list[object]:
    """Name each capture below folders of test data as a case; skip where there is none."""
    found = [path for folder in folders for path in sorted((SHARED / folder).glob("*.pcap*"))]
    if not found:
        skip = pytest.mark.skip(reason="no test data")
        return [pytest.param(SHARED, id="absent", marks=skip)]
    return [pytest.param(path, id=path.name) for path in found]


@pytest.mark.parametrize("capture", captures("captures/iec61850_goose"))
def test_every_event(capture: Path) -> None:
    told, expected = Counter(our_events(capture)), Counter(their_events(capture))
    assert expected
    agree(capture, told, expected)


@pytest.mark.parametrize("capture", captures("captures/iec61850_sv"))
def test_every_sample(capture: Path, tmp_path: Path) -> None:
    part = head(capture, tmp_path / "part.pcap")
    told, expected = Counter(our_samples(part)), Counter(their_samples(part))
    assert expected
    agree(capture, told, expected)


def agree(capture: Path, told: Counter[Any], expected: Counter[Any]) -> None:
    """Hold what differs against the list of differences."""
    text = Path(__file__).with_name("iec61850_differences.toml").read_text("utf-8")
    listed = [one for one in tomllib.loads(text)["difference"] if one["capture"] == capture.name]
    only_otids, only_tshark = told - expected, expected - told
    assert only_otids.total() == sum(one["only_otids"] for one in listed), only_otids
    assert only_tshark.total() == sum(one["only_tshark"] for one in listed), only_tshark


@pytest.mark.parametrize("ours", [our_events, our_samples])
def test_both_in_one_substation(ours: Told, tmp_path: Path) -> None:
    capture = SHARED / "labelled" / "zss_sv" / "9111a.pcap"
    if not capture.exists():
        pytest.skip("no test data")
    part = head(capture, tmp_path / "part.pcap")
    theirs = their_events if ours is our_events else their_samples
    told, expected = Counter(ours(part)), Counter(theirs(part))
    assert len(expected) > 100
    assert told == expected


def head(capture: Path, part: Path) -> Path:
    """Cut the first frames out of a capture with microseconds in little-endian order."""
    data = capture.read_bytes()
    if data[:4] != struct.pack("<I", 0xA1B2C3D4):
        return capture
    frames: list[tuple[int, bytes]] = []
    at = 24
    while at < len(data) and len(frames) < FIRST_FRAMES:
        seconds, micros, length, _ = struct.unpack_from("<4I", data, at)
        frames.append((seconds * 10**9 + micros * 1_000, data[at + 16 : at + 16 + length]))
        at += 16 + length
    part.write_bytes(pcap(frames))
    return part
