"""Servers for the tests of sinks, on loopback, each with its faults."""

import contextlib
import socket
import threading
import time
from typing import Self

SECONDS = 15.0


def refused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(true: object, what: str, seconds: float = SECONDS) -> None:
    """Look until something holds; fail after some seconds."""
    until = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.005)


class StreamServer:
    """A syslog server that reads messages with their length before them."""

    def __init__(self, port: int = 0) -> None:
        self.is_reading = True
        self.hangs_up_at_once = False
        self.connections = 0
        self.messages: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.02)
        self.port = int(self._listener.getsockname()[1])
        self._peer: socket.socket | None = None
        self._end = threading.Event()
        self._hanging_up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(SECONDS)
        self._listener.close()

    def wait_for(self, count: int) -> list[bytes]:
        """Return all messages once there are `count`."""
        wait_until(lambda: len(self.messages) >= count, f"{count} messages")
        return list(self.messages)

    def hang_up(self) -> None:
        """Close the connection, as a program that ends does; return when that is done."""
        self._hanging_up.set()
        wait_until(lambda: not self._hanging_up.is_set(), "hanging up")

    def say(self, data: bytes) -> None:
        """Send something back."""
        assert self._peer is not None
        self._peer.sendall(data)

    def _serve(self) -> None:
        while not self._end.is_set():
            with contextlib.suppress(TimeoutError):
                self._peer, _ = self._listener.accept()
                self.connections += 1
                with self._peer:
                    self._read(self._peer)

    def _read(self, peer: socket.socket) -> None:
        data = b""
        peer.settimeout(0.02)
        while not self._end.is_set() and not self.hangs_up_at_once:
            if self._hanging_up.is_set():
                peer.close()
                self._hanging_up.clear()
                return
            if not self.is_reading:
                time.sleep(0.005)
                continue
            with contextlib.suppress(TimeoutError):
                more = peer.recv(65_536)
                if not more:
                    return
                data += more
                while b" " in data:
                    length, rest = data.split(b" ", 1)
                    if len(rest) < int(length):
                        break
                    self.messages.append(rest[: int(length)])
                    data = rest[int(length) :]
