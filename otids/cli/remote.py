"""A running service, asked over its control socket; commands take it for a state folder."""

import base64
import json
import socket
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.text import Text

from otids.alerts.alert import SEVERITIES
from otids.alerts.evidence import EvidenceFolder
from otids.alerts.wording import clean, spell_duration
from otids.cli.alert_view import lines_of
from otids.cli.errors import UserError
from otids.cli.output import (
    SECOND,
    STYLES,
    Times,
    console,
    counted,
    labelled,
    moment_of,
    print_json,
    shown,
)
from otids.detectors.base import Cause, State
from otids.folder import StateFolder
from otids.store import Decision, Store, StoredAlert, StoreError

SOCKET = Path("/run/otids/control.sock")
"""Where the service of this computer answers, unless its config says otherwise."""
VERSION = 1
MOST_ANSWER = 32 << 20
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 60.0
NOTED = "control"
"""Under which key a store notes the socket of the service that works on it."""
HEALTH_STYLES = {"healthy": "green", "degraded": "bold yellow", "blind": "bold red"}
LOST = {
    "kernel": "frames dropped by the kernel",
    "shed_frames": "frames let go undecoded because judging was too slow",
    "malformed_frames": "frames with headers that cannot be right",
    "unknown_link_frames": "frames of a link type that is not understood",
    "snapped_frames": "frames cut short",
    "flows_evicted": "flows ended to make room",
    "entries_refused": "dictionary entries refused by a quota",
}


class Service:
    """One connection to a running service. Raises `UserError` in one line."""

    def __init__(self, path: Path) -> None:
        """Connect."""
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(CONNECT_SECONDS)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise UserError(f"{path}: {_why(error)}") from None
        self._socket.settimeout(ANSWER_SECONDS)
        self._lines = self._socket.makefile("rb")

    def ask(self, command: str, **arguments: Any) -> Any:
        """Have something told or done; return its result."""
        request = {"version": VERSION, "command": command, "arguments": arguments}
        with suppress(OSError):  # refused, and perhaps told why
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        try:
            line = self._lines.readline(MOST_ANSWER + 1)
            answer = json.loads(line) if line.endswith(b"\n") else None
        except OSError as error:
            raise UserError(f"{self.path}: {_why(error)}") from None
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise UserError(f"{self.path}: the service did not answer")
        if not answer["ok"]:
            raise UserError(f"{self.path}: {clean(str(answer.get('error')))}")
        return answer.get("result")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "no service answers there"
    if isinstance(error, PermissionError):
        return "you may not ask the service (its socket is for its user and group)"
    if isinstance(error, TimeoutError):
        return "the service does not answer in time"
    return error.strerror or str(error)


class RemoteStore(Store):
    """What commands ask of a store, asked of the service instead."""

    def __init__(self, service: Service, evidence: Path) -> None:
        self.path = service.path
        self.evidence_path = ""  # of the last alert, on the service's computer
        self._service = service
        self._evidence = evidence

    def close(self) -> None:
        """Hang up."""
        self._service.close()

    def alerts(self, **filters: Any) -> list[dict[str, Any]]:
        """As `Store.alerts`."""
        filters["limit"] = min(int(filters.get("limit", 1000)), 10_000)
        if "min_severity" in filters:
            filters["min_severity"] = str(filters["min_severity"])
        records: list[dict[str, Any]] = self._service.ask("alerts", **filters)
        return records

    def alert(self, prefix: str) -> StoredAlert:
        """As `Store.alert`; its evidence comes along."""
        told = self._service.ask("explain", alert=prefix, evidence=True)
        self.evidence_path = told["evidence_path"]
        if told["evidence"]:
            self._evidence.mkdir(exist_ok=True)
            name = f"{told['record']['id']}.pcapng"
            (self._evidence / Path(name).name).write_bytes(base64.b64decode(told["evidence"]))
        return StoredAlert(
            told["record"],
            tuple(told["cause"]),
            _causes(told["accepts"]),
            tuple(told["baseline"]),
        )

    def assets(self) -> list[dict[str, Any]]:
        """As `Store.assets`."""
        records: list[dict[str, Any]] = self._service.ask("assets")
        return records

    def decisions(self) -> list[Decision]:
        """As `Store.decisions`."""
        return [_decision(one) for one in self._service.ask("decisions")]

    def decide(self, prefix: str, who: str, **_: Any) -> Decision:
        """Accept: noted, in force, and saved."""
        return _decision(self._service.ask("accept", alert=prefix, who=who[:200]))

    def undo(self, who: str, number: int | None = None, **_: Any) -> Decision:
        """Take back: noted, in force, and saved."""
        return _decision(self._service.ask("undo", number=number, who=who[:200]))

    def meta(self) -> dict[str, str]:
        """With which rules the service judges."""
        return {"rules": self._service.ask("baseline")["rules"]}


class RemoteFolder(StateFolder):
    """The state of a running service. What it hands over is kept until it is closed."""

    def __init__(self, path: Path) -> None:
        """Connect to the socket at `path`. Raises `UserError`."""
        self.service = Service(path)
        self._scratch = tempfile.TemporaryDirectory(prefix="otids-")
        self.path = Path(self._scratch.name)
        self.evidence = EvidenceFolder(self.path / "evidence")
        self._remote = RemoteStore(self.service, self.evidence.path)
        self.store = self._remote

    def close(self) -> None:
        """Hang up, and drop what was handed over."""
        self.store.close()
        self._scratch.cleanup()

    def load(self) -> State | None:
        """What the service saved last."""
        told = self.service.ask("baseline")
        self.baseline.write_bytes(base64.b64decode(told["file"]))
        return super().load()

    def save(self, state: State) -> None:
        """Nothing: the service saves what was decided itself."""

    def where(self, evidence: Path) -> str:
        """Where a piece of evidence is for people: where the service has it."""
        return self._remote.evidence_path or str(evidence)


def service_of(path: Path) -> RemoteFolder | None:
    """The service that works on a state folder, if one does and lets us ask."""
    try:
        with Store(path / "alerts.sqlite") as store:
            noted = store.meta().get(NOTED, "")
    except (StoreError, OSError):
        return None
    if not noted or not Path(noted).is_socket():
        return None
    try:
        folder = RemoteFolder(Path(noted))
    except UserError:
        return None
    with suppress(UserError, KeyError, TypeError):
        if folder.service.ask("hello")["state"] == str(path.absolute()):
            return folder
    folder.close()
    return None


def _causes(told: Iterable[Sequence[Any]]) -> tuple[Cause, ...]:
    return tuple(tuple(one) for one in told)


def _decision(told: Mapping[str, Any]) -> Decision:
    known = {one.name: told[one.name] for one in fields(Decision)}
    return Decision(**{**known, "causes": _causes(told["causes"])})


# --- status --------------------------------------------------------------------------------------


def print_status(folder: RemoteFolder, *, json: bool) -> None:
    """Print how a running service stands."""
    told = folder.service.ask("status")
    if json:
        print_json([told])
        return
    out = console()
    out.print(
        Text.assemble(
            (told["health"], HEALTH_STYLES.get(told["health"], "")),
            f"  otids on {clean(told['sensor'])}, since {_spell(told['started'])}",
        )
    )
    if told["why"]:
        lines = [
            f"{one['what']} (since {_spell(one['since'])}{_named(one['kind'])})"
            for one in told["why"]
        ]
        out.print(lines_of("", lines))
    out.print()
    out.print(labelled(_rows(told)))
    out.print()
    out.print(Text("Interfaces", "bold"))
    out.print(labelled((one["name"], _interface(one)) for one in told["interfaces"]))
    out.print()
    out.print(Text("Learning", "bold"))
    out.print(labelled((one["detector"], _learning(one)) for one in told["detectors"]))
    if told["blind"]:
        out.print()
        lines = [f"{one['conversation']}: {one['why']}" for one in told["blind"][:10]]
        more = len(told["blind"]) - len(lines)
        out.print(lines_of("Not heard whole", [*lines, *([f"and {more:,} more"] if more else [])]))
    if told["sinks"]:
        out.print()
        out.print(Text("Sinks", "bold"))
        out.print(labelled((one["name"], _sink(one)) for one in told["sinks"]))


def _rows(told: Mapping[str, Any]) -> list[tuple[str, str | Text]]:
    rates, away = told["rates"], told["not_judged"]
    judged = _spell(told["judged_until"]) if told["judged_until"] else "nothing yet"
    saved = told["checkpoint"]
    return [
        ("judged until", judged),
        (
            "rate",
            f"{rates['frames']:,.0f} frames, {rates['messages']:,.0f} messages a second",
        ),
        ("lost", _lost(told["lost"])),
        ("not judged", f"{_spell(away['from'])} to {_spell(away['to'])}" if away else ""),
        ("learning", "what comes now is declared as normal" if told["is_declared"] else ""),
        (
            "saved",
            saved["trouble"] or (_spell(saved["saved"]) if saved["saved"] else "not yet"),
        ),
        ("store", told["store"]["trouble"] or "ok"),
        ("memory", _memory(told["memory"])),
        (
            "faults",
            ", ".join(f"{part} ({count:,})" for part, count in told["faults"].items()),
        ),
        ("open alerts", _open(told["open_alerts"])),
    ]


def _memory(told: Mapping[str, Any]) -> str:
    text = f"{told['resident_bytes'] >> 20:,} of {told['bound_bytes'] >> 20:,} MiB"
    return f"{text}; given up: {told['given_up']}" if told["given_up"] else text


def _lost(told: Mapping[str, int]) -> str:
    parts = [f"{told[key]:,} {words}" for key, words in LOST.items() if told.get(key)]
    return "; ".join(parts) or "nothing"


def _open(told: Mapping[str, int]) -> Text:
    if not any(told.values()):
        return Text("none", "green")
    parts = [(f"{told[one]} {one}", STYLES[one]) for one in reversed(SEVERITIES) if told.get(one)]
    return Text(", ").join(Text(*one) for one in parts)


def _interface(one: Mapping[str, Any]) -> Text:
    if not one["is_up"]:
        return Text(f"down: {clean(one['trouble'])}", "bold red")
    dropped = f", {one['dropped']:,} dropped" if one["dropped"] else ""
    return shown(f"{counted(one['frames'], 'frame')}{dropped}")


def _learning(one: Mapping[str, Any]) -> str:
    text = f"{counted(one['ready'], 'conversation')} ready, {one['learning']:,} learning"
    left = [
        each["seconds_left"] for each in one["conversations"] if each["seconds_left"] is not None
    ]
    if left:
        text += f" (the next in about {spell_duration(int(min(left)) * SECOND)})"
    if (plant := one["plant"]) is not None and plant["progress"] < 1:
        text += f"; the plant as a whole {int(plant['progress'] * 100)} %"
    return text


def _sink(one: Mapping[str, Any]) -> Text:
    if not one["behind"]:
        return Text("has had everything", "green")
    since = one["failing_since"] or one["waiting_since"]
    words = f"{one['behind']:,} behind" + (f" since {_spell(since)}" if since else "")
    why = f": {clean(one['last_error'])}" if one["failing_since"] else ""
    return Text(words + why, "bold yellow")


def _named(kind: str) -> str:
    return f", {kind}" if kind else ""


def _spell(time: str) -> str:
    moment = moment_of(time)
    times = Times([moment])
    return f"{times.spell(moment)} {times.zone}".strip()
