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
CALIBRATION = 100_000


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
    """Learn and judge once: CPU seconds by part, ticks, and messages.

    Reading the clock costs as much as the smallest parts do: what watching takes is subtracted.
    """
    alerts: list[Alert] = []
    pipeline = compose.make_pipeline(
        compose.Rules.load(()), compose.make_inventory(), alerts.extend, sensor="price"
    )
    hotpath = _hotpath.Hotpath()
    feed(pipeline, hotpath, learn, is_learning=True)
    pipeline.finish()
    watches = [
        *(Watch(one, call, one.name) for one in pipeline.detectors for call in CALLS),
        Watch(pipeline.inventory, "take", "inventory"),
        Watch(pipeline.losses, "take", "losses"),
        Watch(pipeline._completeness, "take", "completeness"),  # noqa: SLF001
        Watch(pipeline._agreement, "take", "agreement"),  # noqa: SLF001
        Watch(pipeline.triage, "take", "triage"),
    ]
    counters = pipeline.counters
    ticks, messages = counters.ticks, counters.messages
    before = time.thread_time()
    feed(pipeline, hotpath, judge, is_learning=False)
    whole = time.thread_time() - before
    inside, around = cost_of_watching()
    spent: dict[str, float] = defaultdict(float)
    for one in watches:
        spent[one.name] += one.spent - one.calls * inside
        whole -= one.calls * around
    spent["cutting ticks, dictionaries, the rest"] = whole - sum(spent.values())
    spent["**the judging thread**"] = whole
    return dict(spent), counters.ticks - ticks, counters.messages - messages


class Watch:
    """Adds up the CPU time of all calls of a method."""

    def __init__(self, part: object, call: str, name: str) -> None:
        """`name` is what the table calls it."""
        self.name = name
        self.spent = 0.0  # CPU seconds
        self.calls = 0
        self._method: Callable[..., Any] = getattr(part, call)
        setattr(part, call, self)

    def __call__(self, *arguments: Any) -> Any:
        """Call the method."""
        before = time.thread_time()
        result = self._method(*arguments)
        self.spent += time.thread_time() - before
        self.calls += 1
        return result


class Nothing:
    """What is watched to know what watching costs."""

    def take(self) -> None:
        """Do nothing."""


def cost_of_watching() -> tuple[float, float]:
    """CPU seconds that watching adds to a call: as the watch sees it, and in all."""
    plain, watched = Nothing(), Nothing()
    watch = Watch(watched, "take", "")
    moments = [time.thread_time()]
    for nothing in (plain, watched):
        for _ in range(CALIBRATION):
            nothing.take()
        moments.append(time.thread_time())
    start, middle, end = moments
    return watch.spent / CALIBRATION, (end - middle - (middle - start)) / CALIBRATION


def feed(pipeline: Pipeline, hotpath: Any, capture: Path, *, is_learning: bool) -> None:
    """Judge or learn a capture."""
    pipeline.begin(capture.name, digest(capture))
    for batch in batches(hotpath, capture, pipeline.learned):
        pipeline.feed(batch, lambda _: is_learning)
    pipeline.end_source()


if __name__ == "__main__":
    raise SystemExit(main())
