"""Ways to a syslog server: UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425), both octet-counted.

Syslog has no acknowledgment. What can be known of a connection is used instead: whether the other
side's kernel has taken every byte (SIOCOUTQ), and whether the connection was ended or reset.
"""

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from otids.sinks.base import SinkError
from otids.sinks.syslog.message import LEAST_BYTES
from otids.sinks.tls import Tls, explain

CONNECT_SECONDS = 5.0
SEND_SECONDS = 10.0
SETTLE_SECONDS = 0.25
"""How long a connection has to stay up after its last byte was taken."""

PACE_SECONDS = 0.001
"""Between two datagrams: a burst would overflow the receiver's buffer."""
REFUSAL_SECONDS = 0.1
"""How long the answer that nobody listens may take."""
MOST_DATAGRAM = 2048
"""What every receiver should take (RFC 5426, section 3.2), where the network carries it."""
ENDED = "the connection was ended by the other side"

_SIOCOUTQ = 0x5411
_IP_MTU = 14
_IPV6_MTU = 24
_HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
_MOST_READ = 16
_PIECE = 4096


class Ended(Enum):
    """How a connection stands."""

    NO = 0
    CLOSED = 1  # by the other side, in good order: it had read what had reached it
    BROKEN = 2  # what its program had not read is lost


class Transport(Protocol):
    """One way to a server; opened before use, and again after an error."""

    def open(self) -> None:
        """Connect. Raises SinkError."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Send; return when all is known of their arrival that can be. Raises SinkError."""

    def state(self) -> Ended:
        """Look at the connection without waiting."""

    def most(self) -> int | None:
        """How many bytes one message may have, if the way has a bound."""

    def close(self) -> None:
        """Let go of the connection."""


class Datagrams:
    """UDP: a message is a datagram. What is lost on the way, nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Find the server's address."""
        self.close()
        error: Exception | None = None
        try:
            for family, kind, number, _, address in socket.getaddrinfo(
                *self._address, type=socket.SOCK_DGRAM
            ):
                self._socket = socket.socket(family, kind, number)
                try:
                    self._socket.connect(address)
                except OSError as one:
                    error = one
                    self.close()
                else:
                    return
        except (OSError, ValueError) as one:
            error = one
        raise SinkError(explain(error or OSError("has no address")))

    def send(self, messages: Sequence[bytes]) -> None:
        """Send, and wait a moment for the answer that nobody listens."""
        if self._socket is None:
            raise SinkError("is not open")
        try:
            for message in messages:
                self._socket.send(message)
                time.sleep(PACE_SECONDS)
        except OSError as error:
            raise SinkError(explain(error)) from None
        poll = select.poll()
        poll.register(self._socket, 0)
        if poll.poll(REFUSAL_SECONDS * 1000):
            raise SinkError("nobody listens there")

    def state(self) -> Ended:
        """A datagram knows of no connection."""
        return Ended.NO if self._socket is not None else Ended.CLOSED

    def most(self) -> int:
        """As much as goes without fragments, as far as the way is known."""
        if self._socket is None:
            return LEAST_BYTES
        level, option = (
            (socket.IPPROTO_IP, _IP_MTU)
            if self._socket.family == socket.AF_INET
            else (socket.IPPROTO_IPV6, _IPV6_MTU)
        )
        try:
            mtu = self._socket.getsockopt(level, option)
        except OSError:
            return LEAST_BYTES
        return max(min(mtu - _HEADERS[self._socket.family], MOST_DATAGRAM), LEAST_BYTES)

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Stream:
    """TCP, or TLS over it: each message follows its length (RFC 6587, section 3.4.1)."""

    def __init__(
        self, host: str, port: int, tls: Tls | None = None, *, server_name: str = ""
    ) -> None:
        """With `tls` the certificate has to be the one of `server_name`, by default `host`."""
        self._address = host, port
        self._tls = tls
        self._server_name = server_name or host
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect, with TLS also shake hands."""
        self.close()
        try:
            plain = socket.create_connection(self._address, CONNECT_SECONDS)
            self._socket = plain
            for level, option, value in (
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
                (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SEND_SECONDS * 1000)),
            ):
                plain.setsockopt(level, option, value)
            if self._tls is not None:
                context = self._tls.context()
                self._socket = context.wrap_socket(plain, server_hostname=self._server_name)
        except (OSError, ValueError) as error:
            self.close()
            raise SinkError(explain(error)) from None

    def send(self, messages: Sequence[bytes]) -> None:
        """Send, wait until the other side's kernel has all of it, and see that it stays up."""
        if self._socket is None:
            raise SinkError("is not connected")
        try:
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(b"".join(b"%d %s" % (len(one), one) for one in messages))
            self._wait_until_taken()
            self._settle()
        except (OSError, ValueError) as error:
            self.close()
            raise SinkError(explain(error)) from None

    def _wait_until_taken(self) -> None:
        pause, until = 0.0005, time.monotonic() + SEND_SECONDS
        while self._untaken():
            if self.state() is not Ended.NO:
                raise ConnectionResetError(0, ENDED)
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _settle(self) -> None:
        until = time.monotonic() + SETTLE_SECONDS
        while (left := until - time.monotonic()) > 0:
            if self._socket is not None:
                poll = select.poll()
                poll.register(self._socket, select.POLLIN | select.POLLRDHUP)
                poll.poll(left * 1000)
            if self.state() is not Ended.NO:
                raise ConnectionResetError(0, ENDED)

    def _untaken(self) -> int:
        """How many bytes the other side's kernel has not confirmed yet."""
        if self._socket is None:
            return 0
        answer = fcntl.ioctl(self._socket.fileno(), _SIOCOUTQ, struct.pack("i", 0))
        return int(struct.unpack("i", answer)[0])

    def state(self) -> Ended:
        """Read what came, which is nobody's business, to see whether the end has come."""
        if self._socket is None:
            return Ended.CLOSED
        timeout = self._socket.gettimeout()
        try:
            self._socket.settimeout(0)
            for _ in range(_MOST_READ):
                if not self._socket.recv(_PIECE):
                    return Ended.CLOSED
        except (BlockingIOError, ssl.SSLWantReadError):
            return Ended.NO
        except (OSError, ValueError):
            return Ended.BROKEN
        else:
            return Ended.BROKEN  # no syslog server has so much to say
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(timeout)

    def most(self) -> None:
        """A stream has no bound."""

    def close(self) -> None:
        """Say goodbye, as TLS wants it, without waiting for an answer."""
        if self._socket is None:
            return
        if isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self._socket.settimeout(0)
                self._socket.unwrap()
        self._socket.close()
        self._socket = None
