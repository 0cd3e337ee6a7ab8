"""The one line from batch to alert; replay and service both run it.

A batch is cut into ticks; in each tick every detector judges, what any of them flagged is the
quarantine, and then every detector learns the rest. Findings become alerts, alerts are committed
to the store, and only then may a sink see them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np

from otids.alerts.agreement import Agreement
from otids.alerts.alert import Alert
from otids.alerts.completeness import Completeness
from otids.alerts.triage import Origin, Triage
from otids.assets import Inventory
from otids.detectors.base import Detector, Finding, Quarantine, State, StateError
from otids.learning.loss import Losses
from otids.logs import logger
from otids.status import Learning, Status
from otids.traffic import (
    NO_LOSS,
    NOTICE_KINDS,
    SECOND,
    Array,
    Batch,
    Dictionaries,
    Tick,
    Ticks,
)

DICTIONARIES = ("endpoints", "conversations", "symbols", "points")
MOST_WAKINGS = 10_000
"""Ticks without rows that detectors may ask for in one stretch in which nothing is heard."""


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a source was judged: its name, the epoch, and the last whole second."""

    source: str
    epoch: int
    second: int


class PipelineState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of one generation of everything that the pipeline knows."""

    position: Position | None
    learning: bool
    detectors: dict[str, dict[str, Any]]
    agreement: dict[str, Any]
    triage: dict[str, Any]
    inventory: dict[str, Any]
    completeness: dict[str, Any]
    loss: dict[str, Any]


@dataclass(slots=True)
class Counters:
    """What went through, and what went wrong."""

    ticks: int = 0
    messages: int = 0
    values: int = 0
    findings: int = 0
    notices: Counter[str] = field(default_factory=Counter)  # bytes that broke a rule, by kind
    faults: dict[str, int] = field(default_factory=dict)  # our bugs, by plugin


class _Contained:
    """The context in which one plugin runs; `failed` is asked whether to go on after an error.

    It is entered many times a tick: a generator as context costs ten times as much.
    """

    __slots__ = ("_failed", "_plugin")

    def __init__(self, plugin: str, failed: Callable[[str, Exception], bool]) -> None:
        self._plugin, self._failed = plugin, failed

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if error is None:
            return False
        return isinstance(error, Exception) and self._failed(self._plugin, error)


class Pipeline:
    """Judges one source after the other; what was learned goes on from one to the next.

    All sources of a pipeline come from one hot path: ids mean what that one says.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        triage: Triage,
        inventory: Inventory,
        commit: Callable[[Sequence[Alert]], None],
        *,
        strict: bool = False,
    ) -> None:
        self.names = Dictionaries()
        self.detectors = detectors
        self.triage = triage
        self.inventory = inventory
        self.counters = Counters()
        self.health: Mapping[str, Any] = {}
        self._commit = commit
        self._strict = strict
        self._ticks = Ticks(self.names)
        self._source = ""
        self._position: Position | None = None
        self._resume: Position | None = None
        self._learning = False
        self._now = 0
        self._agreement = Agreement()
        self.losses = Losses()
        self._completeness = Completeness(self.losses)
        self._contained = {
            name: _Contained(name, self._failed)
            for name in [*(one.name for one in detectors), "inventory"]
        }

    @property
    def position(self) -> Position | None:
        """How far the source was judged; None between sources."""
        return self._position

    @property
    def is_learning(self) -> bool:
        """Whether traffic is being declared as normal."""
        return self._learning

    def begin(self, source: str, session: str) -> list[Alert]:
        """A source begins: `source` is what people call it, `session` its digest.

        Return the last revisions of alerts about the source before. A source that the restored
        state was in the middle of is resumed: what was judged of it is passed over.
        """
        self._source = session
        if self._resume is not None and self._resume.source == session:
            return []
        self._position = self._resume = None
        last = self._interrupt()
        return [*last, *self._told(self.triage.begin(Origin(source, session)))]

    def feed(self, batch: Batch, is_learning: Callable[[Tick], bool]) -> list[Alert]:
        """Judge what `batch` completes; return the new revisions of alerts."""
        for detector in self.detectors:
            with self._contained[detector.name]:
                detector.forget(batch.retired)
        self.losses.forget(batch.retired["conversations"])
        self.names.update(batch)
        self.health = batch.health
        alerts: list[Alert] = []
        for tick in self._ticks.feed(batch):
            if self._was_judged(tick):
                self.losses.pass_over(tick)
            else:
                alerts.extend(self._wake(tick.epoch, tick.second, is_learning))
                self.declare(is_learning(tick))
                alerts.extend(self._judge(tick))
        if self._position is not None and not self._ticks.is_open:
            until = batch.until // SECOND
            alerts.extend(self._wake(self._position.epoch, until, is_learning))
        return alerts

    def _wake(self, epoch: int, until: int, is_learning: Callable[[Tick], bool]) -> Iterable[Alert]:
        """Let detectors judge what was due before the second `until`, while nothing was heard."""
        for _ in range(MOST_WAKINGS):
            position = self._position
            if position is None or position.epoch != epoch or self._resume is not None:
                return
            if position.second + 1 >= until:
                return
            asked = (*(one.due for one in self.detectors), self._agreement.due)
            dues = [second for due in asked if (second := due()) is not None]
            second = max(min(dues, default=until), position.second + 1)
            if second >= until:
                return
            tick = self._ticks.empty(epoch, second)
            self.declare(is_learning(tick))
            yield from self._judge(tick)

    def _interrupt(self) -> list[Alert]:
        """Time does not go on from here; return the revisions of alerts that waited."""
        waited = self._let_go()
        for detector in self.detectors:
            with self._contained[detector.name]:
                detector.interrupt()
        self.losses.interrupt()
        return waited

    def _let_go(self) -> list[Alert]:
        """Tell what waits for others to agree, as it is."""
        waited = self._agreement.interrupt()
        if not waited:
            return []
        return self._told(self.triage.take(waited, self._now, self._completeness.of))

    def declare(self, learning: bool) -> None:
        """What follows is normal, or no longer declared to be."""
        if learning != self._learning:
            self._learning = learning
            for detector in self.detectors:
                (detector.begin_learning if learning else detector.close_world)()

    def end_source(self) -> list[Alert]:
        """A source ends: the last revisions of its alerts. It is not in the middle any more."""
        self._position = self._resume = None
        return [*self._let_go(), *self._told(self.triage.finish(self._now))]

    def finish(self) -> None:
        """The run ends: declared learning ends with it."""
        self.declare(learning=False)

    def learned(self) -> dict[str, Array]:
        """Ids that stand for something learned, by dictionary: the answer to a census."""
        every = [detector.learned() for detector in self.detectors]
        none = np.empty(0, np.uint32)
        return {
            name: np.unique(np.concatenate([none, *(one[name] for one in every if name in one)]))
            for name in DICTIONARIES
        }

    def parts(self) -> Mapping[str, object]:
        """What takes each tick beside the detectors, by name: what measures them asks."""
        return {
            "inventory": self.inventory,
            "losses": self.losses,
            "completeness": self._completeness,
            "agreement": self._agreement,
            "triage": self.triage,
        }

    def status(self) -> Status:
        """How far learning is, what is heard badly, and how far was judged."""
        until = self.triage.now // SECOND
        return Status(
            [Learning.of(detector.name, detector.readiness()) for detector in self.detectors],
            self.losses.told(until - 1),
            until or None,
            self._learning,
        )

    def state(self) -> State:
        """One generation of everything known, at the end of the last tick."""
        parts = self.parts_of_state()
        made = {name: part() for name, part in parts.items() if name != "detectors"}
        return {**parts, **made, "detectors": {one.name: _state_of(one) for one in self.detectors}}

    def parts_of_state(self) -> State:
        """Return the same with functions that give each part.

        Whoever asks one after the other holds a copy of one part at a time.
        """
        return {
            "position": lambda: msgspec.to_builtins(self._position),
            "learning": lambda: self._learning,
            "detectors": {one.name: partial(_state_of, one) for one in self.detectors},
            "agreement": partial(_state_of, self._agreement),
            "triage": partial(_state_of, self.triage),
            "inventory": partial(_state_of, self.inventory),
            "completeness": partial(_state_of, self._completeness),
            "loss": partial(_state_of, self.losses),
        }

    def restore(self, state: State) -> None:
        """Take back a generation. Raises `StateError` if it is not one."""
        try:
            checked = msgspec.convert(state, PipelineState)
        except msgspec.ValidationError as error:
            raise StateError(f"the saved state is damaged: {error}") from error
        for detector in self.detectors:
            if detector.name in checked.detectors:
                detector.restore(checked.detectors[detector.name])
        self._learning = checked.learning
        if checked.learning:
            for detector in self.detectors:
                detector.begin_learning()
        self._agreement.restore(checked.agreement)
        self.triage.restore(checked.triage)
        self.inventory.restore(checked.inventory)
        self._completeness.restore(checked.completeness)
        try:
            self.losses.restore(checked.loss)
        except ValueError as error:
            raise StateError(f"the saved losses are damaged: {error}") from error
        self._resume = self._position = checked.position
        if checked.position is not None:
            self._now = (checked.position.second + 1) * SECOND

    def _was_judged(self, tick: Tick) -> bool:
        """Whether the state that was restored had seen this tick already."""
        resume = self._resume
        if resume is None:
            return False
        if (tick.epoch, tick.second) <= (resume.epoch, resume.second):
            return True
        self._resume = None
        return False

    def _judge(self, tick: Tick) -> list[Alert]:
        position = self._position
        told: list[Alert] = []
        if position is not None and position.epoch != tick.epoch:
            told = self._interrupt()
        loss = self.losses.take(tick)
        if loss is not NO_LOSS:
            tick = replace(tick, loss=loss)
        counters = self.counters
        counters.ticks += 1
        counters.messages += len(tick.tables.messages)
        counters.values += len(tick.tables.values)
        if len(tick.tables.notices):
            kinds, counts = np.unique(tick.tables.notices.kind, return_counts=True)
            for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
                counters.notices[NOTICE_KINDS[kind]] += count
        findings: list[Finding] = []
        for detector in self.detectors:
            with self._contained[detector.name]:
                findings.extend(detector.judge(tick))
        quarantine = Quarantine(tick, findings)
        for detector in self.detectors:
            with self._contained[detector.name]:
                detector.learn(tick, quarantine)
        with self._contained["inventory"]:
            self.inventory.take(tick)
        counters.findings += len(findings)
        now = (tick.second + 1) * SECOND
        self._now = now
        self._position = Position(self._source, tick.epoch, tick.second)
        self._completeness.take(tick)
        agreed = self._agreement.take(findings, tick.second)
        return [*told, *self._told(self.triage.take(agreed, now, self._completeness.of))]

    def _told(self, alerts: list[Alert]) -> list[Alert]:
        """Commit revisions before anybody sees them."""
        if alerts:
            self._commit(alerts)
        return alerts

    def _failed(self, plugin: str, error: Exception) -> bool:
        """A bug of ours stays in the plugin in which it happened; it is counted and told once."""
        if self._strict:
            return False
        faults = self.counters.faults
        faults[plugin] = faults.get(plugin, 0) + 1
        if faults[plugin] == 1:
            logger(__name__).error(
                "a part of otids failed; this is a bug", part=plugin, exc_info=error
            )
        return True


class _Stateful(Protocol):
    def state(self) -> object: ...


def _state_of(part: _Stateful) -> Any:
    """Plain data: what a detector gives may hold tuples and the like."""
    return msgspec.to_builtins(part.state(), builtin_types=(bytes,))
