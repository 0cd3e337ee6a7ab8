"""Builds whole pipelines for tests, and runs them over captures without a folder or a screen."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from otids import _hotpath
from otids.alerts.alert import Alert
from otids.alerts.attack import load_attack
from otids.alerts.catalogue import load_catalogue
from otids.alerts.triage import Triage
from otids.assets import Inventory
from otids.capture.files import batches, digest
from otids.detectors import make_detectors
from otids.detectors.base import Detector, State
from otids.pipeline import Pipeline
from otids.resources import data_folder
from otids.rules.policies import load_policies
from otids.traffic import Tick


class Line(Pipeline):
    """A pipeline with the one hot path that feeds it."""

    hotpath: _hotpath.Hotpath


def make_pipeline(
    detectors: Sequence[Detector] | None = None,
    *,
    batch_frames: int = 65_536,
    memory: int = 512 << 20,
) -> tuple[Line, list[Alert]]:
    """A strict pipeline with the shipped rules, and the list to which it commits."""
    rules = data_folder("rules")
    policies = load_policies([rules / "policies"])
    catalogue = load_catalogue(load_attack(rules / "attack.toml"), rules / "catalogue")
    inventory = Inventory()
    committed: list[Alert] = []
    pipeline = Line(
        make_detectors(policies) if detectors is None else detectors,
        Triage(catalogue.with_rules(policies), inventory, sensor="test"),
        inventory,
        committed.extend,
        strict=True,
    )
    pipeline.hotpath = _hotpath.Hotpath(batch_frames=batch_frames, memory=memory)
    return pipeline, committed


def feed(
    pipeline: Line,
    capture: Path,
    *,
    learn: bool = False,
    until: Callable[[Tick], bool] | None = None,
) -> bool:
    """Judge or learn a capture to its end, or until a tick for which `until` holds was judged.

    Return whether the end was reached.
    """
    stopped: list[int] = []

    def is_learning(tick: Tick) -> bool:
        if until is not None and until(tick):
            stopped.append(tick.second)
            raise StopFeedError
        return learn

    pipeline.begin(capture.name, digest(capture))
    try:
        for batch in batches(pipeline.hotpath, capture, pipeline.learned):
            pipeline.feed(batch, is_learning)
    except StopFeedError:
        return False
    pipeline.end_source()
    return True


def judge(
    state: State, capture: Path, detectors: Sequence[Detector] | None = None
) -> list[tuple[int, Alert]]:
    """Judge a capture by a saved state: every revision, and the moment (ns) in which it is told."""
    pipeline, _ = make_pipeline(detectors)
    pipeline.restore(state)
    told: list[tuple[int, Alert]] = []
    pipeline._commit = lambda alerts: told.extend((pipeline.triage.now, one) for one in alerts)
    assert feed(pipeline, capture)
    return told


class StopFeedError(Exception):
    """Ends a feed before the tick that it met."""


def records(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """The public records of alerts, to compare."""
    return [alert.record() for alert in alerts]
