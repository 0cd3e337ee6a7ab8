"""What people may ask the running service to tell or to do; the control socket carries it.

Looking reads the store through a connection of its own; steering runs in the judging thread.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from otids.alerts.wording import clean
from otids.service.status import open_alerts, status_of
from otids.store import Decision, Store, StoreError

if TYPE_CHECKING:
    from otids.service.daemon import Daemon

T = TypeVar("T")

MOST_ALERTS = 10_000
MOST_FILE = 20 << 20
"""Bytes of evidence or of the baseline that are handed over."""
LONGEST_REST = 2.0
"""Seconds for which reading rests at most, after it took as long: judging needs the time."""

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
_Id: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{1,64}$")]
_Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**62)]
_Time: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class CommandError(ValueError):
    """It cannot be done; the message is one line for whoever asked."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks: what the kernel says of the process at the other end."""

    pid: int
    uid: int
    name: str  # of the user
    may_steer: bool


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes with a command."""


class Alerts(_Asked, frozen=True):
    """Which alerts, as `Store.alerts` takes it."""

    kind: _Text = ""
    status: Literal["", "open", "closed"] = ""
    min_severity: Literal["info", "low", "medium", "high", "critical"] = "info"
    device: _Text = ""
    since: _Time | None = None
    until: _Time | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ALERTS)] = 1000


class Explain(_Asked, frozen=True):
    """Which alert, and whether its evidence is to come along."""

    alert: _Id
    evidence: bool = False


class Accept(_Asked, frozen=True):
    """Which alert, and who decides."""

    alert: _Id
    who: _Text = ""


class Undo(_Asked, frozen=True):
    """Which decision (default: the last that stands), and who takes it back."""

    number: _Number | None = None
    who: _Text = ""


class LearnUntil(_Asked, frozen=True):
    """Until when everything is declared as normal (RFC 3339); empty: nothing is any more."""

    until: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Commands:
    """All commands, by name: `LOOK` for everybody who may ask, `STEER` for who may steer."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="control")

    def close(self) -> None:
        """Let go of the threads; what runs in them ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, name: str, arguments: object, peer: Peer) -> Any:
        """Do what is asked; the result is plain. Raises `CommandError`, StoreError, OSError."""
        asked, act, _ = COMMANDS[name]
        try:
            checked = msgspec.convert(arguments, asked)
        except msgspec.ValidationError as error:
            raise CommandError(f"{name}: {str(error).replace('`', '')}") from None
        return await act(self, checked, peer)

    async def _reading(self, read: Callable[[Store], T]) -> T:
        def work() -> T:
            with Store(self._daemon.folder.store.path) as store:
                return read(store)

        return await self._aside(work)

    async def _aside(self, work: Callable[[], T]) -> T:
        """Read in a thread that takes at most half of a core, however many ask."""
        began = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            rest = min(time.monotonic() - began, LONGEST_REST)
            with contextlib.suppress(RuntimeError):  # it is being closed
                self._threads.submit(time.sleep, rest)

    # --- looking ---------------------------------------------------------------------------------

    async def hello(self, _: _Asked, peer: Peer) -> Any:
        """Who we are, and what the one who asks may do."""
        return {
            "state": str(self._daemon.folder.path.absolute()),
            "sensor": clean(self._daemon.config.sensor_name),
            "may_steer": peer.may_steer,
            "commands": [
                name
                for name, (_, _, is_steering) in COMMANDS.items()
                if peer.may_steer or not is_steering
            ],
        }

    async def status(self, _: _Asked, __: Peer) -> Any:
        """How the service stands."""
        record = status_of(self._daemon)
        record["open_alerts"] = await self._reading(open_alerts)
        return record

    async def alerts(self, asked: Alerts, _: Peer) -> Any:
        """Records of alerts, the last seen first."""
        filters = msgspec.structs.asdict(asked)
        return await self._reading(lambda store: store.alerts(**filters))

    async def explain(self, asked: Explain, _: Peer) -> Any:
        """One alert, and what accepting it would make normal."""
        found = await self._reading(lambda store: store.alert(asked.alert))
        path = self._daemon.folder.evidence.path / f"{found.record['id']}.pcapng"
        return {
            "record": found.record,
            "cause": found.cause,
            "accepts": found.accepts,
            "baseline": found.baseline,
            "evidence_path": str(path.absolute()) if path.is_file() else "",
            "evidence": await self._file(path) if asked.evidence and path.is_file() else "",
        }

    async def assets(self, _: _Asked, __: Peer) -> Any:
        """The devices that were heard, as they were saved last."""
        return await self._reading(lambda store: store.assets())

    async def decisions(self, _: _Asked, __: Peer) -> Any:
        """What people decided, the latest first."""
        decisions = await self._reading(lambda store: store.decisions())
        return [_decision(one) for one in decisions]

    async def baseline(self, _: _Asked, __: Peer) -> Any:
        """What was learned, as it was saved last: the file itself, and with which rules."""
        meta = await self._reading(lambda store: store.meta())
        path = self._daemon.folder.baseline
        if not path.is_file() and not await self._saved():
            raise CommandError("what was learned cannot be saved, so there is nothing to hand over")
        return {"file": await self._file(path), "rules": meta.get("rules", "[]")}

    async def _file(self, path: Path) -> str:
        def read() -> str:
            with path.open("rb") as file:
                data = file.read(MOST_FILE + 1)
            if len(data) > MOST_FILE:
                raise CommandError(f"{path}: is too large for the control socket; read it there")
            return base64.b64encode(data).decode()

        return await self._aside(read)

    # --- steering --------------------------------------------------------------------------------

    async def accept(self, asked: Accept, peer: Peer) -> Any:
        """Make what an alert is about normal from the next batch on."""
        daemon, who = self._daemon, _who(asked.who, peer)

        def act() -> Decision:
            store, detectors = daemon.folder.store, daemon.pipeline.detectors
            found = store.alert(asked.alert)
            standing = [one for one in store.decisions() if one.undone_at is None]
            for one in standing:
                if one.alert == found.record["id"]:
                    raise CommandError(
                        f"{asked.alert} was accepted already, by decision {one.number} of {one.who}"
                    )
            taken = [one for one in found.causes if sum(each.accept(one) for each in detectors)]
            if not taken:
                raise CommandError(f"{asked.alert} is about nothing that can be accepted")
            try:
                return store.decide(found.record["id"], who)
            except StoreError:
                kept = {cause for one in standing for cause in one.causes}
                for cause in taken:
                    for each in detectors if cause not in kept else ():
                        each.undo(cause)
                raise

        decision = await daemon.call(act)
        return {**_decision(decision), "saved": await self._saved()}

    async def undo(self, asked: Undo, peer: Peer) -> Any:
        """Take back what was accepted."""
        daemon, who = self._daemon, _who(asked.who, peer)

        def act() -> Decision:
            decision = daemon.folder.store.undo(who, asked.number)
            daemon.folder.apply_decisions(daemon.pipeline.detectors)
            return decision

        return {**_decision(await daemon.call(act)), "saved": await self._saved()}

    async def _saved(self) -> bool:
        """Save what was decided; it stands in the store in any case."""
        return not await self._daemon.call(self._daemon.judge.checkpoint)

    async def checkpoint(self, _: _Asked, __: Peer) -> Any:
        """Save what was learned."""
        if trouble := await self._daemon.call(self._daemon.judge.checkpoint):
            raise CommandError(trouble)
        return {}

    async def reload(self, _: _Asked, __: Peer) -> Any:
        """Read config and rules again, all or nothing."""
        if trouble := await self._daemon.reload():
            raise CommandError(trouble)
        return {}

    async def learn_until(self, asked: LearnUntil, _: Peer) -> Any:
        """Declare what comes before a moment as normal; a reload takes the config's again."""
        moment = _moment(asked.until) if asked.until else None
        await self._daemon.call(lambda: self._daemon.judge.learn_until(moment))
        return {}

    async def send_test_alert(self, _: _Asked, __: Peer) -> Any:
        """Send a harmless alert through every sink; what became of it at each."""
        for part in self._daemon.parts:
            send = getattr(part, "test", None)
            if send is not None:
                tested = await send(self._daemon.config.sensor_name)
                return [one.record() for one in tested]
        raise CommandError("no sink is configured")


_Command: TypeAlias = tuple[
    type[_Asked], Callable[[Commands, Any, Peer], Coroutine[Any, Any, Any]], bool
]
COMMANDS: dict[str, _Command] = {
    "hello": (_Asked, Commands.hello, False),
    "status": (_Asked, Commands.status, False),
    "alerts": (Alerts, Commands.alerts, False),
    "explain": (Explain, Commands.explain, False),
    "assets": (_Asked, Commands.assets, False),
    "decisions": (_Asked, Commands.decisions, False),
    "baseline": (_Asked, Commands.baseline, False),
    "accept": (Accept, Commands.accept, True),
    "undo": (Undo, Commands.undo, True),
    "checkpoint": (_Asked, Commands.checkpoint, True),
    "reload": (_Asked, Commands.reload, True),
    "learn-until": (LearnUntil, Commands.learn_until, True),
    "test-alert": (_Asked, Commands.send_test_alert, True),
}
"""Name: what comes with it, what does it, and whether it steers."""


def _who(said: str, peer: Peer) -> str:
    """Who decided: what the kernel knows, and what the person says."""
    said = clean(said, 100)
    return f"{said} ({peer.name})" if said and said != peer.name else peer.name


def _moment(text: str) -> float:
    with contextlib.suppress(ValueError, OverflowError):
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return when.timestamp()
    raise CommandError("until: is no time with an offset, like 2026-03-01T06:00:00+01:00")


def _decision(one: Decision) -> dict[str, Any]:
    return {
        "number": one.number,
        "alert": one.alert,
        "kind": one.kind,
        "causes": one.causes,
        "title": one.title,
        "who": one.who,
        "made_at": one.made_at,
        "undone_at": one.undone_at,
        "undone_by": one.undone_by,
    }
