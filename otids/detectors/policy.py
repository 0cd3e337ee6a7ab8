"""Judges by rules that people wrote: what must not happen, however often it does.

Rules are compiled against each symbol once, when it is first said; after that a tick costs one
look-up of its symbols. What a symbol does not tell (values, time of day, the objects of a symbol
that names types only) is looked at on the candidate messages alone. What cannot be told, because
a dictionary was at its bound, counts as told in the rule's favour: a scan must not blind a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from otids.detectors.base import (
    MOST_MEMBERS,
    Cause,
    Detector,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
    frames_of,
)
from otids.rules.candidates import Candidates
from otids.rules.conditions import NO, YES, Condition, PolicyRule, Said, Touched
from otids.traffic import (
    ACTIVITIES,
    NO_SUBFUNCTION,
    ROLES,
    Array,
    Dictionaries,
    Symbols,
    Tick,
    function_name,
    object_name,
    status_name,
)

NAME = "policy"
MOST_FINDINGS = 256
"""Findings of one rule in one tick; what goes beyond is told in the last one."""
MOST_ACCEPTED = 100_000

_QUIET, _NEW = 0, 1  # classes of symbols: no rule matches; not compiled yet
_MOST_OPERATIONS = 4096


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """A rule that may match symbols of a class, and what its conditions answered for them."""

    rule: PolicyRule
    answer: int
    exceptions: tuple[tuple[Condition, int], ...]  # those that may hold


class Policy(Detector):
    """The detector of forbidden operations. Never learns by itself; always ready."""

    name = NAME

    def __init__(self, rules: Iterable[PolicyRule]) -> None:
        self.rules = {rule.id: rule for rule in rules}
        self._accepted: set[Cause] = set()
        self._learning = False
        self._names: Dictionaries | None = None
        self._class_of = np.zeros(0, np.int32)  # per symbol id
        self._classes: list[tuple[_Suspicion, ...]] = [(), ()]
        self._class_ids: dict[tuple[_Suspicion, ...], int] = {(): _QUIET}
        self._operations: dict[tuple[str, str, str, int, int], list[PolicyRule]] = {}

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Tell what rules forbid; one finding per rule, source, target and unit."""
        classes = self._classes_in(tick)
        if not np.count_nonzero(classes):
            return []
        view = Candidates(tick)
        return [
            finding
            for rule, rows in self._offences(view, tick, classes)
            if not (rule.learnable and self._learning)
            for finding in _Report(tick, view, rule).findings(rows, self._accepted)
        ]

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take as normal what learnable rules name while a person declares all as normal."""
        if not self._learning or not any(rule.learnable for rule in self.rules.values()):
            return
        clean = quarantine.clean("messages")
        view = Candidates(tick)
        for rule, rows in self._offences(view, tick, self._classes_in(tick)):
            if rule.learnable:
                kept = rows if clean is None else rows[clean[rows]]
                for cause in _Report(tick, view, rule).causes(kept):
                    self._accept(cause)

    def learned(self) -> Mapping[str, Array]:
        """Nothing: rules are about words, not about ids."""
        return {}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """Forget what was compiled for ids that may come to mean something else."""
        symbols = retired["symbols"]
        self._class_of[symbols[symbols < len(self._class_of)]] = _NEW

    def begin_learning(self) -> None:
        """A person declares what follows as normal."""
        self._learning = True

    def close_world(self) -> None:
        """Declared learning ends."""
        self._learning = False

    def readiness(self) -> Sequence[Readiness]:
        """Rules need no learning: nothing is unready."""
        return []

    # --- state ---------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything that a person accepted, and whether learning was declared."""
        return {
            "accepted": [list(cause) for cause in sorted(self._accepted, key=str)],
            "learning": self._learning,
        }

    def restore(self, state: State) -> None:
        """Take back a state. Raises StateError."""
        accepted, learning = _read_state(state)
        self._accepted, self._learning = accepted, learning

    def merge(self, state: State) -> None:
        """Add what another has accepted. Raises StateError."""
        accepted, _ = _read_state(state)
        self._accepted |= accepted

    def accept(self, cause: Cause) -> bool:
        """Make a cause normal; False if it is not one of this detector's."""
        return _is_cause(cause) and self._accept(cause)

    def _accept(self, cause: Cause) -> bool:
        if len(self._accepted) >= MOST_ACCEPTED and cause not in self._accepted:
            return False
        self._accepted.add(cause)
        return True

    def undo(self, cause: Cause) -> bool:
        """Make an accepted cause abnormal again; False if it was not accepted here."""
        if cause not in self._accepted:
            return False
        self._accepted.remove(cause)
        return True

    # --- symbols -------------------------------------------------------------------------------

    def _classes_in(self, tick: Tick) -> Array:
        """Class of each message's symbol."""
        if tick.names is not self._names or tick.names.symbols.size > len(self._class_of):
            self._grow(tick.names)
        return self._class_of[tick.tables.messages.symbol]

    def _grow(self, names: Dictionaries) -> None:
        """Make room for new symbols; other dictionaries than before make all of them new."""
        if names is not self._names:
            self._names = names
            self._class_of = np.zeros(0, np.int32)
        grown = np.full(max(names.symbols.size, 2 * len(self._class_of), 64), _NEW, np.int32)
        grown[: len(self._class_of)] = self._class_of
        grown[0] = _QUIET
        self._class_of = grown

    def _offences(
        self, view: Candidates, tick: Tick, classes: Array
    ) -> Iterator[tuple[PolicyRule, Array]]:
        """Yield the message rows that each rule forbids, in order of the rules' first rows."""
        symbols = tick.tables.messages.symbol
        new = np.unique(symbols[classes == _NEW])
        if len(new):
            for symbol in new.tolist():
                self._class_of[symbol] = self._compile(tick.names, symbol)
            classes = self._class_of[symbols]
        offences: dict[str, list[Array]] = {}
        for number in np.unique(classes[classes > _NEW]).tolist():
            rows = np.flatnonzero(classes == number)
            for suspicion in self._classes[number]:
                one = suspicion
                kept = rows[view.guilty(rows, one.rule.match, one.answer, one.exceptions)]
                if len(kept):
                    offences.setdefault(suspicion.rule.id, []).append(kept)
        found = [(name, np.sort(np.concatenate(parts))) for name, parts in offences.items()]
        for name, kept in sorted(found, key=lambda one: (one[1][0], one[0])):
            yield self.rules[name], kept

    def _compile(self, names: Dictionaries, symbol: int) -> int:
        """Find the class of a symbol."""
        table = names.symbols
        conversation = int(table.conversation[symbol])
        operation = (
            names.texts.name(int(names.conversations.protocol[conversation])),
            ROLES[table.role[symbol]],
            ACTIVITIES[table.activity[symbol]],
            int(table.function[symbol]),
            int(table.subfunction[symbol]),
        )
        rules = self._operations.get(operation)
        if rules is None:
            if len(self._operations) >= _MOST_OPERATIONS:
                self._operations.clear()
            rules = [rule for rule in self.rules.values() if rule.match.operation(*operation)]
            self._operations[operation] = rules
        if not rules:
            return _QUIET
        said = _spell(names, symbol, operation)
        suspicions = tuple(filter(None, (_suspect(rule, said) for rule in rules)))
        number = self._class_ids.get(suspicions)
        if number is None:
            number = self._class_ids[suspicions] = len(self._classes)
            self._classes.append(suspicions)
        return number


def _spell(names: Dictionaries, symbol: int, operation: tuple[str, str, str, int, int]) -> Said:
    table = names.symbols
    conversation = int(table.conversation[symbol])
    client = names.endpoint(int(names.conversations.client[conversation])).address
    server = names.endpoint(int(names.conversations.server[conversation])).address
    from_client = bool(table.from_client[symbol])
    return Said(
        *operation,
        unit=int(table.unit[symbol]),
        status=int(table.status[symbol]),
        source=client if from_client else server,
        target=server if from_client else client,
        coarse=bool(table.coarse[symbol]),
        objects=tuple(
            Touched(object_name(operation[0], kind), address, count, access, names.texts.name(name))
            for kind, address, count, access, name in table.objects[symbol] or ()
        ),
    )


def _suspect(rule: PolicyRule, said: Said) -> _Suspicion | None:
    """What remains to be looked at before `rule` is known to forbid a symbol; None: it does not."""
    answer = rule.match.matches(said)
    if answer == NO:
        return None
    exceptions = []
    for condition in rule.unless:
        exempt = condition.exempts(said, rule.match)
        if exempt == YES and condition.values is None and condition.times is None:
            return None
        if exempt != NO:
            exceptions.append((condition, exempt))
    return _Suspicion(rule, answer, tuple(exceptions))


# --- findings ------------------------------------------------------------------------------------


class _Report:
    """Tells what a rule forbade in a tick."""

    def __init__(self, tick: Tick, view: Candidates, rule: PolicyRule) -> None:
        self._tick = tick
        self._messages = tick.tables.messages
        self._names = tick.names
        self._view = view
        self._rule = rule

    def causes(self, rows: Array) -> list[Cause]:
        """Spell what the message rows are about, each once, in order of time."""
        keys, _ = self._grouped(rows)
        return [self._cause(key) for key in keys.tolist()]

    def findings(self, rows: Array, accepted: AbstractSet[Cause]) -> list[Finding]:
        """Tell of the message rows by source, target and unit, but for accepted causes."""
        keys, group = self._grouped(rows)
        if accepted:
            told = np.array([self._cause(key) not in accepted for key in keys.tolist()], np.bool_)
            rows, group = rows[told[group]], (np.cumsum(told) - 1)[group[told[group]]]
            keys = keys[told]
        further = max(0, len(keys) - MOST_FINDINGS + 1) if len(keys) > MOST_FINDINGS else 0
        group = np.minimum(group, MOST_FINDINGS - 1)
        flagged = self._flagged(rows, group)
        count = min(len(keys), MOST_FINDINGS)
        order = np.argsort(group, kind="stable")
        parts = np.split(rows[order], np.searchsorted(group[order], np.arange(1, count)))
        return [
            self._finding(
                keys[place].tolist(),
                parts[place],
                {table: places[place] for table, places in flagged.items()},
                further if place == MOST_FINDINGS - 1 else 0,
            )
            for place in range(count)
        ]

    def _grouped(self, rows: Array) -> tuple[Array, Array]:
        """Find source, target and unit of message rows: distinct ones, and which each row has.

        The distinct ones stand in order of their first row.
        """
        symbols, conversations = self._names.symbols, self._names.conversations
        symbol = self._messages.symbol[rows]
        conversation = symbols.conversation[symbol]
        client, server = conversations.client[conversation], conversations.server[conversation]
        out = symbols.from_client[symbol]
        source, target = np.where(out, client, server), np.where(out, server, client)
        keys = np.column_stack((source, target, symbols.unit[symbol]))
        distinct, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return distinct[order], rank[inverse.reshape(-1)]

    def _cause(self, key: list[int]) -> Cause:
        source, target, unit = key
        names = self._names
        return (NAME, self._rule.id, str(names.endpoint(source)), str(names.endpoint(target)), unit)

    def _flagged(self, rows: Array, group: Array) -> dict[str, list[Array]]:
        """Rows of messages, their answers, and what these carry, by table and group."""
        of_message = np.full(len(self._messages) + 1, -1)
        of_message[rows] = group
        answers = of_message[self._view.answered]
        of_message[:-1] = np.where(of_message[:-1] < 0, answers, of_message[:-1])
        of = {
            "messages": of_message[:-1],
            "items": of_message[self._view.item_owner],
            "values": of_message[self._view.value_owner],
        }
        count = int(group.max(initial=-1)) + 1
        return {table: _split(groups, count) for table, groups in of.items()}

    def _finding(
        self, key: list[int], rows: Array, flagged: dict[str, Array], further: int
    ) -> Finding:
        names, messages, rule = self._names, self._messages, self._rule
        source, target = names.endpoint(key[0]), names.endpoint(key[1])
        symbols = _in_order(messages.symbol[rows])
        members = tuple(self._member(symbol) for symbol in symbols[:MOST_MEMBERS].tolist())
        first = int(symbols[0])
        frames = np.concatenate((messages.first_frame[rows], messages.frame[rows]))
        observed = (
            f"{further} further pairs of devices, past the {MOST_FINDINGS - 1} told apart, did so"
            if further
            else self._observed(key, rows, members, len(symbols), flagged["messages"])
        )
        table = names.symbols
        protocol = self._protocol(first)
        return Finding(
            kind=rule.kind,
            cause=(NAME, rule.id, "", "", 0) if further else self._cause(key),
            first_seen=int(messages.time[rows].min()),
            last_seen=int(messages.time[rows].max()),
            frames=frames_of(frames),
            frame_count=len(np.unique(frames)),
            count=len(rows),
            detector=NAME,
            expected=rule.expected,
            observed=observed,
            score=1.0,
            source=None if further else source,
            target=None if further else target,
            conversation=None if further else names.conversation(int(table.conversation[first])),
            function=function_name(protocol, int(table.function[first]), _sub(table, first)),
            points=tuple(
                dict.fromkeys(
                    str(one)
                    for symbol in symbols[:MOST_MEMBERS].tolist()
                    for one in names.objects(symbol)
                )
            )[:MOST_MEMBERS],
            members=members,
            severity=rule.severity,
            baseline=(f"rule {rule.id} ({rule.where})",),
            rows=flagged,
        )

    def _protocol(self, symbol: int) -> str:
        conversation = self._names.symbols.conversation[symbol]
        return self._names.texts.name(int(self._names.conversations.protocol[conversation]))

    def _member(self, symbol: int) -> str:
        """Say what a symbol does to what: `Write Single Coil (5) coil 3`."""
        table, protocol = self._names.symbols, self._protocol(symbol)
        function, sub = int(table.function[symbol]), _sub(table, symbol)
        number = f"{function}" if sub == NO_SUBFUNCTION else f"{function}/{sub}"
        objects = ", ".join(str(one) for one in self._names.objects(symbol))
        status = int(table.status[symbol])
        return (
            f"{function_name(protocol, function, sub)} ({number})"
            + (f" {objects}" if objects else "")
            + (f": {status_name(protocol, status)}" if status else "")
        )

    def _observed(
        self, key: list[int], rows: Array, members: Sequence[str], kinds: int, flagged: Array
    ) -> str:
        source, target = self._names.endpoint(key[0]), self._names.endpoint(key[1])
        what = members[0] if kinds == 1 else f"{members[0]} and {kinds - 1} more"
        unit = f"unit {key[2]} of " if key[2] else ""
        times = f", {len(rows)} times" if len(rows) > 1 else ""
        return (
            f"{source} sent {what} to {unit}{target}{times}"
            + self._value_words(rows)
            + self._answer_words(np.setdiff1d(flagged, rows))
        )

    def _value_words(self, rows: Array) -> str:
        if self._rule.match.values is None:
            return ""
        low, high = (
            f"{limit(self._view.numbers(rows, self._rule.match)):g}" for limit in (np.min, np.max)
        )
        return f", value {low}" if low == high else f", values from {low} to {high}"

    def _answer_words(self, answers: Array) -> str:
        """Say what became of it, as far as the same tick tells."""
        if not len(answers):
            return ""
        symbols = self._messages.symbol[answers]
        status = self._names.symbols.status[symbols]
        refused = _in_order(status[status != 0])
        if not len(refused):
            return "; the device answered without error"
        protocol = self._protocol(int(symbols[0]))
        errors = ", ".join(status_name(protocol, one) for one in refused[:4].tolist())
        some = "" if np.all(status) else f"{np.count_nonzero(status)} of {len(status)} "
        return f"; the device refused {some}({errors})"


def _sub(table: Symbols, symbol: int) -> int:
    return int(table.subfunction[symbol])


def _in_order(numbers: Array) -> Array:
    """Each number once, in order of appearance."""
    distinct, first = np.unique(numbers, return_index=True)
    return distinct[np.argsort(first)]


def _split(groups: Array, count: int) -> list[Array]:
    """Places of each of the groups 0 to `count` - 1."""
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(count + 1))
    return np.split(order, bounds)[1:-1]


# --- causes --------------------------------------------------------------------------------------


def _is_cause(cause: object) -> bool:
    return (
        isinstance(cause, tuple)
        and [type(part) for part in cause] == [str, str, str, str, int]
        and cause[0] == NAME
    )


def _read_state(state: State) -> tuple[set[Cause], bool]:
    accepted, learning = state.get("accepted"), state.get("learning")
    if state.keys() != {"accepted", "learning"} or type(learning) is not bool:
        raise StateError("not a state of the policy detector")
    if type(accepted) is not list or len(accepted) > MOST_ACCEPTED:
        raise StateError("not a list of accepted causes of the policy detector")
    causes: set[Cause] = set()
    for plain in accepted:
        cause = tuple(plain) if type(plain) is list else ()
        if not _is_cause(cause):
            raise StateError("an accepted cause that is none of the policy detector's")
        causes.add(cause)
    return causes, learning
