"""Wireshark agrees about MQTT; each difference stands in `mqtt_differences.toml`."""

from __future__ import annotations

import gzip
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from wireshark.mqtt import compare, ours, payload, theirs
from wireshark.tshark import PINNED_VERSION, tshark_version

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
RECORDED = REPOSITORY / "replay" / "captures"
FOREIGN = "captures/mqtt/ICS-Pcaps__mqtt.example.pcap"
"""It holds another protocol in spite of its name."""


def captures() -> list[object]:
    """Name each public capture as a case; where there is none, a case that skips."""
    found = sorted((SHARED / "captures" / "mqtt").glob("*.pcap"))
    if not found:
        skip = pytest.mark.skip(reason=f"no test data: {SHARED} does not exist")
        return [pytest.param(SHARED, id="absent", marks=skip)]
    return [pytest.param(path, id=path.relative_to(SHARED).as_posix()) for path in found]


def explained() -> dict[str, list[int]]:
    """How many messages only one of both tells, by capture."""
    text = (Path(__file__).parent / "mqtt_differences.toml").read_text("utf-8")
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
    assert difference.total or name == FOREIGN, f"{name}: tshark finds nothing"


def test_the_list_is_of_captures_that_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no test data: {SHARED} does not exist")
    for name in explained():
        assert (SHARED / name).is_file(), f"{name} is gone: remove it from the list"


def unpacked(scenario: str) -> bytes:
    with gzip.open(RECORDED / scenario / f"{scenario}.pcap.gz") as packed:
        return packed.read()


@pytest.mark.parametrize("scenario", ["mqtt-normal", "mqtt-attacks"])
def test_recorded_captures_agree(scenario: str, tmp_path: Path) -> None:
    capture = tmp_path / f"{scenario}.pcap"
    capture.write_bytes(unpacked(scenario))
    difference = compare(capture)
    assert difference.total > 1000
    assert not difference.ours, difference
    assert not difference.theirs, difference


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    whole = unpacked("mqtt-normal")
    changed = bytearray(whole)
    topic = b"plant/tank/temperature"
    place = whole.index(topic) + len(topic) + 2  # behind the packet identifier
    assert changed[place] == ord("2")
    changed[place] = ord("3")
    told = []
    for number, content in enumerate((whole, bytes(changed))):
        capture = tmp_path / f"{number}.pcap"
        capture.write_bytes(content)
        told.append([Counter(message for _, message in side(capture)) for side in (ours, theirs)])
    for one, other in ((0, 1), (1, 0)):
        differing = told[0][one] - told[1][other]
        assert [message.names for message in differing.elements()] == [(topic.decode(),)]


def test_payloads_are_spelled() -> None:
    assert list(payload(b' {"a": [1, "ON"], "0": 3, "b": null} ')) == [("a.0", "1"), ("a.1", "ON")]
    assert list(payload(b"-1.5e1")) == [("", "-15")]
    assert list(payload(b"v1")) == list(payload(b"\xff")) == list(payload(b"{")) == []
