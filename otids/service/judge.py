"""The thread that judges: the only one that touches the pipeline and writes to the store.

Others hand it calls and read its `Snapshot`; it waits for nobody.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from otids import _hotpath
from otids.alerts.alert import Alert
from otids.capture.interfaces import Listening, batches, cut_recent
from otids.detectors.base import Readiness
from otids.folder import StateFolder
from otids.logs import logger
from otids.pipeline import Pipeline
from otids.traffic import Batch, ConversationName, Tick

T = TypeVar("T")

CONTEXT = 5
"""Frames before and after each of an alert's that evidence keeps."""
READINESS_EVERY = 10.0
"""Seconds between two looks at how far learning is: it walks over all that was learned."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How the service stands; made new after each batch, never changed."""

    started: float  # seconds since the epoch
    made: float
    judged_until: float = 0.0  # capture time, seconds since the epoch; 0 before the first batch
    is_learning: bool = False
    frames: int = 0
    messages: int = 0
    values: int = 0
    ticks: int = 0
    findings: int = 0
    notices: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)  # the hot path's, and interfaces
    triage: Mapping[str, int] = field(default_factory=dict)  # what became of findings
    blind: Mapping[str, Sequence[ConversationName]] = field(default_factory=dict)
    readiness: Mapping[str, Sequence[Readiness]] = field(default_factory=dict)  # by detector
    checkpointed: float = 0.0
    checkpoint_trouble: str = ""
    store_trouble: str = ""
    evidence_notes: int = 0


class Judge:
    """Judges live interfaces until it is stopped."""

    def __init__(
        self,
        pipeline: Pipeline,
        folder: StateFolder,
        listening: Listening,
        *,
        learn_until: float | None = None,
        checkpoint_every: float = 300.0,
        on_alerts: Callable[[Sequence[Alert]], None] = lambda _: None,
    ) -> None:
        """`on_alerts` is called in this thread when revisions were committed."""
        self.pipeline = pipeline
        self.snapshot = Snapshot(
            time.time(), time.time(), 0.0, False, 0, 0, 0, 0, 0, {}, {}, {}, {}, {}
        )
        self.failure: BaseException | None = None
        self.ready = threading.Event()
        self._folder = folder
        self._listening = listening
        self._learn_until = learn_until
        self._checkpoint_every = checkpoint_every
        self._on_alerts = on_alerts
        self._hotpath = _hotpath.Hotpath()
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._to_cut: dict[str, Alert] = {}
        self._readiness: tuple[float, Mapping[str, Sequence[Readiness]]] = (0.0, {})
        self._checkpointed = time.time()
        self._trouble = {"checkpoint": "", "store": ""}
        self._evidence_notes = 0
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    # --- for other threads ---------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """Ask it to end: the last alerts are told, what was learned is saved. True if it did."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have `function` run between two batches, within a second or so."""
        future: Future[T] = Future()
        self._calls.put((function, future))
        return future

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._judge()
        except BaseException as error:  # noqa: BLE001 told by who waits for us
            self.failure = error
        finally:
            self.ready.set()
            self._refuse_calls()

    def _judge(self) -> None:
        pipeline = self.pipeline
        session = f"{'+'.join(self._listening.interfaces)}@{time.time_ns()}"
        name = ", ".join(self._listening.interfaces)
        self._tell(pipeline.begin(name, session))
        with contextlib.closing(
            batches(self._hotpath, self._listening, pipeline.learned)
        ) as source:
            for batch in source:
                self._cut_evidence()
                self._tell(pipeline.feed(batch, self._is_learning))
                self._do_calls()
                if time.time() - self._checkpointed >= self._checkpoint_every:
                    self.checkpoint()
                self._look(batch)
                self.ready.set()
                if self._stopping.is_set():
                    break
            self._cut_evidence()
        self._tell(pipeline.end_source())
        self.checkpoint()

    def _is_learning(self, tick: Tick) -> bool:
        return self._learn_until is not None and tick.second < self._learn_until

    def learn_until(self, moment: float | None) -> None:
        """Declare what comes before a moment as normal. Only within a `call`."""
        self._learn_until = moment

    def _tell(self, alerts: Sequence[Alert]) -> None:
        if not alerts:
            return
        for alert in alerts:
            self._to_cut[alert.id] = alert
            self._hotpath.pin(list(alert.frames), CONTEXT)
        self._on_alerts(alerts)

    def _cut_evidence(self) -> None:
        """Cut what was told a batch ago: what came after it is here by now."""
        if not self._to_cut:
            return
        alerts, self._to_cut = list(self._to_cut.values()), {}
        name = ", ".join(self._listening.interfaces)
        cut = self._folder.evidence.cut_with(
            lambda cuts: cut_recent(self._hotpath, name, cuts), alerts
        )
        self._evidence_notes += len(cut.notes)

    def checkpoint(self) -> None:
        """Save one generation of everything learned. Trouble is told, and tried again later."""
        self._checkpointed = time.time()
        try:
            self._folder.save(self.pipeline.state())
            self._folder.store.save_assets(self.pipeline.inventory.assets())
            self._trouble["checkpoint"] = ""
        except (OSError, ValueError, RuntimeError) as error:
            if not self._trouble["checkpoint"]:
                logger(__name__).error("what was learned cannot be saved", why=str(error))
            self._trouble["checkpoint"] = str(error)

    def _do_calls(self) -> None:
        while True:
            try:
                function, future = self._calls.get_nowait()
            except queue.Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 it belongs to the caller
                future.set_exception(error)

    def _refuse_calls(self) -> None:
        while True:
            try:
                _, future = self._calls.get_nowait()
            except queue.Empty:
                return
            future.cancel()

    def _look(self, batch: Batch) -> None:
        now = time.time()
        if now - self._readiness[0] >= READINESS_EVERY:
            each = {one.name: one.readiness() for one in self.pipeline.detectors}
            self._readiness = (now, each)
        counters = self.pipeline.counters
        self.snapshot = Snapshot(
            started=self.snapshot.started,
            made=now,
            judged_until=batch.until / 1e9,
            is_learning=self.pipeline.is_learning,
            frames=batch.health["frames"],
            messages=counters.messages,
            values=counters.values,
            ticks=counters.ticks,
            findings=counters.findings,
            notices=dict(counters.notices),
            faults=dict(counters.faults),
            health=batch.health,
            triage=dict(self.pipeline.triage.counters),
            blind=self.pipeline.losses.told(batch.until // 1_000_000_000),
            readiness=self._readiness[1],
            checkpointed=self._checkpointed,
            checkpoint_trouble=self._trouble["checkpoint"],
            store_trouble=self._trouble["store"],
            evidence_notes=self._evidence_notes,
        )
