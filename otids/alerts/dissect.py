"""Shows the frames of a piece of evidence as Wireshark dissects them.

Wireshark (tshark, through pyshark) works in a process of its own: `python -m
otids.alerts.dissect FILE` there prints JSON. pyshark sets up event loops and reads `config.ini`
from the working directory, and what Wireshark makes of hostile frames must not reach this process.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from otids import _hotpath
from otids.alerts.wording import clean, spell_list

MOST_FRAMES = 64
"""Frames that are shown at once; an alert has no more."""

MOST_LINES = 200
"""Lines of a frame."""

MOST_EVIDENCE_BYTES = 64 << 20
"""What is longer was not cut by otids."""

TIMEOUT = 60.0
"""Seconds for one piece of evidence."""

DISSECTORS = {
    "modbus": (502, {"tcp": "mbtcp", "udp": "mbudp"}),
    "iec104": (2404, {"tcp": "iec60870_104"}),
    "dnp3": (20000, {"tcp": "dnp3", "udp": "dnp3"}),
    "mqtt": (1883, {"tcp": "mqtt"}),
}
"""The port on which Wireshark expects a protocol, and what it calls it."""

_MOST_OUTPUT_BYTES = 32 << 20
_MOST_MEMORY_BYTES = 4 << 30
_MOST_LISTED = 10_000

# Read twice, so that a frame names later ones, as the one in which a message is whole.
_SETTINGS = ("-2", "-c", str(_MOST_LISTED))

# Frames of the capture are named in the comments that the evidence gives its frames.
_COMMENT = re.compile(r"frame (\d{1,20}) of .*: (part of alert|context)", re.DOTALL)

_SECTION = re.compile(r"<section>([^<]*)</section>")

# Names of fields whose numbers count the frames of the file that Wireshark reads.
_COUNTS_FRAMES = re.compile(r"(?:_|\.)(?:frame|in|to|segment)$")

_LOWER = {
    "eth": "Ethernet {src} → {dst}",
    "vlan": "VLAN {id}",
    "sll": "Linux cooked capture, {src_eth}",
    "ip": "IPv4 {src} → {dst}, TTL {ttl}",
    "ipv6": "IPv6 {src} → {dst}, hop limit {hlim}",
    "mpls": "MPLS label {label}",
    "gre": "GRE, protocol {proto}",
    "erspan": "ERSPAN, session {spanid}",
    "vxlan": "VXLAN, network {vni}",
    "geneve": "Geneve, network {vni}",
    "tcp": "TCP {srcport} → {dstport}, {flags}, sequence {seq}, acknowledges {ack}, {len} bytes",
    "udp": "UDP {srcport} → {dstport}, {length} bytes",
}
"""Layers of one line while something stands on them, and what it says by names of fields."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a frame: Wireshark's name for it, and its fields as lines of text."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DissectedFrame:
    """A frame as Wireshark shows it. All text is clean.

    `number` is that in the capture which the evidence was cut from, `time` is in nanoseconds
    since the epoch, `summary` is Wireshark's info column.
    """

    number: int
    is_part_of_alert: bool
    time: int
    summary: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Dissection:
    """Frames in the order of the capture; what is to be said of them; what is not installed.

    `note` and `missing` are one line or empty. With a `missing` there are no frames.
    """

    frames: tuple[DissectedFrame, ...] = ()
    note: str = ""
    missing: str = ""


def dissect(
    evidence: Path,
    frames: Sequence[int] = (),
    *,
    protocol: str = "",
    port: int = 0,
    timeout: float = TIMEOUT,
) -> Dissection:
    """Show `frames` (numbers in the capture; none: those of the alert) of a piece of evidence.

    At most 64 frames are shown. `protocol` (as the hot path names it) and the server's `port`
    make Wireshark read that protocol on a port where it does not expect it. Never raises: what
    is missing, damaged or took more than `timeout` seconds is said in the result.
    """
    if missing := _find_missing():
        return Dissection(missing=missing)
    damage = _find_damage(evidence)
    if damage.is_fatal:
        return Dissection(note=damage.text)
    wanted = sorted(set(frames))
    arguments = [str(evidence.absolute())]
    arguments += [f"--frame={frame}" for frame in wanted[:MOST_FRAMES]]
    expected, dissectors = DISSECTORS.get(protocol, (port, {}))
    if port not in {0, expected}:
        arguments += [
            f"--decode-as={carrier}.port=={port},{name}" for carrier, name in dissectors.items()
        ]
    shown, fault = _run(arguments, timeout)
    notes = [damage.text, "" if damage.text else fault]
    if len(wanted) > MOST_FRAMES:
        notes.append(f"only the first {MOST_FRAMES} frames are shown")
    if wanted and not fault:
        there = {frame.number for frame in shown}
        absent = [str(frame) for frame in wanted[:MOST_FRAMES] if frame not in there]
        notes.append(f"not in the evidence: {spell_list(absent)}" if absent else "")
    elif not shown and not fault:
        notes.append("the evidence holds no frame of an alert")
    return Dissection(shown, "; ".join(note for note in notes if note))


# --- around the process --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Damage:
    text: str = ""
    is_fatal: bool = False


def _find_missing() -> str:
    if shutil.which("tshark") is None:
        return (
            "frames are shown by Wireshark's tshark, which is not installed"
            " (Debian and Ubuntu: apt install tshark)"
        )
    if importlib.util.find_spec("pyshark") is None:
        return (
            "frames are shown through the Python package pyshark, which is not installed"
            f" ({sys.executable} -m pip install pyshark)"
        )
    return ""


def _find_damage(evidence: Path) -> _Damage:
    """Read the evidence with the hot path: Wireshark stops without a word at some damage."""
    hotpath = _hotpath.Hotpath()
    damages: list[tuple[int, str]] = []
    try:
        if not evidence.is_file():
            return _Damage(clean(f"{evidence}: there is no such file"), is_fatal=True)
        if evidence.stat().st_size > MOST_EVIDENCE_BYTES:
            return _Damage(clean(f"{evidence}: is too large to be evidence"), is_fatal=True)
        hotpath.open(os.fspath(evidence))
        while (batch := hotpath.next_batch()) is not None and not batch.census:
            damages = batch.health["damages"]
    except (OSError, ValueError, RuntimeError) as error:  # a CaptureError is a ValueError
        return _Damage(clean(str(error)), is_fatal=True)
    finally:
        hotpath.close()
    return _Damage(
        "; ".join(f"the evidence is damaged: {what} at byte {offset}" for offset, what in damages)
    )


def _run(arguments: Sequence[str], timeout: float) -> tuple[tuple[DissectedFrame, ...], str]:
    """Run this module's `main`; return what it shows, and what went wrong (or empty)."""
    command = [sys.executable, "-P", "-W", "ignore", "-m", __name__, *arguments]
    with tempfile.TemporaryDirectory(prefix="otids-dissect-") as folder:
        environment = {
            **os.environ,
            # Settings and plugins of whoever runs otids must not change what is shown.
            "HOME": folder,
            "WIRESHARK_CONFIG_DIR": folder,
            "XDG_CONFIG_HOME": folder,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        output = Path(folder, "output")
        complaints = Path(folder, "complaints")
        try:
            with output.open("wb") as out, complaints.open("wb") as err:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                )
            code = _wait(process, timeout)
            if code is None:
                return (), f"Wireshark took longer than {timeout:g} seconds"
            if code:
                return (), f"dissecting failed: {_last_line(complaints) or f'code {code}'}"
            with output.open("rb") as file:
                return _parse(file.read(_MOST_OUTPUT_BYTES))
        except OSError as error:
            return (), clean(f"dissecting failed: {error}")


def _wait(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    """Return the exit code; end the process with all that it started if it takes too long."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_line(path: Path) -> str:
    lines = path.read_bytes()[-4096:].decode(errors="replace").splitlines()
    return clean(lines[-1]) if lines else ""


class _Output(msgspec.Struct):
    """What the process prints."""

    frames: tuple[DissectedFrame, ...]
    fault: str


def _parse(data: bytes) -> tuple[tuple[DissectedFrame, ...], str]:
    try:
        output = msgspec.json.decode(data, type=_Output)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return (), clean(f"dissecting failed: {error}")
    return output.frames, output.fault


# --- in the process ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Listed:
    """A frame of the evidence as the packet list shows it."""

    number: int
    is_part_of_alert: bool
    summary: str


class _Wireshark:
    """Reads a file with tshark: the packet list, and through pyshark the details."""

    def __init__(self, path: str, decode_as: Iterable[str]) -> None:
        self.path = path
        self.decode_as = dict(rule.split(",", 1) for rule in decode_as)
        self.fault = ""

    def read_list(self) -> dict[int, _Listed]:
        """List the frames by their numbers in the file.

        pyshark 0.6 loses all summaries that it reads, so this is read from tshark itself.
        """
        columns = '"Number","%m","Comment","%Cus:frame.comment:0:R","Info","%i"'
        command = ["tshark", "-n", *_SETTINGS, "-T", "psml", "-o", f"gui.column.format:{columns}"]
        for port, name in self.decode_as.items():
            command += ["-d", f"{port},{name}"]
        done = subprocess.run(
            [*command, "-r", self.path], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            self.fail(done.stderr.decode(errors="replace"))
        # In a section "<" is always escaped. The first three name the columns.
        sections = _SECTION.findall(done.stdout.decode(errors="replace"))[3:]
        listed = {}
        for place, comment, info in zip(*[iter(map(html.unescape, sections))] * 3, strict=False):
            if not place.isdecimal():
                continue
            found = _COMMENT.fullmatch(comment)
            number, part = (int(found[1]), found[2]) if found else (int(place), "")
            listed[int(place)] = _Listed(
                number, part == "part of alert", " ".join(clean(info).split())
            )
        return listed

    def show(self, listed: dict[int, _Listed], places: Sequence[int]) -> list[DissectedFrame]:
        """Show some of the listed frames in detail."""
        import pyshark  # type: ignore[import-untyped] # noqa: PLC0415 # only in this process

        shown: list[DissectedFrame] = []
        if not places:
            return shown
        capture = pyshark.FileCapture(
            self.path,
            keep_packets=False,
            # pyshark's own choice of a loop needs what Python 3.14 removed.
            eventloop=asyncio.new_event_loop(),
            decode_as=self.decode_as,
            custom_parameters=list(_SETTINGS),
            display_filter=f"frame.number in {{{', '.join(map(str, places))}}}",
        )
        try:
            for packet in capture:
                frame = listed[int(packet.number)]
                layers = tuple(_show_layers(packet.layers, listed))
                time = _nanoseconds(packet.sniff_timestamp)
                shown.append(
                    DissectedFrame(
                        frame.number, frame.is_part_of_alert, time, frame.summary, layers
                    )
                )
            complaint = ""
        except Exception as error:  # noqa: BLE001 # pyshark raises plain ones, of many kinds
            complaint = str(error) or type(error).__name__
        # What pyshark says of tshark's exit code is right or wrong by chance.
        if len(shown) < len(places):
            self.fail(complaint or f"it shows {len(shown)} of {len(places)} frames")
        return shown

    def fail(self, complaint: str) -> None:
        """Keep the first line that says what went wrong."""
        lines = (line.strip() for line in complaint.splitlines())
        told = next((line for line in lines if line and not line.startswith("Running as")), "")
        self.fault = self.fault or clean(f"Wireshark failed: {told or 'it does not say why'}")


def _show_layers(layers: Sequence[Any], listed: dict[int, _Listed]) -> Iterator[Layer]:
    real = [layer for layer in layers if layer.layer_name not in {"frame", "pkt_comment"}]
    room = MOST_LINES
    for layer in real:
        template = _LOWER.get(layer.layer_name) if layer is not real[-1] else None
        lines = [_show_line(layer, template)] if template else list(_show_lines(layer, listed))
        if len(lines) > room:
            lines = [*lines[:room], "and more"]
        room = max(room - len(lines), 0)
        yield Layer(clean(layer.layer_name), tuple(lines))


def _show_line(layer: Any, template: str) -> str:
    names = re.findall(r"{(\w+)}", template)
    values = {name: clean(str(layer.get_field(name) or "unknown")) for name in names}
    if "flags" in values and (flags := layer.get_field("flags")) is not None:
        values["flags"] = clean(str(flags.showname_value or flags))
    return template.format_map(values)


def _show_lines(layer: Any, listed: dict[int, _Listed]) -> Iterator[str]:
    """Show all fields in the order of their bytes.

    pyshark groups fields by their names; fields of the same bytes come in turns, as Wireshark
    shows a list of registers or bits.
    """
    order: list[tuple[int, int, int, int, Any]] = []
    turns: dict[tuple[str, int, int], int] = {}
    for place, name in enumerate(layer.field_names):
        fields = layer.get_field(name)
        for field in getattr(fields, "all_fields", ()):
            bytes_ = (int(field.pos or 0), int(field.size or 0))
            turn = turns.get((name, *bytes_), 0)
            turns[(name, *bytes_)] = turn + 1
            order.append((bytes_[0], -bytes_[1], turn, place, field))
    order.sort(key=lambda entry: entry[:4])
    for *_, field in order:
        if not field.hide and (line := _show_field(field, listed)):
            yield line


def _show_field(field: Any, listed: dict[int, _Listed]) -> str:
    line = clean(field.showname or field.show or "")
    if _COUNTS_FRAMES.search(field.name or "") and (field.show or "").isdecimal():
        frame = listed.get(int(field.show))
        if frame is not None and line.endswith(f" {field.show}"):
            return f"{line.removesuffix(field.show)}{frame.number}"
    return line


def _nanoseconds(stamp: str) -> int:
    """Read seconds with a fraction, exactly."""
    seconds, _, fraction = stamp.partition(".")
    nanos = int(fraction[:9].ljust(9, "0"))
    whole = int(seconds) * 1_000_000_000
    return whole - nanos if seconds.startswith("-") else whole + nanos


def _limit_resources() -> None:
    """Bound what Wireshark may take while it reads hostile frames; a lower limit stays."""
    for kind, bound in (
        (resource.RLIMIT_AS, _MOST_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, _MOST_OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (limit, limit))


def main() -> None:
    """Print the frames of a piece of evidence as JSON."""
    parser = argparse.ArgumentParser(prog="python -m otids.alerts.dissect", description=__doc__)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--frame", type=int, action="append", default=[], help="show this one")
    parser.add_argument("--decode-as", action="append", default=[], help="as tshark's -d")
    arguments = parser.parse_args()
    _limit_resources()
    wireshark = _Wireshark(arguments.file, arguments.decode_as)
    listed = wireshark.read_list()
    wanted = set(arguments.frame)
    places = [
        place
        for place, frame in listed.items()
        if (frame.number in wanted if wanted else frame.is_part_of_alert)
    ]
    frames = wireshark.show(listed, places[:MOST_FRAMES])
    output = {"frames": [msgspec.to_builtins(frame) for frame in frames], "fault": wireshark.fault}
    json.dump(output, sys.stdout)


if __name__ == "__main__":
    main()
