"""The whole plant on a virtual clock: its hosts, and what may happen to them."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plant.clients import Manners, Operator, Watch, attend, record
from plant.clock import VirtualLoop
from plant.devices import (
    ARCHIVE,
    ENGINEERING,
    HISTORIAN,
    HMI,
    PLC_3,
    PLCS,
    ROGUE,
    ROUTER,
    STANDBY,
    TIME_SERVER,
    Host,
    Plc,
)
from plant.office import ARCHIVE_PORT, Pusher, Receiver, ask_time, serve_time
from plant.process import Demand, Image, build_process
from plant.servers import SLOW_SCANS, Memory, Scan, build_devices, build_server, run_process
from plant.wire import CONTROLLER, PC, SERVER, Network, Node, Router

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from pymodbus.server import ModbusTcpServer

MANNERS = Manners(patient=True, late_polls=1 / 2_000)
# 2026-03-02 06:00 UTC, a Monday; every seed is a day later.
FIRST_DAY = 1_772_431_200.0
DAY = 86_400.0
SHIFT_SECONDS = 1_200.0
SHIFT_PACES = (0.8, 1.0, 1.5, 2.2)
SHIFT_BANDS = ((0.0, 1.0), (0.0, 0.6), (0.4, 1.0), (0.2, 0.8))
# What the standby's operators take at most, so that a short failover sees each actuator.
STANDBY_PACE = 1.0


@dataclass(frozen=True, slots=True)
class Label:
    """A window in epoch seconds."""

    start: float
    end: float
    text: str


def same(image: Image) -> Image:
    """Leave a process image as it is."""
    return image


class Controller:
    """A PLC that can be rebooted: its server, the process behind it, what it remembers."""

    def __init__(self, plant: Plant, plc: Plc) -> None:
        """Begin switched off."""
        self.plc = plc
        self.node = plant.network.add(plc.host, CONTROLLER)
        rng = random.Random(f"{plant.seed}/scan/{plc.host.name}")
        self.scan = Scan(rng, SLOW_SCANS)
        # What the process shows can be altered, as by a broken sensor.
        self.alter: Callable[[Image], Image] = same
        self._plant, self._memory = plant, Memory()
        self._boots = 0
        self._process = build_process(plc.host.name, plant.seed, plant.demand)
        self._task: asyncio.Task[None]
        self._server: ModbusTcpServer

    async def boot(self) -> None:
        """Serve, with the process at rest and the remembered set points."""
        self._server = build_server(self.plc, build_devices(self.plc, self.scan, self._memory))
        await self._server.serve_forever(background=True)
        running = run_process(self.plc, self._process, self._server, self._memory, self._show)
        self._task = self._plant.spawn(self.node, running)

    def _show(self, image: Image) -> Image:
        return self.alter(image)

    async def reboot(self, rng: random.Random) -> None:
        """Go down, be silent, refuse for a while, then serve again."""
        self._task.cancel()
        self.node.power_off(reset=rng.random() < 0.5)
        self._server.close()
        await asyncio.sleep(rng.uniform(4.0, 8.0))
        self.node.power_on()
        await asyncio.sleep(rng.uniform(4.0, 11.0))
        self._boots += 1
        old, name = self._process, self.plc.host.name
        self._process = build_process(name, self._plant.seed, self._plant.demand, self._boots)
        self._process.total, self._process.elapsed = old.total, old.elapsed
        self._process.clock.restart()
        await self.boot()


class Panel:
    """An HMI with an operator for each PLC; the standby has one, too."""

    def __init__(self, plant: Plant, host: Host) -> None:
        """Begin without polling."""
        self.node = plant.network.add(host, PC)
        self.watches: dict[str, Watch] = {}
        self._plant = plant
        self._turns = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *, walk: bool = False) -> None:
        """Poll every PLC; later turns take over the set points that they find."""
        for plc in PLCS:
            turn = f"/{self._turns}" if self._turns else ""
            name = f"{self._plant.seed}/{self.node.host.name}/{plc.host.name}{turn}"
            rng = random.Random(name)
            operator = Operator(plc, rng, walk=walk)
            adopt = self._turns > 0 or self.node.host is STANDBY
            watch = Watch(plc, rng, operator, MANNERS, adopt=adopt)
            self.watches[plc.host.name] = watch
            self._tasks.append(self._plant.spawn(self.node, watch.run(self._plant.seconds)))
        self._turns += 1
        self.keep_pace()

    def stop(self) -> None:
        """Stop polling and close all connections."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def keep_pace(self) -> None:
        """Have the operators work as the present shift does."""
        pace, band = self._plant.shift
        for watch in self.watches.values():
            standby = self.node.host is STANDBY
            watch.operator.pace = min(pace, STANDBY_PACE) if standby else pace
            watch.operator.band = band


class Plant:
    """All hosts and what happens on the wire between them, for `seconds` of virtual time."""

    def __init__(self, seed: int, seconds: float, *, walk: bool = False) -> None:
        """Build the plant; with `walk` operators first drive all actuators to both ends."""
        self.seed, self.seconds, self._walk = seed, seconds, walk
        self.loop = VirtualLoop()
        self.epoch = FIRST_DAY + seed * DAY
        self.network = Network(self.loop, seed, self.epoch)
        self.demand = Demand(random.Random(f"{seed}/demand"), high=walk)
        self.shift: tuple[float, tuple[float, float]] = (1.0, (0.0, 1.0))
        router = Router(self.network, ROUTER, SERVER)
        self.archive = router.add(ARCHIVE, SERVER)
        self.time_server = router.add(TIME_SERVER, SERVER)
        self.controllers = {plc.host.name: Controller(self, plc) for plc in PLCS}
        self.hmi, self.standby = Panel(self, HMI), Panel(self, STANDBY)
        self.historian = self.network.add(HISTORIAN, PC)
        self.engineering = self.network.add(ENGINEERING, PC)
        self.rogue = self.network.add(ROGUE, SERVER)
        # It was plugged in beside PLC-3, behind the switch that is watched.
        self.network.mirror.join(ROGUE.mac, PLC_3.host.mac)
        self.pusher = Pusher(self.historian, random.Random(f"{seed}/archive"))
        self.labels: list[Label] = []
        self.events: list[Label] = []
        self._local = [
            *(controller.node for controller in self.controllers.values()),
            self.hmi.node,
            self.standby.node,
            self.historian,
            self.engineering,
        ]
        for node in self._local:
            node.gateway = router
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def spawn(self, node: Node, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task on a host; if it fails, the whole run does."""
        context = node.context.copy()
        task = self.loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
            self.loop.stop()

    def run(
        self, happenings: list[tuple[float, Callable[[Plant], Coroutine[Any, Any, None]]]]
    ) -> None:
        """Let the plant work; what happens begins at its second.

        Whatever fails in a task is raised here.
        """
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        main = self.spawn(self.engineering, self._work(happenings))
        main.add_done_callback(lambda _: self.loop.stop())
        try:
            self.loop.run_forever()
        finally:
            self._end()
        if self._failure is not None:
            raise self._failure

    def _end(self) -> None:
        # A set of tasks has no order that is the same in every run; nothing is captured now.
        self.network.mirror.lose(self.loop.time(), float("inf"))
        for task in list(self._tasks):
            task.remove_done_callback(self._done)
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()

    async def _work(
        self, happenings: list[tuple[float, Callable[[Plant], Coroutine[Any, Any, None]]]]
    ) -> None:
        serve_time(self.time_server)
        await self.loop.create_server(Receiver, ARCHIVE.address, ARCHIVE_PORT)
        for controller in self.controllers.values():
            await controller.boot()
        self.hmi.start(walk=self._walk)
        for plc in PLCS:
            self.spawn(self.historian, record(plc, self.seed, self.seconds, MANNERS))
            self.spawn(self.standby.node, attend(plc, self.seed, self.seconds, MANNERS))
        self.spawn(self.historian, self.pusher.run())
        for node in self._local:
            rng = random.Random(f"{self.seed}/time/{node.host.name}")
            self.spawn(node, ask_time(node, rng))
        self.spawn(self.hmi.node, self._change_shifts())
        for second, happening in happenings:
            self.spawn(self.engineering, self._later(second, happening))
        await asyncio.sleep(self.seconds + 1.0)

    async def _later(
        self, second: float, happening: Callable[[Plant], Coroutine[Any, Any, None]]
    ) -> None:
        await asyncio.sleep(second)
        await happening(self)

    async def _change_shifts(self) -> None:
        rng = random.Random(f"{self.seed}/shifts")
        while True:
            paces = rng.sample(SHIFT_PACES, len(SHIFT_PACES))
            bands = rng.sample(SHIFT_BANDS, len(SHIFT_BANDS))
            for shift in zip(paces, bands, strict=True):
                await asyncio.sleep(SHIFT_SECONDS)
                self.shift = shift
                self.hmi.keep_pace()
                self.standby.keep_pace()

    def note(self, start: float, text: str) -> None:
        """Write down a normal event that began at loop time `start` and ends now."""
        now = self.loop.time()
        self.events.append(Label(self.epoch + start, self.epoch + now, text))
