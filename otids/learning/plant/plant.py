"""What is known of a plant: its endpoints, its conversations, and what is said in each.

Knowledge is kept by name; ids are only a way to look it up fast. Readiness is earned: see
`Acquaintance.is_ready` and `Plant.is_ready`. It is measured in seconds of listening: a pause in
which nothing was heard counts as a minute at most, and time that runs back as none.
"""

from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import msgspec

from otids.learning.plant.vocabulary import Vocabulary, VocabularyState
from otids.traffic import ConversationName, EndpointName

ENOUGH_MESSAGES = 100
"""A conversation is not ready before it said so many messages without anything new."""
ENOUGH_SECONDS = 600
"""Neither a plant nor a conversation is ready before so many seconds without anything new."""
LONGEST_SECONDS = 14 * 86_400
"""Learning that nobody declared ends after so many seconds, however much goes on being new."""
LONGEST_PAUSE = 60
MOST_ENDPOINTS = 65_536
MOST_CONVERSATIONS = 65_536
MOST_WORDS = 500_000
"""Words of all conversations together."""
FIRST_DYNAMIC_PORT = 32_768
NO_MAC = 0
SEVERAL_MACS = 1 << 48
"""In place of an endpoint's MAC: it was seen with several."""

_Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class AcquaintanceState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of one conversation's knowledge."""

    name: ConversationName
    vocabulary: VocabularyState
    messages: _Natural
    at_last_new: _Natural
    met: _Natural
    last_new: _Natural
    first: int
    last: int
    closed: bool
    accepted: bool


class EndpointState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of one endpoint's knowledge."""

    name: EndpointName
    mac: Annotated[int, msgspec.Meta(ge=0, le=SEVERAL_MACS)]


class PlantState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of everything known."""

    endpoints: Annotated[list[EndpointState], msgspec.Meta(max_length=MOST_ENDPOINTS)]
    conversations: Annotated[list[AcquaintanceState], msgspec.Meta(max_length=MOST_CONVERSATIONS)]
    listened: _Natural
    last_new: _Natural
    second: int
    closed: bool


@dataclass(slots=True)
class Acquaintance:
    """One conversation: what it says, and how long it was listened to."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    messages: int = 0
    at_last_new: int = 0  # how many messages had been heard when something was last new
    # How long the plant had been listened to, s, when it was first heard, and when it last said
    # something new.
    met: int = 0
    last_new: int = 0
    first: int = 0  # capture time of the first and last message, s; 0 if there was none
    last: int = 0
    closed: bool = False  # a person said that learning is over
    accepted: bool = False  # known because a person said so, and not otherwise

    def is_ready(self, listened: int) -> bool:
        """Whether nothing was new for as long as learning took, in messages and in seconds.

        Both count: a fast poll says a hundred messages between two of an operator's commands.
        `listened` is for how long the plant was listened to: nobody can keep a conversation in
        learning for ever by always saying something new.
        """
        if self.closed:
            return True
        if listened - self.met >= LONGEST_SECONDS and self.messages >= ENOUGH_MESSAGES:
            return True
        return not self._missing_messages() and not self._missing_seconds(listened)

    def progress(self, listened: int) -> float:
        """How far learning is, from 0 to 1."""
        if self.is_ready(listened):
            return 1.0
        messages = 1 - self._missing_messages() / self._needed_messages()
        seconds = 1 - self._missing_seconds(listened) / self._needed_seconds()
        return max(0.0, min(messages, seconds))

    def seconds_left(self, listened: int) -> float | None:
        """When it will be ready if nothing new is said; None if that cannot be told."""
        if self.is_ready(listened):
            return 0.0
        if not self.messages or listened <= self.met:
            return None
        by_messages = self._missing_messages() * (listened - self.met) / self.messages
        left = max(by_messages, float(self._missing_seconds(listened)))
        if self.messages >= ENOUGH_MESSAGES:
            left = min(left, float(LONGEST_SECONDS - (listened - self.met)))
        return left

    def _missing_messages(self) -> int:
        return max(0, self._needed_messages() - (self.messages - self.at_last_new))

    def _missing_seconds(self, listened: int) -> int:
        return max(0, self._needed_seconds() - (listened - self.last_new))

    def _needed_messages(self) -> int:
        return max(ENOUGH_MESSAGES, self.at_last_new)

    def _needed_seconds(self) -> int:
        return max(ENOUGH_SECONDS, self.last_new - self.met)

    def news(self, listened: int) -> None:
        """Something was said for the first time."""
        if not self.closed:
            self.at_last_new, self.last_new = self.messages, listened

    def close(self) -> None:
        """A person says that learning is over. What only learning needs is put to rest."""
        self.closed, self.at_last_new, self.met, self.last_new = True, 0, 0, 0

    def merge(self, other: "Acquaintance") -> bool:
        """Add what was heard elsewhere; False if a bound was met."""
        moments = [one for one in (self.first, other.first) if one]
        self.first, self.last = min(moments, default=0), max(self.last, other.last)
        self.messages += other.messages
        self.at_last_new = max(self.at_last_new, other.at_last_new)
        self.met = max(self.met, other.met)
        self.last_new = max(self.last_new, other.last_new)
        self.closed = self.closed and other.closed
        self.accepted = self.accepted and other.accepted
        return self.vocabulary.merge(other.vocabulary)


@dataclass(slots=True)
class Plant:
    """All endpoints (with their MAC) and conversations that are known.

    `listened` seconds of it were heard, and `last_new` of them when something was last new.
    """

    endpoints: dict[EndpointName, int] = field(default_factory=dict)
    conversations: dict[ConversationName, Acquaintance] = field(default_factory=dict)
    listened: int = 0
    last_new: int = 0
    second: int = 0  # capture time of the last tick; 0 before the first
    closed: bool = False
    words: int = 0  # of all conversations together

    def listened_until(self, second: int) -> int:
        """For how many seconds the plant will have been listened to at `second`."""
        pause = second - self.second if self.second else 0
        return self.listened + min(max(pause, 0), LONGEST_PAUSE)

    def tell_time(self, second: int) -> None:
        """Capture time has come to `second`."""
        self.listened, self.second = self.listened_until(second), second

    def is_ready(self, second: int) -> bool:
        """Whether no endpoint and no conversation was new for as long as learning took."""
        listened = self.listened_until(second)
        if self.closed or listened >= LONGEST_SECONDS:
            return True
        return listened - self.last_new >= self._needed()

    def progress(self) -> float:
        """How far learning of the plant as a whole is, from 0 to 1."""
        if self.is_ready(self.second):
            return 1.0
        return (self.listened - self.last_new) / self._needed()

    def seconds_left(self) -> float:
        """When it will be ready if nothing new appears."""
        if self.is_ready(self.second):
            return 0.0
        left = self._needed() - (self.listened - self.last_new)
        return float(min(left, LONGEST_SECONDS - self.listened))

    def _needed(self) -> int:
        return max(ENOUGH_SECONDS, self.last_new)

    def meet_endpoint(self, name: EndpointName, mac: int) -> bool:
        """Learn an endpoint, or one more MAC of it; False if a bound was met."""
        known = self.endpoints.get(name)
        if known is None:
            if len(self.endpoints) >= MOST_ENDPOINTS:
                return False
            self.last_new = self.listened
            self.endpoints[name] = mac
        else:
            self.endpoints[name] = _join(known, mac)
        return True

    def meet(self, name: ConversationName, *, accepted: bool = False) -> Acquaintance | None:
        """Get to know a conversation, learned or accepted; None if a bound was met."""
        if len(self.conversations) >= MOST_CONVERSATIONS:
            return None
        if not accepted:
            self.last_new = self.listened
        known = Acquaintance(met=self.listened, last_new=self.listened, accepted=accepted)
        self.conversations[name] = known
        return known

    def leave(self, name: ConversationName) -> None:
        """Forget a conversation, with all that was learned in it."""
        known = self.conversations.pop(name, None)
        if known is not None:
            self.words -= len(known.vocabulary)

    def close(self) -> None:
        """A person says that learning is over, for the plant and every conversation."""
        self.closed, self.listened, self.last_new, self.second = True, 0, 0, 0
        for acquaintance in self.conversations.values():
            acquaintance.close()

    def merge(self, other: "Plant") -> bool:
        """Add what was learned elsewhere; False if a bound was met."""
        whole = True
        is_blank = not (self.endpoints or self.conversations or self.second)
        self.closed = other.closed if is_blank else self.closed and other.closed
        for endpoint, mac in other.endpoints.items():
            if endpoint in self.endpoints or len(self.endpoints) < MOST_ENDPOINTS:
                self.endpoints[endpoint] = _join(self.endpoints.get(endpoint, NO_MAC), mac)
            else:
                whole = False
        for name, theirs in other.conversations.items():
            mine = self.conversations.get(name)
            if mine is not None:
                self.words -= len(mine.vocabulary)
            elif len(self.conversations) < MOST_CONVERSATIONS and self.words < MOST_WORDS:
                mine = Acquaintance(closed=theirs.closed, accepted=theirs.accepted)
                self.conversations[name] = mine
            else:
                whole = False
                continue
            whole &= mine.merge(theirs)
            self.words += len(mine.vocabulary)
        self.listened = max(self.listened, other.listened)
        self.last_new = max(self.last_new, other.last_new)
        self.second = max(self.second, other.second)
        return whole

    def state(self) -> PlantState:
        """Everything known, in a fixed order."""
        return PlantState(
            [EndpointState(*one) for one in sorted(self.endpoints.items())],
            [
                AcquaintanceState(
                    name,
                    msgspec.convert(one.vocabulary.state(), VocabularyState),
                    one.messages,
                    one.at_last_new,
                    one.met,
                    one.last_new,
                    one.first,
                    one.last,
                    one.closed,
                    one.accepted,
                )
                for name, one in sorted(self.conversations.items(), key=lambda one: one[0])
            ],
            self.listened,
            self.last_new,
            self.second,
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
                one.met,
                one.last_new,
                one.first,
                one.last,
                one.closed,
                one.accepted,
            )
            for one in state.conversations
        }
        return cls(
            {one.name: one.mac for one in state.endpoints},
            conversations,
            state.listened,
            state.last_new,
            state.second,
            state.closed,
            sum(len(one.vocabulary) for one in conversations.values()),
        )


def plain(name: ConversationName) -> ConversationName:
    """The name under which a conversation is known: a port that is made up anew each time is 0."""
    if name.protocol in {"tcp", "udp"} and name.port >= FIRST_DYNAMIC_PORT:
        return name._replace(port=0)
    return name


def _join(one: int, other: int) -> int:
    if NO_MAC in {one, other}:
        return one or other
    return one if one == other else SEVERAL_MACS
