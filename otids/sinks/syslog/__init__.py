"""Alerts to a syslog server: at least once, as far as syslog lets anybody know."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otids.sinks.base import RefusedError, SinkError
from otids.sinks.syslog.message import compose
from otids.sinks.syslog.transports import Datagrams, Ended, Stream, Transport
from otids.sinks.tls import Tls

MOST_BYTES = 8192
"""What every receiver should take by TLS (RFC 5425, section 4.3.1); many cut longer ones off."""
KEPT_SECONDS = 600.0
"""For how long what was sent is kept, should the connection turn out to be broken."""
RECENT_SECONDS = 10.0
"""How far back is sent again if the other side closed in good order: it may have crashed."""
MOST_KEPT = 1 << 20
"""Bytes: more than waits, as a rule, in the buffer of a server that does not read."""

PORTS = {"udp": 514, "tcp": 514, "tls": 6514}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that went out."""

    when: float
    message: bytes


class Syslog:
    """Sends records to one server, each as one message (RFC 5424).

    A record counts as delivered when the other side's kernel has all of it and the connection
    stayed up for a moment. What was sent since `KEPT_SECONDS` is kept: if the connection breaks,
    the server's program may not have read it, and it goes out again.
    """

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        name: str = "syslog",
        transport: str = "tcp",
        body: str = "json",
        facility: int = 13,
        tls: Tls | None = None,
        server_name: str = "",
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`transport` is udp, tcp or tls, `body` json or cef."""
        self.name = name
        self.resent = 0
        number = port or PORTS[transport]
        self._where = f"{transport}://{f'[{host}]' if ':' in host else host}:{number}"
        self._transport: Transport = (
            Datagrams(host, number)
            if transport == "udp"
            else Stream(
                host,
                number,
                (tls or Tls()) if transport == "tls" else None,
                server_name=server_name,
            )
        )
        self._is_open = False
        self._confirms = transport != "udp"
        self._body = body
        self._facility = facility
        self._most = most_bytes
        self._clock = clock
        self._lost: list[bytes] = []
        self._kept: deque[Sent] = deque()
        self._kept_bytes = 0

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Send records. Raises SinkError naming the server."""
        try:
            self._look()
            if records or self._lost:
                self._connect()
                self._send([self._compose(one) for one in records])
        except RefusedError:
            raise
        except SinkError as error:
            self._lose(Ended.BROKEN)
            raise SinkError(f"{self._where}: {error}") from None

    def close(self) -> None:
        """Let go of the connection."""
        self._is_open = False
        self._transport.close()

    def _look(self) -> None:
        """See whether the connection still stands; if not, note what may be lost with it."""
        now = self._clock()
        while self._kept and (
            self._kept[0].when < now - KEPT_SECONDS or self._kept_bytes > MOST_KEPT
        ):
            self._kept_bytes -= len(self._kept.popleft().message)
        if self._is_open and (ended := self._transport.state()) is not Ended.NO:
            self._lose(ended)

    def _lose(self, ended: Ended) -> None:
        """Close, and mark what the server may not have read to be sent again."""
        since = self._clock() - (KEPT_SECONDS if ended is Ended.BROKEN else RECENT_SECONDS)
        self._lost += [one.message for one in self._kept if one.when >= since]
        self._kept.clear()
        self._kept_bytes = 0
        self.close()

    def _connect(self) -> None:
        if not self._is_open:
            self._transport.open()
            self._is_open = True

    def _compose(self, record: Mapping[str, Any]) -> bytes:
        bound = self._transport.most()
        most = self._most if bound is None else min(self._most, bound)
        try:
            return compose(record, facility=self._facility, body=self._body, most=most)
        except ValueError as error:
            raise RefusedError(f"{self._where}: {error}") from None

    def _send(self, messages: list[bytes]) -> None:
        """Send what was lost, then what is new; keep both for as long as it may yet be lost."""
        going = self._lost + messages
        self._transport.send(going)
        self.resent += len(self._lost)
        self._lost = []
        if self._confirms:
            now = self._clock()
            self._kept.extend(Sent(now, one) for one in going)
            self._kept_bytes += sum(map(len, going))
