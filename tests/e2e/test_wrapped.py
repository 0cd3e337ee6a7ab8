"""Whatever a mirror port puts around the recorded attacks, the alerts are the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captures import talk
from hotpath.frames import pcap
from wrapping import WRAPS, Frame, double, read_frames, wrap_all

from otids import _hotpath
from otids.alerts.dissect import dissect

OTIDS = Path(sys.executable).with_name("otids")

Record = dict[str, Any]
Rewrite = Callable[[list[Frame]], tuple[list[Frame], dict[int, int]]]
"""Frames in another way, and the old numbers of the new ones."""


def replay(folder: Path, learn: Path, judged: Path) -> list[Record]:
    """Replay a capture after declaring another as normal; return the last revision of alerts."""
    out = folder / "alerts.jsonl"
    command = [OTIDS, "replay", "--quiet", "--state", folder / "state", "--alerts", out]
    done = subprocess.run(
        [*map(str, command), "--learn", str(learn), str(judged)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    last: dict[str, Record] = {}
    for line in out.read_text().splitlines():
        record = json.loads(line)
        last[record["id"]] = record
    return list(last.values())


def essence(alerts: list[Record], numbers: dict[int, int] | None = None) -> list[str]:
    """What must not change: ids and the words for VLANs are left out, frames are renumbered."""
    told = []
    for one in alerts:
        ends = [one["source"], one["target"] or {}]
        told.append(
            json.dumps(
                {
                    **{key: one[key] for key in ("kind", "severity", "protocol", "function")},
                    **{key: one[key] for key in ("first_seen", "last_seen", "count", "points")},
                    "ends": [[end.get("address"), end.get("asset")] for end in ends],
                    "frames": [numbers[one] if numbers else one for one in one["frames"]],
                    "frame_count": one["frame_count"],
                }
            )
        )
    return sorted(told)


@pytest.fixture(scope="module")
def frames(captures: Path) -> dict[str, list[Frame]]:
    """Frames of normal work and of the attacks."""
    return {
        name: read_frames(captures / name / f"{name}.pcap.gz") for name in ("normal", "attacks")
    }


@pytest.fixture(scope="module")
def expected(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is told of the attacks as they were recorded."""
    learn, judged = (captures / one / f"{one}.pcap.gz" for one in ("normal", "attacks"))
    alerts = essence(replay(tmp_path_factory.mktemp("plain"), learn, judged))
    assert len(alerts) > 10
    return alerts


def wrapped(name: str) -> Rewrite:
    """Wrap every frame; numbers stay."""

    def rewrite(frames: list[Frame]) -> tuple[list[Frame], dict[int, int]]:
        new = wrap_all(frames, WRAPS[name])
        return new, {number: number for number in range(1, len(new) + 1)}

    return rewrite


REWRITES: dict[str, Rewrite] = {name: wrapped(name) for name in WRAPS} | {"doubled": double}


@pytest.mark.parametrize("name", REWRITES)
def test_wrapped_attacks_give_the_same_alerts(
    frames: dict[str, list[Frame]], expected: list[str], tmp_path: Path, name: str
) -> None:
    for capture, plain in frames.items():
        rewritten, numbers = REWRITES[name](plain)
        (tmp_path / f"{capture}.pcap").write_bytes(pcap(rewritten))
    alerts = replay(tmp_path, tmp_path / "normal.pcap", tmp_path / "attacks.pcap")
    assert essence(alerts, numbers) == expected
    for alert in alerts:
        evidence = tmp_path / "state" / "evidence" / f"{alert['id']}.pcapng"
        assert evidence.is_file(), alert["kind"]


def test_attacks_compressed_with_zstd_give_the_same_alerts(
    frames: dict[str, list[Frame]], expected: list[str], tmp_path: Path
) -> None:
    for capture, plain in frames.items():
        (tmp_path / f"{capture}.pcap").write_bytes(zstd(pcap(plain)))
    alerts = replay(tmp_path, tmp_path / "normal.pcap", tmp_path / "attacks.pcap")
    assert essence(alerts) == expected


@pytest.mark.parametrize("name", WRAPS)
def test_decode_tells_what_is_inside(tmp_path: Path, name: str) -> None:
    def decode(frames: list[Frame]) -> list[Record]:
        capture = tmp_path / "talk.pcap"
        capture.write_bytes(pcap(frames))
        done = subprocess.run(
            [str(OTIDS), "decode", str(capture)], capture_output=True, timeout=60, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    plain = decode(talk(3))
    assert len(plain) == 6
    told = decode(wrap_all(talk(3), WRAPS[name]))
    vlans = {"qinq": [100, 200], "erspan_of_trunk": [300]}
    assert [one.pop("vlan", None) for one in told] == [vlans.get(name)] * 6
    assert told == plain


@pytest.mark.parametrize("name", ["erspan_ii", "vxlan", "geneve", "mpls"])
def test_evidence_is_dissected_down_to_what_is_inside(tmp_path: Path, name: str) -> None:
    capture, evidence = tmp_path / "talk.pcap", tmp_path / "evidence.pcapng"
    capture.write_bytes(pcap(wrap_all(talk(1), WRAPS[name])))
    assert _hotpath.cut_evidence(str(capture), [(str(evidence), [4], 9, "")]) == [(5, [])]
    dissection = dissect(evidence)
    if dissection.missing:
        pytest.skip(dissection.missing)
    (frame,) = dissection.frames
    layers = {layer.name: layer.lines for layer in frame.layers}
    assert frame.number == 4
    assert "modbus" in layers
    assert not any("unknown" in line for lines in layers.values() for line in lines[:1])


def zstd(data: bytes) -> bytes:
    """Two frames of raw blocks (RFC 8878, clause 3.1.1), with a window of 128 KiB."""
    half = len(data) // 2
    return b"".join(_zstd_frame(part) for part in (data[:half], data[half:]))


def _zstd_frame(data: bytes) -> bytes:
    size = 100_000
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    file = bytes.fromhex("28b52ffd0038")
    for number, block in enumerate(blocks, 1):
        head = len(block) << 3 | (number == len(blocks))
        file += head.to_bytes(3, "little") + block
    return file


def test_a_new_tunnel_is_told_beside_what_is_in_it(
    frames: dict[str, list[Frame]], captures: Path, tmp_path: Path
) -> None:
    polls = [(time, frame) for time, frame in frames["normal"] if len(frame) > 60][:40]
    hidden = [
        (time + 1, WRAPS["vxlan"](number, frame)) for number, (time, frame) in enumerate(polls)
    ]
    judged = tmp_path / "judged.pcap"
    judged.write_bytes(pcap(sorted([*frames["normal"], *hidden])))
    alerts = replay(tmp_path, captures / "normal" / "normal.pcap.gz", judged)
    ends = {
        end["address"] for one in alerts for end in (one["source"], one["target"] or one["source"])
    }
    assert {"192.0.2.1", "192.0.2.2"} & ends
    assert any(one["kind"].startswith("novelty.") for one in alerts)
