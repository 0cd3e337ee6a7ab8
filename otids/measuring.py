"""Measures what each stage costs on this machine: CPU time by frame, from the file to the alert."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from otids import _hotpath
from otids.capture.files import batches, digest
from otids.evaluation.processes import Died, run_each
from otids.pipeline import Pipeline

MakePipeline: TypeAlias = Callable[[], Pipeline]
"""Makes a pipeline that has learned nothing. Goes to another process."""

OWN: Mapping[str, str] = {"net": "read", "decode": "net", "columns": "decode", "records": "decode"}
"""Stages of the hot path, and the one that each builds on."""
WORDS = {
    "read": "read: find frames in the file",
    "net": "net: link, IP, TCP",
    "decode": "decode: messages",
    "columns": "intern, and write columns",
    "records": "write JSON lines (decode only)",
}
HOT_PATH = "hot path to columns, whole"
RECORDS = "decode to JSON lines, whole"
REST = "cutting ticks, dictionaries, the rest"
THREAD = "judging thread, whole"
WHOLE = "replay, whole"

CALLS = ("judge", "learn", "due")
LEAST_SECONDS = 0.5
"""CPU time below which a stage of the hot path is measured again, in more loops."""
MOST_LOOPS = 50
_CALIBRATION = 100_000


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds that a stage takes for the whole capture, once everything was met before."""

    stage: str
    seconds: float


@dataclass(slots=True)
class Measured:
    """What came out; a line in `complaints` for each part that came to no end."""

    frames: int = 0
    messages: int = 0
    ticks: int = 0
    costs: list[Cost] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def records(self) -> Iterator[dict[str, Any]]:
        """The costs, an object each."""
        for cost in self.costs:
            each = cost.seconds / self.frames
            yield {
                "stage": cost.stage,
                "seconds": round(cost.seconds, 6),
                "frames": self.frames,
                "messages": self.messages,
                "ticks": self.ticks,
                "ns_a_frame": round(each * 1e9, 1),
                "frames_a_second": round(1 / each) if each > 0 else None,
                "us_a_tick": round(cost.seconds / self.ticks * 1e6, 1) if self.ticks else None,
            }


def measure(
    capture: Path, learn: Path, make_pipeline: MakePipeline, *, runs: int, time_limit: float
) -> Measured:
    """Measure all stages on `capture`, after `learn` was declared as normal.

    Each stage of the hot path, and each run of judging, has a process of its own, which is given
    up after `time_limit` seconds; one runs at a time. Told are medians of `runs`.
    """
    found = Measured()
    decoded = dict(_each(partial(_decode, capture), _hotpath.STAGES, time_limit, found))
    judge = _Judging(capture, learn, make_pipeline)
    judged = [run for _, run in _each(judge, [f"run {one + 1}" for one in range(runs)],
                                      time_limit, found)]  # fmt: skip
    if decoded:
        found.frames = next(iter(decoded.values())).frames
        found.costs += _of_hotpath({stage: one.seconds for stage, one in decoded.items()})
    if judged:
        first = judged[0]
        found.frames, found.messages, found.ticks = first.frames, first.messages, first.ticks
        found.costs += [
            Cost(part, statistics.median(one.seconds[part] for one in judged))
            for part in first.seconds
        ]
    if not found.frames:  # no frame costs nothing
        found.costs = []
    return found


def _each(
    work: Callable[[str], Any], items: Sequence[str], time_limit: float, found: Measured
) -> Iterator[tuple[str, Any]]:
    """What came of each item, one after the other; who came to no end is noted."""
    for place, outcome in run_each(
        work, items, jobs=1, time_limit=time_limit, modules=[__name__, "otids.compose"]
    ):
        if isinstance(outcome, Died):
            found.complaints.append(f"{items[place]}: {outcome.reason}")
        else:
            yield items[place], outcome


# --- the hot path -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Decoded:
    frames: int
    seconds: float


def _decode(capture: Path, stage: str) -> _Decoded:
    """Run a stage of the hot path over a capture, in as many loops as say something."""
    frames, (_, second) = _hotpath.measure(str(capture), stage, loops=2)
    loops = min(MOST_LOOPS, 1 + int(LEAST_SECONDS / max(second, 1e-9)))
    if loops > 1:
        # The first loop pays for what is new.
        frames, (_, *later) = _hotpath.measure(str(capture), stage, loops=1 + loops)
        second = statistics.median(later)
    return _Decoded(frames, second)


def _of_hotpath(seconds: Mapping[str, float]) -> list[Cost]:
    """What each stage takes by itself; then what it takes with all before it."""
    costs = [
        Cost(WORDS[stage], max(0.0, spent - seconds.get(OWN.get(stage, ""), 0.0)))
        for stage, spent in seconds.items()
    ]
    wholes = (("records", RECORDS), ("columns", HOT_PATH))
    return costs + [Cost(words, seconds[stage]) for stage, words in wholes if stage in seconds]


# --- judging ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    frames: int
    messages: int
    ticks: int
    seconds: Mapping[str, float]  # by part


@dataclass(frozen=True, slots=True)
class _Judging:
    """Learns and judges once, in the process of its own that it is called in."""

    capture: Path
    learn: Path
    make_pipeline: MakePipeline

    def __call__(self, _: str) -> _Judged:
        pipeline, hotpath = self.make_pipeline(), _hotpath.Hotpath()
        _feed(pipeline, hotpath, self.learn, is_learning=True)
        pipeline.finish()
        watches = _watch(pipeline)
        counters = pipeline.counters
        ticks, messages = counters.ticks, counters.messages
        process, thread = time.process_time(), time.thread_time()
        frames = _feed(pipeline, hotpath, self.capture, is_learning=False)
        thread, process = time.thread_time() - thread, time.process_time() - process
        # Reading the clock costs as much as the smallest parts: what watching takes is subtracted.
        inside, around = _cost_of_watching()
        watching = around * sum(one.calls for one in watches)
        spent: dict[str, float] = defaultdict(float)
        for one in watches:
            spent[one.name] += max(0.0, one.spent - one.calls * inside)
        thread, process = thread - watching, process - watching
        spent[REST] = max(0.0, thread - sum(spent.values()))
        spent |= {THREAD: thread, WHOLE: process}
        return _Judged(frames, counters.messages - messages, counters.ticks - ticks, dict(spent))


def _feed(
    pipeline: Pipeline, hotpath: _hotpath.Hotpath, capture: Path, *, is_learning: bool
) -> int:
    """Judge or learn a capture; return its number of frames."""
    frames = 0
    pipeline.begin(capture.name, digest(capture))
    for batch in batches(hotpath, capture, pipeline.learned):
        pipeline.feed(batch, lambda _: is_learning)
        frames = int(batch.health["frames"])
    pipeline.end_source()
    return frames


class _Watch:
    """Adds up the CPU time of all calls of a method."""

    def __init__(self, part: object, call: str, name: str) -> None:
        """`name` is what the table calls it."""
        self.name = name
        self.spent = 0.0  # CPU seconds
        self.calls = 0
        self._method: Callable[..., Any] = getattr(part, call)
        setattr(part, call, self)

    def __call__(self, *arguments: Any) -> Any:
        before = time.thread_time()
        result = self._method(*arguments)
        self.spent += time.thread_time() - before
        self.calls += 1
        return result


def _watch(pipeline: Pipeline) -> list[_Watch]:
    """Watch every call of every part."""
    return [
        *(_Watch(one, call, one.name) for one in pipeline.detectors for call in CALLS),
        *(_Watch(part, "take", name) for name, part in pipeline.parts().items()),
    ]


class _Nothing:
    """What is watched to know what watching costs."""

    def take(self) -> None:
        """Do nothing."""


def _cost_of_watching() -> tuple[float, float]:
    """CPU seconds that watching adds to a call: as the watch sees it, and in all."""
    plain, watched = _Nothing(), _Nothing()
    watch = _Watch(watched, "take", "")
    moments = [time.thread_time()]
    for nothing in (plain, watched):
        for _ in range(_CALIBRATION):
            nothing.take()
        moments.append(time.thread_time())
    start, middle, end = moments
    return watch.spent / _CALIBRATION, (end - middle - (middle - start)) / _CALIBRATION
