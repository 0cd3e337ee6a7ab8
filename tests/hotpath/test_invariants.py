"""What may happen to bytes on their way changes nothing of what was said (invariants 1 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hotpath.conversations import (
    Flight,
    Setting,
    Way,
    conversations,
    exchanges,
    over_tcp,
    over_udp,
    plainly,
    settings_of_wire,
    spoiled,
    ways,
)
from hotpath.frames import Frame, pcap
from hotpath.reading import Reading, Said, read, spelled, ticks
from hotpath.scenes import function_scan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Turns = list[list[Flight]]
Hear = Callable[[Sequence[Frame]], Reading]

thorough = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TOLD_BY_TRANSPORT = frozenset({"gap", "overlap-disagrees", "table-full", "truncated-frame"})


@pytest.fixture
def hear(tmp_path: Path) -> Hear:
    """Return a function that reads frames as a capture."""

    def read_frames(frames: Sequence[Frame]) -> Reading:
        capture = tmp_path / "frames.pcap"
        capture.write_bytes(pcap(frames))
        return read(capture)

    return read_frames


def untagged(messages: Sequence[Said]) -> list[Said]:
    """Take the VLAN out of the names, so that only what was said is left."""
    return [
        message._replace(
            conversation=message.conversation._replace(
                client=message.conversation.client._replace(vlan=0),
                server=message.conversation.server._replace(vlan=0),
            )
        )
        for message in messages
    ]


def joined(turns: Turns) -> list[Flight]:
    """Send what one side has to say in one go."""
    return [(turn[0][0], b"".join(data for _, data in turn)) for turn in turns]


def assert_same(plain: Reading, other: Reading) -> None:
    assert untagged(other.messages) == plain.messages
    assert not TOLD_BY_TRANSPORT & set(other.notices)
    assert sorted(other.notices) == sorted(plain.notices)


# --- invariant 5: segmentation changes nothing ---------------------------------------------------


@thorough
@given(turns=conversations(exchanges()), how=st.lists(ways, max_size=10), setting=settings_of_wire)
def test_segments_change_nothing(
    hear: Hear, turns: Turns, how: list[Way], setting: Setting
) -> None:
    plain = hear(over_tcp([*chain(*turns)], (), plainly(setting)))
    assert len(plain.messages) == sum(map(len, turns))
    assert not plain.notices
    assert_same(plain, hear(over_tcp(joined(turns), how, setting)))


@thorough
@given(
    turns=conversations(st.one_of(exchanges(), spoiled())),
    how=st.lists(ways, max_size=10),
    setting=settings_of_wire,
)
def test_segments_change_nothing_of_what_is_broken(
    hear: Hear, turns: Turns, how: list[Way], setting: Setting
) -> None:
    plain = hear(over_tcp([*chain(*turns)], (), plainly(setting)))
    assert_same(plain, hear(over_tcp(joined(turns), how, setting)))


@thorough
@given(turns=conversations(exchanges()), how=st.lists(ways, max_size=10), setting=settings_of_wire)
def test_fragments_of_datagrams_change_nothing(
    hear: Hear, turns: Turns, how: list[Way], setting: Setting
) -> None:
    flights = [*chain(*turns)]
    plain = hear(over_udp(flights, (), plainly(setting)))
    assert len(plain.messages) == len(flights)
    assert_same(plain, hear(over_udp(flights, how, setting)))


# --- invariant 1: batches change nothing ---------------------------------------------------------

Told = list[tuple[int, int, int, dict[str, list[tuple[Any, ...]]]]]


def told(capture: Path, batch_frames: int) -> Told:
    """All ticks of a capture, spelled."""
    return [
        (tick.epoch, tick.second, tick.first_item, spelled(tick))
        for tick, _ in ticks(capture, batch_frames)
    ]


def assert_cuts_change_nothing(capture: Path, sizes: Sequence[int]) -> None:
    whole = told(capture, 1 << 30)
    assert whole
    for size in sizes:
        for one, other in zip(told(capture, size), whole, strict=True):
            assert one == other, f"{capture.name} differs in batches of {size} frames"


def test_batches_of_a_recorded_plant_change_nothing(repository: Path) -> None:
    captures = sorted((repository / "replay" / "captures").glob("normal-*/*.pcap.gz"))
    assert captures
    assert_cuts_change_nothing(captures[0], [7, 4096])


def test_single_frames_as_batches_change_nothing(tmp_path: Path) -> None:
    capture = tmp_path / "scan.pcap"
    capture.write_bytes(pcap(function_scan()))
    assert_cuts_change_nothing(capture, [1, 2, 3, 7, 100])


@pytest.mark.parametrize(
    "name",
    [
        "modbus/zeek__modbusSmall.pcap",
        "modbus/arkime__modbus.pcap",  # several recordings in one: time runs back
        "modbus/Quickdraw-Snort__modbus_test_data_part2.pcap",
        "modbus/zeek__fuzz-72.pcap",
        "modbus_umas/Quickdraw-Snort__modicon_test.pcap",
        "s7comm",
        "mqtt",
        "it_background",
    ],
)
def test_batches_of_real_captures_change_nothing(shared: Path, name: str) -> None:
    path = shared / "captures" / name
    if not path.exists():
        pytest.skip(f"no test data: {path} does not exist")
    captures = [path] if path.is_file() else sorted(path.glob("*.pcap*"))[:4]
    for capture in captures:
        assert_cuts_change_nothing(capture, [1, 7])
