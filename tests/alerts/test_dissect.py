import contextlib
import importlib.util
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import captures
import pytest

from otids import _hotpath
from otids.alerts import dissect as module
from otids.alerts.dissect import MOST_FRAMES, MOST_LINES, Dissection, dissect


@pytest.fixture
def tshark() -> None:
    """Skip where there is no tshark."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: frames are not dissected")


def cut(folder: Path, capture: Path, *frames: int, context: int = 5) -> Path:
    evidence = folder / "a.pcapng"
    _hotpath.cut_evidence(os.fspath(capture), [(os.fspath(evidence), list(frames), context, "why")])
    return evidence


@pytest.mark.usefixtures("tshark")
def test_frames_as_wireshark_shows_them(tmp_path: Path) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 20)
    dissection = dissect(cut(tmp_path, capture, 21, 20))
    assert (dissection.note, dissection.missing) == ("", "")
    request, response = dissection.frames
    assert (request.number, response.number) == (20, 21)
    assert request.is_part_of_alert
    assert [frame.time for frame in dissection.frames] == [
        captures.START + 19 * captures.SECOND // 2,
        captures.START + 20 * captures.SECOND // 2,
    ]
    assert request.summary == "Query: Trans: 9; Unit: 1, Func: 3: Read Holding Registers"
    assert [layer.name for layer in response.layers] == ["eth", "ip", "tcp", "mbtcp", "modbus"]
    assert response.layers[1].lines == ("IPv4 10.0.0.2 → 10.0.0.1, TTL 64",)
    assert len(response.layers[2].lines) == 1
    assert response.layers[2].lines[0].startswith("TCP 502 → 40000, ")
    assert "Transaction Identifier: 9" in response.layers[3].lines
    modbus = response.layers[4].lines
    assert "Request Frame: 20" in modbus, "the number in the capture, not in the evidence"
    registers = [line for line in modbus if line.startswith("Register")]
    values = [place for place, line in enumerate(modbus) if line.endswith((": 8", ": 7"))]
    assert any("100" in line for line in registers)
    assert values == sorted(values)
    assert modbus.index(registers[0]) < modbus.index(registers[-1])


@pytest.mark.usefixtures("tshark")
def test_frames_by_number(tmp_path: Path) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 20)
    evidence = cut(tmp_path, capture, 20)
    dissection = dissect(evidence, [40, 22, 20, 22])
    assert [frame.number for frame in dissection.frames] == [20, 22]
    assert [frame.is_part_of_alert for frame in dissection.frames] == [True, False]
    assert dissection.note == "not in the evidence: 40"


@pytest.mark.usefixtures("tshark")
def test_a_layer_alone_is_shown_in_detail(tmp_path: Path) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 1)
    (handshake,) = dissect(cut(tmp_path, capture, 1)).frames
    assert [layer.name for layer in handshake.layers] == ["eth", "ip", "tcp"]
    assert len(handshake.layers[-1].lines) > 10
    assert "Source Port: 40000" in handshake.layers[-1].lines


@pytest.mark.usefixtures("tshark")
@pytest.mark.parametrize("told", [False, True])
def test_modbus_on_a_port_of_its_own(tmp_path: Path, told: bool) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 3, port=15_020)
    evidence = cut(tmp_path, capture, 4)
    dissection = (
        dissect(evidence, protocol="modbus", port=15_020)
        if told
        else dissect(evidence, protocol="modbus", port=502)
    )
    (frame,) = dissection.frames
    assert (frame.layers[-1].name == "modbus") == told
    assert ("Read Holding Registers" in frame.summary) == told


@pytest.mark.usefixtures("tshark")
def test_damaged_evidence_is_shown_up_to_the_damage(tmp_path: Path) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 5)
    evidence = cut(tmp_path, capture, 5, 9)
    data = evidence.read_bytes()
    evidence.write_bytes(data[: data.index(b"frame 9 of")])
    dissection = dissect(evidence)
    assert [frame.number for frame in dissection.frames] == [5]
    assert dissection.note.startswith("the evidence is damaged: the file ends within a block at")


@pytest.mark.usefixtures("tshark")
@pytest.mark.parametrize("data", [b"", b"nonsense", bytes(1000)])
def test_what_is_no_evidence_is_told(tmp_path: Path, data: bytes) -> None:
    evidence = tmp_path / "a.pcapng"
    evidence.write_bytes(data)
    dissection = dissect(evidence)
    assert dissection.frames == ()
    assert "a.pcapng: is " in dissection.note
    assert "\n" not in dissection.note


@pytest.mark.usefixtures("tshark")
def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert dissect(tmp_path / "gone").note == f"{tmp_path / 'gone'}: there is no such file"
    os.mkfifo(tmp_path / "pipe")
    assert dissect(tmp_path / "pipe").note == f"{tmp_path / 'pipe'}: there is no such file"
    with (tmp_path / "large").open("wb") as file:
        file.truncate(module.MOST_EVIDENCE_BYTES + 1)
    assert dissect(tmp_path / "large").note.endswith("is too large to be evidence")


@pytest.mark.usefixtures("tshark")
def test_evidence_without_an_alert_is_told(tmp_path: Path) -> None:
    plain = captures.write_talk(tmp_path / "day.pcap", 2)
    assert dissect(plain) == Dissection(note="the evidence holds no frame of an alert")
    (frame,) = dissect(plain, [4]).frames
    assert (frame.number, frame.is_part_of_alert) == (4, False)


@pytest.mark.usefixtures("tshark")
def test_text_from_the_wire_is_clean_and_bounded(tmp_path: Path) -> None:
    hostile = b"GET /\x1b[31m\x07\xe2\x80\xae</section><section>1 HTTP/1.1\r\n"
    hostile += b"".join(b"X-%d: \x1b]0;%d\x07\r\n" % (index, index) for index in range(400))
    talk = captures.ModbusTalk(port=80)
    talk.open()
    talk.send(hostile[:1400] + b"\r\n\r\n")
    capture = tmp_path / "day.pcap"
    capture.write_bytes(captures.pcap(talk.frames))
    dissection = dissect(cut(tmp_path, capture, 4))
    (frame,) = dissection.frames
    assert dissection.note == ""
    assert frame.layers[-1].name == "http"
    lines = [line for layer in frame.layers for line in layer.lines]
    assert len(lines) > 50
    assert all(line.isprintable() and len(line) <= 300 for line in [*lines, frame.summary])
    assert frame.summary.startswith("GET /")


@pytest.mark.usefixtures("tshark")
def test_frames_and_lines_are_bounded(tmp_path: Path) -> None:
    talk = captures.ModbusTalk()
    talk.open()
    for poll in range(40):
        talk.poll(range(125), transaction=poll)
    capture = tmp_path / "day.pcap"
    capture.write_bytes(captures.pcap(talk.frames))
    evidence = cut(tmp_path, capture, *range(1, 84))
    dissection = dissect(evidence, range(1, 84))
    assert [frame.number for frame in dissection.frames] == list(range(1, MOST_FRAMES + 1))
    assert dissection.note == f"only the first {MOST_FRAMES} frames are shown"
    response = dissection.frames[4]
    lines = [line for layer in response.layers for line in layer.lines]
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and more"


@pytest.mark.usefixtures("tshark")
def test_settings_of_the_working_directory_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 1)
    cut(tmp_path, capture, 4)
    (tmp_path / "config.ini").write_text("[tshark]\ntshark_path = /bin/false\n")
    (tmp_path / "pyshark.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    dissection = dissect(Path("a.pcapng"))
    assert (len(dissection.frames), dissection.note) == (1, "")


def test_without_tshark_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    dissection = dissect(tmp_path / "a.pcapng")
    assert dissection.frames == ()
    assert "apt install tshark" in dissection.missing


def test_without_pyshark_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend_tshark(tmp_path, "exit 0", monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "pip install pyshark" in dissect(tmp_path / "a.pcapng").missing


def test_a_tshark_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 1)
    evidence = cut(tmp_path, capture, 4)
    pid = tmp_path / "pid"
    _pretend_tshark(
        tmp_path, f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 100", monkeypatch
    )
    began = time.monotonic()
    dissection = dissect(evidence, timeout=3)
    assert time.monotonic() - began < 20
    assert dissection == Dissection(note="Wireshark took longer than 3 seconds")
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(int(pid.read_text()))
        assert select.select([process], [], [], 10) == ([process], [], []), "it still runs"
        os.close(process)


def test_a_tshark_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 1)
    evidence = cut(tmp_path, capture, 4)
    complaint = "echo 'Running as user root' >&2; printf 'no \\033[1mway' >&2; exit 2"
    _pretend_tshark(tmp_path, complaint, monkeypatch)
    dissection = dissect(evidence)
    assert dissection == Dissection(note="Wireshark failed: no \N{REPLACEMENT CHARACTER}way")


def test_what_it_prints_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"", b"[]", b'{"frames": 7, "fault": ""}', b'{"frames": [{}]}', b"\xff"):
        frames, fault = module._parse(data)
        assert frames == ()
        assert fault.startswith("dissecting failed: ")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert module._run(["x"], 5)[1].startswith("dissecting failed: ")


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("5.000000001", 5_000_000_001),
        ("5", 5_000_000_000),
        ("-1.500000000", -1_500_000_000),
        ("-0.000000001", -1),
    ],
)
def test_times_are_exact(stamp: str, time: int) -> None:
    assert module._nanoseconds(stamp) == time


@pytest.mark.usefixtures("tshark")
def test_it_is_a_command_of_its_own(tmp_path: Path) -> None:
    capture = captures.write_talk(tmp_path / "day.pcap", 1)
    evidence = cut(tmp_path, capture, 4)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "otids.alerts.dissect", evidence],
        capture_output=True,
        check=True,
    )
    frames, fault = module._parse(done.stdout)
    assert [frame.number for frame in frames] == [4]
    assert fault == ""


def _pretend_tshark(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = folder / "tools"
    tools.mkdir()
    (tools / "tshark").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "tshark").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
