"""What otids is meant to cost beside others, and how far it is from that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contenders import DECODED, LIBPCAP, PYSHARK, RECORDS, REPLAYED, SURICATA
from running import Marginal

SNORT, ZEEK = "Snort 3, built-in rules", "Zeek with icsnpp-modbus"
ELSEWHERE = {SNORT: 1_110_000 / 244_000, ZEEK: 66_000 / 244_000}
"""How many times as fast as Suricata with its Modbus log they were on another machine.

Debian has neither package: where Suricata was measured, they are estimated by it.
"""


@dataclass(frozen=True)
class Target:
    """`ours` handles at least `factor` times as many frames a CPU second as `theirs`."""

    ours: str
    theirs: str
    factor: float


TARGETS = (
    Target(DECODED, LIBPCAP, 1 / 4),
    Target(REPLAYED, SNORT, 2),
    Target(REPLAYED, SURICATA, 10),
    Target(REPLAYED, ZEEK, 30),
    Target(REPLAYED, PYSHARK, 3_000),
    Target(RECORDS, SURICATA, 5),
    Target(RECORDS, ZEEK, 15),
)
LEAST_MEMORY = 300
"""MiB that otids stays under."""
LEAST_START, LEAST_HOUR = 1.5, 2.0
"""CPU seconds for a start, and for an hour of a low-rate plant."""


def rows(measured: Mapping[str, Marginal]) -> Iterator[tuple[str, ...]]:
    """A row for each target: who, beside whom, wanted, reached, and the verdict."""
    yield "target", "wanted", "reached", ""
    for one in TARGETS:
        ours, theirs = measured.get(one.ours), _speed(one.theirs, measured)
        words = f"{one.ours} : {one.theirs}"
        wanted = f"{one.factor:g}"
        if ours is None or theirs is None:
            yield words, wanted, "-", "not measured"
            continue
        ratio = ours.frames_a_second / theirs
        estimated = f", by an estimate of {one.theirs}" if one.theirs in ELSEWHERE else ""
        yield words, wanted, f"{ratio:.3g}", verdict(ratio / one.factor) + estimated


def _speed(name: str, measured: Mapping[str, Marginal]) -> float | None:
    """Frames a CPU second of a peer."""
    if name in ELSEWHERE:
        suricata = measured.get(SURICATA)
        return None if suricata is None else suricata.frames_a_second * ELSEWHERE[name]
    found = measured.get(name)
    return None if found is None else found.frames_a_second


def verdict(reached: float) -> str:
    """Whether a target is met; `reached` is 1 where it just is."""
    if reached >= 1:
        return f"met, {reached:.2g} times over" if reached < float("inf") else "met"
    return f"MISSED by a factor of {1 / reached:.2g}" if reached > 0 else "MISSED"
