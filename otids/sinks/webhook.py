"""Alerts to a web server: JSON by POST; delivered is what it answers with 2xx.

By http.client: one POST at a time with verified TLS, own headers and a deadline is all that is
needed. Redirects are not followed and no proxy of the environment is used, so that alerts, and the
secrets in headers, go where the config says and nowhere else.
"""

import http.client
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from otids.alerts.wording import clean
from otids.sinks.base import RefusedError, SinkError, encode
from otids.sinks.tls import Tls, explain

MOST_BODY = 1 << 20
"""Bytes of one POST with several records."""
MOST_ANSWER = 1 << 16
"""How much of an answer is read: it says nothing that we need."""
MOST_REASON = 60

REFUSALS = frozenset({400, 413, 415, 422})
"""Answers that are about what was sent, not about the server (RFC 9110, section 15.5)."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Webhook:
    """Posts records: several as a JSON array, or each as an object of its own.

    What fails is sent again whole: at least once, and (id, revision) tells what is double. Neither
    path nor query nor headers are ever part of an error: they may hold secrets.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "webhook",
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        timeout: float = 10.0,
        one_by_one: bool = False,
    ) -> None:
        """`timeout` (seconds) bounds one POST from connecting to the answer."""
        self.name = name
        self._url = url
        self._headers = dict(headers or {})
        self._tls = tls or Tls()
        self._timeout = timeout
        self._one_by_one = one_by_one

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Post records. Raises SinkError naming the server."""
        if not records:
            return
        where, connection, path, headers = self._prepare()
        bodies = (encode(one)[:-1] for one in records) if self._one_by_one else _arrays(records)
        try:
            for body in bodies:
                status, reason = self._post(connection, path, body, headers)
                if not 200 <= status < 300:  # noqa: PLR2004 success (RFC 9110, section 15.3)
                    kind = RefusedError if status in REFUSALS else SinkError
                    raise kind(f"{where}: answers {status} {clean(reason, MOST_REASON)}".rstrip())
        except (OSError, ValueError) as error:
            raise SinkError(f"{where}: {explain(error)}") from None
        except http.client.HTTPException as error:
            what = clean(type(error).__name__, MOST_REASON)
            raise SinkError(f"{where}: answers with what is not HTTP ({what})") from None
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is open between deliveries."""

    def _prepare(self) -> tuple[str, http.client.HTTPConnection, str, Mapping[str, str]]:
        """Read URL, headers and certificates; they may be mended while we run."""
        try:
            parts = urlsplit(self._url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise SinkError("webhook: the url has no sound host and port") from None
        shown = f"[{host}]" if ":" in host else host
        where = f"{parts.scheme}://{shown}{f':{port}' if port else ''}"
        if not host or parts.username is not None or not self._url.isascii():
            raise SinkError(f"{where}: the url needs a host, no user, and no characters but ASCII")
        for name, value in self._headers.items():
            if not _HEADER.fullmatch(name) or not _VALUE.fullmatch(value):
                raise SinkError(f"{where}: the header {clean(name, MOST_REASON)!r} is not sound")
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            try:
                context = self._tls.context()
            except OSError as error:
                raise SinkError(f"{where}: {explain(error)}") from None
            connection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"otids/{version('otids')}",
        }
        given = {name.lower() for name in self._headers}
        ours = {name: value for name, value in headers.items() if name.lower() not in given}
        return where, connection, path, ours | self._headers

    def _post(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> tuple[int, str]:
        """Post once; whoever answers by drops is cut off at the deadline."""
        late = threading.Event()

        def cut() -> None:
            late.set()
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

        deadline = threading.Timer(self._timeout, cut)
        deadline.daemon = True
        deadline.start()
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            if late.is_set():
                raise TimeoutError
            rest = answer.read(MOST_ANSWER)
            if len(rest) == MOST_ANSWER or answer.will_close:
                connection.close()
        except (OSError, http.client.HTTPException):
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            deadline.cancel()
        return answer.status, answer.reason


def _arrays(records: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Spell records as arrays, none of them longer than `MOST_BODY` if it has more than one."""
    part: list[bytes] = []
    size = 0
    for line in (encode(one)[:-1] for one in records):
        if part and size + len(line) > MOST_BODY:
            yield b"[" + b",".join(part) + b"]"
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    yield b"[" + b",".join(part) + b"]"
