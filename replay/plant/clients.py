"""The plant's own clients: HMI with its operators, historian, engineering station.

Run as `python -m plant.clients hmi --seed 1 --seconds 300`; ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from typing import TYPE_CHECKING

from pymodbus.client import AsyncModbusTcpClient

from plant.devices import PLCS, Actuator, Plc, Read, SetPoint, Switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymodbus.pdu import ModbusPDU

Value = bool | float

HMI_PERIOD = 1.0
HISTORIAN_PERIOD = 5.0
# Polls are late by this much at most; a scheduler's wake-up, not a rhythm.
JITTER_SECONDS = 0.008
HMI_RECONNECT_POLLS = (45, 80)
HISTORIAN_RECONNECT_POLLS = (5, 9)
ACTION_POLLS = (7, 12)
# Cycles for which all actuators stay at one end, so that the process settles there.
WALK_HOLD_POLLS = 22
# Cycles after which an operator undoes a set point that is not his own.
CORRECTION_POLLS = 8
DEVICE_INFORMATION_BASIC = 1
DEVICE_INFORMATION_REGULAR = 2


class RefusedError(Exception):
    """A PLC answered a request of normal work with an exception."""


def checked(answer: ModbusPDU, asked: object) -> ModbusPDU:
    """Hand the answer on; RefusedError if it is an exception."""
    if answer.isError():
        message = f"{asked}: exception {answer.exception_code}"
        raise RefusedError(message)
    return answer


async def connect(plc: Plc) -> AsyncModbusTcpClient:
    """Open a connection to the PLC; ConnectionError if it does not accept."""
    client = AsyncModbusTcpClient(plc.host.address, reconnect_delay=0)
    if not await client.connect():
        message = f"{plc.host.name} does not accept a connection"
        raise ConnectionError(message)
    return client


async def read(client: AsyncModbusTcpClient, what: Read) -> list[int]:
    """Read `what`: its bits (as 0 and 1) or words."""
    function = {
        1: client.read_coils,
        2: client.read_discrete_inputs,
        3: client.read_holding_registers,
        4: client.read_input_registers,
    }[what.function]
    answer = await function(what.address, count=what.count, device_id=what.unit)
    checked(answer, what)
    if what.function in (1, 2):
        return [int(bit) for bit in answer.bits[: what.count]]
    return list(answer.registers)


async def write(client: AsyncModbusTcpClient, actuator: Actuator, value: Value) -> None:
    """Write a switch by FC 5 or 15, a set point by FC 6 or 16."""
    address = actuator.address
    if isinstance(actuator, Switch):
        if actuator.count == 1:
            answer = await client.write_coil(address, bool(value))
        else:
            bits = [bool(value)] * actuator.count
            answer = await client.write_coils(address, bits)
    elif actuator.pair:
        answer = await client.write_registers(address, actuator.words(value))
    else:
        (word,) = actuator.words(value)
        answer = await client.write_register(address, word)
    checked(answer, (actuator, value))


def spell(actuator: Actuator, value: Value) -> list[int]:
    """Spell the bits or words that a read shows when the actuator has this value."""
    if isinstance(actuator, Switch):
        return [int(value)] * actuator.count
    return actuator.words(value)


class Operator:
    """What an operator does at one PLC's picture, at most one action a poll."""

    def __init__(self, plc: Plc, rng: random.Random, *, walk: bool) -> None:
        """With `walk` begin by driving every actuator to both of its ends."""
        self._rng = rng
        self._plc = plc
        self._values = {unit.tag: unit.initial for unit in plc.actuators}
        self._actuators = {unit.tag: unit for unit in plc.actuators}
        self._plan = self._schedule(walk=walk)
        self._next = next(self._plan)
        self._strange: dict[str, int] = {}

    def decide(
        self, poll: int, coils: list[int], holding: list[int]
    ) -> tuple[Actuator, Value] | None:
        """Choose what to write after this poll, if anything."""
        if correction := self._correct(coils, holding):
            return correction
        due, actuator = self._next
        if poll < due:
            return None
        self._next = next(self._plan)
        value = self._choose(actuator) if due >= self._walk_end else self._walk(due)
        self._values[actuator.tag] = value
        return actuator, value

    def _walk(self, due: int) -> Value:
        actuator, high = self._walk_steps[due]
        if isinstance(actuator, SetPoint):
            return actuator.high if high else actuator.low
        # Backwash stops the filters, so their highest load needs it off.
        return high == (actuator.count == 1)

    def _schedule(self, *, walk: bool) -> Iterator[tuple[int, Actuator]]:
        poll = self._rng.randint(*ACTION_POLLS) // 2
        self._walk_steps: dict[int, tuple[Actuator, bool]] = {}
        if walk:
            for high in (True, False):
                for actuator in self._plc.actuators:
                    self._walk_steps[poll] = (actuator, high)
                    poll += 2
                poll += WALK_HOLD_POLLS
        self._walk_end = poll
        return self._endless(poll)

    def _endless(self, poll: int) -> Iterator[tuple[int, Actuator]]:
        for due, (actuator, _) in self._walk_steps.items():
            yield due, actuator
        while True:
            deck = list(self._plc.actuators)
            self._rng.shuffle(deck)
            for actuator in deck:
                yield poll, actuator
                poll += self._rng.randint(*ACTION_POLLS)

    def _choose(self, actuator: Actuator) -> Value:
        now = self._values[actuator.tag]
        if isinstance(actuator, Switch):
            return not now
        return self._rng.choice([value for value in actuator.choices() if value != now])

    def _correct(self, coils: list[int], holding: list[int]) -> tuple[Actuator, Value] | None:
        for tag, value in self._values.items():
            actuator = self._actuators[tag]
            image = coils if isinstance(actuator, Switch) else holding
            words = spell(actuator, value)
            seen = image[actuator.address : actuator.address + len(words)]
            self._strange[tag] = 0 if seen == words else self._strange.get(tag, 0) + 1
            if self._strange[tag] >= CORRECTION_POLLS:
                self._strange[tag] = 0
                return actuator, value
        return None


async def sleep_until(moment: float, rng: random.Random) -> None:
    """Sleep until the loop's clock shows `moment`, and late by a little jitter."""
    late = rng.uniform(0.0, JITTER_SECONDS)
    await asyncio.sleep(max(0.0, moment + late - asyncio.get_running_loop().time()))


async def watch(plc: Plc, seed: int, end: float, *, walk: bool) -> None:
    """Poll one PLC for the HMI until `end`, and write what its operator wants."""
    rng = random.Random(f"{seed}/hmi/{plc.host.name}")
    operator = Operator(plc, rng, walk=walk)
    moment = asyncio.get_running_loop().time() + PLCS.index(plc) * HMI_PERIOD / 3
    await sleep_until(moment, rng)
    client = await connect(plc)
    reconnect = rng.randint(*HMI_RECONNECT_POLLS)
    poll = 0
    while moment < end:
        if poll == reconnect:
            client.close()
            client = await connect(plc)
            reconnect += rng.randint(*HMI_RECONNECT_POLLS)
        images = {(what.function, what.unit): await read(client, what) for what in plc.hmi_reads}
        if action := operator.decide(poll, images[1, 1], images[3, 1]):
            await write(client, *action)
        poll += 1
        moment += HMI_PERIOD
        await sleep_until(moment, rng)
    client.close()


async def record(plc: Plc, seed: int, end: float) -> None:
    """Read one PLC's blocks for the historian until `end`."""
    rng = random.Random(f"{seed}/historian/{plc.host.name}")
    moment = asyncio.get_running_loop().time() + 0.5 + PLCS.index(plc) * 0.6
    await sleep_until(moment, rng)
    client = await connect(plc)
    reconnect = rng.randint(*HISTORIAN_RECONNECT_POLLS)
    poll = 0
    while moment < end:
        if poll == reconnect:
            client.close()
            client = await connect(plc)
            reconnect += rng.randint(*HISTORIAN_RECONNECT_POLLS)
        for what in plc.historian_reads:
            await read(client, what)
        poll += 1
        moment += HISTORIAN_PERIOD
        await sleep_until(moment, rng)
    client.close()


async def visit(seed: int, seconds: float) -> None:
    """Identify and echo each PLC once, as an engineer's tool does when it opens."""
    rng = random.Random(f"{seed}/engineering")
    await asyncio.sleep(seconds * rng.uniform(0.3, 0.6))
    for plc in PLCS:
        client = await connect(plc)
        for code in (DEVICE_INFORMATION_BASIC, DEVICE_INFORMATION_REGULAR):
            checked(await client.read_device_information(read_code=code), plc)
        checked(await client.diag_query_data(rng.randbytes(2)), plc)
        client.close()
        await asyncio.sleep(rng.uniform(1.0, 2.0))


async def work(role: str, seed: int, seconds: float, *, walk: bool) -> None:
    """Do the work of one host for `seconds`; the first failure ends it."""
    end = asyncio.get_running_loop().time() + seconds
    async with asyncio.TaskGroup() as group:
        if role == "engineering":
            group.create_task(visit(seed, seconds))
        for plc in PLCS:
            if role == "hmi":
                group.create_task(watch(plc, seed, end, walk=walk))
            elif role == "historian":
                group.create_task(record(plc, seed, end))


def main() -> None:
    """Run one client host."""
    parser = argparse.ArgumentParser(description="one client host of the plant")
    parser.add_argument("role", choices=("hmi", "historian", "engineering"))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument(
        "--walk", action="store_true", help="drive every actuator to both ends first"
    )
    options = parser.parse_args()
    asyncio.run(work(options.role, options.seed, options.seconds, walk=options.walk))


if __name__ == "__main__":
    main()
