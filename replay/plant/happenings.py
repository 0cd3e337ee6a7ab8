"""What happens in any hour of normal work: maintenance, reboots, failovers, losses."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from plant.clients import maintain
from plant.devices import PLCS
from plant.whole import MANNERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from plant.whole import Plant

    Happening = Callable[[Plant], Coroutine[Any, Any, None]]

HOUR = 3_600.0
MIRROR_LOSS_SECONDS = (2.0, 3.0)


def visit(rng: random.Random, seconds: float) -> Happening:
    """Have the engineering station look at each PLC for a third of `seconds`."""

    async def happen(plant: Plant) -> None:
        start = plant.loop.time()
        for plc in rng.sample(PLCS, len(PLCS)):
            share = seconds / len(PLCS) * rng.uniform(0.8, 1.0)
            await plant.spawn(plant.engineering, maintain(plc, rng, share, MANNERS))
            await asyncio.sleep(rng.uniform(1.0, 3.0))
        plant.note(start, "maintenance by the engineering station")

    return happen


def reboot(rng: random.Random, plc: str) -> Happening:
    """Reboot a PLC."""

    async def happen(plant: Plant) -> None:
        start = plant.loop.time()
        await plant.controllers[plc].reboot(rng)
        plant.note(start, f"reboot of {plc}")

    return happen


def failover(rng: random.Random, seconds: float) -> Happening:
    """Stop the HMI, let the standby take over for `seconds`, and hand back."""

    async def happen(plant: Plant) -> None:
        start = plant.loop.time()
        abrupt = rng.random() < 0.5
        if abrupt:
            plant.hmi.node.power_off(reset=False)
        plant.hmi.stop()
        await asyncio.sleep(rng.uniform(4.0, 8.0))
        plant.standby.start()
        await asyncio.sleep(seconds)
        if abrupt:
            plant.hmi.node.power_on()
            await asyncio.sleep(rng.uniform(2.0, 3.0))
        plant.standby.stop()
        await asyncio.sleep(rng.uniform(1.0, 2.0))
        plant.hmi.start()
        plant.note(start, "failover to the standby HMI and back")

    return happen


def mirror_loss(rng: random.Random) -> Happening:
    """Let the mirror port show nothing for two to three seconds."""

    async def happen(plant: Plant) -> None:
        start = plant.loop.time()
        seconds = rng.uniform(*MIRROR_LOSS_SECONDS)
        plant.network.mirror.lose(start, start + seconds)
        await asyncio.sleep(seconds)
        plant.note(start, "mirror port silent")

    return happen


def bundle(plant: Plant) -> Coroutine[Any, Any, None]:
    """Have the historian send the hour's summary."""

    async def happen() -> None:
        plant.pusher.add_bundle()
        await asyncio.sleep(0)

    return happen()


def plan_hours(seed: int, seconds: float, *, every_plc: bool) -> list[tuple[float, Happening]]:
    """Plan normal events: one of each in every hour, in an order and at times by the seed.

    An hour that is cut short has them all, shortened. With `every_plc` the run reboots all.
    """
    rng = random.Random(f"{seed}/happenings")
    plcs = [plc.host.name for plc in rng.sample(PLCS, len(PLCS))]
    hours = max(1, round(seconds / HOUR))
    reboots = [1] * hours
    reboots[-1] += max(0, len(plcs) - hours) if every_plc else 0
    plan: list[tuple[float, Happening]] = []
    for hour, count in enumerate(reboots):
        kinds = ["visit", "failover", "loss", *["reboot"] * count]
        rng.shuffle(kinds)
        length = seconds / hours
        slot = length / len(kinds)
        for n, kind in enumerate(kinds):
            begin = hour * length + slot * (n + rng.uniform(0.2, 0.35))
            plan.append((begin, _build(kind, rng, slot, plcs)))
        plan.append((hour * length + length * rng.uniform(0.4, 0.6), bundle))
    return plan


def _build(kind: str, rng: random.Random, slot: float, plcs: list[str]) -> Happening:
    inner = random.Random(rng.random())
    if kind == "visit":
        return visit(inner, min(rng.uniform(150.0, 240.0), 0.4 * slot))
    if kind == "failover":
        return failover(inner, min(rng.uniform(240.0, 320.0), 0.4 * slot))
    if kind == "loss":
        return mirror_loss(inner)
    plcs.append(plcs.pop(0))
    return reboot(inner, plcs[-1])
