"""An event loop whose time is virtual: it jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Net(Protocol):
        """What opens connections and servers for this loop."""

        async def connect(
            self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
        ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
            """Connect from the host whose task asks."""

        def listen(
            self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
        ) -> asyncio.BaseTransport:
            """Accept connections on a host."""


class StalledError(Exception):
    """Nothing will ever happen again: every task waits for another."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order of their virtual times, as fast as the machine can.

    Starts at 0.0 seconds. TCP connections and servers go to `net`; there are no sockets,
    so a run depends on nothing but its program.
    """

    def __init__(self) -> None:
        """Start at 0.0 with nothing to do."""
        super().__init__()
        self.net: Net
        self._virtual_now = 0.0
        # The base class asks its selector how long it may sleep; here that is a jump.
        self._selector = self

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._virtual_now

    def select(self, timeout: float | None) -> tuple[()]:
        """Jump `timeout` seconds ahead; StalledError if no timer is left."""
        if timeout is None:
            message = f"no timer is left at {self._virtual_now:.6f} s"
            raise StalledError(message)
        if timeout > 0:
            self._virtual_now += timeout
        return ()

    def _process_events(self, event_list: tuple[()]) -> None:
        """Take what `select` found: never anything."""

    def _write_to_self(self) -> None:
        """Wake the selector: it never sleeps."""

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: str, port: int, **_: object
    ) -> tuple[asyncio.Transport, Any]:
        """Connect over the plant's wire; OSError as from a socket."""
        return await self.net.connect(protocol_factory, host, port)

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: str, port: int, **_: object
    ) -> asyncio.BaseTransport:
        """Accept connections over the plant's wire."""
        return self.net.listen(protocol_factory, host, port)
