"""A switch and its hosts as network namespaces; nothing touches the machine's own."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plant.devices import Host

BRIDGE = "mirror"
PREFIX_LENGTH = 16
# Router solicitations and multicast listener reports would be frames of no device;
# TCP timestamps are not what many controllers send, and would swell a capture.
HOST_SETTINGS = (
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
)
TCP_SETTINGS = ("net.ipv4.tcp_timestamps=0",)
# veth leaves checksums to hardware that is not there and joins segments; both
# would show in a capture as errors of the plant.
OFFLOADS = ("rx", "tx", "tso", "gso", "gro")


class NetworkError(Exception):
    """A command that builds the network failed; the text names it and its output."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}"
        raise NetworkError(message)


class Network:
    """Hosts joined by one bridge, each in a namespace of its own; needs root.

    As a context manager it builds on entry and on exit ends what was started in it
    and deletes its namespaces, also after an error.
    """

    def __init__(self, name: str, hosts: Sequence[Host]) -> None:
        """Name the network; two with one name cannot exist at the same time."""
        self._prefix = f"replay-{name}"
        self._hosts = hosts
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Build bridge, hosts and links; NetworkError if a step fails."""
        with ExitStack() as stack:
            self._add_namespace("switch", stack)
            self._in("switch", "ip", "link", "add", BRIDGE, "type", "bridge",
                     "stp_state", "0", "mcast_snooping", "0")  # fmt: skip
            self._in("switch", "ip", "link", "set", BRIDGE, "up")
            for host in self._hosts:
                self._add_host(host, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End what runs in the network, then delete its namespaces."""
        self._stack.close()

    def namespace(self, name: str) -> str:
        """Name of the namespace of a host, or of `switch`."""
        return f"{self._prefix}-{name}"

    def start(
        self, host: str, command: Sequence[str], folder: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start a command on a host, its standard output piped; it ends with us."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace(host), *command],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(stop, process)
        return process

    def _in(self, name: str, *command: str) -> None:
        _run("ip", "netns", "exec", self.namespace(name), *command)

    def _add_namespace(self, name: str, stack: ExitStack) -> None:
        _run("ip", "netns", "add", self.namespace(name))
        stack.callback(_run, "ip", "netns", "delete", self.namespace(name))
        for setting in HOST_SETTINGS:
            self._in(name, "sysctl", "-qw", setting)

    def _add_host(self, host: Host, stack: ExitStack) -> None:
        name = host.name
        self._add_namespace(name, stack)
        for setting in TCP_SETTINGS:
            self._in(name, "sysctl", "-qw", setting)
        self._in("switch", "ip", "link", "add", name, "type", "veth",
                 "peer", "name", "eth0", "netns", self.namespace(name))  # fmt: skip
        off = [word for offload in OFFLOADS for word in (offload, "off")]
        self._in("switch", "ethtool", "-K", name, *off)
        self._in(name, "ethtool", "-K", "eth0", *off)
        self._in(name, "ip", "link", "set", "eth0", "address", host.mac)
        self._in("switch", "ip", "link", "set", name, "master", BRIDGE, "up")
        self._in(name, "ip", "link", "set", "lo", "up")
        address = f"{host.address}/{PREFIX_LENGTH}"
        self._in(name, "ip", "address", "add", address, "dev", "eth0")
        self._in(name, "ip", "link", "set", "eth0", "up")


def stop(process: subprocess.Popen[str]) -> None:
    """End a process that was started here: ask, and after five seconds force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
