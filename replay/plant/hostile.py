"""Sixteen attacks on the whole plant, one coroutine each; its name is its label.

Most come from hosts that the plant knows and look like their work: what gives them away is
a value, a rhythm, an amount or a silence.
"""

from __future__ import annotations

import asyncio
import random
import struct
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from plant.devices import (
    HMI,
    PLC_1,
    PLC_2,
    PLC_3,
    ROGUE,
    TURBIDITY_UNIT,
    Plc,
    SetPoint,
    float_words,
    words_float,
)
from plant.frames import ACK, ARP_REPLY, PSH, SYN, Arp, Packet, Segment
from plant.happenings import bundle, failover, mirror_loss, reboot, visit
from plant.tcp import PC_OPTIONS
from plant.whole import Label, same

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from plant.happenings import Happening
    from plant.process import Image
    from plant.tcp import Connection
    from plant.whole import Plant

MODBUS_PORT = 502
# A label that starts so is an event that is neither normal work nor an attack.
AFTERMATH_LABEL = "ok:aftermath of "
REPLAY_AGE = 600.0
READ_DISCRETE, READ_HOLDING, READ_INPUTS = 2, 3, 4
MEASUREMENT_BYTES = 16
# PLC-2 has no point here.
ABSENT_ADDRESS = 4_096
SCANNED_PORTS = (
    20, 21, 22, 23, 25, 53, 69, 79, 80, 102, 110, 111, 123, 135, 139, 143, 161, 389, 443, 445,
    512, 513, 514, 515, 554, 789, 993, 1_089, 1_433, 1_883, 2_222, 2_404, 3_306, 3_389, 4_840,
    5_900, 8_080, 9_600, 20_000, 44_818,
)  # fmt: skip


class RawClient:
    """A Modbus client on the virtual wire that sends any bytes."""

    def __init__(self, plc: Plc) -> None:
        """Begin without a connection."""
        self._plc, self._transaction = plc, 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        """Connect; OSError if the PLC does not accept."""
        address = self._plc.host.address
        self._reader, self._writer = await asyncio.open_connection(address, MODBUS_PORT)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        self._writer.close()

    @property
    def closed(self) -> bool:
        """Say whether the PLC closed the connection."""
        return self._reader.at_eof() or self._writer.is_closing()

    def tell(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    def wrap(self, pdu: bytes) -> bytes:
        """Put a right MBAP header before a PDU."""
        self._transaction += 1
        return struct.pack(">HHHB", self._transaction, 0, len(pdu) + 1, 1) + pdu

    async def ask(self, pdu: bytes) -> bytes:
        """Send a PDU and wait for its answer."""
        self.tell(self.wrap(pdu))
        head = await self._reader.readexactly(7)
        (size,) = struct.unpack(">H", head[4:6])
        return await self._reader.readexactly(size - 1)


async def setpoint_out_of_range(plant: Plant, rng: random.Random) -> None:
    """Set chlorine to 3.00 mg/l from the HMI, and back after a minute."""
    del rng
    operator = plant.hmi.watches["plc-3"].operator
    chlorine = _set_point(PLC_3, 0)
    # Without these two nothing would be dosed.
    needed = [unit for unit in PLC_3.actuators if unit.tag.startswith(("DP-301 c", "V-304"))]
    tags = {chlorine.tag, *(unit.tag for unit in needed)}
    operator.held |= tags
    for unit in needed:
        if not operator.wanted(unit):
            operator.order(unit, value=True)
    operator.order(chlorine, 300)
    await asyncio.sleep(60.0)
    operator.order(chlorine, chlorine.initial)
    await asyncio.sleep(1.5)
    operator.held -= tags


async def poll_stopped(plant: Plant, rng: random.Random) -> None:
    """Poll the turbidity meter no more, but go on with all else."""
    del rng
    watch = plant.hmi.watches["plc-2"]
    watch.idle_units.add(TURBIDITY_UNIT)
    await asyncio.sleep(120.0)
    watch.idle_units.discard(TURBIDITY_UNIT)


async def flood(plant: Plant, rng: random.Random) -> None:
    """Read holding registers of PLC-3 from the HMI 200 times a second, over two connections."""

    async def read_on(start: float) -> None:
        loop = plant.loop
        async with RawClient(PLC_3) as client:
            for n in range(2_000):
                await asyncio.sleep(max(0.0, start + n * 0.01 - loop.time()))
                await client.ask(struct.pack(">BHH", READ_HOLDING, 0, 4))

    begin = plant.loop.time() + rng.uniform(0.0, 0.01)
    tasks = [plant.spawn(plant.hmi.node, read_on(begin + lag)) for lag in (0.0, 0.005)]
    for task in tasks:
        await task


async def garbage_payload(plant: Plant, rng: random.Random) -> None:
    """Send 40 messages of random bytes to PLC-2 from the historian, half with a right header."""

    async def send() -> None:
        left = 40
        while left:
            async with RawClient(PLC_2) as client:
                while left and not client.closed:
                    noise = rng.randbytes(rng.randint(8, 60))
                    client.tell(client.wrap(noise) if left % 2 else noise)
                    left -= 1
                    await asyncio.sleep(rng.uniform(0.2, 0.6))

    await plant.spawn(plant.historian, send())


async def exfiltration(plant: Plant, rng: random.Random) -> None:
    """Send sixty times as much to the archive, in the usual connection at the usual pace."""
    del rng
    plant.pusher.volume = 60
    await asyncio.sleep(180.0)
    plant.pusher.volume = 1


class Replayer:
    """A man in the middle before PLC-1 who hands the HMI measurements of ten minutes ago."""

    def __init__(self, plant: Plant) -> None:
        """Begin to record."""
        self.replays = False
        self._loop = plant.loop
        self._heard: dict[bytes, tuple[list[float], list[bytes]]] = {}

    def __call__(self, connection: Connection, data: bytes) -> bytes:
        """Record an answer to the HMI, or put an old one in its place."""
        request = connection.last_received
        if connection.remote != HMI.address or data[7] not in (READ_DISCRETE, READ_INPUTS):
            return data
        times, answers = self._heard.setdefault(request[6:], ([], []))
        now = self._loop.time()
        if self.replays:
            at = bisect_left(times, now - REPLAY_AGE)
            return data[:2] + answers[min(at, len(answers) - 1)][2:]
        times.append(now)
        answers.append(data)
        return data


async def replayed_traffic(plant: Plant, rng: random.Random) -> None:
    """Replay PLC-1's measurements of ten minutes ago to the HMI for three minutes."""
    del rng
    node = plant.controllers["plc-1"].node
    replayer = node.shape
    assert isinstance(replayer, Replayer)  # noqa: S101 - `listen_before` put it there
    replayer.replays = True
    await asyncio.sleep(180.0)
    node.shape = None


async def listen_before(plant: Plant) -> None:
    """Begin to record what `replayed_traffic` will replay."""
    plant.controllers["plc-1"].node.shape = Replayer(plant)


class Spoofer:
    """A man in the middle between HMI and PLC-3, by false ARP replies; adds 1.5 to the pH."""

    def __init__(self, plant: Plant, rng: random.Random) -> None:
        """Take over the rogue's host."""
        self._network, self._node, self._rng = plant.network, plant.rogue, rng
        self._last = 0.0
        self._macs = {HMI.address: HMI.mac, PLC_3.host.address: PLC_3.host.mac}

    def tell(self, *, lie: bool) -> None:
        """Tell both sides whose address is where."""
        for victim, other in ((HMI, PLC_3.host), (PLC_3.host, HMI)):
            mac = ROGUE.mac if lie else other.mac
            claim = Arp(ARP_REPLY, mac, other.address, victim.mac, victim.address)
            self._network.transmit(self._node, victim.mac, claim)

    def forward(self, packet: Packet) -> None:
        """Hand a packet on to whom it is for, a hop older and perhaps changed."""
        if packet.target not in self._macs or not isinstance(packet.body, Segment):
            return
        loop = self._network.loop
        body = replace(packet.body, payload=self._change(packet.source, packet.body.payload))
        changed = replace(packet, hops=packet.hops - 1, body=body)
        moment = max(loop.time() + self._rng.uniform(60e-6, 160e-6), self._last + 2e-6)
        self._last = moment
        target = self._macs[packet.target]
        loop.call_at(
            moment, self._network.transmit, self._node, target, changed, context=self._node.context
        )

    def _change(self, source: str, payload: bytes) -> bytes:
        if source != PLC_3.host.address or not _holds_measurements(payload):
            return payload
        ph = words_float(list(struct.unpack(">HH", payload[9:13])))
        return payload[:9] + struct.pack(">HH", *float_words(ph + 1.5)) + payload[13:]


async def arp_spoof(plant: Plant, rng: random.Random) -> None:
    """Redirect the traffic of HMI and PLC-3 through the rogue, and raise the pH by 1.5."""
    spoofer = Spoofer(plant, rng)
    plant.rogue.forward = spoofer.forward
    for _ in range(45):
        spoofer.tell(lie=True)
        await asyncio.sleep(2.0)
    for _ in range(3):
        spoofer.tell(lie=False)
        await asyncio.sleep(0.5)
    plant.rogue.forward = None


async def delayed_polls(plant: Plant, rng: random.Random) -> None:
    """Hold back every answer of PLC-1 for 300 to 600 ms."""
    del rng
    node = plant.controllers["plc-1"].node
    usual = node.stack
    node.stack = replace(usual, thinking=(0.3, 0.6))
    await asyncio.sleep(180.0)
    node.stack = usual


async def brute_force_writes(plant: Plant, rng: random.Random) -> None:
    """Write 30 coils and 30 registers of PLC-1 from the HMI within 30 seconds."""

    async def send() -> None:
        targets = [(function, address) for function in (5, 6) for address in range(30)]
        rng.shuffle(targets)
        async with RawClient(PLC_1) as client:
            for function, address in targets:
                # What no operator would set right again stays at its 0.
                value = rng.randrange(1_000) if function == 6 and address < PLC_1.coils else 0
                await client.ask(struct.pack(">BHH", function, address, value))
                await asyncio.sleep(rng.uniform(0.44, 0.5))

    await plant.spawn(plant.hmi.node, send())


async def frozen_sensor(plant: Plant, rng: random.Random) -> None:
    """Show the same level at PLC-1, bit by bit, for ten minutes."""
    del rng
    controller = plant.controllers["plc-1"]
    level: list[int] = []

    def freeze(image: Image) -> Image:
        if not level:
            level.extend(image.inputs[:2])
        image.inputs[:2] = level
        return image

    controller.alter = freeze
    await asyncio.sleep(600.0)
    controller.alter = same


async def exception_storm(plant: Plant, rng: random.Random) -> None:
    """Ask PLC-2 300 times for a register that it does not have, from the historian."""

    async def ask() -> None:
        async with RawClient(PLC_2) as client:
            for _ in range(300):
                await client.ask(struct.pack(">BHH", READ_HOLDING, ABSENT_ADDRESS, 1))
                await asyncio.sleep(rng.uniform(0.19, 0.2))

    await plant.spawn(plant.historian, ask())


async def slow_ramp(plant: Plant, rng: random.Random) -> None:
    """Raise PLC-1's flow limit at every poll by less than a m3/h, far beyond its span."""
    del rng
    operator = plant.hmi.watches["plc-1"].operator
    limit = _set_point(PLC_1, 2)
    operator.held.add(limit.tag)
    start = min(float(operator.wanted(limit)), limit.initial)
    for step in range(1, 361):
        operator.order(limit, start + (limit.high - start) * step / 180)
        await asyncio.sleep(1.0)
    operator.order(limit, limit.initial)
    await asyncio.sleep(1.5)
    operator.held.discard(limit.tag)


async def port_scan(plant: Plant, rng: random.Random) -> None:
    """Try 40 ports of PLC-1 from the engineering station within ten seconds."""
    ports = rng.sample(SCANNED_PORTS, len(SCANNED_PORTS))

    async def scan() -> None:
        for port in ports:
            await _try(PLC_1.host.address, port)
            await asyncio.sleep(rng.uniform(0.2, 0.25))

    await plant.spawn(plant.engineering, scan())


async def host_scan(plant: Plant, rng: random.Random) -> None:
    """Try port 502 of 10.20.1.1 to 10.20.1.60 from the engineering station, one in ten seconds."""

    async def scan() -> None:
        moment = plant.loop.time()
        for last in range(1, 61):
            await _try(f"10.20.1.{last}", MODBUS_PORT)
            moment += 10.0
            await asyncio.sleep(moment + rng.uniform(0.0, 0.3) - plant.loop.time())

    await plant.spawn(plant.engineering, scan())


async def half_open(plant: Plant, rng: random.Random) -> None:
    """Ask PLC-2 for 300 connections from the engineering station, and go on with none."""
    node = plant.engineering
    for _ in range(300):
        port = node.free_port()
        node.deaf_ports.add(port)
        sequence = rng.randrange(1 << 16, 1 << 31)
        window = node.stack.window
        syn = Segment(port, MODBUS_PORT, sequence, 0, SYN, window, PC_OPTIONS)
        node.send(PLC_2.host.address, syn)
        await asyncio.sleep(rng.uniform(0.028, 0.036))


class Injector:
    """Answers the HMI's polls of PLC-3 before PLC-3 does, when it is armed."""

    def __init__(self, plant: Plant, rng: random.Random) -> None:
        """Listen to what passes the switch."""
        self.armed = False
        self._plant, self._rng = plant, rng
        self._last = b""

    def __call__(self, moment: float, packet: Packet) -> None:
        """Look at a packet; answer the request that it may hold."""
        body = packet.body
        if not isinstance(body, Segment):
            return
        ends = (packet.source, packet.target)
        if ends == (PLC_3.host.address, HMI.address) and _holds_measurements(body.payload):
            self._last = body.payload
        wanted = struct.pack(">BBHH", 1, READ_INPUTS, 0, 8)
        asks = ends == (HMI.address, PLC_3.host.address) and body.payload[6:] == wanted
        if asks and self.armed and self._last:
            self.armed = False
            self._answer(moment, body)

    def _answer(self, moment: float, asked: Segment) -> None:
        lie = struct.pack(">HH", *float_words(round(self._rng.uniform(0.02, 0.06), 3)))
        payload = asked.payload[:2] + self._last[2:13] + lie + self._last[17:]
        answer = Segment(
            asked.target_port,
            asked.source_port,
            asked.acknowledged,
            asked.sequence + len(asked.payload),
            ACK | PSH,
            self._plant.controllers["plc-3"].node.stack.window,
            b"",
            payload,
        )
        packet = Packet(PLC_3.host.address, HMI.address, 64, 0, answer)
        node, network = self._plant.rogue, self._plant.network
        moment += self._rng.uniform(300e-6, 800e-6)
        network.loop.call_at(moment, network.transmit, node, HMI.mac, packet, context=node.context)


async def two_answers(plant: Plant, rng: random.Random) -> None:
    """Answer five polls of PLC-3 before it does, with no chlorine, within half a minute."""
    injector = Injector(plant, rng)
    plant.network.taps.append(injector)
    await asyncio.sleep(2.0)
    for _ in range(5):
        injector.armed = True
        await asyncio.sleep(5.5)
    plant.network.taps.remove(injector)


def _set_point(plc: Plc, address: int) -> SetPoint:
    for actuator in plc.actuators:
        if isinstance(actuator, SetPoint) and actuator.address == address:
            return actuator
    message = f"{plc.host.name} has no set point at {address}"
    raise KeyError(message)


def _holds_measurements(payload: bytes) -> bool:
    return payload[6:9] == bytes((1, READ_INPUTS, MEASUREMENT_BYTES))


async def _try(address: str, port: int) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 5.0)
    except (OSError, TimeoutError):
        return
    writer.close()


@dataclass(frozen=True, slots=True)
class Attack:
    """When an attack begins, and for how many seconds after it the wire still shows it."""

    function: Callable[[Plant, random.Random], Coroutine[Any, Any, None]]
    second: float
    aftermath: float = 0.0

    @property
    def label(self) -> str:
        """Its name in labels and expected alerts."""
        return self.function.__name__.replace("_", "-")

    def happening(self, seed: int) -> Happening:
        """Run and label it."""
        rng = random.Random(f"{seed}/{self.label}")

        async def happen(plant: Plant) -> None:
            start = plant.loop.time()
            await self.function(plant, rng)
            now = plant.epoch + plant.loop.time()
            plant.labels.append(Label(plant.epoch + start, now, self.label))
            if self.aftermath:
                text = AFTERMATH_LABEL + self.label
                plant.labels.append(Label(now, now + self.aftermath, text))

        return happen


ATTACKS = (
    Attack(setpoint_out_of_range, 150, 25),
    Attack(poll_stopped, 370),
    Attack(flood, 620),
    Attack(garbage_payload, 770, 5),
    Attack(exfiltration, 920),
    Attack(replayed_traffic, 1_230),
    Attack(arp_spoof, 1_760),
    Attack(delayed_polls, 1_980, 5),
    Attack(brute_force_writes, 2_370, 40),
    Attack(frozen_sensor, 2_570),
    Attack(exception_storm, 3_520),
    Attack(slow_ramp, 3_710, 25),
    Attack(port_scan, 4_230),
    Attack(host_scan, 4_365),
    Attack(half_open, 5_095, 8),
    Attack(two_answers, 5_235),
)


def plan_attacks(seed: int) -> list[tuple[float, Happening]]:
    """Plan the attacks, moved by up to two seconds by the seed, and normal events between."""
    rng = random.Random(f"{seed}/attacks")
    plan: list[tuple[float, Happening]] = []
    for attack in ATTACKS:
        second = attack.second + rng.uniform(-2.0, 2.0)
        plan.append((second, attack.happening(seed)))
        if attack.function is replayed_traffic:
            plan.append((second - REPLAY_AGE - 10.0, listen_before))
    inner = [random.Random(rng.random()) for _ in range(4)]
    plan += [
        (700.0, mirror_loss(inner[0])),
        (1_450.0, visit(inner[1], 170.0)),
        (2_200.0, reboot(inner[2], "plc-2")),
        (2_290.0, bundle),
        (3_210.0, failover(inner[3], 180.0)),
    ]
    return plan
