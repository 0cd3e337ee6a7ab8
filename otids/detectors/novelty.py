"""Novelty: what was never said, at the broadest level at which it is new.

Levels, broadest first: endpoint, conversation, activity, function, unit, item, status. A symbol
that is known costs one array look-up; only distinct unknown symbols are spelled and examined.
An endpoint that was never seen covers what it reads; what a new client writes is a finding of its
own. Many new functions or addresses at once are one scan, not many findings.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from otids.detectors.base import (
    MOST_MEMBERS,
    Cause,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
    frames_of,
)
from otids.learning.plant import Acquaintance, Plant, PlantState, plain
from otids.learning.vocabulary import Novelty as New
from otids.learning.vocabulary import Vocabulary
from otids.traffic import (
    SECOND,
    Array,
    ConversationName,
    Dictionaries,
    EndpointName,
    SymbolName,
    Tick,
    function_name,
)

NAME = "novelty"
FUNCTION_SCAN = 8
"""New functions in one conversation and tick that make a scan."""
ADDRESS_SCAN = 16
"""New ranges in one conversation and tick that make a scan."""
SCAN_GOES_ON = 30
"""Seconds for which what else is new in a scanned conversation belongs to the scan."""
MOST_SCANS = 4_096

CHANGING = frozenset({"write", "control", "program", "configure", "file", "time"})
"""Activities that change a device; reading weighs less."""

TABLES_WITH_CONVERSATIONS = ("messages", "connections", "traffic")


class NoveltyState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    plant: PlantState
    accepted: list[list[str | int]]
    scans: list[tuple[ConversationName, str, int]]


@dataclass(slots=True)
class _Heard:
    """What was new in one conversation during a tick."""

    name: ConversationName
    known: Acquaintance | None
    symbols: list[int] = field(default_factory=list)
    spelled: list[SymbolName] = field(default_factory=list)
    news: list[New] = field(default_factory=list)


class Novelty:
    """Knows what was ever said, and says what was not."""

    name = NAME

    def __init__(self) -> None:
        self.plant = Plant()
        self._accepted: dict[Cause, None] = {}
        self._scans: dict[ConversationName, tuple[str, int]] = {}
        self._learning = False
        self._names: Dictionaries | None = None
        self._forget_all()

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say what in `tick` was never said before. Nothing is learned."""
        self._look_at(tick.names)
        if self._learning:
            return []
        strangers = self._strange_endpoints(tick) if self._is_closed(tick) else {}
        foreign = self._foreign(tick) if self._is_closed(tick) else {}
        findings = list(self._judge_foreign(tick, foreign, strangers))
        for heard in self._news(tick, foreign):
            findings.extend(self._judge_known(tick, heard))
        return findings

    def _is_closed(self, tick: Tick) -> bool:
        """Whether what is new to the plant deviates at the time of `tick`."""
        plant = self.plant
        if plant.closed:
            return True
        if not plant.started:
            return False
        now = max(plant.now, tick.second)
        return Plant(started=plant.started, last_new=plant.last_new, now=now).is_ready()

    def _strange_endpoints(self, tick: Tick) -> dict[int, EndpointName]:
        """Endpoints that speak in this tick and are not known."""
        sightings = tick.tables.sightings
        ids = set(map(int, np.unique(sightings.endpoint[~self._endpoint_known[sightings.endpoint]])))
        for table in ("traffic", "connections"):
            conversations = np.unique(getattr(tick.tables, table).conversation)
            strange = conversations[~self._conversation_known[conversations]]
            for side in (tick.names.conversations.client, tick.names.conversations.server):
                ids.update(int(id) for id in side[strange] if int(id) in self._seen_strange)
        found = {}
        for id in sorted(ids - {0}):
            name = tick.names.endpoint(id)
            if name in self.plant.endpoints:
                self._endpoint_known[id] = True
            else:
                found[id] = name
        return found

    def _foreign(self, tick: Tick) -> dict[int, ConversationName]:
        """Conversations of this tick that are not known."""
        found: dict[int, ConversationName] = {}
        for table in TABLES_WITH_CONVERSATIONS:
            column = getattr(tick.tables, table).conversation
            for id in np.unique(column[~self._conversation_known[column]]):
                if id and int(id) not in found:
                    name = plain(tick.names.conversation(int(id)))
                    if name in self.plant.conversations:
                        self._conversation_known[id] = True
                    else:
                        found[int(id)] = name
        return dict(sorted(found.items()))
