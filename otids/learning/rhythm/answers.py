"""How fast servers answer, and whether they answer at all: by conversation, function and unit."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from otids.learning.ledger import Column, Ledger
from otids.learning.rhythm.rhythm import (
    BINS,
    DELAY_EDGES,
    ENOUGH,
    ENOUGH_DECLARED,
    ENOUGH_TIME,
    LONG_AGO,
    NEVER,
    SURE,
    WIDENED,
    quantiles,
)
from otids.traffic import REPORT, REQUEST, RESPONSE, SECOND, Array, ConversationName, Mask, Tick

MOST_ROWS = 16_384
MOST_CANDIDATES = 4_096
"""Rows among them that were not learned yet; the longest unheard make room."""
WINDOW = 5
"""Answers whose median is looked at: one late answer is nothing."""
FACTOR = 3
MARGIN = 50_000_000
"""Answers are slow beyond 3 times the learned 99.9 % quantile, and 50 ms beyond it."""
ALWAYS = 0.99
"""Share of requests that must have been answered for a missing answer to mean anything."""
IN_A_ROW = 3
LEAST_SPELL = 3 * SECOND
"""Requests without answer, and for how long, before it is told."""
LONGEST_SPELL = 900 * SECOND
SHORT_SPELL = 30 * SECOND
"""A controller that restarts needs so long; what is shorter says little by itself."""
LONGEST_PAUSE = 60 * SECOND
_MOST = 2**60


class AnswerName(NamedTuple):
    """What is asked for in one way, and so is answered alike."""

    conversation: ConversationName
    function: int
    unit: int


COLUMNS = {
    # Learned; these commute.
    "delays": Column("<u4", join=np.add, low=0, width=(BINS,)),
    "asked": Column("<i8", join=np.add, low=0, high=_MOST),
    "span": Column("<i8", join=np.add, low=0, high=_MOST),  # ns of listening
    "spell": Column("<i8", low=0, high=_MOST),  # longest time without answers, ns
    "closed": Column("|u1", low=0, high=1),
    # Derived.
    "slow": Column("<i8", fill=NEVER, low=0, high=NEVER),  # ns; NEVER: not judged
    "patience": Column("<i8", low=0, high=NEVER),  # ns; 0: not judged
    # Moments.
    "last": Column("<i8", fill=LONG_AGO, low=LONG_AGO, high=NEVER),  # request
    "since": Column("<i8", low=LONG_AGO, high=NEVER),  # first of those without answer
    "pending": Column("<i8", low=0, high=_MOST),  # requests without answer
    "window": Column("<i8", low=0, high=_MOST, width=(3,)),  # answers, slow ones, their ns
    "touching": Column("<i8", low=LONG_AGO, high=NEVER),
}
MOMENTS = ("last", "since", "pending", "window", "touching")


@dataclass(slots=True)
class Dialogue:
    """The requests and responses of a tick that have a row."""

    asks: Array  # places among the messages
    asked: Array  # their rows
    answers: Array
    answered: Array
    delays: Array  # ns, of `answers`
    # What was found out of them, once it was asked for.
    left: "tuple[Array, Array, Array] | Literal[False] | None" = False
    late: "tuple[Array, Array] | Literal[False] | None" = False


class Answers:
    """Follows response times, and requests that stay without answer."""

    def __init__(self) -> None:
        self.table = Ledger(AnswerName, COLUMNS, MOST_ROWS)
        self.declared = False
        self._places: Array = np.zeros(0, np.int64)
        self._anyone_open = False
        self._waits = False  # whether a window of answers is open
        self.misses_some = False  # whether `hear` left out a request that has no row

    def hear(self, tick: Tick, *, enter: bool = False) -> Dialogue | None:
        """Find what is asked and answered; only requests make rows, if `enter`."""
        messages, names = tick.tables.messages, tick.names
        ids = messages.symbol
        if not len(ids):
            return None
        table = self.table
        roles = names.symbols.role[ids]
        asks, answers = (roles == REQUEST).nonzero()[0], (roles == RESPONSE).nonzero()[0]
        table.follow(names, names.symbols.size)

        def spell(id: int) -> AnswerName | None:
            symbols = names.symbols
            if symbols.role[id] == REPORT:
                return None
            conversation = names.conversation(int(symbols.conversation[id]))
            return AnswerName(conversation, int(symbols.function[id]), int(symbols.unit[id]))

        rows = table.find(ids, spell)
        self.misses_some = False
        if np.count_nonzero(rows < 0):
            missing = asks[rows[asks] < 0]
            self.misses_some = not enter and len(missing) > 0
            if enter and len(missing):
                if not self.declared:
                    self._make_room(len(missing))
                table.enter(ids[missing], spell, tick.second)
                # A response may have been met before its request.
                table.forget(np.arange(names.symbols.size))
                rows = table.find(ids, spell)
                self._anyone_open = self._anyone_open or not self.declared
            asks, answers = asks[rows[asks] >= 0], answers[rows[answers] >= 0]
        if table.size > len(self._places):
            self._places = np.zeros(2 * table.size, np.int64)
        return Dialogue(asks, rows[asks], answers, rows[answers], messages.latency[answers])

    def _make_room(self, wanted: int) -> None:
        table = self.table
        is_candidate = table.in_use & (table["closed"] == 0) & (table["slow"] == NEVER)
        rows = is_candidate.nonzero()[0]
        if len(rows) + min(wanted, MOST_CANDIDATES // 16) <= MOST_CANDIDATES:
            return
        touched = table["touched"][rows]
        gone = rows[touched <= np.partition(touched, len(rows) // 16)[len(rows) // 16]]
        table.drop(gone)
        table.evicted += len(gone)

    # --- judging -----------------------------------------------------------------------------

    def slow(self, talk: Dialogue) -> tuple[Array, Array] | None:
        """Windows of answers that hold slow ones: rows, and answers, slow ones, their ns."""
        if talk.late is False:
            talk.late = self._late(talk)
        return talk.late

    def _late(self, talk: Dialogue) -> tuple[Array, Array] | None:
        table, rows = self.table, talk.answered
        is_late = talk.delays > table["slow"][rows]
        if not (self._waits or np.count_nonzero(is_late)):
            return None
        distinct = np.unique(rows[is_late | (table["window"][rows, 0] > 0)])
        some = (np.isin(rows, distinct) & (talk.delays >= 0)).nonzero()[0]
        sums = table["window"][distinct]
        late, delays = is_late[some], talk.delays[some]
        taken = np.stack([np.ones_like(delays), late, delays * late], axis=1)
        np.add.at(sums, distinct.searchsorted(rows[some]), taken)
        return distinct, sums

    def is_slow(self, sums: Array) -> Mask:
        """Which windows are full, and have a slow median."""
        slow: Mask = (sums[:, 0] >= WINDOW) & (2 * sums[:, 1] > sums[:, 0])
        return slow

    def pending(self, tick: Tick, talk: Dialogue) -> tuple[Array, Array, Array] | None:
        """Requests that stay without answer at the end of a tick, per row: rows, how many, since.

        Rows of `talk` that are not among them have none.
        """
        if talk.left is False:
            talk.left = self._pending(tick, talk)
        return talk.left

    def _pending(self, tick: Tick, talk: Dialogue) -> tuple[Array, Array, Array] | None:
        places, table = self._places, self.table
        places[talk.asked] = -1
        places[talk.answered] = talk.answers
        left = talk.asks > places[talk.asked]
        if not np.count_nonzero(left):
            return None
        rows = talk.asked[left]
        if len(rows) == 1:
            first, counts = np.zeros(1, np.int64), np.ones(1, np.int64)
        else:
            rows, first, counts = np.unique(rows, return_index=True, return_counts=True)
        times = tick.tables.messages.time[talk.asks[left][first]]
        answered = places[rows] >= 0
        before = np.where(answered, 0, table["pending"][rows])
        return rows, before + counts, np.where(before > 0, table["since"][rows], times)

    def unanswered(self, tick: Tick, talk: Dialogue) -> tuple[Array, Array, Array]:
        """Rows in which it has just become too long without answers, how many, and since when."""
        found = self.pending(tick, talk)
        if found is None:
            return (np.zeros(0, np.int64),) * 3
        rows, counts, since = found
        table = self.table
        patience = table["patience"][rows]
        may_be = (counts >= IN_A_ROW) & (patience > 0)
        if not np.count_nonzero(may_be):
            return (rows[:0], counts[:0], since[:0])
        latest = np.full(len(rows), LONG_AGO)
        order = np.searchsorted(rows, talk.asked)
        inside = (order < len(rows)).nonzero()[0]
        inside = inside[rows[order[inside]] == talk.asked[inside]]
        times = tick.tables.messages.time[talk.asks[inside]]
        np.maximum.at(latest, order[inside], times)
        before = np.where(since == table["since"][rows], table["last"][rows], LONG_AGO) - since
        now = latest - since
        longer = np.maximum(2 * patience, SHORT_SPELL)
        passed = ((before < patience) & (now >= patience)) | ((before < longer) & (now >= longer))
        # Enough in a row may come later than the time.
        few = table["pending"][rows] < IN_A_ROW
        passed |= few & (counts >= IN_A_ROW) & (now >= patience)
        told = (passed & may_be).nonzero()[0]
        return rows[told], counts[told], since[told]

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, talk: Dialogue, clean: Mask | None) -> None:
        """Take in a tick; `clean` says which of its messages nobody flagged."""
        table = self.table
        if self.declared:
            table["closed"][talk.asked] = 1
        left = self.pending(tick, talk)
        if self.declared or (
            self._anyone_open and np.count_nonzero(table["slow"][talk.asked] == NEVER)
        ):
            self._learn_open(tick, talk, clean, left)
            talk.late = False  # limits may have moved
        window = self.slow(talk)
        if window is not None:
            rows, sums = window
            table["window"][rows] = np.where(sums[:, :1] >= WINDOW, 0, sums)
            self._waits = bool(table["window"][:, 0].any())
        table["pending"][talk.answered] = 0
        table["pending"][talk.asked] = 0
        table["last"][talk.asked] = tick.tables.messages.time[talk.asks]
        if left is not None:
            rows, counts, since = left
            table["pending"][rows] = counts
            table["since"][rows] = since

    def _learn_open(
        self,
        tick: Tick,
        talk: Dialogue,
        clean: Mask | None,
        left: tuple[Array, Array, Array] | None,
    ) -> None:
        """Learn in rows that are open."""
        table, messages = self.table, tick.tables.messages
        fits = np.ones(table.size, np.bool_)
        if not self.declared:
            # What became ready by itself stays as it was: nobody moves it slowly.
            fits &= (table["closed"] == 0) & (table["slow"] == NEVER)
        ids = messages.conversation
        bad = tick.loss.is_lossy(ids)
        if clean is not None:
            bad |= ~clean
        fits[talk.asked[bad[talk.asks]]] = False
        fits[talk.answered[bad[talk.answers]]] = False
        asks, answers = fits[talk.asked].nonzero()[0], fits[talk.answered].nonzero()[0]
        rows, times = talk.asked[asks], messages.time[talk.asks[asks]]
        np.add.at(table["asked"], rows, 1)
        distinct, first = np.unique(rows, return_index=True)
        last = table["last"][distinct]
        pauses = np.clip(times[first] - last, 0, LONGEST_PAUSE)
        table["span"][distinct] += np.where(last > LONG_AGO, pauses, 0)
        table.touch(distinct, tick.second)
        delays, rows = talk.delays[answers], talk.answered[answers]
        known = delays >= 0
        delays, rows = delays[known], rows[known]
        cells = rows * BINS + DELAY_EDGES.searchsorted(delays, "right")
        np.add.at(table["delays"].reshape(-1), cells, 1)
        # A spell ends with an answer; what goes on is as long as it is.
        now = (tick.second + 1) * SECOND
        ended = np.unique(rows[table["pending"][rows] >= IN_A_ROW])
        self._learn_spells(ended, table["last"][ended] - table["since"][ended])
        if left is not None:
            going, counts, since = left
            keep = fits[going] & (counts >= IN_A_ROW)
            self._learn_spells(going[keep], now - since[keep])
        if not self.declared:
            self._refresh(distinct[table["touching"][distinct] <= now - 60 * SECOND], now)

    def _learn_spells(self, rows: Array, spells: Array) -> None:
        table = self.table
        patience = np.where(table["patience"][rows] > 0, table["patience"][rows], NEVER)
        if self.declared:
            patience = np.full(len(rows), NEVER)
        untold = (spells < patience).nonzero()[0]
        rows = rows[untold]
        table["spell"][rows] = np.maximum(table["spell"][rows], np.maximum(spells[untold], 0))

    def _refresh(self, rows: Array, now: int) -> None:
        """Derive the limits of rows; what became ready without declaration stays as it is."""
        table = self.table
        table["touching"][rows] = now
        closed = table["closed"][rows] > 0
        rows = rows[closed | (table["slow"][rows] == NEVER)]
        closed = table["closed"][rows] > 0
        delays = table["delays"][rows]
        count, asked = delays.sum(axis=1, dtype=np.int64), table["asked"][rows]
        enough = np.where(
            closed,
            count >= ENOUGH_DECLARED,
            (count >= ENOUGH) & (table["span"][rows] >= ENOUGH_TIME),
        )
        widened = np.where(count < SURE, WIDENED, 1)
        usual = quantiles(delays, 0.999, DELAY_EDGES, upper=True)
        usual = np.minimum(usual, NEVER // 8)
        slow = np.maximum(FACTOR * usual, usual + MARGIN) * widened
        spell = np.minimum(table["spell"][rows], LONGEST_SPELL) // 2 * 3
        patience = np.maximum(spell, LEAST_SPELL) * widened
        table["slow"][rows] = np.where(enough, slow, NEVER)
        table["patience"][rows] = np.where(enough & (count >= ALWAYS * asked), patience, 0)

    def usual(self, row: int) -> tuple[int, int]:
        """Up to what time (ns) 99.9 % of the learned answers came, and of how many answers."""
        delays = self.table["delays"][row][None, :]
        bound = quantiles(delays, 0.999, DELAY_EDGES, upper=True)
        return int(bound[0]), int(delays.sum())

    def close(self) -> None:
        """Declared learning ends."""
        self.interrupt()
        self._refresh(self.table.in_use.nonzero()[0], 0)
        self.interrupt()

    def interrupt(self) -> None:
        """Forget moments, keep what was learned."""
        self._waits = False
        for name in MOMENTS:
            self.table[name][:] = COLUMNS[name].fill

    # --- state -------------------------------------------------------------------------------

    def restore(self, state: object) -> None:
        """Take back a state into a fresh object. Raises ValueError if it is not one."""
        self.table.restore(state)
        self._find_open()

    def merge(self, state: object) -> None:
        """Add what was learned elsewhere. Raises ValueError as `restore` does."""
        self.table.merge(state)
        self._find_open()
        self.close()

    def _find_open(self) -> None:
        table = self.table
        self._anyone_open = bool((table["closed"][table.in_use] == 0).any())
        self._waits = bool(table["window"][:, 0].any())
        if table.size > len(self._places):
            self._places = np.zeros(2 * table.size, np.int64)

    def state(self) -> dict[str, object]:
        """Everything known, as plain data."""
        state: dict[str, object] = msgspec.to_builtins(self.table.state(), builtin_types=(bytes,))
        return state
