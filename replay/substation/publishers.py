"""Publishers of a substation, on the stack of libiec61850 (its Python binding, pyiec61850-ng).

Each publishes on an interface of its own and keeps its numbers as IEC 61850-8-1 and 9-2 demand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from pyiec61850 import pyiec61850 as stack

REPEATS = (0.002, 0.004, 0.008, 0.016, 0.1)
"""Seconds after which an event is repeated, then once in each HEARTBEAT."""
HEARTBEAT = 1.0
LIVE_MS = 2_000
RATE = 20
"""Samples a second; a real merging unit takes 4,000."""
CHANNELS = 8
NOMINAL = (600, 600, 600, 0, 63_500, 63_500, 63_500, 0)
"""Amplitudes of three currents and three voltages, each with their sum."""


def _parameters(appid: int, last: int, kind: int) -> Any:
    parameters = stack.CommParameters()
    parameters.appId = appid
    parameters.vlanId = 0
    parameters.vlanPriority = 4
    stack.CommParameters_setDstAddress(parameters, 0x01, 0x0C, 0xCD, kind, 0x00, last)
    return parameters


@dataclass(slots=True)
class Goose:
    """One control block: positions and qualities of two switches, and a current."""

    interface: str
    device: str
    appid: int
    last: int
    positions: list[int] = field(default_factory=lambda: [2, 2])
    current: float = 600.0
    publisher: Any = None
    due: float = 0.0
    repeated: int = 0

    def open(self) -> None:
        """Open the interface. RuntimeError if it cannot be."""
        parameters = _parameters(self.appid, self.last, 1)
        self.publisher = stack.GoosePublisher_create(parameters, self.interface)
        if self.publisher is None:
            message = f"no publisher on {self.interface}"
            raise RuntimeError(message)
        block = f"{self.device}LD0/LLN0"
        stack.GoosePublisher_setGoCbRef(self.publisher, f"{block}$GO$gcb1")
        stack.GoosePublisher_setDataSetRef(self.publisher, f"{block}$positions")
        stack.GoosePublisher_setGoID(self.publisher, f"{self.device}_gcb1")
        stack.GoosePublisher_setConfRev(self.publisher, 100)
        stack.GoosePublisher_setTimeAllowedToLive(self.publisher, LIVE_MS)

    def event(self, now: float) -> None:
        """Publish a change at once; repetitions follow."""
        stack.GoosePublisher_increaseStNum(self.publisher)
        self.repeated = 0
        self.publish(now)

    def number(self, state: int, sequence: int) -> None:
        """Go on with these numbers, whatever came before."""
        stack.GoosePublisher_setStNum(self.publisher, state)
        stack.GoosePublisher_setSqNum(self.publisher, sequence)

    def simulate(self) -> None:
        """Mark what follows as simulated."""
        stack.GoosePublisher_setSimulation(self.publisher, True)

    def publish(self, now: float) -> None:
        """Publish once more, and say when it is due again."""
        values = stack.LinkedList_create()
        for position in self.positions:
            bits = stack.MmsValue_newBitString(2)
            stack.MmsValue_setBitStringFromIntegerBigEndian(bits, position)
            stack.LinkedList_add(values, bits)
            stack.LinkedList_add(values, stack.MmsValue_newBitString(13))
        stack.LinkedList_add(values, stack.MmsValue_newFloat(self.current))
        stack.GoosePublisher_publish(self.publisher, values)
        stack.LinkedList_destroyDeep_MmsValueDelete(values)
        wait = REPEATS[self.repeated] if self.repeated < len(REPEATS) else HEARTBEAT
        self.due = now + wait
        self.repeated += 1


@dataclass(slots=True)
class MergingUnit:
    """One stream of 9-2LE: eight channels, each with its quality."""

    interface: str
    name: str
    appid: int
    last: int
    scale: float = 1.0
    count: int = 0
    publisher: Any = None
    asdu: Any = None
    places: list[tuple[int, int]] = field(default_factory=list)
    due: float = 0.0

    def open(self) -> None:
        """Open the interface. RuntimeError if it cannot be."""
        parameters = _parameters(self.appid, self.last, 4)
        self.publisher = stack.SVPublisher_create(parameters, self.interface)
        if self.publisher is None:
            message = f"no publisher on {self.interface}"
            raise RuntimeError(message)
        self.asdu = stack.SVPublisher_addASDU(self.publisher, self.name, None, 1)
        for _ in range(CHANNELS):
            number = stack.SVPublisher_ASDU_addINT32(self.asdu)
            quality = stack.SVPublisher_ASDU_addQuality(self.asdu)
            self.places.append((number, quality))
        stack.SVPublisher_setupComplete(self.publisher)
        stack.SVPublisher_ASDU_setSmpSynch(self.asdu, 2)  # into the buffer that is there now

    def publish(self, now: float) -> None:
        """Publish the sample of this moment, and say when the next one is due."""
        for channel, (number, quality) in enumerate(self.places):
            # One turn in RATE + 1 samples, so that a second shows the whole wave.
            angle = 2 * math.pi * (self.count / (RATE - 1) + channel % 4 / 3)
            value = round(self.scale * NOMINAL[channel] * math.sin(angle))
            stack.SVPublisher_ASDU_setINT32(self.asdu, number, value)
            stack.SVPublisher_ASDU_setQuality(self.asdu, quality, 0)
        stack.SVPublisher_ASDU_setSmpCnt(self.asdu, self.count)
        stack.SVPublisher_publish(self.publisher)
        self.count = (self.count + 1) % RATE
        self.due = max(self.due, now - 1 / RATE) + 1 / RATE
