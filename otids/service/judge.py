"""The thread that judges: the only one that touches the pipeline and writes to the store.

Others hand it calls and read its `Snapshot`; it waits for nobody.
"""

from __future__ import annotations

import contextlib
import json
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
from otids.service.committing import Committer, summary
from otids.service.memory import Memory
from otids.store import StoreError
from otids.traffic import Batch, ConversationName, Tick

T = TypeVar("T")

CONTEXT = 5
"""Frames before and after each of an alert's that evidence keeps."""
READINESS_EVERY = 10.0
"""Seconds between two looks at how far learning is: it walks over all that was learned."""
FIRST_CHECKPOINT = 60.0
"""Seconds after the start."""
CLOCK_STEP = 2.0
"""Seconds by which the system's clock must leave the steady one to count as set."""
RUN = "run"
"""Under which key the store notes how far a run has judged, and how it ended."""
ENDED = "otids ended while this alert was open, and began anew"


class JudgeEndedError(RuntimeError):
    """The judging thread takes no calls any more."""


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
    store_trouble_since: float = 0.0
    uncommitted: int = 0  # revisions that wait for the store
    lost_alerts: int = 0  # revisions given up
    evidence_notes: int = 0
    evidence_removed: int = 0  # files that went to keep the quota
    clock_steps: int = 0  # how often the system's clock was set
    clock_step: float = 0.0  # seconds, the last time; below 0: back
    memory_bound: int = 0  # bytes that the process may hold
    memory_resident: int = 0
    memory_steps: int = 0  # how often something was given up for want of memory
    given_up: str = ""  # what is given up at present, in words
    beat: float = 0.0  # when it was made by the steady clock, which nobody sets


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
        committer: Committer | None = None,
        memory: Memory | None = None,
        on_alerts: Callable[[Sequence[Alert]], None] = lambda _: None,
    ) -> None:
        """`on_alerts` is called in this thread when revisions were committed.

        The pipeline commits through `committer`, if there is one.
        """
        self.pipeline = pipeline
        self.snapshot = Snapshot(time.time(), time.time(), beat=time.monotonic())
        self.session = f"{'+'.join(listening.interfaces)}@{time.time_ns()}"
        self.committer = committer or Committer(folder.store.commit)
        self.checkpoint_every = checkpoint_every
        self.failure: BaseException | None = None
        self.ready = threading.Event()
        self._folder = folder
        self._listening = listening
        self._learn_until = learn_until
        self._on_alerts = on_alerts
        self._memory = memory or Memory()
        self._hotpath = _hotpath.Hotpath(memory=self._memory.bound)
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()  # of what follows
        self._takes_calls = True
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._closing = threading.Event()
        self._to_cut: dict[str, Alert] = {}
        self._readiness: tuple[float, Mapping[str, Sequence[Readiness]]] = (0.0, {})
        self._saved_at = 0.0  # seconds since the epoch
        # The first one comes soon: until then there is nothing to look at.
        self._checkpointed = time.monotonic() - max(checkpoint_every - FIRST_CHECKPOINT, 0.0)
        self._checkpoint_trouble = ""
        self._evidence_notes = 0
        self._evidence_removed = 0
        self._clock = time.time() - time.monotonic()
        self._clock_steps = 0
        self._clock_step = 0.0
        self._log = logger(__name__)
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    # --- for other threads ---------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, timeout: float = 30.0) -> bool:
        """End listening: the last alerts are told, what was learned is saved. True if it did.

        Calls are still taken, until `stop`.
        """
        self._stopping.set()
        return self._finished.wait(timeout)

    def stop(self, timeout: float = 30.0) -> bool:
        """End as `finish` does, and then the thread. True if it did."""
        ended = self.finish(timeout)
        self._closing.set()
        self._thread.join(timeout if ended else 0.0)
        return not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have `function` run between two batches, within a second or so.

        Its result comes from the future, or what it raised, or `JudgeEndedError`.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._takes_calls:
                self._calls.put((function, future))
                return future
        future.set_exception(JudgeEndedError("the service is ending"))
        return future

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._judge()
            self._finished.set()
            while not self._closing.is_set():
                self._do_calls(wait=0.1)
        except BaseException as error:  # noqa: BLE001 told by who waits for us
            self.failure = error
        finally:
            self.ready.set()
            self._finished.set()
            self._refuse_calls()

    def _judge(self) -> None:
        pipeline = self.pipeline
        name = ", ".join(self._listening.interfaces)
        with contextlib.closing(
            batches(self._hotpath, self._listening, pipeline.learned)
        ) as source:
            for batch in source:
                if not self.ready.is_set():
                    self._begin(name)
                self._watch_clock()
                self._cut_evidence()
                self._tell(pipeline.feed(batch, self._is_learning))
                if self.committer.retry():
                    self._on_alerts(())
                self._do_calls()
                if time.monotonic() - self._checkpointed >= self.checkpoint_every:
                    self.checkpoint()
                self._look(batch)
                self.ready.set()
                if self._stopping.is_set():
                    break
            self._cut_evidence()
        self._tell(pipeline.end_source())
        self.checkpoint(ended="stopped")
        self._give_up()

    def _begin(self, name: str) -> None:
        """Close what the run before left open: its frames are not ours, and it may be over."""
        self.pipeline.begin(name, self.session)  # commits the last revisions of the run before
        self.committer.flush()
        try:
            closed = self._folder.store.close_open(ENDED)
            self._note_run()
        except StoreError as error:
            self._log.error("open alerts of the run before are not closed", why=str(error))
        else:
            if closed:
                self._log.info("open alerts of the run before are closed", alerts=closed)
        self._on_alerts(())

    def _give_up(self) -> None:
        """Say which alerts are lost at the end because the store does not take them."""
        self.committer.flush()
        for alert in self.committer.waiting:
            self._log.critical("an alert was not committed", **summary(alert))
        if self.committer.waiting:
            self._log.critical(
                "alerts were not committed",
                alerts=len(self.committer.waiting),
                why=self.committer.trouble,
            )

    def _is_learning(self, tick: Tick) -> bool:
        return self._learn_until is not None and tick.second < self._learn_until

    def learn_until(self, moment: float | None) -> None:
        """Declare what comes before a moment as normal. Only within a `call`."""
        self._learn_until = moment

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Commit alerts that otids raises about itself. Only within a `call`."""
        if alerts:
            self.committer(alerts)
            self._log_alerts(alerts)
            self._on_alerts(alerts)

    def _tell(self, alerts: Sequence[Alert]) -> None:
        if not alerts:
            return
        for alert in alerts:
            frames = list(alert.frames)
            here = self._hotpath.pin(frames, CONTEXT)
            # Frames that memory has no more may be in what was cut for an earlier revision.
            if here == len(frames) or not self._folder.evidence.holds(alert.id):
                self._to_cut[alert.id] = alert
        self._log_alerts(alerts)
        self._on_alerts(alerts)

    def _log_alerts(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            if alert.revision == 1:
                self._log.info("an alert was opened", **summary(alert))

    def _cut_evidence(self) -> None:
        """Cut what was told a batch ago: what came after it is here by now."""
        if not self._to_cut:
            return
        alerts, self._to_cut = list(self._to_cut.values()), {}
        name = ", ".join(self._listening.interfaces)
        cut = self._folder.evidence.cut_with(
            lambda cuts: cut_recent(self._hotpath, name, cuts), alerts
        )
        self._evidence_notes += sum(bool(one.frames) and one.id in cut.notes for one in alerts)
        self._evidence_removed += cut.removed

    def _watch_clock(self) -> None:
        """Notice that somebody set the system's clock: capture time went with it."""
        clock = time.time() - time.monotonic()
        step, self._clock = clock - self._clock, clock
        if abs(step) >= CLOCK_STEP:
            self._clock_steps += 1
            self._clock_step = step
            self._log.warning("the system's clock was set", by_seconds=round(step, 1))

    def checkpoint(self, *, ended: str = "") -> str:
        """Save one generation of everything learned; return what was wrong, or nothing.

        Trouble is told, and tried again later. Only within a `call`.
        """
        self._checkpointed = time.monotonic()
        trouble = ""
        try:
            self._folder.save(self.pipeline.parts_of_state())
            self._folder.store.save_assets(self.pipeline.inventory.assets())
            self._note_run(ended)
            self._saved_at = time.time()
        except (OSError, ValueError, RuntimeError, StoreError) as error:
            trouble = str(error)
            if not self._checkpoint_trouble:
                self._log.error("what was learned cannot be saved", why=trouble)
        else:
            if self._checkpoint_trouble:
                self._log.info("what was learned is saved again")
        self._checkpoint_trouble = trouble
        return trouble

    def _note_run(self, ended: str = "") -> None:
        until = self.snapshot.judged_until or time.time()
        run = {"session": self.session, "judged_until": until, "ended": ended}
        self._folder.store.set_meta({RUN: json.dumps(run)})

    def _do_calls(self, wait: float = 0.0) -> None:
        for _ in range(self._calls.qsize() or 1):  # what is added meanwhile waits for its turn
            try:
                function, future = self._calls.get(block=wait > 0, timeout=wait or None)
            except queue.Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 it belongs to the caller
                future.set_exception(error)

    def _refuse_calls(self) -> None:
        with self._lock:
            self._takes_calls = False
        with contextlib.suppress(queue.Empty):
            while True:
                _, future = self._calls.get_nowait()
                if future.set_running_or_notify_cancel():
                    future.set_exception(JudgeEndedError("the service is ending"))

    def _keep_within(self) -> None:
        """Give up what is too much for the memory that we may have, or take it back."""
        if self._memory.look():
            shares = self._memory.shares
            self._hotpath.resize(shares.hotpath, shares.evidence)
            self.committer.most = shares.uncommitted

    def _look(self, batch: Batch) -> None:
        self._keep_within()
        now, beat = time.time(), time.monotonic()
        if not self._readiness[1] or beat - self._readiness[0] >= READINESS_EVERY:
            each = {one.name: one.readiness() for one in self.pipeline.detectors}
            self._readiness = (beat, each)
        counters = self.pipeline.counters
        self.snapshot = Snapshot(
            started=self.snapshot.started,
            made=now,
            beat=beat,
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
            checkpointed=self._saved_at,
            checkpoint_trouble=self._checkpoint_trouble,
            store_trouble=self.committer.trouble,
            store_trouble_since=self.committer.since,
            uncommitted=len(self.committer.waiting),
            lost_alerts=self.committer.lost,
            evidence_notes=self._evidence_notes,
            evidence_removed=self._evidence_removed,
            clock_steps=self._clock_steps,
            clock_step=self._clock_step,
            memory_bound=self._memory.bound,
            memory_resident=self._memory.resident,
            memory_steps=self._memory.steps_taken,
            given_up=self._memory.given_up,
        )
