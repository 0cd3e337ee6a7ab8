"""What flows behind the PLCs: levels, flows, pressures, chlorine and pH.

All measurements follow their targets within seconds and stay within the range that
the set points span, so that a run of minutes has seen the whole of normal.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from plant.devices import counter_words, float_words, words_float

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE_COUNTER_WRAP = 100
# The day tank is filled from the lower level to the upper one.
TANK_PERCENT = (40.0, 80.0)
# Metres by which the inlet chamber stands lower when little is drawn, and where that ends.
LEVEL_DROP = 0.12
LOWEST_LEVEL = 2.5


@dataclass(slots=True)
class Image:
    """What a PLC shows after a step: discrete inputs and input registers."""

    discrete: list[bool]
    inputs: list[int]
    turbidity_inputs: list[int] = field(default_factory=list)


class Process(Protocol):
    """A piece of plant behind one PLC; its total outlives a reboot of the PLC."""

    clock: Clock
    total: float
    elapsed: float

    def step(self, seconds: float, coils: list[bool], holding: list[int]) -> Image:
        """Let `seconds` pass under these commands and show the result."""


def approach(value: float, target: float, tau: float, seconds: float) -> float:
    """Move `value` to `target` as a first-order lag with time constant `tau`."""
    return value + (target - value) * min(1.0, seconds / tau)


class Clock:
    """The PLC's life counter: one a second, 0 to 99."""

    def __init__(self, rng: random.Random) -> None:
        """Start anywhere, as after a power-up in the past."""
        self._seconds = float(rng.randrange(LIFE_COUNTER_WRAP))

    def restart(self) -> None:
        """Count from 0, as after a reboot."""
        self._seconds = 0.0

    def step(self, seconds: float) -> int:
        """Let `seconds` pass; the count now."""
        self._seconds = (self._seconds + seconds) % LIFE_COUNTER_WRAP
        return int(self._seconds)


class Demand:
    """What the town draws: from 0 to 1 in waves of about 50 minutes.

    It moves what the set points leave free, and nothing beyond what they span.
    """

    def __init__(self, rng: random.Random, *, high: bool = False) -> None:
        """Begin anywhere in a wave; with `high` at its top, so that a walk sees the most."""
        self._phase = rng.uniform(0.0, 2 * math.pi)
        if high:
            self._phase = math.pi / 2
        self._period = rng.uniform(2_700.0, 3_300.0)

    def at(self, seconds: float) -> float:
        """Say what is drawn `seconds` after the start."""
        return 0.5 + 0.5 * math.sin(self._phase + 2 * math.pi * seconds / self._period)


class Steady:
    """A demand that never changes: all that the set points allow."""

    def at(self, seconds: float) -> float:
        """Say 1, at any time."""
        del seconds
        return 1.0


AnyDemand = Demand | Steady


def _volume(seed: int, litres: int) -> float:
    # A later recording finds the totalisers further on, as a later day would.
    return float(litres + 900_000 * seed)


class Piece:
    """What the pieces of plant have in common: the PLC's clock, and the town's demand."""

    def __init__(self, rng: random.Random, demand: AnyDemand) -> None:
        """Start the clock; the demand counts from here."""
        self._rng = rng
        self.clock = Clock(rng)
        self.total = 0.0
        self._demand, self.elapsed = demand, 0.0

    def _draw(self, seconds: float) -> float:
        self.elapsed += seconds
        return self._demand.at(self.elapsed)


class Intake(Piece):
    """PLC-1: three raw water pumps feed the inlet chamber through V-101."""

    def __init__(self, seed: int, rng: random.Random, demand: AnyDemand) -> None:
        """Start at rest near the set points."""
        super().__init__(rng, demand)
        self._level, self._flow = 3.0, 100.0
        self.total = _volume(seed, 48_211_000)
        self._running = [0.0, 0.0, 0.0]

    def step(self, seconds: float, coils: list[bool], holding: list[int]) -> Image:
        """Show level m, flow m3/h, litres in total, current 0.1 A, life counter."""
        drawn = self._draw(seconds)
        valve = coils[3]
        self._running = [
            approach(was, float(run), 1.0, seconds)
            for was, run in zip(self._running, coils[:3], strict=True)
        ]
        pumps = sum(self._running)
        limit = words_float(holding[2:4])
        flow = min(pumps * 75.0 * holding[1] / 1000.0, limit) if valve else 0.0
        flow *= 0.9 + 0.1 * drawn
        self._flow = approach(self._flow, flow, 3.0, seconds)
        level = holding[0] / 100.0
        # Drawing lowers the chamber below its set point, though not below the lowest one.
        level = max(level - LEVEL_DROP * (1.0 - drawn), min(level, LOWEST_LEVEL))
        self._level = approach(self._level, level, 4.0, seconds)
        self.total += self._flow / 3.6 * seconds
        level = self._level + self._rng.uniform(-0.03, 0.03)
        current = round(pumps * holding[1] * 0.42 + self._rng.uniform(0, 4))
        feedback = [share > 0.5 for share in self._running]
        switches = [valve, not valve, level > 3.4, level < 2.6, False]
        return Image(
            discrete=feedback + switches,
            inputs=[
                *float_words(round(level, 2)),
                *float_words(round(self._flow + self._rng.uniform(0, 0.8), 1)),
                *counter_words(int(self.total)),
                current,
                self.clock.step(seconds),
            ],
        )


class Filtration(Piece):
    """PLC-2: two sand filters with backwash, and a turbidity meter behind them."""

    def __init__(self, seed: int, rng: random.Random, demand: AnyDemand) -> None:
        """Start with both filters half loaded."""
        super().__init__(rng, demand)
        self._pressure = [20.0, 20.0]
        self._flow, self._turbidity = 120.0, 0.3
        self.total = _volume(seed, 31_870_000)

    def step(self, seconds: float, coils: list[bool], holding: list[int]) -> Image:
        """Show two pressure drops kPa, flow 0.1 m3/h, total litres, life counter."""
        drawn = self._draw(seconds)
        backwash = coils[2]
        rate = float(holding[1])
        limit = words_float(holding[2:4])
        for n in (0, 1):
            loaded = min((8.0 + 30.0 * rate / 160.0) * (0.92 + 0.08 * drawn), limit)
            target = loaded if coils[n] and not backwash else 5.0
            self._pressure[n] = approach(self._pressure[n], target, 4.0, seconds)
        open_filters = 0 if backwash else coils[0] + coils[1]
        self._flow = approach(self._flow, rate * open_filters / 2, 3.0, seconds)
        clarity = 0.1 + 0.4 * rate / 160.0 if open_filters else 0.1
        self._turbidity = approach(self._turbidity, clarity, 4.0, seconds)
        self.total += self._flow / 3.6 * seconds
        drops = [drop + self._rng.uniform(-0.2, 0.2) for drop in self._pressure]
        turbidity = self._turbidity + self._rng.uniform(0, 0.02)
        high = [drop > limit - 3.0 for drop in drops]
        switches = [coils[0], coils[1], coils[2], coils[3], *high, False, True]
        return Image(
            discrete=switches,
            inputs=[
                *float_words(round(drops[0], 1)),
                *float_words(round(drops[1], 1)),
                round(self._flow * 10 + self._rng.uniform(0, 9)),
                *counter_words(int(self.total)),
                self.clock.step(seconds),
            ],
            turbidity_inputs=[*float_words(round(turbidity, 3)), 0],
        )


class Dosing(Piece):
    """PLC-3: chlorine and caustic are dosed into the outlet main through V-304."""

    def __init__(self, seed: int, rng: random.Random, demand: AnyDemand) -> None:
        """Start near the set points with a half full day tank."""
        super().__init__(rng, demand)
        self._ph, self._chlorine = 7.4, 0.5
        self._tank, self._filling = rng.uniform(45.0, 75.0), False
        self.total = _volume(seed, 2_406_000)

    def step(self, seconds: float, coils: list[bool], holding: list[int]) -> Image:
        """Show pH, chlorine mg/l, tank 0.1 %, total ml, life counter."""
        drawn = self._draw(seconds)
        chlorine_on, caustic_on = coils[0] and coils[3], coils[1] and coils[3]
        chlorine = holding[0] / 100.0 * (0.96 + 0.04 * drawn) if chlorine_on else 0.05
        ph = words_float(holding[2:4]) if caustic_on else 7.0
        self._chlorine = approach(self._chlorine, chlorine, 4.0, seconds)
        self._ph = approach(self._ph, ph, 4.0, seconds)
        stroke = holding[1] if chlorine_on else 0
        self.total += stroke * 0.5 * seconds
        self._tank += seconds * (2.5 if self._filling else -1.0)
        self._tank = min(max(self._tank, TANK_PERCENT[0]), TANK_PERCENT[1])
        if self._tank in TANK_PERCENT:
            self._filling = self._tank == TANK_PERCENT[0]
        measured_ph = self._ph + self._rng.uniform(-0.02, 0.02)
        measured_chlorine = self._chlorine + self._rng.uniform(0, 0.02)
        switches = [*coils[:4], self._filling, measured_chlorine < 0.2, False, True]
        return Image(
            discrete=switches,
            inputs=[
                *float_words(round(measured_ph, 2)),
                *float_words(round(measured_chlorine, 3)),
                round(self._tank * 10),
                *counter_words(int(self.total)),
                self.clock.step(seconds),
            ],
        )


def build_process(plc: str, seed: int, demand: AnyDemand | None = None, boot: int = 0) -> Process:
    """Build the process behind the PLC of that name; KeyError if there is none.

    `boot` counts reboots: each has its own noise.
    """
    kinds: dict[str, Callable[[int, random.Random, AnyDemand], Process]]
    kinds = {"plc-1": Intake, "plc-2": Filtration, "plc-3": Dosing}
    again = f"/boot{boot}" if boot else ""
    return kinds[plc](seed, random.Random(f"{seed}/process/{plc}{again}"), demand or Steady())
