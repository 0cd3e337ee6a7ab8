"""What the columns of a tick tell of who spoke, when, and what they do."""

import numpy as np

from otids.traffic import ACTIVITIES, REPORT, SECOND, Array, Dictionaries, Tick

SERVER, CLIENT, PUBLISHER = "server", "client", "publisher"
DOINGS = (
    SERVER,
    CLIENT,
    PUBLISHER,
    "client (reads)",
    "client (writes)",
    "client (controls)",
    "client (programs)",
    "client (configures)",
)
"""What an endpoint does in a protocol, in the words of its roles."""

_BY_ACTIVITY = np.array(
    [
        {"read": 3, "write": 4, "control": 5, "program": 6, "configure": 7}.get(activity, 1)
        for activity in ACTIVITIES
    ],
    np.int64,
)


def said(tick: Tick) -> tuple[Array, Array, Array]:
    """Find the distinct symbols of a tick, and when each was said first and last."""
    symbol, time = tick.tables.messages.symbol, tick.tables.messages.time
    size = int(symbol.max()) + 1 if len(symbol) else 0
    latest = np.full(size, -1, np.int64)
    earliest = np.zeros(size, np.int64)
    # Rows stand in order of time, and of equal places the last one written stays.
    latest[symbol] = time
    earliest[symbol[::-1]] = time[::-1]
    symbols = np.flatnonzero(latest >= 0)
    return symbols, earliest[symbols], latest[symbols]


def senders(names: Dictionaries, symbols: Array, conversation: Array) -> Array:
    """Find the endpoints that say symbols."""
    talks = names.conversations
    sender: Array = np.where(
        names.symbols.from_client[symbols], talks.client[conversation], talks.server[conversation]
    ).astype(np.int64)
    return sender


def overheard(tick: Tick) -> tuple[Array, Array]:
    """Find the endpoints that sent frames, decoded or not, and in which second (in ns)."""
    volume, talks = tick.tables.traffic, tick.names.conversations
    said, seconds = volume.conversation, volume.second * SECOND
    client, server = volume.client_frames > 0, volume.server_frames > 0
    if np.count_nonzero(client) + np.count_nonzero(server) == 2 * len(said):
        ids = np.concatenate([talks.client[said], talks.server[said]])
        return ids.astype(np.int64), np.concatenate([seconds, seconds])
    ids = np.concatenate([talks.client[said[client]], talks.server[said[server]]])
    return ids.astype(np.int64), np.concatenate([seconds[client], seconds[server]])


def last_of_each(*columns: Array) -> Array:
    """Find the last row of each distinct combination, in order of rows."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    order = np.lexsort(columns)  # stable: equal rows stay in order
    ends = np.zeros(len(order), np.bool_)
    ends[-1] = True
    for column in columns:
        ends[:-1] |= column[order][1:] != column[order][:-1]
    return np.sort(order[ends])


def doings(names: Dictionaries, symbols: Array, conversation: Array) -> Array:
    """Tell what the senders of symbols do: the protocol's text id << 8 | place in DOINGS."""
    table = names.symbols
    doing: Array = _BY_ACTIVITY[table.activity[symbols]]
    doing[table.role[symbols] == REPORT] = DOINGS.index(PUBLISHER)
    doing[~table.from_client[symbols]] = DOINGS.index(SERVER)
    protocol = names.conversations.protocol[conversation]
    doing |= protocol.astype(np.int64) << 8
    return doing
