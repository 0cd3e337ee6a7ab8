"""Remembers a plant by name and finds it by id: one array look-up for what is known.

Ids are a session's; names outlive it. A column per dictionary says which ids need no further look,
so that a tick without anything new costs a few look-ups; an id is spelled only until then.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Annotated

import msgspec
import numpy as np

from otids.learning.plant.accepted import MOST_ACCEPTED, Accepted, Key, endpoint_of, is_key, unflat
from otids.learning.plant.plant import MOST_WORDS, NO_MAC, Acquaintance, Plant, PlantState, plain
from otids.learning.plant.vocabulary import Novelty
from otids.learning.rows import CONVERSING, in_order, rows_by
from otids.traffic import (
    Array,
    ConversationName,
    Dictionaries,
    EndpointName,
    Mask,
    SymbolName,
    Tick,
)

IPV4 = 4
BROADCAST = 255

BOUNDS = ("endpoints", "conversations", "words")
"""What can be too much to learn; `Memory.missed` counts how often it was."""


class MemoryState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of a memory."""

    plant: PlantState
    accepted: Annotated[list[list[str | int]], msgspec.Meta(max_length=MOST_ACCEPTED)]
    missed: dict[str, Annotated[int, msgspec.Meta(ge=0)]]


class Memory:
    """What is known of a plant, and which ids stand for it."""

    def __init__(self) -> None:
        self.plant = Plant()
        self.accepted = Accepted()
        self.declared = False  # a person says that what comes is normal
        self.missed = dict.fromkeys(BOUNDS, 0)
        self._names: Dictionaries | None = None
        self._sizes = (0, 0, 0)
        # By id: needs no further look. Of 0, which stands for nobody, there is nothing to learn.
        self._symbols: Array = np.ones(1, np.bool_)
        self._conversations: Array = np.ones(1, np.bool_)
        self._endpoints: Array = np.ones(1, np.bool_)
        self._passing: Array = np.zeros(1, np.bool_)  # conversations passed over, not learned
        self._heard: Array = np.zeros(1, np.int64)
        self._first: Array = np.zeros(1, np.int64)  # seconds, where heard since the last look
        self._last: Array = np.zeros(1, np.int64)
        self._latest = 0
        self._by_mac: dict[int, list[EndpointName]] | None = None
        self._by_server: dict[EndpointName, list[ConversationName]] | None = None
        self._calls: set[tuple[EndpointName, str, int]] | None = None

    # --- asking ------------------------------------------------------------------------------

    def look_at(self, names: Dictionaries) -> None:
        """Follow the dictionaries: other ones mean that ids stand for other things."""
        sizes = (names.symbols.size, names.conversations.size, names.endpoints.size)
        if names is self._names and sizes == self._sizes:
            return
        if names is not self._names:
            self._settle_all()
            self._names = names
            self._forget_all()
        self._sizes = sizes
        self._symbols = _fit(self._symbols, sizes[0])
        self._conversations = _fit(self._conversations, sizes[1])
        self._passing = _fit(self._passing, sizes[1])
        self._heard = _fit(self._heard, sizes[1])
        self._first = _fit(self._first, sizes[1])
        self._last = _fit(self._last, sizes[1])
        self._endpoints = _fit(self._endpoints, sizes[2])

    def is_plant_ready(self, second: int) -> bool:
        """Whether at `second` an unknown endpoint or conversation deviates."""
        return self.plant.is_ready(second)

    def is_ready(self, known: Acquaintance, id: int) -> bool:
        """Whether in a known conversation (`id` is its present one) a new word deviates."""
        self._settle(known, id)
        return known.is_ready(self.plant.listened)

    def knows(self, name: EndpointName) -> bool:
        """Whether an endpoint was learned or accepted."""
        return name in self.plant.endpoints or ("endpoint", *name) in self.accepted

    def unknown_endpoints(self, tick: Tick) -> dict[EndpointName, Array]:
        """Endpoints that show up in a tick and are not known, with their rows of sightings."""
        column = tick.tables.sightings.endpoint
        found: dict[EndpointName, Array] = {}
        if not len(column) or self._endpoints[column].all():
            return found
        for id, rows in rows_by(column, np.flatnonzero(~self._endpoints[column])).items():
            name = tick.names.endpoint(id)
            if self.knows(name):
                self._endpoints[id] = True
            else:
                found[name] = rows
        return found

    def unknown_conversations(self, tick: Tick) -> dict[int, ConversationName]:
        """Conversations of a tick that are not known, by id, in the order of their first rows."""
        found: dict[int, ConversationName] = {}
        for table in CONVERSING:
            for id in _unknown(getattr(tick.tables, table).conversation, self._conversations):
                if id in found:
                    continue
                name = plain(tick.names.conversation(id))
                if name in self.plant.conversations:
                    self._conversations[id] = True
                elif is_lookup(name) or self._is_usual_call(name):
                    self._pass_over(id)
                else:
                    found[id] = name
        return found

    def unknown_symbols(self, tick: Tick) -> list[int]:
        """Distinct symbols of a tick that are not known to be known, in their order."""
        return _unknown(tick.tables.messages.symbol, self._symbols)

    def news(self, name: ConversationName, symbol: SymbolName) -> list[Novelty]:
        """What a known conversation says with `symbol` that it never said, broadest first."""
        known = self.plant.conversations[name]
        return known.vocabulary.novelties(symbol, self.accepted.words(name))

    def recognise(self, symbol: int) -> None:
        """A symbol turned out to be known."""
        self._symbols[symbol] = True

    def owners(self, mac: int) -> Sequence[EndpointName]:
        """Which endpoints were learned with a MAC."""
        if mac == NO_MAC:
            return ()
        if self._by_mac is None:
            self._by_mac = {}
            for name, one in self.plant.endpoints.items():
                self._by_mac.setdefault(one, []).append(name)
        return self._by_mac.get(mac, ())

    def visits(self, server: EndpointName) -> Sequence[tuple[ConversationName, Acquaintance]]:
        """Known conversations with a server."""
        known = self.plant.conversations
        if self._by_server is None:
            self._by_server = {}
            for name in known:
                self._by_server.setdefault(name.server, []).append(name)
        return [(name, known[name]) for name in self._by_server.get(server, ())]

    def _is_usual_call(self, name: ConversationName) -> bool:
        """Whether a known device calls to everybody what others were learned to call.

        It concerns what nothing decodes only: what a publisher sends is told apart by sender.
        """
        if name.protocol not in {"udp", "icmp", "icmpv6", "igmp"} or not self.knows(name.client):
            return False
        if self._calls is None:
            known = self.plant.conversations
            self._calls = {(one.server, one.protocol, one.port) for one in known if is_call(one)}
        return (name.server, name.protocol, name.port) in self._calls

    def is_turned(self, name: ConversationName) -> bool:
        """Whether a known talk of datagrams runs the other way round.

        Where both use the same port (NTP) and nothing decodes it, who was heard first is taken for
        the client; the first request may be lost, or have come before the capture began.
        """
        back = name._replace(client=name.server, server=name.client)
        return name.protocol == name.carrier == "udp" and back in self.plant.conversations

    def _pass_over(self, id: int) -> None:
        self._conversations[id] = self._passing[id] = True

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, clean: Mapping[str, Mask | None]) -> None:
        """Take in the rows of a tick that are `clean` (by table; None: all)."""
        self.look_at(tick.names)
        is_open = self.declared or not self.is_plant_ready(tick.second)
        listened = self.plant.listened
        self.plant.tell_time(tick.second)
        if is_open:
            self._learn_endpoints(tick, clean["sightings"])
            for table in CONVERSING:
                self._learn_conversations(tick, table, clean[table])
        self._learn_messages(tick, clean["messages"], listened)

    def close(self) -> None:
        """Declared learning ends: whatever was not learned is new from now on."""
        self.declared = False
        self._settle_all()
        self.plant.close()

    def _learn_endpoints(self, tick: Tick, clean: Mask | None) -> None:
        sightings = tick.tables.sightings
        if not len(sightings):
            return
        ids, macs = _clean(sightings.endpoint, clean), _clean(sightings.mac, clean)
        for id, mac in dict.fromkeys(zip(ids.tolist(), macs.tolist(), strict=True)):
            if not id:
                continue
            if self.plant.meet_endpoint(tick.names.endpoint(id), mac):
                self._endpoints[id] = True
                self._by_mac = None
            else:
                self.missed["endpoints"] += 1

    def _learn_conversations(self, tick: Tick, table: str, clean: Mask | None) -> None:
        column = _clean(getattr(tick.tables, table).conversation, clean)
        for id in _unknown(column, self._conversations):
            name = plain(tick.names.conversation(id))
            if name in self.plant.conversations:
                self._conversations[id] = True
            elif is_lookup(name):
                self._pass_over(id)
            elif self.plant.meet(name):
                self._conversations[id] = True
                self._by_server = self._calls = None
            else:
                self.missed["conversations"] += 1

    def _learn_messages(self, tick: Tick, clean: Mask | None, listened: int) -> None:
        messages = tick.tables.messages
        if not len(messages):
            return
        symbol, conversation = _clean(messages.symbol, clean), _clean(messages.conversation, clean)
        # Who is ready is decided as it was in judging: before this tick is counted.
        learning = []
        for id in _unknown(symbol, self._symbols):
            spelled = tick.names.symbol(id)
            known = self.plant.conversations.get(plain(spelled.conversation))
            if known is not None:
                place = int(tick.names.symbols.conversation[id])
                self._settle(known, place)
                if self.declared or not known.is_ready(listened):
                    learning.append((id, place, spelled, known))
        if tick.second < self._latest:  # time ran back: first and last are in order between looks
            self._settle_all()
        self._latest = tick.second
        self._first[conversation[self._heard[conversation] == 0]] = tick.second
        self._last[conversation] = tick.second
        np.add.at(self._heard, conversation, 1)
        for id, place, spelled, known in learning:
            self._settle(known, place)
            self._learn_symbol(id, spelled, known)

    def _learn_symbol(self, id: int, spelled: SymbolName, known: Acquaintance) -> None:
        vocabulary, plant = known.vocabulary, self.plant
        whole = True
        if vocabulary.novelties(spelled):
            known.news(plant.listened)
            before = len(vocabulary)
            whole = plant.words < MOST_WORDS and vocabulary.learn(spelled)
            plant.words += len(vocabulary) - before
        self.missed["words"] += not whole
        self._symbols[id] = whole

    def _settle(self, known: Acquaintance, id: int) -> None:
        """Move what the columns counted for a conversation id into its acquaintance."""
        heard = int(self._heard[id])
        if heard:
            known.messages += heard
            first = int(self._first[id])
            known.first = min(known.first, first) if known.first else first
            known.last = max(known.last, int(self._last[id]))
            self._heard[id] = 0

    def _settle_all(self, among: Array | None = None) -> None:
        if self._names is None:
            return
        ids = np.flatnonzero(self._heard) if among is None else among[self._heard[among] > 0]
        for id in ids.tolist():
            known = self.plant.conversations.get(plain(self._names.conversation(id)))
            if known is not None:
                self._settle(known, id)
            self._heard[id] = 0

    # --- ids ---------------------------------------------------------------------------------

    def learned(self) -> dict[str, Array]:
        """Ids that stand for something known, by dictionary."""
        known = {
            "endpoints": self._endpoints,
            "conversations": self._conversations & ~self._passing,
            "symbols": self._symbols,
        }
        return {
            name: (np.flatnonzero(column[1:]) + 1).astype(np.uint32)
            for name, column in known.items()
        }

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        conversations = retired["conversations"]
        self._settle_all(conversations[conversations < len(self._heard)])
        for column, name in (
            (self._endpoints, "endpoints"),
            (self._conversations, "conversations"),
            (self._passing, "conversations"),
            (self._symbols, "symbols"),
        ):
            ids = retired[name]
            column[ids[ids < len(column)]] = False

    def _forget_all(self) -> None:
        for column in (self._symbols, self._conversations, self._endpoints):
            column[0], column[1:] = True, False
        for column in (self._passing, self._heard, self._first, self._last):
            column[:] = 0
        self._by_mac = self._by_server = self._calls = None

    def _look_anew(self) -> None:
        """What is known has changed: every id is examined again."""
        self._settle_all()
        self._forget_all()

    # --- what a person decides ---------------------------------------------------------------

    def accept(self, key: Key) -> bool:
        """Make one endpoint, conversation or word known; False if there is no such thing."""
        if not is_key(key):
            return False
        self._settle_all()
        if key[0] == "conversation":
            name = plain(unflat(key[1:]))
            known = self.plant.conversations.get(name) or self.plant.meet(name, accepted=True)
            if known is None:
                self.missed["conversations"] += 1
                return False
        if not self.accepted.add(key):
            return False
        self._look_anew()
        return True

    def undo(self, key: Key) -> bool:
        """Take back an accepted key, with all that was learned under it since."""
        if not self.accepted.remove(key):
            return False
        self._settle_all()
        if key[0] == "conversation":
            name = plain(unflat(key[1:]))
            known = self.plant.conversations.get(name)
            if known is not None and known.accepted:
                self.plant.leave(name)
        self._look_anew()
        return True

    def endpoint(self, key: Key) -> EndpointName | None:
        """The endpoint that a key stands for, if it stands for one."""
        return endpoint_of(key) if key[:1] == ("endpoint",) and is_key(key) else None

    # --- state -------------------------------------------------------------------------------

    def acquaintances(self) -> Sequence[tuple[ConversationName, Acquaintance]]:
        """Every known conversation with its counts up to date, in order of names."""
        self._settle_all()
        return sorted(self.plant.conversations.items(), key=lambda one: one[0])

    def state(self) -> MemoryState:
        """Everything known, by name."""
        self._settle_all()
        accepted = [list(key) for key in self.accepted]
        return MemoryState(self.plant.state(), accepted, dict(self.missed))

    def restore(self, state: MemoryState) -> None:
        """Take back a checked state; what was counted since is left behind.

        Raises ValueError if what was accepted is not spelled as it must be.
        """
        self.accepted = Accepted(state.accepted)
        self.plant = Plant.of(state.plant)
        self.missed = {name: state.missed.get(name, 0) for name in BOUNDS}
        self._heard[:] = 0
        self._look_anew()

    def merge(self, state: MemoryState) -> None:
        """Add what another memory holds. Raises ValueError as `restore` does."""
        accepted = Accepted(state.accepted)
        self._settle_all()
        whole = self.plant.merge(Plant.of(state.plant)) and self.accepted.merge(accepted)
        self.missed["words"] += not whole
        self._look_anew()


def is_lookup(name: ConversationName) -> bool:
    """Whether somebody looks up an address (ARP, neighbour discovery).

    Who looks up whom follows from who talks to whom, and is no conversation of its own here.
    """
    return name.protocol == "arp" or name.server.address.startswith("ff02::1:ff")


def is_call(name: ConversationName) -> bool:
    """Whether a conversation is addressed to everybody, or to a group."""
    return is_group(name.server.address)


def is_group(address: str) -> bool:
    """Whether an address is that of everybody, or of a group, and not of a device."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[1:2] in set("13579bdf")  # a MAC: a group's first octet is odd
    return ip.is_multicast or (ip.version == IPV4 and ip.packed[-1] == BROADCAST)


def _unknown(column: Array, known: Array) -> list[int]:
    """Distinct ids of a column that are not known, in the order of their first rows.

    Ids differ from session to session; rows do not.
    """
    if not len(column):
        return []
    look = known[column]
    if np.count_nonzero(look) == len(look):
        return []
    return in_order(column[~look])


def _fit(column: Array, size: int) -> Array:
    """`column` with at least `size` places; new ones are 0."""
    if len(column) >= size:
        return column
    grown = np.zeros(max(size, 2 * len(column)), column.dtype)
    grown[: len(column)] = column
    return grown


def _clean(column: Array, mask: Mask | None) -> Array:
    return column if mask is None else column[mask]
