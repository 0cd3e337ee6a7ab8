"""Alerts for people: a block per alert, the most severe first."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from otids.alerts.alert import SEVERITIES
from otids.alerts.completeness import WHOLE
from otids.cli.output import STYLES, Times, badge, counted, moment_of, shown

Record: TypeAlias = Mapping[str, Any]

SHORTEST_ID = 4
SEPARATOR = " · "


def by_gravity(records: Sequence[Record]) -> list[Record]:
    """Order alerts: the most severe first, then by time."""
    return sorted(
        records,
        key=lambda one: (-SEVERITIES.index(one["severity"]), one["first_seen"], one["id"]),
    )


def short_ids(ids: Collection[str]) -> dict[str, str]:
    """The shortest beginnings, of at least four digits, that tell ids apart."""
    ordered = sorted(ids)
    short = {}
    for place, id in enumerate(ordered):
        around = ordered[max(place - 1, 0) : place] + ordered[place + 1 : place + 2]
        shared = max((_shared(id, other) for other in around), default=0)
        short[id] = id[: max(SHORTEST_ID, shared + 1)]
    return short


def _shared(one: str, other: str) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def print_alerts(
    console: Console, records: Sequence[Record], accepted: Collection[str] = ()
) -> None:
    """Print alerts; of those in `accepted` it is said that a person accepted them.

    Alerts of one incident stand together, in the order in which they happened.
    """
    short = short_ids([one["id"] for one in records])
    times = Times(moment_of(one["first_seen"]) for one in records)
    console.print(Text(f"Alerts ({times.note})", "bold"))
    for group in by_incident(records):
        if len(group) > 1:
            console.print()
            console.print(_incident_line(group, short, times))
        for record in group:
            console.print()
            console.print(_block(record, short[record["id"]], times, record["id"] in accepted))


def by_incident(records: Sequence[Record]) -> list[list[Record]]:
    """Group alerts by incident: that with the most severe alert first, each in order of time."""
    groups: dict[str, list[Record]] = {}
    for record in by_gravity(records):
        groups.setdefault(record.get("incident") or record["id"], []).append(record)
    return [
        sorted(group, key=lambda one: (one["first_seen"], one["id"])) for group in groups.values()
    ]


def _incident_line(group: Sequence[Record], short: Mapping[str, str], times: Times) -> Text:
    name = group[0]["incident"]
    first = times.spell(moment_of(group[0]["first_seen"]))
    last = times.spell(max(moment_of(one["last_seen"]) for one in group))
    return Text.assemble(
        (f"Incident {short.get(name, name[:SHORTEST_ID])}", "bold"),
        f": {counted(len(group), 'alert')}, {first} to {last}, in order of time",
    )


def _block(record: Record, id: str, times: Times, is_accepted: bool) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(min_width=10)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(badge(record["severity"]), shown(record["title"], "bold"))
    grid.add_row(Text(id, "bold cyan"), _where(record, times))
    grid.add_row(Text("expected", "dim"), shown(record["expected"]))
    grid.add_row(Text("observed", "dim"), shown(record["observed"]))
    for one in record.get("corroboration", ()):
        if record["detector"] != "agreement":
            grid.add_row(Text("also", "dim"), shown(f"{one['observed']} ({one['detector']})"))
    grid.add_row("", _small_print(record, is_accepted))
    return grid


def _where(record: Record, times: Times) -> Text:
    first = times.spell(moment_of(record["first_seen"]))
    return Text.assemble(f"{first}  ", shown(spell_parties(record)))


def spell_parties(record: Record) -> str:
    """Who did it to whom."""
    parties = [spell_party(record[key]) for key in ("source", "target") if record[key]]
    return " → ".join(parties) or "no device in particular"


def spell_party(party: Mapping[str, str]) -> str:
    """Name a device."""
    return f"{party['asset']} ({party['address']})" if party["asset"] else party["address"]


def _small_print(record: Record, is_accepted: bool) -> Text:
    techniques = " ".join(dict.fromkeys(one["id"] for one in record["attack"]))
    frames = record["frames"]
    parts = [
        "accepted" if is_accepted else "",
        "once" if record["count"] == 1 else f"{record['count']:,} times",
        f"first in frame {frames[0]}" if frames else "no frame",
        f"ATT&CK {techniques}" if techniques else "",
        record["kind"],
        "" if record["completeness"] == WHOLE else record["completeness"],
    ]
    return shown(SEPARATOR.join(part for part in parts if part), "dim")


def tally(records: Sequence[Record]) -> Text:
    """How many alerts there are of each severity."""
    counts = Counter(one["severity"] for one in records)
    if not counts:
        return Text("none", "green")
    text = Text(f"{counted(len(records), 'alert')}: ")
    present = [one for one in reversed(SEVERITIES) if counts[one]]
    for place, severity in enumerate(present):
        text.append(", " if place else "")
        text.append(f"{counts[severity]} {severity}", STYLES[severity])
    return text


def lines_of(title: str, lines: Sequence[str], *, numbered: bool = False) -> RenderableType:
    """A heading with lines below it, wrapped with their own indent."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", min_width=3)
    grid.add_column(ratio=1, overflow="fold")
    for number, line in enumerate(lines, 1):
        grid.add_row(Text(f"{number}." if numbered else "-", "dim"), shown(line))
    return Group(Text(title, "bold"), grid) if title else grid
