"""Wireshark agrees on S7comm (invariant 4): each difference is in a list that only shrinks.

The list is `s7comm_differences.toml`. Long captures are compared from the first frame on, as far as
`MOST_FRAMES` reach.
"""

from __future__ import annotations

import subprocess
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from wireshark.s7comm import Difference, compare, ours
from wireshark.tshark import PINNED_VERSION, tshark_version

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
FOLDER = SHARED / "captures" / "s7comm"
RECORDED = REPOSITORY / "replay" / "captures"
MOST_FRAMES = 1_500


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference of the list: how many PDUs of these functions only one of both tells."""

    capture: str
    functions: tuple[int, ...]
    only_otids: int
    only_tshark: int
    reason: str


def explained() -> list[Entry]:
    """Return the list of differences."""
    listed = tomllib.loads((Path(__file__).parent / "s7comm_differences.toml").read_text("utf-8"))
    return [
        Entry(**{**entry, "functions": tuple(entry["functions"])}) for entry in listed["difference"]
    ]


@pytest.fixture(scope="module", autouse=True)
def tshark() -> None:
    """Skips where tshark is none, or another than the pinned one."""
    version = tshark_version()
    if version is None:
        pytest.skip("tshark is not installed: nothing is compared with Wireshark")
    if version[:2] != PINNED_VERSION:
        pytest.skip(f"tshark is {version}: the differences were listed with {PINNED_VERSION}")


def beginning(capture: Path, target: Path) -> Path:
    """Cut the first frames off a capture."""
    command = ["editcap", "-r", str(capture), str(target), f"1-{MOST_FRAMES}"]
    subprocess.run(command, check=True, capture_output=True)
    return target


def assert_explained(name: str, difference: Difference) -> None:
    """Fail for what is not listed, and for what is listed and no more there."""
    left = [Counter(difference.ours), Counter(difference.theirs)]
    for entry in explained():
        if entry.capture != name:
            continue
        counts = []
        for side in left:
            named = [pdu for pdu in side if pdu.function in entry.functions]
            counts.append(sum(side.pop(pdu) for pdu in named))
        assert counts == [entry.only_otids, entry.only_tshark], (
            f"{name}: a difference that is gone is to be removed from the list\n{difference}"
        )
    assert not any(left), f"{name}: not explained\n{difference}"


def test_the_list_is_of_captures_that_are_there() -> None:
    listed = explained()
    names = [(entry.capture, entry.functions) for entry in listed]
    assert len(names) == len(set(names))
    assert all(entry.reason for entry in listed)
    if FOLDER.is_dir():
        assert all((FOLDER / name).is_file() for name, _ in names)


CAPTURES = sorted(FOLDER.glob("*.pcap*"))


@pytest.mark.skipif(not CAPTURES, reason=f"no test data: no captures in {FOLDER}")
def test_captures_agree(tmp_path: Path) -> None:
    total = 0
    for capture in CAPTURES:
        difference = compare(beginning(capture, tmp_path / "beginning.pcapng"))
        assert_explained(capture.name, difference)
        total += difference.total
    assert total > 4_000


@pytest.mark.skipif(not CAPTURES, reason=f"no test data: no captures in {FOLDER}")
def test_nothing_else_is_taken_for_s7comm() -> None:
    others = sorted((SHARED / "captures" / "iec61850_mms").glob("*.pcap*"))
    assert others
    for capture in others:
        assert not list(ours(capture)), capture


def test_recorded_work_agrees() -> None:
    captures = sorted(RECORDED.glob("s7-*/*.pcap.gz"))
    assert len(captures) == 2
    for capture in captures:
        difference = compare(capture)
        assert difference.total > 100
        assert_explained(capture.name, difference)
