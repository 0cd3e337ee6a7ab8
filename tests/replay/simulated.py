"""Simulates the plant on demand, and keeps the captures in a folder that the caller names."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

REPLAY = Path(__file__).resolve().parents[2] / "replay"

SCRIPTS = ("simulate.py", "plant/*.py")
"""What a simulated capture depends on, besides seed, seconds and the version of pymodbus."""


def simulated(folder: Path, scenario: str, seed: int, seconds: int) -> Path:
    """Return a simulated capture, made now unless `folder` holds it already.

    `labels.csv` and `events.csv` lie beside it. An hour takes about half a minute; what the
    scripts of an earlier version made is not taken. CalledProcessError if it cannot be made.
    """
    target = folder / f"{scenario}-seed{seed}-{seconds}s-{_version()}"
    capture = target / f"{scenario}.pcap.gz"
    if not capture.is_file():
        # Another process may make the same one: who is first names it.
        making = folder / f"{target.name}.{os.getpid()}"
        simulate(making, scenario, seed, seconds)
        try:
            making.rename(target)
        except OSError:
            if not capture.is_file():
                raise
    return capture


def simulate(output: Path, scenario: str, seed: int, seconds: int, hashing: int = 0) -> Path:
    """Simulate into `output` with this hash seed of Python's; the capture."""
    command = [sys.executable, "-P", str(REPLAY / "simulate.py"), scenario]
    command += ["--seed", str(seed), "--seconds", str(seconds), "--output", str(output)]
    environment = {**os.environ, "PYTHONHASHSEED": str(hashing)}
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return output / f"{scenario}.pcap.gz"


def _version() -> str:
    digest = hashlib.sha256()
    for pattern in SCRIPTS:
        for script in sorted(REPLAY.glob(pattern)):
            digest.update(script.read_bytes())
    return digest.hexdigest()[:12]
