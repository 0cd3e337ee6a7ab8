"""Assets for people: a row or a block per device."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from otids.cli.output import Times, counted, labelled, moment_of, shown

Record: TypeAlias = Mapping[str, Any]

UNBROKEN = {"address", "MAC"}
MOST_ROWS = 100
"""Rows of the table; the rest is told by `otids assets`."""
WIDE = 24
"""Addresses longer than this (IPv6) may be broken."""


def print_asset_table(console: Console, records: Sequence[Record]) -> None:
    """Print a row per device."""
    rows = [_row(record) for record in records[:MOST_ROWS]]
    if not any(record["name"] for record in records):
        for row in rows:
            del row["name"]
    console.print(Text(counted(len(records), "device"), "bold"))
    if not rows:
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="dim")
    for title in rows[0]:
        longest = max(len(row[title]) for row in rows)
        table.add_column(title, overflow="fold", no_wrap=title in UNBROKEN and longest <= WIDE)
    for row in rows:
        table.add_row(*map(shown, row.values()))
    console.print(table)
    if len(records) > MOST_ROWS:
        console.print(Text(f"and {len(records) - MOST_ROWS:,} more (otids assets)", "dim"))


def _row(record: Record) -> dict[str, str]:
    used = [mac for mac in record["macs"] if not mac["told"]] or record["macs"]
    return {
        "name": record["name"] or "(not in the asset list)",
        "address": spell_address(record),
        "MAC": used[0]["address"] if used else "",
        "vendor": used[0]["vendor"] if used else "",
        "roles": spell_roles(record),
    }


def print_assets(console: Console, records: Sequence[Record]) -> None:
    """Print all that is known of each device."""
    times = Times(moment_of(one[key]) for one in records for key in ("first_seen", "last_seen"))
    console.print(Text(f"{counted(len(records), 'device')} ({times.note})", "bold"))
    for record in records:
        console.print()
        console.print(shown(f"{record['name']}  {spell_address(record)}".strip(), "bold"))
        console.print(labelled(_rows(record, times)))


def _rows(record: Record, times: Times) -> list[tuple[str, str]]:
    first, last = (times.spell(moment_of(record[key])) for key in ("first_seen", "last_seen"))
    rows = [("roles", spell_roles(record)), ("zone", record["zone"])]
    rows += list(record["labels"].items())
    for mac in record["macs"]:
        told = ", told by ARP only" if mac["told"] else ""
        rows.append(("MAC", f"{mac['address']} {mac['vendor']}".strip() + told))
    said = "; ".join(f"{fact['key']}: {fact['value']}" for fact in record["facts"])
    return [*rows, ("says", said), ("seen", f"{first} to {last}"), ("note", record["note"])]


def spell_address(record: Record) -> str:
    """An address with its VLAN."""
    outer, inner = divmod(record["vlan"], 4096)
    vlan = f" (VLAN {f'{outer}.' if outer else ''}{inner})" if record["vlan"] else ""
    return f"{record['address']}{vlan}"


def spell_roles(record: Record) -> str:
    """What people say that a device is, and what it was heard doing: "PLC; modbus server"."""
    doing: dict[str, list[str]] = {}
    for role in record["roles"]:
        what, _, how = role.partition(" (")
        doing.setdefault(what, []).extend([how.removesuffix(")")] if how else [])
    heard = (f"{what} ({', '.join(how)})" if how else what for what, how in doing.items())
    return "; ".join(filter(None, [record["role"], *heard]))
