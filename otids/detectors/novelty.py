"""Novelty: what was never said, at the broadest level at which it is new.

Levels, broadest first: endpoint, conversation, activity, function, unit, item, status. A symbol
that is known costs one array look-up; only distinct unknown symbols are spelled and examined.
An endpoint that was never seen covers what it reads; what it writes is a finding of its own.
Many things tried within an hour are one scan, not many findings; what changes a device is told
apart from it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec

from otids.detectors.base import (
    MOST_MEMBERS,
    Cause,
    Detector,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
    finding_over,
)
from otids.learning.plant.accepted import flat
from otids.learning.plant.heard import Heard, hear
from otids.learning.plant.memory import Memory, MemoryState, is_call
from otids.learning.plant.plant import ENOUGH_SECONDS, NO_MAC, EndpointState
from otids.learning.plant.scans import MOST_SCANS, Scans, ScanState, Thing
from otids.learning.plant.talks import (
    Stranger,
    Talk,
    asked,
    by_pair,
    in_vain,
    is_grave,
    refused,
    strangers_in,
    talks_of,
)
from otids.learning.plant.vocabulary import Novelty as New
from otids.learning.rows import CONVERSING, joined, rows_of_symbols
from otids.learning.words import (
    changes,
    distinct,
    spell_answers,
    spell_company,
    spell_devices,
    spell_function,
    spell_list,
    spell_message,
    spell_messages,
    spell_new_points,
    spell_points,
    spell_scan,
    spell_stranger,
    spell_talk,
    spell_usual,
)
from otids.traffic import Array, ConversationName, EndpointName, SymbolName, Tick

NAME = "novelty"
SCANS = {"function": 8, "item": 8}
"""A scan: functions tried in vain, or new ranges touched, in one conversation within an hour."""
PORT_SWEEP = 8
"""New conversations of one pair in a tick that weigh as much as one in which something is said."""
MOST_STRANGERS = 4_096
MOST_FINDINGS = 256
"""Findings of one sort in one tick; what goes beyond is told in the last one."""
MOST_BASELINE = 12
MOST_ACCEPTS = 256
HALF_SURE = 100
"""Messages after which what was earned weighs half of what was declared."""

_Rows: TypeAlias = Mapping[str, Array]
_Making: TypeAlias = tuple[_Rows, Callable[[], Finding]]


class NoveltyState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    memory: MemoryState
    strangers: Annotated[list[EndpointState], msgspec.Meta(max_length=MOST_STRANGERS)]
    scans: Annotated[list[ScanState], msgspec.Meta(max_length=MOST_SCANS)]


class Novelty(Detector):
    """Knows what was ever said, and says what was not."""

    name = NAME

    def __init__(self) -> None:
        self.memory = Memory()
        self._strangers: dict[EndpointName, int] = {}  # with their MACs
        self._scans = Scans()
        self._trying: list[tuple[ConversationName, str, set[Thing]]] = []
        self._strangers_forgotten = 0

    @property
    def counters(self) -> Mapping[str, int]:
        """How often something was too much to be learned or kept in mind, by what it was."""
        return {
            **self.memory.missed,
            "strangers": self._strangers_forgotten,
            "scans": self._scans.evicted,
        }

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say what in `tick` was never said before. Nothing is learned."""
        memory = self.memory
        memory.look_at(tick.names)
        self._trying = []
        if memory.declared:
            return []
        findings: list[Finding] = []
        foreign: dict[int, ConversationName] = {}
        if memory.is_plant_ready(tick.second):
            foreign = memory.unknown_conversations(tick)
            findings.extend(self._judge_unknown(tick, foreign))
        for heard in hear(memory, tick, foreign):
            findings.extend(self._judge_news(tick, heard))
        return findings

    def _judge_unknown(
        self, tick: Tick, foreign: Mapping[int, ConversationName]
    ) -> Iterable[Finding]:
        """What unknown endpoints and conversations do: who writes, who scans, and who else."""
        sighted = {
            name: Stranger(int(tick.tables.sightings.mac[rows[0]]), [rows])
            for name, rows in self.memory.unknown_endpoints(tick).items()
        }
        if not foreign and not sighted:
            return
        talks = talks_of(tick, foreign)
        strangers, rest = strangers_in(talks, self._strangers, sighted)
        unheard = set(map(id, rest))
        writes: list[_Making] = []
        scans: list[_Making] = []
        for talk in talks:
            tried = self._tried(talk.name, "function", in_vain(talk.said.values()), tick.second)
            spared = refused(talk.said.values()) if tried else set()
            if written := [one for one, said in talk.said.items() if is_grave(said, spared)]:
                said, rows = talk.take(tick, written)
                if id(talk) in unheard:
                    rows |= talk.take_rest(messages=False)
                writes.append((rows, partial(self._write_finding, tick, talk.name, said, rows)))
            if tried and talk.rows:
                rows = talk.take_rest(messages=True)
                scans.append((rows, partial(self._scan_finding, tick, talk, rows, tried)))
        yield from _told(tick, "write-from-new-client", writes)
        yield from _told(tick, "function-scan", scans)
        yield from _told(tick, "new-endpoint", self._strangers_told(tick, strangers))
        yield from _told(tick, "new-conversation", self._pairs_told(tick, rest))

    def _write_finding(
        self, tick: Tick, name: ConversationName, symbols: Sequence[SymbolName], rows: _Rows
    ) -> Finding:
        said = asked(symbols)
        return finding_over(
            tick,
            rows,
            detector=NAME,
            kind="novelty.write-from-new-client",
            cause=(NAME, "write", *flat(name)),
            expected=spell_company(name, self.memory.visits(name.server), writing=True),
            observed=spell_messages(said) + spell_answers(symbols),
            source=name.client,
            target=name.server,
            conversation=name,
            function=spell_function(said[0]),
            points=spell_points(said),
            members=distinct(spell_message(one) for one in said),
            accepts=((NAME, "conversation", *flat(name)),),
            score=self._sureness(),
        )

    def _strangers_told(
        self, tick: Tick, strangers: Mapping[EndpointName, Stranger]
    ) -> list[_Making]:
        parts: list[_Making] = []
        for name, stranger in sorted(strangers.items(), key=lambda one: one[0]):
            sighted = [{"sightings": rows} for rows in stranger.sightings]
            if rows := joined([*sighted, *(talk.rows for talk in stranger.talks)]):
                make = partial(self._stranger_finding, tick, name, stranger, rows)
                parts.append((rows, make))
        return parts

    def _stranger_finding(
        self, tick: Tick, name: EndpointName, stranger: Stranger, rows: _Rows
    ) -> Finding:
        names = list(dict.fromkeys(talk.name for talk in stranger.talks))
        members = distinct(spell_talk(one, name) for one in names)
        said = f": it {spell_list(members, '; ')}" if members else ""
        if stranger.peers:
            said += f" (never seen before either: {spell_list(map(str, stranger.peers))})"
        owners = self.memory.owners(stranger.mac)
        others = [one.server if one.client == name else one.client for one in names]
        return finding_over(
            tick,
            rows,
            detector=NAME,
            kind="novelty.new-endpoint",
            cause=(NAME, "endpoint", *name),
            expected=spell_devices(len(self.memory.plant.endpoints)),
            observed=spell_stranger(stranger.mac, owners) + said,
            source=name,
            target=others[0] if len(set(others)) == 1 else None,
            conversation=names[0] if len(names) == 1 else None,
            members=members,
            accepts=(
                *((NAME, "endpoint", *one) for one in [name, *stranger.peers]),
                *((NAME, "conversation", *flat(one)) for one in names),
            )[:MOST_MEMBERS],
            score=self._sureness(),
        )

    def _pairs_told(self, tick: Tick, talks: Sequence[Talk]) -> list[_Making]:
        parts: list[_Making] = []
        for pair in by_pair(talk for talk in talks if talk.rows):
            rows = joined(talk.rows for talk in pair)
            parts.append((rows, partial(self._conversation_finding, tick, pair, rows)))
        return parts

    def _conversation_finding(self, tick: Tick, talks: Sequence[Talk], rows: _Rows) -> Finding:
        names = list(dict.fromkeys(talk.name for talk in talks))
        first = names[0]
        said = asked(one for talk in talks for one in talk.said.values())
        members = distinct(spell_talk(one, one.client) for one in names)
        weighs = len(names) >= PORT_SWEEP or any(talk.is_session(tick) for talk in talks)
        expected = spell_company(first, self.memory.visits(first.server))
        return finding_over(
            tick,
            rows,
            detector=NAME,
            kind="novelty.new-conversation",
            cause=(NAME, "conversation", *first.client, *first.server, first.protocol),
            expected=expected,
            observed=spell_list(members, "; ", most=3)
            + (f": {spell_messages(said)}" if said else ""),
            source=first.client,
            target=first.server,
            conversation=first if len(names) == 1 else None,
            function=spell_function(said[0]) if said else "",
            points=spell_points(said),
            members=members,
            severity=None if weighs and not is_call(first) else "low",
            weak=all(self.memory.is_turned(one) for one in names),
            accepts=tuple((NAME, "conversation", *flat(one)) for one in names[:MOST_MEMBERS]),
            score=self._sureness(),
        )

    def _sureness(self) -> float:
        plant = self.memory.plant
        return 1.0 if plant.closed else plant.listened / (plant.listened + ENOUGH_SECONDS)

    # --- scans -------------------------------------------------------------------------------

    def _tried(self, name: ConversationName, kind: str, things: set[Thing], second: int) -> int:
        """How many things of a kind were tried of late, if they make a scan; else 0."""
        if things:
            self._trying.append((name, kind, things))
        count = self._scans.count(name, kind, things, second)
        return count if count >= SCANS[kind] else 0

    def _scan_finding(self, tick: Tick, talk: Talk, rows: _Rows, tried: int) -> Finding:
        """An unknown conversation in which functions are tried out."""
        name, said = talk.name, asked(talk.said.values())
        words = distinct(spell_function(one) for one in said)
        return finding_over(
            tick,
            rows,
            detector=NAME,
            kind="novelty.function-scan",
            cause=(NAME, "function-scan", *flat(name)),
            expected=spell_company(name, self.memory.visits(name.server)),
            observed=spell_scan("function", words, tried),
            source=name.client,
            target=name.server,
            conversation=name,
            points=spell_points(said),
            members=words,
            accepts=((NAME, "conversation", *flat(name)),),
            score=self._sureness(),
        )

    # --- inside known conversations ----------------------------------------------------------

    def _judge_news(self, tick: Tick, heard: Heard) -> Iterable[Finding]:
        """One finding per level at which a conversation says something new, or one scan.

        What changes a device, or may have, is never part of a scan's finding.
        """
        functions = heard.things("function", changing=True) & in_vain(heard.spelled)
        items = heard.things("item", changing=False)
        tried = {
            "function": self._tried(heard.name, "function", functions, tick.second),
            "item": self._tried(heard.name, "item", items, tick.second),
        }
        scans = {level for level, count in tried.items() if count}
        for (level, activity), places in heard.groups(scans).items():
            if level.endswith("-scan"):
                scan = level.removesuffix("-scan")
                yield _known_scan_finding(tick, heard, scan, places, tried[scan])
            else:
                yield _news_finding(tick, heard, level, activity, places)

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in every name and symbol of rows that nobody flagged."""
        self.memory.look_at(tick.names)
        if not self.memory.declared and len(tick.tables.sightings):
            self._keep_strangers(tick)
        clean = {table: quarantine.clean(table) for table in (*CONVERSING, "sightings")}
        self.memory.learn(tick, clean)
        for name, kind, things in self._trying:
            self._scans.note(name, kind, things, tick.second)
        self._trying = []

    def _keep_strangers(self, tick: Tick) -> None:
        """Keep in mind who was told as new: what it says later is the same finding."""
        if not self.memory.is_plant_ready(tick.second):
            return
        for name, rows in self.memory.unknown_endpoints(tick).items():
            self._strangers.pop(name, None)
            self._strangers[name] = int(tick.tables.sightings.mac[rows[0]])
        while len(self._strangers) > MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]
            self._strangers_forgotten += 1

    def _drop_known_strangers(self) -> None:
        self._strangers = {
            name: mac for name, mac in self._strangers.items() if not self.memory.knows(name)
        }

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.memory.declared = True

    def close_world(self) -> None:
        """Whatever was not learned is new from now on."""
        self.memory.close()
        self._drop_known_strangers()

    def learned(self) -> Mapping[str, Array]:
        """Ids that stand for something learned, by dictionary."""
        return self.memory.learned()

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        self.memory.forget(retired)

    def accept(self, cause: Cause) -> bool:
        """Make one endpoint, conversation or word known."""
        accepted = cause[:1] == (NAME,) and self.memory.accept(cause[1:])
        self._drop_known_strangers()
        return accepted

    def undo(self, cause: Cause) -> bool:
        """Take back an accepted cause, with all that was learned under it since."""
        if cause[:1] != (NAME,) or not self.memory.undo(cause[1:]):
            return False
        name = self.memory.endpoint(cause[1:])
        if name is not None and not self.memory.knows(name):
            self._strangers[name] = NO_MAC
        return True

    # --- state -------------------------------------------------------------------------------

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is: of the plant as a whole first, then per conversation."""
        plant = self.memory.plant
        whole = Readiness(None, plant.progress(), plant.seconds_left())
        each = (
            Readiness(name, one.progress(plant.listened), one.seconds_left(plant.listened))
            for name, one in self.memory.acquaintances()
        )
        return [whole, *each]

    def state(self) -> State:
        """Everything learned, by name."""
        strangers = [EndpointState(*one) for one in self._strangers.items()]
        state = NoveltyState(self.memory.state(), strangers, self._scans.state())
        plain_state: State = msgspec.to_builtins(state)
        return plain_state

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        checked = _checked(state)
        try:
            self.memory.restore(checked.memory)
        except ValueError as error:
            raise StateError(f"the state of the novelty detector is damaged: {error}") from error
        self._strangers = {one.name: one.mac for one in checked.strangers}
        self._scans.restore(checked.scans)
        self._trying = []

    def merge(self, state: State) -> None:
        """Add what another one learned; strangers and scans are each one's own."""
        try:
            self.memory.merge(_checked(state).memory)
        except ValueError as error:
            raise StateError(f"the state of the novelty detector is damaged: {error}") from error
        self._drop_known_strangers()


def _told(tick: Tick, kind: str, parts: Sequence[_Making]) -> Iterable[Finding]:
    """A finding for each part; past the bound, one for all that are left."""
    most = MOST_FINDINGS if len(parts) <= MOST_FINDINGS else MOST_FINDINGS - 1
    for _, make in parts[:most]:
        yield make()
    if rest := parts[most:]:
        yield finding_over(
            tick,
            joined(rows for rows, _ in rest),
            detector=NAME,
            kind=f"{NAME}.{kind}",
            cause=(NAME, kind, "further"),
            expected="nothing of the kind",
            observed=f"{len(rest):,} further in the same second, past the {most} told apart",
        )


def _news_finding(
    tick: Tick, heard: Heard, level: str, activity: str, places: Sequence[int]
) -> Finding:
    """A known conversation says something new at one level."""
    spelled = [heard.spelled[place] for place in places]
    news = [new for place in places for new in heard.news[place]]
    words = distinct(new.words for new in news if new.level == level)
    said, changing = asked(spelled), any(map(changes, spelled)) and level != "status"
    messages = distinct(map(spell_message, said))
    return finding_over(
        tick,
        {"messages": rows_of_symbols(tick, [heard.symbols[place] for place in places])},
        detector=NAME,
        kind=f"novelty.new-{level}",
        cause=(NAME, level, *flat(heard.name), *([activity] if activity else [])),
        expected=spell_usual(heard.name, heard.known, level, said[0]),
        observed=spell_list(words if level == "status" else messages, "; ")
        + (spell_answers(spelled) if changing else ""),
        points=spell_new_points(news) if level == "item" else spell_points(said),
        members=messages if level in {"activity", "function"} else words,
        severity="high" if changing else None,
        **_of_known(heard, said[0], news),
    )


def _known_scan_finding(
    tick: Tick, heard: Heard, level: str, places: Sequence[int], tried: int
) -> Finding:
    """A known conversation in which functions or addresses are tried out."""
    kind = "function" if level == "function" else "address"
    spelled = [heard.spelled[place] for place in places]
    news = [new for place in places for new in heard.news[place]]
    said = asked(spelled)
    if kind == "function":
        words = distinct(map(spell_function, said))
    else:
        words = distinct(new.words for new in news if new.level == level)
    return finding_over(
        tick,
        {"messages": rows_of_symbols(tick, [heard.symbols[place] for place in places])},
        detector=NAME,
        kind=f"novelty.{kind}-scan",
        cause=(NAME, f"{kind}-scan", *flat(heard.name)),
        expected=spell_usual(heard.name, heard.known, level, said[0]),
        observed=spell_scan(kind, words, tried),
        points=spell_points(said) if kind == "function" else spell_new_points(news),
        members=words,
        **_of_known(heard, said[0], news),
    )


def _of_known(heard: Heard, said: SymbolName, news: Iterable[New]) -> dict[str, Any]:
    """What findings about a known conversation have in common."""
    name, known = heard.name, heard.known
    causes = dict.fromkeys((NAME, new.level, *flat(name), *new.what) for new in news)
    return {
        "source": name.client,
        "target": name.server,
        "conversation": name,
        "function": spell_function(said),
        "accepts": tuple(causes)[:MOST_ACCEPTS],
        "score": 1.0 if known.closed else known.messages / (known.messages + HALF_SURE),
        "baseline": tuple(known.vocabulary.describe(name.protocol)[:MOST_BASELINE]),
    }


def _checked(state: State) -> NoveltyState:
    try:
        return msgspec.convert(state, NoveltyState)
    except msgspec.ValidationError as error:
        raise StateError(f"the state of the novelty detector is damaged: {error}") from error
