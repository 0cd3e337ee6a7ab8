"""Alerts in the Common Event Format of ArcSight, version 0, for SIEMs that map it by themselves."""

import ipaddress
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from otids.alerts.wording import clean

SEVERITY = {"info": 1, "low": 3, "medium": 5, "high": 8, "critical": 10}

MOST_NAME = 512
MOST_MESSAGE = 1023
MOST_STRING = 4000
MOST_APPLICATION = 31
MOST_HOST = 1023


def spell(record: Mapping[str, Any]) -> str:
    """Spell an alert record as one line."""
    head = (
        "otids",
        "otids",
        _version(),
        record["kind"],
        clean(record["title"], MOST_NAME),
        str(SEVERITY.get(record["severity"], 5)),
    )
    pairs = " ".join(f"{key}={_escape_value(value)}" for key, value in _extension(record) if value)
    return f"CEF:0|{'|'.join(map(_escape_header, head))}|{pairs}"


def _extension(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of CEF's dictionary with what fits them; custom ones with their labels."""
    yield "rt", _milliseconds(record["last_seen"])
    yield "start", _milliseconds(record["first_seen"])
    yield "end", _milliseconds(record["last_seen"])
    yield "externalId", str(record["id"])
    yield "cat", str(record["kind"])
    yield "cnt", str(record["count"])
    yield "dvchost", clean(record["sensor"], MOST_HOST)
    yield "app", clean(record["protocol"], MOST_APPLICATION)
    yield from _party(record["source"], "s", "src", "c6a2", "Source IPv6 Address")
    yield from _party(record["target"], "d", "dst", "c6a3", "Destination IPv6 Address")
    yield "msg", clean(record["explanation"], MOST_MESSAGE)
    for key, label, text in (
        ("cs1", "expected", record["expected"]),
        ("cs2", "observed", record["observed"]),
        ("cs3", "conversation", record["conversation"]),
        ("cs4", "function", record["function"]),
        ("cs5", "attack", ",".join(one["id"] for one in record["attack"])),
        ("cs6", "completeness", record["completeness"]),
        ("flexString1", "status", record["status"]),
        ("flexString2", "evidence", record["evidence"]),
        ("cn1", "revision", str(record["revision"])),
        ("cfp1", "score", str(record["score"])),
    ):
        if text:
            yield f"{key}Label", label
            yield key, clean(text, MOST_STRING)


def _party(
    party: Mapping[str, str] | None, letter: str, ipv4: str, ipv6: str, label: str
) -> Iterator[tuple[str, str]]:
    if party is None:
        return
    yield f"{letter}mac", clean(party["mac"])
    yield f"{letter}host", clean(party["asset"], MOST_HOST)
    try:
        version = ipaddress.ip_address(party["address"]).version
    except ValueError:  # a device without IP is named by its MAC
        return
    if version == 6:  # noqa: PLR2004 Internet protocols
        yield f"{ipv6}Label", label
    yield ipv4 if version == 4 else ipv6, party["address"]  # noqa: PLR2004 as above


def _milliseconds(time: str) -> str:
    """A time of a record (RFC 3339, UTC, nine digits) in milliseconds since the epoch."""
    whole, _, digits = time.removesuffix("Z").partition(".")
    return f"{int(datetime.fromisoformat(f'{whole}+00:00').timestamp())}{digits[:3]:0<3}"


def _escape_header(text: str) -> str:
    return clean(text, MOST_STRING).replace("\\", "\\\\").replace("|", "\\|")


def _escape_value(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=")  # line ends were made blanks


@cache
def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 only when needed

    return version("otids")
