"""How often each request and report is said, and since when each was due.

Three levels are kept apart. A symbol (one request) has a rhythm. A conversation may pause as a
whole (a standby takes over, a controller restarts): a gap of a symbol is its own only where its
conversation was not silent for half of it. And the wire as a whole may fall silent.
"""

import numpy as np

from otids.learning.ledger import Ledger
from otids.learning.rhythm.pace_tables import (
    CONVERSATION_COLUMNS,
    CONVERSATION_MOMENTS,
    PAUSE,
    SYMBOL_COLUMNS,
    SYMBOL_MOMENTS,
    Heard,
    Hush,
    PacesState,
    check_name,
    unspelled,
)
from otids.learning.rhythm.rhythm import (
    BINS,
    ENOUGH,
    ENOUGH_DECLARED,
    ENOUGH_TIME,
    INTERVAL_EDGES,
    LONG_AGO,
    NEVER,
    RUN,
    limits,
    silence_limit,
)
from otids.learning.rhythm.wire import WireSilence
from otids.traffic import (
    CONNECTION_STATES,
    RESPONSE,
    SECOND,
    Array,
    ConversationName,
    Mask,
    SymbolName,
    Tick,
)

MOST_SYMBOLS = 16_384
"""Symbols whose rhythm is known; what is said beyond that is not learned, and counted."""
MOST_CANDIDATES = 4_096
"""Symbols among them that were not learned yet; the longest unheard make room."""
REFRESH = 60
"""Seconds between looks at what was learned without declaration."""
SLIDE = 2
"""By what factor limits may go on moving after a symbol became ready by itself."""
LOSSY = 4
"""By what the limit of silence is widened where frames are missing: 10 periods for 2.5."""
REBOOT = 30 * SECOND
"""How long a client that tries to connect again may take before it counts as silent, ns."""
DRIFT = 20
"""Intervals over which it is told that a period has moved."""

_ATTEMPTED = CONNECTION_STATES.index("attempted")


class Paces:
    """Follows the rhythm of every request and report."""

    def __init__(self) -> None:
        self.symbols = Ledger(SymbolName, SYMBOL_COLUMNS, MOST_SYMBOLS)
        self.conversations = Ledger(ConversationName, CONVERSATION_COLUMNS, MOST_SYMBOLS)
        self.wire = WireSilence()
        self.declared = False
        self._refreshed: int | None = None
        self._home: Array = np.zeros(0, np.int64)  # by row of symbols: that of its conversation
        self._first: Array = np.zeros(0, np.int64)
        self._next = NEVER
        self._anyone_open = False
        self._anyone_told = False
        self._pauses = False  # whether pauses are kept in mind for symbols
        self._drifts = False  # whether a window of intervals is open
        self.misses_some = False  # whether `hear` left something out that has no row

    @property
    def home(self) -> Array:
        """The row of each symbol's conversation."""
        return self._home[: self.symbols.size]

    # --- when to ask -------------------------------------------------------------------------

    def due(self) -> int | None:
        """The first second that begins after the next deadline."""
        if self.declared or self.wire.second is None:
            return None
        silent = self.wire.due()
        if self._next < NEVER:
            second = self._next // SECOND + 1
            if second - self.wire.second < self.wire.hole():
                return second if silent is None else min(second, silent)
        return silent

    def overdue(self, tick: Tick) -> Hush | None:
        """What is overdue as `tick` begins; None if nothing is. Nothing changes."""
        wire, second = self.wire, tick.second
        if self.declared or wire.second is None:
            return None
        if second - wire.second >= wire.hole():
            silent = wire.due()
            return Hush(is_wire=True) if silent is not None and second >= silent else None
        now = second * SECOND
        if self._next >= now:
            return None
        hush = Hush()
        self._late_conversations(tick, now, hush)
        self._late_symbols(tick, now, hush)
        return hush

    def _late_conversations(self, tick: Tick, now: int, hush: Hush) -> None:
        table = self.conversations
        rows = (table["deadline"] < now).nonzero()[0]
        if not len(rows):
            return
        last, limit = table["last"][rows], table["limit"][rows]
        gaps, alone = self._loss(tick)
        patience = np.where(gaps[rows], LOSSY * limit, limit)
        patience = np.where(table["attempt"][rows] > last, np.maximum(patience, REBOOT), patience)
        until = np.where(alone[rows], now + limit, last + patience)
        late = until < now
        hush.conversations = rows[late]
        if not late.all():
            hush.later.append(("conversations", rows[~late], until[~late]))

    def _late_symbols(self, tick: Tick, now: int, hush: Hush) -> None:
        table = self.symbols
        rows = (table["deadline"] < now).nonzero()[0]
        if not len(rows):
            return
        home = self._home[rows]
        last, limit = table["last"][rows], table["limit"][rows]
        gaps, alone = self._loss(tick)
        pausing = now - self.conversations["last"][home]
        # While the conversation as a whole is silent its symbols wait: `_resume` asks again.
        waits = 2 * pausing >= now - last
        own = np.maximum(np.where(gaps[home], LOSSY * limit, limit), 2 * table["pause"][rows])
        until = np.where(alone[home], now + limit, np.where(waits, NEVER, last + own))
        late = until < now
        hush.symbols = rows[late]
        if not late.all():
            hush.later.append(("symbols", rows[~late], until[~late]))

    def _loss(self, tick: Tick) -> tuple[Mask, Mask]:
        """Which rows of conversations have gaps, and which are one-sided."""
        table, names, loss = self.conversations, tick.names, tick.loss
        gaps = np.zeros(table.size, np.bool_)
        alone = np.zeros(table.size, np.bool_)
        if len(loss.gaps) or len(loss.one_sided):
            table.follow(names, names.conversations.size)
            ids = np.arange(names.conversations.size)
            ids = ids[loss.is_lossy(ids)]
            rows = table.find(ids, names.conversation)
            known = rows >= 0
            rows, ids = rows[known], ids[known]
            gaps[rows] |= loss.has_gaps(ids)
            alone[rows] |= loss.is_one_sided(ids)
        return gaps, alone

    # --- hearing -----------------------------------------------------------------------------

    def hear(self, tick: Tick, *, enter: bool = False) -> Heard | None:
        """Find what is said; symbols without a row get one if `enter`, else are left out."""
        messages, names = tick.tables.messages, tick.names
        ids = messages.symbol
        self.misses_some = False
        asks = (names.symbols.role[ids] != RESPONSE).nonzero()[0]
        if not len(asks):
            return None
        ids = ids[asks]
        self.symbols.follow(names, names.symbols.size)
        rows = self.symbols.find(ids, names.symbol)
        if np.count_nonzero(rows < 0):
            self.misses_some = not enter
            if enter:
                rows = self._enter(tick, ids)
            known = (rows >= 0).nonzero()[0]
            asks, rows = asks[known], rows[known]
            if not len(rows):
                return None
        table = self.symbols
        order = rows.argsort(kind="stable")
        ordered, places = rows[order], asks[order]
        times = messages.time[places]
        previous, slots, rank = table["last"][ordered], table["place"][ordered], None
        again = ordered[1:] == ordered[:-1]
        if np.count_nonzero(again):
            every = np.arange(len(ordered))
            starts = np.where(np.concatenate([[False], again]), 0, every)
            rank = every - np.maximum.accumulate(starts)
            previous[1:][again] = times[:-1][again]
            slots = (slots + rank) % RUN
        before = table["recent"][ordered, slots]
        if rank is not None:
            here = (rank >= RUN).nonzero()[0]
            before[here] = times[here - RUN]
        intervals = times - previous
        return Heard(asks, rows, places, ordered, rank, times, previous, intervals, slots, before)

    def _enter(self, tick: Tick, ids: Array) -> Array:
        names, table = tick.names, self.symbols
        if not self.declared:
            self._make_room(len(ids))
        rows = table.enter(ids, names.symbol, tick.second)
        self._settle_home()
        new = np.unique(rows[rows >= 0])
        new = new[self._home[new] < 0]
        table["met"][new] = 0 if self.declared else self.wire.lived
        for row in new.tolist():
            self._home[row] = self.conversations.add(table.name(row).conversation, 0)
        self._anyone_open = self._anyone_open or not self.declared
        self._fit_first()
        return rows

    def _make_room(self, wanted: int) -> None:
        """Drop candidates that were not heard for longest if there are too many."""
        table = self.symbols
        rows = (table.in_use & (table["closed"] == 0) & (table["period"] == 0)).nonzero()[0]
        if len(rows) + min(wanted, MOST_CANDIDATES // 16) <= MOST_CANDIDATES:
            return
        touched = table["touched"][rows]
        # All of a second go together: which row stands first must not matter.
        gone = rows[touched <= np.partition(touched, len(rows) // 16)[len(rows) // 16]]
        table["deadline"][gone] = NEVER
        self._home[gone] = -1
        table.drop(gone)
        table.evicted += len(gone)
        lived_in = np.zeros(self.conversations.size, np.bool_)
        lived_in[self.home[table.in_use]] = True
        left = (self.conversations.in_use & ~lived_in).nonzero()[0]
        self.conversations["deadline"][left] = NEVER
        self.conversations.drop(left)

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, heard: Heard | None, hush: Hush | None, clean: Mask | None) -> None:
        """Take in a tick; `clean` says which of its messages nobody flagged."""
        if hush is not None:
            self._mark(hush)
        hole = self.wire.hole()
        pause = self.wire.take(tick, is_told=hush is not None and hush.is_wire, open_=self.declared)
        if pause >= hole:
            self._start_again(tick.second)
        if len(tick.tables.connections):
            self._note_attempts(tick)
        if heard is not None:
            self._take(tick, heard, clean, pause * SECOND)
        if (self._anyone_open and not self.declared) and (
            self._refreshed is None or tick.second - self._refreshed >= REFRESH
        ):
            self._refreshed = tick.second
            self._refresh(self.symbols["closed"] == 0)
        if heard is not None or hush is not None or pause > 1:
            self._find_next()

    def _find_next(self) -> None:
        """Find the next deadline, and whether anything is told."""
        if self._anyone_told:
            tables = self.symbols, self.conversations
            self._anyone_told = any(np.count_nonzero(one["told"]) for one in tables)
        deadlines = self.symbols["deadline"], self.conversations["deadline"]
        self._next = min(int(np.minimum.reduce(one, initial=NEVER)) for one in deadlines)

    def _mark(self, hush: Hush) -> None:
        for name, rows in (("symbols", hush.symbols), ("conversations", hush.conversations)):
            table: Ledger = getattr(self, name)
            table["told"][rows] = 1
            table["deadline"][rows] = NEVER
        self._anyone_told = True
        for name, rows, until in hush.later:
            getattr(self, name)["deadline"][rows] = until

    def _start_again(self, second: int) -> None:
        """The wire was silent and is heard again: what was due has all its time again."""
        for table in (self.symbols, self.conversations):
            is_running = table["deadline"] < NEVER
            table["deadline"][is_running] = second * SECOND + table["limit"][is_running]

    def _note_attempts(self, tick: Tick) -> None:
        connections, names, table = tick.tables.connections, tick.names, self.conversations
        rows = (connections.state == _ATTEMPTED).nonzero()[0]
        if len(rows):
            table.follow(names, names.conversations.size)
            found = table.find(connections.conversation[rows], names.conversation)
            table["attempt"][found[found >= 0]] = connections.time[rows[found >= 0]]

    def _take(self, tick: Tick, heard: Heard, clean: Mask | None, wire_pause: int) -> None:
        table, rows, times = self.symbols, heard.sorted, heard.times
        if self.declared:
            table["closed"][rows] = 1
            self.conversations["closed"][self._home[heard.rows]] = 1
        learns = self.declared or (
            self._anyone_open and np.count_nonzero(table["closed"][rows]) < len(rows)
        )
        sound = self._sound(tick, heard, clean) if learns else None
        self._hear_conversations(tick, heard, sound, wire_pause)
        limit = table["limit"][rows]
        deadlines = times + limit
        told = None
        if self._anyone_told:
            told = table["told"][rows] & (heard.intervals > limit)
            deadlines[told > 0] = NEVER
            table["told"][rows] = told
        if learns:
            self._learn_intervals(heard, sound, told)
            table.touch(rows, tick.second)
            run = table["sound"][rows] + 1
            if heard.rank is not None:
                run = np.minimum(run + heard.rank, 1_000)
            table["sound"][rows] = np.minimum(run, 1_000) if sound is None else run * sound
        self._take_drift(heard)
        table["last"][rows] = times
        table["frame"][rows] = tick.tables.messages.frame[heard.places]
        table["recent"][rows, heard.slots] = times
        table["place"][rows] = (heard.slots + 1) % RUN
        if self._pauses:
            table["pause"][rows] = 0
        table["deadline"][rows] = deadlines

    def _sound(self, tick: Tick, heard: Heard, clean: Mask | None) -> Mask | None:
        """Which messages can be learned from; None: all. A symbol is so as a whole in a tick."""
        loss = tick.loss
        if clean is None and not len(loss.gaps):
            return None
        ids = tick.tables.messages.conversation[heard.places]
        bad = loss.has_gaps(ids)
        if clean is not None:
            bad |= ~clean[heard.places]
        is_bad = np.zeros(self.symbols.size, np.bool_)
        is_bad[heard.sorted[bad]] = True
        sound: Mask = ~is_bad[heard.sorted]
        return sound

    def _hear_conversations(
        self, tick: Tick, heard: Heard, sound: Mask | None, wire_pause: int
    ) -> None:
        table, homes = self.conversations, self._home[heard.rows]
        times = tick.tables.messages.time[heard.asks]
        self._first[homes[::-1]] = times[::-1]
        gaps = self._first[homes] - table["last"][homes]
        long = gaps >= (PAUSE if self.declared else table["notable"][homes])
        if np.count_nonzero(long):
            unfit = set() if sound is None else set(self._home[heard.sorted[~sound]].tolist())
            paused = dict(zip(homes[long].tolist(), gaps[long].tolist(), strict=True))
            self._resume(paused, unfit, wire_pause)
        limit = table["limit"][homes]
        deadlines = times + limit
        if self._anyone_told:
            told = table["told"][homes] & (gaps > limit)
            deadlines[told > 0] = NEVER
            table["told"][homes] = told
        table["last"][homes] = times
        table["deadline"][homes] = deadlines

    def _resume(self, paused: dict[int, int], unfit: set[int], wire_pause: int) -> None:
        """Conversations (rows) are heard again after gaps (ns)."""
        table, symbols = self.conversations, self.symbols
        gap_of = np.zeros(table.size, np.int64)
        for row, gap in paused.items():
            if table["last"][row] <= LONG_AGO:
                continue
            gap_of[row] = gap
            is_open = self.declared or not table["closed"][row]
            is_told = table["told"][row] and not self.declared
            if is_open and not is_told and row not in unfit and gap > 2 * wire_pause:
                table["longest"][row] = max(table["longest"][row], gap)
        gaps = gap_of[self.home]
        rows = ((gaps > 0) & symbols.in_use).nonzero()[0]
        pause = np.maximum(symbols["pause"][rows], gaps[rows])
        symbols["pause"][rows] = pause
        self._pauses = True
        last, limit = symbols["last"][rows], symbols["limit"][rows]
        waits = (limit < NEVER) & (last > LONG_AGO) & (symbols["told"][rows] == 0)
        until = last + np.maximum(limit, 2 * pause)
        symbols["deadline"][rows[waits]] = until[waits]

    def _learn_intervals(self, heard: Heard, sound: Mask | None, told: Array | None) -> None:
        table, rows = self.symbols, heard.sorted
        rank = 0 if heard.rank is None else heard.rank
        run = table["sound"][rows] + rank
        fits = (heard.previous > LONG_AGO) & (run >= 1)
        if sound is not None:
            fits &= sound
        if not self.declared:
            fits &= table["closed"][rows] == 0
            if told is not None:
                fits &= told == 0
        here = fits.nonzero()[0]
        if not len(here):
            return
        rows, lengths = rows[here], np.maximum(heard.intervals[here], 0)
        bins = INTERVAL_EDGES.searchsorted(lengths, "right")
        cells = rows * BINS + bins
        np.add.at(table["intervals"].reshape(-1), cells, 1)
        np.add.at(table["sums"].reshape(-1), cells, lengths)
        own = (lengths > 2 * table["pause"][rows]).nonzero()[0]
        np.maximum.at(table["alone"], rows[own], lengths[own])
        whole = (run[here] >= RUN).nonzero()[0]
        taken = heard.times[here[whole]] - heard.before[here[whole]]
        np.minimum.at(table["shortest"], rows[whole], np.maximum(taken, 0))

    # --- drift -------------------------------------------------------------------------------

    def drifting(self, heard: Heard) -> tuple[Array, Array] | None:
        """Windows of intervals outside their spread that are open: rows, and their counts."""
        if heard.drift is False:
            heard.drift = self._drifting(heard)
        return heard.drift

    def _drifting(self, heard: Heard) -> tuple[Array, Array] | None:
        table, rows, intervals = self.symbols, heard.sorted, heard.intervals
        high = table["high"][rows]
        short, long = intervals < table["low"][rows], intervals > high
        if not (self._drifts or np.count_nonzero(short) or np.count_nonzero(long)):
            return None
        known = (heard.previous > LONG_AGO) & (high < NEVER)
        known &= short | long | (table["drift"][rows, 0] > 0)
        # A window opens with an interval outside; the others of its symbol count from then on.
        distinct = np.unique(rows[known])
        if not len(distinct):
            return None
        some = (np.isin(rows, distinct) & (heard.previous > LONG_AGO)).nonzero()[0]
        place = distinct.searchsorted(rows[some])
        sums = table["drift"][distinct]
        lengths = np.maximum(intervals[some], 0)
        taken = np.stack([np.ones_like(lengths), short[some], long[some], lengths], axis=1)
        np.add.at(sums, place, taken)
        return distinct, sums

    def _take_drift(self, heard: Heard) -> None:
        found = self.drifting(heard)
        if found is not None:
            rows, sums = found
            self.symbols["drift"][rows] = np.where(sums[:, :1] >= DRIFT, 0, sums)
            self._drifts = bool(self.symbols["drift"][:, 0].any())

    # --- limits ------------------------------------------------------------------------------

    def _refresh(self, which: Mask) -> None:
        """Derive the limits of rows of symbols, and of all conversations."""
        table, wire = self.symbols, self.wire
        rows = (which & table.in_use).nonzero()[0]
        closed = table["closed"][rows] > 0
        span = np.where(closed, wire.declared, wire.lived - table["met"][rows]) * SECOND
        found = limits(
            table["intervals"][rows],
            table["sums"][rows],
            alone=table["alone"][rows],
            shortest=table["shortest"][rows],
            closed=closed,
            span=span,
        )
        silence, run, low, high = found.silence, found.run, found.low, found.high
        earned = (found.period > 0) & ~closed
        anchor, fastest = table["anchor"][rows], table["fastest"][rows]
        had = earned & (anchor > 0)
        silence = np.where(found.period > 0, silence, NEVER)
        high = np.where(found.period > 0, high, NEVER)
        silence = np.where(had, np.minimum(silence, SLIDE * anchor), silence)
        run = np.where(had, np.maximum(run, fastest // SLIDE), run)
        low = np.where(had, table["low"][rows], low)
        high = np.where(had, table["high"][rows], high)
        table["anchor"][rows] = np.where(earned & ~had, silence, anchor)
        table["fastest"][rows] = np.where(earned & ~had, run, fastest)
        for name, column in (
            ("period", found.period), ("limit", silence), ("fast", run), ("low", low),
            ("high", high),
        ):  # fmt: skip
            table[name][rows] = column
        unjudged = rows[found.period == 0]
        table["deadline"][unjudged] = NEVER
        self._refresh_conversations()

    def _refresh_conversations(self) -> None:
        symbols, table = self.symbols, self.conversations
        periods = np.full(table.size, NEVER, np.int64)
        rows = ((symbols["limit"] < NEVER) & symbols.in_use).nonzero()[0]
        np.minimum.at(periods, self._home[rows], symbols["period"][rows])
        shortest = np.full(table.size, NEVER, np.int64)
        np.minimum.at(shortest, self._home[rows], symbols["limit"][rows])
        # A pause explains a symbol's gap from half of it on.
        notable = np.where((table["closed"] > 0) & (shortest < NEVER), shortest // 2, PAUSE)
        table["notable"][:] = np.maximum(notable, PAUSE)
        judged = periods < NEVER
        limit = silence_limit(np.where(judged, periods, 0), table["longest"])
        limit = np.where(judged, limit, NEVER)
        anchor, closed = table["anchor"], table["closed"] > 0
        had = judged & ~closed & (anchor > 0)
        limit = np.where(had, np.minimum(limit, SLIDE * anchor), limit)
        anchor[:] = np.where(judged & ~closed & (anchor == 0), limit, anchor)
        table["limit"][:] = limit
        table["deadline"][limit == NEVER] = NEVER

    def begin(self) -> None:
        """Learning is declared. What was not followed until now is not trusted."""
        self.declared = True
        self.symbols["sound"][:] = 0

    def close(self) -> None:
        """Declared learning ends: what it heard is all that is normal."""
        self.declared = False
        self.wire.close()
        self._settle()

    def _settle(self) -> None:
        self.interrupt()
        self._refresh(np.ones(self.symbols.size, np.bool_))

    def interrupt(self) -> None:
        """Forget moments, keep what was learned."""
        for table, moments, columns in (
            (self.symbols, SYMBOL_MOMENTS, SYMBOL_COLUMNS),
            (self.conversations, CONVERSATION_MOMENTS, CONVERSATION_COLUMNS),
        ):
            for name in moments:
                table[name][:] = columns[name].fill
        self.wire.interrupt()
        self._refreshed = None
        self._next = NEVER
        self._anyone_told = self._pauses = self._drifts = False

    # --- ids, state --------------------------------------------------------------------------

    def learned(self) -> Array:
        """Ids of symbols that were learned."""
        table = self.symbols
        ids = table.learned()
        rows = table.find(ids, unspelled)
        kept: Array = ids[(table["closed"][rows] > 0) | (table["period"][rows] > 0)]
        return kept

    def progress(self) -> dict[ConversationName, tuple[float, float]]:
        """How far each conversation is, 0 to 1, and for how long (s) its intervals were heard."""
        table = self.symbols
        counts = table["intervals"].sum(axis=1, dtype=np.int64)
        seconds = table["sums"].sum(axis=1) / SECOND
        earned = np.minimum(counts / ENOUGH, seconds / (ENOUGH_TIME / SECOND))
        declared = counts / ENOUGH_DECLARED
        share = np.minimum(np.where(table["closed"] > 0, declared, earned), 1.0)
        found: dict[ConversationName, tuple[float, float]] = {}
        for row in table.in_use.nonzero()[0].tolist():
            name = table.name(row).conversation
            before = found.get(name, (0.0, 0.0))
            found[name] = max(before, (float(share[row]), float(seconds[row])))
        return found

    def state(self) -> PacesState:
        """Everything known, as plain data."""
        return PacesState(
            self.symbols.state(), self.conversations.state(), self.wire.state(), self._refreshed
        )

    def restore(self, state: PacesState) -> None:
        """Take back a state into a fresh object. Raises ValueError if it is not one."""
        self.symbols.restore(state.symbols)
        self.conversations.restore(state.conversations)
        self.wire.restore(state.wire)
        self._refreshed = state.refreshed
        self._find_homes()

    def merge(self, state: PacesState) -> None:
        """Add what was learned elsewhere; rhythms start again. Raises ValueError as `restore`."""
        other = Paces()
        other.restore(state)
        self.symbols.merge(state.symbols)
        self.conversations.merge(state.conversations)
        self.wire.merge(other.wire)
        self._find_homes()
        self._settle()

    def _find_homes(self) -> None:
        table = self.symbols
        for row in range(table.size):
            check_name(table.name(row))
        self._home = np.full(table.size, -1, np.int64)
        for row in table.in_use.nonzero()[0].tolist():
            self._home[row] = self.conversations.add(table.name(row).conversation, 0)
        if len(self._home) and self._home[table.in_use].min() < 0:
            raise ValueError("symbols of more conversations than fit")
        self._anyone_open = bool((table["closed"][table.in_use] == 0).any())
        self._fit_first()
        self._anyone_told = self._pauses = True
        self._drifts = bool(table["drift"][:, 0].any())
        self._find_next()

    def _settle_home(self) -> None:
        size = self.symbols.size
        if size > len(self._home):
            grown = np.full(max(64, size), -1, np.int64)
            self._home = np.concatenate([self._home, grown])

    def _fit_first(self) -> None:
        if self.conversations.size > len(self._first):
            self._first = np.zeros(2 * self.conversations.size, np.int64)
