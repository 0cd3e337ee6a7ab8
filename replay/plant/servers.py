"""A PLC: a pymodbus server in front of its simulated process.

Run as `python -m plant.servers plc-1 --seed 1 --seconds 300`; prints `ready` when it
listens, and ends by itself should nobody end it before.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
from typing import TYPE_CHECKING

from pymodbus.constants import ExcCodes
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from plant.devices import PLC_2, PLC_BY_NAME, TURBIDITY_UNIT, Plc, Switch
from plant.process import build_process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pymodbus.datastore import ModbusServerContext

MODBUS_PORT = 502
UNIT = 1
STEP_SECONDS = 0.25
# A controller answers once in its scan; these are the bounds of that wait.
SCAN_SECONDS = (0.002, 0.010)
LARGEST_FUNCTION = 127
# Function 8, sub-function 4, after the MBAP header.
LISTEN_ONLY = bytes.fromhex("080004")
MBAP_SIZE = 7


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


def _registers(size: int, values: dict[int, list[int]]) -> list[SimData]:
    words = [0] * size
    for address, value in values.items():
        words[address : address + len(value)] = value
    return [SimData(0, values=words, datatype=DataType.REGISTERS)]


def build_devices(plc: Plc, rng: random.Random) -> list[SimDevice]:
    """Build the PLC's units with all actuators at their initial values."""

    async def wait_for_scan(*_: object) -> ExcCodes | None:
        await asyncio.sleep(rng.uniform(*SCAN_SECONDS))
        return None

    coils = [False] * plc.coils
    holding: dict[int, list[int]] = {}
    for actuator in plc.actuators:
        if isinstance(actuator, Switch):
            end = actuator.address + actuator.count
            coils[actuator.address : end] = [actuator.initial] * actuator.count
        else:
            holding[actuator.address] = actuator.words(actuator.initial)
    main = SimDevice(
        id=UNIT,
        simdata=(
            [SimData(0, values=coils, datatype=DataType.BITS)],
            [SimData(0, values=[False] * plc.discrete, datatype=DataType.BITS)],
            _registers(plc.holding + 8, holding),
            _registers(plc.inputs + 8, {}),
        ),
        action=wait_for_scan,
    )
    if plc is not PLC_2:
        return [main]
    meter = SimDevice(id=TURBIDITY_UNIT, simdata=_registers(8, {}), action=wait_for_scan)
    return [main, meter]


async def run_process(plc: Plc, seed: int, server: ModbusTcpServer) -> None:
    """Step the process for ever and show its image in the server."""
    process = build_process(plc.host.name, seed)
    loop = asyncio.get_running_loop()
    read: Callable[[int, int, int, int], Awaitable[list[int] | list[bool]]]
    read = server.async_getValues
    last = loop.time()
    while True:
        coils = [bool(coil) for coil in await read(UNIT, 1, 0, plc.coils)]
        holding = [int(word) for word in await read(UNIT, 3, 0, plc.holding)]
        now = loop.time()
        image = process.step(now - last, coils, holding)
        last = now
        await server.async_setValues(UNIT, 2, 0, image.discrete)
        await server.async_setValues(UNIT, 4, 0, image.inputs)
        if image.turbidity_inputs:
            await server.async_setValues(TURBIDITY_UNIT, 4, 0, image.turbidity_inputs)
        await asyncio.sleep(STEP_SECONDS)


async def serve(plc: Plc, seed: int, seconds: float) -> None:
    """Serve until SIGTERM, at most for `seconds`."""
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
    server = ModbusTcpServer(
        build_devices(plc, random.Random(f"{seed}/scan/{plc.host.name}")),
        identity=identity,
        address=(plc.host.address, MODBUS_PORT),
        trace_packet=withhold_listen_only,
        custom_pdu=unknown_functions(),
    )
    await server.serve_forever(background=True)
    process = asyncio.create_task(run_process(plc, seed, server))
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
