"""Wireshark agrees about IEC 60870-5-104; each difference stands in `iec104_differences.toml`."""

from __future__ import annotations

import gzip
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from wireshark.iec104 import compare, ours, theirs
from wireshark.tshark import PINNED_VERSION, tshark_version

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
RECORDED = REPOSITORY / "replay" / "captures"
FOLDERS = ("captures/iec104", "labelled/fkie_iec104")
FEW = ("train.pcap", "test.pcap")
"""Of the labelled set, which is one session over and over, these."""


def captures() -> list[object]:
    """Name each public capture as a case; where there is none, a case that skips."""
    found = [path for folder in FOLDERS for path in sorted((SHARED / folder).glob("*.pcap"))]
    found = [path for path in found if path.parent.name == "iec104" or path.name in FEW]
    if not found:
        skip = pytest.mark.skip(reason=f"no test data: {SHARED} does not exist")
        return [pytest.param(SHARED, id="absent", marks=skip)]
    return [pytest.param(path, id=path.relative_to(SHARED).as_posix()) for path in found]


def explained() -> dict[str, list[int]]:
    """How many messages only one of both tells, by capture."""
    text = (Path(__file__).parent / "iec104_differences.toml").read_text("utf-8")
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
    assert difference.total, f"{name}: tshark finds nothing"


def test_the_list_is_of_captures_that_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no test data: {SHARED} does not exist")
    for name in explained():
        assert (SHARED / name).is_file(), f"{name} is gone: remove it from the list"


@pytest.mark.parametrize("scenario", ["iec104-normal", "iec104-attacks"])
def test_recorded_captures_agree(scenario: str, tmp_path: Path) -> None:
    capture = tmp_path / f"{scenario}.pcap"
    with (
        gzip.open(RECORDED / scenario / f"{scenario}.pcap.gz") as packed,
        capture.open("wb") as out,
    ):
        shutil.copyfileobj(packed, out)
    difference = compare(capture)
    assert difference.total > 1000
    assert not difference.ours, difference
    assert not difference.theirs, difference


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    with gzip.open(RECORDED / "iec104-normal" / "iec104-normal.pcap.gz") as packed:
        whole = packed.read()
    changed = bytearray(whole)
    # M_ME_NC_1, four neighbours, cyclic, originator 0, station 1, from 100 on: the values follow.
    element = whole.index(bytes((13, 0x84, 1, 0, 1, 0, 100, 0, 0))) + 9
    changed[element + 1] ^= 0x40
    told = []
    for place, content in enumerate((whole, bytes(changed))):
        capture = tmp_path / f"{place}.pcap"
        capture.write_bytes(content)
        told.append([Counter(message for _, message in side(capture)) for side in (ours, theirs)])
    for one, other in ((0, 1), (1, 0)):
        differing = told[0][one] - told[1][other]
        assert [message.function for message in differing.elements()] == [13]
