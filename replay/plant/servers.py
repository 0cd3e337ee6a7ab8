"""A PLC: a pymodbus server in front of its simulated process.

Run as `python -m plant.servers plc-1 --seed 1 --seconds 300`; prints `ready` when it
listens, and ends by itself should nobody end it before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import random
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymodbus.constants import ExcCodes
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from plant.devices import PLC_2, PLC_BY_NAME, TURBIDITY_UNIT, Plc, Switch
from plant.process import Image, Process, build_process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pymodbus.datastore import ModbusServerContext

MODBUS_PORT = 502
UNIT = 1
STEP_SECONDS = 0.25
# A controller answers once in its scan; these are the bounds of that wait.
SCAN_SECONDS = (0.002, 0.010)
# One scan in two hundred and fifty takes longer; one in a thousand more than 60 ms.
SLOW_SCAN_SECONDS = (0.012, 0.076)
SLOW_SCANS = 0.004
LARGEST_FUNCTION = 127
# Function 8, sub-function 4, after the MBAP header.
LISTEN_ONLY = bytes.fromhex("080004")
MBAP_SIZE = 7
_OWN_ACCESS = contextvars.ContextVar("own_access", default=False)


class UnknownFunction(ModbusPDU):
    """A request that this PLC has no function for: exception 1 (Modbus V1.1b3, 7).

    pymodbus by itself answers it with function code 0x80 instead of the request's.
    """

    rtu_frame_size = 0

    def encode(self) -> bytes:
        """Give no data; only the peer sends such requests."""
        return b""

    def decode(self, data: bytes) -> None:
        """Accept any data."""

    async def datastore_update(self, context: ModbusServerContext, device_id: int) -> ModbusPDU:
        """Answer exception 1."""
        del context
        return ExceptionResponse(self.function_code, ExcCodes.ILLEGAL_FUNCTION, device_id=device_id)


def unknown_functions() -> list[type[ModbusPDU]]:
    """One class for each function code from 1 to 127 that pymodbus does not know."""
    return [
        type(f"UnknownFunction{code}", (UnknownFunction,), {"function_code": code})
        for code in range(1, LARGEST_FUNCTION + 1)
        if code not in DecodePDU.pdu_table
    ]


def withhold_listen_only(sending: bool, packet: bytes) -> bytes:
    """Drop the answer to "force listen only": there is none (V1.1b3, 6.8)."""
    if sending and packet[MBAP_SIZE:].startswith(LISTEN_ONLY):
        return b""
    return packet


@dataclass(slots=True)
class Scan:
    """How long requests wait for the PLC's scan; a share of `slow_scans` longer."""

    rng: random.Random
    slow_scans: float = 0.0

    async def wait(self, *_: object) -> ExcCodes | None:
        """Wait as a request does; the PLC's own program does not wait."""
        if _OWN_ACCESS.get():
            return None
        slow = self.slow_scans and self.rng.random() < self.slow_scans
        await asyncio.sleep(self.rng.uniform(*(SLOW_SCAN_SECONDS if slow else SCAN_SECONDS)))
        return None


@dataclass(slots=True)
class Memory:
    """What a PLC keeps without power: its holding registers, as far as they were read."""

    holding: list[int] = field(default_factory=list)


def _registers(size: int, values: dict[int, list[int]]) -> list[SimData]:
    words = [0] * size
    for address, value in values.items():
        words[address : address + len(value)] = value
    return [SimData(0, values=words, datatype=DataType.REGISTERS)]


def build_devices(plc: Plc, scan: Scan, memory: Memory) -> list[SimDevice]:
    """Build the PLC's units with all actuators at their initial or remembered values."""
    coils = [False] * plc.coils
    holding: dict[int, list[int]] = {}
    for actuator in plc.actuators:
        if isinstance(actuator, Switch):
            end = actuator.address + actuator.count
            coils[actuator.address : end] = [actuator.initial] * actuator.count
        else:
            holding[actuator.address] = actuator.words(actuator.initial)
    if memory.holding:
        holding = {0: memory.holding}
    main = SimDevice(
        id=UNIT,
        simdata=(
            [SimData(0, values=coils, datatype=DataType.BITS)],
            [SimData(0, values=[False] * plc.discrete, datatype=DataType.BITS)],
            _registers(plc.holding + 8, holding),
            _registers(plc.inputs + 8, {}),
        ),
        action=scan.wait,
    )
    if plc is not PLC_2:
        return [main]
    meter = SimDevice(id=TURBIDITY_UNIT, simdata=_registers(8, {}), action=scan.wait)
    return [main, meter]


async def run_process(
    plc: Plc,
    process: Process,
    server: ModbusTcpServer,
    memory: Memory,
    alter: Callable[[Image], Image] = lambda image: image,
) -> None:
    """Step the process for ever and show its image, as `alter` leaves it, in the server."""
    _OWN_ACCESS.set(True)
    loop = asyncio.get_running_loop()
    read: Callable[[int, int, int, int], Awaitable[list[int] | list[bool]]]
    read = server.async_getValues
    last = loop.time()
    while True:
        coils = [bool(coil) for coil in await read(UNIT, 1, 0, plc.coils)]
        holding = [int(word) for word in await read(UNIT, 3, 0, plc.holding)]
        now = loop.time()
        memory.holding = holding
        image = alter(process.step(now - last, coils, holding))
        last = now
        await server.async_setValues(UNIT, 2, 0, image.discrete)
        await server.async_setValues(UNIT, 4, 0, image.inputs)
        if image.turbidity_inputs:
            await server.async_setValues(TURBIDITY_UNIT, 4, 0, image.turbidity_inputs)
        await asyncio.sleep(STEP_SECONDS)


def build_server(plc: Plc, devices: list[SimDevice]) -> ModbusTcpServer:
    """Build the server of a PLC; `serve_forever` starts it."""
    identity = ModbusDeviceIdentification(  # type: ignore[no-untyped-call]
        info_name={
            "VendorName": plc.vendor,
            "ProductCode": plc.product,
            "MajorMinorRevision": plc.revision,
            "VendorUrl": "",
            "ProductName": plc.product,
            "ModelName": plc.product,
            "UserApplicationName": f"water works {plc.host.name}",
        }
    )

    def be_this_one(sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        # pymodbus has one identity a process, which several PLCs share here; it answers
        # this request before it looks at another.
        if not sending and isinstance(pdu, ReadDeviceInformationRequest):
            server.control.Identity.update(identity)
        return pdu

    server: ModbusTcpServer = ModbusTcpServer(
        devices,
        identity=identity,
        address=(plc.host.address, MODBUS_PORT),
        trace_packet=withhold_listen_only,
        trace_pdu=be_this_one,
        custom_pdu=unknown_functions(),
    )
    return server


async def serve(plc: Plc, seed: int, seconds: float) -> None:
    """Serve until SIGTERM, at most for `seconds`."""
    scan, memory = Scan(random.Random(f"{seed}/scan/{plc.host.name}")), Memory()
    server = build_server(plc, build_devices(plc, scan, memory))
    await server.serve_forever(background=True)
    behind = build_process(plc.host.name, seed)
    process = asyncio.create_task(run_process(plc, behind, server, memory))
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set_result, None)
    print("ready", flush=True)
    await asyncio.wait({process, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if process.done():
        process.result()
    process.cancel()
    server.close()


def main() -> None:
    """Run one PLC."""
    parser = argparse.ArgumentParser(description="one PLC of the plant")
    parser.add_argument("plc", choices=sorted(PLC_BY_NAME))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(serve(PLC_BY_NAME[options.plc], options.seed, options.seconds))


if __name__ == "__main__":
    main()
