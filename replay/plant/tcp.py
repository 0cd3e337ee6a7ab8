"""TCP between the plant's hosts, as far as its stacks need it: segments out, protocols in.

Sequence numbers start in the lower half of their range and no connection carries gigabytes,
so they never wrap. A segment that comes out of order is dropped and sent again by its sender.
"""

from __future__ import annotations

import asyncio
import errno
import os
import struct
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from plant.frames import ACK, FIN, PSH, RST, SYN, Segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from plant.wire import Node

SEGMENT_SIZE = 1460
MSS_OPTION = struct.pack(">BBH", 2, 4, SEGMENT_SIZE)
SCALE_SHIFT = 8
SCALE_OPTION = bytes((3, 3, SCALE_SHIFT))
# NOP, window scale, NOP, NOP, selective acknowledgement permitted.
PC_OPTIONS = MSS_OPTION + b"\x01" + SCALE_OPTION + b"\x01\x01\x04\x02"
# Bounds of timers in seconds, as Linux has them for a network without delay.
DELAYED_ACK = (0.040, 0.044)
RETRANSMISSION = (0.204, 0.236)
SYN_RETRANSMISSION = 1.0
MOST_RETRANSMISSIONS = 6
MOST_SYN_ACKS = 2


class State(Enum):
    """Where a connection stands (RFC 9293, with the closing states as one)."""

    ASKED = auto()
    ANSWERED = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


@dataclass(slots=True)
class Sent:
    """A segment that the peer has not acknowledged."""

    sequence: int
    flags: int
    payload: bytes
    time: float


class Connection(asyncio.Transport):
    """One end of a TCP connection; a transport of asyncio to the program above it."""

    def __init__(self, node: Node, local_port: int, remote: str, remote_port: int) -> None:
        """Begin closed; `ask` or `answer` opens it."""
        super().__init__(
            {"peername": (remote, remote_port), "sockname": (node.host.address, local_port)}
        )
        self.local_port, self.remote, self.remote_port = local_port, remote, remote_port
        self.protocol: Any = None
        self.last_received = b""
        self._node = node
        self._loop = node.network.loop
        self._next = node.rng.randrange(1 << 16, 1 << 31)
        self._unacknowledged: deque[Sent] = deque()
        self._expected = 0
        self._state = State.CLOSED
        self._buffer = bytearray()
        self._flush_at: asyncio.TimerHandle | None = None
        self._acknowledge_at: asyncio.TimerHandle | None = None
        self._retransmit_at: asyncio.TimerHandle | None = None
        self._retransmissions = 0
        self._scaled = False
        self._quick = True
        self._closing = self._finished = False
        self._opened: asyncio.Future[None] | None = None
        self._factory: Callable[[], Any] | None = None

    @property
    def key(self) -> tuple[int, str, int]:
        """What tells this connection from others of its host."""
        return self.local_port, self.remote, self.remote_port

    # What the program above calls.

    async def ask(self, factory: Callable[[], Any]) -> None:
        """Connect and set up the protocol; OSError if that fails."""
        self._factory, self._state = factory, State.ASKED
        self._opened = self._loop.create_future()
        self._send(SYN, options=self._node.stack.options)
        try:
            await self._opened
        finally:
            if self._state is State.ASKED:
                self._forget()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send after the moment that the host's program and stack take."""
        if self._closing or self._state is not State.OPEN:
            return
        data = bytes(data)
        if self._node.shape is not None:
            data = self._node.shape(self, data)
        self._buffer += data
        self._flush_soon()

    def close(self) -> None:
        """Send what is left, then FIN."""
        if self._closing or self._state is State.CLOSED:
            return
        self._closing = True
        self._loop.call_soon(self._tell_lost, None)
        if self._state is State.OPEN:
            self._flush_soon()
        else:
            self._forget()

    def abort(self) -> None:
        """Reset the connection."""
        if self._state in (State.OPEN, State.CLOSING, State.ANSWERED):
            self._send(RST | ACK)
        self._lose(None)

    def is_closing(self) -> bool:
        """Say whether it is closed or will be."""
        return self._closing or self._state is State.CLOSED

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol."""
        self.protocol = protocol

    def get_protocol(self) -> Any:
        """Get the protocol that takes what comes."""
        return self.protocol

    # What the host calls.

    def answer(self, factory: Callable[[], Any], segment: Segment) -> None:
        """Accept the connection that a SYN asks for."""
        self._factory, self._state = factory, State.ANSWERED
        self._expected = segment.sequence + 1
        options = self._node.stack.options
        self._scaled = SCALE_OPTION in segment.options and SCALE_OPTION in options
        self._send(SYN | ACK, options=options)

    def vanish(self, *, reset: bool) -> None:
        """Lose the connection as its host goes down, with a reset or without a word."""
        if reset and self._state in (State.OPEN, State.CLOSING):
            self._send(RST | ACK)
        self._forget()

    def fail(self, error: OSError) -> None:
        """Give up to connect."""
        if self._state is State.ASKED:
            self._forget()
            if self._opened is not None and not self._opened.done():
                self._opened.set_exception(error)

    def receive(self, segment: Segment) -> None:
        """Take a segment of this connection."""
        if segment.flags & RST:
            self._receive_reset(segment)
            return
        if self._state is State.ASKED:
            self._receive_answer(segment)
            return
        if segment.flags & SYN:
            if self._state is State.ANSWERED:
                self._retransmit()
            return
        self._receive_acknowledgement(segment.acknowledged)
        if self._state is State.ANSWERED and not self._unacknowledged:
            self._state = State.OPEN
            self._start()
        if segment.payload:
            self._receive_payload(segment)
        if segment.flags & FIN:
            self._receive_end(segment.sequence + len(segment.payload))

    # How it is done.

    def _receive_reset(self, segment: Segment) -> None:
        if self._state is State.ASKED:
            if segment.acknowledged == self._next:
                self.fail(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
        elif segment.sequence == self._expected:
            self._lose(ConnectionResetError(errno.ECONNRESET, "reset"))

    def _receive_answer(self, segment: Segment) -> None:
        if segment.flags & (SYN | ACK) != SYN | ACK or segment.acknowledged != self._next:
            return
        self._receive_acknowledgement(segment.acknowledged)
        self._expected = segment.sequence + 1
        own = self._node.stack.options
        self._scaled = SCALE_OPTION in segment.options and SCALE_OPTION in own
        self._state = State.OPEN
        self._send(ACK)
        self._start()
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _start(self) -> None:
        if self._factory is not None:
            self.protocol = self._factory()
            self.protocol.connection_made(self)

    def _receive_acknowledgement(self, acknowledged: int) -> None:
        waiting = self._unacknowledged
        while waiting and _end(waiting[0]) <= acknowledged <= self._next:
            waiting.popleft()
            self._retransmissions = 0
        if not waiting and self._state is State.CLOSING and self._finished:
            self._forget()

    def _receive_payload(self, segment: Segment) -> None:
        if segment.sequence != self._expected:
            self._send(ACK)
            return
        if self._closing:
            # The program that would read it is gone.
            self._send(RST | ACK)
            self._forget()
            return
        self._expected += len(segment.payload)
        if self._quick or self._acknowledge_at is not None:
            self._send(ACK)
            self._quick = False
        else:
            self._acknowledge_later()
        self.last_received = segment.payload
        try:
            self.protocol.data_received(segment.payload)
        except Exception:  # noqa: BLE001 - asyncio, too, closes when a protocol fails
            self.close()

    def _receive_end(self, sequence: int) -> None:
        if sequence != self._expected:
            self._send(ACK)
            return
        self._expected += 1
        self._finished = True
        if self._closing:
            self._send(ACK)
            if not self._unacknowledged:
                self._forget()
            return
        self._acknowledge_later()
        if not self.protocol.eof_received():
            self.close()

    def _flush_soon(self) -> None:
        if self._flush_at is None:
            moment = self._loop.time() + self._node.rng.uniform(*self._node.stack.thinking)
            self._flush_at = self._call_at(moment, self._flush)

    def _flush(self) -> None:
        self._flush_at = None
        if self._state is not State.OPEN:
            return
        data = bytes(self._buffer)
        self._buffer.clear()
        for at in range(0, len(data), SEGMENT_SIZE):
            part = data[at : at + SEGMENT_SIZE]
            push = PSH if at + SEGMENT_SIZE >= len(data) else 0
            self._send(ACK | push, part)
        if self._closing:
            self._state = State.CLOSING
            self._send(FIN | ACK)

    def _send(self, flags: int, payload: bytes = b"", options: bytes = b"") -> None:
        sequence = self._next
        if payload or flags & (SYN | FIN):
            sent = Sent(sequence, flags, payload, self._loop.time())
            self._unacknowledged.append(sent)
            self._next = _end(sent)
            self._watch_acknowledgement()
        self._transmit(sequence, flags, payload, options)

    def _transmit(self, sequence: int, flags: int, payload: bytes, options: bytes) -> None:
        window = 0 if flags & RST else self._node.stack.window
        if self._scaled and not flags & SYN:
            window >>= SCALE_SHIFT
        if flags & ACK and self._acknowledge_at is not None:
            self._acknowledge_at.cancel()
            self._acknowledge_at = None
        segment = Segment(
            self.local_port,
            self.remote_port,
            sequence,
            self._expected if flags & ACK else 0,
            flags,
            window,
            options,
            payload,
        )
        self._node.send(self.remote, segment)

    def _acknowledge_later(self) -> None:
        if self._acknowledge_at is None:
            moment = self._loop.time() + self._node.rng.uniform(*DELAYED_ACK)
            self._acknowledge_at = self._call_at(moment, self._acknowledge)

    def _acknowledge(self) -> None:
        self._acknowledge_at = None
        self._send(ACK)

    def _watch_acknowledgement(self) -> None:
        if self._retransmit_at is None:
            moment = self._unacknowledged[0].time + self._patience()
            self._retransmit_at = self._call_at(moment, self._judge_acknowledgement)

    def _patience(self) -> float:
        if self._state in (State.ASKED, State.ANSWERED):
            return SYN_RETRANSMISSION * 2.0**self._retransmissions
        return float(self._node.rng.uniform(*RETRANSMISSION) * 2.0**self._retransmissions)

    def _judge_acknowledgement(self) -> None:
        self._retransmit_at = None
        if not self._unacknowledged:
            return
        if self._loop.time() - self._unacknowledged[0].time < RETRANSMISSION[0]:
            self._watch_acknowledgement()
            return
        limit = MOST_SYN_ACKS if self._state is State.ANSWERED else MOST_RETRANSMISSIONS
        if self._retransmissions >= limit:
            self.fail(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
            self._lose(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
            return
        self._retransmit()
        self._watch_acknowledgement()

    def _retransmit(self) -> None:
        self._retransmissions += 1
        now = self._loop.time()
        for sent in self._unacknowledged:
            sent.time = now
            options = self._node.stack.options if sent.flags & SYN else b""
            self._transmit(sent.sequence, sent.flags, sent.payload, options)

    def _call_at(self, moment: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at(moment, call, context=self._node.context)

    def _lose(self, error: Exception | None) -> None:
        told = self._closing
        self._closing = True
        self._forget()
        if not told:
            self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        if self.protocol is not None:
            self.protocol.connection_lost(error)

    def _forget(self) -> None:
        self._state = State.CLOSED
        for timer in (self._flush_at, self._acknowledge_at, self._retransmit_at):
            if timer is not None:
                timer.cancel()
        self._flush_at = self._acknowledge_at = self._retransmit_at = None
        self._unacknowledged.clear()
        self._node.connections.pop(self.key, None)


def _end(sent: Sent) -> int:
    return sent.sequence + len(sent.payload) + bool(sent.flags & (SYN | FIN))
