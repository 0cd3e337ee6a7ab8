"""Syslog: whole messages whatever is in a record; what a connection loses comes again."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from alerts.records import write_alert
from hypothesis import given
from hypothesis import strategies as st
from sinks.servers import StreamServer, refused_port

from otids.alerts.alert import Party
from otids.sinks import SinkError
from otids.sinks.syslog import RECENT_SECONDS, Syslog
from otids.sinks.syslog.cef import spell
from otids.sinks.syslog.message import LEAST_BYTES, compose

# RFC 5424, section 6; NILVALUE is "-" in each field.
MESSAGE = re.compile(
    rb"<(?P<pri>[0-9]|[1-9][0-9]|1[0-8][0-9]|19[01])>1 "
    rb"(?P<time>-|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
    rb"(?:\.[0-9]{1,6})?(?:Z|[+-][0-2][0-9]:[0-5][0-9])) "
    rb"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) "
    rb"(?P<id>[!-~]{1,32}) "
    rb"(?P<data>\[[!#-<>-\\^-~]{1,32}(?: [!#-<>-\\^-~]{1,32}=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*\])"
    rb" (?P<body>.*)",
    re.DOTALL,
)
PARAMETER = re.compile(rb' ([!-~]+?)="((?:[^"\\\]]|\\["\\\]])*)"')

HOSTILE = st.text(st.sampled_from('ab\\|="]\n\r\t\0\x1b[ \u2028\u202e\ud800ä€😀'), max_size=400)


def record(**changes: object) -> dict[str, Any]:
    return write_alert(**changes).record()  # type: ignore[arg-type]


def read(message: bytes) -> dict[str, bytes]:
    found = MESSAGE.fullmatch(message)
    assert found is not None, message
    return found.groupdict()


def parameters(data: bytes) -> dict[str, str]:
    return {
        name.decode(): re.sub(rb'\\(["\\\]])', rb"\1", value).decode()
        for name, value in PARAMETER.findall(data)
    }


# --- messages ------------------------------------------------------------------------------------


def test_the_header_says_who_what_and_when() -> None:
    parts = read(compose(record(severity="critical", sensor="sensor 1"), facility=13))
    assert parts["pri"] == b"106"  # 13 * 8 + 2
    assert parts["time"] == b"2023-11-14T22:13:20.000000Z"
    assert parts["host"] == b"sensor-1"
    assert (parts["app"], parts["id"]) == (b"otids", b"novelty.new-item")
    assert parts["data"].startswith(b"[otids@32473 ")
    assert parameters(parts["data"]) == {
        "id": "a" * 16,
        "revision": "1",
        "status": "open",
        "kind": "novelty.new-item",
        "severity": "critical",
        "source": "10.0.0.66",
        "target": "10.0.0.5",
    }


@pytest.mark.parametrize(
    ("severity", "priority"),
    [("critical", 2), ("high", 3), ("medium", 4), ("low", 5), ("info", 6)],
)
def test_severities_are_those_of_syslog(severity: str, priority: int) -> None:
    assert read(compose(record(severity=severity), facility=0))["pri"] == b"%d" % priority


def test_the_body_is_the_record() -> None:
    body = read(compose(record(), facility=13))["body"]
    assert body.isascii()
    assert json.loads(body) == record()


def test_a_kind_that_is_too_long_for_the_message_id_stands_whole_in_the_data() -> None:
    kind = "policy.modbus-restart-communications"
    parts = read(compose(record(kind=kind), facility=13))
    assert parts["id"] == kind[:32].encode()
    assert parameters(parts["data"])["kind"] == kind


@pytest.mark.parametrize("body", ["json", "cef"])
@given(text=HOSTILE, number=st.integers(0, 70))
def test_hostile_texts_leave_a_message_whole(body: str, text: str, number: int) -> None:
    changes = dict.fromkeys(("title", "explanation", "expected", "observed", "function"), text)
    one = record(
        **changes,
        sensor=text,
        capture=text,
        conversation=text,
        source=Party(text, text, text),
        points=(text,) * number,
        members=(text,) * number,
        response={"it": (text,), "ot": (text,) * 6},
    )
    for most in (None, 8192, 2048, LEAST_BYTES):
        message = compose(one, facility=13, body=body, most=most)
        assert most is None or len(message) <= most
        parts = read(message)
        assert not re.search(rb"[\x00-\x1f]", message)
        if body == "cef":
            assert len(split_header(parts["body"].decode())) == 8
        else:
            had = json.loads(parts["body"])
            assert had.keys() - {"shortened"} == one.keys()
            assert (had["id"], had["revision"]) == (one["id"], one["revision"])
            assert had.get("shortened", False) == (had != one)


def test_what_is_shortened_loses_the_least_first() -> None:
    long = record(members=tuple(f"m{number}" for number in range(64)), explanation="e" * 500)
    whole = len(compose(long, facility=13))
    had = json.loads(read(compose(long, facility=13, most=whole - 1))["body"])
    assert had["members"] == [f"m{number}" for number in range(8)]
    assert had["explanation"] == "e" * 500
    assert had["response"] == long["response"]
    assert had["shortened"] is True


# --- CEF -----------------------------------------------------------------------------------------


def split_header(line: str) -> list[str]:
    """Split at the first seven bars before which no backslash stands."""
    parts = re.findall(r"((?:[^\\|]|\\.)*)\|", line)[:7]
    return [*parts, line[sum(len(one) + 1 for one in parts) :]]


def extension(line: str) -> dict[str, str]:
    found = re.findall(r"(?:^| )([A-Za-z0-9]+)=((?:[^\\=]|\\.)*)(?= [A-Za-z0-9]+=|$)", line)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in found}


def test_cef_has_the_fields_of_its_dictionary() -> None:
    line = spell(
        record(
            severity="high",
            target=Party("fd00::5", "00:80:f4:00:00:05", "PLC-5"),
            last_seen=1_500_000_000_123_456_789,
        )
    )
    head, fields = split_header(line)[:7], extension(split_header(line)[7])
    assert head[:3] == ["CEF:0", "otids", "otids"]
    assert head[4:] == ["novelty.new-item", "Titel mit Umlaut: ä", "8"]
    assert fields["rt"] == "1500000000123"
    assert fields["externalId"] == "a" * 16
    assert fields["src"] == "10.0.0.66"
    assert (fields["c6a3"], fields["c6a3Label"]) == ("fd00::5", "Destination IPv6 Address")
    assert (fields["dmac"], fields["dhost"]) == ("00:80:f4:00:00:05", "PLC-5")
    assert "dst" not in fields
    assert (fields["cs5"], fields["cs5Label"]) == ("T0855", "attack")
    assert (fields["cn1"], fields["cn1Label"]) == ("1", "revision")


def test_cef_escapes_what_would_break_it() -> None:
    line = spell(record(title=r"a|b\c", observed="x=1 src=6.6.6.6\nrt=0", kind="a|b"))
    assert r"|a\|b|a\|b\\c|" in line
    assert r"cs2=x\=1 src\=6.6.6.6 rt\=0" in line
    assert extension(line.rpartition("|")[2])["src"] == "10.0.0.66"
    assert "\n" not in line


# --- connections ---------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as server:
        yield server


@pytest.fixture
def made() -> Iterator[list[Syslog]]:
    """Sinks that are closed in the end."""
    sinks: list[Syslog] = []
    yield sinks
    for sink in sinks:
        sink.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def revisions(messages: list[bytes]) -> list[int]:
    return [json.loads(read(one)["body"])["revision"] for one in messages]


def some(*numbers: int) -> list[dict[str, Any]]:
    return [write_alert(revision=number).record() for number in numbers]


def test_messages_are_framed_by_their_length(server: StreamServer, made: list[Syslog]) -> None:
    made.append(sink := Syslog("127.0.0.1", server.port))
    sink.deliver(some(1, 2))
    sink.deliver(some(3))
    assert revisions(server.wait_for(3)) == [1, 2, 3]
    assert server.connections == 1


def test_a_connection_that_was_closed_is_noticed_before_writing(
    server: StreamServer, made: list[Syslog]
) -> None:
    clock = Clock()
    made.append(sink := Syslog("127.0.0.1", server.port, clock=clock))
    sink.deliver(some(1))
    server.wait_for(1)
    clock.now += RECENT_SECONDS + 1
    server.hang_up()
    sink.deliver(some(2))
    assert revisions(server.wait_for(2)) == [1, 2]
    assert sink.resent == 0


def test_what_went_out_just_before_an_end_goes_out_again(
    server: StreamServer, made: list[Syslog]
) -> None:
    made.append(sink := Syslog("127.0.0.1", server.port))
    sink.deliver(some(1))
    server.wait_for(1)
    server.hang_up()
    sink.deliver(())
    assert revisions(server.wait_for(2)) == [1, 1]
    assert sink.resent == 1


def test_what_a_server_has_not_read_when_it_dies_goes_out_again(
    server: StreamServer, made: list[Syslog]
) -> None:
    clock = Clock()
    made.append(sink := Syslog("127.0.0.1", server.port, clock=clock))
    server.is_reading = False
    sink.deliver(some(1))
    clock.now += 60
    sink.deliver(some(2))
    clock.now += 60
    server.hang_up()  # with bytes unread: the kernel answers with a reset
    server.is_reading = True
    sink.deliver(some(3))
    assert revisions(server.wait_for(3)) == [1, 2, 3]
    assert sink.resent == 2


def test_an_idle_sink_says_again_what_may_be_lost(server: StreamServer, made: list[Syslog]) -> None:
    made.append(sink := Syslog("127.0.0.1", server.port))
    server.is_reading = False
    sink.deliver(some(1))
    server.hang_up()
    server.is_reading = True
    sink.deliver(())
    assert revisions(server.wait_for(1)) == [1]
    sink.deliver(())
    assert server.connections == 2


def test_what_was_lost_stays_lost_until_it_arrives(made: list[Syslog]) -> None:
    with StreamServer() as server:
        made.append(sink := Syslog("127.0.0.1", server.port))
        server.is_reading = False
        sink.deliver(some(1))
        port = server.port
    for _ in range(2):
        with pytest.raises(SinkError, match=f"tcp://127.0.0.1:{port}: Connection refused"):
            sink.deliver(some(2))
    with StreamServer(port) as server:
        sink.deliver(some(2))
        assert revisions(server.wait_for(2)) == [1, 2]


def test_a_server_that_ends_while_it_is_written_to_is_an_error(
    server: StreamServer, made: list[Syslog]
) -> None:
    server.hangs_up_at_once = True
    made.append(sink := Syslog("127.0.0.1", server.port))
    with pytest.raises(SinkError, match=r"ended by the other side|reset by peer|Broken pipe"):
        sink.deliver(some(1))


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(SinkError, match=r"tcp://127\.0\.0\.1:\d+: Connection refused"):
        Syslog("127.0.0.1", refused_port()).deliver(some(1))
    with pytest.raises(SinkError, match=r"tcp://\[::1\]:\d+: "):
        Syslog("::1", refused_port()).deliver(some(1))
    with pytest.raises(SinkError, match=r"no-such-host\.invalid:514: "):
        Syslog("no-such-host.invalid").deliver(some(1))
    with pytest.raises(SinkError, match="514: "):
        Syslog("a\0b").deliver(some(1))


def test_a_server_that_talks_is_not_listened_to(server: StreamServer, made: list[Syslog]) -> None:
    made.append(sink := Syslog("127.0.0.1", server.port))
    sink.deliver(some(1))
    server.say(b"x" * 10_000)
    sink.deliver(some(2))
    assert revisions(server.wait_for(2)) == [1, 2]
    assert server.connections == 1


# --- UDP -----------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver


def test_a_datagram_is_a_message_and_never_too_long(
    receiver: socket.socket, made: list[Syslog]
) -> None:
    made.append(sink := Syslog("127.0.0.1", receiver.getsockname()[1], transport="udp"))
    long = write_alert(revision=2, explanation="e" * 2000, points=("p" * 300,) * 64)
    sink.deliver([*some(1), long.record()])
    first, second = receiver.recv(65_536), receiver.recv(65_536)
    assert revisions([first, second]) == [1, 2]
    assert len(second) <= 2048


def test_that_nobody_listens_is_told_where_the_network_tells(
    receiver: socket.socket, made: list[Syslog]
) -> None:
    port = receiver.getsockname()[1]
    receiver.close()
    made.append(sink := Syslog("127.0.0.1", port, transport="udp"))
    with pytest.raises(SinkError, match=rf"udp://127\.0\.0\.1:{port}: "):
        sink.deliver(some(1))


def test_delivering_from_another_thread_ends_when_the_server_does(
    server: StreamServer, made: list[Syslog]
) -> None:
    server.is_reading = False
    made.append(sink := Syslog("127.0.0.1", server.port))
    thread = threading.Thread(target=sink.deliver, args=(some(1),))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
