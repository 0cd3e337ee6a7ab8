"""`otids explain`: everything about one alert."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from otids import compose
from otids.alerts.dissect import Dissection, dissect
from otids.alerts.wording import spell_frames, spell_points
from otids.cli.alert_view import lines_of, spell_party
from otids.cli.causes import names_of, spell_cause
from otids.cli.options import AlertId, Control, Json, State, examples
from otids.cli.output import (
    SECOND,
    Times,
    badge,
    console,
    labelled,
    moment_of,
    print_json,
    shown,
)
from otids.cli.state import open_state
from otids.folder import StateFolder
from otids.store import Decision, StoredAlert

EXAMPLES = examples(
    "otids explain 3f2a",
    "otids explain 3f2a --all-frames",
    "otids explain 3f2a --replay",
    "otids explain 3f2a --json | jq .response.ot",
)

FRAMES_SHOWN = 3
SELF_EVIDENT = frozenset({"novelty", "policy"})
"""Detectors whose verdicts rest on single messages, not on what came before."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=EXAMPLES)(explain)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What came of judging the evidence again."""

    is_same: bool
    words: str


def explain(
    alert: AlertId,
    *,
    state: State = None,
    control: Control = None,
    all_frames: Annotated[
        bool, typer.Option("--all-frames", help="Show all frames of the evidence, not the first.")
    ] = False,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Judge the evidence again, and say if the same comes out."),
    ] = False,
    json: Json = False,
) -> None:
    """Show everything about one alert: what happened, why it matters, what to do, and the frames.

    Frames are shown as Wireshark dissects them, if tshark is installed.
    """
    with open_state(state, control=control) as folder:
        found = folder.store.alert(alert)
        evidence = _evidence_of(folder, found.record)
        decisions = [one for one in folder.store.decisions() if one.alert == found.record["id"]]
        names = names_of(folder.store.assets())
        dissection = _dissect(found.record, evidence, all_frames=all_frames)
        verdict = _judge_again(folder, found, evidence) if replay else None
        where = folder.where(evidence) if evidence else ""
    accepts = [spell_cause(cause, names) for cause in found.causes]
    if json:
        print_json([_record(found, where, dissection, verdict, accepts)])
        return
    out = console()
    _print_head(out, found.record, decisions)
    _print_story(out, found)
    _print_steps(out, found.record)
    out.print(lines_of("Accepting it would make normal", accepts))
    out.print()
    _print_frames(out, dissection, all_frames=all_frames)
    label = Text("Evidence  ", "bold")
    path = where or "none was kept"
    out.print(Text.assemble(label, path), soft_wrap=True)
    if verdict is not None:
        style = "green" if verdict.is_same else "yellow"
        out.print(Text.assemble(("Replayed  ", "bold"), (verdict.words, style)))


# --- what is shown -------------------------------------------------------------------------------


def _print_head(out: Console, record: Mapping[str, Any], decisions: Sequence[Decision]) -> None:
    times = Times([moment_of(record["first_seen"]), moment_of(record["last_seen"])])
    first, last = (
        times.spell(moment_of(record[key]), digits=3) for key in ("first_seen", "last_seen")
    )
    out.print(Text.assemble(badge(record["severity"]), "  ", shown(record["title"], "bold")))
    techniques = [f"{one['id']} {one['name']} ({one['tactic']})" for one in record["attack"]]
    rows = [
        ("who", spell_party(record["source"]) if record["source"] else ""),
        ("to whom", spell_party(record["target"]) if record["target"] else ""),
        ("when", f"{first if first == last else f'{first} to {last}'} {times.zone}"),
        ("count", f"{record['count']:,}"),
        ("capture", record["capture"]),
        ("frames", spell_frames(record["frames"], record["frame_count"])),
        ("conversation", record["conversation"]),
        ("function", record["function"]),
        ("points", spell_points(record["points"])),
        *(("ATT&CK" if not place else "", one) for place, one in enumerate(techniques)),
        ("completeness", record["completeness"]),
        ("detector", f"{record['detector']}, score {record['score']:.2f}"),
        ("sensor", record["sensor"]),
        ("incident", _spell_incident(record)),
        ("alert", f"{record['id']}, {record['kind']}, {record['status']}"),
    ]
    for one in decisions:
        words = f"accepted by {one.who}, decision {one.number}"
        words += f"; taken back by {one.undone_by}" if one.undone_at is not None else ""
        rows.append(("decided", words))
    out.print(labelled(rows))
    out.print()


def _print_story(out: Console, found: StoredAlert) -> None:
    record = found.record
    for title, key in (("Expected", "expected"), ("Observed", "observed")):
        out.print(Text(title, "bold"))
        out.print(shown(f"{record[key]}"))
    if len(record["members"]) > 1:
        out.print(lines_of("", record["members"]))
    if record.get("corroboration"):
        out.print()
        out.print(
            lines_of("What each detector says of it", [*map(_spell_voice, record["corroboration"])])
        )
    out.print()
    out.print(Text("Why it matters", "bold"))
    out.print(shown(record["explanation"]))
    out.print()
    if found.baseline:
        out.print(lines_of("What is normal here", found.baseline))
        out.print()


def _spell_incident(record: Mapping[str, Any]) -> str:
    """Name the incident, if it is not this alert that it began with."""
    incident = record.get("incident", record["id"])
    return "" if incident == record["id"] else f"began with alert {incident}"


def _spell_voice(one: Mapping[str, str]) -> str:
    return f"{one['detector']}: {one['observed']} (expected: {one['expected']})"


def _print_steps(out: Console, record: Mapping[str, Any]) -> None:
    titles = {"it": "What to do: security (IT)", "ot": "What to do: operations (OT)"}
    for who, title in titles.items():
        if record["response"].get(who):
            out.print(lines_of(title, record["response"][who], numbered=True))
            out.print()


def _print_frames(out: Console, dissection: Dissection, *, all_frames: bool) -> None:
    out.print(Text("Frames, as Wireshark shows them", "bold"))
    for note in (dissection.missing, dissection.note):
        if note:
            out.print(shown(note, "yellow"))
    times = Times(frame.time / SECOND for frame in dissection.frames)
    frames = dissection.frames if all_frames else dissection.frames[:FRAMES_SHOWN]
    for frame in frames:
        when = times.spell(frame.time / SECOND, digits=6)
        out.print(Text.assemble((f"frame {frame.number}  ", "bold cyan"), (when, "dim")))
        out.print(shown(f"  {frame.summary}"))
        for layer in frame.layers:
            for line in layer.lines:
                out.print(shown(f"    {line}", "dim"))
    more = len(dissection.frames) - len(frames)
    if more:
        out.print(Text(f"and {more} more; --all-frames shows them", "dim"))
    out.print()


def _record(
    found: StoredAlert,
    where: str,
    dissection: Dissection,
    verdict: _Verdict | None,
    accepts: Sequence[str],
) -> dict[str, Any]:
    """The alert's record, and what explains it."""
    return {
        **found.record,
        "baseline": list(found.baseline),
        "accepting": list(accepts),
        "evidence_path": where,
        "dissection": {
            "missing": dissection.missing,
            "note": dissection.note,
            "frames": [
                {
                    "number": frame.number,
                    "time": frame.time,
                    "summary": frame.summary,
                    "layers": [
                        {"name": layer.name, "lines": list(layer.lines)} for layer in frame.layers
                    ],
                }
                for frame in dissection.frames
            ],
        },
        "replayed": None if verdict is None else {"same": verdict.is_same, "words": verdict.words},
    }


# --- where it comes from -------------------------------------------------------------------------


def _evidence_of(folder: StateFolder, record: Mapping[str, Any]) -> Path | None:
    """The file that holds the frames of an alert, if it was kept."""
    path = folder.evidence.path / (record["evidence"] or f"{record['id']}.pcapng")
    return path if path.is_file() else None


def _dissect(record: Mapping[str, Any], evidence: Path | None, *, all_frames: bool) -> Dissection:
    if evidence is None:
        return Dissection(note="no evidence was kept of this alert")
    frames = () if all_frames else record["frames"][:FRAMES_SHOWN]
    port = record["conversation"].rpartition("/")[2]
    return dissect(
        evidence,
        frames,
        protocol=record["protocol"],
        port=int(port) if port.isdecimal() else 0,
    )


def _judge_again(folder: StateFolder, found: StoredAlert, evidence: Path | None) -> _Verdict:
    """Judge the evidence in a throw-away folder, with what `folder` has learned."""
    if evidence is None:
        return _Verdict(is_same=False, words="there is no evidence to judge again")
    with tempfile.TemporaryDirectory(prefix="otids-explain-") as scratch:
        told = compose.judge_again(folder, evidence, Path(scratch))
    kind = found.record["kind"]
    if any(one.kind == kind and one.cause == found.cause for one in told):
        return _Verdict(is_same=True, words="the evidence gives the same verdict again")
    standing = [
        one
        for one in folder.store.decisions()
        if one.undone_at is None and set(one.causes) & set(found.causes)
    ]
    if not standing and _rests_on_more(found.record):
        words = (
            "the evidence alone cannot give this verdict: it rests on more traffic than the "
            f"evidence holds; judge the whole capture for that ({found.record['capture']})"
        )
        return _Verdict(is_same=False, words=words)
    others = ", ".join(sorted({one.kind for one in told}))
    words = f"the evidence gives another verdict: {others or 'nothing is told'}"
    if standing:
        words += f" (accepted by decision {standing[0].number})"
    return _Verdict(is_same=False, words=words)


def _rests_on_more(record: Mapping[str, Any]) -> bool:
    """Whether a verdict rests on when, how often or after what something came, or on many frames.

    Only what a message says by itself (that it is new, or breaks a rule) comes out of its own
    frames for certain.
    """
    is_plain = record["detector"] in SELF_EVIDENT
    return not is_plain or record["frame_count"] > len(record["frames"])
