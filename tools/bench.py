"""Measures what otids costs on this machine: CPU seconds and memory of whole processes.

usage: python tools/bench.py [--loops 1,5,10] [--runs 3] CAPTURE

CAPTURE is a classic pcap of Ethernet, plain or gzip. It is looped: written as often as said behind
itself to a temporary folder, each time later and with other TCP sequence numbers (checksums are
left as they are), so that nothing in it is a retransmission. Each stage is run over each of these
in a process of its own. Told are the medians of user and system seconds and of the most memory, and
the marginal cost: that of the longest less that of the shortest, by frame, in which start-up does
not count.
"""

import argparse
import gzip
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEADER = 24
RECORD = struct.Struct("<IIII")
PAUSE = 1
"""Seconds between two loops."""
ANOTHER = 0x1357_9BDF
"""What is added to sequence numbers with each loop."""
ETHERNET, IPV4, TCP = 14, b"\x08\x00", 6

HOTPATH = """
import sys
from otids import _hotpath
hotpath = _hotpath.Hotpath()
hotpath.open(sys.argv[1])
while (batch := hotpath.next_batch()) is not None:
    if batch.census:
        import numpy
        none = numpy.zeros(0, numpy.uint32)
        hotpath.settle(endpoints=none, conversations=none, symbols=none, points=none)
"""
STRUCT = """
import struct, sys
unpack, count = struct.Struct("<IIII").unpack_from, 0
with open(sys.argv[1], "rb") as file:
    file.read(24)
    while record := file.read(16):
        _, _, size, _ = unpack(record)
        file.read(size)
        count += 1
"""
OTIDS = (sys.executable, "-P", "-m", "otids")
REPLAY = (*OTIDS, "replay", "--quiet", "--state", "{folder}/state")
STAGES = {
    "bare Python loop over records": (sys.executable, "-c", STRUCT, "{capture}"),
    "hot path alone": (sys.executable, "-P", "-c", HOTPATH, "{capture}"),
    "otids decode": (*OTIDS, "decode", "--output", "{folder}/out.jsonl", "{capture}"),
    "otids replay, learning by itself": (*REPLAY, "{capture}"),
    "otids replay, one loop declared as normal": (*REPLAY, "--learn", "{once}", "{capture}"),
}


@dataclass(frozen=True)
class Cost:
    """What one process took: CPU seconds, and its largest memory in MiB."""

    seconds: float
    memory: float


def loop(capture: Path, times: int, into: Path) -> int:
    """Write a capture `times` times behind itself; return how many frames there are then.

    It is streamed: what this process holds is counted to the processes that it starts.
    """
    count = shift = 0
    with into.open("wb") as out:
        for turn in range(times):
            first = last = None
            for seconds, rest, frame in _records(capture, out if turn == 0 else None):
                first = seconds if first is None else first
                last = seconds
                _renumber(frame, turn)
                out.write(struct.pack("<I", seconds + turn * shift) + rest + frame)
                count += 1
            if first is None or last is None:
                raise SystemExit(f"{capture}: holds no frames")
            shift = last - first + PAUSE
    return count


def _records(capture: Path, out: BinaryIO | None) -> Iterator[tuple[int, bytes, bytearray]]:
    """Yield second, rest of the header and bytes of each frame; hand the file's header to `out`."""
    opened = gzip.open if capture.suffix == ".gz" else open
    with opened(capture, "rb") as file:
        header = file.read(HEADER)
        if header[:4] not in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"}:
            raise SystemExit(f"{capture}: is not a classic little-endian pcap")
        if out is not None:
            out.write(header)
        while record := file.read(RECORD.size):
            seconds, _, size, _ = RECORD.unpack(record)
            yield seconds, record[4:], bytearray(file.read(size))


def _renumber(frame: bytearray, turn: int) -> None:
    """Give a frame other TCP sequence numbers, if it has any (VLAN and IPv6 are left alone)."""
    if not turn or frame[ETHERNET - 2 : ETHERNET] != IPV4 or frame[ETHERNET + 9] != TCP:
        return
    tcp = ETHERNET + 4 * (frame[ETHERNET] & 0x0F)
    for place in (tcp + 4, tcp + 8):
        (number,) = struct.unpack_from(">I", frame, place)
        struct.pack_into(">I", frame, place, (number + turn * ANOTHER) & 0xFFFF_FFFF)


def run(command: tuple[str, ...], capture: Path, once: Path) -> Cost:
    """Run a stage once, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="otids-bench-") as folder:
        places = {"{capture}": str(capture), "{once}": str(once), "{folder}": folder}
        filled = [_fill(part, places) for part in command]
        with subprocess.Popen(filled, stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(filled[:6])}: ended with {process.returncode}")
        return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _fill(part: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        part = part.replace(name, place)
    return part


def main() -> None:
    """Measure all stages, and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--loops", default="1,5,10")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stage", default="", help="only stages whose names begin like this")
    parser.add_argument("capture", type=Path)
    options = parser.parse_args()
    loops = sorted(int(times) for times in options.loops.split(","))
    with tempfile.TemporaryDirectory(prefix="otids-bench-") as folder:
        once = Path(folder, "once.pcap")
        loop(options.capture, 1, once)
        captures = {times: Path(folder, f"{times}.pcap") for times in loops}
        frames = {times: loop(options.capture, times, path) for times, path in captures.items()}
        for name, command in STAGES.items():
            if not name.startswith(options.stage):
                continue
            costs = {
                times: [run(command, path, once) for _ in range(options.runs)]
                for times, path in captures.items()
            }
            seconds = {
                times: statistics.median(one.seconds for one in some)
                for times, some in costs.items()
            }
            for times, some in costs.items():
                memory = statistics.median(one.memory for one in some)
                sys.stdout.write(
                    f"{name}: {frames[times]:,} frames, {seconds[times]:.2f} s CPU, "
                    f"{memory:.0f} MiB\n"
                )
            least, most = loops[0], loops[-1]
            if most > least and seconds[most] > seconds[least]:
                each = (seconds[most] - seconds[least]) / (frames[most] - frames[least])
                sys.stdout.write(
                    f"{name}: {each * 1e9:,.0f} ns a frame, {1 / each:,.0f} frames a CPU second\n"
                )


if __name__ == "__main__":
    main()
