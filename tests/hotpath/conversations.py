"""One conversation, put on the wire in many ways: every way says the same."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hotpath.frames import ACK, FIN, PSH, SYN, TCP, UDP, Frame, Host, ethernet, packets, tcp, udp
from hypothesis import strategies as st

CLIENT4 = Host(bytes.fromhex("02000000000a"), "192.0.2.10", 50_210)
SERVER4 = Host(bytes.fromhex("02000000000b"), "192.0.2.11", 502)
CLIENT6 = Host(CLIENT4.mac, "2001:db8::10", CLIENT4.port)
SERVER6 = Host(SERVER4.mac, "2001:db8::11", SERVER4.port)

START = 1_700_000_000_000_000_000
STEP = 100_000
"""Nanoseconds between frames: so short that no answer is late and no request is given up."""
MAX_REORDERED = 100
"""Segments of one flight that change places: fewer than the hot path holds ahead of their turn."""

Flight = tuple[bool, bytes]
"""Bytes that one side sends before it hears the other: whether it is the client, and the ADUs."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one flight is sent."""

    cuts: tuple[int, ...] = ()  # places at which a new segment begins
    stride: int = 0  # also after every so many bytes
    order: tuple[int, ...] = ()  # keys by which segments are sorted; missing ones count as 0
    repeats: tuple[tuple[int, int], ...] = ()  # ranges sent again when all was sent
    early: tuple[tuple[int, int], ...] = ()  # ranges sent before all the rest
    fragments: tuple[int, ...] = ()  # places at which IP packets are cut, in units of 8 bytes
    fragments_reversed: bool = False
    late: tuple[tuple[int, int], ...] = ()  # ranges sent again after the peer's acknowledgment
    keep_alive: bool = False  # a probe of one byte follows
    acknowledged: bool = True  # by a segment of its own, not only by the peer's next data


@dataclass(frozen=True, slots=True)
class Setting:
    """How a conversation is carried."""

    is_ipv6: bool = False
    client_port: int = CLIENT4.port
    vlans: tuple[int, ...] = ()
    client_initial: int = 1000
    server_initial: int = 2000
    syns: int = 1
    syn_acks: int = 1
    ends: bool = True


@dataclass(slots=True)
class Wire:
    """Frames of one TCP connection or one UDP exchange."""

    setting: Setting = field(default_factory=Setting)
    frames: list[Frame] = field(default_factory=list)
    time: int = START
    sent: dict[bool, int] = field(default_factory=dict)
    packets_sent: int = 0

    def __post_init__(self) -> None:
        self.sent = {True: self.setting.client_initial, False: self.setting.server_initial}

    def host(self, *, is_client: bool) -> Host:
        """Return the end of one side."""
        client, server = CLIENT4, SERVER4
        if self.setting.is_ipv6:
            client, server = CLIENT6, SERVER6
        return replace(client, port=self.setting.client_port) if is_client else server

    def put(self, from_client: bool, protocol: int, payload: bytes, way: Way) -> None:
        """Send one IP payload, fragmented as the way says."""
        source, target = self.host(is_client=from_client), self.host(is_client=not from_client)
        self.packets_sent += 1
        parts = packets(
            source,
            target,
            protocol,
            payload,
            identification=self.packets_sent,
            cuts=[8 * place for place in way.fragments],
        )
        for part in reversed(parts) if way.fragments_reversed else parts:
            self.frames.append((self.time, ethernet(source, target, part, self.setting.vlans)))
            self.time += STEP

    def segment(
        self,
        from_client: bool,
        offset: int,
        flags: int,
        payload: bytes = b"",
        way: Way | None = None,
    ) -> None:
        """Send a segment whose number is `offset` from what was sent so far."""
        source, target = self.host(is_client=from_client), self.host(is_client=not from_client)
        heard = self.sent[not from_client] if flags & ACK else 0
        number = self.sent[from_client] + offset
        built = tcp(source, target, payload, sequence=number, acknowledgment=heard, flags=flags)
        self.put(from_client, TCP, built, way or Way())

    def open(self) -> None:
        """Shake hands."""
        for _ in range(self.setting.syns):
            self.segment(True, 0, SYN)
        self.sent[True] += 1
        for _ in range(self.setting.syn_acks):
            self.segment(False, 0, SYN | ACK)
        self.sent[False] += 1
        self.segment(True, 0, ACK)

    def flight(self, from_client: bool, data: bytes, way: Way) -> None:
        """Send the bytes of a flight in the given way."""

        def ranges(every: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
            return [(low % len(data), min(high, len(data))) for low, high in every]

        cuts = {*way.cuts, *(range(0, len(data), way.stride) if way.stride else ())}
        edges = sorted({0, len(data), *(cut for cut in cuts if 0 < cut < len(data))})
        pieces = list(pairwise(edges))
        if len(pieces) <= MAX_REORDERED:
            keys = dict(zip(pieces, way.order, strict=False))
            pieces.sort(key=lambda piece: keys.get(piece, 0))
        for start, end in [*ranges(way.early), *pieces, *ranges(way.repeats)]:
            if start < end:
                self.segment(from_client, start, ACK | PSH, data[start:end], way)
        self.sent[from_client] += len(data)
        if way.acknowledged:
            self.segment(not from_client, 0, ACK)
        for start, end in ranges(way.late):
            if start < end:
                self.segment(from_client, start - len(data), ACK | PSH, data[start:end], way)
        if way.keep_alive:
            self.segment(from_client, -1, ACK, b"\0")

    def close(self) -> None:
        """End the connection in order."""
        for from_client in (True, False):
            self.segment(from_client, 0, FIN | ACK)
            self.sent[from_client] += 1
        self.segment(True, 0, ACK)


def over_tcp(flights: Sequence[Flight], ways: Sequence[Way], setting: Setting) -> list[Frame]:
    """Put flights on the wire as one TCP connection; a missing way is the plain one."""
    wire = Wire(setting)
    wire.open()
    for place, (from_client, data) in enumerate(flights):
        wire.flight(from_client, data, ways[place] if place < len(ways) else Way())
    if setting.ends:
        wire.close()
    return wire.frames


def over_udp(flights: Sequence[Flight], ways: Sequence[Way], setting: Setting) -> list[Frame]:
    """Put each flight on the wire as one UDP datagram."""
    wire = Wire(setting)
    for place, (from_client, data) in enumerate(flights):
        source, target = wire.host(is_client=from_client), wire.host(is_client=not from_client)
        way = ways[place] if place < len(ways) else Way()
        wire.put(from_client, UDP, udp(source, target, data), way)
    return wire.frames


def adu(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Put an MBAP header before a PDU."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


# --- what is said --------------------------------------------------------------------------------


def words(numbers: Sequence[int]) -> bytes:
    """Registers as on the wire."""
    return struct.pack(f">{len(numbers)}H", *numbers)


u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)


def exchange_of(
    start: int, registers: Sequence[int], bits: bytes, file: int, undefined: int
) -> list[tuple[bytes, bytes]]:
    """Build request and response of every function, as the specification wants them.

    `start` is the first address, `undefined` a function code that means nothing.
    """
    count, data = len(registers), words(registers)
    single = struct.pack(">HH", start, registers[0])
    ranged = struct.pack(">HH", start, count)
    ranged_bits = struct.pack(">HH", start, len(bits) * 8)
    record = struct.pack(">BHHH", 6, file, start % 10_000, count)
    written = bytes([21, len(record + data)]) + record + data
    counted = bytes([2 * count]) + data
    return [
        (b"\x01" + ranged_bits, bytes([1, len(bits)]) + bits),
        (b"\x02" + ranged_bits, bytes([2, len(bits)]) + bits),
        (b"\x03" + ranged, b"\x03" + counted),
        (b"\x04" + ranged, b"\x04" + counted),
        (b"\x05" + single[:2] + b"\xff\0", b"\x05" + single[:2] + b"\xff\0"),
        (b"\x06" + single, b"\x06" + single),
        (b"\x07", b"\x07\x2a"),
        (b"\x08\0\0" + data[:2], b"\x08\0\0" + data[:2]),
        (b"\x0b", b"\x0b\0\0" + data[:2]),
        (b"\x0f" + ranged_bits + bytes([len(bits)]) + bits, b"\x0f" + ranged_bits),
        (b"\x10" + ranged + counted, b"\x10" + ranged),
        (b"\x11", bytes([17, 2 + len(bits), 1, 0xFF]) + bits),
        (bytes([20, len(record)]) + record, bytes([20, 2 * count + 2, 2 * count + 1, 6]) + data),
        (written, written),
        (b"\x16" + single + b"\0\x05", b"\x16" + single + b"\0\x05"),
        (b"\x16" + single[:2] + b"\0\0" + data[:2], b"\x16" + single[:2] + b"\0\0" + data[:2]),
        (b"\x17" + ranged + ranged + counted, b"\x17" + counted),
        (b"\x18" + single[:2], struct.pack(">BHH", 24, 2 + 2 * count, count) + data),
        (b"\x2b\x0e\x01\0", b"\x2b\x0e\x01\x81\0\0\x01\0\x05otids"),
        (b"\x5a\0\x02", b"\x5a\0\xfe" + bits),
        (bytes([undefined]) + bits, bytes([undefined]) + data),
    ]


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw the PDUs of a request and of its response, both as the specification wants them."""
    every = exchange_of(
        draw(u16),
        draw(st.lists(u16, min_size=1, max_size=20)),
        bytes(draw(st.lists(u8, min_size=1, max_size=6))),
        draw(st.integers(1, 9)),
        draw(st.integers(65, 72)),
    )
    request, response = draw(st.sampled_from(every))
    if draw(st.integers(0, 9)) == 0:
        response = bytes([request[0] | 0x80, draw(st.integers(1, 11))])
    return request, response


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw an exchange of which a part was cut off, added or changed."""
    pair = list(draw(exchanges()))
    place = draw(st.integers(0, 1))
    pdu = pair[place]
    match draw(st.integers(0, 2)):
        case 0:
            pair[place] = pdu[: draw(st.integers(1, len(pdu)))]
        case 1:
            pair[place] = pdu + draw(st.binary(min_size=1, max_size=20))
        case _:
            at = draw(st.integers(0, len(pdu) - 1))
            pair[place] = pdu[:at] + bytes([draw(u8)]) + pdu[at + 1 :]
    return pair[0], pair[1]


@st.composite
def conversations(
    draw: st.DrawFn, pairs: st.SearchStrategy[tuple[bytes, bytes]]
) -> list[list[Flight]]:
    """Draw turns: some requests (a flight), then their responses (a flight); one ADU an item."""
    turns = []
    transaction = draw(u16)
    for _ in range(draw(st.integers(1, 5))):
        requests, responses = [], []
        for request, response in draw(st.lists(pairs, min_size=1, max_size=3)):
            transaction = (transaction + 1) & 0xFFFF
            unit = draw(st.sampled_from([0, 1, 2, 255]))
            requests.append((True, adu(transaction, unit, request)))
            responses.append((False, adu(transaction, unit, response)))
        turns += [requests, responses]
    return turns


# --- in which way --------------------------------------------------------------------------------

place = st.integers(0, 300)
ranges = st.lists(st.tuples(place, place), max_size=3).map(tuple)
ways = st.builds(
    Way,
    cuts=st.lists(place, max_size=8).map(tuple),
    stride=st.one_of(st.just(0), st.integers(1, 20)),
    order=st.lists(st.integers(0, 20), max_size=40).map(tuple),
    repeats=ranges,
    early=ranges,
    late=ranges,
    fragments=st.lists(st.integers(1, 12), max_size=4).map(tuple),
    fragments_reversed=st.booleans(),
    keep_alive=st.booleans(),
    acknowledged=st.booleans(),
)
initial = st.one_of(st.integers(0, 0xFFFFFFFF), st.integers(0xFFFFFF00, 0xFFFFFFFF))
settings_of_wire = st.builds(
    Setting,
    is_ipv6=st.booleans(),
    vlans=st.sampled_from([(), (7,), (100, 7)]),
    client_initial=initial,
    server_initial=initial,
    syns=st.integers(1, 3),
    syn_acks=st.integers(1, 3),
    ends=st.booleans(),
)


def plainly(setting: Setting) -> Setting:
    """The same hosts without tags, repeats and other oddities."""
    return replace(Setting(), is_ipv6=setting.is_ipv6)
