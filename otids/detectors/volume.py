"""Volume: how much is said in a window, per conversation and per device.

Traffic is added up over whole ticks. When a window has ended, its features are held against what
was learned of that conversation or device, and a model of river (one for each definition of
`models/`) says whether they are unusual together. A window is told if a feature lies beyond its
limit, which is what the finding explains, and the model finds it unusual, or it is so large that
no model is needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otids.detectors.base import (
    Cause,
    Detector,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
)
from otids.learning.causes import Causes
from otids.learning.models import normal
from otids.learning.models.features import (
    FEATURES,
    NAMES,
    Heard,
    add_up,
)
from otids.learning.models.takeover import Takeovers
from otids.learning.models.watch import LARGE, Closing, Excess, Plan, Watch
from otids.learning.models.words import moved, usual
from otids.learning.plant.accepted import flat
from otids.learning.words import spell_list
from otids.resources import data_folder
from otids.rules.models import Definition, load_models
from otids.traffic import SECOND, Array, Dictionaries, EndpointName, Tick

NAME = "volume"
MOST_WAITING = 65_536
"""Rows of ticks that wait to be added up."""
MOST_FINDINGS = 64
"""Findings of one definition in one window; what goes beyond is told in the last one."""
MOST_BASELINE = 8
_CONVERSATION_PARTS = 7
_LARGEST_POWER = 60


@dataclass(slots=True)
class _Verdict:
    """What comes of the windows that a tick closes, watch by watch."""

    tick: Tick
    closings: dict[int, Closing] = field(default_factory=dict)
    told: dict[int, set[int]] = field(default_factory=dict)  # rows
    spared: dict[int, set[int]] = field(default_factory=dict)  # explained, and not learned
    covered: set[EndpointName] = field(default_factory=set)  # devices of told conversations
    findings: list[Finding] = field(default_factory=list)


class Volume(Detector):
    """Knows how much is usually said, and tells when it is more."""

    name = NAME
    commutes = False

    def __init__(self, definitions: Iterable[Definition] | None = None) -> None:
        """Without `definitions`, take those that otids brings. Raises `RuleError`."""
        if definitions is None:
            definitions = load_models([data_folder("models")])
        self._definitions = {one.name: one for one in definitions}
        self._watches = {name: _watch(one) for name, one in self._definitions.items()}
        self._accepted = Causes(NAME)
        self._lifted: dict[Cause, dict[int, float]] = {}
        self._declared = False
        self._names: Dictionaries | None = None
        self._waiting: list[Heard] = []
        self._rows_waiting = 0
        self._ends: int | None = None  # the second at which the first open window ends
        self._verdict: _Verdict | None = None

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say which windows that have ended before `tick` hold more than is normal."""
        if self._ends is None or tick.second < self._ends:
            return []
        return self._judged(tick).findings

    def _judged(self, tick: Tick) -> _Verdict:
        if self._verdict is not None and self._verdict.tick is tick:
            return self._verdict
        self._add_up()
        verdict = _Verdict(tick)
        watches = list(self._watches.values())
        for number, watch in enumerate(watches):
            if watch.ends is not None and watch.ends <= tick.second:
                verdict.closings[number] = watch.closing()
        if not self._declared:
            # Conversations first: what one of them explains is not told of its devices again.
            for number in sorted(verdict.closings, key=lambda one: watches[one].over):
                self._judge_watch(verdict, number, watches[number])
        self._verdict = verdict
        return verdict

    def _judge_watch(self, verdict: _Verdict, number: int, watch: Watch) -> None:
        """Find what to tell of one watch."""
        closing = verdict.closings[number]
        if not closing.excesses:
            return
        told, spared = set[int](), set[int]()
        takeovers = Takeovers(watch, closing)
        excesses: list[Excess] = []
        for excess in closing.excesses:
            name = watch.ledger.name(excess.row)
            beyond = self._not_accepted(watch, excess)
            if (
                excess.is_explained
                or name in verdict.covered
                or not beyond
                or takeovers.explain(excess, beyond)
            ):
                spared.add(excess.row)
            elif excess.by_model:
                told.add(excess.row)
                excesses.append(excess)
            else:
                continue
            if watch.over == "conversations":
                verdict.covered.update((name.client, name.server))
        verdict.told[number], verdict.spared[number] = told, spared
        most = MOST_FINDINGS if len(excesses) <= MOST_FINDINGS else MOST_FINDINGS - 1
        verdict.findings.extend(_finding(watch, excess) for excess in excesses[:most])
        if rest := excesses[most:]:
            verdict.findings.append(_further(watch, rest, most))

    def _not_accepted(self, watch: Watch, excess: Excess) -> list[int]:
        """Features that lie beyond what a person accepted too."""
        lifted = self._lifted.get(_cause(watch, excess.row), {})
        return [one for one in excess.features if excess.measured[one] > lifted.get(one, -1.0)]

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Learn the windows that have ended, and add what nobody flagged to those that are open."""
        if self._ends is None or tick.second >= self._ends:
            self._close(tick)
        tables = tick.tables
        if not (len(tables.traffic) or len(tables.messages) or len(tables.connections)):
            return
        if tick.names is not self._names:
            self._add_up()
            self._names = tick.names
        clean = {table: quarantine.clean(table) for table in ("traffic", "messages", "connections")}
        heard = Heard.of(tick, clean)
        self._waiting.append(heard)
        self._rows_waiting += len(heard)
        if self._rows_waiting > MOST_WAITING:
            self._add_up()

    def _close(self, tick: Tick) -> None:
        verdict = self._judged(tick)
        for number, watch in enumerate(self._watches.values()):
            closing = verdict.closings.get(number)
            if closing is not None:
                told = verdict.told.get(number, set())
                spared = verdict.spared.get(number, set())
                watch.learn(closing, told, spared, declared=self._declared)
            if closing is not None or watch.ends is None:
                watch.open(tick.second)
            elif watch.over == "devices":
                watch.explain(verdict.covered)
        self._verdict = None
        self._ends = min((watch.ends or 0 for watch in self._watches.values()), default=None)

    def _add_up(self) -> None:
        """Add what waits to the open windows."""
        waiting, self._waiting, self._rows_waiting = self._waiting, [], 0
        if not waiting or self._names is None:
            return
        names = self._names
        added = add_up(waiting, names)
        protocols = names.conversations.protocol[added.ids]
        taken = np.zeros(len(added.ids), np.bool_)
        rest: list[Watch] = []
        for name, watch in self._watches.items():
            wanted = self._definitions[name].protocols
            if watch.over == "devices":
                watch.add(added, names, np.ones(len(added.ids), np.bool_))
            elif wanted:
                which = np.zeros(len(protocols), np.bool_)
                for text in set(protocols.tolist()):
                    if names.texts.name(text) in wanted:
                        which |= protocols == text
                taken |= which
                watch.add(added, names, which)
            else:
                rest.append(watch)
        for watch in rest:
            watch.add(added, names, ~taken)

    def interrupt(self) -> None:
        """Capture time does not go on: windows that are open are dropped."""
        self._waiting, self._rows_waiting, self._verdict = [], 0, None
        for watch in self._watches.values():
            watch.interrupt()
        self._ends = None

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self._declared = True

    def close_world(self) -> None:
        """What was learned is normal from now on; more than that is not."""
        self._declared = False
        self._verdict = None
        for watch in self._watches.values():
            normal.close(watch.ledger)

    def learned(self) -> Mapping[str, Array]:
        """Ids of the conversations and devices whose normal is known."""
        self._add_up()
        found: dict[str, list[Array]] = {"conversations": [], "endpoints": []}
        for watch in self._watches.values():
            ledger = watch.ledger
            ids = ledger.learned()
            if len(ids):
                rows = ledger.find(ids, _never)
                kept = (ledger["normal"][rows] > 0) | (ledger["declared"][rows] > 0)
                ids = ids[kept | (ledger["windows"][rows] > 0) & self._declared]
            found["conversations" if watch.over == "conversations" else "endpoints"].append(ids)
        none = np.empty(0, np.uint32)
        return {name: np.unique(np.concatenate([none, *ids])) for name, ids in found.items()}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        kinds = ("conversations", "endpoints", "symbols", "texts")
        if any(len(retired[one]) for one in kinds if one in retired):
            self._add_up()
            for watch in self._watches.values():
                kind = "conversations" if watch.over == "conversations" else "endpoints"
                watch.ledger.forget(retired.get(kind, np.empty(0, np.uint32)))

    # --- decisions ---------------------------------------------------------------------------

    def accept(self, cause: Cause) -> bool:
        """Make so much of a feature normal for one conversation or device."""
        if _lift(cause) is None or not self._accepted.add(cause):
            return False
        self._lift_all()
        return True

    def undo(self, cause: Cause) -> bool:
        """Take back what was accepted."""
        if not self._accepted.remove(cause):
            return False
        self._lift_all()
        return True

    def _lift_all(self) -> None:
        self._lifted = {}
        self._verdict = None
        for cause in self._accepted:
            if lift := _lift(cause):
                whose, feature, most = lift
                lifted = self._lifted.setdefault(whose, {})
                lifted[feature] = max(most, lifted.get(feature, 0.0))

    # --- state -------------------------------------------------------------------------------

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, per conversation."""
        self._add_up()
        found = []
        for watch in self._watches.values():
            if watch.over == "conversations":
                for name in watch.ledger.names():
                    row = watch.ledger.row(name)
                    found.append(Readiness(name, *normal.progress(watch.ledger, row)))
        return found

    def state(self) -> State:
        """Everything learned, and the windows that are open."""
        self._add_up()
        return {
            "watches": {name: watch.state() for name, watch in self._watches.items()},
            "accepted": self._accepted.state(),
        }

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        accepted, watches = self._checked(state)
        self._accepted, self._watches = accepted, watches
        self._waiting, self._rows_waiting, self._names = [], 0, None
        ends = [watch.ends for watch in watches.values()]
        self._ends = (
            None if None in ends else min((end for end in ends if end is not None), default=None)
        )
        self._lift_all()

    def merge(self, state: State) -> None:
        """Add what was accepted elsewhere; how much is usual is learned again."""
        accepted, _ = self._checked(state)
        for cause in accepted:
            self._accepted.add(cause)
        self._lift_all()

    def _checked(self, state: State) -> tuple[Causes, dict[str, Watch]]:
        accepted = Causes(NAME)
        watches = {name: _watch(one) for name, one in self._definitions.items()}
        try:
            _restore(state, accepted, watches)
        except ValueError as error:
            raise StateError(f"the state of the volume detector is damaged: {error}") from error
        return accepted, watches


# --- parts ---------------------------------------------------------------------------------------


def _restore(state: State, accepted: Causes, watches: Mapping[str, Watch]) -> None:
    match state:
        case {"watches": dict(saved), "accepted": causes, **rest} if not rest:
            pass
        case _:
            raise ValueError("not its parts")
    if not all(isinstance(name, str) for name in saved):
        raise ValueError("a definition without a name")
    accepted.restore(causes)
    if any(_lift(cause) is None for cause in accepted):
        raise ValueError("an accepted cause that says nothing")
    for name, one in saved.items():
        if name in watches:  # else of a definition that is gone
            watches[name].restore(one)


def _watch(definition: Definition) -> Watch:
    estimator = definition.estimator
    return Watch(
        Plan(
            over=definition.over,
            features=definition.features,
            window=definition.window,
            quantile=definition.quantile,
            margin=definition.margin,
            estimator=estimator.name,
            parameters=estimator.parameters(),
            fingerprint=definition.fingerprint,
        )
    )


def _finding(watch: Watch, excess: Excess) -> Finding:
    ledger, row, features = watch.ledger, excess.row, excess.features
    name, cause = ledger.name(row), _cause(watch, row)
    in_a_row = int(ledger["told"][row]) + 1
    again = f", and so for {in_a_row} windows in a row" if in_a_row > 1 else ""
    source, target = _parties(watch, name, features)
    who = name.client if watch.over == "conversations" else name  # who sends, and who receives
    return Finding(
        kind=f"{NAME}.unusual" if watch.over == "conversations" else f"{NAME}.unusual-device",
        cause=cause,
        count=max(1, int(excess.measured[NAMES.index("messages")])),
        expected=f"{who}, in {watch.window} seconds: "
        f"{spell_list(usual(ledger, row, features), '; ')}"
        f" ({int(ledger['windows'][row]):,} windows learned)",
        observed=f"{who}, in {watch.window} seconds: "
        f"{spell_list(moved(ledger, row, excess.measured, features), '; ')}{again}",
        score=_sureness(watch, excess),
        source=source,
        target=target,
        conversation=name if watch.over == "conversations" else None,
        weak=not (normal.is_settled(ledger, row) and (in_a_row > 1 or excess.factor >= LARGE)),
        accepts=tuple(
            (*cause, NAMES[one], _power(float(excess.measured[one]))) for one in features
        ),
        baseline=tuple(usual(ledger, row, range(len(FEATURES))))[:MOST_BASELINE],
        **_moment(watch, np.array([row])),
    )


def _moment(watch: Watch, rows: Array) -> dict[str, Any]:
    """When, and in which frames."""
    ledger, start = watch.ledger, (watch.ends or 0) - watch.window
    frames = {int(ledger["first_frame"][rows].min()), int(ledger["last_frame"][rows].max())}
    return {
        "detector": NAME,
        "first_seen": start * SECOND,
        "last_seen": (start + watch.window) * SECOND - 1,
        "frames": tuple(sorted(frames)),
        "frame_count": max(len(frames), int(ledger["sums"][rows][:, [0, 2]].sum())),
    }


def _never(id_: int) -> Any:
    raise AssertionError(f"id {id_} has a row and needs no spelling")


def _cause(watch: Watch, row: int) -> Cause:
    name = watch.ledger.name(row)
    if watch.over == "conversations":
        return (NAME, "conversation", *flat(name))
    return (NAME, "device", *name)


def _lift(cause: Cause) -> tuple[Cause, int, float] | None:
    """What an accepted cause makes normal: whose, which feature, and how much of it at most."""
    shapes = {"conversation": (int, str, int, str, str, str, int), "device": (int, str)}
    whose, rest = cause[:-2], cause[-2:]
    shape = shapes.get(str(whose[1])) if len(whose) > 1 else None
    if (
        shape is None
        or tuple(map(type, whose[2:])) != shape
        or rest[0] not in NAMES
        or not isinstance(rest[1], int)
        or not 0 <= rest[1] <= 2**_LARGEST_POWER
    ):
        return None
    return whose, NAMES.index(str(rest[0])), float(rest[1])


def _power(number: float) -> int:
    """The least power of two that is not smaller: what a person accepts leaves some room."""
    power = max(0, int(np.ceil(number)) - 1).bit_length()
    return 1 << min(power, _LARGEST_POWER)


def _parties(
    watch: Watch, name: Any, features: Sequence[int]
) -> tuple[EndpointName | None, EndpointName | None]:
    """Who did it, and to whom."""
    received = all(NAMES[one].startswith("received") for one in features)
    if watch.over == "devices":  # whom it is about, even if others did it
        return name, None
    return (name.server, name.client) if received else (name.client, name.server)


def _sureness(watch: Watch, excess: Excess) -> float:
    """Surer the farther beyond what was learned, and the more was learned."""
    windows = int(watch.ledger["windows"][excess.row])
    return (1 - 1 / max(excess.factor, 1.1)) * windows / (windows + normal.ENOUGH)


def _further(watch: Watch, rest: Sequence[Excess], most: int) -> Finding:
    return Finding(
        kind=f"{NAME}.unusual" if watch.over == "conversations" else f"{NAME}.unusual-device",
        cause=(NAME, watch.over, "further"),
        count=len(rest),
        expected="no more than was learned",
        observed=f"{len(rest):,} further {watch.over} with more than ever in the same window, "
        f"past the {most} told apart",
        score=0.5,
        **_moment(watch, np.array([one.row for one in rest])),
    )
