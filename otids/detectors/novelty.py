"""Novelty: what was never said, at the broadest level at which it is new.

Levels, broadest first: endpoint, conversation, activity, function, unit, item, status. A symbol
that is known costs one array look-up; only distinct unknown symbols are spelled and examined.
An endpoint that was never seen covers what it reads; what a new client writes is a finding of its
own. Many new functions or addresses at once are one scan, not many findings.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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
from otids.learning.memory import TABLES, Memory, MemoryState, flat
from otids.learning.plant import Acquaintance, plain
from otids.learning.vocabulary import Novelty as New
from otids.learning.words import (
    spell_company,
    spell_function,
    spell_list,
    spell_message,
    spell_messages,
    spell_points,
    spell_talk,
    spell_usual,
)
from otids.traffic import SECOND, Array, ConversationName, EndpointName, SymbolName, Tick

NAME = "novelty"
FUNCTION_SCAN = 8
"""New functions in one conversation and tick that make a scan."""
ADDRESS_SCAN = 8
"""New ranges in one conversation and tick that make a scan."""
SCAN_GOES_ON = 30
"""Seconds for which what else is new in a scanned conversation belongs to the scan."""
MOST_SCANS = 4_096
MOST_STRANGERS = 4_096

CHANGING = frozenset({"write", "control", "program", "configure", "file", "time"})
"""Activities that change a device; reading weighs less."""


Said: TypeAlias = Mapping[int, Sequence[tuple[int, SymbolName]]]
"""What clients say, by conversation id: symbol ids and what they stand for."""


class NoveltyState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    memory: MemoryState
    strangers: list[EndpointName]
    scans: list[tuple[ConversationName, str, int]]


@dataclass(slots=True)
class _Heard:
    """What was new in one known conversation during a tick, symbol by symbol."""

    name: ConversationName
    known: Acquaintance
    symbols: list[int] = field(default_factory=list)
    spelled: list[SymbolName] = field(default_factory=list)
    news: list[list[New]] = field(default_factory=list)


class Novelty:
    """Knows what was ever said, and says what was not."""

    name = NAME

    def __init__(self) -> None:
        self.memory = Memory()
        self._strangers: set[EndpointName] = set()
        self._scans: dict[ConversationName, tuple[str, int]] = {}
        self._scanning: dict[ConversationName, str] = {}

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say what in `tick` was never said before. Nothing is learned."""
        self.memory.look_at(tick.names)
        self._scanning = {}
        if self.memory.declared:
            return []
        foreign: dict[int, ConversationName] = {}
        findings: list[Finding] = []
        if self.memory.is_plant_ready(tick.second):
            foreign = self.memory.unknown_conversations(tick)
            findings.extend(self._judge_strangers(tick, foreign))
            findings.extend(self._judge_foreign(tick, foreign))
        for heard in self._news(tick, foreign):
            findings.extend(self._judge_news(tick, heard))
        return findings

    def _judge_strangers(
        self, tick: Tick, foreign: dict[int, ConversationName]
    ) -> Iterable[Finding]:
        """A finding per unknown endpoint; it takes out of `foreign` what changes nothing."""
        sighted = self.memory.unknown_endpoints(tick)
        strangers = self._strangers | sighted.keys()
        if not strangers:
            return
        requests = _requests(tick, foreign)
        scanned, changing = self._scanned(tick, requests), _changing(requests)
        talks: dict[EndpointName, list[int]] = {name: [] for name in sighted}
        for id, name in foreign.items():
            if id not in scanned and (party := _first_of(name, strangers)) is not None:
                talks.setdefault(party, []).append(id)
        for stranger, ids in sorted(talks.items()):
            writers = [id for id in ids if id in changing]
            yield from (self._write_finding(tick, foreign[id], changing[id]) for id in writers)
            rows = _rows(tick, ids)
            if writers and "messages" in rows:
                rows["messages"] = np.setdiff1d(
                    rows["messages"],
                    np.concatenate([_change_rows(tick, changing[id]) for id in writers]),
                )
            if stranger in sighted:
                rows["sightings"] = sighted[stranger]
            names = [foreign.pop(id) for id in ids]
            if any(len(places) for places in rows.values()):
                yield self._stranger_finding(tick, stranger, names, rows)

    def _stranger_finding(
        self,
        tick: Tick,
        stranger: EndpointName,
        names: Sequence[ConversationName],
        rows: Mapping[str, Array],
    ) -> Finding:
        members = tuple(dict.fromkeys(spell_talk(name, stranger) for name in names))
        said = f": it {spell_list(members, '; ')}" if members else ""
        peers = [one.server if one.client == stranger else one.client for one in names]
        return _finding(
            tick,
            rows,
            kind="novelty.new-endpoint",
            cause=(NAME, "endpoint", *stranger),
            expected=f"one of the {len(self.memory.plant.endpoints)} devices that were learned",
            observed=f"a device that was never seen before{said}",
            source=stranger,
            target=peers[0] if peers else None,
            conversation=names[0] if len(names) == 1 else None,
            members=members[:MOST_MEMBERS],
            accepts=(
                (NAME, "endpoint", *stranger),
                *((NAME, "conversation", *flat(one)) for one in names[: MOST_MEMBERS - 1]),
            ),
        )

    def _judge_foreign(
        self, tick: Tick, foreign: Mapping[int, ConversationName]
    ) -> Iterable[Finding]:
        """A finding per unknown conversation; many of one pair are one."""
        requests = _requests(tick, foreign)
        changing, scanned = _changing(requests), self._scanned(tick, requests)
        pairs: dict[tuple[EndpointName, EndpointName], list[int]] = defaultdict(list)
        for id, name in foreign.items():
            if id in scanned:
                yield self._scan_finding(tick, name, "function", _rows(tick, [id]), [])
            elif id in changing:
                yield self._write_finding(tick, name, changing[id], _rows(tick, [id]))
            else:
                pairs[name.client, name.server].append(id)
        for ids in pairs.values():
            yield self._conversation_finding(tick, ids, [foreign[id] for id in ids])

    def _conversation_finding(
        self, tick: Tick, ids: Sequence[int], names: Sequence[ConversationName]
    ) -> Finding:
        first = names[0]
        # Single ports of one server are causes of their own; a sweep over many is one.
        is_sweep = len(names) >= FUNCTION_SCAN
        cause = (*first.client, *first.server) if is_sweep else flat(first)
        rows = _rows(tick, ids)
        members = tuple(dict.fromkeys(spell_talk(one, one.client) for one in names))
        said = spell_messages(_spelled(tick, rows))
        return _finding(
            tick,
            rows,
            kind="novelty.new-conversation",
            cause=(NAME, "conversation", *cause),
            expected=self._company(first),
            observed=spell_list(members, "; ", most=3) + (f": {said}" if said else ""),
            source=first.client,
            target=first.server,
            conversation=first,
            members=members[:MOST_MEMBERS],
            severity=None if said else "low",
            accepts=tuple((NAME, "conversation", *flat(one)) for one in names[:MOST_MEMBERS]),
        )

    def _write_finding(
        self,
        tick: Tick,
        name: ConversationName,
        symbols: Sequence[tuple[int, SymbolName]],
        rows: Mapping[str, Array] | None = None,
    ) -> Finding:
        said = [spelled for _, spelled in symbols]
        return _finding(
            tick,
            rows or {"messages": _change_rows(tick, symbols)},
            kind="novelty.write-from-new-client",
            cause=(NAME, "write", *flat(name)),
            expected=self._company(name),
            observed=spell_messages(said),
            source=name.client,
            target=name.server,
            conversation=name,
            function=spell_function(said[0]),
            points=spell_points(said),
            members=tuple(dict.fromkeys(spell_message(one) for one in said))[:MOST_MEMBERS],
            accepts=((NAME, "conversation", *flat(name)),),
        )

    # --- inside known conversations ----------------------------------------------------------

    def _news(self, tick: Tick, foreign: dict[int, ConversationName]) -> Iterable[_Heard]:
        """What ready conversations say for the first time, conversation by conversation."""
        heard: dict[int, _Heard] = {}
        for id in self.memory.unknown_symbols(tick):
            conversation = int(tick.names.symbols.conversation[id])
            if conversation in foreign:
                continue
            spelled = tick.names.symbol(id)
            name = plain(spelled.conversation)
            known = self.memory.plant.conversations.get(name)
            if known is None or not self.memory.is_ready(known, conversation):
                continue
            news = known.vocabulary.novelties(spelled)
            if not news:
                self.memory.recognise(id)
                continue
            one = heard.setdefault(conversation, _Heard(name, known))
            one.symbols.append(id)
            one.spelled.append(spelled)
            one.news.append(news)
        return heard.values()

    def _judge_news(self, tick: Tick, heard: _Heard) -> Iterable[Finding]:
        """One finding per level at which a conversation says something new, or one scan."""
        functions = {(one.function, one.subfunction) for one in heard.spelled}
        ranges = {new.what for news in heard.news for new in news if new.level == "item"}
        scan = self._scan_going_on(heard.name, tick.second)
        if len(functions - heard.known.vocabulary.functions) >= FUNCTION_SCAN:
            scan = "function"
        elif len(ranges) >= ADDRESS_SCAN:
            scan = "address"
        if scan:
            rows = {"messages": _message_rows(tick, heard.symbols)}
            news = [new for news in heard.news for new in news]
            yield self._scan_finding(tick, heard.name, scan, rows, news)
            return
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, (spelled, news) in enumerate(zip(heard.spelled, heard.news, strict=True)):
            level = news[0].level
            groups[(level, spelled.activity) if level == "activity" else (level,)].append(place)
        for (level, *activity), places in groups.items():
            yield _news_finding(tick, heard, level, tuple(activity), places)

    # --- scans -------------------------------------------------------------------------------

    def _scanned(self, tick: Tick, requests: Said) -> set[int]:
        """Unknown conversations in which functions are tried out one after the other."""
        found = set()
        for id, symbols in requests.items():
            tried = {(one.function, one.subfunction) for _, one in symbols}
            name = plain(symbols[0][1].conversation)
            if len(tried) >= FUNCTION_SCAN or self._scan_going_on(name, tick.second):
                found.add(id)
        return found

    def _scan_going_on(self, name: ConversationName, second: int) -> str:
        kind, until = self._scans.get(name, ("", 0))
        return kind if second <= until else ""

    def _scan_finding(
        self,
        tick: Tick,
        name: ConversationName,
        kind: str,
        rows: Mapping[str, Array],
        news: Sequence[New],
    ) -> Finding:
        self._scanning[name] = kind
        requests = _spelled(tick, rows)
        if kind == "function":
            tried = [spell_function(one) for one in requests]
            what = "functions"
        else:
            tried = [str(one) for symbol in requests for one in symbol.objects]
            what = "address ranges"
        words = tuple(dict.fromkeys(tried))
        known = self.memory.plant.conversations.get(name)
        return _finding(
            tick,
            rows,
            kind=f"novelty.{kind}-scan",
            cause=(NAME, f"{kind}-scan", *flat(name)),
            expected=spell_usual(name, known, kind) if known else self._company(name),
            observed=f"tries {len(words)} {what} within a second: {spell_list(words)}",
            source=name.client,
            target=name.server,
            conversation=name,
            function=words[0] if kind == "function" and len(words) == 1 else "",
            points=spell_points(requests),
            members=words[:MOST_MEMBERS],
            accepts=_accepts(name, news) or ((NAME, "conversation", *flat(name)),),
        )

    def _company(self, name: ConversationName) -> str:
        return spell_company(name, self.memory.plant.conversations)

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in every name and symbol of rows that nobody flagged."""
        self.memory.look_at(tick.names)
        if not self.memory.declared and self.memory.is_plant_ready(tick.second):
            room = MOST_STRANGERS - len(self._strangers)
            self._strangers.update(list(self.memory.unknown_endpoints(tick))[:room])
        clean = {table: quarantine.clean(table) for table in (*TABLES, "sightings")}
        self.memory.learn(tick, clean)
        self._note_scans(tick.second)

    def _note_scans(self, second: int) -> None:
        if not self._scanning:
            return
        for name, kind in self._scanning.items():
            self._scans[name] = (kind, second + SCAN_GOES_ON)
        going_on = [(name, one) for name, one in self._scans.items() if one[1] >= second]
        self._scans = dict(going_on[-MOST_SCANS:])
        self._scanning = {}

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.memory.declared = True

    def close_world(self) -> None:
        """Whatever was not learned is new from now on."""
        self.memory.close()

    def learned(self) -> Mapping[str, Array]:
        """Ids that stand for something learned, by dictionary."""
        return self.memory.learned()

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        self.memory.forget(retired)

    def accept(self, cause: Cause) -> bool:
        """Make one endpoint, conversation or word known."""
        accepted = cause[:1] == (NAME,) and self.memory.accept(cause[1:])
        self._strangers -= self.memory.plant.endpoints
        return accepted

    def undo(self, cause: Cause) -> bool:
        """Take back an accepted cause, with all that was learned under it since."""
        return cause[:1] == (NAME,) and self.memory.undo(cause[1:])

    # --- state -------------------------------------------------------------------------------

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is: of the plant as a whole first, then per conversation."""
        plant = self.memory.plant
        whole = Readiness(None, plant.progress(), plant.seconds_left())
        each = (
            Readiness(name, one.progress(), one.seconds_left())
            for name, one in self.memory.acquaintances()
        )
        return [whole, *each]

    def state(self) -> State:
        """Everything learned, by name."""
        scans = [(name, kind, until) for name, (kind, until) in sorted(self._scans.items())]
        state = NoveltyState(self.memory.state(), sorted(self._strangers), scans)
        plain_state: State = msgspec.to_builtins(state)
        return plain_state

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        checked = _checked(state)
        self.memory.restore(checked.memory)
        self._strangers = set(checked.strangers)
        self._scans = {name: (kind, until) for name, kind, until in checked.scans}

    def merge(self, state: State) -> None:
        """Add what another one learned."""
        checked = _checked(state)
        self.memory.merge(checked.memory)
        self._strangers |= set(checked.strangers)
        self._strangers -= self.memory.plant.endpoints


def _news_finding(
    tick: Tick, heard: _Heard, level: str, activity: tuple[str, ...], places: Sequence[int]
) -> Finding:
    """A known conversation says something new at one level."""
    spelled = [heard.spelled[place] for place in places]
    news = [new for place in places for new in heard.news[place]]
    requests = [one for one in spelled if one.role != "response"] or spelled
    changes = any(one.activity in CHANGING for one in spelled)
    words = spell_list(new.words for new in news)
    return _finding(
        tick,
        {"messages": _message_rows(tick, [heard.symbols[place] for place in places])},
        kind=f"novelty.new-{level}",
        cause=(NAME, level, *flat(heard.name), *activity),
        expected=spell_usual(heard.name, heard.known, level),
        observed=words if level == "status" else spell_messages(requests),
        source=heard.name.client,
        target=heard.name.server,
        conversation=heard.name,
        function=spell_function(requests[0]),
        points=spell_points(requests),
        members=tuple(dict.fromkeys(new.words for new in news))[:MOST_MEMBERS],
        severity="high" if changes and level in {"activity", "function", "item"} else None,
        accepts=_accepts(heard.name, news),
        score=1.0 if heard.known.closed else heard.known.messages / (heard.known.messages + 100),
        baseline=tuple(heard.known.vocabulary.describe(heard.name.protocol)[:12]),
    )


def _accepts(name: ConversationName, news: Iterable[New]) -> tuple[Cause, ...]:
    causes = dict.fromkeys((NAME, new.level, *flat(name), *new.what) for new in news)
    return tuple(causes)[:MOST_MEMBERS]


def _requests(tick: Tick, conversations: Mapping[int, ConversationName]) -> Said:
    """What is said in some conversations, responses left out."""
    if not conversations:
        return {}
    messages = tick.tables.messages
    symbols = np.unique(messages.symbol[np.isin(messages.conversation, list(conversations))])
    found: dict[int, list[tuple[int, SymbolName]]] = defaultdict(list)
    for id in symbols.tolist():
        spelled = tick.names.symbol(id)
        place = int(tick.names.symbols.conversation[id])
        if spelled.role != "response" and place in conversations:
            found[place].append((id, spelled))
    return found


def _changing(requests: Said) -> Said:
    """Conversations in which the client changes something, and what."""
    found = {
        id: [(symbol, one) for symbol, one in symbols if one.activity in CHANGING]
        for id, symbols in requests.items()
    }
    return {id: symbols for id, symbols in found.items() if symbols}


def _change_rows(tick: Tick, symbols: Sequence[tuple[int, SymbolName]]) -> Array:
    """The rows of requests that change something, and of what answers them."""
    messages = tick.tables.messages
    asked = np.flatnonzero(np.isin(messages.symbol, [id for id, _ in symbols]))
    answers = np.flatnonzero(np.isin(messages.reply_to, messages.id[asked]))
    return np.union1d(asked, answers)


def _first_of(name: ConversationName, strangers: Collection[EndpointName]) -> EndpointName | None:
    return next((one for one in (name.client, name.server) if one in strangers), None)


def _rows(tick: Tick, conversations: Sequence[int]) -> dict[str, Array]:
    """All rows of some conversations, by table."""
    found = {}
    for table in TABLES if conversations else ():
        rows = np.flatnonzero(np.isin(getattr(tick.tables, table).conversation, conversations))
        if len(rows):
            found[table] = rows
    return found


def _message_rows(tick: Tick, symbols: Sequence[int]) -> Array:
    return np.flatnonzero(np.isin(tick.tables.messages.symbol, symbols))


def _spelled(tick: Tick, rows: Mapping[str, Array]) -> list[SymbolName]:
    """The distinct symbols in some rows; responses only if there is nothing else."""
    places = rows.get("messages")
    if places is None:
        return []
    ids = np.unique(tick.tables.messages.symbol[places])[: 4 * MOST_MEMBERS]
    symbols = [tick.names.symbol(id) for id in ids.tolist()]
    return [one for one in symbols if one.role != "response"] or symbols


def _finding(tick: Tick, rows: Mapping[str, Array], *, score: float = 1.0, **parts: Any) -> Finding:
    """A finding over `rows`, dated and numbered by them."""
    times, frames = [], []
    for table, places in rows.items():
        columns = getattr(tick.tables, table)
        if table == "traffic":
            frames.extend([columns.first_frame[places], columns.last_frame[places]])
        else:
            times.append(columns.time[places])
            frames.append(columns.frame[places])
    moments = np.concatenate(times) if times else np.array([tick.second * SECOND])
    numbers = np.unique(np.concatenate(frames))
    messages = rows.get("messages")
    return Finding(
        first_seen=int(moments.min()),
        last_seen=int(moments.max()),
        frames=frames_of(numbers),
        frame_count=len(numbers),
        count=max(1, 0 if messages is None else len(messages)),
        detector=NAME,
        score=score,
        rows=rows,
        **parts,
    )


def _checked(state: State) -> NoveltyState:
    try:
        return msgspec.convert(state, NoveltyState)
    except msgspec.ValidationError as error:
        raise StateError(f"the state of the novelty detector is damaged: {error}") from error
