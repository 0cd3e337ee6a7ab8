"""A network of its own: a pair of interfaces, one to listen to and one to send from."""

import contextlib
import gzip
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

IP = shutil.which("ip") or "ip"
LISTENED, SENDING = "otids0", "sender0"


@dataclass(frozen=True)
class Network:
    """A network namespace with two interfaces at the ends of one cable."""

    name: str

    def command(self, *words: object) -> list[str]:
        """A command line that runs in the namespace."""
        return [IP, "netns", "exec", self.name, *map(str, words)]

    def run(self, *words: object, timeout: float = 60.0) -> str:
        """Run a command in the namespace; its output."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def link(self, *words: object) -> None:
        """Change an interface, as `ip link set` does."""
        self.run("ip", "link", "set", "dev", *words)

    def send(self, capture: Path, *speed: str, timeout: float = 60.0) -> None:
        """Send a capture to the interface that is listened to."""
        speed = speed or ("--topspeed",)
        self.run("tcpreplay", "-q", "-i", SENDING, *speed, capture, timeout=timeout)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Make a network; skips, loudly, where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("takes root: makes a network namespace")
    for program in ("ip", "tcpreplay", "setpriv"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    name = f"otids-test-{uuid.uuid4().hex[:8]}"
    made = subprocess.run([IP, "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no network namespace can be made: {made.stderr.decode()}")
    try:
        one = Network(name)
        for setting in ("all", "default"):  # or the kernel itself says something on the cable
            path = f"/proc/sys/net/ipv6/conf/{setting}/disable_ipv6"
            one.run("sh", "-c", f"test ! -e {path} || echo 1 > {path}")
        one.run("ip", "link", "add", "name", LISTENED, "type", "veth", "peer", "name", SENDING)
        for interface in ("lo", LISTENED, SENDING):
            one.link(interface, "up")
        yield one
    finally:
        subprocess.run([IP, "netns", "del", name], check=False)


def unpacked(capture: Path, folder: Path) -> Path:
    """A capture as tcpreplay reads it."""
    path = folder / capture.stem
    with gzip.open(capture) as file:
        path.write_bytes(file.read())
    return path
