"""Which conversations the capture does not hold whole: gaps, and sides that are not heard.

What is not heard for loss was not left unsaid: detectors of rhythm and silence widen or pause
there, and learn nothing from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from otids.learning.ledger import UNKNOWN, Column, Ledger
from otids.traffic import (
    CARRIERS,
    CONNECTION_STATES,
    NO_LOSS,
    Array,
    ConversationName,
    EndpointName,
    Loss,
    Mask,
    Tick,
)

REMEMBERED = 60
"""For how many seconds a gap marks its conversation."""
STARTING = 5
"""Seconds after a start in which every conversation counts as having gaps."""
ALONE = 8
"""Frames of one TCP side, without one of the other, that show that the other is not captured."""
MANY = 3
"""Conversations with gaps that, if they are half of all, show that the capture itself loses."""
MOST_CONVERSATIONS = 65_536
MOST_FRAMES = 2**40

_TCP = CARRIERS.index("tcp")
_ATTEMPTED = CONNECTION_STATES.index("attempted")
_LONG_AGO = -(2**62)


class LossState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form."""

    conversations: dict[str, object]
    last_gap: Annotated[int, msgspec.Meta(ge=_LONG_AGO)]
    started: int | None


@dataclass(frozen=True, slots=True)
class Heard:
    """How well one conversation is heard."""

    has_gaps: bool  # in the last minute
    unheard: EndpointName | None  # the side that must have spoken, and is not in the capture
    is_beginning: bool  # the capture began so short a while ago that all of this is not known


class Losses:
    """Follows how well each conversation is heard, tick by tick."""

    def __init__(self) -> None:
        self._ledger = Ledger(
            ConversationName,
            {
                "gap": Column("<i8", fill=_LONG_AGO),  # second of the last gap
                # Frames of one side since the other was heard, and retransmissions among them.
                "client": Column("<i8", low=0, high=MOST_FRAMES),
                "server": Column("<i8", low=0, high=MOST_FRAMES),
                "again": Column("<i8", low=0, high=MOST_FRAMES),
            },
            MOST_CONVERSATIONS,
        )
        self._last_gap = _LONG_AGO
        self._started: int | None = None
        self._is_lone = False  # some side may be heard alone

    def take(self, tick: Tick) -> Loss:
        """Take in a tick, and tell how whole each conversation was until its end."""
        traffic, names, second = tick.tables.traffic, tick.names, tick.second
        if self._started is None:
            self._started = second
        if len(traffic):
            self._count(tick)
        if second < self._started + STARTING:
            every = np.ones(names.conversations.size, np.bool_)
            return Loss(every, np.zeros_like(every))
        if not (self._is_lone or self._last_gap > second - REMEMBERED):
            return NO_LOSS
        ledger = self._ledger
        gap = ledger["gap"] > second - REMEMBERED
        alone = self._one_sided()
        if not (gap.any() or alone.any()):
            return NO_LOSS
        ids = ledger.learned()
        rows = ledger.find(ids, names.conversation)
        gaps = np.zeros(names.conversations.size, np.bool_)
        one_sided = np.zeros_like(gaps)
        gaps[ids], one_sided[ids] = gap[rows], alone[rows]
        # Without sequence numbers nobody sees what is missing: it is no better than elsewhere.
        if self._last_gap > second - REMEMBERED:
            gaps |= names.conversations.carrier[: len(gaps)] != _TCP
        if self._loses(gap, second):
            gaps[:] = True
        return Loss(gaps, one_sided)

    def _loses(self, gap: Mask, second: int) -> bool:
        """Whether the capture itself loses frames, so that gaps will show elsewhere as well.

        In a slow conversation a lost frame shows only when the next one comes. A single sender
        cannot bring this about as long as others are heard as often.
        """
        ledger = self._ledger
        holed = int(np.count_nonzero(gap & ledger.in_use))
        if holed < MANY:
            return False
        heard = (ledger["touched"] > second - REMEMBERED) & ledger.in_use
        return 2 * holed >= int(np.count_nonzero(heard))

    def _one_sided(self) -> Array:
        ledger = self._ledger
        # A sender whose peer is gone repeats itself; one whose peer is merely not heard does not.
        is_alone: Array = np.maximum(ledger["client"], ledger["server"]) >= ALONE
        is_alone &= 8 * ledger["again"] <= np.maximum(ledger["client"], ledger["server"])
        return is_alone

    def _count(self, tick: Tick) -> None:
        traffic, names = tick.tables.traffic, tick.names
        ids = traffic.conversation
        is_tcp = names.conversations.carrier[ids] == _TCP
        number = np.count_nonzero(is_tcp)
        if not number:
            return
        tcp: Array | slice = slice(None)
        if number < len(ids):
            tcp = is_tcp.nonzero()[0]
            ids = ids[tcp]
        ledger = self._ledger
        ledger.follow(names, names.conversations.size)
        rows = ledger.enter(ids, names.conversation, tick.second, lambda: ledger.in_use)
        known = rows >= 0
        if np.count_nonzero(known) < number:
            tcp = is_tcp.nonzero()[0][known]
            rows = rows[known]
        ledger["touched"][rows] = tick.second
        gaps = traffic.gaps[tcp] > 0
        if np.count_nonzero(gaps):
            ledger["gap"][rows[gaps]] = self._last_gap = tick.second
        client, server = traffic.client_frames[tcp] > 0, traffic.server_frames[tcp] > 0
        # Most conversations are heard from both sides: what follows is about the others.
        lone = client != server
        if not (self._is_lone or np.count_nonzero(lone)):
            return
        columns = {name: ledger[name] for name in ("client", "server", "again")}
        columns["client"][rows[server]] = 0
        columns["server"][rows[client]] = 0
        columns["again"][rows[client & server]] = 0
        self._count_lone(tick, rows[lone], np.arange(len(traffic))[tcp][lone], columns)
        self._is_lone = bool((columns["client"] | columns["server"]).any())

    def _count_lone(
        self, tick: Tick, rows: Array, places: Array, columns: Mapping[str, Array]
    ) -> None:
        """Count frames of sides that are heard alone.

        Who asks for a connection in vain is alone because nobody is there: that is no loss.
        """
        traffic, connections = tick.tables.traffic, tick.tables.connections
        asked = connections.conversation[connections.state == _ATTEMPTED]
        ids = traffic.conversation[places]
        asking = np.zeros(len(ids), np.int64)
        if len(asked):
            order = np.sort(asked)
            asking = np.searchsorted(order, ids, "right") - np.searchsorted(order, ids, "left")
        turned = columns["client"][rows] + columns["server"][rows] == 0
        columns["again"][rows[turned]] = 0
        for name, frames in (
            ("client", np.maximum(traffic.client_frames[places].astype(np.int64) - asking, 0)),
            ("server", traffic.server_frames[places].astype(np.int64)),
            ("again", traffic.retransmissions[places].astype(np.int64)),
        ):
            np.add.at(columns[name], rows, frames)
            columns[name][rows] = np.minimum(columns[name][rows], MOST_FRAMES)

    def pass_over(self, tick: Tick) -> None:
        """See a tick that was judged before this was restored: only what ids mean is news."""
        ids, names = tick.tables.traffic.conversation, tick.names
        self._ledger.follow(names, names.conversations.size)
        self._ledger.find(ids, names.conversation)

    def interrupt(self) -> None:
        """Another source begins, or time ran back: nothing is known of how it is heard."""
        ledger = self._ledger
        ledger.drop(np.flatnonzero(ledger.in_use))
        self._last_gap, self._started, self._is_lone = _LONG_AGO, None, False

    def forget(self, conversations: Array) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        self._ledger.forget(conversations)

    def of(self, name: ConversationName | None, second: int) -> Heard:
        """Tell how well a conversation is heard at `second`; of None, or an unknown one: well."""
        is_beginning = self._started is not None and second < self._started + STARTING
        row = UNKNOWN if name is None else self._ledger.row(name)
        if name is None or row == UNKNOWN:
            return Heard(has_gaps=False, unheard=None, is_beginning=is_beginning)
        ledger = self._ledger
        unheard = None
        if self._one_sided()[row]:
            is_client = ledger["client"][row] > ledger["server"][row]
            unheard = name.server if is_client else name.client
        has_gaps = bool(ledger["gap"][row] > second - REMEMBERED)
        return Heard(has_gaps, unheard, is_beginning)

    def told(self, second: int) -> dict[str, list[ConversationName]]:
        """Name the conversations that are not heard whole at `second`: `gaps`, `one-sided`."""
        ledger = self._ledger
        gap, alone = ledger["gap"] > second - REMEMBERED, self._one_sided()
        return {
            why: sorted(ledger.name(row) for row in np.flatnonzero(which & ledger.in_use).tolist())
            for why, which in (("gaps", gap), ("one-sided", alone))
        }

    def state(self) -> dict[str, object]:
        """Everything known, as plain data."""
        state: dict[str, object] = msgspec.to_builtins(
            LossState(self._ledger.state(), self._last_gap, self._started), builtin_types=(bytes,)
        )
        return state

    def restore(self, state: object) -> None:
        """Take back a state. Raises ValueError if it is not one; then nothing has changed."""
        try:
            checked = msgspec.convert(state, LossState)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        self._ledger.restore(checked.conversations)
        self._last_gap, self._started = checked.last_gap, checked.started
        self._is_lone = bool((self._ledger["client"] | self._ledger["server"]).any())
