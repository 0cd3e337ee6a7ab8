"""One definition at work: its conversations or devices, their normal, and its model.

A window is judged when the first tick after it comes. What was heard until then is added up in
the rows of a ledger, so a state can be saved in the middle of a window.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otids.learning.ledger import Ledger, Spell
from otids.learning.models import normal
from otids.learning.models.estimators import ESTIMATORS
from otids.learning.models.features import (
    AMOUNTS,
    EXPLAINED,
    LOSSY,
    NAMES,
    UNITS,
    Added,
    as_server,
    measure,
)
from otids.learning.models.scores import Threshold
from otids.traffic import Array, ConversationName, Dictionaries, EndpointName, Mask

MOST_ROWS = 4_096
"""Conversations, or devices, of a definition; those of which least is known make room."""
WARM = 8
"""Windows of a row without which its features are not normalised well enough for the model."""
LARGE = 10.0
"""How many times the largest value ever learned needs no model, and no second window."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A window with more than is normal."""

    row: int
    features: tuple[int, ...]  # beyond their limits, the farthest first
    factor: float  # of the farthest: how many times the largest value learned
    score: float  # the model's
    by_model: bool  # the model finds it unusual too, or it is large
    is_explained: bool  # by what was told of another one in the same window
    measured: Array  # FEATURES
    limits: Array


@dataclass(frozen=True, slots=True)
class Closing:
    """The windows that a tick closes, before anything of them is learned; rows by name."""

    rows: Array
    measured: Array  # rows × FEATURES
    limits: Array
    excesses: Sequence[Excess]


_NOTHING = Closing(np.zeros(0, np.int64), np.zeros((0, len(NAMES))), np.zeros((0, len(NAMES))), ())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a definition says, for those who need no file."""

    over: str
    features: Sequence[str]
    window: int  # s
    quantile: float
    margin: float
    estimator: str
    parameters: Mapping[str, Any]
    fingerprint: str


class Watch:
    """What one definition has learned, and the window that is open."""

    def __init__(self, plan: Plan) -> None:
        self.over = plan.over
        self.window = plan.window
        self.ledger = Ledger(
            ConversationName if plan.over == "conversations" else EndpointName,
            normal.COLUMNS,
            MOST_ROWS,
        )
        self.model = ESTIMATORS[plan.estimator](plan.features, **plan.parameters)
        self.threshold = Threshold(plan.quantile, plan.margin)
        self._plan = plan
        self._places = np.array([NAMES.index(name) for name in plan.features])
        self._seen = np.isin(np.arange(len(NAMES)), self._places)
        self._open: int | None = None  # number of the open window since the epoch
        self._is_whole = False  # it was listened to from its first second

    # --- the open window ---------------------------------------------------------------------

    @property
    def ends(self) -> int | None:
        """The second at which the open window ends; None: none is open."""
        return None if self._open is None else (self._open + 1) * self.window

    @property
    def is_whole(self) -> bool:
        """Whether the open window was listened to from its first second."""
        return self._is_whole

    def open(self, second: int) -> None:
        """Open the window of `second`; one that was open before must have been closed."""
        self._is_whole = self._open is not None
        self._open = second // self.window

    def add(self, added: Added, names: Dictionaries, which: Mask) -> None:
        """Add traffic of `which` conversations to the open window."""
        if self.over == "conversations":
            ledger = self.ledger
            ledger.follow(names, names.conversations.size)
            self._add(added, np.flatnonzero(which), added.ids, added.sums, names.conversation)
        else:
            table = names.conversations
            self.ledger.follow(names, names.endpoints.size)
            places = np.flatnonzero(which)
            for ids, sums in ((table.client, added.sums), (table.server, as_server(added.sums))):
                self._add(added, places, ids[added.ids], sums, names.endpoint)

    def _add(self, added: Added, places: Array, ids: Array, sums: Array, spell: Spell) -> None:
        second = 0 if self._open is None else self._open * self.window
        if not len(places):
            return
        rows = self.ledger.enter(ids[places], spell, second, self._may_go)
        known = rows >= 0
        rows, places = rows[known], places[known]
        ledger = self.ledger
        ledger.touch(rows, second)
        np.add.at(ledger["sums"], rows, sums[places])
        np.bitwise_or.at(ledger["functions"], rows, added.functions[places])
        np.bitwise_or.at(ledger["marks"], rows, added.marks[places])
        np.minimum.at(ledger["first_frame"], rows, added.first[places])
        np.maximum.at(ledger["last_frame"], rows, added.last[places])

    def _may_go(self) -> Mask:
        ledger = self.ledger
        may_go: Mask = (ledger["normal"] == 0) & (ledger["declared"] == 0)
        return may_go

    # --- judging -----------------------------------------------------------------------------

    def closing(self) -> Closing:
        """Look at the open window as one that ends. Changes nothing."""
        ledger = self.ledger
        if not (self._is_whole and len(ledger)):
            return _NOTHING
        found = (normal.heard(ledger) & ledger.in_use).nonzero()[0]
        if not len(found):
            return _NOTHING
        order = sorted(found.tolist(), key=ledger.name)
        rows = np.array(order, np.int64)
        measured = measure(ledger["sums"][rows], ledger["functions"][rows])
        limits = normal.limits(ledger, rows)
        return Closing(rows, measured, limits, self._excesses(rows, measured, limits))

    def _excesses(self, rows: Array, measured: Array, limits: Array) -> list[Excess]:
        ledger = self.ledger
        over = (measured > limits) & self._seen & (ledger["normal"][rows] > 0)[:, None]
        over &= AMOUNTS | ((ledger["marks"][rows] & LOSSY) == 0)[:, None]
        found = []
        for place in np.flatnonzero(over.any(axis=1)).tolist():
            row = int(rows[place])
            beyond = np.flatnonzero(over[place])
            top = np.maximum(ledger["top"][row], UNITS)
            factors = (measured[place] / top)[beyond]
            order = np.argsort(-factors, kind="stable")
            score = self.model.score(self._vector(rows[place : place + 1], measured[place])[0])
            usual = self.threshold.value
            factor = float(factors.max())
            found.append(
                Excess(
                    row,
                    tuple(beyond[order].tolist()),
                    factor,
                    score,
                    factor >= LARGE or usual is None or score > usual,
                    bool(ledger["marks"][row] & EXPLAINED),
                    measured[place],
                    limits[place],
                )
            )
        return found

    def _vector(self, rows: Array, measured: Array) -> list[dict[str, float]]:
        squashed = normal.squash(self.ledger, rows, measured)[:, self._places]
        return [dict(zip(self._plan.features, row, strict=True)) for row in squashed.tolist()]

    # --- learning ----------------------------------------------------------------------------

    def learn(
        self, closing: Closing, told: Collection[int], spared: Collection[int], *, declared: bool
    ) -> None:
        """Learn the windows that close, but for those of rows `told` and of rows `spared`."""
        ledger, rows, measured = self.ledger, closing.rows, closing.measured
        second = (self._open or 0) * self.window + self.window
        if len(rows):
            normal.listen(ledger, rows, second, self.window)
            flagged = _among(rows, told)
            ledger["told"][rows] = np.where(flagged, ledger["told"][rows] + 1, 0)
            kept = ~flagged & (ledger["marks"][rows] == 0) & ~_among(rows, spared)
            rows, measured = rows[kept], measured[kept]
            self._learn_model(rows, measured)
            normal.take(ledger, rows, measured, declared=declared)
            if not declared:
                normal.settle(ledger, rows)
        heard = normal.heard(ledger).nonzero()[0]
        if len(heard):
            normal.clear(ledger, heard)

    def _learn_model(self, rows: Array, measured: Array) -> None:
        warm = self.ledger["windows"][rows] >= WARM
        scores = []
        # river learns one by one: a few windows at a time, never messages.
        for vector in self._vector(rows[warm], measured[warm]):
            scores.append(self.model.score(vector))
            self.model.learn(vector)
        self.threshold.add([score for score in scores if score])

    def explain(self, names: Iterable[Any]) -> None:
        """Mark the open windows of names as explained by what was told of others."""
        rows = [row for name in names if (row := self.ledger.row(name)) >= 0]
        self.ledger["marks"][rows] |= EXPLAINED

    def interrupt(self) -> None:
        """Capture time does not go on: forget the open window."""
        normal.interrupt(self.ledger)
        self._open, self._is_whole = None, False

    # --- state -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything learned and the open window, as plain data."""
        return {
            "definition": self._plan.fingerprint,
            "window": self._open,
            "whole": self._is_whole,
            "ledger": self.ledger.state(),
            "model": self.model.state(),
            "scores": self.threshold.state(),
        }

    def restore(self, state: object) -> None:
        """Take back a state. Raises ValueError if it is not one; then all may have changed.

        What a definition learned that reads otherwise today is learned anew.
        """
        match state:
            case {
                "definition": str(fingerprint), "window": int() | None as window,
                "whole": bool(whole), "ledger": ledger, "model": model, "scores": scores, **rest,
            } if not rest:  # fmt: skip
                pass
            case _:
                raise ValueError("no watch")
        if isinstance(window, bool) or (window is not None and abs(window) > 2**40):
            raise ValueError("a window that cannot be")
        if fingerprint != self._plan.fingerprint:
            return
        self.ledger.restore(ledger)
        self.model.restore(model)
        self.threshold.restore(scores)
        self._open, self._is_whole = window, whole


def _among(rows: Array, those: Collection[int]) -> Mask:
    """Which of `rows` are among `those`; most often these are none."""
    return np.isin(rows, [*those]) if those else np.zeros(len(rows), np.bool_)
