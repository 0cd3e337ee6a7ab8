"""An alert while it is open: findings of one cause, added up within bounds."""

import math
from typing import Annotated, Self, TypeAlias

import msgspec

from otids.alerts.alert import SEVERITIES
from otids.alerts.wording import clean
from otids.detectors.base import MOST_FRAMES, MOST_MEMBERS, Cause, Finding
from otids.traffic import ConversationName, EndpointName

MOST_TRACKED = 256
"""How many distinct members, points or accepted causes an open alert tells apart."""

MOST_FUNCTIONS = 8
MOST_VOICES = 16
"""Kinds of weak findings of which an alert keeps the words."""
SEVERAL = "agreement.several"
"""The kind of an alert that is made of weak findings of several detectors."""
MOST_BASELINE = 64

_Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Tracked: TypeAlias = Annotated[dict[str, _Natural], msgspec.Meta(max_length=MOST_TRACKED)]
_Rank: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=len(SEVERITIES))]
_Score: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Frames: TypeAlias = Annotated[tuple[int, ...], msgspec.Meta(max_length=2 * MOST_FRAMES)]
_Functions: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=MOST_FUNCTIONS)]
_Said: TypeAlias = Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_MEMBERS)]
_Accepts: TypeAlias = Annotated[list[Cause], msgspec.Meta(max_length=MOST_TRACKED)]
_Baseline: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=MOST_BASELINE)]


class Tally(msgspec.Struct, forbid_unknown_fields=True):
    """Distinct texts with how often each came; `more` came when there was no room for them."""

    seen: _Tracked = msgspec.field(default_factory=dict)
    more: _Natural = 0

    def add(self, text: str) -> bool:
        """Count a text; True if it was not there before."""
        text = clean(text)
        if text not in self.seen and len(self.seen) >= MOST_TRACKED:
            self.more += 1
            return False
        before = self.seen.get(text, 0)
        self.seen[text] = before + 1
        return before == 0

    def top(self) -> tuple[str, ...]:
        """Return the most frequent, at most `MOST_MEMBERS`; the last may be "and 214 more"."""
        ranked = sorted(self.seen, key=lambda text: -self.seen[text])  # stable: first come first
        total = len(ranked) + self.more
        if total <= MOST_MEMBERS:
            return tuple(ranked)
        shown = ranked[: MOST_MEMBERS - 1]
        return (*shown, f"and {total - len(shown):,} more")


class Voice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one detector says weakly: its surest finding of a kind, the latest of equals."""

    detector: str
    expected: str
    observed: str
    score: _Score


_Id: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
_Voices: TypeAlias = Annotated[dict[str, Voice], msgspec.Meta(max_length=MOST_VOICES)]


class Open(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An open alert: plain data, so that it can be saved. `revision` 0: not yet told."""

    id: _Id
    kind: str
    cause: Cause
    storm: bool
    detector: str
    rank: _Rank  # place of the severity in SEVERITIES
    score: _Score
    expected: str = ""
    observed: str = ""
    voice: tuple[int, float] = (-1, 0.0)  # rank and score of the finding that says so
    said: _Said = ()  # its members
    first_seen: int
    last_seen: int
    count: _Natural = 0
    findings: _Natural = 0
    frames: _Frames = ()
    frame_count: _Natural = 0
    source: EndpointName | None
    target: EndpointName | None
    conversation: ConversationName | None
    functions: _Functions = msgspec.field(default_factory=list)
    points: Tally = msgspec.field(default_factory=Tally)
    members: Tally = msgspec.field(default_factory=Tally)
    accepts: _Accepts = msgspec.field(default_factory=list)
    baseline: _Baseline = msgspec.field(default_factory=list)
    voices: _Voices = msgspec.field(default_factory=dict)  # by kind of what joined it
    incident: _Id
    incident_began: int  # ns
    completeness: str = ""

    touched: int  # ns, capture time of the last finding
    changed: bool = False  # differs from the last revision
    news: bool = False  # has members or points that the last revision has not
    revision: _Natural = 0
    told_at: int = 0  # ns, capture time of the last revision
    told_count: _Natural = 0
    told_rank: _Rank = 0
    told_news: _Natural = 0  # revisions so far that were made for new members

    @classmethod
    def of(cls, finding: Finding, id_: str, key: tuple[str, Cause], rank: int, now: int) -> Self:
        """Open an alert of `key` (kind and cause) for a finding that is still to be added.

        A storm has another cause than its findings, and they become its members.
        """
        kind, cause = key
        own = finding.joins[1] if finding.joins else finding.cause
        return cls(
            id=id_,
            kind=kind,
            cause=cause,
            storm=cause != plain_cause(own),
            detector=finding.detector if finding.joins is None else kind.partition(".")[0],
            rank=rank,
            score=_score(finding),
            first_seen=int(finding.first_seen),
            last_seen=int(finding.last_seen),
            source=finding.source,
            target=finding.target,
            conversation=finding.conversation,
            incident=id_,
            incident_began=now,
            touched=now,
        )

    def add(self, finding: Finding, rank: int, now: int) -> None:
        """Add a finding; what the bounds of lists cut off is still counted.

        One that joins the alert of another cause adds to it, and changes nothing that it says: it
        is about the same messages once more, and a window may begin long before what is odd in it.
        """
        self.touched, self.changed = now, True
        self.last_seen = max(self.last_seen, int(finding.last_seen))
        self.rank = max(self.rank, rank)
        if finding.joins is None or self.kind == SEVERAL:
            self.findings += 1
            self.count += int(finding.count)
            self.first_seen = min(self.first_seen, int(finding.first_seen))
            self.score = max(self.score, _score(finding))
            self._add_frames(finding)
            self._add_parties(finding)
            self._add_members(finding)
        elif finding.first_seen >= self.first_seen:
            self._add_frames(finding)
        if finding.joins is None:
            self._add_words(finding, rank)
        else:
            self._add_voice(finding)
        self._add_baseline(finding)
        self._add_accepts(finding)

    def _add_frames(self, finding: Finding) -> None:
        before = len(self.frames)
        frames = sorted({*self.frames, *map(int, finding.frames)})
        is_own = finding.joins is None or self.kind == SEVERAL
        self.frame_count += int(finding.frame_count) if is_own else len(frames) - before
        if len(frames) > 2 * MOST_FRAMES:
            frames = frames[:MOST_FRAMES] + frames[-MOST_FRAMES:]
        self.frames = tuple(frames)

    def _add_parties(self, finding: Finding) -> None:
        """Keep what all findings have in common."""
        if self.source != finding.source:
            self.source = None
        if self.target != finding.target:
            self.target = None
        if self.conversation != finding.conversation:
            self.conversation = None

    def _add_words(self, finding: Finding, rank: int) -> None:
        """Let the gravest finding speak, the latest of equals."""
        voice = (rank, _score(finding))
        if voice >= self.voice:
            self.voice = voice
            self.expected, self.observed = clean(finding.expected), clean(finding.observed)
            self.said = tuple(map(clean, finding.members[:MOST_MEMBERS]))

    def _add_voice(self, finding: Finding) -> None:
        """Keep what somebody else says of the same."""
        known = self.voices.get(finding.kind)
        if known is None and len(self.voices) >= MOST_VOICES:
            return
        if known is None or _score(finding) >= known.score:
            self.voices[finding.kind] = Voice(
                clean(finding.detector),
                clean(finding.expected),
                clean(finding.observed),
                _score(finding),
            )
        self.news = self.news or known is None

    def _add_baseline(self, finding: Finding) -> None:
        for row in map(clean, finding.baseline):
            if len(self.baseline) < MOST_BASELINE and row not in self.baseline:
                self.baseline.append(row)

    def _add_members(self, finding: Finding) -> None:
        function = clean(finding.function)
        if function and function not in self.functions and len(self.functions) < MOST_FUNCTIONS:
            self.functions.append(function)
        members = (subject(finding),) if self.storm else finding.members
        fresh = [self.members.add(member) for member in members]
        fresh += [self.points.add(point) for point in finding.points]
        self.news = self.news or any(fresh)

    def _add_accepts(self, finding: Finding) -> None:
        for cause in map(plain_cause, finding.accepts or (finding.cause,)):
            if len(self.accepts) < MOST_TRACKED and cause not in self.accepts:
                self.accepts.append(cause)


def subject(finding: Finding) -> str:
    """Say in short what a finding is about, in the same words each time it recurs."""
    parties = finding.conversation or finding.target or finding.source
    parts = [str(parties or ""), finding.function, *finding.points[:2]]
    return ", ".join(filter(None, parts)) or " ".join(map(str, finding.cause))


def plain_cause(cause: Cause) -> Cause:
    """Make a cause of plain strings and integers, so that it is saved and hashed alike."""
    return tuple(part if isinstance(part, str) else int(part) for part in cause)


def _score(finding: Finding) -> float:
    score = float(finding.score)
    return 0.0 if math.isnan(score) else min(max(score, 0.0), 1.0)
