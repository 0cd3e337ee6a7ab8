"""Builds captures frame by frame: Ethernet, VLAN tags, IPv4, IPv6, fragments, TCP, UDP, pcap."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

TCP, UDP, FRAGMENT = 6, 17, 44
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

Frame = tuple[int, bytes]
"""Time in nanoseconds, and bytes from the link layer on."""


def pcap(frames: Iterable[Frame]) -> bytes:
    """Write frames as a pcap file with nanoseconds and link type Ethernet."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)]
    for time, frame in frames:
        seconds, nanoseconds = divmod(time, 1_000_000_000)
        parts += [struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)), frame]
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Host:
    """An end of a conversation: MAC, address and port."""

    mac: bytes
    address: str
    port: int

    @property
    def packed(self) -> bytes:
        """The address as on the wire."""
        return ipaddress.ip_address(self.address).packed


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def _transport_checksum(source: Host, target: Host, protocol: int, segment: bytes) -> int:
    addresses = source.packed + target.packed
    if len(source.packed) == 4:
        pseudo = addresses + struct.pack(">BBH", 0, protocol, len(segment))
    else:
        pseudo = addresses + struct.pack(">IxxxB", len(segment), protocol)
    return checksum(pseudo + segment)


def tcp(
    source: Host,
    target: Host,
    payload: bytes = b"",
    *,
    sequence: int,
    acknowledgment: int,
    flags: int,
) -> bytes:
    """Build a TCP segment without options; numbers wrap at 32 bits."""
    ports = struct.pack(">HH", source.port, target.port)
    numbers = struct.pack(">II", sequence & 0xFFFFFFFF, acknowledgment & 0xFFFFFFFF)
    rest = struct.pack(">BBH", 5 << 4, flags, 0xFFFF)
    bare = ports + numbers + rest + b"\0\0\0\0" + payload
    right = struct.pack(">H", _transport_checksum(source, target, TCP, bare))
    return bare[:16] + right + bare[18:]


def udp(source: Host, target: Host, payload: bytes) -> bytes:
    """Build a UDP datagram."""
    bare = struct.pack(">HHHH", source.port, target.port, 8 + len(payload), 0) + payload
    right = _transport_checksum(source, target, UDP, bare) or 0xFFFF
    return bare[:6] + struct.pack(">H", right) + bare[8:]


def packets(
    source: Host,
    target: Host,
    protocol: int,
    payload: bytes,
    *,
    identification: int = 0,
    cuts: Sequence[int] = (),
) -> list[bytes]:
    """Build the IP packet of a payload, or its fragments: cut at `cuts`, multiples of 8."""
    edges = sorted({0, len(payload), *(cut for cut in cuts if 0 < cut < len(payload))})
    build = _ipv4 if len(source.packed) == 4 else _ipv6
    addresses = source.packed + target.packed
    return [
        build(
            addresses,
            protocol,
            payload[start:end],
            identification=identification,
            offset=start,
            is_last=end == len(payload),
        )
        for start, end in pairwise(edges)
    ]


def _ipv4(
    addresses: bytes, protocol: int, part: bytes, *, identification: int, offset: int, is_last: bool
) -> bytes:
    place = offset // 8 | (0 if is_last else 0x2000)
    length = 20 + len(part)
    head = struct.pack(
        ">BBHHHBBH", 0x45, 0, length, identification & 0xFFFF, place, 64, protocol, 0
    )
    bare = head + addresses
    return bare[:10] + struct.pack(">H", checksum(bare)) + bare[12:] + part


def _ipv6(
    addresses: bytes, protocol: int, part: bytes, *, identification: int, offset: int, is_last: bool
) -> bytes:
    next_header = protocol
    if offset or not is_last:
        part = struct.pack(">BxHI", protocol, offset | (not is_last), identification) + part
        next_header = FRAGMENT
    return struct.pack(">IHBB", 6 << 28, len(part), next_header, 64) + addresses + part


def ethernet(source: Host, target: Host, packet: bytes, vlans: Sequence[int] = ()) -> bytes:
    """Build a frame around an IP packet; `vlans` are tags, the outer one first."""
    ether_type = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    frame = target.mac + source.mac + tags + struct.pack(">H", ether_type) + packet
    return frame.ljust(60, b"\0")
