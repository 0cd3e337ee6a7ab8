"""What is kept of each request, report and conversation to follow its rhythm."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
import numpy as np

from otids.learning.ledger import Column
from otids.learning.rhythm.rhythm import BINS, LONG_AGO, NEVER, RUN
from otids.learning.rhythm.wire import WireState
from otids.traffic import ROLES, SECOND, Array, SymbolName

PAUSE = 3 * SECOND // 2
"""Pauses of a conversation from this on are kept in mind for its symbols, ns."""
_MOST = 2**60


def _moment(fill: int) -> Column:
    return Column("<i8", fill=fill, low=LONG_AGO, high=NEVER)


def _deadline() -> Column:
    """A moment at which to ask; from `NEVER` on it does not come."""
    return Column("<i8", fill=NEVER, low=LONG_AGO)


def _count(dtype: str = "<i8", high: int = _MOST, width: tuple[int, ...] = ()) -> Column:
    return Column(dtype, join=np.add, low=0, high=high, width=width)


def _limit(fill: int = 0) -> Column:
    return Column("<i8", fill=fill, low=0, high=NEVER)


SYMBOL_COLUMNS = {
    # Learned; these commute.
    "intervals": _count("<u4", 2**32 - 1, (BINS,)),
    "sums": _count(width=(BINS,)),  # ns in each bin
    "alone": Column("<i8", low=0, high=_MOST),  # longest gap while its conversation went on, ns
    "shortest": Column("<i8", fill=NEVER, join=np.minimum, low=0, high=NEVER),  # of RUN intervals
    "closed": Column("|u1", low=0, high=1),  # heard during declared learning
    "met": Column("<i8", low=0, high=_MOST),  # how long the wire had been listened to, s
    # Derived; `anchor` and `slowest` are those at which a symbol became ready by itself.
    "period": _limit(),
    "limit": _limit(NEVER),  # NEVER: not judged; so is `high`
    "fast": _limit(),
    "low": _limit(),
    "high": _limit(NEVER),
    "anchor": _limit(),
    "fastest": _limit(),
    # Moments; they end with the source.
    "last": _moment(LONG_AGO),
    "frame": Column("<i8", low=0, high=NEVER),
    "recent": Column("<i8", fill=LONG_AGO, low=LONG_AGO, high=NEVER, width=(RUN,)),
    "place": Column("|u1", low=0, high=RUN - 1),
    "sound": Column("<u2", low=0),  # messages in a row that nothing is wrong with
    "pause": Column("<i8", low=0, high=_MOST),  # longest of the conversation since `last`
    "deadline": _deadline(),
    "told": Column("|u1", low=0, high=1),
    "drift": Column("<i8", low=0, high=_MOST, width=(4,)),  # intervals, short, long, their ns
}
CONVERSATION_COLUMNS = {
    "longest": Column("<i8", low=0, high=_MOST),
    "closed": Column("|u1", low=0, high=1),
    "limit": _limit(NEVER),
    "anchor": _limit(),
    "notable": Column("<i8", fill=PAUSE, low=0, high=NEVER),  # pauses that matter to symbols
    "last": _moment(LONG_AGO),
    "deadline": _deadline(),
    "attempt": _moment(LONG_AGO),  # of its client to connect
    "told": Column("|u1", low=0, high=1),
}
SYMBOL_MOMENTS = (
    "last", "frame", "recent", "place", "sound", "pause", "deadline", "told", "drift",
)  # fmt: skip
CONVERSATION_MOMENTS = ("last", "deadline", "attempt", "told")


class PacesState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form."""

    symbols: dict[str, object]
    conversations: dict[str, object]
    wire: WireState
    refreshed: Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)] | None


@dataclass(slots=True)
class Heard:
    """The requests and reports of a tick that have a row, sorted by row and time."""

    asks: Array  # their places among the tick's messages, in order of time
    rows: Array  # rows of symbols, same order
    places: Array  # places among the messages, by row and time
    sorted: Array  # rows, same order
    rank: Array | None  # which one of its symbol in this tick; None: all are the first
    times: Array
    previous: Array  # when each was said before, ns; LONG_AGO: not known
    intervals: Array  # ns since then
    slots: Array  # where `recent` holds the time of RUN messages before
    before: Array  # that time
    drift: "tuple[Array, Array] | Literal[False] | None" = False  # once it was asked for


@dataclass(slots=True)
class Hush:
    """What was overdue when a tick began."""

    is_wire: bool = False  # nothing at all is heard
    conversations: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    symbols: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    later: list[tuple[str, Array, Array]] = field(default_factory=list)  # to be asked again


def check_name(name: SymbolName | None) -> None:
    """Raise ValueError for a name that no traffic can have."""
    if name is None:
        return
    numbers = (name.function, name.subfunction, name.unit, name.status, name.conversation.port)
    if name.role not in ROLES or not all(0 <= one < 2**32 for one in numbers):
        raise ValueError("a symbol that cannot be")


def unspelled(id: int) -> None:
    """Spell nothing: an id that has a row is not asked what it stands for."""
    raise AssertionError(f"id {id} has a row, so nobody asks what it stands for")
