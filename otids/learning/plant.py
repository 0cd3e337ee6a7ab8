"""What is known of a plant: its endpoints, its conversations, and what is said in each.

Knowledge is kept by name; ids are only a way to look it up fast. Readiness is earned: see
`Acquaintance.is_ready` and `Plant.is_ready`.
"""

from dataclasses import dataclass, field

import msgspec

from otids.learning.vocabulary import Vocabulary, VocabularyState
from otids.traffic import ConversationName, EndpointName

ENOUGH_MESSAGES = 100
ENOUGH_SECONDS = 600
MOST_ENDPOINTS = 65_536
MOST_CONVERSATIONS = 65_536
FIRST_DYNAMIC_PORT = 32_768


class AcquaintanceState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of one conversation's knowledge."""

    name: ConversationName
    vocabulary: VocabularyState
    messages: int
    at_last_new: int
    first: int
    last: int
    closed: bool


class PlantState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of everything known."""

    endpoints: list[EndpointName]
    conversations: list[AcquaintanceState]
    started: int
    last_new: int
    now: int
    closed: bool


@dataclass(slots=True)
class Acquaintance:
    """One conversation: what it says, and how long it was listened to.

    `messages` heard, how many of them when something was last new, and the first and last second.
    """

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    messages: int = 0
    at_last_new: int = 0
    first: int = 0
    last: int = 0
    closed: bool = False

    def is_ready(self) -> bool:
        """Whether nothing was new for as many messages as learning took, and enough were heard."""
        needed = max(ENOUGH_MESSAGES, self.at_last_new)
        return self.closed or self.messages - self.at_last_new >= needed

    def progress(self) -> float:
        """How far learning is, from 0 to 1."""
        if self.is_ready():
            return 1.0
        return (self.messages - self.at_last_new) / max(ENOUGH_MESSAGES, self.at_last_new)

    def seconds_left(self) -> float | None:
        """When it will be ready if nothing new is said; None if that cannot be told."""
        if self.is_ready():
            return 0.0
        if not self.messages or self.last <= self.first:
            return None
        missing = max(ENOUGH_MESSAGES, self.at_last_new) - (self.messages - self.at_last_new)
        return missing * (self.last - self.first) / self.messages

    def close(self) -> None:
        """A person says that learning is over. What only learning needs is put to rest."""
        self.closed, self.at_last_new = True, 0

    def merge(self, other: "Acquaintance") -> None:
        """Add what was heard elsewhere."""
        self.vocabulary.merge(other.vocabulary)
        self.first = min(self.first, other.first) if self.messages else other.first
        self.last = max(self.last, other.last)
        self.messages += other.messages
        self.at_last_new = max(self.at_last_new, other.at_last_new)
        self.closed = self.closed and other.closed


@dataclass(slots=True)
class Plant:
    """All endpoints and conversations that are known, and since when nothing was new."""

    endpoints: set[EndpointName] = field(default_factory=set)
    conversations: dict[ConversationName, Acquaintance] = field(default_factory=dict)
    started: int = 0
    last_new: int = 0
    now: int = 0
    closed: bool = False

    def tell_time(self, second: int) -> None:
        """Capture time has come to `second`."""
        if not self.started:
            self.started = self.last_new = second
        self.now = max(self.now, second)

    def is_ready(self) -> bool:
        """Whether no endpoint and no conversation was new for as long as learning took."""
        quiet = self.now - self.last_new
        return self.closed or quiet >= max(ENOUGH_SECONDS, self.last_new - self.started)

    def progress(self) -> float:
        """How far learning of the plant as a whole is, from 0 to 1."""
        if self.is_ready():
            return 1.0
        return (self.now - self.last_new) / max(ENOUGH_SECONDS, self.last_new - self.started)

    def seconds_left(self) -> float:
        """When it will be ready if nothing new appears."""
        if self.is_ready():
            return 0.0
        needed = max(ENOUGH_SECONDS, self.last_new - self.started)
        return float(needed - (self.now - self.last_new))

    def meet_endpoint(self, name: EndpointName) -> bool:
        """Learn an endpoint; False if a bound was met."""
        if len(self.endpoints) >= MOST_ENDPOINTS:
            return False
        self.endpoints.add(name)
        self.last_new = self.now
        return True

    def meet(self, name: ConversationName) -> Acquaintance | None:
        """Learn a conversation; None if a bound was met."""
        if len(self.conversations) >= MOST_CONVERSATIONS:
            return None
        self.last_new = self.now
        acquaintance = self.conversations[name] = Acquaintance(first=self.now, last=self.now)
        return acquaintance

    def close(self) -> None:
        """A person says that learning is over, for the plant and every conversation."""
        self.closed, self.last_new = True, 0
        for acquaintance in self.conversations.values():
            acquaintance.close()

    def merge(self, other: "Plant") -> None:
        """Add what was learned elsewhere."""
        self.endpoints |= other.endpoints
        for name, acquaintance in other.conversations.items():
            self.conversations.setdefault(name, Acquaintance(closed=acquaintance.closed)).merge(
                acquaintance
            )
        starts = [one for one in (self.started, other.started) if one]
        self.started = min(starts, default=0)
        self.last_new = max(self.last_new, other.last_new)
        self.now = max(self.now, other.now)
        self.closed = self.closed and other.closed

    def state(self) -> PlantState:
        """Everything known, in a fixed order."""
        return PlantState(
            sorted(self.endpoints),
            [
                AcquaintanceState(
                    name,
                    msgspec.convert(one.vocabulary.state(), VocabularyState),
                    one.messages,
                    one.at_last_new,
                    one.first,
                    one.last,
                    one.closed,
                )
                for name, one in sorted(self.conversations.items())
            ],
            self.started,
            self.last_new,
            self.now,
            self.closed,
        )

    @classmethod
    def of(cls, state: PlantState) -> "Plant":
        """Take back a checked state."""
        conversations = {
            one.name: Acquaintance(
                Vocabulary.of(one.vocabulary),
                one.messages,
                one.at_last_new,
                one.first,
                one.last,
                one.closed,
            )
            for one in state.conversations
        }
        return cls(
            set(state.endpoints),
            conversations,
            state.started,
            state.last_new,
            state.now,
            state.closed,
        )


def plain(name: ConversationName) -> ConversationName:
    """The name under which a conversation is known: a port that is made up anew each time is 0."""
    if name.protocol in {"tcp", "udp"} and name.port >= FIRST_DYNAMIC_PORT:
        return name._replace(port=0)
    return name
