"""Makes captures of endless strangers: random hosts, ports, units and addresses, nothing twice."""

import random
import struct
from pathlib import Path

import numpy as np
from captures import SECOND, pcap

ROUTER = bytes.fromhex("02000000ff01")


def write_noise(
    path: Path, seed: int, exchanges: int, *, start: int, a_second: int, servers: list[str]
) -> Path:
    """Write a capture in which a new client with a new MAC connects and asks in each exchange.

    Every second one goes to one of `servers`, the others to an address that nobody had. Half go
    to the port of Modbus and get an answer, the others to a random one. `start` is in seconds.
    """
    dice = random.Random(f"{seed}/noise")
    frames = []
    known = [bytes(map(int, one.split("."))) for one in servers]
    for place in range(exchanges):
        now = start * SECOND + place * SECOND // a_second
        client = bytes([172, *dice.randbytes(3)])
        server = dice.choice(known) if place % 2 else bytes([192, *dice.randbytes(3)])
        mac = bytes([2, *dice.randbytes(5)])
        ports = dice.randrange(1024, 65_536), (502 if place % 4 < 2 else dice.randrange(65_536))
        frames.append((now, _arp(mac, client)))
        first, second = dice.getrandbits(32), dice.getrandbits(32)
        ends = (mac, ROUTER, client, server, *ports)
        back = (ROUTER, mac, server, client, *ports[::-1])
        unit, function = dice.randrange(256), dice.choice([1, 2, 3, 4, 5, 6])
        words = struct.pack(">HH", dice.randrange(65_536), dice.randrange(1, 9))
        request = struct.pack(">HHHBB", place & 0xFFFF, 0, 6, unit, function) + words
        answer = struct.pack(">HHHBB", place & 0xFFFF, 0, 6, unit, function) + words
        if function < 5:
            answer = struct.pack(">HHHBBB", place & 0xFFFF, 0, 3, unit, function | 0x80, 2)
        steps = [
            _tcp(ends, first, 0, 0x02, b""),
            _tcp(back, second, first + 1, 0x12, b""),
            _tcp(ends, first + 1, second + 1, 0x18, request),
        ]
        if ports[1] == 502:
            steps.append(_tcp(back, second + 1, first + 1 + len(request), 0x18, answer))
        frames += [(now + (step + 1) * 1000, data) for step, data in enumerate(steps)]
    path.write_bytes(pcap(frames))
    return path


def _arp(mac: bytes, address: bytes) -> bytes:
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address
    return b"\xff" * 6 + mac + b"\x08\x06" + body + bytes(18)


def _tcp(
    ends: tuple[bytes, bytes, bytes, bytes, int, int],
    number: int,
    acknowledged: int,
    flags: int,
    payload: bytes,
) -> bytes:
    mac, to_mac, source, target, port, to_port = ends
    numbers = number & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
    tcp = struct.pack(">HHIIBBHHH", port, to_port, *numbers, 0x50, flags, 8192, 0, 0)
    length = 20 + len(tcp) + len(payload)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, 6, 0) + source + target
    return to_mac + mac + b"\x08\0" + ip + tcp + payload


def write_symbols(
    path: Path, seed: int, symbols: int, *, start: int, a_second: int, server: str
) -> Path:
    """Write a capture in which strangers ask for random objects by UDP, nothing twice on purpose.

    Each datagram holds a hundred requests of a stranger; `a_second` of them come in a second.
    """
    chance = np.random.default_rng(seed)
    size, asked = 12, 100
    payload = asked * size
    count = -(-symbols // asked)
    udp, ip = 8 + payload, 28 + payload
    frame = np.zeros((1, 16 + 14 + ip), np.uint8)
    ends = ROUTER + bytes([2, 0, 0, 0, 0, 1]) + b"\x08\0"
    head = struct.pack(">BBHHHBBH", 0x45, 0, ip, 0, 0, 64, 17, 0) + bytes(4)
    head += bytes(map(int, server.split("."))) + struct.pack(">HHHH", 0, 502, udp, 0)
    frame[0, 16 : 16 + 42] = np.frombuffer(ends + head, np.uint8)
    with path.open("wb") as file:
        file.write(pcap([]))
        for first in range(0, count, 10_000):
            rows = min(10_000, count - first)
            made = np.repeat(frame, rows, axis=0)
            times = start * 10**6 + (first + np.arange(rows)) * 10**6 // a_second
            length = np.full(rows, 14 + ip)
            columns = np.stack([times // 10**6, times % 10**6 * 1000, length, length], axis=1)
            made[:, :16] = columns.astype("<u4").view(np.uint8).reshape(rows, 16)
            made[:, 16 + 26] = 172
            made[:, 16 + 27 : 16 + 30] = chance.integers(0, 256, (rows, 3))
            made[:, 16 + 34 : 16 + 36] = chance.integers(0, 256, (rows, 2))
            requests = made[:, 16 + 42 :].reshape(rows, asked, size)
            requests[:, :, :2] = chance.integers(0, 256, (rows, asked, 2))
            requests[:, :, 5] = 6
            requests[:, :, 6] = chance.integers(0, 248, (rows, asked))
            requests[:, :, 7] = chance.integers(1, 5, (rows, asked))
            requests[:, :, 8:10] = chance.integers(0, 256, (rows, asked, 2))
            requests[:, :, 11] = chance.integers(1, 100, (rows, asked))
            file.write(made.tobytes())
    return path
