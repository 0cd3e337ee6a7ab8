"""Values: process variables that take values, or move, as they never did.

Of each point is learned what sort of value it is, between which limits it moves, how far and how
fast, how long it stands still, and what is written to it. Two registers that form one value are
judged as one. `otids/learning/points/limits.py` says when a value is beyond what was learned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np

from otids.detectors.base import (
    MOST_MEMBERS,
    Cause,
    Detector,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
    finding_over,
)
from otids.learning.causes import Causes
from otids.learning.ledger import UNKNOWN
from otids.learning.points.deviations import (
    NAME,
    Deviation,
    Kind,
    cause_of,
    is_accepted,
    judgeable,
    spell,
    sureness,
)
from otids.learning.points.limits import NEVER_NS
from otids.learning.points.moves import Heard, Moves, Waiting, neighbours
from otids.learning.points.pairs import combine
from otids.learning.points.points import Points
from otids.learning.points.quantities import spell_quantity, spell_summary
from otids.learning.points.samples import TEXT, Samples, samples_of
from otids.learning.points.summaries import OPEN
from otids.learning.words import spell_list
from otids.traffic import RESPONSE, SECOND, Array, ConversationName, Mask, Tick

__all__ = ["NAME", "Values"]

MOST_LOOKED_AT = 256
"""Deviations of one kind in a tick of which each is looked at."""
BACK_FOR = 600 * SECOND
"""A counter that ran back and then jumps ahead within this time was shown an earlier time."""
SEVERAL = 3
"""So many values of a device that deviate alike say more than one."""
MOST_FINDINGS = 64
MOST_BASELINE = 12
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
    written: Array | None = None  # rows of `writes`, as they were when it was judged
    heard: Heard | None = None
    waiting: Waiting | None = None  # of `heard`, where writes wait to be read back
    told: tuple[Array, Array] | None = None  # rows written to, and the values, that were told
    back: Array | None = None  # rows of counters that run back


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
        if not len(tick.tables.values.item):
            return []
        self.points.look_at(tick.names)
        scratch = self._scratch = _Scratch(tick, *samples_of(tick))
        if self.declared:
            return []
        found: list[Deviation] = []
        if scratch.writes is not None:
            found.extend(self._judge_writes(tick, scratch, scratch.writes))
        if scratch.reads is not None:
            heard = scratch.heard = self.points.hear(tick, scratch.reads, enter=False)
            if heard.moves is not None:
                found.extend(self._judge_moves(tick, scratch, heard, heard.moves))
            found.extend(self._judge_still(tick, scratch, heard))
        if not found:
            return []
        found = [one for one in found if not is_accepted(self._causes, self.points, one)]
        return _tell(tick, self.points, found)

    def _told(self, scratch: _Scratch) -> Array:
        """By row, the written number of which people were told: reading it back is no news."""
        if scratch.told is None:
            return self.points["told"]
        told = self.points["told"].copy()
        rows, numbers = scratch.told
        told[rows] = numbers.view(np.uint64)
        return told

    def _judge_moves(
        self, tick: Tick, scratch: _Scratch, heard: Heard, moves: Moves
    ) -> list[Deviation]:
        points, limits = self.points, self.points.limits
        row, number = moves.row, moves.number
        # Nearly always everything is well within its limits, and shown to be so at little cost.
        lower, upper, reach, by_states = limits.near.take(row, axis=0).T
        within = (number >= lower) & (number <= upper)
        within &= np.abs(number - moves.before) <= reach
        unseen: Mask = by_states != 0
        if np.count_nonzero(unseen):
            at = unseen.nonzero()[0]
            unseen[at] = ~points.has_seen(row[at], number[at])
        if np.count_nonzero(within) == len(row) and not np.count_nonzero(unseen):
            return []
        step = np.where(moves.has_before, number - moves.before, 0.0)
        elapsed = moves.time - moves.before_time
        out = (number < lower) | (number > upper)
        jump = np.abs(step) > limits.step[row] * np.maximum(elapsed / moves.usual, 1.0)
        back = (-step > limits.back[row]) & (-step < limits.wrap[row])
        # Two readings may stand on either side of one count.
        fast = step > limits.rate[row] * np.maximum(elapsed / SECOND, 1.0) + points["up_step"][row]
        if moves.is_odd is not None:
            out |= moves.is_odd & judgeable(limits, row) & (points["odd"][row] == 0)
        if not (out | jump | back | fast | unseen).any():
            return []
        message = heard.samples.message(moves.place)
        is_lossy = tick.loss.is_lossy(tick.tables.messages.conversation[message])
        certain = moves.has_before & moves.is_near & ~is_lossy
        out &= number.view(np.uint64) != self._told(scratch)[row]
        back &= ~((-step >= WRAP_16[0]) & (-step <= WRAP_16[1]))
        anew = back & (number <= np.maximum(points["up_step"][row] * 10, 0.01 * moves.before))
        scratch.back = row[back & certain & ~anew & ~out]
        ahead = moves.time - points["ran_back"][row] < BACK_FOR
        ahead = fast & (ahead | np.isin(row, scratch.back))
        found: list[Deviation] = []
        for kind, mask in (
            (Kind.RANGE, out),
            (Kind.STATE, unseen),
            (Kind.STEP, jump & certain & ~out),
            (Kind.BACK, back & certain & ~anew & ~out),
            (Kind.ANEW, anew & certain),
            (Kind.AHEAD, ahead & certain & ~out),
            (Kind.FAST, fast & certain & ~out & ~ahead),
        ):
            found.extend(
                Deviation(
                    kind, int(row[at]), int(message[at]), float(number[at]),
                    float(moves.before[at]), float(elapsed[at]),
                )
                for at in _first(row, np.flatnonzero(mask))
            )  # fmt: skip
        return found

    def _judge_still(self, tick: Tick, scratch: _Scratch, heard: Heard) -> list[Deviation]:
        """What stands where it should not be, stands still, or is not as it was written."""
        points, limits = self.points, self.points.limits
        row, time = heard.row, heard.samples.time
        found: list[Deviation] = []
        if points.pendings:
            scratch.waiting = points.waiting(heard)
            found.extend(self._judge_taking(tick, heard, scratch.waiting))
        if not (points.has_faults or points.may_stand_too_long()):
            return found
        frozen = points["still"][row] > limits.frozen[row]
        beyond = points["fault"][row] == 1
        if not (frozen.any() or beyond.any()):
            return found
        if heard.moves is not None:
            still = ~np.isin(row, heard.moves.clock)
            frozen &= still
            beyond &= still
        of = np.where(points.pair[row] == UNKNOWN, row, points.pair[row])
        number = points["last"][of]
        for place in _first(row, np.flatnonzero(frozen)):
            at = row[place]
            found.append(
                Deviation(
                    Kind.FROZEN, int(of[place]), int(heard.samples.message(place)),
                    float(number[place]), float(limits.frozen[at]),
                    float(time[place] - points["changed"][at]), int(points["still"][at]),
                )
            )  # fmt: skip
        beyond &= (number < limits.lower[of]) | (number > limits.upper[of])
        beyond &= number.view(np.uint64) != self._told(scratch)[of]
        for place in _first(row, np.flatnonzero(beyond)):
            value, message = float(number[place]), int(heard.samples.message(place))
            found.append(Deviation(Kind.RANGE, int(of[place]), message, value, value))
        return found

    def _judge_taking(self, tick: Tick, heard: Heard, waiting: Waiting) -> list[Deviation]:
        points, places = self.points, waiting.place
        if not np.count_nonzero(waiting.is_late):
            return []
        rows = heard.row[places]
        is_late = waiting.is_late & (points.limits.taking[rows] != NEVER_NS)
        if not np.count_nonzero(is_late):
            return []
        message = heard.samples.message(places)
        is_late &= ~tick.loss.is_lossy(tick.tables.messages.conversation[message])
        found = []
        for place in _first(rows, np.flatnonzero(is_late)):
            row = int(rows[place])
            sample = places[place]
            waited = heard.samples.time[sample] - points["pending_time"][row]
            found.append(
                Deviation(
                    Kind.IGNORED, row, int(message[place]), float(heard.samples.number(sample)),
                    float(points["pending"][row]), float(waited),
                )
            )  # fmt: skip
        return found

    def _judge_writes(self, tick: Tick, scratch: _Scratch, writes: Samples) -> list[Deviation]:
        points, limits = self.points, self.points.limits
        rows = scratch.written = points.find(writes)
        known = ((rows != UNKNOWN) & (writes.kind() != TEXT)).nonzero()[0]
        if not len(known):
            return []
        if len(known) < len(rows):
            writes, rows = writes.only(known), rows[known]
        number, message = writes.number(), writes.message()
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
        if not len(tick.tables.values.item):
            return
        scratch = self._scratch
        if scratch is None or scratch.tick is not tick:
            self.points.look_at(tick.names)
            scratch = _Scratch(tick, *samples_of(tick))
        clean = quarantine.clean("messages")
        if scratch.reads is not None:
            self._learn_reads(tick, scratch, scratch.reads, clean)
        if scratch.writes is not None:
            self._learn_writes(tick, scratch, scratch.writes, clean)
        if scratch.told is not None:
            rows, numbers = scratch.told
            self.points["told"][rows] = numbers.view(np.uint64)
        if scratch.back is not None:
            self.points["ran_back"][scratch.back] = tick.second * SECOND
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
            and not (points.has_open and (points["stage"][heard.row] == OPEN).any())
        )
        waiting = scratch.waiting
        if heard is None or not is_settled:
            sure = reads if clean is None else reads.only(np.flatnonzero(clean[reads.message()]))
            points.meet(sure)
            heard = points.hear(tick, reads, enter=True, declared=self.declared)
            self._learn_heard(tick, heard, clean)
            waiting = None
        moves = heard.moves
        if points.pendings:
            waiting = points.waiting(heard) if waiting is None else waiting
            points.take(heard, waiting, None if is_settled else self._is_learned(heard, clean))
        if moves is None:
            points.follow(heard)
            return
        is_clean = clean if clean is None else clean[heard.samples.message(moves.place)]
        if points.has_earned and not self.declared:
            points.widen(moves, is_clean, tick.second)
        points.follow(heard, None if is_clean is None else ~is_clean)

    def _is_learned(self, heard: Heard, clean: Mask | None) -> Mask:
        """Which samples are to be learned."""
        is_open: Mask = self.points["stage"][heard.row] == OPEN
        is_open |= self.declared
        return is_open if clean is None else is_open & clean[heard.samples.message()]

    def _learn_heard(self, tick: Tick, heard: Heard, clean: Mask | None) -> None:
        points = self.points
        is_read = np.zeros(points.ledger.size, np.bool_)
        is_read[heard.row[self._is_learned(heard, clean)]] = True
        points.count(tick, is_read.nonzero()[0])
        moves = heard.moves
        if moves is None:
            return
        is_open = (points["stage"][moves.clock] == OPEN) | self.declared
        message = heard.samples.message(moves.place)
        if clean is not None:
            is_open &= clean[message]
        is_lossy = tick.loss.is_lossy(tick.tables.messages.conversation[message])
        points.learn(moves, heard.samples.kind(moves.place), is_open, ~is_lossy)

    def _learn_writes(
        self, tick: Tick, scratch: _Scratch, writes: Samples, clean: Mask | None
    ) -> None:
        points, messages = self.points, tick.tables.messages
        rows = scratch.written
        if clean is not None:
            writes, rows = writes.only(np.flatnonzero(clean[writes.message()])), None
        if rows is None or points.has_open or rows.min() == UNKNOWN:
            rows = self._learn_written(tick, writes)
        is_read = writes.kind() != TEXT
        if len(rows) and rows.min() == UNKNOWN:
            is_read &= rows != UNKNOWN
        is_read &= points["count"].take(rows, mode="wrap") > 0
        if not np.count_nonzero(is_read):
            return
        symbols, symbol = tick.names.symbols, messages.symbol
        good = (symbols.role[symbol] == RESPONSE) & (symbols.status[symbol] == 0)
        asked = messages.reply_to[good] - messages.id[0]
        is_answered = np.zeros(len(symbol), np.bool_)
        is_answered[asked[asked < len(symbol)]] = True
        message = writes.message()
        is_read &= is_answered[message]
        is_read &= ~tick.loss.is_lossy(messages.conversation[message])
        if is_read.any():
            points.await_taking(rows[is_read], writes.only(np.flatnonzero(is_read)))

    def _learn_written(self, tick: Tick, writes: Samples) -> Array:
        """Take in what was written where learning goes on; return the rows of all of it."""
        points = self.points
        rows = points.find(writes)
        is_open = (
            (rows == UNKNOWN) | (points["stage"][np.maximum(rows, 0)] == OPEN) | self.declared
            if len(points.ledger)
            else np.ones(len(rows), np.bool_)
        )
        if not is_open.any():
            return rows
        points.learn_writes(tick, writes.only(np.flatnonzero(is_open)))
        return points.find(writes)

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
        return [Readiness(None, *self.points.progress())]

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


# --- findings ----------------------------------------------------------------------------------


def _tell(tick: Tick, points: Points, found: Iterable[Deviation]) -> list[Finding]:
    """One finding for each kind and device; of what clients write or publish, for each client."""
    symbols, symbol = tick.names.symbols, tick.tables.messages.symbol
    groups: dict[tuple[Any, ...], list[Deviation]] = {}
    for one in found:
        conversation = tick.names.conversation(int(tick.tables.messages.conversation[one.message]))
        point = points.ledger.name(one.row).point
        client = conversation.client if symbols.from_client[symbol[one.message]] else None
        groups.setdefault((one.kind.word, point.server, point.unit, client), []).append(one)
    findings = [_finding(tick, points, key, group) for key, group in groups.items()]
    return findings[:MOST_FINDINGS]


def _finding(
    tick: Tick, points: Points, key: tuple[Any, ...], group: Sequence[Deviation]
) -> Finding:
    word, server, unit, client = key
    words = [spell(points, one) for one in group[:MOST_MEMBERS]]
    order = ("info", "low", "medium", "high")
    severity = max((one.severity for one in words), key=order.index)
    several = len({one.row for one in group})
    if word == Kind.FROZEN.word and several >= SEVERAL:
        severity = "medium"
    conversations = dict.fromkeys(_conversation(tick, one.message) for one in group)
    first = next(iter(conversations))
    quantities = [points.ledger.name(row) for row in dict.fromkeys(one.row for one in group)]
    where = tuple(map(spell_quantity, quantities))[:MOST_MEMBERS]
    more = f"; and {len(group) - MOST_MEMBERS} more" if len(group) > MOST_MEMBERS else ""
    rows = np.unique([one.message for one in group])
    return finding_over(
        tick,
        {"messages": rows},
        says_values=True,
        detector=NAME,
        kind=f"{NAME}.{word}",
        cause=(NAME, word, server.vlan, server.address, unit)
        + ((client.vlan, client.address) if client else ()),
        expected=spell_list((one.expected for one in words), "; ", most=3),
        observed=spell_list((one.observed for one in words), "; ", most=3) + more,
        source=client or server,
        target=server if client else first.client,
        conversation=first if len(conversations) == 1 else None,
        points=where,
        members=where,
        severity=severity,
        weak=all(one.weak for one in words),
        accepts=tuple(dict.fromkeys(cause_of(points, one) for one in group))[:MOST_MEMBERS],
        score=max(sureness(points, one.row) for one in group),
        baseline=_baseline(points, [one.row for one in group]),
    )


def _conversation(tick: Tick, message: int) -> ConversationName:
    return tick.names.conversation(int(tick.tables.messages.conversation[message]))


def _baseline(points: Points, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(
        spell_summary(points.ledger.name(row), points, row, int(points.limits.type[row]))
        for row in list(dict.fromkeys(rows))[:MOST_BASELINE]
    )
