"""The webhook: 2xx is delivered, all else is not, and secrets stay where they belong."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from alerts.records import write_alert
from sinks.certificates import Authority
from sinks.servers import refused_port

from otids.sinks import RefusedError, SinkError
from otids.sinks.tls import Tls
from otids.sinks.webhook import MOST_BODY, Webhook


class Handler(BaseHTTPRequestHandler):
    """Keeps what is posted, and answers what it is told."""

    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status, self.server.reason)
        self.send_header("Content-Length", str(len(self.server.answer)))
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        for piece in self.server.answer:
            if self.server.drip.wait(self.server.pause):
                break
            self.wfile.write(bytes([piece]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    posts: list[tuple[str, dict[str, str], bytes]]

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts, self.answers, self.answer = [], list[int](), b""
        self.reason: str | None = None
        self.pause, self.drip = 0.0, threading.Event()
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""


def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.drip.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving(Server())


def some(*numbers: int, **changes: object) -> list[dict[str, Any]]:
    return [write_alert("a" * 16, number, **changes).record() for number in numbers]


def url(server: Server, path: str = "/hook?token=s3cret", scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_port}{path}"


def test_records_are_posted_as_an_array(server: Server) -> None:
    sink = Webhook(url(server), headers={"Authorization": "Bearer x", "user-agent": "mine"})
    sink.deliver(())
    sink.deliver(some(1, 2))
    ((path, headers, body),) = server.posts
    assert path == "/hook?token=s3cret"
    assert json.loads(body) == some(1, 2)
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer x"
    assert headers["user-agent"] == "mine"
    assert "User-Agent" not in headers


def test_or_each_for_itself(server: Server) -> None:
    Webhook(url(server), one_by_one=True).deliver(some(1, 2))
    assert [json.loads(body) for _, _, body in server.posts] == some(1, 2)


def test_what_is_much_is_posted_in_parts(server: Server) -> None:
    many = some(*range(1, 120), explanation="e" * 20_000)
    Webhook(url(server)).deliver(many)
    assert len(server.posts) == 3
    assert [one for _, _, body in server.posts for one in json.loads(body)] == many
    assert all(len(body) <= MOST_BODY + 200 for _, _, body in server.posts)


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 429, 500, 503])
def test_what_is_not_2xx_is_not_delivered(status: int, server: Server) -> None:
    server.answers = [status]
    with pytest.raises(SinkError, match=rf"http://127\.0\.0\.1:\d+: answers {status}") as caught:
        Webhook(url(server)).deliver(some(1))
    assert not isinstance(caught.value, RefusedError)
    assert len(server.posts) == 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refusal_is_told_apart(status: int, server: Server) -> None:
    server.answers = [status]
    with pytest.raises(RefusedError):
        Webhook(url(server)).deliver(some(1))


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_is_delivered(status: int, server: Server) -> None:
    server.answers = [status]
    Webhook(url(server)).deliver(some(1))
    assert len(server.posts) == 1


def test_errors_hold_no_secrets_and_no_tricks(server: Server) -> None:
    server.answers, server.reason = [500], "\x1b[2Jgone \x9b1m" + "r" * 500
    with pytest.raises(SinkError) as caught:
        Webhook(url(server), headers={"Authorization": "s3cret"}).deliver(some(1))
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 150
    assert "s3cret" not in text
    for headers in ({"Authorization": "s3cret\r\nX: y"}, {"A b": "s3cret"}, {"A": "s3crät"}):
        with pytest.raises(SinkError, match=r"the header '.*' is not sound") as caught:
            Webhook(url(server), headers=headers).deliver(some(1))
        assert "s3c" not in str(caught.value)
    for wrong in (
        "http://user:s3cret@h/",
        "http://h:99999/s3cret",
        "http://h:x/s3cret",
        "http://ä/",
    ):
        with pytest.raises(SinkError) as caught:
            Webhook(wrong).deliver(some(1))
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200", b""])
def test_a_server_that_drips_is_cut_off(beginning: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = threading.Event()

        def drip() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                peer.sendall(beginning)
                while not end.wait(0.05):
                    peer.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(SinkError, match="no answer in time"):
            Webhook(f"http://127.0.0.1:{port}", timeout=0.3).deliver(some(1))
        end.set()
        thread.join()


def test_what_an_answer_says_does_not_matter_once_its_status_is_there(server: Server) -> None:
    server.answer, server.pause = b"x" * 1000, 0.05
    started = time.monotonic()
    Webhook(url(server), timeout=0.3).deliver(some(1))
    assert time.monotonic() - started < 10


def test_a_server_that_talks_much_is_not_listened_to(server: Server) -> None:
    server.answer = b"x" * 200_000
    sink = Webhook(url(server), one_by_one=True)
    sink.deliver(some(1, 2))
    assert len(server.posts) == 2


def test_a_server_that_is_not_there_is_named() -> None:
    port = refused_port()
    with pytest.raises(SinkError, match=rf"http://127\.0\.0\.1:{port}: Connection refused"):
        Webhook(f"http://127.0.0.1:{port}/s3cret").deliver(some(1))


def test_certificates_are_verified(authority: Authority, tmp_path: Path) -> None:
    ca, good = authority.ca, authority.issue("127.0.0.1")
    wrong = authority.issue("elsewhere.example")
    for pair, tls, complaint in (
        (good, Tls(str(ca)), ""),
        (good, Tls(), "its certificate is not accepted"),
        (wrong, Tls(str(ca)), "its certificate is not accepted"),
        (good, Tls(str(tmp_path / "none.pem")), "none.pem: No such file"),
    ):
        for server in serving(Server(pair.server_context())):
            sink = Webhook(url(server, scheme="https"), tls=tls)
            if not complaint:
                sink.deliver(some(1))
                continue
            with pytest.raises(SinkError, match=complaint):
                sink.deliver(some(1))
            assert server.posts == []
