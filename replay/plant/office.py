"""What the plant says besides Modbus: the time of day, and the historian's archive."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from plant.devices import ARCHIVE, TIME_SERVER
from plant.frames import Datagram

if TYPE_CHECKING:
    import random

    from plant.wire import Node

TIME_PORT = 123
TIME_PERIOD = 64.0
ARCHIVE_PORT = 5450
ARCHIVE_PERIOD = 30.0
# Measurements in a push and in the hourly bundle.
PUSH_RECORDS = (28, 36)
BUNDLE_RECORDS = (900, 1_100)
# From 1900 to 1970, as NTP counts (RFC 5905, 6).
_NTP_ERA = 2_208_988_800
_NTP_STRATUM_GPS, _NTP_STRATUM_LOCAL = 1, 3
_NTP_PACKET = struct.Struct(">BBBbII4sQQQQ")
_PUSH_HEADER = struct.Struct(">4sIII")
_RECORD = struct.Struct(">HHIf")
_RECEIPT = struct.Struct(">4sII")


def ntp_time(seconds: float) -> int:
    """Spell seconds since 1970 as a 64-bit NTP timestamp."""
    whole = int(seconds)
    return (whole + _NTP_ERA) << 32 | int((seconds - whole) * (1 << 32))


def serve_time(node: Node) -> None:
    """Answer NTP requests (RFC 5905) on this host."""

    def answer(source: str, datagram: Datagram) -> None:
        received = node.network.epoch + node.network.loop.time()
        later = node.rng.uniform(30e-6, 120e-6)
        asked = int.from_bytes(datagram.payload[40:48], "big")
        packet = _NTP_PACKET.pack(
            0x24, _NTP_STRATUM_GPS, 6, -20, 0, 0x20, b"GPS\0",
            ntp_time(received // 16 * 16), asked, ntp_time(received), ntp_time(received + later),
        )  # fmt: skip
        reply = Datagram(TIME_PORT, datagram.source_port, packet)
        node.network.loop.call_later(later, node.send, source, reply, context=node.context)

    node.datagrams[TIME_PORT] = answer


async def ask_time(node: Node, rng: random.Random) -> None:
    """Ask the time server every 64 seconds, for ever."""
    loop = node.network.loop
    reference = 0
    await asyncio.sleep(rng.uniform(2.0, TIME_PERIOD))
    while True:
        now = node.network.epoch + loop.time()
        packet = _NTP_PACKET.pack(
            0x23, _NTP_STRATUM_LOCAL, 6, -20, 0x0400, 0x0800, b"\x0a\x1e\0\x02",
            reference, 0, 0, ntp_time(now),
        )  # fmt: skip
        node.send(TIME_SERVER.address, Datagram(TIME_PORT, TIME_PORT, packet))
        reference = ntp_time(now)
        await asyncio.sleep(TIME_PERIOD + rng.uniform(-1.0, 1.0))


class Receiver(asyncio.Protocol):
    """The archive's end of the historian's connection: a receipt for each push."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing received."""
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer every push that is complete."""
        self._data += data
        while len(self._data) >= _PUSH_HEADER.size:
            magic, number, _, size = _PUSH_HEADER.unpack_from(self._data)
            if len(self._data) < size:
                return
            self._data = self._data[size:]
            assert isinstance(self._transport, asyncio.WriteTransport)  # noqa: S101 - for types
            self._transport.write(_RECEIPT.pack(magic, number, 0))


class Pusher:
    """The historian's pushes to the archive over one long connection."""

    def __init__(self, node: Node, rng: random.Random) -> None:
        """Begin without a connection; `volume` multiplies what a push holds."""
        self.volume = 1
        self._node, self._rng = node, rng
        self._values = [rng.uniform(0.0, 200.0) for _ in range(64)]
        self._number = 0
        self._bundle = False

    def add_bundle(self) -> None:
        """Send the hour's summary instead of the next push."""
        self._bundle = True

    async def run(self) -> None:
        """Push every 30 seconds, for ever."""
        await asyncio.sleep(self._rng.uniform(3.0, 6.0))
        loop = self._node.network.loop
        transport, _ = await loop.create_connection(asyncio.Protocol, ARCHIVE.address, ARCHIVE_PORT)
        moment = loop.time()
        while True:
            transport.write(self._push())
            moment += ARCHIVE_PERIOD
            await asyncio.sleep(moment + self._rng.uniform(0.0, 0.05) - loop.time())

    def _push(self) -> bytes:
        count = self._rng.randint(*(BUNDLE_RECORDS if self._bundle else PUSH_RECORDS))
        count *= 1 if self._bundle else self.volume
        self._bundle = False
        self._number += 1
        now = int(self._node.network.epoch + self._node.network.loop.time())
        body = b"".join(self._record(n % len(self._values), now) for n in range(count))
        size = _PUSH_HEADER.size + len(body)
        return _PUSH_HEADER.pack(b"ARC1", self._number, now, size) + body

    def _record(self, tag: int, now: int) -> bytes:
        self._values[tag] += self._rng.choice((-0.5, 0.0, 0.0, 0.5))
        return _RECORD.pack(tag + 1, 0xC0, now, self._values[tag])
