"""A network in memory: hosts, their ARP and addresses, a switch, and what its mirror port shows."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plant.frames import (
    ACK,
    ARP_REPLY,
    ARP_REQUEST,
    BROADCAST,
    MICROSECONDS,
    NO_MAC,
    RST,
    SYN,
    Arp,
    Datagram,
    Packet,
    Segment,
    encode,
)
from plant.tcp import MSS_OPTION, PC_OPTIONS, Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from plant.clock import VirtualLoop
    from plant.devices import Host

HERE: contextvars.ContextVar[Node] = contextvars.ContextVar("HERE")
"""The host on which a task runs; connections are opened from there."""

LOCAL_NETWORK = "10.20."
# An address that was learned is trusted for so long, then asked for again.
ARP_SECONDS = (240.0, 420.0)
ARP_TRIES = 3
ARP_RETRY_SECONDS = 1.0
EPHEMERAL_PORTS = (49_152, 65_535)
# Of segments with data, on the way from the mirror to the receiver.
LOSS = 1 / 15_000


@dataclass(frozen=True, slots=True)
class Stack:
    """How a kind of host speaks TCP/IP; times in seconds, as bounds.

    `latency` is from the stack to the mirror or back, `thinking` from a program's decision
    to its segment. Who does not count packets identifies all by 0, as RFC 6864 allows for
    packets that are never fragmented.
    """

    hops: int
    window: int
    options: bytes
    latency: tuple[float, float]
    thinking: tuple[float, float]
    counts_packets: bool = True


PC = Stack(128, 64_240, PC_OPTIONS, (20e-6, 70e-6), (150e-6, 600e-6))
SERVER = Stack(64, 64_240, PC_OPTIONS, (20e-6, 60e-6), (100e-6, 300e-6))
CONTROLLER = Stack(64, 8_192, MSS_OPTION, (60e-6, 180e-6), (20e-6, 80e-6), counts_packets=False)


class Mirror:
    """What a mirror port of the switch shows: every frame once, in order of time.

    What two hosts at the same port of it say to each other does not pass it.
    """

    def __init__(self, epoch: float) -> None:
        """Begin at `epoch`, seconds since 1970 at which the loop's time is 0."""
        self._epoch = round(epoch * MICROSECONDS)
        self._frames: list[tuple[int, bytes]] = []
        self._gaps: list[tuple[float, float]] = []
        self._neighbours: set[frozenset[str]] = set()

    def join(self, one: str, other: str) -> None:
        """Put two MACs behind the same port: their own frames do not pass."""
        self._neighbours.add(frozenset((one, other)))

    def lose(self, start: float, end: float) -> None:
        """Show nothing from `start` to `end`, loop seconds."""
        self._gaps.append((start, end))

    def shows(self, time: float) -> bool:
        """Say whether a frame at this time is shown."""
        return not any(start <= time < end for start, end in self._gaps)

    def record(self, time: float, target: str, source: str, content: Packet | Arp) -> None:
        """Take a frame that passes at loop time `time`."""
        if self.shows(time) and frozenset((target, source)) not in self._neighbours:
            moment = self._epoch + int(time * MICROSECONDS)
            self._frames.append((moment, encode(target, source, content)))

    def frames(self) -> list[tuple[int, bytes]]:
        """All frames so far: (microseconds since 1970, bytes), in order of time."""
        # Sorting keeps the order in which frames of one microsecond were sent.
        return sorted(self._frames, key=lambda frame: frame[0])


class Network:
    """A switch with its hosts; opens connections for a `VirtualLoop`."""

    def __init__(self, loop: VirtualLoop, seed: int, epoch: float) -> None:
        """Begin without hosts."""
        self.loop = loop
        self.seed = seed
        self.epoch = epoch
        self.mirror = Mirror(epoch)
        self.nodes: dict[str, Node] = {}
        self.by_mac: dict[str, Node] = {}
        self.loss = LOSS
        self.taps: list[Callable[[float, Packet], None]] = []
        loop.net = self

    def add(self, host: Host, stack: Stack) -> Node:
        """Plug a host into the switch."""
        node = Node(self, host, stack)
        self.nodes[host.address] = node
        self.by_mac[host.mac] = node
        return node

    async def connect(
        self, factory: Callable[[], Any], host: str, port: int
    ) -> tuple[Connection, Any]:
        """Connect from the host of the running task; OSError as from a socket."""
        node = HERE.get()
        connection = Connection(node, node.free_port(), host, port)
        node.connections[connection.key] = connection
        await connection.ask(factory)
        return connection, connection.protocol

    def listen(self, factory: Callable[[], Any], host: str, port: int) -> Listener:
        """Accept connections to a host's port."""
        node = self.nodes[host]
        node.listeners[port] = factory
        return Listener(node, port)

    def transmit(self, sender: Node, target: str, content: Packet | Arp) -> None:
        """Carry a frame past the mirror to whom its target MAC names."""
        now = self.loop.time()
        moment = max(now + sender.rng.uniform(*sender.stack.latency), sender.last_sent + 2e-6)
        sender.last_sent = moment
        self.mirror.record(moment, target, sender.host.mac, content)
        if isinstance(content, Packet):
            for tap in self.taps:
                tap(moment, content)
            body = content.body
            if isinstance(body, Segment) and body.payload and sender.rng.random() < self.loss:
                return
        if target == BROADCAST:
            receivers = [node for node in self.by_mac.values() if node is not sender]
        else:
            receivers = [self.by_mac[target]] if target in self.by_mac else []
        for receiver in receivers:
            receiver.arrive(moment, content)


class Listener(asyncio.BaseTransport):
    """A port that accepts connections until it is closed."""

    def __init__(self, node: Node, port: int) -> None:
        """Name the port, which listens already."""
        super().__init__()
        self._node, self._port = node, port

    def close(self) -> None:
        """Accept no more."""
        self._node.listeners.pop(self._port, None)

    def is_closing(self) -> bool:
        """Say whether it accepts no more."""
        return self._port not in self._node.listeners


class Node:
    """A host on the switch: its addresses, ARP table, ports and connections."""

    def __init__(self, network: Network, host: Host, stack: Stack) -> None:
        """Begin powered, with an empty ARP table."""
        self.network, self.host, self.stack = network, host, stack
        self.rng = random.Random(f"{network.seed}/wire/{host.name}")
        self.connections: dict[tuple[int, str, int], Connection] = {}
        self.listeners: dict[int, Callable[[], Any]] = {}
        self.datagrams: dict[int, Callable[[str, Datagram], None]] = {}
        # Changes what programs here send over a connection; None leaves it as it is.
        self.shape: Callable[[Connection, bytes], bytes] | None = None
        # Takes packets that came for another address; None drops them.
        self.forward: Callable[[Packet], None] | None = None
        # Ports whose segments are not answered, though no connection has them.
        self.deaf_ports: set[int] = set()
        self.gateway: Node | None = None
        self.last_sent = self.last_arrived = 0.0
        self.powered = True
        self._identification = self.rng.randrange(1 << 16) if stack.counts_packets else 0
        self._port = self.rng.randint(*EPHEMERAL_PORTS)
        self._arp: dict[str, tuple[str, float]] = {}
        self._asking: dict[str, list[Packet]] = {}
        self._probes: dict[str, tuple[int, float]] = {}
        self.context = contextvars.copy_context()
        self.context.run(HERE.set, self)

    def free_port(self) -> int:
        """Give the next port for a connection from here."""
        low, high = EPHEMERAL_PORTS
        self._port = self._port + 1 if self._port < high else low
        return self._port

    def power_off(self, *, reset: bool) -> None:
        """Stop at once; with `reset` its connections are reset as the last act."""
        for connection in list(self.connections.values()):
            connection.vanish(reset=reset)
        self.powered = False
        self.connections.clear()
        self.listeners.clear()
        self._arp.clear()
        self._asking.clear()
        self._probes.clear()

    def power_on(self) -> None:
        """Start and announce the own address, as a booting stack does (RFC 5227)."""
        self.powered = True
        self._announce()
        self.network.loop.call_later(1.0, self._announce, context=self.context)

    def _announce(self) -> None:
        if self.powered:
            own = self.host
            claim = Arp(ARP_REQUEST, own.mac, own.address, NO_MAC, own.address)
            self.network.transmit(self, BROADCAST, claim)

    def send(self, target: str, body: Segment | Datagram) -> None:
        """Send a segment or datagram to an address."""
        if self.powered:
            if self.stack.counts_packets:
                self._identification = (self._identification + 1) & 0xFFFF
            hops, number = self.stack.hops, self._identification
            self.route(Packet(self.host.address, target, hops, number, body))

    def route(self, packet: Packet) -> None:
        """Send a packet to its next hop, which is asked for by ARP if need be."""
        local = packet.target.startswith(LOCAL_NETWORK) or self.gateway is None
        hop = packet.target if local or self.gateway is None else self.gateway.host.address
        if hop not in self._arp:
            if hop in self._asking:
                self._asking[hop].append(packet)
            else:
                self._asking[hop] = [packet]
                self._ask(hop, 1)
            return
        mac, trusted_until = self._arp[hop]
        if self.network.loop.time() > trusted_until:
            self._probe(hop, mac)
        self.network.transmit(self, mac, packet)

    def arrive(self, moment: float, content: Packet | Arp) -> None:
        """Take a frame that passed the mirror at `moment`, a little later."""
        moment = max(moment + self.rng.uniform(*self.stack.latency), self.last_arrived + 1e-6)
        self.last_arrived = moment
        self.network.loop.call_at(moment, self._receive, content, context=self.context)

    def _receive(self, content: Packet | Arp) -> None:
        if not self.powered:
            return
        if isinstance(content, Arp):
            self._receive_arp(content)
        elif content.target != self.host.address:
            if self.forward is not None:
                self.forward(content)
        elif isinstance(content.body, Segment):
            self._receive_segment(content.source, content.body)
        elif taker := self.datagrams.get(content.body.target_port):
            taker(content.source, content.body)

    def _receive_segment(self, source: str, segment: Segment) -> None:
        key = (segment.target_port, source, segment.source_port)
        connection = self.connections.get(key)
        if connection is not None:
            connection.receive(segment)
        elif segment.flags & RST or segment.target_port in self.deaf_ports:
            return
        elif segment.flags & SYN and segment.target_port in self.listeners:
            connection = Connection(self, *key)
            self.connections[key] = connection
            connection.answer(self.listeners[segment.target_port], segment)
        else:
            self.send(source, _refusal(segment))

    def _receive_arp(self, arp: Arp) -> None:
        own = self.host
        mine = arp.target == own.address
        if arp.sender in self._arp or (mine and arp.sender != own.address):
            self._learn(arp.sender, arp.sender_mac)
        if arp.operation == ARP_REQUEST and mine and arp.sender != own.address:
            answer = Arp(ARP_REPLY, own.mac, own.address, arp.sender_mac, arp.sender)
            self.network.transmit(self, arp.sender_mac, answer)

    def _learn(self, address: str, mac: str) -> None:
        trusted_until = self.network.loop.time() + self.rng.uniform(*ARP_SECONDS)
        self._arp[address] = (mac, trusted_until)
        self._probes.pop(address, None)
        for packet in self._asking.pop(address, []):
            self.network.transmit(self, mac, packet)

    def _ask(self, address: str, tries: int) -> None:
        if address not in self._asking or not self.powered:
            return
        if tries > ARP_TRIES:
            self._give_up(address)
            return
        own = self.host
        question = Arp(ARP_REQUEST, own.mac, own.address, NO_MAC, address)
        self.network.transmit(self, BROADCAST, question)
        later = ARP_RETRY_SECONDS + self.rng.uniform(0.0, 0.02)
        self.network.loop.call_later(later, self._ask, address, tries + 1, context=self.context)

    def _give_up(self, address: str) -> None:
        for packet in self._asking.pop(address):
            if isinstance(packet.body, Segment):
                key = (packet.body.source_port, packet.target, packet.body.target_port)
                if connection := self.connections.get(key):
                    connection.fail(OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)))

    def _probe(self, address: str, mac: str) -> None:
        now = self.network.loop.time()
        probes, last = self._probes.get(address, (0, 0.0))
        if probes and now - last < ARP_RETRY_SECONDS:
            return
        if probes >= ARP_TRIES:
            del self._probes[address], self._arp[address]
            return
        self._probes[address] = (probes + 1, now)
        own = self.host
        self.network.transmit(self, mac, Arp(ARP_REQUEST, own.mac, own.address, NO_MAC, address))


class Router(Node):
    """A host that carries packets between the switch and hosts that stand elsewhere."""

    def __init__(self, network: Network, host: Host, stack: Stack) -> None:
        """Begin with nobody behind it."""
        super().__init__(network, host, stack)
        network.nodes[host.address] = self
        network.by_mac[host.mac] = self
        self._behind: dict[str, Node] = {}
        self.forward = self._inward

    def add(self, host: Host, stack: Stack) -> Node:
        """Place a host behind the router; its own frames never reach the switch."""
        node = Remote(self.network, host, stack, self)
        self.network.nodes[host.address] = node
        self._behind[host.address] = node
        return node

    def _inward(self, packet: Packet) -> None:
        if node := self._behind.get(packet.target):
            node.arrive(self.network.loop.time() + self.rng.uniform(100e-6, 400e-6), packet)


class Remote(Node):
    """A host behind a router."""

    def __init__(self, network: Network, host: Host, stack: Stack, router: Router) -> None:
        """Stand behind `router`."""
        super().__init__(network, host, stack)
        self._router = router
        self._last_routed = 0.0

    def route(self, packet: Packet) -> None:
        """Send a packet through the router, which costs a hop."""
        loop = self.network.loop
        moment = max(loop.time() + self.rng.uniform(100e-6, 400e-6), self._last_routed + 2e-6)
        self._last_routed = moment
        routed = replace(packet, hops=packet.hops - 1)
        loop.call_at(moment, self._router.route, routed, context=self._router.context)


def _refusal(segment: Segment) -> Segment:
    """Answer a segment that no connection has with a reset (RFC 9293, 3.10.7.1)."""
    ports = (segment.target_port, segment.source_port)
    if segment.flags & ACK:
        return Segment(*ports, segment.acknowledged, 0, RST, 0)
    length = len(segment.payload) + bool(segment.flags & SYN)
    return Segment(*ports, 0, segment.sequence + length, RST | ACK, 0)
