"""Measures what otids costs on this machine, beside other tools, and holds it against the targets.

usage: python tools/bench [--scale 0.1] [--runs 3] [--only PART] [--who TEXT] [CAPTURE...]

Without captures: those beside the project in ../shared/bench if they are there, else the recorded
plant. Told are medians of user and system seconds of whole processes, so that what else the machine
does matters little; and the marginal cost, that of many frames less that of few, by frame.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import looping
from contenders import DECODED, OTIDS, RECORDS, REPLAYED, Contender, contenders, scaled
from running import Cost, Marginal, RunError, marginal, run
from targets import LEAST_HOUR, LEAST_MEMORY, LEAST_START, rows, verdict

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "bench"
RECORDED = ROOT / "replay" / "captures" / "plant" / "plant.pcap.gz"
PARTS = ("peers", "memory", "start", "hour")
LENGTHS = (20_000, 200_000, 2_000_000)
"""Frames for the curve of memory."""
LIMIT = 900.0
"""Seconds after which a process is given up."""


def main() -> int:
    """Measure what is asked for; print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("captures", nargs="*", type=Path, metavar="CAPTURE")
    parser.add_argument("--runs", type=int, default=3, help="medians of so many runs are told")
    parser.add_argument("--scale", type=float, default=1.0, help="take so much of all frames")
    parser.add_argument("--only", choices=PARTS, action="append", help="may be repeated")
    parser.add_argument("--who", action="append", help="only contenders whose names hold this")
    parser.add_argument("--python", type=Path, help="the interpreter that has dpkt")
    parser.add_argument("--json", type=Path, help="write all numbers to this file as well")
    options = parser.parse_args()
    parts = options.only or PARTS
    captures = (
        [one.resolve() for one in options.captures]
        or sorted(SHARED.glob("*.pcap.gz"))
        or [RECORDED]
    )
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="otids-bench-") as folder:
        scratch = Path(folder)
        for capture in captures:
            found[capture.name] = one = {}
            say(f"\n## {capture.name}\n")
            if "peers" in parts:
                one["peers"] = peers(capture, scratch, options)
            if "memory" in parts:
                one["memory"] = memory(capture, scratch, options)
        if "start" in parts:
            found["start"] = start(captures[0], scratch, options)
        if "hour" in parts:
            found["hour"] = hour(scratch, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def peers(capture: Path, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What each contender costs; then the targets."""
    every = [
        scaled(one, options.scale)
        for one in contenders(scratch, options.python)
        if any(text in one.name for text in options.who or [""])
    ]
    counts = {count for one in every if not one.missing for count in (one.few, one.many)}
    paths = looping.write(capture, counts, scratch)
    measured: dict[str, Marginal] = {}
    lines: list[Sequence[str]] = [
        ("who", "frames", "CPU s", "ns a frame", "frames a CPU s", "MiB"),
    ]
    for one in every:
        try:
            measured[one.name] = _contend(one, capture, paths, options.runs)
        except RunError as why:
            lines.append((f"{one.name}: not measured, {why}", *[""] * 5))
        else:
            lines.append(_row(one.name, measured[one.name]))
    table(lines)
    say()
    table(rows(measured))
    for path in paths.values():
        path.unlink()
    return {name: asdict(cost) for name, cost in measured.items()}


def _contend(one: Contender, once: Path, paths: dict[int, Path], runs: int) -> Marginal:
    if one.missing:
        raise RunError(one.missing)
    few, many = paths[one.few], paths[one.many]
    return marginal(
        one.command, {"capture": few, "once": once}, {"capture": many, "once": once},
        (one.few, one.many), runs=runs, limit=LIMIT,
    )  # fmt: skip


def _row(name: str, cost: Marginal) -> tuple[str, ...]:
    return (
        name,
        f"{cost.few:,} / {cost.many:,}",
        f"{cost.few_seconds:.2f} / {cost.many_seconds:.2f}",
        f"{cost.seconds_a_frame * 1e9:,.0f}",
        f"{cost.frames_a_second:,.0f}",
        f"{cost.memory:.0f}",
    )


def memory(capture: Path, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The most memory at once, ten and a hundred times the length."""
    lengths = [max(2, round(length * options.scale)) for length in LENGTHS]
    paths = looping.write(capture, lengths, scratch)
    lines: list[Sequence[str]] = [("MiB at most", *[f"{one:,} frames" for one in lengths], "")]
    peaks: dict[str, list[float]] = {}
    for one in contenders(scratch, None):
        if one.name not in {DECODED, RECORDS, REPLAYED}:
            continue
        costs = [  # each once: the most that is held varies little
            run(one.command, {"capture": paths[length], "once": capture}, LIMIT)
            for length in lengths
        ]
        peaks[one.name] = [cost.memory for cost in costs]
        lines.append(
            (
                one.name,
                *[f"{peak:.0f}" for peak in peaks[one.name]],
                verdict(LEAST_MEMORY / max(peaks[one.name])),
            )
        )
    say()
    table(lines)
    for path in paths.values():
        path.unlink()
    return {"frames": lengths, "peaks": peaks}


def start(capture: Path, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What it costs to begin."""
    nothing = looping.empty(capture, scratch / "empty.pcap")
    jobs = {
        "otids --version": (*OTIDS, "--version"),
        "otids decode of an empty capture": (*OTIDS, "decode", str(nothing)),
        "otids replay of an empty capture": (
            *OTIDS, "replay", "--quiet", "--state", "{folder}/state", str(nothing),
        ),
    }  # fmt: skip
    say("\n## Start\n")
    lines: list[Sequence[str]] = [("job", "CPU s", "MiB", "")]
    costs = {name: _median(command, options.runs) for name, command in jobs.items()}
    lines += [
        (name, f"{cost.seconds:.2f}", f"{cost.memory:.0f}", verdict(LEAST_START / cost.seconds))
        for name, cost in costs.items()
    ]
    table(lines)
    return {name: asdict(cost) for name, cost in costs.items()}


def hour(scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What judging an hour of a slow plant costs, after its recorded normal work was learned."""
    say("\n## An hour of a low-rate plant\n")
    seconds = max(120, round(3_600 * options.scale))
    simulate = (
        sys.executable, str(ROOT / "replay" / "simulate.py"), "plant-quiet", "--seed", "21",
        "--seconds", str(seconds), "--output", str(scratch / "quiet"),
    )  # fmt: skip
    made = subprocess.run(simulate, capture_output=True, text=True, check=False)
    if made.returncode:
        say(f"not measured: the plant was not simulated: {made.stderr.strip().splitlines()[-1:]}")
        return {}
    quiet = scratch / "quiet" / "plant-quiet.pcap.gz"
    frames = looping.length(quiet)
    brief = looping.write(quiet, [min(1_000, frames)], scratch)
    replay = (
        *OTIDS, "replay", "--quiet", "--state", "{folder}/state", "--learn", str(RECORDED),
    )  # fmt: skip
    whole = _median((*replay, str(quiet)), options.runs)
    some = _median((*replay, *map(str, brief.values())), options.runs)
    taken = whole.seconds - some.seconds
    table(
        [
            ("job", "CPU s", "MiB", ""),
            (
                "learn the plant, judge 1,000 frames",
                f"{some.seconds:.2f}",
                f"{some.memory:.0f}",
                "",
            ),
            (f"… judge {seconds:,} s", f"{whole.seconds:.2f}", f"{whole.memory:.0f}", ""),
            ("the difference", f"{taken:.2f}", "", verdict(LEAST_HOUR / max(taken, 1e-9))),
        ]
    )
    return {"seconds": taken, "frames": frames, "whole": asdict(whole), "some": asdict(some)}


def _median(command: Sequence[str], runs: int) -> Cost:
    costs = sorted((run(command, {}, LIMIT) for _ in range(runs)), key=lambda one: one.seconds)
    return costs[len(costs) // 2]


def table(lines: Iterable[Sequence[str]]) -> None:
    """Print a table in Markdown, of which the first line is the head."""
    head, *rest = list(lines)
    say(f"| {' | '.join(head)} |")
    say(f"|---|{'--:|' * (len(head) - 1)}")
    for line in rest:
        say(f"| {' | '.join(line)} |")


def say(line: str = "") -> None:
    """Print a line at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
