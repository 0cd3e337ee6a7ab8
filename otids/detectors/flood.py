"""Flood: far more of what is usual than ever.

Counted are requests that repeat a word of the same second, refusals, writes and connections of a
conversation, connections to a port that are begun and never opened, and frames to everybody. What
was never said before is told by novelty, what is tried out by novelty and scan: of different
words each counts once at most here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Annotated, TypeAlias

import msgspec
import numpy as np

from otids.detectors.base import (
    Cause,
    Detector,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
    finding_over,
)
from otids.learning.bursts.excess import Excess, spell_excess, worst_of
from otids.learning.bursts.rates import ENOUGH_SECONDS, Rates, RatesState, Slot
from otids.learning.causes import Causes
from otids.learning.counts import NOTHING, Count, aligned, counted, first_of, summed
from otids.learning.ledger import UNKNOWN
from otids.learning.plant.accepted import flat
from otids.learning.plant.memory import is_call
from otids.learning.rows import in_order
from otids.traffic import (
    ACTIVITIES,
    CONNECTION_STATES,
    RESPONSE,
    Array,
    ConversationName,
    Dictionaries,
    Mask,
    Tick,
)

NAME = "flood"
SLOTS = (
    Slot(1, 20, 5),  # requests
    Slot(10, 100, 5),
    Slot(60, 20, 3),  # exceptions
    Slot(60, 20, 3),  # writes
    Slot(60, 30, 5),  # connections
    Slot(1, 200, 5),  # broadcast
    Slot(10, 1_000, 5),
)
"""Windows of each kind: their seconds, and by how many and how many times what was learned must be
exceeded."""
KINDS = {
    "requests": slice(0, 2),
    "exceptions": slice(2, 3),
    "writes": slice(3, 4),
    "connections": slice(4, 5),
    "broadcast": slice(5, 7),
}
HALF_OPEN = Slot(10, 50, 5)
GRAVE = 4
"""So many times the limit is graver."""
LONGEST_PAUSE = 60
"""Seconds that a pause counts at most: nothing is learned from it."""
MOST_CONVERSATIONS = 16_384
MOST_SERVICES = 16_384
MOST_REFUSED = 4_096
"""Distinct refusals of a minute; what is beyond counts as said once."""
MOST_FINDINGS = 64
"""Findings of a kind in one tick; what goes beyond is told in the last one."""
_ATTEMPTED, _OPEN, _REFUSED = map(CONNECTION_STATES.index, ("attempted", "open", "refused"))
_MINUTE = 60
_WRITING: Mask = np.array([one in {"write", "control"} for one in ACTIVITIES])

_Service: TypeAlias = tuple[int, str, int]
"""VLAN, address and port of a server."""


class FloodState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    conversations: RatesState
    services: RatesState
    refused: Annotated[list[int], msgspec.Meta(max_length=MOST_REFUSED)]
    minute: int
    accepted: list[list[str | int]]
    closed: bool
    listened: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    second: Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | None


class Flood(Detector):
    """Knows how much of what is usual, and says where it is far more."""

    name = NAME

    def __init__(self) -> None:
        self._conversations = Rates(ConversationName, SLOTS, MOST_CONVERSATIONS)
        self._services = Rates(_Service, [HALF_OPEN], MOST_SERVICES)
        self._accepted = Causes(NAME)
        self._declared = False
        self._closed = False
        self._listened = 0
        self._second: int | None = None
        self._names: Dictionaries | None = None
        self._sizes = (0, 0)  # of the dictionaries of conversations and symbols
        # By id: needs no further look.
        self._single: Array = np.zeros(64, np.bool_)  # conversations that are no calls
        self._plain: Array = np.zeros(64, np.bool_)  # symbols of neither writes nor refusals
        self._place: Array = np.zeros(64, np.int64)  # where a tick says a symbol last
        self._refused: dict[int, None] = {}  # digests of what was refused in the minute
        self._minute = -1
        self._counted: dict[str, Count] = {}

    @property
    def counters(self) -> Mapping[str, int]:
        """How often there was no room for a conversation or service, and how many had to go."""
        ledgers = self._conversations.ledger, self._services.ledger
        return {
            "refused": sum(one.refused for one in ledgers),
            "evicted": sum(one.evicted for one in ledgers),
        }

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say where far more is said than ever. Nothing is learned."""
        self._look_at(tick.names)
        self._counted = self._count(tick)
        if self._declared or not self._counted:
            return []
        findings: list[Finding] = []
        for kind, count in self._counted.items():
            if over := self._over(tick, kind, count):
                findings.extend(self._told(tick, kind, over))
        return findings

    def _over(self, tick: Tick, kind: str, count: Count) -> list[Excess]:
        """Which windows hold too much, in the order of ids; of each the one that does so most."""
        rates, slots, slot_table = self._rates(kind)
        if not rates.may_exceed(slots, count.counts, tick.second):
            return []
        rows = self._find(tick, kind, count.ids)
        totals = rates.totals(rows, slots, count.counts, tick.second)
        most = rates.most(rows, slots)
        limits = rates.limits(most, slots)
        over = totals > limits
        if not over.any():
            return []
        listened = self._listened_until(tick.second)
        ready = rates.is_known(rows, listened)
        if kind in {"half-open", "broadcast"} and (self._closed or listened >= ENOUGH_SECONDS):
            ready |= rows == UNKNOWN
        found = []
        for place in np.flatnonzero(over.any(axis=1) & ready & (count.counts > 0)).tolist():
            slot = int(np.argmax(totals[place] / limits[place]))
            found.append(
                Excess(
                    int(count.ids[place]),
                    int(count.counts[place]),
                    int(totals[place, slot]),
                    int(most[place, slot]),
                    int(limits[place, slot]),
                    slot_table[slots][slot].seconds,
                )
            )
        return found

    def _told(self, tick: Tick, kind: str, over: Iterable[Excess]) -> Iterable[Finding]:
        """A finding for each conversation, service or sender."""
        merged: dict[Cause, list[Excess]] = {}
        for one in over:
            cause = _cause(kind, tick.names.conversation(one.id))
            if cause not in self._accepted:
                merged.setdefault(cause, []).append(one)
        parts = sorted(merged.items(), key=lambda part: str(part[0]))
        for place, (cause, which) in enumerate(parts[:MOST_FINDINGS]):
            further = parts[MOST_FINDINGS:] if place == MOST_FINDINGS - 1 else []
            yield self._finding(tick, kind, cause, which, [one for _, one in further])

    def _finding(
        self,
        tick: Tick,
        kind: str,
        cause: Cause,
        which: Sequence[Excess],
        further: Sequence[Sequence[Excess]],
    ) -> Finding:
        worst = worst_of(which)
        every = [*which, *(one for more in further for one in more)]
        rows = self._rows(tick, kind, [one.id for one in every])
        words = spell_excess(tick, kind, rows, which)
        if further:
            words["observed"] += f"; and {len(further):,} further floods in the same second"
        finding = finding_over(
            tick,
            rows,
            detector=NAME,
            kind=f"{NAME}.{kind}",
            cause=cause,
            severity="high" if worst.total >= GRAVE * worst.limit else None,
            score=self._sureness(tick.second) * (1 - worst.limit / (2 * worst.total)),
            **words,
        )
        # Without members the words with the numbers stand in the alert, however often it is told.
        return replace(finding, count=sum(one.count for one in which), members=())

    def _rows(self, tick: Tick, kind: str, ids: Sequence[int]) -> dict[str, Array]:
        """The rows of a tick that a flood of a kind consists of."""
        tables, symbols = tick.tables, tick.names.symbols
        if kind == "broadcast":
            return {"traffic": np.flatnonzero(np.isin(tables.traffic.conversation, ids))}
        if kind in {"connections", "half-open"}:
            column, state = tables.connections.conversation, tables.connections.state
            wanted = _OPEN if kind == "connections" else _ATTEMPTED
            if kind == "half-open":
                services = {_service(tick.names, id) for id in ids}
                every = np.unique(column).tolist()
                ids = [id for id in every if _service(tick.names, id) in services]
            return {"connections": np.flatnonzero(np.isin(column, ids) & (state == wanted))}
        symbol = tables.messages.symbol
        mask = np.isin(tables.messages.conversation, ids)
        role = symbols.role[symbol]
        if kind == "exceptions":
            mask &= (role == RESPONSE) & (symbols.status[symbol] != 0)
        else:
            mask &= role != RESPONSE
            if kind == "writes":
                mask &= _WRITING[symbols.activity[symbol]]
            else:
                said, number = np.unique(symbol[mask], return_counts=True)
                mask &= np.isin(symbol, said[number > 1])
        return {"messages": np.flatnonzero(mask)}

    def _sureness(self, second: int) -> float:
        listened = self._listened_until(second)
        return 1.0 if self._closed else listened / (listened + ENOUGH_SECONDS)

    # --- counting ----------------------------------------------------------------------------

    def _count(self, tick: Tick, quarantine: Quarantine | None = None) -> dict[str, Count]:
        """What there is of each kind in a tick, or in what of it may be learned."""
        tables = tick.tables
        found: dict[str, Count] = {}
        clean = None if quarantine is None else quarantine.clean("messages")
        if len(tables.messages.id):
            self._count_messages(tick, clean, found)
        if len(tables.connections.state):
            clean = None if quarantine is None else quarantine.clean("connections")
            self._count_connections(tick, clean, found)
        if len(tables.traffic.second):
            clean = None if quarantine is None else quarantine.clean("traffic")
            self._count_broadcast(tick, clean, found)
        return found

    def _count_messages(self, tick: Tick, clean: Mask | None, found: dict[str, Count]) -> None:
        symbols = tick.names.symbols
        symbol = _clean(tick.tables.messages.symbol, clean)
        places = np.arange(len(symbol))
        self._place[symbol] = places
        again = symbol[self._place[symbol] != places]
        if len(again):
            again = again[symbols.role[again] != RESPONSE]
            if len(again):
                found["requests"] = counted(symbols.conversation[again])
        if np.count_nonzero(self._plain[symbol]) == len(symbol):
            return
        asked = symbols.role[symbol] != RESPONSE
        writing = asked & _WRITING[symbols.activity[symbol]]
        if writing.any():
            ids = symbols.conversation[symbol[writing]]
            found["writes"] = counted(ids)
        wrong = ~asked & (symbols.status[symbol] != 0)
        if wrong.any():
            said, number = np.unique(symbol[wrong], return_counts=True)
            before = self._refused if tick.second // _MINUTE == self._minute else {}
            new = [_digest(tick.names, id) not in before for id in said.tolist()]
            counts = number - np.array(new, np.int64)
            found["exceptions"] = summed(symbols.conversation[said], counts)
        self._plain[symbol[~(writing | wrong)]] = True

    def _count_connections(self, tick: Tick, clean: Mask | None, found: dict[str, Count]) -> None:
        connections = tick.tables.connections
        state = _clean(connections.state, clean)
        column = _clean(connections.conversation, clean)
        opened = column[state == _OPEN]
        if len(opened):
            found["connections"] = counted(opened)
        change = (state == _ATTEMPTED).astype(np.int64)
        change -= (state == _OPEN) | (state == _REFUSED)
        changed = change != 0
        if changed.any():
            ids, change = column[changed], change[changed]
            each = summed(ids, change)
            distinct, first = each.ids, first_of(ids, each.ids)
            # Of all conversations with a service the first in the tick stands for it.
            place_of: dict[_Service, int] = {}
            services = [_service(tick.names, id) for id in distinct.tolist()]
            for place in np.argsort(first, kind="stable").tolist():
                place_of.setdefault(services[place], place)
            to = np.array([place_of[one] for one in services], np.int64)
            sums = np.bincount(to, each.counts, minlength=len(distinct)).astype(np.int64)
            kept = np.array(list(place_of.values()), np.int64)
            kept = kept[[services[place][1] != "" for place in kept.tolist()]]
            found["half-open"] = Count(distinct[kept], sums[kept])

    def _count_broadcast(self, tick: Tick, clean: Mask | None, found: dict[str, Count]) -> None:
        traffic = tick.tables.traffic
        column = _clean(traffic.conversation, clean)
        if np.count_nonzero(self._single[column]) == len(column):
            return
        group = np.zeros(len(column), np.bool_)
        for id in np.unique(column[~self._single[column]]).tolist():
            if _is_call(tick.names.conversation(id)):
                group |= column == id
            else:
                self._single[id] = True
        if group.any():
            # Who asks one after the other for the address of each is no flood, but a scan.
            frames = _clean(traffic.client_frames, clean)[group].astype(np.int64) - 1
            found["broadcast"] = summed(column[group], np.maximum(frames, 0))

    def _rates(self, kind: str) -> tuple[Rates, slice, Sequence[Slot]]:
        if kind == "half-open":
            return self._services, slice(0, 1), [HALF_OPEN]
        return self._conversations, KINDS[kind], SLOTS

    def _find(self, tick: Tick, kind: str, ids: Array) -> Array:
        if kind == "half-open":
            return self._services.ledger.find(ids, lambda id: _service(tick.names, id))
        return self._conversations.ledger.find(ids, tick.names.conversation)

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Count everything, and learn the most of what nobody flagged."""
        self._look_at(tick.names)
        second, heard = tick.second, self._counted
        listened = self._listened_until(second)
        is_whole = (
            quarantine.clean("messages") is None
            and quarantine.clean("connections") is None
            and quarantine.clean("traffic") is None
        )
        clean = heard if is_whole else self._count(tick, quarantine)
        self._meet(tick, quarantine, heard, clean, listened)
        for kind, count in heard.items():
            rates, slots, _ = self._rates(kind)
            unflagged = count.counts if is_whole else aligned(count, clean.get(kind, NOTHING))
            rows = self._find(tick, kind, count.ids)
            rates.take(
                rows, slots, count.counts, unflagged, second,
                free=self._declared, listened=listened,
            )  # fmt: skip
        if "exceptions" in heard or second // _MINUTE != self._minute:
            self._keep_refused(tick)
        self._listened, self._second = listened, second
        self._counted = {}

    def _meet(
        self,
        tick: Tick,
        quarantine: Quarantine,
        heard: Mapping[str, Count],
        clean: Mapping[str, Count],
        listened: int,
    ) -> None:
        """Conversations and services that nobody flagged are known from now on."""
        names, second, tables = tick.names, tick.second, tick.tables
        for table in ("messages", "connections"):
            column = getattr(tables, table).conversation
            if len(column):
                ids = _clean(column, quarantine.clean(table)).astype(np.int64)
                self._conversations.meet(ids, names.conversation, second, listened)
        if "broadcast" in heard:
            ids = clean.get("broadcast", NOTHING).ids
            self._conversations.meet(ids, names.conversation, second, listened)
        if "half-open" in heard:
            ids = clean.get("half-open", NOTHING).ids
            self._services.meet(ids, lambda id: _service(names, id), second, listened)

    def _keep_refused(self, tick: Tick) -> None:
        minute = tick.second // _MINUTE
        if minute != self._minute:
            self._minute, self._refused = minute, {}
        symbols, symbol = tick.names.symbols, tick.tables.messages.symbol
        wrong = symbol[(symbols.role[symbol] == RESPONSE) & (symbols.status[symbol] != 0)]
        for id in in_order(wrong):
            if len(self._refused) < MOST_REFUSED:
                self._refused[_digest(tick.names, id)] = None

    def _listened_until(self, second: int) -> int:
        if self._second is None:
            return self._listened
        return self._listened + min(max(second - self._second, 0), LONGEST_PAUSE)

    def interrupt(self) -> None:
        """Another capture, or time ran back: open windows are forgotten."""
        self._conversations.interrupt()
        self._services.interrupt()
        self._refused, self._minute, self._second = {}, -1, None

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self._declared = True

    def close_world(self) -> None:
        """What was learned is the most there may be, but for a margin."""
        self.interrupt()
        self._conversations.close()
        self._services.close()
        self._declared, self._closed, self._listened = False, True, 0

    # --- ids ---------------------------------------------------------------------------------

    def _look_at(self, names: Dictionaries) -> None:
        size = names.conversations.size
        sizes = size, names.symbols.size
        if names is self._names and sizes == self._sizes:
            return
        self._sizes = sizes
        if names is not self._names:
            self._names = names
            self._single[:] = self._plain[:] = False
        self._single = _fit(self._single, size)
        self._plain = _fit(self._plain, names.symbols.size)
        self._place = _fit(self._place, names.symbols.size)
        self._conversations.follow(names, size)
        self._services.follow(names, size)

    def learned(self) -> Mapping[str, Array]:
        """Ids of conversations whose maxima were learned."""
        ids = self._conversations.ledger.learned()
        if self._names is None or not len(ids):
            return {"conversations": ids}
        rows = self._conversations.ledger.find(ids, self._names.conversation)
        return {"conversations": ids[self._conversations.is_known(rows, self._listened)]}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        ids = retired["conversations"]
        self._conversations.ledger.forget(ids)
        self._services.ledger.forget(ids)
        self._single[ids[ids < len(self._single)]] = False
        ids = retired["symbols"]
        self._plain[ids[ids < len(self._plain)]] = False

    # --- what a person decides, and state ------------------------------------------------------

    def accept(self, cause: Cause) -> bool:
        """Tell floods of one kind, by one party, no more."""
        return len(cause) > len((NAME, "kind")) and self._accepted.add(cause)

    def undo(self, cause: Cause) -> bool:
        """Tell them again."""
        return self._accepted.remove(cause)

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, of each conversation."""
        ledger = self._conversations.ledger
        found = []
        for name in ledger.names():
            row = ledger.row(name)
            heard = self._listened - int(ledger["met"][row])
            left = 0 if ledger["closed"][row] else max(0, ENOUGH_SECONDS - heard)
            found.append(Readiness(name, 1 - left / ENOUGH_SECONDS, float(left)))
        return found

    def state(self) -> State:
        """Everything learned and counted, by name."""
        state = FloodState(
            self._conversations.state(),
            self._services.state(),
            sorted(self._refused),
            self._minute,
            self._accepted.state(),
            self._closed,
            self._listened,
            self._second,
        )
        plain: State = msgspec.to_builtins(state, builtin_types=(bytes,))
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one; then nothing has changed."""
        checked, accepted = _checked(state)
        conversations = Rates(ConversationName, SLOTS, MOST_CONVERSATIONS)
        services = Rates(_Service, [HALF_OPEN], MOST_SERVICES)
        try:
            conversations.restore(checked.conversations)
            services.restore(checked.services)
        except ValueError as error:
            raise _damage(error) from error
        self._conversations, self._services = conversations, services
        self._accepted, self._closed = accepted, checked.closed
        self._refused, self._minute = dict.fromkeys(checked.refused), checked.minute
        self._listened, self._second = checked.listened, checked.second
        self._counted = {}
        self._names = None

    def merge(self, state: State) -> None:
        """Take the maxima of both."""
        checked, accepted = _checked(state)
        is_blank = not self._closed and not self._listened
        other = type(self)()
        other.restore(state)
        self._conversations.merge(checked.conversations)
        self._services.merge(checked.services)
        for cause in accepted:
            self._accepted.add(cause)
        self._closed = checked.closed if is_blank else self._closed and checked.closed
        self._listened = max(self._listened, checked.listened)
        self._refused, self._minute, self._second = {}, -1, None


# --- helpers -------------------------------------------------------------------------------------


def _cause(kind: str, name: ConversationName) -> Cause:
    if kind == "half-open":
        return (NAME, kind, *name.server, name.port)
    if kind == "broadcast":
        return (NAME, kind, *name.client)
    return (NAME, kind, *flat(name))


def _service(names: Dictionaries, id: int) -> _Service:
    conversations = names.conversations
    server = names.endpoint(int(conversations.server[id]))
    return (*server, int(conversations.port[id]))


def _is_call(name: ConversationName) -> bool:
    return bool(name.client.address) and (name.protocol == "arp" or is_call(name))


def _digest(names: Dictionaries, id: int) -> int:
    spelled = repr(names.symbol(id)).encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(spelled, digest_size=7).digest(), "big")


def _fit(column: Array, size: int) -> Array:
    """`column` with at least `size` places; new ones are False, or 0."""
    if len(column) >= size:
        return column
    grown = np.zeros(2 * size, column.dtype)
    grown[: len(column)] = column
    return grown


def _clean(column: Array, mask: Mask | None) -> Array:
    return column if mask is None else column[mask]


def _checked(state: State) -> tuple[FloodState, Causes]:
    accepted = Causes(NAME)
    try:
        checked = msgspec.convert(state, FloodState)
        accepted.restore(checked.accepted)
    except ValueError as error:  # msgspec's own is one
        raise _damage(error) from error
    return checked, accepted


def _damage(error: Exception) -> StateError:
    return StateError(f"the state of the flood detector is damaged: {error}")
