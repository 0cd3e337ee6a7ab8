"""Alerts as syslog messages (RFC 5424): header, structured data, and the record as JSON or CEF."""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from otids.alerts.wording import clean
from otids.sinks.syslog import cef
from otids.sinks.syslog.shortening import shortened

APPLICATION = "otids"
STRUCTURE = "otids@32473"  # the enterprise number that RFC 5612 sets aside for examples
SEVERITY = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}
"""Severities of alerts as those of syslog (RFC 5424, table 2): critical to informational."""
LEAST_BYTES = 1024
"""So many bytes hold every record in its shortest form."""

MOST_HOSTNAME = 255
MOST_MESSAGE_ID = 32
MOST_VALUE = 100

_UNPRINTABLE = re.compile(r"[^!-~]+")
_FRACTION = re.compile(r"(\.\d{6})\d+")
_ESCAPED = re.compile(r'(["\\\]])')


def spell_json(record: Mapping[str, Any]) -> bytes:
    """Spell a record in ASCII, so that no receiver can mistake its encoding."""
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")


def spell_cef(record: Mapping[str, Any]) -> bytes:
    """Spell a record as CEF, in UTF-8 without a mark: parsers look for "CEF:" at the beginning."""
    return cef.spell(record).encode("utf-8", "replace")


FORMATS: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = {
    "json": spell_json,
    "cef": spell_cef,
}


def compose(
    record: Mapping[str, Any], *, facility: int, body: str = "json", most: int | None = None
) -> bytes:
    """Spell a record as one message of at most `most` bytes; what is too long is shortened.

    The time is that of the last observation, not that of sending. Raises ValueError if even the
    shortest form is too long.
    """
    spell = FORMATS[body]

    def whole(one: Mapping[str, Any]) -> bytes:
        return _header(one, facility) + spell(one)

    message = whole(record)
    if most is None or len(message) <= most:
        return message
    for shorter in shortened(record):
        if len(message := whole(shorter)) <= most:
            return message
    raise ValueError(f"alert {record['id']} does not fit {most} bytes")


def _header(record: Mapping[str, Any], facility: int) -> bytes:
    """PRI to structured data, with the blank that ends them (RFC 5424, section 6)."""
    priority = facility * 8 + SEVERITY.get(record["severity"], SEVERITY["medium"])
    data = {
        "id": record["id"],
        "revision": record["revision"],
        "status": record["status"],
        "kind": record["kind"],
        "severity": record["severity"],
        "source": _address(record.get("source")),
        "target": _address(record.get("target")),
    }
    pairs = "".join(
        f' {name}="{_ESCAPED.sub(_BACKSLASHED, clean(str(value), MOST_VALUE))}"'
        for name, value in data.items()
        if value
    )
    words = (
        f"<{priority}>1",
        _FRACTION.sub(r"\1", record["last_seen"]),
        _word(record["sensor"], MOST_HOSTNAME),
        APPLICATION,
        str(os.getpid()),
        _word(record["kind"], MOST_MESSAGE_ID),
        f"[{STRUCTURE}{pairs}]",
        "",
    )
    return " ".join(words).encode("utf-8", "replace")


_BACKSLASHED = r"\\\1"


def _word(text: str, most: int) -> str:
    """One word of printable ASCII, as header fields are; "-" stands for none."""
    return _UNPRINTABLE.sub("-", text)[:most] or "-"


def _address(party: Mapping[str, str] | None) -> str:
    return party["address"] if party else ""
