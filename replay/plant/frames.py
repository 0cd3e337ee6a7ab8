"""Frames as they stand on a wire: Ethernet, ARP, IPv4, TCP, UDP; and the pcap that holds them."""

from __future__ import annotations

import gzip
import socket
import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BROADCAST = "ff:ff:ff:ff:ff:ff"
NO_MAC = "00:00:00:00:00:00"
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
ARP_REQUEST, ARP_REPLY = 1, 2
# Without the check sequence, which no capture holds; shorter frames are padded (IEEE 802.3).
SHORTEST_FRAME = 60
MICROSECONDS = 1_000_000
_TCP, _UDP = 6, 17
_DONT_FRAGMENT = 0x4000
_PCAP_MAGIC, _ETHERNET = 0xA1B2C3D4, 1


@cache
def mac_bytes(mac: str) -> bytes:
    """Spell a MAC as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


@cache
def address_bytes(address: str) -> bytes:
    """Spell an IPv4 address as four bytes."""
    return socket.inet_aton(address)


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP message; `operation` is 1 (who has) or 2 (is at)."""

    operation: int
    sender_mac: str
    sender: str
    target_mac: str
    target: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment without its checksum."""

    source_port: int
    target_port: int
    sequence: int
    acknowledged: int
    flags: int
    window: int
    options: bytes = b""
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram without its checksum."""

    source_port: int
    target_port: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """An IPv4 packet."""

    source: str
    target: str
    hops: int
    identification: int
    body: Segment | Datagram


def checksum(data: bytes) -> int:
    """Sum up as RFC 1071 says."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def _encode_segment(segment: Segment, addresses: bytes) -> bytes:
    length = 20 + len(segment.options)
    header = struct.pack(
        ">HHIIBBHHH",
        segment.source_port,
        segment.target_port,
        segment.sequence,
        segment.acknowledged,
        length << 2,
        segment.flags,
        segment.window,
        0,
        0,
    )
    rest = segment.options + segment.payload
    pseudo = addresses + struct.pack(">HH", _TCP, 20 + len(rest))
    summed = checksum(pseudo + header + rest)
    return header[:16] + struct.pack(">HH", summed, 0) + rest


def _encode_datagram(datagram: Datagram, addresses: bytes) -> bytes:
    length = 8 + len(datagram.payload)
    ports = struct.pack(">HHH", datagram.source_port, datagram.target_port, length)
    pseudo = addresses + struct.pack(">HH", _UDP, length)
    summed = checksum(pseudo + ports + b"\0\0" + datagram.payload) or 0xFFFF
    return ports + struct.pack(">H", summed) + datagram.payload


def _encode_packet(packet: Packet) -> bytes:
    addresses = address_bytes(packet.source) + address_bytes(packet.target)
    if isinstance(packet.body, Segment):
        protocol, body = _TCP, _encode_segment(packet.body, addresses)
    else:
        protocol, body = _UDP, _encode_datagram(packet.body, addresses)
    start = struct.pack(
        ">BBHHHBB",
        0x45,
        0,
        20 + len(body),
        packet.identification,
        _DONT_FRAGMENT,
        packet.hops,
        protocol,
    )
    summed = checksum(start + addresses)
    return start + struct.pack(">H", summed) + addresses + body


def _encode_arp(arp: Arp) -> bytes:
    sender = mac_bytes(arp.sender_mac) + address_bytes(arp.sender)
    target = mac_bytes(arp.target_mac) + address_bytes(arp.target)
    return struct.pack(">HHBBH", 1, 0x0800, 6, 4, arp.operation) + sender + target


def encode(target_mac: str, source_mac: str, content: Packet | Arp) -> bytes:
    """Spell a frame, with correct checksums and padding."""
    if isinstance(content, Arp):
        kind, body = b"\x08\x06", _encode_arp(content)
    else:
        kind, body = b"\x08\x00", _encode_packet(content)
    frame = mac_bytes(target_mac) + mac_bytes(source_mac) + kind + body
    return frame.ljust(SHORTEST_FRAME, b"\0")


def write_pcap(path: Path, frames: Iterable[tuple[int, bytes]]) -> None:
    """Write (microseconds since 1970, frame) as gzipped pcap; equal frames give equal bytes."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(struct.pack("<IHHiIII", _PCAP_MAGIC, 2, 4, 0, 0, 262_144, _ETHERNET))
        for time, frame in frames:
            seconds, micros = divmod(time, MICROSECONDS)
            file.write(struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame)


def read_pcap(path: Path) -> list[tuple[int, bytes]]:
    """Read what `write_pcap` wrote."""
    data, at, frames = gzip.decompress(path.read_bytes()), 24, []
    while at < len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
        frames.append((seconds * MICROSECONDS + micros, data[at + 16 : at + 16 + size]))
        at += 16 + size
    return frames
