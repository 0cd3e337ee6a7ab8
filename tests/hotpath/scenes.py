"""Small scenes on the wire that several tests play."""

from __future__ import annotations

from dataclasses import replace

from hotpath.conversations import START, Setting, Way, Wire, adu, exchange_of, over_tcp, over_udp
from hotpath.frames import Frame

SECOND = 1_000_000_000
SCANNED = range(1, 128)


def function_scan(*, is_answered: bool = True, per_connection: int = 127) -> list[Frame]:
    """Ask for every function code in turn; every answer is an exception."""
    frames: list[Frame] = []
    wire = Wire()
    for place, function in enumerate(SCANNED):
        if place % per_connection == 0:
            # Each connection takes the ports of the one before it.
            wire = Wire(Setting(client_initial=place << 16), time=START + place * SECOND // 10)
            wire.open()
        wire.flight(True, adu(place, 1, bytes([function, 0, 0, 0, 0])), Way())
        if is_answered:
            wire.flight(False, adu(place, 1, bytes([function | 0x80, 1])), Way())
        if (place + 1) % per_connection == 0 or function == SCANNED[-1]:
            wire.close()
            frames += wire.frames
    return frames


def exchange(client_port: int, start: int) -> list[Frame]:
    """Read two registers over a fresh connection."""
    wire = Wire(Setting(client_port=client_port), time=start)
    wire.open()
    wire.flight(True, adu(7, 3, b"\x03\0\x10\0\x02"), Way())
    wire.flight(False, adu(7, 3, b"\x03\x04\0\x01\0\x02"), Way())
    wire.close()
    return wire.frames


def every_function(first_register: int = 0x1234) -> list[Frame]:
    """Exchange every function, over IPv4, IPv6, VLANs and UDP, cut into segments and fragments."""
    registers = [first_register, 0, 0xFFFF, 0x8000, 7]
    flights = []
    for place, (request, response) in enumerate(exchange_of(100, registers, b"\xa5\x0f", 1, 65)):
        refusal = bytes([request[0] | 0x80, 1 + place % 11])
        for unit, answer in ((1, response), (247, refusal)):
            flights += [(True, adu(place, unit, request)), (False, adu(place, unit, answer))]
    # tshark takes a segment for Modbus only if the header and the function code are in it.
    cut = [Way(cuts=(8, 10)), Way(cuts=(9,)), Way()] * len(flights)
    fragmented = [Way(fragments=(1, 2)), Way()] * len(flights)
    plain = Setting()
    wrapping = replace(plain, client_initial=0xFFFFFFF0, server_initial=0xFFFFFF00)
    scenes = [
        over_tcp(flights, (), plain),
        over_tcp(flights, cut, replace(wrapping, client_port=50_211)),
        over_tcp(flights, cut, replace(plain, client_port=50_212, vlans=(100, 7))),
        over_tcp(flights, cut, replace(plain, is_ipv6=True)),
        over_udp(flights, (), replace(plain, client_port=50_213)),
        over_udp(flights, fragmented, replace(plain, client_port=50_214, is_ipv6=True)),
    ]
    return [
        (time + place * 60 * SECOND, frame)
        for place, frames in enumerate(scenes)
        for time, frame in frames
    ]
