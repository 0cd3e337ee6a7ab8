"""Protocol: bytes that break the rules of what is spoken, by who sends them and how often.

The hot path says what broke a rule; this says whether it means something. A device with a quirk
has the rate that was learned of it. What loss can cause is passed over where there is loss.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

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
from otids.learning.addresses.second_answers import is_second_answer
from otids.learning.causes import Causes
from otids.learning.ledger import UNKNOWN, Column, Ledger
from otids.learning.listening import Listening, ListeningState
from otids.learning.words import spell_list
from otids.traffic import (
    CARRIERS,
    NOTICE_KINDS,
    Array,
    ConversationName,
    EndpointName,
    Mask,
    Tick,
)

NAME = "protocol"
SORTS: Mapping[str, str] = {
    "malformed-pdu": "malformed",
    "bad-checksum": "malformed",
    "malformed-header": "malformed",
    "unasked-response": "unasked-response",
    "foreign-protocol": "foreign",
    "overlap-disagrees": "overlap",
    "out-of-sequence": "sequence",
    "stale-segment": "replayed",
}
"""What becomes of a notice. Others tell of loss, of our bounds, or of silence, not of a sender."""
LOSS_CAUSES = ("malformed", "unasked-response", "foreign", "sequence")
"""What is also heard where the capture is not whole."""
BURST = 10
"""Within a minute so much is more than a slip: fuzzers send hundreds, faults come singly."""
MINUTE = 60
MOST_SENDERS = 65_536
"""Senders whose quirks are learned."""
MOST_MINUTES = 4_096
"""Senders whose present minute is counted; then the one that began first is forgotten."""
MOST_FINDINGS = 64
"""Senders of one tick that are told apart; all others are told as one."""
MOST_DETAILS = 512
"""Notices of one sender in a tick whose details are read."""

_NAMES = tuple(sorted(set(SORTS.values())))
_SORT = np.array([_NAMES.index(SORTS[one]) if one in SORTS else -1 for one in NOTICE_KINDS])
_MAY_BE_LOSS = np.array([name in LOSS_CAUSES for name in _NAMES])
_SEQUENCE = _NAMES.index("sequence")
_LINK = CARRIERS.index("link")
_NOBODY = EndpointName(0, "")

_WHAT = {
    "malformed": "messages or headers that break the rules of their protocol",
    "unasked-response": "answers that nobody asked for",
    "foreign": "something else than the protocol of the port",
    "replayed": "segments of the past, which it can no longer have sent",
    "sequence": "messages whose numbers do not follow from each other",
    "overlap": "data twice, with different content",
}


class Sender(NamedTuple):
    """Who sends what breaks a rule, and which sort of it."""

    endpoint: EndpointName
    sort: str


class Minute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a sender broke a rule in a minute of capture time."""

    sender: Sender
    minute: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
    count: Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class ProtocolState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    listening: ListeningState
    quirks: dict[str, object]
    minutes: Annotated[list[Minute], msgspec.Meta(max_length=MOST_MINUTES)]
    accepted: list[object]


@dataclass(frozen=True, slots=True)
class _Broken:
    """What one sender broke in a tick, and how often in this minute."""

    sender: Sender
    rows: Array
    count: int


class Protocol(Detector):
    """Knows who breaks which rules how often, and says when it is more than that."""

    name = NAME

    def __init__(self) -> None:
        self.listening = Listening()
        self._quirks = _quirks()
        self._minutes: dict[Sender, Minute] = {}
        self._accepted = Causes(NAME)
        self._broken: list[_Broken] | None = None  # in the tick that was judged

    @property
    def counters(self) -> Mapping[str, int]:
        """How often something was too much to be learned, by what it was."""
        return {"senders": self._quirks.refused}

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say who broke rules more often than it does. Nothing is learned."""
        self._broken = None
        if not tick.tables.notices.kind.size:  # the column itself: most ticks have none
            return ()
        self._broken = broken = self._look(tick)
        if not self.listening.is_ready():
            return ()
        telling = [one for one in broken if self._deviates(one)]
        findings = [self._finding(tick, one) for one in telling[:MOST_FINDINGS]]
        if rest := telling[MOST_FINDINGS:]:
            whole = _Broken(rest[0].sender, np.sort(np.concatenate([one.rows for one in rest])), 0)
            findings.append(
                replace(
                    self._finding(tick, whole),
                    cause=(NAME, "further"),
                    observed=f"{len(rest):,} further senders in the same second",
                    source=None,
                    weak=False,
                )
            )
        return findings

    def _look(self, tick: Tick) -> list[_Broken]:
        """Group the notices of a tick by sender and sort, in the order of their first rows."""
        notices = tick.tables.notices
        sort = _SORT[notices.kind]
        counts = sort >= 0
        if not counts.any():
            return []
        counts &= ~is_second_answer(tick)
        lossy = tick.loss.is_lossy(notices.conversation) & _MAY_BE_LOSS[sort]
        # Of publishers only numbers that run back or come twice are told: nothing lost does that.
        lossy &= ~((sort == _SEQUENCE) & _is_published(tick, notices.conversation))
        rows = np.flatnonzero(counts & ~lossy)
        keys = notices.endpoint[rows].astype(np.int64) * len(_NAMES) + sort[rows]
        found, minute = [], tick.second // MINUTE
        distinct, first, places = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(places, kind="stable")
        parts = np.split(rows[order], np.cumsum(np.bincount(places, minlength=len(distinct)))[:-1])
        for place in np.argsort(first).tolist():
            id, which = divmod(int(distinct[place]), len(_NAMES))
            sender = Sender(tick.names.endpoint(id) if id else _NOBODY, _NAMES[which])
            before = self._minutes.get(sender)
            count = before.count if before is not None and before.minute == minute else 0
            found.append(_Broken(sender, parts[place], count + len(parts[place])))
        return found

    def _deviates(self, one: _Broken) -> bool:
        usual = _allowed(self._usual(one.sender))
        return one.count > usual and _cause(one.sender) not in self._accepted

    def _usual(self, sender: Sender) -> int:
        """The fullest minute that was learned of a sender."""
        row = self._quirks.row(sender)
        return 0 if row == UNKNOWN else int(self._quirks["most"][row])

    def _finding(self, tick: Tick, one: _Broken) -> Finding:
        notices, names = tick.tables.notices, tick.names
        endpoint, sort = one.sender
        usual = self._usual(one.sender)
        ids = [id for id in dict.fromkeys(notices.conversation[one.rows].tolist()) if id]
        talk = names.conversation(ids[0]) if len(ids) == 1 else None
        is_client = bool(ids) and all(
            names.endpoint(int(names.conversations.client[id])) == endpoint for id in ids
        )
        details = notices.detail[one.rows[:MOST_DETAILS]].tolist()
        said = [names.texts.name(id) for id in dict.fromkeys(details)]
        finding = finding_over(
            tick,
            {"notices": one.rows},
            detector=NAME,
            kind=f"{NAME}.{sort}",
            cause=_cause(one.sender),
            expected=_expected(one.sender, usual),
            observed=_observed(one, talk, said),
            source=None if endpoint == _NOBODY else endpoint,
            target=_target(endpoint, talk),
            conversation=talk,
            score=self.listening.sureness(),
            weak=_is_weak(one, usual, is_client=is_client),
        )
        return replace(finding, count=len(one.rows))

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Count what was broken, and learn how often that is usual where it may still be."""
        broken, self._broken = self._broken, None
        if broken:
            self._count(tick, broken, quarantine)
        self.listening.hear(tick.second)

    def _count(self, tick: Tick, broken: Sequence[_Broken], quarantine: Quarantine) -> None:
        minute, ready = tick.second // MINUTE, self.listening.is_ready()
        clean = quarantine.clean("notices")
        for one in broken:
            self._minutes.pop(one.sender, None)
            self._minutes[one.sender] = Minute(one.sender, minute, one.count)
            if ready or not (clean is None or clean[one.rows].all()):
                continue
            row = self._quirks.add(one.sender, tick.second)
            if row != UNKNOWN:
                self._quirks["most"][row] = max(int(self._quirks["most"][row]), one.count)
                self._quirks["touched"][row] = tick.second
        while len(self._minutes) > MOST_MINUTES:
            del self._minutes[next(iter(self._minutes))]

    def interrupt(self) -> None:
        """The present minute is over."""
        self._minutes, self._broken = {}, None
        self.listening.interrupt()

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.listening.begin_learning()

    def close_world(self) -> None:
        """Whatever was not learned is new from now on."""
        self.listening.close_world()

    def learned(self) -> Mapping[str, Array]:
        """Nothing is found by id: what breaks rules is rare, and spelled each time."""
        return {}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """Nothing is kept by id."""

    def accept(self, cause: Cause) -> bool:
        """Let a sender break rules of a sort as often as it likes."""
        return self._accepted.add(cause)

    def undo(self, cause: Cause) -> bool:
        """Take that back."""
        return self._accepted.remove(cause)

    # --- state -------------------------------------------------------------------------------

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, of the plant as a whole."""
        return [Readiness(None, self.listening.progress(), self.listening.seconds_left())]

    def state(self) -> State:
        """Everything learned, by name."""
        state = ProtocolState(
            self.listening.state(),
            self._quirks.state(),
            list(self._minutes.values()),
            list(self._accepted.state()),
        )
        plain: State = msgspec.to_builtins(state, builtin_types=(bytes,))
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        checked, self._quirks, self._accepted = _checked(state)
        self.listening.restore(checked.listening)
        self._minutes = {one.sender: one for one in checked.minutes}
        self._broken = None

    def merge(self, state: State) -> None:
        """Add what another one learned; the present minute is each one's own."""
        checked = _checked(state)[0]
        self.listening.merge(checked.listening)
        self._quirks.merge(checked.quirks)
        self._accepted.merge(checked.accepted)


def _quirks() -> Ledger:
    """For each sender with a quirk, how often it showed in the fullest minute that was learned."""
    return Ledger(Sender, {"most": Column("<i8", low=0, high=2**62)}, MOST_SENDERS)


def _checked(state: State) -> tuple[ProtocolState, Ledger, Causes]:
    """Check all of a state, and rebuild its parts. Raises `StateError`."""
    try:
        checked = msgspec.convert(state, ProtocolState)
        quirks, accepted = _quirks(), Causes(NAME)
        quirks.restore(checked.quirks)
        accepted.restore(checked.accepted)
    except (msgspec.ValidationError, ValueError) as error:
        raise StateError(f"the state of the protocol detector is damaged: {error}") from error
    return checked, quirks, accepted


def _cause(sender: Sender) -> Cause:
    return (NAME, sender.sort, *sender.endpoint)


def _allowed(usual: int) -> int:
    """How often in a minute is still usual: three standard deviations of a Poisson count."""
    return usual + math.ceil(3 * math.sqrt(usual)) + 3 if usual else 0


def _is_published(tick: Tick, conversations: Array) -> Mask:
    """Whether each of `conversations` is a publisher's, on the link layer."""
    carriers = tick.names.conversations.carrier
    known = conversations < len(carriers)
    published: Mask = np.zeros(len(conversations), np.bool_)
    published[known] = carriers[conversations[known]] == _LINK
    return published


def _is_weak(one: _Broken, usual: int, *, is_client: bool) -> bool:
    """Whether it may be a slip: seldom, and not what a client sends on purpose.

    A device that errs has a fault. A client that sends what no client sends tries something out,
    unless it was learned to err.
    """
    sort = one.sender.sort
    if sort in {"foreign", "overlap", "sequence"} and not usual:
        return False
    if sort == "malformed" and is_client and not usual:
        return False
    return one.count < max(BURST, 2 * _allowed(usual))


def _expected(sender: Sender, usual: int) -> str:
    who = str(sender.endpoint) if sender.endpoint != _NOBODY else "anybody"
    if usual:
        return (
            f"at most {_allowed(usual)} a minute of what {who} is known to send: "
            + (_WHAT[sender.sort])
        )
    return f"{who} never sent {_WHAT[sender.sort]}"


def _observed(one: _Broken, talk: ConversationName | None, said: Iterable[str]) -> str:
    times = "once" if one.count == 1 else f"{one.count:,} times in this minute"
    if one.sender.sort == "foreign":
        what = f"what it sends is not {spell_list(filter(None, said))}"
        return f"{what}, to which the port {talk.port if talk else ''} belongs ({times})"
    details = spell_list(filter(None, said), "; ", most=3)
    where = f" in {talk}" if talk is not None else ""
    return f"{details or _WHAT[one.sender.sort]}: {times}{where}"


def _target(endpoint: EndpointName, talk: ConversationName | None) -> EndpointName | None:
    if talk is None:
        return None
    return talk.client if endpoint == talk.server else talk.server
