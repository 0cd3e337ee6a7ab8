"""Degrade a capture as a bad mirror port does: drop frames at random, or keep one direction.

Run as `python replay/degrade.py CAPTURE OUTPUT [--drop PERCENT] [--seed N] [--only SIDE]`.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parent))

from plant.frames import read_pcap, write_pcap

Frame = tuple[int, bytes]
Side = Literal["clients", "servers"]

_TRANSPORTS = (6, 17)


def drop(frames: list[Frame], percent: float, seed: int) -> list[Frame]:
    """Drop each frame by chance; of all about `percent`."""
    rng = random.Random(f"{seed}/drop")
    return [frame for frame in frames if rng.random() * 100.0 >= percent]


def keep(frames: list[Frame], side: Side) -> list[Frame]:
    """Keep of TCP and UDP what clients or what servers send; all else stays.

    The server is who has the lower port; between equal ports (NTP) there is none.
    """
    return [frame for frame in frames if _sender(frame[1]) in (side, None)]


def _sender(frame: bytes) -> Side | None:
    if frame[12:14] != b"\x08\x00" or frame[23] not in _TRANSPORTS:
        return None
    at = 14 + (frame[14] & 0x0F) * 4
    source, target = frame[at : at + 2], frame[at + 2 : at + 4]
    if source == target:
        return None
    return "servers" if source < target else "clients"


def main() -> int:
    """Degrade one capture."""
    parser = argparse.ArgumentParser(description="degrade a capture")
    parser.add_argument("capture", type=Path, help="gzipped pcap with microseconds")
    parser.add_argument("output", type=Path)
    parser.add_argument("--drop", type=float, default=0.0, help="percent of the frames")
    parser.add_argument("--seed", type=int, default=1, help="of what is dropped")
    parser.add_argument("--only", choices=("clients", "servers"), help="whose frames to keep")
    options = parser.parse_args()
    frames = read_pcap(options.capture)
    if options.only:
        frames = keep(frames, options.only)
    write_pcap(options.output, drop(frames, options.drop, options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
