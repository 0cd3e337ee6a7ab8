"""A feeder: `python -m feeders.outstation NAME --seed N --seconds S`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
from typing import TYPE_CHECKING

from dnp3.database import (
    AnalogInputConfig,
    AnalogOutputConfig,
    BinaryInputConfig,
    BinaryOutputConfig,
    CounterConfig,
    Database,
    EventClass,
)
from dnp3.outstation import (
    CommandResult,
    DefaultCommandHandler,
    Outstation,
    OutstationConfig,
    OutstationTcpRunner,
)

from feeders import devices

if TYPE_CHECKING:
    from dnp3.objects.binary_output import ControlCode

STEP_SECONDS = 1.0
SWING_SECONDS = 60.0
LATCH_ON = 3


class Commands(DefaultCommandHandler):  # type: ignore[misc]
    """Does what is commanded: breakers show it, the set point holds it."""

    def __init__(self, database: Database) -> None:
        """Act on these points."""
        self._database = database

    def select_binary_output(self, index: int, **_: object) -> CommandResult:
        """Select a breaker."""
        is_known = index in devices.BREAKERS
        return CommandResult.success() if is_known else CommandResult.not_supported()

    def operate_binary_output(self, index: int, code: ControlCode, **_: object) -> CommandResult:
        """Switch a breaker."""
        if index not in devices.BREAKERS:
            return CommandResult.not_supported()
        is_on = int(code.op_type) == LATCH_ON
        self._database.update_binary_output(index, value=is_on)
        self._database.update_binary_input(index, value=is_on)
        return CommandResult.success()

    direct_operate_binary_output = operate_binary_output

    def direct_operate_analog_output(self, index: int, **_: object) -> CommandResult:
        """Take a set point."""
        is_known = index == devices.SET_POINT
        return CommandResult.success() if is_known else CommandResult.not_supported()

    def cold_restart(self) -> int:
        """Say how long a restart would take, in ms."""
        return 500

    warm_restart = cold_restart

    def freeze_counters(self, **_: object) -> CommandResult:
        """Freeze."""
        return CommandResult.success()


def points() -> Database:
    """Build the points of a feeder."""
    database = Database()
    for index in devices.BREAKERS:
        database.add_binary_input(index, BinaryInputConfig(event_class=EventClass.CLASS_1))
        database.add_binary_output(index, BinaryOutputConfig())
        database.update_binary_input(index, value=True)
        database.update_binary_output(index, value=True)
    for index, (middle, _) in devices.MEASURED.items():
        config = AnalogInputConfig(event_class=EventClass.CLASS_2, deadband=2.0)
        database.add_analog_input(index, config)
        database.update_analog_input(index, value=middle)
    for index in devices.COUNTERS:
        database.add_counter(index, CounterConfig(event_class=EventClass.CLASS_3, deadband=50))
    database.add_analog_output(devices.SET_POINT, AnalogOutputConfig())
    return database


async def swing(database: Database, rng: random.Random) -> None:
    """Let what is measured swing around its middle, and count."""
    step = 0
    while True:
        for index, (middle, span) in devices.MEASURED.items():
            turn = 2 * math.pi * step * STEP_SECONDS / SWING_SECONDS
            part = 0.8 * math.sin(turn + index) + rng.uniform(-0.2, 0.2)
            database.update_analog_input(index, value=round(middle + span * part))
        for index in devices.COUNTERS:
            database.update_counter(index, value=10 * step * (index + 1))
        step += 1
        await asyncio.sleep(STEP_SECONDS)


async def serve(name: str, seed: int, seconds: float) -> None:
    """Serve for so many seconds."""
    host, address = devices.FEEDERS[name]
    database = points()
    config = OutstationConfig(address=address, master_address=devices.MASTER)
    outstation = Outstation(database=database, config=config, handler=Commands(database))
    runner = OutstationTcpRunner(outstation=outstation, host=host.address, port=devices.PORT)
    tasks = [
        asyncio.create_task(runner.run()),
        asyncio.create_task(swing(database, random.Random(f"{seed}/{name}"))),
    ]
    print("ready", flush=True)
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def main() -> None:
    """Serve as asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=devices.FEEDERS)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.name, options.seed, options.seconds))


if __name__ == "__main__":
    main()
