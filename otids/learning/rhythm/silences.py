"""Puts together what fell silent together: symbols, a unit, a conversation, a client, a server."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from otids.learning.ledger import Ledger
from otids.learning.rhythm.pace_tables import Hush
from otids.learning.rhythm.paces import Paces
from otids.learning.rhythm.rhythm import LONG_AGO, NEVER
from otids.traffic import Array, ConversationName, Mask, SymbolName

MOST_NAMED = 64
MOST_FRAMES = 32
LIKELY = 0.6
"""Share of its limit after which a neighbour of what is silent counts as silent too."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What is silent. `level`: symbol, unit, conversation, client or server."""

    level: str
    conversations: tuple[ConversationName, ...]
    symbols: tuple[SymbolName, ...]
    periods: tuple[int, ...]  # of `symbols`, ns
    longest: int  # pause that was learned, ns
    overdue: int  # when it was, ns
    since: int  # for how long it was not heard at that moment, ns
    frames: tuple[int, ...]  # the last that was heard
    is_whole: bool  # conversations as such are silent, not symbols in them
    is_closed: bool  # learning was declared
    tries: bool  # the client tries to connect


def silences(paces: Paces, hush: Hush, now: int) -> Iterable[Silence]:
    """What was overdue at `now` (ns), put together."""
    yield from _conversations(paces, hush, now)
    yield from _symbols(paces, hush, now)


def _conversations(paces: Paces, hush: Hush, now: int) -> Iterable[Silence]:
    if not len(hush.conversations):
        return
    table = paces.conversations
    running, silent = _fellows(paces, now)
    late = set(hush.conversations.tolist())
    quiet = {
        row for row, is_silent in zip(running.tolist(), silent.tolist(), strict=True) if is_silent
    } | late
    by: dict[tuple[str, object], set[int]] = {}
    for row in running.tolist():
        name = table.name(row)
        by.setdefault(("client", name.client), set()).add(row)
        by.setdefault(("server", name.server), set()).add(row)
    left = sorted(late, key=table.name)
    done: set[int] = set()
    for row in left:
        if row in done:
            continue
        name = table.name(row)
        for level in ("client", "server"):
            group = by.get((level, getattr(name, level)), {row})
            if len(group) > 1 and group <= quiet:
                done |= group
                hush.conversations = np.union1d(hush.conversations, np.array(sorted(group)))
                yield _whole(paces, level, row, sorted(group, key=table.name))
                break
        else:
            done.add(row)
            yield _whole(paces, "conversation", row, [row])


def _whole(paces: Paces, level: str, first: int, rows: list[int]) -> Silence:
    table, symbols = paces.conversations, paces.symbols
    among = np.zeros(table.size, np.bool_)
    among[rows] = True
    members = (among[paces.home] & (symbols["limit"] < NEVER)).nonzero()[0]
    members = np.array(sorted(members.tolist(), key=symbols.name)[:MOST_NAMED], np.int64)
    deadline = int(table["deadline"][first])
    frames = sorted(set(symbols["frame"][members].tolist()))[-MOST_FRAMES:]
    others = [row for row in rows if row != first]
    return Silence(
        level,
        tuple(table.name(row) for row in [first, *others]),
        tuple(symbols.name(row) for row in members.tolist()),
        tuple(symbols["period"][members].tolist()),
        int(max(table["longest"][rows].max(), symbols["alone"][members].max(initial=0))),
        deadline,
        deadline - int(table["last"][first]),
        tuple(frames),
        is_whole=True,
        is_closed=bool(table["closed"][rows].all()),
        tries=bool(table["attempt"][first] > table["last"][first]),
    )


def _symbols(paces: Paces, hush: Hush, now: int) -> Iterable[Silence]:
    if not len(hush.symbols):
        return
    homes = paces.home[hush.symbols]
    rows, silent = _neighbours(paces, np.unique(homes), now)
    running: dict[int, list[tuple[int, bool]]] = {}
    for row, is_silent in zip(rows.tolist(), silent.tolist(), strict=True):
        running.setdefault(int(paces.home[row]), []).append((row, is_silent))
    late: dict[int, set[int]] = {}
    for row, home in zip(hush.symbols.tolist(), homes.tolist(), strict=True):
        late.setdefault(home, set()).add(row)
    told = [
        _part(paces, late[home], running.get(home, []))
        for home in sorted(late, key=paces.conversations.name)
    ]
    covered = [row for rows, _ in told for row in rows]
    hush.symbols = np.union1d(hush.symbols, np.array(covered, np.int64))
    yield from (one for _, one in told)


def _part(
    paces: Paces, late: set[int], running: list[tuple[int, bool]]
) -> tuple[list[int], Silence]:
    """The one finding about symbols of a conversation: which rows it covers, and what it says."""
    table = paces.symbols
    units = {table.name(row).unit for row in late}
    near = [(row, is_silent) for row, is_silent in running if table.name(row).unit in units]
    covered = sorted(late | {row for row, is_silent in near if is_silent}, key=table.name)
    if len(covered) == 1:
        level = "symbol"
    elif len(units) == 1:
        level = "unit"
    else:
        level = "conversation"
    first = min(late, key=lambda row: (int(table["deadline"][row]), table.name(row)))
    rows = np.array(covered[:MOST_NAMED], np.int64)
    deadline = int(table["deadline"][first])
    frames = sorted({int(frame) for frame in table["frame"][rows].tolist()})[-MOST_FRAMES:]
    return covered, Silence(
        level,
        (table.name(first).conversation,),
        tuple(table.name(row) for row in rows.tolist()),
        tuple(table["period"][rows].tolist()),
        int(table["alone"][rows].max()),
        deadline,
        deadline - int(table["last"][first]),
        tuple(frames),
        is_whole=False,
        is_closed=bool((table["closed"][rows] > 0).all()),
        tries=False,
    )


def _neighbours(paces: Paces, conversations: Array, now: int) -> tuple[Array, Mask]:
    """Cyclic symbols (rows) of conversations that run or ran, and which are silent as well."""
    table = paces.symbols
    among = np.zeros(paces.conversations.size, np.bool_)
    among[conversations] = True
    return _running(table, among[paces.home], now)


def _fellows(paces: Paces, now: int) -> tuple[Array, Mask]:
    """Conversations (rows) that run or ran, and which are silent."""
    table = paces.conversations
    return _running(table, np.ones(table.size, np.bool_), now)


def _running(table: Ledger, among: Mask, now: int) -> tuple[Array, Mask]:
    rows = ((table["limit"] < NEVER) & (table["last"] > LONG_AGO) & among).nonzero()[0]
    since = now - table["last"][rows]
    return rows, (table["told"][rows] > 0) | (since >= LIKELY * table["limit"][rows])
