"""Timing: what is said in cycles and stops, doubles or drifts; answers that are late or missing.

A silence is found while nothing arrives, and dated at the moment at which it was overdue. What
falls silent together is one finding: a conversation, all that a client or a server says, or the
wire as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
from otids.learning.causes import Causes
from otids.learning.plant.accepted import flat
from otids.learning.rhythm.answers import SHORT_SPELL, Answers, Dialogue
from otids.learning.rhythm.pace_tables import Heard, Hush, PacesState
from otids.learning.rhythm.paces import DRIFT, Paces
from otids.learning.rhythm.rhythm import ENOUGH_TIME, RUN
from otids.learning.rhythm.silences import Silence, silences
from otids.learning.rhythm.timing_words import (
    cause_of,
    every,
    spell_each,
    spell_span,
    spell_who,
)
from otids.learning.words import (
    distinct,
    spell_function,
    spell_list,
    spell_message,
    spell_points,
)
from otids.traffic import REPORT, SECOND, Array, SymbolName, Tick, function_name

NAME = "timing"
MOST_FINDINGS = 64
"""Findings of one kind in one tick; what goes beyond is told in the last one."""
MOST_ACCEPTS = 256
LATE = 4
"""By what the limit of a rate is tightened where frames are missing."""
FASTER = 1.5
"""A period that has shrunk by this is `fast`'s, not `drift`'s."""


class TimingState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    paces: PacesState
    answers: dict[str, object]
    accepted: list[object]


class _Judged(NamedTuple):
    """What was found out about a tick by judging it."""

    tick: Tick
    hush: Hush | None
    heard: Heard | None
    talk: Dialogue | None


class Timing(Detector):
    """Knows when everything is usually said, and how soon it is answered."""

    name = NAME

    def __init__(self) -> None:
        self.paces = Paces()
        self.answers = Answers()
        self._accepted = Causes(NAME)
        # What was found out about the tick that was judged last, for learning it.
        self._judged: _Judged | None = None

    @property
    def counters(self) -> Mapping[str, int]:
        """How often something was too much to be learned, by what it was."""
        return {
            "symbols": self.paces.symbols.refused,
            "symbols evicted": self.paces.symbols.evicted,
            "answers": self.answers.table.refused,
            "answers evicted": self.answers.table.evicted,
        }

    # --- judging -----------------------------------------------------------------------------

    def due(self) -> int | None:
        """The first second that begins after something is overdue."""
        return self.paces.due()

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say what is overdue, too frequent, shifted, late or unanswered."""
        paces, answers = self.paces, self.answers
        hush, heard, talk = paces.overdue(tick), paces.hear(tick), answers.hear(tick)
        self._judged = _Judged(tick, hush, heard, talk)
        if paces.declared:
            return []
        findings: list[Finding] = []
        if hush is not None:
            findings.extend(self._silences(tick, hush))
        if heard is not None:
            findings.extend(self._fast(tick, heard))
            findings.extend(self._drift(tick, heard))
        if talk is not None:
            findings.extend(self._slow(tick, talk))
            findings.extend(self._unanswered(tick, talk))
        return findings

    def _told(self, kind: str, parts: Iterable[Finding]) -> Iterable[Finding]:
        """Findings that nobody accepted; past the bound, one for all that are left."""
        kept = [
            one
            for one in parts
            if one.cause not in self._accepted
            and not all(cause in self._accepted for cause in one.accepts or (one.cause,))
        ]
        most = MOST_FINDINGS if len(kept) <= MOST_FINDINGS else MOST_FINDINGS - 1
        yield from kept[:most]
        if rest := kept[most:]:
            first = rest[0]
            rows = [one.rows["messages"] for one in rest if "messages" in one.rows]
            yield Finding(
                kind=f"{NAME}.{kind}",
                cause=(NAME, kind, "further"),
                first_seen=min(one.first_seen for one in rest),
                last_seen=max(one.last_seen for one in rest),
                frames=first.frames,
                frame_count=first.frame_count,
                count=len(rest),
                detector=NAME,
                expected=first.expected,
                observed=f"{len(rest):,} further at the same time, past the {most} told apart",
                score=first.score,
                rows={"messages": np.unique(np.concatenate(rows))} if rows else {},
            )

    # --- silence -----------------------------------------------------------------------------

    def _silences(self, tick: Tick, hush: Hush) -> Iterable[Finding]:
        if hush.is_wire:
            yield from self._told("all-silent", [self._wire_finding()])
            return
        found = silences(self.paces, hush, tick.second * SECOND)
        yield from self._told("silence", map(self._silence_finding, found))

    def _wire_finding(self) -> Finding:
        wire = self.paces.wire
        second, limit = wire.second or 0, wire.limit() or 0
        mean = max(wire.span, 1) / max(wire.heard, 1)
        usual = "something every second" if mean < FASTER else f"something every {mean:.0f} s"
        return Finding(
            kind=f"{NAME}.all-silent",
            cause=(NAME, "all-silent"),
            first_seen=(second + 1 + limit) * SECOND,
            last_seen=(second + 1 + limit) * SECOND,
            frames=(wire.frame,),
            frame_count=1,
            count=1,
            detector=NAME,
            expected=f"{usual} on this wire; never more than {wire.longest} s without anything",
            observed=f"nothing at all for {limit} s: from no device, to no device",
            score=1.0,
        )

    def _silence_finding(self, found: Silence) -> Finding:
        names = found.symbols
        about = found.conversations[0]
        members = distinct(
            f"{spell_message(one)}, {every(period)}"
            for one, period in zip(names, found.periods, strict=True)
        )
        accepts: list[Cause] = [
            (NAME, "silence", *flat(name)) for name in found.conversations if found.is_whole
        ]
        if not found.is_whole:
            accepts = [cause_of(NAME, "silence", one) for one in names]
        client = None if found.level == "server" else about.client
        server = None if found.level == "client" else about.server
        source, target = client, server
        if found.level == "symbol" and not names[0].from_client:
            source, target = server, client
        return Finding(
            kind=f"{NAME}.silence",
            cause=self._silence_cause(found),
            first_seen=found.overdue,
            last_seen=found.overdue,
            frames=found.frames,
            frame_count=len(found.frames),
            count=max(1, len(names)),
            detector=NAME,
            expected=_expected_silence(found),
            observed=_observed_silence(found),
            score=1.0 if found.is_closed else 0.8,
            source=source,
            target=target,
            conversation=about if len(found.conversations) == 1 else None,
            function=spell_function(names[0]) if len(names) == 1 else "",
            points=spell_points(names),
            members=members,
            accepts=tuple(dict.fromkeys(accepts))[:MOST_ACCEPTS],
            baseline=members[:12],
        )

    def _silence_cause(self, found: Silence) -> Cause:
        about = found.conversations[0]
        if found.level == "client":
            return (NAME, "silence", "client", *about.client)
        if found.level == "server":
            return (NAME, "silence", "server", *about.server)
        if found.level == "conversation":
            return (NAME, "silence", *flat(about))
        if found.level == "unit":
            return (NAME, "silence", *flat(about), "unit", found.symbols[0].unit)
        return cause_of(NAME, "silence", found.symbols[0])

    # --- rate --------------------------------------------------------------------------------

    def _fast(self, tick: Tick, heard: Heard) -> Iterable[Finding]:
        table = self.paces.symbols
        spans = heard.times - heard.before
        is_fast = spans < table["fast"][heard.sorted]
        if not np.count_nonzero(is_fast):
            return
        # What is reported unasked comes in bursts when something happens.
        symbols = tick.tables.messages.symbol[heard.places]
        is_fast &= tick.names.symbols.role[symbols] != REPORT
        # What waited for missing bytes is all heard at the moment at which they are given up.
        ids = tick.tables.messages.conversation[heard.places]
        is_fast &= ~tick.loss.is_lossy(ids) | (spans < table["fast"][heard.sorted] // LATE)
        if not np.count_nonzero(is_fast):
            return
        rows = np.unique(heard.sorted[is_fast])
        shortest: dict[int, int] = {}
        for row, span in zip(heard.sorted[is_fast].tolist(), spans[is_fast].tolist(), strict=True):
            shortest[row] = min(span, shortest.get(row, span))
        yield from self._told(
            "fast",
            (
                self._fast_finding(tick, heard, group, shortest)
                for group in self._by_conversation(rows)
            ),
        )

    def _by_conversation(self, rows: Array) -> list[list[int]]:
        """Rows of symbols, grouped by their conversation, in order of names."""
        groups: dict[int, list[int]] = {}
        for row in rows.tolist():
            groups.setdefault(int(self.paces.home[row]), []).append(row)
        ordered = [sorted(group, key=self.paces.symbols.name) for group in groups.values()]
        return sorted(ordered, key=lambda group: self.paces.symbols.name(group[0]))

    def _fast_finding(
        self, tick: Tick, heard: Heard, group: Sequence[int], shortest: Mapping[int, int]
    ) -> Finding:
        table = self.paces.symbols
        names = [table.name(row) for row in group]
        periods = [int(table["period"][row]) for row in group]
        factors = [
            RUN * period / max(shortest[row], 1) for row, period in zip(group, periods, strict=True)
        ]
        most = int(np.argmax(factors))
        least = int(table["shortest"][group[most]])
        times = f"{factors[most]:.1f}" if factors[most] < 10 else f"{factors[most]:,.0f}"  # noqa: PLR2004
        return finding_over(
            tick,
            {"messages": np.sort(heard.places[np.isin(heard.sorted, group)])},
            detector=NAME,
            kind=f"{NAME}.fast",
            cause=(NAME, "fast", *flat(names[0].conversation)),
            expected=f"{spell_message(names[most])} {every(periods[most])}, "
            f"{RUN} in a row never within less than {spell_span(least)}",
            observed=f"{times} times as often: {RUN} in a row within "
            f"{spell_span(shortest[group[most]])}{spell_each(names)}",
            members=distinct(map(spell_message, names)),
            accepts=tuple(cause_of(NAME, "fast", one) for one in names)[:MOST_ACCEPTS],
            **self._of(names, group),
        )

    def _drift(self, tick: Tick, heard: Heard) -> Iterable[Finding]:
        found = self.paces.drifting(heard)
        if found is None:
            return
        table = self.paces.symbols
        moved: dict[int, int] = {}
        lossy = tick.loss.is_lossy(tick.tables.messages.conversation[heard.places])
        unsure = set(heard.sorted[lossy].tolist())
        for row, (count, short, long, time) in zip(
            found[0].tolist(), found[1].tolist(), strict=True
        ):
            mean, period = time // max(count, 1), int(table["period"][row])
            if count < DRIFT or row in unsure or 2 * max(short, long) <= count:
                continue
            if long > short or mean * FASTER > period:
                moved[row] = mean
        rows = np.array(sorted(moved), np.int64)
        yield from self._told(
            "drift",
            (
                self._drift_finding(tick, heard, group, moved)
                for group in self._by_conversation(rows)
            ),
        )

    def _drift_finding(
        self, tick: Tick, heard: Heard, group: Sequence[int], moved: Mapping[int, int]
    ) -> Finding:
        table = self.paces.symbols
        names = [table.name(row) for row in group]
        period, now = int(table["period"][group[0]]), moved[group[0]]
        low, high = int(table["low"][group[0]]), int(table["high"][group[0]])
        word = "longer" if now > period else "shorter"
        factor = max(now, period) / max(min(now, period), 1)
        return finding_over(
            tick,
            {"messages": np.sort(heard.places[np.isin(heard.sorted, group)])},
            detector=NAME,
            kind=f"{NAME}.drift",
            cause=(NAME, "drift", *flat(names[0].conversation)),
            expected=f"{spell_message(names[0])} {every(period)} "
            f"({spell_span(low)} to {spell_span(high)} apart)",
            observed=f"{every(now)}, {DRIFT} in a row: the period is {factor:.1f} times {word}"
            f"{spell_each(names)}",
            members=distinct(map(spell_message, names)),
            accepts=tuple(cause_of(NAME, "drift", one) for one in names)[:MOST_ACCEPTS],
            **self._of(names, group),
        )

    def _of(self, names: Sequence[SymbolName], group: Sequence[int]) -> dict[str, Any]:
        """What findings about symbols of one conversation have in common."""
        about, table = names[0].conversation, self.paces.symbols
        source, target = about.client, about.server
        if not names[0].from_client:
            source, target = target, source
        counts = table["intervals"][list(group)].sum(axis=1, dtype=np.int64).tolist()
        closed = table["closed"][list(group)] > 0
        return {
            "source": source,
            "target": target,
            "conversation": about,
            "function": spell_function(names[0]) if len(names) == 1 else "",
            "points": spell_points(names),
            "score": 1.0 if closed.all() else 0.8,
            "baseline": tuple(
                f"{spell_message(name)} {every(int(table['period'][row]))} ({count:,} learned)"
                for name, row, count in zip(names, group, counts, strict=True)
            )[:12],
        }

    # --- answers -----------------------------------------------------------------------------

    def _slow(self, tick: Tick, talk: Dialogue) -> Iterable[Finding]:
        found = self.answers.slow(talk)
        if found is None:
            return
        full = self.answers.is_slow(found[1]).nonzero()[0]
        rows = {int(found[0][place]): found[1][place].tolist() for place in full.tolist()}
        yield from self._told(
            "slow-answers",
            (
                self._slow_finding(tick, talk, group, rows)
                for group in self._answering(tick, talk.answers, talk.answered, rows)
            ),
        )

    def _answering(
        self, tick: Tick, places: Array, of: Array, rows: Iterable[int]
    ) -> list[list[int]]:
        """Rows of answers by conversation, in order of names, but for those not heard whole."""
        ids = tick.tables.messages.conversation[places]
        lossy = set(of[tick.loss.is_lossy(ids)].tolist())
        groups: dict[Any, list[int]] = {}
        for row in sorted(set(rows) - lossy, key=self.answers.table.name):
            groups.setdefault(self.answers.table.name(row).conversation, []).append(row)
        return list(groups.values())

    def _slow_finding(
        self, tick: Tick, talk: Dialogue, group: Sequence[int], sums: Mapping[int, Sequence[int]]
    ) -> Finding:
        names = [self.answers.table.name(row) for row in group]
        about = names[0].conversation
        bound, count = self.answers.usual(group[0])
        window = sums[group[0]]
        functions = distinct(function_name(about.protocol, one.function) for one in names)
        places = talk.answers[np.isin(talk.answered, group)]
        return finding_over(
            tick,
            {"messages": places},
            detector=NAME,
            kind=f"{NAME}.slow-answers",
            cause=(NAME, "slow-answers", *about.server, about.protocol, about.port),
            expected=f"{about.server} answers {spell_who(names[0])} within "
            f"{spell_span(bound)} (99.9 % of {count:,} learned answers)",
            observed=f"{window[1]} of its last {window[0]} answers took "
            f"{spell_span(window[2] // max(window[1], 1))} on average",
            source=about.server,
            target=about.client,
            conversation=about,
            function=functions[0] if len(functions) == 1 else "",
            members=functions,
            score=1.0,
            accepts=tuple((NAME, "slow-answers", *flat(about), *one[1:]) for one in names),
        )

    def _unanswered(self, tick: Tick, talk: Dialogue) -> Iterable[Finding]:
        rows, counts, since = self.answers.unanswered(tick, talk)
        if not len(rows):
            return
        spells = {
            row: (count, start)
            for row, count, start in zip(
                rows.tolist(), counts.tolist(), since.tolist(), strict=True
            )
        }
        yield from self._told(
            "unanswered",
            (
                self._unanswered_finding(tick, talk, group, spells)
                for group in self._answering(tick, talk.asks, talk.asked, spells)
            ),
        )

    def _unanswered_finding(
        self,
        tick: Tick,
        talk: Dialogue,
        group: Sequence[int],
        spells: Mapping[int, tuple[int, int]],
    ) -> Finding:
        table = self.answers.table
        names = [table.name(row) for row in group]
        about = names[0].conversation
        places = talk.asks[np.isin(talk.asked, group)]
        start = min(spells[row][1] for row in group)
        spell = int(tick.tables.messages.time[places].max()) - start
        count = sum(spells[row][0] for row in group)
        asked = int(table["asked"][group].sum())
        longest = int(table["spell"][group].max())
        functions = distinct(function_name(about.protocol, one.function) for one in names)
        learned = (
            f"; it never took longer than {spell_span(longest)} to answer again" if longest else ""
        )
        return finding_over(
            tick,
            {"messages": places},
            detector=NAME,
            kind=f"{NAME}.unanswered",
            cause=(NAME, "unanswered", *flat(about)),
            expected=f"{about.server} answers what {about.client} asks "
            f"({asked:,} learned requests){learned}",
            observed=f"{count} requests in a row without answer for {spell_span(spell)}",
            source=about.server,
            target=about.client,
            conversation=about,
            function=functions[0] if len(functions) == 1 else "",
            members=functions,
            weak=spell < SHORT_SPELL,
            score=1.0,
            accepts=tuple((NAME, "unanswered", *flat(about), *one[1:]) for one in names),
        )

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in when everything was said."""
        paces, answers, clean = self.paces, self.answers, quarantine.clean("messages")
        if self._judged is None or self._judged.tick is not tick:
            self.judge(tick)
        if self._judged is None:
            return
        _, hush, heard, talk = self._judged
        self._judged = None
        if paces.misses_some:
            heard = paces.hear(tick, enter=True)
        paces.learn(tick, heard, hush, clean)
        if answers.misses_some:
            talk = answers.hear(tick, enter=True)
        if talk is not None:
            answers.learn(tick, talk, clean)

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.paces.begin()
        self.answers.declared = True

    def close_world(self) -> None:
        """What was not learned is not normal; rhythms start from here."""
        self.answers.declared = False
        self.paces.close()
        self.answers.close()

    def interrupt(self) -> None:
        """Time does not go on from what was heard."""
        self._judged = None
        self.paces.interrupt()
        self.answers.interrupt()

    def learned(self) -> Mapping[str, Array]:
        """Ids of symbols with a rhythm that was learned."""
        return {"symbols": self.paces.learned()}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        self._judged = None
        self.paces.symbols.forget(retired["symbols"])
        self.answers.table.forget(retired["symbols"])
        self.paces.conversations.forget(retired["conversations"])

    def readiness(self) -> Sequence[Readiness]:
        """How far each conversation is: the best known of what is said in it."""
        return [
            Readiness(name, share, _left(share, seconds))
            for name, (share, seconds) in sorted(self.paces.progress().items())
        ]

    # --- what people decide ------------------------------------------------------------------

    def accept(self, cause: Cause) -> bool:
        """Keep quiet about a cause from now on."""
        return self._accepted.add(cause)

    def undo(self, cause: Cause) -> bool:
        """Tell a cause again."""
        return self._accepted.remove(cause)

    # --- state -------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything learned, by name."""
        state = TimingState(self.paces.state(), self.answers.state(), list(self._accepted.state()))
        plain: State = msgspec.to_builtins(state, builtin_types=(bytes,))
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        paces, answers, accepted = Paces(), Answers(), Causes(NAME)
        try:
            checked = msgspec.convert(state, TimingState)
            paces.restore(checked.paces)
            answers.restore(checked.answers)
            accepted.restore(checked.accepted)
        except (msgspec.ValidationError, ValueError) as error:
            raise _damaged(error) from error
        paces.declared = answers.declared = self.paces.declared
        self.paces, self.answers, self._accepted = paces, answers, accepted
        self._judged = None

    def merge(self, state: State) -> None:
        """Add what another one learned; all rhythms start again."""
        other = Timing()
        other.restore(state)
        self.paces.merge(other.paces.state())
        self.answers.merge(other.answers.state())
        self._accepted.merge(other._accepted.state())
        self._judged = None


def _damaged(error: Exception) -> StateError:
    return StateError(f"the state of the timing detector is damaged: {error}")


def _left(share: float, seconds: float) -> float | None:
    if share >= 1:
        return 0.0
    if share <= 0 or seconds <= 0:
        return None
    return max(seconds / share - seconds, 0.0) if share < 1 else ENOUGH_TIME / SECOND


def _expected_silence(found: Silence) -> str:
    period = every(min(found.periods)) if found.periods else "regularly"
    if len(found.symbols) == 1:
        said = f"{spell_message(found.symbols[0])} {period}"
    else:
        said = f"{len(found.symbols)} requests that are said in cycles, the fastest {period}"
    return f"{said}; the longest pause learned is {spell_span(found.longest)}"


def _observed_silence(found: Silence) -> str:
    about, since = found.conversations[0], spell_span(found.since)
    is_published = all(one.role == "report" and one.from_client for one in found.symbols)
    if is_published and found.level in {"client", "conversation"}:
        servers = spell_list(distinct(str(one.server) for one in found.conversations))
        return f"{about.client} sends nothing to {servers} any more; last heard {since} ago"
    if found.level == "client":
        servers = ", ".join(distinct(str(one.server) for one in found.conversations)[:5])
        return f"{about.client} polls none of {servers} any more; last heard {since} ago"
    if found.level == "server":
        clients = ", ".join(distinct(str(one.client) for one in found.conversations)[:5])
        return f"{about.server} is polled by none of {clients} any more; last heard {since} ago"
    if found.level == "conversation":
        tries = ", though it tries to connect" if found.tries else ""
        return (
            f"{about.server} is no longer polled by {about.client}{tries}; last heard {since} ago"
        )
    if found.level == "unit":
        unit = found.symbols[0].unit
        return (
            f"unit {unit} of {about.server} is no longer polled by {about.client}; "
            f"last heard {since} ago"
        )
    said = spell_list(map(spell_message, found.symbols), "; ", most=2)
    return f"{said} last heard {since} ago, while other requests between the two go on"
