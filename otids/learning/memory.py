"""Remembers a plant by name and finds it by id: one array look-up for what is known.

Ids are a session's; names outlive it. A column per dictionary says which ids stand for something
known, so that a tick without anything new costs a few look-ups; an id is spelled only while it is
not known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from otids.learning.plant import Acquaintance, Plant, PlantState, plain
from otids.learning.vocabulary import LEVELS
from otids.traffic import Array, ConversationName, Dictionaries, EndpointName, Mask, Tick

Key = tuple[str | int, ...]
"""A level and what was known at it, spelled: what a person accepts or takes back."""

CONVERSATION_PARTS = 7
TABLES = ("messages", "connections", "traffic")
"""The tables with a column `conversation`."""


class MemoryState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of a memory."""

    plant: PlantState
    accepted: list[list[str | int]]


class Memory:
    """What is known of a plant, and which ids stand for it."""

    def __init__(self) -> None:
        self.plant = Plant()
        self.declared = False  # a person says that what comes is normal
        self._accepted: dict[Key, None] = {}
        self._names: Dictionaries | None = None
        self._symbols: Array = np.zeros(1, np.bool_)
        self._conversations: Array = np.zeros(1, np.bool_)
        self._endpoints: Array = np.zeros(1, np.bool_)
        self._heard: Array = np.zeros(1, np.int64)
        self._last: Array = np.zeros(1, np.int64)

    # --- asking ------------------------------------------------------------------------------

    def look_at(self, names: Dictionaries) -> None:
        """Follow the dictionaries: other ones mean that ids stand for other things."""
        if names is not self._names:
            self._settle_all()
            self._names = names
            self._forget_all()
        self._symbols = _fit(self._symbols, names.symbols.size)
        self._conversations = _fit(self._conversations, names.conversations.size)
        self._endpoints = _fit(self._endpoints, names.endpoints.size)
        self._heard = _fit(self._heard, names.conversations.size)
        self._last = _fit(self._last, names.conversations.size)

    def is_plant_ready(self, second: int) -> bool:
        """Whether at `second` an unknown endpoint or conversation deviates."""
        plant = self.plant
        if plant.closed or not plant.started:
            return plant.closed
        now = max(plant.now, second)
        return Plant(started=plant.started, last_new=plant.last_new, now=now).is_ready()

    def is_ready(self, known: Acquaintance, id: int) -> bool:
        """Whether in a known conversation (`id` is its present one) a new word deviates."""
        self._settle(known, id)
        return known.is_ready()

    def unknown_endpoints(self, tick: Tick) -> dict[EndpointName, Array]:
        """Endpoints that show up in a tick and are not known, with their rows of sightings."""
        column = tick.tables.sightings.endpoint
        found = {}
        for id, rows in rows_by(column, np.flatnonzero(~self._endpoints[column])).items():
            name = tick.names.endpoint(id)
            if name in self.plant.endpoints:
                self._endpoints[id] = True
            elif id:
                found[name] = rows
        return found

    def unknown_conversations(self, tick: Tick) -> dict[int, ConversationName]:
        """Conversations of a tick that are not known, by id and in its order.

        Who asks for whose address (ARP) follows from who talks to whom, and is no conversation
        of its own here.
        """
        found: dict[int, ConversationName] = {}
        for table in TABLES:
            column = getattr(tick.tables, table).conversation
            for id in np.unique(column[~self._conversations[column]]).tolist():
                if id and id not in found:
                    name = plain(tick.names.conversation(id))
                    if name.protocol == "arp" or name in self.plant.conversations:
                        self._conversations[id] = True
                    else:
                        found[id] = name
        return dict(sorted(found.items()))

    def unknown_symbols(self, tick: Tick) -> list[int]:
        """Distinct symbols of a tick that are not known to be known."""
        column = tick.tables.messages.symbol
        ids: list[int] = np.unique(column[~self._symbols[column]]).tolist()
        return [id for id in ids if id]

    def recognise(self, symbol: int) -> None:
        """A symbol turned out to be known."""
        self._symbols[symbol] = True

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, clean: Mapping[str, Mask | None]) -> None:
        """Take in the rows of a tick that are `clean` (by table; None: all)."""
        self.look_at(tick.names)
        self.plant.tell_time(tick.second)
        if self.declared or not self.is_plant_ready(tick.second):
            self._learn_endpoints(tick, clean["sightings"])
            for table in TABLES:
                self._learn_conversations(tick, table, clean[table])
        self._learn_symbols(tick, clean["messages"])

    def close(self) -> None:
        """Declared learning ends: whatever was not learned is new from now on."""
        self.declared = False
        self._settle_all()
        self.plant.close()

    def _learn_endpoints(self, tick: Tick, clean: Mask | None) -> None:
        column = _clean(tick.tables.sightings.endpoint, clean)
        for id in np.unique(column[~self._endpoints[column]]).tolist():
            name = tick.names.endpoint(id)
            if id and (name in self.plant.endpoints or self.plant.meet_endpoint(name)):
                self._endpoints[id] = True

    def _learn_conversations(self, tick: Tick, table: str, clean: Mask | None) -> None:
        column = _clean(getattr(tick.tables, table).conversation, clean)
        for id in np.unique(column[~self._conversations[column]]).tolist():
            name = plain(tick.names.conversation(id))
            known = name.protocol == "arp" or name in self.plant.conversations
            if id and (known or self.plant.meet(name)):
                self._conversations[id] = True

    def _learn_symbols(self, tick: Tick, clean: Mask | None) -> None:
        messages = tick.tables.messages
        if not len(messages):
            return
        symbol, conversation = _clean(messages.symbol, clean), _clean(messages.conversation, clean)
        np.add.at(self._heard, conversation, 1)
        self._last[conversation] = tick.second
        for id in np.unique(symbol[~self._symbols[symbol]]).tolist():
            if id:
                self._learn_symbol(tick.names, id)

    def _learn_symbol(self, names: Dictionaries, id: int) -> None:
        spelled = names.symbol(id)
        known = self.plant.conversations.get(plain(spelled.conversation))
        if known is None:
            return
        place = int(names.symbols.conversation[id])
        news = known.vocabulary.novelties(spelled)
        if news and (self.declared or not self.is_ready(known, place)):
            self._settle(known, place)
            if not known.closed:
                known.at_last_new = known.messages
            known.vocabulary.learn(spelled)
            news = known.vocabulary.novelties(spelled)
        self._symbols[id] = not news

    def _settle(self, known: Acquaintance, id: int) -> None:
        """Move what the columns counted for a conversation id into its acquaintance."""
        heard = int(self._heard[id])
        if heard:
            known.messages += heard
            known.last = max(known.last, int(self._last[id]))
            self._heard[id] = 0

    def _settle_all(self) -> None:
        if self._names is None:
            return
        for id in np.flatnonzero(self._heard).tolist():
            known = self.plant.conversations.get(plain(self._names.conversation(id)))
            if known is not None:
                self._settle(known, id)
            self._heard[id] = 0

    # --- ids ---------------------------------------------------------------------------------

    def learned(self) -> dict[str, Array]:
        """Ids that stand for something known, by dictionary."""
        return {
            "endpoints": np.flatnonzero(self._endpoints).astype(np.uint32),
            "conversations": np.flatnonzero(self._conversations).astype(np.uint32),
            "symbols": np.flatnonzero(self._symbols).astype(np.uint32),
        }

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        if not any(len(retired[name]) for name in ("endpoints", "conversations", "symbols")):
            return
        self._settle_all()
        for column, ids in (
            (self._endpoints, retired["endpoints"]),
            (self._conversations, retired["conversations"]),
            (self._symbols, retired["symbols"]),
        ):
            column[ids[ids < len(column)]] = False

    def _forget_all(self) -> None:
        for column in (
            self._symbols,
            self._conversations,
            self._endpoints,
            self._heard,
            self._last,
        ):
            column[:] = 0

    def _look_anew(self) -> None:
        """What is known has changed: every id is examined again."""
        self._settle_all()
        self._forget_all()
        if self._names is not None:
            self.look_at(self._names)

    # --- what a person decides ---------------------------------------------------------------

    def accept(self, key: Key) -> bool:
        """Make one endpoint, conversation or word known; False if there is no such thing."""
        if not self._change(key, known=True):
            return False
        self._accepted[key] = None
        return True

    def undo(self, key: Key) -> bool:
        """Take back an accepted key, with all that was learned under it since."""
        if key not in self._accepted:
            return False
        del self._accepted[key]
        return self._change(key, known=False)

    def _change(self, key: Key, *, known: bool) -> bool:
        level, parts = str(key[0]), key[1:]
        try:
            if level == "endpoint":
                name = msgspec.convert(parts, EndpointName)
                (self.plant.endpoints.add if known else self.plant.endpoints.discard)(name)
            elif level == "conversation":
                self._change_conversation(unflat(parts), known=known)
            elif level not in LEVELS or not self._change_word(level, parts, known=known):
                return False
        except (msgspec.ValidationError, ValueError, TypeError):
            return False
        self._look_anew()
        return True

    def _change_conversation(self, name: ConversationName, *, known: bool) -> None:
        if known:
            now = self.plant.now
            self.plant.conversations.setdefault(name, Acquaintance(first=now, last=now))
        else:
            self.plant.conversations.pop(name, None)

    def _change_word(self, level: str, parts: Key, *, known: bool) -> bool:
        acquaintance = self.plant.conversations.get(unflat(parts[:CONVERSATION_PARTS]))
        if acquaintance is None:
            return False
        vocabulary = acquaintance.vocabulary
        (vocabulary.accept if known else vocabulary.undo)(level, parts[CONVERSATION_PARTS:])
        return True

    # --- state -------------------------------------------------------------------------------

    def acquaintances(self) -> Sequence[tuple[ConversationName, Acquaintance]]:
        """Every known conversation with its counts up to date, in order of names."""
        self._settle_all()
        return sorted(self.plant.conversations.items(), key=lambda one: one[0])

    def state(self) -> MemoryState:
        """Everything known, by name."""
        self._settle_all()
        return MemoryState(self.plant.state(), [list(key) for key in self._accepted])

    def restore(self, state: MemoryState) -> None:
        """Take back a checked state; what was counted since is left behind."""
        self.plant = Plant.of(state.plant)
        self._accepted = {tuple(key): None for key in state.accepted}
        self._heard[:] = 0
        self._look_anew()

    def merge(self, state: MemoryState) -> None:
        """Add what another memory holds."""
        self._settle_all()
        self.plant.merge(Plant.of(state.plant))
        self._accepted |= {tuple(key): None for key in state.accepted}
        self._look_anew()


def rows_by(column: Array, rows: Array) -> dict[int, Array]:
    """Group row numbers by the id that stands in them, in order of the ids."""
    ids = column[rows]
    order = np.argsort(ids, kind="stable")
    distinct, starts = np.unique(ids[order], return_index=True)
    groups = np.split(rows[order], starts[1:]) if len(rows) else []
    return dict(zip(distinct.tolist(), groups, strict=True))


def flat(name: ConversationName) -> Key:
    """A conversation's name as the flat part of a key."""
    return (*name.client, *name.server, name.protocol, name.carrier, name.port)


def unflat(parts: Sequence[Any]) -> ConversationName:
    """The name in the flat part of a key. Raises `msgspec.ValidationError` if it is not one."""
    client, server, rest = parts[0:2], parts[2:4], parts[4:]
    return msgspec.convert((client, server, *rest), ConversationName)


def _fit(column: Array, size: int) -> Array:
    """`column` with at least `size` places; new ones are 0."""
    if len(column) >= size:
        return column
    grown = np.zeros(max(size, 2 * len(column)), column.dtype)
    grown[: len(column)] = column
    return grown


def _clean(column: Array, mask: Mask | None) -> Array:
    return column if mask is None else column[mask]
