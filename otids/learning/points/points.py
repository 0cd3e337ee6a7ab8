"""What is known of the values of points: a summary for each, kept by name, found by id.

A value is that of a point alone, or of it and its neighbour (`otids.learning.points.pairs`). What
is kept of each is said in `otids.learning.points.summaries`.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from otids.learning.ledger import UNKNOWN, UNMET, Ledger
from otids.learning.points.limits import LEAST_TAKING, NEVER_NS, limits_of, silent
from otids.learning.points.moves import Heard, Moves, Waiting, neighbours
from otids.learning.points.pairs import FORMS, WAYS, Candidate, choose, combine, refutes
from otids.learning.points.samples import BIT, TEXT, Samples
from otids.learning.points.summaries import (
    DECLARED,
    EARNED,
    FAR,
    LEARNED,
    LONG_AGO,
    MOVING,
    OPEN,
    Form,
    Quantity,
    state_of,
)
from otids.traffic import SECOND, Array, Dictionaries, Mask, PointName, Tick

MOST_QUANTITIES = 196_608
"""Values that are followed: points, and pairs of neighbours in each way of putting them together.

What goes beyond is not learned, and counted.
"""
LONGEST_PAUSE = 60
ENOUGH_COUNT, ENOUGH_SECONDS = 300, 3_600
"""A point is not ready by itself before it was read in so many seconds, over so long a time."""
SETTLING = 60
"""Readiness is looked at once in so many seconds."""
WIDENING = 0.05
"""The share of its width by which a span that was earned may grow in a day."""
DAY = 86_400
_DERIVED: Mapping[str, np.generic] = {
    **dict.fromkeys(("form", "lead"), np.int64(0)),
    **dict.fromkeys(("pair", "second"), np.int64(UNKNOWN)),
    **dict.fromkeys(("_waits", "_marks"), np.bool_(False)),
}
"""Columns that are kept beside the ledger's, and what fills them."""
SINGLE = None
"""The form of a value that is that of a point alone."""


class Points:
    """Knows values by name, and finds them by id."""

    def __init__(self) -> None:
        self.ledger = Ledger(Quantity, {**LEARNED, **MOVING}, MOST_QUANTITIES)
        self.settled = 0  # second of the last look at readiness
        self.pendings = 0  # writes that wait for being read back
        self.has_faults = False  # whether any value was found to deviate when last read
        self._names: Dictionaries | None = None
        self._alone: Array = np.zeros(0, np.int64)  # by id of a point: its row, as in the ledger
        self._spelled: dict[int, PointName] = {}  # in this tick
        self._clear()

    def _clear(self) -> None:
        """What follows from summaries, by row; of rows that are to come as well."""
        self.has_open = self.has_earned = False
        self.limits = silent(0)
        self.form: Array = np.zeros(0, np.int64)
        self.lead: Array = np.zeros(0, np.int64)  # form of the pair that begins here
        self.pair: Array = np.zeros(0, np.int64)  # and its row
        self.second: Array = np.zeros(0, np.int64)  # and that of its second word
        self._leads: Array = np.zeros(0, np.int64)  # rows of points at which pairs begin
        self._waits: Mask = np.zeros(0, np.bool_)  # for what was written to be read back
        self._marks: Mask = np.zeros(0, np.bool_)  # none but while it is used
        self._patience: int | None = None
        self._alone[:] = UNMET
        self._formed = 0
        self._fit()

    def _fit(self) -> None:
        size = self.ledger.size
        self._columns = {name: self.ledger[name] for name in (*LEARNED, *MOVING)}
        if size > len(self.form):
            room = max(64, 2 * size)
            self.limits = self.limits.grown(room)
            for name, fill in _DERIVED.items():
                column = np.full(room, fill)
                column[: len(getattr(self, name))] = getattr(self, name)
                setattr(self, name, column)
        for row in range(self._formed, size):
            self.form[row] = FORMS.index(self.ledger.name(row).form)
        self._formed = size

    def __getitem__(self, column: str) -> Array:
        return self._columns[column]

    # --- looking up --------------------------------------------------------------------------

    def look_at(self, names: Dictionaries) -> None:
        """Follow the dictionaries that ids are of."""
        size = names.points.size + 1
        if names is not self._names:
            self._names = names
            self._alone = np.full(size, UNMET, np.int64)
        elif size > len(self._alone):
            more = np.full(max(size, 2 * len(self._alone)) - len(self._alone), UNMET, np.int64)
            self._alone = np.concatenate([self._alone, more])
        self._spelled.clear()
        self.ledger.follow(names, size * WAYS)

    def _spell(self, id: int) -> Quantity:
        if self._names is None:
            raise ValueError("no dictionaries were looked at")
        id, form = divmod(id, WAYS)
        point = self._spelled.get(id)
        if point is None:
            point = self._spelled[id] = self._names.point(id)
        return Quantity(point, cast("Form", FORMS[form]))

    def find(self, samples: Samples) -> Array:
        """Find the rows of samples, each by itself; `UNKNOWN` where there are none."""
        rows = self._alone.take(samples.point)
        if len(rows) and rows.min() == UNMET:
            ids = np.unique(samples.point[rows == UNMET])
            self._alone[ids] = self.ledger.find(ids * WAYS, self._spell)
            rows = self._alone.take(samples.point)
        return rows

    def meet(self, samples: Samples, form: Array | None = SINGLE) -> Array:
        """Find the rows of samples, and make those that are missing while there is room."""
        before = self.ledger.size
        ids = samples.point * WAYS
        rows = self.ledger.enter(ids if form is SINGLE else ids + form, self._spell, second=0)
        if self.ledger.size > before:
            self._fit()
            self._alone[self._alone == UNKNOWN] = UNMET
            self["stage"][before:] = OPEN
            self.has_open = True
        return rows

    def hear(self, tick: Tick, samples: Samples, *, enter: bool, declared: bool = False) -> Heard:
        """Find what samples of known points are of, and what moved.

        If `enter`, all ways of putting together what is still learned are followed.
        """
        rows = self.find(samples)
        if len(rows) and rows.min() == UNKNOWN:
            known = (rows != UNKNOWN).nonzero()[0]
            samples, rows = samples.only(known), rows[known]
        fresh = (samples.raw != self["raw"].take(rows)).nonzero()[0]
        if not len(fresh):
            return Heard(samples, rows, fresh, None)
        marks, moved = self._marks, rows[fresh]
        marks[moved] = True
        is_moving = marks.take(rows)
        leads = self._leads[marks[self._leads] | marks[self.second[self._leads]]]
        marks[moved] = False
        moving = is_moving.nonzero()[0]
        if enter:
            first = neighbours(tick, samples, is_moving[:-1] | is_moving[1:])
            pairs = self._ways(samples, rows, first, declared=declared)
        else:
            pairs = self._pairs(samples, rows, leads)
        return Heard(samples, rows, moving, self._moves(samples, rows, moving, pairs))

    def _pairs(self, samples: Samples, rows: Array, leads: Array) -> tuple[Array, Array, Array]:
        """As `_ways`, of the pairs that begin at some rows."""
        if not len(leads):
            return leads, leads, leads
        marks = self._marks
        marks[leads] = True
        first = marks.take(rows[:-1]).nonzero()[0]
        marks[leads] = False
        first = first[self.second[rows[first]] == rows[first + 1]]
        first = first[samples.message(first) == samples.message(first + 1)]
        leading = rows[first]
        return first, self.pair[leading], self.lead[leading]

    def may_stand_too_long(self, within: int = 64) -> bool:
        """Whether a value may have stood still beyond its limit; if not, it is certain."""
        patience = self._patience
        if patience is None or (patience < 0 and patience % within == 0):
            # No value can stand still for more readings than it is followed.
            left = self.limits.frozen[: self.ledger.size] - self["still"]
            self._patience = max(int(left.min(initial=NEVER_NS)), -1)
        return self._patience is None or self._patience < 0

    def has_seen(self, rows: Array, numbers: Array) -> Mask:
        """Whether values were ever in these states."""
        place = state_of(numbers)
        bits = self["states"][rows, place >> 6] >> (place & 63).astype(np.uint64)
        seen: Mask = (bits & np.uint64(1)) != 0
        return seen

    def _ways(
        self, samples: Samples, rows: Array, first: Array, *, declared: bool
    ) -> tuple[Array, Array, Array]:
        """Places of first words, the rows of their pairs, and their forms."""
        is_open = (self["stage"][rows[first]] == OPEN) | declared
        places, closed = first[is_open], first[~is_open]
        forms = np.concatenate(
            [self.lead[rows[closed]], np.repeat(np.arange(1, WAYS), len(places))]
        )
        places = np.concatenate([closed, np.tile(places, WAYS - 1)])
        led = np.flatnonzero(forms)
        places, forms = places[led], forms[led]
        found = self.meet(samples.only(places), forms)
        kept = found != UNKNOWN
        kept[kept] = self["refuted"][found[kept]] == 0
        return places[kept], found[kept], forms[kept]

    def _moves(
        self, samples: Samples, rows: Array, singles: Array, pairs: tuple[Array, Array, Array]
    ) -> Moves:
        first, pair_rows, forms = pairs
        place = np.concatenate((singles, first)) if len(first) else singles
        row, number = rows.take(place), samples.number(place)
        if len(first):
            row[len(singles) :] = pair_rows
            number[len(singles) :] = combine(samples.raw[first], samples.raw[first + 1], forms)
        order = row.argsort(kind="stable")
        sorted_row = row[order]
        later = (sorted_row[1:] == sorted_row[:-1]).nonzero()[0] + 1
        if len(later):  # some were read several times
            row, place, number = sorted_row, place[order], number[order]
        is_odd = None
        if np.count_nonzero(np.abs(number) <= FAR) < len(number):
            number = np.minimum(np.maximum(number, -FAR), FAR)
            is_odd = np.isnan(number)
        clock, time = rows.take(place), samples.time.take(place)
        last_time = self["last_time"]
        before, before_time = self["last"].take(row), last_time.take(clock)
        has_before = last_time.take(row) != LONG_AGO
        if self.has_faults:
            has_before &= self["fault"][row] == 0
        if len(later):
            before[later], before_time[later] = number[later - 1], time[later - 1]
            has_before[later] = True
        if is_odd is not None and not is_odd.any():
            is_odd = None
        pace = self["pace"].take(clock)
        return Moves(row, number, time, place, before, before_time, has_before, pace, clock, is_odd)

    # --- learning ----------------------------------------------------------------------------

    def follow(self, heard: Heard, is_fault: Mask | None = None) -> None:
        """Keep in mind how things stand; what deviated (by move) is no measure for what follows."""
        samples, rows, moving, moves = heard
        still = self["still"]
        still[rows] = still.take(rows) + 1  # once, however often it was read
        if self._patience is not None:
            self._patience -= 1
        if moves is not None:
            row, clock = moves.row, moves.clock
            # Where its first word is read is seen how a pair stands.
            of_pair = self.pair.take(clock) == row
            changed = (moves.number != moves.before) | ~moves.has_before
            self._changed(row, moves.time, changed)
            changed &= of_pair
            self._changed(clock, moves.time, changed)
            self["last"][row] = (
                moves.number if moves.is_odd is None else np.nan_to_num(moves.number)
            )
            self._pace(moves)
            self["last_time"][row] = moves.time
            if self.has_faults or is_fault is not None:
                self._fault(moves, of_pair, is_fault)
            self["raw"][rows[moving]] = samples.raw[moving]
        self["last_time"][rows] = samples.time

    def _changed(self, rows: Array, time: Array, which: Mask) -> None:
        places = which.nonzero()[0]
        rows = rows[places]
        self["still"][rows] = 0
        self["changed"][rows] = time[places]

    def _fault(self, moves: Moves, of_pair: Mask, is_fault: Mask | None) -> None:
        fault = self["fault"]
        fault[moves.row] = 0
        fault[moves.clock] = 0
        if is_fault is not None:
            fault[moves.row[is_fault]] = 1
            fault[moves.clock[is_fault & of_pair]] = 1
        self.has_faults = bool(np.count_nonzero(fault))

    def _pace(self, moves: Moves) -> None:
        """How long it takes between readings: the longest of late."""
        since = self["last_time"].take(moves.clock)
        elapsed = np.minimum(moves.time - since, DAY * SECOND)
        is_new = since == LONG_AGO
        if np.count_nonzero(is_new):
            elapsed[is_new] = 0
        self["pace"][moves.clock] = np.maximum(elapsed, moves.pace >> 1)

    def count(self, tick: Tick, rows: Array) -> None:
        """Take in that points (each once) were read, and how long they have stood still."""
        if not len(rows):
            return
        since = self["last_time"][rows]
        seconds = np.where(since == LONG_AGO, 0, tick.second - since // SECOND)
        self["heard"][rows] += np.clip(seconds, 0, LONGEST_PAUSE)
        self["count"][rows] += 1
        self["standstill"][rows] = np.maximum(self["standstill"][rows], self["still"][rows])

    def learn(self, moves: Moves, kind: Array, is_clean: Mask, is_certain: Mask) -> None:
        """Take in what moved where `is_clean`; sizes of steps where `is_certain` as well."""
        whole = np.flatnonzero(is_clean)
        row, number = moves.row[whole], moves.number[whole]
        if moves.is_odd is not None:
            is_odd = moves.is_odd[whole]
            np.add.at(self["odd"], row[is_odd], 1)
            whole, row, number = whole[~is_odd], row[~is_odd], number[~is_odd]
        grows = (number < self["low"][row]) | (number > self["high"][row])
        np.maximum.at(self["news"], row[grows], self["heard"][moves.clock[whole][grows]])
        np.minimum.at(self["low"], row, number)
        np.maximum.at(self["high"], row, number)
        self["fraction"][row[number != np.floor(number)]] = 1
        self["bit"][row[kind[whole] == BIT]] = 1
        self["text"][row[kind[whole] == TEXT]] = 1
        place = state_of(number)
        bits = np.uint64(1) << (place % 64).astype(np.uint64)
        np.bitwise_or.at(self["states"], (row, place // 64), bits)
        self._learn_steps(moves, whole, is_certain[whole])

    def _learn_steps(self, moves: Moves, whole: Array, is_certain: Mask) -> None:
        has_before = moves.has_before[whole] & moves.is_near[whole]
        row = moves.row[whole]
        step = np.where(has_before, moves.number[whole] - moves.before[whole], 0.0)
        step[np.isnan(step)] = 0.0
        np.add.at(self["ups"], row[step > 0], 1)
        np.add.at(self["downs"], row[step < 0], 1)
        sure = is_certain & (step != 0)
        up, down = np.flatnonzero(sure & (step > 0)), np.flatnonzero(sure & (step < 0))
        np.add.at(self["steps"], row[sure], 1)
        np.maximum.at(self["up_step"], row[up], np.minimum(step[up], FAR))
        np.maximum.at(self["down_step"], row[down], np.minimum(-step[down], FAR))
        np.minimum.at(self["least_down"], row[down], np.minimum(-step[down], FAR))
        seconds = (moves.time[whole] - moves.before_time[whole])[up] / SECOND
        np.maximum.at(
            self["up_rate"], row[up], np.minimum(step[up] / np.maximum(seconds, 1.0), FAR)
        )
        form = self.form[row]
        wrong = (form > 0) & refutes(form, moves.number[whole], step)
        if wrong.any():
            self._refute(np.unique(row[wrong]))

    def _refute(self, rows: Array) -> None:
        """These pairs are none: nothing else is known of them."""
        for name, spec in (*LEARNED.items(), *MOVING.items()):
            if name != "stage":
                self[name][rows] = spec.fill
        self._wait(rows, waits=False)
        self["refuted"][rows] = 1
        self.limits.reach[rows] = 0.0

    def learn_writes(self, tick: Tick, samples: Samples) -> None:
        """Take in what was written."""
        rows = self.meet(samples)
        known = np.flatnonzero(rows != UNKNOWN)
        samples, rows = samples.only(known), rows[known]
        if not len(rows):
            return
        self._wrote(rows, samples.number())
        kind, message = samples.kind(), samples.message()
        self["bit"][rows[kind == BIT]] = 1
        self["text"][rows[kind == TEXT]] = 1
        first = neighbours(tick, samples, np.ones(len(rows) - 1, np.bool_))
        is_alone = np.ones(len(rows), np.bool_)
        is_alone[first] = is_alone[first + 1] = False
        np.add.at(self["alone"], rows[is_alone], 1)
        if not len(first):
            return
        sizes = np.bincount(message)
        places = np.tile(first, WAYS - 1)
        forms = np.repeat(np.arange(1, WAYS), len(first))
        found = self.meet(samples.only(places), forms)
        kept = found != UNKNOWN
        kept[kept] = self["refuted"][found[kept]] == 0
        found, places, forms = found[kept], places[kept], forms[kept]
        numbers = combine(samples.raw[places], samples.raw[places + 1], forms)
        wrong = refutes(forms, numbers, np.zeros(len(numbers)))
        self._wrote(found[~wrong], numbers[~wrong])
        paired = ~wrong & (sizes[message[places]] == 2)  # noqa: PLR2004  (just these)
        np.add.at(self["paired"], found[paired], 1)
        if wrong.any():
            self._refute(np.unique(found[wrong]))

    def _wrote(self, rows: Array, numbers: Array) -> None:
        numbers = np.clip(np.nan_to_num(numbers), -FAR, FAR)
        np.add.at(self["writes"], rows, 1)
        np.minimum.at(self["written_low"], rows, numbers)
        np.maximum.at(self["written_high"], rows, numbers)

    # --- writes that wait to be read back ----------------------------------------------------

    def await_taking(self, rows: Array, samples: Samples) -> None:
        """What was written is to be read back."""
        self["pending"][rows], self["pending_time"][rows] = samples.raw, samples.time
        self._wait(rows, waits=True)

    def _wait(self, rows: Array, *, waits: bool) -> None:
        self._waits[rows] = waits
        self.pendings = int(np.count_nonzero(self._waits))

    def waiting(self, heard: Heard) -> Waiting:
        """Which samples are of points that were written: what was taken, and what is late."""
        places = self._waits.take(heard.row).nonzero()[0]
        places = places[heard.samples.time[places] > self["pending_time"][heard.row[places]]]
        if not len(places):
            nothing = np.zeros(0, np.bool_)
            return Waiting(places, nothing, nothing)
        rows = heard.row[places]
        is_taken = heard.samples.raw[places] == self["pending"][rows]
        limit = self.limits.taking[rows]
        limit = np.where(limit == NEVER_NS, LEAST_TAKING, limit)
        waited = heard.samples.time[places] - self["pending_time"][rows]
        return Waiting(places, is_taken, ~is_taken & (waited > limit))

    def take(self, heard: Heard, waiting: Waiting, is_learned: Mask | None) -> None:
        """Forget writes that wait no more; learn from them where `is_learned` (None: nowhere)."""
        is_over = waiting.is_taken | waiting.is_late
        if not np.count_nonzero(is_over):
            return
        if is_learned is not None:
            self._learn_taking(heard, waiting, is_learned)
        rows = heard.row[waiting.place[is_over]]
        self["pending_time"][rows] = LONG_AGO
        self._wait(rows, waits=False)

    def _learn_taking(self, heard: Heard, waiting: Waiting, is_learned: Mask) -> None:
        places, is_taken, is_late = waiting
        rows = heard.row[places]
        waited = heard.samples.time[places] - self["pending_time"][rows]
        learned = is_learned[places]
        ignored = np.unique(rows[is_late & learned])
        done, first = np.unique(rows[is_taken], return_index=True)
        kept = learned[is_taken][first]
        np.add.at(self["taken"], done[kept], 1)
        np.maximum.at(self["taking"], done[kept], waited[is_taken][first][kept])
        np.add.at(self["ignored"], np.setdiff1d(ignored, done), 1)

    # --- limits ------------------------------------------------------------------------------

    def settle(self, second: int) -> None:
        """Once a minute, let points become ready that have earned it."""
        if second // SETTLING == self.settled // SETTLING:
            return
        self.settled = second
        heard = self["heard"]
        ready = (self["stage"] == OPEN) & (self["count"] >= ENOUGH_COUNT)
        ready &= (heard >= ENOUGH_SECONDS) & (heard >= 2 * self["news"])
        if ready.any():
            self["stage"][ready] = EARNED
            self.decide()

    def widen(self, moves: Moves, is_clean: Mask | None, second: int) -> None:
        """Let spans that were earned grow by what came near them, within the bound of a day."""
        row, number = moves.row, moves.number
        beyond = (number < self["low"][row]) | (number > self["high"][row])
        beyond &= self["stage"][moves.clock] == EARNED
        if is_clean is not None:
            beyond &= is_clean
        beyond &= np.isfinite(self.limits.upper[row])
        if not beyond.any():
            return
        for place in np.flatnonzero(beyond).tolist():
            self._widen(int(row[place]), float(number[place]), second // DAY)
        self.decide()

    def _widen(self, row: int, number: float, day: int) -> None:
        low, high = float(self["low"][row]), float(self["high"][row])
        if day > self["day"][row]:
            self["day"][row], self["widened"][row] = day, 0.0
        room = max(0.0, WIDENING * (high - low) - float(self["widened"][row]))
        grown = min(room, max(low - number, number - high, 0.0))
        self["widened"][row] += grown
        if number < low:
            self["low"][row] = low - grown
        else:
            self["high"][row] = high + grown

    def open(self) -> None:
        """A person declares what follows as normal: every way is followed again."""
        self.lead[:], self.pair[:], self.second[:] = 0, UNKNOWN, UNKNOWN
        self._leads = self._leads[:0]

    def close(self) -> None:
        """A person says that learning is over; moments are forgotten."""
        self["stage"][:] = DECLARED
        self["news"][:] = 0
        self.rest()
        self.decide()

    def rest(self) -> None:
        """Forget how things stand: what comes does not follow from it."""
        for name, spec in MOVING.items():
            self[name][:] = spec.fill
        self.pendings, self.has_faults = 0, False
        self._waits[:] = False

    def decide(self) -> None:
        """Find out which points are pairs, and between which limits each may move."""
        self._fit()
        self.has_open = bool((self["stage"] == OPEN).any())
        self.has_earned = bool((self["stage"] == EARNED).any())
        size = self.ledger.size
        columns = {name: self[name] for name in LEARNED}
        for name in ("count", "heard", "standstill", "stage"):
            columns[name] = columns[name].copy()
        chosen = choose(self._candidates(), columns)
        pair, first, second = (
            np.array([getattr(one, name) for one in chosen], np.int64)
            for name in ("row", "first", "second")
        )
        for name in ("count", "heard"):
            columns[name][pair] = columns[name][first]
        for name in ("standstill", "stage"):
            columns[name][pair] = np.minimum(columns[name][first], columns[name][second])
        limits = limits_of(columns, self.form[:size])
        self.open()
        self.lead[first], self.pair[first], self.second[first] = self.form[pair], pair, second
        self._leads, self._patience = first, None
        is_judged = (columns["stage"] != OPEN) & (self.form[:size] == 0)
        is_judged[pair] = columns["stage"][pair] != OPEN
        taking = np.where(is_judged, limits.taking, NEVER_NS)
        frozen = limits.frozen[pair]
        is_judged[first] = is_judged[second] = False
        limits.silence(~is_judged)
        limits.taking[:] = taking
        # Whether a pair stands still is seen where its first word is read.
        is_settled = columns["stage"][pair] != OPEN
        limits.frozen[first] = np.where(is_settled, frozen, NEVER_NS)
        self.limits = limits.grown(len(self.form))

    def _candidates(self) -> Iterator[Candidate]:
        moves = (self["ups"] + self["downs"] + self["paired"]) > 0
        alive = moves & (self.form[: self.ledger.size] > 0) & (self["refuted"] == 0)
        for row in np.flatnonzero(alive).tolist():
            point = self.ledger.name(row).point
            first = self.ledger.row(Quantity(point, ""))
            second = self.ledger.row(Quantity(point._replace(address=point.address + 1), ""))
            if UNKNOWN not in (first, second):
                place = (point.server, point.protocol, point.unit, point.kind, point.address)
                yield Candidate(place, int(self.form[row]), row, first, second)

    def progress(self) -> tuple[float, float | None]:
        """Which share of points is ready, and in how many seconds the next one may be."""
        single = self.form[: self.ledger.size] == 0
        if not single.any():
            return 0.0, None
        waits = self["stage"][single] == OPEN
        left = ENOUGH_SECONDS - self["heard"][single][waits]
        return float(1 - np.mean(waits)), float(max(left.min(), 0)) if len(left) else 0.0

    def learned(self) -> Array:
        """Ids of points of which something is known."""
        return np.unique(self.ledger.learned() // WAYS).astype(np.uint32)

    def forget(self, points: Array) -> None:
        """These ids of points stand for nothing any more, or soon for something else."""
        ids = points.astype(np.int64)
        self._alone[ids[ids < len(self._alone)]] = UNMET
        self.ledger.forget((ids[:, None] * WAYS + np.arange(WAYS)).ravel())

    # --- state -------------------------------------------------------------------------------

    def restore(self, state: object) -> None:
        """Take back the ledger's state. Raises ValueError if it is not one."""
        self.ledger.restore(state)
        self._derive()

    def merge(self, state: object) -> None:
        """Add what another one learned. Raises ValueError as `restore` does."""
        self.ledger.merge(state)
        self._clear()  # the ledger may have grown
        wrong = np.flatnonzero(self["refuted"])
        self._refute(wrong)
        self.rest()
        self._derive()

    def _derive(self) -> None:
        self._clear()
        self.decide()
        self._wait((self["pending_time"] != LONG_AGO).nonzero()[0], waits=True)
        self.has_faults = bool(np.count_nonzero(self["fault"]))
