"""Scan: who tries many different things that it does not usually try.

Counted are hosts, ports of one host and units of one server; and functions and address ranges
that are tried on several servers (those of one conversation are told by novelty). What fails
weighs more than what succeeds. What a source always does was learned, and does not count. The
fast window finds those in a hurry, the slow one (a day) those who are patient.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeAlias

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
from otids.learning.bursts.fanout import Fanout, FanoutState, Spread, Thing, Track
from otids.learning.bursts.reach import spell_expected, spell_observed
from otids.learning.causes import Causes
from otids.learning.plant.memory import is_call
from otids.learning.plant.plant import FIRST_DYNAMIC_PORT
from otids.learning.rows import in_order
from otids.traffic import (
    CARRIERS,
    CONNECTION_STATES,
    RESPONSE,
    Array,
    ConversationName,
    Dictionaries,
    EndpointName,
    Mask,
    Tick,
)

NAME = "scan"
ENOUGH = (8, 10)
"""What a scan weighs: in the fast window, in the slow one."""
SEVERAL_SERVERS = 3
OF_ONE = 8
"""Functions and addresses are counted where they fail on several servers, less than so many on
each: more on one is a scan of that one conversation, which novelty tells."""
MANY_ANSWERED = 8
"""A scan that found so much is graver: it has reached what it looked for."""
ENOUGH_SECONDS = 600
"""Seconds of listening after which, without declaration, what was never tried is unusual."""
LONGEST_PAUSE = 60
"""Seconds that a pause counts at most: nothing is learned from it."""
MOST_FINDINGS = 64
"""Findings in one tick; what goes beyond is told in the last one."""

_SHAPES = {
    "hosts": (3, "sisis"),  # source; target
    "ports": (5, "sisissi"),  # source, target; carrier, port
    "units": (5, "sisisi"),  # source, target; unit
    "functions": (3, "sisissii"),  # source; target, protocol, function, subfunction
    "addresses": (3, "sisisisiis"),  # source; target, unit, kind, address, size, name
}
_OVER_SEVERAL = ("functions", "addresses")
_TCP = CARRIERS.index("tcp")
_ATTEMPTED, _OPEN = map(CONNECTION_STATES.index, ("attempted", "open"))
_GATEWAY_ERRORS = (10, 11)  # Modbus Application Protocol V1.1b3, section 7: nobody is behind it

_Tries: TypeAlias = dict[Thing, bool]


class ScanState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    fanout: FanoutState
    accepted: list[list[str | int]]
    closed: bool
    listened: Annotated[int, msgspec.Meta(ge=0)]
    second: int | None


@dataclass(slots=True)
class _Trying:
    """What is tried in one track during a tick, and the ids that show it."""

    tries: _Tries = field(default_factory=dict)
    conversations: list[int] = field(default_factory=list)
    symbols: list[int] = field(default_factory=list)

    def add(self, thing: Thing, *, succeeds: bool) -> None:
        self.tries[thing] = succeeds or self.tries.get(thing, False)


class Scan(Detector):
    """Counts distinct things that are tried and not usual, by source."""

    name = NAME

    def __init__(self) -> None:
        self._fanout = Fanout()
        self._accepted = Causes(NAME)
        self._declared = False
        self._closed = False  # a person said that learning is over
        self._listened = 0
        self._second: int | None = None
        self._names: Dictionaries | None = None
        # By id: everything that it shows is usual, or nothing to be counted.
        self._usual: Array = np.zeros(64, np.bool_)  # conversations
        self._said: Array = np.zeros(64, np.bool_)  # symbols
        self._passing: Array = np.zeros(64, np.bool_)  # conversations that nobody learned
        self._tries: dict[Track, _Trying] = {}

    @property
    def counters(self) -> Mapping[str, int]:
        """How often something was too much to be kept in mind or learned."""
        return {"tracks": self._fanout.evicted, "usual": self._fanout.missed}

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say who tries unusually many things. Nothing is learned."""
        self._look_at(tick.names)
        self._tries = {}
        if self._declared or not self._is_ready(tick.second):
            return []
        conversations, symbols = self._unusual(tick)
        if not (conversations or symbols):
            return []
        self._tries = self._tried(tick, conversations, symbols)
        return list(self._found(tick))

    def _found(self, tick: Tick) -> Iterable[Finding]:
        found = [
            (track, trying, spread)
            for track, trying in self._tries.items()
            if self._fanout.goes_on(track, trying.tries, tick.second)
            and (spread := self._scan(track, trying.tries, tick.second)) is not None
        ]
        further = [trying for _, trying, _ in found[MOST_FINDINGS:]]
        for place, (track, trying, spread) in enumerate(found[:MOST_FINDINGS]):
            is_last = place == MOST_FINDINGS - 1
            yield self._finding(tick, track, trying, spread, further if is_last else [])

    def _scan(self, track: Track, tries: Mapping[Thing, bool], second: int) -> Spread | None:
        """What was tried in a track, if it is a scan."""
        if self._fanout.count(track) + len(tries) < min(ENOUGH):
            return None
        for spread, enough in zip(self._fanout.spreads(track, tries, second), ENOUGH, strict=True):
            scan = _over_several(spread) if track[0] in _OVER_SEVERAL else spread
            if scan.weight >= enough:
                return scan
        return None

    def _finding(
        self, tick: Tick, track: Track, trying: _Trying, spread: Spread, further: Sequence[_Trying]
    ) -> Finding:
        kind, source = str(track[0]), _endpoint(track[1:3])
        observed = spell_observed(kind, spread, tick.second)
        if further:
            observed += f"; and {len(further):,} further scans in the same second"
        conversation = None
        if kind == "units":
            place = int(tick.names.symbols.conversation[trying.symbols[0]])
            conversation = tick.names.conversation(place)
        is_grave = spread.succeeded >= MANY_ANSWERED and kind not in _OVER_SEVERAL
        enough = min(ENOUGH)
        finding = finding_over(
            tick,
            _rows(tick, [trying, *further]),
            detector=NAME,
            kind=f"{NAME}.{kind}",
            cause=(NAME, *track),
            expected=spell_expected(track, self._fanout.usual(track)),
            observed=observed,
            source=source,
            target=_endpoint(track[3:5]) if len(track) > len(("hosts", 0, "")) else None,
            conversation=conversation,
            severity="high" if is_grave else None,
            score=self._sureness(tick.second) * (1 - enough / (2 * max(spread.weight, enough))),
        )
        # Without members the words with the numbers stand in the alert, however often it is told.
        return replace(finding, count=max(1, len(trying.tries)), members=())

    def _sureness(self, second: int) -> float:
        listened = self._listened_until(second)
        return 1.0 if self._closed else listened / (listened + ENOUGH_SECONDS)

    # --- what is tried -----------------------------------------------------------------------

    def _unusual(self, tick: Tick) -> tuple[list[int], list[int]]:
        """Ids of conversations and symbols that may show a try, in the order of their rows."""
        tables = tick.tables
        begun = _unknown(tables.traffic.conversation, self._usual)
        changed = _unknown(tables.connections.conversation, self._usual)
        return (
            list(dict.fromkeys([*begun, *changed])),
            _unknown(tables.messages.symbol, self._said),
        )

    def _tried(
        self, tick: Tick, conversations: Iterable[int], symbols: Iterable[int]
    ) -> dict[Track, _Trying]:
        tries: dict[Track, _Trying] = {}
        begun, answered = _begun(tick), _answered(tick)
        for id in conversations:
            name = tick.names.conversation(id)
            if _is_passing(name):
                self._usual[id] = self._passing[id] = True
                continue
            things = [one for one in _reached(name) if not self._is_usual(*one)]
            if not things:
                self._usual[id] = True
            elif id in begun:
                for track, thing in self._not_accepted(things):
                    trying = tries.setdefault(track, _Trying())
                    trying.add(thing, succeeds=id in answered)
                    trying.conversations.append(id)
        for id in symbols:
            things = [one for one in _said_things(tick.names, id) if not self._is_usual(*one)]
            if not things:
                self._said[id] = True
            for track, thing in self._not_accepted(things):
                trying = tries.setdefault(track, _Trying())
                trying.add(thing, succeeds=_succeeds(tick, id, str(track[0])))
                trying.symbols.append(id)
        return tries

    def _is_usual(self, track: Track, thing: Thing) -> bool:
        if self._fanout.is_usual(track, thing):
            return True
        # Ports that are made up anew for each connection: having used one is having used all.
        port = thing[-1]
        return (
            track[0] == "ports"
            and type(port) is int
            and port >= FIRST_DYNAMIC_PORT
            and self._fanout.is_usual(track, (*thing[:-1], FIRST_DYNAMIC_PORT))
        )

    def _not_accepted(self, things: Iterable[tuple[Track, Thing]]) -> list[tuple[Track, Thing]]:
        if not self._accepted:
            return list(things)
        return [one for one in things if (NAME, *one[0]) not in self._accepted]

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in what nobody flagged while learning lasts; afterwards, keep tries in mind."""
        self._look_at(tick.names)
        second = tick.second
        if self._declared or not self._is_ready(second):
            self._learn(tick, quarantine)
        else:
            for track, trying in self._tries.items():
                lasting = self._fanout.note(track, trying.tries, second)
                if not self._closed and self._scan(track, {}, second) is None:
                    for thing in lasting:
                        self._fanout.learn(track, thing)
                        self._fanout.drop(track, thing)
        self._tries = {}
        self._listened, self._second = self._listened_until(second), second

    def _learn(self, tick: Tick, quarantine: Quarantine) -> None:
        tables = tick.tables
        for table in ("traffic", "connections"):
            column = _clean(getattr(tables, table).conversation, quarantine.clean(table))
            for id in _unknown(column, self._usual):
                name = tick.names.conversation(id)
                if _is_passing(name):
                    self._usual[id] = self._passing[id] = True
                    continue
                learned = [self._meet(track, thing) for track, thing in _reached(name)]
                learned.append(self._fanout.learn(("hosts", *name.server), (*name.client,)))
                self._usual[id] = all(learned)
        column = _clean(tables.messages.symbol, quarantine.clean("messages"))
        for id in _unknown(column, self._said):
            name = tick.names.conversation(int(tick.names.symbols.conversation[id]))
            reached = [] if _is_passing(name) else _reached(name)
            things = [*reached, *_said_things(tick.names, id)]
            learned = [self._meet(*one) for one in things]
            self._said[id] = all(learned)

    def _meet(self, track: Track, thing: Thing) -> bool:
        port = thing[-1]
        if track[0] == "ports" and type(port) is int and port >= FIRST_DYNAMIC_PORT:
            thing = (*thing[:-1], FIRST_DYNAMIC_PORT)
        return self._fanout.learn(track, thing)

    def _is_ready(self, second: int) -> bool:
        return self._closed or self._listened_until(second) >= ENOUGH_SECONDS

    def _listened_until(self, second: int) -> int:
        if self._second is None:
            return self._listened
        return self._listened + min(max(second - self._second, 0), LONGEST_PAUSE)

    def interrupt(self) -> None:
        """Another capture: what was tried keeps its time, and counts if that is near."""
        self._second = None

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self._declared = True

    def close_world(self) -> None:
        """Whatever was not learned is unusual from now on."""
        self._declared, self._closed = False, True
        self._listened, self._second = 0, None

    # --- ids ---------------------------------------------------------------------------------

    def _look_at(self, names: Dictionaries) -> None:
        if names is not self._names:
            self._names = names
            self._look_anew()
        if len(self._usual) < names.conversations.size:
            size = 2 * names.conversations.size
            self._usual, self._passing = _fit(self._usual, size), _fit(self._passing, size)
        if len(self._said) < names.symbols.size:
            self._said = _fit(self._said, 2 * names.symbols.size)

    def _look_anew(self) -> None:
        for column in (self._usual, self._passing, self._said):
            column[:] = False

    def learned(self) -> Mapping[str, Array]:
        """Ids of conversations all of which is usual."""
        usual = np.flatnonzero(self._usual & ~self._passing)
        return {"conversations": usual.astype(np.uint32)}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        for column, name in (
            (self._usual, "conversations"),
            (self._passing, "conversations"),
            (self._said, "symbols"),
        ):
            ids = retired[name]
            column[ids[ids < len(column)]] = False

    # --- what a person decides, and state ------------------------------------------------------

    def accept(self, cause: Cause) -> bool:
        """Let a source try what it wants of one sort."""
        if not _is_cause(cause) or not self._accepted.add(cause):
            return False
        self._fanout.drop(cause[1:])
        return True

    def undo(self, cause: Cause) -> bool:
        """Count again what a source tries."""
        return self._accepted.remove(cause)

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, of the plant as a whole."""
        left = 0 if self._closed else max(0, ENOUGH_SECONDS - self._listened)
        return [Readiness(None, 1 - left / ENOUGH_SECONDS, float(left))]

    def state(self) -> State:
        """Everything learned and kept in mind, by name."""
        state = ScanState(
            self._fanout.state(),
            self._accepted.state(),
            self._closed,
            self._listened,
            self._second,
        )
        plain: State = msgspec.to_builtins(state)
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one; then nothing has changed."""
        checked, accepted = _checked(state)
        try:
            self._fanout.restore(checked.fanout, _SHAPES)
        except ValueError as error:
            raise _damage(error) from error
        self._accepted, self._closed = accepted, checked.closed
        self._listened, self._second = checked.listened, checked.second
        self._tries = {}
        self._look_anew()

    def merge(self, state: State) -> None:
        """Take what is usual elsewhere as usual here; what was tried is each one's own."""
        checked, accepted = _checked(state)
        is_blank = not self._closed and not self._listened
        try:
            self._fanout.merge(checked.fanout, _SHAPES)
        except ValueError as error:
            raise _damage(error) from error
        for cause in accepted:
            self._accepted.add(cause)
        self._closed = checked.closed if is_blank else self._closed and checked.closed
        self._listened = max(self._listened, checked.listened)
        self._second = None
        self._look_anew()


# --- what shows what ------------------------------------------------------------------------------


def _reached(name: ConversationName) -> list[tuple[Track, Thing]]:
    """What a conversation reaches: a host, and a port of it."""
    found: list[tuple[Track, Thing]] = [(("hosts", *name.client), (*name.server,))]
    if name.carrier in {"tcp", "udp"}:
        found.append((("ports", *name.client, *name.server), (name.carrier, name.port)))
    return found


def _over_several(spread: Spread) -> Spread:
    """What fails on several servers, without those where it is a scan of its own."""
    failed = {thing: one for thing, one in spread.things.items() if not one.succeeded}
    each = Counter(thing[:2] for thing in failed)
    few = {server for server, number in each.items() if number < OF_ONE}
    if len(few) < SEVERAL_SERVERS:
        return Spread({}, 0)
    kept = {thing: one for thing, one in failed.items() if thing[:2] in few}
    return Spread(kept, len(kept))


def _said_things(names: Dictionaries, id: int) -> list[tuple[Track, Thing]]:
    """What a message of a symbol touches: a unit, a function, ranges of addresses."""
    symbols = names.symbols
    name = names.conversation(int(symbols.conversation[id]))
    if symbols.coarse[id] or _is_passing(name):
        return []
    target: Thing = (*name.server,)
    function: Thing = (name.protocol, int(symbols.function[id]), int(symbols.subfunction[id]))
    unit = int(symbols.unit[id])
    things: list[tuple[Track, Thing]] = [
        (("units", *name.client, *target), (unit,)),
        (("functions", *name.client), (*target, *function)),
    ]
    for one in names.objects(id):
        touched: Thing = (unit, one.kind, one.address, one.size, one.name)
        things.append((("addresses", *name.client), (*target, *touched)))
    return things


def _succeeds(tick: Tick, id: int, kind: str) -> bool:
    """Whether a message of a symbol is a good answer, or one whose answers are not heard."""
    symbols = tick.names.symbols
    if tick.loss.is_one_sided(symbols.conversation[id : id + 1])[0]:
        return True
    if symbols.role[id] != RESPONSE:
        return not symbols.from_client[id]
    status = int(symbols.status[id])
    return status not in _GATEWAY_ERRORS if kind == "units" else not status


def _begun(tick: Tick) -> set[int]:
    """Conversations in which the client does something in a tick."""
    traffic, connections = tick.tables.traffic, tick.tables.connections
    active = traffic.conversation[traffic.client_frames > 0]
    tried = connections.conversation[connections.state <= max(_ATTEMPTED, _OPEN)]
    return {*active.tolist(), *tried.tolist()}


def _answered(tick: Tick) -> set[int]:
    """Conversations that the server takes part in: a TCP connection must be open for that."""
    traffic, connections = tick.tables.traffic, tick.tables.connections
    is_tcp = tick.names.conversations.carrier[traffic.conversation] == _TCP
    one_sided = tick.loss.is_one_sided(traffic.conversation)
    datagrams = ~is_tcp & (traffic.server_frames > 0)
    spoke = is_tcp & (traffic.server_largest > 0)
    opened = connections.conversation[connections.state == _OPEN]
    said = tick.tables.messages.conversation
    return {
        *traffic.conversation[datagrams | spoke | one_sided].tolist(),
        *opened.tolist(),
        *np.unique(said).tolist(),
    }


def _rows(tick: Tick, trying: Iterable[_Trying]) -> dict[str, Array]:
    parts = list(trying)
    conversations = [id for one in parts for id in one.conversations]
    symbols = [id for one in parts for id in one.symbols]
    tables = tick.tables
    found = {
        "messages": np.flatnonzero(np.isin(tables.messages.symbol, symbols)),
        "traffic": np.flatnonzero(np.isin(tables.traffic.conversation, conversations)),
        "connections": np.flatnonzero(np.isin(tables.connections.conversation, conversations)),
    }
    return {table: rows for table, rows in found.items() if len(rows)}


def _is_passing(name: ConversationName) -> bool:
    """Whether a conversation reaches nobody in particular: calls to all, and nameless parties."""
    return not name.client.address or not name.server.address or is_call(name)


def _is_cause(cause: Cause) -> bool:
    length, letters = _SHAPES.get(str(cause[1]) if len(cause) > 1 else "", (0, ""))
    return (
        cause[:1] == (NAME,)
        and len(cause) == length + 1
        and all(
            type(part) is (str if letter == "s" else int)
            for part, letter in zip(cause[1:], letters[:length], strict=True)
        )
    )


def _endpoint(parts: Sequence[Any]) -> EndpointName:
    return EndpointName(int(parts[0]), str(parts[1]))


def _unknown(column: Array, known: Array) -> list[int]:
    """Distinct ids of a column that are not known, in the order of their first rows."""
    if not len(column):
        return []
    look = known[column]
    if np.count_nonzero(look) == len(look):
        return []
    return in_order(column[~look])


def _clean(column: Array, mask: Mask | None) -> Array:
    return column if mask is None else column[mask]


def _fit(column: Array, size: int) -> Array:
    grown = np.zeros(size, np.bool_)
    grown[: len(column)] = column
    return grown


def _checked(state: State) -> tuple[ScanState, Causes]:
    accepted = Causes(NAME)
    try:
        checked = msgspec.convert(state, ScanState)
        accepted.restore(checked.accepted)
    except ValueError as error:  # msgspec's own is one
        raise _damage(error) from error
    return checked, accepted


def _damage(error: Exception) -> StateError:
    return StateError(f"the state of the scan detector is damaged: {error}")
