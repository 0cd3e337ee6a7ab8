"""A web server that gives one page: bounded in clients, in bytes and in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from otids.logs import logger

MOST_CLIENTS = 16
MOST_HEAD = 16_384
"""Bytes of a request."""
PATIENCE = 10.0
"""Seconds that a client has to ask, and to take the answer."""
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets."""

    status: HTTPStatus
    body: bytes
    type: str = _TEXT

    def spell(self, *, with_body: bool) -> bytes:
        """Spell it as HTTP does; each answer ends its connection."""
        allow = "Allow: GET, HEAD\r\n" if self.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Content-Type: {self.type}\r\n"
            f"Content-Length: {len(self.body)}\r\n"
            f"{allow}X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + (self.body if with_body else b"")


class Web:
    """Serves what `page` returns (its type and its bytes) at one path."""

    def __init__(
        self,
        path: str,
        page: Callable[[], tuple[str, bytes]],
        *,
        patience: float = PATIENCE,
        most_clients: int = MOST_CLIENTS,
    ) -> None:
        self.refused = 0  # clients that came when there were too many
        self.failed = 0  # pages that could not be made
        self._path = path
        self._page = page
        self._patience = patience
        self._most_clients = most_clients
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._log = logger(__name__)

    async def start(self, address: str, port: int) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_server(self._came, address, port, limit=MOST_HEAD)

    async def stop(self) -> None:
        """Listen no more, and let go of who is still there."""
        if self._server is not None:
            self._server.close()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= self._most_clients:
            self.refused += 1
            writer.transport.abort()
            return
        client = asyncio.create_task(self._serve(reader, writer), name="a client of the metrics")
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._patience):
                answer, with_body = await self._ask(reader)
                writer.write(answer.spell(with_body=with_body))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client's business
        finally:
            with contextlib.suppress(Exception):
                writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader) -> tuple[Answer, bool]:
        """Read a request; return what is answered, and whether with its body."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _told(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), True
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):  # noqa: PLR2004 method, target, version
            return _told(HTTPStatus.BAD_REQUEST), True
        method, target, _ = words
        if method not in {b"GET", b"HEAD"}:
            return _told(HTTPStatus.METHOD_NOT_ALLOWED), True
        if target.split(b"?", 1)[0] != self._path.encode():
            return _told(HTTPStatus.NOT_FOUND, f"the metrics are at {self._path}"), method == b"GET"
        return self._answer(), method == b"GET"

    def _answer(self) -> Answer:
        try:
            type_, body = self._page()
        except Exception:  # noqa: BLE001 whoever asks is told, and the service goes on
            self.failed += 1
            if self.failed == 1:
                self._log.exception("the page cannot be made; this is a bug", path=self._path)
            return _told(HTTPStatus.INTERNAL_SERVER_ERROR)
        return Answer(HTTPStatus.OK, body, type_)


def _told(status: HTTPStatus, more: str = "") -> Answer:
    return Answer(status, f"{status.phrase}{': ' if more else ''}{more}\n".encode())
