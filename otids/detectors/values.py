"""Values: process variables that take values, or move, as they never did.

Of each point is learned what sort of value it is, between which limits it moves, how far and how
fast, how long it stands still, and what is written to it. Two registers that form one value are
judged as one. `otids/learning/limits.py` says when a value is beyond what was learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from otids.detectors.base import Cause, Detector, Finding, Quarantine, Readiness, State, StateError
from otids.detectors.deviations import NAME, Deviation, Kind, is_accepted, judgeable, tell
from otids.learning.causes import Causes
from otids.learning.ledger import UNKNOWN
from otids.learning.limits import NEVER_NS
from otids.learning.points import (
    ENOUGH_SECONDS,
    LONG_AGO,
    LONGEST_PAUSE,
    OPEN,
    Heard,
    Moves,
    Points,
    neighbours,
    state_of,
)
from otids.learning.pairs import combine
from otids.learning.samples import TEXT, Samples, samples_of
from otids.traffic import RESPONSE, SECOND, Array, Mask, Tick

__all__ = ["NAME", "Values"]

MOST_LOOKED_AT = 256
"""Deviations of one kind in a tick of which each is looked at."""
WRAP_16 = (49_152, 65_536)
"""What counts in 16 bits falls so far when it begins anew."""


class ValuesState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    points: dict[str, object]
    accepted: list[object]
    settled: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


@dataclass(slots=True)
class _Scratch:
    """What judging a tick has found out, for learning it."""

    tick: Tick
    reads: Samples | None
    writes: Samples | None
    heard: Heard | None = None
    told: tuple[Array, Array] | None = None  # rows written to, and the values, that were told


class Values(Detector):
    """Knows what values points take, and says what does not fit."""

    name = NAME

    def __init__(self) -> None:
        self.points = Points()
        self.declared = False
        self._causes = Causes(NAME)
        self._scratch: _Scratch | None = None

    @property
    def counters(self) -> Mapping[str, int]:
        """How many values were not learned for lack of room."""
        return {"values": self.points.ledger.refused}

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say which values in `tick` deviate. Nothing is learned."""
        self._scratch = None
        if not len(tick.tables.values):
            return []
        self.points.look_at(tick.names)
        scratch = self._scratch = _Scratch(tick, *samples_of(tick))
        if self.declared:
            return []
        found: list[Deviation] = []
        if scratch.reads is not None:
            heard = scratch.heard = self.points.hear(tick, scratch.reads, enter=False)
            if heard.moves is not None:
                found.extend(self._judge_moves(tick, heard.moves))
            found.extend(self._judge_still(tick, heard))
        if scratch.writes is not None:
            found.extend(self._judge_writes(tick, scratch, scratch.writes))
        if not found:
            return []
        found = [one for one in found if not is_accepted(self._causes, self.points, one)]
        return tell(tick, self.points, found)

    def _judge_moves(self, tick: Tick, moves: Moves) -> list[Deviation]:
        points, limits = self.points, self.points.limits
        row, number = moves.row, moves.number
        step = np.where(moves.has_before, number - moves.before, 0.0)
        elapsed = moves.time - moves.before_time
        out = (number < limits.lower[row]) | (number > limits.upper[row])
        jump = np.abs(step) > limits.step[row]
        back = (-step > limits.back[row]) & (-step < limits.wrap[row])
        # Two readings may stand on either side of one count.
        fast = step > limits.rate[row] * np.maximum(elapsed / SECOND, 1.0) + points["up_step"][row]
        unseen: Mask = limits.by_states[row]
        if unseen.any():
            place = state_of(number)
            known = points["states"][row, place // 64] >> (place % 64).astype(np.uint64)
            unseen = unseen & ((known & np.uint64(1)) == 0)
        odd = np.isnan(number)
        if odd.any():
            odd &= judgeable(limits, row) & (points["odd"][row] == 0)
            out |= odd
        if not (out | jump | back | fast | unseen).any():
            return []
        is_lossy = tick.loss.is_lossy(tick.tables.messages.conversation[moves.message])
        certain = moves.has_before & (elapsed <= limits.gap[row]) & ~is_lossy
        out &= number.view(np.uint64) != points["told"][row]
        back &= ~((-step >= WRAP_16[0]) & (-step <= WRAP_16[1]))
        anew = back & (number <= np.maximum(points["up_step"][row] * 10, 0.01 * moves.before))
        found: list[Deviation] = []
        for kind, mask in (
            (Kind.RANGE, out),
            (Kind.STATE, unseen),
            (Kind.STEP, jump & certain & ~out),
            (Kind.BACK, back & certain & ~anew & ~out),
            (Kind.ANEW, anew & certain),
            (Kind.FAST, fast & certain & ~out),
        ):
            for place in _first(row, np.flatnonzero(mask)):
                found.append(
                    Deviation(
                        kind, int(row[place]), int(moves.message[place]), float(number[place]),
                        float(moves.before[place]), float(elapsed[place]),
                    )
                )  # fmt: skip
        return found

    def _judge_still(self, tick: Tick, heard: Heard) -> list[Deviation]:
        """What stands where it should not be, stands still, or is not as it was written."""
        points, limits = self.points, self.points.limits
        row, time = heard.row, heard.samples.time
        since = points["changed"][row]
        frozen = (time - since) > limits.frozen[row]
        beyond = points["fault"][row] == 1
        found: list[Deviation] = []
        if points.pendings:
            found.extend(self._judge_taking(tick, heard))
        if not (frozen.any() or beyond.any()):
            return found
        if heard.moves is not None:
            still = ~np.isin(row, heard.moves.clock)
            frozen &= still
            beyond &= still
        frozen &= (since != LONG_AGO) & (time - points["last_time"][row] <= LONGEST_PAUSE * SECOND)
        for place in _first(row, np.flatnonzero(frozen)):
            of = (
                int(row[place])
                if points.pair[row[place]] == UNKNOWN
                else int(points.pair[row[place]])
            )
            found.append(
                Deviation(
                    Kind.FROZEN, of, int(heard.samples.message[place]), float(points["last"][of]),
                    float(limits.frozen[row[place]]), float(time[place] - since[place]),
                )
            )  # fmt: skip
        for place in _first(row, np.flatnonzero(beyond)):
            of = (
                int(row[place])
                if points.pair[row[place]] == UNKNOWN
                else int(points.pair[row[place]])
            )
            number = float(points["last"][of])
            if not limits.lower[of] <= number <= limits.upper[of]:
                message = int(heard.samples.message[place])
                found.append(Deviation(Kind.RANGE, of, message, number, number, 0.0))
        return found

    def _judge_taking(self, tick: Tick, heard: Heard) -> list[Deviation]:
        points = self.points
        places, _, is_late = points.pending(heard)
        rows, message = heard.row[places], heard.samples.message[places]
        is_late &= points.limits.taking[rows] != NEVER_NS
        is_late &= ~tick.loss.is_lossy(tick.tables.messages.conversation[message])
        found = []
        for place in _first(rows, np.flatnonzero(is_late)):
            row = int(rows[place])
            sample = places[place]
            waited = heard.samples.time[sample] - points["pending_time"][row]
            found.append(
                Deviation(
                    Kind.IGNORED, row, int(message[place]), float(heard.samples.number[sample]),
                    float(points["pending"][row]), float(waited),
                )
            )  # fmt: skip
        return found

    def _judge_writes(self, tick: Tick, scratch: _Scratch, writes: Samples) -> list[Deviation]:
        points, limits = self.points, self.points.limits
        rows = points.find(writes)
        known = np.flatnonzero((rows != UNKNOWN) & (writes.kind != TEXT))
        writes, rows = writes.only(known), rows[known]
        if not len(rows):
            return []
        number, message = writes.number, writes.message
        first = neighbours(tick, writes, points.pair[rows[:-1]] != UNKNOWN)
        if len(first):
            forms = points.lead[rows[first]]
            whole = combine(writes.raw[first], writes.raw[first + 1], forms)
            number = np.concatenate([number, whole])
            message = np.concatenate([message, message[first]])
            rows = np.concatenate([rows, points.pair[rows[first]]])
        fits = (number >= limits.written_lower[rows]) & (number <= limits.written_upper[rows])
        fits |= np.isinf(limits.written_upper[rows])
        beyond = np.flatnonzero(~fits)
        if not len(beyond):
            return []
        scratch.told = rows[beyond], number[beyond]
        return [
            Deviation(Kind.WRITTEN, int(rows[place]), int(message[place]), float(number[place]))
            for place in beyond[:MOST_LOOKED_AT].tolist()
        ]

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in the values of messages that nobody flagged, where learning goes on."""
        if not len(tick.tables.values):
            return
        scratch = self._scratch
        if scratch is None or scratch.tick is not tick:
            self.points.look_at(tick.names)
            scratch = _Scratch(tick, *samples_of(tick))
        clean = quarantine.clean("messages")
        if scratch.reads is not None:
            self._learn_reads(tick, scratch, scratch.reads, clean)
        if scratch.writes is not None:
            self._learn_writes(tick, scratch.writes, clean)
        if scratch.told is not None:
            rows, numbers = scratch.told
            self.points["told"][rows] = numbers.view(np.uint64)
        if not self.declared:
            self.points.settle(tick.second)

    def _learn_reads(
        self, tick: Tick, scratch: _Scratch, reads: Samples, clean: Mask | None
    ) -> None:
        points, heard = self.points, scratch.heard
        is_settled = (
            heard is not None
            and len(heard.row) == len(reads)
            and not self.declared
            and not (points["stage"][heard.row] == OPEN).any()
        )
        if heard is None or not is_settled:
            sure = reads if clean is None else reads.only(np.flatnonzero(clean[reads.message]))
            points.meet(sure)
            heard = points.hear(tick, reads, enter=True, declared=self.declared)
            self._learn_heard(tick, heard, clean)
        moves = heard.moves
        if points.pendings:
            points.take(heard, self._is_learned(heard, clean))
        if moves is None:
            points.follow(heard)
            return
        is_clean = np.ones(len(moves.row), np.bool_) if clean is None else clean[moves.message]
        if not self.declared:
            points.widen(moves, is_clean, tick.second)
        points.follow(heard, None if clean is None else ~is_clean)

    def _is_learned(self, heard: Heard, clean: Mask | None) -> Mask:
        """Which samples are to be learned."""
        is_open: Mask = self.points["stage"][heard.row] == OPEN
        is_open |= self.declared
        return is_open if clean is None else is_open & clean[heard.samples.message]

    def _learn_heard(self, tick: Tick, heard: Heard, clean: Mask | None) -> None:
        points = self.points
        learned = np.flatnonzero(self._is_learned(heard, clean))
        rows, back = np.unique(heard.row[learned][::-1], return_index=True)
        points.count(tick, rows, heard.samples.time[learned][::-1][back])
        moves = heard.moves
        if moves is None:
            return
        is_open = (points["stage"][moves.clock] == OPEN) | self.declared
        if clean is not None:
            is_open &= clean[moves.message]
        is_lossy = tick.loss.is_lossy(tick.tables.messages.conversation[moves.message])
        points.learn(moves, is_open, ~is_lossy)

    def _learn_writes(self, tick: Tick, writes: Samples, clean: Mask | None) -> None:
        points, messages = self.points, tick.tables.messages
        if clean is not None:
            writes = writes.only(np.flatnonzero(clean[writes.message]))
        rows = points.find(writes)
        is_open = (
            (rows == UNKNOWN) | (points["stage"][np.maximum(rows, 0)] == OPEN) | self.declared
            if len(points.ledger)
            else np.ones(len(rows), np.bool_)
        )
        if is_open.any():
            points.learn_writes(tick, writes.only(np.flatnonzero(is_open)))
            rows = points.find(writes)
        symbols = tick.names.symbols
        good = (symbols.role[messages.symbol] == RESPONSE) & (symbols.status[messages.symbol] == 0)
        is_read = (rows != UNKNOWN) & (writes.kind != TEXT)
        is_read[is_read] = points["count"][rows[is_read]] > 0
        is_read &= np.isin(messages.id[writes.message], messages.reply_to[good])
        is_read &= ~tick.loss.is_lossy(messages.conversation[writes.message])
        if is_read.any():
            points.await_taking(rows[is_read], writes.only(np.flatnonzero(is_read)))

    def interrupt(self) -> None:
        """Another capture: what comes does not follow from what was heard."""
        self.points.rest()

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.declared = True
        self.points.open()

    def close_world(self) -> None:
        """Whatever goes beyond what was learned is told from now on."""
        self.declared = False
        self.points.close()

    def learned(self) -> Mapping[str, Array]:
        """Ids of points of which something is known."""
        return {"points": self.points.learned()}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        if len(retired["points"]):
            self.points.forget(retired["points"])

    def accept(self, cause: Cause) -> bool:
        """Make one value, or one way of moving, of one point normal."""
        return self._causes.add(cause)

    def undo(self, cause: Cause) -> bool:
        """Take back an accepted cause."""
        return self._causes.remove(cause)

    # --- state -------------------------------------------------------------------------------

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, of all points together."""
        points = self.points
        single = points.form[: points.ledger.size] == 0
        if not single.any():
            return [Readiness(None, 0.0, None)]
        ready = points["stage"][single] != OPEN
        waits = ENOUGH_SECONDS - points["heard"][single][~ready]
        left = float(max(waits.min(), 0)) if len(waits) else 0.0
        return [Readiness(None, float(np.mean(ready)), left)]

    def state(self) -> State:
        """Everything learned, by name."""
        state = ValuesState(
            self.points.ledger.state(), list(self._causes.state()), self.points.settled
        )
        plain: State = msgspec.to_builtins(state, builtin_types=(bytes,))
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        causes = Causes(NAME)
        try:
            checked = msgspec.convert(state, ValuesState)
            causes.restore(checked.accepted)
            self.points.restore(checked.points)
        except ValueError as error:
            raise StateError(f"the state of the values detector is damaged: {error}") from error
        self._causes, self._scratch = causes, None
        self.points.settled = checked.settled

    def merge(self, state: State) -> None:
        """Add what another one learned."""
        try:
            checked = msgspec.convert(state, ValuesState)
            Causes(NAME).restore(checked.accepted)
            self.points.merge(checked.points)
        except ValueError as error:
            raise StateError(f"the state of the values detector is damaged: {error}") from error
        self._causes.merge(checked.accepted)
        self._scratch = None


def _first(rows: Array, places: Array) -> list[int]:
    """The first of some places of each row, as many as are looked at."""
    if not len(places):
        return []
    _, first = np.unique(rows[places], return_index=True)
    found: list[int] = places[np.sort(first)][:MOST_LOOKED_AT].tolist()
    return found
