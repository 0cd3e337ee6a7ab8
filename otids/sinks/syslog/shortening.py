"""Records for transports that carry only so much: each form is shorter, and each a whole record."""

from collections.abc import Iterator, Mapping
from typing import Any

MARK = "shortened"
"""The field that is true in a record that was shortened."""

FEW = 8
MOST_TEXT = 240
SHORT_TEXT = 60
SHORTEST_TEXT = 12


def shortened(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield ever shorter forms of a record, with all of its fields.

    What people can look up by its id goes first: `otids explain` has all of it.
    """
    one = {**record, MARK: True}
    for name in ("members", "points", "frames"):
        one[name] = list(one[name][:FEW])
    yield dict(one)
    one["response"] = {who: [] for who in one["response"]}
    yield dict(one)
    for name in ("explanation", "expected", "observed", "completeness", "function", "capture"):
        one[name] = _cut(one[name], MOST_TEXT)
    yield dict(one)
    one |= {"members": [], "points": [], "attack": [], "frames": one["frames"][:1]}
    yield dict(one)
    one["explanation"] = ""
    for name in ("title", "expected", "observed", "capture", "conversation", "function"):
        one[name] = _cut(one[name], SHORT_TEXT)
    yield dict(one)
    for name in ("completeness", "capture", "conversation", "function", "evidence"):
        one[name] = ""
    yield dict(one)
    one |= {"expected": "", "observed": "", "protocol": "", "source": None, "target": None}
    for name in ("title", "kind", "detector", "sensor"):
        one[name] = _cut(one[name], SHORTEST_TEXT)
    yield one


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
