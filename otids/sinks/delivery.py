"""One sink's way through the journal: what comes next, when to try again, how it stands.

Without threads and clocks of its own: whoever calls `Delivery.step` gives it both.
"""

import random
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from otids.alerts.alert import SEVERITIES
from otids.alerts.wording import clean
from otids.logs import logger
from otids.sinks.base import BATCH, Pending, RefusedError, Sink, SinkError
from otids.sinks.trial import KIND as TEST

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
IDLE = 10.0
"""Seconds after which a sink that has had everything looks after itself."""
TRIES = 10
"""How often a record is offered that the other side refuses, while it takes others."""
MOST_ERROR = 300
MOST_TESTS = 16


@dataclass(frozen=True, slots=True)
class SinkState:
    """How a sink stands; made new after each step, never changed. Times in s since the epoch."""

    name: str
    kind: str  # jsonlines, syslog, webhook
    is_confirmed: bool  # whether the way there tells that something arrived (UDP does not)
    behind: int = 0  # revisions that it has not had
    waiting_since: float = 0.0  # when the oldest of them was committed
    failing_since: float = 0.0  # 0: it takes what it gets
    last_error: str = ""  # also of a failure that is over
    last_success: float = 0.0
    delivered: int = 0  # revisions, all since the start
    retried: int = 0  # deliveries of a revision after its first
    failures: int = 0
    passed_over: int = 0  # less severe than the sink wants
    given_up: int = 0  # refused for good, or dropped from the journal before the sink came back


class Journal(Protocol):
    """Where revisions wait: the store, read through a connection of the worker's own."""

    def pending(self, sink: str, limit: int = BATCH, *, after: int = 0) -> Sequence[Pending]:
        """Return what a sink has not had and stands after a place, in order."""

    def waiting(self, sink: str, *, after: int = 0) -> tuple[int, int]:
        """Count it, and tell since when it waits, in ns."""


class Backoff:
    """Pauses that double up to a minute, cut by chance so that sensors do not come all at once."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives numbers in [0, 1)."""
        self._chance = chance
        self._failures = 0

    def pause(self) -> float:
        """Return how many seconds to wait after one more failure."""
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures, 16), LONGEST_PAUSE)
        self._failures += 1
        return longest * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0


class Delivery:
    """Delivers to one sink, in order, at least once; failures of it are contained here.

    The place in the journal is kept here too, so that a store that cannot be written to (a full
    disk) does not make a sink get the same again and again.
    """

    def __init__(
        self,
        sink: Sink,
        journal: Journal,
        note: Callable[[str, int], "Future[Any]"],
        *,
        kind: str = "",
        is_confirmed: bool = True,
        min_severity: str = "info",
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`note` has the sink's place kept, in its own time."""
        self.state = SinkState(sink.name, kind or sink.name, is_confirmed)
        self.tests: deque[str] = deque(maxlen=MOST_TESTS)  # ids of test alerts that arrived
        self.expired = 0
        self._sink = sink
        self._journal = journal
        self._note = note
        self._wanted = frozenset(SEVERITIES[SEVERITIES.index(min_severity) :])
        self._clock = clock
        self._backoff = Backoff(chance)
        self._retry_at = 0.0
        self._place = 0
        self._noted = 0
        self._noting: tuple[int, Future[Any]] | None = None
        self._limit = BATCH
        self._tried = 0
        self._refusals = (0, 0)  # place, how often
        self._took_others = False
        self._counts = dict.fromkeys(("delivered", "retried", "failures", "passed", "given_up"), 0)
        self._failing_since = self._last_success = 0.0
        self._last_error = ""
        self._faults: set[str] = set()

    def step(self) -> float:
        """Do what there is to do; return after how many seconds to come again, or when woken."""
        pause = self._retry_at - self._clock()
        if pause > LONGEST_PAUSE:  # the clock was set back
            self._retry_at = pause = 0.0
        if pause <= 0:
            try:
                pause = 0.0 if self._deliver() else IDLE
                self._succeeded()
            except Exception as error:  # noqa: BLE001 contained to this sink, and told
                pause = self._failed(error)
        self.keep_place()
        self._look()
        return pause

    def keep_place(self) -> "Future[Any] | None":
        """Have the place noted, one note at a time; return the one that is on its way."""
        if self._noting is not None:
            place, future = self._noting
            if not future.done():
                return future
            if not future.cancelled() and future.exception() is None:
                self._noted = max(self._noted, place)
            self._noting = None
        if self._place <= self._noted:
            return None
        future = self._note(self._sink.name, self._place)
        self._noting = self._place, future
        return future

    def close(self) -> None:
        """Let go of what the sink holds open."""
        self._sink.close()

    # --- delivering ------------------------------------------------------------------------------

    def _deliver(self) -> bool:
        """Deliver a batch; whether there may be more. Raises what the sink raises."""
        waiting = self._journal.pending(self._sink.name, self._limit, after=self._place)
        wanted = [one for one in waiting if self._wants(one.record)]
        if not wanted:
            if not waiting:
                self._sink.deliver(())
                return False
            self._pass(waiting)
            return True
        first = next(number for number, one in enumerate(waiting) if one is wanted[0])
        self._pass(waiting[:first])
        self._counts["retried"] += sum(one.place <= self._tried for one in wanted)
        self._tried = max(self._tried, wanted[-1].place)
        try:
            self._sink.deliver([one.record for one in wanted])
        except RefusedError as error:
            return self._refused(wanted, error)
        self._counts["delivered"] += len(wanted)
        self._pass([one for one in waiting[first:] if not self._wants(one.record)])
        self._place = waiting[-1].place
        self._took_others = True
        self._last_success = self._clock()
        self.tests.extend(str(one.record["id"]) for one in wanted if one.record["kind"] == TEST)
        more = len(waiting) == self._limit
        self._limit = min(self._limit * 2, BATCH)
        return more

    def _wants(self, record: Mapping[str, Any]) -> bool:
        return record["severity"] in self._wanted or record["kind"] == TEST

    def _pass(self, unwanted: Sequence[Pending]) -> None:
        if unwanted:
            self._counts["passed"] += len(unwanted)
            self._place = max(self._place, unwanted[-1].place)

    def _refused(self, wanted: Sequence[Pending], error: RefusedError) -> bool:
        """Find the record that is refused; go past it if it alone is, and stays so.

        A side that refuses everything is set up wrongly, and then nothing is given up.
        """
        if len(wanted) > 1:
            self._limit = 1
            return True
        (one,) = wanted
        place, tries = self._refusals
        self._refusals = one.place, tries + 1 if place == one.place else 1
        if self._refusals[1] < TRIES or not self._took_others:
            raise error
        self._took_others = False
        self._counts["given_up"] += 1
        self._place = one.place
        self._log("a sink refuses an alert, which it will not get", error, alert=one.record["id"])
        return True

    # --- how it stands ---------------------------------------------------------------------------

    def _succeeded(self) -> None:
        if self._failing_since:
            logger(__name__).info("a sink takes alerts again", sink=self._sink.name)
        self._failing_since = self._retry_at = 0.0
        self._backoff.reset()

    def _failed(self, error: Exception) -> float:
        """Note a failure; return how long to wait."""
        self._counts["failures"] += 1
        self._last_error = clean(str(error) or type(error).__name__, MOST_ERROR)
        if not self._failing_since:
            self._failing_since = self._clock()
            self._log("a sink takes no alerts; they wait for it", error)
        if not isinstance(error, SinkError) and (name := type(error).__name__) not in self._faults:
            self._faults.add(name)
            trace = "".join(traceback.format_exception(error))  # without values: they may be secret
            logger(__name__).error("fault in a sink", sink=self._sink.name, trace=trace)
        if not isinstance(error, RefusedError):
            self._limit = max(self._limit // 2, 1)
        pause = self._backoff.pause()
        self._retry_at = self._clock() + pause
        return pause

    def _log(self, event: str, error: Exception, **more: object) -> None:
        why = clean(str(error), MOST_ERROR)
        logger(__name__).warning(event, sink=self._sink.name, why=why, **more)

    def _look(self) -> None:
        try:
            behind, since = self._journal.waiting(self._sink.name, after=self._place)
        except Exception as error:  # noqa: BLE001 a store that cannot be read is told
            self._last_error = clean(str(error), MOST_ERROR)
            behind, since = self.state.behind, int(self.state.waiting_since * 1e9)
        self.state = SinkState(
            name=self.state.name,
            kind=self.state.kind,
            is_confirmed=self.state.is_confirmed,
            behind=behind,
            waiting_since=since / 1e9,
            failing_since=self._failing_since,
            last_error=self._last_error,
            last_success=self._last_success,
            delivered=self._counts["delivered"],
            retried=self._counts["retried"] + getattr(self._sink, "resent", 0),
            failures=self._counts["failures"],
            passed_over=self._counts["passed"],
            given_up=self._counts["given_up"] + self.expired,
        )
