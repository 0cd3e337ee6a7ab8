"""Second answers: one request, two answers that differ; one of them is not the device's."""

import numpy as np

from otids.traffic import NOTICE_KINDS, RESPONSE, SECOND, Array, Mask, Tick

_OVERLAP = NOTICE_KINDS.index("overlap-disagrees")
_UNASKED = NOTICE_KINDS.index("unasked-response")
ANOTHER = "the request was answered before, with another answer"
"""How the hot path details an unasked response that contradicts the one before it."""
MOST_EXAMINED = 4_096
"""Notices of a tick that are looked at one by one."""
RECENT = SECOND
"""How long before it the answer came that a second one contradicts, in ns at most."""


def is_second_answer(tick: Tick) -> Mask:
    """Tell which notices of a tick say that a request was answered twice, and differently.

    Either the server's stream has two versions of the same bytes, in a conversation that was
    answered in this tick; or there is an answer more than there were requests.
    """
    notices, names = tick.tables.notices, tick.names
    by_server = names.conversations.server[notices.conversation] == notices.endpoint
    by_server &= notices.endpoint != 0
    found: Mask = by_server & (notices.kind == _OVERLAP)
    if found.any():
        found &= np.isin(notices.conversation, tick.tables.messages.conversation)
    unasked = np.flatnonzero(by_server & (notices.kind == _UNASKED))[:MOST_EXAMINED]
    for row in unasked.tolist():
        found[row] = names.texts.name(int(notices.detail[row])) == ANOTHER
    return found


def answered_before(tick: Tick, notices: Array) -> Array:
    """Rows of the responses that second answers (rows of notices) contradict, where heard."""
    messages, table = tick.tables.messages, tick.tables.notices
    is_response = tick.names.symbols.role[messages.symbol] == RESPONSE
    rows = []
    for row in notices[:MOST_EXAMINED].tolist():
        time = table.time[row]
        near = is_response & (messages.conversation == table.conversation[row])
        near &= (messages.time <= time) & (messages.time > time - RECENT)
        if near.any():
            rows.append(int(np.flatnonzero(near)[-1]))
    return np.unique(np.array(rows, np.int64))
