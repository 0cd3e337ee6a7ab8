"""Wireshark agrees (invariant 4): each difference is explained in a list that only shrinks.

The list is `differences.toml`. By itself this takes about a minute; with `OTIDS_TEST_WHOLE=1` the
long captures are compared from the first to the last frame, which takes several.
"""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hotpath.frames import pcap
from hotpath.scenes import every_function, function_scan
from wireshark.agreement import Adu, Difference, compare, ours, theirs
from wireshark.tshark import PINNED_VERSION, TSHARK, tshark_version

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
WHOLE = bool(os.environ.get("OTIDS_TEST_WHOLE"))
FIRST_FRAMES = 20_000

MODBUS = ("captures/modbus", "captures/modbus_umas", "labelled/lemay")
"""Folders of captures that are compared in full."""


def captures_below(folder: Path, pattern: str = "**/*.pcap*") -> list[object]:
    """Name each capture below a folder as a case; where there is none, a case that skips."""
    found = sorted(folder.glob(pattern))
    if not found:
        skip = pytest.mark.skip(reason=f"no test data: no captures in {folder}")
        return [pytest.param(folder, id=f"{folder.name}-absent", marks=skip)]
    return [pytest.param(path, id=path.relative_to(folder.parent).as_posix()) for path in found]


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference of the list: how many ADUs of these functions only one of both tells."""

    capture: str
    functions: tuple[int, ...]
    only_otids: int
    only_tshark: int
    reason: str


def explained() -> list[Entry]:
    """Return the list of differences."""
    listed = tomllib.loads((Path(__file__).parent / "differences.toml").read_text("utf-8"))
    return [
        Entry(**{**entry, "functions": tuple(entry["functions"])}) for entry in listed["difference"]
    ]


@pytest.fixture(scope="module", autouse=True)
def tshark() -> tuple[int, int, int]:
    """Return the version of tshark; skips where it is none, or another than the pinned one."""
    version = tshark_version()
    if version is None:
        pytest.skip("tshark is not installed: nothing is compared with Wireshark")
    if version[:2] != PINNED_VERSION:
        # Later ones tell written values in other fields; the list is of one version's output.
        pytest.skip(f"tshark is {version}: the differences were listed with {PINNED_VERSION}")
    return version


def assert_explained(capture: Path, difference: Difference, version: tuple[int, int, int]) -> None:
    """Fail for what is not listed, and for what is listed and no more there."""
    name = capture.relative_to(SHARED).as_posix() if capture.is_relative_to(SHARED) else None
    left = [Counter(difference.ours), Counter(difference.theirs)]
    for entry in explained():
        if entry.capture != name:
            continue
        counts = []
        for side in left:
            named = [adu for adu in side if adu.function in entry.functions]
            counts.append(sum(side.pop(adu) for adu in named))
        listed = [entry.only_otids, entry.only_tshark]
        assert counts == listed, (
            f"{name}: listed {listed}, found {counts} of functions {entry.functions};"
            " a difference that is gone is to be removed from the list"
            f" (tshark {version}; pinned {PINNED_VERSION})\n{difference}"
        )
    assert not any(left), (
        f"{capture}: not explained (tshark {version}; pinned {PINNED_VERSION})\n{difference}"
    )


# --- the comparison itself -----------------------------------------------------------------------


def test_the_list_is_of_captures_that_are_there() -> None:
    listed = explained()
    names = [(entry.capture, entry.functions) for entry in listed]
    assert len(names) == len(set(names))
    assert all(entry.reason for entry in listed)
    if not SHARED.is_dir():
        pytest.skip(f"no test data: {SHARED} does not exist")
    for name, _ in names:
        assert (SHARED / name).is_file(), f"{name} is gone: remove it from the list"


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    told = []
    for place, register in enumerate((0x1234, 0x1235)):
        capture = tmp_path / f"{place}.pcap"
        capture.write_bytes(pcap(every_function(register)))
        told.append([Counter(adu for _, adu in side(capture)) for side in (ours, theirs)])
    for one, other in ((0, 1), (1, 0)):
        differing = told[0][one] - told[1][other]
        assert {3, 4, 6, 16, 21, 22, 23, 24} <= {adu.function for adu in differing}
        assert not {1, 2, 5, 15} & {adu.function for adu in differing}


def test_built_frames_are_right(tmp_path: Path) -> None:
    capture = tmp_path / "built.pcap"
    capture.write_bytes(pcap([*every_function(), *function_scan()]))
    checks = ("ip", "tcp", "udp")
    command = [TSHARK, "-n", "-r", str(capture), "-T", "fields", "-e", "frame.number"]
    command += [part for name in checks for part in ("-o", f"{name}.check_checksum:TRUE")]
    bad = " || ".join([*(f"{name}.checksum.status == 0" for name in checks), "_ws.malformed"])
    found = subprocess.run([*command, "-Y", bad], capture_output=True, text=True, check=True)
    # What is malformed are the bodies of the scan; no header is.
    malformed = [int(line) for line in found.stdout.split()]
    assert not [frame for frame in malformed if frame <= len(every_function())]


# --- captures ------------------------------------------------------------------------------------


def test_every_function_agrees(tmp_path: Path, tshark: tuple[int, int, int]) -> None:
    capture = tmp_path / "functions.pcap"
    capture.write_bytes(pcap(every_function()))
    difference = compare(capture)
    assert difference.total == 6 * 4 * 21
    assert_explained(capture, difference, tshark)


# Of simulated captures, in which the mirror loses frames, tests/replay compares what it can.
@pytest.mark.parametrize(
    "capture", captures_below(REPOSITORY / "replay" / "captures", "[an]*/*.pcap.gz")
)
def test_recorded_plant_agrees(capture: Path, tshark: tuple[int, int, int]) -> None:
    difference = compare(capture)
    assert difference.total > 4000
    assert_explained(capture, difference, tshark)


@pytest.mark.parametrize(
    "capture", [case for folder in MODBUS for case in captures_below(SHARED / folder)]
)
def test_capture_agrees(capture: Path, tshark: tuple[int, int, int]) -> None:
    difference = compare(capture)
    assert difference.total
    assert_explained(capture, difference, tshark)


def beginning(capture: Path, target: Path) -> Path:
    """Cut the first frames off a gzip-compressed, little-endian pcap file."""
    with gzip.open(capture) as source, target.open("wb") as part:
        part.write(source.read(24))
        for _ in range(FIRST_FRAMES):
            header = source.read(16)
            if len(header) < 16:
                break
            part.write(header + source.read(struct.unpack_from("<I", header, 8)[0]))
    return target


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("capture", captures_below(SHARED / "bench", "*.pcap.gz"))
def test_long_capture_agrees(capture: Path, tmp_path: Path, tshark: tuple[int, int, int]) -> None:
    difference = compare(capture if WHOLE else beginning(capture, tmp_path / "beginning.pcap"))
    assert difference.total > FIRST_FRAMES // 4
    assert_explained(capture, difference, tshark)


def test_nothing_else_is_taken_for_modbus(tshark: tuple[int, int, int]) -> None:
    folder = SHARED / "captures"
    if not folder.is_dir():
        pytest.skip(f"no test data: {folder} does not exist")
    others = [
        path
        for path in sorted(folder.rglob("*.pcap*"))
        if path.parent.relative_to(SHARED).as_posix() not in MODBUS
    ]
    assert len(others) > 400
    for capture in others:
        told: Counter[Adu] = Counter(adu for _, adu in ours(capture))
        if told:
            difference = compare(capture)
            assert_explained(capture, difference._replace(theirs=Counter()), tshark)
