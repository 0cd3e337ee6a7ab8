"""`otids baseline`: what was learned as normal, and how far learning is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from otids import compose
from otids.alerts.alert import rfc3339
from otids.cli.alert_view import lines_of
from otids.cli.causes import Names, names_of, spell_cause, spell_conversation
from otids.cli.options import Control, Json, State, examples
from otids.cli.output import SECOND, Times, console, counted, print_json, shown
from otids.cli.state import open_state
from otids.cli.status_view import spell_readiness
from otids.detectors.base import Detector, Readiness
from otids.detectors.novelty import Novelty
from otids.detectors.policy import Policy
from otids.folder import StateFolder
from otids.learning.plant.accepted import CONVERSATION_PARTS, unflat
from otids.learning.plant.plant import Acquaintance, plain
from otids.learning.plant.vocabulary import LEVELS
from otids.traffic import ConversationName

SHOW_EXAMPLES = examples(
    "otids baseline show",
    "otids baseline show --conversation 10.20.1.11",
    "otids baseline show --json | jq 'select(.readiness.novelty.progress < 1)'",
)
DIFF_EXAMPLES = examples("otids baseline diff /var/lib/otids.before /var/lib/otids")

Learned: TypeAlias = dict[ConversationName, Acquaintance]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Show what was learned as normal, and compare two states.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("diff", epilog=DIFF_EXAMPLES)(diff)
    app.add_typer(group, name="baseline")


def show(
    state: State = None,
    control: Control = None,
    conversation: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Only conversations whose line contains this: an address, a name, a protocol.",
            show_default=False,
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Show, for each conversation, what was ever said in it, and how far learning is."""
    with open_state(state, control=control) as folder:
        detectors = compose.detectors_of(folder, compose.rules_of(folder))
        names = names_of(folder.store.assets())
    readiness = _readiness(detectors)
    accepted = _accepted(detectors, names)
    learned = {
        name: one
        for name, one in _learned(detectors).items()
        if conversation.casefold() in spell_conversation(name, names).casefold()
    }
    if json:
        print_json(
            _record(name, one, readiness.get(name, {}), accepted.get(name, []))
            for name, one in learned.items()
        )
        return
    out = console()
    times = Times(moment for one in learned.values() for moment in (one.first, one.last))
    out.print(Text(f"{counted(len(learned), 'conversation')} ({times.note})", "bold"))
    _print_whole(out, readiness.get(None, {}))
    for name, one in learned.items():
        out.print()
        out.print(shown(spell_conversation(name, names), "bold"))
        lines = _describe(name, one, readiness.get(name, {}), times)
        out.print(lines_of("", [*lines, *(f"accepted: {line}" for line in accepted.get(name, []))]))
    if (others := accepted.get(None)) and not conversation:
        out.print()
        out.print(lines_of("Accepted beside these", others))


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A state folder.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another state folder.")],
    json: Json = False,
) -> None:
    """Show what one state folder knows as normal and the other does not."""
    old, new = _known(before), _known(after)
    rows = [
        {"conversation": title, "change": sign, "what": line}
        for title in sorted(old.keys() | new.keys())
        for sign, lines in (
            ("gone", [one for one in old.get(title, []) if one not in new.get(title, [])]),
            ("new", [one for one in new.get(title, []) if one not in old.get(title, [])]),
        )
        for line in lines
    ]
    if json:
        print_json(rows)
        return
    out = console()
    title = ""
    for row in rows:
        if row["conversation"] != title:
            title = row["conversation"]
            out.print(shown(title, "bold"))
        sign, style = ("+", "green") if row["change"] == "new" else ("-", "red")
        out.print(shown(f"  {sign} {row['what']}", style))
    if not rows:
        out.print("Both know the same.")


def _known(path: Path) -> dict[str, list[str]]:
    """What a folder knows: lines by conversation; "devices" are one of these."""
    with StateFolder(path) as folder:
        detectors = compose.detectors_of(folder, compose.rules_of(folder))
    accepted = _accepted(detectors, {})
    known = {
        spell_conversation(name, {}): [
            "is known",
            *one.vocabulary.describe(name.protocol),
            *(f"accepted: {line}" for line in accepted.get(name, [])),
        ]
        for name, one in _learned(detectors).items()
    }
    known["accepted beside these"] = accepted.get(None, [])
    for detector in detectors:
        if isinstance(detector, Novelty):
            known["devices"] = sorted(map(str, detector.memory.plant.endpoints))
    return known


def _learned(detectors: Sequence[Detector]) -> Learned:
    """Conversations with their vocabularies, in order of their names."""
    for detector in detectors:
        if isinstance(detector, Novelty):
            return dict(detector.memory.acquaintances())
    return {}


def _accepted(
    detectors: Sequence[Detector], names: Names
) -> dict[ConversationName | None, list[str]]:
    """What people accepted, in words, by conversation; None for what is not about a known one."""
    learned = _learned(detectors)
    found: dict[ConversationName | None, list[str]] = {}
    for detector in detectors:
        if isinstance(detector, Novelty):
            for key in detector.memory.accepted:
                name = plain(unflat(key[1:])) if key[0] == "conversation" else None
                if key[0] in LEVELS:
                    name = plain(unflat(key[1 : CONVERSATION_PARTS + 1]))
                line = spell_cause((detector.name, *key), names)
                found.setdefault(name if name in learned else None, []).append(line)
        elif isinstance(detector, Policy):
            lines = (spell_cause(tuple(cause), names) for cause in detector.state()["accepted"])
            found.setdefault(None, []).extend(lines)
    return found


def _readiness(
    detectors: Sequence[Detector],
) -> dict[ConversationName | None, dict[str, Readiness]]:
    """How far each detector is, by conversation; None stands for the plant as a whole."""
    found: dict[ConversationName | None, dict[str, Readiness]] = {}
    for detector in detectors:
        for one in detector.readiness():
            found.setdefault(one.conversation, {})[detector.name] = one
    return found


def _print_whole(out: Console, readiness: Mapping[str, Readiness]) -> None:
    for detector, one in readiness.items():
        out.print(shown(f"new devices and conversations ({detector}): {spell_readiness(one)}"))


def _describe(
    name: ConversationName, one: Acquaintance, readiness: Mapping[str, Readiness], times: Times
) -> list[str]:
    """What was learned of a conversation, a line each."""
    heard = f"{counted(one.messages, 'message')} learned"
    if one.messages:
        heard += f", {times.spell(one.first)} to {times.spell(one.last)}"
    ready = [f"{detector}: {spell_readiness(how)}" for detector, how in readiness.items()]
    said = one.vocabulary.describe(name.protocol) if one.messages else []
    return [heard, *ready, *said]


def _record(
    name: ConversationName,
    one: Acquaintance,
    readiness: Mapping[str, Readiness],
    accepted: Sequence[str],
) -> dict[str, Any]:
    """The public JSON record of a conversation's baseline."""
    return {
        "client": {"address": name.client.address, "vlan": name.client.vlan},
        "server": {"address": name.server.address, "vlan": name.server.vlan},
        "protocol": name.protocol,
        "carrier": name.carrier,
        "port": name.port,
        "messages": one.messages,
        "first_seen": rfc3339(one.first * SECOND),
        "last_seen": rfc3339(one.last * SECOND),
        "readiness": {
            detector: {"progress": round(how.progress, 4), "seconds_left": how.seconds_left}
            for detector, how in readiness.items()
        },
        "said": one.vocabulary.describe(name.protocol),
        "accepted": list(accepted),
    }
