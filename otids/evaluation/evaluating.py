"""Judges and scores many cases side by side; what fails in one costs no other."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from otids._hotpath import CaptureError
from otids.alerts.alert import Alert
from otids.detectors.base import StateError
from otids.evaluation.cases import Case
from otids.evaluation.judging import MakePipeline, judge
from otids.evaluation.processes import Died, run_each
from otids.evaluation.results import Scored
from otids.evaluation.score import Raised, Truth, Wanted, score_case
from otids.replay import Report
from otids.rules.files import RuleError
from otids.sinks.jsonlines import encode
from otids.store import StoreError

NOT_OURS = (RuleError, CaptureError, StateError, StoreError, OSError)
"""What is wrong with files rather than with otids; the message is one line."""


@dataclass(slots=True)
class Evaluated:
    """What came of all cases: their numbers in order, and a line for each thing that went wrong."""

    scored: list[Scored] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)  # of bugs of ours


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How cases are judged and scored. Goes to other processes, and so do its parts."""

    make_pipeline: MakePipeline
    wanted: Wanted
    alerts: Path | None  # the folder for a file of alerts a case
    jobs: int
    time_limit: float  # seconds a case

    def run(self, cases: Sequence[Case], on_done: Callable[[], None] = lambda: None) -> Evaluated:
        """Judge and score cases, `jobs` at a time, each in a process of its own.

        A case that fails is scored as one without alerts, where its labels and captures allow it.
        Calls `on_done` after each case.
        """
        # The longest first, so that no core waits for one at the end.
        order = sorted(cases, key=_bytes, reverse=True)
        outcomes: dict[str, _Done | Died] = {}
        with tempfile.TemporaryDirectory(prefix="otids-evaluate-") as scratch:
            for case, outcome in self._each(_Judging(self, Path(scratch)), order):
                outcomes[case.name] = outcome
                on_done()
        failed = [case for case in cases if isinstance(outcomes[case.name], Died)]
        instead = {case.name: outcome for case, outcome in self._each(_without_alerts, failed)}
        result = Evaluated()
        for case in cases:
            outcome = outcomes[case.name]
            lines = [outcome.reason] if isinstance(outcome, Died) else outcome.complaints
            result.complaints += [f"{case.name}: {line}" for line in lines]
            if isinstance(outcome, Died):
                result.traces += [outcome.trace] if outcome.trace else []
                outcome = instead[case.name]
            if isinstance(outcome, _Done):
                result.scored.append(outcome.scored)
        return result

    def _each(
        self, work: "Callable[[Case], _Done | Died]", cases: Sequence[Case]
    ) -> "Iterator[tuple[Case, _Done | Died]]":
        modules = [__name__, getattr(self.make_pipeline, "__module__", "")]
        for place, outcome in run_each(
            work, cases, jobs=self.jobs, time_limit=self.time_limit, modules=modules
        ):
            yield cases[place], outcome


def _bytes(case: Case) -> int:
    """How much there is to read."""
    sizes = []
    for capture in (*case.learn, *case.judge):
        try:
            sizes.append(capture.stat().st_size)
        except OSError:  # told when the case is judged
            continue
    return sum(sizes)


# --- one case, in a process of its own -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Done:
    scored: Scored
    complaints: list[str]


@dataclass(frozen=True, slots=True)
class _Judging:
    """Judges and scores a case."""

    how: Evaluation
    scratch: Path

    def __call__(self, case: Case) -> _Done | Died:
        try:
            return self._judge(case)
        except NOT_OURS as error:
            return Died(_line(error))

    def _judge(self, case: Case) -> _Done:
        file = None if self.how.alerts is None else self.how.alerts / f"{case.name}.jsonl"
        if file is not None:  # what an earlier run raised was not raised in this one
            file.unlink(missing_ok=True)
        truth = Truth(case)
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            judged = judge(case, Path(folder), self.how.make_pipeline)
        if file is not None:
            _write(file, judged.alerts)
        raised = [Raised.of(alert) for alert in judged.alerts]
        wanted = [one for one in raised if one in self.how.wanted]
        score = score_case(case, truth, wanted)
        scored = Scored(
            case.name, case.set, case.protocol, score, left_out=len(raised) - len(wanted)
        )
        return _Done(scored, _complaints(judged.report))


def _without_alerts(case: Case) -> _Done | Died:
    """Score a case that could not be judged."""
    try:
        score = score_case(case, Truth(case), ())
    except NOT_OURS as error:
        return Died(_line(error))
    return _Done(Scored(case.name, case.set, case.protocol, score, was_judged=False), [])


def _write(file: Path, alerts: Sequence[Alert]) -> None:
    """Write alerts as JSON lines, all or nothing. Raises `OSError`."""
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.write_bytes(b"".join(encode(alert.record()) for alert in alerts))
    unfinished.replace(file)


def _complaints(report: Report) -> list[str]:
    """What makes the numbers worth less than they seem."""
    lines = [f"{path}: {what} (at byte {offset})" for path, offset, what in report.damages]
    lines += [
        f"{count} faults of otids itself in {part}; this is a bug, please report it"
        for part, count in sorted(report.faults.items())
    ]
    return lines


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return " ".join(str(error).split())
