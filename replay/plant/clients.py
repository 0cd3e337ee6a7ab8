"""The plant's own clients: HMI with its operators, historian, engineering station.

Run as `python -m plant.clients hmi --seed 1 --seconds 300`; ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from plant.devices import (
    LIFE_SIGN,
    MAINTENANCE_READS,
    PLCS,
    Actuator,
    Plc,
    Read,
    SetPoint,
    Switch,
    words_float,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator

    from pymodbus.pdu import ModbusPDU

Value = bool | float

HMI_PERIOD = 1.0
HISTORIAN_PERIOD = 5.0
LIFE_SIGN_PERIOD = 5.0
MAINTENANCE_PERIOD = 2.0
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


# Seconds between attempts to connect again; the last one repeats.
BACK_OFF_SECONDS = (1.0, 2.0, 4.0, 4.0)
LATE_SECONDS = 0.5


class RefusedError(Exception):
    """A PLC answered a request of normal work with an exception."""


def checked(answer: ModbusPDU, asked: object) -> ModbusPDU:
    """Hand the answer on; RefusedError if it is an exception."""
    if answer.isError():
        message = f"{asked}: exception {answer.exception_code}"
        raise RefusedError(message)
    return answer


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client meets trouble.

    A patient one connects again, with back-off, when a PLC does not answer; others fail.
    Of its polls `late_polls` (a share) are late by half a second.
    """

    patient: bool = False
    late_polls: float = 0.0


STRICT = Manners()


async def connect(plc: Plc, retries: int = 3) -> AsyncModbusTcpClient:
    """Open a connection to the PLC; ConnectionError if it does not accept."""
    client = AsyncModbusTcpClient(plc.host.address, reconnect_delay=0, retries=retries)
    if not await client.connect():
        message = f"{plc.host.name} does not accept a connection"
        raise ConnectionError(message)
    return client


class Line:
    """A client's connection to one PLC, made again as its manners have it."""

    def __init__(self, plc: Plc, rng: random.Random, manners: Manners = STRICT) -> None:
        """Begin without a connection."""
        self._plc, self._rng, self._manners = plc, rng, manners
        self._client: AsyncModbusTcpClient | None = None

    @property
    def client(self) -> AsyncModbusTcpClient:
        """The open connection; ConnectionError if there is none."""
        if self._client is None:
            message = f"{self._plc.host.name} is not connected"
            raise ConnectionError(message)
        return self._client

    async def open(self) -> None:
        """Connect, and close what was open before; a patient one goes on until it succeeds."""
        self.close()
        if not self._manners.patient:
            self._client = await connect(self._plc)
            return
        tries = 0
        while self._client is None:
            try:
                self._client = await connect(self._plc, retries=0)
            except ConnectionError:
                pause = BACK_OFF_SECONDS[min(tries, len(BACK_OFF_SECONDS) - 1)]
                tries += 1
                await asyncio.sleep(pause * self._rng.uniform(0.95, 1.05))

    async def attempt(self, poll: Awaitable[None]) -> None:
        """Await one poll; a patient one connects again if it fails."""
        try:
            await poll
        except (ModbusException, ConnectionError):
            if not self._manners.patient:
                raise
            await self.open()

    async def sleep_until(self, moment: float) -> None:
        """Sleep until `moment`, and late by a little jitter, rarely by half a second."""
        late = self._manners.late_polls
        if late and self._rng.random() < late:
            moment += LATE_SECONDS
        await sleep_until(moment, self._rng)

    def close(self) -> None:
        """Close the connection if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None


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
        self._orders: list[tuple[Actuator, Value]] = []
        self.held: set[str] = set()
        # Of a shift: how much longer than usual it waits between two actions, and which
        # part of a set point's span it uses.
        self.pace = 1.0
        self.band = (0.0, 1.0)

    def adopt(self, coils: list[int], holding: list[int]) -> None:
        """Take what the PLC shows as what is wanted."""
        for actuator in self._plc.actuators:
            if isinstance(actuator, Switch):
                end = actuator.address + actuator.count
                self._values[actuator.tag] = all(coils[actuator.address : end])
            else:
                words = holding[actuator.address : actuator.address + 1 + actuator.pair]
                self._values[actuator.tag] = words_float(words) if actuator.pair else words[0]

    def order(self, actuator: Actuator, value: Value) -> None:
        """Write this after the next poll, and take it as what is wanted."""
        self._orders.append((actuator, value))

    def take_orders(self) -> list[tuple[Actuator, Value]]:
        """Hand out what was ordered since the last poll."""
        orders, self._orders = self._orders, []
        self._values |= {actuator.tag: value for actuator, value in orders}
        return orders

    def wanted(self, actuator: Actuator) -> Value:
        """Say what value this actuator should have."""
        return self._values[actuator.tag]

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
        if actuator.tag in self.held:
            return None
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
                poll += round(self._rng.randint(*ACTION_POLLS) * self.pace)

    def _choose(self, actuator: Actuator) -> Value:
        now = self._values[actuator.tag]
        if isinstance(actuator, Switch):
            return not now
        choices = actuator.choices()
        low, high = (round(share * (len(choices) - 1)) for share in self.band)
        return self._rng.choice([value for value in choices[low : high + 1] if value != now])

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


class Watch:
    """An HMI's polling of one PLC, and what its operator writes there."""

    def __init__(
        self,
        plc: Plc,
        rng: random.Random,
        operator: Operator,
        manners: Manners = STRICT,
        *,
        adopt: bool = False,
    ) -> None:
        """With `adopt` the operator takes over what the first poll shows."""
        self.plc, self.operator = plc, operator
        self.line = Line(plc, rng, manners)
        # Units that are not polled for now.
        self.idle_units: set[int] = set()
        self._rng, self._adopt = rng, adopt
        self._poll = 0

    async def run(self, end: float) -> None:
        """Poll until the loop's clock shows `end`."""
        loop = asyncio.get_running_loop()
        moment = loop.time() + PLCS.index(self.plc) * HMI_PERIOD / 3
        reconnect = self._rng.randint(*HMI_RECONNECT_POLLS)
        try:
            await self.line.sleep_until(moment)
            await self.line.open()
            while moment < end:
                if self._poll >= reconnect:
                    await self.line.open()
                    reconnect = self._poll + self._rng.randint(*HMI_RECONNECT_POLLS)
                await self.line.attempt(self._cycle())
                self._poll += 1
                # Polls that were missed meanwhile are not made up for.
                moment += HMI_PERIOD * max(1, math.ceil((loop.time() - moment) / HMI_PERIOD))
                await self.line.sleep_until(moment)
        finally:
            self.line.close()

    async def _cycle(self) -> None:
        images = {
            (what.function, what.unit): await read(self.line.client, what)
            for what in self.plc.hmi_reads
            if what.unit not in self.idle_units
        }
        coils, holding = images[1, 1], images[3, 1]
        if self._adopt:
            self.operator.adopt(coils, holding)
            self._adopt = False
        if action := self.operator.decide(self._poll, coils, holding):
            await write(self.line.client, *action)
        for order in self.operator.take_orders():
            await write(self.line.client, *order)


async def watch(plc: Plc, seed: int, end: float, *, walk: bool) -> None:
    """Poll one PLC for the HMI until `end`, and write what its operator wants."""
    rng = random.Random(f"{seed}/hmi/{plc.host.name}")
    await Watch(plc, rng, Operator(plc, rng, walk=walk)).run(end)


async def record(plc: Plc, seed: int, end: float, manners: Manners = STRICT) -> None:
    """Read one PLC's blocks for the historian until `end`."""
    rng = random.Random(f"{seed}/historian/{plc.host.name}")
    line = Line(plc, rng, manners)
    loop = asyncio.get_running_loop()
    moment = loop.time() + 0.5 + PLCS.index(plc) * 0.6
    reconnect = rng.randint(*HISTORIAN_RECONNECT_POLLS)
    poll = 0
    try:
        await line.sleep_until(moment)
        await line.open()
        while moment < end:
            if poll == reconnect:
                await line.open()
                reconnect += rng.randint(*HISTORIAN_RECONNECT_POLLS)
            await line.attempt(read_all(line, plc.historian_reads))
            poll += 1
            late = math.ceil((loop.time() - moment) / HISTORIAN_PERIOD)
            moment += HISTORIAN_PERIOD * max(1, late)
            await line.sleep_until(moment)
    finally:
        line.close()


async def read_all(line: Line, reads: Iterable[Read]) -> None:
    """Read one after the other."""
    for what in reads:
        await read(line.client, what)


async def attend(plc: Plc, seed: int, end: float, manners: Manners = STRICT) -> None:
    """Read one PLC's life sign for the standby HMI until `end`."""
    rng = random.Random(f"{seed}/standby/{plc.host.name}")
    line = Line(plc, rng, manners)
    moment = asyncio.get_running_loop().time() + 1.2 + PLCS.index(plc) * 0.9
    try:
        await line.sleep_until(moment)
        await line.open()
        while moment < end:
            await line.attempt(read_all(line, (LIFE_SIGN,)))
            late = math.ceil((asyncio.get_running_loop().time() - moment) / LIFE_SIGN_PERIOD)
            moment += LIFE_SIGN_PERIOD * max(1, late)
            await line.sleep_until(moment)
    finally:
        line.close()


async def identify(client: AsyncModbusTcpClient, plc: Plc, rng: random.Random) -> None:
    """Ask a PLC what it is and whether it echoes, as an engineer's tool does when it opens."""
    for code in (DEVICE_INFORMATION_BASIC, DEVICE_INFORMATION_REGULAR):
        checked(await client.read_device_information(read_code=code), plc)
    checked(await client.diag_query_data(rng.randbytes(2)), plc)


async def visit(seed: int, seconds: float) -> None:
    """Identify and echo each PLC once."""
    rng = random.Random(f"{seed}/engineering")
    await asyncio.sleep(seconds * rng.uniform(0.3, 0.6))
    for plc in PLCS:
        client = await connect(plc)
        await identify(client, plc, rng)
        client.close()
        await asyncio.sleep(rng.uniform(1.0, 2.0))


async def maintain(plc: Plc, rng: random.Random, seconds: float, manners: Manners) -> None:
    """Open the engineer's tool on one PLC for `seconds`: identify it, then read all of it."""
    line = Line(plc, rng, manners)
    try:
        await line.open()
        moment = asyncio.get_running_loop().time()
        end = moment + seconds
        await line.attempt(identify(line.client, plc, rng))
        while moment < end:
            await line.attempt(read_all(line, MAINTENANCE_READS))
            moment += MAINTENANCE_PERIOD
            await line.sleep_until(moment)
    finally:
        line.close()


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
