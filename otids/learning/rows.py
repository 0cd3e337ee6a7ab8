"""Finds the rows of a tick that belong to something."""

from collections.abc import Iterable, Mapping

import numpy as np

from otids.traffic import Array, Tick

CONVERSING = ("messages", "connections", "traffic")
"""The tables with a column `conversation` in which somebody talks."""


def in_order(column: Array) -> list[int]:
    """Distinct ids of a column, in the order of their first rows."""
    ids, first = np.unique(column, return_index=True)
    ordered: list[int] = ids[np.argsort(first)].tolist()
    return ordered


def rows_by(column: Array, rows: Array) -> dict[int, Array]:
    """Group ascending row numbers by the id that stands in them, in order of their first rows."""
    if not len(rows):
        return {}
    ids = column[rows]
    order = np.argsort(ids, kind="stable")
    distinct, starts = np.unique(ids[order], return_index=True)
    groups = zip(distinct.tolist(), np.split(rows[order], starts[1:]), strict=True)
    return dict(sorted(groups, key=lambda group: int(group[1][0])))


def rows_of(tick: Tick, conversations: Iterable[int]) -> dict[int, dict[str, Array]]:
    """All rows of some conversations, by conversation and table."""
    wanted = np.array(list(conversations), np.uint32)
    found: dict[int, dict[str, Array]] = {id: {} for id in wanted.tolist()}
    for table in CONVERSING:
        column = getattr(tick.tables, table).conversation
        for id, rows in rows_by(column, np.flatnonzero(np.isin(column, wanted))).items():
            found[id][table] = rows
    return found


def rows_of_symbols(tick: Tick, symbols: Iterable[int], among: Array | None = None) -> Array:
    """The rows of messages (or of some of them) that are one of `symbols`, ascending."""
    column = tick.tables.messages.symbol
    rows = np.arange(len(column)) if among is None else among
    found: Array = rows[np.isin(column[rows], list(symbols))]
    return found


def joined(parts: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """Rows by table of several things, each once and ascending."""
    tables: dict[str, list[Array]] = {}
    for part in parts:
        for table, rows in part.items():
            if len(rows):
                tables.setdefault(table, []).append(rows)
    return {table: np.unique(np.concatenate(rows)) for table, rows in tables.items()}
