"""Builds small captures for tests, byte by byte: Modbus over TCP between two hosts."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

START = 1_700_000_000_123_456_789
"""When the first frame is captured, in nanoseconds: a time that floats cannot hold."""

SECOND = 1_000_000_000

_CLIENT = bytes.fromhex("02000000000a")
_SERVER = bytes.fromhex("02000000000b")


@dataclass
class ModbusTalk:
    """A TCP connection that polls; a request and its response a second."""

    port: int = 502
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    _next: list[int] = field(default_factory=lambda: [1000, 5000])

    def open(self) -> None:
        """Shake hands: three frames."""
        self._segment(0, 0x02)
        self._segment(1, 0x12)
        self._segment(0, 0x10)

    def poll(self, registers: Sequence[int], transaction: int = 1) -> None:
        """Read holding registers from 100 on: a request and its response."""
        count = len(registers)
        self._say(0, transaction, struct.pack(">BHH", 3, 100, count))
        self._say(1, transaction, struct.pack(f">BB{count}H", 3, 2 * count, *registers))

    def send(self, payload: bytes) -> None:
        """Send something else from the client."""
        self._segment(0, 0x18, payload)

    def _say(self, side: int, transaction: int, pdu: bytes) -> None:
        header = struct.pack(">HHHB", transaction, 0, len(pdu) + 1, 1)
        self._segment(side, 0x18, header + pdu)

    def _segment(self, side: int, flags: int, payload: bytes = b"") -> None:
        ports = (40_000, self.port) if side == 0 else (self.port, 40_000)
        ack = self._next[1 - side] if flags & 0x10 else 0
        tcp = struct.pack(">HHIIBBHHH", *ports, self._next[side], ack, 0x50, flags, 8192, 0, 0)
        self._next[side] += len(payload) + (flags & 2) // 2
        hosts = (b"\x0a\0\0\x01", b"\x0a\0\0\x02")[:: -1 if side else 1]
        length = 20 + len(tcp) + len(payload)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, 6, 0) + b"".join(hosts)
        macs = (_SERVER, _CLIENT)[:: -1 if side else 1]
        ethernet = b"".join(macs) + b"\x08\0"
        time = START + len(self.frames) * SECOND // 2
        self.frames.append((time, ethernet + ip + tcp + payload))


def talk(polls: int, port: int = 502) -> list[tuple[int, bytes]]:
    """Return the frames of a connection: 3, and 2 for each poll of two registers."""
    modbus = ModbusTalk(port)
    modbus.open()
    for poll in range(polls):
        modbus.poll([poll, 7], transaction=poll + 1)
    return modbus.frames


def pcap(frames: Sequence[tuple[int, bytes]]) -> bytes:
    """Write a pcap of nanoseconds and Ethernet."""
    file = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)]
    for time, data in frames:
        file += (struct.pack("<IIII", *divmod(time, SECOND), len(data), len(data)), data)
    return b"".join(file)


def pcapng(frames: Sequence[tuple[int, bytes]]) -> bytes:
    """Write a pcapng of nanoseconds and Ethernet."""
    file = _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    resolution = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    file += _block(1, struct.pack("<HHI", 1, 0, 262_144) + resolution)
    for time, data in frames:
        fixed = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
        file += _block(6, fixed + data + bytes(-len(data) % 4))
    return file


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def write_talk(path: Path, polls: int, port: int = 502) -> Path:
    """Write the frames of `talk` to a pcap."""
    path.write_bytes(pcap(talk(polls, port)))
    return path
