"""Unknown conversations in a tick: their rows, and what is said in them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from otids.learning.plant.scans import Thing
from otids.learning.rows import in_order, rows_of, rows_of_symbols
from otids.learning.words import changes
from otids.traffic import (
    CONNECTION_STATES,
    Array,
    ConversationName,
    EndpointName,
    SymbolName,
    Tick,
)

_OPEN = CONNECTION_STATES.index("open")


@dataclass(slots=True, eq=False)
class Talk:
    """One unknown conversation: rows by table, and symbols by id. What is taken is gone."""

    name: ConversationName
    rows: dict[str, Array]
    said: dict[int, SymbolName]

    def take(self, tick: Tick, symbols: Iterable[int]) -> tuple[list[SymbolName], dict[str, Array]]:
        """Take some symbols with their rows of messages."""
        ids = list(symbols)
        wanted = rows_of_symbols(tick, ids, self.rows["messages"])
        rest = np.setdiff1d(self.rows.pop("messages"), wanted, assume_unique=True)
        if len(rest):
            self.rows["messages"] = rest
        return [self.said.pop(id) for id in ids], {"messages": wanted}

    def take_rest(self, *, messages: bool) -> dict[str, Array]:
        """Take all rows that are left, or all but those of messages."""
        tables = [table for table in self.rows if messages or table != "messages"]
        return {table: self.rows.pop(table) for table in tables}

    def is_session(self, tick: Tick) -> bool:
        """Whether messages went, or a connection was opened or answered with content."""
        tables = tick.tables
        if "messages" in self.rows:
            return True
        if self.name.carrier != "tcp":
            return False
        states = tables.connections.state[self.rows.get("connections", [])]
        answers = tables.traffic.server_largest[self.rows.get("traffic", [])]
        return bool((states == _OPEN).any() or (answers > 0).any())


@dataclass(slots=True)
class Stranger:
    """An unknown endpoint: its MAC and rows of sightings, and in what it talks."""

    mac: int
    sightings: list[Array] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    peers: list[EndpointName] = field(default_factory=list)  # strangers to which it talks


def talks_of(tick: Tick, foreign: Mapping[int, ConversationName]) -> list[Talk]:
    """The unknown conversations of a tick."""
    symbols, column = tick.names.symbols, tick.tables.messages.symbol
    found = []
    for id, rows in rows_of(tick, foreign).items():
        said = {}
        if "messages" in rows:
            said = {
                symbol: tick.names.symbol(symbol)
                for symbol in in_order(column[rows["messages"]])
                if symbols.conversation[symbol] == id
            }
        found.append(Talk(foreign[id], rows, said))
    return found


def strangers_in(
    talks: Sequence[Talk],
    known: Mapping[EndpointName, int],
    sighted: Mapping[EndpointName, Stranger],
) -> tuple[dict[EndpointName, Stranger], list[Talk]]:
    """Who is a stranger in which talks, and the talks in which nobody is.

    `known` are strangers of earlier ticks with their MACs. A stranger that is only talked to by
    another one belongs to that one.
    """
    strangers, rest = dict(sighted), []
    hosts: dict[EndpointName, EndpointName] = {}
    for talk in talks:
        for party in (talk.name.client, talk.name.server):
            if party in strangers or party in known:
                strangers.setdefault(party, Stranger(known.get(party, 0))).talks.append(talk)
                if party == talk.name.client:
                    hosts[talk.name.server] = party
                break
        else:
            rest.append(talk)
    for name in [one for one in sighted if one in hosts and not strangers[one].talks]:
        host = strangers[hosts[name]]
        host.sightings.extend(strangers.pop(name).sightings)
        host.peers.append(name)
    return strangers, rest


def by_pair(talks: Iterable[Talk]) -> list[list[Talk]]:
    """Group talks by client, server and protocol: ports of one server are one thing."""
    pairs: dict[tuple[EndpointName, EndpointName, str], list[Talk]] = defaultdict(list)
    for talk in talks:
        pairs[talk.name[:3]].append(talk)
    return list(pairs.values())


def asked(said: Iterable[SymbolName]) -> list[SymbolName]:
    """What is asked or reported among some symbols; answers only if there is nothing else."""
    every = list(said)
    return [one for one in every if one.role != "response"] or every


def refused(said: Iterable[SymbolName]) -> set[Thing]:
    """Functions that were answered, and every time with an error."""
    wrong: set[Thing] = set()
    right: set[Thing] = set()
    for one in said:
        if one.role == "response":
            (wrong if one.status else right).add((one.function, one.subfunction))
    return wrong - right


def in_vain(said: Iterable[SymbolName]) -> set[Thing]:
    """Functions that were asked for and got no good answer."""
    tried: set[Thing] = set()
    answered: set[Thing] = set()
    for one in said:
        function = (one.function, one.subfunction)
        if one.role != "response":
            tried.add(function)
        elif not one.status:
            answered.add(function)
    return tried - answered


def is_grave(symbol: SymbolName, spared: Collection[Thing]) -> bool:
    """Whether a message changes a device and its function is not one of the `spared`."""
    return changes(symbol) and (symbol.function, symbol.subfunction) not in spared
