"""Tell what each part of judging costs: by tick of a slow plant, and by message of a dense one.

Run as `python tools/price.py LEARN JUDGE`: LEARN is declared as normal, then JUDGE is judged, and
the CPU time of the judging thread is read around every call of every part.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otids import _hotpath, compose
from otids.alerts.alert import Alert
from otids.capture.files import batches, digest
from otids.pipeline import Pipeline

CALLS = ("judge", "learn", "due")
MILLION = 1_000_000


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description="what each part of judging costs")
    parser.add_argument("learn", type=Path)
    parser.add_argument("judge", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="the median of so many is told")
    options = parser.parse_args()
    runs = [price(options.learn, options.judge) for _ in range(options.runs)]
    ticks, messages = runs[0][1:]
    lines = [
        f"{ticks} ticks, {messages} messages, median of {len(runs)} runs\n",
        "| part | µs a tick | s a million messages |",
        "|---|--:|--:|",
    ]
    medians = {part: statistics.median(one[0][part] for one in runs) for part in runs[0][0]}
    for part, spent in sorted(medians.items(), key=lambda one: -one[1]):
        per_message = spent / max(messages, 1) * MILLION
        lines.append(f"| {part} | {spent / ticks * MILLION:.0f} | {per_message:.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def price(learn: Path, judge: Path) -> tuple[dict[str, float], int, int]:
    """Learn and judge once: CPU seconds by part, ticks, and messages."""
    alerts: list[Alert] = []
    pipeline = compose.make_pipeline(
        compose.Rules.load(()), compose.make_inventory(), alerts.extend, sensor="price"
    )
    hotpath = _hotpath.Hotpath()
    feed(pipeline, hotpath, learn, is_learning=True)
    pipeline.finish()
    spent: dict[str, float] = defaultdict(float)
    for detector in pipeline.detectors:
        for call in CALLS:
            watch(detector, call, detector.name, spent)
    watch(pipeline.inventory, "take", "inventory", spent)
    watch(pipeline.losses, "take", "losses", spent)
    watch(pipeline._completeness, "take", "completeness", spent)  # noqa: SLF001
    watch(pipeline._agreement, "take", "agreement", spent)  # noqa: SLF001
    watch(pipeline.triage, "take", "triage", spent)
    counters = pipeline.counters
    ticks, messages = counters.ticks, counters.messages
    before = time.thread_time()
    feed(pipeline, hotpath, judge, is_learning=False)
    whole = time.thread_time() - before
    spent["cutting ticks, dictionaries, the rest"] = whole - sum(spent.values())
    spent["**the judging thread**"] = whole
    return dict(spent), counters.ticks - ticks, counters.messages - messages


def feed(pipeline: Pipeline, hotpath: Any, capture: Path, *, is_learning: bool) -> None:
    """Judge or learn a capture."""
    pipeline.begin(capture.name, digest(capture))
    for batch in batches(hotpath, capture, pipeline.learned):
        pipeline.feed(batch, lambda _: is_learning)
    pipeline.end_source()


def watch(part: object, call: str, name: str, spent: dict[str, float]) -> None:
    """Add the CPU time of every call of a method of `part` to `spent[name]`."""
    method: Callable[..., Any] = getattr(part, call)

    def timed(*arguments: Any) -> Any:
        before = time.thread_time()
        result = method(*arguments)
        spent[name] += time.thread_time() - before
        return result

    setattr(part, call, timed)


if __name__ == "__main__":
    raise SystemExit(main())
