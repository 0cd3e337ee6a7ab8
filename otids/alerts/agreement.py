"""Agreement: findings about one cause are told once.

A dangerous operation says more than that it is new: novelty's finding goes into policy's. What
another detector flagged over the same messages is told in the alert of the one that says most of
it. What only follows from something else (more traffic than usual, a pace that changed:
`causality.TELLERS`) waits for `PATIENCE`, and is told in the alert of what it follows from.

A weak finding says little by itself. It waits for a minute of capture time: if meanwhile another
detector finds something strong in the same conversation or the same rows, it corroborates that
alert; if another one says something weak about the same device or conversation, both are one alert
of the kind `SEVERAL`; and if nobody agrees, it is told by itself, as info.

Each finding is told exactly once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
import numpy as np

from otids.alerts.causality import RANKS, is_consequence, may_hold, order_of
from otids.alerts.merging import SEVERAL
from otids.alerts.waiting import (
    MOST_HELD,
    MOST_KEPT,
    Held,
    Memory,
    Place,
    Subject,
    Told,
    Waiting,
    is_whole,
    subjects_of,
    tells,
    told_of,
)
from otids.detectors.base import Cause, Finding, State, StateError
from otids.learning.plant.accepted import flat
from otids.traffic import ConversationName, EndpointName

WINDOW = 60
"""Seconds of capture time within which findings are about one cause."""
PATIENCE = 10
"""Seconds of capture time for which a consequence waits for what it follows from."""


class _Agreed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that several detectors find unusual, since when, and the alert's cause."""

    device: EndpointName | None
    conversation: ConversationName | None
    cause: Cause
    second: int


class AgreementState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form: what waits (since when), what was told, and what was agreed upon."""

    held: Held
    patient: Held
    told: Annotated[list[Told], msgspec.Meta(max_length=MOST_KEPT)]
    agreed: Annotated[list[_Agreed], msgspec.Meta(max_length=MOST_KEPT)]


class Agreement:
    """Joins the findings of each tick with each other and with those of the minute before."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._second = 0
        self._held = Waiting()  # weak findings
        self._patient = Waiting()  # consequences
        self._told = Memory()
        self._agreed: dict[Subject, tuple[Cause, int]] = {}

    def due(self) -> int | None:
        """The second in which what waits for its cause is told, whatever is heard until then."""
        since = self._patient.since
        return None if since is None else since + PATIENCE

    def take(self, findings: Iterable[Finding], second: int) -> list[Finding]:
        """Take the findings of the tick of `second`; return what is to be told now, and where.

        What joins an alert comes after the finding that opens it.
        """
        self._second = second
        self._told.forget(second - WINDOW)
        while self._agreed and next(iter(self._agreed.values()))[1] <= second - WINDOW:
            del self._agreed[next(iter(self._agreed))]
        told = list(self._held.let_go(second - WINDOW))
        ripe = list(self._patient.let_go(second - PATIENCE))
        findings = fold(findings)
        if not findings and not ripe:
            return told
        strong = sorted((one for one in findings if not one.weak), key=_rank)
        places: dict[int, Place] = {}
        told.extend(self._tell_strong(ripe, strong, places))
        weak = [one for one in findings if one.weak]
        for one, holder in zip(weak, holders_of(weak, strong), strict=True):
            held = replace(one, rows={})
            place = places.get(id(holder)) or self._place_of(held)
            if place is not None:
                told.append(_joined(held, place))
            else:
                told.extend(self._hold(held))
        return told

    def interrupt(self) -> list[Finding]:
        """Time does not go on from here: what waits is told as it is, and nothing is kept."""
        ripe = list(self._patient.let_go(self._second))
        told = [*self._tell_strong(ripe, [], {}), *self._held.let_go(self._second)]
        self._clear()
        return told

    # --- what is strong --------------------------------------------------------------------------

    def _tell_strong(
        self, ripe: Sequence[Finding], fresh: Sequence[Finding], places: dict[int, Place]
    ) -> Iterator[Finding]:
        """Tell what waited long enough (`ripe`) and what is new, or let it wait.

        In `places` it is said in which alert each of the new ones is told.
        """
        has_waited = set(map(id, ripe))
        holder_of = dict(zip(map(id, fresh), holders_of(fresh, fresh, may_hold), strict=True))
        for one in sorted((*ripe, *fresh), key=order_of):
            place = places.get(id(holder_of.get(id(one)))) or self._told.teller(one)
            if place is not None:
                places[id(one)] = place
                yield _joined(one, place)
            elif id(one) in has_waited or not is_consequence(one):
                places[id(one)] = one.kind, one.cause
                yield one
                yield from self._corroborated(one)
            else:
                if len(self._patient) >= MOST_HELD:
                    yield self._patient.oldest()
                self._patient.add(replace(one, rows={}), self._second)

    def _corroborated(self, strong: Finding) -> Iterator[Finding]:
        """Keep in mind what was told; what waited for it joins it."""
        told = told_of(strong, self._second)
        self._told.add(told)
        place = strong.kind, strong.cause
        for waiting in (self._patient, self._held):
            for number in waiting.about_any(told.devices):
                if tells(told, waiting[number]):
                    yield _joined(waiting.take(number), place)
        name = strong.conversation
        if name is not None:
            for number in self._held.about_any([name]):
                if self._held[number].detector != strong.detector:
                    yield _joined(self._held.take(number), place)

    # --- what is weak ----------------------------------------------------------------------------

    def _place_of(self, weak: Finding) -> Place | None:
        """Find the alert to which a weak finding belongs: a strong one, or an agreement."""
        name = weak.conversation
        place = self._told.latest(name, weak.detector) if name is not None else None
        if place is None:
            place = self._told.teller(weak)
        if place is not None:
            return place
        for subject in subjects_of(weak):
            if subject in self._agreed:
                cause, _ = self._agreed[subject]
                self._agree(weak, cause)
                return SEVERAL, cause
        return None

    def _hold(self, weak: Finding) -> Iterator[Finding]:
        """Let a weak finding wait, or join it with what others said of the same."""
        subjects = subjects_of(weak)
        for subject in subjects:
            if self._held.about.get(subject, {}).keys() - {weak.detector}:
                cause: Cause = ("agreement", *_spelled(subject))
                numbers = self._held.about_any(subjects)
                for one in [*map(self._held.take, numbers), weak]:
                    self._agree(one, cause)
                    yield _joined(one, (SEVERAL, cause))
                return
        if len(self._held) >= MOST_HELD:
            yield self._held.oldest()
        self._held.add(weak, self._second)

    def _agree(self, one: Finding, cause: Cause) -> None:
        """Whatever else is said of its devices and its conversation belongs to it as well."""
        for subject in subjects_of(one):
            self._agreed.pop(subject, None)
            self._agreed[subject] = cause, self._second
        while len(self._agreed) > MOST_KEPT:
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
        state = AgreementState(
            self._held.state(), self._patient.state(), self._told.state(), agreed
        )
        plain: State = msgspec.to_builtins(state)
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one; then nothing has changed."""
        try:
            checked = msgspec.convert(state, AgreementState)
        except msgspec.ValidationError as error:
            raise StateError(f"the state of agreement is damaged: {error}") from error
        waiting = ((checked.held, True), (checked.patient, False))
        if not all(is_whole(one, is_weak=weak) for some, weak in waiting for _, one in some):
            raise StateError("the state of agreement is damaged: a finding that cannot be")
        if any((one.device is None) is (one.conversation is None) for one in checked.agreed):
            raise StateError("the state of agreement is damaged: about nothing, or about two")
        self._clear()
        for second, one in checked.held:
            self._held.add(one, second)
        for second, one in checked.patient:
            self._patient.add(one, second)
        for told in checked.told:
            self._told.add(told)
        for agreed in checked.agreed:
            about = agreed.device or agreed.conversation
            if about is not None:
                self._agreed[about] = agreed.cause, agreed.second


def _rank(one: Finding) -> int:
    return RANKS.get(one.detector, len(RANKS))


def _joined(one: Finding, place: Place) -> Finding:
    return replace(one, joins=place)


def _spelled(subject: Subject) -> Cause:
    if isinstance(subject, ConversationName):
        return ("conversation", *flat(subject))
    return ("device", *subject)


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


def _may_hold(holder: Finding, one: Finding) -> bool:
    return holder.detector != one.detector


def holders_of(
    findings: Sequence[Finding],
    among: Sequence[Finding],
    may_hold: Callable[[Finding, Finding], bool] = _may_hold,
) -> list[Finding | None]:
    """For each finding the first that `may_hold` it and has all of its rows; None if none has.

    As a rule whatever another detector found may.

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
                if may_hold(other, one) and _has_rows(other, one)
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
