"""What every detector is, and what it says: findings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from otids.learning.causes import Cause
from otids.learning.words import spell_list
from otids.traffic import (
    ACCESSES,
    ACTIVITIES,
    RESPONSE,
    SECOND,
    Array,
    ConversationName,
    EndpointName,
    Mask,
    Tables,
    Tick,
)

State: TypeAlias = dict[str, Any]
"""Plain data only (maps, lists, strings, numbers, bytes), so that msgpack holds it all."""

__all__ = [
    "MOST_FRAMES",
    "MOST_MEMBERS",
    "Cause",
    "Detector",
    "Finding",
    "Quarantine",
    "Readiness",
    "State",
    "StateError",
    "finding_over",
    "frames_of",
    "written",
]

MOST_FRAMES = 32
"""How many frame numbers a finding or an alert keeps from its beginning, and from its end."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A detector's statement that an observation deviates.

    `expected` and `observed` are half-sentences in the plant's own terms; `members` are the
    single things that make it up (functions, items), in words, at most `MOST_MEMBERS`.
    """

    kind: str  # dotted name in the catalogue
    cause: Cause
    first_seen: int  # ns
    last_seen: int  # ns
    frames: tuple[int, ...]  # ascending; the first and last MOST_FRAMES
    frame_count: int
    count: int  # observations
    detector: str
    expected: str
    observed: str
    score: float  # 0 … 1, how sure
    source: EndpointName | None = None
    target: EndpointName | None = None
    conversation: ConversationName | None = None
    function: str = ""
    activity: str = ""  # the gravest that its messages do, a word of ACTIVITIES; empty: none
    points: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    severity: str | None = None  # overrides the catalogue's
    weak: bool = False  # says little by itself: `info`, unless other detectors agree
    joins: tuple[str, Cause] | None = None  # alert (kind, cause) that tells it; set by agreement
    accepts: tuple[Cause, ...] = ()  # what `accept` makes normal; empty: the cause itself
    baseline: tuple[str, ...] = ()  # the baseline rows that the verdict rests on, in words
    rows: Mapping[str, Any] = field(default_factory=dict, compare=False)  # table → row numbers


MOST_MEMBERS = 64

GRAVITY = ("program", "control", "configure", "write", "file", "time")
"""Activities by what they may do to a device, the gravest first; the others do nothing to it."""
_GRAVITY = np.array(
    [len(GRAVITY) - GRAVITY.index(one) if one in GRAVITY else 0 for one in ACTIVITIES]
)


def frames_of(frames: Any) -> tuple[int, ...]:
    """The first and last `MOST_FRAMES` of ascending frame numbers, as plain integers."""
    distinct = np.unique(frames)
    if len(distinct) > 2 * MOST_FRAMES:
        distinct = np.concatenate([distinct[:MOST_FRAMES], distinct[-MOST_FRAMES:]])
    return tuple(int(frame) for frame in distinct)


def finding_over(
    tick: Tick, rows: Mapping[str, Array], *, says_values: bool = False, **parts: Any
) -> Finding:
    """A finding over `rows` (by table), dated, numbered and counted by them.

    What is counted are messages but for responses. `parts` are the other fields; what was
    written is added to `observed` and `members`, unless the detector `says_values` itself.
    """
    times, frames, volume, count, activity = [], [], 0, 0, ""
    for table, places in rows.items():
        columns = getattr(tick.tables, table)
        if table == "traffic":
            frames.extend([columns.first_frame[places], columns.last_frame[places]])
            volume = int((columns.client_frames + columns.server_frames)[places].sum())
            continue
        times.append(columns.time[places])
        frames.append(columns.frame[places])
        if table == "messages":
            symbols = columns.symbol[places]
            asked = symbols[tick.names.symbols.role[symbols] != RESPONSE]
            count = len(asked)
            does = tick.names.symbols.activity[symbols if not count else asked]
            if len(does):
                activity = ACTIVITIES[does[_GRAVITY[does].argmax()]]
    moments = np.concatenate(times) if times else np.array([tick.second * SECOND])
    numbers = np.unique(np.concatenate(frames))
    if not says_values and (values := written(tick, rows.get("messages"))):
        parts["observed"] += f"; written: {spell_list(values)}"
        parts["members"] = (*parts.get("members", ()), *values)[:MOST_MEMBERS]
    return Finding(
        first_seen=int(moments.min()),
        last_seen=int(moments.max()),
        frames=frames_of(numbers),
        frame_count=max(len(numbers), volume),
        count=max(1, count),
        rows=rows,
        **{"score": 1.0, "activity": activity, **parts},
    )


def written(tick: Tick, rows: Array | None) -> tuple[str, ...]:
    """What the requests in some rows of messages write: each point and its value, in words."""
    if rows is None:
        return ()
    messages, items, values = tick.tables.messages, tick.tables.items, tick.tables.values
    asked = rows[tick.names.symbols.role[messages.symbol[rows]] != RESPONSE]
    changing = np.isin(items.access, (ACCESSES.index("write"), ACCESSES.index("control")))
    places = np.flatnonzero(changing & np.isin(items.message, messages.id[asked]))
    found = np.flatnonzero(np.isin(values.item, tick.first_item + places))[:MOST_MEMBERS]
    return tuple(
        f"{tick.names.point(point)} = {int(number) if number.is_integer() else number}"
        for point, number in zip(
            values.point[found].tolist(), values.number[found].tolist(), strict=True
        )
        if point
    )


class Quarantine:
    """Rows of a tick that some detector flagged; they are judged but never learned."""

    def __init__(self, tick: Tick, findings: Iterable[Finding]) -> None:
        self._tables: Tables = tick.tables
        self._masks: dict[str, Mask] = {}
        for finding in findings:
            for table, rows in finding.rows.items():
                self._mask(table)[rows] = True

    def _mask(self, table: str) -> Mask:
        mask = self._masks.get(table)
        if mask is None:
            mask = np.zeros(len(getattr(self._tables, table)), np.bool_)
            self._masks[table] = mask
        return mask

    def clean(self, table: str) -> Mask | None:
        """Which rows of `table` may be learned; None means all of them."""
        mask = self._masks.get(table)
        return None if mask is None else ~mask


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far a detector has learned one conversation (or, with None, the plant as a whole)."""

    conversation: ConversationName | None
    progress: float  # 0 … 1; 1 is ready
    seconds_left: float | None  # an estimate; None where it cannot be told


class Detector(ABC):
    """One way in which traffic can deviate. Knows traffic, and nothing to its right."""

    name: str
    commutes: bool = True
    """Whether `merge` gives what learning both would have given (invariant 3)."""

    @abstractmethod
    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say what deviates in `tick`; changes nothing that was learned."""

    @abstractmethod
    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in what was not flagged."""

    def due(self) -> int | None:
        """The second at which to be asked even if nothing is heard until then; None: never.

        It must move on once the tick of that second (without rows, if nothing was heard) was
        judged and learned.
        """
        return None

    def interrupt(self) -> None:  # noqa: B027  (most do not mind)
        """Capture time does not go on from what was heard: another source, or it ran back."""

    @abstractmethod
    def begin_learning(self) -> None:
        """A person declares what follows as normal."""

    @abstractmethod
    def close_world(self) -> None:
        """Declared learning ends: what it did not contain is new from now on."""

    @abstractmethod
    def learned(self) -> Mapping[str, Array]:
        """Ids that stand for something learned, by dictionary; they are never retired."""

    @abstractmethod
    def forget(self, retired: Mapping[str, Array]) -> None:
        """Ids by dictionary that stand for nothing any more, or soon for something else."""

    @abstractmethod
    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, per conversation."""

    @abstractmethod
    def state(self) -> State:
        """Everything learned, as plain data with spellings instead of ids."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take back a state. Raises StateError if it is not one; then nothing has changed."""

    @abstractmethod
    def merge(self, state: State) -> None:
        """Add what another of the same kind learned, where summaries commute."""

    @abstractmethod
    def accept(self, cause: Cause) -> bool:
        """Make a cause normal; False if it is not one of this detector's."""

    @abstractmethod
    def undo(self, cause: Cause) -> bool:
        """Make an accepted cause abnormal again; False if it is not one of this detector's."""


class StateError(ValueError):
    """A saved state is damaged, hostile, or of another version."""
