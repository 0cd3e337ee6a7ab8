"""Writes captures of Modbus over TCP, frame by frame.

    capture = Capture()
    capture.connect(0.0)
    capture.say(0.010, HMI, PLC, bytes([3, 0, 100, 0, 3]))
    path.write_bytes(capture.pcap())

Checksums are left 0, as hosts that capture their own traffic leave them to the card.
"""

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

NANOSECOND_MAGIC = 0xA1B23C4D
ETHERNET = 1
SYN, ACK, PUSH = 0x02, 0x10, 0x08

Socket = tuple[str, int]
HMI: Socket = ("10.0.0.9", 40_001)
PLC: Socket = ("10.0.0.1", 502)


def adu(pdu: bytes, *, transaction: int = 1, unit: int = 1) -> bytes:
    """Put the MBAP header before a PDU (MODBUS Messaging on TCP/IP, clause 3.1.3)."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


@dataclass(slots=True)
class Capture:
    """A pcap of nanoseconds; `start` in epoch seconds. Sequence numbers go on by themselves."""

    start: int = 1_772_344_800  # 2026-03-01T06:00:00Z
    records: list[bytes] = field(default_factory=list)
    _sent: dict[tuple[Socket, Socket, int], int] = field(default_factory=dict)

    def connect(self, time: float, client: Socket = HMI, server: Socket = PLC) -> None:
        """Shake hands in three frames."""
        self.segment(time, client, server, flags=SYN)
        self.segment(time, server, client, flags=SYN | ACK)
        self.segment(time, client, server, flags=ACK)

    def say(
        self, time: float, source: Socket, target: Socket, pdu: bytes, *, vlan: int = 0,
        transaction: int = 1, unit: int = 1,
    ) -> None:  # fmt: skip
        """Send one PDU in one frame."""
        payload = adu(pdu, transaction=transaction, unit=unit)
        self.segment(time, source, target, payload, vlan=vlan)

    def segment(
        self, time: float, source: Socket, target: Socket, payload: bytes = b"", *,
        flags: int = PUSH | ACK, vlan: int = 0,
    ) -> None:  # fmt: skip
        """Send one TCP segment."""
        way, back = (source, target, vlan), (target, source, vlan)
        sequence = self._sent.get(way, 1_000)
        self._sent[way] = sequence + len(payload) + (1 if flags & SYN else 0)
        acknowledged = self._sent.get(back, 1_000) if flags & ACK else 0
        tcp = struct.pack(
            ">HHIIBBHHH", source[1], target[1], sequence, acknowledged, 5 << 4, flags, 8192, 0, 0
        )
        length = 20 + len(tcp) + len(payload)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, 6, 0)
        ip += IPv4Address(source[0]).packed + IPv4Address(target[0]).packed
        tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
        link = _mac(target[0]) + _mac(source[0]) + tag + b"\x08\x00"
        frame = link + ip + tcp + payload
        moment = self.start * 1_000_000_000 + round(time * 1e9)
        seconds, nanoseconds = divmod(moment, 1_000_000_000)
        self.records.append(
            struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame
        )

    def pcap(self) -> bytes:
        """The whole file."""
        header = struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, 65_535, ETHERNET)
        return header + b"".join(self.records)


def documented() -> Capture:
    """What the examples of docs/decode-record.md were decoded from."""
    capture, stranger = Capture(), ("10.0.0.66", 40_001)
    capture.connect(0.0)
    capture.say(0.010, HMI, PLC, bytes([3, 0, 100, 0, 3]))
    capture.say(0.0142, PLC, HMI, bytes([3, 6, 0, 12, 0, 13, 255, 255]))
    capture.say(1.0, stranger, PLC, bytes([5, 0, 3, 0xFF, 0]), vlan=100)
    capture.say(1.002, PLC, stranger, bytes([0x85, 2]), vlan=100)
    return capture


def _mac(address: str) -> bytes:
    return b"\x02\x00" + IPv4Address(address).packed
