"""Judges a case as a replay would: a fresh pipeline learns, then judges, and nothing is kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from otids.alerts.alert import Alert
from otids.evaluation.cases import Case
from otids.folder import StateFolder
from otids.pipeline import Pipeline
from otids.replay import LearnUntil, Replay, Report, never

MakePipeline: TypeAlias = Callable[[StateFolder], Pipeline]
"""Makes a pipeline that has learned nothing."""


class Scratch(StateFolder):
    """A folder of state that nobody will look at: no evidence is cut for its alerts."""

    def cut_evidence(self, capture: Path, alerts: Iterable[Alert]) -> Mapping[str, str]:
        """Cut nothing, which would read each capture once more."""
        del capture, alerts
        return {}


@dataclass(frozen=True, slots=True)
class Judged:
    """The last revision of each alert about the judged capture, in order of opening."""

    alerts: Sequence[Alert]
    report: Report


def judge(case: Case, folder: Path, make_pipeline: MakePipeline) -> Judged:
    """Learn and judge the captures of a case; `folder` is empty, and the caller's to remove.

    Alerts about what was learned are left out: their frames are those of other captures. Raises
    `CaptureError`, `StoreError`, `OSError`, and what `make_pipeline` raises.
    """
    alerts: dict[str, Alert] = {}
    with Scratch(folder, writing=True) as scratch:
        replay = Replay(
            scratch,
            make_pipeline(scratch),
            on_alerts=lambda some: alerts.update((one.id, one) for one in some),
        )
        replay.learn(case.learn)
        alerts.clear()
        until = case.learn_until
        replay.judge(case.judge, never if until is None else LearnUntil(until))
        report = replay.finish()
    return Judged(list(alerts.values()), report)
