import csv
import gzip
import itertools
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from replay.simulated import REPLAY, simulate, simulated
from wireshark import agreement
from wireshark.tshark import TSHARK, tshark_version

SEED, SECONDS = 5, 240
"""A run of minutes holds all the events of an hour, shortened."""

CHECKS = ("ip", "tcp", "udp")
# What a switched-off PLC, a lost frame and a silent mirror port leave behind.
MEANT = {
    "Connection reset (RST)",
    "Previous segment(s) not captured (common at capture start)",
    "ACKed segment that wasn't captured (common at capture start)",
    "This frame initiates the connection closing",
    "This frame undergoes the connection closing",
    "This frame is a (suspected) retransmission",
    "This frame is a (suspected) spurious retransmission",
    "Duplicate ACK (#1)",
}


class Frame(NamedTuple):
    """What these tests look at in a frame; addresses as bytes, ports 0 if there are none."""

    time: int  # microseconds since 1970
    data: bytes
    kind: int
    source: bytes
    target: bytes
    ports: tuple[int, int]
    flags: int
    payload: bytes


def frames_of(capture: Path) -> list[bytes]:
    return [frame.data for frame in read(capture)]


def read(capture: Path) -> Iterator[Frame]:
    data, at = gzip.decompress(capture.read_bytes()), 24
    while at < len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
        yield dissect(seconds * 1_000_000 + micros, data[at + 16 : at + 16 + size])
        at += 16 + size


def dissect(time: int, data: bytes) -> Frame:
    (kind,) = struct.unpack_from(">H", data, 12)
    if kind != 0x0800 or data[23] != 6:
        ports = struct.unpack_from(">HH", data, 34) if kind == 0x0800 else (0, 0)
        return Frame(time, data, kind, data[26:30], data[30:34], ports, 0, b"")
    end = 14 + struct.unpack_from(">H", data, 16)[0]
    payload = data[34 + (data[46] >> 4) * 4 : end]
    ports = struct.unpack_from(">HH", data, 34)
    return Frame(time, data, kind, data[26:30], data[30:34], ports, data[47], payload)


def tshark(capture: Path, *options: str) -> str:
    command = [TSHARK, "-n", "-r", str(capture)]
    command += [part for name in CHECKS for part in ("-o", f"{name}.check_checksum:TRUE")]
    return subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", autouse=True)
def pymodbus() -> None:
    pytest.importorskip("pymodbus", reason="the plant's stacks are pymodbus's")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with the walk and all normal events."""
    return simulate(tmp_path_factory.mktemp("short"), "plant", SEED, SECONDS)


@pytest.fixture(scope="module")
def wireshark() -> None:
    if tshark_version() is None:
        pytest.skip("tshark is not installed: nothing is compared with Wireshark")


def test_a_seed_gives_the_same_bytes(short: Path, tmp_path: Path) -> None:
    again = simulate(tmp_path, "plant", SEED, SECONDS, hashing=77)
    assert again.read_bytes() == short.read_bytes()
    for name in ("labels.csv", "events.csv"):
        assert (again.parent / name).read_bytes() == (short.parent / name).read_bytes()


def test_another_seed_gives_other_frames(short: Path, tmp_path: Path) -> None:
    other = simulate(tmp_path, "plant", SEED + 1, SECONDS)
    assert len(set(frames_of(other)) & set(frames_of(short))) < len(frames_of(short)) / 10


def test_a_simulated_capture_is_kept(tmp_path: Path) -> None:
    first = simulated(tmp_path, "plant-quiet", 21, 20)
    made = first.stat().st_mtime_ns
    assert simulated(tmp_path, "plant-quiet", 21, 20) == first
    assert first.stat().st_mtime_ns == made
    assert [path.name for path in tmp_path.iterdir()] == [first.parent.name]


@pytest.mark.usefixtures("wireshark")
def test_wireshark_finds_no_fault(short: Path) -> None:
    bad = " || ".join([*(f"{name}.checksum.status == 0" for name in CHECKS), "_ws.malformed"])
    assert tshark(short, "-Y", bad) == ""
    told = tshark(short, "-q", "-z", "expert,note")
    summaries = {
        line.split(maxsplit=3)[3]
        for line in told.splitlines()
        if line.split()[:1] != [] and line.split()[0].isdigit()
    }
    assert summaries
    assert summaries <= MEANT


@pytest.mark.usefixtures("wireshark")
def test_otids_and_wireshark_read_the_same(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With it, Wireshark reads no more of a connection in which the mirror lost a frame.
    monkeypatch.setitem(agreement.PREFERENCES, "tcp.reassemble_out_of_order", "FALSE")
    difference = agreement.compare(short)
    assert difference.total > 5_000
    assert not difference.ours
    assert not difference.theirs


def test_otids_decodes_every_message_that_was_sent(short: Path) -> None:
    # A segment holds one ADU here; what is sent again has the same sequence number.
    sent = {
        (frame.source, frame.target, frame.ports, frame.data[38:42])
        for frame in read(short)
        if 502 in frame.ports and frame.payload
    }
    assert len(list(agreement.ours(short))) == len(sent)


def test_frames_stand_in_order_and_only_arp_goes_to_all(short: Path) -> None:
    frames = list(read(short))
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert SECONDS <= (times[-1] - times[0]) / 1e6 < SECONDS + 2
    assert {frame.kind for frame in frames if frame.data[:6] == b"\xff" * 6} == {0x0806}
    assert min(len(frame.data) for frame in frames) == 60


def test_one_mac_is_the_routers_and_hops_are_counted(short: Path) -> None:
    hops: dict[tuple[bytes, bytes], set[int]] = {}
    for frame in read(short):
        if frame.kind == 0x0800:
            hops.setdefault((frame.data[6:12], frame.source), set()).add(frame.data[22])
    assert all(len(seen) == 1 for seen in hops.values())
    router = bytes.fromhex("00090f2c8001")
    behind = {bytes((10, 30, 0, 5)), bytes((10, 30, 0, 2))}
    assert {address for mac, address in hops if mac == router} == behind
    assert all(hops[router, address] == {63} for address in behind)


def test_every_normal_event_happens(short: Path) -> None:
    events = rows(short.parent / "events.csv")
    kinds = Counter(event["label"].split()[0] for event in events)
    assert kinds == {"mirror": 1, "failover": 1, "maintenance": 1, "reboot": 3}
    assert rows(short.parent / "labels.csv") == []
    frames = list(read(short))
    for event in events:
        start, end = (float(event[name]) * 1e6 for name in ("start", "end"))
        during = [frame for frame in frames if start <= frame.time < end]
        primary, standby = (sent(during, bytes((10, 20, 2, last))) for last in (10, 11))
        match event["label"].split()[0]:
            case "mirror":
                assert not during
            case "failover":
                assert primary < standby
                assert standby > 100
            case "maintenance":
                assert sent(during, bytes((10, 20, 2, 30))) > 10
            case "reboot":
                plc = bytes((10, 20, 1, 10 + int(event["label"][-1])))
                assert any(frame.source == plc and frame.flags & 0x04 for frame in during)
                claims = [f for f in during if f.kind == 0x0806 and f.data[28:32] == plc]
                assert any(claim.data[38:42] == plc for claim in claims)


def sent(frames: list[Frame], source: bytes) -> int:
    return sum(frame.source == source and frame.ports[1] == 502 for frame in frames)


@pytest.fixture(scope="module")
def learned(captures: Path) -> Path:
    return captures / "plant"


def test_the_learned_run_holds_every_event_twice(learned: Path) -> None:
    events = rows(learned / "events.csv")
    kinds = Counter(event["label"].split()[0] for event in events)
    assert set(kinds) == {"mirror", "failover", "maintenance", "reboot"}
    assert min(kinds.values()) >= 2
    assert {e["label"] for e in events} >= {f"reboot of plc-{n}" for n in (1, 2, 3)}


def test_attacks_are_labelled_and_apart(captures: Path) -> None:
    labels = rows(captures / "plant-attacks" / "labels.csv")
    attacks = [label for label in labels if not label["label"].startswith("ok:")]
    assert len({attack["label"] for attack in attacks}) == len(attacks) == 16
    for before, after in itertools.pairwise(attacks):
        assert float(after["start"]) - float(before["end"]) >= 120, after["label"]


@pytest.fixture(scope="module")
def attacked(captures: Path) -> dict[str, list[Frame]]:
    """The frames in the window of each attack."""
    folder = captures / "plant-attacks"
    labels = [label for label in rows(folder / "labels.csv") if label["label"][:3] != "ok:"]
    windows = [(float(one["start"]) * 1e6, float(one["end"]) * 1e6, one["label"]) for one in labels]
    held: dict[str, list[Frame]] = {label: [] for *_, label in windows}
    for frame in read(folder / "plant-attacks.pcap.gz"):
        for start, end, label in windows:
            if start <= frame.time < end:
                held[label].append(frame)
    return held


HMI, HISTORIAN = bytes((10, 20, 2, 10)), bytes((10, 20, 2, 20))
ENGINEERING, ARCHIVE = bytes((10, 20, 2, 30)), bytes((10, 30, 0, 5))
PLC_1, PLC_2, PLC_3 = (bytes((10, 20, 1, last)) for last in (11, 12, 13))
ROGUE_MAC = bytes.fromhex("b827eb5dc066")


def pdus(frames: list[Frame], source: bytes, target: bytes) -> list[bytes]:
    ends = (source, target)
    return [f.payload[7:] for f in frames if (f.source, f.target) == ends and f.payload]


def test_values_are_attacked(attacked: dict[str, list[Frame]]) -> None:
    attack = attacked["setpoint-out-of-range"]
    assert struct.pack(">BHH", 6, 0, 300) in pdus(attack, HMI, PLC_3)
    dosed = [struct.unpack(">f", pdu[6:10])[0] for pdu in pdus(attack, PLC_3, HMI) if pdu[0] == 4]
    assert max(dosed) > 2.8
    ramp = [
        struct.unpack(">f", pdu[6:10])[0]
        for pdu in pdus(attacked["slow-ramp"], HMI, PLC_1)
        if pdu[:3] == struct.pack(">BH", 16, 2)
    ]
    assert len(ramp) > 340
    assert ramp[:-1] == sorted(ramp[:-1])
    assert ramp[0] < 180 < ramp[-2]
    touched = {
        pdu[:3] for pdu in pdus(attacked["brute-force-writes"], HMI, PLC_1) if pdu[0] in (5, 6)
    }
    assert len(touched) == 60


def levels(frames: list[Frame]) -> list[bytes]:
    return [pdu[2:6] for pdu in pdus(frames, PLC_1, HMI) if pdu[:2] == bytes((4, 16))]


def test_measurements_are_attacked(attacked: dict[str, list[Frame]]) -> None:
    frozen = levels(attacked["frozen-sensor"])
    assert len(frozen) > 500
    assert len(set(frozen[1:])) == 1
    other = levels(attacked["slow-ramp"])
    assert len(set(other)) > len(other) / 20


def test_old_measurements_are_replayed(captures: Path, attacked: dict[str, list[Frame]]) -> None:
    now = [pdu for pdu in pdus(attacked["replayed-traffic"], PLC_1, HMI) if pdu[0] == 4]
    end = attacked["replayed-traffic"][0].time - 590_000_000
    path = captures / "plant-attacks" / "plant-attacks.pcap.gz"
    before = [f for f in read(path) if end - 20_000_000 < f.time < end + 180_000_000]
    assert len(now) > 170
    # The mirror port was silent for two seconds of what is replayed.
    assert len(set(now) - set(pdus(before, PLC_1, HMI))) <= 4


def test_rhythm_is_attacked(attacked: dict[str, list[Frame]]) -> None:
    meter = [
        frame
        for frame in attacked["poll-stopped"]
        if frame.source == HMI and frame.target == PLC_2 and frame.payload[6:7] == b"\x0b"
    ]
    assert len(meter) <= 1
    asked: dict[bytes, int] = {}
    waits = []
    for frame in attacked["delayed-polls"]:
        if frame.payload and frame.source == HMI and frame.target == PLC_1:
            asked[frame.payload[:2]] = frame.time
        elif frame.payload and frame.target == HMI and frame.source == PLC_1:
            waits.append(frame.time - asked.pop(frame.payload[:2], frame.time))
    assert len(waits) > 300
    assert sum(300_000 < wait < 650_000 for wait in waits) > 0.95 * len(waits)


def test_amounts_are_attacked(attacked: dict[str, list[Frame]]) -> None:
    flood = pdus(attacked["flood"], HMI, PLC_3)
    assert flood.count(struct.pack(">BHH", 3, 0, 4)) >= 4_000
    storm = pdus(attacked["exception-storm"], HISTORIAN, PLC_2)
    assert storm.count(struct.pack(">BHH", 3, 4_096, 1)) == 300
    refused = pdus(attacked["exception-storm"], PLC_2, HISTORIAN)
    assert refused.count(b"\x83\x02") == 300
    pushed = [f for f in attacked["exfiltration"] if (f.source, f.target) == (HISTORIAN, ARCHIVE)]
    usual = [f for f in attacked["frozen-sensor"] if (f.source, f.target) == (HISTORIAN, ARCHIVE)]
    rates = [
        sum(len(f.payload) for f in some) / seconds
        for some, seconds in ((pushed, 180), (usual, 600))
    ]
    assert 40 < rates[0] / rates[1] < 80


def test_scans_are_seen(attacked: dict[str, list[Frame]]) -> None:
    port_scan = attacked["port-scan"]
    tried = {f.ports[1] for f in port_scan if f.source == ENGINEERING and f.flags == 0x02}
    assert len(tried) == 40
    reset = {f.ports[0] for f in port_scan if f.target == ENGINEERING and f.flags & 0x04}
    assert reset == tried
    asked = {
        frame.data[38:42]
        for frame in attacked["host-scan"]
        if frame.kind == 0x0806
        and frame.data[28:32] == ENGINEERING
        and frame.data[20:22] == b"\0\1"
    }
    assert len(asked) >= 57
    half_open = attacked["half-open"]
    opened = {f.ports for f in half_open if f.source == ENGINEERING and f.flags == 0x02}
    assert len(opened) == 300
    assert not any(f.source == ENGINEERING and f.flags & 0x10 for f in half_open)


def test_the_man_in_the_middle_is_seen(attacked: dict[str, list[Frame]]) -> None:
    spoof = attacked["arp-spoof"]
    lies = [f for f in spoof if f.kind == 0x0806 and f.data[22:28] == ROGUE_MAC]
    assert len(lies) == 45, "those for PLC-3 do not pass the mirror"
    relayed = [f for f in spoof if f.kind == 0x0800 and f.data[6:12] == ROGUE_MAC]
    assert {(f.source, f.data[22]) for f in relayed} == {(PLC_3, 63)}
    measured = [f.payload[9:13] for f in relayed if f.payload[7:9] == bytes((4, 16))]
    assert len(measured) > 80
    assert all(struct.unpack(">f", words)[0] > 8.4 for words in measured)
    second = [f for f in attacked["two-answers"] if f.data[6:12] == ROGUE_MAC]
    assert len(second) == 5
    assert all(f.source == PLC_3 and f.payload for f in second)


def test_garbage_is_seen(attacked: dict[str, list[Frame]]) -> None:
    sent_here = [
        f
        for f in attacked["garbage-payload"]
        if f.source == HISTORIAN
        and f.target == PLC_2
        and f.payload
        and f.payload[2:6] != b"\0\0\0\6"
    ]
    assert len(sent_here) >= 38


# --- degraded captures ---------------------------------------------------------------------------


def degrade(capture: Path, output: Path, *options: str) -> list[bytes]:
    command = [sys.executable, "-P", str(REPLAY / "degrade.py"), str(capture), str(output)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return frames_of(output)


@pytest.mark.parametrize("percent", [1, 5, 10])
def test_a_share_of_frames_is_dropped(short: Path, tmp_path: Path, percent: int) -> None:
    whole = frames_of(short)
    words = ("--drop", str(percent), "--seed", "3")
    left = degrade(short, tmp_path / "a.pcap.gz", *words)
    assert abs(1 - len(left) / len(whole) - percent / 100) < 0.01
    rest = iter(whole)
    assert all(frame in rest for frame in left)
    assert left == degrade(short, tmp_path / "b.pcap.gz", *words)
    assert left != degrade(short, tmp_path / "c.pcap.gz", *words[:3], "4")


def test_one_direction_is_kept(short: Path, tmp_path: Path) -> None:
    whole = list(read(short))
    degrade(short, tmp_path / "servers.pcap.gz", "--only", "servers")
    kept = list(read(tmp_path / "servers.pcap.gz"))
    assert kept == [f for f in whole if not (f.ports[1] in (502, 5450) and f.ports[0] > 40_000)]
    degrade(short, tmp_path / "clients.pcap.gz", "--only", "clients")
    kept = list(read(tmp_path / "clients.pcap.gz"))
    assert not any(frame.ports[0] in (502, 5450) for frame in kept)
    assert sum(frame.ports[1] == 502 for frame in kept) == sum(f.ports[1] == 502 for f in whole)
