"""Wireshark agrees about DNP3; each difference stands in `dnp3_differences.toml`.

Of the conformance tests, which are many and alike, every fourth is compared; with
`OTIDS_TEST_WHOLE=1` all are.
"""

from __future__ import annotations

import gzip
import os
import struct
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from hotpath.frames import UDP, Host, ethernet, packets, pcap, udp
from wireshark.dnp3 import compare, ours, theirs
from wireshark.tshark import PINNED_VERSION, tshark_version

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
WHOLE = bool(os.environ.get("OTIDS_TEST_WHOLE"))
EVERY = 1 if WHOLE else 4

MASTER = Host(b"\x02\0\0\0\0\x01", "10.0.0.1", 20000)
OUTSTATION = Host(b"\x02\0\0\0\0\x02", "10.0.0.2", 20000)

MOMENT = (1_600_000_000_123).to_bytes(6, "little")
FLOAT, DOUBLE = struct.pack("<f", 1.5), struct.pack("<d", -2.25)
OBJECTS: list[tuple[int, int, bytes]] = [
    *((group, 2, b"\x81") for group in (1, 3, 10)),
    *((group, 1, b"\x81") for group in (2, 4, 11)),
    *((group, 2, b"\x81" + MOMENT) for group in (2, 4, 11)),
    *((group, 1, b"\x01\x04\x03\x02\x01") for group in (20, 21, 22, 23)),
    *((group, 2, b"\x21\x04\x03") for group in (20, 21, 22, 23)),
    (20, 5, b"\x04\x03\x02\x01"),
    (20, 6, b"\x04\x03"),
    *((group, 5, b"\x01\x04\x03\x02\x01" + MOMENT) for group in (21, 22, 23)),
    *((group, 6, b"\x01\x04\x03" + MOMENT) for group in (21, 22, 23)),
    (21, 9, b"\x04\x03\x02\x01"),
    (21, 10, b"\x04\x03"),
    *((group, 1, b"\x01\xfe\xff\xff\xff") for group in (30, 32, 40, 42)),
    *((group, 2, b"\x00\xfe\xff") for group in (30, 32, 40, 42)),
    (30, 3, b"\x04\x03\x02\x01"),
    (30, 4, b"\x04\x83"),
    (30, 5, b"\x61" + FLOAT),
    (30, 6, b"\x01" + DOUBLE),
    (40, 3, b"\x01" + FLOAT),
    (40, 4, b"\x01" + DOUBLE),
    *((group, 3, b"\x01\xfe\xff\xff\xff" + MOMENT) for group in (32, 42)),
    *((group, 4, b"\x01\xfe\xff" + MOMENT) for group in (32, 42)),
    *((group, 5, b"\x01" + FLOAT) for group in (32, 33, 42)),
    *((group, 6, b"\x01" + DOUBLE) for group in (32, 33, 42)),
    *((group, 7, b"\x01" + FLOAT + MOMENT) for group in (32, 33, 42)),
    *((group, 8, b"\x01" + DOUBLE + MOMENT) for group in (32, 33, 42)),
    (31, 7, b"\x01" + FLOAT),
    (31, 8, b"\x01" + DOUBLE),
    (12, 1, b"\x41\x02\xfa\0\0\0\xf4\x01\0\0\x04"),
    (12, 1, b"\x03\x01\0\0\0\0\0\0\0\0\x00"),
    (41, 1, b"\xfe\xff\xff\xff\x00"),
    (41, 2, b"\xfe\xff\x07"),
    (41, 3, FLOAT + b"\x00"),
    (41, 4, DOUBLE + b"\x00"),
]
"""An object of each variation that tshark 4.0 dissects in full."""


def crc(block: bytes) -> bytes:
    """Check a block as IEEE 1815 says (clause 9.2.6)."""
    sum_ = 0
    for byte in block:
        sum_ ^= byte
        for _ in range(8):
            sum_ = sum_ >> 1 ^ (0xA6BC if sum_ & 1 else 0)
    return (sum_ ^ 0xFFFF).to_bytes(2, "little")


def link(fragment: bytes, *, asks: bool) -> bytes:
    """Frame a fragment between master 1 and outstation 10."""
    control, destination, source = (0xC4, 10, 1) if asks else (0x44, 1, 10)
    user = b"\xc0" + fragment
    head = struct.pack("<BBBBHH", 5, 0x64, 5 + len(user), control, destination, source)
    blocks = [user[start : start + 16] for start in range(0, len(user), 16)]
    return b"".join(part + crc(part) for part in (head, *blocks))


def every_object(flip: int = 0) -> bytes:
    """A capture of a read and its response for each object; `flip` changes a bit of each value."""
    frames = []
    for place, (group, variation, data) in enumerate(OBJECTS):
        control = 0xC0 | place & 0x0F
        value = bytearray(data)
        value[1 if len(value) > 1 else 0] ^= flip
        answer = bytes((control, 129, 0, 0, group, variation, 0x17, 1, 5)) + value
        asked = bytes((control, 1, group, 0, 0, 5, 5))
        for delay, (source, target, fragment, asks) in enumerate(
            ((MASTER, OUTSTATION, asked, True), (OUTSTATION, MASTER, answer, False))
        ):
            packet = udp(source, target, link(fragment, asks=asks))
            time = 1_700_000_000_000_000_000 + place * 1_000_000_000 + delay * 1_000_000
            (whole,) = packets(source, target, UDP, packet)
            frames.append((time, ethernet(source, target, whole)))
    return pcap(frames)


def captures() -> list[object]:
    """Name each public capture as a case; where there is none, a case that skips."""
    found = sorted((SHARED / "captures" / "dnp3").glob("*.pcap*"))
    alike = [path for path in found if "conformance" in path.name]
    listed = explained()
    found = [
        path
        for path in found
        if path not in alike or path in alike[::EVERY] or f"captures/dnp3/{path.name}" in listed
    ]
    if not found:
        skip = pytest.mark.skip(reason=f"no test data: {SHARED} does not exist")
        return [pytest.param(SHARED, id="absent", marks=skip)]
    return [pytest.param(path, id=path.relative_to(SHARED).as_posix()) for path in found]


def explained() -> dict[str, list[int]]:
    """How many messages only one of both tells, by capture."""
    text = (Path(__file__).parent / "dnp3_differences.toml").read_text("utf-8")
    listed = tomllib.loads(text)["difference"]
    assert all(entry["reason"] for entry in listed)
    return {entry["capture"]: [entry["only_otids"], entry["only_tshark"]] for entry in listed}


@pytest.fixture(scope="module", autouse=True)
def tshark() -> None:
    """Skip where tshark is none, or another than the pinned one."""
    version = tshark_version()
    if version is None:
        pytest.skip("tshark is not installed: nothing is compared with Wireshark")
    if version[:2] != PINNED_VERSION:
        pytest.skip(f"tshark is {version}: the differences were listed with {PINNED_VERSION}")


@pytest.mark.parametrize("capture", captures())
def test_public_captures_agree(capture: Path) -> None:
    difference = compare(capture)
    found = [difference.ours.total(), difference.theirs.total()]
    name = capture.relative_to(SHARED).as_posix()
    assert found == explained().get(name, [0, 0]), f"{name}\n{difference}"


def test_the_list_is_of_captures_that_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no test data: {SHARED} does not exist")
    for name in explained():
        assert (SHARED / name).is_file(), f"{name} is gone: remove it from the list"


def test_every_object_agrees(tmp_path: Path) -> None:
    capture = tmp_path / "objects.pcap"
    capture.write_bytes(every_object())
    difference = compare(capture)
    assert difference.total == 2 * len(OBJECTS)
    assert not difference.ours, difference
    assert not difference.theirs, difference


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    told = []
    for place, flip in enumerate((0, 2)):
        capture = tmp_path / f"{place}.pcap"
        capture.write_bytes(every_object(flip))
        told.append([Counter(message for _, message in side(capture)) for side in (ours, theirs)])
    for one, other in ((0, 1), (1, 0)):
        differing = told[0][one] - told[1][other]
        # The last digits of floating-point numbers are not compared.
        assert differing.total() > len(OBJECTS) // 2


@pytest.mark.parametrize("scenario", ["dnp3-normal", "dnp3-attacks"])
def test_recorded_captures_agree(scenario: str, tmp_path: Path) -> None:
    capture = tmp_path / f"{scenario}.pcap"
    packed = REPOSITORY / "replay" / "captures" / scenario / f"{scenario}.pcap.gz"
    capture.write_bytes(gzip.decompress(packed.read_bytes()))
    difference = compare(capture)
    assert difference.total > 300
    assert not difference.ours, difference
    assert not difference.theirs, difference
