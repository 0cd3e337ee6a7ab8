"""MQTT packets of a capture as otids and as tshark tell them, in one form.

What is compared is what both tell: packet type and length; of a CONNECT level, flags, keep alive
and names; of a PUBLISH quality of service, retain, topic and payload; topic filters with the
quality that is asked for; return and reason codes. tshark shows a payload as bytes: what otids
tells of it is spelled from these once more, by its rules (see `docs/protocols.md`) but not by its
code.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from wireshark.tshark import Pairs, dissected

from otids import _hotpath

DECODE_AS = ("tcp.port==1883,mqtt",)
LAYERS = "frame tcp mqtt"
PORT = "1883"

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 1, 2, 3, 8, 9, 10, 11
FAILURE = 0x80
RETAINED, DELETED, DELIVERED = 4, 8, 16
CODES = re.compile(r"mqtt\.(conack\.val|suback\.qos|\w+\.reason_code)")
"""Fields of tshark that hold return and reason codes."""
IDENTIFIED, METHOD = ("mqtt.property_id", "mqtt.prop_string"), "0x15"
"""What names a property and its text, and the number of the authentication method."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = 8192
"""Bytes of a packet that otids looks at."""

Values = tuple[tuple[str, str], ...]
"""Path and value of what a payload holds."""


class Message(NamedTuple):
    """What both tell of a control packet."""

    function: int
    length: int
    flags: int  # the sub-function of CONNECT and PUBLISH, but for what only payloads tell
    names: tuple[str, ...]
    numbers: tuple[int, ...]  # keep alive, or qualities of service
    status: int
    values: Values


Told = Iterator[tuple[int, Message]]
"""Frame number and message."""


# --- otids ---------------------------------------------------------------------------------------


def ours(capture: Path) -> Told:
    """Tell the messages of a capture by the records that `otids decode` prints."""
    hotpath = _hotpath.Hotpath(records=True, protocols=["mqtt"])
    try:
        hotpath.open(capture)
        while (batch := hotpath.next_batch()) is not None:
            for line in batch.records.splitlines():
                record = json.loads(line)
                yield record["frame"], _ours(record)
    finally:
        hotpath.close()


def _ours(record: dict[str, Any]) -> Message:
    function, flags = record["function"], record["subfunction"] or 0
    items, told = record["items"], record["values"]
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    values: Values = ()
    if function == CONNECT:
        by_kind = {item["type"]: item.get("name", "") for item in items}
        numbers = tuple(number for (number,) in told[:1])
        names = tuple(f"{kind} {name}" for kind, name in by_kind.items() if kind != "keep-alive")
    elif function == PUBLISH:
        names = tuple(item.get("name", "") for item in items[:1])
        paths = ["", *(item["name"].removeprefix(f"{names[0]}:") for item in items[1:])]
        values = tuple(
            (path, _spell(value))
            for path, of_item in zip(paths, told, strict=False)
            for value in of_item
        )
        flags &= ~DELETED
    elif function in {SUBSCRIBE, UNSUBSCRIBE}:
        names = tuple(item["name"] for item in items)
        numbers = tuple(number for of_item in told for number in of_item)
    else:
        flags = 0
    return Message(function, record["length"], flags, names, numbers, record["status"], values)


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.9g}" if isinstance(value, int | float) else str(value)


# --- tshark --------------------------------------------------------------------------------------


def theirs(capture: Path) -> Told:
    """Tell the messages of a capture as tshark understands them."""
    preferences: dict[str, str] = {}
    for layers in dissected(capture, "mqtt", LAYERS, preferences, DECODE_AS):
        frame, is_delivery = 0, False
        for name, layer in layers:
            if name == "frame":
                frame = int(dict(layer)["frame.number"])
            elif name == "tcp":
                is_delivery = dict(layer)["tcp.srcport"] == PORT
            elif name == "mqtt":
                flat = list(_flat(layer))
                if any(name == "mqtt.msgtype" for name, _ in flat):
                    yield frame, _theirs(flat, is_delivery=is_delivery)


def _flat(pairs: Pairs) -> Iterator[tuple[str, str]]:
    for name, value in pairs:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield name, value


def _theirs(fields: list[tuple[str, str]], *, is_delivery: bool) -> Message:
    one = dict(fields)
    every = {name: [value for key, value in fields if key == name] for name in one}
    function, remaining = int(one["mqtt.msgtype"]), int(one["mqtt.len"])
    length = 1 + max(1, -(-remaining.bit_length() // 7)) + remaining
    codes = [int(code, 0) for name, code in fields if CODES.fullmatch(name)]
    failed = [code for code in codes if code >= FAILURE or function == CONNACK]
    status = failed[0] if failed and len(failed) == len(codes) else 0
    flags, names = 0, tuple(every.get("mqtt.topic", []))
    numbers: tuple[int, ...] = ()
    values: Values = ()
    if function == CONNECT:
        level = int(one["mqtt.ver"], 0)
        flags = level & 0x7F | (256 if level & 0x80 else 0)
        flags |= 0 if one["mqtt.conflag.cleansess"] == "1" else 512
        numbers = (int(one["mqtt.kalive"]),)
        names = tuple(_names(fields))
    elif function == PUBLISH:
        retained = RETAINED if one["mqtt.retain"] == "1" else 0
        flags = int(one["mqtt.qos"]) | (DELIVERED if is_delivery else retained)
        if length <= WHOLE:
            values = tuple(payload(bytes.fromhex(one.get("mqtt.msg", "").replace(":", ""))))
    elif function == SUBSCRIBE:
        for name in ("mqtt.sub.qos", "mqtt.subscription_options_qos"):
            numbers += tuple(int(quality) for quality in every.get(name, []))
    return Message(function, length, flags, names, numbers, status, values)


def _names(fields: list[tuple[str, str]]) -> Iterator[str]:
    one = dict(fields)
    if "mqtt.username" in one:
        yield f"user {one['mqtt.username']}"
    if int(one.get("mqtt.passwd_len", "0")):
        yield "password "
    strings = [(name, value) for name, value in fields if name in IDENTIFIED]
    for (_, number), (name, value) in pairwise(strings):
        if number == METHOD and name == "mqtt.prop_string":
            yield f"authentication-method {value}"
    if "mqtt.willtopic" in one:
        yield f"will {one['mqtt.willtopic']}"


def payload(content: bytes) -> Iterator[tuple[str, str]]:
    """Spell what otids tells of a payload."""
    try:
        text = content.decode().strip(" \t\n\r\f")
    except UnicodeDecodeError:
        return
    if text.startswith(("{", "[")):
        try:
            yield from _members(json.loads(text), ())
        except ValueError:
            return
    elif text in {"true", "false"}:
        yield "", str(int(text == "true"))
    else:
        yield from _plain("", text.strip('"'), is_quoted=text.startswith('"'))


def _plain(path: str, text: str, *, is_quoted: bool = False) -> Iterator[tuple[str, str]]:
    if (
        not is_quoted
        and len(text) <= 32
        and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text)
    ):
        yield path, _spell(float(text))
    elif 0 < len(text.encode()) <= 64 and not re.search(r"[0-9\x00-\x1f\x7f-\x9f]", text):
        yield path, text


def _members(content: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for name, one in content.items():
            if not name[:1].isdigit():
                yield from _members(one, (*path, name))
    elif isinstance(content, list):
        for place, one in enumerate(content):
            yield from _members(one, (*path, str(place)))
    elif len(path) <= 4:
        if isinstance(content, str):
            yield from _plain(".".join(path), content)
        elif content is not None:
            yield ".".join(path), _spell(content)


# --- both ----------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """What only one of both tells."""

    ours: Counter[Message]
    theirs: Counter[Message]
    frames: dict[Message, int]
    """The first frame in which either told a message."""
    total: int
    """How many messages tshark told in all."""

    def __str__(self) -> str:
        lines = [
            f"{who} {count} x {message} first in frame {self.frames[message]}"
            for who, side in (("only otids ", self.ours), ("only tshark", self.theirs))
            for message, count in side.items()
        ]
        return "\n".join(line[:500] for line in lines[:20])


def compare(capture: Path) -> Difference:
    """Compare what both tell of a capture, as multisets."""
    frames: dict[Message, int] = {}
    sides: list[Counter[Message]] = []
    for told in (ours(capture), theirs(capture)):
        side: Counter[Message] = Counter()
        for frame, message in told:
            frames.setdefault(message, frame)
            side[message] += 1
        sides.append(side)
    mine, other = sides
    return Difference(mine - other, other - mine, frames, other.total())
