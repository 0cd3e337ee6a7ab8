"""`otids decode`: what it prints, what it says of bad captures, and how it ends."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from modbus_frames import HMI, PLC, Capture, documented
from typer.testing import CliRunner, Result

from otids.cli import decode

PROGRAM = """
import typer
from otids.cli import decode
app = typer.Typer()
decode.register(app)
app()
"""


@pytest.fixture
def app() -> typer.Typer:
    """Return a command line that has this command only."""
    app = typer.Typer()
    decode.register(app)
    return app


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a capture of four messages."""
    path = tmp_path / "plant.pcap"
    path.write_bytes(documented().pcap())
    return path


def run(app: typer.Typer, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ids(result: Result) -> list[int]:
    return [json.loads(line)["id"] for line in result.stdout_bytes.splitlines()]


def test_prints_every_message(app: typer.Typer, capture: Path) -> None:
    result = run(app, capture)
    assert (result.exit_code, result.stderr, ids(result)) == (0, "", [1, 2, 3, 4])


def test_prints_captures_one_after_the_other(
    app: typer.Typer, capture: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(capture.read_bytes()))
    result = run(app, capture, packed)
    assert (result.exit_code, ids(result)) == (0, [1, 2, 3, 4] * 2)


def test_writes_to_a_file(app: typer.Typer, capture: Path, tmp_path: Path) -> None:
    printed = run(app, capture).stdout_bytes
    result = run(app, capture, "--output", tmp_path / "out.jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "out.jsonl").read_bytes() == printed


def test_prints_what_speaks_a_protocol(app: typer.Typer, capture: Path) -> None:
    assert ids(run(app, capture, "--protocol", "modbus")) == [1, 2, 3, 4]


def test_a_protocol_without_a_decoder_is_named(app: typer.Typer, capture: Path) -> None:
    result = run(app, capture, "--protocol", "telnet")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "telnet" in result.stderr
    assert "modbus" in result.stderr


def test_a_capture_is_never_written_over(app: typer.Typer, capture: Path) -> None:
    before = capture.read_bytes()
    result = run(app, capture, "--output", capture.parent / "." / capture.name)
    assert result.exit_code == 2
    assert capture.read_bytes() == before


def test_an_output_that_cannot_be_written_is_named(
    app: typer.Typer, capture: Path, tmp_path: Path
) -> None:
    result = run(app, capture, "--output", tmp_path / "none" / "out.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"otids: {tmp_path}/none/out.jsonl: No such file or directory\n"


def test_a_full_disk_is_told(app: typer.Typer, capture: Path) -> None:
    result = run(app, capture, "--output", "/dev/full")
    assert result.exit_code == 2
    assert result.stderr == "otids: /dev/full: No space left on device\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory (os error 2) (at byte 0)"),
        (b"", "(at byte 0)"),
        (b"GIF89a and more than twenty-four bytes", "(at byte 0)"),
    ],
)
def test_what_is_no_capture_is_named_and_the_others_are_printed(
    app: typer.Typer, capture: Path, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    bad = tmp_path / "bad.pcap"
    if content is not None:
        bad.write_bytes(content)
    result = run(app, bad, capture)
    assert (result.exit_code, ids(result)) == (2, [1, 2, 3, 4])
    assert result.stderr.startswith(f"otids: {bad}: ")
    assert result.stderr.endswith(f"{complaint}\n")
    assert result.stderr.count("\n") == 1


def test_what_stands_before_damage_is_printed(app: typer.Typer, tmp_path: Path) -> None:
    cut, whole = tmp_path / "cut.pcap", documented()
    cut.write_bytes(whole.pcap()[:-1])
    at = len(whole.pcap()) - len(whole.records[-1])
    result = run(app, cut)
    assert (result.exit_code, ids(result)) == (2, [1, 2, 3])
    assert result.stderr.startswith(f"otids: {cut}: ")
    assert result.stderr.endswith(f"(at byte {at})\n")
    assert result.stderr.count("\n") == 1


def test_frames_that_cannot_be_taken_apart_are_counted(app: typer.Typer, tmp_path: Path) -> None:
    path, plant = tmp_path / "headers.pcap", documented()
    broken = bytearray(plant.records[4])
    broken[16 + 14] = 0x4F  # an IP header longer than the packet's
    plant.records[4] = bytes(broken)
    plant.records[5] = plant.records[5][:8] + b"\x3c\0\0\0" + plant.records[5][12 : 16 + 60]
    path.write_bytes(plant.pcap())
    result = run(app, path)
    assert result.exit_code == 0
    assert result.stderr == (
        f"otids: {path}: messages may be missing: 1 with headers that cannot be right, "
        "1 cut by the snap length\n"
    )


def test_a_reader_that_leaves_hears_no_complaint(tmp_path: Path) -> None:
    path, long = tmp_path / "long.pcap", Capture()
    for number in range(20_000):
        long.say(number / 1e3, HMI, PLC, bytes([3, 0, 0, 0, 125]), transaction=number)
    path.write_bytes(long.pcap())
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == 1
        process.stdout.close()
        complaints = process.stderr.read()
    assert (process.returncode, complaints) == (141, b"")


def test_help_names_the_protocols(app: typer.Typer) -> None:
    result = run(app, "--help")
    assert result.exit_code == 0
    assert "modbus" in result.stdout
