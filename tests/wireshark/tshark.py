"""Runs tshark as it is compared with: a pinned release, and no preferences but those given."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PINNED_VERSION = (4, 0)
"""The release of Wireshark that the lists of differences were made with."""

TSHARK = "tshark"
PREFERENCES = {
    "tcp.desegment_tcp_streams": "TRUE",
    "tcp.reassemble_out_of_order": "TRUE",
    "tcp.no_subdissector_on_error": "TRUE",
    "tcp.check_checksum": "FALSE",
    "ip.defragment": "TRUE",
    "ipv6.defragment": "TRUE",
}

Pairs = list[tuple[str, Any]]


def tshark_version() -> tuple[int, int, int] | None:
    """Return the version of the installed tshark, None if there is none."""
    if shutil.which(TSHARK) is None:
        return None
    with _no_preferences() as environment:
        told = subprocess.run(
            [TSHARK, "--version"], capture_output=True, text=True, check=True, env=environment
        ).stdout
    found = re.match(r"TShark \(Wireshark\) (\d+)\.(\d+)\.(\d+)", told)
    if found is None:
        return None
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def dissected(
    capture: Path,
    shown: str,
    layers: str,
    preferences: Mapping[str, str],
    decode_as: Iterable[str],
) -> Iterator[Pairs]:
    """Yield the layers of each packet that passes the display filter `shown`."""
    command = [TSHARK, "-n", "-r", str(capture), "-Y", shown, "-T", "json", "-J", layers]
    for name, value in {**PREFERENCES, **preferences}.items():
        command += ["-o", f"{name}:{value}"]
    for rule in decode_as:
        command += ["-d", rule]
    with (
        _no_preferences() as environment,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as tshark,
    ):
        assert tshark.stdout is not None
        for packet in _packets(tshark.stdout):
            yield dict(dict(packet)["_source"])["layers"]


@contextmanager
def _no_preferences() -> Iterator[dict[str, str]]:
    """Give an environment in which a user's own preferences are not found."""
    with tempfile.TemporaryDirectory() as folder:
        yield {**os.environ, "WIRESHARK_CONFIG_DIR": folder, "HOME": folder, "LC_ALL": "C"}


def _packets(lines: Iterator[str] | Any) -> Iterator[Pairs]:
    """Parse tshark's JSON packet by packet; names that occur twice are kept."""
    part: list[str] = []
    for line in lines:
        if line == "  {\n":
            part = [line]
        elif line in {"  }\n", "  },\n"}:
            part.append("}")
            yield json.loads("".join(part), object_pairs_hook=list)
        else:
            part.append(line)
