"""Makes captures of any length out of one, so that nothing in them is a retransmission."""

import gzip
import itertools
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

HEADER = 24
MAGICS = {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"}
RECORD = struct.Struct("<IIII")
PAUSE = 1
"""Seconds between two loops."""
ANOTHER = 0x1357_9BDF
"""What is added to TCP sequence numbers with each loop; checksums are left as they are."""
ETHERNET, IPV4, TCP = 14, b"\x08\x00", 6
_CHUNK = 1 << 20


def write(capture: Path, counts: Collection[int], folder: Path) -> dict[int, Path]:
    """Write captures of so many frames: the beginning of `capture`, looped without end.

    Each loop is later and has other TCP sequence numbers. `capture` is a classic little-endian
    pcap of Ethernet, plain or gzip. Raises `SystemExit` if it is not, or holds no frames.
    """
    most = max(counts)
    paths = {count: folder / f"{count}.pcap" for count in counts}
    ends: dict[int, int] = {}
    with paths[most].open("wb") as out:
        out.write(_header(capture))
        for number, record in enumerate(itertools.islice(_looped(capture), most), 1):
            out.write(record)
            if number in paths:
                ends[number] = out.tell()
    for count, path in paths.items():
        if count != most:
            _copy(paths[most], path, ends[count])
    return paths


def length(capture: Path) -> int:
    """Return the number of frames of a capture."""
    return sum(1 for _ in _records(capture))


def empty(capture: Path, into: Path) -> Path:
    """Write a capture of the same kind without any frame."""
    into.write_bytes(_header(capture))
    return into


def _open(capture: Path) -> BinaryIO:
    opened = gzip.open if capture.suffix == ".gz" else open
    file: BinaryIO = opened(capture, "rb")  # type: ignore[assignment]
    return file


def _header(capture: Path) -> bytes:
    with _open(capture) as file:
        header = file.read(HEADER)
    if header[:4] not in MAGICS:
        raise SystemExit(f"{capture}: is not a classic little-endian pcap")
    return header


def _records(capture: Path) -> Iterator[tuple[int, bytes, bytearray]]:
    """Yield second, rest of the header and bytes of each frame."""
    with _open(capture) as file:
        file.read(HEADER)
        while len(record := file.read(RECORD.size)) == RECORD.size:
            seconds, _, size, _ = RECORD.unpack(record)
            yield seconds, record[4:], bytearray(file.read(size))


def _looped(capture: Path) -> Iterator[bytes]:
    shift = 0
    for turn in itertools.count():
        first = last = None
        for seconds, rest, frame in _records(capture):
            first = seconds if first is None else first
            last = seconds
            if turn:
                _renumber(frame, turn)
            yield struct.pack("<I", seconds + turn * shift) + rest + frame
        if first is None or last is None:
            raise SystemExit(f"{capture}: holds no frames")
        shift = last - first + PAUSE


def _renumber(frame: bytearray, turn: int) -> None:
    """Give a frame other TCP sequence numbers, if it has any (VLAN and IPv6 are left alone)."""
    if frame[ETHERNET - 2 : ETHERNET] != IPV4 or len(frame) <= ETHERNET + 9:
        return
    tcp = ETHERNET + 4 * (frame[ETHERNET] & 0x0F)
    if frame[ETHERNET + 9] != TCP or len(frame) < tcp + 12:
        return
    for place in (tcp + 4, tcp + 8):
        (number,) = struct.unpack_from(">I", frame, place)
        struct.pack_into(">I", frame, place, (number + turn * ANOTHER) & 0xFFFF_FFFF)


def _copy(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as file, target.open("wb") as out:
        while size and (chunk := file.read(min(size, _CHUNK))):
            out.write(chunk)
            size -= len(chunk)
