"""The control centre: `python -m feeders.centre --seed N --seconds S`.

It polls events and everything of each feeder, and its operators switch and set.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from dnp3.master import DefaultSOEHandler, Master, MasterConfig, MasterTcpRunner

from feeders import devices

EVERY = {"events": 2.0, "everything": 20.0, "delay": 25.0, "act": 6.0}
"""Seconds between two of each at each feeder."""
AGAIN_SECONDS = 0.5


async def do(runner: MasterTcpRunner, task: str, turn: int, rng: random.Random) -> None:
    """Do what is due once."""
    master = runner.master
    if task == "events":
        await runner.class_poll(class_1=True, class_2=True, class_3=True)
    elif task == "everything":
        await runner.integrity_poll()
    elif task == "delay":
        await runner.request(master.build_delay_measure())
    else:
        await act(runner, turn, rng)


async def act(runner: MasterTcpRunner, turn: int, rng: random.Random) -> None:
    """One operator's action; in turn, so that a run holds each several times."""
    master = runner.master
    builder = master.command_builder()
    choice, is_on = turn % 4, turn // 4 % 2 == 1
    if choice == len(devices.BREAKERS):
        builder.add_analog(devices.SET_POINT, float(rng.randint(350, 450)))
    elif is_on:
        builder.latch_on(choice)
    else:
        builder.latch_off(choice)
    if choice == 0:
        await runner.request(master.build_select(builder.build_select()))
        await runner.request(master.build_operate(builder.build_operate()))
    else:
        await runner.request(master.build_direct_operate(builder.build_direct_operate()))


async def work(name: str, seed: int, seconds: float) -> None:
    """Poll and operate one feeder; connect again where somebody cut the line."""
    host, address = devices.FEEDERS[name]
    rng = random.Random(f"{seed}/{name}/centre")
    end = time.monotonic() + seconds
    turns = dict.fromkeys(EVERY, 0)
    due = {task: time.monotonic() + rng.uniform(0.5, 4.0) for task in EVERY}
    while time.monotonic() < end:
        config = MasterConfig(address=devices.MASTER, outstation_address=address)
        master = Master(handler=DefaultSOEHandler(), config=config)
        runner = MasterTcpRunner(
            master=master, host=host.address, port=devices.PORT, response_timeout=2.0
        )
        try:
            async with runner:
                while (now := time.monotonic()) < end:
                    for task in [task for task, moment in due.items() if now >= moment]:
                        due[task] = now + EVERY[task] * rng.uniform(0.97, 1.03)
                        await do(runner, task, turns[task], rng)
                        turns[task] += 1
                    await asyncio.sleep(0.05)
        except Exception as error:  # noqa: BLE001 - whatever cut the line, connect again
            print(f"{name}: {error!r}", flush=True)
            await asyncio.sleep(AGAIN_SECONDS)


async def work_all(seed: int, seconds: float) -> None:
    """Work at all feeders at once."""
    await asyncio.gather(*(work(name, seed, seconds) for name in devices.FEEDERS))


def main() -> None:
    """Work for so many seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(work_all(options.seed, options.seconds))


if __name__ == "__main__":
    main()
