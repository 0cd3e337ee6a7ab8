"""Replays recorded scenarios by the command, as a user would."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

Record = dict[str, Any]
OTIDS = Path(sys.executable).with_name("otids")


def replay(state: Path, captures: Path, *scenarios: str, learn: str = "normal") -> list[Record]:
    """Replay scenarios after declaring one as normal; return the last revision of each alert."""
    out = state.with_suffix(".jsonl")
    command = [str(OTIDS), "replay", "--state", str(state), "--alerts", str(out), "--quiet"]
    if learn:
        command += ["--learn", str(captures / learn / f"{learn}.pcap.gz")]
    command += [str(captures / one / f"{one}.pcap.gz") for one in scenarios]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(state.parent)},
    )
    assert done.returncode == 0, done.stderr
    last: dict[str, Record] = {}
    for line in out.read_text().splitlines() if out.exists() else []:
        record = json.loads(line)
        last[record["id"]] = record
    return list(last.values())


def seconds(time: str) -> float:
    whole, rest = time.rstrip("Z").split(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{rest}")
