"""Says in words of what there is far more than ever, and how much is usual."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otids.learning.words import spell_list, spell_message, spell_points
from otids.traffic import Array, ConversationName, Tick, status_name

MINUTE = 60
MOST_SPELLED = 32
"""Distinct messages that are spelled for one finding."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A window that holds too much: what it holds, the most that was learned, and the bound."""

    id: int  # of the conversation, or of one with the service
    count: int  # in this tick
    total: int
    most: int
    limit: int
    seconds: int

    @property
    def span(self) -> str:
        """The length of the window, in words."""
        return {1: "a second", MINUTE: "a minute"}.get(self.seconds, f"{self.seconds} s")

    @property
    def bound(self) -> str:
        """Where too much begins, in words."""
        return f"in {self.span} (learned; told above {self.limit:,})"


def worst_of(which: Sequence[Excess]) -> Excess:
    """The window that exceeds its bound the most."""
    return max(which, key=lambda one: one.total / one.limit)


def spell_excess(
    tick: Tick,
    kind: str,
    rows: Mapping[str, Array],
    which: Sequence[Excess],
) -> dict[str, Any]:
    """What a finding of a kind says, and of whom."""
    worst = worst_of(which)
    name = tick.names.conversation(worst.id)
    span, limit = worst.span, worst.bound
    parts: dict[str, Any] = {"source": name.client, "target": name.server, "conversation": name}
    parts["baseline"] = (f"{kind} of {name}: at most {worst.most:,} in {span}",)
    if kind == "half-open":
        return {**parts, **_half_open(tick, name, rows["connections"], worst)}
    if kind == "broadcast":
        groups = [tick.names.conversation(one.id) for one in which]
        only = len(groups) == 1
        to = spell_list(f"{one.protocol} to {one.server}" for one in groups)
        return {
            **parts,
            "target": name.server if only else None,
            "conversation": name if only else None,
            "expected": f"{name.client} sends at most {worst.most:,} frames of a kind to everybody "
            f"or to a group {limit}",
            "observed": f"{name.client} sends {worst.total:,} in {span}: {to}",
        }
    if kind == "connections":
        return {
            **parts,
            "expected": f"{name.client} opens at most {worst.most:,} connections to {name.server} "
            f"{limit}",
            "observed": f"{name.client} opens {worst.total:,} connections in {span}",
        }
    return {**parts, **_said(tick, kind, rows["messages"], worst)}


def _half_open(tick: Tick, name: ConversationName, rows: Array, worst: Excess) -> dict[str, Any]:
    ids = tick.tables.connections.conversation[rows]
    clients = np.unique(tick.names.conversations.client[ids])
    addresses = sorted(str(tick.names.endpoint(id)) for id in clients.tolist())
    only = len(addresses) == 1
    baseline = f"half-open connections to {name.server}: at most {worst.most:,} in {worst.span}"
    return {
        "source": name.client if only else None,
        "conversation": name if only else None,
        "baseline": (baseline,),
        "expected": f"at most {worst.most:,} connections to port {name.port} of {name.server} are "
        f"begun and not opened {worst.bound}",
        "observed": f"{worst.total:,} are begun and not opened in {worst.seconds} s; those of the "
        f"last second by {addresses[0] if only else f'{len(addresses):,} addresses'}",
    }


def _said(tick: Tick, kind: str, rows: Array, worst: Excess) -> dict[str, Any]:
    name = tick.names.conversation(worst.id)
    said = Counter(tick.tables.messages.symbol[rows].tolist())  # equals in the order of rows
    often = said.most_common(MOST_SPELLED)
    spelled = [tick.names.symbol(id) for id, _ in often]
    words = list(map(spell_message, spelled))
    client, server, most = name.client, name.server, f"at most {worst.most:,} times {worst.bound}"
    parts: dict[str, Any] = {"points": spell_points(spelled)}
    if kind == "exceptions":
        errors = spell_list(status_name(name.protocol, one.status) for one in spelled)
        parts["expected"] = f"{server} refuses the same request of {client} again {most}"
        parts["observed"] = (
            f"{server} refuses again {worst.total:,} times in {worst.span} ({errors}): "
            f"{spell_list(words, '; ', most=3)}"
        )
    elif kind == "writes":
        parts["expected"] = f"{client} writes to {server} {most}"
        parts["observed"] = (
            f"{client} writes {worst.total:,} times in {worst.span}; in the last second "
            f"{spell_list(words, '; ', most=4)}"
        )
    else:
        each = [f"{word} ({number} times)" for word, (_, number) in zip(words, often, strict=True)]
        parts["expected"] = f"{client} repeats a request to {server} within a second {most}"
        parts["observed"] = (
            f"{client} repeats requests {worst.total:,} times in {worst.span}: "
            f"{spell_list(each, '; ', most=3)}"
        )
    return parts
