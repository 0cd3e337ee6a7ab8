"""Agreement: findings about one cause are told once.

A dangerous operation says more than that it is new: novelty's finding goes into policy's. A weak
finding says little by itself. It waits for a minute of capture time: if meanwhile another detector
finds something strong in the same conversation or the same rows, it corroborates that alert; if
another one says something weak about the same device or conversation, both are one alert of the
kind `SEVERAL`; and if nobody agrees, it is told by itself, as info. Each finding is told exactly
once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from otids.alerts.merging import SEVERAL
from otids.detectors.base import MOST_FRAMES, Cause, Finding, State, StateError
from otids.learning.accepted import flat
from otids.learning.memory import is_group
from otids.traffic import ConversationName, EndpointName

WINDOW = 60
"""Seconds of capture time within which findings are about one cause."""
MOST_HELD = 1_024
"""Weak findings that wait; the oldest is told by itself when there are more."""
MOST_KEPT = 4_096
"""Conversations with strong findings, and subjects agreed upon, that are kept in mind."""
MOST_PARTS = 1_024
"""Entries of one list of a finding that a saved state may hold."""

Subject: TypeAlias = EndpointName | ConversationName
"""What a weak finding is about."""


class _Strong(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strong finding in a conversation: where it was told, and when."""

    conversation: ConversationName
    detector: str
    kind: str
    cause: Cause
    second: int


class _Agreed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that several detectors find unusual, since when, and the alert's cause."""

    device: EndpointName | None
    conversation: ConversationName | None
    cause: Cause
    second: int


class AgreementState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form: what waits (since when), what was strong, and what was agreed upon."""

    held: Annotated[list[tuple[int, Finding]], msgspec.Meta(max_length=MOST_HELD)]
    strong: Annotated[list[_Strong], msgspec.Meta(max_length=MOST_KEPT)]
    agreed: Annotated[list[_Agreed], msgspec.Meta(max_length=MOST_KEPT)]


class Agreement:
    """Joins the findings of each tick with each other and with those of the minute before."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._number = 0
        self._held: dict[int, tuple[int, Finding]] = {}  # by number, in order of time
        self._about: dict[Subject, dict[str, dict[int, None]]] = {}  # numbers, by detector
        self._strong: dict[tuple[ConversationName, str], _Strong] = {}
        self._strong_in: dict[ConversationName, dict[str, None]] = {}  # detectors
        self._agreed: dict[Subject, tuple[Cause, int]] = {}

    def take(self, findings: Iterable[Finding], second: int) -> list[Finding]:
        """Take the findings of the tick of `second`; return what is to be told now, and where.

        What joins an alert comes after the finding that opens it.
        """
        told = list(self._let_go(lambda since: since + WINDOW <= second))
        findings = fold(findings)
        if not findings:
            return told
        strong = [one for one in findings if not one.weak]
        weak = [one for one in findings if one.weak]
        told += strong
        for one in strong:
            told.extend(self._corroborated(one, second))
        holders = holders_of(weak, strong)
        for one, holder in zip(weak, holders, strict=True):
            held = replace(one, rows={})
            if holder is not None:
                told.append(_joined(held, (holder.kind, holder.cause)))
            elif (place := self._place_of(held, second)) is not None:
                told.append(_joined(held, place))
            else:
                told.extend(self._hold(held, second))
        return told

    def interrupt(self) -> list[Finding]:
        """Time does not go on from here: what waits is told as it is, and nothing is kept."""
        told = list(self._let_go(lambda _: True))
        self._clear()
        return told

    # --- what was strong -------------------------------------------------------------------------

    def _corroborated(self, strong: Finding, second: int) -> Iterator[Finding]:
        """Keep a strong finding in mind; what waited for it joins it."""
        name = strong.conversation
        if name is None:
            return
        self._strong.pop((name, strong.detector), None)
        self._strong[name, strong.detector] = _Strong(
            name, strong.detector, strong.kind, strong.cause, second
        )
        self._strong_in.setdefault(name, {})[strong.detector] = None
        while len(self._strong) > MOST_KEPT:
            self._drop_strong(next(iter(self._strong)))
        for number in [
            number
            for detector, numbers in self._about.get(name, {}).items()
            if detector != strong.detector
            for number in numbers
        ]:
            yield _joined(self._taken(number), (strong.kind, strong.cause))

    def _drop_strong(self, key: tuple[ConversationName, str]) -> None:
        del self._strong[key]
        name, detector = key
        del self._strong_in[name][detector]
        if not self._strong_in[name]:
            del self._strong_in[name]

    def _place_of(self, weak: Finding, second: int) -> tuple[str, Cause] | None:
        """Find the alert to which a weak finding belongs: a strong one, or an agreement."""
        name = weak.conversation
        if name is not None:
            found = [
                one
                for detector in self._strong_in.get(name, ())
                if detector != weak.detector
                and (one := self._strong[name, detector]).second + WINDOW > second
            ]
            if found:
                latest = max(found, key=lambda one: (one.second, one.detector))
                return latest.kind, latest.cause
        for subject in _subjects(weak):
            cause, last = self._agreed.get(subject, ((), -WINDOW))
            if cause and last + WINDOW > second:
                self._agree(weak, cause, second)
                return SEVERAL, cause
        return None

    # --- what waits ------------------------------------------------------------------------------

    def _hold(self, weak: Finding, second: int) -> Iterator[Finding]:
        """Let a weak finding wait, or join it with what others said of the same."""
        subjects = _subjects(weak)
        about = [self._about.get(subject, {}) for subject in subjects]
        for subject, waiting in zip(subjects, about, strict=True):
            if waiting.keys() - {weak.detector}:
                cause: Cause = ("agreement", *_spelled(subject))
                numbers = {number for one in about for some in one.values() for number in some}
                for one in [*map(self._taken, sorted(numbers)), weak]:
                    self._agree(one, cause, second)
                    yield _joined(one, (SEVERAL, cause))
                return
        if len(self._held) >= MOST_HELD:
            yield self._taken(next(iter(self._held)))
        self._number += 1
        self._held[self._number] = second, weak
        self._note(weak)

    def _note(self, weak: Finding) -> None:
        """Note what the last one that waits is about."""
        for subject in _subjects(weak):
            self._about.setdefault(subject, {}).setdefault(weak.detector, {})[self._number] = None

    def _agree(self, one: Finding, cause: Cause, second: int) -> None:
        """Whatever else is said of its devices and its conversation belongs to it as well."""
        for subject in _subjects(one):
            self._agreed.pop(subject, None)
            self._agreed[subject] = cause, second
        while len(self._agreed) > MOST_KEPT:
            del self._agreed[next(iter(self._agreed))]

    def _taken(self, number: int) -> Finding:
        _, weak = self._held.pop(number)
        for subject in _subjects(weak):
            about = self._about[subject]
            del about[weak.detector][number]
            if not about[weak.detector]:
                del about[weak.detector]
            if not about:
                del self._about[subject]
        return weak

    def _let_go(self, may_go: Callable[[int], bool]) -> Iterator[Finding]:
        """Nobody agreed within the window: what waited is told by itself."""
        while self._held and may_go(next(iter(self._held.values()))[0]):
            yield self._taken(next(iter(self._held)))
        while self._strong and may_go(next(iter(self._strong.values())).second):
            self._drop_strong(next(iter(self._strong)))
        while self._agreed and may_go(next(iter(self._agreed.values()))[1]):
            del self._agreed[next(iter(self._agreed))]

    # --- state -----------------------------------------------------------------------------------

    def state(self) -> State:
        """Return all that the next alerts depend on, as plain data."""
        agreed = [
            _Agreed(
                subject if isinstance(subject, EndpointName) else None,
                subject if isinstance(subject, ConversationName) else None,
                cause,
                second,
            )
            for subject, (cause, second) in self._agreed.items()
        ]
        state = AgreementState(list(self._held.values()), list(self._strong.values()), agreed)
        plain: State = msgspec.to_builtins(state)
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one; then nothing has changed."""
        try:
            checked = msgspec.convert(state, AgreementState)
        except msgspec.ValidationError as error:
            raise StateError(f"the state of agreement is damaged: {error}") from error
        if not all(_is_whole(one) for _, one in checked.held):
            raise StateError("the state of agreement is damaged: a finding that cannot be")
        if any((one.device is None) is (one.conversation is None) for one in checked.agreed):
            raise StateError("the state of agreement is damaged: about nothing, or about two")
        self._clear()
        for second, one in checked.held:
            self._number += 1
            self._held[self._number] = second, one
            self._note(one)
        for strong in checked.strong:
            self._strong[strong.conversation, strong.detector] = strong
            self._strong_in.setdefault(strong.conversation, {})[strong.detector] = None
        for agreed in checked.agreed:
            about = agreed.device or agreed.conversation
            if about is not None:
                self._agreed[about] = agreed.cause, agreed.second


def _joined(weak: Finding, place: tuple[str, Cause]) -> Finding:
    return replace(weak, joins=place)


def _subjects(weak: Finding) -> list[Subject]:
    """What a finding is about, the narrowest first; who is everybody is nobody."""
    devices = dict.fromkeys(
        one
        for one in (weak.target, weak.source)
        if one is not None and one.address and not is_group(one.address)
    )
    return [*([weak.conversation] if weak.conversation else []), *devices]


def _spelled(subject: Subject) -> Cause:
    if isinstance(subject, ConversationName):
        return ("conversation", *flat(subject))
    return ("device", *subject)


def _is_whole(one: Finding) -> bool:
    """Whether a saved finding is one that may wait."""
    parts: Sequence[Sequence[Any]] = (one.points, one.members, one.accepts, one.baseline)
    return (
        one.weak
        and not one.rows
        and one.joins is None
        and len(one.frames) <= 2 * MOST_FRAMES
        and all(len(part) <= MOST_PARTS for part in parts)
        and one.count >= 0
        and one.frame_count >= 0
        and 0 <= one.score <= 1
    )


# --- findings over the same rows ----------------------------------------------------------------


def fold(findings: Iterable[Finding]) -> list[Finding]:
    """Let one cause be told once: a dangerous operation says more than that it is new.

    A finding of novelty whose messages are all flagged by policy goes into the policy's finding,
    as one more thing that was expected, and that accepting it makes normal.
    """
    findings = list(findings)
    named = [one for one in findings if one.detector == "policy"]
    if not named:
        return findings
    novel = [one for one in findings if one.detector == "novelty" and set(one.rows) == {"messages"}]
    held = dict(zip(map(id, novel), holders_of(novel, named), strict=True))
    folded: dict[int, list[Finding]] = {}
    for one in novel:
        holder = held[id(one)]
        if holder is not None:
            folded.setdefault(id(holder), []).append(one)
    return [_whole(one, folded.get(id(one), ())) for one in findings if held.get(id(one)) is None]


def _whole(named: Finding, folded: Sequence[Finding]) -> Finding:
    if not folded:
        return named
    every = [named, *folded]
    return replace(
        named,
        expected="; ".join(dict.fromkeys(one.expected for one in every)),
        accepts=tuple(
            dict.fromkeys(cause for one in every for cause in one.accepts or (one.cause,))
        ),
    )


def holders_of(findings: Sequence[Finding], among: Sequence[Finding]) -> list[Finding | None]:
    """For each finding the first of another detector that has all of its rows; None if none has.

    Only those that have a finding's first row are compared with it, so that many findings over
    different rows cost no more than their rows.
    """
    wanted: dict[str, set[int]] = {}
    for one in findings:
        table, row = _first_row(one)
        if table:
            wanted.setdefault(table, set()).add(row)
    having: dict[tuple[str, int], list[Finding]] = {}
    for table, rows in wanted.items():
        firsts = np.array(sorted(rows))
        for other in among:
            if table in other.rows:
                for row in firsts[np.isin(firsts, other.rows[table])].tolist():
                    having.setdefault((table, row), []).append(other)
    return [
        next(
            (
                other
                for other in having.get(_first_row(one), ())
                if other.detector != one.detector and _has_rows(other, one)
            ),
            None,
        )
        for one in findings
    ]


def _first_row(one: Finding) -> tuple[str, int]:
    for table, rows in one.rows.items():
        if len(rows):
            return table, int(rows[0])
    return "", 0


def _has_rows(other: Finding, one: Finding) -> bool:
    return all(
        table in other.rows and np.isin(rows, other.rows[table]).all()
        for table, rows in one.rows.items()
    )
