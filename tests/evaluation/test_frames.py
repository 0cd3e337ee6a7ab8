"""Times of frames, in every form of capture file that labels are made for."""

import gzip
import io
import struct
from pathlib import Path

import pytest
from captures import SECOND, START, pcap, pcapng, talk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otids._hotpath import CaptureError
from otids.evaluation.frames import frame_times

TALK = talk(3)
TIMES = [time / SECOND for time, _ in TALK]


def written(path: Path, data: bytes) -> list[float]:
    path.write_bytes(data)
    return [float(one) for one in frame_times(path)]


@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_plain_and_gzip(tmp_path: Path, write: object, pack: object) -> None:
    assert callable(write)
    assert callable(pack)
    assert written(tmp_path / "c", pack(write(TALK))) == pytest.approx(TIMES, abs=1e-6)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("is_nano", [False, True])
def test_byte_orders_and_resolutions(tmp_path: Path, order: str, is_nano: bool) -> None:
    magic = 0xA1B23C4D if is_nano else 0xA1B2C3D4
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    data += struct.pack(order + "IIII", 1_700_000_000, 250, 3, 3) + b"abc"
    data += struct.pack(order + "IIII", 1_700_000_001, 500, 0, 0)
    ticks = 1e9 if is_nano else 1e6
    assert written(tmp_path / "c", data) == [
        1_700_000_000 + 250 / ticks,
        1_700_000_001 + 500 / ticks,
    ]


def block(order: str, kind: int, body: bytes) -> bytes:
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", 1, 0, 65535) + options)


def packet(order: str, number: int, ticks: int) -> bytes:
    fixed = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, 4, 4)
    return block(order, 6, fixed + b"data")


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


@pytest.mark.parametrize("order", "<>")
def test_interfaces_have_resolutions_of_their_own(tmp_path: Path, order: str) -> None:
    data = section(order)
    data += interface(order)
    data += interface(order, option(order, 2, b"eth0\0") + option(order, 9, b"\x03"))
    data += interface(order, option(order, 9, b"\x88") + option(order, 0, b""))
    data += packet(order, 0, 5_250_000) + packet(order, 1, 6_500) + packet(order, 2, 7 * 256 + 64)
    assert written(tmp_path / "c", data) == [5.25, 6.5, 7.25]


def test_sections_start_anew(tmp_path: Path) -> None:
    data = section("<") + interface("<", option("<", 9, b"\x00")) + packet("<", 0, 8)
    data += section(">") + interface(">") + packet(">", 0, 9_000_000)
    assert written(tmp_path / "c", data) == [8.0, 9.0]


def test_packets_without_a_time_have_that_of_the_one_before(tmp_path: Path) -> None:
    simple = block("<", 3, struct.pack("<I", 4) + b"data")
    data = section("<") + interface("<") + simple + packet("<", 0, 3_000_000) + simple
    assert written(tmp_path / "c", data) == [0.0, 3.0, 3.0]


def test_other_blocks_are_passed_over(tmp_path: Path) -> None:
    data = section("<") + block("<", 5, bytes(40)) + interface("<") + packet("<", 0, 10**6)
    assert written(tmp_path / "c", data) == [1.0]


def test_what_is_cut_off_is_not_there(tmp_path: Path) -> None:
    whole = pcap(TALK)
    record = 16 + len(TALK[-1][1])
    assert len(written(tmp_path / "c", whole[: -record + 15])) == len(TALK) - 1
    assert len(written(tmp_path / "c", pcapng(TALK)[: -record - 14])) == len(TALK) - 1


def test_an_interface_that_is_not_described(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(section("<") + interface("<") + packet("<", 7, 0))
    with pytest.raises(CaptureError, match=r"/c: frame 1 is of interface 7, which"):
        frame_times(tmp_path / "c")


@pytest.mark.parametrize("data", [b"", b"frame,label\n", b"\0" * 100])
def test_what_is_no_capture(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(CaptureError, match=r"/c: is neither pcap nor pcapng"):
        frame_times(tmp_path / "c")


def test_a_gzip_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(gzip.compress(pcap(TALK))[:-40])
    with pytest.raises(CaptureError, match=r"/c: is a gzip that cannot be read"):
        frame_times(tmp_path / "c")


@given(
    data=st.sampled_from([pcap(TALK), pcapng(TALK), gzip.compress(pcap(TALK))]),
    at=st.floats(0, 1, exclude_max=True),
    noise=st.binary(max_size=40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_times_or_one_clear_error(
    tmp_path: Path, data: bytes, at: float, noise: bytes
) -> None:
    place = int(len(data) * at)
    path = tmp_path / "hostile"
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    times: list[float] | None = None
    said = ""
    try:
        times = frame_times(path).tolist()
    except CaptureError as error:
        said = str(error)
    assert (times is None) == said.startswith(f"{path}: ")
    assert "\n" not in said
    assert len(times or ()) <= len(data)


def test_reading_needs_memory_for_times_only(tmp_path: Path) -> None:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(head)
        file.write(struct.pack("<IIII", 1, 0, 2**31, 0))
        file.seek(2**31, io.SEEK_CUR)
        file.write(struct.pack("<IIII", START // SECOND, 0, 0, 0))
    assert frame_times(path).tolist() == [1.0, START // SECOND]
