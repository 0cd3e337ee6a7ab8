"""Puts Ethernet frames into what mirror ports and carriers put them into, byte by byte.

Layouts are written down from the specifications that each function names, not from otids.
"""

from __future__ import annotations

import gzip
import ipaddress
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

Frame = tuple[int, bytes]
"""Time in nanoseconds, and bytes from the link layer on."""

Wrap = Callable[[int, bytes], bytes]
"""Makes a frame of the number of a frame, and the frame."""

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
UDP, GRE = 17, 47
_MICROSECOND = 1_000
_SECOND = 1_000_000_000
_SWITCH, _SENSOR = bytes.fromhex("02005e000001"), bytes.fromhex("02005e000002")
_ENDS = b"".join(ipaddress.ip_address(one).packed for one in ("192.0.2.1", "192.0.2.2"))


def read_frames(capture: Path) -> list[Frame]:
    """Read a little-endian pcap of Ethernet with microseconds, compressed with gzip."""
    data = gzip.decompress(capture.read_bytes())
    assert data[:4] == bytes.fromhex("d4c3b2a1"), capture
    frames, at = [], 24
    while at < len(data):
        seconds, micros, length = struct.unpack_from("<III", data, at)
        time = seconds * _SECOND + micros * _MICROSECOND
        frames.append((time, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return frames


def wrap_all(frames: Iterable[Frame], wrap: Wrap) -> list[Frame]:
    """Wrap each of some frames."""
    return [(time, wrap(number, frame)) for number, (time, frame) in enumerate(frames, 1)]


def double(frames: Sequence[Frame]) -> tuple[list[Frame], dict[int, int]]:
    """Repeat each IP packet as a mirror port does; map new frame numbers to the old ones.

    Every second copy was seen behind a router: TTL, checksum and MACs are others.
    """
    doubled: list[Frame] = []
    numbers: dict[int, int] = {}
    for number, (time, frame) in enumerate(frames, 1):
        copies = [frame]
        if _ether_type(frame) == IPV4:
            copies.append(_routed(frame) if number % 2 else frame)
        for copy in copies:
            doubled.append((time, copy))
            numbers[len(doubled)] = number
    return doubled, numbers


def _routed(frame: bytes) -> bytes:
    header = bytearray(frame[14:34])
    header[8] -= 1
    header[10:12] = b"\0\0"
    header[10:12] = struct.pack(">H", checksum(bytes(header)))
    return _SENSOR + _SWITCH + frame[12:14] + bytes(header) + frame[34:]


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


# --- in the same frame ---------------------------------------------------------------------------


def _ether_type(frame: bytes) -> int:
    (ether_type,) = struct.unpack_from(">H", frame, 12)
    return int(ether_type)


def _packet(frame: bytes) -> bytes:
    """Return the IPv4 packet in a frame, without padding."""
    (length,) = struct.unpack_from(">H", frame, 16)
    return frame[14 : 14 + length]


def _instead(frame: bytes, ether_type: int, rest: bytes) -> bytes:
    return (frame[:12] + struct.pack(">H", ether_type) + rest).ljust(60, b"\0")


def qinq(_: int, frame: bytes) -> bytes:
    """IEEE 802.1ad: a service tag of VLAN 100 before a customer tag of VLAN 200."""
    return frame[:12] + struct.pack(">HHHH", 0x88A8, 100, 0x8100, 0x6000 | 200) + frame[12:]


def snap(_: int, frame: bytes) -> bytes:
    """IEEE 802.2 LLC, SNAP of organisation 000000 (RFC 1042)."""
    if _ether_type(frame) not in {IPV4, ARP}:
        return frame
    payload = _packet(frame) if _ether_type(frame) == IPV4 else frame[14:42]
    body = bytes.fromhex("aaaa03000000") + frame[12:14] + payload
    return _instead(frame, len(body), body)


def mpls(_: int, frame: bytes) -> bytes:
    """Two labels (RFC 3032) before an IPv4 packet; other frames are left alone."""
    if _ether_type(frame) != IPV4:
        return frame
    labels = struct.pack(">II", 16 << 12 | 64, 17 << 12 | 0x100 | 64)
    return _instead(frame, 0x8847, labels + _packet(frame))


def pseudowire(number: int, frame: bytes) -> bytes:
    """A frame behind a label and a control word (RFC 4448), between two routers."""
    head = struct.pack(">HIHH", 0x8847, 18 << 12 | 0x100 | 64, 0, number & 0xFFFF)
    return _SENSOR + _SWITCH + head + frame


def pppoe(_: int, frame: bytes) -> bytes:
    """A PPPoE session (RFC 2516) with an IPv4 packet; other frames are left alone."""
    if _ether_type(frame) != IPV4:
        return frame
    packet = _packet(frame)
    head = struct.pack(">BBHHH", 0x11, 0, 7, len(packet) + 2, 0x0021)
    return _instead(frame, 0x8864, head + packet)


def ttag(number: int, frame: bytes) -> bytes:
    """Cisco's TTag: a time stamp of 48 bits before the EtherType."""
    return frame[:12] + struct.pack(">HHI", 0x8988, 7, number) + frame[12:]


def cmd(_: int, frame: bytes) -> bytes:
    """Cisco MetaData: version, length, option, security group tag."""
    return frame[:12] + struct.pack(">HBBHH", 0x8909, 1, 1, 1, 77) + frame[12:]


# --- over IP -------------------------------------------------------------------------------------


def _over_ip(number: int, protocol: int, payload: bytes) -> bytes:
    length = 20 + len(payload)
    bare = struct.pack(">BBHHHBBH", 0x45, 0, length, number & 0xFFFF, 0x4000, 64, protocol, 0)
    bare += _ENDS
    header = bare[:10] + struct.pack(">H", checksum(bare)) + bare[12:]
    return _SENSOR + _SWITCH + struct.pack(">H", IPV4) + header + payload


def _over_udp(number: int, port: int, payload: bytes) -> bytes:
    head = struct.pack(">HHHH", 49_152 + number % 1000, port, 8 + len(payload), 0)
    return _over_ip(number, UDP, head + payload)


def gre(number: int, frame: bytes) -> bytes:
    """GRE with key and sequence number (RFC 2890) and checksum (RFC 2784) around a frame."""
    bare = struct.pack(">HHHHII", 0xB000, 0x6558, 0, 0, 99, number) + frame
    return _over_ip(number, GRE, bare[:4] + struct.pack(">H", checksum(bare)) + bare[6:])


def gre_of_ip(number: int, frame: bytes) -> bytes:
    """GRE of four bytes (RFC 2784) around an IPv4 packet; other frames are left alone."""
    if _ether_type(frame) != IPV4:
        return frame
    return _over_ip(number, GRE, struct.pack(">HH", 0, IPV4) + _packet(frame))


def erspan_i(number: int, frame: bytes) -> bytes:
    """ERSPAN type I (draft-foschiano-erspan): GRE and nothing else."""
    return _over_ip(number, GRE, struct.pack(">HH", 0, 0x88BE) + frame)


def erspan_ii(number: int, frame: bytes) -> bytes:
    """ERSPAN type II: version 1, VLAN 5, session 9, index 3."""
    head = struct.pack(">HHI", 0x1000, 0x88BE, number)
    return _over_ip(number, GRE, head + struct.pack(">HHI", 1 << 12 | 5, 9, 3) + frame)


def erspan_iii(number: int, frame: bytes) -> bytes:
    """ERSPAN type III; every second one with a subheader of a platform."""
    has_subheader = number % 2
    head = struct.pack(">HHI", 0x1000, 0x22EB, number)
    head += struct.pack(">HHIHH", 2 << 12 | 5, 9, number, 0, 0x8000 | 3 << 4 | has_subheader)
    head += struct.pack(">HHI", 3 << 10, 0, 0) * has_subheader
    return _over_ip(number, GRE, head + frame)


def erspan_of_trunk(number: int, frame: bytes) -> bytes:
    """ERSPAN type II around a frame with a tag of VLAN 300."""
    return erspan_ii(number, frame[:12] + struct.pack(">HH", 0x8100, 300) + frame[12:])


def vxlan(number: int, frame: bytes) -> bytes:
    """VXLAN (RFC 7348), network 42."""
    return _over_udp(number, 4789, struct.pack(">II", 0x08 << 24, 42 << 8) + frame)


def geneve(number: int, frame: bytes) -> bytes:
    """Geneve (RFC 8926), network 42, with an option of four bytes."""
    option = struct.pack(">HBBI", 0x0102, 1, 1, number)
    return _over_udp(number, 6081, struct.pack(">BBHI", 2, 0, 0x6558, 42 << 8) + option + frame)


WRAPS: dict[str, Wrap] = {
    one.__name__: one
    for one in (
        qinq,
        snap,
        mpls,
        pseudowire,
        pppoe,
        ttag,
        cmd,
        gre,
        erspan_i,
        erspan_ii,
        erspan_iii,
        erspan_of_trunk,
        vxlan,
        geneve,
    )
}
"""All that keep a frame whole, or at least its MACs, by name."""
