"""The plant's drawing: hosts, register maps, what is polled and what may be written."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

FILTRATION_UNIT = 1
TURBIDITY_UNIT = 11


def float_words(value: float) -> list[int]:
    """Spell a float as two registers, high word first (IEEE 754 single)."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [high, low]


def words_float(words: list[int]) -> float:
    """Read back what `float_words` spelled; exactly two words."""
    (value,) = struct.unpack(">f", struct.pack(">HH", *words))
    return float(value)


def counter_words(value: int) -> list[int]:
    """Spell a 32-bit counter as two registers, high word first."""
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


@dataclass(frozen=True, slots=True)
class Host:
    """A device on the wire; the first three bytes of the MAC are its vendor's."""

    name: str
    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class Read:
    """One request that a client repeats; `function` is 1, 2, 3 or 4."""

    function: Literal[1, 2, 3, 4]
    address: int
    count: int
    unit: int = 1


# What a standby HMI reads to see that a PLC lives: its life counter.
LIFE_SIGN = Read(4, 7, 1)
# What an engineer's tool reads while it is open: all registers there are.
MAINTENANCE_READS = (Read(3, 0, 16), Read(4, 0, 16))


@dataclass(frozen=True, slots=True)
class Switch:
    """Coils that an operator switches together; one by FC 5, more by FC 15."""

    tag: str
    address: int
    count: int
    initial: bool


@dataclass(frozen=True, slots=True)
class SetPoint:
    """A set point in `step`s from `low` to `high`; one register, or a float pair."""

    tag: str
    address: int
    low: float
    high: float
    step: float
    initial: float
    pair: bool = False

    def words(self, value: float) -> list[int]:
        """Spell `value` as this set point's registers (1 or 2 words)."""
        return float_words(value) if self.pair else [round(value)]

    def choices(self) -> list[float]:
        """All values that operators use, rising."""
        steps = round((self.high - self.low) / self.step)
        return [round(self.low + self.step * n, 3) for n in range(steps + 1)]


Actuator = Switch | SetPoint


@dataclass(frozen=True, slots=True)
class Plc:
    """A controller: its size in points, its actuators, and who polls what of it."""

    host: Host
    vendor: str
    product: str
    revision: str
    coils: int
    discrete: int
    holding: int
    inputs: int
    actuators: tuple[Actuator, ...]
    hmi_reads: tuple[Read, ...]
    historian_reads: tuple[Read, ...]


HMI = Host("hmi", "10.20.2.10", "00:d0:c9:3a:51:10")
HISTORIAN = Host("historian", "10.20.2.20", "3c:52:82:6b:1e:20")
ENGINEERING = Host("engineering", "10.20.2.30", "48:4d:7e:a4:07:30")
ROGUE = Host("rogue", "10.20.2.66", "b8:27:eb:5d:c0:66")
STANDBY = Host("standby", "10.20.2.11", "00:d0:c9:3a:51:11")
ROUTER = Host("router", "10.20.0.1", "00:09:0f:2c:80:01")
# Behind the router; their MACs are never seen in the plant.
ARCHIVE = Host("archive", "10.30.0.5", "3c:52:82:90:ab:05")
TIME_SERVER = Host("time", "10.30.0.2", "00:80:ea:61:07:02")

PLC_1 = Plc(
    host=Host("plc-1", "10.20.1.11", "00:80:f4:12:9c:11"),
    vendor="Schneider Electric",
    product="BMX P34 2020",
    revision="V2.70",
    coils=4,
    discrete=8,
    holding=8,
    inputs=8,
    actuators=(
        Switch("P-101 run", 0, 1, initial=True),
        Switch("P-102 run", 1, 1, initial=True),
        Switch("P-103 run", 2, 1, initial=False),
        Switch("V-101 open", 3, 1, initial=True),
        SetPoint("LIC-101 level, cm", 0, 250, 350, 10, 300),
        SetPoint("P-101..103 speed, 0.1 %", 1, 600, 900, 50, 750),
        SetPoint("FIC-101 flow limit, m3/h", 2, 120.0, 180.0, 5.0, 150.0, pair=True),
    ),
    hmi_reads=(Read(1, 0, 4), Read(2, 0, 8), Read(3, 0, 4), Read(4, 0, 8)),
    historian_reads=(Read(4, 0, 16), Read(3, 0, 12)),
)

PLC_2 = Plc(
    host=Host("plc-2", "10.20.1.12", "00:30:de:44:70:12"),
    vendor="WAGO",
    product="750-8212",
    revision="04.06.03",
    coils=4,
    discrete=8,
    holding=8,
    inputs=8,
    actuators=(
        Switch("F-201 inlet open", 0, 1, initial=True),
        Switch("F-202 inlet open", 1, 1, initial=True),
        Switch("P-210 and B-211 backwash", 2, 2, initial=False),
        SetPoint("KIC-201 backwash interval, min", 0, 30, 120, 15, 60),
        SetPoint("FIC-201 filter rate, m3/h", 1, 80, 160, 10, 120),
        SetPoint("PDIC-201 limit, kPa", 2, 25.0, 45.0, 2.5, 35.0, pair=True),
    ),
    hmi_reads=(
        Read(1, 0, 4),
        Read(2, 0, 8),
        Read(3, 0, 4),
        Read(4, 0, 8),
        Read(4, 0, 3, TURBIDITY_UNIT),
    ),
    historian_reads=(Read(4, 0, 16), Read(3, 0, 12), Read(4, 0, 6, TURBIDITY_UNIT)),
)

PLC_3 = Plc(
    host=Host("plc-3", "10.20.1.13", "00:a0:45:8e:2b:13"),
    vendor="Phoenix Contact",
    product="AXC F 2152",
    revision="2023.0.7",
    coils=4,
    discrete=8,
    holding=8,
    inputs=8,
    actuators=(
        Switch("DP-301 chlorine run", 0, 1, initial=True),
        Switch("DP-302 caustic run", 1, 1, initial=True),
        Switch("M-303 stirrer run", 2, 1, initial=True),
        Switch("V-304 dosing open", 3, 1, initial=True),
        SetPoint("QIC-301 chlorine, 0.01 mg/l", 0, 30, 80, 5, 50),
        SetPoint("DP-301 stroke rate, %", 1, 20, 80, 10, 50),
        SetPoint("QIC-302 pH", 2, 7.2, 7.8, 0.1, 7.5, pair=True),
    ),
    hmi_reads=(Read(1, 0, 4), Read(2, 0, 8), Read(3, 0, 4), Read(4, 0, 8)),
    historian_reads=(Read(4, 0, 16), Read(3, 0, 12)),
)

PLCS = (PLC_1, PLC_2, PLC_3)
PLC_BY_NAME = {plc.host.name: plc for plc in PLCS}
HOSTS = (*(plc.host for plc in PLCS), HMI, HISTORIAN, ENGINEERING)
