"""GOOSE messages and samples of a capture as otids and as tshark tell them, in one form.

otids is asked as its users ask it, by `otids decode`. tshark dissects the samples of 9-2LE only if
it is told to, and then whatever the data are: what is no pairs is compared by its bytes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, iterparse

from wireshark.tshark import TSHARK, no_preferences

OTIDS = Path(sys.executable).with_name("otids")

Record = dict[str, Any]


class Event(NamedTuple):
    """What both tell of a GOOSE message; an absent field is None."""

    frame: int
    appid: int
    simulated: bool
    commissioning: bool
    fields: tuple[object, ...]  # of FIELDS, in order
    data: tuple[str, ...]  # each place of the data set


class Sample(NamedTuple):
    """What both tell of an ASDU; an absent field is None."""

    frame: int
    appid: int
    fields: tuple[object, ...]  # of SAMPLE_FIELDS, in order
    data: str  # hexadecimal


FIELDS = {
    "goose.gocbRef": "",
    "goose.timeAllowedtoLive": "time-allowed-to-live",
    "goose.datSet": "data-set",
    "goose.goID": "goose-id",
    "goose.stNum": "state-number",
    "goose.sqNum": "sequence-number",
    "goose.confRev": "configuration-revision",
    "goose.numDatSetEntries": "number-of-entries",
}
SAMPLE_FIELDS = {
    "sv.svID": "",
    "sv.datSet": "data-set",
    "sv.smpCnt": "sample-count",
    "sv.confRev": "configuration-revision",
    "sv.smpSynch": "synchronisation",
    "sv.smpRate": "sample-rate",
    "sv.smpMod": "sample-mode",
}


def our_events(capture: Path) -> Iterator[Event]:
    """Tell the GOOSE messages of a capture as otids understands them."""
    for record in _records(capture, "goose"):
        if record["function"] != 1:
            continue
        values = _values(record)
        state = record["subfunction"] or 0
        yield Event(
            record["frame"],
            record["dport"],
            bool(state & 1),
            bool(state & 2),
            (_name(record), *(_one(values, kind) for kind in list(FIELDS.values())[1:])),
            tuple(map(_spelled, values.get("data-set-entry", []))),
        )


def their_events(capture: Path) -> Iterator[Event]:
    """Tell the GOOSE messages of a capture as tshark understands them."""
    for packet in _packets(capture, "goose"):
        found = {field.get("name"): field for field in packet.iter("field")}
        if "goose.goosePdu_element" not in found:
            continue
        flags = [_show(found, f"goose.{one}") for one in ("reserve1.s_bit", "simulation", "ndsCom")]
        header, simulation, commissioning = (_is_true(flag) for flag in flags)
        fields = [_show(found, name) for name in FIELDS]
        yield Event(
            int(_show(found, "frame.number") or 0),
            int(_show(found, "goose.appid") or "0", 0),
            header or simulation,
            commissioning,
            tuple(int(one) if one is not None and one.isdigit() else one for one in fields),
            tuple(_leaves(packet)),
        )


def our_samples(capture: Path) -> Iterator[Sample]:
    """Tell the ASDUs of a capture as otids understands them."""
    for record in _records(capture, "sv"):
        values = _values(record)
        kinds = list(SAMPLE_FIELDS.values())[1:]
        fields = (_name(record), *(_one(values, kind) for kind in kinds))
        words = [f"{number & 0xFFFFFFFF:08x}" for number in values.get("sample", [])]
        yield Sample(record["frame"], record["dport"], fields, "".join(words))


def their_samples(capture: Path) -> Iterator[Sample]:
    """Tell the ASDUs of a capture as tshark understands them, the qualities left out."""
    for packet in _packets(capture, "sv"):
        of_frame = {field.get("name"): field for field in packet.iter("field")}
        frame = int(_show(of_frame, "frame.number") or 0)
        appid = int(_show(of_frame, "sv.appid") or "0", 0)
        for asdu in packet.iter("field"):
            if asdu.get("name") == "sv.ASDU_element":
                found = {field.get("name"): field for field in asdu.iter("field")}
                fields = [_show(found, name) for name in SAMPLE_FIELDS]
                data = (_show(found, "sv.seqData") or "").replace(":", "")
                numbers = tuple(
                    int(one) if one is not None and one.isdigit() and place else one
                    for place, one in enumerate(fields)
                )
                yield Sample(frame, appid, numbers, _without_qualities(data))


def _without_qualities(data: str) -> str:
    """Take the qualities out of what looks like pairs of a number and its quality."""
    pairs = [data[at : at + 16] for at in range(0, len(data), 16)]
    if all(len(pair) == 16 and int(pair[8:], 16) <= 0x3FFF for pair in pairs):
        return "".join(pair[:8] for pair in pairs)
    return data


# --- otids ---------------------------------------------------------------------------------------


def _records(capture: Path, protocol: str) -> Iterator[Record]:
    command = [str(OTIDS), "decode", "--protocol", protocol, str(capture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for line in done.stdout.splitlines():
        yield json.loads(line)


def _values(record: Record) -> dict[str, list[Any]]:
    kinds = [item["type"] for item in record["items"]]
    return dict(zip(kinds, record["values"], strict=True))


def _name(record: Record) -> str | None:
    names = {item.get("name") for item in record["items"]}
    assert len(names) == 1, "all objects of a publisher have one name"
    name: str | None = next(iter(names))
    return name


def _one(values: dict[str, list[Any]], kind: str) -> object:
    return values[kind][0] if kind in values else None


def _spelled(value: object) -> str:
    return f"{float(value):.6g}" if isinstance(value, float) else str(value)


# --- tshark --------------------------------------------------------------------------------------


def _packets(capture: Path, protocol: str) -> Iterator[Element]:
    command = [TSHARK, "-n", "-r", str(capture), "-Y", protocol, "-T", "pdml"]
    with (
        no_preferences() as environment,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        ) as tshark,
    ):
        assert tshark.stdout is not None
        for _, element in iterparse(tshark.stdout):  # noqa: S314 - what tshark writes is well-formed
            if element.tag == "packet":
                yield element
                element.clear()


def _show(found: dict[str | None, Element], name: str) -> str | None:
    return found[name].get("show") if name in found else None


def _is_true(show: str | None) -> bool:
    return show in {"1", "True"}


def _leaves(packet: Element) -> Iterator[str]:
    """Spell each value of the data set as otids does."""
    for data in packet.iter("field"):
        if data.get("name") != "goose.Data":
            continue
        inner = {str(field.get("name")): str(field.get("show")) for field in data}
        if not inner.keys() & {"goose.structure", "goose.array"}:
            yield _leaf(inner)


def _leaf(inner: dict[str, str]) -> str:
    for name in ("boolean", "integer", "unsigned", "visible_string", "mMSString"):
        if f"goose.{name}" in inner:
            return {"True": "1", "False": "0"}.get(inner[f"goose.{name}"], inner[f"goose.{name}"])
    if "goose.bit_string" in inner:
        bits = int(inner["goose.bit_string"].replace(":", ""), 16)
        return str(bits >> int(inner["ber.bitstring.padding"]))
    if "goose.float_value" in inner:
        return f"{float(inner['goose.float_value']):.6g}"
    if "goose.octet_string" in inner:
        return inner["goose.octet_string"].replace(":", "")
    if "goose.utc_time" in inner:
        return _moment(inner["goose.utc_time"])
    raise AssertionError(f"an unknown type of data: {inner}")


def _moment(text: str) -> str:
    """Spell tshark's "Mar 23, 2023 09:31:22.202999949 UTC" as a record does."""
    found = re.fullmatch(r"(.+)\.(\d{9}) UTC", text)
    assert found is not None, text
    whole = datetime.strptime(found[1], "%b %d, %Y %H:%M:%S").replace(tzinfo=UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{found[2]}Z"
