"""When each frame of a capture was taken: labels and alerts name frames, attacks have times."""

import gzip
import io
import struct
import zlib
from array import array
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from otids._hotpath import CaptureError
from otids.traffic import Array

GZIP = b"\x1f\x8b"
PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e6),
    b"\xa1\xb2\xc3\xd4": (">", 1e6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e9),
    b"\xa1\xb2\x3c\x4d": (">", 1e9),
}
"""Byte order and ticks of a second, by the magic number of a pcap."""

PCAPNG = b"\x0a\x0d\x0d\x0a"
LITTLE = b"\x4d\x3c\x2b\x1a"
INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 1, 2, 3, 6
SHORTEST_BLOCK = 12
RESOLUTION = 9
"""The option of an interface that says how fine its times are (if_tsresol)."""

MOST_OPTIONS = 1 << 16
"""Bytes of an interface's description that are looked at."""


def frame_times(path: Path) -> Array:
    """Read when each frame was captured: seconds since the epoch (f64), in order of the file.

    Reads pcap and pcapng, plain or gzip, up to the last whole record, in memory of 8 bytes a frame.
    Raises `CaptureError` naming the file, `OSError`.
    """
    with closing(_open(path)) as file:
        try:
            magic = file.read(4)
            if magic in PCAP:
                return np.array(_pcap(file, *PCAP[magic]), np.float64)
            if magic == PCAPNG:
                return np.array(_Pcapng(path, file).times(), np.float64)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CaptureError(f"{path}: is a gzip that cannot be read: {error}") from None
    raise CaptureError(f"{path}: is neither pcap nor pcapng")


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_zipped = file.read(len(GZIP)) == GZIP
    if is_zipped:
        return io.BufferedReader(gzip.open(path), 1 << 20)
    return path.open("rb")


def _pcap(file: BinaryIO, order: str, ticks: float) -> "array[float]":
    times = array("d")
    record = struct.Struct(order + "IIII")
    skip, read, size, unpack = file.seek, file.read, record.size, record.unpack
    skip(24)
    while len(head := read(size)) == size:
        seconds, fraction, captured, _ = unpack(head)
        times.append(seconds + fraction / ticks)
        skip(captured, io.SEEK_CUR)
    return times


@dataclass(slots=True)
class _Pcapng:
    """Walks over the blocks of a pcapng; the file stands behind its first four bytes."""

    path: Path
    file: BinaryIO

    def times(self) -> "array[float]":
        times = array("d")
        order = "<"
        ticks: list[int] = []  # of a second, by interface
        kind, read = PCAPNG, self.file.read
        while len(rest := read(8)) == 8:  # noqa: PLR2004 the length, and what comes behind it
            if kind == PCAPNG:
                order, ticks = ("<" if rest[4:] == LITTLE else ">"), []
            number, length = struct.unpack(order + "II", kind + rest[:4])
            if length < SHORTEST_BLOCK:
                break
            left = length - SHORTEST_BLOCK
            if number == INTERFACE:
                options = read(min(left, MOST_OPTIONS))
                left -= len(options)
                ticks.append(_ticks_of_a_second(order, options[4:-4]))
            elif number == ENHANCED_PACKET:
                if len(moment := read(8)) < 8:  # noqa: PLR2004 two halves
                    break
                left -= 8
                interface, high, low = struct.unpack(order + "III", rest[4:] + moment)
                if interface >= len(ticks):
                    raise CaptureError(
                        f"{self.path}: frame {len(times) + 1} is of interface {interface}, "
                        "which the file does not describe"
                    )
                whole, fraction = divmod(high << 32 | low, ticks[interface])
                times.append(whole + fraction / ticks[interface])
            elif number in {OBSOLETE_PACKET, SIMPLE_PACKET}:
                times.append(times[-1] if times else 0.0)
            self.file.seek(left, io.SEEK_CUR)
            kind = read(4)
        return times


def _ticks_of_a_second(order: str, options: bytes) -> int:
    """Find how fine an interface's times are: microseconds, unless an option says otherwise."""
    ticks, at = 10**6, 0
    while at + 4 <= len(options):
        code, size = struct.unpack_from(order + "HH", options, at)
        if code == 0:
            break
        if code == RESOLUTION and at + 4 < len(options):
            exponent = options[at + 4]
            ticks = 2 ** (exponent & 127) if exponent & 128 else 10**exponent
        at += 4 + (size + 3) // 4 * 4
    return int(ticks)
